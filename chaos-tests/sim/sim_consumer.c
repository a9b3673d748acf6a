/* A consumer: holds deliveries for a while, accepts most, gives some back, and now and then settles what is void. */

#include <inttypes.h>
#include <stdlib.h>

#include "proto/base/check.h"
#include "sim_client.h"
#include "sim_world.h"

struct settle {
    struct sim_client *client;
    bool final;
    bool is_void; /* Of a delivery that was given back before. */
    uint64_t consumer;
    size_t len;
    struct sim_settled items[SIM_HELD_MAX];
};

struct subscribe {
    struct sim_client *client;
    uint64_t consumer;
};

static void declare_answered(void *arg, const struct client_reply *reply)
{
    struct sim_client *client = arg;
    client->inflight--;
    client->declared = reply->err == 0;
    sim_client_work_later(client, 1000);
}

static void subscribe_answered(void *arg, const struct client_reply *reply)
{
    struct subscribe *subscribe = arg;
    struct sim_client *client = subscribe->client;
    client->inflight--;
    sim_world_note(client->world, 7, subscribe->consumer, (uint64_t)(int64_t)reply->err);
    if (reply->err != 0 && client->consumer == subscribe->consumer) {
        SIM_TRACE(client->world, "client %u: subscribe: %s %s", client->index, err_name(reply->err), reply->detail);
        client->subscribed = false;
        if (client->core != NULL) {
            sim_client_work_later(client, 20000);
        }
    }
    free(subscribe);
}

static void consumer_subscribe(struct sim_client *client)
{
    struct subscribe *subscribe = malloc(sizeof *subscribe);
    CHECK(subscribe != NULL);
    client->last_delivery = 0;
    client->last_position = 0;
    client->consumer = (uint64_t)(client->index + 1) << 32 | client->world->queue.pushed;
    client->subscribed = true;
    client->held_len = 0;
    client->released_number = 0;
    *subscribe = (struct subscribe){.client = client, .consumer = client->consumer};
    client->inflight++;
    int err = client_core_subscribe(client->core, sim_queue_name(client->queue), client->consumer, client->credit, 0,
                                    subscribe_answered, subscribe);
    if (err != 0) {
        client->inflight--;
        client->subscribed = false;
        sim_world_violation(client->world, "subscribing: %s", err_name(err));
        free(subscribe);
        return;
    }
    sim_world_count(client->world, SIM_STAT_OPS, 1);
}

static void settle_answered(void *arg, const struct client_reply *reply)
{
    struct settle *settle = arg;
    struct sim_client *client = settle->client;
    struct sim_world *world = client->world;
    client->inflight--;
    sim_world_note(world, 8, settle->items[0].message, (uint64_t)(int64_t)reply->err);
    sim_world_count(world, SIM_STAT_UNKNOWN, reply->err == ERR_OUTCOME_UNKNOWN);
    if (settle->is_void && reply->err == 0 && reply->count > 0) {
        sim_world_violation(world, "message %" PRIx64 ": a delivery that had been given back was settled all the same",
                            settle->items[0].message);
    }
    sim_history_settled(world, settle->items, settle->len, settle->final && !settle->is_void, reply->err, reply->count,
                        reply->repeated_count);
    free(settle);
    if (client->core != NULL) {
        sim_client_work_later(client, sim_random_delay(&client->random, 2000));
    }
}

static void settle_send(struct settle *settle, enum client_outcome outcome, const struct client_range *ranges,
                        size_t ranges_len)
{
    struct sim_client *client = settle->client;
    settle->final = outcome != CLIENT_RELEASE;
    client->inflight++;
    int err =
        client_core_settle(client->core, settle->consumer, outcome, ranges, ranges_len, 0, settle_answered, settle);
    if (err != 0) {
        client->inflight--;
        sim_world_violation(client->world, "settling: %s", err_name(err));
        free(settle);
        return;
    }
    sim_world_count(client->world, SIM_STAT_OPS, 1);
}

static struct settle *settle_new(struct sim_client *client)
{
    struct settle *settle = calloc(1, sizeof *settle);
    CHECK(settle != NULL);
    settle->client = client;
    settle->consumer = client->consumer;
    return settle;
}

/* Settles the `count` oldest deliveries that it holds. */
static void consumer_settle(struct sim_client *client, unsigned count, enum client_outcome outcome)
{
    struct settle *settle = settle_new(client);
    struct client_range ranges[SIM_HELD_MAX];
    size_t ranges_len = 0;
    for (unsigned i = 0; i < count; i++) {
        const struct sim_held *held = &client->held[i];
        if (ranges_len > 0 && ranges[ranges_len - 1].last + 1 == held->number) {
            ranges[ranges_len - 1].last++;
        } else {
            ranges[ranges_len++] = (struct client_range){.first = held->number, .last = held->number};
        }
        settle->items[settle->len++] =
            (struct sim_settled){.message = held->message, .delivery_count = held->delivery_count};
        sim_history_given_up(client->world, held->message, held->delivery_count);
    }
    if (outcome == CLIENT_RELEASE) {
        client->released_consumer = client->consumer;
        client->released_number = client->held[0].number;
        client->released_message = client->held[0].message;
    }
    client->held_len -= count;
    for (unsigned i = 0; i < client->held_len; i++) {
        client->held[i] = client->held[i + count];
    }
    settle_send(settle, outcome, ranges, ranges_len);
}

