/* A message comes into a queue: which one, whether it may, and what it brings along. */

#include <inttypes.h>
#include <string.h>

#include "proto/base/bytes.h"
#include "sim_ledger_private.h"
#include "sim_world.h"

/* Log time may run ahead of real time by a tenth, and a node's clock by a twentieth. */
#define REAL_PART 85u
#define REAL_SLACK_US 5000u

bool look_passed_really(const struct look *look, uint64_t since_us, uint64_t ms)
{
    uint64_t passed_us = sim_world_now(look->world) - since_us;
    return passed_us + REAL_SLACK_US >= ms * 1000 * REAL_PART / 100;
}

bool look_id_seen(struct look *look, unsigned queue, const struct sim_parcel *parcel)
{
    return look->world->features.queues[queue].id_window_ms > 0 && parcel->id != 0 &&
           look->ledger->queues[queue].seen_until_ms[parcel->id - 1] > look->time_ms;
}

static void id_note(struct look *look, unsigned queue, const struct sim_parcel *parcel)
{
    uint64_t window_ms = look->world->features.queues[queue].id_window_ms;
    if (window_ms > 0 && parcel->id != 0) {
        look->ledger->queues[queue].seen_until_ms[parcel->id - 1] = look->time_ms + window_ms;
    }
}

/* A delayed message, or a prepared one whose deadline has come, takes its way by itself. */
static void arrive_due(struct look *look, unsigned queue, const struct sim_item *item, struct sim_parcel *parcel)
{
    if (!parcel->taken || parcel->dropped || parcel->due_ms == 0) {
        LOOK_VIOLATION(look, queue, item, "it came although nobody has sent it there");
        return;
    }
    if (look->time_ms < parcel->due_ms) {
        LOOK_VIOLATION(look, queue, item, "it came %" PRIu64 " ms before its time", parcel->due_ms - look->time_ms);
    }
    if (parcel->prepared == 0 && !look_passed_really(look, parcel->sent_us, parcel->delay_ms)) {
        LOOK_VIOLATION(look, queue, item, "it came %" PRIu64 " us after it was sent, with a delay of %" PRIu64 " ms",
                       sim_world_now(look->world) - parcel->sent_us, parcel->delay_ms);
    }
    sim_world_count(look->world, parcel->prepared == 0 ? SIM_STAT_F_DUE : SIM_STAT_F_DEADLINE, 1);
    sim_world_count(look->world, parcel->resolved ? SIM_STAT_F_LATE_RESOLVED : SIM_STAT_F_LATE_DUE, parcel->waited);
    look->ledger->pending--;
    look_route(look, item->parcel, parcel);
}

void look_arrive_published(struct look *look, unsigned queue, const struct sim_item *item, struct sim_parcel *parcel)
{
    if (!parcel->routed) {
        arrive_due(look, queue, item, parcel);
    }
    if ((parcel->routes >> queue & 1) == 0) {
        LOOK_VIOLATION(look, queue, item, "it came where its way does not lead");
    } else if ((parcel->in >> queue & 1) != 0) {
        LOOK_VIOLATION(look, queue, item, "it came a second time");
    } else if (look_id_seen(look, queue, parcel)) {
        LOOK_VIOLATION(look, queue, item, "it came although its id had been seen");
    }
    parcel->in |= 1u << queue;
    bool keeps = look->world->features.queues[queue].overflow == HOLDFAST__QUEUE_OPTIONS__OVERFLOW__REJECT_NEW;
    look->back[queue] += keeps && (parcel->due_ms != 0 || parcel->prepared != 0);
    id_note(look, queue, parcel);
    bool expected = false;
    for (size_t i = 0; i < look->expected_len; i++) {
        expected = expected || (look->expected[i].parcel == item->parcel && look->expected[i].queue == queue);
    }
    if (!expected) {
        LOOK_VIOLATION(look, queue, item, "it came late: others of its ways were taken before");
    }
}

