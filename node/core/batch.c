/* A ring of waiting commands, and the building of entries. */

#include "node/core/batch.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"

#define RING_CAP_FIRST 64u

/* The field of Command that is a Publish, as the tag that begins it (protobuf encoding guide). */
#define PUBLISH_TAG 0x32u

static struct entry_command *batch_slot(const struct batch *batch, size_t at)
{
    return &batch->ring[(batch->first + at) & (batch->cap - 1)];
}

uint64_t batch_command_len(const struct entry_command *command)
{
    return ENTRY_COMMAND_HEAD_LEN + (uint64_t)command->header.len + (uint64_t)command->bodies.len;
}

static int batch_grow(struct batch *batch)
{
    size_t cap = batch->cap == 0 ? RING_CAP_FIRST : batch->cap * 2;
    struct entry_command *ring = malloc(cap * sizeof *ring);
    if (ring == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < batch->len; i++) {
        ring[i] = *batch_slot(batch, i);
    }
    free(batch->ring);
    batch->ring = ring;
    batch->first = 0;
    batch->cap = cap;
    return 0;
}

int batch_push(struct batch *batch, const struct entry_command *command)
{
    if (command->header.len > HEADER_LEN_MAX || command->bodies.len > COMMAND_BODIES_LEN_MAX) {
        return ERR_TOO_BIG;
    }
    if (batch->len == BATCH_COMMANDS_MAX) {
        return ERR_LIMIT;
    }
    if (batch->len == batch->cap) {
        int err = batch_grow(batch);
        if (err != 0) {
            return err;
        }
    }
    struct entry_command *slot = batch_slot(batch, batch->len);
    *slot = *command;
    slot->header = slice_ref(command->header);
    slot->bodies = slice_ref(command->bodies);
    batch->len++;
    batch->bytes += batch_command_len(command);
    return 0;
}

/* How many of the first commands go into the next entry, and its length. */
static uint32_t batch_cut(const struct batch *batch, size_t *ret_len)
{
    uint64_t len = ENTRY_HEAD_LEN;
    uint32_t count = 0;
    while (count < batch->len && count < ENTRY_COMMANDS_MAX) {
        uint64_t more = batch_command_len(batch_slot(batch, count));
        if (count > 0 && len + more > ENTRY_LEN_TARGET) {
            break;
        }
        len += more;
        count++;
    }
    CHECK(len <= ENTRY_LEN_MAX);
    *ret_len = (size_t)len;
    return count;
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
    return command->bodies.len > 0 || (command->header.len > 0 && command->header.data[0] == PUBLISH_TAG);
}

void batch_refuse_publishes(struct batch *batch, struct slice header)
{
    for (size_t i = 0; i < batch->len; i++) {
        struct entry_command *slot = batch_slot(batch, i);
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

int batch_build(const struct batch *batch, uint32_t machine_version, uint64_t time_ms, struct slice *ret_entry,
                uint32_t *ret_commands)
{
    size_t len;
    uint32_t count = batch_cut(batch, &len);
    struct blob *blob = blob_new(len);
    if (blob == NULL) {
        return ERR_NOMEM;
    }
    struct entry_head head = {
        .machine_version = (uint16_t)machine_version,
        .time_ms = time_ms,
        .commands = count,
        .len = (uint32_t)(len - ENTRY_HEAD_LEN),
    };
    entry_head_encode(&head, blob->data);
    uint8_t *out = blob->data + ENTRY_HEAD_LEN;
    for (uint32_t i = 0; i < count; i++) {
        out = batch_command_encode(batch_slot(batch, i), out);
    }
    CHECK(out == blob->data + len);
    *ret_entry = slice_of_blob(blob);
    *ret_commands = count;
    return 0;
}

void batch_pop(struct batch *batch, size_t count)
{
    CHECK(count <= batch->len);
    for (size_t i = 0; i < count; i++) {
        struct entry_command *slot = batch_slot(batch, 0);
        batch->bytes -= batch_command_len(slot);
        slice_unref(&slot->header);
        slice_unref(&slot->bodies);
        batch->first = (batch->first + 1) & (batch->cap - 1);
        batch->len--;
    }
}

void batch_done(struct batch *batch)
{
    batch_pop(batch, batch->len);
    free(batch->ring);
    *batch = (struct batch){0};
}
