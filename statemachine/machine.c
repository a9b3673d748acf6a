/* Questions to the machine. */

#include "statemachine/machine.h"

#include <stdio.h>
#include <string.h>

#include "proto/base/check.h"
#include "statemachine/state.h"

void machine_explain(const struct machine *machine, char *text, size_t text_len)
{
    const struct store_ops *ops = machine->store->ops;
    (void)snprintf(text, text_len, "%s", machine->said);
    if (machine->said[0] == '\0' && ops->explain != NULL) {
        ops->explain(machine->store, text, text_len);
    }
}

uint64_t machine_applied_index(const struct machine *machine)
{
    return machine->applied_index;
}

uint64_t machine_time_ms(const struct machine *machine)
{
    return machine->time_ms;
}

uint32_t machine_version(const struct machine *machine)
{
    return machine->version;
}

uint64_t machine_overlay_bytes(const struct machine *machine)
{
    return machine->overlay_bytes;
}

uint64_t machine_running_digest(const struct machine *machine)
{
    return machine->running_digest;
}

uint64_t machine_due_ms(const struct machine *machine)
{
    uint64_t due_ms = leases_due_ms(machine);
    bool at_once = machine->due_cursor != 0 || (due_ms != LEASE_NEVER && due_ms <= machine->time_ms);
    return at_once ? 0 : due_ms;
}

int machine_body(struct machine *machine, uint64_t queue_id, uint64_t position, struct slice *ret_body)
{
    struct queue *queue = queue_by_id(machine, queue_id);
    if (queue == NULL) {
        return ERR_NOT_FOUND;
    }
    struct message message;
    int err = state_message(machine, queue, position, &message);
    if (err != 0) {
        return err;
    }
    if (XXH3_64bits(message.data, message.len) != message.hash) { /* Memory is not to be trusted for ever, either. */
        struct row_key key = row_key_pair(ROW_MESSAGE, queue_id, position);
        bool in_memory = position >= queue->messages.base;
        blob_unref(message.blob);
        return state_blame(machine, &key, ERR_CHECKSUM,
                           in_memory ? "the body is damaged in memory" : "the body is damaged");
    }
    *ret_body = (struct slice){.blob = message.blob, .data = message.data, .len = message.len};
    return 0;
}

static int delivery_describe(struct machine *machine, const struct consumer *consumer, const struct delivery *delivery,
                             struct machine_delivery *ret_delivery)
{
    struct message message;
    int err = state_message(machine, consumer->queue, delivery->position, &message);
    if (err != 0) {
        return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
    }
    blob_unref(message.blob);
    *ret_delivery = (struct machine_delivery){
        .consumer = consumer->id,
        .number = delivery->number,
        .queue = consumer->queue->id,
        .position = delivery->position,
        .enqueued_ms = message.enqueued_ms,
        .body_hash = message.hash,
        .body_len = message.len,
        .delivery_count = delivery->count,
    };
    return 0;
}

int machine_deliveries(struct machine *machine, uint64_t session_id, uint64_t consumer_id, uint64_t seen,
                       int (*each)(void *arg, const struct machine_delivery *delivery), void *arg)
{
    struct session *session = session_by_id(machine, session_id);
    struct consumer *consumer = session != NULL ? consumer_find(session, consumer_id) : NULL;
    if (consumer == NULL) {
        return ERR_NOT_FOUND;
    }
    if (seen == UINT64_MAX) {
        return 0;
    }
    struct deliveries *deliveries = &consumer->deliveries;
    struct delivery *delivery = deliveries_find(deliveries, seen + 1, UINT64_MAX);
    for (; delivery != NULL; delivery = deliveries_next(deliveries, delivery, UINT64_MAX)) {
        struct machine_delivery described;
        int err = delivery_describe(machine, consumer, delivery, &described);
        if (err == 0) {
            err = each(arg, &described);
        }
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

static struct machine_session session_describe(const struct session *session)
{
    return (struct machine_session){
        .id = session->id,
        .attachment = session->attachment,
        .last_number = session->replies.last,
        .lease_ms = session->lease_ms,
        .node = session->place != NULL ? session->place->node : 0,
        .expires_ms = session->expires_ms,
    };
}

int machine_sessions(struct machine *machine, int (*each)(void *arg, const struct machine_session *session), void *arg)
{
    for (struct session *session = machine->sessions; session != NULL; session = session->by_id.next) {
        struct machine_session described = session_describe(session);
        int err = each(arg, &described);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

int machine_session(struct machine *machine, uint64_t session_id, struct machine_session *ret_session)
{
    struct session *session = session_by_id(machine, session_id);
    if (session == NULL) {
        return ERR_NOT_FOUND;
    }
    *ret_session = session_describe(session);
    return 0;
}

uint64_t machine_sessions_len(const struct machine *machine)
{
    return HASH_CNT(by_id, machine->sessions);
}

static struct machine_node presence_describe(const struct presence *presence)
{
    return (struct machine_node){.id = presence->node, .run = presence->run, .sessions = presence->sessions_len};
}

unsigned machine_nodes(const struct machine *machine, struct machine_node ret_nodes[NODES_PRESENT_MAX])
{
    unsigned len = 0;
    LIST_FOR_EACH (link, &machine->presences) {
        CHECK(len < NODES_PRESENT_MAX);
        ret_nodes[len++] = presence_describe(container_of(link, struct presence, by_node));
    }
    return len;
}

int machine_node(const struct machine *machine, uint64_t node, struct machine_node *ret_node)
{
    const struct presence *presence = presence_find(machine, node);
    if (presence == NULL) {
        return ERR_NOT_FOUND;
    }
    *ret_node = presence_describe(presence);
    return 0;
}

static struct machine_queue queue_describe(const struct queue *queue)
{
    return (struct machine_queue){
        .name = queue->name,
        .id = queue->id,
        .ready = queue_ready(queue),
        .unsettled = queue->unsettled,
        .consumers = queue->consumers_len,
        .enqueued = queue->tail - 1,
        .delivered = queue->delivered,
        .settled = queue->settled,
        .released = queue->released,
    };
}

int machine_queue(struct machine *machine, const char *name, struct machine_queue *ret_queue)
{
    const struct queue *queue = queue_by_name(machine, name);
    if (queue == NULL) {
        return ERR_NOT_FOUND;
    }
    *ret_queue = queue_describe(queue);
    return 0;
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

/* The first queue whose name sorts after `name`; NULL when there is none. */
static struct queue *queue_after(struct machine *machine, const char *name)
{
    struct queue *found = NULL;
    struct queue *queue = RB_ROOT(&machine->queue_names);
    while (queue != NULL) {
        if (strcmp(queue->name, name) > 0) {
            found = queue;
            queue = RB_LEFT(queue, by_name);
        } else {
            queue = RB_RIGHT(queue, by_name);
        }
    }
    return found;
}

int machine_queues(struct machine *machine, const char *after,
                   int (*each)(void *arg, const struct machine_queue *queue), void *arg)
{
    for (struct queue *queue = queue_after(machine, after); queue != NULL;
         queue = RB_NEXT(queue_names, &machine->queue_names, queue)) {
        struct machine_queue described = queue_describe(queue);
        int err = each(arg, &described);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}
