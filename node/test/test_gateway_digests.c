/* Replicas that differ, in a cluster of three: the one that is wrong is told; with two, nobody serves. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "node/core/gateway.h"
#include "proto/base/fault.h"
#include "three_nodes.h"

static struct three three;
static struct client one;
static struct told {
    unsigned times;
    char text[200];
} told[THREE];

static void on_diverged(void *arg, const char *what)
{
    (void)arg;
    for (unsigned i = 0; i < THREE; i++) {
        struct three_node *node = &three.nodes[i];
        struct gateway_core *core = node->shard == NULL ? NULL : gateway_core_of(node->home.gateway);
        if (core != NULL && (core->digests.text == what || core->states.text == what)) {
            told[i].times++;
            (void)snprintf(told[i].text, sizeof told[i].text, "%s", what);
        }
    }
}

static struct gateway_core *core_of(const struct three_node *node)
{
    return gateway_core_of(node->home.gateway);
}

static void watch(void)
{
    for (unsigned i = 0; i < THREE; i++) {
        if (three.nodes[i].shard != NULL) {
            core_of(&three.nodes[i])->options.diverged = on_diverged;
        }
    }
}

static void setup(void)
{
    struct shard_options options = {.checkpoint_len = 64 * KIB, .disk_free_min = 0};
    fault_reset();
    three_start(&three, &options);
    watch();
    client_init(&one, &three.leader->home, 1);
    client_ready(&one);
}

static void teardown(void)
{
    fault_reset();
    client_done(&one);
    three_stop(&three);
}

TestSuite(gateway_digests, .init = setup, .fini = teardown);

static uint64_t running(const struct three_node *node)
{
    return machine_running_digest(shard_machine(node->shard));
}

static void publish(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        cr_assert_eq(client_publish(&one, "q", "text"), 0);
        three_settle(&three);
    }
}

/* The replica that is the `nth` to apply a publish does it wrongly. Gives that node. */
static struct three_node *diverge(uint64_t nth)
{
    fault_set_nth(FAULT_DIVERGE, nth);
    publish(1);
    three_wait(&three, 2 * THREE_HEARTBEAT_MS); /* Nodes without clients hear later of what is committed. */
    for (unsigned i = 0; i < THREE; i++) {
        unsigned alike = 0;
        for (unsigned k = 0; k < THREE; k++) {
            alike += three.nodes[k].shard != NULL && three.nodes[i].shard != NULL &&
                     running(&three.nodes[k]) == running(&three.nodes[i]);
        }
        if (alike == 1) {
            return &three.nodes[i];
        }
    }
    cr_assert_fail("nobody differs");
    return NULL;
}

static bool serves(struct three_node *node)
{
    struct client other;
    client_init(&other, &node->home, 9);
    int err = client_attach_only(&other, false, 0);
    three_settle(&three);
    client_done(&other);
    three_settle(&three);
    return err == 0;
}

Test(gateway_digests, replicas_that_agree_find_so)
{
    publish(300);
    three_wait(&three, 5000);
    for (unsigned i = 0; i < THREE; i++) {
        cr_assert_eq(core_of(&three.nodes[i])->digests.equal_at, core_of(&three.nodes[i])->applied_index);
        cr_assert_str_eq(gateway_digests_alarm(core_of(&three.nodes[i])), "");
        cr_assert_eq(told[i].times, 0u);
    }
}

Test(gateway_digests, a_follower_that_is_wrong_is_told_and_serves_no_more)
{
    publish(10);
    three_wait(&three, 2000);
    struct three_node *bad = diverge(1);
    cr_assert_neq(bad, three.leader);
    three_wait(&three, 4000);
    cr_assert_eq(told[bad->id - 1].times, 1u);
    cr_assert_neq(strstr(told[bad->id - 1].text, "the state differs from the majority's at entry"), NULL);
    cr_assert_not(serves(bad));
    cr_assert(serves(three.leader));
    cr_assert_eq(told[three.leader->id - 1].times, 0u);
    char text[100];
    (void)snprintf(text, sizeof text, "the state of node %u differs", (unsigned)bad->id);
    cr_assert_neq(strstr(gateway_digests_alarm(core_of(three.leader)), text), NULL);
    unsigned replies = one.replies;
    publish(1);
    cr_assert_eq(one.replies, replies + 1, "the others go on");
}

/* Under load there is no moment in which the log stands still. */
Test(gateway_digests, a_difference_shows_under_load)
{
    publish(10);
    struct three_node *bad = diverge(1);
    for (unsigned i = 0; i < 600; i++) {
        publish(1);
        three_wait(&three, 10);
    }
    cr_assert_eq(told[bad->id - 1].times, 1u);
}

