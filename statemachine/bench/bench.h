/* A machine with clients that send whole batches, and what it costs. Times are processor time: the machine is one thread, and others
 * use the computer, too. */

#ifndef HOLDFAST_STATEMACHINE_BENCH_H
#define HOLDFAST_STATEMACHINE_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/check.h"
#include "proto/wire/command.pb-c.h"
#include "proto/wire/entry.h"
#include "sim/store_memory.h"
#include "statemachine/machine.h"

#define BATCH 256u
#define BODY_LEN 100u

struct bench {
    struct machine *machine;
    struct store_memory_disk *disk; /* NULL: RocksDB, in `path`. */
    char path[64];
    uint32_t version;
    uint64_t index;
    uint64_t number;
    uint64_t time_ms;
    /* Of consumer `n`, n < 3: deliveries made and settled. */
    uint64_t delivered[3];
    uint64_t settled[3];
    struct effects effects; /* Of the last entry. */
    double spent; /* Seconds of this thread in the machine's calls: not in making up commands, nor in the store. */
    double apply_worst; /* For the longest apply since bench_watch(). */
    double loop_worst;  /* For the longest machine_checkpoint() or machine_checkpoint_done(), likewise. */
};

/* Seconds of processor time, of this thread or of all (RocksDB's included). */
double bench_thread_seconds(void);
double bench_process_seconds(void);
/* Bytes that the process has in memory. */
size_t bench_resident(void);

/* A node, a session, the version of the rules. */
void bench_open(struct bench *bench, uint32_t version, bool rocksdb);
void bench_close(struct bench *bench);
/* Longest times from here on. */
void bench_watch(struct bench *bench);

/* Applies one command of the session (of the node with `session` 0) and gives its reply, which must not be an error. */
struct effect_reply bench_command(struct bench *bench, uint64_t session, const Holdfast__Command *command,
                                  const void *bodies, size_t bodies_len);
/* An entry without commands. */
void bench_tick(struct bench *bench, uint64_t time_ms);
void bench_checkpoint(struct bench *bench);

void bench_declare(struct bench *bench, const char *queue, Holdfast__QueueOptions *options);
void bench_subscribe(struct bench *bench, const char *queue, uint64_t consumer, uint32_t credit);
void bench_credit(struct bench *bench, uint64_t consumer, uint32_t credit);
/* `count` messages of BODY_LEN bytes, each behind the head of its number (NULL: without heads), of which there are `heads_len`, to be
 * used one after the other. `queue` "": where the heads say. */
void bench_publish(struct bench *bench, const char *queue, unsigned count, Holdfast__MessageHead *const *heads,
                   size_t heads_len);
/* All that was delivered to the consumer. */
void bench_settle(struct bench *bench, uint64_t consumer, Holdfast__Settle__Outcome outcome);
void bench_purge(struct bench *bench, const char *queue);

/* What there is to measure; each prints its lines. */
void bench_cycles(void);
void bench_rocksdb(void);
void bench_backlog(void);
void bench_timers(void);
void bench_many(void);
void bench_idle(void);
void bench_table(void);
void bench_worst(void);
void bench_opening(void);
void bench_topic(void);

/* A figure against its target: a line of the table that bench_goals() prints in the end. `most`: the target is the most that it may
 * be, and not the least. */
void bench_goal(const char *what, const char *unit, double value, double target, bool most);
void bench_goals(void);

#endif
