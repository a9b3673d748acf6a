/* The driver at work: its turn in the loop, proposals, and what it says of itself. */

#include "consensus/driver.h"

#include <raft.h>
#include <string.h>

#include "consensus/driver_internal.h"

/* Entries applied between two looks at anything else; more would make a long replay miss its deadlines. */
#define APPLY_TURNS_MAX 8
/* Likewise in time. The last entry may take longer. */
#define APPLY_MS_MAX 20u

/* Between two attempts to get more of a full disk. */
#define PREPARE_PAUSE_MS 500u

/* A leader gives up when it has heard of no majority for so many election timeouts; a follower waits for one to two, and has
 * then taken over if it could. */
#define LEADER_ELECTIONS 3u

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static enum driver_role role_of(const struct raft *raft)
{
    return raft->state == RAFT_LEADER      ? DRIVER_LEADER
           : raft->state == RAFT_CANDIDATE ? DRIVER_CANDIDATE
                                           : DRIVER_FOLLOWER;
}

/* The engine keeps the leader of an earlier term when a follower takes over a later one, for instance by voting: it leads
 * only when it has said so in this term. */
static uint64_t leader_of(const struct driver *driver)
{
    const struct raft *raft = &driver->raft;
    switch (raft->state) {
    case RAFT_LEADER: return raft->id;
    case RAFT_FOLLOWER:
        return driver->leader_term == raft_current_term(raft) ? raft->follower_state.current_leader.id : 0;
    default: return 0;
    }
}

void driver_tell_role(struct driver *driver)
{
    enum driver_role role = role_of(&driver->raft);
    uint64_t leader = leader_of(driver);
    uint64_t term = raft_current_term(&driver->raft);
    if (role == driver->told_role && leader == driver->told_leader && term == driver->told_term) {
        return;
    }
    driver->told_role = role;
    driver->told_leader = leader;
    driver->told_term = term;
    driver->options.host.role_changed(driver->options.host.arg, role, leader, term);
}

/* Submits one entry. */
static int submit(struct driver *driver, enum log_entry_type type, struct slice payload)
{
    static const uint8_t not_empty[1] = {0};
    struct log_entry entry = {.term = raft_current_term(&driver->raft), .type = type, .payload = payload};
    struct raft_entry raft_entry = {
        .term = entry.term,
        .type = (enum raft_entry_type)type,
        .buf = {.base = (void *)payload.data, .len = payload.len},
        .batch = (void *)not_empty, /* Never freed by the engine; it only wants one. */
    };
    struct raft_event event = {.type = RAFT_SUBMIT};
    event.submit.entries = &raft_entry;
    event.submit.n = 1;
    struct driver_entries given = {.raft = &raft_entry, .log = &entry, .count = 1};
    int rv = driver_event(driver, &event, &given, false);
    switch (rv) {
    case 0:
    case -1: return 0;
    case RAFT_NOTLEADER: return ERR_NOT_LEADER;
    case RAFT_NOMEM: return ERR_NOMEM;
    default: return ERR_REFUSED;
    }
}

/* A leader cannot know what is committed, nor change the membership, nor answer a read, before an entry of its own term is
 * committed (Raft §5.4.2, thesis §6.4). The engine submits one only when there are uncommitted entries of old terms. */
static void submit_barrier(struct driver *driver)
{
    uint64_t term = raft_current_term(&driver->raft);
    if (driver->raft.state != RAFT_LEADER || driver->barrier_term == term || raft_transferee(&driver->raft) != 0) {
        return;
    }
    if (driver_term_of(driver, log_last_index(driver->log)) == term ||
        submit(driver, LOG_ENTRY_BARRIER, (struct slice){0}) == 0) {
        driver->barrier_term = term;
    }
}

/* A candidate whose election came to nothing asks whether it could win before it takes the next term (pre-vote, thesis
 * §9.6). The engine does so the first time only, and not at all after a TimeoutNow: a node left alone would count its term up
 * without end, and depose a leader when it comes back. */
static void ask_before_next_term(struct raft *raft)
{
    if (raft->state == RAFT_CANDIDATE) {
        raft->candidate_state.in_pre_vote = raft->pre_vote;
        raft->candidate_state.disrupt_leader = false;
    }
}

/* The engine asks at each timeout whom it has heard of since the timeout before (election_timer_start). To the others it no
 * longer streams: their next entry waits for a heartbeat. But one whose heartbeats are due between the timeouts answers once
 * in two of them: so it has a heartbeat more. And without a majority for an election timeout it gives up, although followers
 * that still hear it are content: where everything is slow, nobody would be better off.
 * Returns since when there has been no majority, which the engine is to be told again afterwards. */
