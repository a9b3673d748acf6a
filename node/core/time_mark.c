/* What a mark is worth, and how it is stored. */

#include "node/core/time_mark.h"

#include <string.h>
#include <xxhash.h>

#include "node/core/clocks.h"
#include "node/core/log_time.h"
#include "proto/base/bytes.h"
#include "proto/base/fault.h"

/* Of what the leader that made the mark has stamped since, this part is taken off. */
#define BEHIND_PART (LOG_TIME_SLEW_PART / 2)

bool time_mark_valid(const struct time_mark *mark)
{
    return mark->term != 0 && mark->log_ms < CLOCKS_WALL_MS_MAX && mark->wall_ms < CLOCKS_WALL_MS_MAX;
}

bool time_mark_newer(const struct time_mark *mark, const struct time_mark *other)
{
    return mark->term != other->term ? mark->term > other->term : mark->log_ms > other->log_ms;
}

uint64_t time_mark_now(const struct time_mark *mark, uint64_t term, uint64_t entry_term, uint64_t entry_ms,
                       uint64_t wall_ms)
{
    bool overtaken = mark->term < entry_term && !fault_fires(FAULT_SKIP_MARK_TERM);
    if (!time_mark_valid(mark) || wall_ms >= CLOCKS_WALL_MS_MAX || mark->term > term || overtaken) {
        return 0;
    }
    uint64_t behind_ms = entry_ms > mark->log_ms ? (entry_ms - mark->log_ms) / BEHIND_PART : 0;
    uint64_t now_ms = mark->log_ms + wall_ms;
    uint64_t before_ms = mark->wall_ms + behind_ms;
    now_ms = now_ms > before_ms ? now_ms - before_ms : 0;
    return now_ms < wall_ms ? now_ms : wall_ms;
}

uint64_t time_mark_distance(const struct time_mark *a, const struct time_mark *b)
{
    if (a->term == 0 || b->term == 0) {
        return UINT64_MAX;
    }
    uint64_t one = a->log_ms + b->wall_ms;
    uint64_t other = b->log_ms + a->wall_ms;
    return one > other ? one - other : other - one;
}

/* The mark, little-endian:
 *
 *   offset  size  what
 *        0     4  magic "HFT1"
 *        4     4  zero
 *        8     8  term
 *       16     8  log time
 *       24     8  wall clock
 *       32     8  XXH3-64 of everything before */
#define SUM_AT 32u
static const uint8_t mark_magic[4] = {'H', 'F', 'T', '1'};

void time_mark_encode(const struct time_mark *mark, uint8_t out[TIME_MARK_LEN])
{
    memset(out, 0, TIME_MARK_LEN);
    memcpy(out, mark_magic, sizeof mark_magic);
    put_u64(out + 8, mark->term);
    put_u64(out + 16, mark->log_ms);
    put_u64(out + 24, mark->wall_ms);
    put_u64(out + SUM_AT, XXH3_64bits(out, SUM_AT));
}

int time_mark_decode(const uint8_t bytes[TIME_MARK_LEN], struct time_mark *ret_mark)
{
    if (memcmp(bytes, mark_magic, sizeof mark_magic) != 0 || get_u64(bytes + SUM_AT) != XXH3_64bits(bytes, SUM_AT)) {
        return ERR_CORRUPT;
    }
    struct time_mark mark = {.term = get_u64(bytes + 8), .log_ms = get_u64(bytes + 16), .wall_ms = get_u64(bytes + 24)};
    if (!time_mark_valid(&mark)) {
        return ERR_CORRUPT;
    }
    *ret_mark = mark;
    return 0;
}
