/* Every message once, and in the order of its producer: a mark in each body, and what has been seen of them. */

#ifndef HOLDFAST_OPS_BENCH_BENCH_CHECK_H
#define HOLDFAST_OPS_BENCH_BENCH_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"

#define BENCH_MARK_LEN 32u

/* What a body begins with. */
struct bench_mark {
    uint64_t run;
    uint32_t producer;
    uint64_t sequence; /* From 0. */
    uint64_t due_ns;   /* Of the publisher's monotonic clock, which its machine's processes share. */
};

void bench_mark_write(const struct bench_mark *mark, uint8_t body[BENCH_MARK_LEN]);
struct bench_mark bench_mark_read(const uint8_t body[BENCH_MARK_LEN]);

/* Two bits for each message of a producer. */
struct bench_history {
    uint8_t *bits;
    uint64_t cap; /* Messages. */
};

struct bench_check {
    struct bench_history *producers;
    uint32_t producers_len;
    uint64_t missing; /* Confirmed and not delivered (yet). */
    uint64_t duplicates;
    uint64_t disordered;
    uint64_t redelivered;
    uint64_t foreign; /* Not of this run. */
    uint64_t damaged; /* Of this run, and not as they were published. */
};

int bench_check_init(struct bench_check *check, uint32_t producers_len) NODISCARD;
void bench_check_done(struct bench_check *check);

/* A message was confirmed: true when it had not been. */
bool bench_check_confirmed(struct bench_check *check, uint32_t producer, uint64_t sequence);

/* A message was delivered to a consumer; `ret_next` is that consumer's, of the message's producer: the lowest sequence that
 * may follow. True when it had not been delivered before. */
bool bench_check_delivered(struct bench_check *check, uint32_t producer, uint64_t sequence, bool redelivery,
                           uint64_t *ret_next);

#endif
