/* The client library's host in the simulation: its connection, its clock, and when it works. */

#include "sim_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "sim_conn.h"
#include "sim_world.h"

static const char *const servers[SIM_NODES_MAX] = {"node-1:4100", "node-2:4100", "node-3:4100", "node-4:4100",
                                                   "node-5:4100", "node-6:4100", "node-7:4100", "node-8:4100"};

const char *sim_queue_name(unsigned queue)
{
    static const char *const names[SIM_QUEUES_MAX] = {"orders", "mail", "größer"};
    return names[queue];
}

static uint64_t client_now_ms(struct clock *clock)
{
    struct sim_client *client = container_of(clock, struct sim_client, clock);
    return 1000000 + sim_world_now(client->world) / 1000;
}

static uint64_t client_random(struct clock *clock)
{
    return sim_random_next(&container_of(clock, struct sim_client, clock)->random);
}

/* Host of the library. */

static void client_connect(void *arg, const char *address)
{
    struct sim_client *client = arg;
    for (unsigned i = 0; i < client->world->nodes_len; i++) {
        if (strcmp(address, servers[i]) == 0) {
            client->conn = sim_conn_open(client->world, client, i);
            return;
        }
    }
    sim_world_violation(client->world, "client %u was sent to an unknown address: '%s'", client->index, address);
}

static void client_disconnect(void *arg)
{
    struct sim_client *client = arg;
    if (client->conn != NULL) {
        sim_conn_close(client->conn);
        client->conn = NULL;
    }
}

static void client_send(void *arg, struct frame_out *frame)
{
    struct sim_client *client = arg;
    if (client->conn == NULL) {
        sim_world_violation(client->world, "client %u sends without a connection", client->index);
        frame_out_done(frame);
        return;
    }
    sim_conn_send(client->conn, frame);
}

static void client_delivery(void *arg, const struct client_delivery *delivery)
{
    struct sim_client *client = arg;
    CHECK(client->kind == SIM_CONSUMER);
    sim_consumer_delivery(client, delivery);
}

static void client_consumer_ended(void *arg, uint64_t consumer, int err, const char *detail)
{
    struct sim_client *client = arg;
    SIM_TRACE(client->world, "client %u: consumer %lx ended: %s %s", client->index, (unsigned long)consumer,
              err_name(err), detail);
    sim_world_count(client->world, SIM_STAT_LOST, err == ERR_SESSION_EXPIRED);
    sim_consumer_ended(client, consumer);
}

static void client_attached(void *arg, const char *address, uint64_t session)
{
    struct sim_client *client = arg;
    struct sim_world *world = client->world;
    bool resumed = session == client->session;
    CHECK(client->conn != NULL);
    sim_world_count(world, SIM_STAT_ATTACHED, 1);
    sim_world_count(world, SIM_STAT_RESUMED, resumed);
    bool elsewhere = resumed && client->attached_node != client->conn->node_index;
    sim_world_count(world, SIM_STAT_RESUMED_ELSEWHERE, elsewhere);
    const struct sim_node *before = &world->nodes[client->attached_node];
    bool gone = before->shard == NULL || before->life != client->attached_life;
    sim_world_count(world, SIM_STAT_RESUMED_DEAD, elsewhere && gone);
    client->session = session;
    client->attached_node = client->conn->node_index;
    client->attached_life = world->nodes[client->attached_node].life;
    client->attached_conn = client->conn->id;
    sim_sessions_attached(client, session, client->conn->opened_us);
    sim_world_note(world, 4, client->index, session);
    SIM_TRACE(world, "client %u: attached to %s, session %lu%s", client->index, address, (unsigned long)session,
              resumed ? " again" : "");
}

/* Time. */

static void client_timer(struct sim_event *event)
{
    struct sim_client *client = event->object;
    if (event->a != client->life || event->at_us != client->timer_us) {
        return;
    }
    client->timer_us = UINT64_MAX;
    if (client->core != NULL) {
        client_core_tick(client->core);
        sim_client_arm(client);
    }
}

