/* What left the queues in an entry, what came into others, and what was to come: held against each other. */

#include <inttypes.h>
#include <stdlib.h>

#include "sim_ledger_private.h"
#include "sim_world.h"

static struct look_death *death_of(struct look *look, uint64_t parcel, unsigned from)
{
    for (size_t i = 0; i < look->deaths_len; i++) {
        struct look_death *death = &look->deaths[i];
        if (!death->matched && death->parcel == parcel && death->from == from) {
            death->matched = true;
            return death;
        }
    }
    return NULL;
}

static void count_death(struct look *look, unsigned why)
{
    sim_world_count(look->world, SIM_STAT_F_DEAD_REJECTED, why == WHY_REJECTED);
    sim_world_count(look->world, SIM_STAT_F_DEAD_EXPIRED, why == WHY_EXPIRED);
    sim_world_count(look->world, SIM_STAT_F_DEAD_MAXLEN, why == WHY_MAXLEN);
    sim_world_count(look->world, SIM_STAT_F_DEAD_LIMIT, why == WHY_LIMIT);
}

static void match_leave(struct look *look, const struct sim_leave *leave)
{
    const struct sim_feature_options *options = &look->world->features.queues[leave->queue];
    const struct look_death *death = death_of(look, leave->item.parcel, leave->queue);
    if (death == NULL && options->dead_letters && (leave->why & WHY_DEAD) != 0 && look_owe(look, leave)) {
        return; /* It may also have been settled: then nothing comes. */
    }
    if (death == NULL && options->dead_letters && (leave->why & WHY_SETTLED) == 0) {
        LOOK_VIOLATION(look, leave->queue, &leave->item, "it has left (%x), and is not where dead letters go",
                       leave->why);
    } else if (death != NULL && (leave->why & death->why) == 0) {
        LOOK_VIOLATION(look, leave->queue, &leave->item, "it is a dead letter for reason %x, and left for %x",
                       death->why, leave->why);
    }
    if (death != NULL) {
        count_death(look, death->why);
        if (death->why == WHY_EXPIRED) {
            const struct sim_parcel *parcel = sim_ledger_parcel(look->world, leave->item.parcel);
            uint64_t ttl_ms = parcel->has_ttl && (!options->has_ttl || parcel->ttl_ms < options->ttl_ms)
                                  ? parcel->ttl_ms
                                  : options->ttl_ms;
            if (!look_passed_really(look, parcel->sent_us, ttl_ms)) {
                LOOK_VIOLATION(look, leave->queue, &leave->item, "it has expired early");
            }
        }
    } else {
        sim_world_count(look->world, SIM_STAT_F_DROPPED, leave->why == WHY_MAXLEN);
        sim_world_count(look->world, SIM_STAT_F_EXPIRED, leave->why == WHY_EXPIRED);
        sim_world_count(look->world, SIM_STAT_F_ACCEPTED, leave->why == WHY_SETTLED);
    }
}

/* One that is not in its queue came and left within the entry, or was kept out. */
static void match_expected(struct look *look, const struct look_expected *expected)
{
    const struct sim_feature_options *options = &look->world->features.queues[expected->queue];
    struct sim_parcel *parcel = sim_ledger_parcel(look->world, expected->parcel);
    struct sim_item item = {.parcel = expected->parcel};
    if ((parcel->in >> expected->queue & 1) != 0) {
        return;
    }
    if (look_id_seen(look, expected->queue, parcel) || (parcel->seen_out >> expected->queue & 1) != 0) {
        parcel->kept_out |= 1u << expected->queue;
        sim_world_count(look->world, SIM_STAT_F_IDS_SEEN, 1);
        return;
    }
    const struct look_death *death = death_of(look, expected->parcel, expected->queue);
    if (death != NULL && death->why != WHY_MAXLEN) {
        LOOK_VIOLATION(look, expected->queue, &item, "it came and died for reason %x in one entry", death->why);
    } else if (death == NULL && (!look_pushes_out(options) || options->dead_letters) &&
               !(look_pushes_out(options) &&
                 look_owe(look, &(struct sim_leave){.queue = expected->queue, .item = item, .why = WHY_MAXLEN}))) {
        LOOK_VIOLATION(look, expected->queue, &item, "it was taken, and has not come");
    }
    if (death != NULL) {
        count_death(look, death->why);
    }
    parcel->in |= 1u << expected->queue;
}

/* Delayed and prepared messages that are due, and of which nothing is seen: they lead nowhere, or were kept out everywhere. */
static void match_due(struct look *look)
{
    for (unsigned a = 0; a < SIM_ACTORS_MAX && look->ledger->pending > 0; a++) {
        for (uint64_t i = 0; i < look->ledger->senders[a].len; i++) {
            struct sim_parcel *parcel = &look->ledger->senders[a].parcels[i];
            uint64_t id = (uint64_t)(a + 1) << 48 | (i + 1);
            if (!parcel->taken || parcel->routed || parcel->dropped || parcel->due_ms > look->time_ms ||
                look_due_later(look, parcel)) {
                continue;
            }
            if (parcel->prepared != 0 && parcel->prepared % 2 != 0) {
                parcel->dropped = true;
            } else if (parcel->prepared != 0 && parcel->delay_ms > 0) {
                parcel->prepared = 0;
                parcel->due_ms = look->time_ms + parcel->delay_ms; /* From the commit on. */
                continue;
            } else {
                look_route(look, id, parcel);
            }
            look->ledger->pending--;
        }
    }
}

void look_match(struct look *look)
{
    size_t owed_len;
    struct sim_leave *owed = look_take_owed(look, &owed_len);
    match_due(look);
    for (size_t i = 0; i < owed_len; i++) {
        size_t before = look->ledger->owed_len;
        match_leave(look, &owed[i]);
        sim_world_count(look->world, SIM_STAT_F_LATE_DEAD, look->ledger->owed_len == before);
    }
    free(owed);
    for (size_t i = 0; i < look->leaves_len; i++) {
        match_leave(look, &look->leaves[i]);
    }
    look_route_dead(look);
    for (size_t i = 0; i < look->expected_len; i++) {
        match_expected(look, &look->expected[i]);
    }
    for (size_t i = 0; i < look->deaths_len; i++) {
        if (!look->deaths[i].matched) {
            sim_world_violation(
                look->world, "entry %" PRIu64 ": message %" PRIx64 " is a dead letter of %s, where it was not",
                look->index, look->deaths[i].parcel, look->world->features.queues[look->deaths[i].from].name);
        }
    }
}
