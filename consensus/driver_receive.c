/* What peers say: checked, passed through the guards, and given to the engine. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/driver_internal.h"
#include "proto/base/check.h"
#include "proto/base/fault.h"

/* How far ahead of ours a peer's term may be: an election every millisecond for seven weeks. Terms are written down and
 * never go back, so that a single message with the last of them would end all elections, for ever. */
#define TERM_LEAP_MAX (UINT64_C(1) << 32)

/* The engine notes the address of a leader. A copy, since a message that changes the membership frees the original. */
static void copy_address(struct driver *driver, uint64_t id)
{
    const struct raft_server *server = configuration_find(&driver->raft.configuration, id);
    (void)snprintf(driver->from_address, sizeof driver->from_address, "%s", server != NULL ? server->address : "");
}

static int receive_error(struct driver *driver, int rv)
{
    if (rv > 0) {
        journal_warning(driver->options.journal, "raft", "a message was not taken: %s", raft_strerror(rv));
        return rv == RAFT_NOMEM ? ERR_NOMEM : ERR_BROKEN;
    }
    return 0;
}

/* Steps an AppendEntries whose entries are `entries`. The engine is given a token as the batch that it may free, since it
 * wants one from its own allocator; the bytes themselves are counted by the slices. */
static int step_append(struct driver *driver, const struct raft_append_entries *append, const struct log_entry *entries,
                       unsigned count)
{
    struct raft_entry raft_entries[APPEND_ENTRIES_MAX];
    void *token = NULL;
    if (count > 0 && (token = raft_malloc(1)) == NULL) {
        return ERR_NOMEM;
    }
    for (unsigned i = 0; i < count; i++) {
        raft_entries[i] = (struct raft_entry){
            .term = entries[i].term,
            .type = (enum raft_entry_type)entries[i].type,
            .buf = {.base = (void *)entries[i].payload.data, .len = entries[i].payload.len},
            .batch = token,
        };
    }
    struct raft_message message = driver->message.raft;
    message.append_entries = *append;
    message.append_entries.entries = count > 0 ? raft_entries : NULL;
    message.append_entries.n_entries = count;
    struct raft_event event = {.type = RAFT_RECEIVE};
    event.receive.message = &message;
    struct driver_entries given = {.raft = raft_entries, .log = entries, .count = count};
    bool old_term = append->term < raft_current_term(&driver->raft);
    int rv = driver_event(driver, &event, &given, old_term);
    if (rv <= 0 && append->term == raft_current_term(&driver->raft)) {
        driver->leader_term = append->term;
    }
    if (rv == -1) { /* The engine took the entries and gave the batch back; otherwise it has freed it. */
        raft_free(token);
    }
    return receive_error(driver, rv);
}

/* Before a CHANGE is appended, a pending one must be known to be committed: the leader's commit index in the same message
 * says so, and is delivered by an AppendEntries without entries (G1). */
static int settle_pending_change(struct driver *driver, const struct raft_append_entries *append, unsigned count,
                                 const struct log_entry *entries)
{
    bool pending = driver->raft.configuration_uncommitted_index != 0;
    if (count == 0 || entries[0].type != LOG_ENTRY_CHANGE || !pending ||
        append->term != raft_current_term(&driver->raft)) {
        return 0;
    }
    return step_append(driver, append, NULL, 0);
}

/* The engine takes for granted that a term has one leader. */
static void check_leader(struct driver *driver, uint64_t from, uint64_t term)
{
    if (driver->raft.state == RAFT_LEADER && term == raft_current_term(&driver->raft)) {
        driver_fatal(driver, ERR_BROKEN, "node %llu claims to lead in our own term %llu", (unsigned long long)from,
                     (unsigned long long)term);
    }
}

/* Whether what is new among the entries finds room in the log. */
static bool has_room_for(const struct driver *driver, const struct message *message)
{
    uint64_t index = message->raft.append_entries.prev_log_index + 1;
    unsigned known = 0;
    while (known < message->entries_len && driver_term_of(driver, index + known) == message->entries[known].term) {
        known++;
    }
    uint64_t last = log_last_index(driver->log);
    if (index + known > last + 1) {
        return true; /* There is a gap: the engine refuses them. */
    }
    return log_takes(driver->log, index + known, message->entries + known, message->entries_len - known);
}

