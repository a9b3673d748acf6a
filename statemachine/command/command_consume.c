/* Commands about consumers: subscribe, fetch, unsubscribe, credit. */

#include <string.h>

#include "proto/base/fault.h"
#include "statemachine/command/command.h"
#include "statemachine/message/life.h"
#include "statemachine/virtual_host/virtual_host.h"

/* What one fetch looks at, at most, beside what it is given. */
#define FETCH_PARKING_MAX 8192u
/* What one is given, at most. */
#define FETCH_MAX 16384u
#define FETCH_WITH_LIVES_MAX 4096u

/* Whether the queue's other consumers let it. */
static bool subscribe_check_others(const struct session *session, const Holdfast__Subscribe *subscribe,
                                   const struct queue *queue, struct reply *reply)
{
    bool others = queue->consumers_len > queue->fetches_len;
    bool kept_out = queue->exclusive_len > 0 || (subscribe->exclusive && !subscribe->fetch && others);
    if (kept_out && !fault_fires(FAULT_SKIP_ALONE)) {
        reply_fail(reply, ERR_EXCLUSIVE, DETAIL_CONSUMER_EXCLUSIVE);
    } else if (subscribe->fetch && queue->options.single_active && queue->active_session != 0 &&
               queue->active_session != session->id) {
        reply_fail(reply, ERR_EXCLUSIVE, DETAIL_CONSUMER_ACTIVE);
    }
    return reply->error == 0;
}

/* Of version 2. */
static bool subscribe_check_new(struct machine *machine, const struct session *session,
                                const Holdfast__Subscribe *subscribe, const struct queue *queue, struct reply *reply)
{
    size_t tag_len = strlen(subscribe->tag);
    if (machine->version < 2) {
        return true;
    }
    if (!queue_usable_by(queue, session)) {
        reply_fail(reply, ERR_EXCLUSIVE, DETAIL_QUEUE_EXCLUSIVE);
    } else if (subscribe->lock_ms > QUEUE_TIME_MS_MAX || tag_len > NAME_LEN_MAX ||
               !bytes_are_utf8(subscribe->tag, tag_len)) {
        reply_fail(reply, ERR_INVALID, DETAIL_CONSUMER_OPTIONS);
    } else if (!virtual_host_has_room(machine, queue->virtual_host, LIMIT_CONSUMERS)) {
        reply_fail(reply, ERR_LIMIT, DETAIL_LIMIT_CONSUMERS);
    } else if (!user_has_room(session->user, LIMIT_CONSUMERS)) {
        reply_fail(reply, ERR_LIMIT, DETAIL_LIMIT_USER_CONSUMERS);
    }
    return reply->error == 0 && subscribe_check_others(session, subscribe, queue, reply);
}

/* What every one must have. */
static bool subscribe_check_parts(const Holdfast__Subscribe *subscribe, const struct queue *queue, struct reply *reply)
{
    if (queue == NULL) {
        reply_fail(reply, ERR_NOT_FOUND, DETAIL_QUEUE);
    } else if (subscribe->consumer == 0) {
        reply_fail(reply, ERR_INVALID, DETAIL_CONSUMER_ZERO);
    } else if (subscribe->credit == 0 || subscribe->credit > CREDIT_MAX) {
        reply_fail(reply, ERR_INVALID, DETAIL_CREDIT);
    }
    return reply->error == 0;
}

static bool subscribe_check(struct machine *machine, struct session *session, const Holdfast__Subscribe *subscribe,
                            const struct queue *queue, struct reply *reply)
{
    if (!subscribe_check_parts(subscribe, queue, reply)) {
        return false;
    }
    if (consumer_find_ending_too(session, subscribe->consumer) != NULL) {
        reply_fail(reply, ERR_EXISTS, DETAIL_CONSUMER_EXISTS);
    } else if (session->consumers_len >= SESSION_CONSUMERS_MAX) {
        reply_fail(reply, ERR_LIMIT, DETAIL_CONSUMERS);
    } else if (machine->consumers_len >= machine->consumers_max) {
        reply_fail(reply, ERR_LIMIT, DETAIL_CONSUMERS_OF_ALL);
    }
    return reply->error == 0 && subscribe_check_new(machine, session, subscribe, queue, reply);
}

