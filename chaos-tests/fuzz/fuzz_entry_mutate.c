/* How the fuzzer of entries changes a log: whole entries come, go, and are doubled; commands are made up and changed by what is known
 * of their fields, and the bodies that go with them have the hashes they should. */

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "fuzz_entry_log.h"
#include "fuzz_entry_message.h"
#include "fuzz_input.h"
#include "proto/base/bytes.h"
#include "proto/wire/command.pb-c.h"
#include "proto/wire/entry.h"

#define COMMANDS_MAX 3u
#define MESSAGES_MAX 4u
#define ENTRIES_MAX 512u

size_t LLVMFuzzerMutate(uint8_t *data, size_t len, size_t len_max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t len, size_t len_max, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *one, size_t one_len, const uint8_t *other, size_t other_len,
                                 uint8_t *out, size_t out_max, unsigned seed);

static void append(struct bytes *bytes, const void *data, size_t len)
{
    CHECK(len == 0 || bytes_append(bytes, data, len) == 0);
}

static void *allocate(size_t len)
{
    void *pointer = calloc(1, len > 0 ? len : 1);
    CHECK(pointer != NULL);
    return pointer;
}

static void append_head(struct fuzz_random *random, struct bytes *bodies)
{
    uint8_t packed[1024];
    ProtobufCMessage *head = fuzz_message_new(random, &holdfast__message_head__descriptor);
    if (protobuf_c_message_get_packed_size(head) <= sizeof packed) {
        append(bodies, packed, protobuf_c_message_pack(head, packed));
    }
    protobuf_c_message_free_unpacked(head, NULL);
}

/* New messages for a publish, behind the bodies of those before it. */
static void publish_fill(struct fuzz_random *random, Holdfast__Publish *publish, struct bytes *bodies)
{
    size_t len = 1 + fuzz_random_below(random, MESSAGES_MAX);
    bool heads = fuzz_random_below(random, 4) != 0;
    free(publish->body_len);
    free(publish->body_hash);
    free(publish->head_len);
    publish->n_body_len = publish->n_body_hash = len;
    publish->n_head_len = heads ? len : 0;
    publish->body_len = allocate(len * sizeof *publish->body_len);
    publish->body_hash = allocate(len * sizeof *publish->body_hash);
    publish->head_len = heads ? allocate(len * sizeof *publish->head_len) : NULL;
    for (size_t i = 0; i < len; i++) {
        size_t from = bodies->len;
        if (heads) {
            append_head(random, bodies);
            publish->head_len[i] = (uint32_t)(bodies->len - from);
        }
        publish->body_len[i] = (uint32_t)fuzz_random_below(random, 6);
        append(bodies, "body!", publish->body_len[i]);
        publish->body_hash[i] =
            bodies->len > from ? XXH3_64bits(bodies->data + from, bodies->len - from) : XXH3_64bits("", 0);
    }
}

/* Bodies for a command that has some. */
static void command_fill(struct fuzz_random *random, Holdfast__Command *command, struct bytes *bodies)
{
    if (command->kind_case == HOLDFAST__COMMAND__KIND_PUBLISH) {
        publish_fill(random, command->publish, bodies);
    } else if (command->kind_case == HOLDFAST__COMMAND__KIND_TRANSACT) {
        for (size_t i = 0; i < command->transact->n_publish; i++) {
            publish_fill(random, command->transact->publish[i], bodies);
        }
    }
}

/* A command behind others of an entry. */
static void append_command(struct bytes *entry, const Holdfast__Command *command, struct entry_command *from,
                           struct slice bodies)
{
    uint8_t head[ENTRY_COMMAND_HEAD_LEN];
    size_t len = holdfast__command__get_packed_size(command);
    uint8_t *packed = allocate(len);
    from->header.len = holdfast__command__pack(command, packed);
    from->bodies.len = bodies.len;
    entry_command_head_encode(from, head);
    append(entry, head, sizeof head);
    append(entry, packed, len);
    append(entry, bodies.data, bodies.len);
    free(packed);
}

