/* Writes the seed corpora of the fuzzers of Raft messages and log entries, from the encoders that nodes use.
 *
 * Usage: fuzz_corpus_log DIRECTORY      (chaos-tests/fuzz/corpus, whose subdirectories must exist) */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "consensus/configuration.h"
#include "consensus/message.h"
#include "proto/base/bytes.h"
#include "proto/base/check.h"
#include "proto/wire/command.pb-c.h"
#include "proto/wire/entry.h"

static void append(struct bytes *bytes, const void *data, size_t len)
{
    CHECK(bytes_append(bytes, data, len) == 0);
}

static void seed(const char *path, struct bytes *bytes)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(bytes->data, 1, bytes->len, file) != bytes->len || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
    bytes->len = 0;
}

static void append_frame(struct bytes *bytes, struct frame_out *frame)
{
    append(bytes, frame->head->data, frame->head->len);
    for (unsigned i = 0; i < frame->parts_len; i++) {
        append(bytes, frame->parts[i].data, frame->parts[i].len);
    }
    frame_out_done(frame);
}

static void append_raft(struct bytes *bytes)
{
    struct raft_configuration configuration;
    struct frame_out frame;
    raft_configuration_init(&configuration);
    CHECK(raft_configuration_add(&configuration, 1, "a:1", RAFT_VOTER) == 0);
    CHECK(raft_configuration_add(&configuration, 2, "b:2", RAFT_STANDBY) == 0);
    struct slice change;
    CHECK(configuration_encode(&configuration, &change) == 0);
    raft_configuration_close(&configuration);
    struct log_entry entries[] = {
        {.term = 2, .type = LOG_ENTRY_COMMAND, .payload = {.data = (const uint8_t *)"abc", .len = 3}},
        {.term = 3, .type = LOG_ENTRY_BARRIER},
        {.term = 3, .type = LOG_ENTRY_CHANGE, .payload = change},
    };
    struct raft_append_entries some = {.term = 3, .prev_log_index = 7, .prev_log_term = 2, .leader_commit = 6};
    CHECK(message_encode_append(0, &some, entries, 3, &frame) == 0);
    append_frame(bytes, &frame);
    static const enum raft_message_type types[] = {RAFT_APPEND_ENTRIES_RESULT, RAFT_REQUEST_VOTE,
                                                   RAFT_REQUEST_VOTE_RESULT, RAFT_TIMEOUT_NOW};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        struct raft_message message = {.type = types[i]};
        message.append_entries_result.term = message.request_vote.term = 4; /* In the same place of each. */
        CHECK(message_encode(0, &message, (struct slice){0}, &frame) == 0);
        append_frame(bytes, &frame);
    }
    struct raft_message install = {.type = RAFT_INSTALL_SNAPSHOT};
    install.install_snapshot =
        (struct raft_install_snapshot){.term = 5, .last_index = 9, .last_term = 3, .conf_index = 8};
    CHECK(message_encode(0, &install, change, &frame) == 0);
    append_frame(bytes, &frame);
    slice_unref(&change);
}

/* One entry with one command, behind its length. */
static void append_entry(struct bytes *bytes, uint64_t session, uint64_t number, const Holdfast__Command *message,
                         const char *bodies)
{
    uint8_t header[512];
    struct entry_command command = {.session = session, .number = number, .attachment = session != 0};
    command.header.len = holdfast__command__pack(message, header);
    command.bodies.len = strlen(bodies);
    size_t len = ENTRY_COMMAND_HEAD_LEN + command.header.len + command.bodies.len;
    uint8_t heads[2 + ENTRY_HEAD_LEN + ENTRY_COMMAND_HEAD_LEN];
    put_u16(heads, (uint16_t)(ENTRY_HEAD_LEN + len));
    entry_head_encode(
        &(struct entry_head){.machine_version = 1, .time_ms = 1000 + number, .commands = 1, .len = (uint32_t)len},
        heads + 2);
    entry_command_head_encode(&command, heads + 2 + ENTRY_HEAD_LEN);
    append(bytes, heads, sizeof heads);
    append(bytes, header, command.header.len);
    append(bytes, bodies, command.bodies.len);
}

