/* The state of one native connection: what each frame may be, and what it asks of the gateway. */

#include "rpc/native/native_session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "rpc/native/native_hash.h"
#include "rpc/native/native_limit.h"
#include "rpc/native/native_session_private.h"
#include "rpc/native/native_version.h"

/* What the header of one frame may unpack to. */
#define ARENA_LEN_MAX (4 * MIB)

/* ---- Frames ---- */

void *session_unpack(struct native_session *session, const struct frame *frame,
                     const ProtobufCMessageDescriptor *descriptor)
{
    ProtobufCMessage *message;
    if (frame->body.len > 0) {
        session_goodbye(session, ERR_BROKEN, NULL, "%s: a frame with %zu bytes of body; it takes none",
                        descriptor->short_name, frame->body.len);
        return NULL;
    }
    if (native_frame_decode(frame, descriptor, &session->arena, &message) != 0) {
        session_goodbye(session, ERR_BROKEN, NULL, "%s: its header of %zu bytes cannot be decoded",
                        descriptor->short_name, frame->header.len);
        return NULL;
    }
    return message;
}

/* Whether the gateway took it. When it is busy, the frame waits. */
static bool take_command(struct native_session *session, const struct frame *frame)
{
    struct native_command command;
    if (native_frame_decode_command(frame, &command) != 0) {
        session_goodbye(session, ERR_BROKEN, NULL, "CommandFrame: its header of %zu bytes cannot be decoded",
                        frame->header.len);
        return true;
    }
    if (command.number == 0 || command.command.len == 0 || command.answered >= command.number) {
        session_goodbye(session, ERR_BROKEN, NULL,
                        "CommandFrame: number %llu, answered up to %llu, %zu bytes of command: numbers start at 1, a "
                        "command is not answered before it is sent, and is not empty",
                        (unsigned long long)command.number, (unsigned long long)command.answered, command.command.len);
        return true;
    }
    uint64_t limit = native_limit_of(session->gateway->body_len_max);
    bool over = native_limit_exceeded(command.command, frame->body.len, limit);
    bool damaged = !over && !native_hash_matches(command.command, frame->body);
    bool early = !over && !damaged && !native_version_known(session->gateway, command.command);
    struct slice taken = over      ? native_limit_refused()
                         : damaged ? native_hash_refused()
                         : early   ? native_version_refused()
                                   : command.command;
    int err = session->gateway->ops->submit(session->link, command.number, command.answered, taken,
                                            over || damaged || early ? (struct slice){0} : frame->body);
    if (err == ERR_BUSY) {
        return false;
    }
    if (err == ERR_INVALID) {
        session_goodbye(session, ERR_BROKEN, NULL, "command %llu: its number is not above the last one",
                        (unsigned long long)command.number);
        return true;
    }
    session_over_limit_set(session, command.number, over);
    if (err != 0) {
        session_goodbye(session, err, NULL, "command %llu: %s", (unsigned long long)command.number, err_text(err));
    }
    return true;
}

static void take_ping(struct native_session *session, const struct frame *frame)
{
    const Holdfast__Ping *ping = session_unpack(session, frame, &holdfast__ping__descriptor);
    if (ping == NULL) {
        return;
    }
    Holdfast__Pong pong = HOLDFAST__PONG__INIT;
    pong.id = ping->id;
    session_check_sent(session, session_send(session, FRAME_PONG, &pong.base));
}

/* What is wrong with a frame of this type now, or NULL. */
static const char *frame_fault(enum session_state state, uint8_t type)
{
    switch (type) {
    case FRAME_HELLO: return state == SESSION_NEW ? NULL : "a second Hello";
    case FRAME_ATTACH:
        if (state == SESSION_NEW) {
            return "an Attach before Hello";
        }
        return state == SESSION_GREETED ? NULL : "a second Attach";
    case FRAME_COMMAND: return state == SESSION_ATTACHED ? NULL : "a Command before the session is attached";
    case FRAME_QUERY: return state != SESSION_NEW ? NULL : "a Query before Hello";
    case FRAME_PING: return state != SESSION_NEW ? NULL : "a Ping before Hello";
    default: return "a frame of a type that clients do not send";
    }
}

