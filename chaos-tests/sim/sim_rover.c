/* What rovers do. */

#include "sim_rover.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/bytes.h"
#include "proto/base/check.h"
#include "sim_actor.h"
#include "sim_world.h"

unsigned sim_rover_draw(struct sim_actor *actor, unsigned below)
{
    return (unsigned)sim_random_between(&actor->random, 0, below - 1);
}

bool sim_rover_submit(struct sim_actor *actor, const Holdfast__Command *command, enum sim_actor_kind kind,
                      unsigned slot)
{
    struct sim_act act = {.kind = kind, .slot = slot, .header = sim_features_pack(command)};
    return sim_actor_submit(actor, &act);
}

/* ---- Moving messages ---- */

static void rove_redrive(struct sim_actor *actor)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__Redrive redrive = HOLDFAST__REDRIVE__INIT;
    redrive.queue = "f-dead";
    redrive.to = sim_rover_draw(actor, 3) == 0 ? "r-plain" : "";
    redrive.from = sim_rover_draw(actor, 3) == 0 ? "r-bytes" : "";
    redrive.max = sim_rover_draw(actor, 5);
    command.kind_case = HOLDFAST__COMMAND__KIND_REDRIVE;
    command.redrive = &redrive;
    (void)sim_rover_submit(actor, &command, SIM_ACT_ROVE_REDRIVE, 0);
}

static void rove_replay(struct sim_actor *actor)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__Replay replay = HOLDFAST__REPLAY__INIT;
    replay.queue = "r-kept";
    replay.first = sim_rover_draw(actor, 10);
    replay.last = UINT64_MAX;
    replay.to = sim_rover_draw(actor, 2) == 0 ? "r-plain" : "";
    replay.max = 1 + sim_rover_draw(actor, 3);
    command.kind_case = HOLDFAST__COMMAND__KIND_REPLAY;
    command.replay = &replay;
    (void)sim_rover_submit(actor, &command, SIM_ACT_ROVE_REPLAY, 0);
}

/* ---- Consuming ---- */

static void rove_subscribe(struct sim_actor *actor, unsigned slot)
{
    struct sim_actor_consumer *consumer = &actor->consumers[slot];
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__Subscribe subscribe = HOLDFAST__SUBSCRIBE__INIT;
    consumer->id = (uint64_t)(actor->index + 1) << 32 | ++actor->consumers_made;
    consumer->seen = 0;
    consumer->held_len = 0;
    consumer->credit = 1 + sim_rover_draw(actor, SIM_ACT_HELD_MAX);
    subscribe.queue = (char *)sim_rover_queues[sim_rover_draw(actor, SIM_ROVER_QUEUES)];
    subscribe.consumer = consumer->id;
    subscribe.credit = consumer->credit;
    subscribe.priority = (int32_t)sim_rover_draw(actor, 4) - 1;
    subscribe.exclusive = sim_rover_draw(actor, 8) == 0;
    subscribe.auto_accept = sim_rover_draw(actor, 6) == 0;
    subscribe.lock_ms = sim_rover_draw(actor, 4) == 0 ? 150 + sim_rover_draw(actor, 300) : 0;
    subscribe.tag = "rover";
    command.kind_case = HOLDFAST__COMMAND__KIND_SUBSCRIBE;
    command.subscribe = &subscribe;
    if (!sim_rover_submit(actor, &command, SIM_ACT_SUBSCRIBE, slot)) {
        consumer->id = 0;
    }
}

static void rove_leave(struct sim_actor *actor, unsigned slot)
{
    struct sim_actor_consumer *consumer = &actor->consumers[slot];
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__Unsubscribe unsubscribe = HOLDFAST__UNSUBSCRIBE__INIT;
    unsubscribe.consumer = consumer->id;
    unsubscribe.drain = sim_rover_draw(actor, 3) == 0;
    command.kind_case = HOLDFAST__COMMAND__KIND_UNSUBSCRIBE;
    command.unsubscribe = &unsubscribe;
    if (sim_rover_submit(actor, &command, SIM_ACT_ROVE, slot) && !unsubscribe.drain) {
        consumer->id = 0;
    }
}

