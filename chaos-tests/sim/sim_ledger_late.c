/* In worlds in which an entry does little of what may take several: what may come with a later one, and until when. */

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "sim_ledger_private.h"
#include "sim_world.h"

void look_begin_late(struct look *look)
{
    bool little = look->world->features.little;
    look->behind = little && machine_version(look->machine) >= 2 && machine_due_ms(look->machine) == 0;
    look->late = look->behind || look->ledger->behind;
    sim_world_count(look->world, SIM_STAT_F_BEHIND, look->behind);
}

/* What a command does to a delivery it does at once. A lock that is over, and for whose end the entry had no work left before its
 * commands, may be extended by one of them. */
bool look_may_stay(const struct look *look, const struct sim_item *item, unsigned why)
{
    bool rescued = look->world->features.little && why == WHY_LOCK && look_extended(look, item) > look->time_ms;
    return rescued || (look->behind && (why & ~(unsigned)(WHY_LOCK | WHY_ENDED)) == 0);
}

bool look_owe(struct look *look, const struct sim_leave *leave)
{
    struct sim_ledger *ledger = look->ledger;
    if (!look->behind) {
        return false;
    }
    if (ledger->owed_len == ledger->owed_cap) {
        ledger->owed_cap = ledger->owed_cap * 2 + 16;
        ledger->owed = realloc(ledger->owed, ledger->owed_cap * sizeof *ledger->owed);
        CHECK(ledger->owed != NULL);
    }
    ledger->owed[ledger->owed_len++] = *leave;
    return true;
}

struct sim_leave *look_take_owed(struct look *look, size_t *ret_len)
{
    struct sim_ledger *ledger = look->ledger;
    struct sim_leave *owed = ledger->owed;
    *ret_len = ledger->owed_len;
    ledger->owed = NULL;
    ledger->owed_len = ledger->owed_cap = 0;
    return owed;
}

/* Whether it comes with this entry or the next cannot be seen when it is kept out everywhere: so the ids are looked at each time. */
bool look_due_later(struct look *look, struct sim_parcel *parcel)
{
    if (!look->behind) {
        return false;
    }
    parcel->waited = true;
    for (unsigned queue = 0; queue < SIM_FEATURE_QUEUES; queue++) {
        if ((parcel->routes >> queue & 1) != 0 && look_id_seen(look, queue, parcel)) {
            parcel->seen_out |= 1u << queue;
        }
    }
    return true;
}

void look_route_dead(struct look *look)
{
    for (size_t i = 0; i < look->deaths_len && look->late; i++) {
        const struct look_death *death = &look->deaths[i];
        struct sim_parcel *parcel = sim_ledger_parcel(look->world, death->parcel);
        if (death->matched || parcel == NULL || !parcel->taken || parcel->routed || parcel->dropped ||
            parcel->due_ms > look->time_ms) {
            continue;
        }
        look->ledger->pending--;
        look_route(look, death->parcel, parcel);
    }
}
