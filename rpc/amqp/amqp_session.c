/* The life of an AMQP session, and what each frame may be in it. */

#include "rpc/amqp/amqp_session.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "rpc/amqp/amqp_session_private.h"

/* What the tables of one frame may unpack to, with the command that is made of it. */
#define ARENA_LEN_MAX (4 * MIB)

/* ---- Frames ---- */

/* False: the connection has been closed with an error. */
static bool method_decode(struct amqp_session *session, uint16_t number, struct amqp_bytes payload,
                          union amqp_method *ret_method)
{
    int err = amqp_method_decode(payload, ret_method);
    if (err == ERR_NOT_FOUND) {
        amqp_connection_error(session, AMQP_COMMAND_INVALID, ret_method->id, "no method %u of class %u (channel %u)",
                              ret_method->id & 0xffffu, ret_method->id >> 16, number);
    } else if (err == ERR_INVALID) {
        amqp_connection_error(session, AMQP_SYNTAX_ERROR, ret_method->id,
                              "the arguments of '%s' on channel %u are cut short, or followed by something",
                              amqp_method_name(ret_method->id), number);
    } else if (err != 0) {
        amqp_connection_error(session, AMQP_FRAME_ERROR, 0, "a method frame of %zu bytes on channel %u", payload.len,
                              number);
    }
    return err == 0;
}

static void take_channel_method(struct amqp_session *session, uint16_t number, const union amqp_method *method)
{
    struct amqp_channel *channel = amqp_channel_find(session, number);
    if (method->id == AMQP_channel_open) {
        amqp_take_channel_open(session, number);
    } else if (channel == NULL) {
        /* Close-Ok of a channel that both sides closed is no error. */
        if (method->id != AMQP_channel_close_ok) {
            amqp_connection_error(session, AMQP_CHANNEL_ERROR, method->id, "expected 'channel.open'");
        }
    } else if (channel->closing && method->id != AMQP_channel_close && method->id != AMQP_channel_close_ok) {
        return; /* It was sent before the client had read that it is closed. */
    } else if (channel->incoming != NULL && method->id != AMQP_channel_close) {
        amqp_connection_error(session, AMQP_UNEXPECTED_FRAME, method->id,
                              "expected content of a message, got '%s' on channel %u", amqp_method_name(method->id),
                              number);
    } else if (amqp_channel_waits(channel, method->id)) {
        session->again = true;
    } else {
        channel->doing = method->id;
        if (!amqp_channel_take(channel, method)) {
            amqp_connection_error(session, AMQP_COMMAND_INVALID, method->id, "'%s' is not for clients to send",
                                  amqp_method_name(method->id));
        }
    }
}

static void take_method(struct amqp_session *session, uint16_t number, struct amqp_bytes payload)
{
    union amqp_method method;
    if (!method_decode(session, number, payload, &method)) {
        return;
    }
    uint32_t class_id = method.id >> 16;
    bool of_connection = class_id == AMQP_connection_start >> 16;
    if (of_connection != (number == 0)) {
        amqp_connection_error(session, AMQP_COMMAND_INVALID, method.id, "'%s' on channel %u",
                              amqp_method_name(method.id), number);
    } else if (of_connection) {
        amqp_connection_take(session, &method);
    } else {
        take_channel_method(session, number, &method);
    }
}

/* The parts of a message. */
static void take_content(struct amqp_session *session, const struct frame *frame, struct amqp_bytes payload)
{
    struct amqp_channel *channel = frame->tag > 0 ? amqp_channel_find(session, (uint16_t)frame->tag) : NULL;
    if (channel == NULL) {
        amqp_connection_error(session, frame->tag == 0 ? AMQP_COMMAND_INVALID : AMQP_CHANNEL_ERROR, 0,
                              "content on channel %u, which is not open", frame->tag);
    } else if (channel->closing) {
        return;
    } else if (frame->type == AMQP_FRAME_HEADER) {
        amqp_take_content_header(channel, payload);
    } else {
        amqp_take_content_body(channel, payload, frame);
    }
}

static void take_frame(struct amqp_session *session, const struct frame *frame)
{
    if (frame->type == AMQP_FRAME_GREETING) {
        if (session->state == AMQP_NEW) {
            amqp_take_greeting(session);
        } else {
            amqp_connection_error(session, AMQP_FRAME_ERROR, 0, "a greeting in the middle of a connection");
        }
        return;
    }
    struct amqp_bytes payload;
    if (session->state == AMQP_NEW || amqp_frame_payload(frame, &payload) != 0) {
        amqp_connection_error(session, AMQP_FRAME_ERROR, 0, "a frame of type %u on channel %u that %s", frame->type,
                              frame->tag,
                              session->state == AMQP_NEW ? "came before the greeting" : "does not end with 0xCE");
        return;
    }
    bool handshake = session->state != AMQP_OPEN && session->state != AMQP_CLOSING;
    switch (frame->type) {
    case AMQP_FRAME_HEARTBEAT:
        if (frame->tag != 0 || payload.len != 0) {
            amqp_connection_error(session, frame->tag != 0 ? AMQP_UNEXPECTED_FRAME : AMQP_FRAME_ERROR, 0,
                                  "a heartbeat of %zu bytes on channel %u", payload.len, frame->tag);
        }
        return;
    case AMQP_FRAME_METHOD:
        if (handshake && frame->tag != 0) {
            amqp_connection_error(session, AMQP_CHANNEL_ERROR, 0, "a method on channel %u before Connection.Open",
                                  frame->tag);
        } else if (session->state != AMQP_CLOSING || frame->tag == 0) {
            take_method(session, (uint16_t)frame->tag, payload);
        }
        return;
    case AMQP_FRAME_HEADER:
    case AMQP_FRAME_BODY:
        if (handshake) {
            amqp_connection_error(session, AMQP_UNEXPECTED_FRAME, 0, "content before Connection.Open");
        } else if (session->state != AMQP_CLOSING) {
            take_content(session, frame, payload);
        }
        return;
    default: amqp_connection_error(session, AMQP_FRAME_ERROR, 0, "a frame of type %u", frame->type);
    }
}

