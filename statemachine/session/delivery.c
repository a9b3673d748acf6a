/* The unsettled deliveries of one consumer. */

#include "statemachine/session/delivery.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"

#define CAP_MIN 16u

static void deliveries_squeeze(struct deliveries *deliveries)
{
    size_t to = 0;
    for (size_t from = deliveries->first; from < deliveries->last; from++) {
        if (deliveries->items[from].held) {
            deliveries->items[to++] = deliveries->items[from];
        }
    }
    CHECK(to == deliveries->held);
    deliveries->first = 0;
    deliveries->last = to;
    deliveries->holes_stepped = 0;
}

/* Room for one more: by moving to the front when at least half is free, otherwise by growing. */
static int deliveries_make_room(struct deliveries *deliveries)
{
    if (deliveries->cap > 0 && deliveries->held <= deliveries->cap / 2) {
        deliveries_squeeze(deliveries);
        return 0;
    }
    size_t cap = deliveries->cap > 0 ? 2 * deliveries->cap : CAP_MIN;
    struct delivery *items = realloc(deliveries->items, cap * sizeof *items);
    if (items == NULL) {
        return ERR_NOMEM;
    }
    deliveries->items = items;
    deliveries->cap = cap;
    return 0;
}

int deliveries_add(struct deliveries *deliveries, uint64_t number, uint64_t position, struct delivery **ret_delivery)
{
    if (deliveries->first == deliveries->last) {
        deliveries->first = deliveries->last = 0;
    }
    if (deliveries->last == deliveries->cap) {
        int err = deliveries_make_room(deliveries);
        if (err != 0) {
            return err;
        }
    }
    CHECK(deliveries->last == deliveries->first || deliveries->items[deliveries->last - 1].number < number);
    struct delivery *item = &deliveries->items[deliveries->last++];
    *item = (struct delivery){.number = number, .position = position, .held = true};
    deliveries->held++;
    *ret_delivery = item;
    return 0;
}

int deliveries_push(struct deliveries *deliveries, const struct delivery *delivery)
{
    struct delivery *item;
    int err = deliveries_add(deliveries, delivery->number, delivery->position, &item);
    if (err == 0) {
        *item = *delivery;
        item->held = true;
        item->released = false;
    }
    return err;
}

/* Index of the first item with a number of at least `number`. Numbers rise by at least one from item to item, so it is
 * at most as far from the front as the numbers are apart: exact when there are no gaps. */
static size_t deliveries_lower_bound(const struct deliveries *deliveries, uint64_t number)
{
    size_t low = deliveries->first;
    size_t high = deliveries->last;
    if (low == high || deliveries->items[low].number >= number) {
        return low;
    }
    uint64_t apart = number - deliveries->items[low].number;
    if (apart < high - low) {
        high = low + (size_t)apart;
        if (deliveries->items[high].number == number) {
            return high;
        }
    }
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (deliveries->items[middle].number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct delivery *deliveries_held_from(struct deliveries *deliveries, size_t index, uint64_t last)
{
    while (index < deliveries->last && deliveries->items[index].number <= last) {
        if (deliveries->items[index].held) {
            return &deliveries->items[index];
        }
        deliveries->holes_stepped++;
        index++;
    }
    return NULL;
}

struct delivery *deliveries_find(struct deliveries *deliveries, uint64_t first, uint64_t last)
{
    return deliveries_held_from(deliveries, deliveries_lower_bound(deliveries, first), last);
}

struct delivery *deliveries_next(struct deliveries *deliveries, struct delivery *delivery, uint64_t last)
{
    return deliveries_held_from(deliveries, (size_t)(delivery - deliveries->items) + 1, last);
}

void deliveries_drop(struct deliveries *deliveries, struct delivery *delivery)
{
    CHECK(delivery->held && deliveries->held > 0);
    delivery->held = false;
    deliveries->held--;
}

void deliveries_tidy(struct deliveries *deliveries)
{
    while (deliveries->first < deliveries->last && !deliveries->items[deliveries->first].held) {
        deliveries->first++;
    }
    size_t len = deliveries->last - deliveries->first;
    if (deliveries->holes_stepped > len || len > 2 * deliveries->held + CAP_MIN) {
        deliveries_squeeze(deliveries);
    }
}

void deliveries_done(struct deliveries *deliveries)
{
    free(deliveries->items);
    *deliveries = (struct deliveries){0};
}