static int receive_append(struct driver *driver)
{
    struct message *message = &driver->message;
    struct raft_append_entries append = message->raft.append_entries;
    check_leader(driver, message->raft.server_id, append.term);
    if (append.term >= raft_current_term(&driver->raft) && append.leader_commit > driver->heard_commit) {
        driver->heard_commit = append.leader_commit;
    }
    if (message->entries_len > 0 && !has_room_for(driver, message) && !fault_fires(FAULT_SKIP_ROOM_CHECK)) {
        /* As if the leader had sent none: it is heard, and what it says of the rest counts. It offers them again. */
        message->entries_len = 0;
    }
    unsigned from = 0;
    do {
        /* G2 may move the start forward. It looks at each part anew, since the parts before it move the commit index. */
        struct raft_append_entries part = append;
        unsigned skip;
        uint64_t commit = raft_commit_index(&driver->raft);
        guard_append_anchor(&driver->guards, &driver->raft, driver_term_of(driver, commit), &part,
                            message->entries_len - from, &skip);
        unsigned first = from + skip;
        unsigned count = guard_append_part(&driver->guards, message->entries, first, message->entries_len);
        int err = settle_pending_change(driver, &part, count, message->entries + first);
        if (err == 0) {
            err = step_append(driver, &part, message->entries + first, count);
        }
        if (err != 0) {
            return err;
        }
        if (first + count > from) {
            append.prev_log_index += first + count - from;
            append.prev_log_term = message->entries[first + count - 1].term;
        }
        from = first + count;
    } while (from < message->entries_len);
    return 0;
}

/* A leader offers a snapshot because its log no longer has what we need. What we hold already is confirmed; the rest cannot
 * be taken over a Raft message: the bulk of a state has its own way (driver_rejoin.c), and the leader asks again. */
static int receive_install(struct driver *driver)
{
    struct raft_install_snapshot *install = &driver->message.raft.install_snapshot;
    check_leader(driver, driver->message.raft.server_id, install->term);
    if (!guard_install(&driver->guards, &driver->raft)) {
        return 0;
    }
    bool old_term = install->term < raft_current_term(&driver->raft);
    if (!old_term && !driver_rebuild_needless(driver, install)) {
        driver_rebuild_behind(driver, driver->message.raft.server_id, install);
        return 0;
    }
    int err =
        configuration_decode(driver->message.configuration.data, driver->message.configuration.len, &install->conf);
    if (err != 0) {
        return err;
    }
    install->data = (struct raft_buffer){0};
    struct raft_event event = {.type = RAFT_RECEIVE};
    event.receive.message = &driver->message.raft;
    return receive_error(driver, driver_event(driver, &event, NULL, old_term));
}

static uint64_t term_of(const struct raft_message *message)
{
    switch (message->type) {
    case RAFT_APPEND_ENTRIES: return message->append_entries.term;
    case RAFT_APPEND_ENTRIES_RESULT: return message->append_entries_result.term;
    case RAFT_REQUEST_VOTE: return message->request_vote.term;
    case RAFT_REQUEST_VOTE_RESULT: return message->request_vote_result.term;
    case RAFT_INSTALL_SNAPSHOT: return message->install_snapshot.term;
    case RAFT_TIMEOUT_NOW: return message->timeout_now.term;
    default: return 0;
    }
}

