/* What actors do: they set up what there is, publish, consume and settle, in all the ways that version 2 has. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/bytes.h"
#include "proto/base/check.h"
#include "sim_actor.h"
#include "sim_world.h"

/* ---- Setting up ---- */

static void work_setup(struct sim_actor *actor)
{
    struct sim_act act = {.kind = SIM_ACT_SETUP};
    if (actor->index == 0 && actor->commands_len == 0) {
        if (sim_features_setup(&actor->world->features, actor->setup, &act.header)) {
            (void)sim_actor_submit(actor, &act);
        } else {
            actor->world->features.ready = true;
        }
    }
}

/* ---- Consuming ---- */

static void work_subscribe(struct sim_actor *actor, unsigned slot)
{
    struct sim_actor_consumer *consumer = &actor->consumers[slot];
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__Subscribe subscribe = HOLDFAST__SUBSCRIBE__INIT;
    if (actor->commands_len == SIM_ACT_COMMANDS_MAX) {
        return;
    }
    consumer->id = (uint64_t)(actor->index + 1) << 32 | ++actor->consumers_made;
    consumer->seen = 0;
    consumer->held_len = 0;
    consumer->credit = (uint32_t)sim_random_between(&actor->random, 1, SIM_ACT_HELD_MAX);
    subscribe.queue = (char *)actor->world->features.queues[consumer->queue].name;
    subscribe.consumer = consumer->id;
    subscribe.credit = consumer->credit;
    subscribe.priority = (int32_t)sim_random_between(&actor->random, 0, 2);
    command.kind_case = HOLDFAST__COMMAND__KIND_SUBSCRIBE;
    command.subscribe = &subscribe;
    struct sim_act act = {.kind = SIM_ACT_SUBSCRIBE, .slot = slot, .header = sim_features_pack(&command)};
    (void)sim_actor_submit(actor, &act);
}

/* One that drains settles what it holds, and is told when it has ended. */
static void work_unsubscribe(struct sim_actor *actor, unsigned slot, bool drain)
{
    struct sim_actor_consumer *consumer = &actor->consumers[slot];
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__Unsubscribe unsubscribe = HOLDFAST__UNSUBSCRIBE__INIT;
    unsubscribe.consumer = consumer->id;
    unsubscribe.drain = drain;
    command.kind_case = HOLDFAST__COMMAND__KIND_UNSUBSCRIBE;
    command.unsubscribe = &unsubscribe;
    struct sim_act act = {.kind = SIM_ACT_UNSUBSCRIBE, .slot = slot, .header = sim_features_pack(&command)};
    if (sim_actor_submit(actor, &act) && !drain) {
        consumer->id = 0;
        consumer->held_len = 0;
    }
}

/* Takes a few messages at once; where bodies are not shared, settled as they are given; else every other one of a queue by the
 * consumer that was there before, if it is still. */
static void work_fetch(struct sim_actor *actor)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__Subscribe subscribe = HOLDFAST__SUBSCRIBE__INIT;
    unsigned queue = (unsigned)sim_random_between(&actor->random, 0, SIM_Q_LIMIT);
    bool settled = actor->world->features.narrow;
    subscribe.queue = (char *)actor->world->features.queues[queue].name;
    subscribe.more = !settled && actor->fetching.consumer != 0 && actor->fetching.queue == queue;
    subscribe.consumer = subscribe.more ? actor->fetching.consumer
                                        : (settled ? SIM_LEDGER_AUTO : SIM_LEDGER_FETCH) |
                                              (uint64_t)(actor->index + 1) << 32 | ++actor->consumers_made;
    subscribe.credit = (uint32_t)sim_random_between(&actor->random, 1, 3);
    subscribe.fetch = true;
    subscribe.auto_accept = settled;
    command.kind_case = HOLDFAST__COMMAND__KIND_SUBSCRIBE;
    command.subscribe = &subscribe;
    struct sim_act act = {.kind = SIM_ACT_FETCH, .more = subscribe.more, .header = sim_features_pack(&command)};
    if (sim_actor_submit(actor, &act)) {
        actor->fetching.consumer = subscribe.more || settled ? 0 : subscribe.consumer;
        actor->fetching.queue = queue;
    }
}

