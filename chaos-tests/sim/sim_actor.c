/* An actor's session: where it is attached, its commands' numbers, and what becomes of both. */

#include "sim_actor.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "sim_world.h"

#define STREAM_ACTORS 80u
#define WORK_US 12000u
#define RETRY_US 40000u

static void actor_event(struct sim_event *event);

static void actor_later(struct sim_actor *actor, uint64_t us)
{
    sim_queue_push(&actor->world->queue,
                   (struct sim_event){.at_us = sim_world_now(actor->world) + us, .fire = actor_event, .object = actor});
}

static void act_done(struct sim_act *act)
{
    slice_unref(&act->header);
    slice_unref(&act->bodies);
}

static void actor_new_session(struct sim_actor *actor)
{
    for (unsigned i = 0; i < sizeof actor->key; i++) {
        actor->key[i] = (uint8_t)sim_random_next(&actor->random);
    }
    actor->resume = false;
    actor->attempt = 0;
    actor->session = 0;
    actor->next_number = 1;
    actor->floor = 0;
    actor->forgot = false;
    for (unsigned i = 0; i < SIM_ACT_CONSUMERS; i++) {
        actor->consumers[i].id = 0;
        actor->consumers[i].held_len = 0;
    }
    unsigned kept = 0;
    for (unsigned i = 0; i < actor->commands_len; i++) {
        struct sim_act act = actor->commands[i];
        if (!act.answered && sim_actor_lost(actor, &act)) {
            act.again = act.again || act.number != 0;
            act.number = 0;
            actor->commands[kept++] = act;
        } else {
            act_done(&act);
        }
    }
    actor->commands_len = kept;
}

/* ---- The sink ---- */

static void actor_send(struct sim_actor *actor)
{
    struct gateway *gateway = shard_gateway(actor->node->shard);
    for (unsigned i = 0; i < actor->commands_len && actor->attached; i++) {
        struct sim_act *act = &actor->commands[i];
        if (act->number != 0) {
            continue;
        }
        int err = gateway->ops->submit(actor->link, actor->next_number, actor->floor, act->header, act->bodies);
        if (err != 0) {
            break; /* Full, or about to end. */
        }
        act->number = actor->next_number++;
    }
    sim_node_wake(actor->node);
}

static void sink_attached(void *arg, uint64_t session, uint64_t last_number)
{
    struct sim_actor *actor = arg;
    (void)last_number;
    SIM_TRACE(actor->world, "actor %u: attached to node %u, session %" PRIu64, actor->index, actor->node->index + 1,
              session);
    actor->session = session;
    actor->resume = true;
    actor->attached = true;
    for (unsigned i = 0; i < actor->commands_len; i++) {
        struct sim_act *act = &actor->commands[i];
        if (act->number != 0 && !act->answered) {
            struct gateway *gateway = shard_gateway(actor->node->shard);
            (void)gateway->ops->submit(actor->link, act->number, actor->floor, act->header, act->bodies);
        }
    }
    actor_later(actor, 100);
}

/* Answered ones leave from the front on, so that the floor is known. */
static void actor_floor(struct sim_actor *actor)
{
    unsigned gone = 0;
    while (gone < actor->commands_len && actor->commands[gone].answered) {
        actor->floor = actor->commands[gone].number;
        act_done(&actor->commands[gone]);
        gone++;
    }
    memmove(actor->commands, actor->commands + gone, (actor->commands_len - gone) * sizeof actor->commands[0]);
    actor->commands_len -= gone;
}

static void sink_reply(void *arg, const struct gateway_reply *reply)
{
    struct sim_actor *actor = arg;
    for (unsigned i = 0; i < actor->commands_len; i++) {
        struct sim_act *act = &actor->commands[i];
        if (act->number == reply->number && !act->answered) {
            if (reply->error == (uint32_t)-ERR_OUT_OF_ORDER || reply->error == (uint32_t)-ERR_DISPLACED ||
                reply->error == (uint32_t)-ERR_SESSION_EXPIRED) {
                return; /* No outcome: it is sent again when the actor is attached anew. */
            }
            SIM_TRACE(actor->world, "actor %u: command %" PRIu64 " kind %d: error %u %s count %" PRIu64 " %" PRIu64,
                      actor->index, act->number, (int)act->kind, reply->error, reply->detail, reply->count,
                      reply->repeated_count);
            act->answered = true;
            sim_world_note(actor->world, 30, actor->index << 16 | reply->error, reply->number);
            actor->rover ? sim_rover_answered(actor, act, reply) : sim_actor_answered(actor, act, reply);
            break;
        }
    }
    actor_floor(actor);
}

