/* Nodes that come and go, messages that are lost, checkpoints at any time, and copies whenever a node is behind: no replica
 * differs, and nothing that anybody has applied is lost. */

#include <criterion/criterion.h>

#include "../../chaos-tests/sim/sim_disk.h"
#include "cluster.h"
#include "dying_disk.h"

#define STEPS 260

/* A copy on its way to a node. */
struct fetch {
    uint64_t source; /* 0: none. */
    struct cluster_state state;
    uint64_t term;
};

struct tally {
    uint64_t hoarder; /* A node that makes no checkpoints. */
    unsigned copies;
    unsigned needless;
    unsigned deaths;
};

static uint64_t roll(struct cluster *c, uint64_t sides)
{
    return c->clock.random(&c->clock) % sides;
}

static bool runs(const struct cluster *c, uint64_t id)
{
    return c->nodes[id].driver != NULL;
}

static unsigned missing(const struct cluster *c)
{
    unsigned count = 0;
    for (uint64_t id = 1; id <= CLUSTER_NODES; id++) {
        count += !runs(c, id) || c->nodes[id].cut_off;
    }
    return count;
}

static void submit_some(struct cluster *c)
{
    unsigned count = roll(c, 4) == 0 ? 300 : 5;
    for (unsigned i = 0; i < count; i++) {
        bool ready = false;
        for (uint64_t id = 1; id <= CLUSTER_NODES; id++) {
            struct slice payload;
            uint64_t index;
            uint64_t term;
            if (!runs(c, id) || !driver_ready(c->nodes[id].driver)) {
                continue;
            }
            c->submitted++;
            cr_assert_eq(slice_copy(&c->submitted, sizeof c->submitted, &payload), 0);
            ready = driver_submit(c->nodes[id].driver, payload, &index, &term) == 0 || ready;
            slice_unref(&payload);
        }
        cluster_run(c, ready ? 0 : CLUSTER_STEP_MS);
    }
}

static void checkpoint_one(struct cluster *c, uint64_t id, uint64_t hoarder)
{
    /* One that makes none has all of its log: a node that is behind another is not behind this one. */
    if (id != hoarder && runs(c, id) && cluster_status(c, id).applied_index > cluster_status(c, id).checkpoint_index) {
        cluster_checkpoint(c, id);
    }
}

static void stop_or_start(struct cluster *c, uint64_t id, struct fetch *fetches)
{
    if (!runs(c, id)) {
        cluster_open(c, id);
        return;
    }
    if (missing(c) > 0) {
        return;
    }
    if (roll(c, 2) == 0) {
        sim_disk_crash_losing_all(c->nodes[id].disk);
    }
    cluster_close(c, id);
    for (uint64_t to = 1; to <= CLUSTER_NODES; to++) {
        if (fetches[to].source == id || to == id) {
            fetches[to].source = 0;
        }
    }
}

static void begin_fetch(struct cluster *c, uint64_t id, struct fetch *fetch)
{
    struct cluster_node *node = &c->nodes[id];
    uint64_t source = node->behind_leader;
    if (!runs(c, source) || c->nodes[source].checkpoint.position.len == 0) {
        return;
    }
    struct driver_position position;
    cr_assert_eq(driver_position_decode(c->nodes[source].checkpoint.position, &position), 0);
    slice_unref(&fetch->state.position);
    *fetch = (struct fetch){.source = source, .state = c->nodes[source].checkpoint, .term = position.term};
    fetch->state.position = slice_ref(fetch->state.position);
    raft_configuration_close(&position.configuration);
    driver_hold(c->nodes[source].driver, fetch->state.index);
    node->behind = 0;
}

/* It may die in the middle of rejoining. */
static void end_fetch(struct cluster *c, uint64_t id, struct fetch *fetch, struct tally *tally)
{
    struct cluster_node *node = &c->nodes[id];
    struct cluster_node *source = &c->nodes[fetch->source];
    fetch->source = 0;
    driver_hold(source->driver, UINT64_MAX);
    if (!driver_lacks(node->driver, fetch->state.index, fetch->term)) {
        /* It may be taken all the same, when the log can go on from it. */
        tally->needless++;
        if (fetch->state.index + 1 < cluster_status(c, id).log_first || roll(c, 2) == 0) {
            return;
        }
    }
    tally->copies++;
    cluster_close(c, id);
    struct cluster_state present = source->checkpoint;
    source->checkpoint = fetch->state;
    if (roll(c, 2) == 0) {
        struct driver_options options = cluster_options(c, id);
        char detail[512];
        options.applied_index = fetch->state.index;
        options.checkpoint = fetch->state.position;
        dying_disk_begin(options.disk, roll(c, 25));
        tally->deaths += driver_rejoin(&options, detail, sizeof detail) != 0;
        dying_disk_end(options.disk);
        sim_disk_crash_losing_all(node->disk);
    }
    cluster_copy(c, source->id, id);
    source->checkpoint = present;
    cluster_open(c, id);
}

