/* Extend: deliveries that are held for a limited time are held for longer; those that are not held any more are left alone. */

#include "statemachine/command/command.h"
#include "statemachine/queue/lock.h"

static bool extend_check(const Holdfast__Extend *extend, const struct consumer *consumer, struct reply *reply)
{
    if (consumer == NULL) {
        reply_fail(reply, ERR_NOT_FOUND, DETAIL_CONSUMER);
    } else if (extend->n_first == 0 || extend->n_first > SETTLE_RANGES_MAX || extend->n_last != extend->n_first) {
        reply_fail(reply, ERR_INVALID, DETAIL_RANGES);
    } else if (extend->lock_ms > QUEUE_TIME_MS_MAX) {
        reply_fail(reply, ERR_INVALID, DETAIL_LOCK);
    }
    for (size_t i = 0; reply->error == 0 && i < extend->n_first; i++) {
        if (extend->first[i] == 0 || extend->first[i] > extend->last[i]) {
            reply_fail(reply, ERR_INVALID, DETAIL_RANGES);
        } else if (extend->last[i] > consumer->last_number) {
            reply_fail(reply, ERR_INVALID, DETAIL_NOT_DELIVERED);
        }
    }
    return reply->error == 0;
}

static int extend_range(struct machine *machine, struct consumer *consumer, uint64_t first, uint64_t last,
                        uint64_t lock_ms, uint64_t *extended)
{
    struct delivery *delivery = deliveries_find(&consumer->deliveries, first, last);
    for (; delivery != NULL; delivery = deliveries_next(&consumer->deliveries, delivery, last)) {
        int err = lock_extend(machine, consumer, delivery, lock_ms);
        if (err != 0) {
            return err;
        }
        ++*extended;
    }
    deliveries_tidy(&consumer->deliveries);
    return 0;
}

static uint64_t add_saturating(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

int command_extend(struct machine *machine, struct session *session, const Holdfast__Extend *extend,
                   struct reply *reply)
{
    struct consumer *consumer = consumer_find(session, extend->consumer);
    if (!extend_check(extend, consumer, reply)) {
        return 0;
    }
    for (size_t i = 0; i < extend->n_first; i++) {
        uint64_t extended = 0;
        int err = extend_range(machine, consumer, extend->first[i], extend->last[i], extend->lock_ms, &extended);
        if (err != 0) {
            return err;
        }
        uint64_t size = add_saturating(extend->last[i] - extend->first[i], 1);
        reply->count += extended;
        reply->repeated_count = add_saturating(reply->repeated_count, size - extended);
    }
    consumer_changed(machine, consumer);
    return 0;
}
