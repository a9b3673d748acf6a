/* Who is given a copy as a patient, and which: one that holds what it must, from a node that has just made sure that it leads. */

#include <criterion/criterion.h>
#include <string.h>

#include "rebuild_pair.h"

#define QUESTION 71u

static struct pair pair;

static void setup(void)
{
    pair_start(&pair, 1);
    pair.connected = true;
}

static void teardown(void)
{
    pair_stop(&pair);
}

TestSuite(rebuild_join, .init = setup, .fini = teardown);

static void expect_refused(int err, uint64_t leader, const char *detail)
{
    cr_assert_eq(pair.answers.len, 1u);
    struct pair_answer answer = pair_take_answer(&pair);
    cr_assert_eq(answer.kind, HOLDFAST__PEER_REBUILD__KIND_REFUSED);
    cr_assert_eq(answer.error, (uint32_t)-err);
    cr_assert_eq(answer.leader, leader);
    cr_assert_str_eq(answer.detail, detail);
}

/* The confirmation comes, and the copy is made. */
static void go_on(void)
{
    pair_step(&pair);
    sim_disk_complete_all(pair.source_disk);
}

static struct pair_answer join(uint64_t copy, uint64_t question)
{
    cr_assert_eq(pair_ask_join(&pair, PAIR_SINK, copy, question), 0);
    go_on();
    cr_assert_eq(pair.answers.len, 1u);
    struct pair_answer answer = pair_take_answer(&pair);
    cr_assert_eq(answer.kind, HOLDFAST__PEER_REBUILD__KIND_OPENED);
    cr_assert_eq(answer.question, question);
    return answer;
}

Test(rebuild_join, a_patient_gets_a_copy_when_it_is_sure_who_leads)
{
    pair.members.silent = true;
    cr_assert_eq(pair_ask_join(&pair, PAIR_SINK, 0, QUESTION), 0);
    go_on();
    cr_assert_eq(pair.answers.len, 0u);
    cr_assert_eq(pair.copies_len, 0u, "nobody has confirmed it");
    cr_assert_eq(pair_ask_join(&pair, PAIR_SINK, 0, QUESTION), 0);
    cr_assert_eq(pair.members.confirms, 1u);
    cr_assert_str_eq(pair.members.reason, "a bad?sector");
    pair.members.silent = false;
    go_on();
    struct pair_answer answer = pair_take_answer(&pair);
    cr_assert_eq(answer.kind, HOLDFAST__PEER_REBUILD__KIND_OPENED);
    cr_assert_eq(answer.question, QUESTION);
    cr_assert_eq(pair.members.admissions, 2u, "it is asked once more when that is sure");
}

Test(rebuild_join, one_that_does_not_lead_names_who_does)
{
    pair.members.err = ERR_NOT_LEADER;
    cr_assert_eq(pair_ask_join(&pair, PAIR_SINK, 0, QUESTION), 0);
    expect_refused(ERR_NOT_LEADER, PAIR_OTHER, "not yet");
    cr_assert_eq(pair.members.confirms, 0u);
}

/* It led when the question came, and has learned better since. */
Test(rebuild_join, what_changes_meanwhile_counts)
{
    cr_assert_eq(pair_ask_join(&pair, PAIR_SINK, 0, QUESTION), 0);
    pair.members.err = ERR_NOT_LEADER;
    go_on();
    expect_refused(ERR_NOT_LEADER, PAIR_OTHER, "not yet");
    pair.members.err = 0;
    pair.members.confirm_err = ERR_UNAVAILABLE;
    cr_assert_eq(pair_ask_join(&pair, PAIR_SINK, 0, QUESTION), 0);
    go_on();
    expect_refused(ERR_UNAVAILABLE, 0, "a majority could not be asked whether this node leads");
    cr_assert_eq(pair.copies_len, 0u);
    cr_assert_eq(pair.held, UINT64_MAX);
    pair.members.confirm_err = 0;
    (void)join(0, QUESTION);
}

Test(rebuild_join, nobody_is_admitted_where_nobody_decides)
{
    pair.members.err = ERR_NOT_FOUND;
    cr_assert_eq(pair_ask_join(&pair, PAIR_SINK, 0, QUESTION), 0);
    expect_refused(ERR_NOT_FOUND, 0, "not yet");
    pair.members.err = 0;
    (void)join(0, QUESTION); /* It has been added. */
}

Test(rebuild_join, a_checkpoint_is_asked_for_when_none_holds_what_the_copy_must)
{
    pair.members.min_index = 501;
    cr_assert_eq(pair_ask_join(&pair, PAIR_SINK, 0, QUESTION), 0);
    go_on();
    expect_refused(ERR_BUSY, 0, "a checkpoint is being made");
    cr_assert_eq(pair.members.store_soon, 501u);
    cr_assert_eq(pair.held, UINT64_MAX);
    pair_change(&pair);
    cr_assert_eq(join(0, QUESTION).index, 600u);
    pair.stored_index = 0;
    pair.members.min_index = 0;
    pair_restart_source(&pair, PAIR_KILL);
    pair.now_ms += REBUILD_SOURCE_IDLE_MS;
    go_on();
    pair.connected = true;
    cr_assert_eq(pair_ask_join(&pair, PAIR_SINK, 0, QUESTION), 0);
    go_on();
    expect_refused(ERR_BUSY, 0, "a checkpoint is being made");
    cr_assert_eq(pair.members.store_soon, 1u, "of nothing there is no copy");
}

