/* Entries hold what was pushed, in order, and stay within their limits. */

#include "node/core/batch.h"

#include <criterion/criterion.h>
#include <stdio.h>
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

/* Takes away the first, as an entry does that was proposed. */
static void pop(struct batch *batch, uint32_t count)
{
    struct batch_cut cut = batch_cut(batch);
    cr_assert_eq(batch_cut_commands(&cut), count);
    batch_pop(batch, &cut);
}

static uint32_t build(struct batch *batch, uint64_t first)
{
    struct batch_cut cut = batch_cut(batch);
    uint32_t commands = batch_cut_commands(&cut);
    struct slice entry;
    struct entry_head head;
    struct entry_command command;
    size_t offset = ENTRY_HEAD_LEN;
    cr_assert_eq(batch_build(batch, &cut, 1, 4711, &entry), 0);
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
    pop(&batch, 300);
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
        cr_assert_eq(commands, 4u, "four of 60,000 bytes fit into 256 KiB");
        pop(&batch, commands);
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
    pop(&batch, ENTRY_COMMANDS_MAX);
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
        pop(&batch, 1);
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
    push_publish(&batch, 1, 100000);
    push(&batch, 2, 0);
    push_publish(&batch, 3, 0); /* Empty messages are messages. */
    batch_refuse_publishes(&batch, header);
    batch_refuse_publishes(&batch, header); /* Harmless. */
    struct batch_cut cut = batch_cut(&batch);
    cr_assert_eq(batch_build(&batch, &cut, 1, 1, &entry), 0);
    cr_assert_eq(batch_cut_commands(&cut), 3u);
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
    pop(&batch, 3);
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

/* A command of a session that consists of a tag. */
static void push_of(struct batch *batch, uint64_t session, uint64_t number, uint8_t tag, size_t len)
{
    struct blob *blob = blob_new(len);
    cr_assert_not_null(blob);
    memset(blob->data, 0, len);
    blob->data[0] = tag;
    struct slice header = slice_of_blob(blob);
    struct entry_command command = {.session = session, .number = number, .header = header};
    cr_assert_eq(batch_push(batch, &command), 0);
    slice_unref(&header);
}
#define PUBLISH 0x32u
#define SETTLE 0x4au

/* The order of an entry, as "session.number " of each command. */
static const char *order(struct batch *batch)
{
    static char text[256];
    struct batch_cut cut = batch_cut(batch);
    struct slice entry;
    text[0] = '\0';
    cr_assert_eq(batch_build(batch, &cut, 1, 1, &entry), 0);
    for (unsigned i = 0; i < batch_cut_commands(&cut); i++) {
        struct entry_command command = nth(entry, i);
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%llu.%llu ",
                       (unsigned long long)command.session, (unsigned long long)command.number);
    }
    slice_unref(&entry);
    return text;
}

Test(batch, settlements_come_before_what_others_publish_but_not_before_their_own)
{
    struct batch batch = {0};
    push_of(&batch, 1, 1, PUBLISH, 10);
    push_of(&batch, 2, 1, SETTLE, 10);
    push_of(&batch, 1, 2, SETTLE, 10);
    push_of(&batch, 3, 1, PUBLISH, 10);
    push_of(&batch, 2, 2, SETTLE, 10);
    push_of(&batch, 2, 3, PUBLISH, 10);
    push_of(&batch, 2, 4, SETTLE, 10);
    push_of(&batch, 0, 0, SETTLE, 10); /* Of no session: commands of nodes stay where they are. */
    cr_assert_str_eq(order(&batch), "2.1 2.2 1.1 1.2 3.1 2.3 2.4 0.0 ");
    pop(&batch, 8);
    push_of(&batch, 4, 1, PUBLISH, 10);
    push_of(&batch, 2, 5, SETTLE, 10);
    push_of(&batch, 1, 3, SETTLE, 10);
    cr_assert_str_eq(order(&batch), "2.5 1.3 4.1 ", "what was proposed is in nobody's way");
    batch_done(&batch);
}

Test(batch, sessions_with_numbers_alike_lose_no_more_than_their_turn)
{
    struct batch batch = {0};
    push_of(&batch, 1, 1, PUBLISH, 10);
    push_of(&batch, 1 + BATCH_SESSIONS, 1, SETTLE, 10);
    push_of(&batch, 2, 1, SETTLE, 10);
    cr_assert_str_eq(order(&batch), "2.1 1.1 1025.1 ");
    batch_done(&batch);
}

