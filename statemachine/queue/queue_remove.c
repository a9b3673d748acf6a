/* Ready messages that leave a queue out of turn. */

#include "statemachine/message/life.h"
#include "statemachine/queue/expiry.h"
#include "statemachine/queue/group.h"
#include "statemachine/queue/hole.h"
#include "statemachine/queue/queue_private.h"
#include "statemachine/queue/returned.h"
#include "statemachine/queue/sweep.h"
#include "statemachine/state.h"

/* Where a ready message is. */
struct ready_place {
    bool returned;
    struct lane *lane; /* In its [head, tail). */
    uint32_t count;    /* Neither: it is parked. */
    struct message_head head;
};

static int ready_find_parked(struct machine *machine, struct queue *queue, uint64_t position, struct ready_place *place)
{
    if (queue->parked == 0 || place->head.group == 0) {
        return ERR_NOT_FOUND;
    }
    return group_find_parked(machine, queue, place->head.group, position, &place->count);
}

/* Of a message of which this is known. */
static int ready_find_known(struct machine *machine, struct queue *queue, uint64_t position,
                            const struct message_head *head, struct ready_place *ret_place)
{
    *ret_place = (struct ready_place){.head = *head};
    int err;
    struct lane *lane = queue_lane(queue, lane_of(position));
    if (position < lane->head) {
        err = returned_find_any(machine, queue, position, &ret_place->count);
        ret_place->returned = err == 0;
        return err == ERR_NOT_FOUND ? ready_find_parked(machine, queue, position, ret_place) : err;
    }
    bool in_hole;
    ret_place->lane = lane;
    err = hole_at(machine, queue, position, &in_hole);
    return err != 0 ? err : in_hole ? ERR_NOT_FOUND : 0;
}

static int ready_find(struct machine *machine, struct queue *queue, uint64_t position, struct ready_place *ret_place)
{
    struct message_head head;
    int err = state_message_head(machine, queue, position, &head);
    return err != 0 ? err : ready_find_known(machine, queue, position, &head, ret_place);
}

int queue_find_ready(struct machine *machine, struct queue *queue, uint64_t position, uint32_t *ret_count)
{
    struct ready_place place;
    int err = ready_find(machine, queue, position, &place);
    *ret_count = err == 0 ? place.count : 0;
    return err;
}

/* From the head of its lane, or from behind it: then a hole is left. */
static int remove_fresh(struct machine *machine, struct queue *queue, struct lane *lane, uint64_t position,
                        uint32_t bytes)
{
    int err;
    if (position == lane->head) {
        lane->head++;
        err = hole_pass(machine, queue, lane);
    } else {
        err = hole_add(machine, queue, lane, position, bytes);
    }
    queue->fresh--;
    queue_lane_changed(queue, lane);
    return err;
}

/* Out of what is ready; of its group the next one is ready. */
static int ready_remove(struct machine *machine, struct queue *queue, uint64_t position,
                        const struct ready_place *place)
{
    int err = 0;
    queue_changed(machine, queue);
    if (place->head.expires_ms != 0) {
        queue->timed--;
        err = expiry_unwatch(machine, queue, position, place->head.expires_ms);
    }
    if (err != 0) {
        return err;
    }
    if (place->lane != NULL) {
        return remove_fresh(machine, queue, place->lane, position, place->head.counted_len);
    }
    if (!place->returned) {
        bool found;
        return group_unpark(machine, queue, place->head.group, position, &found);
    }
    struct taken message;
    uint32_t bytes;
    err = returned_take(machine, queue, position, &message, &bytes);
    return err == 0 && message.group != 0 ? group_done(machine, queue, message.group, position) : err;
}

int queue_drop_ready(struct machine *machine, struct queue *queue, uint64_t position)
{
    struct ready_place place;
    int err = ready_find(machine, queue, position, &place);
    if (err == 0) {
        err = ready_remove(machine, queue, position, &place);
    }
    return err != 0 ? err : queue_drop(machine, queue, position);
}

int queue_take_position(struct machine *machine, struct queue *queue, uint64_t position, struct message *ret_message)
{
    struct ready_place place;
    int err = state_message(machine, queue, position, ret_message);
    if (err != 0) {
        return err;
    }
    struct message_head head = state_head_of(ret_message);
    err = ready_find_known(machine, queue, position, &head, &place);
    if (err == 0) {
        err = ready_remove(machine, queue, position, &place);
    }
    if (err == 0) {
        err = queue_drop(machine, queue, position);
    }
    if (err != 0) {
        message_unref(ret_message);
    }
    return err;
}

