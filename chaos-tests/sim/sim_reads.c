/* Clients that look. */

#include "sim_reads.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "rpc/client/client_query.h"
#include "sim_conn.h"
#include "sim_world.h"

#define BROWSE_MAX 20u
#define UNDER_WAY_MAX 4u

struct read {
    struct sim_client *client;
    unsigned queue;
    uint64_t asked_us;
    struct sim_counters seen;
    uint64_t enqueued;
    uint64_t settled;
};

static struct read *read_new(struct sim_client *client)
{
    struct sim_reads *reads = &client->world->reads;
    struct read *read = malloc(sizeof *read);
    CHECK(read != NULL);
    *read = (struct read){.client = client,
                          .queue = client->queue,
                          .asked_us = sim_world_now(client->world),
                          .seen = reads->seen[client->queue],
                          .enqueued = reads->enqueued[client->queue],
                          .settled = reads->settled[client->queue]};
    client->reading++;
    return read;
}

static void read_at_least(struct sim_world *world, const char *what, uint64_t found, uint64_t least)
{
    if (found < least) {
        sim_world_violation(world, "a read found %" PRIu64 " %s, and before it began there were %" PRIu64, found, what,
                            least);
    }
}

static void most(uint64_t *count, uint64_t found)
{
    *count = found > *count ? found : *count;
}

static void read_check(const struct read *read, const struct client_queue *found)
{
    struct sim_world *world = read->client->world;
    struct sim_counters *seen = &world->reads.seen[read->queue];
    read_at_least(world, "messages confirmed", found->enqueued, read->enqueued);
    read_at_least(world, "messages settled", found->settled, read->settled);
    read_at_least(world, "messages enqueued by an earlier read", found->enqueued, read->seen.enqueued);
    read_at_least(world, "deliveries by an earlier read", found->delivered, read->seen.delivered);
    read_at_least(world, "settled by an earlier read", found->settled, read->seen.settled);
    read_at_least(world, "released by an earlier read", found->released, read->seen.released);
    if (found->enqueued > world->reads.sent[read->queue]) {
        sim_world_violation(world, "a read found %" PRIu64 " messages enqueued of %" PRIu64 " sent", found->enqueued,
                            world->reads.sent[read->queue]);
    }
    if (found->ready + found->unsettled + found->settled != found->enqueued) {
        sim_world_violation(
            world, "a read found %" PRIu64 " ready, %" PRIu64 " out and %" PRIu64 " settled of %" PRIu64 " enqueued",
            found->ready, found->unsettled, found->settled, found->enqueued);
    }
    most(&seen->enqueued, found->enqueued);
    most(&seen->delivered, found->delivered);
    most(&seen->settled, found->settled);
    most(&seen->released, found->released);
}

/* Counts what was answered by a replica that does not lead. */
static void read_count(const struct sim_client *client)
{
    const struct sim_node *leader = sim_world_leader(client->world);
    sim_world_count(client->world, SIM_STAT_READS, 1);
    if (leader != NULL && client->conn != NULL) {
        sim_world_count(client->world, SIM_STAT_READS_BEHIND, client->conn->node_index != leader->index);
    }
}

static void read_answered(void *arg, int err, const char *detail, const struct client_query_result *result)
{
    struct read *read = arg;
    struct sim_client *client = read->client;
    struct sim_world *world = client->world;
    (void)detail;
    client->reading--;
    sim_world_note(world, 16, client->index, (uint64_t)(int64_t)err);
    if (err == 0 && (result->queues_len != 1 || strcmp(result->queues[0].name, sim_queue_name(read->queue)) != 0)) {
        sim_world_violation(world, "a read of one queue gave %zu", result->queues_len);
    } else if (err == 0) {
        read_count(client);
        read_check(read, &result->queues[0]);
    } else {
        sim_world_count(world, SIM_STAT_READS_FAILED, 1);
        if (err == ERR_NOT_FOUND) {
            sim_world_violation(world, "a read did not find a queue whose declaration was confirmed");
        }
    }
    free(read);
}

static void browse_answered(void *arg, int err, const char *detail, const struct client_query_result *result)
{
    struct read *read = arg;
    struct sim_client *client = read->client;
    uint64_t last = 0;
    (void)detail;
    client->reading--;
    sim_world_note(client->world, 17, client->index, (uint64_t)(int64_t)err);
    sim_world_count(client->world, SIM_STAT_BROWSES, err == 0);
    for (size_t i = 0; err == 0 && i < result->messages_len; i++) {
        const struct client_message *message = &result->messages[i];
        if (message->position <= last) {
            sim_world_violation(client->world, "a look into a queue found position %" PRIu64 " after %" PRIu64,
                                message->position, last);
        }
        last = message->position;
        sim_world_count(client->world, SIM_STAT_BROWSED, 1);
        sim_history_browsed(client->world, read->queue, message->position, message->body, read->asked_us);
    }
    free(read);
}

static void purge_answered(void *arg, const struct client_reply *reply)
{
    struct read *read = arg;
    struct sim_client *client = read->client;
    struct sim_reads *reads = &client->world->reads;
    client->inflight--;
    sim_world_note(client->world, 18, client->index, (uint64_t)(int64_t)reply->err);
    if (reply->err == 0) {
        sim_world_count(client->world, SIM_STAT_PURGES, 1);
        sim_world_count(client->world, SIM_STAT_PURGED, reply->count);
        reads->purged[read->queue] += reply->count;
    } else if (reply->err == ERR_OUTCOME_UNKNOWN) {
        reads->purges_unknown[read->queue] = true;
    }
    client->reading--;
    free(read);
    if (client->core != NULL) {
        sim_client_work_later(client, 1000);
    }
}

static void reads_issue(struct sim_client *client, struct read *read, int err)
{
    if (err != 0) {
        client->reading--;
        sim_world_violation(client->world, "asking: %s", err_name(err));
        free(read);
        return;
    }
    sim_world_count(client->world, SIM_STAT_OPS, 1);
}

static void reads_purge(struct sim_client *client)
{
    struct read *read = read_new(client);
    client->inflight++;
    int err = client_core_purge(client->core, sim_queue_name(client->queue), 0, purge_answered, read);
    client->inflight -= err != 0;
    reads_issue(client, read, err);
}

void sim_reads_work(struct sim_client *client)
{
    struct sim_world *world = client->world;
    struct sim_random *random = &client->random;
    const char *queue = sim_queue_name(client->queue);
    if (world->phase != SIM_WORK || client->reading >= UNDER_WAY_MAX) {
        return;
    }
    uint64_t timeout_ms = sim_random_between(random, 300, 4000);
    if (sim_random_chance(random, 120000)) {
        struct read *read = read_new(client);
        reads_issue(client, read, client_core_query_queue(client->core, queue, timeout_ms, read_answered, read));
    } else if (sim_random_chance(random, 10000)) {
        struct read *read = read_new(client);
        uint64_t position = sim_random_chance(random, 500000) ? 0 : world->reads.enqueued[client->queue] / 2;
        reads_issue(
            client, read,
            client_core_query_browse(client->core, queue, position, BROWSE_MAX, timeout_ms, browse_answered, read));
    } else if (world->purged_queue == client->queue && client->inflight < SIM_INFLIGHT_MAX &&
               sim_random_chance(random, 4000)) {
        reads_purge(client);
    }
}
