/* Ready messages that leave a queue out of turn. */

#include "statemachine/body.h"
#include "statemachine/expiry.h"
#include "statemachine/group.h"
#include "statemachine/hole.h"
#include "statemachine/life.h"
#include "statemachine/queue_private.h"
#include "statemachine/state.h"

/* Where a ready message is. */
struct ready_place {
    struct returned *returned;
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

static int ready_find(struct machine *machine, struct queue *queue, uint64_t position, struct ready_place *ret_place)
{
    *ret_place = (struct ready_place){.returned = returned_find(queue, position)};
    int err = state_message_head(machine, queue, position, &ret_place->head);
    if (err != 0) {
        return err;
    }
    if (ret_place->returned != NULL) {
        ret_place->count = ret_place->returned->count;
        return 0;
    }
    struct lane *lane = queue_lane(queue, lane_of(position));
    if (position < lane->head) {
        return ready_find_parked(machine, queue, position, ret_place);
    }
    bool in_hole;
    ret_place->lane = lane;
    err = hole_at(machine, queue, position, &in_hole);
    return err != 0 ? err : in_hole ? ERR_NOT_FOUND : 0;
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
    if (place->returned == NULL) {
        bool found;
        return group_unpark(machine, queue, place->head.group, position, &found);
    }
    returned_remove(machine, queue, place->returned);
    return place->head.group != 0 ? group_done(machine, queue, place->head.group, position) : 0;
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
    int err = ready_find(machine, queue, position, &place);
    if (err == 0) {
        err = state_message(machine, queue, position, ret_message);
    }
    if (err != 0) {
        return err;
    }
    err = ready_remove(machine, queue, position, &place);
    if (err == 0) {
        err = queue_drop(machine, queue, position);
    }
    if (err != 0) {
        message_unref(ret_message);
    }
    return err;
}

/* The first parked one, of any group. */
static int find_parked(struct machine *machine, const struct queue *queue, uint64_t *ret_position)
{
    struct row_key key = row_key_one(ROW_PARKED, queue->id);
    struct row_key end = row_key_after(&key);
    struct table_row found;
    int err = table_seek(machine, &key, &end, &found);
    if (err == 0) {
        *ret_position = get_be64(found.key.data + 17);
        table_row_done(&found);
    }
    return err;
}

int queue_drop_oldest(struct machine *machine, struct queue *queue, struct message *ret_message, uint64_t *ret_position)
{
    struct lane *lane = queue_last_ready_lane(queue);
    struct returned *last = queue->returned_len > 0 ? RB_MAX(returned_tree, &queue->returned) : NULL;
    if (lane == NULL && last == NULL) {
        int err = find_parked(machine, queue, ret_position);
        return err != 0 ? err : queue_take_position(machine, queue, *ret_position, ret_message);
    }
    unsigned number = lane != NULL ? lane_of(lane->head) : 0;
    if (last != NULL && (lane == NULL || lane_of(last->position) > number)) {
        number = lane_of(last->position);
    }
    struct returned like = {.position = lane_start(number)};
    struct returned *first = RB_NFIND(returned_tree, &queue->returned, &like);
    if (lane != NULL && lane_of(lane->head) != number) {
        lane = NULL;
    }
    bool came_back = first != NULL && (lane == NULL || first->position < lane->head);
    *ret_position = came_back ? first->position : lane->head;
    return queue_take_position(machine, queue, *ret_position, ret_message);
}

/* ---- All of them ---- */

static int purge_returned(struct machine *machine, struct queue *queue)
{
    struct returned *returned;
    while ((returned = RB_ROOT(&queue->returned)) != NULL) {
        int err = queue_drop(machine, queue, returned->position);
        if (err == 0 && returned->group != 0) {
            err = group_end(machine, queue, returned->group);
        }
        if (err != 0) {
            return err;
        }
        returned_remove(machine, queue, returned);
    }
    return 0;
}

/* What has never been delivered goes as a range, without a look at what is in the store. */
static int purge_lane(struct machine *machine, struct queue *queue, struct lane *lane)
{
    if (lane->head < lane->tail && queue->had_shared) {
        int err = body_leave_range(machine, queue, lane->head, lane->tail);
        if (err != 0) {
            return err;
        }
    }
    if (lane->head < lane->collected) {
        int err = gone_add_range(&queue->gone, lane->head, lane->collected);
        if (err != 0) {
            return err;
        }
    }
    machine->overlay_bytes -= messages_settle_from(&lane->messages, lane->head);
    lane->head = lane->tail;
    queue_lane_changed(queue, lane);
    return 0;
}

int queue_purge(struct machine *machine, struct queue *queue)
{
    queue->counters.settled += queue_ready(queue);
    queue_changed(machine, queue);
    int err = life_purge(machine, queue);
    if (err == 0) {
        err = groups_purge(machine, queue);
    }
    if (err == 0) {
        err = purge_returned(machine, queue);
    }
    for (unsigned number = 0; err == 0 && number <= queue->options.max_priority; number++) {
        struct lane *lane = queue_lane(queue, number);
        err = lane != NULL ? purge_lane(machine, queue, lane) : 0;
    }
    queue->fresh = 0;
    queue->timed = 0;
    return err != 0 ? err : holes_clear(machine, queue);
}
