/* A queue before and after an entry: what came, what left, what was delivered, and whether it may. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/bytes.h"
#include "proto/base/check.h"
#include "sim_ledger_private.h"
#include "sim_world.h"

static struct sim_item *items_add(struct sim_items *items)
{
    if (items->len == items->cap) {
        items->cap = items->cap * 2 + 32;
        items->items = realloc(items->items, items->cap * sizeof *items->items);
        CHECK(items->items != NULL);
    }
    items->items[items->len] = (struct sim_item){0};
    return &items->items[items->len++];
}

static int collect(void *arg, const struct machine_message *message)
{
    struct sim_item *item = items_add(arg);
    item->position = message->position;
    item->state = message->state;
    item->count = message->delivery_count;
    item->expires_ms = message->expires_ms; /* As the machine has it: compared when it arrives. */
    return 0;
}

static const struct effect_delivery *delivery_of(const struct look *look, unsigned queue, uint64_t position)
{
    const struct effect_delivery *found = NULL;
    for (size_t i = 0; i < look->effects->len; i++) {
        const struct effect *effect = &look->effects->items[i];
        if (effect->kind == EFFECT_DELIVER && effect->delivery.queue == look->ledger->queues[queue].id &&
            effect->delivery.position == position) {
            found = &effect->delivery; /* The last one counts. */
        }
    }
    return found;
}

static uint64_t delivery_session(const struct look *look, const struct effect_delivery *delivery)
{
    for (size_t i = 0; i < look->effects->len; i++) {
        if (&look->effects->items[i].delivery == delivery) {
            return look->effects->items[i].session;
        }
    }
    return 0;
}

/* ---- Deliveries ---- */

static bool drains(const struct sim_ledger *ledger, uint64_t session, uint64_t consumer)
{
    for (uint64_t i = 0; i < ledger->drains_made && i < SIM_LEDGER_DRAINS; i++) {
        if (ledger->drains[i].session == session && ledger->drains[i].consumer == consumer) {
            return true;
        }
    }
    return false;
}

static void delivered(struct look *look, unsigned queue, struct sim_item *item, const struct effect_delivery *delivery)
{
    const struct sim_feature_options *options = &look->world->features.queues[queue];
    struct sim_ledger_queue *state = &look->ledger->queues[queue];
    item->session = delivery_session(look, delivery);
    item->consumer = delivery->consumer;
    item->number = delivery->number;
    item->lock_until_ms = options->lock_ms == 0 ? 0 : look->time_ms + options->lock_ms;
    item->delivered = true;
    item->ended = false;
    if (drains(look->ledger, item->session, item->consumer)) {
        LOOK_VIOLATION(look, queue, item, "it was delivered to a consumer that is to be given nothing more");
    }
    if (options->max_deliveries != 0 && delivery->delivery_count >= options->max_deliveries) {
        LOOK_VIOLATION(look, queue, item, "it was delivered again after %u deliveries, of %" PRIu64,
                       delivery->delivery_count, options->max_deliveries);
    }
    if (item->expires_ms != 0 && item->expires_ms <= look->time_ms && !look->world->features.little) {
        LOOK_VIOLATION(look, queue, item, "it was delivered %" PRIu64 " ms after its time",
                       look->time_ms - item->expires_ms);
    }
    if (options->single_active && (delivery->consumer & (SIM_LEDGER_AUTO | SIM_LEDGER_FETCH)) == 0) {
        bool other = state->active_consumer != 0 &&
                     (state->active_session != item->session || state->active_consumer != item->consumer);
        if (other && !state->active_over) {
            LOOK_VIOLATION(look, queue, item, "it was delivered to another consumer while the active one was there");
        }
        sim_world_count(look->world, SIM_STAT_F_ACTIVE, other);
        state->active_session = item->session;
        state->active_consumer = item->consumer;
        state->active_over = look_ended(look, item->session, item->consumer);
    }
}

