/* What a shard's host hears of the membership: when the turn is over, once, and not before it is so. */

#include <criterion/criterion.h>
#include <string.h>

#include "members_fixture.h"
#include "node/core/shard_private.h"

static struct three three;
static unsigned changed[THREE + 1]; /* By node. */
static unsigned removed[THREE + 1];
static unsigned voting[THREE + 1];

static void on_changed(void *arg)
{
    const struct three_node *node = arg;
    cr_assert_not(core_of(arg)->in_turn);
    changed[node->id]++;
}

static void on_removed(void *arg)
{
    const struct three_node *node = arg;
    cr_assert_not(core_of(arg)->in_turn);
    removed[node->id]++;
}

static void on_voting(void *arg)
{
    const struct three_node *node = arg;
    struct driver_status status;
    driver_status(shard_driver(node->shard), &status);
    cr_assert_eq(status.change_index, 0u, "the change may be taken back");
    cr_assert_geq(status.applied_index, status.members_index);
    cr_assert_str_eq(standing_of(arg, node->id), "voter");
    voting[node->id]++;
}

static void setup(void)
{
    struct shard_options options = {.members_changed = on_changed, .removed = on_removed, .voting = on_voting};
    memset(changed, 0, sizeof changed);
    memset(removed, 0, sizeof removed);
    memset(voting, 0, sizeof voting);
    three_start(&three, &options);
    three_wait(&three, THREE_PRESENCE_MS / 5);
}

static void teardown(void)
{
    three_stop(&three);
}

TestSuite(shard_members, .init = setup, .fini = teardown);

static const struct peer *known_peer(struct three_node *at, uint64_t node)
{
    return peers_find(core_of(at)->options.peers, node);
}

Test(shard_members, each_change_is_told_once)
{
    unsigned before[THREE + 1];
    memcpy(before, changed, sizeof before);
    make_change(&three, three.leader, GATEWAY_ADD, 4);
    three_wait(&three, 200);
    for (unsigned i = 1; i <= THREE; i++) {
        cr_assert_eq(changed[i], before[i] + 1, "node %u: %u", i, changed[i]);
        cr_assert_eq(removed[i], 0u);
        cr_assert_eq(voting[i], 0u, "it has not asked for it");
    }
}

Test(shard_members, one_that_is_removed_hears_it_once_and_the_others_forget_it)
{
    struct three_node *b = three.b;
    cr_assert_not_null(known_peer(three.leader, b->id));
    make_change(&three, three.leader, GATEWAY_REMOVE, b->id);
    three_wait(&three, 500);
    cr_assert_eq(removed[b->id], 1u);
    cr_assert_eq(removed[three.leader->id] + removed[three.a->id], 0u);
    cr_assert_null(known_peer(three.leader, b->id));
    cr_assert_null(known_peer(three.a, b->id));
    cr_assert_not_null(known_peer(b, b->id), "where its own clients reach it");
}

Test(shard_members, one_that_is_to_vote_again_says_so_until_it_does)
{
    struct three_node *b = three.b;
    cr_assert(shard_votes(b->shard));
    make_change(&three, three.leader, GATEWAY_DEMOTE, b->id);
    three_wait(&three, 100);
    cr_assert_not(shard_votes(b->shard));
    three_crash(b);
    b->options.wants_vote = true;
    three_restart(b);
    three_swallow(b, three.leader, true); /* Nobody hears it. */
    three_wait(&three, 2 * THREE_PRESENCE_MS / 5);
    cr_assert_eq(voting[b->id], 0u);
    cr_assert_not(shard_votes(b->shard));
    three_swallow(b, three.leader, false);
    three_wait(&three, 2000);
    cr_assert(shard_votes(b->shard));
    cr_assert_eq(voting[b->id], 1u);
    make_change(&three, three.leader, GATEWAY_DEMOTE, b->id);
    three_wait(&three, 2000);
    cr_assert_not(shard_votes(b->shard), "an operator's wish is not undone");
}

/* An operator's order was withdrawn: it takes part with what it has, and in that it votes. That it was taken out of the votes for
 * the copy it has not heard yet. */
Test(shard_members, one_that_comes_back_with_what_it_had_is_not_left_without_a_vote)
{
    struct three_node *b = three.b;
    three_crash(b);
    make_change(&three, three.leader, GATEWAY_DEMOTE, b->id);
    b->options.wants_vote = true;
    three_restart(b);
    cr_assert(shard_votes(b->shard), "its log ends before that");
    three_step(b);
    cr_assert_eq(voting[b->id], 0u);
    three_wait(&three, 3000);
    expect_standing(&three, b->id, "voter");
    cr_assert_eq(voting[b->id], 1u);
}

/* The leader may still want to take it out of the votes, as long as it remembers that it asked for a copy. */
Test(shard_members, one_that_never_lost_its_vote_says_so_when_it_cannot_lose_it_any_more)
{
    struct three_node *b = three.b;
    three_crash(b);
    b->options.wants_vote = true;
    three_restart(b);
    three_isolate(b);
    three_wait(&three, 2 * MEMBERS_WISH_MS);
    cr_assert_eq(voting[b->id], 0u, "it knows no leader");
    three_heal(b);
    three_wait(&three, 1000);
    cr_assert_eq(voting[b->id], 1u);

    three_crash(b);
    three_restart(b);
    three_wait(&three, MEMBERS_WISH_MS - 1000);
    cr_assert_eq(voting[b->id], 1u);
    make_change(&three, three.leader, GATEWAY_DEMOTE, b->id);
    three_wait(&three, 3000);
    expect_standing(&three, b->id, "voter");
    cr_assert_eq(voting[b->id], 2u);
}

Test(shard_members, one_whose_connection_has_ended_is_not_counted_on)
{
    struct asked asked;
    three_cut(three.leader, three.a);
    ask_change(three.leader, &asked, GATEWAY_DEMOTE, three.b->id);
    three_step(three.leader);
    expect_answer(&asked, ERR_BUSY, "no majority is there");
}

static unsigned ends;

static void on_fatal(void *arg, int err, const char *what)
{
    (void)arg;
    cr_assert_eq(err, ERR_CORRUPT);
    cr_assert_str_eq(what, "its log is damaged");
    ends++;
}

Test(shard_members, damage_ends_a_process_whose_host_cannot_begin_anew)
{
    struct shard *shard = three.a->shard;
    ends = 0;
    shard->options.fatal = on_fatal;
    shard->options.damaged = NULL;
    shard_damaged(shard, "its log is damaged");
    cr_assert_eq(ends, 1u);
}
