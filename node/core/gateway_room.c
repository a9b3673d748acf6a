/* Room: how much of disk and memory this node has; whether, as leader, it refuses new messages; and to whom it hands
 * leadership over when it is not fit for it. */

#include <inttypes.h>
#include <stdio.h>

#include "node/core/gateway.h"

/* A leader that cannot do its work tries to hand over again after this time. */
#define HAND_OVER_RETRY_MS 1000u

/* Above the watermark, freed memory is given back to the system this often: that takes a while. */
#define RELAX_PAUSE_MS 30000u

/* What was freed counts as used until the system has it back: then it is no reason to refuse anything. */
static uint64_t room_memory_used(struct gateway_core *core, uint64_t now_ms)
{
    const struct gateway_core_options *options = &core->options;
    uint64_t max = options->limits.memory_max;
    uint64_t used = options->memory_used != NULL ? options->memory_used(options->arg) : 0;
    bool matters = max != 0 && (used > max || core->pressure.memory_low);
    if (!matters || options->relax == NULL || now_ms < core->relax_ms) {
        return used;
    }
    core->relax_ms = now_ms + RELAX_PAUSE_MS;
    options->relax(options->arg);
    return options->memory_used(options->arg);
}

void gateway_room_measure(struct gateway_core *core, uint64_t now_ms)
{
    const struct gateway_core_options *options = &core->options;
    struct pressure_sample sample = {
        .disk_free = UINT64_MAX,
        .memory_used = room_memory_used(core, now_ms),
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

static bool room_is_heard(const struct gateway_core *core, uint64_t id, uint64_t now_ms)
{
    const struct roster_node *node = roster_find(&core->roster, id);
    return node != NULL && node->run != 0 && now_ms < node->heard_ms + core->options.presence_timeout_ms;
}

/* A node that is not heard of does not count as having room. */
static bool room_has_room(const struct gateway_core *core, uint64_t id, uint64_t now_ms)
{
    if (id == core->node) {
        return !core->pressure.disk_low && !core->pressure.memory_low;
    }
    const struct roster_node *node = roster_find(&core->roster, id);
    return room_is_heard(core, id, now_ms) && !node->disk_low && !node->memory_low;
}

bool gateway_room_has(const struct gateway_core *core, uint64_t node)
{
    return room_has_room(core, node, gateway_now_ms(core));
}

static const char *room_shortage(const struct gateway_core *core, uint64_t id)
{
    const struct roster_node *node = roster_find(&core->roster, id);
    bool own = id == core->node;
    bool disk = own ? core->pressure.disk_low : node != NULL && node->disk_low;
    bool memory = own ? core->pressure.memory_low : node != NULL && node->memory_low;
    return disk     ? "its disk is nearly full, or does not answer"
           : memory ? "its memory is nearly used up"
                    : "nothing has been heard of it yet, or any more";
}

static void room_say_refusing(struct gateway_core *core, uint64_t now_ms, char text[sizeof core->refusing])
{
    size_t len = (size_t)snprintf(text, sizeof core->refusing, "new messages are refused");
    const char *between = ":";
    for (unsigned i = 0; i < core->status.members_len && len < sizeof core->refusing; i++) {
        uint64_t id = core->status.members[i].id;
        if (core->status.members[i].voter && !room_has_room(core, id, now_ms)) {
            len += (size_t)snprintf(text + len, sizeof core->refusing - len, "%s node %" PRIu64 ": %s", between, id,
                                    room_shortage(core, id));
            between = ";";
        }
    }
}

/* New messages need room on a majority's disks, ours among them. What is in is delivered and settled all the same. */
void gateway_room_refuse(struct gateway_core *core, uint64_t now_ms)
{
    unsigned voters = 0;
    unsigned with_room = 0;
    bool own = room_has_room(core, core->node, now_ms);
    bool short_of = !own || core->refusing[0] != '\0'; /* Of whom nothing is known yet: as before. */
    for (unsigned i = 0; i < core->status.members_len; i++) {
        const struct driver_status_member *member = &core->status.members[i];
        const struct roster_node *node = roster_find(&core->roster, member->id);
        voters += member->voter;
        with_room += member->voter && room_has_room(core, member->id, now_ms);
        short_of = short_of || (member->voter && node != NULL && (node->disk_low || node->memory_low));
    }
    char text[sizeof core->refusing] = "";
    if (short_of && (!own || with_room <= voters / 2)) {
        room_say_refusing(core, now_ms, text);
    }
    if ((text[0] != '\0') != (core->refusing[0] != '\0')) {
        journal_warning(core->journal, "pressure", "%s",
                        text[0] != '\0' ? text : "there is room again: new messages are taken");
        core->clocks_ms = 0; /* The other nodes' clients are told soon, too. */
    }
    (void)snprintf(core->refusing, sizeof core->refusing, "%s", text);
    if (text[0] != '\0') {
        batch_refuse_publishes(&core->batch, gateway_refused_header());
    }
}

/* Clients of this node are told to wait, and when there is room again. The last word of a leader that is gone counts until the next
 * one's. */
void gateway_room_heard(struct gateway_core *core, const char *refusing)
{
    struct roster_node said = {0}; /* Its line is made fit for people. */
    roster_set_alarm(&said, refusing);
    (void)snprintf(core->refusing, sizeof core->refusing, "%s", said.alarm);
}

/* The voter that holds most of the log, of those that have room: one that hangs would never be ready. With `any`, of those
 * that are heard of. NULL: there is none. */
static const struct driver_status_member *room_successor(const struct gateway_core *core, uint64_t now_ms, bool any)
{
    const struct driver_status_member *best = NULL;
    for (unsigned i = 0; i < core->status.members_len; i++) {
        const struct driver_status_member *member = &core->status.members[i];
        bool fit = any ? room_is_heard(core, member->id, now_ms) : room_has_room(core, member->id, now_ms);
        if (member->id != core->node && member->voter && fit &&
            (best == NULL || member->match_index > best->match_index)) {
            best = member;
        }
    }
    return best;
}

/* What is wrong with this node as a leader; NULL: nothing. */
static const char *room_unfit(const struct gateway_core *core)
{
    return core->stalled               ? "the disk of this node does not answer"
           : core->pressure.disk_low   ? "the disk of this node is nearly full"
           : core->pressure.memory_low ? "the memory of this node is nearly used up"
                                       : NULL;
}

/* To one that has room, if this node has none while others do; to any, when nothing can be done here. */
void gateway_room_hand_over(struct gateway_core *core, uint64_t now_ms)
{
    const char *unfit = room_unfit(core);
    if (unfit == NULL || now_ms < core->hand_over_ms) {
        return;
    }
    const struct driver_status_member *to = room_successor(core, now_ms, false);
    if (to == NULL && core->stalled) {
        to = room_successor(core, now_ms, true);
    }
    if (to == NULL) {
        return;
    }
    core->hand_over_ms = now_ms + HAND_OVER_RETRY_MS;
    if (driver_transfer(core->driver, to->id) == 0) {
        journal_info(core->journal, "pressure", "handing leadership over to node %" PRIu64 ": %s", to->id, unfit);
    }
}
