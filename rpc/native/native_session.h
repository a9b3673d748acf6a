/* The native protocol on the node's side: frames in, gateway calls, frames out. Knows nothing of sockets.
 *
 * One per connection: HELLO, then ATTACH, then COMMANDs; QUERY and PING at any time after HELLO. Whatever breaks the
 * protocol is answered with a GOODBYE that says what and why, and the connection is closed. A publish over the node's
 * limit of a body breaks nothing: it is refused under its number (native_limit.h). */

#ifndef HOLDFAST_RPC_NATIVE_NATIVE_SESSION_H
#define HOLDFAST_RPC_NATIVE_NATIVE_SESSION_H

#include <stdbool.h>

#include "proto/wire/frame.h"
#include "rpc/gateway.h"

struct native_session;

/* What the connection provides. None of these may free the session from within the call. */
struct native_session_host {
    void *arg;
    /* Sends a frame, in order. Takes ownership. */
    void (*send)(void *arg, struct frame_out *frame);
    /* Whether an answer of about `len` bytes may be sent now. False: the session counts as congested, until
     * native_session_congested(false). May be NULL: always. */
    bool (*takes)(void *arg, size_t len);
    /* Stop (true) or go on (false) reading frames from the peer. */
    void (*hold)(void *arg, bool hold);
    /* Close the connection once everything sent so far is out. The session takes no more frames. */
    void (*close)(void *arg);
};

int native_session_new(struct gateway *gateway, const struct native_session_host *host,
                       struct native_session **ret_session) NODISCARD;

/* A frame from the client. Takes ownership of the frame's reference. After hold(true) it may still be called for what
 * had arrived already; such frames wait (at most a few: the connection stops delivering). */
void native_session_receive(struct native_session *session, struct frame *frame);

/* The connection's buffer is full (true): deliveries pause. Or it has room again (false). */
void native_session_congested(struct native_session *session, bool congested);

/* The connection is gone: detaches from the gateway and frees. NULL is allowed. */
void native_session_free(struct native_session *session);

#endif
