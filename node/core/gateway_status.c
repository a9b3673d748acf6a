/* What operators ask of a node: how it sees the cluster, and that another should lead. */

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "node/core/gateway.h"
#include "proto/base/check.h"

static const char *gateway_role(const struct gateway_core *core, const struct driver_status_member *member)
{
    if (core->status.leader == member->id) {
        return "leader";
    }
    if (!member->voter) {
        return "learner";
    }
    return core->node == member->id && core->status.role == DRIVER_CANDIDATE ? "candidate" : "follower";
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
    const char *at_work = own && core->options.at_work != NULL ? core->options.at_work(core->options.arg) : NULL;
    if (at_work != NULL) {
        return at_work;
    }
    if (member->forgot) {
        return "has lost what it had acknowledged, and is told to fetch a copy of the state";
    }
    if (member->needs_rebuild) {
        return "needs a copy of the state: what it lacks is no longer in the leader's log";
    }
    return "";
}

static struct gateway_status_member gateway_member(const struct gateway_core *core,
                                                   const struct driver_status_member *member)
{
    const struct peer *peer = peers_find(core->options.peers, member->id);
    return (struct gateway_status_member){
        .id = member->id,
        .peer_address = member->address,
        .client_address = peers_client_address(core->options.peers, member->id),
        .role = gateway_role(core, member),
        .connected = member->id == core->node || (peer != NULL && peer->connected),
        .match_index = member->id == core->node ? core->status.log_stored : member->match_index,
        .detail = gateway_detail(core, member),
        .voter = member->voter,
        .zone = gateway_zone(core, member->id),
        .preferred = gateway_preferred(core, member->id),
    };
}

/* ---- Alarms ---- */

/* One after the other, as far as there is room. */
static void alarm_append(char text[ROSTER_ALARM_LEN], const char *more)
{
    size_t len = strlen(text);
    if (more != NULL && more[0] != '\0') {
        (void)snprintf(text + len, ROSTER_ALARM_LEN - len, "%s%s", len > 0 ? "; " : "", more);
    }
}

void gateway_own_alarm(struct gateway_core *core, char ret_text[ROSTER_ALARM_LEN])
{
    ret_text[0] = '\0';
    alarm_append(ret_text, core->options.alarm != NULL ? core->options.alarm(core->options.arg) : "");
    alarm_append(ret_text, gateway_digests_alarm(core));
    char clock[CLOCKS_TEXT_LEN];
    gateway_clocks_alarm(core, clock);
    alarm_append(ret_text, clock);
}

/* What does not fit any more is left out. */
__attribute__((format(printf, 3, 4))) static void alarm_add(struct gateway_core *core, struct gateway_status *status,
                                                            const char *format, ...)
{
    if (status->alarms_len == GATEWAY_ALARMS_MAX) {
        return;
    }
    char *text = core->alarms[status->alarms_len];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, GATEWAY_ALARM_LEN, format, args);
    va_end(args);
    status->alarms[status->alarms_len++] = text;
}

/* What other nodes have said to their leader. */
static void alarms_of_others(struct gateway_core *core, struct gateway_status *status)
{
    for (unsigned i = 0; core->leading && i < core->status.members_len; i++) {
        const struct roster_node *node = roster_find(&core->roster, core->status.members[i].id);
        if (node != NULL && node->id != core->node && node->alarm[0] != '\0') {
            alarm_add(core, status, "node %" PRIu64 ": %s", node->id, node->alarm);
        }
    }
}

static void gateway_fill_alarms(struct gateway_core *core, struct gateway_status *status)
{
    char own[ROSTER_ALARM_LEN];
    gateway_own_alarm(core, own);
    if (own[0] != '\0') {
        alarm_add(core, status, "node %" PRIu64 ": %s", core->node, own);
    }
    if (core->leading && core->status.change_index != 0) {
        alarm_add(core, status, "a change of the membership (entry %" PRIu64 ") is not committed yet",
                  core->status.change_index);
    }
    if (gateway_zones_alarm(core)[0] != '\0') {
        alarm_add(core, status, "%s", gateway_zones_alarm(core));
    }
    char version[GATEWAY_ALARM_LEN];
    gateway_version_alarm(core, version);
    if (version[0] != '\0') {
        alarm_add(core, status, "%s", version);
    }
    alarms_of_others(core, status);
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
    gateway_fill_alarms(core, ret_status);
}
