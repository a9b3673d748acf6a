/* Writes the seed corpora of the fuzzers, from the encoders that nodes and clients use.
 *
 * Usage: fuzz_corpus DIRECTORY      (chaos-tests/fuzz/corpus, whose subdirectories must exist) */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/check.h"
#include "rpc/native/native_frame.h"
#include "rpc/peer/peer_frame.h"

static void append(struct bytes *bytes, const void *data, size_t len)
{
    CHECK(bytes_append(bytes, data, len) == 0);
}

static void append_frame(struct bytes *bytes, struct frame_out *frame)
{
    append(bytes, frame->head->data, frame->head->len);
    for (unsigned i = 0; i < frame->parts_len; i++) {
        append(bytes, frame->parts[i].data, frame->parts[i].len);
    }
    frame_out_done(frame);
}

static void append_message(struct bytes *bytes, enum frame_type type, const ProtobufCMessage *message)
{
    struct frame_out frame;
    CHECK(native_frame_encode(type, message, NULL, 0, &frame) == 0);
    append_frame(bytes, &frame);
}

/* Writes one seed, `lead` before it, and empties the bytes. */
static void seed(const char *directory, const char *name, const char *lead, size_t lead_len, struct bytes *bytes)
{
    char path[1024];
    CHECK((size_t)snprintf(path, sizeof path, "%s/%s", directory, name) < sizeof path);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(lead, 1, lead_len, file) != lead_len ||
        fwrite(bytes->data, 1, bytes->len, file) != bytes->len || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
    bytes->len = 0;
}

static void append_hello(struct bytes *bytes)
{
    Holdfast__Hello hello = HOLDFAST__HELLO__INIT;
    char name[] = "fuzzer 1.0";
    hello.client = name;
    hello.heads = true;
    append_message(bytes, FRAME_HELLO, &hello.base);
}

static void append_attach(struct bytes *bytes)
{
    Holdfast__Attach attach = HOLDFAST__ATTACH__INIT;
    uint8_t key[16] = "0123456789abcde";
    uint64_t consumers[] = {1, 2}, seen[] = {10, 20};
    attach.key = (ProtobufCBinaryData){.len = sizeof key, .data = key};
    attach.lease_ms = 10000;
    attach.user = (char[]){"carol"};
    attach.consumer = consumers;
    attach.seen = seen;
    attach.n_consumer = attach.n_seen = 2;
    append_message(bytes, FRAME_ATTACH, &attach.base);
}

/* A publish of two messages. */
static void append_command(struct bytes *bytes, uint64_t number)
{
    Holdfast__Publish publish = HOLDFAST__PUBLISH__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    char queue[] = "orders";
    uint32_t lengths[] = {5, 6};
    uint64_t hashes[] = {1, 2};
    publish.queue = queue;
    publish.body_len = lengths;
    publish.body_hash = hashes;
    publish.n_body_len = publish.n_body_hash = 2;
    command.kind_case = HOLDFAST__COMMAND__KIND_PUBLISH;
    command.publish = &publish;
    uint8_t header[256];
    struct slice encoded = {.data = header, .len = holdfast__command__pack(&command, header)};
    struct slice body = {.data = (const uint8_t *)"firstsecond", .len = 11};
    struct frame_out frame;
    CHECK(native_frame_encode_command(number, number - 1, encoded, &body, 1, &frame) == 0);
    append_frame(bytes, &frame);
}

static void append_queries(struct bytes *bytes)
{
    Holdfast__Query query = HOLDFAST__QUERY__INIT;
    Holdfast__Ping ping = HOLDFAST__PING__INIT;
    char after[] = "q000003";
    query.id = 1;
    append_message(bytes, FRAME_QUERY, &query.base);
    query.kind = HOLDFAST__QUERY__KIND__QUEUES;
    query.after = after;
    append_message(bytes, FRAME_QUERY, &query.base);
    query.kind = HOLDFAST__QUERY__KIND__QUEUE;
    query.queue = after;
    append_message(bytes, FRAME_QUERY, &query.base);
    query.kind = HOLDFAST__QUERY__KIND__BROWSE;
    query.position = 2;
    query.max = 30;
    append_message(bytes, FRAME_QUERY, &query.base);
    query.kind = HOLDFAST__QUERY__KIND__TRANSFER;
    query.node = 2;
    append_message(bytes, FRAME_QUERY, &query.base);
    ping.id = 300;
    append_message(bytes, FRAME_PING, &ping.base);
}