static uint64_t be_patient(struct raft *raft, uint64_t now)
{
    uint64_t since_ms = raft->election_timer_start;
    uint64_t silent_ms = now - since_ms;
    if (raft->state == RAFT_LEADER && silent_ms < (uint64_t)LEADER_ELECTIONS * raft->election_timeout) {
        uint64_t back_ms = earlier(silent_ms + raft->heartbeat_timeout, raft->election_timeout - 1);
        raft->election_timer_start = now - earlier(back_ms, now);
    }
    return since_ms;
}

static void fire_timeout(struct driver *driver)
{
    uint64_t now = driver->options.clock->monotonic_ms(driver->options.clock);
    uint64_t due_ms = guard_timeout_ms(&driver->guards, &driver->raft, driver->timeout_fired_ms);
    driver_note_late(driver, due_ms);
    if (now < driver_graced_ms(driver, due_ms)) {
        return;
    }
    driver->timeout_fired_ms = now;
    struct raft *raft = &driver->raft;
    bool expired = now >= raft_timeout(raft);
    ask_before_next_term(raft);
    driver_alone_timeout(driver);
    uint64_t since_ms = be_patient(raft, now);
    uint64_t told_ms = raft->election_timer_start;
    struct raft_event event = {.type = RAFT_TIMEOUT};
    (void)driver_event(driver, &event, NULL, false);
    if (raft->state == RAFT_LEADER && raft->election_timer_start == told_ms) {
        raft->election_timer_start = since_ms;
    }
    if (expired) {
        driver_leader_silent(driver);
    }
}

/* Keeps log ready ahead of need. When the disk has no room for it, it is asked again now and then. */
static void prepare_log(struct driver *driver)
{
    uint64_t now = driver->options.clock->monotonic_ms(driver->options.clock);
    if (log_is_short(driver->log)) {
        if (now < driver->prepare_ms) {
            return;
        }
        driver->prepare_ms = now + PREPARE_PAUSE_MS;
    }
    int err = log_prepare(driver->log);
    if (err != 0) {
        driver_fatal(driver, err, "the log could not be written: %s", err_text(err));
    }
}

static void apply_committed(struct driver *driver)
{
    uint64_t until_ms = driver->options.clock->monotonic_ms(driver->options.clock) + APPLY_MS_MAX;
    for (int i = 0; i < APPLY_TURNS_MAX && driver_apply(driver, until_ms); i++) {
    }
}

void driver_step(struct driver *driver)
{
    driver_watch_disk(driver);
    prepare_log(driver);
    driver_stand(driver);
    fire_timeout(driver);
    driver_tell_role(driver);
    driver_tell_members(driver);
    submit_barrier(driver);
    apply_committed(driver);
    driver_transfer_step(driver);
    driver_prompt(driver);
    driver_read_step(driver);
    driver_forgot_step(driver);
    driver_feed_step(driver);
    driver_tell_role(driver);
    driver_tell_members(driver);
}

uint64_t driver_deadline_ms(const struct driver *driver)
{
    uint64_t stored = driver->raft.last_stored;
    uint64_t commit = raft_commit_index(&driver->raft);
    if (driver->applied_index < (commit < stored ? commit : stored)) {
        return 0;
    }
    struct guards unused = {0};
    uint64_t timeout_ms = driver_graced_ms(driver, guard_timeout_ms(&unused, &driver->raft, driver->timeout_fired_ms));
    if (log_is_short(driver->log)) {
        timeout_ms = earlier(timeout_ms, driver->prepare_ms);
    }
    return earlier(earlier(timeout_ms, driver_stand_ms(driver)), driver_read_ms(driver));
}

/* Whether the largest entry finds room in the log; of those that a segment of the usual length holds, when that is less. */
static bool has_room(const struct driver *driver)
{
    uint64_t usual = log_payload_len_usual(driver->log);
    struct log_entry largest = {.type = LOG_ENTRY_COMMAND,
                                .payload = {.len = (size_t)(usual < ENTRY_LEN_MAX ? usual : ENTRY_LEN_MAX)}};
    return log_takes(driver->log, log_last_index(driver->log) + 1, &largest, 1);
}

bool driver_ready(const struct driver *driver)
{
    const struct raft *raft = &driver->raft;
    return raft->state == RAFT_LEADER && raft_transferee(raft) == 0 &&
           log_last_index(driver->log) < raft_commit_index(raft) + driver->options.window &&
           log_last_index(driver->log) <
               raft->last_stored + DRIVER_UNSTORED_MAX && /* Others may commit without our disk. */
           has_room(driver);
}

