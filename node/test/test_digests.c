/* Comparing digests: who is right when replicas differ, and when that is not known. */

#include "node/core/digests.h"

#include <criterion/criterion.h>
#include <string.h>

#define US 1u

static const struct digests_member three[] = {{1, true}, {2, true}, {3, true}};
static const struct digests_member five[] = {{1, true}, {2, true}, {3, true}, {4, true}, {5, true}};
static const struct digests_member three_and_learner[] = {{1, true}, {2, true}, {3, true}, {4, false}};
static const struct digests_member as_learner[] = {{1, false}, {2, true}, {3, true}, {4, true}};

static struct digests digests;
static uint64_t now_ms;

static void setup(void)
{
    now_ms = 5000;
    digests_init(&digests, US, 0, 0, now_ms);
}

TestSuite(digests, .init = setup);

/* Any function of the index does. */
static uint64_t right(uint64_t index)
{
    return index * 7919;
}

static uint64_t wrong(uint64_t index)
{
    return right(index) + 1;
}

static void apply_to(uint64_t index, uint64_t (*value)(uint64_t index))
{
    while (digests.applied_index < index) {
        uint64_t next = digests.applied_index + 1;
        digests_applied(&digests, next, value(next), now_ms);
    }
}

#define JUDGE(members) digests_judge(&digests, members, sizeof members / sizeof *(members), now_ms)

/* After the grace. */
#define JUDGE_LATER(members)                                                                                           \
    do {                                                                                                               \
        JUDGE(members);                                                                                                \
        now_ms += DIGESTS_GRACE_MS;                                                                                    \
        JUDGE(members);                                                                                                \
    } while (0)

Test(digests, notes_the_first_entry_at_or_after_each_multiple)
{
    struct digest_point points[DIGESTS_KEPT];
    static const uint64_t applied[] = {3, 255, 259, 400, 512, 513, 1400};
    for (size_t i = 0; i < sizeof applied / sizeof *applied; i++) {
        digests_applied(&digests, applied[i], right(applied[i]), now_ms);
    }
    cr_assert_eq(digests_told(&digests, points, DIGESTS_KEPT), 3u);
    cr_assert_eq(points[0].index, 259u);
    cr_assert_eq(points[0].running, right(259));
    cr_assert_eq(points[1].index, 512u);
    cr_assert_eq(points[2].index, 1400u);
    cr_assert_eq(digests_told(&digests, points, 2), 2u);
    cr_assert_eq(points[0].index, 512u);
}

/* A node that was restarted notes the same ones. */
Test(digests, notes_the_same_after_a_restart)
{
    struct digest_point points[DIGESTS_KEPT];
    digests_init(&digests, US, 300, right(300), now_ms);
    apply_to(600, right);
    cr_assert_eq(digests_told(&digests, points, DIGESTS_KEPT), 1u);
    cr_assert_eq(points[0].index, 512u);
}

Test(digests, notes_where_the_log_stands_still_once)
{
    struct digest_point points[DIGESTS_KEPT];
    apply_to(10, right);
    now_ms += DIGESTS_IDLE_MS - 1;
    digests_note_idle(&digests, now_ms);
    cr_assert_eq(digests_told(&digests, points, DIGESTS_KEPT), 0u);
    now_ms++;
    digests_note_idle(&digests, now_ms);
    digests_note_idle(&digests, now_ms + 1000);
    cr_assert_eq(digests_told(&digests, points, DIGESTS_KEPT), 1u);
    cr_assert_eq(points[0].index, 10u);
}

Test(digests, keeps_the_last_ones)
{
    struct digest_point points[DIGESTS_KEPT];
    apply_to(DIGESTS_EVERY * 100, right);
    cr_assert_eq(digests_told(&digests, points, DIGESTS_KEPT), DIGESTS_KEPT);
    cr_assert_eq(points[0].index, DIGESTS_EVERY * (100 - DIGESTS_KEPT + 1));
    cr_assert_eq(points[DIGESTS_KEPT - 1].index, DIGESTS_EVERY * 100);
}

static bool proven(uint64_t index)
{
    return digests_proven(&digests, three, sizeof three / sizeof *three, index);
}