/* Lists, and what is about one thing. */
static void append_lists(struct bytes *bytes)
{
    for (int kind = HOLDFAST__QUERY__KIND__EXCHANGES; kind <= HOLDFAST__QUERY__KIND__PREPARED; kind++) {
        Holdfast__Query query = HOLDFAST__QUERY__INIT;
        query.id = (uint64_t)kind;
        query.kind = (Holdfast__Query__Kind)kind;
        query.queue = query.producer = (char[]){"q000003"};
        query.position = 2;
        query.session = 1;
        query.virtual_host = (char[]){"/"};
        append_message(bytes, FRAME_QUERY, &query.base);
    }
}

static void append_encoded(struct bytes *bytes, uint64_t number, const Holdfast__Command *command, struct slice body)
{
    uint8_t header[512];
    CHECK(holdfast__command__get_packed_size(command) <= sizeof header);
    struct slice encoded = {.data = header, .len = holdfast__command__pack(command, header)};
    struct frame_out frame;
    CHECK(native_frame_encode_command(number, number - 1, encoded, &body, body.len > 0, &frame) == 0);
    append_frame(bytes, &frame);
}

/* Two messages with heads, alone and in a transaction with a settlement; and an exchange that is changed. */
static void append_new_commands(struct bytes *bytes, uint64_t number)
{
    uint32_t lengths[] = {5, 6};
    uint32_t heads[] = {3, 0};
    uint64_t hashes[] = {1, 2};
    Holdfast__Prepare prepare = HOLDFAST__PREPARE__INIT;
    prepare.id = (char[]){"payment"};
    Holdfast__Publish publish = HOLDFAST__PUBLISH__INIT;
    publish.body_len = lengths;
    publish.body_hash = hashes;
    publish.head_len = heads;
    publish.n_body_len = publish.n_body_hash = publish.n_head_len = 2;
    publish.each = true;
    publish.prepare = &prepare;
    struct slice body = {.data = (const uint8_t *)"\x12\x01kfirstsecond", .len = 14};
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_PUBLISH;
    command.publish = &publish;
    append_encoded(bytes, number, &command, body);
    uint64_t range[] = {1};
    Holdfast__Settle settle = HOLDFAST__SETTLE__INIT;
    settle.consumer = 1;
    settle.first = settle.last = range;
    settle.n_first = settle.n_last = 1;
    publish.each = false;
    publish.prepare = NULL;
    Holdfast__Transact transact = HOLDFAST__TRANSACT__INIT;
    transact.publish = (Holdfast__Publish *[]){&publish};
    transact.n_publish = 1;
    transact.settle = (Holdfast__Settle *[]){&settle};
    transact.n_settle = 1;
    command.kind_case = HOLDFAST__COMMAND__KIND_TRANSACT;
    command.transact = &transact;
    append_encoded(bytes, number + 1, &command, body);
    Holdfast__ChangeExchange change = HOLDFAST__CHANGE_EXCHANGE__INIT;
    change.exchange = (char[]){"x"};
    change.has_note = true;
    change.note = (char[]){"ours"};
    command.kind_case = HOLDFAST__COMMAND__KIND_CHANGE_EXCHANGE;
    command.change_exchange = &change;
    append_encoded(bytes, number + 2, &command, (struct slice){0});
}

