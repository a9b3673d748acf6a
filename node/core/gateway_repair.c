/* Nodes that are to begin anew with a copy of the state: because an operator wants it, because the leader has seen that they lost
 * something, or because they say so themselves. */

#include <inttypes.h>
#include <stdio.h>

#include "node/core/gateway.h"

/* A node is told at most this often that its data is not to be relied on. */
#define REPAIR_PAUSE_MS 1000u

static bool repair_send(struct gateway_core *core, uint64_t node, const char *reason, bool ordered)
{
    Holdfast__Repair repair = HOLDFAST__REPAIR__INIT;
    Holdfast__PeerGateway message = HOLDFAST__PEER_GATEWAY__INIT;
    message.kind_case = HOLDFAST__PEER_GATEWAY__KIND_REPAIR;
    message.repair = &repair;
    repair.reason = (char *)(uintptr_t)reason;
    repair.ordered = ordered;
    return gateway_send(core, node, &message, (struct slice){0});
}

/* Whether the other voters that this node can reach, and itself, are a majority of all without `node`. If not, a node that begins
 * anew would find nobody who can give it a copy, and would be missing for whoever is left. */
static bool repair_leaves_majority(struct gateway_core *core, uint64_t node)
{
    unsigned voters = 0;
    unsigned there = 0;
    for (unsigned i = 0; i < core->status.members_len; i++) {
        const struct driver_status_member *member = &core->status.members[i];
        const struct peer *peer = peers_find(core->options.peers, member->id);
        bool up = member->id == core->node || (peer != NULL && peer->connected);
        voters += member->voter;
        there += member->voter && member->id != node && up;
    }
    return there > voters / 2;
}

static bool gateway_is_voter(const struct gateway_core *core, uint64_t node)
{
    for (unsigned i = 0; i < core->status.members_len; i++) {
        if (core->status.members[i].id == node) {
            return core->status.members[i].voter;
        }
    }
    return false;
}

int gateway_repair(struct gateway *gateway, uint64_t node)
{
    static const char reason[] = "asked for by an operator";
    struct gateway_core *core = gateway_core_of(gateway);
    if (!gateway_knows_member(core, node)) {
        return ERR_NOT_FOUND;
    }
    if (gateway_is_voter(core, node) && !repair_leaves_majority(core, node)) {
        return ERR_REFUSED;
    }
    if (node != core->node) {
        return repair_send(core, node, reason, true) ? 0 : ERR_UNAVAILABLE;
    }
    if (core->options.repair == NULL) {
        return ERR_UNAVAILABLE;
    }
    core->options.repair(core->options.arg, reason, true);
    return 0;
}

/* Whether there are others enough is asked again when an operator wants it: they may have gone while the order was on its way. It is
 * not asked when what is said may be that this node has lost what it acknowledged. */
void gateway_repair_take(struct gateway_core *core, uint64_t from, const Holdfast__Repair *repair)
{
    struct roster_node said = {0}; /* Its line is made fit for people. */
    roster_set_alarm(&said, repair->reason);
    if (!gateway_knows_member(core, from) || from == core->node) {
        return;
    }
    unsigned others = 0;
    for (unsigned i = 0; i < core->status.members_len; i++) {
        others += core->status.members[i].voter && core->status.members[i].id != core->node;
    }
    if (others == 0 || core->options.repair == NULL) {
        journal_warning(core->journal, "members",
                        "node %" PRIu64 " says that this node's data is not to be relied on (%s), but %s", from,
                        said.alarm,
                        others == 0 ? "there is no other voter to get it from" : "it cannot begin anew by itself");
        return;
    }
    if (repair->ordered && gateway_is_voter(core, core->node) && !repair_leaves_majority(core, core->node)) {
        journal_warning(core->journal, "members",
                        "node %" PRIu64
                        " passes on an operator's order to begin anew: not done, the other voters that can be "
                        "reached are no majority",
                        from);
        return;
    }
    char reason[ROSTER_ALARM_LEN + 64];
    (void)snprintf(reason, sizeof reason, "node %" PRIu64 " says: %s", from, said.alarm);
    core->options.repair(core->options.arg, reason, repair->ordered);
}

void gateway_core_forgot(struct gateway_core *core, uint64_t node, uint64_t had, uint64_t has)
{
    uint64_t now_ms = gateway_now_ms(core);
    struct roster_node *known = core->leading ? roster_get(&core->roster, node, now_ms) : NULL;
    if (known == NULL || (known->repair_ms != 0 && now_ms < known->repair_ms + REPAIR_PAUSE_MS)) {
        return;
    }
    char reason[160];
    (void)snprintf(reason, sizeof reason,
                   "its log ends at entry %" PRIu64 ", but it had acknowledged %" PRIu64 ": what it stored is lost",
                   has, had);
    if (repair_send(core, node, reason, false)) {
        known->repair_ms = now_ms;
        journal_warning(core->journal, "members", "node %" PRIu64 " is told to fetch a copy of the state: %s", node,
                        reason);
    }
}

/* ---- Nodes that ask for a copy ---- */

int gateway_core_admits(struct gateway_core *core, const struct rebuild_asks *asks, struct rebuild_says *ret_says)
{
    *ret_says = (struct rebuild_says){.leader = core->leader};
    if (!core->leading || !core->serving) {
        (void)snprintf(ret_says->why, sizeof ret_says->why,
                       core->leading ? "node %" PRIu64 " leads, but does not serve yet"
                                     : "node %" PRIu64 " does not lead",
                       core->node);
        return ERR_NOT_LEADER;
    }
    if (gateway_digests_unsure(core)) {
        (void)snprintf(ret_says->why, sizeof ret_says->why, "node %" PRIu64 " leads, but its own state may be wrong",
                       core->node);
        return ERR_BUSY;
    }
    struct roster_node *known = roster_get(&core->roster, asks->node, gateway_now_ms(core));
    if (known != NULL) {
        known->wants_vote = false; /* What it said before. */
        known->returning = asks->vote == REBUILD_VOTE_ASKED ? known->returning : asks->vote == REBUILD_VOTE_HAD;
        roster_set_alarm(known, asks->reason);
    }
    core->more = true;
    int err = members_admits(&core->members, asks, known != NULL ? known->run : 0, gateway_now_ms(core), ret_says);
    if (known != NULL && known->returning && ret_says->vote == REBUILD_VOTE_NONE) {
        ret_says->vote = REBUILD_VOTE_HAD; /* It has lost what it had noted of that, too. */
    }
    return err;
}