/* It is one delivery older, unless that was not to count. When it may have gone back for several reasons nobody knows which. */
static void check_count(struct look *look, unsigned queue, const struct sim_item *old, const struct sim_item *item,
                        const struct effect_delivery *delivery, unsigned why)
{
    bool not_counted = (why & WHY_NOT_COUNTED) != 0;
    uint32_t count = delivery != NULL ? delivery->delivery_count : item->count;
    if (not_counted && ((why & WHY_COUNTED) != 0 || (why & WHY_BACK) != WHY_RELEASED)) {
        return;
    }
    if (count + not_counted != old->count) {
        LOOK_VIOLATION(look, queue, old, "it went back%s, with %u deliveries, and has %u",
                       not_counted ? " without being counted" : "", old->count, count);
    }
    sim_world_count(look->world, SIM_STAT_F_NOT_COUNTED, not_counted);
}

/* A delivery that ended does so for a reason, and one that was ended is over. */
static void moved_locked(struct look *look, unsigned queue, const struct sim_item *old, struct sim_item *item,
                         const struct effect_delivery *delivery)
{
    uint64_t delay_ms;
    unsigned why = look_delivery(look, &look->world->features.queues[queue], old, &delay_ms);
    bool over = item->state != MESSAGE_LOCKED || delivery != NULL;
    if (over && (why & WHY_BACK) == 0) {
        LOOK_VIOLATION(look, queue, old, "its delivery %" PRIu64 " ended without a reason (%x): %s", old->number, why,
                       delivery != NULL ? "there is a second one" : "it is ready");
    } else if (!over && why != 0 && !look_may_stay(look, old, why)) {
        LOOK_VIOLATION(look, queue, old, "its delivery %" PRIu64 " is over (%x), and stays", old->number, why);
    }
    item->ended = !over && (why & WHY_ENDED) != 0;
    if (!over) {
        item->lock_until_ms = look_extended(look, old);
        return;
    }
    sim_world_count(look->world, SIM_STAT_F_LATE_ENDED, old->ended);
    look->back[queue]++;
    check_count(look, queue, old, item, delivery, why);
    sim_world_count(look->world, SIM_STAT_F_LOCK_ENDED, (why & WHY_LOCK) != 0);
    sim_world_count(look->world, SIM_STAT_F_RELEASED, (why & WHY_RELEASED) != 0);
    if (item->state == MESSAGE_WAITING) {
        item->due_ms = look->time_ms + delay_ms;
        sim_world_count(look->world, SIM_STAT_F_WAITED, 1);
    }
}

static void moved(struct look *look, unsigned queue, const struct sim_item *old, struct sim_item *item)
{
    const struct effect_delivery *delivery = delivery_of(look, queue, item->position);
    struct sim_item now = *item;
    *item = *old;
    item->state = now.state;
    item->count = now.count;
    item->delivered = false;
    if (old->state == MESSAGE_LOCKED) {
        moved_locked(look, queue, old, item, delivery);
    }
    sim_world_count(look->world, SIM_STAT_F_PARKED, old->state == MESSAGE_PARKED && now.state != MESSAGE_PARKED);
    if (old->state == MESSAGE_WAITING && now.state != MESSAGE_WAITING) {
        look->back[queue]++;
        if (look->time_ms < old->due_ms) {
            LOOK_VIOLATION(look, queue, old, "it waits until %" PRIu64 ", and is back at %" PRIu64, old->due_ms,
                           look->time_ms);
        }
    }
    if (delivery != NULL) {
        delivered(look, queue, item, delivery);
    }
}

/* ---- Leaving ---- */

static unsigned leave_why(struct look *look, unsigned queue, const struct sim_item *old)
{
    const struct sim_feature_options *options = &look->world->features.queues[queue];
    const struct effect_delivery *delivery = delivery_of(look, queue, old->position);
    uint64_t delay_ms;
    unsigned why = 0;
    bool back = old->state != MESSAGE_LOCKED;
    if (old->state == MESSAGE_LOCKED) {
        why = look_delivery(look, options, old, &delay_ms);
        back = (why & WHY_BACK) != 0;
        why &= WHY_SETTLED | WHY_REJECTED;
        if (back && options->max_deliveries != 0 && old->count >= options->max_deliveries) {
            why |= WHY_LIMIT;
        }
    }
    if (back && old->expires_ms != 0 && old->expires_ms <= look->time_ms) {
        why |= WHY_EXPIRED;
    }
    if (back && look_pushes_out(options)) {
        why |= WHY_MAXLEN;
    }
    if (back && delivery != NULL && (delivery->consumer & SIM_LEDGER_AUTO) != 0) {
        why |= WHY_SETTLED;
        sim_world_count(look->world, SIM_STAT_F_SETTLED_GIVEN, 1);
    }
    return why;
}

