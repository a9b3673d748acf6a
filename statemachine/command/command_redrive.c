/* Redrive: dead letters go back to the queues that they died in. */

#include <stdlib.h>
#include <string.h>

#include "proto/base/fault.h"
#include "statemachine/command/command.h"
#include "statemachine/message/life.h"
#include "statemachine/message/trail.h"
#include "statemachine/queue/enqueue.h"
#include "statemachine/queue/hole.h"
#include "statemachine/queue/moving.h"
#include "statemachine/queue/returned.h"

/* Messages that one command looks at. */
#define REDRIVE_LOOK_MAX 4096u

/* ---- What is ready ---- */

/* The first message at or above a position that is ready and has not come back; UINT64_MAX: there is none. */
static int fresh_next(struct machine *machine, struct queue *queue, uint64_t position, uint64_t *ret_position)
{
    *ret_position = UINT64_MAX;
    for (unsigned number = lane_of(position); number <= queue->options.max_priority; number++) {
        const struct lane *lane = queue_lane(queue, number);
        if (lane == NULL) {
            continue;
        }
        uint64_t next = position > lane->head ? position : lane->head;
        int err = next < lane->tail ? hole_skip(machine, queue, next, &next) : 0;
        if (err != 0) {
            return err;
        }
        if (next < lane->tail) {
            *ret_position = next;
            return 0;
        }
    }
    return 0;
}

/* Parked ones are passed over. */
static int ready_next(struct machine *machine, struct queue *queue, uint64_t position, uint64_t *ret_position)
{
    uint64_t returned;
    uint32_t count;
    int err = fresh_next(machine, queue, position, ret_position);
    if (err == 0) {
        err = returned_next(machine, queue, position, *ret_position, &returned, &count);
    }
    if (err == 0 && returned < *ret_position) {
        *ret_position = returned;
    }
    return err;
}

/* What is ready now: what comes in while messages are moved is not looked at. */
static int ready_list(struct machine *machine, struct queue *queue, uint64_t *positions, size_t *ret_len)
{
    uint64_t position = 0;
    size_t len = 0;
    while (len < REDRIVE_LOOK_MAX) {
        int err = ready_next(machine, queue, position, &position);
        if (err != 0) {
            return err;
        }
        if (position == UINT64_MAX) {
            break;
        }
        positions[len++] = position++;
    }
    *ret_len = len;
    return 0;
}

/* ---- Moving ---- */

struct redrive {
    struct machine *machine;
    struct session *session;
    const Holdfast__Redrive *command;
    struct queue *queue;
    struct queue *to; /* NULL: where each died. */
    struct reply *reply;
    uint64_t bytes; /* Moved so far. */
};

/* The queue that a message is to go to; NULL: it stays. ERR_CORRUPT. */
static int redrive_target(const struct redrive *redrive, const struct message *message, struct queue **ret_queue)
{
    struct trail trail;
    char name[NAME_LEN_MAX + 1] = {0};
    int err = trail_read(message->trail, message->trail_len, &trail);
    *ret_queue = NULL;
    if (err != 0 || trail.deaths_len == 0 || trail.deaths[0].queue.len > NAME_LEN_MAX) {
        return err;
    }
    memcpy(name, trail.deaths[0].queue.data, trail.deaths[0].queue.len);
    if (redrive->command->from[0] != 0 && strcmp(redrive->command->from, name) != 0 &&
        !fault_fires(FAULT_SKIP_REDRIVE_FROM)) {
        return 0;
    }
    struct queue *queue = redrive->to;
    if (queue == NULL) {
        queue = queue_by_name(redrive->machine, redrive->queue->virtual_host, name);
    }
    *ret_queue = queue != NULL && queue_usable_by(queue, redrive->session) ? queue : NULL;
    return 0;
}

static int redrive_move(struct redrive *redrive, uint64_t position, struct queue *to)
{
    struct machine *machine = redrive->machine;
    struct message message;
    int err = queue_take_position(machine, redrive->queue, position, &message);
    if (err != 0) {
        return err;
    }
    redrive->queue->counters.redriven++;
    redrive->bytes += message_len(&message);
    redrive->reply->count++;
    err = life_note_text(machine, redrive->queue, position, LIFE_REDRIVEN, to->name);
    if (err == 0) {
        err = life_end(machine, redrive->queue, position);
    }
    if (err != 0) {
        message_unref(&message);
        return err;
    }
    return move_message(machine, to, &message, ENQUEUE_REDRIVEN);
}

static int redrive_one(struct redrive *redrive, uint64_t position)
{
    struct message_head head;
    struct message message;
    struct queue *to = NULL;
    int err = state_message_head(redrive->machine, redrive->queue, position, &head);
    if (err == ERR_NOT_FOUND) {
        return 0; /* Pushed out by one that was moved before it. */
    }
    if (err == 0 && head.trail_len > 0) {
        err = state_message(redrive->machine, redrive->queue, position, &message);
        if (err == 0) {
            err = redrive_target(redrive, &message, &to);
            message_unref(&message);
        }
    }
    if (err != 0) {
        return err;
    }
    if (to == NULL) {
        redrive->reply->repeated_count++;
        return 0;
    }
    return redrive_move(redrive, position, to);
}

static int redrive_all(struct redrive *redrive)
{
    uint32_t max = redrive->command->max != 0 ? redrive->command->max : MOVE_MAX;
    uint64_t *positions = malloc(REDRIVE_LOOK_MAX * sizeof *positions);
    size_t len = 0;
    if (positions == NULL) {
        return ERR_NOMEM;
    }
    int err = ready_list(redrive->machine, redrive->queue, positions, &len);
    for (size_t i = 0; err == 0 && i < len && redrive->reply->count < max && redrive->bytes < MOVE_BYTES_MAX; i++) {
        err = redrive_one(redrive, positions[i]);
    }
    free(positions);
    return err;
}

int command_redrive(struct machine *machine, struct session *session, const Holdfast__Redrive *redrive,
                    struct reply *reply)
{
    struct redrive work = {.machine = machine, .session = session, .command = redrive, .reply = reply};
    if (redrive->max > MOVE_MAX) {
        reply_fail(reply, ERR_INVALID, DETAIL_MOVE_MAX);
        return 0;
    }
    work.queue = move_find_queue(machine, session, redrive->queue, reply);
    if (work.queue != NULL && redrive->to[0] != 0) {
        work.to = move_find_queue(machine, session, redrive->to, reply);
    }
    return reply->error == 0 ? redrive_all(&work) : 0;
}
