/* Where a client is connected, what it waits for there, and where it goes next. */

#include <stdio.h>
#include <string.h>

#include "proto/base/check.h"
#include "rpc/client/client_state.h"
#include "rpc/native/native_frame.h"
#include "rpc/native/native_limit.h"

/* Attaching may take up to so many times twice as long as at first. */
#define ATTACH_PATIENCE_MAX 3u

void client_connection_send(struct client_core *core, struct frame_out *frame)
{
    uint64_t now = client_now(core);
    if (!client_silence_expects(core)) {
        core->heard_ms = now;
    }
    core->sent_ms = now;
    core->host.send(core->host.arg, frame);
}

static uint64_t backoff_next(struct client_core *core)
{
    uint64_t delay = core->backoff_ms;
    core->backoff_ms = delay * 2 > CLIENT_BACKOFF_MS_MAX ? CLIENT_BACKOFF_MS_MAX : delay * 2;
    return delay / 2 + core->clock->random(core->clock) % (delay / 2 + 1); /* So that clients do not come in step. */
}

static void trouble_set(struct client_core *core, const char *detail)
{
    snprintf(core->trouble, sizeof core->trouble, "%s: %s", core->servers[core->server], detail);
}

/* Leaves the connection, if there is one; the next attempt is at core->phase_deadline_ms. */
static void connection_leave(struct client_core *core, bool connected, uint64_t delay_ms)
{
    bool leave = connected && core->phase != CLIENT_PAUSED;
    core->phase = CLIENT_PAUSED;
    core->phase_deadline_ms = client_now(core) + delay_ms;
    core->broken = false;
    core->pinging = false;
    if (leave) {
        core->host.disconnect(core->host.arg);
    }
    client_ask_unsent(core);
}

/* The same server once more: what went wrong was the connection, or ourselves. */
static void connection_again(struct client_core *core, const char *detail)
{
    trouble_set(core, detail);
    connection_leave(core, true, backoff_next(core));
}

/* The next server: at once, unless each has been tried since one was of use. */
static void connection_next(struct client_core *core, bool connected, const char *detail)
{
    trouble_set(core, detail);
    core->server = (core->server + 1) % core->servers_len;
    bool round = ++core->failures % core->servers_len == 0;
    connection_leave(core, connected, round ? backoff_next(core) : 0);
    if (round && core->host.trouble != NULL) {
        core->host.trouble(core->host.arg, core->trouble);
    }
}

static void session_lost(struct client_core *core)
{
    client_session_new_key(core);
    trouble_set(core, err_text(ERR_SESSION_EXPIRED));
    connection_leave(core, true, core->strikes == 0 ? 0 : backoff_next(core));
    client_command_session_lost(core);
}

static void connection_start(struct client_core *core)
{
    core->phase = CLIENT_CONNECTING;
    core->phase_deadline_ms = client_now(core) + core->options.connect_timeout_ms;
    core->host.connect(core->host.arg, core->servers[core->server]);
}

static void message_send(struct client_core *core, enum frame_type type, const ProtobufCMessage *message)
{
    struct frame_out frame;
    if (native_frame_encode(type, message, NULL, 0, &frame) != 0) {
        core->broken = true;
        return;
    }
    client_connection_send(core, &frame);
}

void client_core_connected(struct client_core *core)
{
    if (core->phase != CLIENT_CONNECTING) {
        return;
    }
    core->phase = CLIENT_GREETING;
    Holdfast__Hello hello = HOLDFAST__HELLO__INIT;
    hello.client = core->client_name;
    hello.heads = true;
    message_send(core, FRAME_HELLO, &hello.base);
}

void client_core_disconnected(struct client_core *core, int err)
{
    client_core_disconnected_because(core, err, "");
}

void client_core_disconnected_because(struct client_core *core, int err, const char *detail)
{
    if (core->phase == CLIENT_PAUSED || core->phase == CLIENT_ENDED) {
        return;
    }
    connection_next(core, false, detail[0] == '\0' ? err_text(err) : detail);
}

static void attach_send(struct client_core *core)
{
    uint64_t ids[SESSION_CONSUMERS_MAX];
    uint64_t seen[SESSION_CONSUMERS_MAX];
    Holdfast__Attach attach = HOLDFAST__ATTACH__INIT;
    const struct client_consumer *consumer, *next;
    HASH_ITER (hh, core->consumers, consumer, next) {
        if (consumer->sent && !consumer->ending) {
            ids[attach.n_consumer] = consumer->id;
            seen[attach.n_consumer++] = consumer->seen;
        }
    }
    attach.key = (ProtobufCBinaryData){.len = sizeof core->key, .data = core->key};
    attach.resume = core->resumable;
    attach.virtual_host = core->virtual_host;
    attach.user = core->user;
    attach.lease_ms = core->options.lease_ms;
    attach.consumer = ids;
    attach.seen = seen;
    attach.n_seen = attach.n_consumer;
    attach.attempt = ++core->attempt;
    core->rejoin = false; /* What is taken up is named. */
    core->phase = CLIENT_ATTACHING;
    core->phase_deadline_ms = client_now(core) + (core->options.connect_timeout_ms << core->attach_patience);
    message_send(core, FRAME_ATTACH, &attach.base);
}

