/* Entries that leave a queue as it was. */

#include <string.h>

#include "sim_ledger_private.h"
#include "sim_world.h"

#define LOOK_EVERY 64u /* Entries: what changes although nothing says so is found a little later. */

static bool concerns(const struct look *look, unsigned queue, const struct effect *effect)
{
    return effect->kind == EFFECT_DELIVER
               ? effect->delivery.queue == look->ledger->queues[queue].id
               : effect->kind == EFFECT_SESSION_ENDED || effect->kind == EFFECT_CONSUMER_ENDED ||
                     effect->kind == EFFECT_LOCK_ENDED;
}

/* When something in it is due by itself. */
static uint64_t next_ms(const struct sim_items *items)
{
    uint64_t next = UINT64_MAX;
    for (size_t i = 0; i < items->len; i++) {
        const struct sim_item *item = &items->items[i];
        uint64_t due = item->state == MESSAGE_LOCKED ? item->lock_until_ms : item->expires_ms;
        next = due != 0 && due < next ? due : next;
        next = item->state == MESSAGE_WAITING && item->due_ms < next ? item->due_ms : next;
    }
    return next;
}

static bool held_by_one_that_acts(const struct look *look, const struct sim_items *items)
{
    for (size_t i = 0; i < items->len; i++) {
        if (items->items[i].state == MESSAGE_LOCKED && look_settles(look, items->items[i].session)) {
            return true;
        }
    }
    return false;
}

bool look_quiet(struct look *look, unsigned queue, const struct machine_queue *found)
{
    struct sim_ledger_queue *state = &look->ledger->queues[queue];
    const uint64_t figures[8] = {found->ready,    found->parked,    found->waiting, found->unsettled,
                                 found->enqueued, found->delivered, found->settled, found->released};
    bool quiet = memcmp(figures, state->figures, sizeof figures) == 0 && look->index % LOOK_EVERY != 0;
    memcpy(state->figures, figures, sizeof figures);
    if (!quiet || next_ms(&state->now) <= look->time_ms || held_by_one_that_acts(look, &state->now)) {
        return false;
    }
    for (size_t i = 0; i < look->effects->len; i++) {
        if (concerns(look, queue, &look->effects->items[i])) {
            return false;
        }
    }
    return true;
}
