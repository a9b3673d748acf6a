/* Where the messages of a planned publish go. */

#include <stdlib.h>

#include "proto/base/fault.h"
#include "statemachine/command/command.h"

#define TARGETS_CAP_MIN 256u
/* So many messages before its turn the way of a message begins to be fetched, if it is known. */
#define ROUTE_BEGIN_AHEAD 4u

static int targets_reserve(struct publishing *publishing, size_t extra)
{
    size_t len = publishing->targets_len + extra;
    if (len <= publishing->targets_cap) {
        return 0;
    }
    size_t cap = publishing->targets_cap > 0 ? publishing->targets_cap : TARGETS_CAP_MIN;
    while (cap < len) {
        cap *= 2;
    }
    struct planned_target *targets = realloc(publishing->targets, cap * sizeof *targets);
    if (targets == NULL) {
        return ERR_NOMEM;
    }
    publishing->targets = targets;
    publishing->targets_cap = cap;
    return 0;
}

static int planned_set_targets(struct publishing *publishing, struct planned *planned, struct queue *const *queues,
                               size_t len, struct reply *reply)
{
    if (len > PUBLISH_TARGETS_MAX - publishing->targets_len) {
        reply_fail(reply, ERR_LIMIT, DETAIL_TARGETS);
        return 0;
    }
    int err = targets_reserve(publishing, len);
    if (err != 0) {
        return err;
    }
    planned->targets = publishing->targets_len;
    planned->targets_len = len;
    for (size_t i = 0; i < len; i++) {
        publishing->targets[publishing->targets_len++] =
            (struct planned_target){.queue = queues[i], .queue_id = queues[i]->id};
    }
    return 0;
}

static size_t planned_keys(const struct planned *planned, struct slice keys[1 + FURTHER_KEYS_MAX])
{
    size_t len = 0;
    size_t at = 0;
    keys[len++] = planned->facts.routing_key;
    while (len <= planned->facts.further_keys_len && head_next_key(planned->facts.head, &at, &keys[len])) {
        len++;
    }
    return len;
}

static int planned_route(struct machine *machine, struct planned *planned, struct exchange *exchange,
                         struct reply *reply)
{
    struct publishing *publishing = &machine->publishing;
    struct slice keys[1 + FURTHER_KEYS_MAX];
    struct route_message message = {.keys = keys, .head = planned->facts.head};
    message.keys_len = planned_keys(planned, keys);
    int err = route(machine, exchange, &message, &publishing->route);
    if (err != 0) {
        return err;
    }
    planned->unrouted = planned->facts.mandatory && publishing->route.len == 0 && !fault_fires(FAULT_SKIP_MANDATORY);
    if (planned->fate != PLANNED_TAKEN) {
        return 0;
    }
    if (publishing->route.cut) {
        reply_fail(reply, ERR_LIMIT, DETAIL_WAY);
        return 0;
    }
    return planned_set_targets(publishing, planned, publishing->route.queues, publishing->route.len, reply);
}

/* The exchange that its head names; and, unless it is kept aside, its queues. */
static int planned_find_way(struct machine *machine, const struct publish_plan *plan, struct planned *planned,
                            struct reply *reply)
{
    struct exchange *exchange;
    struct slice name = planned->facts.exchange;
    int err = exchange_find(machine, plan->session->virtual_host_id, (const char *)name.data, name.len, &exchange);
    if (err != 0 && err != ERR_NOT_FOUND) {
        return err;
    }
    bool refused = err == ERR_NOT_FOUND || exchange->properties.internal;
    if (refused && plan->publish->each) {
        planned->fate = PLANNED_REFUSED;
        return 0;
    }
    if (err == ERR_NOT_FOUND) {
        reply_fail(reply, ERR_NOT_FOUND, DETAIL_PUBLISH_EXCHANGE);
        return 0;
    }
    if (refused) {
        reply_fail(reply, ERR_REFUSED, DETAIL_PUBLISH_INTERNAL);
        return 0;
    }
    bool matters = planned->fate == PLANNED_TAKEN || planned->facts.mandatory;
    return matters ? planned_route(machine, planned, exchange, reply) : 0;
}

static enum planned_fate planned_fate(const struct machine *machine, const struct publish_plan *plan,
                                      const struct planned *planned)
{
    if (plan->publish->prepare != NULL) {
        return PLANNED_PREPARED;
    }
    return head_delay_ms(&planned->facts, machine->time_ms) > 0 && !fault_fires(FAULT_SKIP_DELAY) ? PLANNED_DELAYED
                                                                                                  : PLANNED_TAKEN;
}

static void planned_begin(const struct machine *machine, const struct publish_plan *plan, size_t nth)
{
    if (plan->queue == NULL && nth < plan->publish->n_body_len) {
        const struct planned *planned = &machine->publishing.messages[plan->first + nth];
        route_cache_begin(&machine->exchanges.route_cache, planned->facts.routing_key);
    }
}

int publish_route(struct machine *machine, struct publish_plan *plan, struct reply *reply)
{
    struct publishing *publishing = &machine->publishing;
    for (size_t i = 0; i < plan->publish->n_body_len && reply->error == 0; i++) {
        struct planned *planned = &publishing->messages[plan->first + i];
        int err = 0;
        planned_begin(machine, plan, i + ROUTE_BEGIN_AHEAD);
        planned->fate = i < plan->repeated ? PLANNED_REPEATED : planned_fate(machine, plan, planned);
        if (planned->fate == PLANNED_REPEATED) {
            continue;
        }
        if (plan->queue == NULL) {
            err = planned_find_way(machine, plan, planned, reply);
        } else if (planned->fate == PLANNED_TAKEN) {
            err = planned_set_targets(publishing, planned, &plan->queue, 1, reply);
        }
        if (err != 0) {
            return err;
        }
    }
    return 0;
}
