/* What other nodes' gateways may say: whom it is for, and what comes of lies. */

#include <criterion/criterion.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/wire/entry.h"
#include "proto/wire/peer.pb-c.h"
#include "rpc/native/native_frame.h"
#include "three_nodes.h"

static struct three three;
static struct client one;

static void setup(void)
{
    three_start(&three, NULL);
    client_init(&one, &three.a->home, 1);
    client_ready(&one);
}

static void teardown(void)
{
    client_done(&one);
    three_stop(&three);
}

TestSuite(peer_frames, .init = setup, .fini = teardown);

/* What the leader says to a frame with that header and body. */
static int receive_raw(struct three_node *to, struct slice header, struct slice body)
{
    struct frame frame = {.type = FRAME_PEER_GATEWAY, .header = header, .body = body};
    return shard_receive(to->shard, three.a->id, &frame);
}

static int receive(struct three_node *to, const Holdfast__PeerGateway *message, struct slice body)
{
    struct slice header = slice_of_blob(blob_new(holdfast__peer_gateway__get_packed_size(message)));
    cr_assert_not_null(header.blob);
    (void)holdfast__peer_gateway__pack(message, header.blob->data);
    int err = receive_raw(to, header, body);
    slice_unref(&header);
    return err;
}

/* Of the process that a is. */
static uint64_t run_of_a(void)
{
    struct machine_node node;
    cr_assert_eq(machine_node(shard_machine(three.leader->shard), three.a->id, &node), 0);
    return node.run;
}

static int forward(struct three_node *to, uint64_t term, uint32_t commands, struct slice body)
{
    Holdfast__Forward forward = HOLDFAST__FORWARD__INIT;
    Holdfast__PeerGateway message = HOLDFAST__PEER_GATEWAY__INIT;
    message.run = run_of_a();
    message.term = term;
    message.kind_case = HOLDFAST__PEER_GATEWAY__KIND_FORWARD;
    message.forward = &forward;
    forward.commands = commands;
    return receive(to, &message, body);
}

/* `count` commands of one's session, each without content. */
static struct slice commands_of(unsigned count)
{
    struct blob *blob = blob_new(count * ENTRY_COMMAND_HEAD_LEN);
    cr_assert_not_null(blob);
    for (unsigned i = 0; i < count; i++) {
        struct entry_command command = {.session = one.session, .number = 1000 + i, .attachment = 1};
        entry_command_head_encode(&command, blob->data + i * ENTRY_COMMAND_HEAD_LEN);
    }
    return slice_of_blob(blob);
}

static void expect_all_is_well(void)
{
    three_wait(&three, 100);
    unsigned before = one.replies;
    cr_assert_eq(client_publish(&one, "q", "x"), 0);
    three_wait(&three, CLIENT_ANSWER_MS);
    cr_assert_not(one.detached);
    cr_assert_eq(one.replies, before + 1);
    client_expect_reply(&one, before, one.number, 0);
}

static uint64_t term(void)
{
    return three_status(three.leader).term;
}

Test(peer_frames, counts_and_lengths_that_lie_break_the_connection)
{
    struct slice two = commands_of(2);
    cr_assert_eq(forward(three.leader, term(), 1, two), ERR_BROKEN, "more than was said");
    cr_assert_eq(forward(three.leader, term(), 3, two), ERR_BROKEN, "less than was said");
    cr_assert_eq(forward(three.leader, term(), UINT32_MAX, two), ERR_BROKEN);
    cr_assert_eq(forward(three.leader, term(), 0, two), ERR_BROKEN);
    cr_assert_eq(forward(three.leader, term(), 2, slice_part(two, 0, two.len - 1)), ERR_BROKEN);
    memset(two.blob->data, 0xff, 8); /* The lengths of the first. */
    cr_assert_eq(forward(three.leader, term(), 2, two), ERR_BROKEN);
    cr_assert_eq(forward(three.leader, term(), 0, (struct slice){0}), 0);
    slice_unref(&two);
    expect_all_is_well();
}

Test(peer_frames, what_is_no_message_breaks_the_connection)
{
    static const uint8_t noise[] = {0xff, 0xff, 0xff, 0xff};
    struct slice noise_slice = {.data = noise, .len = sizeof noise};
    cr_assert_eq(receive_raw(three.leader, noise_slice, (struct slice){0}), ERR_BROKEN);
    Holdfast__PeerGateway message = HOLDFAST__PEER_GATEWAY__INIT;
    message.shard = 1;
    cr_assert_eq(receive(three.leader, &message, (struct slice){0}), ERR_BROKEN, "of another shard");
    message.shard = 0;
    message.term = term();
    cr_assert_eq(receive(three.leader, &message, (struct slice){0}), ERR_BROKEN, "of no process");
    message.run = run_of_a();
    cr_assert_eq(receive(three.leader, &message, noise_slice), ERR_BROKEN, "a body where none belongs");
    cr_assert_eq(receive(three.leader, &message, (struct slice){0}), 0, "of a kind to come");
    expect_all_is_well();
}

Test(peer_frames, a_header_that_unpacks_to_much_breaks_the_connection)
{
    /* Unknown fields are kept while a message is unpacked. */
    struct slice header = slice_of_blob(blob_new(200000));
    cr_assert_not_null(header.blob);
    for (size_t i = 0; i < 200000; i += 2) {
        header.blob->data[i] = 15 << 3; /* A varint of field 15. */
        header.blob->data[i + 1] = 1;
    }
    cr_assert_eq(receive_raw(three.leader, header, (struct slice){0}), ERR_BROKEN);
    slice_unref(&header);
    expect_all_is_well();
}

