/* A follower whose entries are gone goes on from a copy of the leader's state, whatever the leader does meanwhile. */

#include <criterion/criterion.h>

#include "cluster.h"
#include "fixture.h"

/* More than what is kept behind a checkpoint in any case. */
#define MANY (DRIVER_TRAILING_MIN + 300u)
/* Within so long a node that has been opened is to have caught up: the leader may be waiting for the snapshot that it has
 * offered, and the next heartbeat sets it right. */
#define SOON_MS (2 * CLUSTER_ELECTION_MS + 4 * CLUSTER_HEARTBEAT_MS)

/* A leader, a node that follows, and one that has been down for so long that its entries are gone. */
struct scene {
    struct cluster c;
    uint64_t leader;
    uint64_t other;
    uint64_t behind;
};

static void set(struct scene *s)
{
    cluster_init(&s->c);
    s->leader = cluster_elect(&s->c);
    s->behind = s->leader % CLUSTER_NODES + 1;
    s->other = s->behind % CLUSTER_NODES + 1;
    cluster_submit(&s->c, s->leader, 20);
    cluster_close(&s->c, s->behind);
    cluster_submit(&s->c, s->leader, MANY);
    cluster_checkpoint(&s->c, s->leader);
    cluster_checkpoint(&s->c, s->other);
    cr_assert_gt(cluster_status(&s->c, s->leader).log_first, 22u);
}

static void set_told(struct scene *s)
{
    set(s);
    cluster_open(&s->c, s->behind);
    cluster_run(&s->c, 1000);
    cr_assert_gt(s->c.nodes[s->behind].behind, 0u);
}

/* The node is closed, and opened upon the copy that `from` has made before. */
static void rejoin(struct scene *s, uint64_t from)
{
    cluster_close(&s->c, s->behind);
    cluster_copy(&s->c, from, s->behind);
    cluster_open(&s->c, s->behind);
}

static void expect_caught_up(struct scene *s)
{
    const struct cluster_node *leader = &s->c.nodes[s->leader];
    const struct cluster_node *behind = &s->c.nodes[s->behind];
    cr_assert_eq(cluster_status(&s->c, s->behind).applied_index, cluster_status(&s->c, s->leader).applied_index);
    cr_assert_eq(behind->now.digest, leader->now.digest, "the replicas differ");
    cr_assert_eq(behind->behind, 0u);
    cr_assert_not(behind->driver->raft.snapshot.installing);
    struct driver_status status = cluster_status(&s->c, s->leader);
    for (unsigned i = 0; i < status.members_len; i++) {
        cr_assert_not(status.members[i].needs_rebuild);
    }
}

/* Its vote counts, in both senses: without the third node entries are committed, and a leader is elected. */
static void expect_full_member(struct scene *s)
{
    cluster_close(&s->c, s->other);
    cluster_submit(&s->c, s->leader, 10);
    cluster_run(&s->c, 2 * CLUSTER_HEARTBEAT_MS);
    expect_caught_up(s);
    s->c.nodes[s->leader].cut_off = true;
    cluster_open(&s->c, s->other);
    uint64_t next = cluster_elect(&s->c);
    cluster_submit(&s->c, next, 10);
    s->c.nodes[s->leader].cut_off = false;
    cluster_run(&s->c, 1000);
    s->leader = cluster_elect(&s->c);
    cluster_submit(&s->c, s->leader, 1);
    cluster_run(&s->c, 2 * CLUSTER_HEARTBEAT_MS);
    expect_caught_up(s);
    cr_assert_eq(s->c.nodes[s->other].now.digest, s->c.nodes[s->leader].now.digest);
}

Test(driver_rebuild, a_node_that_is_behind_is_told_so_again_and_again)
{
    static struct scene s;
    set(&s);
    cluster_open(&s.c, s.behind);
    const struct cluster_node *node = &s.c.nodes[s.behind];
    cluster_run(&s.c, CLUSTER_HEARTBEAT_MS);
    cr_assert_gt(node->offers, 0u);
    cr_assert_eq(node->behind, 0u, "the leader may not know yet where this log ends");
    cluster_run(&s.c, 2 * CLUSTER_ELECTION_MS);
    cr_assert_gt(node->behind, 0u);
    cr_assert_eq(node->behind_leader, s.leader);
    unsigned before = node->behind;
    cluster_run(&s.c, 1000);
    cr_assert_gt(node->behind, before);
    cr_assert_eq(cluster_status(&s.c, s.behind).leader, s.leader, "it follows all the same");
    cluster_done(&s.c);
}