static void leader_note(struct client_core *core, const Holdfast__Welcome *welcome)
{
    size_t len = strlen(welcome->leader_address);
    core->node = welcome->node;
    core->leader = welcome->leader;
    memcpy(core->leader_address, len <= ADDRESS_LEN_MAX ? welcome->leader_address : "",
           len <= ADDRESS_LEN_MAX ? len + 1 : 1);
}

static int welcome_receive(struct client_core *core, struct frame *frame)
{
    ProtobufCMessage *base;
    if (core->phase != CLIENT_GREETING ||
        native_frame_decode(frame, &holdfast__welcome__descriptor, &core->arena, &base) != 0) {
        return ERR_INVALID;
    }
    const Holdfast__Welcome *welcome = (const Holdfast__Welcome *)(void *)base;
    leader_note(core, welcome);
    if (core->options.query_only) {
        core->phase = CLIENT_READY;
        core->trouble[0] = '\0';
        client_ask_pump(core);
        return 0;
    }
    core->body_len_max = native_limit_of(welcome->body_len_max);
    core->version_one = !welcome->checks_version;
    client_command_refuse(core);
    attach_send(core); /* Also when it knows of no leader: it says itself whether it serves. */
    return 0;
}

static int attached_receive(struct client_core *core, struct frame *frame)
{
    ProtobufCMessage *base;
    if (core->phase != CLIENT_ATTACHING ||
        native_frame_decode(frame, &holdfast__attached__descriptor, &core->arena, &base) != 0) {
        return ERR_INVALID;
    }
    const Holdfast__Attached *attached = (const Holdfast__Attached *)(void *)base;
    if (client_session_attached(core, attached->session, attached->last_number) != 0) {
        return ERR_SESSION_EXPIRED;
    }
    core->attach_patience = 0;
    core->trouble[0] = '\0';
    if (core->host.attached != NULL) {
        core->host.attached(core->host.arg, core->servers[core->server], attached->session);
    }
    client_command_resend(core); /* Before anything new may be sent. */
    core->phase = CLIENT_READY;
    client_command_pump(core);
    client_ask_pump(core);
    return 0;
}

/* Whether that is the answer to an attempt to open a session, and no other node would give another one. */
static bool refuses_session(const struct client_core *core, int err)
{
    bool answer = err == ERR_NOT_FOUND || err == ERR_EXISTS || err == ERR_LIMIT || err == ERR_REFUSED ||
                  err == ERR_INVALID || err == ERR_NAME;
    return core->phase == CLIENT_ATTACHING && !core->resumable && answer;
}

/* The session cannot be had: whoever waits for it is told. What is issued from now on tries again. */
static void session_refused(struct client_core *core, int err, const char *detail)
{
    connection_again(core, detail);
    core->refused_err = err;
    client_command_end_waiting(core, err);
    client_ask_end_all(core, err);
    core->refused_err = 0;
}

static int goodbye_receive(struct client_core *core, struct frame *frame)
{
    ProtobufCMessage *base;
    if (native_frame_decode(frame, &holdfast__goodbye__descriptor, &core->arena, &base) != 0) {
        return ERR_INVALID;
    }
    const Holdfast__Goodbye *goodbye = (const Holdfast__Goodbye *)(void *)base;
    int err = goodbye->error > INT32_MAX ? ERR_INVALID : -(int)goodbye->error;
    const char *detail = goodbye->detail[0] != '\0' ? goodbye->detail : err_text(err);
    if (err == ERR_SESSION_EXPIRED) {
        return err;
    }
    if (err == ERR_DISPLACED && client_session_overtaken(core)) {
        return 0;
    }
    if (err == ERR_DISPLACED) {
        /* Nobody else knows the key, or one that does has begun before us: an attempt of our own that we had given up was
         * overtaken, or came in late. The next one counts higher. */
        connection_again(core, detail);
        return 0;
    }
    if (refuses_session(core, err)) {
        session_refused(core, err, detail);
        return 0;
    }
    connection_next(core, true, detail);
    return 0;
}

