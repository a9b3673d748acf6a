/* What the files of the native session share. Nobody else includes this. */

#ifndef HOLDFAST_RPC_NATIVE_NATIVE_SESSION_PRIVATE_H
#define HOLDFAST_RPC_NATIVE_NATIVE_SESSION_PRIVATE_H

#include "proto/base/arena.h"
#include "proto/base/limits.h"
#include "rpc/native/native_change.h"
#include "rpc/native/native_frame.h"
#include "rpc/native/native_outbox.h"
#include "rpc/native/native_query.h"
#include "rpc/native/native_session.h"

/* Frames that may arrive after hold(true). The connection stops at once; a network in between may hold a few. */
#define SESSION_WAITING_MAX 64u

enum session_state { SESSION_NEW, SESSION_GREETED, SESSION_ATTACHING, SESSION_ATTACHED, SESSION_OVER };

/* What the frames that wait are waiting for. */
enum session_block { SESSION_GOES_ON, SESSION_BLOCKED_BY_GATEWAY, SESSION_BLOCKED_BY_QUERIES };

/* Ten thousand of them are idle: what is needed in between only is allocated only then. */
struct native_session {
    struct gateway *gateway;
    struct native_session_host host;
    enum session_state state;
    enum session_block block;
    bool congested;
    struct gateway_link *link; /* NULL: not attached. */
    char *client;              /* From HELLO to ATTACH: what it calls itself. */
    struct arena arena;        /* Empty between two frames. */
    struct native_outbox outbox;
    struct native_queries queries;
    struct native_changes changes;
    /* A bit for each number that can be unanswered: whether its command was over the limit. */
    uint8_t over_limit[SESSION_WINDOW_MAX / 8];
    struct frame *waiting; /* A ring of SESSION_WAITING_MAX, or NULL. */
    unsigned waiting_first;
    unsigned waiting_len;
};

/* native_sink.c: what goes out. */

/* It is over: nothing is taken or sent any more, and the connection is closed. */
void session_over(struct native_session *session);
/* Sends a frame. ERR_NOMEM, ERR_TOO_BIG. */
int session_send(struct native_session *session, enum frame_type type, const ProtobufCMessage *header);
/* The last word. It may be lost for want of memory; the connection closes in any case. */
__attribute__((format(printf, 4, 5))) void
session_goodbye(struct native_session *session, int err, const struct gateway_leader *leader, const char *format, ...);
/* Says goodbye when something could not be sent. */
void session_check_sent(struct native_session *session, int err);
/* Whether the command of this number was over the limit. */
void session_over_limit_set(struct native_session *session, uint64_t number, bool over);
struct gateway_sink session_sink(struct native_session *session);
/* Whether an answer of about `len` bytes may be sent now; otherwise everything that can wait does. */
bool session_takes(struct native_session *session, size_t len);
/* The callbacks of the session's queries. */
bool session_query_takes(void *arg, size_t len);
void session_query_answer(void *arg, struct frame_out *frame);
void session_queries_answered(void *arg, int err);
/* And of its changes. */
void session_change_failed(void *arg, int err);

/* native_session.c */

/* What the frames were waiting for is there: takes them. */
void session_go_on(struct native_session *session, enum session_block block);
/* Unpacks a header into the arena, or says goodbye and returns NULL. */
void *session_unpack(struct native_session *session, const struct frame *frame,
                     const ProtobufCMessageDescriptor *descriptor);

/* native_greeting.c */

void session_take_hello(struct native_session *session, const struct frame *frame);
void session_take_attach(struct native_session *session, const struct frame *frame);

/* native_ask.c. Whether it was taken: when as many queries wait as may, this one waits as a frame. */
bool session_take_query(struct native_session *session, const struct frame *frame);

/* native_waiting.c */

/* The frame cannot be taken now; it waits before (`first`) or behind the others. Takes the frame's reference. */
void session_frame_wait(struct native_session *session, struct frame *frame, bool first);
/* The first of those that wait, which waits no more. There must be one. */
struct frame session_frame_waited(struct native_session *session);
/* Drops the frames that wait. */
void session_waiting_drop(struct native_session *session);

#endif
