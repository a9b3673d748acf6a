/* Commands with all that they can say, for tests of what a command means; and what a queue has then. */

#ifndef HOLDFAST_STATEMACHINE_TEST_ASKING_H
#define HOLDFAST_STATEMACHINE_TEST_ASKING_H

#include "leaving_fixture.h"

/* A subscription to `queue`, as `like` says otherwise (NULL: plain). */
struct effect_reply ask_subscribe(struct fixture *fixture, struct client *client, const char *queue, uint64_t consumer,
                                  uint32_t credit, const Holdfast__Subscribe *like);
/* Gives as many as are ready, up to `credit`, as consumer `consumer`. */
struct effect_reply ask_fetch(struct fixture *fixture, struct client *client, const char *queue, uint64_t consumer,
                              uint32_t credit);
struct effect_reply ask_drain(struct fixture *fixture, struct client *client, uint64_t consumer);
/* With the fields' numbers; none: all of the options. */
struct effect_reply ask_change(struct fixture *fixture, struct client *client, const char *queue,
                               const Holdfast__QueueOptions *options, const uint32_t *fields, size_t len);
struct effect_reply ask_change_one(struct fixture *fixture, struct client *client, const char *queue,
                                   const Holdfast__QueueOptions *options, uint32_t field);
struct effect_reply ask_passive(struct fixture *fixture, struct client *client, const char *queue);
struct effect_reply ask_delete(struct fixture *fixture, struct client *client, const char *queue, bool if_empty,
                               bool if_unused);
/* Of the virtual host "/". */
struct effect_reply ask_limit(struct fixture *fixture, struct client *client, Holdfast__Limit__What what,
                              uint64_t value);

/* The bodies of the queue's messages, ready or not, in order of position, each with a space behind it; static. */
const char *ask_bodies(struct fixture *fixture, const char *queue);
/* The number of effects that say that this consumer has ended, for this reason. */
size_t ask_ended(const struct fixture *fixture, uint64_t consumer, enum consumer_ended_reason reason);

#endif
