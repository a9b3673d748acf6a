/* Moving messages from a queue to another by command. */

#include "statemachine/queue/moving.h"

#include "proto/base/fault.h"
#include "statemachine/message/message_head.h"

struct queue *move_find_queue(struct machine *machine, struct session *session, const char *name, struct reply *reply)
{
    struct queue *queue = queue_by_name(machine, session->virtual_host_id, name);
    if (queue == NULL) {
        reply_fail(reply, ERR_NOT_FOUND, DETAIL_QUEUE);
        return NULL;
    }
    if (!queue_usable_by(queue, session)) {
        reply_fail(reply, ERR_EXCLUSIVE, DETAIL_QUEUE_EXCLUSIVE);
        return NULL;
    }
    return queue;
}

static void message_drop_trail(struct message *message)
{
    blob_unref(message->trail_blob);
    message->trail_blob = NULL;
    message->trail = NULL;
    message->trail_len = 0;
}

int move_message(struct machine *machine, struct queue *to, struct message *message, enum enqueue_how how)
{
    struct head_facts facts;
    int err = XXH3_64bits(message->data, message_len(message)) == message->hash ? 0 : ERR_CORRUPT;
    if (err == 0 && head_read((struct slice){.data = message->data, .len = message->head_len}, &facts) != 0) {
        err = ERR_CORRUPT;
    }
    if (err != 0) {
        message_unref(message);
        return err;
    }
    if (how == ENQUEUE_REDRIVEN && !fault_fires(FAULT_SKIP_REDRIVE_TRAIL)) {
        message_drop_trail(message);
    }
    message->shared_body = 0;
    message->old = false;
    return enqueue(machine, to, message, &facts, how, NULL);
}
