/* What a node is made of: its clocks, its disk, and the limits that it is given. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "sim_conn.h"
#include "sim_world.h"

#define WALL_BASE_MS UINT64_C(1700000000000)
#define STREAM_PATIENCE 4u /* Of the seed, for the whole cluster. */

/* Its clocks: the monotonic one runs a little fast or slow, the other may be anywhere. */

static uint64_t node_now_ms(struct clock *clock)
{
    const struct sim_node *node = container_of(clock, struct sim_node, clock);
    uint64_t now = sim_world_now(node->world);
    return 5000 + (now + (uint64_t)((int64_t)now * node->drift_ppm / 1000000)) / 1000;
}

static uint64_t node_wall_ms(struct clock *clock)
{
    const struct sim_node *node = container_of(clock, struct sim_node, clock);
    return (uint64_t)((int64_t)(WALL_BASE_MS + sim_world_now(node->world) / 1000) + node->wall_offset_ms);
}

#define YEAR_MS INT64_C(31557600000)
#define STREAM_CLOCKS 50u /* Of the seed, and each node's after it. */
#define DRIFT_PPM_MAX 50000

/* Wall clocks of a majority that agree are right, whatever is wrong with the others: two that have jumped never agree by chance, by
 * which log time would leap. As far apart as none may be that is taken for right (clock_skew_ms), and some more. */
#define CLOCKS_APART_MS 20000

static bool clock_is_near_another(const struct sim_node *node)
{
    for (unsigned i = 0; i < node->world->nodes_len; i++) {
        const struct sim_node *other = &node->world->nodes[i];
        if (other != node && llabs(other->wall_offset_ms - node->wall_offset_ms) < CLOCKS_APART_MS) {
            return true;
        }
    }
    return false;
}

void sim_node_clock_jumps(struct sim_node *node, int64_t by_ms)
{
    bool year = sim_random_chance(&node->clock_random, 200000);
    sim_world_count(node->world, SIM_STAT_CLOCK_YEARS, year);
    node->wall_offset_ms += by_ms + (!year ? 0 : by_ms < 0 ? -YEAR_MS : YEAR_MS);
    while (clock_is_near_another(node)) {
        node->wall_offset_ms += by_ms < 0 ? -CLOCKS_APART_MS : CLOCKS_APART_MS;
    }
}

/* One node's clock may run faster or slower than any that is not broken. */
static void node_init_clocks(struct sim_node *node)
{
    struct sim_random world_random;
    struct sim_random *random = &node->clock_random;
    sim_random_init(&world_random, node->world->options.seed, STREAM_CLOCKS);
    sim_random_init(random, node->world->options.seed, STREAM_CLOCKS + 1 + node->index);
    bool drifts = sim_random_chance(&world_random, 150000);
    uint64_t who = sim_random_between(&world_random, 0, 4);
    bool look = sim_random_chance(&world_random, 500000);
    if (drifts && who == node->index) {
        node->drift_ppm = (int64_t)sim_random_between(random, 0, 2 * DRIFT_PPM_MAX) - DRIFT_PPM_MAX;
        sim_world_count(node->world, SIM_STAT_CLOCK_DRIFTS, 1);
    }
    node->clock_skew_ms = look ? (unsigned)sim_random_between(&world_random, 100, 10000) : 0;
}

static uint64_t node_random(struct clock *clock)
{
    return sim_random_next(&container_of(clock, struct sim_node, clock)->random);
}

/* What some lines say is counted, so that a reason that never occurs is noticed. */
static void node_journal(struct journal *journal, enum journal_level level, const char *subject, const char *text)
{
    struct sim_node *node = container_of(journal, struct sim_node, journal);
    SIM_TRACE(node->world, "node %u: %s%s: %s", node->index + 1, level == JOURNAL_ERROR ? "ERROR " : "", subject, text);
    sim_world_count(node->world, SIM_STAT_TIME_LEAPS,
                    strncmp(text, "log time goes on", strlen("log time goes on")) == 0);
    if (strncmp(text, "handing leadership over", strlen("handing leadership over")) == 0) {
        bool stall = strstr(text, "does not answer") != NULL;
        bool full = strstr(text, "nearly full") != NULL;
        sim_world_count(node->world, SIM_STAT_HANDED_OVER_CLOCK, strstr(text, "clock") != NULL);
        sim_world_count(node->world, SIM_STAT_HANDED_OVER_STALL, stall);
        sim_world_count(node->world, SIM_STAT_HANDED_OVER_FULL, full);
    }
}

