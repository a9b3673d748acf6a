/* What rovers do. */

#include "sim_rover.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/bytes.h"
#include "proto/base/check.h"
#include "sim_actor.h"
#include "sim_world.h"

/* The last but two are exclusive, one for each rover; a queue of that name is in "/" too, and is another one. */
const char *const sim_rover_queues[SIM_ROVER_QUEUES] = {"r-plain", "f-dead",  "r-kept",   "r-bytes",
                                                        "r-own-0", "r-own-1", "r-passing"};
enum { R_PLAIN, R_DEAD, R_KEPT, R_BYTES, R_OWN, R_PASSING = 6 };

static const char *const exchanges[] = {"r-headers", "r-lost", "r-direct", "r-topic"};
static const char *const keys[] = {"a", "a.b", "#", "*.b"};

static unsigned draw(struct sim_actor *actor, unsigned below)
{
    return (unsigned)sim_random_between(&actor->random, 0, below - 1);
}

static bool rove(struct sim_actor *actor, const Holdfast__Command *command, enum sim_actor_kind kind, unsigned slot)
{
    struct sim_act act = {.kind = kind, .slot = slot, .header = sim_features_pack(command)};
    return sim_actor_submit(actor, &act);
}

/* ---- Queues ---- */

static void options_of(const struct sim_actor *actor, unsigned queue, Holdfast__QueueOptions *options)
{
    options->has_dead_letter = queue != R_DEAD;
    options->dead_letter_exchange = "";
    options->has_dead_letter_key = queue != R_DEAD;
    options->dead_letter_key = queue != R_DEAD ? "f-dead" : "";
    options->keep_settled_ms = queue == R_KEPT ? 3000 : 0;
    options->keep_life_ms = queue == R_KEPT ? 2000 : 0;
    options->has_max_bytes = queue == R_BYTES;
    options->max_bytes = queue == R_BYTES ? 500 : 0;
    options->overflow = (Holdfast__QueueOptions__Overflow)(queue == R_BYTES ? actor->world->options.seed % 3 : 0);
    options->exclusive = queue == R_OWN + actor->index - SIM_ACTORS_MAX;
    options->auto_delete = queue == R_PASSING;
    options->expires_ms = queue == R_PASSING ? 400 : 0;
    options->single_active = queue == R_OWN + 1;
    options->groups = queue == R_KEPT;
}

static void rove_declare(struct sim_actor *actor)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__DeclareQueue declare = HOLDFAST__DECLARE_QUEUE__INIT;
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    unsigned queue = draw(actor, SIM_ROVER_QUEUES);
    options_of(actor, queue, &options);
    declare.queue = (char *)sim_rover_queues[queue];
    declare.options = &options;
    declare.passive = draw(actor, 6) == 0;
    command.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_QUEUE;
    command.declare_queue = &declare;
    (void)rove(actor, &command, SIM_ACT_ROVE, 0);
}

static void rove_change(struct sim_actor *actor)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__ChangeQueue change = HOLDFAST__CHANGE_QUEUE__INIT;
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    uint32_t fields[] = {29, 31}; /* paused, note */
    options.paused = draw(actor, 3) == 0;
    options.note = "seen by a rover";
    if (draw(actor, 4) == 0) {
        fields[0] = 30;
        options.protected_ = draw(actor, 3) == 0;
    }
    change.queue = (char *)sim_rover_queues[draw(actor, SIM_ROVER_QUEUES)];
    change.options = &options;
    change.n_field = 2;
    change.field = fields;
    command.kind_case = HOLDFAST__COMMAND__KIND_CHANGE_QUEUE;
    command.change_queue = &change;
    (void)rove(actor, &command, SIM_ACT_ROVE_CHANGE, 0);
}

