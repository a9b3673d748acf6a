/* Commands about queues: declare, delete, purge. */

#include <string.h>

#include "statemachine/command.h"

int command_declare_queue(struct machine *machine, const Holdfast__DeclareQueue *declare, struct reply *reply)
{
    size_t name_len = strlen(declare->queue);
    int err = name_check(declare->queue, name_len);
    if (err != 0) {
        reply_fail(reply, err, DETAIL_QUEUE_NAME);
        return 0;
    }
    if (queue_by_name(machine, declare->queue) != NULL) {
        return 0;
    }
    if (HASH_CNT(by_id, machine->queues) >= QUEUES_MAX) {
        reply_fail(reply, ERR_LIMIT, DETAIL_QUEUES);
        return 0;
    }
    struct queue *queue;
    err = queue_new(machine, machine->next_queue, declare->queue, name_len, &queue);
    if (err != 0) {
        return err;
    }
    machine->next_queue++;
    queue_changed(machine, queue);
    return 0;
}

static int queue_end_consumers(struct machine *machine, struct queue *queue)
{
    struct consumer *consumer;
    while ((consumer = RB_MIN(queue_consumers, &queue->consumers)) != NULL) {
        int err = effect_list_consumer_ended(&machine->effects, consumer->session_id, consumer->id);
        if (err == 0) {
            err = consumer_free(machine, consumer, CONSUMER_END_DROP);
        }
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

int command_delete_queue(struct machine *machine, const Holdfast__DeleteQueue *delete, struct reply *reply)
{
    struct queue *queue = queue_by_name(machine, delete->queue);
    if (queue == NULL) {
        reply_fail(reply, ERR_NOT_FOUND, DETAIL_QUEUE);
        return 0;
    }
    uint64_t messages = queue_ready(queue) + queue->unsettled;
    if (delete->if_empty && messages > 0) {
        reply_fail(reply, ERR_REFUSED, DETAIL_NOT_EMPTY);
        return 0;
    }
    int err = queue_end_consumers(machine, queue);
    if (err != 0) {
        return err;
    }
    if (queue->stored) {
        state_forget_row(machine, ROW_QUEUE, queue->id, 0);
    }
    queue_free(machine, queue);
    reply->count = messages;
    return 0;
}

int command_purge_queue(struct machine *machine, const Holdfast__PurgeQueue *purge, struct reply *reply)
{
    struct queue *queue = queue_by_name(machine, purge->queue);
    if (queue == NULL) {
        reply_fail(reply, ERR_NOT_FOUND, DETAIL_QUEUE);
        return 0;
    }
    reply->count = queue_ready(queue);
    return reply->count > 0 ? queue_purge(machine, queue) : 0;
}
