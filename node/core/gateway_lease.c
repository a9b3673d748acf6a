/* Sessions without a connection: when their lease has run out, the leader says so in the log. */

#include "node/core/gateway.h"

/* When the command cannot be taken now, it is tried again after this time. */
#define RETRY_MS 100u

void gateway_lease_start(struct gateway_core *core, uint64_t session, uint64_t attachment)
{
    struct machine_session found;
    if (!core->leading || machine_session(core->machine, session, &found) != 0) {
        return;
    }
    uint64_t deadline_ms = core->clock->monotonic_ms(core->clock) + found.lease_ms;
    if (leases_start(&core->leases, session, attachment, deadline_ms) != 0) {
        journal_warning(core->journal, "gateway", "session %llu: no memory for its lease; the next leader ends it",
                        (unsigned long long)session);
    }
}

void gateway_end_leases(struct gateway_core *core)
{
    uint64_t now_ms = core->clock->monotonic_ms(core->clock);
    const struct lease *lease;
    while (core->serving && (lease = leases_first(&core->leases)) != NULL && lease->deadline_ms <= now_ms) {
        uint64_t session = lease->session;
        uint64_t attachment = lease->attachment;
        leases_stop(&core->leases, session);
        int err = gateway_submit_expire(core, session, attachment);
        if (err != 0) {
            if (leases_start(&core->leases, session, attachment, now_ms + RETRY_MS) != 0) {
                gateway_lease_start(core, session, attachment);
            }
            break;
        }
        core->more = true;
    }
}