static int frame_receive(struct client_core *core, struct frame *frame)
{
    switch (frame->type) {
    case FRAME_WELCOME: return welcome_receive(core, frame);
    case FRAME_ATTACHED: return attached_receive(core, frame);
    case FRAME_GOODBYE: return goodbye_receive(core, frame);
    default: break;
    }
    if (core->phase != CLIENT_READY) {
        return ERR_INVALID;
    }
    core->backoff_ms = CLIENT_BACKOFF_MS_MIN; /* It is of use. */
    core->failures = 0;
    switch (frame->type) {
    case FRAME_REPLIES: return client_command_replies(core, frame);
    case FRAME_DELIVERIES: return client_consumer_deliveries(core, frame);
    case FRAME_CONSUMERS_ENDED: return client_consumer_ended(core, frame);
    case FRAME_NOTICES: return client_consumer_notices(core, frame);
    case FRAME_QUERY_RESULT: return client_ask_result(core, frame);
    case FRAME_PONG: core->pinging = false; return 0;
    default: return ERR_INVALID;
    }
}

void client_core_frame(struct client_core *core, struct frame *frame)
{
    struct frame taken = *frame;
    frame->header = frame->body = (struct slice){0};
    if (core->phase > CLIENT_CONNECTING && core->phase < CLIENT_ENDED) {
        core->heard_ms = client_now(core);
        arena_reset(&core->arena);
        switch (frame_receive(core, &taken)) {
        case 0: client_command_pump(core); break;
        case ERR_SESSION_EXPIRED: session_lost(core); break;
        case ERR_CLOSED: client_session_closed(core); break;
        case ERR_DISPLACED: connection_again(core, err_text(ERR_DISPLACED)); break;
        case ERR_OUT_OF_ORDER: connection_again(core, err_text(ERR_OUT_OF_ORDER)); break;
        case ERR_UNAVAILABLE: connection_next(core, true, err_text(ERR_UNAVAILABLE)); break;
        case ERR_CHECKSUM: connection_next(core, true, "a message arrived damaged"); break;
        default: connection_next(core, true, err_text(ERR_BROKEN)); break;
        }
    }
    slice_unref(&taken.header);
}

uint64_t client_core_deadline_ms(const struct client_core *core)
{
    if (core->phase == CLIENT_ENDED) {
        return UINT64_MAX;
    }
    if (core->broken || (core->rejoin && core->phase == CLIENT_READY)) {
        return 0;
    }
    uint64_t deadline = core->phase_deadline_ms;
    if (core->phase == CLIENT_READY) {
        deadline = client_silence_deadline_ms(core);
    }
    return core->timeout_ms < deadline ? core->timeout_ms : deadline;
}

/* `late_ms` after a tick was due. */
static void ready_tick(struct client_core *core, uint64_t now, uint64_t late_ms)
{
    client_silence_look(core, now, late_ms);
    if (client_silence_too_long(core, now)) {
        connection_next(core, true, "it has fallen silent");
    } else if (client_silence_ping_due(core, now)) {
        Holdfast__Ping ping = HOLDFAST__PING__INIT;
        ping.id = ++core->pings;
        message_send(core, FRAME_PING, &ping.base);
        core->pinging = true;
        core->pinged_ms = now;
    }
}

void client_core_tick(struct client_core *core)
{
    uint64_t now = client_now(core);
    uint64_t due = client_core_deadline_ms(core);
    if (core->phase == CLIENT_ENDED) {
        return;
    }
    if (core->timeout_ms <= now) {
        core->timeout_ms = UINT64_MAX; /* The next one is found on the way. */
        client_command_expire(core, now);
        client_ask_expire(core, now);
    }
    if (core->broken) {
        connection_next(core, true, err_text(ERR_NOMEM));
    }
    if (core->rejoin && core->phase == CLIENT_READY) {
        trouble_set(core, "attaches again, for what is taken up");
        connection_leave(core, true, 0);
    }
    if (!core->resumable && !core->keyed && core->phase < CLIENT_READY && client_command_only_close_waits(core)) {
        client_command_end_all(core, 0, 0); /* There is no session: it is as good as closed. */
        client_session_closed(core);
        return;
    }
    if (core->phase == CLIENT_READY) {
        ready_tick(core, now, due < now ? now - due : 0);
    } else if (core->phase_deadline_ms <= now && core->phase == CLIENT_PAUSED) {
        connection_start(core);
    } else if (core->phase_deadline_ms <= now) {
        /* A node that greets and does not attach is busy rather than cut off, for then it says so. Every further attempt is
         * one more thing to do for it: wait longer. */
        bool busy = core->phase == CLIENT_ATTACHING && core->attach_patience < ATTACH_PATIENCE_MAX;
        core->attach_patience += busy;
        connection_next(core, true, "no answer in time");
    }
}
