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
    uint64_t lease_ms = leases_due_ms(machine);
    uint64_t due_ms = lease_ms < machine->timers.next_ms ? lease_ms : machine->timers.next_ms;
    bool at_once =
        machine->due_cursor != 0 || state_is_going(machine) || (due_ms != LEASE_NEVER && due_ms <= machine->time_ms);
    return at_once ? 0 : due_ms;
}

/* One that was settled as it was delivered, by the last entry. */
static int parting_message(struct machine *machine, uint64_t queue_id, uint64_t position, struct message *ret_message)
{
    const struct parting *parting = partings_find(&machine->partings, queue_id, position);
    if (parting == NULL) {
        return ERR_NOT_FOUND;
    }
    if (parting->stored) {
        return state_read_message(machine, queue_id, position, ret_message);
    }
    *ret_message = parting->message;
    message_ref(ret_message);
    return 0;
}

static int message_anywhere(struct machine *machine, uint64_t queue_id, uint64_t position, struct message *ret_message)
{
    struct queue *queue = queue_by_id(machine, queue_id);
    int err = queue != NULL ? state_message(machine, queue, position, ret_message) : ERR_NOT_FOUND;
    return err == ERR_NOT_FOUND ? parting_message(machine, queue_id, position, ret_message) : err;
}

/* Memory is not to be trusted for ever, either. */
static int message_check(struct machine *machine, uint64_t queue_id, uint64_t position, const struct message *message)
{
    if (XXH3_64bits(message->data, message_len(message)) == message->hash) {
        return 0;
    }
    struct row_key key = row_key_pair(ROW_MESSAGE, queue_id, position);
    const struct queue *queue = queue_by_id(machine, queue_id);
    const struct lane *lane = queue != NULL ? queue_lane(queue, lane_of(position)) : NULL;
    bool in_memory = lane != NULL && position >= lane->messages.base;
    return state_blame(machine, &key, ERR_CHECKSUM,
                       in_memory ? "the body is damaged in memory" : "the body is damaged");
}

int machine_content(struct machine *machine, uint64_t queue_id, uint64_t position, struct machine_content *ret_content)
{
    struct message message;
    int err = message_anywhere(machine, queue_id, position, &message);
    if (err != 0) {
        return err;
    }
    err = message_check(machine, queue_id, position, &message);
    if (err != 0) {
        message_unref(&message);
        return err;
    }
    struct blob *trail_blob = message.trail_blob != NULL ? message.trail_blob : message.blob;
    struct slice content = {.blob = message.blob, .data = message.data, .len = message_len(&message)};
    *ret_content = (struct machine_content){
        .content = content,
        .head = slice_part(content, 0, message.head_len),
        .body = slice_part(content, message.head_len, message.body_len),
        .trail = {.blob = message.trail_len > 0 ? trail_blob : NULL, .data = message.trail, .len = message.trail_len},
        .enqueued_ms = message.enqueued_ms,
        .expires_ms = message.expires_ms,
        .hash = message.hash,
    };
    slice_ref(ret_content->head);
    slice_ref(ret_content->body);
    slice_ref(ret_content->trail);
    if (content.blob != NULL) {
        blob_ref(content.blob);
    }
    message_unref(&message);
    return 0;
}

void machine_content_done(struct machine_content *content)
{
    slice_unref(&content->content);
    slice_unref(&content->head);
    slice_unref(&content->body);
    slice_unref(&content->trail);
}

int machine_body(struct machine *machine, uint64_t queue_id, uint64_t position, struct slice *ret_body)
{
    struct machine_content content;
    int err = machine_content(machine, queue_id, position, &content);
    if (err == 0) {
        *ret_body = slice_ref(content.body);
        machine_content_done(&content);
    }
    return err;
}

static int delivery_describe(struct machine *machine, const struct consumer *consumer, const struct delivery *delivery,
                             struct machine_delivery *ret_delivery)
{
    struct message message;
    int err = state_message(machine, consumer->queue, delivery->position, &message);
    if (err != 0) {
        return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
    }
    *ret_delivery = (struct machine_delivery){
        .consumer = consumer->id,
        .number = delivery->number,
        .queue = consumer->queue->id,
        .position = delivery->position,
        .enqueued_ms = message.enqueued_ms,
        .body_hash = message.hash,
        .lock_until_ms = delivery->lock_until_ms,
        .expires_ms = message.expires_ms,
        .body_len = message.body_len,
        .head_len = message.head_len,
        .trail_len = message.trail_len,
        .delivery_count = delivery->count,
    };
    message_unref(&message);
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
        int err = session_is_ending(machine, session) ? 0 : each(arg, &described);
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
