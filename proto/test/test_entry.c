/* The layout of an entry survives the round trip, and lengths that lie are refused. */

#include "proto/wire/entry.h"

#include <criterion/criterion.h>
#include <string.h>

#include "proto/base/bytes.h"

#define ENTRY_LEN (ENTRY_HEAD_LEN + ENTRY_COMMAND_HEAD_LEN + 6 + 4)

static struct slice sample_entry(void)
{
    struct blob *blob = blob_new(ENTRY_LEN);
    cr_assert_not_null(blob);
    entry_head_encode(
        &(struct entry_head){.machine_version = 1, .time_ms = 77, .commands = 1, .len = ENTRY_LEN - ENTRY_HEAD_LEN},
        blob->data);
    struct entry_command command = {.session = 5, .number = 6, .attachment = 7, .answered = 4};
    command.header.len = 6;
    command.bodies.len = 4;
    entry_command_head_encode(&command, blob->data + ENTRY_HEAD_LEN);
    memcpy(blob->data + ENTRY_HEAD_LEN + ENTRY_COMMAND_HEAD_LEN, "headerbody", 10);
    return slice_of_blob(blob);
}

Test(entry, round_trip)
{
    struct slice entry = sample_entry();
    struct entry_head head;
    struct entry_command command;
    size_t offset = ENTRY_HEAD_LEN;
    cr_assert_eq(entry_head_decode(entry, &head), 0);
    cr_assert_eq(head.time_ms, 77u);
    cr_assert_eq(entry_command_decode(entry, &offset, &command), 0);
    cr_assert_eq(command.session, 5u);
    cr_assert_eq(command.number, 6u);
    cr_assert_eq(command.attachment, 7u);
    cr_assert_eq(command.answered, 4u);
    cr_assert_eq(memcmp(command.header.data, "header", 6), 0);
    cr_assert_eq(memcmp(command.bodies.data, "body", 4), 0);
    cr_assert_eq(offset, (size_t)ENTRY_LEN);
    cr_assert_eq(entry_command_decode(entry, &offset, &command), ERR_INVALID);
    slice_unref(&entry);
}

Test(entry, lengths_that_lie_are_refused)
{
    struct slice entry = sample_entry();
    struct entry_head head;
    struct entry_command command;
    size_t offset = ENTRY_HEAD_LEN;
    cr_assert_eq(entry_head_decode(slice_part(entry, 0, entry.len - 1), &head), ERR_INVALID);
    cr_assert_eq(entry_command_decode(slice_part(entry, 0, entry.len - 1), &offset, &command), ERR_INVALID);
    put_u32(entry.blob->data + ENTRY_HEAD_LEN, UINT32_MAX);
    cr_assert_eq(entry_command_decode(entry, &offset, &command), ERR_INVALID);
    cr_assert_eq(offset, (size_t)ENTRY_HEAD_LEN);
    put_u16(entry.blob->data + 4, ENTRY_VERSION + 1);
    cr_assert_eq(entry_head_decode(entry, &head), ERR_VERSION);
    slice_unref(&entry);
}
