/* Members that are added, promoted, demoted and removed at random, while leaders change, nodes die, lose all they have and come
 * back, and messages are lost or late: no replica differs, no term has two leaders, nothing committed is lost, memberships
 * follow one another one member at a time, and in the end the cluster goes on. */

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../chaos-tests/sim/sim_disk.h"
#include "cluster.h"
#include "proto/base/fault.h"

#define SEEDS 150
#define STEPS 300
#define NODES CLUSTER_NODES_MAX

/* The roles of all nodes, two bits each. */
typedef uint32_t roles;

struct world {
    struct cluster c;
    int seed;
    bool exits;                         /* As the cluster's exit_on_violation. */
    bool patient[NODES + 1];            /* It has nothing, and is down until it gets a copy. */
    roles members[CLUSTER_ENTRIES_MAX]; /* By the index of the CHANGE, as somebody has applied it; 0: nobody has. */
    unsigned changes;
    unsigned copies;
    unsigned removals;
    unsigned losses;
    unsigned rebuilt;
};

static uint64_t roll(struct world *w, uint64_t sides)
{
    return w->c.clock.random(&w->c.clock) % sides;
}

static struct cluster_node *node_of(struct world *w, uint64_t id)
{
    return &w->c.nodes[id];
}

static bool runs(const struct world *w, uint64_t id)
{
    return w->c.nodes[id].driver != NULL;
}

static roles roles_of(const struct raft_configuration *configuration)
{
    roles all = 0;
    for (unsigned i = 0; i < configuration->n; i++) {
        roles role = configuration->servers[i].role == RAFT_VOTER ? 2 : 1;
        all |= role << (2 * configuration->servers[i].id);
    }
    return all;
}

static roles role_in(roles all, uint64_t id)
{
    return all >> (2 * id) & 3;
}

static unsigned voters_in(roles all)
{
    unsigned voters = 0;
    for (uint64_t id = 1; id <= NODES; id++) {
        voters += role_in(all, id) == 2;
    }
    return voters;
}

/* Whoever leads in the latest term; 0: nobody. */
static uint64_t leader_of(const struct world *w)
{
    uint64_t leader = 0;
    uint64_t term = 0;
    for (uint64_t id = 1; id <= NODES; id++) {
        if (runs(w, id) && !w->c.nodes[id].cut_off && cluster_status(&w->c, id).role == DRIVER_LEADER &&
            cluster_status(&w->c, id).term > term) {
            leader = id;
            term = cluster_status(&w->c, id).term;
        }
    }
    return leader;
}

/* What every node has applied is the same membership everywhere. */
static void look(struct world *w)
{
    for (uint64_t id = 1; id <= NODES; id++) {
        if (!runs(w, id) || w->c.nodes[id].driver->applied_configuration.n == 0) {
            continue;
        }
        const struct driver *driver = w->c.nodes[id].driver;
        roles *known = &w->members[driver->applied_configuration_index];
        roles held = roles_of(&driver->applied_configuration);
        cluster_expect(&w->c, *known == 0 || *known == held, "memberships differ");
        *known = held;
    }
}

static void run(struct world *w, uint64_t ms)
{
    for (uint64_t done = 0; done < ms; done += 20) {
        cluster_run(&w->c, 20);
        look(w);
    }
}

static void submit_some(struct world *w)
{
    for (unsigned i = 0; i < 5; i++) {
        for (uint64_t id = 1; id <= NODES; id++) {
            struct slice payload;
            uint64_t index;
            uint64_t term;
            if (!runs(w, id) || !driver_ready(w->c.nodes[id].driver)) {
                continue;
            }
            w->c.submitted++;
            cr_assert_eq(slice_copy(&w->c.submitted, sizeof w->c.submitted, &payload), 0);
            (void)!driver_submit(w->c.nodes[id].driver, payload, &index, &term);
            slice_unref(&payload);
        }
        run(w, 0);
    }
}

