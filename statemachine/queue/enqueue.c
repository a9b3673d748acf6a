/* The one way into a queue. */

#include "statemachine/queue/enqueue.h"

#include "proto/base/fault.h"
#include "statemachine/message/body.h"
#include "statemachine/message/life.h"
#include "statemachine/message/message_id.h"
#include "statemachine/queue/dead_letter.h"
#include "statemachine/queue/expiry.h"
#include "statemachine/state.h"

/* ---- Room ---- */

static bool queue_is_limited(const struct queue *queue)
{
    return queue->options.has_max_length || queue->options.has_max_bytes;
}

/* Whether a message could be in the queue if it were alone. */
static bool queue_could_hold(const struct queue *queue, uint64_t len)
{
    return (!queue->options.has_max_length || queue->options.max_length > 0) &&
           (!queue->options.has_max_bytes || len <= queue->options.max_bytes);
}

/* Whether the message, which the queue could hold, fits beside those that are there. */
static int queue_fits(struct machine *machine, struct queue *queue, uint64_t len, bool *ret_fits)
{
    *ret_fits = !queue->options.has_max_length || fault_fires(FAULT_SKIP_LENGTH) ||
                queue_ready(queue) < queue->options.max_length;
    if (!*ret_fits || !queue->options.has_max_bytes) {
        return 0;
    }
    return queue_bytes_within(machine, queue, queue->options.max_bytes - len, ret_fits);
}

/* The oldest ones go until the message fits, or there are none, or enough have gone. */
static int queue_push_out(struct machine *machine, struct queue *queue, uint64_t len, bool *ret_fits)
{
    for (unsigned i = 0; i < ENQUEUE_DROPS_MAX && (i == 0 || !work_is_done(&machine->work)); i++) {
        struct message oldest;
        uint64_t position;
        int err = queue_fits(machine, queue, len, ret_fits);
        if (err != 0 || *ret_fits) {
            return err;
        }
        work_spend(&machine->work,
                   i > 0 ? WORK_OF_DROP : 0); /* The first one is paid for by the message that comes in. */
        err = queue_drop_oldest(machine, queue, &oldest, &position);
        if (err != 0) {
            return err == ERR_NOT_FOUND ? 0 : err;
        }
        queue->counters.dropped++;
        err = dead_letter(machine, queue, position, &oldest, DEATH_MAXLEN);
        if (err != 0) {
            return err;
        }
    }
    *ret_fits = true; /* Not quite; but it is shorter than it was. */
    return 0;
}

/* Whether the message may come in, after those have gone that are in its way. */
static int queue_make_room(struct machine *machine, struct queue *queue, uint64_t len, enum enqueue_how how,
                           bool *ret_enters)
{
    *ret_enters = true;
    if (!queue_is_limited(queue)) {
        return 0;
    }
    if (queue->options.overflow == QUEUE_REJECT_NEW) {
        return 0; /* Of one that is published its plan has looked. Others are confirmed, and so is what is there. */
    }
    if (!queue_could_hold(queue, len)) {
        *ret_enters = false;
        return 0;
    }
    if (how == ENQUEUE_PUBLISHED && queue->options.overflow == QUEUE_REJECT_NEW_DEAD_LETTER) {
        return queue_fits(machine, queue, len, ret_enters);
    }
    return queue_push_out(machine, queue, len, ret_enters);
}

/* ---- Coming in ---- */

static void message_set_times(const struct machine *machine, const struct queue *queue, const struct head_facts *facts,
                              struct message *message)
{
    uint64_t queue_ttl_ms = queue->options.has_ttl ? queue->options.ttl_ms : UINT64_MAX;
    struct slice trail = {.data = message->trail, .len = message->trail_len};
    bool no_ttl = facts->has_ttl && trail_has_no_ttl(trail);
    message->enqueued_ms = machine->time_ms;
    message->expires_ms = head_expires_ms(facts, no_ttl, queue_ttl_ms, machine->time_ms);
    message->group = queue->options.groups ? facts->group : 0;
}

/* It cannot come in, and is the dead letter itself. */
static int enqueue_turn_away(struct machine *machine, struct queue *queue, struct message *message)
{
    int err = body_let_go(machine, message);
    if (err != 0) {
        message_unref(message);
        return err;
    }
    queue->counters.dropped++;
    queue_changed(machine, queue);
    return dead_letter(machine, queue, 0, message, DEATH_MAXLEN);
}

static int enqueue_note(struct machine *machine, struct queue *queue, uint64_t position, const struct head_facts *facts,
                        uint64_t expires_ms, enum enqueue_how how)
{
    int err = expires_ms != 0 ? expiry_watch(machine, queue, position, expires_ms) : 0;
    if (err == 0 && (how == ENQUEUE_PUBLISHED || how == ENQUEUE_DUE)) {
        err = message_id_note(machine, queue, facts->id);
    }
    if (err == 0 && queue->options.keep_life_ms > 0) {
        err = life_note_enqueued(machine, queue, position, how);
    }
    return err;
}

static int enqueue_held(struct machine *machine, struct queue *queue, struct message *message,
                        const struct head_facts *facts, enum enqueue_how how, uint64_t *ret_position)
{
    bool enters;
    uint64_t position;
    message_set_times(machine, queue, facts, message);
    int err = queue_make_room(machine, queue, message->body_len, how, &enters);
    if (err != 0) {
        message_unref(message);
        return err;
    }
    if (!enters) {
        *ret_position = 0;
        return enqueue_turn_away(machine, queue, message);
    }
    uint64_t expires_ms = message->expires_ms;
    err = queue_push(machine, queue, message, facts->priority, &position);
    if (err != 0) {
        return err;
    }
    *ret_position = position;
    return enqueue_note(machine, queue, position, facts, expires_ms, how);
}

int enqueue(struct machine *machine, struct queue *queue, struct message *message, const struct head_facts *facts,
            enum enqueue_how how, uint64_t *ret_position)
{
    uint64_t position = 0;
    publish_internal_hold(machine);
    int err = enqueue_held(machine, queue, message, facts, how, &position);
    int err_released = publish_internal_release(machine);
    if (err == 0 && err_released == 0 && ret_position != NULL) {
        *ret_position = position;
    }
    return err != 0 ? err : err_released;
}