int driver_submit(struct driver *driver, struct slice payload, uint64_t *ret_index, uint64_t *ret_term)
{
    const struct raft *raft = &driver->raft;
    if (raft->state != RAFT_LEADER || raft_transferee(raft) != 0) {
        return ERR_NOT_LEADER;
    }
    if (payload.len > ENTRY_LEN_MAX) {
        return ERR_TOO_BIG;
    }
    struct log_entry entry = {.type = LOG_ENTRY_COMMAND, .payload = payload};
    if (!has_room(driver) || !log_takes(driver->log, log_last_index(driver->log) + 1, &entry, 1)) {
        return ERR_NO_SPACE;
    }
    if (!driver_ready(driver)) {
        return ERR_BUSY;
    }
    int err = submit(driver, LOG_ENTRY_COMMAND, payload);
    if (err == 0) {
        *ret_index = log_last_index(driver->log);
        *ret_term = raft_current_term(raft);
    }
    return err;
}

static bool member_needs_rebuild(const struct driver *driver, uint64_t id, uint64_t match)
{
    const struct driver_peer *peer = driver_peer_find(driver, id);
    return peer != NULL && peer->term == raft_current_term(&driver->raft) && peer->rebuild &&
           match + 1 < log_first_index(driver->log);
}

void driver_watch_disk(struct driver *driver)
{
    uint64_t waiting = log_write_waiting(driver->log);
    if (driver->disk_waiting != waiting) {
        driver->disk_waiting = waiting;
        driver->disk_waiting_ms = driver->options.clock->monotonic_ms(driver->options.clock);
    }
}

static uint64_t disk_wait_ms(const struct driver *driver)
{
    uint64_t waiting = log_write_waiting(driver->log);
    uint64_t now = driver->options.clock->monotonic_ms(driver->options.clock);
    return waiting != 0 && waiting == driver->disk_waiting ? now - driver->disk_waiting_ms : 0;
}

/* Status is asked for very often: printing into it would be much of it. */
static void address_copy(char ret_address[ADDRESS_LEN_MAX + 1], const char *address)
{
    size_t len = strlen(address);
    len = len < ADDRESS_LEN_MAX ? len : ADDRESS_LEN_MAX;
    memcpy(ret_address, address, len);
    ret_address[len] = '\0';
}

void driver_status(const struct driver *driver, struct driver_status *ret_status)
{
    const struct raft *raft = &driver->raft;
    *ret_status = (struct driver_status){
        .id = raft->id,
        .leader = leader_of(driver),
        .term = raft_current_term(raft),
        .voted_for = raft_voted_for(raft),
        .role = role_of(raft),
        .commit_index = raft_commit_index(raft),
        .applied_index = driver->applied_index,
        .applied_term = driver->applied_term,
        .log_first = log_first_index(driver->log),
        .log_last = log_last_index(driver->log),
        .log_stored = raft->last_stored,
        .checkpoint_index = driver->checkpoint_index,
        .checkpoint_term = driver->checkpoint_term,
        .replayed = driver->replayed,
        .term_committed =
            raft->state == RAFT_LEADER && driver_term_of(driver, raft_commit_index(raft)) == raft_current_term(raft),
    };
    ret_status->log_room = log_room(driver->log);
    ret_status->log_short = log_is_short(driver->log);
    ret_status->log_full = !has_room(driver);
    ret_status->disk_wait_ms = disk_wait_ms(driver);
    for (unsigned i = 1; i <= GUARDS; i++) {
        ret_status->guards[i] = driver->guards.acted[i];
    }
    for (unsigned i = 0; i < raft->configuration.n && i < MEMBERS_MAX; i++) {
        const struct raft_server *server = &raft->configuration.servers[i];
        struct driver_status_member *member = &ret_status->members[ret_status->members_len++];
        raft_index match = 0;
        (void)raft_match_index(raft, server->id, &match);
        member->id = server->id;
        address_copy(member->address, server->address);
        member->voter = server->role == RAFT_VOTER;
        member->match_index = match;
        const struct driver_peer *peer = driver_peer_find(driver, server->id);
        member->forgot = raft->state == RAFT_LEADER && peer != NULL && peer->term == ret_status->term && peer->forgot;
        member->needs_rebuild = raft->state == RAFT_LEADER && member_needs_rebuild(driver, server->id, match);
    }
    ret_status->change_index = raft->configuration_uncommitted_index;
    ret_status->members_index = driver->applied_configuration_index;
}

bool driver_idle(const struct driver *driver)
{
    return log_idle(driver->log);
}

struct log *driver_log(struct driver *driver)
{
    return driver->log;
}
