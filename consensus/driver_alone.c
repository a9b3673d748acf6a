/* The only voter elects itself, and takes a new term for it (G6).
 *
 * The engine has it lead at once, in the term that it finds: at its start, and when it hears nothing. While others follow,
 * without a vote or about to get one, that is not safe. What it had sent to them and not stored itself is gone when its
 * power fails, and it would give out the same indexes again, in the same term, with other entries: two logs that differ
 * where they must be the same (Raft §5.3, Log Matching). And a term that came in with a message may have another leader
 * (§5.2, Election Safety): it has voted in that for nobody, or for somebody else. So the term is raised here, with a vote for
 * ourselves, which is what a candidate does (§5.2), and what a majority of one needs. */

#include <raft.h>

#include "consensus/driver_internal.h"

static bool is_alone(const struct raft_configuration *members, uint64_t id)
{
    return configuration_votes(members, id) && configuration_voters(members) == 1;
}

bool driver_is_alone(const struct driver *driver)
{
    return is_alone(&driver->raft.configuration, driver->raft.id);
}

int driver_alone_start(struct driver *driver, const struct raft_configuration *members, struct meta_value *meta)
{
    if (!is_alone(members, driver->options.id)) {
        return 0;
    }
    meta->term++;
    meta->voted_for = driver->options.id;
    return meta_save(driver->meta, meta);
}

void driver_alone_timeout(struct driver *driver)
{
    struct raft *raft = &driver->raft;
    uint64_t now = driver->options.clock->monotonic_ms(driver->options.clock);
    /* The same conditions as those of the engine for standing (timeoutFollower()). */
    if (raft->state != RAFT_FOLLOWER || !driver_is_alone(driver) || now < raft_timeout(raft) ||
        raft->snapshot.installing || raft->last_stored < log_last_index(driver->log)) {
        return;
    }
    raft->current_term++;
    raft->voted_for = raft->id;
    raft->follower_state.match = 0;
    driver_save_meta(driver);
}