/* Mostly there are enough of them to go on. */
static bool may_go(struct world *w)
{
    unsigned missing = 0;
    for (uint64_t id = 1; id <= NODES; id++) {
        missing += !w->patient[id] && (!runs(w, id) || w->c.nodes[id].cut_off);
    }
    return missing == 0 || roll(w, 8) == 0;
}

static void stop_or_start(struct world *w, uint64_t id)
{
    if (!runs(w, id)) {
        bool has_state = w->c.nodes[id].now.index > 0 || id <= w->c.voters;
        if (!w->patient[id] && has_state) {
            cluster_open(&w->c, id);
        }
        return;
    }
    if (!may_go(w)) {
        return;
    }
    if (roll(w, 2) == 0) {
        sim_disk_crash_losing_all(node_of(w, id)->disk);
    }
    cluster_close(&w->c, id);
    look(w);
}

/* All that it has is gone, and it knows; with its connections, on which something may still have been under way. */
static void wipe(struct world *w, uint64_t id)
{
    struct cluster_node *node = node_of(w, id);
    if (runs(w, id)) {
        cluster_close(&w->c, id);
    }
    for (uint64_t other = 1; other <= NODES; other++) {
        if (runs(w, other)) {
            driver_peer_lost(w->c.nodes[other].driver, id);
        }
    }
    for (unsigned i = w->c.late_len; i > 0; i--) {
        if (w->c.late[i - 1].from == id) {
            blob_unref(w->c.late[i - 1].bytes);
            w->c.late[i - 1] = w->c.late[--w->c.late_len];
        }
    }
    sim_disk_free(node->disk);
    node->disk = sim_disk_new();
    cr_assert_not_null(node->disk);
    slice_unref(&node->checkpoint.position);
    node->checkpoint = (struct cluster_state){0};
    node->now = node->checkpoint;
    w->patient[id] = true;
}

/* Who gives copies, or says whose vote is gone, must lead now, and not only believe so: it asks a majority. */
static uint64_t confirmed_leader(struct world *w)
{
    uint64_t leader = leader_of(w);
    uint64_t round;
    if (leader == 0 || driver_read(w->c.nodes[leader].driver, &round) != 0) {
        return 0;
    }
    uint64_t term = cluster_status(&w->c, leader).term;
    for (int i = 0; i < 5 && runs(w, leader) && node_of(w, leader)->read_round < round; i++) {
        run(w, 20);
    }
    if (node_of(w, leader)->read_round < round || cluster_status(&w->c, leader).role != DRIVER_LEADER ||
        cluster_status(&w->c, leader).term != term || cluster_status(&w->c, leader).change_index != 0) {
        return 0;
    }
    return leader;
}

/* At most one voter has lost everything at a time, and with two voters none: they have no majority without it. */
static void lose(struct world *w, uint64_t id)
{
    for (uint64_t other = 1; other <= NODES; other++) {
        if (w->patient[other]) {
            return;
        }
    }
    uint64_t leader = confirmed_leader(w);
    if (leader == 0 || leader == id || !runs(w, id)) {
        return;
    }
    roles members = roles_of(&w->c.nodes[leader].driver->raft.configuration);
    if (role_in(members, id) != 0 && voters_in(members) >= 3) {
        w->losses++;
        wipe(w, id);
        /* With two voters left of three, and one of the two lost at the same moment, nobody can go on: a leader that takes the
         * vote of a third must have had time to notice. */
        run(w, CLUSTER_ELECTION_MS);
    }
}

static int change(struct world *w, uint64_t leader, enum driver_change_kind kind, uint64_t id)
{
    struct driver_change change = {.kind = kind, .node = id, .address = cluster_address(id)};
    uint64_t index = 0;
    const char *why;
    int err = driver_change(w->c.nodes[leader].driver, &change, &index, &why);
    if (err == ERR_BUSY && kind == DRIVER_PROMOTE) { /* It is asked something first. */
        cluster_run(&w->c, CLUSTER_STEP_MS);
        err = driver_change(w->c.nodes[leader].driver, &change, &index, &why);
    }
    w->changes += err == 0 && index != 0;
    return err;
}