bool amqp_frame_take(struct amqp_session *session, const struct frame *frame)
{
    if (session->state == AMQP_OVER || session->state == AMQP_LEAVING) {
        return true;
    }
    session->again = false;
    take_frame(session, frame);
    arena_reset(&session->arena);
    return !session->again || session->state == AMQP_OVER || session->state == AMQP_LEAVING;
}

void amqp_session_receive(struct amqp_session *session, struct frame *frame)
{
    if (session->state == AMQP_OVER || session->state == AMQP_LEAVING) {
        slice_unref(&frame->header);
    } else if (session->waiting_len > 0 || !amqp_session_goes_on(session) || !amqp_frame_take(session, frame)) {
        amqp_frame_wait(session, frame);
    } else {
        slice_unref(&frame->header);
    }
    if (session->held != !amqp_session_goes_on(session)) {
        amqp_session_look(session);
    }
}

void amqp_session_turn(struct amqp_session *session)
{
    amqp_session_look(session);
    amqp_publishes_submit(session);
    amqp_settles_submit(session);
    amqp_confirms_send(session);
    amqp_batch_look(session);
    amqp_send_gathered(session);
    arena_done(&session->arena); /* Its block would be most of what an idle connection costs. */
}

void amqp_session_congested(struct amqp_session *session, bool congested)
{
    session->congested = congested;
    if (session->link != NULL) {
        session->gateway->ops->pause(session->link, congested);
    }
}

/* ---- Life ---- */

int amqp_session_new(struct gateway *gateway, const struct amqp_session_options *options,
                     const struct amqp_session_host *host, struct amqp_session **ret_session)
{
    struct amqp_session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        return ERR_NOMEM;
    }
    session->gateway = gateway;
    session->host = *host;
    session->journal = options->journal;
    session->content = options->content;
    session->loopback = options->loopback;
    session->guest_from_anywhere = options->guest_from_anywhere;
    session->channel_max = AMQP_CHANNEL_MAX;
    session->frame_max = AMQP_FRAME_MIN;
    list_init(&session->leaving);
    list_init(&session->orders);
    list_init(&session->unsent);
    arena_init(&session->arena, ARENA_LEN_MAX);
    session->peer_name = strdup(options->peer_name != NULL ? options->peer_name : "");
    if (session->peer_name == NULL) {
        free(session);
        return ERR_NOMEM;
    }
    *ret_session = session;
    return 0;
}

/* The gateway ends the link when the session of the machine is closed: there is nothing more to do then. */
static void on_closed(struct amqp_order *order, const struct gateway_reply *reply)
{
    (void)order;
    (void)reply;
}

void amqp_session_leave(struct amqp_session *session, struct list_node *leaving)
{
    if (session->link == NULL || session->state == AMQP_ATTACHING) {
        amqp_session_free(session); /* When it is being attached the gateway sees to it. */
        return;
    }
    session->state = AMQP_LEAVING;
    list_push_back(leaving, &session->leaving);
    amqp_publishes_submit(session);
    amqp_settles_submit(session);
    amqp_waiting_drop(session);
    amqp_channels_free(session);
    Holdfast__CloseSession close = HOLDFAST__CLOSE_SESSION__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_CLOSE_SESSION;
    command.close_session = &close;
    amqp_submit(session, &(struct amqp_order){.done = on_closed}, &command, (struct slice){0});
}

void amqp_sessions_sweep(struct list_node *leaving)
{
    for (struct list_node *node = leaving->next, *next; node != leaving; node = next) {
        next = node->next;
        struct amqp_session *session = container_of(node, struct amqp_session, leaving);
        if (session->failed) {
            amqp_session_free(session);
        }
    }
}

void amqp_sessions_free(struct list_node *leaving)
{
    while (!list_empty(leaving)) {
        amqp_session_free(container_of(list_first(leaving), struct amqp_session, leaving));
    }
}

void amqp_session_free(struct amqp_session *session)
{
    if (session == NULL) {
        return;
    }
    session->state = AMQP_LEAVING;
    if (session->link != NULL) {
        struct gateway_link *link = session->link;
        session->link = NULL;
        session->gateway->ops->detach(link);
    }
    list_remove(&session->leaving);
    amqp_waiting_drop(session);
    amqp_channels_free(session);
    amqp_orders_drop(session); /* After it nobody refers to the channels. */
    amqp_batch_done(session);
    amqp_settling_done(session);
    amqp_consumers_done(session);
    amqp_out_done(&session->out);
    arena_done(&session->arena);
    free(session->channels);
    free(session->peer_name);
    free(session->user);
    free(session->virtual_host);
    free(session->client);
    free(session);
}
