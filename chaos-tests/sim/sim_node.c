/* A node's life: turns, disk completions, crashes and starts. */

#include "sim_node.h"

#include <inttypes.h>
#include <stdio.h>

#include "proto/base/check.h"
#include "sim_conn.h"
#include "sim_forward.h"
#include "sim_frame.h"
#include "sim_world.h"

#define MEMORY_MAX (UINT64_C(64) << 20)
#define BUSY_WINDOW_US 10000u
#define BUSY_TURNS_MAX 80u

static const struct driver_member members[SIM_NODES_MAX] = {
    {1, "node-1:4101"}, {2, "node-2:4101"}, {3, "node-3:4101"}, {4, "node-4:4101"}, {5, "node-5:4101"}};

/* The world's time at which the node's clock shows that. */
static uint64_t node_world_us(const struct sim_node *node, uint64_t ms)
{
    uint64_t own_us = ms <= 5000 ? 0 : (ms - 5000) * 1000;
    return own_us * 1000000 / (uint64_t)(1000000 + node->drift_ppm) + 1;
}

/* What the shard calls. */

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

/* Events of a node carry its life in `b`, unless said otherwise. */

static void node_push(struct sim_node *node, uint64_t at_us, void (*fire)(struct sim_event *event))
{
    sim_queue_push(&node->world->queue,
                   (struct sim_event){.at_us = at_us, .fire = fire, .object = node, .b = node->life});
}

bool sim_node_defer(struct sim_node *node, struct sim_event *event)
{
    if (sim_world_now(node->world) >= node->paused_until_us) {
        return false;
    }
    struct sim_event later = *event;
    later.at_us = node->paused_until_us;
    event->blob = NULL;
    sim_queue_push(&node->world->queue, later);
    return true;
}

static bool node_event_void(struct sim_node *node, struct sim_event *event)
{
    return node->shard == NULL || event->b != node->life || sim_node_defer(node, event);
}

/* The disk does one thing after the other, but appends and tasks overtake each other. */
static void node_complete(struct sim_event *event)
{
    struct sim_node *node = event->object;
    if (node_event_void(node, event)) {
        return;
    }
    if (node->stalled) {
        node->unanswered++; /* Its turn comes when the disk answers again. */
        return;
    }
    node->completions--;
    enum sim_disk_kind first = sim_random_chance(&node->disk_random, 500000) ? SIM_DISK_APPEND : SIM_DISK_OFFLOAD;
    enum sim_disk_kind second = first == SIM_DISK_APPEND ? SIM_DISK_OFFLOAD : SIM_DISK_APPEND;
    if (!sim_disk_complete_kind(node->disk, first)) {
        (void)sim_disk_complete_kind(node->disk, second);
    }
    sim_node_wake(node);
}

void sim_node_unstall(struct sim_node *node)
{
    node->stalled = false;
    while (node->unanswered > 0) {
        node->unanswered--;
        node_push(node, sim_world_now(node->world) + sim_random_delay(&node->disk_random, 1000), node_complete);
    }
}

struct sim_disk *sim_node_disk(struct sim_node *node)
{
    return node->disk;
}

static void node_schedule_disk(struct sim_node *node)
{
    uint64_t now = sim_world_now(node->world);
    while (node->completions < sim_disk_pending(node->disk)) {
        uint64_t from = node->disk_free_us > now ? node->disk_free_us : now;
        node->disk_free_us = from + sim_random_delay(&node->disk_random, node->disk_mean_us);
        node->completions++;
        node_push(node, node->disk_free_us, node_complete);
    }
}

static void node_timer(struct sim_event *event);

static void node_arm(struct sim_node *node)
{
    uint64_t deadline_ms = shard_deadline_ms(node->shard);
    if (deadline_ms == UINT64_MAX) {
        return;
    }
    uint64_t at = node_world_us(node, deadline_ms);
    uint64_t now = sim_world_now(node->world);
    at = at > now + 100 ? at : now + 100;
    if (at < node->timer_us) {
        node->timer_us = at;
        node_push(node, at, node_timer);
    }
}

/* A node whose timer fires again and again without anything coming in would burn a core. */
static void node_check_busy(struct sim_node *node)
{
    uint64_t now = sim_world_now(node->world);
    if (now - node->busy_since_us > BUSY_WINDOW_US) {
        node->busy_since_us = now;
        node->busy_turns = 0;
    }
    if (++node->busy_turns > BUSY_TURNS_MAX) {
        sim_world_violation(node->world, "node %u is busy with nothing: %u timers in 10 ms", node->index + 1,
                            node->busy_turns);
    }
}

static bool node_dirty(const struct sim_node *node)
{
    enum sim_disk_kind kind;
    return sim_disk_next(node->disk, &kind) && kind == SIM_DISK_APPEND;
}

static void node_replace(struct sim_node *node);

static void node_turn(struct sim_node *node)
{
    shard_step(node->shard);
    if (node->copy[0] != '\0') {
        node_replace(node);
        return;
    }
    sim_checker_turn(node);
    node_schedule_disk(node);
    node_arm(node);
    if (node->crash_when_dirty && node_dirty(node)) {
        node->crash_when_dirty = false;
        sim_node_crash(node, node->down_us);
    }
}

