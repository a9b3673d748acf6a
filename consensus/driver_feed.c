/* Entries for nodes to which the engine does not send what they lack: up to one certain entry, and no more.
 *
 * A node that was removed: the engine sends it nothing from the moment on when the CHANGE is in our log, so that it would never
 * hear what has become of it. When the CHANGE is committed, the leader who has made it sends the node what it lacks up to there. A
 * node that is down meanwhile, or when that leader is, hears it from those who do not take it for a member any more.
 *
 * A node without a vote that has less than it once acknowledged to us: it has begun anew with a copy from before that
 * (driver_discard.c). The engine never goes back behind what it knows to match (G8); so the gap is closed here.
 *
 * To the node it is an AppendEntries as any other (Raft §5.3), which it accepts from whoever leads in its term, "without
 * consulting its current configuration" (thesis §4.1). */

#include <raft.h>

#include "consensus/driver_internal.h"
#include "proto/base/limits.h"

/* For how long a node that does not answer gets them again. */
#define FEED_ELECTIONS 20u

static void begin(struct driver *driver, enum driver_feed_kind kind, uint64_t id, uint64_t next, uint64_t end)
{
    driver->feeds[kind] =
        (struct driver_feed){.id = id, .term = raft_current_term(&driver->raft), .next = next, .end = end};
}

void driver_feed_removed(struct driver *driver, uint64_t id, uint64_t match, uint64_t change)
{
    begin(driver, DRIVER_FEED_REMOVED, id, match + 1, change);
}

void driver_feed_learner(struct driver *driver, uint64_t id, uint64_t last, uint64_t match)
{
    const struct driver_feed *feed = &driver->feeds[DRIVER_FEED_LEARNER];
    if (feed->id == 0 || feed->id == id) { /* One after the other. */
        begin(driver, DRIVER_FEED_LEARNER, id, last + 1, match);
    }
}

/* Whether there is still somebody to be fed. */
static bool is_current(const struct driver *driver, enum driver_feed_kind kind)
{
    const struct driver_feed *feed = &driver->feeds[kind];
    const struct raft *raft = &driver->raft;
    bool member = configuration_find(&raft->configuration, feed->id) != NULL;
    return feed->id != 0 && raft->state == RAFT_LEADER && raft_current_term(raft) == feed->term &&
           member == (kind == DRIVER_FEED_LEARNER);
}

static void send_next(struct driver *driver, struct driver_feed *feed, uint64_t now)
{
    uint64_t prev = feed->next - 1;
    uint64_t commit = raft_commit_index(&driver->raft);
    struct raft_append_entries append = {.term = feed->term,
                                         .prev_log_index = prev,
                                         .prev_log_term = prev > 0 ? driver_term_of(driver, prev) : 0,
                                         .leader_commit = commit < feed->end ? commit : feed->end};
    uint64_t left = feed->end - prev;
    unsigned most = left < APPEND_ENTRIES_MAX ? (unsigned)left : APPEND_ENTRIES_MAX;
    struct log_entry entries[APPEND_ENTRIES_MAX];
    unsigned count = 0;
    char detail[512];
    if ((prev > 0 && append.prev_log_term == 0) ||
        (left > 0 && log_read_checked(driver->log, feed->next, most, APPEND_BYTES_TARGET, entries, &count, detail,
                                      sizeof detail) != 0)) {
        feed->id = 0; /* Our log no longer has what it lacks. */
        return;
    }
    feed->sent_ms = now;
    driver_send_entries(driver, feed->id, &append, entries, count);
    for (unsigned i = 0; i < count; i++) {
        slice_unref(&entries[i].payload);
    }
}

static void feed_step(struct driver *driver, enum driver_feed_kind kind)
{
    struct driver_feed *feed = &driver->feeds[kind];
    uint64_t now = driver->options.clock->monotonic_ms(driver->options.clock);
    if (!is_current(driver, kind)) {
        feed->id = 0;
        return;
    }
    if (kind == DRIVER_FEED_REMOVED && raft_commit_index(&driver->raft) < feed->end) {
        return;
    }
    if (feed->until_ms == 0) {
        feed->until_ms = now + (uint64_t)FEED_ELECTIONS * driver->options.election_timeout_ms;
    } else if (now >= feed->until_ms) {
        feed->id = 0;
        return;
    }
    if (feed->sent_ms == 0 || now >= feed->sent_ms + driver->options.heartbeat_ms) {
        send_next(driver, feed, now);
    }
}

void driver_feed_step(struct driver *driver)
{
    feed_step(driver, DRIVER_FEED_REMOVED);
    feed_step(driver, DRIVER_FEED_LEARNER);
}

static void feed_result(struct driver *driver, enum driver_feed_kind kind, uint64_t from,
                        const struct raft_append_entries_result *result)
{
    struct driver_feed *feed = &driver->feeds[kind];
    if (feed->id != from || !is_current(driver, kind) || result->term != feed->term || feed->until_ms == 0) {
        return;
    }
    uint64_t next = result->last_log_index < feed->end ? result->last_log_index + 1 : feed->end + 1;
    bool rejected = result->rejected > 0;
    if (!rejected && next > feed->end) {
        feed->id = 0; /* It has them. */
    } else if (rejected ? next < feed->next : next > feed->next) {
        feed->next = next;
        feed->sent_ms = 0;
        feed->until_ms = 0;
    }
}

void driver_feed_result(struct driver *driver, uint64_t from, const struct raft_append_entries_result *result)
{
    feed_result(driver, DRIVER_FEED_REMOVED, from, result);
    feed_result(driver, DRIVER_FEED_LEARNER, from, result);
}
