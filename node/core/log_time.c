/* Log time: continues, is advanced by the monotonic clock, and leans towards the wall clock. */

#include "node/core/log_time.h"

#include "proto/base/fault.h"

void log_time_start(struct log_time *time, uint64_t last_ms, uint64_t monotonic_ms, uint64_t wall_ms)
{
    *time = (struct log_time){.now_ms = last_ms != 0 ? last_ms : wall_ms, .monotonic_ms = monotonic_ms};
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t log_time_stamp(struct log_time *time, uint64_t monotonic_ms, uint64_t wall_ms)
{
    if (monotonic_ms <= time->monotonic_ms) {
        return time->now_ms;
    }
    uint64_t passed = monotonic_ms - time->monotonic_ms;
    time->monotonic_ms = monotonic_ms;
    time->slew_rest += passed;
    uint64_t slew_max = time->slew_rest / LOG_TIME_SLEW_PART;
    time->slew_rest %= LOG_TIME_SLEW_PART;

    uint64_t straight = fault_fires(FAULT_SKIP_TIME_SLEW) ? wall_ms : time->now_ms + passed;
    if (wall_ms > straight) {
        time->now_ms = straight + least(wall_ms - straight, slew_max);
    } else {
        /* A rest carried over may make the lean longer than what passed by a millisecond: time stands still then. */
        time->now_ms = straight - least(least(straight - wall_ms, slew_max), passed);
    }
    return time->now_ms;
}
