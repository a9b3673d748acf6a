/* What goes out of an AMQP session. */

#include "rpc/amqp/amqp_session_private.h"

/* What gathers before it leaves within a turn. */
#define GATHER_LEN ((size_t)256 * KIB)

static bool may_send(const struct amqp_session *session)
{
    return session->state != AMQP_OVER && session->state != AMQP_LEAVING;
}

static void sent(struct amqp_session *session, int err)
{
    if (err != 0) {
        amqp_session_fail(session, err);
    } else if (session->out.len >= GATHER_LEN) {
        amqp_send_gathered(session);
    }
}

void amqp_send(struct amqp_session *session, uint16_t channel, const union amqp_method *method)
{
    if (may_send(session)) {
        sent(session, amqp_out_method(&session->out, channel, method));
    }
}

void amqp_send_content(struct amqp_session *session, uint16_t channel, const union amqp_method *method,
                       struct amqp_bytes properties, struct slice body)
{
    if (may_send(session)) {
        sent(session, amqp_out_content(&session->out, channel, method, properties, body, session->frame_max));
    }
}

void amqp_send_gathered(struct amqp_session *session)
{
    if (!may_send(session)) {
        return;
    }
    bool got;
    struct frame_out frame;
    int err = amqp_out_take(&session->out, &got, &frame);
    if (err != 0) {
        amqp_session_fail(session, err);
    } else if (got) {
        session->has_sent = true;
        session->host.send(session->host.arg, &frame);
    }
}

void amqp_session_beat(struct amqp_session *session)
{
    bool due = session->state == AMQP_OPEN || session->state == AMQP_ATTACHING || session->state == AMQP_OPENING;
    if (due && !session->has_sent) {
        sent(session, amqp_out_heartbeat(&session->out));
        amqp_send_gathered(session);
    }
    session->has_sent = false;
}

void amqp_session_over(struct amqp_session *session)
{
    if (!may_send(session)) {
        return;
    }
    bool got;
    struct frame_out frame;
    if (amqp_out_take(&session->out, &got, &frame) == 0 && got) {
        session->host.send(session->host.arg, &frame);
    }
    session->state = AMQP_OVER;
    amqp_out_done(&session->out);
    amqp_waiting_drop(session);
    session->host.close(session->host.arg);
}
