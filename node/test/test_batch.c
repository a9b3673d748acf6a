/* Entries hold what was pushed, in order, and stay within their limits. */

#include "node/core/batch.h"

#include <criterion/criterion.h>
#include <string.h>

static void push(struct batch *batch, uint64_t number, size_t bodies_len)
{
    struct slice header;
    struct slice bodies = {0};
    cr_assert_eq(slice_copy(&number, sizeof number, &header), 0);
    if (bodies_len > 0) {
        bodies = slice_of_blob(blob_new(bodies_len));
        cr_assert_not_null(bodies.blob);
        memset(bodies.blob->data, (int)number, bodies_len);
    }
    struct entry_command command = {
        .session = 7, .number = number, .attachment = 3, .answered = number - 1, .header = header, .bodies = bodies};
    cr_assert_eq(batch_push(batch, &command), 0);
    slice_unref(&header);
    slice_unref(&bodies);
}

static uint32_t build(struct batch *batch, uint64_t first)
{
    struct slice entry;
    uint32_t commands;
    struct entry_head head;
    struct entry_command command;
    size_t offset = ENTRY_HEAD_LEN;
    cr_assert_eq(batch_build(batch, ENTRY_COMMANDS_MAX, 1, 4711, &entry, &commands), 0);
    cr_assert_eq(entry_head_decode(entry, &head), 0);
    cr_assert_eq(head.commands, commands);
    cr_assert_eq(head.time_ms, 4711u);
    cr_assert_eq(head.machine_version, 1u);
    for (uint32_t i = 0; i < commands; i++) {
        cr_assert_eq(entry_command_decode(entry, &offset, &command), 0);
        cr_assert_eq(command.session, 7u);
        cr_assert_eq(command.attachment, 3u);
        cr_assert_eq(command.number, first + i);
        cr_assert_eq(command.answered, first + i - 1);
        cr_assert_eq(memcmp(command.header.data, &command.number, sizeof command.number), 0);
        cr_assert(command.bodies.len == 0 || command.bodies.data[command.bodies.len - 1] == (uint8_t)(first + i));
    }
    cr_assert_eq(offset, entry.len);
    cr_assert_leq(entry.len, ENTRY_LEN_MAX);
    slice_unref(&entry);
    return commands;
}

Test(batch, everything_that_gathered_goes_into_one_entry)
{
    struct batch batch = {0};
    for (uint64_t i = 1; i <= 300; i++) {
        push(&batch, i, i % 5);
    }
    cr_assert_eq(build(&batch, 1), 300u);
    cr_assert_eq(batch.len, 300u, "building takes nothing away");
    batch_pop(&batch, 300);
    cr_assert_eq(batch.len, 0u);
    cr_assert_eq(batch.bytes, 0u);
    batch_done(&batch);
}

Test(batch, an_entry_stops_at_its_target_and_keeps_order_across_the_ring)
{
    struct batch batch = {0};
    uint64_t pushed = 0;
    uint64_t taken = 0;
    for (int turn = 0; turn < 40; turn++) {
        for (int i = 0; i < 37; i++) {
            push(&batch, ++pushed, 60000);
        }
        uint32_t commands = build(&batch, taken + 1);
        cr_assert_eq(commands, 8u, "eight of 60,000 bytes fit into 512 KiB");
        batch_pop(&batch, commands);
        taken += commands;
    }
    cr_assert_eq(batch.len, pushed - taken);
    batch_done(&batch);
}

Test(batch, an_entry_stops_at_its_number_of_commands)
{
    struct batch batch = {0};
    for (uint64_t i = 1; i <= ENTRY_COMMANDS_MAX + 10; i++) {
        push(&batch, i, 0);
    }
    cr_assert_eq(build(&batch, 1), ENTRY_COMMANDS_MAX);
    batch_pop(&batch, ENTRY_COMMANDS_MAX);
    cr_assert_eq(build(&batch, ENTRY_COMMANDS_MAX + 1), 10u);
    batch_done(&batch);
}

Test(batch, the_largest_command_gets_an_entry_of_its_own)
{
    struct batch batch = {0};
    push(&batch, 1, 10);
    push(&batch, 2, COMMAND_BODIES_LEN_MAX);
    push(&batch, 3, 10);
    for (uint64_t i = 1; i <= 3; i++) {
        cr_assert_eq(build(&batch, i), 1u);
        batch_pop(&batch, 1);
    }
    batch_done(&batch);
}