/* What else takes of the disk that the log is on: the store, and strangers. */
static uint64_t node_others_len(void *arg)
{
    const struct sim_node *node = arg;
    return node->strangers_len + store_memory_disk_bytes(node->rows);
}

static uint64_t node_store_room(void *arg)
{
    const struct sim_node *node = arg;
    return sim_disk_room(node->disk);
}

static void node_init_limits(struct sim_node *node)
{
    struct sim_random *random = &node->random;
    node->capacity = UINT64_C(64) << 20;
    node->disk_free_min = sim_random_chance(random, 700000) ? sim_random_between(random, 16, 256) << 10 : 0;
    node->presence_timeout_ms = sim_random_chance(random, 500000) ? 0 : (unsigned)sim_random_between(random, 800, 3000);
    node->isolation_timeout_ms =
        sim_random_chance(random, 500000) ? 0 : (unsigned)sim_random_between(random, 300, 3000);
    node->disk_stall_ms = (unsigned)sim_random_between(random, 300, 2500);
    if (sim_random_mix(node->world->options.seed, STREAM_PATIENCE) % 8 == 0) {
        /* A node that gets no answers notices before the others take it for lost. */
        node->presence_timeout_ms = 3000;
        node->isolation_timeout_ms = 300;
        node->disk_stall_ms = 500;
    }
}

void sim_node_init(struct sim_world *world, unsigned index, bool joins)
{
    struct sim_node *node = &world->nodes[index];
    struct sim_random *random = &node->random;
    *node = (struct sim_node){
        .world = world,
        .index = index,
        .id = index + 1,
        .joins = joins,
        .clock = {.monotonic_ms = node_now_ms, .wall_ms = node_wall_ms, .random = node_random},
        .journal = {.level = world->options.trace ? JOURNAL_DEBUG : JOURNAL_INFO, .write = node_journal},
    };
    sim_random_init(random, world->options.seed, 10 + index);
    sim_random_init(&node->disk_random, world->options.seed, 20 + index);
    snprintf(node->address, sizeof node->address, "node-%u:4100", index + 1);
    node_init_limits(node);
    node->disk_mean_us = sim_random_between(random, 100, 3000);
    node->drift_ppm = (int64_t)sim_random_between(random, 0, 20000) - 10000;
    node->wall_offset_ms = (int64_t)sim_random_between(random, 0, 4000) - 2000;
    node_init_clocks(node);
    node->checkpoint_len = sim_random_between(random, 16, world->rebuilds ? 32 : 128) << 10;
    node->segment_len = sim_random_between(random, 4, 32) << 12;
    node->fill_len = sim_random_between(random, 0, 4) << 12;
    node->window = (unsigned)sim_random_between(random, 0, 8);
    node->disk = sim_disk_new();
    node->rows = store_memory_disk_new();
    CHECK(node->disk != NULL && node->rows != NULL);
    sim_disk_set_capacity(node->disk, node->capacity);
    sim_disk_share(node->disk, node_others_len, node);
    store_memory_disk_share(node->rows, node_store_room, node);
    store_memory_disk_set_files(node->rows, sim_disk_ops(node->disk), "shard-0");
    /* The data directory is there for good before a node runs: making directories is durable on a real disk. */
    struct disk *disk = sim_disk_ops(node->disk);
    int err = disk->ops->make_dir(disk, "shard-0");
    CHECK(err == 0);
    err = disk->ops->sync_dir(disk, ".");
    CHECK(err == 0);
    sim_node_start(node);
}

void sim_node_done(struct sim_node *node)
{
    struct shard *shard = node->shard;
    if (sim_node_up(node)) {
        sim_conns_node_gone(node->world, node);
        sim_disk_kill(node->disk);
        node->shard = NULL;
        shard_close(shard);
        patient_close(node->patient);
    }
    sim_node_forget_memory(node);
    sim_disk_free(node->disk);
    store_memory_disk_free(node->rows);
}
