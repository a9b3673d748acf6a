/* Clients' connections: frames in order, until it breaks. */

#include "sim_conn.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "sim_frame.h"
#include "sim_world.h"

static void conn_node_over(struct sim_conn *conn)
{
    struct native_session *session = conn->session;
    conn->session = NULL;
    conn->node = NULL;
    for (unsigned i = 0; i < conn->waiting_len; i++) {
        blob_unref(conn->waiting[i].header.blob);
    }
    conn->waiting_len = 0;
    if (session != NULL) {
        native_session_free(session);
    }
}

/* The node notices that the client is gone. */
static void conn_node_hangup(struct sim_event *event)
{
    struct sim_conn *conn = event->object;
    struct sim_node *node = conn->node;
    if (node == NULL || sim_node_defer(node, event)) {
        return;
    }
    conn_node_over(conn);
    sim_node_wake(node);
}

/* The client notices that the node is gone. */
static void conn_client_hangup(struct sim_event *event)
{
    struct sim_conn *conn = event->object;
    struct sim_client *client = conn->client;
    if (client == NULL) {
        return;
    }
    conn->client = NULL;
    sim_client_disconnected(client, (int)(int64_t)event->a);
}

static void conn_push(struct sim_conn *conn, uint64_t at_us, void (*fire)(struct sim_event *event), struct blob *blob)
{
    sim_queue_push(
        &conn->world->queue,
        (struct sim_event){.at_us = at_us, .fire = fire, .object = conn, .a = (uint64_t)(int64_t)ERR_IO, .blob = blob});
}

/* Both sides notice, each in its time. */
static void conn_notice(struct sim_conn *conn, uint64_t mean_us)
{
    struct sim_random *random = &conn->world->net.random;
    uint64_t now = sim_world_now(conn->world);
    conn_push(conn, now + sim_random_delay(random, mean_us), conn_node_hangup, NULL);
    conn_push(conn, now + sim_random_delay(random, mean_us), conn_client_hangup, NULL);
}

bool sim_conn_cut(const struct sim_conn *conn)
{
    const struct sim_net *net = &conn->world->net;
    if (conn->world->nodes[conn->node_index].diverged) {
        return true; /* What it would tell them is not what is. */
    }
    return net->client_cut[conn->client_index][conn->node_index] ||
           sim_world_now(conn->world) < net->alone_until_us[conn->client_index];
}

/* Whether a frame is swallowed. The first one lost takes the connection with it. */
static bool conn_loses(struct sim_conn *conn)
{
    if (!conn->lost && sim_conn_cut(conn)) {
        conn->lost = true;
        conn_notice(conn, 1000000);
    }
    return conn->lost;
}

/* In order: not before the one sent last. */
static uint64_t conn_arrival(struct sim_conn *conn, uint64_t *last_us)
{
    struct sim_net *net = &conn->world->net;
    uint64_t at = sim_world_now(conn->world) + sim_random_delay(&net->random, net->delay_us);
    *last_us = at > *last_us ? at : *last_us;
    return *last_us;
}

static void conn_at_client(struct sim_event *event)
{
    struct sim_conn *conn = event->object;
    if (conn->client == NULL || conn_loses(conn)) {
        return;
    }
    struct frame frame;
    int err = sim_frame_unpack(event->blob, &frame);
    if (err != 0) {
        sim_world_violation(conn->world, "node %u sent a client a bad prefix: %s", conn->node_index + 1, err_name(err));
        return;
    }
    event->blob = NULL;
    sim_world_note(conn->world, 1, conn->id, frame.header.len + frame.body.len);
    sim_wire_from_node(conn->world, &conn->wire, &frame);
    sim_client_frame(conn->client, &frame);
}

static void conn_session_send(void *arg, struct frame_out *frame)
{
    struct sim_conn *conn = arg;
    if (conn->client == NULL || conn_loses(conn)) {
        frame_out_done(frame);
        return;
    }
    struct blob *blob = sim_frame_pack(frame);
    conn_push(conn, conn_arrival(conn, &conn->to_client_us), conn_at_client, blob);
}

static void conn_take(struct sim_conn *conn, struct frame *frame)
{
    struct sim_node *node = conn->node;
    native_session_receive(conn->session, frame);
    sim_node_wake(node);
}

static void conn_unhold(struct sim_event *event)
{
    struct sim_conn *conn = event->object;
    if (conn->node == NULL || sim_node_defer(conn->node, event)) {
        return;
    }
    unsigned taken = 0;
    while (taken < conn->waiting_len && !conn->held && !conn->closing) {
        struct frame frame = conn->waiting[taken++];
        conn_take(conn, &frame);
    }
    if (taken == 0) {
        return;
    }
    memmove(conn->waiting, conn->waiting + taken, (conn->waiting_len - taken) * sizeof *conn->waiting);
    conn->waiting_len -= taken;
}

static void conn_session_hold(void *arg, bool hold)
{
    struct sim_conn *conn = arg;
    conn->held = hold;
    if (!hold) {
        conn_push(conn, sim_world_now(conn->world), conn_unhold, NULL);
    }
}

