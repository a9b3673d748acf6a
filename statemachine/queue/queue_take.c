/* Messages coming into a queue, being delivered, going back, and being settled. */

#include "proto/base/check.h"
#include "statemachine/message/body.h"
#include "statemachine/queue/came_back.h"
#include "statemachine/queue/expiry.h"
#include "statemachine/queue/group.h"
#include "statemachine/queue/hole.h"
#include "statemachine/queue/queue_private.h"
#include "statemachine/state.h"

/* What parking a message costs of a budget of deliveries: it takes about as long. */
#define PARKING_COST 8u

/* Slots are filled where they are: what has just been written in small parts is slow to copy. */
static void lane_fill(struct lane *lane, const struct plain_messages *messages, uint64_t time_ms, bool old)
{
    const uint8_t *data = messages->data;
    uint64_t bytes = lane->bytes;
    for (size_t i = 0; i < messages->len; i++) {
        uint32_t len = messages->lens[i];
        *messages_add(&lane->messages) = (struct message){.blob = messages->blob,
                                                          .data = data,
                                                          .hash = messages->hashes[i],
                                                          .enqueued_ms = time_ms,
                                                          .bytes_before = bytes,
                                                          .body_len = len,
                                                          .old = old};
        data += len;
        bytes += old ? 0 : len;
    }
    lane->bytes = bytes;
    lane->tail += messages->len;
}

int queue_push_plain(struct machine *machine, struct queue *queue, const struct plain_messages *messages)
{
    struct lane *lane;
    int err = queue_make_lane(queue, queue->options.max_priority, &lane);
    if (err == 0) {
        err = messages_reserve(&lane->messages, messages->len);
    }
    if (err != 0 || messages->len == 0) {
        return err;
    }
    if (messages->blob != NULL) {
        blob_ref_many(messages->blob, messages->len);
    }
    lane_fill(lane, messages, machine->time_ms, machine->version < 2);
    uint64_t bytes = messages->len * MESSAGE_COST;
    for (size_t i = 0; i < messages->len; i++) {
        bytes += messages->lens[i];
    }
    machine->overlay_bytes += bytes;
    queue->fresh += messages->len;
    queue_lane_changed(queue, lane);
    queue_changed(machine, queue);
    queue_due(machine, queue);
    return 0;
}

static unsigned queue_lane_number(const struct queue *queue, uint32_t priority)
{
    return priority < queue->options.max_priority ? queue->options.max_priority - priority : 0;
}

int queue_push(struct machine *machine, struct queue *queue, const struct message *message, uint32_t priority,
               uint64_t *ret_position)
{
    unsigned number = queue_lane_number(queue, priority);
    struct lane *lane = queue->lanes == NULL ? &queue->lane : queue->lanes[number];
    int err = lane == NULL ? queue_make_lane(queue, number, &lane) : 0;
    if (err == 0 && lane->messages.len == lane->messages.cap) {
        err = messages_reserve(&lane->messages, 1);
    }
    if (err != 0) {
        return err;
    }
    messages_push(&lane->messages, message);
    struct message *slot = messages_at(&lane->messages, lane->tail);
    slot->settled = false;
    slot->old = machine->version < 2;
    slot->bytes_before = lane->bytes;
    if (!queue->options.groups) {
        slot->group = 0;
    }
    lane->bytes += message_counted_len(slot);
    machine->overlay_bytes += message_len(slot) + slot->trail_len + MESSAGE_COST;
    *ret_position = lane->tail++;
    queue->fresh++;
    queue->timed += slot->expires_ms != 0;
    queue->had_shared |= slot->shared_body != 0;
    queue_lane_changed(queue, lane);
    queue_changed(machine, queue);
    queue_due(machine, queue);
    return 0;
}

/* ---- Going back ---- */

int queue_put_back(struct machine *machine, struct queue *queue, uint64_t position, uint32_t count, uint64_t expires_ms,
                   uint64_t group)
{
    struct taken message = {.position = position, .count = count, .expires_ms = expires_ms, .group = group};
    uint32_t bytes = 0;
    int err = 0;
    if (machine->version >= 2) {
        struct message_head head;
        err = state_message_head(machine, queue, position, &head);
        bytes = err == 0 ? head.counted_len : 0;
        err = err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
    }
    if (err == 0 && expires_ms != 0) {
        queue->timed++;
        err = expiry_watch(machine, queue, position, expires_ms);
    }
    bool parked = false;
    if (err == 0 && group != 0) {
        err = group_put_back(machine, queue, &message, bytes, &parked);
    }
    if (err == 0 && !parked) {
        err = returned_add(machine, queue, &message, bytes);
    }
    return err;
}

int queue_return(struct machine *machine, struct queue *queue, const struct delivery *delivery,
                 enum return_reason reason, uint64_t delay_ms)
{
    CHECK(queue->unsettled > 0);
    queue->unsettled--;
    queue->counters.released++;
    queue->counters.lock_ended += reason == RETURN_LOCK_ENDED;
    queue_changed(machine, queue);
    bool counts = reason != RETURN_NOT_COUNTED && delivery->count < UINT32_MAX;
    return came_back(machine, queue, delivery, delivery->count + counts, reason, delay_ms);
}

/* ---- Being delivered ---- */

