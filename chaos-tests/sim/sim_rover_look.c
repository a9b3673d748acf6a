/* What must hold in the rovers' virtual host after each entry. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/check.h"
#include "sim_rover.h"
#include "sim_world.h"
#include "statemachine/machine_virtual_hosts.h"
#include "statemachine/queue/queue.h"

struct rover_look {
    struct sim_world *world;
    struct machine *machine;
    uint64_t index;
    const struct effects *effects;
    struct sim_rover_queue queues[SIM_ROVER_QUEUES];
    unsigned queues_len;
};

#define ROVER_VIOLATION(look, queue, text, ...)                                                                        \
    sim_world_violation((look)->world, "entry %" PRIu64 ", rovers' queue %s: " text, (look)->index, (queue)->name,     \
                        ##__VA_ARGS__)

/* ---- As it is now ---- */

static int take_queue(void *arg, const struct machine_queue *found)
{
    struct rover_look *look = arg;
    if (look->queues_len == SIM_ROVER_QUEUES) {
        sim_world_violation(look->world, "entry %" PRIu64 ": the rovers have a queue %s that they did not declare",
                            look->index, found->name);
        return 1;
    }
    struct sim_rover_queue *queue = &look->queues[look->queues_len++];
    const struct queue_options *options = found->options;
    *queue = (struct sim_rover_queue){
        .id = found->id,
        .owner = found->owner,
        .ready = found->ready,
        .parked = found->parked,
        .waiting = found->waiting,
        .unsettled = found->unsettled,
        .enqueued = found->enqueued,
        .delivered = found->delivered,
        .released = found->released,
        .gone = found->settled + found->counters->expired + found->counters->redriven,
        .dropped = found->counters->dropped,
        .max_bytes = options->has_max_bytes ? options->max_bytes : UINT64_MAX,
        .limited = options->has_max_bytes || options->has_max_length,
        .paused = options->paused,
        .exclusive = options->exclusive,
    };
    snprintf(queue->name, sizeof queue->name, "%s", found->name);
    return 0;
}

static int take_consumer(void *arg, const struct machine_consumer *found)
{
    struct sim_rover_queue *queue = arg;
    if (queue->consumers_len < SIM_ROVER_CONSUMERS) {
        queue->consumers[queue->consumers_len++] = (struct sim_rover_consumer){.session = found->session,
                                                                               .consumer = found->consumer,
                                                                               .delivered = found->delivered,
                                                                               .credit = found->credit,
                                                                               .unsettled = found->unsettled,
                                                                               .priority = found->priority,
                                                                               .exclusive = found->exclusive,
                                                                               .fetch = found->fetch,
                                                                               .active = found->active};
    }
    return 0;
}

static void take_all(struct rover_look *look, uint64_t host)
{
    int err = machine_queues_in(look->machine, host, "", take_queue, look);
    for (unsigned i = 0; i < look->queues_len && err == 0; i++) {
        struct sim_rover_queue *queue = &look->queues[i];
        err = machine_consumers(look->machine, queue->id, take_consumer, queue);
        for (unsigned c = 0; c < queue->consumers_len; c++) {
            struct machine_session session;
            queue->consumers[c].attached =
                machine_session(look->machine, queue->consumers[c].session, &session) == 0 && session.node != 0;
        }
        if (err == 0 && queue->max_bytes != UINT64_MAX) {
            err = machine_queue_bytes(look->machine, queue->id, &queue->bytes);
        }
    }
    if (err != 0) {
        sim_world_violation(look->world, "entry %" PRIu64 ": the rovers' queues cannot be looked at: %s", look->index,
                            err_name(err));
    }
}

/* ---- What must hold ---- */

static const struct sim_rover_queue *queue_before(const struct rover_look *look, uint64_t id)
{
    const struct sim_rovers *rovers = &look->world->rovers;
    for (unsigned i = 0; i < rovers->queues_len; i++) {
        if (rovers->queues[i].id == id) {
            return &rovers->queues[i];
        }
    }
    return NULL;
}

