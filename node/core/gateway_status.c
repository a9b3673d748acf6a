/* What operators ask of a node: how it sees the cluster, and that another should lead. */

#include "node/core/gateway.h"
#include "proto/base/check.h"

static const char *gateway_role(const struct gateway_core *core, uint64_t node)
{
    if (core->status.leader == node) {
        return "leader";
    }
    return core->node == node && core->status.role == DRIVER_CANDIDATE ? "candidate" : "follower";
}

/* What an operator should know of a member; the leader knows most. */
static const char *gateway_detail(const struct gateway_core *core, const struct driver_status_member *member)
{
    const struct roster_node *node = core->leading ? roster_find(&core->roster, member->id) : NULL;
    bool own = member->id == core->node;
    if (own && core->stalled) {
        return "its disk does not answer";
    }
    if (own && core->pressure.disk_low) {
        return "its disk is nearly full";
    }
    if (node != NULL && node->disk_low) {
        return "its disk is nearly full, or does not answer";
    }
    if (own ? core->pressure.memory_low : node != NULL && node->memory_low) {
        return "its memory is nearly used up";
    }
    const char *rebuilding =
        own && core->options.rebuilding != NULL ? core->options.rebuilding(core->options.arg) : NULL;
    if (rebuilding != NULL) {
        return rebuilding;
    }
    if (member->needs_rebuild) {
        return "needs a copy of the state: what it lacks is no longer in the leader's log";
    }
    return member->voter ? "" : "does not vote";
}

static struct gateway_status_member gateway_member(const struct gateway_core *core,
                                                   const struct driver_status_member *member)
{
    const struct peer *peer = peers_find(core->options.peers, member->id);
    return (struct gateway_status_member){
        .id = member->id,
        .peer_address = member->address,
        .client_address = peers_client_address(core->options.peers, member->id),
        .role = gateway_role(core, member->id),
        .connected = member->id == core->node || (peer != NULL && peer->connected),
        .match_index = member->id == core->node ? core->status.log_stored : member->match_index,
        .detail = gateway_detail(core, member),
    };
}

static bool gateway_is_member(struct gateway_core *core, uint64_t node)
{
    driver_status(core->driver, &core->status);
    for (unsigned i = 0; i < core->status.members_len; i++) {
        if (core->status.members[i].id == node) {
            return true;
        }
    }
    return node == 0;
}

int gateway_transfer(struct gateway *gateway, uint64_t node)
{
    struct gateway_core *core = gateway_core_of(gateway);
    if (!gateway_is_member(core, node)) {
        return ERR_NOT_FOUND;
    }
    if (core->leading) {
        core->more = true;
        return node == core->node ? 0 : driver_transfer(core->driver, node);
    }
    Holdfast__TransferLeadership transfer = HOLDFAST__TRANSFER_LEADERSHIP__INIT;
    Holdfast__PeerGateway message = HOLDFAST__PEER_GATEWAY__INIT;
    message.kind_case = HOLDFAST__PEER_GATEWAY__KIND_TRANSFER_LEADERSHIP;
    message.transfer_leadership = &transfer;
    transfer.node = node;
    return core->leader != 0 && gateway_send(core, core->leader, &message, (struct slice){0}) ? 0 : ERR_UNAVAILABLE;
}

void gateway_fill_status(struct gateway *gateway, struct gateway_status *ret_status)
{
    struct gateway_core *core = gateway_core_of(gateway);
    driver_status(core->driver, &core->status);
    const struct driver_status *status = &core->status;
    *ret_status = (struct gateway_status){
        .cluster = core->options.cluster,
        .node = core->node,
        .leader = status->leader,
        .term = status->term,
        .commit_index = status->commit_index,
        .applied_index = status->applied_index,
        .log_first = status->log_first,
        .log_last = status->log_last,
        .checkpoint_index = status->checkpoint_index,
        .log_time_ms = gateway_log_time_known_ms(core),
        .machine_version = machine_version(core->machine),
        .version = core->options.version,
        .entries_replayed = status->replayed,
        .sessions = machine_sessions_len(core->machine),
        .refusing = core->refusing,
    };
    for (unsigned i = 0; i < status->members_len && i < ARRAY_LEN(ret_status->members); i++) {
        ret_status->members[ret_status->members_len++] = gateway_member(core, &status->members[i]);
    }
}
