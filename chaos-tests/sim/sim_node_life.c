/* A node's life: starts, crashes, and what becomes of it when its data are not what they should be. */

#include <inttypes.h>
#include <stdio.h>

#include "proto/base/check.h"
#include "sim_conn.h"
#include "sim_node_private.h"
#include "sim_world.h"

/* Until a process that ended is started again, and until a start that failed for want of space is tried again. */
#define RESTART_US 50000u
#define RETRY_US 200000u

bool sim_node_up(const struct sim_node *node)
{
    return node->shard != NULL || node->patient != NULL;
}

/* Down, and up again. */

static void node_restart(struct sim_event *event)
{
    struct sim_node *node = event->object;
    if (!sim_node_up(node) && event->b == node->life) {
        sim_node_start(node);
    }
}

static void node_restart_after(struct sim_node *node, uint64_t down_us)
{
    sim_node_push(node, sim_world_now(node->world) + down_us, node_restart);
}

/* A shard, or a patient, that has ended in the middle of something cannot be closed: its memory stays behind. */
static void node_leave(struct sim_node *node)
{
    struct sim_world *world = node->world;
    struct shard *shard = node->shard;
    struct patient *patient = node->patient;
    sim_conns_node_gone(world, node);
    sim_net_node_down(world, node->index);
    node->shard = NULL;
    node->patient = NULL;
    node->life++;
    node->copy[0] = '\0';
    node->damage[0] = '\0';
    sim_bulk_node_down(world, node->index);
    if (world->fatal_node == node) {
        store_memory_disk_abandon(node->rows);
        return;
    }
    patient_close(patient);
    shard_close(shard);
}

static void node_crash(struct sim_node *node, uint64_t down_us, bool process_only)
{
    struct sim_world *world = node->world;
    uint64_t losses = sim_disk_counters(node->disk)->crashes_with_loss;
    uint64_t torn = sim_disk_counters(node->disk)->sectors_torn;
    if (node->shard != NULL) {
        sim_checker_crash(node);
        sim_world_count(world, SIM_STAT_REBUILDS_CRASHED, shard_rebuilding(node->shard));
    }
    sim_world_count(world, SIM_STAT_PATIENTS_CRASHED, node->patient != NULL);
    if (process_only) {
        sim_disk_kill(node->disk);
    } else {
        sim_disk_crash(node->disk, sim_random_callback, &node->disk_random);
    }
    sim_world_count(world, SIM_STAT_CRASHES, 1);
    losses = sim_disk_counters(node->disk)->crashes_with_loss - losses;
    sim_world_count(world, SIM_STAT_DIRTY_CRASHES, losses);
    sim_world_count(world, SIM_STAT_TORN, sim_disk_counters(node->disk)->sectors_torn - torn);
    SIM_TRACE(world, "node %u crashes%s, stored %" PRIu64 ", term %" PRIu64, node->index + 1,
              losses > 0 ? " and loses writes" : "", node->said_stored, node->said_term);
    sim_world_note(world, 12, node->id, losses);
    node_leave(node);
    node_restart_after(node, down_us);
}

void sim_node_crash(struct sim_node *node, uint64_t down_us)
{
    if (sim_node_up(node)) {
        node_crash(node, down_us, sim_random_chance(&node->disk_random, 150000));
    }
}

void sim_node_power_fails(struct sim_node *node, uint64_t down_us)
{
    if (sim_node_up(node)) {
        node_crash(node, down_us, false);
    }
}

void sim_node_process_ends(struct sim_node *node, uint64_t down_us)
{
    if (sim_node_up(node)) {
        node_crash(node, down_us, true);
    }
}

/* The process ends, the machine lives. What it said is remembered, if it was one to say something. */
static void node_end(struct sim_node *node)
{
    if (node->shard != NULL) {
        sim_checker_crash(node);
    }
    sim_disk_kill(node->disk);
    node_leave(node);
}

/* A copy takes the place of the state: the shard ends, the name changes, and it begins anew. The power may fail before that, and
 * after it. */
