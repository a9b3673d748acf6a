/* What a node consists of while it runs, a shard or a patient, and what that calls. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/check.h"
#include "sim_node_private.h"
#include "sim_world.h"
#include "statemachine/state.h"

#define MEMORY_MAX (UINT64_C(64) << 20)

static const struct driver_member members[SIM_NODES_MAX] = {{1, "node-1:4101"}, {2, "node-2:4101"}, {3, "node-3:4101"},
                                                            {4, "node-4:4101"}, {5, "node-5:4101"}, {6, "node-6:4101"},
                                                            {7, "node-7:4101"}, {8, "node-8:4101"}};

static bool node_send(void *arg, uint64_t to, struct frame_out *frame)
{
    struct sim_node *node = arg;
    CHECK(to >= 1 && to <= node->world->nodes_len && to != node->id);
    return sim_net_send(node->world, node->index, (unsigned)to - 1, frame);
}

static bool node_bulk_send(void *arg, uint64_t to, bool asking, struct frame_out *frame)
{
    struct sim_node *node = arg;
    CHECK(to >= 1 && to <= node->world->nodes_len && to != node->id);
    return sim_bulk_send(node->world, node->index, (unsigned)to - 1, asking, frame);
}

static void node_bulk_hang_up(void *arg, uint64_t to)
{
    struct sim_node *node = arg;
    sim_bulk_hang_up(node->world, node->index, (unsigned)to - 1);
}

/* From within the shard's turn: node_turn() goes on. */
static void node_replaced(void *arg, const char *name)
{
    struct sim_node *node = arg;
    snprintf(node->copy, sizeof node->copy, "%s", name);
}

static uint64_t node_memory_used(void *arg)
{
    const struct sim_node *node = arg;
    return node->memory_short ? 2 * MEMORY_MAX : MEMORY_MAX / 4;
}

static void node_wake(void *arg)
{
    sim_node_wake(arg);
}

static void node_fatal(void *arg, int err, const char *what)
{
    struct sim_node *node = arg;
    struct sim_world *world = node->world;
    if (sim_damage_explains(node, err)) {
        world->fatal_node = node;
        world->fatal_err = err;
        snprintf(world->fatal_what, sizeof world->fatal_what, "%s", what);
        longjmp(world->fatal, SIM_FATAL_NODE);
    }
    sim_world_violation(world, "node %u stopped itself: %s: %s", node->index + 1, err_name(err), what);
    longjmp(world->fatal, SIM_FATAL_WORLD);
}

static int node_open_copy(void *arg, const char *name, struct store **ret_store, char *detail, size_t detail_len)
{
    struct sim_node *node = arg;
    char path[STATE_DIR_NAME_LEN_MAX + 16];
    snprintf(path, sizeof path, SIM_NODE_DIR "/%s", name);
    int err = store_memory_open_copy(sim_disk_ops(node->disk), path, ret_store);
    if (err != 0) {
        snprintf(detail, detail_len, "%s: %s", path, err_text(err));
    }
    sim_world_count(node->world, SIM_STAT_COPIES_REFUSED, err == ERR_CORRUPT);
    if (err == ERR_CORRUPT && !sim_damage_explains_copy(node, name)) {
        sim_world_violation(node->world, "node %u has fetched a copy that is damaged, of a state that is not: %s",
                            node->index + 1, name);
    }
    return err;
}

/* From within any call of the shard: the next turn sees to it. */
static void node_damaged(void *arg, const char *what, bool ordered)
{
    struct sim_node *node = arg;
    if (node->damage[0] == '\0') {
        snprintf(node->damage, sizeof node->damage, "%s", what);
        node->damage_ordered = ordered;
        sim_node_wake(node);
    }
}

static void node_withdraw(void *arg)
{
    struct sim_node *node = arg;
    node->withdrawn = true;
    sim_node_wake(node);
}

/* By then the operator has been told, or soon will be. */
static void node_removed(void *arg)
{
    struct sim_node *node = arg;
    node->removed = true;
}

static void node_voting(void *arg)
{
    struct sim_node *node = arg;
    int err = repair_mark_clear(sim_disk_ops(node->disk), SIM_NODE_DIR);
    node->told_of_vote = node->vote_forgotten = false;
    SIM_TRACE(node->world, "node %u votes again%s", node->index + 1, err == 0 ? "" : ", and cannot note it");
    sim_world_count(node->world, SIM_STAT_HEALED, 1);
}

