/* Random logs of version 2: consumers, settling, and what moves messages back. */

#include "log_maker.h"

void maker_set_settle(struct log_maker *maker, const struct log_maker_client *client, Holdfast__Settle *settle,
                      uint64_t firsts[3], uint64_t lasts[3])
{
    uint64_t consumer = 1 + maker_below(maker, MAKER_CONSUMERS);
    for (unsigned i = 0; i < MAKER_CONSUMERS && client->delivered[consumer] == 0; i++) {
        consumer = 1 + consumer % MAKER_CONSUMERS;
    }
    uint64_t delivered = client->delivered[consumer];
    settle->consumer = consumer;
    settle->outcome = (Holdfast__Settle__Outcome)maker_below(maker, 3);
    settle->n_first = settle->n_last = 1 + maker_below(maker, 3);
    for (size_t i = 0; i < settle->n_first; i++) {
        uint64_t back = maker_below(maker, 8);
        firsts[i] = delivered > back ? delivered - back : 1;
        lasts[i] = firsts[i] + maker_below(maker, delivered - (firsts[i] < delivered ? firsts[i] : delivered) + 1);
    }
    lasts[0] = maker_may(maker, USES_ODDITIES, 30) ? UINT64_MAX : lasts[0];
    settle->first = firsts;
    settle->last = lasts;
    settle->has_delay = maker_may(maker, USES_DELAYS, 3);
    settle->delay_ms = maker_time(maker);
    settle->not_counted = maker_below(maker, 6) == 0;
    settle->all = maker_below(maker, 6) == 0;
}

static void add_extend(struct log_maker *maker, const struct entry_command *from, const Holdfast__Settle *settle)
{
    Holdfast__Extend extend = HOLDFAST__EXTEND__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_EXTEND;
    command.extend = &extend;
    extend.consumer = settle->consumer;
    extend.n_first = extend.n_last = settle->n_first;
    extend.first = settle->first;
    extend.last = settle->last;
    extend.lock_ms = maker_below(maker, 2) == 0 ? 0 : maker_time(maker);
    maker_add(maker, from, &command, (struct slice){0});
}

void maker_add_settle(struct log_maker *maker, const struct entry_command *from, const struct log_maker_client *client)
{
    uint64_t firsts[3];
    uint64_t lasts[3];
    Holdfast__Settle settle = HOLDFAST__SETTLE__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    maker_set_settle(maker, client, &settle, firsts, lasts);
    if (maker_may(maker, USES_LOCKS, 4)) {
        add_extend(maker, from, &settle);
        return;
    }
    command.kind_case = HOLDFAST__COMMAND__KIND_SETTLE;
    command.settle = &settle;
    maker_add(maker, from, &command, (struct slice){0});
}

static void add_subscribe(struct log_maker *maker, const struct entry_command *from, uint64_t consumer)
{
    Holdfast__Subscribe subscribe = HOLDFAST__SUBSCRIBE__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_SUBSCRIBE;
    command.subscribe = &subscribe;
    subscribe.queue = maker_queue(maker);
    subscribe.consumer = consumer;
    subscribe.credit = (uint32_t)(1 + maker_below(maker, 10));
    subscribe.priority = (int32_t)maker_below(maker, 3) - 1;
    subscribe.exclusive = maker_may(maker, USES_EXCLUSIVE, 6);
    subscribe.lock_ms = maker_may(maker, USES_LOCKS, 3) ? maker_time(maker) : 0;
    subscribe.auto_accept = maker_below(maker, 8) == 0;
    subscribe.fetch = maker_may(maker, USES_FETCH, 2);
    subscribe.tag = maker_text(maker_below(maker, 4) == 0 ? "tag" : "");
    maker_add(maker, from, &command, (struct slice){0});
}

void maker_add_consume(struct log_maker *maker, const struct entry_command *from)
{
    Holdfast__Unsubscribe unsubscribe = HOLDFAST__UNSUBSCRIBE__INIT;
    Holdfast__SetCredit set_credit = HOLDFAST__SET_CREDIT__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    uint64_t kind = maker_below(maker, 12);
    uint64_t consumer = 1 + maker_below(maker, MAKER_CONSUMERS);
    if (kind < 7) {
        add_subscribe(maker, from, consumer);
        return;
    }
    if (kind < 10) {
        command.kind_case = HOLDFAST__COMMAND__KIND_SET_CREDIT;
        command.set_credit = &set_credit;
        set_credit.consumer = consumer;
        set_credit.credit = (uint32_t)maker_below(maker, 12);
    } else {
        command.kind_case = HOLDFAST__COMMAND__KIND_UNSUBSCRIBE;
        command.unsubscribe = &unsubscribe;
        unsubscribe.consumer = consumer;
        unsubscribe.drain = maker_below(maker, 2) == 0;
    }
    maker_add(maker, from, &command, (struct slice){0});
}

void maker_add_move(struct log_maker *maker, const struct entry_command *from)
{
    Holdfast__Redrive redrive = HOLDFAST__REDRIVE__INIT;
    Holdfast__Replay replay = HOLDFAST__REPLAY__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    if (maker_below(maker, 2) == 0) {
        command.kind_case = HOLDFAST__COMMAND__KIND_REDRIVE;
        command.redrive = &redrive;
        redrive.queue = maker_queue(maker);
        redrive.to = maker_below(maker, 3) == 0 ? maker_queue(maker) : maker_text("");
        redrive.from = maker_below(maker, 3) == 0 ? maker_queue(maker) : maker_text("");
        redrive.max = (uint32_t)maker_below(maker, 4);
    } else {
        command.kind_case = HOLDFAST__COMMAND__KIND_REPLAY;
        command.replay = &replay;
        replay.queue = maker_queue(maker);
        replay.first = maker_below(maker, 3);
        replay.last = maker_below(maker, 2) == 0 ? UINT64_MAX : maker_below(maker, 40);
        replay.to = maker_below(maker, 2) == 0 ? maker_queue(maker) : maker_text("");
        replay.max = (uint32_t)maker_below(maker, 4);
    }
    maker_add(maker, from, &command, (struct slice){0});
}
