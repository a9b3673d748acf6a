/* The state of one native connection: what each frame may be, and what it asks of the gateway. */

#include "rpc/native/native_session.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "rpc/native/native_frame.h"
#include "rpc/native/native_limit.h"
#include "rpc/native/native_outbox.h"
#include "rpc/native/native_query.h"

/* Frames that may arrive after hold(true). The connection stops at once; a network in between may hold a few. */
#define WAITING_MAX 64u

/* What the header of one frame may unpack to. */
#define ARENA_LEN_MAX (4 * MIB)

/* What a client calls itself is shown to people; the rest of a longer name is cut. */
#define CLIENT_NAME_LEN_MAX NAME_LEN_MAX

enum state { STATE_NEW, STATE_GREETED, STATE_ATTACHING, STATE_ATTACHED, STATE_OVER };

struct native_session {
    struct gateway *gateway;
    struct native_session_host host;
    enum state state;
    struct gateway_link *link; /* NULL: not attached. */
    bool congested;
    bool busy; /* The gateway said BUSY: frames wait. */
    char client[CLIENT_NAME_LEN_MAX + 1];
    struct arena arena;
    struct native_outbox outbox;
    /* A bit for each number that can be unanswered: whether its command was over the limit. */
    uint8_t over_limit[SESSION_WINDOW_MAX / 8];
    struct frame waiting[WAITING_MAX]; /* A ring. */
    unsigned waiting_first;
    unsigned waiting_len;
};

/* ---- Out ---- */

static void session_over(struct native_session *session)
{
    session->state = STATE_OVER;
    while (session->waiting_len > 0) {
        slice_unref(&session->waiting[session->waiting_first].header);
        session->waiting_first = (session->waiting_first + 1) % WAITING_MAX;
        session->waiting_len--;
    }
    session->host.close(session->host.arg);
}

static int session_send(struct native_session *session, enum frame_type type, const ProtobufCMessage *header)
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

