/* Settle: accept, reject or release deliveries that the consumer holds; others are stale and left alone. */

#include "proto/base/fault.h"
#include "statemachine/command/command.h"
#include "statemachine/command/settle.h"
#include "statemachine/command/settle_check.h"

static bool settle_check(const Holdfast__Settle *settle, const struct consumer *consumer, struct reply *reply)
{
    if (settle->outcome != HOLDFAST__SETTLE__OUTCOME__ACCEPT && settle->outcome != HOLDFAST__SETTLE__OUTCOME__REJECT &&
        settle->outcome != HOLDFAST__SETTLE__OUTCOME__RELEASE) {
        reply_fail(reply, ERR_INVALID, DETAIL_OUTCOME);
        return false;
    }
    if (settle->n_first == 0 || settle->n_first > SETTLE_RANGES_MAX || settle->n_last != settle->n_first) {
        reply_fail(reply, ERR_INVALID, DETAIL_RANGES);
        return false;
    }
    for (size_t i = 0; i < settle->n_first; i++) {
        if (settle->first[i] == 0 || settle->first[i] > settle->last[i]) {
            reply_fail(reply, ERR_INVALID, DETAIL_RANGES);
            return false;
        }
        if (settle->last[i] > consumer->last_number) {
            reply_fail(reply, ERR_INVALID, DETAIL_NOT_DELIVERED);
            return false;
        }
    }
    return true;
}

/* What version 1 does not know is without meaning under it. */
static int settle_check_new(struct machine *machine, struct session *session, const Holdfast__Settle *settle,
                            const struct consumer *consumer, struct reply *reply)
{
    Holdfast__Settle *all = (Holdfast__Settle *)settle;
    if (!settle_check(settle, consumer, reply) || machine->version < 2) {
        return 0;
    }
    if (settle->has_delay && settle->delay_ms > QUEUE_TIME_MS_MAX) {
        reply_fail(reply, ERR_INVALID, DETAIL_DELAY);
        return 0;
    }
    if (settle->all && !fault_fires(FAULT_SKIP_ALL_HELD)) {
        return settle_check_all(machine, session, &all, 1, reply);
    }
    (void)settle_check_back(session, &all, 1, reply);
    return 0;
}

/* Takes a message away from whoever holds it now. */
static bool steal(struct machine *machine, struct queue *queue, uint64_t position)
{
    struct consumer *holder;
    RB_FOREACH (holder, queue_consumers, &queue->consumers) {
        struct delivery *delivery = deliveries_find(&holder->deliveries, 0, UINT64_MAX);
        for (; delivery != NULL; delivery = deliveries_next(&holder->deliveries, delivery, UINT64_MAX)) {
            if (delivery->position == position) {
                deliveries_drop(&holder->deliveries, delivery);
                consumer_update_turn(machine, holder);
                return true;
            }
        }
    }
    return false;
}

/* What a settlement would do that does not ask whether the delivery is held still. Only a fault hook calls it. */
static int settle_stale(struct machine *machine, struct consumer *consumer, uint64_t first, uint64_t last,
                        uint64_t *settled)
{
    struct deliveries *deliveries = &consumer->deliveries;
    struct queue *queue = consumer->queue;
    for (size_t i = deliveries->first; i < deliveries->last; i++) {
        struct delivery *delivery = &deliveries->items[i];
        if (!delivery->released || delivery->number < first || delivery->number > last) {
            continue;
        }
        delivery->released = false;
        if (queue_take_returned(machine, queue, delivery->position) || steal(machine, queue, delivery->position)) {
            int err = queue_settle(machine, queue, delivery);
            if (err != 0) {
                return err;
            }
            ++*settled;
        }
    }
    return 0;
}

static int settle_range(struct machine *machine, struct consumer *consumer, const Holdfast__Settle *settle,
                        uint64_t first, uint64_t last, uint64_t *settled)
{
    struct deliveries *deliveries = &consumer->deliveries;
    struct delivery *delivery = deliveries_find(deliveries, first, last);
    while (delivery != NULL) {
        int err = settle_delivery(machine, consumer, delivery, settle);
        if (err != 0) {
            return err;
        }
        ++*settled;
        delivery = deliveries_next(deliveries, delivery, last);
    }
    if (fault_fires(FAULT_SKIP_TOKEN_CHECK)) {
        bool release = settle->outcome == HOLDFAST__SETTLE__OUTCOME__RELEASE;
        return release ? 0 : settle_stale(machine, consumer, first, last, settled);
    }
    deliveries_tidy(deliveries);
    return 0;
}

static uint64_t add_saturating(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

int command_settle(struct machine *machine, struct session *session, const Holdfast__Settle *settle,
                   struct reply *reply)
{
    struct consumer *consumer = consumer_find(session, settle->consumer);
    if (consumer == NULL) {
        reply_fail(reply, ERR_NOT_FOUND, DETAIL_CONSUMER);
        return 0;
    }
    int err = settle_check_new(machine, session, settle, consumer, reply);
    if (err != 0 || reply->error != 0) {
        return err;
    }
    for (size_t i = 0; i < settle->n_first; i++) {
        uint64_t settled = 0;
        err = settle_range(machine, consumer, settle, settle->first[i], settle->last[i], &settled);
        if (err != 0) {
            return err;
        }
        uint64_t size = add_saturating(settle->last[i] - settle->first[i], 1);
        reply->count += settled;
        reply->repeated_count = add_saturating(reply->repeated_count, size - settled);
    }
    return consumer_settled(machine, consumer);
}
