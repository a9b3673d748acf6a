/* When sessions end. */

#include "sim_sessions.h"

#include <inttypes.h>
#include <stdlib.h>

#include "proto/base/check.h"
#include "sim_conn.h"
#include "sim_world.h"

#define LOOK_US 20000u

/* The longest time after which a node that is not heard of is taken for lost, and some more until that is applied. */
#define PRESENCE_US_MAX 5000000u

void sim_sessions_done(struct sim_sessions *sessions)
{
    free(sessions->items);
    *sessions = (struct sim_sessions){0};
}

static struct sim_session *session_find(const struct sim_world *world, uint64_t id)
{
    const struct sim_sessions *sessions = &world->sessions;
    for (size_t i = sessions->len; i > 0; i--) {
        if (sessions->items[i - 1].id == id) {
            return &sessions->items[i - 1];
        }
    }
    return NULL;
}

void sim_sessions_attached(struct sim_client *client, uint64_t id, uint64_t asked_us)
{
    struct sim_sessions *sessions = &client->world->sessions;
    struct sim_session *session = session_find(client->world, id);
    if (session != NULL) {
        session->served_us = session->served_us > asked_us ? session->served_us : asked_us;
        return;
    }
    if (sessions->len == sessions->cap) {
        sessions->cap = sessions->cap == 0 ? 32 : sessions->cap * 2;
        sessions->items = realloc(sessions->items, sessions->cap * sizeof *sessions->items);
        CHECK(sessions->items != NULL);
    }
    sessions->items[sessions->len++] = (struct sim_session){.id = id,
                                                            .client = client->index,
                                                            .life = client->life,
                                                            .lease_us = (uint64_t)client->lease_ms * 1000,
                                                            .served_us = asked_us,
                                                            .closing = client->closing};
}

void sim_sessions_closing(struct sim_client *client)
{
    struct sim_session *session = session_find(client->world, client->session);
    if (session != NULL) {
        session->closing = true;
    }
}

bool sim_sessions_gone(const struct sim_world *world, uint64_t id)
{
    const struct sim_session *session = session_find(world, id);
    return session == NULL || session->gone;
}

size_t sim_sessions_live(const struct sim_world *world)
{
    size_t live = 0;
    for (size_t i = 0; i < world->sessions.len; i++) {
        live += !world->sessions.items[i].gone;
    }
    return live;
}

/* Log time may run faster than real time by a tenth (log_time.h), and a node's clock by a twentieth. */
static uint64_t lease_least_us(const struct sim_session *session)
{
    return session->lease_us * 85 / 100 - 5000;
}

static void session_over(struct sim_world *world, struct sim_session *session)
{
    uint64_t since_us = sim_world_now(world) - session->served_us;
    session->gone = true;
    sim_world_count(world, SIM_STAT_EXPIRED, !session->closing);
    sim_world_count(world, SIM_STAT_EXPIRED_DEAD, world->clients[session->client].dead);
    sim_world_note(world, 15, session->id, since_us);
    SIM_TRACE(world, "session %" PRIu64 " of client %u is over, last served %" PRIu64 " ms ago", session->id,
              session->client, since_us / 1000);
    if (since_us < lease_least_us(session) && !session->closing) {
        sim_world_violation(world,
                            "session %" PRIu64 " of client %u ended %" PRIu64
                            " ms after it was served, with a lease of %" PRIu64 " ms",
                            session->id, session->client, since_us / 1000, session->lease_us / 1000);
    }
}

/* Nothing may make a leader take a node for lost that it could hear all the time. */
static void node_taken_for_lost(struct sim_world *world, unsigned node)
{
    const struct sim_presence *present = &world->sessions.present[node];
    uint64_t now = sim_world_now(world);
    if (!world->nodes[node].leaving && present->good_since_us != 0 && now > present->good_since_us + PRESENCE_US_MAX) {
        sim_world_violation(world, "node %u was taken for lost, and nothing has been wrong with it for %" PRIu64 " ms",
                            node + 1, (now - present->good_since_us) / 1000);
    }
}

static void sessions_nodes(struct sim_node *node)
{
    struct sim_world *world = node->world;
    for (unsigned i = 0; i < world->nodes_len; i++) {
        struct sim_presence *present = &world->sessions.present[i];
        struct machine_node found = {0};
        if (machine_node(shard_machine(node->shard), i + 1, &found) != 0) {
            found.run = 0;
        }
        if (present->run != 0 && found.run != present->run) {
            sim_world_count(world, found.run == 0 ? SIM_STAT_NODES_LOST : SIM_STAT_NODES_REPLACED, 1);
            if (found.run == 0) {
                node_taken_for_lost(world, i);
            }
            SIM_TRACE(world, "node %u: process %" PRIx64 " is %s", i + 1, present->run,
                      found.run == 0 ? "taken for lost" : "replaced");
        }
        present->run = found.run;
    }
}

/* A session is attached, or was for a moment since the last look. */
static bool session_was_attached(struct sim_session *session, const struct machine_session *found)
{
    bool again = found->attachment != session->attachment;
    session->attachment = found->attachment;
    return again || found->node != 0;
}

/* From a queue all of whose consumers are attached nowhere, nothing is delivered: it would be locked for nobody. */
static void sessions_queue(struct sim_node *node, unsigned queue, bool attached)
{
    struct sim_session_queue *last = &node->world->sessions.queues[queue];
    struct machine_queue found;
    if (machine_queue(shard_machine(node->shard), sim_queue_name(queue), &found) != 0) {
        return;
    }
    if (!attached && !last->attached && found.delivered > last->delivered) {
        sim_world_violation(node->world,
                            "queue %u delivered %" PRIu64 " messages to sessions that are attached nowhere", queue,
                            found.delivered - last->delivered);
    }
    sim_world_count(node->world, SIM_STAT_UNATTENDED, last->attached && !attached);
    *last = (struct sim_session_queue){.attached = attached, .delivered = found.delivered};
}