static void node_applied(void *arg, uint64_t index, struct slice payload, const struct effects *effects)
{
    struct sim_node *node = arg;
    if (node->shard != NULL && !node->diverging && !node->diverged) {
        sim_upgrade_applied(node, machine_version(shard_machine(node->shard)));
        sim_ledger_applied(node, index, payload, effects);
        sim_rover_applied(node, index, effects);
    }
}

int sim_node_open_shard(struct sim_node *node, struct store *store, const struct repair_plan *plan, char *detail,
                        size_t detail_len)
{
    const struct shard_options options = {.node = node->id,
                                          .cluster = "simulated",
                                          .version = "simulated",
                                          .members = members,
                                          .members_len = node->world->nodes_first,
                                          .disk = sim_disk_ops(node->disk),
                                          .store = store,
                                          .clock = &node->clock,
                                          .journal = &node->journal,
                                          .dir = SIM_NODE_DIR,
                                          .checkpoint_len = node->checkpoint_len,
                                          .retain_len = node->world->retain_len,
                                          .segment_len = node->segment_len,
                                          .fill_len = node->fill_len,
                                          .cache_len_max = 64 << 10,
                                          .window = node->window,
                                          .disk_free_min = node->disk_free_min,
                                          .memory_max = MEMORY_MAX,
                                          .memory_used = node_memory_used,
                                          .presence_timeout_ms = node->presence_timeout_ms,
                                          .isolation_timeout_ms = node->isolation_timeout_ms,
                                          .disk_stall_ms = node->disk_stall_ms,
                                          .clock_skew_ms = node->clock_skew_ms,
                                          .machine_version = sim_upgrade_version(node),
                                          .applied = node_applied,
                                          .fresh = plan->rejoin,
                                          .discard = plan->discard,
                                          .wants_vote = plan->wants_vote,
                                          .arg = node,
                                          .send = node_send,
                                          .bulk_send = node_bulk_send,
                                          .bulk_hang_up = node_bulk_hang_up,
                                          .open_copy = node_open_copy,
                                          .replaced = node_replaced,
                                          .damaged = node_damaged,
                                          .removed = node_removed,
                                          .voting = node_voting,
                                          .wake = node_wake,
                                          .fatal = node_fatal};
    int err = shard_open(&options, &node->shard, detail, detail_len);
    if (err == 0 && node->world->features.little) { /* Part of the rules in this world: the same on all nodes. */
        shard_machine(node->shard)->work.max = node->world->features.work_max;
    }
    return err;
}

static int node_note_vote(void *arg, bool voter)
{
    struct sim_node *node = arg;
    if (!voter && node->told_of_vote && !node->struck) {
        sim_world_violation(node->world, "node %u has forgotten that it is to vote again", node->index + 1);
    }
    int err = repair_note_vote(sim_disk_ops(node->disk), SIM_NODE_DIR, voter);
    if (err != ERR_NO_SPACE) { /* Then it is told again. After any other error its disk may have it. */
        node->vote_forgotten = !voter && (node->told_of_vote || node->vote_forgotten);
        node->told_of_vote = voter;
    }
    return err;
}

static bool node_reach(void *arg, uint64_t id, const char *address)
{
    const struct sim_node *node = arg;
    return id >= 1 && id <= node->world->nodes_len && strcmp(address, members[id - 1].address) == 0;
}

int sim_node_open_patient(struct sim_node *node, const struct repair_mark *mark, char *detail, size_t detail_len)
{
    uint64_t ids[SIM_NODES_MAX];
    for (unsigned i = 0; i < node->world->nodes_len; i++) {
        ids[i] = members[i].id;
    }
    const struct patient_options options = {.node = node->id,
                                            .reason = mark->reason,
                                            .vote = repair_vote(mark),
                                            .ordered = mark->ordered,
                                            .members = ids,
                                            .members_len = node->world->nodes_len,
                                            .disk = sim_disk_ops(node->disk),
                                            .clock = &node->clock,
                                            .journal = &node->journal,
                                            .dir = SIM_NODE_DIR,
                                            .disk_free_min = node->disk_free_min,
                                            .arg = node,
                                            .bulk_send = node_bulk_send,
                                            .bulk_hang_up = node_bulk_hang_up,
                                            .open_copy = node_open_copy,
                                            .note_vote = node_note_vote,
                                            .reach = node_reach,
                                            .replaced = node_replaced,
                                            .withdraw = node_withdraw,
                                            .wake = node_wake,
                                            .fatal = node_fatal};
    return patient_open(&options, &node->patient, detail, detail_len);
}
