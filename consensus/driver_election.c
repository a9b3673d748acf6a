/* When to stand for election: soon when the leader's process has died, and not only because our own was paused.
 *
 * A killed process closes its connections, and that is known sooner than any timeout. The follower then tells itself what a
 * leader tells its successor (TimeoutNow, Raft thesis §3.10): stand for election now, and be heard although voters still
 * believe in a leader. Followers wait for their turn by rank, so that the first one usually wins before the second asks.
 * A connection may also break while the leader lives and reaches us by another: so the first waits for as long as a leader
 * may be silent. */

#include <raft.h>

#include "consensus/driver_internal.h"

/* Between the turns of two followers: some round trips and a sync of term and vote. */
#define STAND_STAGGER_MS 60u
/* Beyond a heartbeat, for a message to be on its way. */
#define STAND_SLACK_MS 5u
/* How late a timeout is when the process must have been paused or starved, and how long it then waits for what peers said
 * meanwhile to be read. */
#define LATE_MS 10u
#define GRACE_MS 10u
/* A disk that is slower than so many election timeouts is not waited for. */
#define SLOW_ELECTIONS 10u

static uint64_t now_of(const struct driver *driver)
{
    return driver->options.clock->monotonic_ms(driver->options.clock);
}

/* How many voters, other than the lost leader, come before us. */
static unsigned rank_of(const struct raft *raft, uint64_t lost)
{
    unsigned rank = 0;
    for (unsigned i = 0; i < raft->configuration.n; i++) {
        const struct raft_server *server = &raft->configuration.servers[i];
        rank += server->role == RAFT_VOTER && server->id != lost && server->id < raft->id;
    }
    return rank;
}

/* For how long a leader that lives may not be heard. */
static uint64_t silence_ms(const struct driver *driver)
{
    return driver->options.heartbeat_ms + STAND_SLACK_MS;
}

static void stand_after(struct driver *driver, uint64_t heard_ms)
{
    uint64_t stagger_ms = (uint64_t)rank_of(&driver->raft, driver->lost_leader) * STAND_STAGGER_MS;
    driver->stand_ms = heard_ms + silence_ms(driver) + stagger_ms;
}

void driver_peer_lost(struct driver *driver, uint64_t node)
{
    struct raft *raft = &driver->raft;
    driver_peer_forget(driver, node);
    if (node == 0 || raft->state != RAFT_FOLLOWER || raft->follower_state.current_leader.id != node) {
        return;
    }
    driver->lost_leader = node;
    driver->lost_ms = now_of(driver);
    stand_after(driver, driver->lost_ms);
}

void driver_leader_heard(struct driver *driver, uint64_t node)
{
    if (node == 0 || node != driver->lost_leader) {
        return;
    }
    uint64_t now = now_of(driver);
    if (now > driver->lost_ms + silence_ms(driver)) {
        driver->lost_leader = 0; /* It lives. */
    } else {
        stand_after(driver, now); /* It may have said this before it died. */
    }
}

void driver_leader_silent(struct driver *driver)
{
    struct raft *raft = &driver->raft;
    if (raft->state != RAFT_FOLLOWER || configuration_votes(&raft->configuration, raft->id)) {
        return;
    }
    /* As convertClearFollower() in the engine has it. */
    raft->follower_state.current_leader.id = 0;
    raft_free(raft->follower_state.current_leader.address);
    raft->follower_state.current_leader.address = NULL;
}

uint64_t driver_stand_ms(const struct driver *driver)
{
    const struct raft *raft = &driver->raft;
    bool stored = raft->last_stored == log_last_index(driver->log); /* Otherwise the disk's completion comes first. */
    return driver->lost_leader != 0 && stored ? driver->stand_ms : UINT64_MAX;
}

void driver_stand(struct driver *driver)
{
    struct raft *raft = &driver->raft;
    uint64_t lost = driver->lost_leader;
    if (lost != 0 && (raft->state != RAFT_FOLLOWER || raft->follower_state.current_leader.id != lost ||
                      !configuration_votes(&raft->configuration, raft->id) || driver_is_alone(driver))) {
        driver->lost_leader = 0; /* Another leads, the election has begun, or it is not for us to stand. */
        return;
    }
    if (now_of(driver) < driver_stand_ms(driver)) {
        return;
    }
    driver->lost_leader = 0;
    struct raft_message message = {.type = RAFT_TIMEOUT_NOW, .server_id = lost, .server_address = ""};
    uint64_t last = log_last_index(driver->log);
    message.timeout_now = (struct raft_timeout_now){
        .term = raft_current_term(raft), .last_log_index = last, .last_log_term = driver_term_of(driver, last)};
    struct raft_event event = {.type = RAFT_RECEIVE};
    event.receive.message = &message;
    (void)driver_event(driver, &event, NULL, false);
}

void driver_note_late(struct driver *driver, uint64_t due_ms)
{
    /* A leader gives up only after a whole election timeout without a majority, and its heartbeats must not wait. */
    uint64_t late_ms = driver->raft.state == RAFT_LEADER ? driver->options.election_timeout_ms / 2 : LATE_MS;
    uint64_t now = now_of(driver);
    if (driver->late_due_ms != due_ms && now > due_ms + late_ms) {
        driver->late_due_ms = due_ms;
        driver->grace_ms = now + GRACE_MS;
    }
}

void driver_was_slow(struct driver *driver, uint64_t took_ms)
{
    struct raft *raft = &driver->raft;
    struct clock *clock = driver->options.clock;
    uint64_t most_ms = (uint64_t)SLOW_ELECTIONS * driver->options.election_timeout_ms;
    uint64_t wait_ms = took_ms < most_ms ? took_ms : most_ms;
    if (wait_ms == 0 || raft->state == RAFT_LEADER) {
        return;
    }
    /* What is said goes out only now, and time counts from then. A candidate's voters write their vote before they answer,
     * to disks that may be as slow; and candidates that were at it at the same time must not be so again. */
    raft->election_timer_start += wait_ms;
    if (raft->state == RAFT_CANDIDATE) {
        raft->election_timer_start += wait_ms + clock->random(clock) % (2 * wait_ms);
    }
}

uint64_t driver_graced_ms(const struct driver *driver, uint64_t due_ms)
{
    return driver->late_due_ms == due_ms ? driver->grace_ms : due_ms;
}