void sim_node_replace(struct sim_node *node)
{
    struct sim_world *world = node->world;
    char name[STATE_DIR_NAME_LEN_MAX];
    snprintf(name, sizeof name, "%s", node->copy);
    SIM_TRACE(world, "node %u has fetched a copy: %s", node->index + 1, name);
    if (sim_random_chance(&node->disk_random, 200000)) {
        sim_world_count(world, SIM_STAT_SWITCHES_CRASHED, 1);
        sim_node_crash(node, RESTART_US);
        return;
    }
    bool patient = node->patient != NULL;
    node_end(node);
    node_restart_after(node, sim_random_between(&node->disk_random, 1000, RESTART_US));
    int err = state_dir_switch(sim_disk_ops(node->disk), SIM_NODE_DIR, name);
    if (err == ERR_NO_SPACE) {
        return; /* The old state still counts: the node is behind once more, and finds the copy whole. */
    }
    if (err != 0) {
        if (!sim_damage_explains(node, err)) {
            sim_world_violation(world, "node %u cannot switch to its copy: %s", node->index + 1, err_name(err));
        }
        return;
    }
    sim_world_count(world, patient ? SIM_STAT_PATIENTS_FETCHED : SIM_STAT_REBUILT, 1);
    sim_world_count(world, SIM_STAT_REBUILT_MIXED, sim_upgrade_mixed(world));
    if (sim_random_chance(&node->disk_random, 200000)) {
        sim_world_count(world, SIM_STAT_SWITCHES_CRASHED, 1);
        sim_disk_crash(node->disk, sim_random_callback, &node->disk_random);
    }
}

/* ---- Damage ---- */

void sim_node_lost(struct sim_node *node)
{
    struct sim_world *world = node->world;
    SIM_TRACE(world, "node %u is gone for good", node->index + 1);
    sim_world_count(world, SIM_STAT_NODES_GONE, 1);
    sim_world_note(world, 17, node->id, 0);
    node->gone = true;
    if (node->shard != NULL) {
        sim_checker_crash(node); /* What it has acknowledged counts: it was on a disk. */
    }
    sim_disk_kill(node->disk);
    if (sim_node_up(node)) {
        node_leave(node);
    }
}

/* The mark cannot be written on a disk that is full, or broken: it is tried again, or the node is lost. */
static void node_mark(struct sim_node *node, int err)
{
    node->whole = false;
    if (err == ERR_NO_SPACE || err == 0) {
        node_restart_after(node, err == 0 ? RESTART_US : RETRY_US);
    } else if (sim_damage_explains(node, err)) {
        sim_node_lost(node);
    } else {
        sim_world_violation(node->world, "node %u cannot note that it is damaged: %s", node->index + 1, err_name(err));
    }
}

static bool node_votes(const struct sim_node *node)
{
    return node->shard == NULL || shard_votes(node->shard);
}

void sim_node_treat(struct sim_node *node)
{
    struct sim_world *world = node->world;
    char what[sizeof node->damage];
    bool voter = node_votes(node);
    snprintf(what, sizeof what, "%s", node->damage);
    SIM_TRACE(world, "node %u is to be repaired: %s", node->index + 1, what);
    if (!node->struck && !node->repair_asked) {
        sim_world_violation(world, "node %u says that it is damaged, and nothing has happened to it: %s",
                            node->index + 1, what);
        return;
    }
    sim_world_count(world, SIM_STAT_DAMAGE_FOUND_RUNNING, node->struck);
    node_end(node);
    node_mark(node, repair_mark_needed(sim_disk_ops(node->disk), SIM_NODE_DIR, what, voter, node->damage_ordered));
}