/* The engine waits for a snapshot that it has offered, and is deaf when another checkpoint has been made since. */
Test(driver_rebuild, it_is_told_while_the_leader_goes_on_making_checkpoints)
{
    static struct scene s;
    set_told(&s);
    for (int i = 0; i < 4; i++) {
        cluster_submit(&s.c, s.leader, 5);
        cluster_checkpoint(&s.c, s.leader);
        unsigned before = s.c.nodes[s.behind].behind;
        cluster_run(&s.c, 1500);
        cr_assert_gt(s.c.nodes[s.behind].behind, before, "round %d", i);
    }
    cluster_done(&s.c);
}

Test(driver_rebuild, with_the_present_checkpoint_it_goes_on_at_the_next_heartbeat)
{
    static struct scene s;
    set_told(&s);
    cluster_submit(&s.c, s.leader, 10);
    rejoin(&s, s.leader);
    cluster_run(&s.c, 2 * CLUSTER_HEARTBEAT_MS);
    expect_caught_up(&s);
    cr_assert_eq(s.c.nodes[s.behind].offers, 0u);
    cr_assert_eq(s.c.nodes[s.behind].refusals, 0u);
    expect_full_member(&s);
    cluster_done(&s.c);
}

/* The copy is of before the leader's present checkpoint, which is the one that it has offered. */
Test(driver_rebuild, with_an_older_checkpoint_whose_entries_are_held_too)
{
    static struct scene s;
    set_told(&s);
    cluster_copy(&s.c, s.leader, (cluster_close(&s.c, s.behind), s.behind));
    driver_hold(s.c.nodes[s.leader].driver, s.c.nodes[s.leader].checkpoint.index);
    cluster_submit(&s.c, s.leader, MANY);
    cluster_checkpoint(&s.c, s.leader);
    cluster_submit(&s.c, s.leader, 10);
    cluster_open(&s.c, s.behind);
    cluster_run(&s.c, SOON_MS);
    expect_caught_up(&s);
    expect_full_member(&s);
    cluster_done(&s.c);
}

/* The node is closed for a moment only, so that the leader still waits for what it offered: at the checkpoint that was copied,
 * or at a later one, with another made after it or not. */
static void return_at_once(bool told_after_copy, unsigned checkpoints_after)
{
    static struct scene s;
    set_told(&s);
    struct cluster_node *leader = &s.c.nodes[s.leader];
    struct cluster_state copy = leader->checkpoint;
    copy.position = slice_ref(copy.position);
    driver_hold(leader->driver, copy.index);
    if (told_after_copy) {
        cluster_submit(&s.c, s.leader, MANY);
        cluster_checkpoint(&s.c, s.leader);
        cluster_run(&s.c, 1000);
    }
    for (unsigned i = 0; i < checkpoints_after; i++) {
        cluster_submit(&s.c, s.leader, MANY);
        cluster_checkpoint(&s.c, s.leader);
    }
    cr_assert_leq(cluster_status(&s.c, s.leader).log_first, copy.index);
    struct cluster_state present = leader->checkpoint;
    leader->checkpoint = copy;
    rejoin(&s, s.leader);
    leader->checkpoint = present;
    slice_unref(&copy.position);
    cluster_run(&s.c, SOON_MS);
    expect_caught_up(&s);
    driver_hold(leader->driver, UINT64_MAX);
    expect_full_member(&s);
    cluster_done(&s.c);
}

Test(driver_rebuild, while_the_leader_waits_at_the_checkpoint_that_was_copied)
{
    return_at_once(false, 0);
    return_at_once(false, 1);
    return_at_once(false, 2);
}

Test(driver_rebuild, while_the_leader_waits_at_a_later_checkpoint)
{
    return_at_once(true, 0);
    return_at_once(true, 1);
    return_at_once(true, 2);
}