static void sink_delivery(void *arg, const struct gateway_delivery *delivery)
{
    struct sim_actor *actor = arg;
    actor->rover ? sim_rover_delivery(actor, delivery) : sim_actor_delivery(actor, delivery);
}

static void sink_consumer_ended(void *arg, uint64_t consumer, int err, const char *detail)
{
    (void)err;
    (void)detail;
    sim_actor_consumer_over(arg, consumer);
}

static void sink_prepared_ask(void *arg, const char *id)
{
    struct sim_actor *actor = arg;
    if (actor->rover) {
        sim_rover_asked(actor, id);
    }
}

static void sink_detached(void *arg, int err, const char *detail, const struct gateway_leader *leader)
{
    struct sim_actor *actor = arg;
    (void)leader;
    SIM_TRACE(actor->world, "actor %u: detached: %s %s", actor->index, err_name(err), detail);
    actor->link = NULL;
    actor->attached = false;
    actor->node = NULL;
    if (err == ERR_CLOSED) {
        actor->closed = true;
        actor_new_session(actor);
    } else if (err == ERR_SESSION_EXPIRED) {
        actor_new_session(actor);
    }
}

static void sink_resume(void *arg)
{
    (void)arg; /* The next time that it works. */
}

static void sink_flush(void *arg)
{
    (void)arg;
}

/* ---- Attaching ---- */

static bool node_serves(const struct sim_node *node)
{
    return node->shard != NULL && node->damage[0] == '\0' && node->copy[0] == '\0' && !node->diverged &&
           node->paused_until_us <= sim_world_now(node->world) && machine_version(shard_machine(node->shard)) >= 2;
}

static void actor_attach(struct sim_actor *actor)
{
    struct sim_world *world = actor->world;
    struct sim_node *node = &world->nodes[sim_random_between(&actor->random, 0, world->nodes_len - 1)];
    uint64_t consumers[SIM_ACT_CONSUMERS];
    uint64_t seen[SIM_ACT_CONSUMERS];
    size_t consumers_len = 0;
    if (!node_serves(node) || (actor->rover && !world->features.ready)) {
        return;
    }
    for (unsigned i = 0; i < SIM_ACT_CONSUMERS; i++) {
        if (actor->consumers[i].id != 0) {
            consumers[consumers_len] = actor->consumers[i].id;
            seen[consumers_len++] = actor->consumers[i].seen;
        }
    }
    struct gateway_attach attach = {.resume = actor->resume,
                                    .virtual_host = actor->rover ? SIM_ROVER_HOST : "/",
                                    .user = actor->rover ? SIM_ROVER_USER : "",
                                    .client = "actor",
                                    .lease_ms = 1500,
                                    .attempt = ++actor->attempt,
                                    .consumers = consumers,
                                    .seen = seen,
                                    .consumers_len = consumers_len};
    const struct gateway_sink sink = {.arg = actor,
                                      .attached = sink_attached,
                                      .reply = sink_reply,
                                      .delivery = sink_delivery,
                                      .consumer_ended = sink_consumer_ended,
                                      .prepared_ask = sink_prepared_ask,
                                      .detached = sink_detached,
                                      .resume = sink_resume,
                                      .flush = sink_flush};
    memcpy(attach.key, actor->key, sizeof attach.key);
    struct gateway *gateway = shard_gateway(node->shard);
    if (gateway->ops->attach(gateway, &attach, &sink, &actor->link) == 0) {
        actor->node = node;
        sim_node_wake(node);
    }
}

static void actor_leave(struct sim_actor *actor)
{
    struct gateway_link *link = actor->link;
    struct sim_node *node = actor->node;
    actor->link = NULL;
    actor->node = NULL;
    actor->attached = false;
    shard_gateway(node->shard)->ops->detach(link);
    sim_node_wake(node);
}