/* The power may fail before it counts, and after it. */
void sim_node_withdraw(struct sim_node *node)
{
    struct sim_world *world = node->world;
    bool done = false;
    sim_world_count(world, SIM_STAT_WITHDRAWN, 1);
    if (sim_random_chance(&node->disk_random, 200000)) {
        sim_node_crash(node, RESTART_US);
        return;
    }
    node_end(node);
    node_restart_after(node, RESTART_US);
    int err = repair_withdraw(sim_disk_ops(node->disk), SIM_NODE_DIR, &done);
    SIM_TRACE(world, "node %u: the order to begin anew is withdrawn%s", node->index + 1, done ? "" : ", in vain");
    if (err != 0 && err != ERR_NO_SPACE && !sim_damage_explains(node, err)) {
        sim_world_violation(world, "node %u cannot withdraw a repair: %s", node->index + 1, err_name(err));
    }
    if (sim_random_chance(&node->disk_random, 200000)) {
        sim_disk_crash(node->disk, sim_random_callback, &node->disk_random);
    }
}

/* The shard is open, and has not said anything yet. */
void sim_node_forgot(struct sim_node *node, const char *what)
{
    sim_disk_kill(node->disk);
    node_leave(node);
    node_mark(node, repair_mark_needed(sim_disk_ops(node->disk), SIM_NODE_DIR, what, true, false));
}

void sim_node_ended_itself(struct sim_node *node, int err, const char *what)
{
    bool voter = node_votes(node);
    sim_world_note(node->world, 17, node->id, 1);
    if (node->sync_fails) {
        node->sync_fails = false;
        sim_disk_fail_writeback(node->disk);
    }
    node_end(node);
    if (err == ERR_CORRUPT || err == ERR_CHECKSUM) {
        node_mark(node, repair_mark_needed(sim_disk_ops(node->disk), SIM_NODE_DIR, what, voter, false));
    } else {
        node_restart_after(node, RESTART_US);
    }
}

/* A disk without space for the mark: then it is not told, and follows. */
void sim_node_stale(struct sim_node *node)
{
    int err = repair_mark_needed(sim_disk_ops(node->disk), SIM_NODE_DIR, "its data are an older copy", true, false);
    SIM_TRACE(node->world, "node %u is told that its data are old%s", node->index + 1, err == 0 ? "" : ", in vain");
    node->whole = false;
}

void sim_node_remember(struct sim_node *node)
{
    sim_node_forget_memory(node);
    node->memory.disk = sim_disk_remember(node->disk);
    node->memory.rows = store_memory_disk_new();
    node->memory.life = node->life;
    CHECK(node->memory.disk != NULL && node->memory.rows != NULL);
    int err = store_memory_disk_copy(node->memory.rows, node->rows);
    CHECK(err == 0);
}

void sim_node_forget_memory(struct sim_node *node)
{
    sim_disk_free(node->memory.disk);
    store_memory_disk_free(node->memory.rows);
    node->memory = (struct sim_node_memory){0};
}

/* ---- Starts ---- */

static void node_begin_life(struct sim_node *node)
{
    node->life++;
    node->turn_pending = false;
    node->timer_us = UINT64_MAX;
    node->completions = 0;
    node->unanswered = 0;
    node->disk_free_us = 0;
    node->paused_until_us = 0;
    node->crash_when_dirty = false;
    node->copy[0] = '\0';
    node->damage[0] = '\0';
    node->withdrawn = false;
}

static void node_start_patient(struct sim_node *node, const struct repair_mark *mark)
{
    struct sim_world *world = node->world;
    char detail[512] = "";
    int err = sim_node_open_patient(node, mark, detail, sizeof detail);
    if (err == ERR_NO_SPACE) {
        node_restart_after(node, RETRY_US);
    } else if (err != 0 && sim_damage_explains(node, err)) {
        sim_node_lost(node);
    } else if (err != 0) {
        sim_world_violation(world, "node %u does not start as a patient: %s: %s", node->index + 1, err_name(err),
                            detail);
    } else {
        SIM_TRACE(world, "node %u is up, as a patient: %s", node->index + 1, mark->reason);
        sim_world_count(world, SIM_STAT_PATIENTS, 1);
        sim_node_wake(node);
    }
}

