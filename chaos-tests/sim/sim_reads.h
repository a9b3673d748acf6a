/* Reads of queues, which must be current whoever answers: what was confirmed to anybody before a read began is in it, and
 * no later read knows less than an earlier one. (Linearizability, seen from counters that only grow.) */

#ifndef HOLDFAST_CHAOS_SIM_READS_H
#define HOLDFAST_CHAOS_SIM_READS_H

#include <stdbool.h>
#include <stdint.h>

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
    struct sim_counters seen[3]; /* The most that any read has found. */
    uint64_t enqueued[3];        /* Messages confirmed or delivered. */
    uint64_t settled[3];         /* Messages whose acceptance is confirmed. */
    uint64_t sent[3];            /* Messages sent, whatever became of them. */
    uint64_t purged[3];
    bool purges_unknown[3];
};

/* A client reads its queue, looks into it, or purges it when that is allowed there, now and then. */
void sim_reads_work(struct sim_client *client);

#endif
