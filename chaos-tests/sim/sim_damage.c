/* Which node's data are damaged, how, and what becomes of it. */

#include "sim_damage.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/check.h"
#include "sim_world.h"

#define STREAM_DAMAGE 40u /* Of the seed. */
#define CHANCE 250000u    /* Of worlds with damage, in a million. */
#define TRIES 30u         /* To find a byte that says something. */
#define ROLLBACK_US 1500000u
#define SYNCS_FAILED 2u /* In a world with damage, of any nodes. */

/* What belongs together; each is hit about as often, however large it is. */
enum part { PART_LOG, PART_WATERMARK, PART_META, PART_CURRENT, PART_COPY, PART_ROWS, PART_COUNT };

static const enum sim_stat flips[PART_COUNT] = {SIM_STAT_FLIPS_LOG,     SIM_STAT_FLIPS_WATERMARK, SIM_STAT_FLIPS_META,
                                                SIM_STAT_FLIPS_CURRENT, SIM_STAT_FLIPS_COPY,      SIM_STAT_FLIPS_ROWS};

bool sim_damage_chosen(uint64_t seed)
{
    struct sim_random random;
    sim_random_init(&random, seed, STREAM_DAMAGE);
    return sim_random_chance(&random, CHANCE);
}

static enum part part_of(const char *path)
{
    const char *name = strrchr(path, '/');
    name = name == NULL ? path : name + 1;
    if (strstr(path, "/incoming-") != NULL || strstr(path, "/copy-") != NULL) {
        return PART_COPY;
    }
    if (strstr(path, "/log/") != NULL) {
        return strcmp(name, "watermark") == 0 ? PART_WATERMARK : PART_LOG;
    }
    return strcmp(name, "meta") == 0 ? PART_META : PART_CURRENT;
}

struct search {
    enum part part;
    uint64_t nth; /* The file to find; counts down. */
    uint64_t found;
    char path[256];
    const uint8_t *data;
    uint64_t len;
};

static void search_file(void *arg, const char *path, const uint8_t *data, uint64_t len)
{
    struct search *search = arg;
    if (part_of(path) != search->part || len == 0) {
        return;
    }
    search->found++;
    if (search->nth-- == 0) {
        snprintf(search->path, sizeof search->path, "%s", path);
        search->data = data;
        search->len = len;
    }
}

/* A file of the part. False: there is none. */
static bool damage_file(struct sim_node *node, enum part part, struct search *ret_search)
{
    struct search count = {.part = part, .nth = UINT64_MAX};
    sim_disk_each_file(node->disk, search_file, &count);
    if (count.found == 0) {
        return false;
    }
    *ret_search =
        (struct search){.part = part, .nth = sim_random_between(&node->world->damage.random, 0, count.found - 1)};
    sim_disk_each_file(node->disk, search_file, ret_search);
    return true;
}

static enum part damage_part(struct sim_node *node, bool rows_too, struct search *ret_search)
{
    for (unsigned i = 0; i < TRIES; i++) {
        enum part part =
            (enum part)sim_random_between(&node->world->damage.random, 0, rows_too ? PART_ROWS : PART_COPY);
        bool there = part == PART_ROWS ? store_memory_disk_rows(node->rows) > 0 : damage_file(node, part, ret_search);
        if (there) {
            return part;
        }
    }
    return PART_COUNT;
}

/* A place with something in it, rather than zeroes that nobody reads. */
static uint64_t damage_place(struct sim_random *random, const struct search *search)
{
    uint64_t at = 0;
    for (unsigned i = 0; i < TRIES; i++) {
        at = sim_random_between(random, 0, search->len - 1);
        if (search->data[at] != 0) {
            break;
        }
    }
    return at;
}