static unsigned queue_by_name(const struct look *look, const char *name)
{
    unsigned queue = 0;
    while (queue < SIM_FEATURE_QUEUES && strcmp(look->world->features.queues[queue].name, name) != 0) {
        queue++;
    }
    return queue;
}

static unsigned why_of(Holdfast__Death__Reason reason)
{
    static const unsigned whys[] = {WHY_REJECTED, WHY_EXPIRED, WHY_MAXLEN, WHY_LIMIT};
    return (unsigned)reason < 4 ? whys[reason] : 0;
}

static void arrive_dead(struct look *look, unsigned queue, const struct sim_item *item, const Holdfast__Trail *trail)
{
    unsigned from = queue_by_name(look, trail->death[0]->queue);
    if (queue != SIM_Q_DEAD || from == SIM_FEATURE_QUEUES || !look->world->features.queues[from].dead_letters) {
        LOOK_VIOLATION(look, queue, item, "a dead letter of '%s' came here", trail->death[0]->queue);
        return;
    }
    if (trail->death[0]->count != 1) {
        LOOK_VIOLATION(look, queue, item, "it has died %" PRIu64 " times, and can only have once",
                       trail->death[0]->count);
    }
    if (look->deaths_len < LOOK_MOVES_MAX) {
        look->deaths[look->deaths_len++] = (struct look_death){
            .parcel = item->parcel, .from = from, .to = queue, .why = why_of(trail->death[0]->reason)};
    }
}

/* When its time is over, by what its sender and the queue said. */
static uint64_t expires_of(const struct look *look, unsigned queue, const struct sim_parcel *parcel, bool no_ttl)
{
    const struct sim_feature_options *options = &look->world->features.queues[queue];
    uint64_t ttl_ms = parcel->has_ttl && !no_ttl ? parcel->ttl_ms : UINT64_MAX;
    ttl_ms = options->has_ttl && options->ttl_ms < ttl_ms ? options->ttl_ms : ttl_ms;
    return ttl_ms == UINT64_MAX ? 0 : look->time_ms + ttl_ms;
}

static uint8_t lane_of(const struct sim_feature_options *options, const struct sim_parcel *parcel)
{
    unsigned priority = parcel->priority > options->max_priority ? options->max_priority : parcel->priority;
    return (uint8_t)(options->max_priority - priority);
}

void look_arrive(struct look *look, unsigned queue, struct sim_item *item)
{
    struct machine_content content;
    int err = machine_content(look->machine, look->ledger->queues[queue].id, item->position, &content);
    if (err != 0) {
        LOOK_VIOLATION(look, queue, item, "it cannot be read: %s", err_name(err));
        return;
    }
    item->parcel = content.body.len >= 8 ? get_u64(content.body.data) : 0;
    struct sim_parcel *parcel = sim_ledger_parcel(look->world, item->parcel);
    Holdfast__Trail *trail =
        content.trail.len == 0 ? NULL : holdfast__trail__unpack(NULL, content.trail.len, content.trail.data);
    look->arrived[queue]++;
    sim_world_count(look->world, SIM_STAT_F_ARRIVED, 1);
    if (parcel == NULL) {
        LOOK_VIOLATION(look, queue, item, "nobody has sent it");
    } else {
        item->group = parcel->group;
        item->arrived_us = sim_world_now(look->world);
        uint64_t expires_ms = expires_of(look, queue, parcel, trail != NULL && trail->n_death > 0);
        if (item->expires_ms != expires_ms) {
            LOOK_VIOLATION(look, queue, item, "it is to expire at %" PRIu64 ", not at %" PRIu64, item->expires_ms,
                           expires_ms);
        }
        if (item->position >> 56 != lane_of(&look->world->features.queues[queue], parcel)) {
            LOOK_VIOLATION(look, queue, item, "it has priority %u", parcel->priority);
        }
        if (trail != NULL && trail->n_death > 0) {
            arrive_dead(look, queue, item, trail);
        } else {
            look_arrive_published(look, queue, item, parcel);
        }
    }
    if (trail != NULL) {
        holdfast__trail__free_unpacked(trail, NULL);
    }
    machine_content_done(&content);
}
