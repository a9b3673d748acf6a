/* A producer: publishes batches of numbered messages, several at a time, and repeats what was not confirmed. */

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "sim_client.h"
#include "sim_conn.h"
#include "sim_world.h"

/* A program that was refused for want of space does not ask again at once. */
#define REFUSED_PAUSE_US 30000u

/* When so many times the work of a world has been done, it waits for something else, such as a node that is upgraded late. Then
 * less is published: nobody takes as much, and disks are full of what waits. */
#define ENOUGH 4u
#define SLOWNESS 50u

struct publish {
    struct sim_client *client;
    uint64_t first;
    uint64_t count;
    uint64_t conn;    /* On which it was issued, */
    uint64_t leaders; /* and how often leadership had changed by then. */
};

static void declare_answered(void *arg, const struct client_reply *reply)
{
    struct sim_client *client = arg;
    client->inflight--;
    client->declared = reply->err == 0;
    sim_world_note(client->world, 5, client->index, (uint64_t)(int64_t)reply->err);
    sim_client_work_later(client, 1000);
}

static void declare(struct sim_client *client)
{
    client->inflight++;
    int err = client_core_declare(client->core, sim_queue_name(client->queue), 0, declare_answered, client);
    if (err != 0) {
        client->inflight--;
        sim_world_violation(client->world, "declaring a queue: %s", err_name(err));
        return;
    }
    sim_world_count(client->world, SIM_STAT_OPS, 1);
}

/* Moves the mark behind what is confirmed. */
static void producer_confirmed(struct sim_client *client)
{
    const struct sim_producer_history *history = &client->world->history.producers[client->index];
    while (client->unconfirmed <= history->len && history->messages[client->unconfirmed - 1].confirmed) {
        client->unconfirmed++;
    }
}

/* With which errors a publish of a named producer may end while its program runs: refused for want of space, or behind one
 * that was. When the session was another at first, it may have been done there: then the outcome is unknown. */
static bool publish_may_end(const struct sim_client *client, const struct client_reply *reply)
{
    return reply->err == ERR_NO_SPACE || reply->err == ERR_REFUSED ||
           (reply->err == ERR_OUTCOME_UNKNOWN && (client->resend || strstr(reply->detail, "refused") != NULL));
}

/* Until it publishes again. */
static uint64_t producer_pause_us(struct sim_client *client, uint64_t mean_us)
{
    const struct sim_world *world = client->world;
    bool enough = world->phase == SIM_WORK && world->stats.counts[SIM_STAT_OPS] > ENOUGH * world->ops;
    return sim_random_delay(&client->random, enough ? mean_us * SLOWNESS : mean_us);
}

static void publish_answered(void *arg, const struct client_reply *reply)
{
    struct publish *publish = arg;
    struct sim_client *client = publish->client;
    struct sim_world *world = client->world;
    client->inflight--;
    sim_world_note(world, 6, publish->first, (uint64_t)(int64_t)reply->err);
    sim_world_count(world, SIM_STAT_UNKNOWN, reply->err == ERR_OUTCOME_UNKNOWN);
    sim_history_published(world, client->index, publish->first, publish->count, reply->err, reply->count,
                          reply->repeated_count);
    if (reply->err != 0) {
        SIM_TRACE(world, "client %u: publish of %lu: %s %s", client->index, (unsigned long)publish->first,
                  err_name(reply->err), reply->detail);
        if (client->named && client->core != NULL && !publish_may_end(client, reply)) {
            sim_world_violation(world, "a named producer's publish without a time limit ended with %s: %s",
                                err_name(reply->err), reply->detail);
        }
        client->resend = true;
    } else if (client->conn != NULL && client->conn->id == publish->conn) {
        sim_world_count(world, SIM_STAT_ACROSS, world->stats.counts[SIM_STAT_LEADERS] > publish->leaders);
    }
    producer_confirmed(client);
    free(publish);
    if (client->core != NULL) {
        uint64_t pause_us = reply->err == ERR_NO_SPACE ? REFUSED_PAUSE_US : client->think_us;
        sim_client_work_later(client, producer_pause_us(client, pause_us));
    }
}

/* Publishes the sequences from `first` on. */
static void publish(struct sim_client *client, uint64_t first, uint64_t count)
{
    struct sim_world *world = client->world;
    struct slice bodies[32];
    CHECK(count <= 32);
    for (uint64_t i = 0; i < count; i++) {
        bodies[i] = sim_history_body(world, client->index, first + i);
    }
    struct publish *publish = malloc(sizeof *publish);
    CHECK(publish != NULL);
    *publish = (struct publish){.client = client,
                                .first = first,
                                .count = count,
                                .conn = client->conn == NULL ? 0 : client->conn->id,
                                .leaders = world->stats.counts[SIM_STAT_LEADERS]};
    sim_history_sent(world, client->index, first, count);
    uint64_t timeout_ms = client->named || sim_random_chance(&client->random, 700000)
                              ? 0
                              : sim_random_between(&client->random, 200, 2000);
    client->inflight++;
    int err = client_core_publish(client->core, sim_queue_name(client->queue), client->named ? client->name : "",
                                  client->named ? first : 0, bodies, count, timeout_ms, publish_answered, publish);
    for (uint64_t i = 0; i < count; i++) {
        slice_unref(&bodies[i]);
    }
    if (err != 0) {
        client->inflight--;
        sim_world_violation(world, "publishing: %s", err_name(err));
        free(publish);
        return;
    }
    sim_world_count(world, SIM_STAT_OPS, 1);
}

static bool producer_repeats(struct sim_client *client)
{
    /* Begins again only when nothing is under way, so that no later sequence can overtake an earlier one. */
    if (client->inflight > 0) {
        return true;
    }
    client->resend = false;
    if (client->named) {
        client->next_sequence = client->unconfirmed;
    }
    return false;
}

void sim_producer_work(struct sim_client *client)
{
    struct sim_world *world = client->world;
    uint64_t sent = world->history.producers[client->index].len;
    if (!client->declared) {
        if (client->inflight == 0) {
            declare(client);
        }
        return;
    }
    if (client->resend && producer_repeats(client)) {
        return; /* The next answer calls again. */
    }
    sim_reads_work(client);
    bool again = client->named && client->next_sequence <= sent;
    if (!again && world->phase != SIM_WORK) {
        return;
    }
    if (client->inflight < client->inflight_max) {
        uint64_t count = sim_random_between(&client->random, 1, client->batch_max);
        publish(client, client->next_sequence, count);
        client->next_sequence += count;
    }
    if (client->inflight < client->inflight_max) {
        sim_client_work_later(client, producer_pause_us(client, client->think_us));
    }
}

bool sim_producer_idle(const struct sim_client *client)
{
    uint64_t sent = client->world->history.producers[client->index].len;
    return client->declared && (!client->named || client->unconfirmed > sent);
}
