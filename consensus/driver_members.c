/* What the host is told of the membership. */

#include <raft.h>

#include "consensus/driver_internal.h"

void driver_told_members_init(struct driver *driver, const struct driver_options *options)
{
    raft_configuration_init(&driver->told_members);
    for (unsigned i = 0; i < options->members_len; i++) {
        const struct driver_member *member = &options->members[i];
        if (raft_configuration_add(&driver->told_members, member->id, member->address, RAFT_VOTER) != 0) {
            return; /* Then it is told of them: once too often does no harm. */
        }
    }
}

/* An applied CHANGE lacks us, none in our log has us again, and no leader has named a commit that may be such a one: a node
 * that is far behind may come by its removal on the way to its return. */
static bool is_removed(const struct driver *driver)
{
    uint64_t id = driver->options.id;
    return driver->applied_configuration.n > 0 && configuration_find(&driver->applied_configuration, id) == NULL &&
           configuration_find(&driver->raft.configuration, id) == NULL && driver->heard_commit <= driver->applied_index;
}

void driver_tell_members(struct driver *driver)
{
    const struct driver_host *host = &driver->options.host;
    const struct raft_configuration *members = &driver->raft.configuration;
    if (!configuration_equal(&driver->told_members, members)) {
        struct raft_configuration copy;
        if (configuration_copy(members, &copy) != 0) {
            return; /* Out of memory: in the next turn. */
        }
        raft_configuration_close(&driver->told_members);
        driver->told_members = copy;
        driver_peers_keep_members(driver);
        if (host->members_changed != NULL) {
            host->members_changed(host->arg);
        }
    }
    bool removed = is_removed(driver);
    if (removed && !driver->told_removed && host->removed != NULL) {
        host->removed(host->arg);
    }
    driver->told_removed = removed;
}
