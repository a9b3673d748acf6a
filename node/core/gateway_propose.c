/* From a change of leadership to the proposal of what has gathered. */

#include "node/core/gateway.h"
#include "proto/base/check.h"

/* What this leader had in hand is over: the commands are dropped, their outcome is for the next leader to tell. */
static void gateway_lost(struct gateway_core *core)
{
    for (struct link *link = links_first(&core->links); link != NULL; link = links_next(link)) {
        gateway_link_doom(core, link, ERR_NOT_LEADER, "this node is no longer the leader");
    }
    proposals_clear(&core->proposals);
    leases_clear(&core->leases);
    batch_done(&core->batch);
}

void gateway_core_role_changed(struct gateway_core *core, bool leading, uint64_t leader, uint64_t term)
{
    if (core->leading && (!leading || core->term != term)) {
        gateway_lost(core);
    }
    if (!leading || core->term != term) {
        core->serving = false;
    }
    core->leading = leading;
    core->leader = leader;
    core->term = term;
    core->more = true;
}

static int gateway_lease_each(void *arg, const struct machine_session *session)
{
    struct gateway_core *core = arg;
    uint64_t deadline_ms = core->clock->monotonic_ms(core->clock) + session->lease_ms;
    return leases_start(&core->leases, session->id, session->attachment, deadline_ms);
}

/* Everything of earlier terms has been applied: log time can go on from it, and sessions are known. */
static bool gateway_begin(struct gateway_core *core)
{
    driver_status(core->driver, &core->status);
    if (!core->status.term_committed || core->status.applied_index < core->status.commit_index) {
        return false;
    }
    int err = machine_sessions(core->machine, gateway_lease_each, core);
    if (err != 0) {
        core->fatal(core->fatal_arg, err, "the leases of the sessions cannot be started");
        return false;
    }
    log_time_start(&core->time, machine_time_ms(core->machine), core->clock->monotonic_ms(core->clock),
                   core->clock->wall_ms(core->clock));
    core->serving = true;
    return true;
}

/* The first `count` commands of the batch have been proposed: notes who is to be answered, and lets them go. */
static void gateway_proposed(struct gateway_core *core, struct proposal *proposal)
{
    for (uint32_t i = 0; i < proposal->len; i++) {
        const struct batch_command *waiting = batch_at(&core->batch, i);
        proposal->links[i] = waiting->link;
        struct link *link = waiting->link == 0 ? NULL : links_find(&core->links, waiting->link);
        if (link != NULL && waiting->command.session != 0) {
            CHECK(link->pending_commands > 0);
            link->pending_commands--;
            link->pending_bytes -= batch_command_len(&waiting->command);
        }
    }
    batch_pop(&core->batch, proposal->len);
}

/* 0, or why nothing was proposed: ERR_BUSY and the like. */
static int gateway_propose_one(struct gateway_core *core)
{
    uint64_t time_ms =
        log_time_stamp(&core->time, core->clock->monotonic_ms(core->clock), core->clock->wall_ms(core->clock));
    struct slice entry;
    uint32_t commands;
    uint64_t index;
    uint64_t term;
    int err = batch_build(&core->batch, machine_version(core->machine), time_ms, &entry, &commands);
    if (err != 0) {
        return err;
    }
    struct proposal *proposal = proposal_new(commands);
    if (proposal == NULL) {
        err = ERR_NOMEM;
        goto out;
    }
    err = driver_submit(core->driver, entry, &index, &term);
    if (err != 0) {
        proposal_free(proposal);
        goto out;
    }
    gateway_proposed(core, proposal);
    proposals_record(&core->proposals, proposal, index, term);
out:
    slice_unref(&entry);
    return err;
}

/* The machine bounds what one entry delivers; the rest is due with the next, which needs no command to be there. One of
 * these at a time: whether there is still something due shows when it has been applied. */
static bool gateway_wants_entry(struct gateway_core *core)
{
    return core->batch.len > 0 || (machine_due(core->machine) && list_empty(&core->proposals.list));
}

bool gateway_core_propose(struct gateway_core *core)
{
    if (!core->leading || (!core->serving && !gateway_begin(core))) {
        return false;
    }
    bool proposed = false;
    while (gateway_wants_entry(core) && driver_ready(core->driver)) {
        if (gateway_propose_one(core) != 0) {
            break;
        }
        proposed = true;
        if (!core->leading) {
            break; /* Submitting may end a leadership. */
        }
    }
    return proposed;
}