static void node_timer(struct sim_event *event)
{
    struct sim_node *node = event->object;
    if (node->shard == NULL || event->b != node->life) {
        return;
    }
    if (event->at_us != node->timer_us) {
        return; /* An earlier one took its place. */
    }
    if (sim_world_now(node->world) < node->paused_until_us) {
        node->timer_us = node->paused_until_us;
        node_push(node, node->timer_us, node_timer);
        return;
    }
    node->timer_us = UINT64_MAX;
    node_check_busy(node);
    node_turn(node);
}

static void node_turn_event(struct sim_event *event)
{
    struct sim_node *node = event->object;
    if (node_event_void(node, event)) {
        return;
    }
    node->turn_pending = false;
    node_turn(node);
}

void sim_node_wake(struct sim_node *node)
{
    if (node->shard != NULL && !node->turn_pending) {
        node->turn_pending = true;
        node_push(node, sim_world_now(node->world) + sim_random_between(&node->disk_random, 5, 150), node_turn_event);
    }
}

void sim_node_receive(struct sim_node *node, uint64_t from, const struct frame *frame)
{
    sim_world_note(node->world, 11, from << 8 | node->id, frame->header.len + frame->body.len);
    sim_forward_count(node->world, from, frame);
    int err = shard_receive(node->shard, from, frame);
    if (err != 0) {
        sim_world_violation(node->world, "node %u calls a frame of node %" PRIu64 " broken: %s", node->index + 1, from,
                            err_name(err));
    }
    if (sim_frame_may_start_election(frame)) {
        sim_checker_received(node);
    }
    sim_node_wake(node);
}

void sim_node_receive_bulk(struct sim_node *node, uint64_t from, bool asking, const struct frame *frame)
{
    int err = shard_receive_bulk(node->shard, from, asking, frame);
    if (err != 0) {
        sim_world_violation(node->world, "node %u calls a frame about a copy, of node %" PRIu64 ", broken: %s",
                            node->index + 1, from, err_name(err));
    }
    sim_node_wake(node);
}

/* Down, and up again. */

static void node_restart(struct sim_event *event)
{
    struct sim_node *node = event->object;
    if (node->shard == NULL && event->b == node->life) {
        sim_node_start(node);
    }
}

static struct shard *node_leave(struct sim_node *node)
{
    struct shard *shard = node->shard;
    sim_conns_node_gone(node->world, node);
    sim_net_node_down(node->world, node->index);
    node->shard = NULL;
    node->life++;
    node->copy[0] = '\0';
    sim_bulk_node_down(node->world, node->index);
    return shard;
}

static void node_down(struct sim_node *node, uint64_t down_us)
{
    shard_close(node_leave(node));
    node_push(node, sim_world_now(node->world) + down_us, node_restart);
}

/* A shard that has ended in the middle of something cannot be closed: its memory stays behind. */
void sim_node_lost(struct sim_node *node)
{
    struct sim_world *world = node->world;
    SIM_TRACE(world, "node %u is gone for good", node->index + 1);
    sim_world_count(world, SIM_STAT_NODES_GONE, 1);
    sim_world_note(world, 17, node->id, 0);
    node->gone = true;
    sim_disk_kill(node->disk);
    if (node->shard == NULL) {
        return;
    }
    if (world->fatal_node == node) {
        sim_checker_crash(node);
        (void)node_leave(node);
        store_memory_disk_abandon(node->rows);
    } else {
        shard_close(node_leave(node)); /* It has only just started: what it said is what it said before. */
    }
}

