/* Delivery tags of a channel. */

#include "rpc/amqp/amqp_unsettled.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "rpc/amqp/amqp_consumers.h"

#define CAP_MIN 16u
/* Above so many places, what is empty is given back. */
#define CAP_KEPT 1024u

struct amqp_unsettled *amqp_unsettled_of(struct amqp_channel *channel)
{
    if (channel->unsettled == NULL) {
        channel->unsettled = calloc(1, sizeof *channel->unsettled);
    }
    return channel->unsettled;
}

void amqp_unsettled_done(struct amqp_channel *channel)
{
    if (channel->unsettled != NULL) {
        amqp_shared_done(channel);
        free(channel->unsettled->ones);
        free(channel->unsettled);
        channel->unsettled = NULL;
    }
}

/* Moves all that is there to the front of `ones`. */
static void squeeze(struct amqp_unsettled *unsettled, struct amqp_unsettled_one *ones)
{
    size_t at = 0;
    for (size_t i = unsettled->first; i < unsettled->last; i++) {
        if (unsettled->ones[i].consumer != 0) {
            ones[at++] = unsettled->ones[i];
        }
    }
    CHECK(at == unsettled->len);
    unsettled->first = 0;
    unsettled->last = at;
}

/* Room for `extra` more at the end: by doubling, or by squeezing when at least half of the places are empty, so that each place costs a
 * constant time. */
static int reserve(struct amqp_unsettled *unsettled, size_t extra)
{
    if (extra <= unsettled->cap - unsettled->last) {
        return 0;
    }
    size_t need = unsettled->len + extra;
    if (need <= unsettled->cap / 2) {
        squeeze(unsettled, unsettled->ones);
        return 0;
    }
    size_t cap = unsettled->cap > 0 ? unsettled->cap : CAP_MIN;
    while (cap / 2 < need) {
        cap *= 2;
    }
    struct amqp_unsettled_one *ones = malloc(cap * sizeof *ones);
    if (ones == NULL) {
        return ERR_NOMEM;
    }
    squeeze(unsettled, ones);
    free(unsettled->ones);
    unsettled->ones = ones;
    unsettled->cap = cap;
    return 0;
}

int amqp_unsettled_add(struct amqp_channel *channel, uint64_t consumer, uint64_t number)
{
    struct amqp_unsettled *unsettled = amqp_unsettled_of(channel);
    if (unsettled == NULL || reserve(unsettled, 1) != 0) {
        return ERR_NOMEM;
    }
    unsettled->ones[unsettled->last++] =
        (struct amqp_unsettled_one){.tag = channel->last_tag + 1, .consumer = consumer, .number = number};
    unsettled->len++;
    return 0;
}

/* The place of that tag, or of the next above it. */
static size_t place_of(const struct amqp_unsettled *unsettled, uint64_t tag)
{
    size_t low = unsettled->first;
    size_t high = unsettled->last;
    if (low < high && tag >= unsettled->ones[low].tag && tag - unsettled->ones[low].tag < high - low &&
        unsettled->ones[low + (tag - unsettled->ones[low].tag)].tag == tag) {
        return low +
               (tag - unsettled->ones[low].tag); /* As it is when all of a channel's deliveries are to be settled. */
    }
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (unsettled->ones[middle].tag < tag) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Empty places at the front are no places. */
static void tidy(struct amqp_unsettled *unsettled)
{
    while (unsettled->first < unsettled->last && unsettled->ones[unsettled->first].consumer == 0) {
        unsettled->first++;
    }
    if (unsettled->len > 0) {
        return;
    }
    unsettled->first = 0;
    unsettled->last = 0;
    if (unsettled->cap > CAP_KEPT) {
        free(unsettled->ones);
        unsettled->ones = NULL;
        unsettled->cap = 0;
    }
}

int amqp_unsettled_take(struct amqp_channel *channel, uint64_t tag, bool multiple, void *arg,
                        void (*each)(void *arg, const struct amqp_unsettled_one *one))
{
    struct amqp_unsettled *unsettled = channel->unsettled;
    bool all = multiple && tag == 0;
    if (unsettled == NULL || unsettled->len == 0) {
        return all ? 0 : ERR_NOT_FOUND;
    }
    size_t last = all ? unsettled->last - 1 : place_of(unsettled, tag);
    if (!all && (last == unsettled->last || unsettled->ones[last].tag != tag || unsettled->ones[last].consumer == 0)) {
        return ERR_NOT_FOUND;
    }
    for (size_t i = multiple ? unsettled->first : last; i <= last; i++) {
        struct amqp_unsettled_one one = unsettled->ones[i];
        if (one.consumer != 0) {
            unsettled->ones[i].consumer = 0;
            unsettled->len--;
            each(arg, &one);
            if (channel->unsettled != unsettled) {
                return 0; /* It has closed the channel. */
            }
        }
    }
    tidy(unsettled);
    return 0;
}

int amqp_unsettled_put_back(struct amqp_channel *channel, const struct amqp_unsettled_one *ones, size_t len)
{
    struct amqp_unsettled *unsettled = len > 0 ? amqp_unsettled_of(channel) : NULL;
    if (len == 0) {
        return 0;
    }
    if (unsettled == NULL || reserve(unsettled, len) != 0) {
        return ERR_NOMEM;
    }
    squeeze(unsettled, unsettled->ones);
    size_t at = unsettled->len + len; /* Merged from the end. */
    size_t left = unsettled->len;
    unsettled->last = at;
    unsettled->len = at;
    while (len > 0) {
        bool stays = left > 0 && unsettled->ones[left - 1].tag > ones[len - 1].tag;
        unsettled->ones[--at] = stays ? unsettled->ones[--left] : ones[--len];
    }
    return 0;
}

bool amqp_unsettled_has(const struct amqp_channel *channel, uint64_t consumer, uint64_t number)
{
    const struct amqp_unsettled *unsettled = channel->unsettled;
    for (size_t i = unsettled != NULL ? unsettled->first : 0; unsettled != NULL && i < unsettled->last; i++) {
        if (unsettled->ones[i].consumer == consumer && unsettled->ones[i].number == number) {
            return true;
        }
    }
    return false;
}
