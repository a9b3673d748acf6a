/* Commands about nodes, issued by the leader: which process of which node is there. */

#include "proto/base/fault.h"
#include "statemachine/command/command.h"

static int node_appear(struct machine *machine, const Holdfast__NodePresent *present, struct reply *reply)
{
    struct presence *presence;
    int err = presence_new(machine, present->node, present->run, &presence);
    if (err == ERR_LIMIT) {
        reply_fail(reply, ERR_LIMIT, DETAIL_NODES);
        return 0;
    }
    if (err == 0) {
        presence_changed(machine, presence);
    }
    return err;
}

int command_node_present(struct machine *machine, const Holdfast__NodePresent *present, struct reply *reply)
{
    if (present->node == 0 || present->run == 0) {
        reply_fail(reply, ERR_INVALID, DETAIL_NODE_ZERO);
        return 0;
    }
    struct presence *presence = presence_find(machine, present->node);
    if (presence == NULL) {
        return node_appear(machine, present, reply);
    }
    if (presence->run == present->run) {
        return 0;
    }
    int err = presence_end_run(machine, presence);
    if (err == 0) {
        presence_set_run(machine, presence, present->run);
    }
    return err;
}

int command_node_lost(struct machine *machine, const Holdfast__NodeLost *lost, struct reply *reply)
{
    struct presence *presence = presence_find(machine, lost->node);
    if (presence == NULL || (presence->run != lost->run && !fault_fires(FAULT_SKIP_RUN_CHECK))) {
        reply_fail(reply, ERR_STALE, DETAIL_NODE_RUN);
        return 0;
    }
    int err = presence_end_run(machine, presence);
    if (err == 0) {
        presence_free(machine, presence);
    }
    return err;
}
