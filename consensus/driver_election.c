/* An election at once when the leader's process has died.
 *
 * A killed process closes its connections, and that is known sooner than any timeout. The follower then tells itself what a
 * leader tells its successor (TimeoutNow, Raft thesis §3.10): stand for election now, and be heard although voters still
 * believe in a leader. Followers wait for their turn by rank, so that the first one usually wins before the second asks. */

#include <raft.h>

#include "consensus/driver_internal.h"

/* Between the turns of two followers: some round trips and a sync of term and vote. */
#define STAND_STAGGER_MS 60u

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

void driver_peer_lost(struct driver *driver, uint64_t node)
{
    struct raft *raft = &driver->raft;
    if (node == 0 || raft->state != RAFT_FOLLOWER || raft->follower_state.current_leader.id != node) {
        return;
    }
    uint64_t now = driver->options.clock->monotonic_ms(driver->options.clock);
    driver->lost_leader = node;
    driver->stand_ms = now + (uint64_t)rank_of(raft, node) * STAND_STAGGER_MS;
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
    if (lost != 0 && (raft->state != RAFT_FOLLOWER || raft->follower_state.current_leader.id != lost)) {
        driver->lost_leader = 0; /* Another leads, or the election has begun. */
        return;
    }
    if (driver->options.clock->monotonic_ms(driver->options.clock) < driver_stand_ms(driver)) {
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