static void rove_delete(struct sim_actor *actor)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__DeleteQueue delete = HOLDFAST__DELETE_QUEUE__INIT;
    Holdfast__PurgeQueue purge = HOLDFAST__PURGE_QUEUE__INIT;
    delete.queue = purge.queue = (char *)sim_rover_queues[draw(actor, SIM_ROVER_QUEUES)];
    delete.if_empty = draw(actor, 3) == 0;
    delete.if_unused = draw(actor, 3) == 0;
    command.kind_case = HOLDFAST__COMMAND__KIND_DELETE_QUEUE;
    command.delete_queue = &delete;
    if (draw(actor, 2) == 0) {
        command.kind_case = HOLDFAST__COMMAND__KIND_PURGE_QUEUE;
        command.purge_queue = &purge;
    }
    (void)rove(actor, &command, SIM_ACT_ROVE, 0);
}

/* ---- Exchanges ---- */

static void rove_exchange(struct sim_actor *actor)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__DeclareExchange declare = HOLDFAST__DECLARE_EXCHANGE__INIT;
    Holdfast__DeleteExchange delete = HOLDFAST__DELETE_EXCHANGE__INIT;
    static const Holdfast__DeclareExchange__Type types[] = {
        HOLDFAST__DECLARE_EXCHANGE__TYPE__HEADERS, HOLDFAST__DECLARE_EXCHANGE__TYPE__FANOUT,
        HOLDFAST__DECLARE_EXCHANGE__TYPE__DIRECT, HOLDFAST__DECLARE_EXCHANGE__TYPE__TOPIC};
    unsigned exchange = draw(actor, 4);
    declare.exchange = delete.exchange = (char *)exchanges[exchange];
    declare.type = types[exchange];
    declare.has_alternate = exchange != 1;
    declare.alternate = exchange != 1 ? "r-lost" : "";
    declare.auto_delete = exchange == 2;
    command.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_EXCHANGE;
    command.declare_exchange = &declare;
    if (draw(actor, 8) == 0) {
        delete.if_unused = draw(actor, 2) == 0;
        command.kind_case = HOLDFAST__COMMAND__KIND_DELETE_EXCHANGE;
        command.delete_exchange = &delete;
    }
    (void)rove(actor, &command, SIM_ACT_ROVE, 0);
}

static void rove_bind(struct sim_actor *actor)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__Bind bind = HOLDFAST__BIND__INIT;
    Holdfast__Unbind unbind = HOLDFAST__UNBIND__INIT;
    Holdfast__Header header = HOLDFAST__HEADER__INIT;
    Holdfast__Value value = HOLDFAST__VALUE__INIT;
    Holdfast__Header *headers = &header;
    unsigned source = draw(actor, 4);
    header.name = "kind";
    header.value = &value;
    value.kind_case = HOLDFAST__VALUE__KIND_INT32;
    value.int32 = (int32_t)draw(actor, 3);
    bind.source = unbind.source = (char *)exchanges[source];
    bind.key = unbind.key = (char *)keys[draw(actor, 4)];
    bind.n_argument = unbind.n_argument = source == 0;
    bind.argument = unbind.argument = &headers;
    bind.to_exchange = unbind.to_exchange = draw(actor, 4) == 0;
    bind.exchange = unbind.exchange = bind.to_exchange ? (char *)exchanges[draw(actor, 4)] : "";
    bind.queue = unbind.queue = bind.to_exchange ? "" : (char *)sim_rover_queues[draw(actor, SIM_ROVER_QUEUES)];
    command.kind_case = HOLDFAST__COMMAND__KIND_BIND;
    command.bind = &bind;
    if (draw(actor, 4) == 0) {
        command.kind_case = HOLDFAST__COMMAND__KIND_UNBIND;
        command.unbind = &unbind;
    }
    (void)rove(actor, &command, SIM_ACT_ROVE, 0);
}

/* ---- Moving messages ---- */

