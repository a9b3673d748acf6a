/* What must hold in the rovers' virtual host after each entry. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/check.h"
#include "sim_rover.h"
#include "sim_world.h"
#include "statemachine/machine_virtual_hosts.h"
#include "statemachine/state.h"

struct rover_look {
    struct sim_world *world;
    struct machine *machine;
    uint64_t index;
    const struct effects *effects;
    struct sim_rover_queue queues[SIM_ROVER_QUEUES];
    unsigned queues_len;
    uint64_t consumers; /* In all of them. */
    bool behind;        /* This entry has left something to the next. */
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
        look->consumers += queue->consumers_len;
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
    if (!(look->behind && look->world->features.little) &&
        machine_session(look->machine, queue->owner, &session) != 0) {
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
    /* With little work a large message may take the place of one that is smaller, and the next ones see to the rest. */
    back = back || (look->world->features.little && queue->dropped != before->dropped);
    /* What is due comes in whatever the limit of a queue that refuses new ones. */
    back = back || look->world->options.seed % 3 == HOLDFAST__QUEUE_OPTIONS__OVERFLOW__REJECT_NEW;
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
        if (!look->behind && !queue->paused && queue->ready > queue->parked && is_free(consumer)) {
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

/* ---- Limits ---- */

static uint64_t ready_of(const struct rover_look *look)
{
    uint64_t ready = 0;
    for (unsigned i = 0; i < look->queues_len; i++) {
        ready += look->queues[i].ready;
    }
    return ready;
}

/* What is counted is there; nothing is above its limit but what was there when the limit was set. What is going counts until it has
 * gone, and is not to be seen any more. */
static void check_limit(struct rover_look *look, const char *what, const struct machine_limit *limit, uint64_t there,
                        uint64_t before)
{
    bool same = look->world->rovers.limits_index != look->index;
    if (same && limit->is_set && there > limit->value && there > before) {
        sim_world_violation(
            look->world, "entry %" PRIu64 ": of the rovers' %s there are %" PRIu64 ", after %" PRIu64 ", of %" PRIu64,
            look->index, what, there, before, limit->value);
    }
    if (look->behind ? limit->used < there : limit->used != there) {
        sim_world_violation(look->world,
                            "entry %" PRIu64 ": of the rovers' %s there are %" PRIu64 ", and %" PRIu64 " are counted",
                            look->index, what, there, limit->used);
    }
    sim_world_count(look->world, SIM_STAT_R_LIMITED_LESS, limit->is_set && there > limit->value);
}

static void check_host(struct rover_look *look, uint64_t host)
{
    struct machine_limit limits[MACHINE_LIMITS_MAX];
    unsigned len = 0;
    int err = machine_host_limits(look->machine, host, limits, &len);
    CHECK(err == 0);
    for (unsigned i = 0; i < len; i++) {
        const struct machine_limit *limit = &limits[i];
        if (limit->what == HOLDFAST__LIMIT__WHAT__QUEUES) {
            check_limit(look, "queues", limit, look->queues_len, look->world->rovers.queues_len);
        } else if (limit->what == HOLDFAST__LIMIT__WHAT__READY_MESSAGES) {
            check_limit(look, "ready messages", limit, ready_of(look), UINT64_MAX); /* Some come in by themselves. */
        }
        bool always =
            limit->what == HOLDFAST__LIMIT__WHAT__QUEUES || limit->what == HOLDFAST__LIMIT__WHAT__READY_MESSAGES;
        if (always && !limit->is_set) {
            sim_world_violation(look->world, "entry %" PRIu64 ": the rovers' virtual host has lost a limit",
                                look->index);
        }
    }
}

static void check_user(struct rover_look *look)
{
    struct machine_limit limits[MACHINE_LIMITS_MAX];
    unsigned len = 0;
    machine_user_limits(look->machine, SIM_ROVER_USER, limits, &len);
    for (unsigned i = 0; i < len; i++) {
        if (limits[i].what == HOLDFAST__LIMIT__WHAT__CONSUMERS) {
            check_limit(look, "consumers", &limits[i], look->consumers, look->world->rovers.consumers);
        }
    }
}

/* When the machine says that it has nothing left to do, nothing is left. */
static void check_nothing_left(struct rover_look *look)
{
    if (!look->behind && look->machine->doomed != NULL) {
        sim_world_violation(look->world, "entry %" PRIu64 ": a queue that was deleted is there still, and stays",
                            look->index);
    }
}

void sim_rover_applied(struct sim_node *node, uint64_t index, const struct effects *effects)
{
    struct sim_world *world = node->world;
    struct sim_rovers *rovers = &world->rovers;
    uint64_t host;
    if (index <= rovers->index) {
        return;
    }
    rovers->index = index;
    if (!world->features.ready) {
        return;
    }
    struct rover_look look = {
        .world = world, .machine = shard_machine(node->shard), .index = index, .effects = effects};
    if (machine_virtual_host(look.machine, SIM_ROVER_HOST, &host) != 0) {
        return;
    }
    take_all(&look, host);
    look.behind = machine_due_ms(look.machine) == 0;
    check_host(&look, host);
    check_user(&look);
    check_nothing_left(&look);
    sim_rover_exchanges_applied(world, look.machine, index, host);
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
    rovers->consumers = look.consumers;
}