/* Who leads by then has made its own checkpoints: an older one than the copy, or a later one. */
static void return_to_another_leader(bool later)
{
    static struct scene s;
    set_told(&s);
    cluster_submit(&s.c, s.leader, MANY);
    if (later) {
        driver_hold(s.c.nodes[s.other].driver, cluster_status(&s.c, s.leader).applied_index);
        cluster_checkpoint(&s.c, s.leader);
        cluster_submit(&s.c, s.leader, MANY);
        cluster_checkpoint(&s.c, s.other);
    } else {
        cluster_checkpoint(&s.c, s.leader);
    }
    uint64_t source = s.leader;
    s.c.nodes[source].cut_off = true;
    cluster_run(&s.c, 4 * CLUSTER_ELECTION_MS);
    rejoin(&s, source);
    s.leader = cluster_elect(&s.c);
    cr_assert_eq(s.leader, s.other, "it alone has everything");
    cluster_run(&s.c, SOON_MS);
    expect_caught_up(&s);
    s.c.nodes[source].cut_off = false;
    cluster_run(&s.c, 1000);
    s.other = source;
    s.leader = cluster_elect(&s.c);
    expect_full_member(&s);
    cluster_done(&s.c);
}

Test(driver_rebuild, the_next_leader_has_an_older_checkpoint_than_the_copy)
{
    return_to_another_leader(false);
}

Test(driver_rebuild, the_next_leader_has_a_later_checkpoint_than_the_copy)
{
    return_to_another_leader(true);
}

/* A node that has rejoined has nothing before its copy: others may be behind that, and get theirs from it. */
Test(driver_rebuild, a_node_that_has_rejoined_is_a_source_itself)
{
    static struct scene s;
    set_told(&s);
    rejoin(&s, s.leader);
    cluster_run(&s.c, SOON_MS);
    expect_caught_up(&s);
    uint64_t last = s.other;
    cluster_close(&s.c, last);
    cluster_submit(&s.c, s.leader, MANY);
    cluster_checkpoint(&s.c, s.behind);
    cluster_run(&s.c, 2 * CLUSTER_HEARTBEAT_MS);
    cluster_copy(&s.c, s.behind, last);
    s.c.nodes[s.leader].cut_off = true;
    cluster_open(&s.c, last);
    uint64_t source = s.behind;
    s.behind = last;
    s.other = s.leader;
    s.leader = cluster_elect(&s.c);
    cr_assert_eq(s.leader, source);
    cluster_run(&s.c, SOON_MS);
    expect_caught_up(&s);
    s.c.nodes[s.other].cut_off = false;
    cluster_run(&s.c, 1000);
    expect_full_member(&s);
    cluster_done(&s.c);
}

/* Without the log after it a copy is worth nothing, and the next one is needed. */
Test(driver_rebuild, without_what_is_held_it_is_behind_again)
{
    static struct scene s;
    set_told(&s);
    struct cluster_state copy = s.c.nodes[s.leader].checkpoint;
    copy.position = slice_ref(copy.position);
    for (int i = 0; i < 2; i++) {
        cluster_submit(&s.c, s.leader, MANY);
        cluster_checkpoint(&s.c, s.leader);
    }
    cr_assert_gt(cluster_status(&s.c, s.leader).log_first, copy.index + 1);
    struct cluster_state present = s.c.nodes[s.leader].checkpoint;
    s.c.nodes[s.leader].checkpoint = copy;
    rejoin(&s, s.leader);
    s.c.nodes[s.leader].checkpoint = present;
    slice_unref(&copy.position);
    cluster_run(&s.c, 4 * CLUSTER_ELECTION_MS);
    cr_assert_gt(s.c.nodes[s.behind].behind, 0u);
    rejoin(&s, s.leader);
    cluster_run(&s.c, SOON_MS);
    expect_caught_up(&s);
    cluster_done(&s.c);
}