static void left(struct look *look, unsigned queue, const struct sim_item *old)
{
    unsigned why = leave_why(look, queue, old);
    if (why == 0) {
        LOOK_VIOLATION(look, queue, old, "it has left without a reason, state %d, delivery %" PRIu64, (int)old->state,
                       old->number);
    }
    bool was_out = old->state == MESSAGE_LOCKED || old->state == MESSAGE_WAITING;
    if (look->world->features.little && was_out && (why & WHY_MAXLEN) != 0) {
        look->back[queue]++; /* It came back, and went for a new one, for which more would have had to go. */
    }
    if (look->leaves_len < LOOK_MOVES_MAX) {
        look->leaves[look->leaves_len++] = (struct sim_leave){.queue = queue, .item = *old, .why = why};
    }
}

/* What was delivered came and left within the entry. */
static void came_and_left(struct look *look, unsigned queue, const struct effect_delivery *delivery)
{
    struct sim_item item = {.position = delivery->position};
    if ((delivery->consumer & SIM_LEDGER_AUTO) == 0) {
        LOOK_VIOLATION(look, queue, &item, "it was delivered, and is not there");
        return;
    }
    struct slice body;
    if (machine_body(look->machine, look->ledger->queues[queue].id, delivery->position, &body) != 0) {
        LOOK_VIOLATION(look, queue, &item, "it was settled as it was delivered, and cannot be read");
        return;
    }
    item.parcel = body.len >= 8 ? get_u64(body.data) : 0;
    struct sim_parcel *parcel = sim_ledger_parcel(look->world, item.parcel);
    slice_unref(&body);
    look->arrived[queue]++;
    if (parcel != NULL) {
        look_arrive_published(look, queue, &item, parcel);
    }
}

/* ---- The order ---- */

/* The item of a position; NULL: it is not there. */
static const struct sim_item *item_at(const struct sim_items *items, uint64_t position)
{
    size_t low = 0;
    size_t high = items->len;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (items->items[middle].position < position) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < items->len && items->items[low].position == position ? &items->items[low] : NULL;
}

/* Whether one of its group is out, or comes before it: such a message counts as ready until it is its turn, and is not. */
static bool group_is_busy(const struct sim_items *items, const struct sim_item *item)
{
    for (size_t i = 0; i < items->len && item->group != 0; i++) {
        const struct sim_item *other = &items->items[i];
        if (other->group == item->group && other->position != item->position &&
            (other->position < item->position || other->state == MESSAGE_LOCKED || other->state == MESSAGE_WAITING)) {
            return true;
        }
    }
    return false;
}

/* Nothing that was ready, or of the same group, comes before what was delivered. */
static void check_passed_over(struct look *look, unsigned queue, const struct effect_delivery *delivery)
{
    struct sim_ledger_queue *state = &look->ledger->queues[queue];
    const struct sim_item *given = item_at(&state->next, delivery->position);
    bool groups = look->world->features.queues[queue].groups;
    for (size_t i = 0; i < state->now.len && state->now.items[i].position < delivery->position; i++) {
        const struct sim_item *old = &state->now.items[i];
        const struct sim_item *item = item_at(&state->next, old->position);
        if (item == NULL || item->delivered || (item->expires_ms != 0 && item->expires_ms <= look->time_ms)) {
            continue;
        }
        bool ready =
            item->state == MESSAGE_READY && old->state == MESSAGE_READY && !(groups && group_is_busy(&state->now, old));
        bool behind = groups && given != NULL && given->group != 0 && given->group == item->group &&
                      (item->state == MESSAGE_READY || item->state == MESSAGE_PARKED);
        if (ready || behind) {
            LOOK_VIOLATION(look, queue, item,
                           "it was passed over: position %" PRIx64 " was delivered (%s, state %d, %d before)",
                           delivery->position, behind ? "of its group" : "ready", (int)item->state, (int)old->state);
        }
    }
    sim_world_count(look->world, SIM_STAT_F_PRIORITIES, delivery->position >> 56 != 0 && queue == SIM_Q_PRIORITY);
}