static bool is_of_node(const Holdfast__Command *command)
{
    return command->kind_case == HOLDFAST__COMMAND__KIND_ATTACH_SESSION ||
           command->kind_case == HOLDFAST__COMMAND__KIND_DETACH_SESSION ||
           command->kind_case == HOLDFAST__COMMAND__KIND_NODE_PRESENT ||
           command->kind_case == HOLDFAST__COMMAND__KIND_NODE_LOST ||
           command->kind_case == HOLDFAST__COMMAND__KIND_RAISE_VERSION;
}

static void append_random_command(struct fuzz_random *random, struct bytes *entry)
{
    struct bytes bodies = {0};
    Holdfast__Command *command = (Holdfast__Command *)fuzz_message_new(random, &holdfast__command__descriptor);
    command_fill(random, command, &bodies);
    struct entry_command from = {.session = is_of_node(command) ? 0 : 1 + fuzz_random_below(random, 3),
                                 .answered = fuzz_random_below(random, 2)};
    append_command(entry, command, &from, (struct slice){.data = bodies.data, .len = bodies.len});
    holdfast__command__free_unpacked(command, NULL);
    bytes_done(&bodies);
}

/* Behind the log: an entry with these commands. */
static void append_entry(struct bytes *log, unsigned flags, uint64_t time_ms, uint32_t commands,
                         const struct bytes *body)
{
    size_t len = ENTRY_HEAD_LEN + body->len;
    if (len > FUZZ_ENTRY_LEN) {
        return;
    }
    uint8_t head[2 + ENTRY_HEAD_LEN];
    put_u16(head, (uint16_t)(len | flags));
    entry_head_encode(
        &(struct entry_head){
            .machine_version = 2, .time_ms = time_ms, .commands = commands, .len = (uint32_t)body->len},
        head + 2);
    append(log, head, sizeof head);
    append(log, body->data, body->len);
}

static unsigned random_flags(struct fuzz_random *random)
{
    static const unsigned flags[] = {
        0, 0, 0, 0, 0, FUZZ_ENTRY_CHECKPOINT, FUZZ_ENTRY_REOPEN, FUZZ_ENTRY_REOPEN | FUZZ_ENTRY_CHECKPOINT};
    return flags[fuzz_random_below(random, ARRAY_LEN(flags))];
}

static uint64_t random_time(struct fuzz_random *random)
{
    return fuzz_random_below(random, fuzz_random_below(random, 4) == 0 ? 4096 : 8);
}

static void append_random_entry(struct fuzz_random *random, struct bytes *log)
{
    struct bytes body = {0};
    uint32_t commands = (uint32_t)fuzz_random_below(random, COMMANDS_MAX + 1);
    for (uint32_t i = 0; i < commands; i++) {
        append_random_command(random, &body);
    }
    append_entry(log, random_flags(random), random_time(random), commands, &body);
    bytes_done(&body);
}

/* The command as it was, or a field of it changed; what does not decode stays as it is. */
static void append_changed_command(struct fuzz_random *random, struct bytes *entry, struct entry_command *from)
{
    struct bytes bodies = {0};
    Holdfast__Command *command = holdfast__command__unpack(NULL, from->header.len, from->header.data);
    if (command == NULL) {
        append_random_command(random, entry);
        return;
    }
    fuzz_message_change(random, &command->base);
    struct slice kept = from->bodies;
    if (fuzz_random_below(random, 2) == 0) {
        command_fill(random, command, &bodies);
        kept = (struct slice){.data = bodies.data, .len = bodies.len};
    }
    append_command(entry, command, from, kept);
    holdfast__command__free_unpacked(command, NULL);
    bytes_done(&bodies);
}

