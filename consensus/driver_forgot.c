/* A follower that has lost what it had stored.
 *
 * A leader counts what a follower has once acknowledged, and commits by it. When the follower's log ends before that, a disk
 * has lied, or a directory has been put back: entries may be on fewer disks than a majority of them, and the follower would
 * vote for somebody who lacks them. The engine does not notice, nor can it help: it never goes back behind what is known to match
 * (G8), so it goes on asking for an entry that the follower refuses, at each heartbeat.
 *
 * A refusal proves nothing, since it may be an old one that comes late. It only raises a doubt. Then we ask, with an
 * AppendEntries without entries after an index that no log has, and that is used once: the answer repeats it, and says where the
 * log ends (Raft §5.3; the engine's recvAppendEntries()). Whoever answers in our term has followed nobody else since, and takes
 * back nothing for us: what its log holds at that moment, which is after the question was asked, has not become less.
 *
 * Without a vote a node may have begun anew, and owes nothing: then it gets what it lacks (driver_feed.c). What it had
 * acknowledged before counts as soon as it votes, so before that it is asked in any case. */

#include <raft.h>

#include "consensus/driver_internal.h"

/* Beyond all logs, and within what a message may hold (message.c). */
#define QUESTION_BASE (UINT64_MAX / 4)
#define QUESTION_PAUSE_MS 1000u
/* For so many election timeouts an answer counts, unless the connection ends: longer than between two tries to make a voter of the
 * node. */
#define PROOF_ELECTIONS 20u

static void conclude(struct driver *driver, struct driver_peer *peer, uint64_t last)
{
    const struct driver_host *host = &driver->options.host;
    peer->question = 0;
    peer->forgot = false;
    peer->proven_ms = last >= peer->acknowledged ? driver->options.clock->monotonic_ms(driver->options.clock) : 0;
    if (last >= peer->acknowledged) {
        return;
    }
    if (!configuration_votes(&driver->raft.configuration, peer->id)) {
        driver_feed_learner(driver, peer->id, last, peer->acknowledged);
        return;
    }
    peer->forgot = true;
    if (host->forgot != NULL) {
        host->forgot(host->arg, peer->id, peer->acknowledged, last);
    }
}

bool driver_forgot_result(struct driver *driver, uint64_t from, const struct raft_append_entries_result *result)
{
    const struct raft *raft = &driver->raft;
    raft_index match;
    if (raft->state != RAFT_LEADER || result->term != raft_current_term(raft)) {
        return false;
    }
    bool answer = result->rejected > QUESTION_BASE;
    struct driver_peer *peer = driver_peer_of(driver, from);
    if (peer == NULL || raft_match_index(raft, from, &match) != 0) {
        return answer;
    }
    if (answer) {
        if (result->rejected == peer->question) {
            conclude(driver, peer, result->last_log_index);
        }
    } else if (result->rejected > 0) {
        peer->doubted = peer->doubted || result->last_log_index < match;
    } else if (result->last_log_index >= peer->acknowledged) {
        peer->forgot = false;
    }
    return answer;
}

static void ask(struct driver *driver, struct driver_peer *peer, uint64_t match, uint64_t now)
{
    peer->doubted = false;
    peer->question = QUESTION_BASE + ++driver->questions;
    peer->acknowledged = match;
    peer->questioned_ms = now;
    struct raft_append_entries append = {
        .term = peer->term, .prev_log_index = peer->question, .prev_log_term = peer->term, .leader_commit = 0};
    driver_send_entries(driver, peer->id, &append, NULL, 0);
}

void driver_forgot_step(struct driver *driver)
{
    const struct raft *raft = &driver->raft;
    uint64_t now = driver->options.clock->monotonic_ms(driver->options.clock);
    for (unsigned i = 0; i < MEMBERS_MAX && raft->state == RAFT_LEADER; i++) {
        struct driver_peer *peer = &driver->peers[i];
        raft_index match;
        if (peer->id == 0 || peer->term != raft_current_term(raft) || !peer->doubted ||
            (peer->questioned_ms != 0 && now < peer->questioned_ms + QUESTION_PAUSE_MS) ||
            raft_match_index(raft, peer->id, &match) != 0) {
            continue;
        }
        ask(driver, peer, match, now);
    }
}

bool driver_forgot_nothing(struct driver *driver, uint64_t id)
{
    const struct raft *raft = &driver->raft;
    uint64_t now = driver->options.clock->monotonic_ms(driver->options.clock);
    struct driver_peer *peer = driver_peer_of(driver, id);
    raft_index match;
    if (peer == NULL || raft_match_index(raft, id, &match) != 0) {
        return false;
    }
    if (peer->proven_ms != 0 &&
        now < peer->proven_ms + (uint64_t)PROOF_ELECTIONS * driver->options.election_timeout_ms) {
        return true;
    }
    if (peer->question == 0 || now >= peer->questioned_ms + driver->options.heartbeat_ms) {
        ask(driver, peer, match, now);
    }
    return false;
}
