/* Commands about consumers: subscribe, unsubscribe, credit. */

#include "statemachine/command.h"

static bool subscribe_check(const struct machine *machine, struct session *session,
                            const Holdfast__Subscribe *subscribe, const struct queue *queue, struct reply *reply)
{
    if (queue == NULL) {
        reply_fail(reply, ERR_NOT_FOUND, DETAIL_QUEUE);
    } else if (subscribe->consumer == 0) {
        reply_fail(reply, ERR_INVALID, DETAIL_CONSUMER_ZERO);
    } else if (subscribe->credit == 0 || subscribe->credit > CREDIT_MAX) {
        reply_fail(reply, ERR_INVALID, DETAIL_CREDIT);
    } else if (consumer_find(session, subscribe->consumer) != NULL) {
        reply_fail(reply, ERR_EXISTS, DETAIL_CONSUMER_EXISTS);
    } else if (session->consumers_len >= SESSION_CONSUMERS_MAX) {
        reply_fail(reply, ERR_LIMIT, DETAIL_CONSUMERS);
    } else if (machine->consumers_len >= machine->consumers_max) {
        reply_fail(reply, ERR_LIMIT, DETAIL_CONSUMERS_OF_ALL);
    }
    return reply->error == 0;
}

int command_subscribe(struct machine *machine, struct session *session, const Holdfast__Subscribe *subscribe,
                      struct reply *reply)
{
    struct queue *queue = queue_by_name(machine, subscribe->queue);
    if (!subscribe_check(machine, session, subscribe, queue, reply)) {
        return 0;
    }
    struct consumer *consumer;
    int err = consumer_new(machine, session, queue, subscribe->consumer, &consumer);
    if (err != 0) {
        return err;
    }
    consumer->credit = subscribe->credit;
    consumer_update_turn(machine, consumer);
    return 0;
}

int command_unsubscribe(struct machine *machine, struct session *session, const Holdfast__Unsubscribe *unsubscribe,
                        struct reply *reply)
{
    struct consumer *consumer = consumer_find(session, unsubscribe->consumer);
    if (consumer == NULL) {
        reply_fail(reply, ERR_NOT_FOUND, DETAIL_CONSUMER);
        return 0;
    }
    return consumer_free(machine, consumer, CONSUMER_END_RETURN);
}

int command_set_credit(struct machine *machine, struct session *session, const Holdfast__SetCredit *set_credit,
                       struct reply *reply)
{
    struct consumer *consumer = consumer_find(session, set_credit->consumer);
    if (consumer == NULL) {
        reply_fail(reply, ERR_NOT_FOUND, DETAIL_CONSUMER);
    } else if (set_credit->credit > CREDIT_MAX) {
        reply_fail(reply, ERR_INVALID, DETAIL_CREDIT);
    } else {
        consumer->credit = set_credit->credit;
        consumer_update_turn(machine, consumer);
    }
    return 0;
}
