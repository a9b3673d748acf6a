/* Replay: copies of messages that were settled, and are still kept, are enqueued again. */

#include "proto/base/fault.h"
#include "statemachine/command/command.h"
#include "statemachine/message/kept.h"
#include "statemachine/queue/moving.h"

struct replay {
    struct machine *machine;
    struct queue *queue;
    struct queue *to;
    uint64_t positions[MOVE_MAX + 1]; /* Of those that are kept now: what is pushed out by a copy is not copied, too. */
    size_t positions_len;
    uint64_t bytes; /* Replayed so far. */
};

/* Lists at most `most` that are kept, from position `first` to `last`. */
static int replay_list(struct replay *replay, uint64_t first, uint64_t last, size_t most)
{
    struct row_key from = row_key_pair(ROW_KEPT, replay->queue->id, first);
    struct row_key last_key =
        row_key_pair(ROW_KEPT, replay->queue->id, fault_fires(FAULT_SKIP_REPLAY_LAST) ? UINT64_MAX : last);
    struct row_key end = row_key_after(&last_key);
    while (replay->positions_len < most) {
        struct table_row row;
        int err = table_seek(replay->machine, &from, &end, &row);
        if (err != 0) {
            return err == ERR_NOT_FOUND ? 0 : err;
        }
        replay->positions[replay->positions_len++] = get_be64(row.key.data + ROW_KEY_LEN(1));
        from = row_key_next(&row.key);
        table_row_done(&row);
    }
    return 0;
}

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

static int replay_one(struct replay *replay, uint64_t position)
{
    struct row_key key = row_key_pair(ROW_KEPT, replay->queue->id, position);
    struct table_row row;
    int err = table_get(replay->machine, &key, &row);
    if (err != 0) {
        return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
    }
    err = replay_row(replay, &row);
    table_row_done(&row);
    return err;
}

/* As many as may be: the reply says where to go on from. */
static int replay_all(struct replay *replay, size_t max, struct reply *reply)
{
    size_t i = 0;
    for (; i < replay->positions_len && i < max && replay->bytes < MOVE_BYTES_MAX; i++) {
        int err = replay_one(replay, replay->positions[i]);
        if (err != 0) {
            return err;
        }
    }
    reply->count = i;
    reply->repeated_count = i < replay->positions_len ? replay->positions[i] : 0;
    return 0;
}

int command_replay(struct machine *machine, struct session *session, const Holdfast__Replay *replay,
                   struct reply *reply)
{
    struct replay work = {.machine = machine};
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
    size_t max = replay->max != 0 ? replay->max : MOVE_MAX;
    int err = replay_list(&work, replay->first, replay->last, max + 1);
    return err != 0 ? err : replay_all(&work, max, reply);
}