void sim_node_remember(struct sim_node *node)
{
    sim_node_forget_memory(node);
    node->memory.disk = sim_disk_remember(node->disk);
    node->memory.rows = store_memory_disk_new();
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

static void node_crash(struct sim_node *node, uint64_t down_us, bool process_only);

void sim_node_crash(struct sim_node *node, uint64_t down_us)
{
    if (node->shard != NULL) {
        node_crash(node, down_us, sim_random_chance(&node->disk_random, 150000));
    }
}

void sim_node_power_fails(struct sim_node *node, uint64_t down_us)
{
    if (node->shard != NULL) {
        node_crash(node, down_us, false);
    }
}

static void node_crash(struct sim_node *node, uint64_t down_us, bool process_only)
{
    struct sim_world *world = node->world;
    uint64_t losses = sim_disk_counters(node->disk)->crashes_with_loss;
    uint64_t torn = sim_disk_counters(node->disk)->sectors_torn;
    sim_checker_crash(node);
    sim_world_count(world, SIM_STAT_REBUILDS_CRASHED, shard_rebuilding(node->shard));
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
    node_down(node, down_us);
}

/* A copy takes the place of the state: the shard ends, the name changes, and it begins anew. The power may fail before that, and
 * after it. */
static void node_replace(struct sim_node *node)
{
    struct sim_world *world = node->world;
    char name[STATE_DIR_NAME_LEN_MAX];
    snprintf(name, sizeof name, "%s", node->copy);
    SIM_TRACE(world, "node %u has fetched a copy: %s", node->index + 1, name);
    if (sim_random_chance(&node->disk_random, 200000)) {
        sim_world_count(world, SIM_STAT_SWITCHES_CRASHED, 1);
        sim_node_crash(node, 50000);
        return;
    }
    sim_checker_crash(node);
    sim_disk_kill(node->disk);
    node_down(node, sim_random_between(&node->disk_random, 1000, 50000));
    int err = state_dir_switch(sim_disk_ops(node->disk), "shard-0", name);
    if (err == ERR_NO_SPACE) {
        return; /* The old state still counts: the node is behind once more, and finds the copy whole. */
    }
    if (err != 0) {
        sim_world_violation(world, "node %u cannot switch to its copy: %s", node->index + 1, err_name(err));
        return;
    }
    sim_world_count(world, SIM_STAT_REBUILT, 1);
    if (sim_random_chance(&node->disk_random, 200000)) {
        sim_world_count(world, SIM_STAT_SWITCHES_CRASHED, 1);
        sim_disk_crash(node->disk, sim_random_callback, &node->disk_random);
    }
}

/* What `current` names: rows that have come as a file are taken into the store first. */
static int node_open_state(struct sim_node *node, struct state_dir *ret_state, struct store **ret_store, char *detail,
                           size_t detail_len)
{
    struct disk *disk = sim_disk_ops(node->disk);
    char path[STATE_DIR_NAME_LEN_MAX + 16];
    int err = state_dir_read(disk, "shard-0", ret_state, detail, detail_len);
    if (err != 0) {
        return err;
    }
    if (ret_state->fresh) {
        snprintf(path, sizeof path, "shard-0/%s", ret_state->name);
        err = store_memory_disk_load(node->rows, disk, path);
    }
    return err == 0 ? store_memory_open(node->rows, ret_store) : err;
}

void sim_node_start(struct sim_node *node)
{
    struct sim_world *world = node->world;
    struct store *store = NULL;
    char detail[512] = "";
    struct state_dir state;
    if (node->gone) {
        return;
    }
    int err = node_open_state(node, &state, &store, detail, sizeof detail);
    if (err != 0 && sim_damage_found(node, err, detail, false)) {
        return;
    }
    if (err != 0) {
        sim_world_violation(world, "node %u has no state: %s: %s", node->index + 1, err_name(err), detail);
        return;
    }
    const struct shard_options options = {.node = node->id,
                                          .cluster = "simulated",
                                          .version = "simulated",
                                          .members = members,
                                          .members_len = world->nodes_len,
                                          .disk = sim_disk_ops(node->disk),
                                          .store = store,
                                          .clock = &node->clock,
                                          .journal = &node->journal,
                                          .dir = "shard-0",
                                          .checkpoint_len = node->checkpoint_len,
                                          .retain_len = world->retain_len,
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
                                          .arg = node,
                                          .send = node_send,
                                          .fresh = state.fresh,
                                          .bulk_send = node_bulk_send,
                                          .bulk_hang_up = node_bulk_hang_up,
                                          .replaced = node_replaced,
                                          .wake = node_wake,
                                          .fatal = node_fatal};
    node->life++;
    node->turn_pending = false;
    node->timer_us = UINT64_MAX;
    node->completions = 0;
    node->unanswered = 0;
    node->disk_free_us = 0;
    node->paused_until_us = 0;
    node->crash_when_dirty = false;
    err = shard_open(&options, &node->shard, detail, sizeof detail);
    if (err != 0) {
        node->shard = NULL;
        if (!sim_damage_found(node, err, detail, false)) {
            sim_world_violation(world, "node %u does not start: %s: %s", node->index + 1, err_name(err), detail);
        }
        return;
    }
    node->fresh = state.fresh;
    err = state.fresh ? state_dir_settle(sim_disk_ops(node->disk), "shard-0", &state) : 0;
    if (err != 0 && err != ERR_NO_SPACE && sim_damage_found(node, err, "settling", false)) {
        return;
    }
    if (err != 0 && err != ERR_NO_SPACE) {
        sim_world_violation(world, "node %u cannot settle: %s", node->index + 1, err_name(err));
        return;
    }
    shard_set_client_address(node->shard, node->address);
    for (unsigned i = 0; i < world->nodes_len; i++) {
        if (i != node->index) {
            shard_peer_changed(node->shard, i + 1, false, world->nodes[i].address);
        }
    }
    sim_net_node_up(world, node->index);
    SIM_TRACE(world, "node %u is up", node->index + 1);
    if (node->life > 1) {
        sim_world_count(world, SIM_STAT_RESTARTS, 1);
        sim_checker_restart(node);
    }
    sim_node_wake(node);
}

void sim_node_pause(struct sim_node *node, uint64_t until_us)
{
    /* A longer pause on top of one would put what waits for its end behind what comes later. */
    if (node->paused_until_us > sim_world_now(node->world)) {
        return;
    }
    SIM_TRACE(node->world, "node %u pauses for %" PRIu64 " ms", node->index + 1,
              (until_us - sim_world_now(node->world)) / 1000);
    node->paused_until_us = until_us;
}
