/* Who is there: this node tells the leader that it is; the leader says in the log who has come and who is lost; and a node
 * that is cut off, or whose disk does not answer, tells its clients to go elsewhere. */

#include <inttypes.h>
#include <stdio.h>

#include "node/core/gateway.h"
#include "proto/base/check.h"

/* How often within the time after which a node is taken for lost it is looked at, and says that it is there. */
#define LOOKS_PER_TIMEOUT 5u

/* A node that sent commands within this time has clients that wait for what is committed. */
#define PROMPT_MS 1000u

/* ---- As leader ---- */

static const struct driver_status_member *presence_member(const struct gateway_core *core, uint64_t id)
{
    for (unsigned i = 0; i < core->status.members_len; i++) {
        if (core->status.members[i].id == id) {
            return &core->status.members[i];
        }
    }
    return NULL;
}

/* Longer than a cluster is silent that is only slow. */
static uint64_t presence_stuck_ms(const struct gateway_core *core)
{
    uint64_t stalls_ms = (uint64_t)core->options.disk_stall_ms * 2;
    uint64_t isolation_ms = (uint64_t)core->options.isolation_timeout_ms * 4;
    return stalls_ms > isolation_ms ? stalls_ms : isolation_ms;
}

/* One that needs a rebuild, is no member any more, or whose log takes nothing, may say that it is there, but it applies nothing: it
 * would keep sessions for ever, without answering their clients. */
static bool presence_can_follow(const struct gateway_core *core, const struct roster_node *node, uint64_t now_ms)
{
    const struct driver_status_member *member = presence_member(core, node->id);
    bool moves = node->follows_ms == 0 || now_ms < node->follows_ms + presence_stuck_ms(core);
    return member != NULL && !member->needs_rebuild && moves;
}

/* One that is not heard of is not expected to follow. */
static void presence_watch_followers(struct gateway_core *core, uint64_t now_ms)
{
    for (unsigned i = 0; i < core->status.members_len; i++) {
        const struct driver_status_member *member = &core->status.members[i];
        if (roster_find(&core->roster, member->id) == NULL) {
            continue; /* Not heard of yet. */
        }
        struct roster_node *node = roster_get(&core->roster, member->id, now_ms);
        bool silent = now_ms >= node->heard_ms + core->options.presence_timeout_ms;
        bool follows = member->match_index >= node->commit_index || member->match_index != node->match_index;
        if (silent || follows || node->follows_ms == 0 || member->id == core->node) {
            node->follows_ms = now_ms;
        }
        node->match_index = member->match_index;
        node->commit_index = core->status.commit_index;
    }
}

void gateway_presence_heard(struct gateway_core *core, uint64_t id, uint64_t run)
{
    uint64_t now_ms = gateway_now_ms(core);
    struct roster_node *node = roster_get(&core->roster, id, now_ms);
    if (node == NULL) {
        return;
    }
    node->heard_ms = now_ms;
    node->run = run;
    if (presence_member(core, id) == NULL) {
        driver_status(core->driver, &core->status); /* It may have become one since we looked. */
    }
    struct machine_node known;
    bool present = machine_node(core->machine, id, &known) == 0 && known.run == run;
    if (!present && node->asked_present != run && presence_can_follow(core, node, now_ms) &&
        gateway_push_node_present(core, id, run) == 0) {
        node->asked_present = run;
        core->more = true;
    }
}

void gateway_presence_ended(struct gateway_core *core, uint64_t id)
{
    struct roster_node *node = roster_get(&core->roster, id, gateway_now_ms(core));
    if (node != NULL) {
        node->asked_present = 0;
        node->asked_lost = 0;
    }
}

void gateway_core_heard(struct gateway_core *core, uint64_t id)
{
    struct roster_node *node = core->leading ? roster_get(&core->roster, id, 0) : NULL;
    if (node != NULL) {
        node->heard_ms = gateway_now_ms(core);
    }
}

static bool presence_is_lost(const struct gateway_core *core, const struct roster_node *node, uint64_t now_ms)
{
    return now_ms >= node->heard_ms + core->options.presence_timeout_ms || !presence_can_follow(core, node, now_ms);
}

static void presence_look_for_lost(struct gateway_core *core, uint64_t now_ms)
{
    struct machine_node known[NODES_PRESENT_MAX];
    unsigned len = machine_nodes(core->machine, known);
    for (unsigned i = 0; i < len; i++) {
        struct roster_node *node = roster_get(&core->roster, known[i].id, now_ms);
        if (node == NULL || node->asked_lost == known[i].run || !presence_is_lost(core, node, now_ms)) {
            continue;
        }
        if (gateway_push_node_lost(core, known[i].id, known[i].run) == 0) {
            journal_warning(core->journal, "presence",
                            "node %" PRIu64 " %s: its clients' sessions begin to expire (last heard of %" PRIu64
                            " ms ago)",
                            known[i].id, presence_can_follow(core, node, now_ms) ? "is silent" : "does not follow",
                            now_ms > node->heard_ms ? now_ms - node->heard_ms : 0);
            node->asked_lost = known[i].run;
            core->more = true;
        }
    }
}

/* Nodes with clients are told at once what is committed. */
static void presence_prompt(struct gateway_core *core, uint64_t now_ms)
{
    struct machine_node known;
    for (unsigned i = 0; i < core->status.members_len; i++) {
        uint64_t id = core->status.members[i].id;
        const struct roster_node *node = roster_find(&core->roster, id);
        bool recent = node != NULL && node->commands_ms != 0 && now_ms < node->commands_ms + PROMPT_MS;
        bool attached = machine_node(core->machine, id, &known) == 0 && known.sessions > 0;
        if (id != core->node) {
            driver_set_prompt(core->driver, id, recent || attached);
        }
    }
}

