/* Fuzzes what the gateways of other nodes say to one that leads: whatever it is, the shard takes it or closes the
 * connection, comes to rest, and keeps nothing of it. */

#include <stdio.h>
#include <stdlib.h>

#include "fuzz_input.h"
#include "node/core/shard.h"
#include "sim/sim_disk.h"
#include "sim/store_memory.h"

/* The node that speaks. It is no member, so nothing can be handed over to it. */
#define FROM 2u

struct world {
    struct clock clock;
    uint64_t now_ms;
    struct sim_disk *disk;
    struct store_memory_disk *rows;
    struct shard *shard;
    bool closed; /* The connection. */
};

static uint64_t now_ms(struct clock *clock)
{
    return container_of(clock, struct world, clock)->now_ms;
}

static uint64_t draw(struct clock *clock)
{
    return container_of(clock, struct world, clock)->now_ms + 1;
}

static bool drop(void *arg, uint64_t node, struct frame_out *frame)
{
    (void)arg;
    (void)node;
    frame_out_done(frame);
    return true;
}

static void die(void *arg, int err, const char *what)
{
    (void)arg;
    (void)fprintf(stderr, "fatal: %s: %s\n", what, err_text(err));
    abort();
}

static void open_shard(struct world *world)
{
    static const struct driver_member alone = {.id = 1, .address = "node:1"};
    struct store *store;
    char detail[512];
    CHECK(store_memory_open(world->rows, &store) == 0);
    struct shard_options options = {
        .node = 1,
        .cluster = "fuzz",
        .version = "0",
        .members = &alone,
        .members_len = 1,
        .disk = sim_disk_ops(world->disk),
        .store = store,
        .clock = &world->clock,
        .dir = "shard-0",
        .segment_len = 64 * KIB,
        .arg = world,
        .send = drop,
        .fatal = die,
    };
    CHECK(shard_open(&options, &world->shard, detail, sizeof detail) == 0);
}

static void settle(struct world *world)
{
    unsigned turns = 0;
    do {
        CHECK(turns++ < 100000);
        shard_step(world->shard);
        sim_disk_complete_all(world->disk);
    } while (shard_deadline_ms(world->shard) <= world->now_ms || sim_disk_pending(world->disk) > 0);
}

static bool leads(struct world *world)
{
    struct driver_status status;
    driver_status(shard_driver(world->shard), &status);
    return status.role == DRIVER_LEADER && status.term_committed;
}

static void take(void *arg, struct frame *frame)
{
    struct world *world = arg;
    frame->type = FRAME_PEER_GATEWAY;
    if (!world->closed) {
        int err = shard_receive(world->shard, FROM, frame);
        CHECK(err == 0 || err == ERR_BROKEN);
        world->closed = err != 0;
    }
    slice_unref(&frame->header);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct world world = {
        .clock = {.monotonic_ms = now_ms, .wall_ms = now_ms, .random = draw},
        .now_ms = 1000,
        .disk = sim_disk_new(),
        .rows = store_memory_disk_new(),
    };
    CHECK(world.disk != NULL && world.rows != NULL);
    open_shard(&world);
    while (!leads(&world)) {
        world.now_ms += 100;
        settle(&world);
    }
    fuzz_frames(&framing_native, data, len, 61, 256 * KIB, take, &world);
    settle(&world);
    CHECK(leads(&world));
    CHECK(shard_unanswered(world.shard) == 0);
    world.now_ms += 100; /* What was taken has been put into the log, and nothing of it stays behind. */
    settle(&world);
    sim_disk_kill(world.disk);
    shard_close(world.shard);
    sim_disk_free(world.disk);
    store_memory_disk_free(world.rows);
    return 0;
}
