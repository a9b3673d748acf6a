/* The commands of a client that subscribe and settle. */

#include <stdlib.h>

#include "rpc/client/client_state.h"

int client_core_subscribe_as(struct client_core *core, const char *queue, uint64_t consumer, uint32_t credit,
                             const struct client_subscription *how, uint64_t timeout_ms, client_reply_cb cb, void *arg)
{
    int err = client_name_check(queue);
    if (err != 0) {
        return err;
    }
    if (credit == 0 || credit > CREDIT_MAX) {
        return ERR_INVALID;
    }
    err = client_consumer_add(core, consumer);
    if (err != 0) {
        return err;
    }
    client_consumer_find(core, consumer)->gaps = how->auto_accept;
    client_consumer_find(core, consumer)->ends_alone = how->fetch;
    Holdfast__Subscribe subscribe = HOLDFAST__SUBSCRIBE__INIT;
    subscribe.queue = (char *)queue;
    subscribe.consumer = consumer;
    subscribe.credit = credit;
    subscribe.priority = how->priority;
    subscribe.exclusive = how->exclusive;
    subscribe.lock_ms = how->lock_ms;
    subscribe.auto_accept = how->auto_accept;
    subscribe.fetch = how->fetch;
    subscribe.tag = (char *)(how->tag == NULL ? "" : how->tag);
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_SUBSCRIBE;
    command.subscribe = &subscribe;
    err = client_command_issue(core, CLIENT_SUBSCRIBE, &command, consumer, timeout_ms, cb, arg);
    if (err != 0) {
        client_consumer_remove(core, client_consumer_find(core, consumer));
    }
    return err;
}

int client_core_subscribe(struct client_core *core, const char *queue, uint64_t consumer, uint32_t credit,
                          uint64_t timeout_ms, client_reply_cb cb, void *arg)
{
    const struct client_subscription how = {0};
    return client_core_subscribe_as(core, queue, consumer, credit, &how, timeout_ms, cb, arg);
}

static int settle_check(struct client_core *core, uint64_t consumer, enum client_outcome outcome,
                        const struct client_range *ranges, size_t ranges_len)
{
    const struct client_consumer *found = client_consumer_find(core, consumer);
    if (found == NULL || found->ending) {
        return ERR_NOT_FOUND;
    }
    if (ranges_len == 0 || outcome > CLIENT_RELEASE) {
        return ERR_INVALID;
    }
    if (ranges_len > SETTLE_RANGES_MAX) {
        return ERR_TOO_BIG;
    }
    for (size_t i = 0; i < ranges_len; i++) {
        if (ranges[i].first == 0 || ranges[i].first > ranges[i].last || ranges[i].last > found->seen) {
            return ERR_INVALID;
        }
    }
    return 0;
}

/* The first numbers of the ranges, and behind them the last ones. NULL: no memory. */
static uint64_t *ranges_copy(const struct client_range *ranges, size_t ranges_len)
{
    uint64_t *first = malloc(ranges_len * 2 * sizeof *first);
    for (size_t i = 0; first != NULL && i < ranges_len; i++) {
        first[i] = ranges[i].first;
        first[ranges_len + i] = ranges[i].last;
    }
    return first;
}

int client_core_settle_as(struct client_core *core, uint64_t consumer, enum client_outcome outcome,
                          const struct client_settlement *how, const struct client_range *ranges, size_t ranges_len,
                          uint64_t timeout_ms, client_reply_cb cb, void *arg)
{
    int err = settle_check(core, consumer, outcome, ranges, ranges_len);
    if (err != 0) {
        return err;
    }
    uint64_t *first = ranges_copy(ranges, ranges_len);
    if (first == NULL) {
        return ERR_NOMEM;
    }
    Holdfast__Settle settle = HOLDFAST__SETTLE__INIT;
    settle.consumer = consumer;
    settle.outcome = (Holdfast__Settle__Outcome)outcome;
    settle.n_first = ranges_len;
    settle.first = first;
    settle.n_last = ranges_len;
    settle.last = first + ranges_len;
    settle.has_delay = how->has_delay;
    settle.delay_ms = how->delay_ms;
    settle.all = how->all;
    settle.not_counted = how->not_counted;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_SETTLE;
    command.settle = &settle;
    err = client_command_issue(core, CLIENT_SETTLE, &command, consumer, timeout_ms, cb, arg);
    free(first);
    return err;
}

int client_core_settle(struct client_core *core, uint64_t consumer, enum client_outcome outcome,
                       const struct client_range *ranges, size_t ranges_len, uint64_t timeout_ms, client_reply_cb cb,
                       void *arg)
{
    const struct client_settlement how = {0};
    return client_core_settle_as(core, consumer, outcome, &how, ranges, ranges_len, timeout_ms, cb, arg);
}

int client_core_extend(struct client_core *core, uint64_t consumer, uint64_t lock_ms, const struct client_range *ranges,
                       size_t ranges_len, uint64_t timeout_ms, client_reply_cb cb, void *arg)
{
    int err = settle_check(core, consumer, CLIENT_ACCEPT, ranges, ranges_len);
    if (err != 0) {
        return err;
    }
    uint64_t *first = ranges_copy(ranges, ranges_len);
    if (first == NULL) {
        return ERR_NOMEM;
    }
    Holdfast__Extend extend = HOLDFAST__EXTEND__INIT;
    extend.consumer = consumer;
    extend.n_first = ranges_len;
    extend.first = first;
    extend.n_last = ranges_len;
    extend.last = first + ranges_len;
    extend.lock_ms = lock_ms;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_EXTEND;
    command.extend = &extend;
    err = client_command_issue(core, CLIENT_SETTLE, &command, consumer, timeout_ms, cb, arg);
    free(first);
    return err;
}
