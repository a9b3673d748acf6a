/* The commands that wait, and the building of entries. */

#include "node/core/batch.h"

#include <string.h>

#include "proto/base/check.h"

/* The fields of Command that are a Publish and a Settle, as the tags that begin them (protobuf encoding guide). */
#define PUBLISH_TAG 0x32u
#define SETTLE_TAG 0x4au

static bool has_tag(const struct entry_command *command, uint8_t tag)
{
    return command->header.len > 0 && command->header.data[0] == tag;
}

uint64_t batch_command_len(const struct entry_command *command)
{
    return ENTRY_COMMAND_HEAD_LEN + (uint64_t)command->header.len + (uint64_t)command->bodies.len;
}

static unsigned batch_bucket(const struct entry_command *command)
{
    return command->session & (BATCH_SESSIONS - 1);
}

/* Where it is counted that the command waits in that ring. */
static uint32_t *batch_waiting(struct batch *batch, const struct command_ring *ring,
                               const struct entry_command *command)
{
    return &(ring == &batch->settlements ? batch->settling : batch->waiting)[batch_bucket(command)];
}

int batch_push(struct batch *batch, const struct entry_command *command)
{
    if (command->header.len > HEADER_LEN_MAX || command->bodies.len > COMMAND_BODIES_LEN_MAX) {
        return ERR_TOO_BIG;
    }
    if (batch->len == BATCH_COMMANDS_MAX) {
        return ERR_LIMIT;
    }
    bool first = command->session != 0 && has_tag(command, SETTLE_TAG) && batch->waiting[batch_bucket(command)] == 0;
    struct command_ring *ring = first ? &batch->settlements : &batch->others;
    int err = command_ring_push(ring, command);
    if (err != 0) {
        return err;
    }
    ++*batch_waiting(batch, ring, command);
    batch->len++;
    batch->bytes += batch_command_len(command);
    return 0;
}

/* How many of the first of a ring, at most `most`, fit an entry that has `*len` bytes already and may have `len_max`. */
static uint32_t ring_cut(const struct command_ring *ring, uint32_t most, size_t len_max, size_t *len)
{
    uint32_t count = 0;
    while (count < ring->len && count < most) {
        uint64_t more = batch_command_len(command_ring_at(ring, count));
        if (*len > ENTRY_HEAD_LEN && *len + more > len_max) {
            break;
        }
        *len += (size_t)more;
        count++;
    }
    return count;
}

/* What is behind a settlement of its session that is not in the cut has to wait, and all behind it. */
static uint32_t others_cut(const struct batch *batch, uint32_t settlements, uint32_t most)
{
    uint32_t left[BATCH_SESSIONS];
    uint32_t count = 0;
    if (settlements == batch->settlements.len) {
        return most;
    }
    memcpy(left, batch->settling, sizeof left);
    for (uint32_t i = 0; i < settlements; i++) {
        left[batch_bucket(command_ring_at(&batch->settlements, i))]--;
    }
    while (count < most && count < batch->others.len &&
           left[batch_bucket(command_ring_at(&batch->others, count))] == 0) {
        count++;
    }
    return count;
}

struct batch_cut batch_cut(const struct batch *batch)
{
    struct batch_cut cut = {.len = ENTRY_HEAD_LEN};
    unsigned share = batch->others.len > 0 ? 2 : 1;
    cut.settlements = ring_cut(&batch->settlements, ENTRY_COMMANDS_MAX / share, ENTRY_LEN_TARGET / share, &cut.len);
    uint32_t others = others_cut(batch, cut.settlements, ENTRY_COMMANDS_MAX - cut.settlements);
    cut.others = ring_cut(&batch->others, others, ENTRY_LEN_TARGET, &cut.len);
    CHECK(cut.len <= ENTRY_LEN_MAX);
    return cut;
}

struct batch_cut batch_cut_less(const struct batch *batch, uint32_t settlements, uint32_t others)
{
    struct batch_cut cut = {.len = ENTRY_HEAD_LEN};
    cut.settlements = ring_cut(&batch->settlements, settlements, ENTRY_LEN_MAX, &cut.len);
    cut.others = ring_cut(&batch->others, others_cut(batch, cut.settlements, others), ENTRY_LEN_MAX, &cut.len);
    return cut;
}

const struct entry_command *batch_at(const struct batch *batch, const struct batch_cut *cut, uint32_t nth)
{
    return nth < cut->settlements ? command_ring_at(&batch->settlements, nth)
                                  : command_ring_at(&batch->others, nth - cut->settlements);
}

static uint8_t *put_slice(uint8_t *out, struct slice slice)
{
    if (slice.len > 0) {
        memcpy(out, slice.data, slice.len);
    }
    return out + slice.len;
}

uint8_t *batch_command_encode(const struct entry_command *command, uint8_t *out)
{
    entry_command_head_encode(command, out);
    out = put_slice(out + ENTRY_COMMAND_HEAD_LEN, command->header);
    return put_slice(out, command->bodies);
}

bool batch_command_publishes(const struct entry_command *command)
{
    /* A Publish in another encoding brings no more than empty messages past this. */
    return command->bodies.len > 0 || has_tag(command, PUBLISH_TAG);
}

void batch_refuse_publishes(struct batch *batch, struct slice header)
{
    for (size_t i = 0; i < batch->others.len; i++) {
        struct entry_command *slot = command_ring_at(&batch->others, i);
        if (!batch_command_publishes(slot)) {
            continue;
        }
        batch->bytes -= batch_command_len(slot);
        slice_unref(&slot->header);
        slice_unref(&slot->bodies);
        slot->header = header;
        batch->bytes += batch_command_len(slot);
    }
}

int batch_build(const struct batch *batch, const struct batch_cut *cut, uint32_t machine_version, uint64_t time_ms,
                struct slice *ret_entry)
{
    struct blob *blob = blob_new(cut->len);
    if (blob == NULL) {
        return ERR_NOMEM;
    }
    struct entry_head head = {
        .machine_version = (uint16_t)machine_version,
        .time_ms = time_ms,
        .commands = batch_cut_commands(cut),
        .len = (uint32_t)(cut->len - ENTRY_HEAD_LEN),
    };
    entry_head_encode(&head, blob->data);
    uint8_t *out = blob->data + ENTRY_HEAD_LEN;
    for (uint32_t i = 0; i < head.commands; i++) {
        out = batch_command_encode(batch_at(batch, cut, i), out);
    }
    CHECK(out == blob->data + cut->len);
    *ret_entry = slice_of_blob(blob);
    return 0;
}

static void batch_drop(struct batch *batch, struct command_ring *ring, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct entry_command *command = command_ring_at(ring, 0);
        --*batch_waiting(batch, ring, command);
        batch->bytes -= batch_command_len(command);
        batch->len--;
        command_ring_pop(ring);
    }
}

void batch_pop(struct batch *batch, const struct batch_cut *cut)
{
    batch_drop(batch, &batch->settlements, cut->settlements);
    batch_drop(batch, &batch->others, cut->others);
}

void batch_done(struct batch *batch)
{
    command_ring_done(&batch->settlements);
    command_ring_done(&batch->others);
    *batch = (struct batch){0};
}