/* The number of the lowest priority's lane that has a ready or parked message; LANES_MAX: there is none. */
static int oldest_lane(struct machine *machine, const struct queue *queue, unsigned *ret_number)
{
    const struct lane *lane = queue_last_ready_lane(queue);
    uint64_t returned;
    uint64_t parked;
    *ret_number = queue_ready(queue) > 0 ? 0 : LANES_MAX;
    if (queue->lanes == NULL || *ret_number == LANES_MAX) {
        return 0;
    }
    int err = returned_last(machine, queue, &returned);
    if (err == 0) {
        err = group_parked_last(machine, queue, &parked);
    }
    if (err != 0) {
        return err;
    }
    unsigned number = lane != NULL ? lane_of(lane->head) : 0;
    number = lane_of(returned) > number ? lane_of(returned) : number;
    *ret_number = lane_of(parked) > number ? lane_of(parked) : number;
    return 0;
}

/* The first one there. */
static int oldest_of_lane(struct machine *machine, struct queue *queue, unsigned number, uint64_t *ret_position)
{
    const struct lane *lane = queue_lane(queue, number);
    uint64_t parked;
    uint32_t count;
    int err = returned_next(machine, queue, lane_start(number), lane->head, ret_position, &count);
    if (err == 0) {
        err = group_parked_from(machine, queue, lane_start(number), lane->head, &parked);
    }
    if (err != 0) {
        return err;
    }
    *ret_position = parked < *ret_position ? parked : *ret_position;
    *ret_position = *ret_position != UINT64_MAX ? *ret_position : lane->head;
    return 0;
}

int queue_drop_oldest(struct machine *machine, struct queue *queue, struct message *ret_message, uint64_t *ret_position)
{
    unsigned number;
    int err = oldest_lane(machine, queue, &number);
    if (err == 0 && number == LANES_MAX) {
        return ERR_NOT_FOUND;
    }
    if (err == 0) {
        err = oldest_of_lane(machine, queue, number, ret_position);
    }
    if (err == 0) {
        err = queue_take_position(machine, queue, *ret_position, ret_message);
    }
    return err;
}

/* ---- All of them ---- */

/* A few are dropped at once. */
static int purge_returned(struct machine *machine, struct queue *queue)
{
    struct returned *returned;
    int err = 0;
    if (queue->returned_len > SWEEP_PER_ENTRY_MAX && machine->version >= 2) {
        err = returned_spill(machine, queue, 0);
    }
    while (err == 0 && (returned = RB_ROOT(&queue->returned)) != NULL) {
        err = queue_drop(machine, queue, returned->position);
        if (err == 0 && returned->group != 0) {
            err = group_forget(machine, queue, returned->group, returned->position);
        }
        if (err == 0) {
            returned_drop(machine, queue, returned);
        }
    }
    return err != 0 || queue->far == 0 ? err : sweep_all_of(machine, queue, SWEEP_RETURNED);
}

/* What has never been delivered goes as a range, without a look at what is in the store, unless it may have shared bodies. */
static int purge_lane(struct machine *machine, struct queue *queue, struct lane *lane)
{
    uint64_t head = lane->head;
    if (head == lane->tail) {
        return 0;
    }
    lane->head = lane->tail;
    queue_lane_changed(queue, lane);
    if (queue->had_shared) {
        return sweep_lane(machine, queue, head, lane->tail);
    }
    machine->overlay_bytes -= messages_settle_from(&lane->messages, head);
    return head < lane->collected ? gone_add_range(&queue->gone, head, lane->collected) : 0;
}

int queue_purge_ready(struct machine *machine, struct queue *queue)
{
    int err = purge_returned(machine, queue);
    if (err == 0 && queue->parked > 0) {
        err = sweep_all_of(machine, queue, SWEEP_PARKED);
    }
    for (unsigned number = 0; err == 0 && number <= queue->options.max_priority; number++) {
        struct lane *lane = queue_lane(queue, number);
        err = lane != NULL ? purge_lane(machine, queue, lane) : 0;
    }
    queue->fresh = queue->timed = 0;
    queue->parked = queue->parked_bytes = 0;
    queue->far = queue->far_bytes = queue->far_first = 0;
    queue->purges += machine->version >= 2;
    queue_changed(machine, queue);
    return err != 0 ? err : holes_clear(machine, queue);
}

int queue_purge(struct machine *machine, struct queue *queue)
{
    queue->counters.settled += queue_ready(queue);
    int err = life_purge(machine, queue);
    return err != 0 ? err : queue_purge_ready(machine, queue);
}