static void rove_redrive(struct sim_actor *actor)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__Redrive redrive = HOLDFAST__REDRIVE__INIT;
    redrive.queue = "f-dead";
    redrive.to = draw(actor, 3) == 0 ? "r-plain" : "";
    redrive.from = draw(actor, 3) == 0 ? "r-bytes" : "";
    redrive.max = draw(actor, 5);
    command.kind_case = HOLDFAST__COMMAND__KIND_REDRIVE;
    command.redrive = &redrive;
    (void)rove(actor, &command, SIM_ACT_ROVE_REDRIVE, 0);
}

static void rove_replay(struct sim_actor *actor)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__Replay replay = HOLDFAST__REPLAY__INIT;
    replay.queue = "r-kept";
    replay.first = draw(actor, 10);
    replay.last = UINT64_MAX;
    replay.to = draw(actor, 2) == 0 ? "r-plain" : "";
    replay.max = 1 + draw(actor, 3);
    command.kind_case = HOLDFAST__COMMAND__KIND_REPLAY;
    command.replay = &replay;
    (void)rove(actor, &command, SIM_ACT_ROVE_REPLAY, 0);
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
    consumer->credit = 1 + draw(actor, SIM_ACT_HELD_MAX);
    subscribe.queue = (char *)sim_rover_queues[draw(actor, SIM_ROVER_QUEUES)];
    subscribe.consumer = consumer->id;
    subscribe.credit = consumer->credit;
    subscribe.priority = (int32_t)draw(actor, 4) - 1;
    subscribe.exclusive = draw(actor, 8) == 0;
    subscribe.auto_accept = draw(actor, 6) == 0;
    subscribe.lock_ms = draw(actor, 4) == 0 ? 150 + draw(actor, 300) : 0;
    subscribe.tag = "rover";
    command.kind_case = HOLDFAST__COMMAND__KIND_SUBSCRIBE;
    command.subscribe = &subscribe;
    if (!rove(actor, &command, SIM_ACT_SUBSCRIBE, slot)) {
        consumer->id = 0;
    }
}

static void rove_leave(struct sim_actor *actor, unsigned slot)
{
    struct sim_actor_consumer *consumer = &actor->consumers[slot];
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__Unsubscribe unsubscribe = HOLDFAST__UNSUBSCRIBE__INIT;
    unsubscribe.consumer = consumer->id;
    command.kind_case = HOLDFAST__COMMAND__KIND_UNSUBSCRIBE;
    command.unsubscribe = &unsubscribe;
    if (rove(actor, &command, SIM_ACT_ROVE, slot)) {
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
    first = draw(actor, 2) == 0 ? 1 : numbers[0];
    last = numbers[count - 1];
    settle.consumer = consumer->id;
    settle.outcome = outcomes[draw(actor, 4)];
    settle.n_first = settle.n_last = 1;
    settle.first = &first;
    settle.last = &last;
    settle.all = draw(actor, 4) == 0;
    command.kind_case = HOLDFAST__COMMAND__KIND_SETTLE;
    command.settle = &settle;
    (void)rove(actor, &command, SIM_ACT_ROVE, slot);
}

static void rove_consumer(struct sim_actor *actor, unsigned slot)
{
    struct sim_actor_consumer *consumer = &actor->consumers[slot];
    if (consumer->id == 0) {
        rove_subscribe(actor, slot);
    } else if (consumer->held_len > 0 && draw(actor, 3) != 0) {
        rove_settle(actor, slot);
    } else if (draw(actor, 25) == 0) {
        rove_leave(actor, slot);
    }
}

/* ---- Hosts ---- */

static void rove_host(struct sim_actor *actor)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__CreateVirtualHost create = HOLDFAST__CREATE_VIRTUAL_HOST__INIT;
    Holdfast__DeleteVirtualHost delete = HOLDFAST__DELETE_VIRTUAL_HOST__INIT;
    create.virtual_host = delete.virtual_host = "f-passing";
    delete.force = draw(actor, 2) == 0;
    command.kind_case = HOLDFAST__COMMAND__KIND_CREATE_VIRTUAL_HOST;
    command.create_virtual_host = &create;
    if (draw(actor, 2) == 0) {
        command.kind_case = HOLDFAST__COMMAND__KIND_DELETE_VIRTUAL_HOST;
        command.delete_virtual_host = &delete;
    }
    (void)rove(actor, &command, SIM_ACT_ROVE_HOST, 0);
}

