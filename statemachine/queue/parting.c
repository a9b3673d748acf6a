/* Messages that were settled as they were delivered. */

#include "statemachine/queue/parting.h"

#include <stdlib.h>

#define CAP_MIN 64u

int partings_add(struct partings *partings, const struct parting *parting)
{
    if (partings->len == partings->cap) {
        size_t cap = partings->cap > 0 ? 2 * partings->cap : CAP_MIN;
        struct parting *items = realloc(partings->items, cap * sizeof *items);
        if (items == NULL) {
            return ERR_NOMEM;
        }
        partings->items = items;
        partings->cap = cap;
    }
    partings->items[partings->len++] = *parting;
    return 0;
}

/* They are looked for in the order in which they were added, or nearly so: the search goes on from the last one found. */
const struct parting *partings_find(struct partings *partings, uint64_t queue, uint64_t position)
{
    for (size_t i = 0; i < partings->len; i++) {
        size_t at = (partings->looked + i) % partings->len;
        if (partings->items[at].queue == queue && partings->items[at].position == position) {
            partings->looked = at;
            return &partings->items[at];
        }
    }
    return NULL;
}

void partings_clear(struct partings *partings)
{
    for (size_t i = 0; i < partings->len; i++) {
        message_unref(&partings->items[i].message);
    }
    partings->len = partings->looked = 0;
}

void partings_done(struct partings *partings)
{
    partings_clear(partings);
    free(partings->items);
    *partings = (struct partings){0};
}
