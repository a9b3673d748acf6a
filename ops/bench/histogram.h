/* A histogram of durations with a bounded relative error, after Gil Tene's HdrHistogram: 128 buckets for each doubling, so
 * that what is read back is within 0.4 % of what was recorded. Fixed size, constant time. */

#ifndef HOLDFAST_OPS_BENCH_HISTOGRAM_H
#define HOLDFAST_OPS_BENCH_HISTOGRAM_H

#include <stdint.h>

/* Values below 256 have a bucket each; the 55 doublings above up to UINT64_MAX have 128 each, and the last is full. */
#define HISTOGRAM_BUCKETS (256u + 56u * 128u)

/* Zero-initialise. */
struct histogram {
    uint64_t count;
    uint64_t min; /* Exact, as the maximum is; only with a count. */
    uint64_t max;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* Counts `value` `times` times. */
void histogram_record(struct histogram *histogram, uint64_t value, uint64_t times);

/* The value below or at which the part `quantile` (0 to 1) of all lies; 0 when there are none. */
uint64_t histogram_quantile(const struct histogram *histogram, double quantile);

#endif