/* What a leader does for a patient that asks: takes its vote, and gives it a copy, when it is a member. */
static void treat(struct world *w, uint64_t id)
{
    uint64_t leader = w->patient[id] ? confirmed_leader(w) : 0;
    if (leader == 0) {
        return;
    }
    struct driver *driver = w->c.nodes[leader].driver;
    roles role = role_in(roles_of(&driver->raft.configuration), id);
    if (role == 2) {
        (void)change(w, leader, DRIVER_DEMOTE, id);
    } else if (role == 1) {
        struct driver_status status = cluster_status(&w->c, leader);
        if (status.applied_index < status.commit_index) {
            return; /* The membership may not be in its state yet. */
        }
        bool enough = status.checkpoint_index >= status.members_index && status.checkpoint_index > 0;
        if (status.applied_index > status.checkpoint_index && (!enough || roll(w, 2) == 0)) {
            cluster_checkpoint(&w->c, leader);
        }
        cluster_copy_anew(&w->c, leader, id);
        cluster_open(&w->c, id);
        w->patient[id] = false;
        w->copies++;
    }
}

/* A node that lacks what the leader's log no longer has goes on from a copy, with all that it has promised. */
static void rebuild(struct world *w, uint64_t id)
{
    struct cluster_node *node = node_of(w, id);
    if (!runs(w, id) || node->behind == 0 || !runs(w, node->behind_leader) || node->cut_off) {
        return;
    }
    const struct cluster_node *source = node_of(w, node->behind_leader);
    struct driver_status status = cluster_status(&w->c, source->id);
    node->behind = 0;
    if (source->checkpoint.position.len > 0 && !source->cut_off &&
        driver_lacks(node->driver, status.checkpoint_index, status.checkpoint_term)) {
        cluster_close(&w->c, id);
        cluster_copy(&w->c, source->id, id);
        cluster_open(&w->c, id);
        w->rebuilt++;
    }
}

static void change_something(struct world *w, uint64_t id)
{
    uint64_t leader = leader_of(w);
    static const enum driver_change_kind kinds[] = {DRIVER_ADD,     DRIVER_ADD,    DRIVER_PROMOTE, DRIVER_PROMOTE,
                                                    DRIVER_PROMOTE, DRIVER_DEMOTE, DRIVER_REMOVE};
    if (leader != 0) {
        (void)change(w, leader, kinds[roll(w, 7)], id);
    }
}

/* A node that is told that it was removed goes, and may come back as a new one. */
static void bury(struct world *w)
{
    for (uint64_t id = 1; id <= NODES; id++) {
        if (runs(w, id) && w->c.nodes[id].removed > 0) {
            w->removals++;
            wipe(w, id);
        }
    }
}

static void step(struct world *w)
{
    uint64_t id = 1 + roll(w, NODES);
    switch (roll(w, 18)) {
    case 0:
    case 1: stop_or_start(w, id); break;
    case 2: node_of(w, id)->cut_off = !node_of(w, id)->cut_off && runs(w, id) && may_go(w); break;
    case 3: w->c.loss = roll(w, 2) == 0 ? 0 : 100; break;
    case 4: w->c.lateness = roll(w, 2) == 0 ? 0 : 50; break;
    case 5: w->c.slowness = roll(w, 2) == 0 ? 0 : 500; break;
    case 6: lose(w, id); break;
    case 7: {
        uint64_t leader = leader_of(w);
        if (leader != 0) {
            (void)!driver_transfer(w->c.nodes[leader].driver, roll(w, 2) == 0 ? 0 : id);
        }
        break;
    }
    case 8:
        if (runs(w, id) && cluster_status(&w->c, id).applied_index > cluster_status(&w->c, id).checkpoint_index) {
            cluster_checkpoint(&w->c, id);
        }
        break;
    case 9:
        if (runs(w, id)) { /* A connection ends. */
            driver_peer_lost(w->c.nodes[id].driver, 1 + roll(w, NODES));
        }
        break;
    case 10:
    case 11: submit_some(w); break;
    case 12:
    case 13:
    case 14: change_something(w, id); break;
    default: run(w, roll(w, 100) * CLUSTER_STEP_MS); break;
    }
    treat(w, 1 + roll(w, NODES));
    rebuild(w, 1 + roll(w, NODES));
    bury(w);
    look(w);
}

