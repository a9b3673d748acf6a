/* Reads from waiting to done. */

#include "node/core/reads.h"

#include <criterion/criterion.h>

static struct reads reads;
static struct gateway_read first;
static struct gateway_read second;
static int err;

static void setup(void)
{
    reads_init(&reads, 100);
    reads_add(&reads, &first, 5000);
    reads_add(&reads, &second, 6000);
}

TestSuite(reads, .init = setup);

static struct gateway_read *take(uint64_t applied_index, uint64_t now_ms)
{
    err = 1;
    return reads_take(&reads, applied_index, now_ms, &err);
}

Test(reads, are_done_when_their_index_is_applied)
{
    reads_asked(&reads, 7, 0);
    cr_assert(reads.asking);
    cr_assert_null(take(UINT64_MAX, 0), "no answer yet");
    reads_answered(&reads, 7, 50);
    cr_assert_not(reads.asking);
    cr_assert_null(take(49, 0));
    cr_assert_eq(take(50, 0), &first);
    cr_assert_eq(err, 0);
    cr_assert_eq(take(50, 0), &second);
    cr_assert_null(take(50, 0));
    cr_assert(reads_empty(&reads));
}

Test(reads, an_answer_is_for_its_round_and_those_before)
{
    struct gateway_read third;
    reads_asked(&reads, 7, 0);
    reads_add(&reads, &third, 5000);
    reads_asked(&reads, 8, 0);
    reads_answered(&reads, 6, 10);
    cr_assert_null(take(UINT64_MAX, 0), "too old an answer");
    reads_answered(&reads, 7, 20);
    cr_assert_eq(take(20, 0), &first);
    cr_assert_eq(take(20, 0), &second);
    cr_assert_null(take(UINT64_MAX, 0));
    cr_assert(reads.asking);
    reads_answered(&reads, 9, 30);
    cr_assert_eq(take(30, 0), &third);
}

Test(reads, what_was_not_asked_is_not_answered)
{
    reads_answered(&reads, UINT64_MAX, 1);
    cr_assert_null(take(UINT64_MAX, 0));
    cr_assert_eq(reads_len(&reads), 2u);
}

Test(reads, a_lost_question_waits_again_and_an_old_answer_is_nothing_to_it)
{
    reads_asked(&reads, 7, 0);
    reads_lost(&reads);
    cr_assert_not(reads.asking);
    reads_answered(&reads, 7, 20);
    cr_assert_null(take(UINT64_MAX, 0));
    reads_asked(&reads, 8, 0);
    reads_answered(&reads, 7, 20);
    cr_assert_null(take(UINT64_MAX, 0));
    reads_answered(&reads, 8, 30);
    cr_assert_eq(take(30, 0), &first);
}

Test(reads, end_at_their_deadline_wherever_they_are)
{
    struct gateway_read third;
    reads_asked(&reads, 7, 0);
    reads_answered(&reads, 7, 50);
    reads_add(&reads, &third, 5000);
    cr_assert_null(take(0, 4999));
    struct gateway_read *one = take(0, 5000);
    cr_assert_eq(err, ERR_UNAVAILABLE);
    struct gateway_read *other = take(0, 5000);
    cr_assert((one == &first && other == &third) || (one == &third && other == &first));
    cr_assert_null(take(0, 5000));
    cr_assert_eq(take(50, 6000), &second, "in time, if only just");
    cr_assert_eq(err, 0);
}

Test(reads, can_be_cancelled_anywhere)
{
    reads_cancel(&first);
    reads_asked(&reads, 7, 0);
    reads_cancel(&second);
    reads_answered(&reads, 7, 1);
    cr_assert_null(take(UINT64_MAX, UINT64_MAX));
    reads_cancel(&second); /* Harmless. */
    cr_assert(reads_empty(&reads));
}

Test(reads, each_node_has_one_question)
{
    for (uint64_t node = 1; node <= MEMBERS_MAX; node++) {
        struct reads_remote *remote = reads_remote(&reads, node);
        cr_assert_not_null(remote);
        remote->id = 10 + node;
    }
    cr_assert_null(reads_remote(&reads, MEMBERS_MAX + 1));
    cr_assert_eq(reads_remote(&reads, 3)->id, 13u, "its own place again");
    reads_lost(&reads);
    cr_assert_eq(reads_remote(&reads, 3)->id, 0u, "with the leadership they are gone");
}
