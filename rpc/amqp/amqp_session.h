/* AMQP 0-9-1 on the node's side: frames in, gateway calls, frames out. Knows nothing of sockets.
 *
 * One for each connection. The greeting, Connection.Start, Tune and Open; then channels, whose methods become commands of one
 * session of the machine, which lives as long as the connection. The gateway carries commands over a change of the leader, so nothing
 * is sent again here. What breaks the protocol, or cannot be done, is answered as RabbitMQ does: Channel.Close or Connection.Close with
 * its codes and words. */

#ifndef HOLDFAST_RPC_AMQP_AMQP_SESSION_H
#define HOLDFAST_RPC_AMQP_AMQP_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/journal.h"
#include "proto/base/list.h"
#include "proto/wire/frame.h"
#include "rpc/gateway.h"

struct amqp_session;
struct memory_budget;

/* What the connection provides. None of these may free the session from within the call. */
struct amqp_session_host {
    void *arg;
    /* Sends bytes, in order. Takes ownership. */
    void (*send)(void *arg, struct frame_out *frame);
    /* Whether something of about `len` bytes that can wait may be sent now. False: the session counts as congested, until
     * amqp_session_congested(false). May be NULL: always. */
    bool (*takes)(void *arg, size_t len);
    /* Stop (true) or go on (false) reading frames from the peer. */
    void (*hold)(void *arg, bool hold);
    /* The client is known and its limits are negotiated: frames of up to `frame_max` bytes (whole) may come, and in each
     * `heartbeat_s` seconds (0: none are wanted) something must, from both sides. */
    void (*established)(void *arg, uint32_t frame_max, uint16_t heartbeat_s);
    /* Connection.Close was sent: the client has some seconds to answer. */
    void (*closing)(void *arg);
    /* amqp_session_turn() is to be called soon. Also from within what other sessions do. May be NULL: it will be called. */
    void (*wake)(void *arg);
    /* Close the connection once everything sent so far is out. The session takes no more frames. */
    void (*close)(void *arg);
};

struct amqp_session_options {
    struct journal *journal;  /* May be NULL. */
    const char *peer_name;    /* "address:port", for people. Copied. */
    bool loopback;            /* The client is on this host. */
    bool guest_from_anywhere; /* User "guest" may come from other hosts as well. */
    struct memory_budget
        *content; /* For the bodies of messages that are being received, of all sessions; NULL: without bound. */
};

/* ERR_NOMEM. */
int amqp_session_new(struct gateway *gateway, const struct amqp_session_options *options,
                     const struct amqp_session_host *host, struct amqp_session **ret_session) NODISCARD;

/* A frame from the client (framing_amqp). Takes ownership of the frame's reference. After hold(true) it may still be called for what
 * had arrived already; such frames wait (at most a few: the connection stops delivering). */
void amqp_session_receive(struct amqp_session *session, struct frame *frame);

/* A batch of frames is over: what they gathered is given to the gateway, and answers are sent. To be called in each turn of the loop in
 * which frames were received, before the gateway's own turn. */
void amqp_session_turn(struct amqp_session *session);

/* The connection's buffer is full (true): deliveries pause. Or it has room again (false). */
void amqp_session_congested(struct amqp_session *session, bool congested);

/* Sends a heartbeat, when nothing else was sent since the last call and the handshake is over. */
void amqp_session_beat(struct amqp_session *session);

/* To be called some times a second, with a clock of milliseconds that does not go back: who has begun to send a message, and does not go on
 * although others wait for the memory, is let go. */
void amqp_session_tick(struct amqp_session *session, uint64_t now_ms);

/* The cluster refuses new messages, for that reason (not ""); or takes them again (""). To be told when it changes, and after the
 * handshake. */
void amqp_session_refusing(struct amqp_session *session, const char *reason);

/* What arrives is not a frame that is taken here, as `detail` says: the client is told, as far as it can be (the greeting when its own
 * was another), and the connection closes. To be followed by amqp_session_leave(). */
void amqp_session_broken(struct amqp_session *session, const char *detail);

/* The node is stopping, or the client is to go: Connection.Close with 320 and these words. */
void amqp_session_force_close(struct amqp_session *session, const char *words);

/* The connection is gone; no host function is called from here on. What was taken from the client is still carried out, then the session
 * of the machine is closed: what it holds goes back at once. Until that is answered the session is in `leaving`; then it frees itself. */
void amqp_session_leave(struct amqp_session *session, struct list_node *leaving);

/* Frees those of the list that have failed meanwhile. To be called now and then, from outside of the gateway's callbacks. */
void amqp_sessions_sweep(struct list_node *leaving);

/* Detaches from the gateway at once, where the session's lease (a second) begins, and frees. NULL is allowed. */
void amqp_session_free(struct amqp_session *session);
/* Of such a list, all. */
void amqp_sessions_free(struct list_node *leaving);

#endif
