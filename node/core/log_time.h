/* Log time: what the leader stamps entries with.
 *
 * It continues from the last entry in the log, is advanced by the leader's monotonic clock, and leans towards the wall
 * clock by at most LOG_TIME_SLEW_PART of what has passed. So a wall clock that jumps a year does not expire everything
 * at once. It never goes back.
 *
 * What has passed since the last entry while nobody counted it, in an idle hour or a night in which all nodes were down, it goes on
 * by when a leadership begins (gateway_time.c): as far as wall clocks that a majority agrees on say that it would be, had it run
 * all the time (time_mark.h). Where that is not known it continues from the last entry, and the leaning is all that catches it
 * up: a night in ten. */

#ifndef HOLDFAST_NODE_CORE_LOG_TIME_H
#define HOLDFAST_NODE_CORE_LOG_TIME_H

#include <stdint.h>

/* One part in this many of the time that passes may be added or left out. */
#define LOG_TIME_SLEW_PART 10u

struct log_time {
    uint64_t now_ms;       /* The last stamp, in milliseconds since 1970-01-01 UTC. */
    uint64_t monotonic_ms; /* The monotonic clock at that moment. */
    uint64_t slew_rest;    /* Time passed that was too short to be leaned by a whole millisecond. */
};

/* A leader begins: `last_ms` is where log time goes on, at least the time of the last entry applied; or 0 for a new log, which
 * begins at wall time. */
void log_time_start(struct log_time *time, uint64_t last_ms, uint64_t monotonic_ms, uint64_t wall_ms);

/* The stamp for an entry proposed now; at least that of the one before. */
uint64_t log_time_stamp(struct log_time *time, uint64_t monotonic_ms, uint64_t wall_ms);

#endif
