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

/* What a client calls itself is shown to people; the rest of a longer name is cut. */
#define CLIENT_NAME_LEN_MAX NAME_LEN_MAX

/* ---- Frames ---- */

/* Unpacks a header into the arena, or says goodbye and returns NULL. */
static void *header_unpack(struct native_session *session, const struct frame *frame,
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

/* Who leads, as far as this node knows; the address is never NULL. */
static struct gateway_leader leader_known(struct native_session *session)
{
    struct gateway_leader leader = {.node = 0, .address = ""};
    if (session->gateway->ops->leader(session->gateway, &leader) != 0 || leader.address == NULL) {
        leader.address = "";
    }
    return leader;
}

/* A name for people: a long one is cut, between two characters. */
static char *client_name(const char *name)
{
    char *cut = strndup(name, CLIENT_NAME_LEN_MAX);
    if (cut != NULL) {
        size_t len = strlen(cut);
        while (!bytes_are_utf8(cut, len)) {
            cut[--len] = '\0';
        }
    }
    return cut;
}

static void take_hello(struct native_session *session, const struct frame *frame)
{
    const Holdfast__Hello *hello = header_unpack(session, frame, &holdfast__hello__descriptor);
    if (hello == NULL) {
        return;
    }
    if (!bytes_are_utf8(hello->client, strlen(hello->client))) {
        session_goodbye(session, ERR_BROKEN, NULL, "Hello: the name of the client is not UTF-8");
        return;
    }
    session->outbox.heads = hello->heads;
    session->client = client_name(hello->client);
    if (session->client == NULL) {
        session_goodbye(session, ERR_NOMEM, NULL, "Hello: %s", err_text(ERR_NOMEM));
        return;
    }
    struct gateway_status status = {0};
    session->gateway->ops->status(session->gateway, &status);
    struct gateway_leader leader = leader_known(session);
    Holdfast__Welcome welcome = HOLDFAST__WELCOME__INIT;
    char product[] = "Holdfast";
    welcome.product = product;
    welcome.version = (char *)(uintptr_t)(status.version != NULL ? status.version : "");
    welcome.cluster = (char *)(uintptr_t)(status.cluster != NULL ? status.cluster : "");
    welcome.node = status.node;
    welcome.leader = leader.node;
    welcome.leader_address = (char *)(uintptr_t)leader.address;
    welcome.body_len_max = native_limit_of(session->gateway->body_len_max);
    session->state = SESSION_GREETED;
    session_check_sent(session, session_send(session, FRAME_WELCOME, &welcome.base));
}

/* What in an ATTACH is wrong, or NULL. */
static const char *attach_fault(const Holdfast__Attach *attach)
{
    if (attach->key.len != sizeof((struct gateway_attach *)0)->key) {
        return "the key is not 16 bytes";
    }
    size_t host_len = strlen(attach->virtual_host);
    if (host_len > 0 && name_check(attach->virtual_host, host_len) != 0) {
        return "the virtual host is not a name";
    }
    if (attach->n_consumer != attach->n_seen || attach->n_consumer > SESSION_CONSUMERS_MAX) {
        return "the lists of consumers and of numbers seen differ in length, or are too long";
    }
    return NULL;
}

static void take_attach(struct native_session *session, const struct frame *frame)
{
    const Holdfast__Attach *attach = header_unpack(session, frame, &holdfast__attach__descriptor);
    if (attach == NULL) {
        return;
    }
    const char *fault = attach_fault(attach);
    if (fault != NULL) {
        session_goodbye(session, ERR_BROKEN, NULL, "Attach: %s", fault);
        return;
    }
    struct gateway_attach request = {
        .resume = attach->resume,
        .virtual_host = attach->virtual_host,
        .client = session->client,
        .lease_ms = attach->lease_ms,
        .attempt = attach->attempt,
        .consumers = attach->consumer,
        .seen = attach->seen,
        .consumers_len = attach->n_consumer,
    };
    memcpy(request.key, attach->key.data, sizeof request.key);
    struct gateway_sink sink = session_sink(session);
    struct gateway_link *link;
    int err = session->gateway->ops->attach(session->gateway, &request, &sink, &link);
    free(session->client);
    session->client = NULL;
    if (err != 0) {
        struct gateway_leader leader = leader_known(session);
        session_goodbye(session, err, &leader, "Attach: %s", err_text(err));
        return;
    }
    session->link = link;
    session->state = SESSION_ATTACHING;
    if (session->congested) {
        session->gateway->ops->pause(link, true);
    }
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

/* What is wrong with it is its answer. */
static int answer_at_once(struct native_session *session, const struct native_question *question, int fault)
{
    struct frame_out answer;
    int err = native_result_make(session->gateway, question, fault, &answer);
    if (err == 0) {
        session->host.send(session->host.arg, &answer);
    }
    return err;
}

static int take_change(struct native_session *session, const struct native_question *question,
                       enum gateway_change_kind kind)
{
    int err = native_changes_add(&session->changes, question, kind);
    return err == ERR_BUSY ? answer_at_once(session, question, err) : err;
}

/* Whether it was taken. When as many wait as may, this one waits as a frame. */
static bool take_query(struct native_session *session, const struct frame *frame)
{
    const Holdfast__Query *query = header_unpack(session, frame, &holdfast__query__descriptor);
    if (query == NULL) {
        return true;
    }
    struct native_question question;
    enum gateway_change_kind kind;
    int fault = native_question_of(query, &question);
    question.heads = session->outbox.heads;
    int err;
    if (fault == 0 && native_question_reads(&question)) {
        err = native_queries_add(&session->queries, &question);
        if (err == ERR_BUSY) {
            return false;
        }
    } else if (fault == 0 && native_question_changes(&question, &kind)) {
        err = take_change(session, &question, kind);
    } else {
        err = answer_at_once(session, &question, fault);
    }
    if (err != 0) {
        session_goodbye(session, err, NULL, "Query: %s", err_text(err));
    }
    return true;
}

static void take_ping(struct native_session *session, const struct frame *frame)
{
    const Holdfast__Ping *ping = header_unpack(session, frame, &holdfast__ping__descriptor);
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

/* ---- Frames that wait ---- */

/* The frame cannot be taken now; it waits before (`first`) or behind the others. Takes the frame's reference. */
static void frame_wait(struct native_session *session, struct frame *frame, bool first)
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

static struct frame frame_waited(struct native_session *session)
{
    struct frame frame = session->waiting[session->waiting_first];
    session->waiting_first = (session->waiting_first + 1) % SESSION_WAITING_MAX;
    session->waiting_len--;
    return frame;
}

void session_waiting_drop(struct native_session *session)
{
    while (session->waiting_len > 0) {
        struct frame frame = frame_waited(session);
        slice_unref(&frame.header);
    }
    free(session->waiting);
    session->waiting = NULL;
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
        take_hello(session, frame);
    } else if (frame->type == FRAME_ATTACH) {
        take_attach(session, frame);
    } else if (frame->type == FRAME_QUERY) {
        taken = take_query(session, frame);
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
    frame_wait(session, frame, true);
    return false;
}

void session_go_on(struct native_session *session, enum session_block block)
{
    if (session->state == SESSION_OVER || session->block != block) {
        return;
    }
    session->block = SESSION_GOES_ON;
    while (session->waiting_len > 0) {
        struct frame frame = frame_waited(session);
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
        frame_wait(session, frame, false);
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