/* Accepts what it gave back a moment ago: a program that forgot. */
static void consumer_settle_void(struct sim_client *client)
{
    struct settle *settle = settle_new(client);
    const struct client_range range = {.first = client->released_number, .last = client->released_number};
    settle->is_void = true;
    settle->len = 1;
    settle->items[0].message = client->released_message;
    client->released_number = 0;
    settle_send(settle, CLIENT_ACCEPT, &range, 1);
}

static void unsubscribe_answered(void *arg, const struct client_reply *reply)
{
    struct sim_client *client = arg;
    client->inflight--;
    sim_world_note(client->world, 13, client->index, (uint64_t)(int64_t)reply->err);
    if (client->core != NULL) {
        sim_client_work_later(client, 1000);
    }
}

/* What it holds goes back; it subscribes anew at once. */
static void consumer_unsubscribe(struct sim_client *client)
{
    for (unsigned i = 0; i < client->held_len; i++) {
        sim_history_given_up(client->world, client->held[i].message, client->held[i].delivery_count);
    }
    client->subscribed = false;
    client->held_len = 0;
    client->released_number = 0;
    client->inflight++;
    int err = client_core_unsubscribe(client->core, client->consumer, 0, unsubscribe_answered, client);
    if (err != 0) {
        client->inflight--;
        sim_world_violation(client->world, "unsubscribing: %s", err_name(err));
        return;
    }
    sim_world_count(client->world, SIM_STAT_OPS, 1);
}

void sim_consumer_work(struct sim_client *client)
{
    struct sim_world *world = client->world;
    struct sim_random *random = &client->random;
    if (!client->declared) {
        if (client->inflight == 0) {
            client->inflight++;
            int err = client_core_declare(client->core, sim_queue_name(client->queue), 0, declare_answered, client);
            CHECK(err == 0);
            sim_world_count(world, SIM_STAT_OPS, 1);
        }
        return;
    }
    if (!client->subscribed) {
        if (client->inflight < SIM_INFLIGHT_MAX) { /* Otherwise the next answer calls again. */
            consumer_subscribe(client);
        }
        return;
    }
    if (world->phase == SIM_WORK && client->inflight < SIM_INFLIGHT_MAX && sim_random_chance(random, 4000)) {
        consumer_unsubscribe(client);
        sim_client_work_later(client, client->think_us);
        return;
    }
    sim_reads_work(client);
    if (client->released_number != 0 && client->released_consumer == client->consumer &&
        client->inflight < SIM_INFLIGHT_MAX && sim_random_chance(random, 300000)) {
        consumer_settle_void(client);
    }
    if (client->held_len > 0 && client->inflight < SIM_INFLIGHT_MAX) {
        unsigned count = (unsigned)sim_random_between(random, 1, client->held_len < 4 ? client->held_len : 4);
        bool work = world->phase == SIM_WORK;
        enum client_outcome outcome = work && sim_random_chance(random, 40000)   ? CLIENT_RELEASE
                                      : work && sim_random_chance(random, 10000) ? CLIENT_REJECT
                                                                                 : CLIENT_ACCEPT;
        consumer_settle(client, count, outcome);
    }
    if (client->held_len > 0 && client->inflight < SIM_INFLIGHT_MAX) {
        sim_client_work_later(client, sim_random_delay(random, client->think_us));
    }
}

void sim_consumer_delivery(struct sim_client *client, const struct client_delivery *delivery)
{
    uint64_t message = 0;
    struct sim_world *world = client->world;
    sim_world_note(world, 9, delivery->number, delivery->position);
    SIM_TRACE(world, "client %u: delivery %" PRIu64 " position %" PRIu64 " count %u", client->index, delivery->number,
              delivery->position, delivery->delivery_count);
    if (!client->subscribed || delivery->consumer != client->consumer) {
        sim_world_violation(world, "client %u got a delivery for consumer %" PRIx64 ", which is not its own",
                            client->index, delivery->consumer);
        return;
    }
    if (delivery->number != client->last_delivery + 1) {
        sim_world_violation(world, "client %u got delivery %" PRIu64 " of its subscription after delivery %" PRIu64,
                            client->index, delivery->number, client->last_delivery);
    }
    client->last_delivery = delivery->number;
    if (delivery->delivery_count == 0 && delivery->position <= client->last_position) {
        sim_world_violation(world, "client %u got position %" PRIu64 " of its queue after position %" PRIu64,
                            client->index, delivery->position, client->last_position);
    }
    client->last_position = delivery->delivery_count == 0 ? delivery->position : client->last_position;
    sim_history_delivered(world, client->queue, client->session, delivery, &message);
    if (client->held_len == client->credit) {
        sim_world_violation(world, "client %u holds more deliveries than its credit of %u", client->index,
                            client->credit);
        return;
    }
    client->held[client->held_len++] = (struct sim_held){.consumer = delivery->consumer,
                                                         .number = delivery->number,
                                                         .message = message,
                                                         .delivery_count = delivery->delivery_count};
    sim_client_work_later(client, sim_random_delay(&client->random, client->think_us));
}

void sim_consumer_ended(struct sim_client *client, uint64_t consumer)
{
    if (consumer == client->consumer) {
        client->subscribed = false;
        client->held_len = 0;
        client->released_number = 0;
        sim_client_work_later(client, 5000);
    }
}

bool sim_consumer_idle(const struct sim_client *client)
{
    return client->subscribed && client->held_len == 0;
}