/* A node that was removed, and whose clients are taken care of, makes room for others. */
static void presence_forget_strangers(struct gateway_core *core)
{
    struct machine_node known;
    for (unsigned i = core->roster.len; i-- > 0;) {
        uint64_t id = core->roster.nodes[i].id;
        if (presence_member(core, id) == NULL && machine_node(core->machine, id, &known) != 0) {
            roster_forget(&core->roster, id);
        }
    }
}

static void presence_lead(struct gateway_core *core, uint64_t now_ms)
{
    if (core->serving) {
        presence_forget_strangers(core);
        gateway_presence_heard(core, core->node, core->run);
        presence_watch_followers(core, now_ms);
        presence_look_for_lost(core, now_ms);
        presence_prompt(core, now_ms);
        gateway_room_refuse(core, now_ms);
        members_promote(&core->members, &core->roster, now_ms);
    }
    /* One whose disk takes nothing will never serve. */
    gateway_room_hand_over(core, now_ms);
}

/* ---- As any node ---- */

static void presence_tell(struct gateway_core *core)
{
    if (core->leader == 0) {
        return;
    }
    Holdfast__Presence presence = HOLDFAST__PRESENCE__INIT;
    Holdfast__PeerGateway message = HOLDFAST__PEER_GATEWAY__INIT;
    message.kind_case = HOLDFAST__PEER_GATEWAY__KIND_PRESENCE;
    message.presence = &presence;
    presence.disk_low = core->pressure.disk_low || core->stalled;
    presence.memory_low = core->pressure.memory_low;
    presence.wants_vote = core->options.wants_vote != NULL && core->options.wants_vote(core->options.arg);
    char alarm[ROSTER_ALARM_LEN];
    gateway_own_alarm(core, alarm);
    presence.alarm = alarm;
    presence.machine_version = core->options.machine_version;
    (void)gateway_send(core, core->leader, &message, (struct slice){0});
}

/* A disk that does not answer lets nothing be applied here: other nodes serve better. */
static void presence_watch_disk(struct gateway_core *core)
{
    bool stalled =
        core->status.disk_wait_ms >= core->options.disk_stall_ms || (!core->leading && core->status.log_full);
    if (stalled == core->stalled) {
        return;
    }
    core->stalled = stalled;
    journal_warning(core->journal, "disk", "%s",
                    stalled ? "the log cannot be written: clients are sent elsewhere" : "the log is written again");
    if (stalled) {
        gateway_doom_all(core, "the disk of this node does not answer, or is full");
    }
}

static void presence_watch_leader(struct gateway_core *core, uint64_t now_ms)
{
    if (core->leader == 0 && core->links.len > 0 &&
        now_ms >= core->leaderless_since_ms + core->options.isolation_timeout_ms) {
        gateway_doom_all(core, "this node has been without a leader: it is cut off, or a majority is down");
    }
}

/* With a leader and a disk, commands are answered. If none is although some wait, this node lags too far behind, or has
 * lost something on the way: others serve better. Not too soon: sending everything again makes a slow cluster slower. */
static void presence_watch_answers(struct gateway_core *core, uint64_t now_ms)
{
    if (core->outgoing.len == 0 || core->leader == 0 || core->answers != core->answers_seen) {
        core->answers_seen = core->answers;
        core->stuck_since_ms = now_ms;
        core->stuck = core->stuck && core->outgoing.len > 0 && core->leader != 0;
    }
    if (now_ms >= core->stuck_since_ms + presence_stuck_ms(core)) {
        journal_warning(core->journal, "presence",
                        "commands have not been answered for %" PRIu64 " ms: clients are sent elsewhere",
                        now_ms - core->stuck_since_ms);
        gateway_doom_all(core, "this node does not get answers from the cluster");
        outgoing_rewind(&core->outgoing); /* Whatever was lost on the way, and why. */
        core->stuck_since_ms = now_ms;
        core->stuck = true;
    }
}

/* A process that was itself stopped for a while has heard of nobody: that is not their fault. What they sent meanwhile has
 * not been read yet. */
static void presence_forgive(struct gateway_core *core, uint64_t late_ms)
{
    for (unsigned i = 0; i < core->roster.len; i++) {
        struct roster_node *node = &core->roster.nodes[i];
        node->heard_ms += late_ms;
        node->follows_ms += node->follows_ms != 0 ? late_ms : 0;
    }
    core->stuck_since_ms += late_ms;
}

void gateway_presence_turn(struct gateway_core *core)
{
    uint64_t now_ms = gateway_now_ms(core);
    uint64_t due_ms = core->roster.due_ms;
    if (now_ms < due_ms) {
        return;
    }
    bool stood_still = due_ms != 0 && now_ms - due_ms > core->options.presence_timeout_ms / LOOKS_PER_TIMEOUT;
    if (stood_still) {
        presence_forgive(core, now_ms - due_ms);
    }
    core->roster.due_ms = now_ms + core->options.presence_timeout_ms / LOOKS_PER_TIMEOUT;
    driver_status(core->driver, &core->status);
    gateway_room_measure(core, now_ms);
    if (!stood_still) { /* What the disk did meanwhile is not known yet. */
        presence_watch_disk(core);
    }
    presence_watch_leader(core, now_ms);
    presence_watch_answers(core, now_ms);
    if (core->leading) {
        presence_lead(core, now_ms);
    } else {
        presence_tell(core);
    }
}

uint64_t gateway_presence_deadline_ms(const struct gateway_core *core)
{
    return core->roster.due_ms;
}
