/* Frames of a client that cannot be taken yet. */

#include <stdlib.h>

#include "rpc/native/native_session_private.h"

void session_frame_wait(struct native_session *session, struct frame *frame, bool first)
{
    if (session->waiting == NULL) {
        session->waiting = malloc(SESSION_WAITING_MAX * sizeof *session->waiting);
    }
    if (session->waiting == NULL) {
        slice_unref(&frame->header);
        session_goodbye(session, ERR_NOMEM, NULL, "no memory for a frame that must wait");
        return;
    }
    if (session->waiting_len == SESSION_WAITING_MAX) {
        slice_unref(&frame->header);
        session_goodbye(session, ERR_LIMIT, NULL, "more than %u frames sent while told to wait", SESSION_WAITING_MAX);
        return;
    }
    unsigned at = (session->waiting_first + session->waiting_len) % SESSION_WAITING_MAX;
    if (first) {
        at = (session->waiting_first + SESSION_WAITING_MAX - 1) % SESSION_WAITING_MAX;
        session->waiting_first = at;
    }
    session->waiting[at] = *frame;
    session->waiting_len++;
}

struct frame session_frame_waited(struct native_session *session)
{
    struct frame frame = session->waiting[session->waiting_first];
    session->waiting_first = (session->waiting_first + 1) % SESSION_WAITING_MAX;
    session->waiting_len--;
    return frame;
}

void session_waiting_drop(struct native_session *session)
{
    while (session->waiting_len > 0) {
        struct frame frame = session_frame_waited(session);
        slice_unref(&frame.header);
    }
    free(session->waiting);
    session->waiting = NULL;
}
