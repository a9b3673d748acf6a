/* A node's turns: what comes in, what its disk completes, and when it wakes. */

#include "sim_node.h"

#include <inttypes.h>

#include "proto/base/fault.h"
#include "sim_forward.h"
#include "sim_frame.h"
#include "sim_node_private.h"
#include "sim_world.h"

#define BUSY_WINDOW_US 10000u
#define BUSY_TURNS_MAX 80u

/* The world's time at which the node's clock shows that. */
static uint64_t node_world_us(const struct sim_node *node, uint64_t ms)
{
    uint64_t own_us = ms <= 5000 ? 0 : (ms - 5000) * 1000;
    return own_us * 1000000 / (uint64_t)(1000000 + node->drift_ppm) + 1;
}

/* Events of a node carry its life in `b`, unless said otherwise. */

void sim_node_push(struct sim_node *node, uint64_t at_us, void (*fire)(struct sim_event *event))
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
    return !sim_node_up(node) || event->b != node->life || sim_node_defer(node, event);
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
        sim_node_push(node, sim_world_now(node->world) + sim_random_delay(&node->disk_random, 1000), node_complete);
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
        sim_node_push(node, node->disk_free_us, node_complete);
    }
}

static void node_timer(struct sim_event *event);

static void node_arm(struct sim_node *node)
{
    uint64_t deadline_ms = node->shard != NULL ? shard_deadline_ms(node->shard) : patient_deadline_ms(node->patient);
    if (deadline_ms == UINT64_MAX) {
        return;
    }
    uint64_t at = node_world_us(node, deadline_ms);
    uint64_t now = sim_world_now(node->world);
    at = at > now + 100 ? at : now + 100;
    if (at < node->timer_us) {
        node->timer_us = at;
        sim_node_push(node, at, node_timer);
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

/* One replica alone computes something else. */
static void node_step(struct sim_node *node)
{
    if (!node->diverging) {
        shard_step(node->shard);
        return;
    }
    fault_set_nth(FAULT_DIVERGE, 0);
    shard_step(node->shard);
    if (!fault_fires(FAULT_DIVERGE)) {
        node->diverging = false;
    }
    fault_set(FAULT_DIVERGE, false);
}

static void node_turn(struct sim_node *node)
{
    if (node->shard != NULL && node->damage[0] == '\0') {
        node_step(node);
    } else if (node->shard == NULL) {
        patient_step(node->patient);
    }
    if (node->damage[0] != '\0') {
        sim_node_treat(node);
        return;
    }
    if (node->withdrawn) {
        sim_node_withdraw(node);
        return;
    }
    if (node->copy[0] != '\0') {
        sim_node_replace(node);
        return;
    }
    if (node->shard != NULL) {
        sim_checker_turn(node);
    }
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
    if (!sim_node_up(node) || event->b != node->life) {
        return;
    }
    if (event->at_us != node->timer_us) {
        return; /* An earlier one took its place. */
    }
    if (sim_world_now(node->world) < node->paused_until_us) {
        node->timer_us = node->paused_until_us;
        sim_node_push(node, node->timer_us, node_timer);
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
    if (sim_node_up(node) && !node->turn_pending) {
        node->turn_pending = true;
        sim_node_push(node, sim_world_now(node->world) + sim_random_between(&node->disk_random, 5, 150),
                      node_turn_event);
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

void sim_node_bulk_changed(struct sim_node *node, uint64_t with, bool connected)
{
    if (node->copy[0] != '\0' || node->damage[0] != '\0' || node->withdrawn) {
        return; /* It is about to end. */
    }
    if (node->shard != NULL) {
        (connected ? shard_bulk_connected : shard_bulk_lost)(node->shard, with);
    } else {
        (connected ? patient_bulk_connected : patient_bulk_lost)(node->patient, with);
    }
    sim_node_wake(node);
}

void sim_node_receive_bulk(struct sim_node *node, uint64_t from, bool asking, const struct frame *frame)
{
    int err = node->shard != NULL ? shard_receive_bulk(node->shard, from, asking, frame)
                                  : patient_receive_bulk(node->patient, from, asking, frame);
    if (err != 0) {
        sim_world_violation(node->world, "node %u calls a frame about a copy, of node %" PRIu64 ", broken: %s",
                            node->index + 1, from, err_name(err));
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
