/* How many publish + deliver + accept cycles a second one core's machine applies, and what idle things cost in memory. */

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

#include "bench_table.h"
#include "proto/base/check.h"
#include "proto/wire/command.pb-c.h"
#include "proto/wire/entry.h"
#include "sim/store_memory.h"
#include "statemachine/machine.h"

#define BATCH 256u
#define BODY_LEN 100u
#define ROUNDS 20000u
#define CHECKPOINT_EVERY 2000u
#define IDLE_THINGS 10000u

struct bench {
    struct machine *machine;
    uint64_t index;
    uint64_t number;
};

static struct slice bench_entry(const struct bench *bench, uint64_t session, const Holdfast__Command *command,
                                const void *bodies, size_t bodies_len)
{
    size_t header_len = holdfast__command__get_packed_size(command);
    struct blob *blob = blob_new(ENTRY_HEAD_LEN + ENTRY_COMMAND_HEAD_LEN + header_len + bodies_len);
    CHECK(blob != NULL);
    struct entry_head head = {
        .machine_version = 1, .time_ms = bench->index, .commands = 1, .len = (uint32_t)(blob->len - ENTRY_HEAD_LEN)};
    struct entry_command from = {.session = session, .attachment = session != 0, .header.len = header_len};
    from.number = session != 0 ? bench->number : 0;
    from.answered = session != 0 ? bench->number - 1 : 0;
    from.bodies.len = bodies_len;
    entry_head_encode(&head, blob->data);
    entry_command_head_encode(&from, blob->data + ENTRY_HEAD_LEN);
    holdfast__command__pack(command, blob->data + ENTRY_HEAD_LEN + ENTRY_COMMAND_HEAD_LEN);
    if (bodies_len > 0) {
        memcpy(blob->data + blob->len - bodies_len, bodies, bodies_len);
    }
    return slice_of_blob(blob);
}

static size_t bench_apply(struct bench *bench, struct slice entry)
{
    struct effects effects;
    int err = machine_apply(bench->machine, ++bench->index, entry, &effects);
    CHECK(err == 0);
    slice_unref(&entry);
    for (size_t i = 0; i < effects.len; i++) {
        CHECK(effects.items[i].kind != EFFECT_REPLY || effects.items[i].reply.error == 0);
    }
    return effects.len;
}

static void bench_setup(struct bench *bench)
{
    Holdfast__NodePresent present = HOLDFAST__NODE_PRESENT__INIT;
    present.node = present.run = 1;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_NODE_PRESENT;
    command.node_present = &present;
    bench_apply(bench, bench_entry(bench, 0, &command, NULL, 0));

    uint8_t key[16] = "bench";
    Holdfast__Origin origin = HOLDFAST__ORIGIN__INIT;
    origin.node = origin.run = origin.tag = 1;
    Holdfast__AttachSession attach = HOLDFAST__ATTACH_SESSION__INIT;
    attach.key = (ProtobufCBinaryData){.len = sizeof key, .data = key};
    attach.origin = &origin;
    command.kind_case = HOLDFAST__COMMAND__KIND_ATTACH_SESSION;
    command.attach_session = &attach;
    bench_apply(bench, bench_entry(bench, 0, &command, NULL, 0));

    Holdfast__DeclareQueue declare = HOLDFAST__DECLARE_QUEUE__INIT;
    declare.queue = (char[]){"queue"};
    command.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_QUEUE;
    command.declare_queue = &declare;
    bench->number++;
    bench_apply(bench, bench_entry(bench, 1, &command, NULL, 0));

    Holdfast__Subscribe subscribe = HOLDFAST__SUBSCRIBE__INIT;
    subscribe.queue = (char[]){"queue"};
    subscribe.consumer = 1;
    subscribe.credit = BATCH;
    command.kind_case = HOLDFAST__COMMAND__KIND_SUBSCRIBE;
    command.subscribe = &subscribe;
    bench->number++;
    bench_apply(bench, bench_entry(bench, 1, &command, NULL, 0));
}

