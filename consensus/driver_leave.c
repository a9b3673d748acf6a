/* The last words to a node that was removed.
 *
 * The engine sends it nothing from the moment on when the CHANGE is in our log, so that it would never hear what has become of
 * it. When the CHANGE is committed, the leader who has made it sends the node what it lacks up to that entry, and no more, as to
 * any follower (AppendEntries, Raft §5.3; a server accepts them "without consulting its current configuration", thesis §4.1).
 * A node that is down meanwhile, or when that leader is, hears it from those who do not take it for a member any more. */

#include <raft.h>

#include "consensus/driver_internal.h"
#include "proto/base/limits.h"

/* For how long it is told, while it does not answer. */
#define LEAVE_ELECTIONS 20u

void driver_leave_begin(struct driver *driver, uint64_t id, uint64_t match, uint64_t change)
{
    driver->leaver =
        (struct driver_leaver){.id = id, .term = raft_current_term(&driver->raft), .change = change, .next = match + 1};
}

/* Whether there is somebody to be told, and it is time to. */
static bool is_current(const struct driver *driver)
{
    const struct driver_leaver *leaver = &driver->leaver;
    const struct raft *raft = &driver->raft;
    return leaver->id != 0 && raft->state == RAFT_LEADER && raft_current_term(raft) == leaver->term &&
           configuration_find(&raft->configuration, leaver->id) == NULL;
}

static void send_next(struct driver *driver, uint64_t now)
{
    struct driver_leaver *leaver = &driver->leaver;
    uint64_t prev = leaver->next - 1;
    struct raft_append_entries append = {.term = leaver->term,
                                         .prev_log_index = prev,
                                         .prev_log_term = prev > 0 ? driver_term_of(driver, prev) : 0,
                                         .leader_commit = leaver->change};
    uint64_t left = leaver->change - prev;
    unsigned most = left < APPEND_ENTRIES_MAX ? (unsigned)left : APPEND_ENTRIES_MAX;
    struct log_entry entries[APPEND_ENTRIES_MAX];
    unsigned count = 0;
    char detail[512];
    if ((prev > 0 && append.prev_log_term == 0) ||
        (left > 0 &&
         log_read(driver->log, leaver->next, most, APPEND_BYTES_TARGET, entries, &count, detail, sizeof detail) != 0)) {
        leaver->id = 0; /* Our log no longer has what it lacks. */
        return;
    }
    leaver->sent_ms = now;
    driver_send_entries(driver, leaver->id, &append, entries, count);
    for (unsigned i = 0; i < count; i++) {
        slice_unref(&entries[i].payload);
    }
}

void driver_leave_step(struct driver *driver)
{
    struct driver_leaver *leaver = &driver->leaver;
    uint64_t now = driver->options.clock->monotonic_ms(driver->options.clock);
    if (!is_current(driver)) {
        leaver->id = 0;
        return;
    }
    if (raft_commit_index(&driver->raft) < leaver->change) {
        return;
    }
    if (leaver->until_ms == 0) {
        leaver->until_ms = now + (uint64_t)LEAVE_ELECTIONS * driver->options.election_timeout_ms;
    } else if (now >= leaver->until_ms) {
        leaver->id = 0;
        return;
    }
    if (leaver->sent_ms == 0 || now >= leaver->sent_ms + driver->options.heartbeat_ms) {
        send_next(driver, now);
    }
}

void driver_leave_result(struct driver *driver, uint64_t from, const struct raft_append_entries_result *result)
{
    struct driver_leaver *leaver = &driver->leaver;
    if (leaver->id != from || !is_current(driver) || result->term != leaver->term || leaver->until_ms == 0) {
        return;
    }
    uint64_t next = result->last_log_index < leaver->change ? result->last_log_index + 1 : leaver->change + 1;
    if (result->rejected > 0) {
        if (next < leaver->next) {
            leaver->next = next;
            leaver->sent_ms = 0;
        }
    } else if (next > leaver->change) {
        leaver->id = 0; /* It knows. */
    } else if (next > leaver->next) {
        leaver->next = next;
        leaver->sent_ms = 0;
    }
}
