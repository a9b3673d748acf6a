/* Who is there: this node tells the leader that it is; the leader says in the log who has come and who is lost; and a node
 * that is cut off, or whose disk does not answer, tells its clients to go elsewhere. */

#include <inttypes.h>
#include <stdio.h>

#include "node/core/gateway.h"
#include "proto/base/check.h"

/* How often within the time after which a node is taken for lost it is looked at, and says that it is there. */
#define LOOKS_PER_TIMEOUT 5u

/* A leader that cannot do its work tries to hand over again after this time. */
#define HAND_OVER_RETRY_MS 1000u

/* A node that sent commands within this time has clients that wait for what is committed. */
#define PROMPT_MS 1000u

/* ---- As leader ---- */

void gateway_presence_heard(struct gateway_core *core, uint64_t id, uint64_t run)
{
    uint64_t now_ms = gateway_now_ms(core);
    struct roster_node *node = roster_get(&core->roster, id, now_ms);
    if (node == NULL) {
        return;
    }
    node->heard_ms = now_ms;
    node->run = run;
    struct machine_node known;
    bool present = machine_node(core->machine, id, &known) == 0 && known.run == run;
    if (!present && node->asked_present != run && gateway_push_node_present(core, id, run) == 0) {
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

static void presence_look_for_lost(struct gateway_core *core, uint64_t now_ms)
{
    struct machine_node known[NODES_PRESENT_MAX];
    unsigned len = machine_nodes(core->machine, known);
    for (unsigned i = 0; i < len; i++) {
        struct roster_node *node = roster_get(&core->roster, known[i].id, now_ms);
        if (node == NULL || now_ms < node->heard_ms + core->options.presence_timeout_ms ||
            node->asked_lost == known[i].run) {
            continue;
        }
        if (gateway_push_node_lost(core, known[i].id, known[i].run) == 0) {
            journal_warning(core->journal, "presence",
                            "node %" PRIu64 " has not been heard of for %" PRIu64
                            " ms: its clients' sessions begin to expire",
                            known[i].id, now_ms - node->heard_ms);
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

/* A node that is not heard of does not count as having room. */
static bool presence_has_room(const struct gateway_core *core, uint64_t id, uint64_t now_ms)
{
    if (id == core->node) {
        return !core->pressure.disk_low && !core->pressure.memory_low;
    }
    const struct roster_node *node = roster_find(&core->roster, id);
    return node != NULL && !node->disk_low && !node->memory_low &&
           now_ms < node->heard_ms + core->options.presence_timeout_ms;
}

static const char *presence_shortage(const struct gateway_core *core, uint64_t id)
{
    const struct roster_node *node = roster_find(&core->roster, id);
    bool own = id == core->node;
    bool disk = own ? core->pressure.disk_low : node != NULL && node->disk_low;
    bool memory = own ? core->pressure.memory_low : node != NULL && node->memory_low;
    return disk ? "its disk is nearly full" : memory ? "its memory is nearly used up" : "it is not heard of";
}

static void presence_say_refusing(struct gateway_core *core, uint64_t now_ms, char text[sizeof core->refusing])
{
    size_t len = (size_t)snprintf(text, sizeof core->refusing, "new messages are refused:");
    for (unsigned i = 0; i < core->status.members_len && len < sizeof core->refusing; i++) {
        uint64_t id = core->status.members[i].id;
        if (core->status.members[i].voter && !presence_has_room(core, id, now_ms)) {
            len += (size_t)snprintf(text + len, sizeof core->refusing - len, " node %" PRIu64 ": %s;", id,
                                    presence_shortage(core, id));
        }
    }
}

/* New messages need room on a majority's disks, ours among them. What is in is delivered and settled all the same. */
static void presence_refuse(struct gateway_core *core, uint64_t now_ms)
{
    unsigned voters = 0;
    unsigned with_room = 0;
    for (unsigned i = 0; i < core->status.members_len; i++) {
        voters += core->status.members[i].voter;
        with_room += core->status.members[i].voter && presence_has_room(core, core->status.members[i].id, now_ms);
    }
    bool own = presence_has_room(core, core->node, now_ms);
    bool short_of = core->pressure.disk_low || core->pressure.memory_low;
    for (unsigned i = 0; i < core->roster.len; i++) {
        short_of = short_of || core->roster.nodes[i].disk_low || core->roster.nodes[i].memory_low;
    }
    char text[sizeof core->refusing] = "";
    if (short_of && (!own || with_room <= voters / 2)) {
        presence_say_refusing(core, now_ms, text);
    }
    if ((text[0] != '\0') != (core->refusing[0] != '\0')) {
        journal_warning(core->journal, "pressure", "%s",
                        text[0] != '\0' ? text : "there is room again: new messages are taken");
    }
    (void)snprintf(core->refusing, sizeof core->refusing, "%s", text);
    if (text[0] != '\0') {
        batch_refuse_publishes(&core->batch, gateway_refused_header());
    }
}

/* To one that has room, if this node has none while others do. */
static void presence_hand_over(struct gateway_core *core, uint64_t now_ms)
{
    if (now_ms < core->hand_over_ms || (!core->stalled && !core->pressure.disk_low)) {
        return;
    }
    for (unsigned i = 0; i < core->status.members_len; i++) {
        const struct driver_status_member *member = &core->status.members[i];
        if (member->id == core->node || !member->voter || !presence_has_room(core, member->id, now_ms)) {
            continue;
        }
        core->hand_over_ms = now_ms + HAND_OVER_RETRY_MS;
        if (driver_transfer(core->driver, member->id) == 0) {
            journal_info(core->journal, "pressure", "handing leadership over to node %" PRIu64 ": %s", member->id,
                         core->stalled ? "the disk of this node does not answer"
                                       : "the disk of this node is nearly full");
            return;
        }
    }
}

static void presence_lead(struct gateway_core *core, uint64_t now_ms)
{
    if (!core->serving) {
        return;
    }
    gateway_presence_heard(core, core->node, core->run);
    presence_look_for_lost(core, now_ms);
    presence_prompt(core, now_ms);
    presence_refuse(core, now_ms);
    presence_hand_over(core, now_ms);
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
    presence.disk_low = core->pressure.disk_low;
    presence.memory_low = core->pressure.memory_low;
    (void)gateway_send(core, core->leader, &message, (struct slice){0});
}

static void presence_measure(struct gateway_core *core)
{
    const struct gateway_core_options *options = &core->options;
    struct pressure_sample sample = {
        .disk_free = UINT64_MAX,
        .memory_used = options->memory_used != NULL ? options->memory_used(options->arg) : 0,
        .log_short = core->status.log_short || core->status.log_full,
    };
    uint64_t disk_free;
    if (options->disk->ops->free_space(options->disk, &disk_free) == 0) {
        sample.disk_free = disk_free;
    }
    struct pressure before = core->pressure;
    if (!pressure_update(&core->pressure, &options->limits, &sample)) {
        return;
    }
    if (before.disk_low != core->pressure.disk_low) {
        journal_warning(core->journal, "pressure", "disk: %" PRIu64 " MiB free: %s", sample.disk_free / MIB,
                        core->pressure.disk_low ? "below the watermark, or the log cannot grow" : "enough again");
    }
    if (before.memory_low != core->pressure.memory_low) {
        journal_warning(core->journal, "pressure", "memory: %" PRIu64 " MiB used: %s", sample.memory_used / MIB,
                        core->pressure.memory_low ? "above the watermark" : "below the watermark again");
    }
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

/* Longer than a cluster is silent that is only slow: sending everything again would make it slower still. */
static uint64_t presence_stuck_ms(const struct gateway_core *core)
{
    uint64_t stalls_ms = (uint64_t)core->options.disk_stall_ms * 2;
    uint64_t isolation_ms = (uint64_t)core->options.isolation_timeout_ms * 4;
    return stalls_ms > isolation_ms ? stalls_ms : isolation_ms;
}

/* With a leader and a disk, commands are answered. If none is although some wait, this node lags too far behind, or has
 * lost something on the way: others serve better. */
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
        core->roster.nodes[i].heard_ms += late_ms;
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
    if (due_ms != 0 && now_ms - due_ms > core->options.presence_timeout_ms / LOOKS_PER_TIMEOUT) {
        presence_forgive(core, now_ms - due_ms);
    }
    core->roster.due_ms = now_ms + core->options.presence_timeout_ms / LOOKS_PER_TIMEOUT;
    driver_status(core->driver, &core->status);
    presence_measure(core);
    presence_watch_disk(core);
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
