/* Log-linear buckets: the highest eight bits of a value choose its bucket. */

#include "histogram.h"

#include <stddef.h>

#define PER_DOUBLING 128u
#define EXACT 256u

static size_t bucket_of(uint64_t value)
{
    if (value < EXACT) {
        return (size_t)value;
    }
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - 7u; /* Leaves eight bits, the highest of them set. */
    return EXACT + (size_t)(shift - 1) * PER_DOUBLING + (size_t)((value >> shift) - PER_DOUBLING);
}

/* The middle of a bucket. */
static uint64_t value_of(size_t bucket)
{
    if (bucket < EXACT) {
        return bucket;
    }
    unsigned shift = (unsigned)((bucket - EXACT) / PER_DOUBLING) + 1;
    uint64_t low = (uint64_t)((bucket - EXACT) % PER_DOUBLING + PER_DOUBLING) << shift;
    return low + (UINT64_C(1) << shift) / 2;
}

void histogram_record(struct histogram *histogram, uint64_t value, uint64_t times)
{
    if (times == 0) {
        return;
    }
    if (histogram->count == 0 || value < histogram->min) {
        histogram->min = value;
    }
    if (value > histogram->max) {
        histogram->max = value;
    }
    histogram->count += times;
    histogram->buckets[bucket_of(value)] += times;
}

uint64_t histogram_quantile(const struct histogram *histogram, double quantile)
{
    if (histogram->count == 0) {
        return 0;
    }
    double exact = quantile * (double)histogram->count;
    uint64_t rank = (uint64_t)exact;
    rank += (double)rank < exact; /* Rounded up: the rank-th smallest. */
    rank = rank == 0 ? 1 : rank;
    uint64_t seen = 0;
    size_t bucket = 0;
    while (bucket < HISTOGRAM_BUCKETS - 1 && (seen += histogram->buckets[bucket]) < rank) {
        bucket++;
    }
    uint64_t value = value_of(bucket);
    return value < histogram->min ? histogram->min : value > histogram->max ? histogram->max : value;
}