void sim_client_arm(struct sim_client *client)
{
    if (client->core == NULL) {
        return;
    }
    uint64_t deadline_ms = client_core_deadline_ms(client->core);
    if (deadline_ms == UINT64_MAX) {
        return;
    }
    uint64_t at = deadline_ms <= 1000000 ? 0 : (deadline_ms - 1000000) * 1000;
    uint64_t now = sim_world_now(client->world);
    at = at > now + 100 ? at : now + 100;
    if (at < client->timer_us) {
        client->timer_us = at;
        sim_queue_push(&client->world->queue,
                       (struct sim_event){.at_us = at, .fire = client_timer, .object = client, .a = client->life});
    }
}

static void client_work(struct sim_event *event)
{
    struct sim_client *client = event->object;
    if (event->a != client->life) {
        return;
    }
    client->working = false;
    if (client->core == NULL || client->closing) {
        return;
    }
    if (client->kind == SIM_PRODUCER) {
        sim_producer_work(client);
    } else {
        sim_consumer_work(client);
    }
    sim_client_arm(client);
}

void sim_client_work_later(struct sim_client *client, uint64_t delay_us)
{
    if (!client->working) {
        client->working = true;
        sim_queue_push(&client->world->queue, (struct sim_event){.at_us = sim_world_now(client->world) + delay_us,
                                                                 .fire = client_work,
                                                                 .object = client,
                                                                 .a = client->life});
    }
}

/* What the connection tells it. */

void sim_client_connected(struct sim_client *client)
{
    client_core_connected(client->core);
    sim_client_arm(client);
}

void sim_client_disconnected(struct sim_client *client, int err)
{
    client->conn = NULL;
    client_core_disconnected(client->core, err);
    sim_client_arm(client);
}

void sim_client_frame(struct sim_client *client, struct frame *frame)
{
    client_core_frame(client->core, frame);
    sim_client_arm(client);
}

/* Life. */

void sim_client_start(struct sim_client *client)
{
    client->lease_ms = (uint32_t)sim_random_between(&client->random, 1000, 3000);
    const struct client_core_options options = {
        .servers = servers,
        .servers_len = client->world->nodes_len,
        .client_name = client->name,
        .lease_ms = client->lease_ms,
        .window = sim_random_chance(&client->random, 300000) ? 4 : 0,
        .connect_timeout_ms = 500,
        .silence_timeout_ms = 1000,
        .clock = &client->clock,
        .spread = client->spread,
        .host = {.arg = client,
                 .connect = client_connect,
                 .disconnect = client_disconnect,
                 .send = client_send,
                 .delivery = client_delivery,
                 .consumer_ended = client_consumer_ended,
                 .attached = client_attached},
    };
    client->life++;
    client->timer_us = UINT64_MAX;
    client->working = false;
    client->declared = false;
    client->closing = false;
    client->session = 0;
    client->attached_conn = 0;
    int err = client_core_new(&options, &client->core);
    CHECK(err == 0);
    client->resend = true;
    sim_client_work_later(client, sim_random_between(&client->random, 0, 20000));
    sim_client_arm(client);
}

static void client_restart(struct sim_event *event)
{
    struct sim_client *client = event->object;
    if (client->core == NULL && !client->dead) {
        sim_client_start(client);
    }
}

/* Sometimes the machine goes with the program: the node hears nothing for long. */
static void client_hang_up(struct sim_client *client, struct sim_conn *conn)
{
    struct sim_world *world = client->world;
    if (conn == NULL) {
        return;
    }
    if (sim_random_chance(&client->random, 300000)) {
        sim_world_count(world, SIM_STAT_HALF_OPEN, 1);
        sim_conn_abandon(conn, sim_random_between(&client->random, 500000, 5000000));
    } else {
        sim_conn_close(conn);
    }
}