/* The oldest that it holds: all up to a number at once, as protocols with cumulative settling do. */
static void rove_settle(struct sim_actor *actor, unsigned slot)
{
    struct sim_actor_consumer *consumer = &actor->consumers[slot];
    uint64_t numbers[SIM_ACT_HELD_MAX];
    uint64_t first;
    uint64_t last;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__Settle settle = HOLDFAST__SETTLE__INIT;
    unsigned count = sim_actor_take(actor, consumer, numbers);
    static const Holdfast__Settle__Outcome outcomes[] = {
        HOLDFAST__SETTLE__OUTCOME__ACCEPT, HOLDFAST__SETTLE__OUTCOME__ACCEPT, HOLDFAST__SETTLE__OUTCOME__REJECT,
        HOLDFAST__SETTLE__OUTCOME__RELEASE};
    first = sim_rover_draw(actor, 2) == 0 ? 1 : numbers[0];
    last = numbers[count - 1];
    settle.consumer = consumer->id;
    settle.outcome = outcomes[sim_rover_draw(actor, 4)];
    settle.n_first = settle.n_last = 1;
    settle.first = &first;
    settle.last = &last;
    settle.all = sim_rover_draw(actor, 4) == 0;
    command.kind_case = HOLDFAST__COMMAND__KIND_SETTLE;
    command.settle = &settle;
    (void)sim_rover_submit(actor, &command, settle.all ? SIM_ACT_ROVE_ALL : SIM_ACT_ROVE, slot);
}

static void rove_consumer(struct sim_actor *actor, unsigned slot)
{
    struct sim_actor_consumer *consumer = &actor->consumers[slot];
    if (consumer->id == 0) {
        rove_subscribe(actor, slot);
    } else if (consumer->held_len > 0 && sim_rover_draw(actor, 3) != 0) {
        rove_settle(actor, slot);
    } else if (sim_rover_draw(actor, 25) == 0) {
        rove_leave(actor, slot);
    }
}

/* ---- What to do next ---- */

static void rove_resolve(struct sim_actor *actor, const char *id)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__ResolvePrepared resolve = HOLDFAST__RESOLVE_PREPARED__INIT;
    resolve.id = (char *)id;
    resolve.commit = id[strlen(id) - 1] % 2 == 0;
    command.kind_case = HOLDFAST__COMMAND__KIND_RESOLVE_PREPARED;
    command.resolve_prepared = &resolve;
    (void)sim_rover_submit(actor, &command, SIM_ACT_ROVE, 0);
}

void sim_rover_asked(struct sim_actor *actor, const char *id)
{
    sim_world_count(actor->world, SIM_STAT_R_ASKED, 1);
    rove_resolve(actor, id);
}

static void rove_open(struct sim_actor *actor)
{
    char name[16];
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__OpenProducer open = HOLDFAST__OPEN_PRODUCER__INIT;
    snprintf(name, sizeof name, "r-group-%u", actor->index);
    open.producer = name;
    open.keep_epoch = sim_rover_draw(actor, 3) == 0;
    command.kind_case = HOLDFAST__COMMAND__KIND_OPEN_PRODUCER;
    command.open_producer = &open;
    (void)sim_rover_submit(actor, &command, SIM_ACT_ROVE, 0);
}

static void rove_close(struct sim_actor *actor)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__CloseSession close = HOLDFAST__CLOSE_SESSION__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_CLOSE_SESSION;
    command.close_session = &close;
    actor->closing = sim_rover_submit(actor, &command, SIM_ACT_CLOSE, 0);
}

void sim_rover_work(struct sim_actor *actor)
{
    static void (*const doings[])(struct sim_actor *) = {sim_rover_declare,
                                                         sim_rover_declare,
                                                         sim_rover_declare,
                                                         sim_rover_change,
                                                         sim_rover_delete,
                                                         sim_rover_exchange,
                                                         sim_rover_bind,
                                                         sim_rover_bind,
                                                         rove_redrive,
                                                         rove_replay,
                                                         sim_rover_host,
                                                         sim_rover_limits,
                                                         sim_rover_change_exchange,
                                                         rove_open,
                                                         sim_rover_publish,
                                                         sim_rover_publish,
                                                         sim_rover_publish,
                                                         sim_rover_publish,
                                                         sim_rover_publish,
                                                         sim_rover_publish};
    if (actor->closing) {
        return;
    }
    if (actor->world->phase != SIM_WORK) {
        if (actor->commands_len == 0) {
            rove_close(actor);
        }
        return;
    }
    if (actor->commands_len < SIM_ACT_COMMANDS_MAX / 2) {
        rove_consumer(actor, sim_rover_draw(actor, SIM_ACT_CONSUMERS));
        doings[sim_rover_draw(actor, sizeof doings / sizeof doings[0])](actor);
    }
}

