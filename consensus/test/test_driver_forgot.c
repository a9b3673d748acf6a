/* A follower that has lost what it acknowledged is found out, and one whose messages come late is not. */

#include <criterion/criterion.h>

#include "../../chaos-tests/sim/sim_disk.h"
#include "cluster.h"
#include "fixture.h"

static uint64_t term_of(const struct fixture *f)
{
    return raft_current_term(&f->driver->raft);
}

/* Node 1 leads; everybody has stored everything up to the index that is given. */
static uint64_t lead(struct fixture *f)
{
    fixture_init(f, 3);
    fixture_lead(f);
    for (int i = 0; i < 5; i++) {
        (void)fixture_submit(f, "x");
        fixture_disk(f);
        fixture_acknowledge(f);
    }
    fixture_forget(f);
    return log_last_index(f->driver->log);
}

/* The index after which the last AppendEntries to node 2 begins, beyond all logs; 0 when there is none such. */
static uint64_t question(const struct fixture *f)
{
    const struct raft_message *asked = fixture_last(f, 2, RAFT_APPEND_ENTRIES);
    bool is = asked != NULL && asked->append_entries.prev_log_index > UINT32_MAX;
    return is ? asked->append_entries.prev_log_index : 0;
}

Test(driver_forgot, an_answer_to_a_question_tells)
{
    struct fixture f;
    uint64_t had = lead(&f);
    cr_assert_eq(fixture_result(&f, 2, term_of(&f), had, had - 3), 0);
    cr_assert_eq(f.forgot, 0u, "a refusal alone proves nothing");
    driver_step(f.driver);
    cr_assert_neq(question(&f), 0u);
    cr_assert_eq(fixture_result(&f, 2, term_of(&f), question(&f), had - 3), 0);
    cr_assert_eq(f.forgot, 1u);
    cr_assert_eq(f.forgot_node, 2u);
    cr_assert_eq(f.forgot_had, had);
    cr_assert_eq(f.forgot_has, had - 3);
    cr_assert(fixture_status(&f).members[1].forgot);
    cr_assert_not(fixture_status(&f).members[2].forgot);
    cr_assert_eq(fixture_result(&f, 2, term_of(&f), question(&f), had - 3), 0);
    cr_assert_eq(f.forgot, 1u, "each question is answered once");
    cr_assert_eq(fixture_result(&f, 2, term_of(&f), 0, had), 0);
    cr_assert_not(fixture_status(&f).members[1].forgot, "it has it again");
    fixture_done(&f);
}

Test(driver_forgot, one_entry_less_is_enough)
{
    struct fixture f;
    uint64_t had = lead(&f);
    cr_assert_eq(fixture_result(&f, 2, term_of(&f), had, had - 1), 0);
    driver_step(f.driver);
    cr_assert_neq(question(&f), 0u);
    cr_assert_eq(fixture_result(&f, 2, term_of(&f) - 1, question(&f), had - 1), 0);
    cr_assert_eq(f.forgot, 0u, "it may have followed somebody else since");
    cr_assert_eq(fixture_result(&f, 2, term_of(&f), question(&f), had - 1), 0);
    cr_assert_eq(f.forgot, 1u);
    fixture_done(&f);
}

Test(driver_forgot, a_refusal_that_comes_late_is_none)
{
    struct fixture f;
    uint64_t had = lead(&f);
    cr_assert_eq(fixture_result(&f, 2, term_of(&f), had, had - 3), 0);
    cr_assert_eq(fixture_result(&f, 2, term_of(&f), had - 1, had - 4), 0);
    driver_step(f.driver);
    uint64_t asked = question(&f);
    cr_assert_neq(asked, 0u);
    cr_assert_eq(fixture_result(&f, 2, term_of(&f), had, had - 3), 0);
    cr_assert_eq(fixture_result(&f, 2, term_of(&f), asked, had), 0);
    cr_assert_eq(fixture_result(&f, 2, term_of(&f), asked, had - 3), 0, "to this question it has said otherwise");
    cr_assert_eq(fixture_result(&f, 2, term_of(&f), asked + 1, had - 3), 0, "this one nobody has asked");
    cr_assert_eq(f.forgot, 0u);
    /* The engine was not told of any of it. */
    fixture_forget(&f);
    uint64_t index = fixture_submit(&f, "y");
    cr_assert_eq(fixture_last(&f, 2, RAFT_APPEND_ENTRIES)->append_entries.prev_log_index, index - 1);
    fixture_done(&f);
}

