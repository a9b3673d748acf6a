/* Publishing in tests of AMQP sessions: whole messages in, and what the commands have of them. */

#ifndef HOLDFAST_RPC_TEST_AMQP_PUBLISH_FIXTURE_H
#define HOLDFAST_RPC_TEST_AMQP_PUBLISH_FIXTURE_H

#include "amqp_fixture.h"

/* Basic.Publish with its content; `head` NULL: no properties. */
void give_message(struct amqp_fixture *f, uint16_t channel, const char *exchange, const char *key,
                  const Holdfast__MessageHead *head, const char *body);
/* The same to the default exchange, mandatory. */
void give_mandatory(struct amqp_fixture *f, uint16_t channel, const char *key, const char *body);
/* A message with one header, of the type of that letter (amqp_table.h): S, I, l, V, t. */
void give_with_header(struct amqp_fixture *f, const char *name, int type, ...);

/* A message with a producer's name and number. */
void give_numbered(struct amqp_fixture *f, const char *producer, uint64_t sequence, const char *body);

/* The i-th message of the Publish that was looked at last; the head is decoded. */
struct published {
    const Holdfast__MessageHead *head;
    struct slice body;
};
struct published published_of(struct amqp_fixture *f, const Holdfast__Publish *publish, size_t i);
/* That its body is this text. */
bool published_is(struct amqp_fixture *f, const Holdfast__Publish *publish, size_t i, const char *body);

/* The next command is a Publish. */
const Holdfast__Publish *take_publish(struct amqp_fixture *f);

/* A message was refused: its channel is closed with 406 and these words, when a command behind everything before it has been answered. */
void publish_refused(struct amqp_fixture *f, const char *words);

/* The only exchange that there is, besides those that are built in; NULL: there is none. */
void exchange_is(struct amqp_fixture *f, Holdfast__DeclareExchange *exchange, const char *name);

#endif
