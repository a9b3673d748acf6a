/* Nodes that lack entries which the leader's log no longer has: they get a copy of the state, past the engine, and go on from
 * there as after a checkpoint of their own (driver_rejoin.c). */

#include <raft.h>

#include "consensus/driver_internal.h"

/* For how long a node has been offered snapshots, without its log growing, before it counts as behind. What a leader offered
 * before it knew where our log ends, since we have just started, is not to set off the fetching of a copy. */
#define BEHIND_ELECTIONS 1u

bool driver_lacks(const struct driver *driver, uint64_t index, uint64_t term)
{
    /* What is committed here is the same everywhere, and may be in our state alone. */
    return index > raft_commit_index(&driver->raft) && log_term(driver->log, index) != term;
}

/* What is in our checkpoint the log may no longer tell. (The engine comes to the same answer, in replicationInstallSnapshot():
 * it must not get one that it would install.) */
bool driver_rebuild_needless(const struct driver *driver, const struct raft_install_snapshot *install)
{
    return install->last_index <= driver->checkpoint_index ||
           driver_term_of(driver, install->last_index) == install->last_term;
}

/* Said to people once for each leader, and each time that our log has grown since: the leader asks again and again. */
static void say_behind(const struct driver *driver, uint64_t leader, const struct raft_install_snapshot *install)
{
    journal_error(driver->options.journal, "raft",
                  "the leader (node %llu) no longer has the entries that this node lacks (%llu to %llu): "
                  "this node needs a copy of the state",
                  (unsigned long long)leader, (unsigned long long)driver->rebuild_last + 1, install->last_index);
}

void driver_rebuild_behind(struct driver *driver, uint64_t leader, const struct raft_install_snapshot *install)
{
    uint64_t last = log_last_index(driver->log);
    uint64_t now = driver->options.clock->monotonic_ms(driver->options.clock);
    if (driver->rebuild_term != install->term || driver->rebuild_last != last) {
        driver->rebuild_term = install->term;
        driver->rebuild_last = last;
        driver->rebuild_ms = now;
        say_behind(driver, leader, install);
    }
    const struct driver_host *host = &driver->options.host;
    if (host->behind != NULL &&
        now - driver->rebuild_ms >= (uint64_t)BEHIND_ELECTIONS * driver->options.election_timeout_ms) {
        host->behind(host->arg, leader);
    }
}

/* The term of an entry as the engine knows it, which may have forgotten more than the log on disk; 0 when it does not. */
static uint64_t engine_term(const struct driver *driver, uint64_t index)
{
    const struct raft_trail *trail = &driver->raft.trail;
    bool known = index > trail->offset || index == trail->snapshot.index;
    return known ? driver_term_of(driver, index) : 0;
}

/* A node that was offered a snapshot may have got its state elsewhere since, as of before our present checkpoint. When it then
 * refuses what follows that, the engine does not look where its log ends, as it does for any other node, and offers the snapshot
 * again, for ever (progressMaybeDecrement() in PROGRESS__SNAPSHOT). So we ask the node ourselves, with an AppendEntries without
 * entries, whether its last entry is ours too; if it is, its answer tells the engine what the two logs have in common (Raft
 * §5.3), and that is where the engine goes on from when the node refuses the next time. */
void driver_rebuild_probe(struct driver *driver, uint64_t from, const struct raft_append_entries_result *result)
{
    const struct raft *raft = &driver->raft;
    uint64_t last = result->last_log_index;
    raft_index match;
    if (raft->state != RAFT_LEADER || result->term != raft_current_term(raft) || result->rejected == 0 ||
        raft_match_index(raft, from, &match) != 0 || last <= match) {
        return;
    }
    uint64_t term = engine_term(driver, last);
    if (term == 0 || !driver_peer_probe(driver, from, last)) {
        return;
    }
    struct raft_append_entries append = {.term = raft_current_term(raft),
                                         .prev_log_index = last,
                                         .prev_log_term = term,
                                         .leader_commit = raft_commit_index(raft)};
    driver_send_append(driver, from, &append);
}