/* ---- Answers ---- */

static bool fits(int err)
{
    return err == 0 || err == ERR_NOT_FOUND || err == ERR_EXISTS || err == ERR_REFUSED || err == ERR_EXCLUSIVE ||
           err == ERR_FULL || err == ERR_LIMIT || err == ERR_STALE || err == ERR_NO_SPACE || err == ERR_BUSY;
}

void sim_rover_answered(struct sim_actor *actor, struct sim_act *act, const struct gateway_reply *reply)
{
    struct sim_world *world = actor->world;
    int err = -(int)reply->error;
    if (!fits(err)) {
        sim_world_violation(world, "rover %u: command %" PRIu64 " of kind %d is answered %s: %s", actor->index,
                            act->number, (int)act->kind, err_name(err), reply->detail);
    }
    if (act->kind == SIM_ACT_ROVE_NOWHERE && err == 0 &&
        (reply->unrouted.len != 1 || (reply->unrouted.data[0] & 1) == 0)) {
        sim_world_violation(world, "rover %u: nobody says that a mandatory message reached no queue", actor->index);
    }
    if (act->kind == SIM_ACT_ROVE_ALL && err == 0 && reply->repeated_count > 0) {
        sim_world_violation(world, "rover %u: a settlement of all or nothing left %" PRIu64 " out", actor->index,
                            reply->repeated_count);
    }
    sim_world_count(world, SIM_STAT_R_ALL_STALE, act->kind == SIM_ACT_ROVE_ALL && err == ERR_STALE);
    sim_world_count(world, SIM_STAT_R_UNROUTED, act->kind == SIM_ACT_ROVE_NOWHERE && err == 0);
    sim_world_count(world, SIM_STAT_R_EACH_REFUSED, reply->refused.len > 0);
    sim_world_count(world, SIM_STAT_R_EXCLUSIVE_REFUSED, err == ERR_EXCLUSIVE);
    sim_world_count(world, SIM_STAT_R_LIMIT, err == ERR_LIMIT);
    sim_world_count(world, SIM_STAT_R_REDRIVEN, act->kind == SIM_ACT_ROVE_REDRIVE && err == 0 ? reply->count : 0);
    sim_world_count(world, SIM_STAT_R_REPLAYED, act->kind == SIM_ACT_ROVE_REPLAY && err == 0 ? reply->count : 0);
    sim_world_count(world, SIM_STAT_R_CHANGED, act->kind == SIM_ACT_ROVE_CHANGE && err == 0);
    sim_world_count(world, SIM_STAT_R_EXCHANGES_CHANGED, act->kind == SIM_ACT_ROVE_EXCHANGE && err == 0);
    sim_world_count(world, SIM_STAT_R_LIMITS_SET, act->kind == SIM_ACT_ROVE_LIMITS && err == 0);
    sim_world_count(world, SIM_STAT_R_HOSTS, act->kind == SIM_ACT_ROVE_HOST && err == 0);
    if (act->kind == SIM_ACT_SUBSCRIBE && err != 0) {
        actor->consumers[act->slot].id = 0;
    } else if (act->kind == SIM_ACT_CLOSE) {
        actor->closing = err == 0;
    }
}

void sim_rover_delivery(struct sim_actor *actor, const struct gateway_delivery *delivery)
{
    struct sim_world *world = actor->world;
    if (delivery->body.len < SIM_ACT_BODY_LEN || get_u64(delivery->body.data) >> 56 != SIM_ROVER_MARK ||
        get_u64(delivery->body.data + 8) != ~get_u64(delivery->body.data)) {
        sim_world_violation(world, "rover %u was given what no rover sent", actor->index);
        return;
    }
    sim_world_note(world, 33, delivery->number, get_u64(delivery->body.data));
    sim_world_count(world, SIM_STAT_R_DELIVERED, 1);
    for (unsigned i = 0; i < SIM_ACT_CONSUMERS; i++) {
        struct sim_actor_consumer *consumer = &actor->consumers[i];
        if (consumer->id == delivery->consumer && delivery->number > consumer->seen) {
            consumer->seen = delivery->number;
            if (consumer->held_len < SIM_ACT_HELD_MAX) {
                consumer->held[consumer->held_len++].number = delivery->number;
            }
        }
    }
}