Test(batch, what_is_too_big_is_refused)
{
    struct batch batch = {0};
    struct entry_command command = {.session = 1};
    command.bodies.len = COMMAND_BODIES_LEN_MAX + 1;
    cr_assert_eq(batch_push(&batch, &command), ERR_TOO_BIG);
    command.bodies.len = 0;
    command.header.len = HEADER_LEN_MAX + 1;
    cr_assert_eq(batch_push(&batch, &command), ERR_TOO_BIG);
    cr_assert_eq(batch.len, 0u);
    batch_done(&batch);
}

Test(batch, is_bounded)
{
    struct batch batch = {0};
    struct entry_command command = {.session = 1};
    for (unsigned i = 0; i < BATCH_COMMANDS_MAX; i++) {
        cr_assert_eq(batch_push(&batch, &command), 0);
    }
    cr_assert_eq(batch_push(&batch, &command), ERR_LIMIT);
    batch_done(&batch);
}

/* A command whose header is a Publish, as its first byte says. */
static void push_publish(struct batch *batch, uint64_t number, size_t bodies_len)
{
    struct slice header;
    struct slice bodies = {0};
    cr_assert_eq(slice_copy("\x32\x02\x0a\x00", 4, &header), 0);
    if (bodies_len > 0) {
        bodies = slice_of_blob(blob_new(bodies_len));
        cr_assert_not_null(bodies.blob);
        memset(bodies.blob->data, 'x', bodies_len);
    }
    struct entry_command command = {
        .session = 7, .number = number, .attachment = 3, .answered = number - 1, .header = header, .bodies = bodies};
    cr_assert(batch_command_publishes(&command));
    cr_assert_eq(batch_push(batch, &command), 0);
    slice_unref(&header);
    slice_unref(&bodies);
}

static struct entry_command nth(struct slice entry, unsigned at)
{
    struct entry_command command = {0};
    size_t offset = ENTRY_HEAD_LEN;
    for (unsigned i = 0; i <= at; i++) {
        cr_assert_eq(entry_command_decode(entry, &offset, &command), 0);
    }
    return command;
}

Test(batch, refused_publishes_keep_their_place_and_nothing_else)
{
    static const uint8_t refusal[] = {0x7a, 2, 0x08, 12};
    struct slice header = {.data = refusal, .len = sizeof refusal};
    struct batch batch = {0};
    struct slice entry;
    uint32_t commands;
    push_publish(&batch, 1, 100000);
    push(&batch, 2, 0);
    push_publish(&batch, 3, 0); /* Empty messages are messages. */
    batch_refuse_publishes(&batch, header);
    batch_refuse_publishes(&batch, header); /* Harmless. */
    cr_assert_eq(batch_build(&batch, ENTRY_COMMANDS_MAX, 1, 1, &entry, &commands), 0);
    cr_assert_eq(commands, 3u);
    for (unsigned i = 0; i < 3; i++) {
        struct entry_command command = nth(entry, i);
        cr_assert_eq(command.session, 7u);
        cr_assert_eq(command.number, i + 1);
        cr_assert_eq(command.attachment, 3u);
        cr_assert_eq(command.answered, i);
        cr_assert_eq(command.bodies.len, 0u);
        bool refused =
            command.header.len == sizeof refusal && memcmp(command.header.data, refusal, sizeof refusal) == 0;
        cr_assert_eq(refused, i != 1);
    }
    slice_unref(&entry);
    batch_pop(&batch, 3);
    cr_assert_eq(batch.bytes, 0u, "what was let go is not counted any more");
    batch_done(&batch);
}

Test(batch, what_brings_no_message_is_no_publish)
{
    static const uint8_t settle[] = {0x4a, 0};
    struct entry_command command = {.session = 1, .header = {.data = settle, .len = sizeof settle}};
    cr_assert_not(batch_command_publishes(&command));
    command.header.len = 0;
    cr_assert_not(batch_command_publishes(&command));
    command.bodies = (struct slice){.data = settle, .len = 1};
    cr_assert(batch_command_publishes(&command));
}
