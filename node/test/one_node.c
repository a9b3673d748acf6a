/* The fixture of the tests of gateway and shard. */

#include "one_node.h"

#include <criterion/criterion.h>

#include "proto/base/check.h"

static uint64_t one_monotonic(struct clock *base)
{
    return container_of(base, struct one_clock, base)->now_ms;
}

static uint64_t one_wall(struct clock *base)
{
    const struct one_clock *clock = container_of(base, struct one_clock, base);
    return UINT64_C(1700000000000) + clock->now_ms + clock->wall_jump_ms;
}

static uint64_t one_random(struct clock *base)
{
    struct one_clock *clock = container_of(base, struct one_clock, base);
    clock->random = clock->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return clock->random;
}

void one_clock_init(struct one_clock *clock, uint64_t seed)
{
    *clock = (struct one_clock){
        .base = {.monotonic_ms = one_monotonic, .wall_ms = one_wall, .random = one_random},
        .now_ms = 1000,
        .random = seed,
    };
}

static bool one_send(void *arg, uint64_t to, struct frame_out *frame)
{
    (void)arg;
    (void)to;
    frame_out_done(frame);
    return false;
}

static uint64_t one_memory_used(void *arg)
{
    const struct one_node *node = arg;
    return node->memory_used;
}

static void one_settle(struct home *home)
{
    one_node_settle(container_of(home, struct one_node, home));
}

static void one_wait(struct home *home, uint64_t ms)
{
    one_node_wait(container_of(home, struct one_node, home), ms);
}

static void one_fatal(void *arg, int err, const char *what)
{
    (void)arg;
    cr_assert_fail("fatal: %s: %s", what, err_text(err));
}

void one_node_open(struct one_node *node)
{
    char detail[512] = "";
    struct store *store;
    cr_assert_eq(store_memory_open(node->rows, &store), 0);
    node->options.store = node->wrap != NULL ? node->wrap(store) : store;
    cr_assert_eq(shard_open(&node->options, &node->shard, detail, sizeof detail), 0, "%s", detail);
    node->gateway = shard_gateway(node->shard);
    node->home = (struct home){.gateway = node->gateway, .settle = one_settle, .wait = one_wait};
    shard_set_client_address(node->shard, "client:1");
}

static void one_node_lead(struct one_node *node)
{
    struct gateway_leader leader;
    for (int i = 0; i < 100 && node->gateway->ops->leader(node->gateway, &leader) != 0; i++) {
        one_node_wait(node, 100);
    }
    cr_assert_eq(node->gateway->ops->leader(node->gateway, &leader), 0);
    cr_assert_eq(leader.node, 1u);
    cr_assert_str_eq(leader.address, "client:1");
    one_node_settle(node);
}

void one_node_start(struct one_node *node, const struct shard_options *options)
{
    static const struct driver_member alone = {.id = 1, .address = "node:1"};
    *node = (struct one_node){
        .disk = sim_disk_new(),
        .rows = store_memory_disk_new(),
        .options = {.members = &alone, .members_len = 1},
    };
    one_clock_init(&node->clock, 1);
    if (options != NULL) {
        node->options = *options;
        node->options.members = options->members != NULL ? options->members : &alone;
        node->options.members_len = options->members != NULL ? options->members_len : 1;
    }
    node->options.node = 1;
    node->options.cluster = "test";
    node->options.version = "0";
    node->options.disk = sim_disk_ops(node->disk);
    node->options.clock = &node->clock.base;
    node->options.dir = "shard-0";
    node->options.arg = node;
    node->options.send = one_send;
    node->options.memory_used = one_memory_used;
    node->options.fatal = one_fatal;
    one_node_open(node);
    if (node->options.members_len == 1) {
        one_node_lead(node);
    }
}

void one_node_crash(struct one_node *node)
{
    sim_disk_crash_losing_all(node->disk);
    shard_close(node->shard);
    one_node_open(node);
    one_node_lead(node);
}

void one_node_kill(struct one_node *node, uint64_t down_ms)
{
    sim_disk_kill(node->disk);
    shard_close(node->shard);
    node->clock.now_ms += down_ms;
    one_node_open(node);
    one_node_lead(node);
}

void one_node_stop(struct one_node *node)
{
    sim_disk_kill(node->disk);
    shard_close(node->shard);
    sim_disk_free(node->disk);
    store_memory_disk_free(node->rows);
}

void one_node_settle(struct one_node *node)
{
    for (int i = 0; i < 100000; i++) {
        shard_step(node->shard);
        if (sim_disk_pending(node->disk) > 0) {
            sim_disk_complete_one(node->disk);
        } else if (shard_deadline_ms(node->shard) > node->clock.now_ms) {
            return;
        }
    }
    cr_assert_fail("it never comes to rest");
}

void one_node_wait(struct one_node *node, uint64_t ms)
{
    one_node_settle(node); /* What happened until now happened now. */
    node->clock.now_ms += ms;
    one_node_settle(node);
}
