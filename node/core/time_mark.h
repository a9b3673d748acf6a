/* A time mark: what log time was when the wall clocks showed something, so that log time can go on from there after a time in
 * which nobody counted it.
 *
 * Log time continues from the last entry (log_time.h), but nothing is stamped while nothing happens, and while all nodes are
 * down. What has passed since then only wall clocks know. So a leader that serves, and that the wall clocks of a majority agree
 * with one another (clocks.h), makes a mark every second; it tells it to all nodes, and all keep the newest on disk
 * (time_keeper.h). Whoever leads next goes on from the mark (gateway_time.c), if it is to be relied on:
 *
 * - No entry has been stamped by a later leader than the one that made it. Such a leader may have gone on without the mark, from
 *   an older time: what it stamped would be over too early.
 * - The leader that made it may have stamped entries since. Its log time leaned towards its wall clock meanwhile, by a tenth of
 *   what passed (LOG_TIME_SLEW_PART), and its clocks do not run evenly: twice as much is taken off.
 *
 * Made with the latest of the clocks that agree, used with the earliest: nothing is early because they differ by a little. */

#ifndef HOLDFAST_NODE_CORE_TIME_MARK_H
#define HOLDFAST_NODE_CORE_TIME_MARK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"

struct time_mark {
    uint64_t term;    /* Of the leader that made it; 0: there is none. */
    uint64_t log_ms;  /* Log time, when */
    uint64_t wall_ms; /* the wall clocks showed this; both in milliseconds since 1970-01-01 UTC. */
};

/* Whether it can be one at all: there is a term, and the times are below CLOCKS_WALL_MS_MAX. For what others say. */
bool time_mark_valid(const struct time_mark *mark);

/* Whether `mark` was made after `other`, which may be none. */
bool time_mark_newer(const struct time_mark *mark, const struct time_mark *other);

/* Log time when the wall clocks show `wall_ms`, for the leader of `term`: not later than it would be if it had been counted all
 * the time, and not later than `wall_ms`. `entry_ms` and `entry_term` are those of the last entry that was stamped. 0: the mark,
 * which may be none, is not to be relied on. */
uint64_t time_mark_now(const struct time_mark *mark, uint64_t term, uint64_t entry_term, uint64_t entry_ms,
                       uint64_t wall_ms);

/* By how much log time less wall clock differs between the two, in milliseconds; UINT64_MAX when one of them is none. */
uint64_t time_mark_distance(const struct time_mark *a, const struct time_mark *b);

/* As it is stored. */
#define TIME_MARK_LEN 40u
void time_mark_encode(const struct time_mark *mark, uint8_t out[TIME_MARK_LEN]);
/* ERR_CORRUPT: damaged, or never written. */
int time_mark_decode(const uint8_t bytes[TIME_MARK_LEN], struct time_mark *ret_mark) NODISCARD;

#endif