unsigned sim_actor_take(struct sim_actor *actor, struct sim_actor_consumer *consumer, uint64_t *ret_numbers)
{
    unsigned count = (unsigned)sim_random_between(&actor->random, 1, consumer->held_len);
    for (unsigned i = 0; i < count; i++) {
        ret_numbers[i] = consumer->held[i].number;
    }
    consumer->held_len -= count;
    memmove(consumer->held, consumer->held + count, consumer->held_len * sizeof consumer->held[0]);
    return count;
}

static void settle_draw(struct sim_actor *actor, Holdfast__Settle *settle)
{
    struct sim_random *random = &actor->random;
    bool work = actor->world->phase == SIM_WORK;
    if (work && sim_random_chance(random, 250000)) {
        settle->outcome = HOLDFAST__SETTLE__OUTCOME__RELEASE;
        settle->has_delay = sim_random_chance(random, 300000);
        settle->delay_ms = settle->has_delay ? sim_random_between(random, 0, 400) : 0;
        settle->not_counted = sim_random_chance(random, 200000);
    } else if (work && sim_random_chance(random, 100000)) {
        settle->outcome = HOLDFAST__SETTLE__OUTCOME__REJECT;
    }
}

static void work_settle(struct sim_actor *actor, unsigned slot)
{
    struct sim_actor_consumer *consumer = &actor->consumers[slot];
    uint64_t numbers[SIM_ACT_HELD_MAX];
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__Settle settle = HOLDFAST__SETTLE__INIT;
    settle.consumer = consumer->id;
    settle_draw(actor, &settle);
    settle.n_first = settle.n_last = sim_actor_take(actor, consumer, numbers);
    settle.first = settle.last = numbers;
    command.kind_case = HOLDFAST__COMMAND__KIND_SETTLE;
    command.settle = &settle;
    struct sim_act act = {.kind = SIM_ACT_SETTLE, .slot = slot, .header = sim_features_pack(&command)};
    (void)sim_actor_submit(actor, &act);
}

static void work_extend(struct sim_actor *actor, unsigned slot)
{
    struct sim_actor_consumer *consumer = &actor->consumers[slot];
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__Extend extend = HOLDFAST__EXTEND__INIT;
    extend.consumer = consumer->id;
    extend.n_first = extend.n_last = 1;
    extend.first = extend.last = &consumer->held[0].number;
    extend.lock_ms = sim_random_between(&actor->random, 1, 800);
    command.kind_case = HOLDFAST__COMMAND__KIND_EXTEND;
    command.extend = &extend;
    struct sim_act act = {.kind = SIM_ACT_EXTEND, .slot = slot, .header = sim_features_pack(&command)};
    (void)sim_actor_submit(actor, &act);
}

static void work_close(struct sim_actor *actor)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__CloseSession close = HOLDFAST__CLOSE_SESSION__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_CLOSE_SESSION;
    command.close_session = &close;
    struct sim_act act = {.kind = SIM_ACT_CLOSE, .header = sim_features_pack(&command)};
    actor->closing = sim_actor_submit(actor, &act);
}

static void work_consumer(struct sim_actor *actor, unsigned slot)
{
    struct sim_actor_consumer *consumer = &actor->consumers[slot];
    struct sim_random *random = &actor->random;
    bool work = actor->world->phase == SIM_WORK;
    if (actor->commands_len == SIM_ACT_COMMANDS_MAX) {
        return;
    }
    if (consumer->id == 0) {
        work_subscribe(actor, slot);
    } else if (work && sim_random_chance(random, 8000)) {
        work_unsubscribe(actor, slot, sim_random_chance(random, 400000));
    } else if (consumer->held_len == 0 || (work && sim_random_chance(random, 500000))) {
        return;
    } else if (work && sim_random_chance(random, 100000)) {
        work_extend(actor, slot);
    } else if (work && sim_random_chance(random, 60000)) {
        consumer->held_len--; /* Forgotten: its lock ends it, or the end of the consumer. */
    } else if (work && sim_random_chance(random, 150000)) {
        sim_actor_transact(actor, slot);
    } else {
        work_settle(actor, slot);
    }
}

/* More than that in the queues, and nothing is added: each entry's look at all of it would take long. */
#define BACKLOG_MAX 100u