Test(digests, a_state_is_proven_by_what_a_majority_applied_last)
{
    cr_assert_not(proven(1));
    apply_to(20, right);
    digests_heard_latest(&digests, 2, 17, right(17));
    cr_assert(proven(17));
    cr_assert_not(proven(18), "it is not known what is after that");
    digests_heard_latest(&digests, 3, 25, right(25)); /* We get there later. */
    cr_assert_not(proven(18));
    apply_to(30, right);
    cr_assert(proven(25));
    cr_assert_not(proven(26));
}

Test(digests, what_differs_or_cannot_be_compared_proves_nothing)
{
    apply_to(DIGESTS_RECENT + 50, right);
    digests_heard_latest(&digests, 2, 40, right(40));
    cr_assert_not(proven(1), "too long ago to be known");
    digests_heard_latest(&digests, 2, 100, wrong(100));
    digests_heard_latest(&digests, 3, 100, wrong(100));
    cr_assert_not(proven(1));
    cr_assert(digests_doubted(&digests, three, sizeof three / sizeof *three));
    digests_heard_latest(&digests, US, 100, right(100));
    cr_assert_not(proven(1), "we are no witness of ourselves");
    digests_heard_latest(&digests, 2, 101, right(101));
    cr_assert(proven(101));
    cr_assert_not(digests_doubted(&digests, three, sizeof three / sizeof *three), "3 is wrong, not we");
    digests_heard_latest(&digests, 3, 102, wrong(102));
    cr_assert(digests_doubted(&digests, three, sizeof three / sizeof *three), "2 says nothing of that entry");
    digests_heard_latest(&digests, 3, 103, right(103));
    cr_assert_not(digests_doubted(&digests, three, sizeof three / sizeof *three));
    digests_heard(&digests, 2, DIGESTS_EVERY, wrong(DIGESTS_EVERY));
    digests_heard(&digests, 3, DIGESTS_EVERY, wrong(DIGESTS_EVERY));
    JUDGE(three);
    cr_assert_not(proven(1), "the majority has something else");
}

Test(digests, all_alike)
{
    apply_to(600, right);
    digests_heard(&digests, 2, 512, right(512));
    digests_heard(&digests, 3, 512, right(512));
    JUDGE_LATER(three);
    cr_assert_not(digests_unsure(&digests));
    cr_assert_eq(digests.equal_at, 512u);
    cr_assert_str_eq(digests.text, "");
}

Test(digests, a_majority_of_others_is_right)
{
    apply_to(256, right);
    digests_heard(&digests, 2, 256, right(256));
    JUDGE(three);
    apply_to(600, wrong);
    digests_heard(&digests, 2, 512, right(512));
    JUDGE(three);
    cr_assert_eq(digests.diverged_at, 0u, "one is no majority");
    digests_heard(&digests, 3, 512, right(512));
    JUDGE(three);
    cr_assert_eq(digests.diverged_at, 512u);
    cr_assert_str_eq(digests.text, "the state differs from the majority's at entry 512 (last equal at 256)");
}

Test(digests, a_majority_with_us_is_right_and_the_other_one_is_named)
{
    apply_to(600, right);
    digests_heard(&digests, 2, 512, right(512));
    digests_heard(&digests, 3, 512, wrong(512));
    JUDGE_LATER(three);
    cr_assert_not(digests_unsure(&digests));
    cr_assert_str_eq(digests.text, "the state of node 3 differs from the majority's since entry 512");
}

/* Whoever is wrong counts no more: a second node may go without anybody being in doubt. */
Test(digests, one_that_is_known_to_be_wrong_leaves_no_doubt)
{
    apply_to(600, right);
    digests_heard(&digests, 2, 512, right(512));
    digests_heard(&digests, 3, 512, wrong(512));
    JUDGE(three);
    apply_to(800, right);
    digests_heard(&digests, 3, 768, wrong(768));
    JUDGE_LATER(three);
    cr_assert_not(digests_unsure(&digests));
}