Test(driver_rebuild, what_is_held_stays_and_goes_when_it_is_not_held_any_more)
{
    static struct scene s;
    set(&s);
    struct driver *driver = s.c.nodes[s.leader].driver;
    uint64_t index = s.c.nodes[s.leader].checkpoint.index;
    driver_hold(driver, index);
    cr_assert_eq(driver_held_bytes(driver), 0u, "it would be there anyway");
    uint64_t before = 0;
    for (int i = 0; i < 3; i++) {
        cluster_submit(&s.c, s.leader, MANY);
        cluster_checkpoint(&s.c, s.leader);
        cr_assert_leq(cluster_status(&s.c, s.leader).log_first, index);
        cr_assert_gt(driver_held_bytes(driver), before);
        before = driver_held_bytes(driver);
    }
    uint64_t all = log_bytes_from(driver_log(driver), index);
    cr_assert_lt(driver_held_bytes(driver), all);
    cr_assert_gt(driver_held_bytes(driver), all - log_bytes_from(driver_log(driver), index + 2 * MANY));

    uint64_t first = cluster_status(&s.c, s.leader).log_first;
    driver_hold(driver, UINT64_MAX);
    cr_assert_eq(driver_held_bytes(driver), 0u);
    cr_assert_eq(cluster_status(&s.c, s.leader).log_first, first);
    driver_hold(driver, index);
    cr_assert_eq(driver_held_bytes(driver), before, "nothing has gone yet");
    driver_hold(driver, UINT64_MAX);
    cluster_submit(&s.c, s.leader, 1);
    cluster_checkpoint(&s.c, s.leader);
    cr_assert_gt(cluster_status(&s.c, s.leader).log_first, index + MANY);

    driver_hold(driver, 1);
    cr_assert_lt(driver_held_bytes(driver), 16 * KIB,
                 "what has gone does not come back, but for the rest of a segment");
    cluster_submit(&s.c, s.leader, MANY);
    cluster_checkpoint(&s.c, s.leader);
    cr_assert_gt(driver_held_bytes(driver), 0u);
    cluster_done(&s.c);
}

/* A follower with entries 2 and 3 of term 2, both stored, and 2 committed. */
static void follow(struct fixture *f)
{
    fixture_init(f, 3);
    struct log_entry entries[] = {fixture_entry(2, "a"), fixture_entry(2, "b")};
    cr_assert_eq(fixture_append(f, 2, 2, 1, 1, 2, entries, 2), 0);
    fixture_disk(f);
    driver_step(f->driver);
    cr_assert_eq(f->applied_len, 1u);
}

Test(driver_rebuild, what_a_log_lacks)
{
    struct fixture f;
    follow(&f);
    cr_assert(driver_lacks(f.driver, 4, 2), "it ends before");
    cr_assert(driver_lacks(f.driver, 3, 3), "it has another");
    cr_assert_not(driver_lacks(f.driver, 3, 2), "it has it");
    cr_assert_not(driver_lacks(f.driver, 2, 2), "it is committed");
    cr_assert_not(driver_lacks(f.driver, 1, 1));
    fixture_done(&f);
}

Test(driver_rebuild, what_is_in_the_checkpoint_alone_is_not_lacking)
{
    static struct scene s;
    set_told(&s);
    rejoin(&s, s.leader);
    const struct driver *driver = s.c.nodes[s.behind].driver;
    uint64_t index = s.c.nodes[s.behind].checkpoint.index;
    uint64_t term = cluster_status(&s.c, s.leader).term;
    cr_assert_eq(cluster_status(&s.c, s.behind).log_first, index + 1);
    cr_assert_not(driver_lacks(driver, index, term));
    cr_assert_not(driver_lacks(driver, index - 1, term));
    cr_assert_not(driver_lacks(driver, 1, 1));
    cr_assert(driver_lacks(driver, index + 1, term));
    driver = s.c.nodes[s.leader].driver;
    cr_assert_not(driver_lacks(driver, 1, 1), "its log begins later");
    cluster_done(&s.c);
}

/* A leader that has an older checkpoint than ours, and does not know yet where our log begins. */
Test(driver_rebuild, a_snapshot_older_than_our_checkpoint_is_not_needed)
{
    static struct scene s;
    set_told(&s);
    rejoin(&s, s.leader);
    cr_assert_eq(s.c.nodes[s.leader].checkpoint.index, s.c.nodes[s.behind].checkpoint.index);
    uint64_t index = s.c.nodes[s.behind].checkpoint.index;
    struct raft_install_snapshot install = {
        .term = cluster_status(&s.c, s.leader).term, .last_index = index - 1, .conf_index = 1};
    install.last_term = install.term;
    const struct driver *driver = s.c.nodes[s.behind].driver;
    cr_assert(driver_rebuild_needless(driver, &install));
    install.last_index = index;
    cr_assert(driver_rebuild_needless(driver, &install));
    install.last_index = index + 1;
    cr_assert_not(driver_rebuild_needless(driver, &install));
    cluster_done(&s.c);
}
