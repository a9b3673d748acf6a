/* The ten guards (G5 is the log's: log_truncate). */

#include "consensus/guard.h"

#include <string.h>

#include "consensus/configuration.h"
#include "proto/base/fault.h"

unsigned guard_append_part(struct guards *guards, const struct log_entry *entries, unsigned from, unsigned count)
{
    if (fault_fires(FAULT_SKIP_G1)) {
        return count - from;
    }
    for (unsigned i = from + 1; i < count; i++) {
        if (entries[i].type == LOG_ENTRY_CHANGE) {
            guards->acted[1]++;
            return i - from;
        }
    }
    return count - from;
}

void guard_append_anchor(struct guards *guards, const struct raft *raft, uint64_t commit_term,
                         struct raft_append_entries *append, unsigned count, unsigned *ret_skip)
{
    uint64_t commit = raft_commit_index(raft);
    *ret_skip = 0;
    if (fault_fires(FAULT_SKIP_G2) || append->term < raft_current_term(raft) || append->prev_log_index >= commit ||
        raft->snapshot.installing || commit_term == 0) {
        return;
    }
    guards->acted[2]++;
    uint64_t known = commit - append->prev_log_index;
    *ret_skip = known < count ? (unsigned)known : count;
    append->prev_log_index = commit;
    append->prev_log_term = commit_term;
}

/* The id of the one server in which the two memberships differ; 0 when there are none or several. */
static raft_id changed_server(const struct raft_configuration *now, const struct raft_configuration *next)
{
    raft_id changed = 0;
    unsigned changes = 0;
    for (unsigned i = 0; i < now->n; i++) {
        const struct raft_server *after = configuration_find(next, now->servers[i].id);
        if (after == NULL || after->role != now->servers[i].role ||
            strcmp(after->address, now->servers[i].address) != 0) {
            changed = now->servers[i].id;
            changes++;
        }
    }
    for (unsigned i = 0; i < next->n; i++) {
        if (configuration_find(now, next->servers[i].id) == NULL) {
            changed = next->servers[i].id;
            changes++;
        }
    }
    return changes == 1 ? changed : 0;
}

static int guard_change_conditions(const struct raft *raft, uint64_t commit_term, const struct raft_configuration *next,
                                   unsigned ready, const char **ret_why)
{
    raft_id changed = changed_server(&raft->configuration, next);
    if (changed == 0) {
        *ret_why = "a change must be of exactly one member";
        return ERR_REFUSED;
    }
    if (changed == raft->id) {
        *ret_why = "a leader does not change its own membership: transfer leadership first";
        return ERR_REFUSED;
    }
    if (commit_term != raft_current_term(raft)) {
        *ret_why = "the leader has not committed an entry of its own term yet";
        return ERR_BUSY;
    }
    if (ready <= configuration_voters(next) / 2) {
        *ret_why = "of the members that would vote, no majority is there and has stored what is committed";
        return ERR_BUSY;
    }
    return 0;
}

int guard_change(struct guards *guards, const struct raft *raft, uint64_t commit_term,
                 const struct raft_configuration *next, unsigned ready, const char **ret_why)
{
    if (raft->state != RAFT_LEADER) {
        *ret_why = "this node does not lead";
        return ERR_NOT_LEADER;
    }
    if (!fault_fires(FAULT_SKIP_G3)) {
        int err = guard_change_conditions(raft, commit_term, next, ready, ret_why);
        if (err != 0) {
            guards->acted[3]++;
            return err;
        }
    }
    if (!fault_fires(FAULT_SKIP_G6) && configuration_voters(&raft->configuration) >= 2 &&
        configuration_voters(next) < 2) {
        guards->acted[6]++;
        *ret_why = "fewer than two voters would remain";
        return ERR_REFUSED;
    }
    return 0;
}

void guard_outgoing(struct guards *guards, const struct raft *raft, bool old_term, struct raft_message *message)
{
    if (message->type == RAFT_APPEND_ENTRIES_RESULT && old_term) {
        struct raft_append_entries_result *result = &message->append_entries_result;
        if (!fault_fires(FAULT_SKIP_G4)) {
            guards->acted[4]++;
            result->last_log_index = result->rejected > 0 ? result->rejected - 1 : 0;
        }
    }
    if (message->type == RAFT_REQUEST_VOTE_RESULT) {
        struct raft_request_vote_result *result = &message->request_vote_result;
        bool refused = result->pre_vote && !result->vote_granted;
        if (refused && result->term < raft_current_term(raft) && !fault_fires(FAULT_SKIP_G7)) {
            guards->acted[7]++;
            result->term = raft_current_term(raft);
        }
    }
}

bool guard_result(struct guards *guards, const struct raft *raft, raft_id from,
                  struct raft_append_entries_result *result)
{
    raft_index match;
    if (fault_fires(FAULT_SKIP_G8) || raft->state != RAFT_LEADER || result->rejected == 0 ||
        result->term != raft_current_term(raft) || raft_match_index(raft, from, &match) != 0) {
        return true;
    }
    if (result->rejected <= match) {
        guards->acted[8]++;
        return false;
    }
    if (result->last_log_index < match) {
        guards->acted[8]++;
        result->last_log_index = match;
    }
    return true;
}

uint64_t guard_timeout_ms(struct guards *guards, const struct raft *raft, uint64_t last_fired_ms)
{
    uint64_t due = raft_timeout(raft);
    if (fault_fires(FAULT_SKIP_G9)) {
        return 0;
    }
    if (raft->state == RAFT_LEADER) {
        /* A whole heartbeat, so that heartbeats to all followers fall together. Else each timeout would find one of them
         * silent since the timeout before, and the engine would stop streaming to it. */
        uint64_t next = last_fired_ms + raft->heartbeat_timeout;
        if (due < next) {
            guards->acted[9]++;
            due = next;
        }
    }
    return due;
}

bool guard_install(struct guards *guards, const struct raft *raft)
{
    if (raft->snapshot.installing && !fault_fires(FAULT_SKIP_G10)) {
        guards->acted[10]++;
        return false;
    }
    return true;
}