static const struct sim_rover_consumer *consumer_of(const struct sim_rover_queue *queue, uint64_t session,
                                                    uint64_t consumer)
{
    for (unsigned i = 0; queue != NULL && i < queue->consumers_len; i++) {
        if (queue->consumers[i].session == session && queue->consumers[i].consumer == consumer) {
            return &queue->consumers[i];
        }
    }
    return NULL;
}

static bool is_free(const struct sim_rover_consumer *consumer)
{
    return consumer != NULL && consumer->attached && consumer->active && !consumer->fetch &&
           consumer->unsettled < consumer->credit;
}

/* An exclusive queue is its session's alone, and goes with it. */
static void check_exclusive(struct rover_look *look, const struct sim_rover_queue *queue)
{
    struct machine_session session;
    if (!queue->exclusive) {
        return;
    }
    if (machine_session(look->machine, queue->owner, &session) != 0) {
        ROVER_VIOLATION(look, queue, "its session %" PRIu64 " has ended, and it is still there", queue->owner);
    }
    for (unsigned i = 0; i < queue->consumers_len; i++) {
        if (queue->consumers[i].session != queue->owner) {
            ROVER_VIOLATION(look, queue, "it is session %" PRIu64 "'s alone, and session %" PRIu64 " consumes",
                            queue->owner, queue->consumers[i].session);
        }
    }
}

/* What came in is there, or has left, once. What was turned away never came in. */
static void check_figures(struct rover_look *look, const struct sim_rover_queue *queue)
{
    uint64_t known = queue->ready + queue->waiting + queue->unsettled + queue->gone;
    bool more = known > queue->enqueued;
    bool less = known + queue->dropped < queue->enqueued;
    if (more || less || (!queue->limited && known != queue->enqueued)) {
        ROVER_VIOLATION(look, queue,
                        "of %" PRIu64 " messages %" PRIu64 " are ready, %" PRIu64 " wait, %" PRIu64 " are out, %" PRIu64
                        " are gone, %" PRIu64 " dropped",
                        queue->enqueued, queue->ready, queue->waiting, queue->unsettled, queue->gone, queue->dropped);
    }
}

static void check_limits(struct rover_look *look, const struct sim_rover_queue *queue,
                         const struct sim_rover_queue *before)
{
    bool back = before == NULL || queue->released != before->released;
    if (queue->max_bytes != UINT64_MAX && queue->bytes > queue->max_bytes && !back && queue->bytes > before->bytes) {
        ROVER_VIOLATION(look, queue, "it holds %" PRIu64 " bytes, after %" PRIu64 ", of %" PRIu64, queue->bytes,
                        before->bytes, queue->max_bytes);
    }
    if (before != NULL && queue->paused && before->paused && queue->delivered != before->delivered) {
        ROVER_VIOLATION(look, queue, "it is paused, and gives messages");
    }
    sim_world_count(look->world, SIM_STAT_R_PAUSED, queue->paused && queue->ready > 0);
    sim_world_count(look->world, SIM_STAT_R_DROPPED, before != NULL ? queue->dropped - before->dropped : 0);
}

static void check_consumers(struct rover_look *look, const struct sim_rover_queue *queue,
                            const struct sim_rover_queue *before)
{
    bool settled = machine_due_ms(look->machine) != 0; /* Nothing is left over from this entry. */
    for (unsigned i = 0; i < queue->consumers_len; i++) {
        const struct sim_rover_consumer *consumer = &queue->consumers[i];
        const struct sim_rover_consumer *was = consumer_of(before, consumer->session, consumer->consumer);
        for (unsigned other = 0; other < queue->consumers_len && consumer->exclusive; other++) {
            if (other != i && !queue->consumers[other].fetch) {
                ROVER_VIOLATION(look, queue, "its exclusive consumer %" PRIx64 " is not alone", consumer->consumer);
            }
        }
        sim_world_count(look->world, SIM_STAT_R_ALONE, consumer->exclusive && was == NULL);
        if (consumer->unsettled > consumer->credit) {
            ROVER_VIOLATION(look, queue, "consumer %" PRIx64 " holds %u, of %u", consumer->consumer,
                            consumer->unsettled, consumer->credit);
        }
        if (settled && !queue->paused && queue->ready > queue->parked && is_free(consumer)) {
            ROVER_VIOLATION(look, queue, "%" PRIu64 " messages are ready, and consumer %" PRIx64 " is free",
                            queue->ready - queue->parked, consumer->consumer);
        }
    }
}