/* Under version 1 nothing but the credit is known. */
static struct consumer_options subscribe_options(const struct machine *machine, const Holdfast__Subscribe *subscribe)
{
    if (machine->version < 2) {
        return (struct consumer_options){.credit = subscribe->credit};
    }
    return (struct consumer_options){
        .credit = subscribe->credit,
        .priority = subscribe->priority,
        .exclusive = subscribe->exclusive && !subscribe->fetch,
        .auto_accept = subscribe->auto_accept,
        .fetch = subscribe->fetch,
        .lock_ms = subscribe->lock_ms,
        .tag = subscribe->tag,
    };
}

/* Gives it what is ready, up to `len` messages, without regard to others. */
static int fetch_deliver(struct machine *machine, struct consumer *consumer, uint32_t len, struct reply *reply)
{
    struct queue *queue = consumer->queue;
    unsigned budget = FETCH_PARKING_MAX;
    bool found = !queue->options.paused;
    uint64_t most = queue_keeps_lives(queue) ? FETCH_WITH_LIVES_MAX : FETCH_MAX;
    while (found && reply->count < len && reply->count < most) {
        struct taken taken;
        int err = queue_take(machine, queue, &budget, &taken, &found);
        if (err == 0 && found) {
            err = consumer_deliver(machine, consumer, &taken);
            reply->count++;
        }
        if (err != 0) {
            return err;
        }
    }
    reply->repeated_count = queue_ready(queue);
    return 0;
}

static int fetch(struct machine *machine, struct consumer *consumer, uint32_t len, struct reply *reply)
{
    int err = fetch_deliver(machine, consumer, len, reply);
    if (err == 0) {
        err = queue_used(machine, consumer->queue);
    }
    return err != 0 ? err : consumer_settled(machine, consumer);
}

static bool more_check(const struct session *session, const Holdfast__Subscribe *subscribe, const struct queue *queue,
                       const struct consumer *consumer, struct reply *reply)
{
    if (!subscribe_check_parts(subscribe, queue, reply)) {
        return false;
    }
    if (consumer == NULL) {
        reply_fail(reply, ERR_NOT_FOUND, DETAIL_CONSUMER);
    } else if (!consumer->fetch || consumer->queue != queue) {
        reply_fail(reply, ERR_INVALID, DETAIL_CONSUMER_NO_FETCH);
    } else if (consumer->deliveries.held + subscribe->credit > CREDIT_MAX) {
        reply_fail(reply, ERR_LIMIT, DETAIL_CONSUMER_FULL);
    }
    return reply->error == 0 && subscribe_check_others(session, subscribe, queue, reply);
}

/* It holds something as long as it is there, so that it does not end when there is nothing more. */
static int fetch_more(struct machine *machine, struct session *session, const Holdfast__Subscribe *subscribe,
                      struct queue *queue, struct reply *reply)
{
    struct consumer *consumer = consumer_find(session, subscribe->consumer);
    if (!more_check(session, subscribe, queue, consumer, reply)) {
        return 0;
    }
    return fetch(machine, consumer, subscribe->credit, reply);
}

int command_subscribe(struct machine *machine, struct session *session, const Holdfast__Subscribe *subscribe,
                      struct reply *reply)
{
    struct queue *queue = queue_by_name(machine, session->virtual_host_id, subscribe->queue);
    if (machine->version >= 2 && subscribe->fetch && subscribe->more) {
        return fetch_more(machine, session, subscribe, queue, reply);
    }
    if (!subscribe_check(machine, session, subscribe, queue, reply)) {
        return 0;
    }
    struct consumer_options options = subscribe_options(machine, subscribe);
    struct consumer *consumer;
    int err = consumer_new(machine, session, queue, subscribe->consumer, &options, &consumer);
    if (err != 0) {
        return err;
    }
    consumer_begin(machine, consumer);
    return consumer->fetch ? fetch(machine, consumer, consumer->credit, reply) : 0;
}

int command_unsubscribe(struct machine *machine, struct session *session, const Holdfast__Unsubscribe *unsubscribe,
                        struct reply *reply)
{
    struct consumer *consumer = consumer_find(session, unsubscribe->consumer);
    if (consumer == NULL) {
        reply_fail(reply, ERR_NOT_FOUND, DETAIL_CONSUMER);
        return 0;
    }
    if (machine->version < 2 || !unsubscribe->drain) {
        return consumer_end(machine, consumer);
    }
    int err = consumer_drain(machine, consumer);
    consumer = consumer_find(session, unsubscribe->consumer);
    reply->count = consumer != NULL ? consumer->deliveries.held : 0;
    return err;
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