/* The entry with one of its commands changed, or its time. */
static void append_changed_entry(struct fuzz_random *random, struct bytes *log, const struct fuzz_entry *old)
{
    struct entry_head head;
    struct slice entry = {.data = old->data, .len = old->len};
    if (entry_head_decode(entry, &head) != 0 || head.commands == 0) {
        append_random_entry(random, log);
        return;
    }
    struct bytes body = {0};
    uint32_t changed = (uint32_t)fuzz_random_below(random, head.commands);
    struct entry_command command;
    uint32_t i = 0;
    for (size_t offset = ENTRY_HEAD_LEN, at = offset; entry_command_decode(entry, &offset, &command) == 0;
         at = offset) {
        if (i++ == changed) {
            append_changed_command(random, &body, &command);
        } else {
            append(&body, old->data + at, offset - at);
        }
    }
    bool keep = fuzz_random_below(random, 2) == 0;
    append_entry(log, keep ? old->flags : random_flags(random), keep ? head.time_ms : random_time(random), i, &body);
    bytes_done(&body);
}

static void append_same(struct bytes *log, const struct fuzz_entry *entry)
{
    uint8_t lead[2];
    put_u16(lead, (uint16_t)(entry->len | entry->flags));
    append(log, lead, sizeof lead);
    append(log, entry->data, entry->len);
}

static size_t split(const uint8_t *data, size_t len, struct fuzz_entry *entries)
{
    size_t found = 0;
    while (found < ENTRIES_MAX && fuzz_entry_next(&data, &len, &entries[found])) {
        found++;
    }
    return found;
}

/* The log with a change at the entry `at`. */
static void change(struct fuzz_random *random, struct bytes *log, const struct fuzz_entry *entries, size_t len,
                   size_t at)
{
    enum { INSERT, INSERT_TOO, DOUBLE, DROP, FLAGS, CHANGE, CHANGES };
    uint64_t what = fuzz_random_below(random, CHANGES + 1);
    size_t until = what == DROP ? at + 1 + fuzz_random_below(random, 3) : at + 1;
    for (size_t i = 0; i < len; i++) {
        struct fuzz_entry entry = entries[i];
        if (i < at || i >= until) {
            append_same(log, &entry);
        } else if (what == INSERT || what == INSERT_TOO) {
            append_random_entry(random, log);
            append_same(log, &entry);
        } else if (what == DOUBLE) {
            append_same(log, &entry);
            append_same(log, &entries[fuzz_random_below(random, len)]);
        } else if (what == FLAGS) {
            entry.flags = random_flags(random);
            append_same(log, &entry);
        } else if (what != DROP) {
            append_changed_entry(random, log, &entry);
        }
    }
    if (at >= len) {
        append_random_entry(random, log);
    }
}

/* What fits; the log is given back. */
static size_t take(struct bytes *log, uint8_t *out, size_t out_max)
{
    size_t len = log->len < out_max ? log->len : out_max;
    if (len > 0) {
        memcpy(out, log->data, len);
    }
    bytes_done(log);
    return len;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t len, size_t len_max, unsigned seed)
{
    static struct fuzz_entry entries[ENTRIES_MAX];
    struct fuzz_random random = {.state = seed};
    if (fuzz_random_below(&random, 16) == 0) {
        return LLVMFuzzerMutate(data, len, len_max);
    }
    struct bytes log = {0};
    size_t entries_len = split(data, len, entries);
    change(&random, &log, entries, entries_len, fuzz_random_below(&random, entries_len + 1));
    return take(&log, data, len_max);
}

/* The beginning of one log, and the end of another. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *one, size_t one_len, const uint8_t *other, size_t other_len,
                                 uint8_t *out, size_t out_max, unsigned seed)
{
    static struct fuzz_entry entries[ENTRIES_MAX];
    struct fuzz_random random = {.state = seed};
    struct bytes log = {0};
    size_t len = split(one, one_len, entries);
    size_t until = fuzz_random_below(&random, len + 1);
    for (size_t i = 0; i < until; i++) {
        append_same(&log, &entries[i]);
    }
    len = split(other, other_len, entries);
    for (size_t i = fuzz_random_below(&random, len + 1); i < len; i++) {
        append_same(&log, &entries[i]);
    }
    return take(&log, out, out_max);
}
