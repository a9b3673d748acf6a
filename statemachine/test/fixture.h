/* A machine on a store in memory, and clients that speak to it in entries. */

#ifndef HOLDFAST_STATEMACHINE_TEST_FIXTURE_H
#define HOLDFAST_STATEMACHINE_TEST_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/bytes.h"
#include "proto/wire/command.pb-c.h"
#include "proto/wire/entry.h"
#include "sim/store_memory.h"
#include "statemachine/machine.h"

struct fixture {
    struct store_memory_disk *disk;
    struct machine *machine;
    uint64_t index;
    uint64_t time_ms;
    uint64_t tag;           /* Of the last command with an origin. */
    struct effects effects; /* Of the last entry. */
};

/* The node that clients are attached at, and its process: present from the start. */
#define NODE 1u
#define RUN 77u

struct client {
    uint64_t session;
    uint64_t attachment;
    uint64_t number; /* Of its last command. */
    uint64_t answered;
};

/* Entries under construction. */
struct batch {
    struct bytes bytes;
    uint32_t commands;
};

void batch_start(struct batch *batch);
void batch_add(struct batch *batch, const struct entry_command *from, const Holdfast__Command *command,
               const void *bodies, size_t bodies_len);
/* The entry; the caller owns it. The batch is empty again. */
struct slice batch_finish(struct batch *batch, uint16_t machine_version, uint64_t time_ms);

void fixture_init(struct fixture *fixture);
/* Without the node. */
void fixture_init_empty(struct fixture *fixture);
void fixture_done(struct fixture *fixture);
void fixture_open(struct fixture *fixture);
void fixture_checkpoint(struct fixture *fixture);
/* Closes and opens again, back to the last checkpoint. */
void fixture_crash(struct fixture *fixture);
/* A checkpoint, then closes and opens. */
void fixture_reopen(struct fixture *fixture);
uint64_t fixture_digest(struct fixture *fixture);

/* Applies an entry at the next index and drops it. */
int fixture_apply(struct fixture *fixture, struct slice entry);
/* Applies one command. Returns the reply. */
struct effect_reply fixture_command(struct fixture *fixture, const struct entry_command *from,
                                    const Holdfast__Command *command, const void *bodies, size_t bodies_len);

/* How many effects of a kind the last entry had, and the nth delivery among them. */
size_t fixture_count(const struct fixture *fixture, enum effect_kind kind);
const struct effect *fixture_delivery(const struct fixture *fixture, size_t nth);

/* Applies an entry without commands at that time. */
void fixture_tick(struct fixture *fixture, uint64_t time_ms);

struct effect_reply client_attach(struct fixture *fixture, struct client *client, uint8_t key, bool resume);
struct effect_reply client_command(struct fixture *fixture, struct client *client, const Holdfast__Command *command,
                                   const void *bodies, size_t bodies_len);
struct effect_reply client_declare(struct fixture *fixture, struct client *client, const char *queue);
struct effect_reply client_delete(struct fixture *fixture, struct client *client, const char *queue, bool if_empty);
/* Messages "m1", "m2", ... counted by `first`, which is also the first sequence of a producer. */
struct effect_reply client_publish(struct fixture *fixture, struct client *client, const char *queue,
                                   const char *producer, uint64_t first, size_t count);
struct effect_reply client_subscribe(struct fixture *fixture, struct client *client, const char *queue,
                                     uint64_t consumer, uint32_t credit);
struct effect_reply client_unsubscribe(struct fixture *fixture, struct client *client, uint64_t consumer);
struct effect_reply client_set_credit(struct fixture *fixture, struct client *client, uint64_t consumer,
                                      uint32_t credit);
struct effect_reply client_settle(struct fixture *fixture, struct client *client, uint64_t consumer,
                                  Holdfast__Settle__Outcome outcome, uint64_t first, uint64_t last);
struct effect_reply client_close(struct fixture *fixture, struct client *client);
struct effect_reply client_purge(struct fixture *fixture, struct client *client, const char *queue);
struct effect_reply client_refused(struct fixture *fixture, struct client *client, uint32_t error);
/* An attachment in all its parts; `client` may be NULL. */
struct effect_reply node_attach(struct fixture *fixture, struct client *client, uint8_t key,
                                const struct effect_reply *origin, uint64_t attempt, uint32_t lease_ms);
struct effect_reply node_detach(struct fixture *fixture, uint64_t session, uint64_t attachment);
struct effect_reply node_present(struct fixture *fixture, uint64_t node, uint64_t run);
struct effect_reply node_lost(struct fixture *fixture, uint64_t node, uint64_t run);

struct machine_session fixture_session(struct fixture *fixture, uint64_t session);

/* The state of a queue; all zero when there is none of that name. */
struct machine_queue fixture_queue(struct fixture *fixture, const char *name);

#define ACCEPT HOLDFAST__SETTLE__OUTCOME__ACCEPT
#define REJECT HOLDFAST__SETTLE__OUTCOME__REJECT
#define RELEASE HOLDFAST__SETTLE__OUTCOME__RELEASE

/* The positive number of an error code, as replies carry it. */
#define E(name) ((uint32_t) - (ERR_##name))

#endif