Test(digests, one_that_was_wrong_and_is_repaired_is_not_named_any_more)
{
    apply_to(800, right);
    digests_heard(&digests, 2, 512, right(512));
    digests_heard(&digests, 3, 512, wrong(512));
    JUDGE(three);
    digests_heard(&digests, 2, 768, right(768));
    digests_heard(&digests, 3, 768, right(768));
    JUDGE(three);
    cr_assert_str_eq(digests.text, "");
    /* The same entry again, as it is after the repair. */
    digests_heard(&digests, 3, 512, right(512));
    JUDGE_LATER(three);
    cr_assert_str_eq(digests.text, "");
}

Test(digests, what_is_told_anew_of_an_entry_counts)
{
    apply_to(600, right);
    digests_heard(&digests, 2, 512, right(512));
    digests_heard(&digests, 3, 512, wrong(512));
    JUDGE(three);
    cr_assert_neq(digests.text[0], '\0');
    digests_heard(&digests, 3, 512, right(512));
    JUDGE(three);
    cr_assert_str_eq(digests.text, "");
}

Test(digests, places_are_used_again)
{
    for (uint64_t index = DIGESTS_EVERY; index < 2 * DIGESTS_KEPT * DIGESTS_EVERY; index += DIGESTS_EVERY) {
        apply_to(index, right);
        digests_heard(&digests, 2, index, right(index));
        digests_heard(&digests, 3, index, right(index));
        JUDGE(three);
        cr_assert_eq(digests.equal_at, index);
    }
    apply_to(2 * DIGESTS_KEPT * DIGESTS_EVERY, wrong);
    digests_heard(&digests, 2, digests.applied_index, right(digests.applied_index));
    digests_heard(&digests, 3, digests.applied_index, right(digests.applied_index));
    JUDGE(three);
    cr_assert_eq(digests.diverged_at, digests.applied_index);
}

Test(digests, two_that_differ_are_divided_after_a_grace)
{
    apply_to(600, right);
    digests_heard(&digests, 2, 512, wrong(512));
    JUDGE(three);
    now_ms += DIGESTS_GRACE_MS - 1;
    JUDGE(three);
    cr_assert_not(digests_unsure(&digests));
    now_ms++;
    JUDGE(three);
    cr_assert(digests.divided);
    cr_assert_neq(strstr(digests.text, "differ at entry 512"), NULL);
}

Test(digests, a_third_ends_the_doubt)
{
    apply_to(600, right);
    digests_heard(&digests, 2, 512, wrong(512));
    JUDGE_LATER(three);
    cr_assert(digests.divided);
    digests_heard(&digests, 3, 512, right(512));
    JUDGE(three);
    cr_assert_not(digests_unsure(&digests));
    cr_assert_str_eq(digests.text, "the state of node 2 differs from the majority's since entry 512");
}

Test(digests, a_third_that_is_further_on_ends_the_doubt_too)
{
    apply_to(600, right);
    digests_heard(&digests, 2, 512, wrong(512));
    JUDGE_LATER(three);
    cr_assert(digests.divided);
    digests_heard(&digests, 3, 600, right(600));
    JUDGE(three);
    cr_assert_not(digests.divided);
}

Test(digests, a_third_may_say_that_we_are_wrong)
{
    apply_to(600, wrong);
    digests_heard(&digests, 2, 512, right(512));
    JUDGE_LATER(three);
    cr_assert(digests.divided);
    digests_heard(&digests, 3, 512, right(512));
    JUDGE(three);
    cr_assert_eq(digests.diverged_at, 512u);
    cr_assert(digests_unsure(&digests));
}

/* While new differences come in, the grace of the first one goes on. */
Test(digests, the_grace_is_that_of_the_first_difference)
{
    apply_to(600, right);
    digests_heard(&digests, 2, 512, wrong(512));
    JUDGE(three);
    now_ms += DIGESTS_GRACE_MS / 2;
    apply_to(800, right);
    digests_heard(&digests, 2, 768, wrong(768));
    JUDGE(three);
    now_ms += DIGESTS_GRACE_MS / 2;
    JUDGE(three);
    cr_assert(digests.divided);
}

/* Also when the first one is not remembered any more. */
Test(digests, the_grace_goes_on_whatever_is_forgotten)
{
    for (unsigned i = 1; i <= 2 * DIGESTS_KEPT; i++) {
        apply_to(i * DIGESTS_EVERY, right);
        digests_heard(&digests, 2, i * DIGESTS_EVERY, wrong(i * DIGESTS_EVERY));
        JUDGE(three);
        now_ms += DIGESTS_GRACE_MS / DIGESTS_KEPT;
    }
    cr_assert(digests.divided);
}