static void work_produce(struct sim_actor *actor)
{
    uint64_t draw = sim_random_between(&actor->random, 0, 99);
    if (actor->prepared != 0 && draw < 60) {
        sim_actor_resolve(actor);
    } else if (sim_ledger_backlog(actor->world) > BACKLOG_MAX) {
        work_fetch(actor);
    } else if (draw < 20) {
        sim_actor_publish(actor, SIM_ACT_PUBLISH);
    } else if (draw < 45) {
        sim_actor_publish(actor, SIM_ACT_PUBLISH_NAMED);
    } else if (draw < 55) {
        actor->epoch != 0 ? sim_actor_publish(actor, SIM_ACT_PUBLISH_SHARED) : sim_actor_open(actor);
    } else if (draw < 62) {
        work_fetch(actor);
    } else if (draw < 68 && actor->prepared == 0) {
        sim_actor_publish(actor, SIM_ACT_PREPARE);
    }
}

void sim_actor_work(struct sim_actor *actor)
{
    struct sim_world *world = actor->world;
    char why[128];
    if (actor->closing) {
        return;
    }
    if (!world->features.ready && world->phase == SIM_WORK) {
        work_setup(actor);
        return;
    }
    if (world->phase != SIM_WORK && actor->prepared != 0) {
        sim_actor_resolve(actor);
    }
    if (world->phase != SIM_WORK && actor->commands_len == 0 && sim_ledger_empty(world, why, sizeof why)) {
        work_close(actor);
        return;
    }
    for (unsigned i = 0; i < SIM_ACT_CONSUMERS && world->features.ready; i++) {
        work_consumer(actor, i);
    }
    if (world->phase == SIM_WORK && actor->commands_len < SIM_ACT_COMMANDS_MAX / 2 &&
        sim_random_chance(&actor->random, 600000)) {
        work_produce(actor);
    }
}

/* ---- Answers ---- */

/* Each message of a publish that was answered. One of a named producer that is a repetition is not there: a publish that was refused
 * when it was sent again has come after all, from the earlier session, under the same numbers. The entry has been looked at. */
static void answered_parcels(struct sim_actor *actor, const struct sim_act *act, const struct gateway_reply *reply)
{
    int err = -(int)reply->error;
    uint64_t taken_before = err == 0 && actor->numbers_doubtful ? reply->repeated_count : 0;
    for (unsigned i = 0; i < act->parcels_len; i++) {
        if (taken_before > 0 && !sim_ledger_parcel(actor->world, act->parcels[i])->taken) {
            taken_before--;
        } else {
            sim_ledger_answered(actor->world, act->parcels[i], err);
        }
    }
}

void sim_actor_answered(struct sim_actor *actor, struct sim_act *act, const struct gateway_reply *reply)
{
    struct sim_world *world = actor->world;
    int err = -(int)reply->error;
    /* Refused this time; what was sent in an earlier session was done perhaps before, or is still on its way and is done later: only
     * an epoch would fence it off. */
    bool unseen = act->again && err != 0;
    if (!unseen) {
        answered_parcels(actor, act, reply);
    }
    switch (act->kind) {
    case SIM_ACT_SETUP:
        actor->setup += err == 0;
        if (err != 0 && err != ERR_NO_SPACE) {
            sim_world_violation(world, "setting up step %u: %s %s", actor->setup, err_name(err), reply->detail);
        }
        break;
    case SIM_ACT_OPEN:
        actor->epoch = err == 0 ? reply->count : 0;
        actor->shared_sequence = err == 0 ? reply->repeated_count : 0;
        break;
    case SIM_ACT_PUBLISH_SHARED: actor->epoch = err == 0 ? actor->epoch : 0; break;
    case SIM_ACT_PUBLISH_NAMED:
        if (err != 0) {
            /* What is refused has not used up its numbers; what came behind it is refused as well, or has. */
            actor->sequence = sim_ledger_sequence(world, actor->index);
            actor->numbers_doubtful = actor->numbers_doubtful || unseen;
        }
        break;
    case SIM_ACT_SUBSCRIBE:
        if (err != 0) {
            actor->consumers[act->slot].id = 0;
        }
        break;
    case SIM_ACT_FETCH: sim_world_count(world, SIM_STAT_F_FETCHED_MORE, act->more ? reply->count : 0); break;
    case SIM_ACT_CLOSE: actor->closing = err == 0; break;
    default: break;
    }
}