/* Whether the frame was taken: then its reference is gone. */
static bool frame_take(struct native_session *session, struct frame *frame)
{
    const char *fault = frame_fault(session->state, frame->type);
    bool taken = true;
    if (fault != NULL) {
        session_goodbye(session, ERR_BROKEN, NULL, "%s (type %u)", fault, frame->type);
    } else if (frame->type == FRAME_COMMAND) {
        taken = take_command(session, frame);
    } else if (frame->type == FRAME_HELLO) {
        session_take_hello(session, frame);
    } else if (frame->type == FRAME_ATTACH) {
        session_take_attach(session, frame);
    } else if (frame->type == FRAME_QUERY) {
        taken = session_take_query(session, frame);
    } else {
        take_ping(session, frame);
    }
    arena_done(&session->arena); /* Its block would be most of what an idle connection costs. */
    if (taken) {
        slice_unref(&frame->header);
    }
    return taken;
}

/* Takes the frame's reference. Returns false when it waits, before all others. */
static bool frame_dispatch(struct native_session *session, struct frame *frame)
{
    if (frame_take(session, frame)) {
        return true;
    }
    session->block = frame->type == FRAME_QUERY ? SESSION_BLOCKED_BY_QUERIES : SESSION_BLOCKED_BY_GATEWAY;
    session_frame_wait(session, frame, true);
    return false;
}

void session_go_on(struct native_session *session, enum session_block block)
{
    if (session->state == SESSION_OVER || session->block != block) {
        return;
    }
    session->block = SESSION_GOES_ON;
    while (session->waiting_len > 0) {
        struct frame frame = session_frame_waited(session);
        if (!frame_dispatch(session, &frame)) {
            return;
        }
    }
    if (session->state != SESSION_OVER) {
        session_waiting_drop(session);
        session->host.hold(session->host.arg, false);
    }
}

/* ---- Life ---- */

int native_session_new(struct gateway *gateway, const struct native_session_host *host,
                       struct native_session **ret_session)
{
    struct native_session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        return ERR_NOMEM;
    }
    session->gateway = gateway;
    session->host = *host;
    arena_init(&session->arena, ARENA_LEN_MAX);
    native_queries_init(&session->queries, gateway);
    session->queries.arg = session;
    session->queries.answer = session_query_answer;
    session->queries.takes = session_query_takes;
    session->queries.answered = session_queries_answered;
    native_changes_init(&session->changes, gateway);
    session->changes.arg = session;
    session->changes.answer = session_query_answer;
    session->changes.failed = session_change_failed;
    *ret_session = session;
    return 0;
}

void native_session_receive(struct native_session *session, struct frame *frame)
{
    if (session->state == SESSION_OVER) {
        slice_unref(&frame->header);
    } else if (session->block != SESSION_GOES_ON) {
        session_frame_wait(session, frame, false);
    } else if (!frame_dispatch(session, frame) && session->state != SESSION_OVER) {
        session->host.hold(session->host.arg, true);
    }
    /* After a goodbye nothing more should be delivered here. This is no callback of the gateway's, so it can be told. */
    if (session->state == SESSION_OVER && session->link != NULL) {
        session->gateway->ops->detach(session->link);
        session->link = NULL;
    }
}

void native_session_congested(struct native_session *session, bool congested)
{
    if (session->congested == congested) {
        return;
    }
    session->congested = congested;
    native_queries_pause(&session->queries, congested);
    if (session->link != NULL) {
        session->gateway->ops->pause(session->link, congested);
    }
}

void native_session_free(struct native_session *session)
{
    if (session == NULL) {
        return;
    }
    if (session->link != NULL) {
        session->gateway->ops->detach(session->link);
    }
    session_waiting_drop(session);
    native_queries_done(&session->queries);
    native_changes_done(&session->changes);
    free(session->client);
    native_outbox_done(&session->outbox);
    arena_done(&session->arena);
    free(session);
}
