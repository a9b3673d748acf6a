/* Replay: copies of messages that were settled, and are still kept, are enqueued again. */

#include "statemachine/command.h"
#include "statemachine/kept.h"
#include "statemachine/moving.h"

struct replay {
    struct machine *machine;
    struct queue *queue;
    struct queue *to;
    uint64_t position; /* The next one to be looked at. */
    uint64_t last;
    uint64_t bytes; /* Replayed so far. */
};

/* Enqueues a copy of the message of a row. */
static int replay_row(struct replay *replay, const struct table_row *row)
{
    struct message message;
    struct machine_kept kept;
    int err = kept_read(row, &message, &kept);
    if (err != 0) {
        return err;
    }
    message.blob = row->content.blob;
    message.trail_blob = message.trail_len > 0 ? row->value.blob : NULL;
    message_ref(&message);
    replay->bytes += message_len(&message);
    return move_message(replay->machine, replay->to, &message, ENQUEUE_REPLAYED);
}

/* The next one that is kept; ERR_NOT_FOUND: that was all. */
static int replay_find(struct replay *replay, struct table_row *ret_row)
{
    struct row_key from = row_key_pair(ROW_KEPT, replay->queue->id, replay->position);
    struct row_key last = row_key_pair(ROW_KEPT, replay->queue->id, replay->last);
    struct row_key end = row_key_after(&last);
    return table_seek(replay->machine, &from, &end, ret_row);
}

/* As many as may be: `*ret_next` is where to go on from; 0: that was all. */
static int replay_all(struct replay *replay, uint32_t max, uint64_t *ret_count, uint64_t *ret_next)
{
    struct table_row row;
    int err;
    while ((err = replay_find(replay, &row)) == 0) {
        uint64_t position = get_be64(row.key.data + ROW_KEY_LEN(1));
        if (*ret_count == max || replay->bytes >= MOVE_BYTES_MAX) {
            *ret_next = position;
            table_row_done(&row);
            return 0;
        }
        err = replay_row(replay, &row);
        table_row_done(&row);
        ++*ret_count;
        replay->position = position + 1;
        if (err != 0 || position == replay->last) {
            return err;
        }
    }
    return err == ERR_NOT_FOUND ? 0 : err;
}

int command_replay(struct machine *machine, struct session *session, const Holdfast__Replay *replay,
                   struct reply *reply)
{
    struct replay work = {.machine = machine, .position = replay->first, .last = replay->last};
    if (replay->max > MOVE_MAX) {
        reply_fail(reply, ERR_INVALID, DETAIL_MOVE_MAX);
        return 0;
    }
    if (replay->first > replay->last) {
        reply_fail(reply, ERR_INVALID, DETAIL_MOVE_RANGE);
        return 0;
    }
    work.queue = move_find_queue(machine, session, replay->queue, reply);
    if (work.queue != NULL) {
        work.to = replay->to[0] != 0 ? move_find_queue(machine, session, replay->to, reply) : work.queue;
    }
    if (reply->error != 0) {
        return 0;
    }
    return replay_all(&work, replay->max != 0 ? replay->max : MOVE_MAX, &reply->count, &reply->repeated_count);
}