static void strike_bit(struct sim_node *node, enum part part, const struct search *search)
{
    struct sim_world *world = node->world;
    struct sim_random *random = &world->damage.random;
    sim_world_count(world, flips[part], 1);
    if (part == PART_ROWS) {
        SIM_TRACE(world, "node %u: a bit changes in a row of the store", node->index + 1);
        int err = store_memory_disk_flip(node->rows, sim_random_next(random) >> 8);
        CHECK(err == 0);
        return;
    }
    uint64_t at = damage_place(random, search);
    SIM_TRACE(world, "node %u: a bit changes in %s at %" PRIu64, node->index + 1, search->path, at);
    int err = sim_disk_corrupt(node->disk, search->path, at, (uint8_t)(1u << sim_random_between(random, 0, 7)));
    CHECK(err == 0);
}

static void strike_flip(struct sim_node *node)
{
    struct search search = {0};
    enum part part = damage_part(node, true, &search);
    if (part != PART_COUNT) {
        strike_bit(node, part, &search);
    }
}

static void strike_unreadable(struct sim_node *node)
{
    struct sim_world *world = node->world;
    struct search search = {0};
    if (damage_part(node, false, &search) == PART_COUNT) {
        return;
    }
    uint64_t at = damage_place(&world->damage.random, &search);
    SIM_TRACE(world, "node %u: a sector of %s at %" PRIu64 " cannot be read", node->index + 1, search.path, at);
    sim_world_count(world, SIM_STAT_UNREADABLE, 1);
    int err = sim_disk_lose_sector(node->disk, search.path, at);
    CHECK(err == 0);
}

static void strike_stray(struct sim_node *node, enum sim_disk_stray kind)
{
    struct sim_random *random = &node->world->damage.random;
    SIM_TRACE(node->world, "node %u: a write soon %s", node->index + 1,
              kind == SIM_DISK_STRAY_ELSEWHERE ? "lands elsewhere" : "is lost");
    sim_world_count(node->world,
                    kind == SIM_DISK_STRAY_LOST    ? SIM_STAT_WRITES_LOST
                    : kind == SIM_DISK_STRAY_LATER ? SIM_STAT_WRITES_LOST_LATER
                                                   : SIM_STAT_WRITES_ELSEWHERE,
                    1);
    sim_disk_stray_write(node->disk, kind, sim_random_between(random, 0, 9), sim_random_next(random));
}

/* The power fails, and comes back soon. */
static void strike_crash(struct sim_node *node)
{
    if (sim_node_up(node)) {
        sim_node_power_fails(node, sim_random_between(&node->world->damage.random, 10000, 500000));
    }
}

/* The second half of going back: the power fails, and what was is again. */
static void strike_back(struct sim_event *event)
{
    struct sim_node *node = event->object;
    struct sim_world *world = node->world;
    struct sim_node_memory *memory = &node->memory;
    struct search search = {0};
    if (node->gone || memory->disk == NULL) {
        return;
    }
    strike_crash(node);
    if (event->a == SIM_DAMAGE_OLD_ALL) {
        SIM_TRACE(world, "node %u: all of its data are as they were", node->index + 1);
        sim_world_count(world, SIM_STAT_OLD_ALL, 1);
        sim_disk_roll_back(node->disk, memory->disk);
        if (node->life > memory->life + 1 && !world->options.forgetful) { /* It was started in between. */
            sim_node_stale(node);
        }
    }
    if (event->a != SIM_DAMAGE_OLD_FILE) {
        SIM_TRACE(world, "node %u: its store is as it was", node->index + 1);
        sim_world_count(world, SIM_STAT_OLD_ROWS, event->a == SIM_DAMAGE_OLD_ROWS);
        int err = store_memory_disk_copy(node->rows, memory->rows);
        CHECK(err == 0);
    } else if (damage_part(node, false, &search) != PART_COUNT &&
               sim_disk_roll_back_file(node->disk, memory->disk, search.path) == 0) {
        SIM_TRACE(world, "node %u: %s is as it was", node->index + 1, search.path);
        sim_world_count(world, SIM_STAT_OLD_FILE, 1);
    }
    sim_node_forget_memory(node);
}