static void conn_session_close(void *arg)
{
    struct sim_conn *conn = arg;
    conn->closing = true;
    /* The client hears of it after what was sent; the node's side goes once the call is over. */
    conn_push(conn, sim_world_now(conn->world), conn_node_hangup, NULL);
    if (!conn->lost) {
        conn_push(conn, conn_arrival(conn, &conn->to_client_us), conn_client_hangup, NULL);
    }
}

static void conn_at_node(struct sim_event *event)
{
    struct sim_conn *conn = event->object;
    if (conn->node == NULL || conn->closing || conn_loses(conn) || sim_node_defer(conn->node, event)) {
        return;
    }
    struct frame frame;
    int err = sim_frame_unpack(event->blob, &frame);
    if (err != 0) {
        sim_world_violation(conn->world, "client %u sent a bad prefix: %s", conn->client_index, err_name(err));
        return;
    }
    event->blob = NULL;
    sim_wire_from_client(conn->world, &conn->wire, &frame);
    if (!conn->held && conn->waiting_len == 0) {
        conn_take(conn, &frame);
        return;
    }
    if (conn->waiting_len == conn->waiting_cap) {
        conn->waiting_cap = conn->waiting_cap == 0 ? 8 : conn->waiting_cap * 2;
        conn->waiting = realloc(conn->waiting, conn->waiting_cap * sizeof *conn->waiting);
        CHECK(conn->waiting != NULL);
    }
    conn->waiting[conn->waiting_len++] = frame;
}

static void conn_client_connected(struct sim_event *event)
{
    struct sim_conn *conn = event->object;
    if (conn->client != NULL && conn->node != NULL && !conn_loses(conn)) {
        sim_client_connected(conn->client);
    }
}

/* The first packet reaches the node, or finds nobody there. */
static void conn_accept(struct sim_event *event)
{
    struct sim_conn *conn = event->object;
    struct sim_world *world = conn->world;
    struct sim_node *node = &world->nodes[conn->node_index];
    if (conn->client == NULL || sim_conn_cut(conn)) {
        conn->lost = true; /* Silence: the client gives up by itself. */
        return;
    }
    if (node->shard == NULL) {
        conn->lost = true;
        conn_push(conn, conn_arrival(conn, &conn->to_client_us), conn_client_hangup, NULL);
        return;
    }
    if (sim_node_defer(node, event)) {
        return;
    }
    const struct native_session_host host = {
        .arg = conn, .send = conn_session_send, .hold = conn_session_hold, .close = conn_session_close};
    int err = native_session_new(shard_gateway(node->shard), &host, &conn->session);
    CHECK(err == 0);
    conn->node = node;
    conn_push(conn, conn_arrival(conn, &conn->to_client_us), conn_client_connected, NULL);
}

struct sim_conn *sim_conn_open(struct sim_world *world, struct sim_client *client, unsigned node)
{
    struct sim_conn *conn = calloc(1, sizeof *conn);
    CHECK(conn != NULL);
    conn->next = world->net.conns;
    world->net.conns = conn;
    conn->world = world;
    conn->id = ++world->net.conns_len;
    conn->client = client;
    conn->client_index = client->index;
    conn->node_index = node;
    conn->opened_us = sim_world_now(world);
    conn_push(conn, conn_arrival(conn, &conn->to_node_us), conn_accept, NULL);
    return conn;
}

void sim_conn_send(struct sim_conn *conn, struct frame_out *frame)
{
    if (conn_loses(conn)) {
        frame_out_done(frame);
        return;
    }
    struct blob *blob = sim_frame_pack(frame);
    conn_push(conn, conn_arrival(conn, &conn->to_node_us), conn_at_node, blob);
}

void sim_conn_close(struct sim_conn *conn)
{
    conn->client = NULL;
    if (!conn->lost) {
        conn_push(conn, conn_arrival(conn, &conn->to_node_us), conn_node_hangup, NULL);
    }
}

void sim_conn_abandon(struct sim_conn *conn, uint64_t notice_us)
{
    conn->client = NULL;
    conn->lost = true;
    conn_push(conn, sim_world_now(conn->world) + notice_us, conn_node_hangup, NULL);
}

void sim_conn_break(struct sim_conn *conn)
{
    if (!conn->lost) {
        conn->lost = true;
        conn_notice(conn, 20000);
    }
}

void sim_conns_node_gone(struct sim_world *world, struct sim_node *node)
{
    sim_actors_node_gone(world, node);
    for (struct sim_conn *conn = world->net.conns; conn != NULL; conn = conn->next) {
        if (conn->node == node) {
            conn_node_over(conn);
            conn->lost = true;
            conn_push(conn, conn_arrival(conn, &conn->to_client_us), conn_client_hangup, NULL);
        }
    }
}

void sim_conns_done(struct sim_world *world)
{
    struct sim_conn *conn = world->net.conns;
    while (conn != NULL) {
        struct sim_conn *next = conn->next;
        sim_wire_done(&conn->wire);
        free(conn->waiting);
        free(conn);
        conn = next;
    }
    world->net.conns = NULL;
}