Test(peer_frames, a_node_that_does_not_lead_takes_no_commands)
{
    struct slice body = commands_of(1);
    uint64_t log_last = three_status(three.leader).log_last;
    cr_assert_eq(forward(three.b, term(), 1, body), 0);
    three_settle(&three);
    cr_assert_eq(three_status(three.leader).log_last, log_last);
    cr_assert_eq(shard_unanswered(three.b->shard), 0u);
    slice_unref(&body);
    expect_all_is_well();
}

Test(peer_frames, commands_for_another_term_are_not_taken)
{
    struct slice body = commands_of(1);
    uint64_t log_last = three_status(three.leader).log_last;
    cr_assert_eq(forward(three.leader, term() - 1, 1, body), 0);
    cr_assert_eq(forward(three.leader, term() + 1, 1, body), 0);
    three_settle(&three);
    cr_assert_eq(three_status(three.leader).log_last, log_last);
    slice_unref(&body);
    expect_all_is_well();
}

static int forward_header(const uint8_t *header, size_t len)
{
    struct entry_command command = {.header = {.data = header, .len = len}};
    struct blob *blob = blob_new(ENTRY_COMMAND_HEAD_LEN + len);
    cr_assert_not_null(blob);
    entry_command_head_encode(&command, blob->data);
    if (len > 0) {
        memcpy(blob->data + ENTRY_COMMAND_HEAD_LEN, header, len);
    }
    struct slice body = slice_of_blob(blob);
    int err = forward(three.leader, term(), 1, body);
    slice_unref(&body);
    return err;
}

Test(peer_frames, what_is_for_the_leader_to_say_is_not_taken_from_others)
{
    static const uint8_t raise_version[] = {0x5a, 2, 0x08, 99};
    static const uint8_t node_lost[] = {0x72, 2, 0x08, 1};
    cr_assert_eq(forward_header(raise_version, sizeof raise_version), ERR_BROKEN);
    cr_assert_eq(forward_header(node_lost, sizeof node_lost), ERR_BROKEN);
    cr_assert_eq(forward_header(NULL, 0), ERR_BROKEN);
    expect_all_is_well();
}

Test(peer_frames, an_answer_from_who_does_not_lead_is_nothing)
{
    struct reading reading;
    Holdfast__ReadIndexResult result = HOLDFAST__READ_INDEX_RESULT__INIT;
    Holdfast__PeerGateway message = HOLDFAST__PEER_GATEWAY__INIT;
    message.run = 1;
    message.term = term();
    message.kind_case = HOLDFAST__PEER_GATEWAY__KIND_READ_INDEX_RESULT;
    message.read_index_result = &result;
    result.id = UINT64_MAX;
    three_hold(three.b, three.leader, true);
    reading_start(&reading, &three.b->home);
    three_step(three.b);
    cr_assert_eq(receive(three.b, &message, (struct slice){0}), 0); /* From a. */
    cr_assert_eq(receive(three.leader, &message, (struct slice){0}), 0);
    three_settle(&three);
    cr_assert_eq(reading.done, 0u);
    three_hold(three.b, three.leader, false);
    three_settle(&three);
    cr_assert_eq(reading.done, 1u);
}

/* More than the leader can keep: it closes the connection, and gets everything again when it has room. */
/* A process of a that did not end the one before: its clients are told, and find their sessions again. */
Test(peer_frames, another_run_takes_the_place_of_the_one_before)
{
    Holdfast__Presence presence = HOLDFAST__PRESENCE__INIT;
    Holdfast__PeerGateway message = HOLDFAST__PEER_GATEWAY__INIT;
    message.run = 4711;
    message.term = term();
    message.kind_case = HOLDFAST__PEER_GATEWAY__KIND_PRESENCE;
    message.presence = &presence;
    cr_assert_eq(receive(three.leader, &message, (struct slice){0}), 0);
    three_wait(&three, 100);
    client_expect_detached(&one, ERR_UNAVAILABLE);
    client_move(&one, &three.b->home);
    expect_all_is_well();
}

Test(peer_frames, a_flood_is_bounded)
{
    three.tolerant = true;
    struct slice body = commands_of(4096);
    unsigned taken = 0;
    three_hold(three.leader, three.a, true);
    three_hold(three.leader, three.b, true);
    int err = 0;
    while (err == 0 && taken < 1000) {
        err = forward(three.leader, term(), 4096, body);
        taken++;
    }
    cr_assert_eq(err, ERR_BROKEN);
    cr_assert_leq(taken, 40u);
    slice_unref(&body);
    three_hold(three.leader, three.a, false);
    three_hold(three.leader, three.b, false);
    expect_all_is_well();
}

/* The same by their bytes. Nothing is proposed meanwhile. */
Test(peer_frames, a_flood_of_large_commands_is_bounded)
{
    struct blob *blob = blob_new(ENTRY_COMMAND_HEAD_LEN + COMMAND_BODIES_LEN_MAX);
    cr_assert_not_null(blob);
    struct slice body = slice_of_blob(blob);
    struct entry_command command = {.session = one.session,
                                    .number = 1000,
                                    .attachment = 1,
                                    .bodies = slice_part(body, ENTRY_COMMAND_HEAD_LEN, COMMAND_BODIES_LEN_MAX)};
    entry_command_head_encode(&command, blob->data);
    unsigned taken = 0;
    while (taken < 100 && forward(three.leader, term(), 1, body) == 0) {
        taken++;
    }
    cr_assert(taken >= 8 && taken <= 17, "%u of 16 MiB", taken);
    slice_unref(&body);
}
