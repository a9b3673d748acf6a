/* What nodes tell each other every second: their wall clocks, what log time was, where they stand, whether they are to lead, and, as
 * leader, whether new messages are refused. As leader: one
 * whose clock is wrong hands over to one whose clock is right, since log time leans towards the leader's; and to one that its
 * operator prefers, when that is fit. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "node/core/gateway.h"
#include "proto/base/check.h"

/* A leader whose clock is wrong tries to hand over again after this time. */
#define HAND_OVER_PAUSE_MS 10000u

/* A preferred node that lacks no more entries than this has caught up: under load some are always on their way. */
#define PREFERENCE_BEHIND_MAX 256u

void gateway_clocks_init(struct gateway_core *core)
{
    clocks_init(&core->clocks, core->options.clock_skew_ms);
}

const char *gateway_zone(const struct gateway_core *core, uint64_t node)
{
    const char *own = core->options.zone != NULL ? core->options.zone : "";
    return node == core->node ? own : clocks_zone(&core->clocks, node);
}

bool gateway_preferred(const struct gateway_core *core, uint64_t node)
{
    return node == core->node ? core->options.preferred : clocks_preferred(&core->clocks, node);
}

static bool clocks_connected(const struct gateway_core *core, uint64_t node)
{
    const struct peer *peer = peers_find(core->options.peers, node);
    return node != core->node && peer != NULL && peer->connected;
}

static void clocks_tell(struct gateway_core *core)
{
    Holdfast__WallClock clock = HOLDFAST__WALL_CLOCK__INIT;
    Holdfast__PeerGateway message = HOLDFAST__PEER_GATEWAY__INIT;
    message.kind_case = HOLDFAST__PEER_GATEWAY__KIND_WALL_CLOCK;
    message.wall_clock = &clock;
    clock.wall_ms = core->clock->wall_ms(core->clock);
    clock.zone = (char *)(uintptr_t)gateway_zone(core, core->node); /* protobuf-c does not write to it. */
    clock.preferred = core->options.preferred;
    clock.mark_term = core->mark.term;
    clock.mark_log_ms = core->mark.log_ms;
    clock.mark_wall_ms = core->mark.wall_ms;
    clock.refusing = core->leading ? core->refusing : (char *)(uintptr_t) "";
    for (unsigned i = 0; i < core->status.members_len; i++) {
        if (clocks_connected(core, core->status.members[i].id)) {
            (void)gateway_send(core, core->status.members[i].id, &message, (struct slice){0});
        }
    }
}

int gateway_clocks_take(struct gateway_core *core, uint64_t from, const Holdfast__WallClock *clock)
{
    const struct time_mark mark = {
        .term = clock->mark_term, .log_ms = clock->mark_log_ms, .wall_ms = clock->mark_wall_ms};
    int err =
        clocks_heard(&core->clocks, from, clock->wall_ms, clock->zone, clock->preferred != 0, gateway_now_ms(core));
    if (err == 0 && !core->leading && from == core->leader) {
        gateway_room_heard(core, clock->refusing);
    }
    return err == 0 ? gateway_time_take(core, from, &mark) : ERR_BROKEN;
}

static void clocks_watch(struct gateway_core *core, uint64_t now_ms)
{
    bool was_far = clocks_far(&core->clocks);
    int64_t leap_ms = clocks_look(&core->clocks, core->status.members_len, core->clock->wall_ms(core->clock), now_ms);
    char text[CLOCKS_TEXT_LEN];
    if (leap_ms != 0) {
        clocks_span_text(leap_ms, text);
        journal_warning(core->journal, "clock", "the wall clock leapt %s by %s", leap_ms > 0 ? "forwards" : "back",
                        text);
    }
    if (clocks_far(&core->clocks) && !was_far) {
        clocks_text(&core->clocks, text);
        journal_error(core->journal, "clock", "%s: this node does not lead if another can", text);
    } else if (was_far && !clocks_far(&core->clocks)) {
        journal_warning(core->journal, "clock", "the wall clock is %s",
                        clocks_known(&core->clocks) ? "near the majority's again"
                                                    : "not compared: the clocks of a majority are not known");
    }
}

