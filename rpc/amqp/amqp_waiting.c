/* Frames of a client that cannot be taken yet. */

#include <stdlib.h>

#include "rpc/amqp/amqp_session_private.h"

void amqp_frame_wait(struct amqp_session *session, struct frame *frame)
{
    if (session->waiting == NULL) {
        session->waiting = malloc(AMQP_WAITING_MAX * sizeof *session->waiting);
    }
    if (session->waiting == NULL || session->waiting_len == AMQP_WAITING_MAX) {
        slice_unref(&frame->header);
        amqp_session_fail(session, session->waiting == NULL ? ERR_NOMEM : ERR_LIMIT);
        return;
    }
    session->waiting[(session->waiting_first + session->waiting_len) % AMQP_WAITING_MAX] = *frame;
    session->waiting_len++;
}

/* In front of the others: it was the first of them. */
static void frame_wait_again(struct amqp_session *session, const struct frame *frame)
{
    session->waiting_first = (session->waiting_first + AMQP_WAITING_MAX - 1) % AMQP_WAITING_MAX;
    session->waiting[session->waiting_first] = *frame;
    session->waiting_len++;
}

static struct frame waiting_next(struct amqp_session *session)
{
    struct frame frame = session->waiting[session->waiting_first];
    session->waiting_first = (session->waiting_first + 1) % AMQP_WAITING_MAX;
    session->waiting_len--;
    return frame;
}

void amqp_waiting_drop(struct amqp_session *session)
{
    while (session->waiting_len > 0) {
        struct frame frame = waiting_next(session);
        slice_unref(&frame.header);
    }
    free(session->waiting);
    session->waiting = NULL;
}

bool amqp_session_goes_on(const struct amqp_session *session)
{
    if (session->state == AMQP_CLOSING) {
        return true; /* All but Close-Ok is ignored. */
    }
    return session->blocking_len == 0 && list_empty(&session->unsent) && session->state != AMQP_ATTACHING &&
           !session->content_waits && !session->refusing;
}

void amqp_session_look(struct amqp_session *session)
{
    amqp_content_look(session);
    while (session->waiting_len > 0 && amqp_session_goes_on(session)) {
        struct frame frame = waiting_next(session);
        if (amqp_frame_take(session, &frame)) {
            slice_unref(&frame.header);
        } else {
            frame_wait_again(session, &frame);
        }
    }
    if (session->state == AMQP_OVER || session->state == AMQP_LEAVING) {
        return;
    }
    if (session->waiting_len == 0) {
        amqp_waiting_drop(session);
    }
    bool hold = !amqp_session_goes_on(session);
    if (hold != session->held) {
        session->held = hold;
        session->host.hold(session->host.arg, hold);
    }
}