static void append_life_of_a_queue(struct bytes *bytes)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__AttachSession attach = HOLDFAST__ATTACH_SESSION__INIT;
    Holdfast__DeclareQueue declare = HOLDFAST__DECLARE_QUEUE__INIT;
    Holdfast__Publish publish = HOLDFAST__PUBLISH__INIT;
    Holdfast__Subscribe subscribe = HOLDFAST__SUBSCRIBE__INIT;
    Holdfast__Settle settle = HOLDFAST__SETTLE__INIT;
    uint8_t key[16] = {1};
    char queue[] = "q";
    char producer[] = "p";
    attach.key.data = key;
    attach.key.len = sizeof key;
    command.kind_case = HOLDFAST__COMMAND__KIND_ATTACH_SESSION;
    command.attach_session = &attach;
    append_entry(bytes, 0, 0, &command, "");
    declare.queue = publish.queue = subscribe.queue = queue;
    command.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_QUEUE;
    command.declare_queue = &declare;
    append_entry(bytes, 1, 1, &command, "");
    uint32_t lens[] = {3, 2};
    uint64_t hashes[] = {XXH3_64bits("one", 3), XXH3_64bits("ab", 2)};
    publish.producer = producer;
    publish.first_sequence = 1;
    publish.n_body_len = publish.n_body_hash = 2;
    publish.body_len = lens;
    publish.body_hash = hashes;
    command.kind_case = HOLDFAST__COMMAND__KIND_PUBLISH;
    command.publish = &publish;
    append_entry(bytes, 1, 2, &command, "oneab");
    subscribe.consumer = settle.consumer = 1;
    subscribe.credit = 1;
    command.kind_case = HOLDFAST__COMMAND__KIND_SUBSCRIBE;
    command.subscribe = &subscribe;
    append_entry(bytes, 1, 3, &command, "");
    uint64_t number = 1;
    settle.n_first = settle.n_last = 1;
    settle.first = settle.last = &number;
    settle.outcome = HOLDFAST__SETTLE__OUTCOME__RELEASE;
    command.kind_case = HOLDFAST__COMMAND__KIND_SETTLE;
    command.settle = &settle;
    append_entry(bytes, 1, 4, &command, "");
}

/* What most commands of version 2 need: a node, three sessions, the version, queues with few options, an exchange. */
static void append_beginning(struct bytes *bytes)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__NodePresent present = HOLDFAST__NODE_PRESENT__INIT;
    Holdfast__RaiseVersion raise = HOLDFAST__RAISE_VERSION__INIT;
    Holdfast__Origin origin = HOLDFAST__ORIGIN__INIT;
    present.node = present.run = origin.node = origin.run = 1;
    command.kind_case = HOLDFAST__COMMAND__KIND_NODE_PRESENT;
    command.node_present = &present;
    append_entry(bytes, 0, 0, &command, "");
    raise.version = 2;
    command.kind_case = HOLDFAST__COMMAND__KIND_RAISE_VERSION;
    command.raise_version = &raise;
    append_entry(bytes, 0, 0, &command, "");
    for (uint8_t i = 1; i <= 3; i++) {
        uint8_t key[16] = {i};
        Holdfast__AttachSession attach = HOLDFAST__ATTACH_SESSION__INIT;
        attach.key.data = key;
        attach.key.len = sizeof key;
        attach.origin = &origin;
        origin.tag = i;
        command.kind_case = HOLDFAST__COMMAND__KIND_ATTACH_SESSION;
        command.attach_session = &attach;
        append_entry(bytes, 0, 0, &command, "");
    }
}

static void append_declared(struct bytes *bytes, const char *name, Holdfast__QueueOptions *options)
{
    char text[8];
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__DeclareQueue declare = HOLDFAST__DECLARE_QUEUE__INIT;
    (void)snprintf(text, sizeof text, "%s", name);
    declare.queue = text;
    declare.options = options;
    command.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_QUEUE;
    command.declare_queue = &declare;
    append_entry(bytes, 1, 1, &command, "");
}

/* Each with options that have much to do with one another. */
static void append_queues(struct bytes *bytes, bool lanes)
{
    char dead[] = "d";
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.has_dead_letter = options.has_dead_letter_key = true;
    options.dead_letter_key = dead;
    options.max_priority = lanes ? 3 : 0;
    options.groups = !lanes;
    options.has_max_length = lanes;
    options.max_length = 3;
    options.max_deliveries = 2;
    options.keep_settled_ms = options.keep_life_ms = 100;
    append_declared(bytes, "q", &options);
    Holdfast__QueueOptions timed = HOLDFAST__QUEUE_OPTIONS__INIT;
    timed.has_ttl = true;
    timed.ttl_ms = timed.lock_ms = 10;
    timed.redelivery_delay_ms = 5;
    timed.id_window_ms = 50;
    append_declared(bytes, "r", &timed);
    append_declared(bytes, "d", NULL);
}

int main(int argc, char **argv)
{
    if (argc != 2 || chdir(argv[1]) != 0) {
        (void)fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
        return 2;
    }
    struct bytes bytes = {0};
    append_raft(&bytes);
    seed("peer_raft/messages", &bytes);
    append_life_of_a_queue(&bytes);
    seed("entry/life_of_a_queue", &bytes);
    append_beginning(&bytes);
    append_queues(&bytes, true);
    seed("entry/lanes", &bytes);
    append_beginning(&bytes);
    append_queues(&bytes, false);
    seed("entry/groups", &bytes);
    bytes_done(&bytes);
    return 0;
}
