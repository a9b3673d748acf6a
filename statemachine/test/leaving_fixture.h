/* Queues that messages leave in all ways: what the tests of settling, expiring and dying share. */

#ifndef HOLDFAST_STATEMACHINE_TEST_LEAVING_FIXTURE_H
#define HOLDFAST_STATEMACHINE_TEST_LEAVING_FIXTURE_H

#include "publish_fixture.h"

/* Options of a queue with its dead letters going to `exchange` by `key` (NULL: by those that they have). */
Holdfast__QueueOptions options_dead(const char *exchange, const char *key);

/* Declares, and checks that it was done. */
void leaving_declare(struct fixture *fixture, struct client *client, const char *queue,
                     const Holdfast__QueueOptions *options);
/* One message for the queue, with a time to live unless that is UINT64_MAX. */
void leaving_publish(struct fixture *fixture, struct client *client, const char *queue, const char *body,
                     uint64_t ttl_ms);

/* Settles deliveries with all that a settlement can say. */
struct effect_reply leaving_settle(struct fixture *fixture, struct client *client, const Holdfast__Settle *like,
                                   uint64_t consumer, uint64_t first, uint64_t last);
struct effect_reply leaving_extend(struct fixture *fixture, struct client *client, uint64_t consumer, uint64_t first,
                                   uint64_t last, uint64_t lock_ms);
struct effect_reply leaving_redrive(struct fixture *fixture, struct client *client, const char *queue, const char *to,
                                    const char *from, uint32_t max);
struct effect_reply leaving_replay(struct fixture *fixture, struct client *client, const char *queue, const char *to,
                                   uint64_t first, uint64_t last, uint32_t max);

/* The counters of a queue. */
const struct queue_counters *leaving_counters(struct fixture *fixture, const char *queue);

/* The trail of a message that is in a queue; the caller frees it. NULL: it has none. */
Holdfast__Trail *leaving_trail(struct fixture *fixture, const char *queue, uint64_t position);

/* A checkpoint and a restart, when `disturb`; the digest must be the same. */
void leaving_disturb(struct fixture *fixture, bool disturb);

#endif