void sim_sessions_applied(struct sim_node *node)
{
    struct sim_world *world = node->world;
    struct sim_sessions *sessions = &world->sessions;
    bool attached[SIM_QUEUES_MAX] = {false};
    for (size_t i = sessions->first_live; i < sessions->len; i++) {
        struct sim_session *session = &sessions->items[i];
        struct machine_session found;
        const struct sim_client *client = &world->clients[session->client];
        if (session->gone) {
            continue;
        }
        bool was_attached;
        if (machine_session(shard_machine(node->shard), session->id, &found) != 0) {
            session_over(world, session);
            was_attached = session->closing; /* To close it, its client was attached for a moment. */
        } else {
            was_attached = session_was_attached(session, &found);
        }
        if (was_attached && client->kind == SIM_CONSUMER) {
            attached[client->queue] = true;
        }
    }
    while (sessions->first_live < sessions->len && sessions->items[sessions->first_live].gone) {
        sessions->first_live++;
    }
    for (unsigned queue = 0; queue < world->queues_len; queue++) {
        sessions_queue(node, queue, attached[queue]);
    }
    sessions_nodes(node);
}

static bool nodes_talk(const struct sim_world *world, unsigned a, unsigned b)
{
    const struct sim_link *there = &world->net.links[a][b];
    const struct sim_link *back = &world->net.links[b][a];
    return a == b || (there->up && !there->lost && !there->cut && back->up && !back->lost && !back->cut);
}

static bool node_runs(const struct sim_node *node)
{
    return node->shard != NULL && node->paused_until_us <= sim_world_now(node->world);
}

/* A leader that is heard by a majority, or NULL. */
static struct sim_node *sessions_leader(struct sim_world *world)
{
    struct sim_node *leader = sim_world_leader(world);
    unsigned heard = 0;
    unsigned voters = 0;
    struct driver_status status = {0};
    if (leader != NULL) {
        driver_status(shard_driver(leader->shard), &status);
    }
    for (unsigned i = 0; i < status.members_len; i++) {
        unsigned node = (unsigned)status.members[i].id - 1;
        if (status.members[i].voter) {
            voters++;
            heard += node_runs(leader) && node_runs(&world->nodes[node]) && nodes_talk(world, leader->index, node);
        }
    }
    return heard > voters / 2 ? leader : NULL;
}

static bool conn_good(const struct sim_conn *conn, const struct sim_node *leader)
{
    const struct sim_world *world = conn->world;
    return leader != NULL && conn->client != NULL && conn->node != NULL && !conn->lost && !conn->closing &&
           !sim_conn_cut(conn) && node_runs(conn->node) && nodes_talk(world, conn->node_index, leader->index);
}

static void client_look(struct sim_client *client, struct sim_node *leader)
{
    struct sim_world *world = client->world;
    struct sim_conn *conn = client->conn;
    if (conn == NULL) {
        return;
    }
    if (client->session == 0 || client->attached_conn != conn->id || !conn_good(conn, leader)) {
        conn->good_since_us = 0;
        return;
    }
    struct driver_status status;
    if (conn->good_since_us != 0 && conn->good_leader == leader->id) {
        driver_status(shard_driver(conn->node->shard), &status);
        if (status.applied_index < conn->good_index) {
            return;
        }
        struct sim_session *session = session_find(world, client->session);
        session->served_us = session->served_us > conn->good_since_us ? session->served_us : conn->good_since_us;
    }
    driver_status(shard_driver(leader->shard), &status);
    conn->good_since_us = sim_world_now(world);
    conn->good_leader = leader->id;
    conn->good_index = status.log_last;
}

/* Without a majority it waits in the log that a node was lost, and is so when there is one again, whatever is with the node then. */
#define COMMIT_US_MAX 500000u

static bool leader_commits(struct sim_world *world, const struct sim_node *leader)
{
    struct sim_sessions *sessions = &world->sessions;
    struct driver_status status;
    if (leader == NULL) {
        return false;
    }
    driver_status(shard_driver(leader->shard), &status);
    if (status.commit_index == status.log_last || status.commit_index > sessions->commit_index) {
        sessions->commit_index = status.commit_index;
        sessions->commit_us = sim_world_now(world);
    }
    return sim_world_now(world) - sessions->commit_us <= COMMIT_US_MAX;
}

/* A slow disk lets a node fall behind, which counts as well; so does waiting for a copy of the state, while others get one. */
static void node_look(struct sim_node *node, const struct sim_node *leader, bool commits)
{
    struct sim_presence *present = &node->world->sessions.present[node->index];
    bool good = leader != NULL && commits && node_runs(node) && nodes_talk(node->world, node->index, leader->index) &&
                !node->leaving && !node->stalled && !node->log_short && node->disk_mean_us < 20000 &&
                !shard_rebuilding(node->shard);
    if (!good) {
        present->good_since_us = 0;
    } else if (present->good_since_us == 0 || present->good_leader != leader->id) {
        present->good_since_us = sim_world_now(node->world);
        present->good_leader = leader->id;
    }
}

void sim_sessions_look(struct sim_world *world)
{
    if (sim_world_now(world) < world->sessions.look_us) {
        return;
    }
    world->sessions.look_us = sim_world_now(world) + LOOK_US;
    struct sim_node *leader = sessions_leader(world);
    bool commits = leader_commits(world, leader);
    for (unsigned i = 0; i < world->nodes_len; i++) {
        node_look(&world->nodes[i], leader, commits);
    }
    for (unsigned i = 0; i < world->clients_len; i++) {
        client_look(&world->clients[i], leader);
    }
}