static void bench_publish(struct bench *bench, uint64_t round)
{
    uint8_t bodies[BATCH * BODY_LEN];
    uint32_t lens[BATCH];
    uint64_t hashes[BATCH];
    memset(bodies, (int)(round % 256), sizeof bodies);
    for (size_t i = 0; i < BATCH; i++) {
        lens[i] = BODY_LEN;
        hashes[i] = XXH3_64bits(bodies + i * BODY_LEN, BODY_LEN);
    }
    Holdfast__Publish publish = HOLDFAST__PUBLISH__INIT;
    publish.queue = (char[]){"queue"};
    publish.n_body_len = publish.n_body_hash = BATCH;
    publish.body_len = lens;
    publish.body_hash = hashes;
    publish.producer = (char[]){"producer"};
    publish.first_sequence = round * BATCH + 1;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_PUBLISH;
    command.publish = &publish;
    bench->number++;
    size_t effects = bench_apply(bench, bench_entry(bench, 1, &command, bodies, sizeof bodies));
    CHECK(effects == 1 + BATCH);
}

static void bench_settle(struct bench *bench, uint64_t round)
{
    uint64_t first = round * BATCH + 1;
    uint64_t last = first + BATCH - 1;
    Holdfast__Settle settle = HOLDFAST__SETTLE__INIT;
    settle.consumer = 1;
    settle.n_first = settle.n_last = 1;
    settle.first = &first;
    settle.last = &last;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_SETTLE;
    command.settle = &settle;
    bench->number++;
    size_t effects = bench_apply(bench, bench_entry(bench, 1, &command, NULL, 0));
    CHECK(effects == 1);
}

static double seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double bench_checkpoint(struct bench *bench)
{
    struct machine_checkpoint *checkpoint;
    double from = seconds();
    int err = machine_checkpoint(bench->machine, (struct slice){0}, &checkpoint);
    double spent = seconds() - from;
    CHECK(err == 0);
    err = machine_checkpoint_write(checkpoint);
    machine_checkpoint_done(checkpoint, err);
    return spent;
}

static struct store_memory_disk *bench_open(struct bench *bench)
{
    struct store_memory_disk *disk = store_memory_disk_new();
    struct store *store;
    uint64_t applied;
    struct slice consensus;
    char detail[256];
    *bench = (struct bench){0};
    CHECK(disk != NULL && store_memory_open(disk, &store) == 0);
    CHECK(machine_open(store, &bench->machine, &applied, &consensus, detail, sizeof detail) == 0);
    slice_unref(&consensus);
    bench_setup(bench);
    return disk;
}

static void bench_cycles(void)
{
    struct bench bench;
    struct store_memory_disk *disk = bench_open(&bench);
    double checkpoints = 0;
    double from = seconds();
    for (uint64_t round = 0; round < ROUNDS; round++) {
        bench_publish(&bench, round);
        bench_settle(&bench, round);
        if (round % CHECKPOINT_EVERY == CHECKPOINT_EVERY - 1) {
            checkpoints += bench_checkpoint(&bench);
        }
    }
    double spent = seconds() - from;
    printf(
        "%.0f cycles/s (publish + deliver + accept of %u B in batches of %u; checkpoints took %.3f ms on the loop)\n",
        ROUNDS * (double)BATCH / spent, BODY_LEN, BATCH, 1000 * checkpoints);
    machine_close(bench.machine);
    store_memory_disk_free(disk);
}

static void bench_declare(struct bench *bench, unsigned nth)
{
    char name[32];
    (void)snprintf(name, sizeof name, "idle-queue-%05u", nth);
    Holdfast__DeclareQueue declare = HOLDFAST__DECLARE_QUEUE__INIT;
    declare.queue = name;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_QUEUE;
    command.declare_queue = &declare;
    bench->number++;
    bench_apply(bench, bench_entry(bench, 1, &command, NULL, 0));
}