bool queue_peek(const struct queue *queue, uint64_t *ret_position, uint32_t *ret_count)
{
    const struct lane *lane = queue_first_ready_lane(queue);
    const struct returned *returned = NULL;
    if (queue->returned_len > 0) {
        returned = RB_MIN(returned_tree, (struct returned_tree *)&queue->returned);
    }
    if (returned != NULL && (lane == NULL || returned->position < lane->head)) {
        *ret_position = returned->position;
        *ret_count = returned->count;
        return true;
    }
    if (lane == NULL) {
        return false;
    }
    *ret_position = lane->head;
    *ret_count = 0;
    return true;
}

/* The next one at the head of a lane; what a delivery has to know of it is read where there may be something to know. */
static int queue_take_fresh(struct machine *machine, struct queue *queue, struct lane *lane, struct taken *ret_taken,
                            uint32_t *ret_bytes)
{
    *ret_taken = (struct taken){.position = lane->head};
    if (queue->timed > 0 || queue->options.groups) {
        struct message_head head;
        int err = state_message_head(machine, queue, lane->head, &head);
        if (err != 0) {
            return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
        }
        ret_taken->expires_ms = head.expires_ms;
        ret_taken->group = head.group;
        *ret_bytes = head.counted_len;
    }
    lane->head++;
    queue->fresh--;
    int err = hole_pass(machine, queue, lane);
    queue_lane_changed(queue, lane);
    queue_changed(machine, queue);
    return err;
}

static int queue_take_back(struct machine *machine, struct queue *queue, struct returned *returned,
                           struct taken *ret_taken, uint32_t *ret_bytes)
{
    *ret_taken = (struct taken){.position = returned->position,
                                .count = returned->count,
                                .expires_ms = returned->expires_ms,
                                .group = returned->group};
    *ret_bytes = returned->bytes;
    return returned_remove(machine, queue, returned);
}

/* Takes the lowest one out of what is ready; there must be one. */
static int queue_take_next(struct machine *machine, struct queue *queue, struct taken *ret_taken, uint32_t *ret_bytes)
{
    struct lane *lane = queue_first_ready_lane(queue);
    struct returned *returned = queue->returned_len > 0 ? RB_MIN(returned_tree, &queue->returned) : NULL;
    *ret_bytes = 0;
    if (returned != NULL && (lane == NULL || returned->position < lane->head)) {
        return queue_take_back(machine, queue, returned, ret_taken, ret_bytes);
    }
    if (lane == NULL) {
        return ERR_CORRUPT; /* The row of the queue counts more than there are. */
    }
    return queue_take_fresh(machine, queue, lane, ret_taken, ret_bytes);
}

static int queue_lock(struct machine *machine, struct queue *queue, const struct taken *taken)
{
    queue->unsettled++;
    queue->counters.delivered++;
    if (taken->expires_ms == 0) {
        return 0;
    }
    queue->timed--;
    return expiry_unwatch(machine, queue, taken->position, taken->expires_ms);
}

int queue_take(struct machine *machine, struct queue *queue, unsigned *budget, struct taken *ret_taken, bool *ret_found)
{
    *ret_found = false;
    while (queue_has_next(queue) && *budget > 0) {
        uint32_t bytes;
        bool may = true;
        int err = queue_take_next(machine, queue, ret_taken, &bytes);
        if (err == 0 && ret_taken->group != 0) {
            err = group_take(machine, queue, ret_taken, bytes, &may);
        }
        if (err != 0) {
            return err;
        }
        if (may) {
            *ret_found = true;
            return queue_lock(machine, queue, ret_taken);
        }
        *budget -= *budget < PARKING_COST ? *budget : PARKING_COST;
    }
    return 0;
}

bool queue_take_returned(struct machine *machine, struct queue *queue, uint64_t position)
{
    struct returned *returned = returned_find(queue, position);
    if (returned == NULL) {
        return false;
    }
    queue->unsettled++;
    return returned_remove(machine, queue, returned) == 0;
}

/* ---- Being settled ---- */

int queue_drop(struct machine *machine, struct queue *queue, uint64_t position)
{
    int err = queue->had_shared ? body_leave(machine, queue, position) : 0;
    if (err != 0) {
        return err;
    }
    struct lane *lane = queue_lane(queue, lane_of(position));
    machine->overlay_bytes -= messages_settle(&lane->messages, position);
    return position < lane->collected ? gone_add(&queue->gone, position) : 0;
}

/* With a shared body it is dropped later, as what is ready. Its group does not matter any more. */
int queue_drop_delivery(struct machine *machine, struct queue *queue, const struct delivery *delivery)
{
    struct taken message = {.position = delivery->position};
    queue->unsettled--;
    queue_changed(machine, queue);
    return queue->had_shared ? far_put(machine, queue, &message, 0) : 0;
}

int queue_forget(struct machine *machine, struct queue *queue, uint64_t position, uint64_t group)
{
    int err = queue_drop(machine, queue, position);
    queue_changed(machine, queue);
    return err != 0 || group == 0 ? err : group_done(machine, queue, group, position);
}

int queue_settle_uncounted(struct machine *machine, struct queue *queue, const struct delivery *delivery)
{
    CHECK(queue->unsettled > 0);
    queue->unsettled--;
    return queue_forget(machine, queue, delivery->position, delivery->group);
}

int queue_settle(struct machine *machine, struct queue *queue, const struct delivery *delivery)
{
    queue->counters.settled++;
    return queue_settle_uncounted(machine, queue, delivery);
}
