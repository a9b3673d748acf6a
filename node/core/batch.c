/* A ring of waiting commands, and the building of entries. */

#include "node/core/batch.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"

#define RING_CAP_FIRST 64u

static struct batch_command *batch_slot(const struct batch *batch, size_t at)
{
    return &batch->ring[(batch->first + at) & (batch->cap - 1)];
}

const struct batch_command *batch_at(const struct batch *batch, size_t at)
{
    CHECK(at < batch->len);
    return batch_slot(batch, at);
}

uint64_t batch_command_len(const struct entry_command *command)
{
    return ENTRY_COMMAND_HEAD_LEN + (uint64_t)command->header.len + (uint64_t)command->bodies.len;
}

static int batch_grow(struct batch *batch)
{
    size_t cap = batch->cap == 0 ? RING_CAP_FIRST : batch->cap * 2;
    struct batch_command *ring = malloc(cap * sizeof *ring);
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

int batch_push(struct batch *batch, const struct entry_command *command, uint64_t link)
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
    struct batch_command *slot = batch_slot(batch, batch->len);
    *slot = (struct batch_command){.command = *command, .link = link};
    slot->command.header = slice_ref(command->header);
    slot->command.bodies = slice_ref(command->bodies);
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
        uint64_t more = batch_command_len(&batch_slot(batch, count)->command);
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
        const struct entry_command *command = &batch_slot(batch, i)->command;
        entry_command_head_encode(command, out);
        out = put_slice(out + ENTRY_COMMAND_HEAD_LEN, command->header);
        out = put_slice(out, command->bodies);
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
        struct batch_command *slot = batch_slot(batch, 0);
        batch->bytes -= batch_command_len(&slot->command);
        slice_unref(&slot->command.header);
        slice_unref(&slot->command.bodies);
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