Test(gateway_digests, a_leader_that_is_wrong_takes_no_commands)
{
    publish(10);
    three_wait(&three, 2000);
    struct three_node *bad = diverge(0);
    cr_assert_eq(bad, three.leader);
    three_wait(&three, 4000);
    cr_assert_eq(told[bad->id - 1].times, 1u);
    client_expect_detached(&one, ERR_UNAVAILABLE);
    uint64_t applied = core_of(bad)->applied_index;
    cr_assert_eq(told[three.a->id - 1].times + told[three.b->id - 1].times, 0u);
    cr_assert(serves(three.a), "its clients wait until another leads");
    three_wait(&three, 500);
    cr_assert_eq(core_of(bad)->applied_index, applied);
}

Test(gateway_digests, two_that_differ_do_not_serve_until_the_third_tells)
{
    publish(10);
    three_wait(&three, 2000);
    struct client other; /* Its lease runs. */
    client_init(&other, &three.leader->home, 2);
    client_attach(&other);
    client_done(&other);
    three_wait(&three, 100);
    uint64_t sessions = machine_sessions_len(shard_machine(three.leader->shard));
    struct three_node *third = three.b;
    three_crash(third);
    three_wait(&three, 100);
    struct three_node *follower = three.a;
    fault_set_nth(FAULT_DIVERGE, 1);
    publish(1);
    three_wait(&three, 2 * THREE_HEARTBEAT_MS);
    cr_assert_neq(running(follower), running(three.leader));
    three_wait(&three, 6000);
    cr_assert_not(serves(three.leader));
    cr_assert_not(serves(follower));
    client_expect_detached(&one, ERR_UNAVAILABLE);
    cr_assert_eq(told[follower->id - 1].times, 0u, "nobody knows");
    three_wait(&three, 2 * LEASE_MS_DEFAULT);
    cr_assert_eq(machine_sessions_len(shard_machine(three.leader->shard)), sessions, "it could not come back");

    /* An operator may have one of them repaired: a copy for it may wait for an entry, and gets one without commands. */
    uint64_t applied = core_of(three.leader)->applied_index;
    size_t unanswered = shard_unanswered(three.leader->shard);
    cr_assert_gt(unanswered, 0u);
    gateway_core_tick(core_of(three.leader));
    three_wait(&three, 1000);
    cr_assert_eq(core_of(three.leader)->applied_index, applied + 1);
    cr_assert_eq(shard_unanswered(three.leader->shard), unanswered);

    three_restart(third);
    watch();
    three_wait(&three, 6000);
    cr_assert_eq(told[follower->id - 1].times, 1u);
    cr_assert_eq(told[three.leader->id - 1].times, 0u);
    cr_assert_not(serves(follower));
    cr_assert(serves(three.leader));
    cr_assert(serves(third));
}

/* The running digest says nothing of it: nobody has been told of what is wrong. */
Test(gateway_digests, what_has_not_come_out_yet_shows_in_the_state)
{
    publish(10);
    three_wait(&three, 2000);
    fault_set_nth(FAULT_DIVERGE_QUIETLY, 2);
    publish(1);
    three_wait(&three, 4000);
    for (unsigned i = 0; i < THREE; i++) {
        cr_assert_eq(told[i].times, 0u);
        cr_assert_eq(running(&three.nodes[i]), running(three.leader));
    }
    publish(1100);
    three_wait(&three, 4000);
    unsigned times = 0;
    for (unsigned i = 0; i < THREE; i++) {
        times += told[i].times;
        cr_assert_eq(serves(&three.nodes[i]), told[i].times == 0);
        cr_assert_neq(gateway_digests_alarm(core_of(&three.nodes[i]))[0], '\0');
    }
    cr_assert_eq(times, 1u);
    cr_assert_eq(told[three.leader->id - 1].times, 0u);
}

/* The running digest goes on from the checkpoint, and from the log after it. */
Test(gateway_digests, a_restart_changes_nothing)
{
    publish(400);
    three_wait(&three, 6000); /* Nodes that are idle make a checkpoint. */
    struct three_node *node = three.a;
    three_crash(node);
    publish(30);
    three_restart(node);
    cr_assert_gt(core_of(node)->digests.applied_index, 0u, "there was a checkpoint to begin from");
    watch();
    three_wait(&three, 6000);
    cr_assert_eq(running(node), running(three.leader));
    cr_assert_eq(core_of(node)->digests.equal_at, core_of(three.leader)->applied_index);
    for (unsigned i = 0; i < THREE; i++) {
        cr_assert_eq(told[i].times, 0u);
        cr_assert_str_eq(gateway_digests_alarm(core_of(&three.nodes[i])), "");
    }
}

/* ---- Who gets a copy of this state ---- */

/* What has been applied last, and what nobody can have proven. */
#define NOT_YET 1000000u

TestSuite(gateway_digests_give, .init = setup, .fini = teardown);