/* The last word. It may be lost for want of memory; the connection closes in any case. */
__attribute__((format(printf, 4, 5))) static void
session_goodbye(struct native_session *session, int err, const struct gateway_leader *leader, const char *format, ...)
{
    if (session->state == STATE_OVER || !session_flush(session)) {
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

static void session_check_sent(struct native_session *session, int err)
{
    if (err != 0) {
        session_goodbye(session, err, NULL, "no memory for an answer");
    }
}

/* ---- From the gateway ---- */

static void on_attached(void *arg, uint64_t id, uint64_t last_number)
{
    struct native_session *session = arg;
    if (session->state == STATE_OVER) {
        return;
    }
    CHECK(session->state == STATE_ATTACHING);
    session->state = STATE_ATTACHED;
    Holdfast__Attached attached = HOLDFAST__ATTACHED__INIT;
    attached.session = id;
    attached.last_number = last_number;
    session_check_sent(session, session_send(session, FRAME_ATTACHED, &attached.base));
}

static void over_limit_set(struct native_session *session, uint64_t number, bool over)
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
    if (session->state == STATE_OVER || (native_outbox_full(&session->outbox, 0) && !session_flush(session))) {
        return;
    }
    struct gateway_reply answer = *reply;
    char words[NATIVE_LIMIT_TEXT_LEN];
    if (reply->error == (uint32_t)-ERR_TOO_BIG && over_limit_get(session, reply->number)) {
        native_limit_text(session->gateway->body_len_max, words); /* The machine does not know this node's limit. */
        answer.detail = words;
    }
    if (native_outbox_reply(&session->outbox, &answer) != 0) {
        session_over(session);
    }
}

static void on_delivery(void *arg, const struct gateway_delivery *delivery)
{
    struct native_session *session = arg;
    if (session->state == STATE_OVER ||
        (native_outbox_full(&session->outbox, delivery->body.len) && !session_flush(session))) {
        return;
    }
    if (native_outbox_delivery(&session->outbox, delivery) != 0) {
        session_over(session);
    }
}

static void on_consumer_ended(void *arg, uint64_t consumer, int err, const char *detail)
{
    struct native_session *session = arg;
    if (session->state == STATE_OVER ||
        (native_outbox_ended_full(&session->outbox, err, detail) && !session_flush(session))) {
        return;
    }
    if (native_outbox_ended(&session->outbox, consumer, err, detail) != 0) {
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
    if (session->state != STATE_OVER) {
        (void)session_flush(session);
    }
}

static void frame_dispatch(struct native_session *session, struct frame *frame);

static void on_resume(void *arg)
{
    struct native_session *session = arg;
    if (session->state == STATE_OVER || !session->busy) {
        return;
    }
    session->busy = false;
    while (session->waiting_len > 0 && !session->busy) {
        struct frame frame = session->waiting[session->waiting_first];
        session->waiting_first = (session->waiting_first + 1) % WAITING_MAX;
        session->waiting_len--;
        frame_dispatch(session, &frame);
    }
    if (session->state != STATE_OVER && !session->busy) {
        session->host.hold(session->host.arg, false);
    }
}

/* ---- Frames ---- */

/* Unpacks a header into the arena, or says goodbye and returns NULL. */
static void *header_unpack(struct native_session *session, const struct frame *frame,
                           const ProtobufCMessageDescriptor *descriptor)
{
    ProtobufCMessage *message;
    arena_reset(&session->arena);
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

/* Who leads, or nobody. `address` is never NULL afterwards. */
static int leader_find(struct native_session *session, struct gateway_leader *ret_leader)
{
    struct gateway_leader leader = {.node = 0, .address = ""};
    int err = session->gateway->ops->leader(session->gateway, &leader);
    if (leader.address == NULL) {
        leader.address = "";
    }
    *ret_leader = leader;
    return err;
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
    (void)snprintf(session->client, sizeof session->client, "%s", hello->client);
    struct gateway_status status = {0};
    session->gateway->ops->status(session->gateway, &status);
    struct gateway_leader leader;
    int leads = leader_find(session, &leader);
    Holdfast__Welcome welcome = HOLDFAST__WELCOME__INIT;
    char product[] = "Holdfast";
    welcome.product = product;
    welcome.version = (char *)(uintptr_t)(status.version != NULL ? status.version : "");
    welcome.cluster = (char *)(uintptr_t)(status.cluster != NULL ? status.cluster : "");
    welcome.node = status.node;
    welcome.leader = leads == 0 && leader.node == 0 ? status.node : leader.node;
    welcome.leader_address = (char *)(uintptr_t)leader.address;
    welcome.body_len_max = native_limit_of(session->gateway->body_len_max);
    session->state = STATE_GREETED;
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
    struct gateway_leader leader;
    int err = leader_find(session, &leader);
    if (err != 0) {
        session_goodbye(session, err, &leader, "%s", err_text(err));
        return;
    }
    struct gateway_attach request = {
        .resume = attach->resume,
        .virtual_host = attach->virtual_host,
        .client = session->client,
        .lease_ms = attach->lease_ms,
        .consumers = attach->consumer,
        .seen = attach->seen,
        .consumers_len = attach->n_consumer,
    };
    memcpy(request.key, attach->key.data, sizeof request.key);
    struct gateway_sink sink = {
        .arg = session,
        .attached = on_attached,
        .reply = on_reply,
        .delivery = on_delivery,
        .consumer_ended = on_consumer_ended,
        .detached = on_detached,
        .resume = on_resume,
        .flush = on_flush,
    };
    struct gateway_link *link;
    err = session->gateway->ops->attach(session->gateway, &request, &sink, &link);
    if (err != 0) {
        session_goodbye(session, err, NULL, "Attach: %s", err_text(err));
        return;
    }
    session->link = link;
    session->state = STATE_ATTACHING;
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
    int err = session->gateway->ops->submit(session->link, command.number, command.answered,
                                            over ? native_limit_refused() : command.command,
                                            over ? (struct slice){0} : frame->body);
    if (err == ERR_BUSY) {
        return false;
    }
    over_limit_set(session, command.number, over);
    if (err != 0) {
        session_goodbye(session, err, NULL, "command %llu: %s", (unsigned long long)command.number, err_text(err));
    }
    return true;
}

static void take_query(struct native_session *session, const struct frame *frame)
{
    const Holdfast__Query *query = header_unpack(session, frame, &holdfast__query__descriptor);
    if (query == NULL) {
        return;
    }
    struct frame_out answer;
    int err = native_query_answer(session->gateway, query, &answer);
    if (err != 0) {
        session_goodbye(session, err, NULL, "Query: %s", err_text(err));
        return;
    }
    session->host.send(session->host.arg, &answer);
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
static const char *frame_fault(enum state state, uint8_t type)
{
    switch (type) {
    case FRAME_HELLO: return state == STATE_NEW ? NULL : "a second Hello";
    case FRAME_ATTACH:
        if (state == STATE_NEW) {
            return "an Attach before Hello";
        }
        return state == STATE_GREETED ? NULL : "a second Attach";
    case FRAME_COMMAND: return state == STATE_ATTACHED ? NULL : "a Command before the session is attached";
    case FRAME_QUERY: return state != STATE_NEW ? NULL : "a Query before Hello";
    case FRAME_PING: return state != STATE_NEW ? NULL : "a Ping before Hello";
    default: return "a frame of a type that clients do not send";
    }
}

/* The frame cannot be taken now; it and what follows waits for the gateway. Takes the frame's reference. */
static void frame_wait(struct native_session *session, struct frame *frame, bool first)
{
    if (session->waiting_len == WAITING_MAX) {
        slice_unref(&frame->header);
        session_goodbye(session, ERR_LIMIT, NULL, "more than %u frames sent while told to wait", WAITING_MAX);
        return;
    }
    unsigned at = (session->waiting_first + session->waiting_len) % WAITING_MAX;
    if (first) {
        at = (session->waiting_first + WAITING_MAX - 1) % WAITING_MAX;
        session->waiting_first = at;
    }
    session->waiting[at] = *frame;
    session->waiting_len++;
}

/* Takes the frame's reference. */
static void frame_dispatch(struct native_session *session, struct frame *frame)
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
        take_query(session, frame);
    } else {
        take_ping(session, frame);
    }
    if (taken) {
        slice_unref(&frame->header);
        return;
    }
    bool held = session->waiting_len > 0;
    session->busy = true;
    frame_wait(session, frame, true);
    if (!held) {
        session->host.hold(session->host.arg, true);
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
    *ret_session = session;
    return 0;
}

void native_session_receive(struct native_session *session, struct frame *frame)
{
    if (session->state == STATE_OVER) {
        slice_unref(&frame->header);
    } else if (session->busy) {
        frame_wait(session, frame, false);
    } else {
        frame_dispatch(session, frame);
    }
    /* After a goodbye nothing more should be delivered here. This is no callback of the gateway's, so it can be told. */
    if (session->state == STATE_OVER && session->link != NULL) {
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
    while (session->waiting_len > 0) {
        slice_unref(&session->waiting[session->waiting_first].header);
        session->waiting_first = (session->waiting_first + 1) % WAITING_MAX;
        session->waiting_len--;
    }
    native_outbox_done(&session->outbox);
    arena_done(&session->arena);
    free(session);
}
