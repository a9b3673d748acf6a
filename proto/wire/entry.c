/* Layout of a log entry's payload. */

#include "proto/wire/entry.h"

#include <string.h>

#include "proto/base/bytes.h"
#include "proto/base/limits.h"

static const uint8_t entry_magic[4] = {'H', 'F', 'E', '1'};

void entry_head_encode(const struct entry_head *head, uint8_t *out)
{
    memcpy(out, entry_magic, sizeof entry_magic);
    put_u16(out + 4, ENTRY_VERSION);
    put_u16(out + 6, head->machine_version);
    put_u64(out + 8, head->time_ms);
    put_u32(out + 16, head->commands);
    put_u32(out + 20, head->len);
}

void entry_command_head_encode(const struct entry_command *command, uint8_t *out)
{
    put_u32(out, (uint32_t)command->header.len);
    put_u32(out + 4, (uint32_t)command->bodies.len);
    put_u64(out + 8, command->session);
    put_u64(out + 16, command->number);
    put_u64(out + 24, command->attachment);
    put_u64(out + 32, command->answered);
}

int entry_head_decode(struct slice entry, struct entry_head *ret_head)
{
    if (entry.len < ENTRY_HEAD_LEN || memcmp(entry.data, entry_magic, sizeof entry_magic) != 0) {
        return ERR_INVALID;
    }
    if (get_u16(entry.data + 4) != ENTRY_VERSION) {
        return ERR_VERSION;
    }
    struct entry_head head = {
        .machine_version = get_u16(entry.data + 6),
        .time_ms = get_u64(entry.data + 8),
        .commands = get_u32(entry.data + 16),
        .len = get_u32(entry.data + 20),
    };
    if (head.len != entry.len - ENTRY_HEAD_LEN || head.commands > ENTRY_COMMANDS_MAX) {
        return ERR_INVALID;
    }
    *ret_head = head;
    return 0;
}

int entry_command_decode(struct slice entry, size_t *offset, struct entry_command *ret_command)
{
    size_t at = *offset;
    if (at > entry.len || entry.len - at < ENTRY_COMMAND_HEAD_LEN) {
        return ERR_INVALID;
    }
    const uint8_t *head = entry.data + at;
    uint32_t header_len = get_u32(head);
    uint32_t bodies_len = get_u32(head + 4);
    at += ENTRY_COMMAND_HEAD_LEN;
    if (header_len > HEADER_LEN_MAX || header_len > entry.len - at || bodies_len > COMMAND_BODIES_LEN_MAX ||
        bodies_len > entry.len - at - header_len) {
        return ERR_INVALID;
    }
    *ret_command = (struct entry_command){
        .session = get_u64(head + 8),
        .number = get_u64(head + 16),
        .attachment = get_u64(head + 24),
        .answered = get_u64(head + 32),
        .header = slice_part(entry, at, header_len),
        .bodies = slice_part(entry, at + header_len, bodies_len),
    };
    *offset = at + header_len + bodies_len;
    return 0;
}