Test(gateway_digests_give, a_patient_gets_what_a_majority_is_known_to_share)
{
    struct gateway_core *core = core_of(three.leader);
    publish(10);
    three_wait(&three, 3000);
    uint64_t shared = core->applied_index;
    cr_assert(gateway_digests_give(core, shared, true));
    cr_assert(gateway_digests_give(core, shared, false));
    cr_assert_not(gateway_digests_give(core, NOT_YET, true));
    three_wait(&three, 60000);
    cr_assert_not(gateway_digests_give(core, NOT_YET, true), "however long it waits");
}

Test(gateway_digests_give, one_that_is_behind_gets_what_nobody_doubts_after_a_while)
{
    struct gateway_core *core = core_of(three.leader);
    publish(10);
    three_crash(three.a);
    three_restart(three.a);
    core = core_of(three.a); /* It has just begun. */
    uint64_t began_ms = three.a->clock.now_ms;
    cr_assert_not(gateway_digests_give(core, NOT_YET, false), "others may be there soon that can tell");
    three_wait(&three, 4990 - (three.a->clock.now_ms - began_ms));
    cr_assert_not(gateway_digests_give(core, NOT_YET, false));
    three_wait(&three, 10);
    cr_assert(gateway_digests_give(core, NOT_YET, false));
}

Test(gateway_digests_give, nobody_gets_a_state_that_a_voter_contradicts)
{
    publish(10);
    three_wait(&three, 6000);
    struct gateway_core *core = core_of(three.leader);
    uint64_t shared = core->applied_index;
    digests_heard_latest(&core->digests, three.a->id, shared, core->digests.applied_running);
    digests_heard_latest(&core->digests, three.b->id, shared, core->digests.applied_running);
    cr_assert(gateway_digests_give(core, shared, true));
    publish(1);
    digests_heard_latest(&core->digests, three.b->id, core->applied_index, core->digests.applied_running + 1);
    cr_assert(digests_proven(&core->digests, (struct digests_member[]){{1, true}, {2, true}, {3, true}}, 3, shared));
    cr_assert_not(gateway_digests_give(core, shared, true));
    cr_assert_not(gateway_digests_give(core, shared, false));
}

Test(gateway_digests_give, nobody_gets_a_state_that_may_be_wrong)
{
    publish(10);
    three_wait(&three, 6000);
    struct gateway_core *core = core_of(three.leader);
    uint64_t shared = core->applied_index;
    cr_assert(gateway_digests_give(core, shared, true));
    core->states.divided = true;
    cr_assert_not(gateway_digests_give(core, shared, true));
    cr_assert_not(gateway_digests_give(core, shared, false));
    core->states.divided = false;
    core->states.diverged_at = shared;
    cr_assert_not(gateway_digests_give(core, shared, true));
}

/* As from a node that is not upgraded yet, or already. */
Test(gateway_digests, states_in_another_format_are_not_compared)
{
    uint64_t index = 7;
    uint64_t value = 8;
    struct gateway_core *core = core_of(three.a);
    Holdfast__Digests digests = HOLDFAST__DIGESTS__INIT;
    digests.state_index = &index;
    digests.state = &value;
    digests.n_state_index = digests.n_state = 1;
    digests.state_format = MACHINE_MEMORY_DIGEST_FORMAT + 1;
    cr_assert_eq(gateway_digests_take(core, three.b->id, &digests), 0);
    cr_assert_eq(core->states.others_len, 0u);
    digests.state_format = MACHINE_MEMORY_DIGEST_FORMAT;
    cr_assert_eq(gateway_digests_take(core, three.b->id, &digests), 0);
    cr_assert_eq(core->states.others_len, 1u);
}

Test(gateway_digests, what_is_malformed_ends_the_connection)
{
    uint64_t values[DIGESTS_KEPT + 1] = {0};
    Holdfast__Digests digests = HOLDFAST__DIGESTS__INIT;
    digests.index = values;
    digests.running = values;
    digests.n_index = 2;
    digests.n_running = 1;
    cr_assert_eq(gateway_digests_take(core_of(three.a), 1, &digests), ERR_BROKEN);
    digests.n_index = DIGESTS_KEPT + 1;
    digests.n_running = DIGESTS_KEPT + 1;
    cr_assert_eq(gateway_digests_take(core_of(three.a), 1, &digests), ERR_BROKEN);
    digests.n_index = DIGESTS_KEPT;
    digests.n_running = DIGESTS_KEPT;
    cr_assert_eq(gateway_digests_take(core_of(three.a), 1, &digests), 0);
    digests.state_index = values;
    digests.state = values;
    digests.n_state_index = 1;
    cr_assert_eq(gateway_digests_take(core_of(three.a), 1, &digests), ERR_BROKEN);
    digests.n_state_index = digests.n_state = DIGESTS_KEPT + 1;
    cr_assert_eq(gateway_digests_take(core_of(three.a), 1, &digests), ERR_BROKEN);
}
