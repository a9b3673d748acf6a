/* An AMQP session with a fake gateway behind it and a host that keeps the bytes.
 *
 * A test gives methods as a client sends them, takes those that came out, and looks at the commands that the gateway was given:
 *
 *     struct amqp_fixture f;
 *     amqp_fixture_open(&f);
 *     AMQP_GIVE(&f, 1, queue_declare, .queue = amqp_text("q"));
 *     const Holdfast__Command *command = AMQP_COMMAND(&f, DECLARE_QUEUE);
 *     AMQP_REPLY(&f, .count = 3);
 *     cr_assert_eq(AMQP_TAKE(&f, 1, queue_declare_ok)->message_count, 3u);
 *
 * Whatever is looked at, the turn of the loop in which frames were given is over before. What is returned lives until the fixture is
 * closed. */

#ifndef HOLDFAST_RPC_TEST_AMQP_FIXTURE_H
#define HOLDFAST_RPC_TEST_AMQP_FIXTURE_H

#include <criterion/criterion.h>

#include "fake_gateway.h"
#include "proto/base/arena.h"
#include "rpc/amqp/amqp_error.h"
#include "rpc/amqp/amqp_frame.h"
#include "rpc/amqp/amqp_properties.h"
#include "rpc/amqp/amqp_session.h"
#include "rpc/amqp/amqp_table.h"

struct amqp_fixture {
    struct fake_gateway fake;
    struct amqp_session *session; /* NULL: it was left. */
    struct list_node leaving;
    struct arena arena;
    struct bytes sent; /* By the session, in order; */
    size_t read;       /* so much of it was looked at. */
    bool held;
    bool full;         /* The host takes nothing more that can wait. */
    unsigned closings; /* Connection.Close was sent. */
    unsigned closes;
    uint32_t frame_max; /* As established() said; 0: it was not called. */
    uint16_t heartbeat_s;
    unsigned commands_read;     /* Of the gateway's, */
    unsigned commands_replied;  /* and answered. */
    struct slice bodies;        /* Of the command that was looked at last; borrowed. */
    uint64_t number;            /* Its number. */
    struct blob *messages[256]; /* Of amqp_fixture_message(). */
    unsigned messages_len;
};

/* ---- The session ---- */

/* A session whose client has said nothing yet; NULL: one from this host, with a journal to nowhere. */
void amqp_fixture_new(struct amqp_fixture *f, const struct amqp_session_options *options);
/* One that is open, for "guest" in "/", with channel 1. */
void amqp_fixture_open(struct amqp_fixture *f);
/* Frees it and all that was taken. */
void amqp_fixture_close(struct amqp_fixture *f);

/* The greeting and what follows, up to Open-Ok, with these client properties (an encoded table; empty: the capabilities that all
 * clients have). */
void amqp_fixture_shake_hands(struct amqp_fixture *f, struct amqp_bytes client_properties);
void amqp_fixture_channel(struct amqp_fixture *f, uint16_t channel);
/* The connection is gone. */
void amqp_fixture_leave(struct amqp_fixture *f);

/* ---- What the client sends ---- */

void amqp_fixture_give_raw(struct amqp_fixture *f, uint8_t type, uint16_t channel, const void *payload, size_t len);
void amqp_fixture_give(struct amqp_fixture *f, uint16_t channel, const union amqp_method *method);
/* The header and the body frames of a content; `head` NULL: without properties. */
void amqp_fixture_give_content(struct amqp_fixture *f, uint16_t channel, const Holdfast__MessageHead *head,
                               const void *body, size_t len);
/* The turn is over. */
void amqp_fixture_turn(struct amqp_fixture *f);

#define AMQP_GIVE(f, channel, name, ...)                                                                               \
    amqp_fixture_give(f, channel, &(union amqp_method){.name = {.id = AMQP_##name, __VA_ARGS__}})

/* The content of a table, for a method: names, each with the type of its value (amqp_table.h) and the value, and NULL in the end.
 * t, b, B, s, u, I: int; i: unsigned; l: int64_t; L, T: uint64_t; d: double; S, x: const char *; F: struct amqp_bytes (a table's
 * content); V: none. */
struct amqp_bytes amqp_fixture_table(struct amqp_fixture *f, ...);

/* ---- What the client is sent ---- */

/* The next method, which must be this one on this channel. */
const union amqp_method *amqp_fixture_take(struct amqp_fixture *f, uint16_t channel, enum amqp_id id);
#define AMQP_TAKE(f, channel, name) (&amqp_fixture_take(f, channel, AMQP_##name)->name)

struct amqp_fixture_content {
    Holdfast__MessageHead head;
    struct amqp_bytes body;
};

/* The content behind a method that was taken. */
const struct amqp_fixture_content *amqp_fixture_take_content(struct amqp_fixture *f, uint16_t channel);

/* Nothing was sent that was not taken. */
void amqp_fixture_nothing(struct amqp_fixture *f);

/* Channel.Close or Connection.Close comes with this code, these words behind its name, and the method `id` (0: none). It is answered. */
void amqp_fixture_channel_closes(struct amqp_fixture *f, uint16_t channel, enum amqp_code code, uint32_t id,
                                 const char *words);
void amqp_fixture_connection_closes(struct amqp_fixture *f, enum amqp_code code, uint32_t id, const char *words);

/* Whether borrowed bytes are these. */
bool amqp_fixture_is(struct amqp_bytes bytes, const char *text);

/* ---- The gateway ---- */

/* The next command, which must be of this kind: HOLDFAST__COMMAND__KIND_... */
const Holdfast__Command *amqp_fixture_command(struct amqp_fixture *f, Holdfast__Command__KindCase kind);
#define AMQP_COMMAND(f, KIND) amqp_fixture_command(f, HOLDFAST__COMMAND__KIND_##KIND)
/* No command was given that was not looked at. */
void amqp_fixture_no_command(struct amqp_fixture *f);

/* Answers the oldest command that is not answered; `number` of the reply is set, `detail` if it is NULL. `error` is positive, as -ERR_NOT_FOUND. */
void amqp_fixture_reply(struct amqp_fixture *f, struct gateway_reply reply);
#define AMQP_REPLY(f, ...) amqp_fixture_reply(f, (struct gateway_reply){.number = 0, __VA_ARGS__})

/* What a delivery brings: head (NULL: none), trail (NULL: none) and body, as they lie in memory; the hash is the body's with its head. The
 * consumer, the number and the rest are the test's to set. */
struct gateway_delivery amqp_fixture_message(struct amqp_fixture *f, const Holdfast__MessageHead *head,
                                             const Holdfast__Trail *trail, const char *body);
/* Whether it was taken. */
bool amqp_fixture_deliver(struct amqp_fixture *f, const struct gateway_delivery *delivery);

#endif