static void strike_remember(struct sim_node *node, enum sim_damage_kind kind)
{
    struct sim_world *world = node->world;
    if (node->memory.disk != NULL) {
        return; /* It is on its way back already. */
    }
    sim_node_remember(node);
    uint64_t after_us = sim_random_between(&world->damage.random, 20000, ROLLBACK_US);
    sim_queue_push(&world->queue, (struct sim_event){.at_us = sim_world_now(world) + after_us,
                                                     .fire = strike_back,
                                                     .object = node,
                                                     .a = (uint64_t)kind});
}

/* Damage that the node must notice, since only its process ends: what it noted beside the log is there. Of the last batch the
 * watermark says that it was whole once; of an earlier one, the batches after it. */
#define BATCH_MAGIC "HFLB"
#define BATCHES_LEAST 3u

static uint64_t batch_before(const struct search *search, uint64_t end)
{
    uint64_t at = end / SIM_DISK_SECTOR_LEN * SIM_DISK_SECTOR_LEN;
    while (at >= SIM_DISK_SECTOR_LEN) {
        at -= SIM_DISK_SECTOR_LEN;
        if (memcmp(search->data + at, BATCH_MAGIC, strlen(BATCH_MAGIC)) == 0) {
            return at;
        }
    }
    return 0;
}

static void search_last(void *arg, const char *path, const uint8_t *data, uint64_t len)
{
    struct search *search = arg;
    if (part_of(path) == search->part && len > SIM_DISK_SECTOR_LEN &&
        memcmp(data + SIM_DISK_SECTOR_LEN, BATCH_MAGIC, strlen(BATCH_MAGIC)) == 0) {
        snprintf(search->path, sizeof search->path, "%s", path);
        search->data = data;
        search->len = len;
    }
}

static void strike_surely(struct sim_node *node, bool last)
{
    struct sim_world *world = node->world;
    struct sim_random *random = &world->damage.random;
    struct search search = {.part = PART_LOG};
    sim_disk_each_file(node->disk, search_last, &search);
    if (node->shard == NULL || search.data == NULL ||
        node->said_stored >= log_stored_index(driver_log(shard_driver(node->shard)))) {
        return;
    }
    uint64_t from = batch_before(&search, search.len);
    for (unsigned i = 0; i < BATCHES_LEAST && !last; i++) {
        from = batch_before(&search, from);
    }
    if (from == 0) {
        return;
    }
    SIM_TRACE(world, "node %u: its process ends, and a bit changes in %s at %" PRIu64, node->index + 1, search.path,
              from);
    sim_world_count(world, SIM_STAT_FLIPS_SURE, 1);
    sim_node_process_ends(node, sim_random_between(random, 10000, 300000));
    int err = sim_disk_corrupt(node->disk, search.path, from + sim_random_between(random, 8, 60), 1);
    CHECK(err == 0);
    if (!last) {
        struct search watermark = {0};
        for (uint64_t at = 8; damage_file(node, PART_WATERMARK, &watermark) && at < watermark.len;
             at += SIM_DISK_SECTOR_LEN) {
            err = sim_disk_corrupt(node->disk, watermark.path, at, 1);
            CHECK(err == 0);
        }
    }
    node->must_notice = true;
}

/* A sync fails: the process ends, and what it had written is in memory, and nowhere else. */
static void sync_fails(struct sim_event *event)
{
    struct sim_node *node = event->object;
    struct sim_world *world = node->world;
    struct sim_random *random = &world->damage.random;
    if (!sim_node_up(node) || world->phase != SIM_WORK || sim_damage_unseen(world)) {
        return;
    }
    SIM_TRACE(world, "node %u: a sync will fail", node->index + 1);
    sim_world_count(world, SIM_STAT_SYNCS_FAILED, 1);
    node->sync_fails = true;
    if (sim_random_chance(random, 500000)) {
        sim_disk_fail_next_append(node->disk, ERR_IO);
    } else {
        sim_disk_fail_nth_sync(node->disk, sim_random_between(random, 0, 2), ERR_IO);
    }
}

bool sim_damage_unseen(const struct sim_world *world)
{
    for (unsigned i = 0; i < world->nodes_len; i++) {
        if (world->nodes[i].diverged && !world->nodes[i].gone) {
            return true;
        }
    }
    return false;
}