static void zones_watch(struct gateway_core *core)
{
    struct zone_member members[MEMBERS_MAX];
    unsigned len = 0;
    unsigned in_zone;
    unsigned voters;
    for (; len < core->status.members_len && len < MEMBERS_MAX; len++) {
        const struct driver_status_member *member = &core->status.members[len];
        members[len] = (struct zone_member){.zone = gateway_zone(core, member->id), .voter = member->voter};
    }
    const char *zone = zone_that_stops(members, len, &in_zone, &voters);
    core->zone_alarm[0] = '\0';
    if (zone != NULL) {
        (void)snprintf(core->zone_alarm, sizeof core->zone_alarm,
                       "zone %s holds %u of %u voters: losing it stops the cluster", zone, in_zone, voters);
    }
}

/* ---- As leader ---- */

/* The voter that holds most of the log, of those that have room and whose clock is right. */
static const struct driver_status_member *clocks_successor(const struct gateway_core *core)
{
    const struct driver_status_member *best = NULL;
    for (unsigned i = 0; i < core->status.members_len; i++) {
        const struct driver_status_member *member = &core->status.members[i];
        if (member->id != core->node && member->voter && gateway_room_has(core, member->id) &&
            clocks_right(&core->clocks, member->id) && (best == NULL || member->match_index > best->match_index)) {
            best = member;
        }
    }
    return best;
}

static void clocks_hand_over(struct gateway_core *core, uint64_t now_ms)
{
    const struct driver_status_member *to = clocks_successor(core);
    if (to == NULL || now_ms < core->clocks_hand_over_ms) {
        return;
    }
    core->clocks_hand_over_ms = now_ms + HAND_OVER_PAUSE_MS;
    if (driver_transfer(core->driver, to->id) == 0) {
        char text[CLOCKS_TEXT_LEN];
        clocks_text(&core->clocks, text);
        journal_info(core->journal, "clock", "handing leadership over to node %" PRIu64 ": %s", to->id, text);
    }
}

static bool preference_is_fit(const struct gateway_core *core, const struct driver_status_member *member)
{
    return clocks_connected(core, member->id) && gateway_room_has(core, member->id) &&
           clocks_right(&core->clocks, member->id) && !member->needs_rebuild &&
           member->match_index + PREFERENCE_BEHIND_MAX >= core->status.log_last;
}

static void preference_follow(struct gateway_core *core, uint64_t now_ms)
{
    struct preference_candidate candidates[MEMBERS_MAX];
    unsigned len = 0;
    for (unsigned i = 0; i < core->status.members_len && len < MEMBERS_MAX; i++) {
        const struct driver_status_member *member = &core->status.members[i];
        if (member->id != core->node && member->voter && gateway_preferred(core, member->id)) {
            candidates[len++] =
                (struct preference_candidate){.node = member->id, .fit = preference_is_fit(core, member)};
        }
    }
    uint64_t to = preference_look(&core->preference, candidates, len, now_ms);
    if (to != 0 && driver_transfer(core->driver, to) == 0) {
        journal_info(core->journal, "role", "handing leadership over to node %" PRIu64 ", which is preferred", to);
    }
}

void gateway_clocks_turn(struct gateway_core *core)
{
    uint64_t now_ms = gateway_now_ms(core);
    if (core->leader != 0 && core->leader != core->clocks_leader) {
        core->clocks_leader = core->leader;
        preference_leads(&core->preference, core->leader, gateway_preferred(core, core->leader), now_ms);
    }
    if (now_ms < core->clocks_ms) {
        return;
    }
    core->clocks_ms = now_ms + CLOCKS_TELL_MS;
    driver_status(core->driver, &core->status);
    clocks_watch(core, now_ms);
    gateway_time_turn(core, now_ms);
    clocks_tell(core);
    zones_watch(core);
    if (!core->serving || core->stopping) {
        return;
    }
    if (clocks_far_now(&core->clocks)) {
        clocks_hand_over(core, now_ms);
    } else if (!core->options.preferred && !clocks_far(&core->clocks)) {
        preference_follow(core, now_ms);
    }
}

uint64_t gateway_clocks_deadline_ms(const struct gateway_core *core)
{
    return core->clocks_ms;
}

void gateway_clocks_alarm(const struct gateway_core *core, char ret_text[CLOCKS_TEXT_LEN])
{
    clocks_text(&core->clocks, ret_text);
}

const char *gateway_zones_alarm(const struct gateway_core *core)
{
    return core->zone_alarm;
}