/* What a node sends. */
static void append_answers(struct bytes *bytes)
{
    struct bytes header = {0};
    Holdfast__Reply reply = HOLDFAST__REPLY__INIT;
    Holdfast__Delivery delivery = HOLDFAST__DELIVERY__INIT;
    Holdfast__ConsumersEnded ended = HOLDFAST__CONSUMERS_ENDED__INIT;
    Holdfast__Goodbye goodbye = HOLDFAST__GOODBYE__INIT;
    char detail[] = "no leader can be reached", address[] = "node2:7000";
    reply.number = 1;
    reply.count = 2;
    struct frame_out frame;
    CHECK(native_frame_append(&header, 1, &reply.base) == 0);
    CHECK(native_frame_encode_raw(FRAME_REPLIES, header.data, header.len, NULL, 0, &frame) == 0);
    append_frame(bytes, &frame);
    header.len = 0;
    delivery.consumer = delivery.number = 1;
    delivery.body_len = 5;
    CHECK(native_frame_append(&header, 1, &delivery.base) == 0);
    struct slice body = {.data = (const uint8_t *)"first", .len = 5};
    CHECK(native_frame_encode_raw(FRAME_DELIVERIES, header.data, header.len, &body, 1, &frame) == 0);
    append_frame(bytes, &frame);
    uint64_t consumers[] = {1, 300};
    char deleted[] = "the queue was deleted";
    ended.consumer = consumers;
    ended.n_consumer = 2;
    ended.error = 4;
    ended.detail = deleted;
    append_message(bytes, FRAME_CONSUMERS_ENDED, &ended.base);
    Holdfast__LockEnded lock_ended = HOLDFAST__LOCK_ENDED__INIT;
    lock_ended.consumer = lock_ended.number = 1;
    Holdfast__Notices notices = HOLDFAST__NOTICES__INIT;
    notices.lock_ended = (Holdfast__LockEnded *[]){&lock_ended};
    notices.n_lock_ended = 1;
    notices.prepared_ask = (char *[]){(char[]){"payment"}};
    notices.n_prepared_ask = 1;
    append_message(bytes, FRAME_NOTICES, &notices.base);
    goodbye.error = 25;
    goodbye.detail = detail;
    goodbye.leader = 2;
    goodbye.leader_address = address;
    append_message(bytes, FRAME_GOODBYE, &goodbye.base);
    bytes_done(&header);
}

static void append_peer_hello(struct bytes *bytes, const char *cluster, const char *address)
{
    struct peer_hello hello = {.cluster = cluster, .node = 1, .to = 2, .incarnation = 77, .client_address = address};
    struct frame_out frame;
    CHECK(peer_hello_encode(&hello, &frame) == 0);
    append_frame(bytes, &frame);
}

int main(int argc, char **argv)
{
    if (argc != 2 || chdir(argv[1]) != 0) {
        (void)fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
        return 2;
    }
    struct bytes bytes = {0};
    append_hello(&bytes);
    seed("native_frame", "hello", "\xff", 1, &bytes);
    append_attach(&bytes);
    append_command(&bytes, 1);
    seed("native_frame", "attach_command", "\x02", 1, &bytes);
    append_queries(&bytes);
    seed("native_frame", "queries", "\x40", 1, &bytes);
    append_lists(&bytes);
    append_new_commands(&bytes, 1);
    seed("native_frame", "lists_new_commands", "\xff", 1, &bytes);
    append_answers(&bytes);
    seed("native_frame", "answers", "\xff", 1, &bytes);

    append_hello(&bytes);
    append_attach(&bytes);
    append_new_commands(&bytes, 1);
    append_lists(&bytes);
    seed("native_session", "lists_new_commands", "\0\0\100\0\0\100\100\350", 8, &bytes);
    append_hello(&bytes);
    append_queries(&bytes);
    seed("native_session", "queries", "\0\0\100\0\0\100\100\350", 8, &bytes);
    for (unsigned script = 0; script < 4; script++) {
        static const char scripts[4][9] = {"\100\101\2\0\101\2\2\0", "\3\3\3\4\7\2\0\0", "\1\2\15\2\5\0\1\306",
                                           "\216\16\1\2\0\16\2\0"};
        static const char *const names[4] = {"conversation", "busy", "congested_detached", "ended_over_limit"};
        append_hello(&bytes);
        append_attach(&bytes);
        for (uint64_t number = 1; number <= 12; number++) {
            append_command(&bytes, number);
        }
        append_queries(&bytes);
        seed("native_session", names[script], scripts[script], 8, &bytes);
    }

    append_peer_hello(&bytes, "blue", "node1:7000");
    seed("peer_hello", "whole", "", 0, &bytes);
    append_peer_hello(&bytes, "a longer name of a cluster, with \xc3\xa4", "");
    seed("peer_hello", "without_address", "", 0, &bytes);
    bytes_done(&bytes);
    return 0;
}