Test(driver_forgot, it_is_asked_once_a_second)
{
    struct fixture f;
    uint64_t had = lead(&f);
    unsigned questions = 0;
    uint64_t last = 0;
    for (int i = 0; i < 100; i++) {
        f.now_ms += 50;
        cr_assert_eq(fixture_result(&f, 2, term_of(&f), had, had - 3), 0);
        cr_assert_eq(fixture_result(&f, 3, term_of(&f), 0, had), 0);
        fixture_forget(&f);
        driver_step(f.driver);
        if (question(&f) != 0) {
            cr_assert_gt(question(&f), last);
            last = question(&f);
            questions++;
        }
    }
    cr_assert(questions >= 4 && questions <= 6, "%u", questions);
    fixture_done(&f);
}

/* Between drivers: node 3 is started again with the log that it had a while ago. */
Test(driver_forgot, a_log_that_was_put_back_is_noticed)
{
    static struct cluster c;
    cluster_init(&c);
    uint64_t leader = cluster_elect(&c);
    uint64_t other = leader == 1 ? 2 : 1;
    cluster_submit(&c, leader, 20);
    struct sim_disk *before = sim_disk_clone(c.nodes[other].disk);
    cluster_submit(&c, leader, 20);
    uint64_t had = cluster_status(&c, other).log_stored;
    cluster_close(&c, other);
    sim_disk_free(c.nodes[other].disk);
    c.nodes[other].disk = before;
    cluster_open(&c, other);
    uint64_t has = cluster_status(&c, other).log_last;
    cr_assert_lt(has, had);
    cluster_run(&c, 1000);
    cr_assert_eq(cluster_elect(&c), leader);
    cr_assert_gt(c.nodes[leader].forgot, 0u);
    cr_assert_leq(c.nodes[leader].forgot, 2u);
    cr_assert_eq(c.nodes[leader].forgot_node, other);
    cluster_done(&c);
}

/* A node that only restarts has all it had, whatever is lost on the way. */
Test(driver_forgot, a_restart_is_nothing)
{
    static struct cluster c;
    cluster_init(&c);
    uint64_t leader = cluster_elect(&c);
    uint64_t other = leader == 1 ? 2 : 1;
    for (int i = 0; i < 20; i++) {
        cluster_submit(&c, leader, 20);
        sim_disk_crash_losing_all(c.nodes[other].disk);
        cluster_close(&c, other);
        cluster_submit(&c, leader, 20);
        cluster_open(&c, other);
        cluster_run(&c, 200);
        leader = cluster_elect(&c);
        other = leader == 1 ? 2 : 1;
    }
    for (uint64_t id = 1; id <= CLUSTER_NODES; id++) {
        cr_assert_eq(c.nodes[id].forgot, 0u);
    }
    cluster_done(&c);
}

/* Node 3 has begun anew, with a copy from before what it had acknowledged: it votes nowhere, and gets what it lacks. */
Test(driver_forgot, a_node_without_a_vote_gets_it_again)
{
    struct fixture f;
    uint64_t index;
    const char *why;
    struct driver_change change = {.kind = DRIVER_DEMOTE, .node = 2};
    (void)lead(&f);
    cr_assert_eq(driver_change(f.driver, &change, &index, &why), 0);
    fixture_disk(&f);
    fixture_acknowledge(&f);
    uint64_t had = log_last_index(f.driver->log);
    fixture_forget(&f);
    cr_assert_eq(fixture_result(&f, 2, term_of(&f), had, had - 4), 0);
    driver_step(f.driver);
    cr_assert_neq(question(&f), 0u);
    cr_assert_eq(fixture_result(&f, 2, term_of(&f), question(&f), had - 4), 0);
    cr_assert_eq(f.forgot, 0u);
    cr_assert_not(fixture_status(&f).members[1].forgot);
    fixture_forget(&f);
    driver_step(f.driver);
    const struct raft_message *fed = fixture_last(&f, 2, RAFT_APPEND_ENTRIES);
    cr_assert_not_null(fed);
    cr_assert_eq(fed->append_entries.prev_log_index, had - 4);
    cr_assert_eq(fed->append_entries.n_entries, 4u);
    cr_assert_eq(fixture_result(&f, 2, term_of(&f), 0, had), 0);
    fixture_forget(&f);
    index = fixture_submit(&f, "y");
    fed = fixture_last(&f, 2, RAFT_APPEND_ENTRIES);
    cr_assert_eq(fed->append_entries.prev_log_index, had);
    cr_assert_eq(fed->append_entries.n_entries, 1u, "the engine goes on");
    driver_step(f.driver);
    f.now_ms += 50;
    fixture_forget(&f);
    driver_step(f.driver);
    fed = fixture_last(&f, 2, RAFT_APPEND_ENTRIES);
    cr_assert(fed == NULL || fed->append_entries.prev_log_index >= had);
    fixture_done(&f);
}