/* Rows that have come as a file are taken into the store first. */
static int node_open_store(struct sim_node *node, const struct state_dir *state, struct store **ret_store)
{
    char path[STATE_DIR_NAME_LEN_MAX + 16];
    int err = 0;
    if (state->fresh) {
        snprintf(path, sizeof path, "%s/%s", SIM_NODE_DIR, state->name);
        err = store_memory_disk_load(node->rows, sim_disk_ops(node->disk), path);
    }
    return err == 0 ? store_memory_open(node->rows, ret_store) : err;
}

/* A start that failed: damage, or a copy that is no good, makes a patient of the node. */
static void node_start_failed(struct sim_node *node, const struct state_dir *state, int err, const char *detail)
{
    if (err == ERR_NO_SPACE) {
        node_restart_after(node, RETRY_US);
        return;
    }
    if (err == ERR_IO && node->sync_fails) {
        sim_node_ended_itself(node, err, detail);
        return;
    }
    bool copy =
        state->fresh && (err == ERR_CORRUPT || err == ERR_REFUSED) && sim_damage_explains_copy(node, state->name);
    if (!sim_damage_found(node, err, detail) && !copy) {
        sim_world_violation(node->world, "node %u does not start: %s: %s", node->index + 1, err_name(err), detail);
        return;
    }
    sim_world_count(node->world, SIM_STAT_COPIES_UNUSABLE, state->fresh);
    node_mark(node,
              repair_failed(sim_disk_ops(node->disk), SIM_NODE_DIR, detail[0] != '\0' ? detail : err_name(err), true));
}

static bool node_settle(struct sim_node *node, const struct state_dir *state, const struct repair_plan *plan,
                        struct repair_mark *mark)
{
    struct disk *disk = sim_disk_ops(node->disk);
    int err = plan->discard ? repair_rejoined(disk, SIM_NODE_DIR, mark) : 0;
    if (err != 0) {
        sim_disk_kill(node->disk);
        node_leave(node);
        node_mark(node, err);
        return false;
    }
    if (plan->discard) {
        sim_world_count(node->world, SIM_STAT_DISCARDED, 1);
        sim_checker_discarded(node);
    }
    err = state->fresh ? state_dir_settle(disk, SIM_NODE_DIR, state) : 0;
    if (err != 0 && err != ERR_NO_SPACE && !sim_damage_explains(node, err)) {
        sim_world_violation(node->world, "node %u cannot settle: %s", node->index + 1, err_name(err));
    }
    return true;
}

static void node_started(struct sim_node *node)
{
    struct sim_world *world = node->world;
    shard_set_client_address(node->shard, node->address);
    for (unsigned i = 0; i < world->nodes_len; i++) {
        if (i != node->index) {
            shard_peer_changed(node->shard, i + 1, false, world->nodes[i].address);
        }
    }
    node->whole = true;
    sim_net_node_up(world, node->index);
    SIM_TRACE(world, "node %u is up", node->index + 1);
    if (node->life > 1) {
        sim_world_count(world, SIM_STAT_RESTARTS, 1);
        sim_checker_restart(node);
        node->must_notice = false;
    }
    sim_node_wake(node);
}

void sim_node_start(struct sim_node *node)
{
    struct state_dir state;
    struct repair_mark mark;
    struct repair_plan plan;
    struct store *store = NULL;
    char detail[512] = "";
    if (node->gone) {
        return;
    }
    int err =
        repair_begin(sim_disk_ops(node->disk), SIM_NODE_DIR, node->joins, &state, &mark, &plan, detail, sizeof detail);
    if (err != 0) {
        SIM_TRACE(node->world, "node %u cannot begin: %s: %s", node->index + 1, err_name(err), detail);
        node_mark(node, err);
        return;
    }
    node_begin_life(node);
    node->must_notice = node->must_notice && !plan.patient;
    if (plan.patient) {
        node_start_patient(node, &mark);
        return;
    }
    err = node_open_store(node, &state, &store);
    if (err == 0) {
        err = sim_node_open_shard(node, store, &plan, detail, sizeof detail);
    }
    if (err != 0) {
        node->shard = NULL;
        node_start_failed(node, &state, err, detail);
        return;
    }
    node->fresh = state.fresh;
    if (node_settle(node, &state, &plan, &mark)) {
        node_started(node);
    }
}
