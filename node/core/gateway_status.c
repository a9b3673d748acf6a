/* What operators ask the gateway: queues and status. */

#include "node/core/gateway.h"
#include "proto/base/check.h"

struct queue_listing {
    const struct gateway_query_sink *sink;
    size_t left;
    bool more;
};

static int list_queue(void *arg, const struct machine_queue *queue)
{
    struct queue_listing *listing = arg;
    if (listing->left == 0) {
        listing->more = true;
        return 1;
    }
    listing->left--;
    listing->sink->queue(listing->sink->arg, queue->name, queue->ready, queue->unsettled, queue->consumers);
    return 0;
}

int gateway_list_queues(struct gateway *gateway, const char *after, size_t max, const struct gateway_query_sink *sink,
                        bool *ret_more)
{
    struct gateway_core *core = container_of(gateway, struct gateway_core, base);
    if (!core->leading) {
        return ERR_NOT_LEADER;
    }
    struct queue_listing listing = {.sink = sink, .left = max};
    int err = machine_queues(core->machine, after, list_queue, &listing);
    if (err < 0) {
        return err;
    }
    *ret_more = listing.more;
    return 0;
}

static const char *gateway_role(const struct gateway_core *core, uint64_t node)
{
    if (core->status.leader == node) {
        return "leader";
    }
    return core->node == node && core->status.role == DRIVER_CANDIDATE ? "candidate" : "follower";
}

static struct gateway_status_member gateway_member(const struct gateway_core *core,
                                                   const struct driver_status_member *member)
{
    const struct peer *peer = peers_find(core->peers, member->id);
    return (struct gateway_status_member){
        .id = member->id,
        .peer_address = member->address,
        .client_address = peers_client_address(core->peers, member->id),
        .role = gateway_role(core, member->id),
        .connected = member->id == core->node || (peer != NULL && peer->connected),
        .match_index = member->id == core->node ? core->status.log_stored : member->match_index,
        .detail = member->needs_rebuild ? "needs a rebuild: what it lacks is no longer in the leader's log"
                  : member->voter       ? ""
                                        : "does not vote",
    };
}

void gateway_fill_status(struct gateway *gateway, struct gateway_status *ret_status)
{
    struct gateway_core *core = container_of(gateway, struct gateway_core, base);
    driver_status(core->driver, &core->status);
    const struct driver_status *status = &core->status;
    *ret_status = (struct gateway_status){
        .cluster = core->cluster,
        .node = core->node,
        .leader = status->leader,
        .term = status->term,
        .commit_index = status->commit_index,
        .applied_index = status->applied_index,
        .log_first = status->log_first,
        .log_last = status->log_last,
        .checkpoint_index = status->checkpoint_index,
        .log_time_ms = machine_time_ms(core->machine),
        .machine_version = machine_version(core->machine),
        .version = core->version,
        .entries_replayed = status->replayed,
    };
    for (unsigned i = 0; i < status->members_len && i < ARRAY_LEN(ret_status->members); i++) {
        ret_status->members[ret_status->members_len++] = gateway_member(core, &status->members[i]);
    }
}
