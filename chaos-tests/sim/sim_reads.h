/* Reads of queues, which must be current whoever answers: what was confirmed to anybody before a read began is in it, and
 * no later read knows less than an earlier one. (Linearizability, seen from counters that only grow.) */

#ifndef HOLDFAST_CHAOS_SIM_READS_H
#define HOLDFAST_CHAOS_SIM_READS_H

#include <stdbool.h>
#include <stdint.h>

#include "sim_limits.h"

struct sim_client;
struct sim_world;

struct sim_counters {
    uint64_t enqueued;
    uint64_t delivered;
    uint64_t settled;
    uint64_t released;
};

/* What is known of a queue without asking: at least that much has been confirmed or seen. */
struct sim_reads {
    struct sim_counters seen[SIM_QUEUES_MAX]; /* The most that any read has found. */
    uint64_t enqueued[SIM_QUEUES_MAX];        /* Messages confirmed or delivered. */
    uint64_t settled[SIM_QUEUES_MAX];         /* Messages whose acceptance is confirmed. */
    uint64_t sent[SIM_QUEUES_MAX];            /* Messages sent, whatever became of them. */
    uint64_t purged[SIM_QUEUES_MAX];
    bool purges_unknown[SIM_QUEUES_MAX];
};

/* A client reads its queue, looks into it, or purges it when that is allowed there, now and then. */
void sim_reads_work(struct sim_client *client);

#endif