static bool members_are_equal(struct world *w, uint64_t leader)
{
    roles members = roles_of(&w->c.nodes[leader].driver->raft.configuration);
    for (uint64_t id = 1; id <= NODES; id++) {
        if (role_in(members, id) != 0 && (!runs(w, id) || w->c.nodes[id].now.digest != w->c.nodes[leader].now.digest)) {
            return false;
        }
    }
    return cluster_status(&w->c, leader).change_index == 0;
}

static void describe(struct world *w)
{
    fprintf(stderr, "seed %d\n", w->seed);
    for (uint64_t id = 1; id <= NODES; id++) {
        if (!runs(w, id)) {
            fprintf(stderr, "node %d: %s\n", (int)id, w->patient[id] ? "a patient" : "down");
            continue;
        }
        struct driver_status status = cluster_status(&w->c, id);
        fprintf(stderr,
                "node %d: role %d, leader %d, term %d, log %d to %d, committed %d, applied %d, change %d; members",
                (int)id, (int)status.role, (int)status.leader, (int)status.term, (int)status.log_first,
                (int)status.log_last, (int)status.commit_index, (int)status.applied_index, (int)status.change_index);
        for (unsigned i = 0; i < status.members_len; i++) {
            fprintf(stderr, " %d%s:%d", (int)status.members[i].id, status.members[i].voter ? "" : "(learns)",
                    (int)status.members[i].match_index);
        }
        fprintf(stderr, "\n");
    }
}

/* Everything works again: the members come to one state, in which everything is that anybody ever had; another can be added,
 * and get a vote. */
static void heal(struct world *w)
{
    w->c.loss = 0;
    w->c.lateness = 0;
    w->c.slowness = 0;
    for (uint64_t id = 1; id <= NODES; id++) {
        w->c.nodes[id].cut_off = false;
        if (!runs(w, id)) {
            stop_or_start(w, id);
        }
    }
    bool healed = false;
    for (int i = 0; i < 300 && !healed; i++) {
        run(w, 100);
        submit_some(w);
        bury(w);
        for (uint64_t id = 1; id <= NODES; id++) {
            treat(w, id);
            rebuild(w, id);
        }
        run(w, 100);
        uint64_t leader = leader_of(w);
        healed = leader != 0 && cluster_status(&w->c, leader).term_committed && members_are_equal(w, leader);
    }
    if (!healed && !w->c.exit_on_violation) {
        describe(w);
    }
    cluster_expect(&w->c, healed, "the cluster does not go on");
    uint64_t leader = leader_of(w);
    for (uint64_t index = w->c.nodes[leader].now.index + 1; index < CLUSTER_ENTRIES_MAX; index++) {
        cluster_expect(&w->c, w->c.digests[index] == 0, "what was applied is lost");
    }
    bool changed = false;
    for (int i = 0; i < 20 && !changed; i++) {
        roles members = roles_of(&w->c.nodes[leader].driver->raft.configuration);
        uint64_t id = 1;
        while (id < NODES && (role_in(members, id) != 0 || (!w->patient[id] && w->c.nodes[id].now.index > 0))) {
            id++;
        }
        changed = role_in(members, id) != 0 || (change(w, leader, DRIVER_ADD, id) == 0 && (run(w, 100), true));
        changed = changed && cluster_status(&w->c, leader).change_index == 0;
        run(w, 100);
        leader = leader_of(w);
        cluster_expect(&w->c, leader != 0, "nobody leads");
    }
    cluster_expect(&w->c, changed, "the membership cannot be changed any more");
}