/* A third has told of the first one; of the next one it has not, yet. */
Test(digests, each_difference_has_its_own_grace)
{
    apply_to(600, right);
    digests_heard(&digests, 2, 512, wrong(512));
    JUDGE(three);
    now_ms += DIGESTS_GRACE_MS / 2 + 1;
    apply_to(800, right);
    digests_heard(&digests, 3, 600, right(600));
    digests_heard(&digests, 2, 768, wrong(768));
    JUDGE(three);
    now_ms += DIGESTS_GRACE_MS / 2 + 1;
    JUDGE(three);
    cr_assert_not(digests.divided);
    now_ms += DIGESTS_GRACE_MS / 2 + 1;
    JUDGE(three);
    cr_assert(digests.divided);
}

/* With each round something is open until the last one has told: that is not one long doubt. */
Test(digests, differences_that_are_settled_in_time_are_no_doubt)
{
    for (uint64_t index = 256; index < 256 * 50; index += 256) {
        apply_to(index, right);
        digests_heard(&digests, 2, index, wrong(index));
        JUDGE(three);
        cr_assert_not(digests.divided);
        now_ms += DIGESTS_GRACE_MS / 2;
        digests_heard(&digests, 3, index, right(index));
        now_ms += DIGESTS_GRACE_MS / 4;
    }
}

Test(digests, of_five_two_against_two_are_divided_and_three_are_not)
{
    apply_to(600, right);
    digests_heard(&digests, 2, 512, right(512));
    digests_heard(&digests, 3, 512, wrong(512));
    digests_heard(&digests, 4, 512, wrong(512));
    JUDGE_LATER(five);
    cr_assert(digests.divided);
    digests_heard(&digests, 5, 512, right(512));
    JUDGE(five);
    cr_assert_not(digests_unsure(&digests));
    cr_assert_neq(strstr(digests.text, "node 3"), NULL);
    cr_assert_neq(strstr(digests.text, "node 4"), NULL);
}

Test(digests, three_that_all_differ_are_divided)
{
    apply_to(600, right);
    digests_heard(&digests, 2, 512, 1);
    digests_heard(&digests, 3, 512, 2);
    JUDGE_LATER(three);
    cr_assert(digests.divided);
    cr_assert_eq(digests.diverged_at, 0u);
}

Test(digests, a_learner_is_judged_and_does_not_count)
{
    apply_to(600, right);
    digests_heard(&digests, 4, 512, wrong(512));
    JUDGE_LATER(three_and_learner);
    cr_assert_not(digests_unsure(&digests), "what a learner has raises no doubt");
    digests_heard(&digests, 2, 512, right(512));
    JUDGE(three_and_learner);
    cr_assert_str_eq(digests.text, "the state of node 4 differs from the majority's since entry 512");
}

Test(digests, learners_are_no_majority)
{
    static const struct digests_member members[] = {{1, true}, {2, true}, {3, true}, {4, false}, {5, false}};
    apply_to(600, wrong);
    digests_heard(&digests, 2, 512, right(512));
    digests_heard(&digests, 4, 512, right(512));
    digests_heard(&digests, 5, 512, right(512));
    JUDGE(members);
    cr_assert_eq(digests.diverged_at, 0u);
}

Test(digests, as_a_learner_we_are_judged_by_the_voters)
{
    apply_to(600, wrong);
    digests_heard(&digests, 2, 512, right(512));
    JUDGE(as_learner);
    cr_assert_eq(digests.diverged_at, 0u);
    digests_heard(&digests, 3, 512, right(512));
    JUDGE(as_learner);
    cr_assert_eq(digests.diverged_at, 512u);
}

Test(digests, our_own_does_not_count_as_a_learner)
{
    apply_to(600, right);
    digests_heard(&digests, 2, 512, right(512));
    digests_heard(&digests, 3, 512, wrong(512));
    JUDGE_LATER(as_learner);
    cr_assert_eq(digests.equal_at, 0u);
    cr_assert(digests.divided);
}