/* A named producer's publish is sent again until there is an answer: it must not be there twice. */
bool sim_actor_lost(struct sim_actor *actor, const struct sim_act *act)
{
    actor->prepared = 0; /* It is looked after by its deadline. */
    actor->epoch = 0;
    actor->closing = actor->closing && act->kind != SIM_ACT_CLOSE;
    sim_world_count(actor->world, SIM_STAT_F_RESENT, act->kind == SIM_ACT_PUBLISH_NAMED);
    return act->kind == SIM_ACT_PUBLISH_NAMED;
}

/* What was fetched is settled at once; until then it is held as by any other consumer. */
static void fetched(struct sim_actor *actor, const struct gateway_delivery *delivery)
{
    uint64_t number = delivery->number;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__Settle settle = HOLDFAST__SETTLE__INIT;
    settle.consumer = delivery->consumer;
    settle.n_first = settle.n_last = 1;
    settle.first = settle.last = &number;
    command.kind_case = HOLDFAST__COMMAND__KIND_SETTLE;
    command.settle = &settle;
    struct sim_act act = {.kind = SIM_ACT_SETTLE, .header = sim_features_pack(&command)};
    sim_world_count(actor->world, SIM_STAT_F_FETCHED, 1);
    if (!sim_actor_submit(actor, &act)) {
        actor->forgot = true;
    }
}

void sim_actor_delivery(struct sim_actor *actor, const struct gateway_delivery *delivery)
{
    struct sim_world *world = actor->world;
    uint64_t parcel = delivery->body.len == SIM_ACT_BODY_LEN ? get_u64(delivery->body.data) : 0;
    if (sim_ledger_parcel(world, parcel) == NULL || get_u64(delivery->body.data + 8) != ~parcel) {
        sim_world_violation(world, "actor %u was given at position %" PRIx64 " what nobody sent", actor->index,
                            delivery->position);
        return;
    }
    SIM_TRACE(world, "actor %u: consumer %" PRIx64 " delivery %" PRIu64 " position %" PRIx64, actor->index,
              delivery->consumer, delivery->number, delivery->position);
    sim_world_note(world, 31, delivery->number, parcel);
    sim_world_count(world, SIM_STAT_F_DELIVERED, 1);
    if ((delivery->consumer & SIM_LEDGER_FETCH) != 0) {
        fetched(actor, delivery);
        return;
    }
    for (unsigned i = 0; i < SIM_ACT_CONSUMERS; i++) {
        struct sim_actor_consumer *consumer = &actor->consumers[i];
        if (consumer->id == delivery->consumer && delivery->number > consumer->seen) {
            /* One whose lock has ended before it could be sent is not sent any more. */
            if (delivery->number != consumer->seen + 1 && world->features.queues[consumer->queue].lock_ms == 0) {
                sim_world_violation(world, "actor %u was given delivery %" PRIu64 " after %" PRIu64, actor->index,
                                    delivery->number, consumer->seen);
            }
            consumer->seen = delivery->number;
            if (consumer->held_len < SIM_ACT_HELD_MAX) {
                consumer->held[consumer->held_len++].number = delivery->number;
            } else {
                /* What was forgotten and has gone back since leaves room; the oldest are as likely as any to be void. */
                memmove(consumer->held, consumer->held + 1, (SIM_ACT_HELD_MAX - 1) * sizeof consumer->held[0]);
                consumer->held[SIM_ACT_HELD_MAX - 1].number = delivery->number;
            }
            return;
        }
    }
}

void sim_actor_consumer_over(struct sim_actor *actor, uint64_t id)
{
    for (unsigned i = 0; i < SIM_ACT_CONSUMERS; i++) {
        bool to_come = false; /* Its Subscribe has been sent again, and may yet make it. */
        for (unsigned c = 0; c < actor->commands_len; c++) {
            const struct sim_act *act = &actor->commands[c];
            to_come = to_come || (act->kind == SIM_ACT_SUBSCRIBE && act->slot == i && !act->answered);
        }
        if (id != 0 && actor->consumers[i].id == id && !to_come) {
            actor->consumers[i].id = 0;
            actor->consumers[i].held_len = 0;
        }
    }
}
