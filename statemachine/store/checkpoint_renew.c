/* Beginning again with what a checkpoint that failed has left. */

#include "proto/base/check.h"
#include "statemachine/session/consumer.h"
#include "statemachine/store/checkpoint.h"

/* In a queue that is there, and not settled since. */
static bool renew_keeps(struct machine *machine, const struct checkpoint_message *item)
{
    const struct queue *queue = queue_by_id_doomed_too(machine, item->queue);
    const struct lane *lane = queue != NULL ? queue_lane(queue, lane_of(item->position)) : NULL;
    const struct message *message = lane != NULL ? messages_at(&lane->messages, item->position) : NULL;
    return message != NULL && !message->settled;
}

static void renew_messages(struct machine_checkpoint *checkpoint)
{
    size_t kept = 0;
    for (size_t i = 0; i < checkpoint->messages_len; i++) {
        struct checkpoint_message *item = &checkpoint->messages[i];
        if (renew_keeps(checkpoint->machine, item)) {
            checkpoint->messages[kept++] = *item;
        } else {
            message_unref(&item->message);
        }
    }
    checkpoint->messages_len = kept;
}

static void renew_returned(struct machine *machine, uint64_t queue_id, uint64_t position)
{
    struct queue *queue = queue_by_id_doomed_too(machine, queue_id);
    struct returned like = {.position = position};
    struct returned *returned = queue != NULL ? RB_FIND(returned_tree, &queue->returned, &like) : NULL;
    if (returned != NULL && !list_linked(&returned->unstored)) {
        list_push_back(&machine->unstored_returns, &returned->unstored);
    }
}

static void renew_consumer(struct machine *machine, uint64_t session_id, uint64_t id)
{
    struct session *session = session_by_id_ending_too(machine, session_id);
    struct consumer *consumer = session != NULL ? consumer_find_ending_too(session, id) : NULL;
    if (consumer != NULL) {
        consumer_changed(machine, consumer);
    }
}

static void renew_one(struct machine *machine, enum row_kind kind, uint64_t id)
{
    struct queue *queue = kind == ROW_QUEUE ? queue_by_id_doomed_too(machine, id) : NULL;
    struct session *session = kind == ROW_SESSION ? session_by_id_ending_too(machine, id) : NULL;
    struct presence *presence = kind == ROW_PRESENCE ? presence_find(machine, id) : NULL;
    if (queue != NULL) {
        queue_changed(machine, queue);
    }
    if (session != NULL) {
        session_changed(machine, session);
    }
    if (presence != NULL) {
        presence_changed(machine, presence);
    }
}

/* What is not there any more has been noted for deletion. Producers were marked, and the table took its changes back, when
 * the checkpoint failed; and the globals go with every one. */
static void renew_row(struct machine *machine, const uint8_t *key)
{
    switch ((enum row_kind)key[0]) {
    case ROW_QUEUE:
    case ROW_SESSION:
    case ROW_PRESENCE: renew_one(machine, (enum row_kind)key[0], get_be64(key + 1)); break;
    case ROW_RETURNED: renew_returned(machine, get_be64(key + 1), get_be64(key + 9)); break;
    case ROW_CONSUMER: renew_consumer(machine, get_be64(key + 1), get_be64(key + 9)); break;
    default: break;
    }
}

void checkpoint_renew(struct machine_checkpoint *checkpoint)
{
    renew_messages(checkpoint);
    for (size_t i = 0; i < checkpoint->rows_len; i++) {
        renew_row(checkpoint->machine, checkpoint->bytes.data + checkpoint->rows[i].offset);
    }
    checkpoint->rows_len = 0;
    checkpoint->bytes.len = 0;
    checkpoint->tails_len = 0; /* Their queues are marked, or gone. */
}
