/* The longest applies that clients can bring about, within the limits: one thing of each kind, done or left to happen, and the entries
 * that it takes. */

#ifndef HOLDFAST_STATEMACHINE_BENCH_WORST_H
#define HOLDFAST_STATEMACHINE_BENCH_WORST_H

#include "bench.h"
#include "proto/base/limits.h"

#define WORST_LIMIT_MS 50.0

/* Opens a machine with RocksDB, as all cases begin. */
void worst_open(struct bench *bench);

/* From here on entries are measured; worst_end() goes on with empty ones until nothing is due at once, and prints the case. */
void worst_begin(struct bench *bench);
/* To be called after every entry. */
void worst_note(struct bench *bench);
void worst_end(struct bench *bench, const char *what, unsigned size);

/* A command of a session, whose numbers are counted in the bench or, for others than 1, in `number`. */
void worst_command(struct bench *bench, Holdfast__Command__KindCase kind, ProtobufCMessage *message);
void worst_command_as(struct bench *bench, uint64_t session, uint64_t *number, Holdfast__Command__KindCase kind,
                      ProtobufCMessage *message);
/* Attaches one more session, at a node; its id is one above the last one's. */
void worst_attach(struct bench *bench, uint64_t node, unsigned nth, const char *virtual_host);
void worst_node(struct bench *bench, uint64_t node);

/* The nth name. Valid until the next but three calls. */
const char *worst_name(const char *prefix, unsigned nth);
void worst_declare(struct bench *bench, const char *prefix, unsigned count, Holdfast__QueueOptions *options);
void worst_exchange(struct bench *bench, const char *name, Holdfast__DeclareExchange__Type type);
void worst_bind(struct bench *bench, const char *exchange, const char *queue, const char *key);
/* `count` messages in all, at most 4096 a command. */
void worst_publish(struct bench *bench, const char *queue, unsigned count, Holdfast__MessageHead *const *heads,
                   size_t heads_len);
/* A range of a consumer's deliveries. */
void worst_settle(struct bench *bench, uint64_t consumer, uint64_t first, uint64_t last,
                  Holdfast__Settle__Outcome outcome);

/* The cases. */
void worst_of_bindings(void);
void worst_of_sessions(void);
void worst_of_hosts(void);
void worst_of_timers(void);
void worst_of_messages(void);
void worst_of_checkpoints(void);

#endif