/* A message in, and out again. */
static void bench_use_queue(struct bench *bench, unsigned nth)
{
    char name[32];
    (void)snprintf(name, sizeof name, "idle-queue-%05u", nth);
    uint32_t len = 1;
    uint64_t hash = XXH3_64bits("x", 1);
    Holdfast__Publish publish = HOLDFAST__PUBLISH__INIT;
    publish.queue = name;
    publish.n_body_len = publish.n_body_hash = 1;
    publish.body_len = &len;
    publish.body_hash = &hash;
    Holdfast__PurgeQueue purge = HOLDFAST__PURGE_QUEUE__INIT;
    purge.queue = name;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_PUBLISH;
    command.publish = &publish;
    bench->number++;
    bench_apply(bench, bench_entry(bench, 1, &command, "x", 1));
    command.kind_case = HOLDFAST__COMMAND__KIND_PURGE_QUEUE;
    command.purge_queue = &purge;
    bench->number++;
    bench_apply(bench, bench_entry(bench, 1, &command, NULL, 0));
}

static void bench_attach(struct bench *bench, unsigned nth)
{
    uint8_t key[16] = {1, (uint8_t)nth, (uint8_t)(nth >> 8)};
    Holdfast__Origin origin = HOLDFAST__ORIGIN__INIT;
    origin.node = origin.run = 1;
    origin.tag = 2 + nth;
    Holdfast__AttachSession attach = HOLDFAST__ATTACH_SESSION__INIT;
    attach.key = (ProtobufCBinaryData){.len = sizeof key, .data = key};
    attach.origin = &origin;
    attach.client = (char[]){"orders-service"};
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_ATTACH_SESSION;
    command.attach_session = &attach;
    bench_apply(bench, bench_entry(bench, 0, &command, NULL, 0));
}

/* A subscription is a session's first command: it has a remembered reply, too. */
static void bench_subscribe(struct bench *bench, unsigned nth)
{
    char name[32];
    (void)snprintf(name, sizeof name, "idle-queue-%05u", nth);
    Holdfast__Subscribe subscribe = HOLDFAST__SUBSCRIBE__INIT;
    subscribe.queue = name;
    subscribe.consumer = 1;
    subscribe.credit = 100;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_SUBSCRIBE;
    command.subscribe = &subscribe;
    uint64_t number = bench->number;
    bench->number = 1;
    bench_apply(bench, bench_entry(bench, 2 + nth, &command, NULL, 0));
    bench->number = number;
}

/* What so many of a thing cost each. */
static void bench_idle(struct bench *bench, const char *what, void (*make)(struct bench *bench, unsigned nth))
{
    size_t before = mallinfo2().uordblks;
    for (unsigned i = 0; i < IDLE_THINGS; i++) {
        make(bench, i);
    }
    size_t after = mallinfo2().uordblks;
    printf("%5.0f B  %s\n", ((double)after - (double)before) / IDLE_THINGS, what);
}

/* What the digest of all that costs: replicas compare it, the less often the more there is. */
static void bench_digest(struct bench *bench)
{
    uint64_t digest;
    clock_t from = clock();
    int err = machine_memory_digest(bench->machine, &digest);
    double spent = (double)(clock() - from) / CLOCKS_PER_SEC;
    CHECK(err == 0);
    printf("%5.0f ns for each of the %u queues, sessions and subscriptions in a digest of memory\n",
           1e9 * spent / (3 * IDLE_THINGS), 3 * IDLE_THINGS);
}

static void bench_memory(void)
{
    struct bench bench;
    struct store_memory_disk *disk = bench_open(&bench);
    bench_idle(&bench, "a queue that is empty", bench_declare);
    bench_idle(&bench, "more when it has been used since the last checkpoint", bench_use_queue);
    bench_idle(&bench, "a session that is idle", bench_attach);
    bench_idle(&bench, "more with a subscription, and the reply to it", bench_subscribe);
    bench_digest(&bench);
    size_t before = mallinfo2().uordblks;
    (void)bench_checkpoint(&bench);
    store_memory_disk_wipe(disk);
    size_t after = mallinfo2().uordblks;
    printf("%5.0f B  less of all that after a checkpoint\n", ((double)before - (double)after) / IDLE_THINGS);
    machine_close(bench.machine);
    store_memory_disk_free(disk);
}

int main(void)
{
    bench_cycles();
    bench_memory();
    bench_table();
    return 0;
}