static void fetch_step(struct cluster *c, uint64_t id, struct fetch *fetch, struct tally *tally)
{
    if (!runs(c, id)) {
        return;
    }
    if (fetch->source == 0 && c->nodes[id].behind > 0) {
        begin_fetch(c, id, fetch);
        if (fetch->source != 0 && missing(c) == 0 && roll(c, 4) > 0) {
            /* Another leads, which may have what this node needs. */
            c->nodes[fetch->source].cut_off = true;
            cluster_run(c, 5 * CLUSTER_ELECTION_MS);
        }
    } else if (fetch->source != 0 && roll(c, 12) == 0) {
        end_fetch(c, id, fetch, tally);
    }
}

static void step(struct cluster *c, struct fetch *fetches, struct tally *tally)
{
    uint64_t id = 1 + roll(c, CLUSTER_NODES);
    switch (roll(c, 12)) {
    case 0: stop_or_start(c, id, fetches); break;
    case 1: c->nodes[id].cut_off = !c->nodes[id].cut_off && missing(c) == 0; break;
    case 2: c->loss = roll(c, 2) == 0 ? 0 : 100; break;
    case 3:
    case 4: checkpoint_one(c, id, tally->hoarder); break;
    case 5:
    case 6:
    case 7: submit_some(c); break;
    default: cluster_run(c, roll(c, 60) * CLUSTER_STEP_MS); break;
    }
    for (uint64_t to = 1; to <= CLUSTER_NODES; to++) {
        fetch_step(c, to, &fetches[to], tally);
    }
}

static bool all_equal(const struct cluster *c)
{
    for (uint64_t id = 2; id <= CLUSTER_NODES; id++) {
        if (c->nodes[id].now.digest != c->nodes[1].now.digest) {
            return false;
        }
    }
    return true;
}

/* Everything works again: all nodes come to the same state, in which everything is that any of them ever had. */
static void heal(struct cluster *c, struct fetch *fetches, struct tally *tally, int seed)
{
    c->loss = 0;
    for (uint64_t id = 1; id <= CLUSTER_NODES; id++) {
        c->nodes[id].cut_off = false;
        if (!runs(c, id)) {
            cluster_open(c, id);
        }
    }
    cluster_run(c, 1000);
    (void)cluster_elect(c);
    submit_some(c);
    for (int i = 0; i < 200 && !all_equal(c); i++) {
        cluster_run(c, 100);
        for (uint64_t to = 1; to <= CLUSTER_NODES; to++) {
            fetch_step(c, to, &fetches[to], tally);
        }
    }
    cr_assert(all_equal(c), "seed %d: the nodes do not come to the same state", seed);
    for (uint64_t index = c->nodes[1].now.index + 1; index < CLUSTER_ENTRIES_MAX; index++) {
        cr_assert_eq(c->digests[index], 0u, "seed %d: entry %d is lost", seed, (int)index);
    }
}

Test(driver_rebuild_random, replicas_agree_and_nothing_is_lost)
{
    static struct cluster c;
    struct tally tally = {0};
    for (int seed = 1; seed <= 40; seed++) {
        struct fetch fetches[CLUSTER_NODES + 1] = {0};
        cluster_init(&c);
        c.random = (uint64_t)seed;
        tally.hoarder = 1 + (uint64_t)seed % CLUSTER_NODES;
        for (int i = 0; i < STEPS; i++) {
            step(&c, fetches, &tally);
        }
        heal(&c, fetches, &tally, seed);
        cluster_done(&c);
        for (uint64_t id = 1; id <= CLUSTER_NODES; id++) {
            slice_unref(&fetches[id].state.position);
        }
    }
    cr_assert_gt(tally.copies, 10u);
    cr_assert_gt(tally.needless, 2u);
    cr_assert_gt(tally.deaths, 2u);
}
