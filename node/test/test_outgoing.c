/* What waits for its answer, and from where on it is sent. */

#include "node/core/outgoing.h"

#include <criterion/criterion.h>

#include "node/core/batch.h"

static struct outgoing outgoing;

static void setup(void)
{
    outgoing_init(&outgoing);
}

static void teardown(void)
{
    outgoing_done(&outgoing);
    cr_assert_eq(outgoing.len, 0u);
    cr_assert_eq(outgoing.bytes, 0u);
}

TestSuite(outgoing, .init = setup, .fini = teardown);

static struct outgoing_command *push(uint64_t number, uint64_t tag)
{
    struct slice header;
    cr_assert_eq(slice_copy(&number, sizeof number, &header), 0);
    struct entry_command command = {.session = 1, .number = number, .answered = number - 1, .header = header};
    struct outgoing_command *made = outgoing_command_new(&command);
    cr_assert_not_null(made);
    slice_unref(&header);
    made->tag = tag;
    outgoing_push(&outgoing, made);
    return made;
}

static void expect_next(uint64_t number)
{
    struct outgoing_command *next = outgoing_next(&outgoing);
    cr_assert_not_null(next);
    cr_assert_eq(next->command.number, number);
    cr_assert_eq(next->command.answered, number - 1, "as it was submitted");
}

Test(outgoing, is_sent_in_order)
{
    for (uint64_t i = 1; i <= 3; i++) {
        push(i, 0);
    }
    for (uint64_t i = 1; i <= 3; i++) {
        expect_next(i);
        outgoing_sent(&outgoing);
    }
    cr_assert_null(outgoing_next(&outgoing));
    push(4, 0);
    expect_next(4);
    cr_assert_eq(outgoing.sent_len, 3u);
}

Test(outgoing, rewound_it_begins_with_the_first_unanswered)
{
    struct outgoing_command *first = push(1, 0);
    push(2, 0);
    push(3, 0);
    outgoing_sent(&outgoing);
    outgoing_sent(&outgoing);
    outgoing_drop(&outgoing, first);
    expect_next(3);
    outgoing_rewind(&outgoing);
    cr_assert_eq(outgoing.sent_len, 0u);
    cr_assert_eq(outgoing.sent_bytes, 0u);
    expect_next(2);
    outgoing_sent(&outgoing);
    expect_next(3);
    outgoing_sent(&outgoing);
    cr_assert_null(outgoing_next(&outgoing));
}

Test(outgoing, what_goes_before_it_was_sent_is_passed_over)
{
    push(1, 0);
    struct outgoing_command *second = push(2, 0);
    push(3, 0);
    outgoing_sent(&outgoing);
    outgoing_drop(&outgoing, second);
    expect_next(3);
    outgoing_sent(&outgoing);
    cr_assert_eq(outgoing.sent_len, 2u);
}

Test(outgoing, counts_what_is_sent_and_what_is_there)
{
    struct outgoing_command *commands[3];
    for (uint64_t i = 0; i < 3; i++) {
        commands[i] = push(i + 1, 0);
    }
    uint64_t each = batch_command_len(&commands[0]->command);
    outgoing_sent(&outgoing);
    outgoing_sent(&outgoing);
    cr_assert_eq(outgoing.bytes, 3 * each);
    cr_assert_eq(outgoing.sent_bytes, 2 * each);
    outgoing_drop(&outgoing, commands[2]);
    cr_assert_eq(outgoing.sent_bytes, 2 * each);
    outgoing_drop(&outgoing, commands[0]);
    cr_assert_eq(outgoing.sent_bytes, each);
    cr_assert_eq(outgoing.sent_len, 1u);
    cr_assert_eq(outgoing.bytes, each);
    cr_assert_eq(outgoing.len, 1u);
    cr_assert_null(outgoing_next(&outgoing));
}

Test(outgoing, remembers_what_any_leader_may_have)
{
    struct outgoing_command *first = push(1, 0);
    struct outgoing_command *second = push(2, 0);
    outgoing_sent(&outgoing);
    outgoing_rewind(&outgoing);
    cr_assert(first->tried);
    cr_assert_not(first->sent);
    cr_assert_not(second->tried);
}

Test(outgoing, finds_the_nodes_own_commands_by_their_tag)
{
    push(1, 0);
    struct outgoing_command *own = push(2, 7);
    struct outgoing_command *other = push(3, 9);
    cr_assert_eq(outgoing_find(&outgoing, 7), own);
    cr_assert_eq(outgoing_find(&outgoing, 9), other);
    cr_assert_null(outgoing_find(&outgoing, 8));
    cr_assert_null(outgoing_find(&outgoing, 0), "those of sessions have none");
    outgoing_drop(&outgoing, own);
    cr_assert_null(outgoing_find(&outgoing, 7));
}