/* Nobody is given a message while one of a higher rank was free all the time. */
static void check_rank(struct rover_look *look, const struct sim_rover_queue *queue, const struct effect *effect)
{
    const struct sim_rover_queue *before = queue_before(look, queue->id);
    const struct sim_rover_consumer *given = consumer_of(queue, effect->session, effect->delivery.consumer);
    for (unsigned i = 0; given != NULL && !given->fetch && i < queue->consumers_len; i++) {
        const struct sim_rover_consumer *other = &queue->consumers[i];
        const struct sim_rover_consumer *was = consumer_of(before, other->session, other->consumer);
        bool always = is_free(other) && is_free(was) && was->delivered == other->delivered;
        sim_world_count(look->world, SIM_STAT_R_RANKED, always && other->priority < given->priority);
        if (always && other->priority > given->priority) {
            ROVER_VIOLATION(look, queue,
                            "consumer %" PRIx64 " of rank %d was given a message; %" PRIx64 " of %d is free",
                            given->consumer, given->priority, other->consumer, other->priority);
        }
    }
}

static void check_deliveries(struct rover_look *look)
{
    for (size_t e = 0; e < look->effects->len; e++) {
        const struct effect *effect = &look->effects->items[e];
        for (unsigned i = 0; i < look->queues_len && effect->kind == EFFECT_DELIVER; i++) {
            const struct sim_rover_queue *queue = &look->queues[i];
            if (queue->id != effect->delivery.queue) {
                continue;
            }
            if (queue->exclusive && effect->session != queue->owner) {
                ROVER_VIOLATION(look, queue, "it is session %" PRIu64 "'s alone, and session %" PRIu64 " is given",
                                queue->owner, effect->session);
            }
            sim_world_count(look->world, SIM_STAT_R_EXCLUSIVE, queue->exclusive);
            check_rank(look, queue, effect);
        }
    }
}

void sim_rover_applied(struct sim_node *node, uint64_t index, const struct effects *effects)
{
    struct sim_world *world = node->world;
    struct sim_rovers *rovers = &world->rovers;
    uint64_t host;
    if (!world->features.ready || index <= rovers->index) {
        return;
    }
    struct rover_look look = {
        .world = world, .machine = shard_machine(node->shard), .index = index, .effects = effects};
    rovers->index = index;
    if (machine_virtual_host(look.machine, SIM_ROVER_HOST, &host) != 0) {
        return;
    }
    take_all(&look, host);
    if (look.queues_len > SIM_ROVER_QUEUES_LIMIT) {
        sim_world_violation(world, "entry %" PRIu64 ": the rovers have %u queues, of %u", index, look.queues_len,
                            SIM_ROVER_QUEUES_LIMIT);
    }
    check_deliveries(&look);
    for (unsigned i = 0; i < look.queues_len; i++) {
        const struct sim_rover_queue *before = queue_before(&look, look.queues[i].id);
        check_exclusive(&look, &look.queues[i]);
        check_figures(&look, &look.queues[i]);
        check_limits(&look, &look.queues[i], before);
        check_consumers(&look, &look.queues[i], before);
        sim_world_count(world, SIM_STAT_R_QUEUES, before == NULL);
    }
    memcpy(rovers->queues, look.queues, sizeof rovers->queues);
    rovers->queues_len = look.queues_len;
}