Test(rebuild_join, a_copy_that_is_too_old_gives_way_to_a_newer_one)
{
    struct pair_answer old = join(0, QUESTION);
    cr_assert_eq(old.index, 500u);
    cr_assert_eq(join(old.copy, QUESTION).copy, old.copy, "it may be read on");
    pair.members.min_index = 600;
    cr_assert_eq(pair_ask_join(&pair, PAIR_SINK, old.copy, QUESTION), 0);
    go_on();
    expect_refused(ERR_BUSY, 0, "a checkpoint is being made");
    cr_assert_eq(pair_copies_there(&pair), 0u);
    pair_change(&pair);
    struct pair_answer new = join(old.copy, QUESTION);
    cr_assert_neq(new.copy, old.copy);
    cr_assert_eq(new.index, 600u);
    cr_assert_eq(pair.copies_len, 2u);
    pair.members.min_index = 700;
    pair_change(&pair);
    cr_assert_eq(join(new.copy, QUESTION).index, 700u, "at once, when a later one can be made");
}

/* A node that was behind has become a patient while a copy was made for it: that one is good for what it holds, and said to be so
 * only to whom was admitted. */
Test(rebuild_join, a_copy_for_a_node_that_was_behind_is_not_taken_for_a_patients)
{
    cr_assert_eq(pair_ask_open(&pair, PAIR_SINK, 0), 0);
    pair.members.min_index = 501;
    cr_assert_eq(pair_ask_join(&pair, PAIR_SINK, 0, QUESTION), 0);
    pair_step(&pair);
    expect_refused(ERR_BUSY, 0, "an older copy is being made");
    sim_disk_complete_all(pair.source_disk);
    cr_assert_eq(pair_take_answer(&pair).question, 0u, "it is announced to the node as it was");
    cr_assert_eq(pair_ask_join(&pair, PAIR_SINK, 0, QUESTION), 0);
    go_on();
    expect_refused(ERR_BUSY, 0, "a checkpoint is being made");
    pair.members.min_index = 500;
    (void)join(0, QUESTION);
}

/* It would be like us. */
Test(rebuild_join, no_patient_gets_what_is_not_known_to_be_right)
{
    pair.members.unproven = 500;
    cr_assert_eq(pair_ask_join(&pair, PAIR_SINK, 0, QUESTION), 0);
    go_on();
    expect_refused(ERR_BUSY, 0, "the state is being compared with the other nodes' first");
    cr_assert_eq(pair.copies_len, 0u);
    pair.members.unproven = 501;
    struct pair_answer answer = join(0, QUESTION);
    cr_assert_eq(pair.copies_len, 1u);
    pair.members.unproven = 500;
    cr_assert_eq(pair_ask_join(&pair, PAIR_SINK, answer.copy, QUESTION), 0);
    go_on();
    expect_refused(ERR_BUSY, 0, "the state is being compared with the other nodes' first");
    cr_assert_eq(pair_ask_open(&pair, PAIR_SINK, answer.copy), 0);
    pair_step(&pair);
    cr_assert_eq(pair_take_answer(&pair).kind, HOLDFAST__PEER_REBUILD__KIND_OPENED, "one that is behind may need it");
}

/* The copy may hold more than there was when it was asked for. */
Test(rebuild_join, nor_what_has_come_into_the_copy_meanwhile)
{
    pair.members.unproven = 501;
    cr_assert_eq(pair_ask_join(&pair, PAIR_SINK, 0, QUESTION), 0);
    pair_step(&pair);
    pair.stored_index = 600;
    sim_disk_complete_all(pair.source_disk);
    expect_refused(ERR_BUSY, 0, "the state is being compared with the other nodes' first");
}

Test(rebuild_join, a_copy_is_for_the_question_that_was_granted)
{
    pair.members.min_index = 500;
    cr_assert_eq(pair_ask_join(&pair, PAIR_SINK, 0, QUESTION), 0);
    pair_step(&pair); /* Being made. */
    cr_assert_eq(pair_ask_join(&pair, PAIR_SINK, 0, QUESTION + 1), 0);
    sim_disk_complete_all(pair.source_disk);
    cr_assert_eq(pair_take_answer(&pair).question, QUESTION, "that of before; the new one is not admitted yet");
    go_on();
    cr_assert_eq(pair_take_answer(&pair).question, QUESTION + 1);
    cr_assert_eq(pair_ask_open(&pair, PAIR_SINK, 0), 0);
    cr_assert_eq(pair_take_answer(&pair).question, 0u);
}

Test(rebuild_join, one_patient_is_admitted_at_a_time)
{
    pair.members.silent = true;
    cr_assert_eq(pair_ask_join(&pair, PAIR_SINK, 0, QUESTION), 0);
    cr_assert_eq(pair_ask_join(&pair, 77, 0, QUESTION), 0);
    cr_assert_eq(pair.answers.len, 0u, "that one has no connection in this test");
    cr_assert_eq(pair.members.admissions, 1u);
    cr_assert_eq(pair.members.confirms, 1u);
}

/* The log is trimmed behind it, or it is restarted: nothing of that makes it give an old copy. */
Test(rebuild_join, a_restart_in_the_middle_forgets_the_question)
{
    pair.members.silent = true;
    cr_assert_eq(pair_ask_join(&pair, PAIR_SINK, 0, QUESTION), 0);
    pair_restart_source(&pair, PAIR_KILL);
    rebuild_source_confirmed(pair.source, 0);
    cr_assert_eq(pair.copies_len, 0u);
    cr_assert(rebuild_source_idle(pair.source));
}