static bool is_one(roles bits)
{
    unsigned differ = 0;
    for (uint64_t id = 0; id <= NODES; id++) {
        differ += role_in(bits, id) != 0;
    }
    return differ == 1;
}

static void check_memberships(const struct world *w)
{
    roles before = w->members[1];
    unsigned skipped = 0;
    for (uint64_t index = 2; index < CLUSTER_ENTRIES_MAX; index++) {
        if (w->members[index] != 0) {
            /* One that nobody was seen with, since two were applied at once, cannot be told apart from two changes. */
            skipped += !is_one(before ^ w->members[index]);
            cluster_expect(&w->c, voters_in(w->members[index]) >= 2, "a voter is left alone");
            before = w->members[index];
        }
    }
    cluster_expect(&w->c, skipped <= 3, "members are changed several at a time");
}

static void begin(struct world *w, int seed)
{
    *w = (struct world){.exits = w->exits,
                        .changes = w->changes,
                        .copies = w->copies,
                        .removals = w->removals,
                        .losses = w->losses,
                        .rebuilt = w->rebuilt};
    unsigned voters = 3 + (unsigned)seed % 3;
    w->seed = seed;
    cluster_init_voters(&w->c, voters);
    w->c.random = (uint64_t)seed * 77777;
    w->c.exit_on_violation = w->exits;
    for (uint64_t id = voters + 1; id <= NODES; id++) {
        w->patient[id] = true;
    }
}

static void play(struct world *w, int seed)
{
    begin(w, seed);
    for (int i = 0; i < STEPS; i++) {
        step(w);
    }
    heal(w);
    check_memberships(w);
    for (uint64_t id = 1; id <= NODES; id++) {
        cluster_expect(&w->c, w->c.nodes[id].forgot == 0, "nobody has forgotten anything without knowing");
    }
    cluster_done(&w->c);
}

/* Whether the checks above see that something is left out: in a process of its own, that dies of it. */
static bool is_seen(enum fault fault, int seeds)
{
    pid_t child = fork();
    cr_assert_neq(child, -1);
    if (child == 0) {
        static struct world w;
        (void)alarm(120);
        fault_set(fault, true);
        w.exits = true;
        for (int seed = 1; seed <= seeds; seed++) {
            play(&w, seed);
        }
        _exit(0);
    }
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) != SIGALRM : WEXITSTATUS(status) == CLUSTER_VIOLATION;
}

/* A change may come into force for which there is no majority. (It takes some hundred seeds: a majority must be missing when
 * one is asked for.) */
Test(driver_members_random, G3_is_needed)
{
    cr_assert(is_seen(FAULT_SKIP_G3, 20 * SEEDS));
}

/* Nothing can be changed any more, or what is taken back is another membership. */
Test(driver_members_random, G1_is_needed)
{
    cr_assert(is_seen(FAULT_SKIP_G1, SEEDS));
}

/* Two voters become one. */
Test(driver_members_random, G6_is_needed)
{
    cr_assert(is_seen(FAULT_SKIP_G6, SEEDS));
}

/* SEED=n plays that one alone; SEEDS=n so many. */
static int number(const char *name, int otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? atoi(text) : otherwise;
}

Test(driver_members_random, replicas_agree_and_nothing_is_lost)
{
    static struct world w;
    int one = number("SEED", 0);
    int seeds = number("SEEDS", SEEDS);
    for (int seed = one > 0 ? one : 1; seed <= (one > 0 ? one : seeds); seed++) {
        play(&w, seed);
    }
    if (one == 0 && seeds == SEEDS) {
        cr_assert_gt(w.changes, 5u * SEEDS);
        cr_assert_gt(w.copies, SEEDS);
        cr_assert_gt(w.removals, SEEDS / 2);
        cr_assert_gt(w.losses, SEEDS / 4);
        cr_assert_gt(w.rebuilt, 2u);
    }
}