Test(batch, settlements_leave_half_of_an_entry_to_others)
{
    struct batch batch = {0};
    for (uint64_t i = 1; i <= ENTRY_COMMANDS_MAX + 10; i++) {
        push_of(&batch, 2, i, SETTLE, 1);
    }
    struct batch_cut cut = batch_cut(&batch);
    cr_assert_eq(cut.settlements, ENTRY_COMMANDS_MAX, "nothing else waits");
    for (uint64_t i = 1; i <= ENTRY_COMMANDS_MAX; i++) {
        push_of(&batch, 3, i, PUBLISH, 1);
    }
    cut = batch_cut(&batch);
    cr_assert_eq(cut.settlements, ENTRY_COMMANDS_MAX / 2);
    cr_assert_eq(cut.others, ENTRY_COMMANDS_MAX / 2);
    batch_done(&batch);
}

Test(batch, large_settlements_leave_half_of_the_length_to_others)
{
    struct batch batch = {0};
    for (uint64_t i = 1; i <= 20; i++) {
        push_of(&batch, 2, i, SETTLE, 60000);
    }
    cr_assert_eq(batch_cut(&batch).settlements, 4u);
    push_of(&batch, 3, 1, PUBLISH, 60000);
    push_of(&batch, 3, 2, PUBLISH, 60000);
    struct batch_cut cut = batch_cut(&batch);
    cr_assert_eq(cut.settlements, 2u);
    cr_assert_eq(cut.others, 2u);
    struct batch_cut less = batch_cut_less(&batch, 1, 1);
    cr_assert_eq(batch_at(&batch, &less, 0)->session, 2u);
    cr_assert_eq(batch_at(&batch, &less, 1)->session, 3u);
    batch_pop(&batch, &less);
    cr_assert_eq(batch.len, 20u);
    batch_done(&batch);
    cr_assert_eq(batch.bytes, 0u);
}

/* Of session 2 there are as many settlements as go into one entry beside others, and more, and then a publish. */
static void push_more_than_fit(struct batch *batch)
{
    uint64_t number = 0;
    while (number < ENTRY_COMMANDS_MAX / 2 + 10) {
        push_of(batch, 2, ++number, SETTLE, 1);
    }
    push_of(batch, 3, 1, PUBLISH, 1);
    push_of(batch, 2, ++number, PUBLISH, 1);
    push_of(batch, 3, 2, PUBLISH, 1);
}

/* How many entries it takes; the commands of each session are in order. */
static unsigned drain_in_order(struct batch *batch, struct batch_cut (*cut_of)(const struct batch *batch))
{
    uint64_t last[8] = {0};
    unsigned entries = 0;
    while (batch->len > 0) {
        struct batch_cut cut = cut_of(batch);
        cr_assert_gt(batch_cut_commands(&cut), 0u, "it goes on");
        for (uint32_t i = 0; i < batch_cut_commands(&cut); i++) {
            const struct entry_command *command = batch_at(batch, &cut, i);
            cr_assert_eq(command->number, last[command->session] + 1, "session %llu",
                         (unsigned long long)command->session);
            last[command->session] = command->number;
        }
        batch_pop(batch, &cut);
        entries++;
    }
    return entries;
}

static struct batch_cut cut_small(const struct batch *batch)
{
    struct batch_cut cut = batch_cut(batch);
    uint32_t settlements = cut.settlements < 3 ? cut.settlements : 3;
    return batch_cut_less(batch, settlements, cut.others);
}

Test(batch, nothing_overtakes_settlements_of_its_session_that_do_not_fit)
{
    struct batch batch = {0};
    push_more_than_fit(&batch);
    struct batch_cut cut = batch_cut(&batch);
    cr_assert_eq(cut.settlements, ENTRY_COMMANDS_MAX / 2);
    cr_assert_eq(cut.others, 1u, "the other session's, and not what is behind the one that has to wait");
    cr_assert_eq(drain_in_order(&batch, batch_cut), 2u);
    push_more_than_fit(&batch);
    (void)drain_in_order(&batch, cut_small);
    batch_done(&batch);
}
