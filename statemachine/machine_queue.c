/* Questions about queues and their consumers. */

#include <string.h>

#include "statemachine/session/consumer.h"
#include "statemachine/session/session.h"
#include "statemachine/state.h"

static struct machine_queue queue_describe(const struct queue *queue)
{
    return (struct machine_queue){
        .name = queue->name,
        .id = queue->id,
        .virtual_host = queue->virtual_host,
        .ready = queue_ready(queue),
        .parked = queue->parked,
        .waiting = queue->waiting_len,
        .unsettled = queue->unsettled,
        .consumers = queue->consumers_len,
        .enqueued = queue_enqueued(queue),
        .delivered = queue->counters.delivered,
        .settled = queue->counters.settled,
        .released = queue->counters.released,
        .options = &queue->options,
        .counters = &queue->counters,
        .owner = queue->owner,
        .active_session = queue->active_session,
        .active_consumer = queue->active_consumer,
        .last_used_ms = queue->last_used_ms,
    };
}

int machine_queue_in(struct machine *machine, uint64_t virtual_host, const char *name, struct machine_queue *ret_queue)
{
    const struct queue *queue = queue_by_name(machine, virtual_host, name);
    if (queue == NULL) {
        return ERR_NOT_FOUND;
    }
    *ret_queue = queue_describe(queue);
    return 0;
}

int machine_queue(struct machine *machine, const char *name, struct machine_queue *ret_queue)
{
    return machine_queue_in(machine, VIRTUAL_HOST_ROOT, name, ret_queue);
}

int machine_queue_oldest(struct machine *machine, uint64_t queue_id, uint64_t *ret_enqueued_ms)
{
    struct queue *queue = queue_by_id(machine, queue_id);
    if (queue == NULL) {
        return ERR_NOT_FOUND;
    }
    uint64_t position;
    uint32_t count;
    if (!queue_peek(queue, &position, &count)) {
        *ret_enqueued_ms = 0;
        return 0;
    }
    if (position != queue->oldest_position) {
        /* Reading the head of a large message in the store reads all of it; who watches queues asks again and again. */
        struct message_head head;
        int err = state_message_head(machine, queue, position, &head);
        if (err != 0) {
            return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
        }
        queue->oldest_position = position;
        queue->oldest_ms = head.enqueued_ms;
    }
    *ret_enqueued_ms = queue->oldest_ms;
    return 0;
}

int machine_queue_bytes(struct machine *machine, uint64_t queue_id, uint64_t *ret_bytes)
{
    struct queue *queue = queue_by_id(machine, queue_id);
    return queue != NULL ? queue_bytes(machine, queue, ret_bytes) : ERR_NOT_FOUND;
}

static bool queue_is_after(const struct queue *queue, uint64_t virtual_host, const char *name)
{
    return queue->virtual_host != virtual_host ? queue->virtual_host > virtual_host : strcmp(queue->name, name) > 0;
}

/* The first queue behind that name; NULL when there is none. It may be of another virtual host. */
static struct queue *queue_after(struct machine *machine, uint64_t virtual_host, const char *name)
{
    struct queue *found = NULL;
    struct queue *queue = RB_ROOT(&machine->queue_names);
    while (queue != NULL) {
        if (queue_is_after(queue, virtual_host, name)) {
            found = queue;
            queue = RB_LEFT(queue, by_name);
        } else {
            queue = RB_RIGHT(queue, by_name);
        }
    }
    return found;
}

int machine_queues_in(struct machine *machine, uint64_t virtual_host, const char *after,
                      int (*each)(void *arg, const struct machine_queue *queue), void *arg)
{
    struct queue *queue = queue_after(machine, virtual_host, after);
    for (; queue != NULL && queue->virtual_host == virtual_host;
         queue = RB_NEXT(queue_names, &machine->queue_names, queue)) {
        struct machine_queue described = queue_describe(queue);
        int err = each(arg, &described);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

int machine_queues(struct machine *machine, const char *after,
                   int (*each)(void *arg, const struct machine_queue *queue), void *arg)
{
    return machine_queues_in(machine, VIRTUAL_HOST_ROOT, after, each, arg);
}

int machine_consumers(struct machine *machine, uint64_t queue_id,
                      int (*each)(void *arg, const struct machine_consumer *consumer), void *arg)
{
    return machine_consumers_after(machine, queue_id, 0, 0, each, arg);
}

int machine_consumers_after(struct machine *machine, uint64_t queue_id, uint64_t session, uint64_t number,
                            int (*each)(void *arg, const struct machine_consumer *consumer), void *arg)
{
    struct queue *queue = queue_by_id(machine, queue_id);
    if (queue == NULL) {
        return ERR_NOT_FOUND;
    }
    struct consumer like = {.session_id = session, .id = number};
    struct consumer *consumer = RB_NFIND(queue_consumers, &queue->consumers, &like);
    for (; consumer != NULL; consumer = RB_NEXT(queue_consumers, &queue->consumers, consumer)) {
        bool is_ending = consumer->ending || session_is_ending(machine, consumer->session);
        if ((consumer->session_id == session && consumer->id == number) || is_ending) {
            continue;
        }
        struct machine_consumer described = {
            .session = consumer->session_id,
            .consumer = consumer->id,
            .lock_ms = consumer->lock_ms,
            .delivered = consumer->last_number,
            .credit = consumer->credit,
            .unsettled = (uint32_t)consumer->deliveries.held,
            .priority = consumer->priority,
            .exclusive = consumer->exclusive,
            .auto_accept = consumer->auto_accept,
            .fetch = consumer->fetch,
            .active = consumer_is_active(consumer),
            .tag = consumer->tag != NULL ? consumer->tag : "",
        };
        int err = each(arg, &described);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}
