/* The ledger: messages as they were sent, entries as they are applied, and the sum at the end. */

#include "sim_ledger.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/base/check.h"
#include "proto/wire/entry.h"
#include "sim_ledger_private.h"
#include "sim_world.h"

uint64_t sim_ledger_send(struct sim_world *world, unsigned actor, const struct sim_parcel *parcel)
{
    struct sim_ledger *ledger = &world->ledger;
    uint64_t *cap = &ledger->senders[actor].cap;
    if (ledger->senders[actor].len == *cap) {
        *cap = *cap * 2 + 64;
        ledger->senders[actor].parcels =
            realloc(ledger->senders[actor].parcels, *cap * sizeof *ledger->senders[actor].parcels);
        CHECK(ledger->senders[actor].parcels != NULL);
    }
    ledger->senders[actor].parcels[ledger->senders[actor].len++] = *parcel;
    sim_world_count(world, SIM_STAT_F_MESSAGES, 1);
    return (uint64_t)(actor + 1) << 48 | ledger->senders[actor].len;
}

struct sim_parcel *sim_ledger_parcel(struct sim_world *world, uint64_t parcel)
{
    uint64_t actor = (parcel >> 48) - 1;
    uint64_t serial = parcel & ((UINT64_C(1) << 48) - 1);
    if (parcel >> 48 == 0 || actor >= SIM_ACTORS_MAX || serial == 0 || serial > world->ledger.senders[actor].len) {
        return NULL;
    }
    return &world->ledger.senders[actor].parcels[serial - 1];
}

uint64_t sim_ledger_sequence(const struct sim_world *world, unsigned actor)
{
    return world->ledger.producers[actor].sequence;
}

void sim_ledger_answered(struct sim_world *world, uint64_t id, int err)
{
    const struct sim_parcel *parcel = sim_ledger_parcel(world, id);
    if (err == 0 && !parcel->taken) {
        sim_world_violation(world, "message %" PRIx64 " was confirmed, and no entry has taken it", id);
    } else if (err != 0 && parcel->taken) {
        sim_world_violation(world, "message %" PRIx64 " was refused (%s), and an entry has taken it", id,
                            err_name(err));
    }
}

void sim_ledger_applied(struct sim_node *node, uint64_t index, struct slice payload, const struct effects *effects)
{
    struct sim_world *world = node->world;
    struct machine *machine = shard_machine(node->shard);
    if (!world->features.chosen || index <= world->ledger.index) {
        return;
    }
    struct look *look = calloc(1, sizeof *look);
    struct entry_head head;
    CHECK(look != NULL);
    world->ledger.index = index;
    int err = entry_head_decode(payload, &head);
    CHECK(err == 0);
    look->world = world;
    look->ledger = &world->ledger;
    look->machine = machine;
    look->index = index;
    look->time_ms = head.time_ms;
    look->effects = effects;
    look_begin_late(look);
    look_commands(look, payload);
    for (unsigned i = 0; i < SIM_FEATURE_QUEUES && machine_version(machine) >= 2; i++) {
        look_queue(look, i);
    }
    look_match(look);
    look->ledger->behind = look->behind;
    look_commands_done(look);
    free(look);
}

uint64_t sim_ledger_backlog(const struct sim_world *world)
{
    uint64_t backlog = 0;
    for (unsigned i = 0; i < SIM_FEATURE_QUEUES; i++) {
        backlog += world->ledger.queues[i].now.len;
    }
    return backlog;
}

bool sim_ledger_empty(struct sim_world *world, char *why, size_t why_len)
{
    const struct sim_ledger *ledger = &world->ledger;
    for (unsigned i = 0; i < SIM_FEATURE_QUEUES; i++) {
        if (ledger->queues[i].now.len > 0) {
            const struct sim_item *first = &ledger->queues[i].now.items[0];
            snprintf(why, why_len, "%zu messages are in %s; the first in state %d, with consumer %" PRIx64 "/%" PRIu64,
                     ledger->queues[i].now.len, world->features.queues[i].name, (int)first->state, first->consumer,
                     first->number);
            return false;
        }
    }
    if (ledger->pending > 0) {
        snprintf(why, why_len, "%" PRIu64 " messages are delayed or prepared", ledger->pending);
        return false;
    }
    return true;
}

void sim_ledger_end(struct sim_world *world)
{
    for (unsigned a = 0; a < SIM_ACTORS_MAX; a++) {
        for (uint64_t i = 0; i < world->ledger.senders[a].len; i++) {
            const struct sim_parcel *parcel = &world->ledger.senders[a].parcels[i];
            uint64_t id = (uint64_t)(a + 1) << 48 | (i + 1);
            if (parcel->taken && !parcel->dropped && !parcel->routed) {
                sim_world_violation(world, "message %" PRIx64 " was taken, and has never come anywhere", id);
            }
            if (parcel->routed && (parcel->routes & ~(parcel->in | parcel->kept_out)) != 0) {
                sim_world_violation(world, "message %" PRIx64 " was to go to queues %x, and came to %x", id,
                                    parcel->routes, parcel->in);
            }
        }
    }
}

void sim_ledger_done(struct sim_ledger *ledger)
{
    for (unsigned a = 0; a < SIM_ACTORS_MAX; a++) {
        free(ledger->senders[a].parcels);
    }
    for (unsigned i = 0; i < SIM_FEATURE_QUEUES; i++) {
        free(ledger->queues[i].now.items);
        free(ledger->queues[i].next.items);
    }
    free(ledger->sessions);
    free(ledger->owed);
    *ledger = (struct sim_ledger){0};
}
