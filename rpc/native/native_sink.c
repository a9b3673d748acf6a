/* What goes out of a native session: answers, the last word, and what the gateway says. */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/base/check.h"
#include "rpc/native/native_hash.h"
#include "rpc/native/native_limit.h"
#include "rpc/native/native_session_private.h"
#include "rpc/native/native_version.h"

void session_over(struct native_session *session)
{
    session->state = SESSION_OVER;
    session_waiting_drop(session);
    native_queries_done(&session->queries);
    native_changes_done(&session->changes);
    session->host.close(session->host.arg);
}

int session_send(struct native_session *session, enum frame_type type, const ProtobufCMessage *header)
{
    struct frame_out frame;
    int err = native_frame_encode(type, header, NULL, 0, &frame);
    if (err == 0) {
        session->host.send(session->host.arg, &frame);
    }
    return err;
}

/* Sends what has gathered. A frame that cannot be made leaves a gap, so the connection is closed: the client comes back
 * and is told again. */
static bool session_flush(struct native_session *session)
{
    for (;;) {
        bool got;
        struct frame_out frame;
        int err = native_outbox_next(&session->outbox, &got, &frame);
        if (err != 0) {
            session_over(session);
            return false;
        }
        if (!got) {
            return true;
        }
        session->host.send(session->host.arg, &frame);
    }
}

void session_goodbye(struct native_session *session, int err, const struct gateway_leader *leader, const char *format,
                     ...)
{
    if (session->state == SESSION_OVER || !session_flush(session)) {
        return;
    }
    char detail[300];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(detail, sizeof detail, format, args);
    va_end(args);
    Holdfast__Goodbye goodbye = HOLDFAST__GOODBYE__INIT;
    goodbye.error = (uint32_t)-err;
    goodbye.detail = detail;
    if (leader != NULL) {
        goodbye.leader = leader->node;
        goodbye.leader_address = (char *)(uintptr_t)(leader->address != NULL ? leader->address : "");
    }
    (void)session_send(session, FRAME_GOODBYE, &goodbye.base);
    session_over(session);
}

void session_check_sent(struct native_session *session, int err)
{
    if (err != 0) {
        session_goodbye(session, err, NULL, "no memory for an answer");
    }
}

/* ---- From the gateway ---- */

static void on_attached(void *arg, uint64_t id, uint64_t last_number)
{
    struct native_session *session = arg;
    if (session->state == SESSION_OVER) {
        return;
    }
    CHECK(session->state == SESSION_ATTACHING);
    session->state = SESSION_ATTACHED;
    Holdfast__Attached attached = HOLDFAST__ATTACHED__INIT;
    attached.session = id;
    attached.last_number = last_number;
    session_check_sent(session, session_send(session, FRAME_ATTACHED, &attached.base));
}

void session_over_limit_set(struct native_session *session, uint64_t number, bool over)
{
    uint8_t bit = (uint8_t)(1u << (number % 8));
    uint8_t *bits = &session->over_limit[number % SESSION_WINDOW_MAX / 8];
    *bits = (uint8_t)(over ? *bits | bit : *bits & ~bit);
}

static bool over_limit_get(const struct native_session *session, uint64_t number)
{
    return (session->over_limit[number % SESSION_WINDOW_MAX / 8] & 1u << (number % 8)) != 0;
}

static void on_reply(void *arg, const struct gateway_reply *reply)
{
    struct native_session *session = arg;
    if (session->state == SESSION_OVER || (native_outbox_full(&session->outbox, 0) && !session_flush(session))) {
        return;
    }
    struct gateway_reply answer = *reply;
    char words[NATIVE_LIMIT_TEXT_LEN];
    if (reply->error == (uint32_t)-ERR_TOO_BIG && over_limit_get(session, reply->number)) {
        native_limit_text(session->gateway->body_len_max, words); /* The machine does not know this node's limit. */
        answer.detail = words;
    }
    if (reply->error == (uint32_t)-ERR_CHECKSUM) {
        answer.detail = NATIVE_HASH_TEXT; /* Whether the machine found it, or this node. */
    }
    if (reply->error == (uint32_t)-ERR_VERSION) {
        answer.detail = NATIVE_VERSION_TEXT;
    }
    if (native_outbox_reply(&session->outbox, &answer) != 0) {
        session_over(session);
    }
}

