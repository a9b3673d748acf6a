/* basic.qos: how many deliveries may be out.
 *
 * A limit of each consumer is its credit, which the machine respects. A limit that the consumers of a channel share it does not know. Each of
 * them is given credit up to the limit; when as much is out as may be, those that could be given more are stopped (SetCredit 0), and what was
 * on its way to them already goes back as if it had not been delivered: it is for other channels to have meanwhile, not to wait here. With
 * the next settlement they are given credit for as much as there is room for: each for all of it, since nobody knows here whose queue has
 * something; amqp_shared.c chooses. */

#include "proto/base/check.h"
#include "rpc/amqp/amqp_consumers.h"
#include "rpc/amqp/amqp_unsettled.h"

/* Of those that the limits are about. What is not acknowledged does not count, but waits as well while the channel is full. */
static bool is_limited(const struct amqp_consumer *consumer)
{
    return !consumer->fetch && !consumer->cancelled;
}

/* The consumer may have ended meanwhile. */
static void on_credit(struct amqp_order *order, const struct gateway_reply *reply)
{
    (void)order;
    (void)reply;
}

static void set_credit(struct amqp_consumer *consumer, uint16_t credit)
{
    if (consumer->credit == credit) {
        return;
    }
    consumer->credit = credit;
    Holdfast__SetCredit set = HOLDFAST__SET_CREDIT__INIT;
    set.consumer = consumer->number;
    set.credit = credit;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_SET_CREDIT;
    command.set_credit = &set;
    amqp_submit_gathered(consumer->channel->session, &(struct amqp_order){.done = on_credit}, &command,
                         (struct slice){0});
}

static uint32_t held_by_all(const struct amqp_channel *channel)
{
    return channel->unsettled != NULL ? channel->unsettled->of_consumers : 0;
}

uint16_t amqp_qos_credit(const struct amqp_consumer *consumer)
{
    uint16_t shared = consumer->channel->prefetch_shared;
    return shared > 0 && shared < consumer->limit && !consumer->no_ack ? shared : consumer->limit;
}

bool amqp_qos_is_full(const struct amqp_channel *channel)
{
    return channel->prefetch_shared > 0 && held_by_all(channel) >= channel->prefetch_shared;
}

static void stop(struct amqp_consumer *consumer)
{
    if (consumer->channel->unsettled != NULL) {
        consumer->channel->unsettled->stopped = true;
    }
    set_credit(consumer, 0);
}

/* Those that could be given more are stopped. A channel with one consumer has none. */
static void stop_all(struct amqp_channel *channel)
{
    LIST_FOR_EACH (node, &channel->consumers) {
        struct amqp_consumer *consumer = amqp_consumer_of(node);
        if (is_limited(consumer) && consumer->credit > consumer->held) {
            stop(consumer);
        }
    }
}

void amqp_qos_given(struct amqp_consumer *consumer)
{
    struct amqp_channel *channel = consumer->channel;
    if (channel->prefetch_shared > 0) { /* The next time others are first. */
        list_remove(&consumer->of_channel);
        list_push_back(&channel->consumers, &consumer->of_channel);
    }
    if (consumer->no_ack) {
        return;
    }
    consumer->held++;
    channel->unsettled->of_consumers++;
    if (amqp_qos_is_full(channel)) {
        stop_all(channel);
    }
}

void amqp_qos_refuse(struct amqp_consumer *consumer, uint64_t number)
{
    stop(consumer); /* Before it goes back, so that it does not come again. */
    amqp_settle(consumer->channel->session, consumer->number, number, AMQP_UNSEEN);
}

void amqp_consumer_settled(struct amqp_session *session, uint64_t number)
{
    struct amqp_consumer *consumer = amqp_consumer_find(session, number);
    if (consumer == NULL || consumer->held == 0) {
        return; /* It has ended. */
    }
    struct amqp_channel *channel = consumer->channel;
    consumer->held--;
    if (consumer->fetch || channel->unsettled == NULL) {
        return; /* The limits are not about fetches; or the channel is closed. */
    }
    channel->unsettled->of_consumers--;
    amqp_settle_makes_room(channel);
}

/* What a consumer is to have: as much as there is room for beside what the others hold. */
static uint16_t credit_with_room(const struct amqp_consumer *consumer)
{
    const struct amqp_channel *channel = consumer->channel;
    uint16_t usual = amqp_qos_credit(consumer);
    uint32_t held = held_by_all(channel);
    if (channel->prefetch_shared == 0 || (held == consumer->held && !consumer->no_ack)) {
        return usual;
    }
    uint32_t room = held < channel->prefetch_shared ? channel->prefetch_shared - held : 0;
    uint32_t credit = room == 0 ? 0 : consumer->no_ack ? usual : consumer->held + room;
    return credit < usual ? (uint16_t)credit : usual;
}

/* Who was given something last goes to the end of the line that its queue keeps: it is stopped, and given credit behind the others. */
static void last_goes_behind(struct amqp_channel *channel)
{
    struct amqp_consumer *last = amqp_consumer_of(channel->consumers.prev);
    if (amqp_shared_is(channel) && is_limited(last) && last->credit > last->held) {
        set_credit(last, 0);
    }
}

/* All have what they may have; *ret_stopped: some have less than if they were alone. */
static void set_all(struct amqp_channel *channel, bool *ret_stopped)
{
    *ret_stopped = false;
    LIST_FOR_EACH (node, &channel->consumers) {
        struct amqp_consumer *consumer = amqp_consumer_of(node);
        if (is_limited(consumer)) {
            uint16_t credit = credit_with_room(consumer);
            *ret_stopped = *ret_stopped || credit < amqp_qos_credit(consumer);
            set_credit(consumer, credit);
        }
    }
}

void amqp_qos_restore(struct amqp_channel *channel)
{
    struct amqp_unsettled *unsettled = channel->unsettled;
    if (unsettled != NULL && unsettled->stopped && !amqp_qos_is_full(channel)) {
        last_goes_behind(channel);
        set_all(channel, &unsettled->stopped);
    }
}

/* ---- The method ---- */

/* Consumers that are there are given what the new limit allows. */
static void share(struct amqp_channel *channel, uint16_t limit)
{
    bool stopped;
    amqp_publishes_submit(channel->session);
    amqp_settles_submit(channel->session);
    channel->prefetch_shared = limit;
    set_all(channel, &stopped);
    if (channel->unsettled != NULL) {
        channel->unsettled->stopped = stopped;
    }
}

void amqp_take_basic_qos(struct amqp_channel *channel, const struct amqp_basic_qos *method)
{
    if (method->prefetch_size != 0) {
        amqp_connection_error(channel->session, AMQP_NOT_IMPLEMENTED, method->id, "prefetch_size!=0 (%u)",
                              method->prefetch_size);
        return;
    }
    if (method->global) {
        share(channel, method->prefetch_count);
    } else {
        channel->prefetch = method->prefetch_count;
    }
    union amqp_method ok = {.basic_qos_ok = {.id = AMQP_basic_qos_ok}};
    amqp_send(channel->session, channel->number, &ok);
}