bool sim_rover_setup(unsigned step, struct slice *ret_header)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__CreateVirtualHost create = HOLDFAST__CREATE_VIRTUAL_HOST__INIT;
    Holdfast__SetLimits set = HOLDFAST__SET_LIMITS__INIT;
    Holdfast__Limits limits = HOLDFAST__LIMITS__INIT;
    Holdfast__Limit queues = HOLDFAST__LIMIT__INIT;
    Holdfast__Limit ready = HOLDFAST__LIMIT__INIT;
    Holdfast__Limit *list[] = {&queues, &ready};
    queues.what = HOLDFAST__LIMIT__WHAT__QUEUES;
    queues.value = SIM_ROVER_QUEUES_LIMIT;
    ready.what = HOLDFAST__LIMIT__WHAT__READY_MESSAGES;
    ready.value = SIM_ROVER_READY_LIMIT;
    create.virtual_host = set.virtual_host = SIM_ROVER_HOST;
    limits.n_limit = 2;
    limits.limit = list;
    set.limits = &limits;
    command.kind_case = HOLDFAST__COMMAND__KIND_CREATE_VIRTUAL_HOST;
    command.create_virtual_host = &create;
    if (step == 1) {
        command.kind_case = HOLDFAST__COMMAND__KIND_SET_LIMITS;
        command.set_limits = &set;
    }
    if (step < 2) {
        *ret_header = sim_features_pack(&command);
    }
    return step < 2;
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
    (void)rove(actor, &command, SIM_ACT_ROVE, 0);
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
    open.keep_epoch = draw(actor, 3) == 0;
    command.kind_case = HOLDFAST__COMMAND__KIND_OPEN_PRODUCER;
    command.open_producer = &open;
    (void)rove(actor, &command, SIM_ACT_ROVE, 0);
}

static void rove_close(struct sim_actor *actor)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__CloseSession close = HOLDFAST__CLOSE_SESSION__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_CLOSE_SESSION;
    command.close_session = &close;
    actor->closing = rove(actor, &command, SIM_ACT_CLOSE, 0);
}

void sim_rover_work(struct sim_actor *actor)
{
    static void (*const doings[])(struct sim_actor *) = {
        rove_declare,      rove_declare,      rove_declare,      rove_change,       rove_delete,
        rove_exchange,     rove_bind,         rove_bind,         rove_redrive,      rove_replay,
        rove_host,         rove_open,         sim_rover_publish, sim_rover_publish, sim_rover_publish,
        sim_rover_publish, sim_rover_publish, sim_rover_publish};
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
        rove_consumer(actor, draw(actor, SIM_ACT_CONSUMERS));
        doings[draw(actor, sizeof doings / sizeof doings[0])](actor);
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
    sim_world_count(world, SIM_STAT_R_UNROUTED, act->kind == SIM_ACT_ROVE_NOWHERE && err == 0);
    sim_world_count(world, SIM_STAT_R_EACH_REFUSED, reply->refused.len > 0);
    sim_world_count(world, SIM_STAT_R_EXCLUSIVE_REFUSED, err == ERR_EXCLUSIVE);
    sim_world_count(world, SIM_STAT_R_LIMIT, err == ERR_LIMIT);
    sim_world_count(world, SIM_STAT_R_REDRIVEN, act->kind == SIM_ACT_ROVE_REDRIVE && err == 0 ? reply->count : 0);
    sim_world_count(world, SIM_STAT_R_REPLAYED, act->kind == SIM_ACT_ROVE_REPLAY && err == 0 ? reply->count : 0);
    sim_world_count(world, SIM_STAT_R_CHANGED, act->kind == SIM_ACT_ROVE_CHANGE && err == 0);
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