/* Whether the others can tell who is right: one that needs a copy of the state itself could not. */
static bool others_can_tell(const struct sim_node *node)
{
    struct sim_node *leader = sim_world_leader(node->world);
    if (leader == NULL) {
        return false;
    }
    uint64_t first = log_first_index(driver_log(shard_driver(leader->shard)));
    for (unsigned i = 0; i < node->world->nodes_len; i++) {
        const struct sim_node *other = &node->world->nodes[i];
        if (other == node || other->gone) {
            continue;
        }
        if (other->shard == NULL || log_stored_index(driver_log(shard_driver(other->shard))) + 1 < first) {
            return false;
        }
    }
    return true;
}

/* The node's memory, or its processor, lets it down. Its clients are elsewhere, since nobody could keep it from telling them what is
 * wrong until it is found out. */
static void diverge(struct sim_event *event)
{
    struct sim_node *node = event->object;
    struct sim_world *world = node->world;
    if (node->shard == NULL || node->damage[0] != '\0' || world->phase != SIM_WORK || node->gone ||
        !others_can_tell(node)) {
        return;
    }
    node->struck = true;
    node->diverging = true;
    node->diverged = true;
}

static enum sim_damage_kind strike_kind(struct sim_random *random)
{
    bool flip = sim_random_chance(random, 300000);
    return flip ? SIM_DAMAGE_FLIP : (enum sim_damage_kind)sim_random_between(random, 0, (uint64_t)SIM_DAMAGE_KINDS - 1);
}

static void strike(struct sim_event *event)
{
    struct sim_node *node = event->object;
    struct sim_world *world = node->world;
    struct sim_random *random = &world->damage.random;
    enum sim_damage_kind kind = strike_kind(random);
    if (node->gone || world->phase != SIM_WORK) {
        return;
    }
    bool first = !node->struck;
    node->must_notice = false; /* What is struck now may be what would have shown an earlier strike. */
    node->struck = true;
    node->struck_kinds |= 1u << (unsigned)kind;
    sim_world_note(world, 16, node->id, (uint64_t)kind);
    switch (kind) {
    case SIM_DAMAGE_FLIP:
        if (first && sim_random_chance(random, 300000)) {
            strike_surely(node, sim_random_chance(random, 500000));
            return;
        }
        strike_flip(node);
        break;
    case SIM_DAMAGE_UNREADABLE: strike_unreadable(node); break;
    case SIM_DAMAGE_LOST: strike_stray(node, SIM_DISK_STRAY_LOST); break;
    case SIM_DAMAGE_LATER: strike_stray(node, SIM_DISK_STRAY_LATER); break;
    case SIM_DAMAGE_ELSEWHERE: strike_stray(node, SIM_DISK_STRAY_ELSEWHERE); break;
    case SIM_DAMAGE_OLD_FILE:
    case SIM_DAMAGE_OLD_ROWS:
    case SIM_DAMAGE_OLD_ALL: strike_remember(node, kind); return;
    case SIM_DAMAGE_KINDS: break;
    }
    if (sim_random_chance(random, 400000)) {
        strike_crash(node); /* It will read what is there. Otherwise it finds out when chance has it. */
    }
}

/* Copies do not exist for long, and nothing is named as the state before one has come: they are waited for. */
#define AMBUSH_US 20000u

static void ambush(struct sim_event *event)
{
    struct sim_node *node = event->object;
    struct sim_world *world = node->world;
    enum part part = event->a == 0 ? PART_COPY : PART_CURRENT;
    struct search search = {0};
    if (node->gone || world->phase != SIM_WORK) {
        return;
    }
    bool there = damage_file(node, part, &search);
    if (there && sim_random_chance(&world->damage.random, part == PART_COPY ? 200000 : 20000)) {
        node->struck = true;
        sim_world_note(world, 16, node->id, (uint64_t)SIM_DAMAGE_KINDS + part);
        strike_bit(node, part, &search);
        return;
    }
    struct sim_event next = *event;
    next.at_us = sim_world_now(world) + AMBUSH_US;
    sim_queue_push(&world->queue, next);
}

