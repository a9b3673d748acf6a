/* What becomes of a delivery that goes back. */

#include "statemachine/queue/came_back.h"

#include "proto/base/fault.h"
#include "statemachine/message/life.h"
#include "statemachine/queue/dead_letter.h"
#include "statemachine/queue/waiting.h"
#include "statemachine/state.h"

/* It was delivered for the last time. */
static bool too_often(const struct queue *queue, uint32_t count, enum return_reason reason)
{
    uint64_t most = queue->options.max_deliveries;
    return most != 0 && count >= most && reason != RETURN_NOT_COUNTED && !fault_fires(FAULT_SKIP_DELIVERY_LIMIT);
}

/* As the queue says: doubled with each delivery, unless there is no longest delay. */
static uint64_t queue_delay_ms(const struct queue *queue, uint32_t count)
{
    uint64_t delay_ms = queue->options.redelivery_delay_ms;
    uint64_t longest_ms = queue->options.redelivery_delay_max_ms;
    if (longest_ms == 0) {
        return delay_ms;
    }
    for (uint32_t i = 1; i < count && delay_ms > 0 && delay_ms < longest_ms; i++) {
        delay_ms *= fault_fires(FAULT_SKIP_DELAY_DOUBLING) ? 1 : 2;
    }
    return delay_ms < longest_ms ? delay_ms : longest_ms;
}

static uint64_t delay_of(const struct queue *queue, uint32_t count, enum return_reason reason, uint64_t delay_ms)
{
    if (reason == RETURN_HOLDER_ENDED) {
        return 0;
    }
    return delay_ms != UINT64_MAX ? delay_ms : queue_delay_ms(queue, count);
}

int came_back(struct machine *machine, struct queue *queue, const struct delivery *delivery, uint32_t count,
              enum return_reason reason, uint64_t delay_ms)
{
    if (too_often(queue, count, reason)) {
        return dead_letter_out(machine, queue, delivery->position, delivery->group, DEATH_DELIVERY_LIMIT);
    }
    if (delivery->expires_ms != 0 && delivery->expires_ms <= machine->time_ms &&
        !fault_fires(FAULT_SKIP_RETURN_EXPIRY)) {
        queue->counters.expired++;
        return dead_letter_out(machine, queue, delivery->position, delivery->group, DEATH_EXPIRED);
    }
    delay_ms = delay_of(queue, count, reason, delay_ms);
    if (delay_ms == 0) {
        return queue_put_back(machine, queue, delivery->position, count, delivery->expires_ms, delivery->group);
    }
    struct waiting waiting = {
        .position = delivery->position,
        .count = count,
        .until_ms = timer_after(machine->time_ms, delay_ms),
        .expires_ms = delivery->expires_ms,
        .group = delivery->group,
    };
    int err = waiting_add(machine, queue, &waiting);
    return err != 0 ? err : life_note_step(machine, queue, delivery->position, LIFE_WAITING, 0, 0);
}