static void check_groups(struct look *look, unsigned queue)
{
    const struct sim_items *items = &look->ledger->queues[queue].next;
    for (size_t i = 0; i < items->len && look->world->features.queues[queue].groups; i++) {
        const struct sim_item *a = &items->items[i];
        bool a_out = a->group != 0 && (a->state == MESSAGE_LOCKED || a->state == MESSAGE_WAITING);
        for (size_t j = i + 1; j < items->len && a_out; j++) {
            const struct sim_item *b = &items->items[j];
            if (b->group == a->group && (b->state == MESSAGE_LOCKED || b->state == MESSAGE_WAITING)) {
                LOOK_VIOLATION(look, queue, a, "of its group two are out: position %" PRIx64 " too", b->position);
            }
        }
    }
}

static unsigned count_ready(const struct sim_items *items)
{
    unsigned count = 0;
    for (size_t i = 0; i < items->len; i++) {
        count += items->items[i].state == MESSAGE_READY || items->items[i].state == MESSAGE_PARKED;
    }
    return count;
}

/* A queue is above its limit only by what came back to it, or came into one that refuses new ones without being new. */
static void check_length(struct look *look, unsigned queue)
{
    const struct sim_feature_options *options = &look->world->features.queues[queue];
    const struct sim_ledger_queue *state = &look->ledger->queues[queue];
    unsigned before = count_ready(&state->now);
    unsigned after = count_ready(&state->next);
    uint64_t most = (before > options->max_length ? before : options->max_length) + look->back[queue];
    if (options->has_max_length && after > most) {
        sim_world_violation(look->world, "entry %" PRIu64 ": queue %s has %u ready messages, after %u, of %" PRIu64,
                            look->index, options->name, after, before, options->max_length);
    }
}

void look_queue(struct look *look, unsigned queue)
{
    struct sim_ledger_queue *state = &look->ledger->queues[queue];
    struct machine_queue found;
    if (machine_queue(look->machine, look->world->features.queues[queue].name, &found) != 0) {
        return;
    }
    state->active_over = state->active_over || look_ended(look, state->active_session, state->active_consumer);
    bool same = state->id == found.id;
    state->id = found.id;
    if (same && look_quiet(look, queue, &found)) {
        return;
    }
    state->next.len = 0;
    int err = machine_browse(look->machine, state->id, 0, collect, &state->next);
    if (err != 0) {
        sim_world_violation(look->world, "entry %" PRIu64 ": queue %s cannot be looked at: %s", look->index,
                            look->world->features.queues[queue].name, err_name(err));
        return;
    }
    size_t i = 0;
    for (size_t j = 0; j < state->next.len; j++) {
        struct sim_item *item = &state->next.items[j];
        while (i < state->now.len && state->now.items[i].position < item->position) {
            left(look, queue, &state->now.items[i++]);
        }
        if (i < state->now.len && state->now.items[i].position == item->position) {
            moved(look, queue, &state->now.items[i++], item);
            continue;
        }
        look_arrive(look, queue, item);
        const struct effect_delivery *delivery = delivery_of(look, queue, item->position);
        if (delivery != NULL) {
            delivered(look, queue, item, delivery);
        }
    }
    while (i < state->now.len) {
        left(look, queue, &state->now.items[i++]);
    }
    for (size_t e = 0; e < look->effects->len; e++) {
        const struct effect *effect = &look->effects->items[e];
        if (effect->kind == EFFECT_DELIVER && effect->delivery.queue == state->id) {
            if (item_at(&state->now, effect->delivery.position) == NULL &&
                item_at(&state->next, effect->delivery.position) == NULL) {
                came_and_left(look, queue, &effect->delivery);
            }
            check_passed_over(look, queue, &effect->delivery);
        }
    }
    check_groups(look, queue);
    check_length(look, queue);
    struct sim_items now = state->now;
    state->now = state->next;
    state->next = now;
}
