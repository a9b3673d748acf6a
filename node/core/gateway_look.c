/* Looking at this node's replica: queues and their consumers. */

#include "node/core/gateway.h"
#include "proto/base/check.h"
#include "statemachine/machine_virtual_hosts.h"
#include "statemachine/queue/queue.h"
#include "statemachine/queue/queue_options.h"

uint32_t gateway_machine_version(struct gateway *gateway)
{
    return machine_version(gateway_core_of(gateway)->machine);
}

struct queue_listing {
    struct gateway_core *core;
    void *arg;
    bool (*each)(void *arg, const struct gateway_queue *queue);
};

/* protobuf-c does not write to what it packs; its type has no const. */
static char *text(const char *string)
{
    return (char *)(uintptr_t)string;
}

static Holdfast__QueueOptions options_of(const struct queue_options *from)
{
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.exclusive = from->exclusive;
    options.auto_delete = from->auto_delete;
    options.max_priority = from->max_priority;
    options.groups = from->groups;
    options.single_active = from->single_active;
    options.expires_ms = from->expires_ms;
    options.ttl_ms = from->ttl_ms;
    options.has_ttl = from->has_ttl;
    options.max_length = from->max_length;
    options.has_max_length = from->has_max_length;
    options.max_bytes = from->max_bytes;
    options.has_max_bytes = from->has_max_bytes;
    options.overflow = (Holdfast__QueueOptions__Overflow)from->overflow;
    options.has_dead_letter = from->has_dead_letter;
    options.dead_letter_exchange = text(from->dead_letter_exchange);
    options.dead_letter_key = text(from->dead_letter_key);
    options.has_dead_letter_key = from->has_dead_letter_key;
    options.max_deliveries = from->max_deliveries;
    options.redelivery_delay_ms = from->redelivery_delay_ms;
    options.redelivery_delay_max_ms = from->redelivery_delay_max_ms;
    options.lock_ms = from->lock_ms;
    options.keep_settled_ms = from->keep_settled_ms;
    options.keep_life_ms = from->keep_life_ms;
    options.id_window_ms = from->id_window_ms;
    options.paused = from->paused;
    options.protected_ = from->protected;
    options.note = text(from->note);
    return options;
}

/* What is told of a queue. What has to be looked for in the store is added for one queue at a time. */
static struct gateway_queue queue_of(struct gateway_core *core, const struct machine_queue *queue)
{
    core->queue_options = options_of(queue->options);
    return (struct gateway_queue){
        .name = queue->name,
        .ready = queue->ready,
        .unsettled = queue->unsettled,
        .consumers = queue->consumers,
        .enqueued = queue->enqueued,
        .delivered = queue->delivered,
        .settled = queue->settled,
        .released = queue->released,
        .expired = queue->counters->expired,
        .dropped = queue->counters->dropped,
        .dead_lettered = queue->counters->dead_lettered,
        .redriven = queue->counters->redriven,
        .lock_ended = queue->counters->lock_ended,
        .parked = queue->parked,
        .waiting = queue->waiting,
        .owned = queue->owner != 0,
        .active_session = queue->active_session,
        .active_consumer = queue->active_consumer,
        .options = &core->queue_options,
    };
}

static int list_queue(void *arg, const struct machine_queue *queue)
{
    struct queue_listing *listing = arg;
    struct gateway_queue told = queue_of(listing->core, queue);
    return listing->each(listing->arg, &told) ? 0 : 1;
}

int gateway_queues(struct gateway *gateway, const char *virtual_host, const char *after, void *arg,
                   bool (*each)(void *arg, const struct gateway_queue *queue), bool *ret_more)
{
    struct gateway_core *core = gateway_core_of(gateway);
    struct queue_listing listing = {.core = core, .arg = arg, .each = each};
    uint64_t host;
    int err = machine_virtual_host(core->machine, virtual_host, &host);
    if (err == 0) {
        err = machine_queues_in(core->machine, host, after, list_queue, &listing);
    }
    if (err < 0) {
        return err;
    }
    *ret_more = err > 0;
    return 0;
}

void gateway_note_damage(struct gateway_core *core, int err, const char *what)
{
    if (err == ERR_CORRUPT || err == ERR_CHECKSUM) {
        gateway_machine_failed(core, err, what);
    }
}

int gateway_find_queue(struct gateway_core *core, const char *virtual_host, const char *name,
                       struct machine_queue *ret_queue)
{
    uint64_t host;
    int err = machine_virtual_host(core->machine, virtual_host, &host);
    return err != 0 ? err : machine_queue_in(core->machine, host, name, ret_queue);
}

int gateway_queue(struct gateway *gateway, const char *virtual_host, const char *name, struct gateway_queue *ret_queue)
{
    struct gateway_core *core = gateway_core_of(gateway);
    struct machine_queue queue;
    int err = gateway_find_queue(core, virtual_host, name, &queue);
    if (err != 0) {
        return err;
    }
    struct gateway_queue told = queue_of(core, &queue);
    err = machine_queue_oldest(core->machine, queue.id, &told.oldest_ms);
    if (err == 0) {
        err = machine_queue_bytes(core->machine, queue.id, &told.bytes);
    }
    if (err == 0) {
        *ret_queue = told;
    }
    gateway_note_damage(core, err, "the oldest message of a queue cannot be read");
    return err;
}

/* ---- Consumers ---- */

struct consumer_listing {
    struct gateway_core *core;
    void *arg;
    bool (*each)(void *arg, const struct gateway_consumer *consumer);
};

static int list_consumer(void *arg, const struct machine_consumer *consumer)
{
    struct consumer_listing *listing = arg;
    struct machine_session session;
    bool known = machine_session(listing->core->machine, consumer->session, &session) == 0;
    struct gateway_consumer told = {
        .session = consumer->session,
        .consumer = consumer->consumer,
        .node = known ? session.node : 0,
        .delivered = consumer->delivered,
        .lock_ms = consumer->lock_ms,
        .credit = consumer->credit,
        .unsettled = consumer->unsettled,
        .priority = consumer->priority,
        .exclusive = consumer->exclusive,
        .auto_accept = consumer->auto_accept,
        .fetch = consumer->fetch,
        .active = consumer->active,
        .tag = consumer->tag,
    };
    return listing->each(listing->arg, &told) ? 0 : 1;
}

int gateway_consumers(struct gateway *gateway, const char *virtual_host, const char *queue, uint64_t session,
                      uint64_t consumer, void *arg, bool (*each)(void *arg, const struct gateway_consumer *consumer),
                      bool *ret_more)
{
    struct gateway_core *core = gateway_core_of(gateway);
    struct consumer_listing listing = {.core = core, .arg = arg, .each = each};
    struct machine_queue found;
    int err = gateway_find_queue(core, virtual_host, queue, &found);
    if (err == 0) {
        err = machine_consumers_after(core->machine, found.id, session, consumer, list_consumer, &listing);
    }
    if (err < 0) {
        return err;
    }
    *ret_more = err > 0;
    return 0;
}
