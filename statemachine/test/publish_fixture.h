/* A machine under version 2, and publishes with heads. */

#ifndef HOLDFAST_STATEMACHINE_TEST_PUBLISH_FIXTURE_H
#define HOLDFAST_STATEMACHINE_TEST_PUBLISH_FIXTURE_H

#include "fixture.h"
#include "proto/wire/message.pb-c.h"

#define POSTS_MAX 4096u

/* A publish under construction. */
struct posts {
    Holdfast__Publish publish;
    uint32_t head_lens[POSTS_MAX];
    uint32_t body_lens[POSTS_MAX];
    uint64_t hashes[POSTS_MAX];
    struct bytes bodies;
};

/* With a client attached, as the first session. */
void publish_fixture_init(struct fixture *fixture, struct client *client);

/* For `queue`; NULL: to exchanges. The texts are borrowed. */
struct posts *posts_new(const char *queue);
/* Adds a message; `head` may be NULL for an empty one. */
void posts_add(struct posts *posts, const Holdfast__MessageHead *head, const char *body);
/* Adds one for an exchange and a key. */
void posts_add_to(struct posts *posts, const char *exchange, const char *key, const char *body);
void posts_free(struct posts *posts);
/* Publishes them; they can be changed and published again. */
struct effect_reply posts_send(struct fixture *fixture, struct client *client, struct posts *posts);
/* Publishes and frees them. */
struct effect_reply posts_send_once(struct fixture *fixture, struct client *client, struct posts *posts);

struct effect_reply options_declare(struct fixture *fixture, struct client *client, const char *queue,
                                    const Holdfast__QueueOptions *options);
struct effect_reply exchange_declare(struct fixture *fixture, struct client *client, const char *exchange,
                                     Holdfast__DeclareExchange__Type type);
struct effect_reply exchange_bind(struct fixture *fixture, struct client *client, const char *exchange,
                                  const char *queue, const char *key);

/* What is ready in a queue. */
uint64_t ready(struct fixture *fixture, const char *queue);
/* The body at a position, as text; static. */
const char *body_at(struct fixture *fixture, const char *queue, uint64_t position);

/* Checks that a command is refused with this error, and has changed nothing: it is applied to the machine, and nothing but the
 * number of the session's last command differs afterwards. */
void refused_without_a_trace(struct fixture *fixture, struct client *client, const Holdfast__Command *command,
                             const void *bodies, size_t bodies_len, uint32_t error);
void posts_refused(struct fixture *fixture, struct client *client, struct posts *posts, uint32_t error);

struct effect_reply producer_open_epoch(struct fixture *fixture, struct client *client, const char *producer,
                                        bool keep);

#endif