Test(digests, who_is_behind_compares_when_it_gets_there)
{
    digests_heard(&digests, 2, 512, right(512));
    digests_heard(&digests, 3, 512, right(512));
    apply_to(511, wrong);
    JUDGE_LATER(three);
    cr_assert_not(digests_unsure(&digests));
    apply_to(600, wrong);
    JUDGE(three);
    cr_assert_eq(digests.diverged_at, 512u);
}

/* Others note other entries when the log stands still: of the last ones we know any. */
Test(digests, any_of_the_last_entries_is_compared)
{
    apply_to(700, wrong);
    digests_heard(&digests, 2, 699, right(699));
    digests_heard(&digests, 3, 699, right(699));
    JUDGE(three);
    cr_assert_eq(digests.diverged_at, 699u);
}

Test(digests, what_is_too_long_ago_is_not_compared)
{
    apply_to(256 * 200, wrong);
    digests_heard(&digests, 2, 256, right(256));
    digests_heard(&digests, 3, 256, right(256));
    JUDGE_LATER(three);
    cr_assert_not(digests_unsure(&digests));
}

/* What differs once differs for ever: so it was not the state that was damaged, but what was noted of it. */
Test(digests, a_difference_before_the_last_agreement_says_nothing)
{
    apply_to(800, right);
    digests.own.items[0].running ^= 1;
    digests_heard(&digests, 2, 256, right(256));
    digests_heard(&digests, 3, 256, right(256));
    digests_heard(&digests, 2, 768, right(768));
    digests_heard(&digests, 3, 768, right(768));
    JUDGE_LATER(three);
    cr_assert_eq(digests.diverged_at, 0u);
    cr_assert_eq(digests.equal_at, 768u);
}

Test(digests, who_is_no_member_does_not_count)
{
    static const struct digests_member two[] = {{1, true}, {2, true}};
    apply_to(600, right);
    digests_heard(&digests, 3, 512, wrong(512));
    digests_heard(&digests, 4, 512, wrong(512));
    JUDGE_LATER(two);
    cr_assert_not(digests_unsure(&digests));
    cr_assert_eq(digests.others_len, 0u);
}

Test(digests, a_change_of_the_membership_may_end_the_doubt)
{
    static const struct digests_member without_two[] = {{1, true}, {2, false}, {3, true}};
    apply_to(600, right);
    digests_heard(&digests, 2, 512, wrong(512));
    JUDGE_LATER(three);
    cr_assert(digests.divided);
    JUDGE(without_two);
    cr_assert_not(digests.divided);
}

Test(digests, more_nodes_than_there_can_be_are_not_kept)
{
    for (uint64_t node = 2; node < 100; node++) {
        digests_heard(&digests, node, 1, 1);
    }
    cr_assert_eq(digests.others_len, MEMBERS_MAX);
    digests_heard(&digests, US, 1, 1);
    digests_heard(&digests, 2, 0, 1);
    cr_assert_eq(digests.others_len, MEMBERS_MAX);
}

static const struct digests_member three_but_one[] = {{1, true}, {2, true}, {3, false}};

/* Node 2 has been started since, and does not know what it had at entry 300. */
static void one_differs_where_nobody_else_speaks(void)
{
    apply_to(300, right);
    digests_heard(&digests, 3, 256, wrong(256));
    JUDGE(three);
}

Test(digests, what_a_node_said_before_its_repair_divides_nobody)
{
    one_differs_where_nobody_else_speaks();
    digests_members(&digests, three_but_one, 3);
    digests_members(&digests, three, 3);
    JUDGE_LATER(three);
    cr_assert_not(digests_unsure(&digests), "%s", digests.text);
}

Test(digests, whose_vote_was_taken_and_given_back_without_a_repair_divides_as_before)
{
    one_differs_where_nobody_else_speaks();
    digests_members(&digests, three_but_one, 3);
    JUDGE_LATER(three_but_one);
    cr_assert_not(digests_unsure(&digests), "two of two, who say nothing else");
    digests_members(&digests, three, 3);
    digests_heard(&digests, 3, 256, wrong(256));
    JUDGE_LATER(three);
    cr_assert(digests.divided);
}
