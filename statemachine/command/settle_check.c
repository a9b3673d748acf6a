/* Whether settlements would be carried out as a whole. */

#include "statemachine/command/settle_check.h"

#include <stdlib.h>

#include "proto/base/fault.h"
#include "statemachine/message/kept.h"
#include "statemachine/message/life.h"

struct settle_range {
    uint64_t consumer;
    uint64_t first;
    uint64_t last;
};

static int range_compare(const void *a, const void *b)
{
    const struct settle_range *left = a;
    const struct settle_range *right = b;
    if (left->consumer != right->consumer) {
        return left->consumer < right->consumer ? -1 : 1;
    }
    return (left->first > right->first) - (left->first < right->first);
}

/* Takes time in proportion to what is held. */
static bool range_is_held(struct consumer *consumer, uint64_t first, uint64_t last)
{
    struct deliveries *deliveries = &consumer->deliveries;
    if (last - first >= deliveries->held) {
        return false;
    }
    uint64_t held = 0;
    struct delivery *delivery = deliveries_find(deliveries, first, last);
    for (; delivery != NULL; delivery = deliveries_next(deliveries, delivery, last)) {
        held++;
    }
    return held == last - first + 1;
}

/* Of what is held: how many there is more to do about than to forget them. */
static uint64_t settle_back_len(struct session *session, const Holdfast__Settle *settle)
{
    struct consumer *consumer = consumer_find(session, settle->consumer);
    uint64_t len = 0;
    if (consumer == NULL) {
        return 0;
    }
    bool lives = queue_keeps_lives(consumer->queue);
    if (settle->outcome == HOLDFAST__SETTLE__OUTCOME__ACCEPT && !lives && !queue_keeps_settled(consumer->queue)) {
        return 0;
    }
    struct deliveries *deliveries = &consumer->deliveries;
    uint64_t each = lives ? 2 : 1;
    uint64_t held = deliveries->held * each; /* Ranges may name the same ones again and again. */
    for (size_t i = 0; i < settle->n_first && len < held && len <= SETTLE_BACK_MAX; i++) {
        struct delivery *delivery = deliveries_find(deliveries, settle->first[i], settle->last[i]);
        for (; delivery != NULL; delivery = deliveries_next(deliveries, delivery, settle->last[i])) {
            len += each;
        }
    }
    return len < held ? len : held;
}

bool settle_check_back(struct session *session, Holdfast__Settle *const *settles, size_t len, struct reply *reply)
{
    uint64_t back = 0;
    for (size_t i = 0; i < len && back <= SETTLE_BACK_MAX; i++) {
        back += settle_back_len(session, settles[i]);
    }
    if (back > SETTLE_BACK_MAX) {
        reply_fail(reply, ERR_LIMIT, DETAIL_SETTLE_BACK);
    }
    return reply->error == 0;
}

static bool settle_is_well_formed(const Holdfast__Settle *settle)
{
    bool known = settle->outcome == HOLDFAST__SETTLE__OUTCOME__ACCEPT ||
                 settle->outcome == HOLDFAST__SETTLE__OUTCOME__REJECT ||
                 settle->outcome == HOLDFAST__SETTLE__OUTCOME__RELEASE;
    bool fits =
        known && settle->n_first > 0 && settle->n_first <= SETTLE_RANGES_MAX && settle->n_last == settle->n_first;
    for (size_t i = 0; fits && i < settle->n_first; i++) {
        fits = settle->first[i] > 0 && settle->first[i] <= settle->last[i];
    }
    return fits;
}

static bool settle_check_one(struct session *session, const Holdfast__Settle *settle, struct reply *reply)
{
    struct consumer *consumer = consumer_find(session, settle->consumer);
    if (consumer == NULL) {
        reply_fail(reply, ERR_NOT_FOUND, DETAIL_CONSUMER);
    } else if (!settle_is_well_formed(settle)) {
        reply_fail(reply, ERR_INVALID, DETAIL_RANGES);
    } else if (settle->has_delay && settle->delay_ms > QUEUE_TIME_MS_MAX) {
        reply_fail(reply, ERR_INVALID, DETAIL_DELAY);
    }
    for (size_t i = 0; reply->error == 0 && i < settle->n_first; i++) {
        if (settle->last[i] > consumer->last_number) {
            reply_fail(reply, ERR_INVALID, DETAIL_NOT_DELIVERED);
        } else if (!range_is_held(consumer, settle->first[i], settle->last[i])) {
            reply_fail(reply, ERR_STALE, DETAIL_NOT_HELD);
        }
    }
    return reply->error == 0;
}

/* What is named twice would not be held any more the second time. */
static void ranges_check(struct settle_range *ranges, size_t len, struct reply *reply)
{
    qsort(ranges, len, sizeof *ranges, range_compare);
    for (size_t i = 1; i < len; i++) {
        if (ranges[i].consumer == ranges[i - 1].consumer && ranges[i].first <= ranges[i - 1].last &&
            !fault_fires(FAULT_SKIP_TRANSACT_TWICE)) {
            reply_fail(reply, ERR_STALE, DETAIL_NOT_HELD);
            return;
        }
    }
}

int settle_check_all(struct machine *machine, struct session *session, Holdfast__Settle *const *settles, size_t len,
                     struct reply *reply)
{
    size_t ranges_len = 0;
    (void)machine;
    for (size_t i = 0; i < len; i++) {
        if (!settle_check_one(session, settles[i], reply)) {
            return 0;
        }
        ranges_len += settles[i]->n_first;
    }
    if (!settle_check_back(session, settles, len, reply) || ranges_len < 2) {
        return 0;
    }
    struct settle_range *ranges = malloc(ranges_len * sizeof *ranges);
    if (ranges == NULL) {
        return ERR_NOMEM;
    }
    size_t at = 0;
    for (size_t i = 0; i < len; i++) {
        for (size_t j = 0; j < settles[i]->n_first; j++) {
            ranges[at++] = (struct settle_range){
                .consumer = settles[i]->consumer, .first = settles[i]->first[j], .last = settles[i]->last[j]};
        }
    }
    ranges_check(ranges, ranges_len, reply);
    free(ranges);
    return 0;
}