static void client_end(struct sim_client *client)
{
    struct client_core *core = client->core;
    struct sim_conn *conn = client->conn;
    SIM_TRACE(client->world, "client %u: ends", client->index);
    client->core = NULL;
    client->conn = NULL;
    client_core_free(core);
    client_hang_up(client, conn);
    client->held_len = 0;
    client->consumer = 0;
    client->subscribed = false;
    client->released_number = 0;
}

static void client_restart_later(struct sim_client *client, uint64_t down_us)
{
    sim_queue_push(
        &client->world->queue,
        (struct sim_event){.at_us = sim_world_now(client->world) + down_us, .fire = client_restart, .object = client});
}

void sim_client_crash(struct sim_client *client, uint64_t down_us)
{
    if (client->core == NULL) {
        return;
    }
    sim_world_count(client->world, SIM_STAT_CLIENT_CRASHES, 1);
    client_end(client);
    client_restart_later(client, down_us);
}

static void client_closed(struct sim_event *event)
{
    struct sim_client *client = event->object;
    if (event->a == client->life && client->core != NULL) {
        client_end(client);
        client_restart_later(client, sim_random_between(&client->random, 1000, 500000));
    }
}

static void close_answered(void *arg, const struct client_reply *reply)
{
    struct sim_client *client = arg;
    client->inflight--;
    sim_world_note(client->world, 19, client->index, (uint64_t)(int64_t)reply->err);
    sim_world_count(client->world, SIM_STAT_CLOSED, reply->err == 0);
    /* Not from within the library. */
    sim_queue_push(&client->world->queue, (struct sim_event){.at_us = sim_world_now(client->world),
                                                             .fire = client_closed,
                                                             .object = client,
                                                             .a = client->life});
}

void sim_client_close(struct sim_client *client)
{
    if (client->core == NULL || client->closing || client->kind != SIM_CONSUMER) {
        return;
    }
    for (unsigned i = 0; i < client->held_len; i++) {
        sim_history_given_up(client->world, client->held[i].message, client->held[i].delivery_count);
    }
    SIM_TRACE(client->world, "client %u: closes its session", client->index);
    client->closing = true;
    client->inflight++;
    sim_sessions_closing(client);
    int err = client_core_close_session(client->core, 0, close_answered, client);
    CHECK(err == 0);
    sim_client_arm(client);
}

void sim_client_die(struct sim_client *client)
{
    sim_world_count(client->world, SIM_STAT_CLIENTS_DEAD, 1);
    client->dead = true;
    if (client->core != NULL) {
        client_end(client);
    }
}

bool sim_client_idle(const struct sim_client *client)
{
    if (client->dead) {
        return true;
    }
    if (client->core == NULL || client->inflight > 0 || client->reading > 0 ||
        client_core_unanswered(client->core) > 0) {
        return false;
    }
    return client->kind == SIM_PRODUCER ? sim_producer_idle(client) : sim_consumer_idle(client);
}

void sim_client_init(struct sim_world *world, unsigned index, enum sim_client_kind kind)
{
    struct sim_client *client = &world->clients[index];
    *client =
        (struct sim_client){.world = world,
                            .index = index,
                            .kind = kind,
                            .clock = {.monotonic_ms = client_now_ms, .wall_ms = client_now_ms, .random = client_random},
                            .next_sequence = 1,
                            .unconfirmed = 1};
    sim_random_init(&client->random, world->options.seed, 100 + index);
    snprintf(client->name, sizeof client->name, "client-%u", index);
    client->queue = index % world->queues_len;
    client->batch_max = (unsigned)sim_random_between(&client->random, 1, 6);
    client->inflight_max = (unsigned)sim_random_between(&client->random, 1, 12);
    client->spread = sim_random_chance(&client->random, 850000);
    client->credit = (uint32_t)sim_random_between(&client->random, 1, 40);
    CHECK(client->credit < SIM_HELD_MAX);
    sim_client_start(client);
}

void sim_client_done(struct sim_client *client)
{
    struct client_core *core = client->core;
    client->core = NULL;
    if (core != NULL) {
        client_core_free(core);
    }
}
