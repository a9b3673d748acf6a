/* Raft messages survive the wire, and what no correct peer sends is refused without harm. */

#include "consensus/message.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "proto/wire/peer.pb-c.h"

static struct arena arena;
static struct message message;

/* Decodes a packed header and body; returns the decoder's verdict. */
static int decode(const Holdfast__PeerRaft *header, const char *body)
{
    size_t header_len = holdfast__peer_raft__get_packed_size(header);
    struct blob *blob = blob_new(header_len + strlen(body));
    holdfast__peer_raft__pack(header, blob->data);
    memcpy(blob->data + header_len, body, strlen(body));
    struct frame frame = {.type = FRAME_PEER_RAFT,
                          .header = slice_part(slice_of_blob(blob), 0, header_len),
                          .body = slice_part(slice_of_blob(blob), header_len, strlen(body))};
    arena_init(&arena, 1 << 20);
    int err = message_decode(&frame, 0, &arena, &message);
    blob_unref(blob);
    arena_done(&arena);
    return err;
}

struct append {
    Holdfast__PeerRaft header;
    Holdfast__AppendEntries append;
    uint64_t terms[3];
    uint32_t types[3];
    uint32_t lens[3];
};

/* A correct AppendEntries with two commands of three bytes. */
static void append_init(struct append *a)
{
    *a = (struct append){.header = HOLDFAST__PEER_RAFT__INIT,
                         .append = HOLDFAST__APPEND_ENTRIES__INIT,
                         .terms = {2, 3},
                         .types = {1, 1},
                         .lens = {3, 3}};
    a->header.term = 3;
    a->header.kind_case = HOLDFAST__PEER_RAFT__KIND_APPEND_ENTRIES;
    a->header.append_entries = &a->append;
    a->append.prev_log_index = 4;
    a->append.prev_log_term = 2;
    a->append.entry_term = a->terms;
    a->append.entry_type = a->types;
    a->append.entry_len = a->lens;
    a->append.n_entry_term = a->append.n_entry_type = a->append.n_entry_len = 2;
}

Test(message, append_entries_are_cut_from_the_body)
{
    struct append a;
    append_init(&a);
    cr_assert_eq(decode(&a.header, "abcdef"), 0);
    cr_assert_eq(message.entries_len, 2u);
    cr_assert_eq(message.entries[1].payload.len, 3u);
    cr_assert_eq(message.entries[1].term, 3u);
}

Test(message, lengths_and_terms_that_lie_are_refused)
{
    struct append a;
    append_init(&a);
    cr_assert_eq(decode(&a.header, "abcde"), ERR_BROKEN, "shorter than it says");
    cr_assert_eq(decode(&a.header, "abcdefg"), ERR_BROKEN, "longer than it says");
    a.lens[0] = UINT32_MAX;
    cr_assert_eq(decode(&a.header, "abcdef"), ERR_BROKEN);
    append_init(&a);
    a.terms[1] = 1;
    cr_assert_eq(decode(&a.header, "abcdef"), ERR_BROKEN, "terms fall");
    append_init(&a);
    a.terms[1] = 4;
    cr_assert_eq(decode(&a.header, "abcdef"), ERR_BROKEN, "a term above the leader's");
    append_init(&a);
    a.types[0] = 9;
    cr_assert_eq(decode(&a.header, "abcdef"), ERR_BROKEN);
    append_init(&a);
    a.append.prev_log_term = 0;
    cr_assert_eq(decode(&a.header, "abcdef"), ERR_BROKEN);
    append_init(&a);
    a.append.n_entry_type = 1;
    cr_assert_eq(decode(&a.header, "abcdef"), ERR_BROKEN);
    append_init(&a);
    a.types[1] = LOG_ENTRY_CHANGE;
    cr_assert_eq(decode(&a.header, "abcdef"), ERR_BROKEN, "a membership that cannot be read");
    append_init(&a);
    a.header.shard = 1;
    cr_assert_eq(decode(&a.header, "abcdef"), ERR_BROKEN, "of another shard");
}

Test(message, random_bytes_are_refused_or_understood_but_do_no_harm)
{
    srand(7);
    for (int round = 0; round < 20000; round++) {
        struct append a;
        append_init(&a);
        size_t header_len = holdfast__peer_raft__get_packed_size(&a.header);
        struct blob *blob = blob_new(header_len + 6);
        holdfast__peer_raft__pack(&a.header, blob->data);
        memcpy(blob->data + header_len, "abcdef", 6);
        for (int flips = rand() % 4; flips >= 0; flips--) {
            blob->data[(size_t)rand() % blob->len] = (uint8_t)rand();
        }
        struct frame frame = {.type = FRAME_PEER_RAFT,
                              .header = slice_part(slice_of_blob(blob), 0, header_len),
                              .body = slice_part(slice_of_blob(blob), header_len, 6)};
        arena_init(&arena, 1 << 20);
        int err = message_decode(&frame, 0, &arena, &message);
        cr_assert(err == 0 || err == ERR_BROKEN);
        arena_done(&arena);
        blob_unref(blob);
    }
}

Test(message, read_pings_and_pongs_survive_the_wire)
{
    Holdfast__PeerRaft header = HOLDFAST__PEER_RAFT__INIT;
    Holdfast__ReadPing ping = HOLDFAST__READ_PING__INIT;
    Holdfast__ReadPong pong = HOLDFAST__READ_PONG__INIT;
    header.term = 7;
    header.kind_case = HOLDFAST__PEER_RAFT__KIND_READ_PING;
    header.read_ping = &ping;
    cr_assert_eq(decode(&header, ""), ERR_BROKEN, "rounds begin with 1");
    ping.round = 12;
    cr_assert_eq(decode(&header, "x"), ERR_BROKEN);
    cr_assert_eq(decode(&header, ""), 0);
    cr_assert_eq(message.kind, MESSAGE_READ_PING);
    cr_assert_eq(message.term, 7u);
    cr_assert_eq(message.round, 12u);
    header.kind_case = HOLDFAST__PEER_RAFT__KIND_READ_PONG;
    header.read_pong = &pong;
    cr_assert_eq(decode(&header, ""), ERR_BROKEN);
    pong.round = 13;
    cr_assert_eq(decode(&header, ""), 0);
    cr_assert_eq(message.kind, MESSAGE_READ_PONG);
    cr_assert_eq(message.round, 13u);
    struct append a;
    append_init(&a);
    cr_assert_eq(decode(&a.header, "abcdef"), 0);
    cr_assert_eq(message.kind, MESSAGE_ENGINE);
}
