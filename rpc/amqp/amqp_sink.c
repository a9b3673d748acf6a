/* What the gateway says to an AMQP session.
 *
 * Answers are made at once and sent at the end of the gateway's turn, in flush(); commands that follow from them, and frames that
 * waited for them, have their turn there as well. */

#include "rpc/amqp/amqp_session_private.h"

static void on_attached(void *arg, uint64_t id, uint64_t last_number)
{
    struct amqp_session *session = arg;
    (void)id;
    session->last_number = last_number;
    session->in_event = true;
    if (session->state == AMQP_ATTACHING) {
        amqp_connection_attached(session);
    }
    session->in_event = false;
}

static void on_reply(void *arg, const struct gateway_reply *reply)
{
    struct amqp_session *session = arg;
    session->in_event = true;
    amqp_orders_reply(session, reply);
    session->in_event = false;
}

static bool on_takes(void *arg, size_t body_len)
{
    struct amqp_session *session = arg;
    if (session->state != AMQP_OPEN) {
        return true; /* Nobody is given it; it goes back with the session. */
    }
    if (session->host.takes == NULL || session->host.takes(session->host.arg, session->out.len + body_len)) {
        return true;
    }
    amqp_session_congested(session, true);
    return false;
}

static void on_delivery(void *arg, const struct gateway_delivery *delivery)
{
    struct amqp_session *session = arg;
    session->in_event = true;
    if (session->state == AMQP_OPEN) {
        amqp_deliver(session, delivery);
    }
    session->in_event = false;
}

static void on_consumer_ended(void *arg, uint64_t consumer, int err, const char *detail)
{
    struct amqp_session *session = arg;
    session->in_event = true;
    amqp_consumer_ended(session, consumer, err, detail);
    session->in_event = false;
}

static void on_lock_ended(void *arg, uint64_t consumer, uint64_t number)
{
    struct amqp_session *session = arg;
    session->in_event = true;
    amqp_lock_ended(session, consumer, number);
    session->in_event = false;
}

static void on_detached(void *arg, int err, const char *detail, const struct gateway_leader *leader)
{
    struct amqp_session *session = arg;
    (void)leader;
    session->link = NULL;
    if (session->state == AMQP_LEAVING) {
        amqp_session_free(session);
        return;
    }
    amqp_orders_drop(session);
    amqp_connection_detached(session, err, detail != NULL ? detail : "");
    amqp_send_gathered(session);
}

static void on_flush(void *arg)
{
    struct amqp_session *session = arg;
    amqp_orders_send(session);
    amqp_session_turn(session);
}

static void on_resume(void *arg)
{
    struct amqp_session *session = arg;
    session->gateway_busy = false;
    amqp_orders_send(session);
    amqp_session_turn(session);
}

struct gateway_sink amqp_session_sink(struct amqp_session *session)
{
    return (struct gateway_sink){
        .arg = session,
        .attached = on_attached,
        .reply = on_reply,
        .delivery = on_delivery,
        .takes = on_takes,
        .consumer_ended = on_consumer_ended,
        .lock_ended = on_lock_ended,
        .detached = on_detached,
        .resume = on_resume,
        .flush = on_flush,
    };
}