/* Values that no correct peer sends, and that would trip the engine's assertions or do harm for ever. */
static int check_message(const struct driver *driver)
{
    const struct raft_message *message = &driver->message.raft;
    uint64_t current = raft_current_term(&driver->raft);
    uint64_t term = term_of(message);
    if (term > current && term - current > TERM_LEAP_MAX) {
        return ERR_BROKEN;
    }
    if (message->type == RAFT_REQUEST_VOTE) {
        /* A vote for another, or for 0, which stands for none, could be given twice. */
        const struct raft_request_vote *vote = &message->request_vote;
        return vote->candidate_id != message->server_id || vote->last_log_term > term ? ERR_BROKEN : 0;
    }
    if (message->type == RAFT_REQUEST_VOTE_RESULT) {
        const struct raft_request_vote_result *result = &message->request_vote_result;
        bool far_ahead = term > current + 1;
        return result->pre_vote && result->vote_granted && far_ahead ? ERR_BROKEN : 0;
    }
    return 0;
}

static bool speaks_as_leader(const struct driver *driver)
{
    const struct message *message = &driver->message;
    bool leads = message->kind == MESSAGE_READ_PING || message->raft.type == RAFT_APPEND_ENTRIES ||
                 message->raft.type == RAFT_INSTALL_SNAPSHOT;
    return leads && message->term >= raft_current_term(&driver->raft);
}

/* What the engine knows nothing of. True when it was that. */
static bool receive_read(struct driver *driver, uint64_t from)
{
    switch (driver->message.kind) {
    case MESSAGE_READ_PING:
        check_leader(driver, from, driver->message.term);
        driver_read_ping(driver, from);
        return true;
    case MESSAGE_READ_PONG: driver_read_pong(driver, from); return true;
    case MESSAGE_ENGINE:
    default: return false;
    }
}

static int receive_frame(struct driver *driver, uint64_t from, const struct frame *frame)
{
    arena_reset(&driver->arena);
    int err = message_decode(frame, driver->options.shard, &driver->arena, &driver->message);
    if (err != 0) {
        return err;
    }
    struct raft_message *message = &driver->message.raft;
    message->server_id = from;
    err = check_message(driver);
    if (err != 0) {
        return err;
    }
    if (speaks_as_leader(driver)) {
        driver_leader_heard(driver, from);
    }
    driver_peer_heard(driver, from, message->type == RAFT_APPEND_ENTRIES_RESULT ? message : NULL);
    if (receive_read(driver, from)) {
        return 0;
    }
    copy_address(driver, from);
    message->server_address = driver->from_address;
    switch (message->type) {
    case RAFT_APPEND_ENTRIES: return receive_append(driver);
    case RAFT_INSTALL_SNAPSHOT: return receive_install(driver);
    case RAFT_APPEND_ENTRIES_RESULT:
        if (driver_forgot_result(driver, from, &message->append_entries_result)) {
            return 0;
        }
        driver_feed_result(driver, from, &message->append_entries_result);
        if (configuration_find(&driver->raft.configuration, from) == NULL) {
            return 0; /* It has been removed; its term must not depose us, and the engine would take no more of it. */
        }
        if (!guard_result(&driver->guards, &driver->raft, from, &message->append_entries_result)) {
            return 0;
        }
        driver_rebuild_probe(driver, from, &message->append_entries_result);
        break;
    case RAFT_REQUEST_VOTE_RESULT:
        /* Late answers: as a follower or leader the engine would read the candidate's part of its state, which is not
         * there, and might take over the term that a pre-vote only asked about. */
        if (driver->raft.state != RAFT_CANDIDATE) {
            return 0;
        }
        break;
    case RAFT_REQUEST_VOTE: return receive_error(driver, driver_ballot(driver, from));
    case RAFT_TIMEOUT_NOW:
        if (driver_is_alone(driver)) {
            return 0; /* It would elect itself without a new term (G6). */
        }
        break;
    default: break;
    }
    struct raft_event event = {.type = RAFT_RECEIVE};
    event.receive.message = message;
    return receive_error(driver, driver_event(driver, &event, NULL, false));
}

int driver_receive(struct driver *driver, uint64_t from, const struct frame *frame)
{
    int err = receive_frame(driver, from, frame);
    /* Who has just been elected has told the others so, and they may answer before the next turn: to a leader that knows
     * that it is one. */
    driver_tell_role(driver);
    driver_tell_members(driver);
    return err;
}