static void actor_event(struct sim_event *event)
{
    struct sim_actor *actor = event->object;
    struct sim_world *world = actor->world;
    if (actor->closed || world->phase == SIM_END) {
        return;
    }
    bool paused = actor->node != NULL && actor->node->paused_until_us > sim_world_now(world);
    if (actor->link == NULL) {
        actor_attach(actor);
    } else if (!paused && actor->attached) {
        bool trouble = world->phase == SIM_WORK && !actor->closing;
        if (world->phase != SIM_WORK && !actor->calm) {
            actor->calm = true;
            actor->forgot = true;
        }
        if (trouble && sim_random_chance(&actor->random, 4000)) {
            sim_world_count(world, SIM_STAT_F_MOVED, 1);
            actor_leave(actor); /* It goes on elsewhere with what it holds. */
        } else if (actor->forgot || (trouble && sim_random_chance(&actor->random, 1500))) {
            actor_leave(actor); /* Its program ends. */
            actor_new_session(actor);
        } else {
            actor->rover ? sim_rover_work(actor) : sim_actor_work(actor);
            actor_send(actor);
        }
    }
    actor_later(actor, actor->link == NULL ? sim_random_between(&actor->random, 1000, RETRY_US)
                                           : sim_random_delay(&actor->random, WORK_US) + 1);
}

bool sim_actor_submit(struct sim_actor *actor, const struct sim_act *act)
{
    if (actor->commands_len == SIM_ACT_COMMANDS_MAX) {
        struct sim_act refused = *act;
        act_done(&refused);
        return false;
    }
    actor->commands[actor->commands_len++] = *act;
    sim_world_count(actor->world, SIM_STAT_F_COMMANDS, 1);
    return true;
}

void sim_actors_init(struct sim_world *world)
{
    for (unsigned i = 0; i < SIM_ACTORS_MAX + SIM_ROVERS_MAX && world->features.chosen; i++) {
        struct sim_actor *actor = &world->actors[i];
        *actor = (struct sim_actor){.world = world, .index = i, .rover = i >= SIM_ACTORS_MAX};
        sim_random_init(&actor->random, world->options.seed, STREAM_ACTORS + i);
        static const unsigned queues[SIM_ACTORS_MAX][SIM_ACT_CONSUMERS] = {{SIM_Q_PRIORITY, SIM_Q_GROUPS, SIM_Q_SINGLE},
                                                                           {SIM_Q_TTL, SIM_Q_SHORT, SIM_Q_SINGLE},
                                                                           {SIM_Q_LIMIT, SIM_Q_DEAD, SIM_Q_GROUPS},
                                                                           {SIM_Q_LIMIT, SIM_Q_PRIORITY, SIM_Q_SINGLE}};
        for (unsigned c = 0; c < SIM_ACT_CONSUMERS && !actor->rover; c++) {
            actor->consumers[c].queue = queues[i][c];
        }
        actor_new_session(actor);
        actor_later(actor, sim_random_between(&actor->random, 1000, RETRY_US));
    }
}

void sim_actors_node_gone(struct sim_world *world, struct sim_node *node)
{
    for (unsigned i = 0; i < SIM_ACTORS_MAX + SIM_ROVERS_MAX; i++) {
        struct sim_actor *actor = &world->actors[i];
        if (actor->node == node && actor->link != NULL && node->shard != NULL) {
            actor_leave(actor);
        }
    }
}

bool sim_actors_idle(struct sim_world *world, char *why, size_t why_len)
{
    for (unsigned i = 0; i < SIM_ACTORS_MAX + SIM_ROVERS_MAX && world->features.chosen; i++) {
        if (!world->actors[i].closed) {
            char left[128] = "";
            (void)sim_ledger_empty(world, left, sizeof left);
            snprintf(why, why_len, "actor %u is not done: %u commands under way%s; %s", i,
                     world->actors[i].commands_len, world->actors[i].attached ? "" : ", not attached", left);
            return false;
        }
    }
    return true;
}

void sim_actors_done(struct sim_world *world)
{
    for (unsigned i = 0; i < SIM_ACTORS_MAX + SIM_ROVERS_MAX; i++) {
        struct sim_actor *actor = &world->actors[i];
        for (unsigned c = 0; c < actor->commands_len; c++) {
            act_done(&actor->commands[c]);
        }
        actor->commands_len = 0;
    }
}