bool session_takes(struct native_session *session, size_t len)
{
    if (session->host.takes == NULL || session->host.takes(session->host.arg, len)) {
        return true;
    }
    native_session_congested(session, true);
    return false;
}

static bool on_takes(void *arg, size_t body_len)
{
    struct native_session *session = arg;
    return session->state != SESSION_OVER && session_takes(session, body_len);
}

static void on_delivery(void *arg, const struct gateway_delivery *delivery)
{
    struct native_session *session = arg;
    if (session->state == SESSION_OVER ||
        (native_outbox_full(&session->outbox, delivery->body.len + delivery->head.len + delivery->trail.len) &&
         !session_flush(session))) {
        return;
    }
    if (native_outbox_delivery(&session->outbox, delivery) != 0) {
        session_over(session);
    }
}

static void on_consumer_ended(void *arg, uint64_t consumer, int err, const char *detail)
{
    struct native_session *session = arg;
    if (session->state == SESSION_OVER ||
        (native_outbox_ended_full(&session->outbox, err, detail) && !session_flush(session))) {
        return;
    }
    if (native_outbox_ended(&session->outbox, consumer, err, detail) != 0) {
        session_over(session);
    }
}

static void on_lock_ended(void *arg, uint64_t consumer, uint64_t number)
{
    struct native_session *session = arg;
    if (session->state == SESSION_OVER || (native_outbox_full(&session->outbox, 0) && !session_flush(session))) {
        return;
    }
    if (native_outbox_lock_ended(&session->outbox, consumer, number) != 0) {
        session_over(session);
    }
}

static void on_prepared_ask(void *arg, const char *id)
{
    struct native_session *session = arg;
    if (session->state == SESSION_OVER || (native_outbox_full(&session->outbox, 0) && !session_flush(session))) {
        return;
    }
    if (native_outbox_prepared_ask(&session->outbox, id) != 0) {
        session_over(session);
    }
}

static void on_detached(void *arg, int err, const char *detail, const struct gateway_leader *leader)
{
    struct native_session *session = arg;
    session->link = NULL;
    bool told = detail != NULL && detail[0] != '\0';
    session_goodbye(session, err, leader, "%s", told ? detail : err_text(err));
}

static void on_flush(void *arg)
{
    struct native_session *session = arg;
    if (session->state != SESSION_OVER) {
        (void)session_flush(session);
    }
}

static void on_resume(void *arg)
{
    session_go_on(arg, SESSION_BLOCKED_BY_GATEWAY);
}

struct gateway_sink session_sink(struct native_session *session)
{
    return (struct gateway_sink){
        .arg = session,
        .attached = on_attached,
        .reply = on_reply,
        .delivery = on_delivery,
        .takes = on_takes,
        .consumer_ended = on_consumer_ended,
        .lock_ended = on_lock_ended,
        .prepared_ask = on_prepared_ask,
        .detached = on_detached,
        .resume = on_resume,
        .flush = on_flush,
    };
}

/* ---- From the queries ---- */

bool session_query_takes(void *arg, size_t len)
{
    struct native_session *session = arg;
    return session_takes(session, len);
}

void session_query_answer(void *arg, struct frame_out *frame)
{
    struct native_session *session = arg;
    session->host.send(session->host.arg, frame);
}

void session_queries_answered(void *arg, int err)
{
    struct native_session *session = arg;
    if (err != 0) {
        session_goodbye(session, err, NULL, "Query: %s", err_text(err));
    } else {
        session_go_on(session, SESSION_BLOCKED_BY_QUERIES);
    }
}

void session_change_failed(void *arg, int err)
{
    struct native_session *session = arg;
    session_goodbye(session, err, NULL, "Query: %s", err_text(err));
}