static void damage_victim(struct sim_world *world, unsigned victim)
{
    struct sim_random *random = &world->damage.random;
    uint64_t strikes = sim_random_between(random, 1, SIM_STRIKES_MAX);
    for (uint64_t i = 0; i < strikes; i++) {
        sim_queue_push(&world->queue,
                       (struct sim_event){.at_us = sim_random_between(random, 300000, world->work_us * 9 / 10),
                                          .fire = strike,
                                          .object = &world->nodes[victim]});
    }
    if (sim_random_chance(random, 300000)) {
        sim_queue_push(&world->queue,
                       (struct sim_event){.at_us = sim_random_between(random, 300000, world->work_us / 2),
                                          .fire = diverge,
                                          .object = &world->nodes[victim]});
    }
    for (uint64_t part = 0; part < 2; part++) {
        sim_queue_push(
            &world->queue,
            (struct sim_event){.at_us = AMBUSH_US, .fire = ambush, .object = &world->nodes[victim], .a = part});
    }
}

void sim_damage_init(struct sim_world *world)
{
    struct sim_damage *damage = &world->damage;
    sim_random_init(&damage->random, world->options.seed, STREAM_DAMAGE);
    if (!sim_random_chance(&damage->random, CHANCE)) {
        return;
    }
    unsigned most = (world->nodes_len - 1) / 2;
    damage->victims_len = (unsigned)sim_random_between(&damage->random, 1, most);
    for (unsigned i = 0; i < damage->victims_len; i++) {
        /* Neighbours, round the circle, so that none is chosen twice. */
        damage->victims[i] = i == 0 ? (unsigned)sim_random_between(&damage->random, 0, world->nodes_len - 1)
                                    : (damage->victims[0] + i) % world->nodes_len;
        damage_victim(world, damage->victims[i]);
    }
    for (unsigned i = 0; i < SYNCS_FAILED; i++) {
        sim_queue_push(
            &world->queue,
            (struct sim_event){.at_us = sim_random_between(&damage->random, 300000, world->work_us),
                               .fire = sync_fails,
                               .object = &world->nodes[sim_random_between(&damage->random, 0, world->nodes_len - 1)]});
    }
    sim_world_count(world, SIM_STAT_DAMAGED_WORLDS, 1);
}

bool sim_damage_explains(const struct sim_node *node, int err)
{
    return (node->sync_fails && err == ERR_IO) ||
           (node->struck && (err == ERR_CORRUPT || err == ERR_CHECKSUM || err == ERR_VERSION || err == ERR_FOREIGN ||
                             err == ERR_IO || err == ERR_NOT_FOUND));
}

bool sim_damage_found(struct sim_node *node, int err, const char *what)
{
    if (!sim_damage_explains(node, err)) {
        return false;
    }
    SIM_TRACE(node->world, "node %u finds its data damaged at its start: %s: %s", node->index + 1, err_name(err), what);
    sim_world_count(node->world, SIM_STAT_DAMAGE_FOUND, 1);
    return true;
}

bool sim_damage_explains_copy(const struct sim_node *node, const char *name)
{
    unsigned source = 0;
    const struct sim_world *world = node->world;
    if (sscanf(name, "incoming-%u-", &source) != 1 || source == 0 || source > world->nodes_len) {
        return false;
    }
    return node->struck || world->nodes[source - 1].struck;
}

bool sim_damage_forgot(struct sim_node *node, const char *what)
{
    struct sim_world *world = node->world;
    if (!node->struck || node->must_notice) {
        return false;
    }
    SIM_TRACE(world, "node %u does not know what it has forgotten: %s (kinds %x)", node->index + 1, what,
              node->struck_kinds);
    sim_world_count(world, SIM_STAT_FORGETFUL, 1);
    if (!world->options.forgetful) {
        sim_node_forgot(node, what);
    }
    return true;
}

unsigned sim_damage_left(const struct sim_world *world)
{
    unsigned left = 0;
    for (unsigned i = 0; i < world->nodes_len; i++) {
        left += world->nodes[i].whole && !world->nodes[i].gone;
    }
    return left;
}
