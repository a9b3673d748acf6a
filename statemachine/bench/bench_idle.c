/* What idle things cost in memory. */

#include <malloc.h>
#include <stdio.h>
#include <time.h>
#include <xxhash.h>

#include "bench.h"

#define IDLE_THINGS 10000u

static void declare_nth(struct bench *bench, unsigned nth)
{
    char name[32];
    (void)snprintf(name, sizeof name, "idle-queue-%05u", nth);
    Holdfast__DeclareQueue declare = HOLDFAST__DECLARE_QUEUE__INIT;
    declare.queue = name;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_QUEUE;
    command.declare_queue = &declare;
    (void)bench_command(bench, 1, &command, NULL, 0);
}

/* A message in, and out again. */
static void use_nth(struct bench *bench, unsigned nth)
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
    (void)bench_command(bench, 1, &command, "x", 1);
    command.kind_case = HOLDFAST__COMMAND__KIND_PURGE_QUEUE;
    command.purge_queue = &purge;
    (void)bench_command(bench, 1, &command, NULL, 0);
}

static void attach_nth(struct bench *bench, unsigned nth)
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
    (void)bench_command(bench, 0, &command, NULL, 0);
}

/* A subscription is a session's first command: it has a remembered reply, too. */
static void subscribe_nth(struct bench *bench, unsigned nth)
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
    bench->number = 0;
    (void)bench_command(bench, 2 + nth, &command, NULL, 0);
    bench->number = number;
}

/* What so many of a thing cost each. */
static void cost(struct bench *bench, const char *what, void (*make)(struct bench *bench, unsigned nth))
{
    size_t before = mallinfo2().uordblks;
    for (unsigned i = 0; i < IDLE_THINGS; i++) {
        make(bench, i);
    }
    size_t after = mallinfo2().uordblks;
    printf("%5.0f B  %s\n", ((double)after - (double)before) / IDLE_THINGS, what);
}

/* What the digest of all that costs: replicas compare it, the less often the more there is. */
static void digest(struct bench *bench)
{
    uint64_t digest;
    clock_t from = clock();
    int err = machine_memory_digest(bench->machine, &digest);
    double spent = (double)(clock() - from) / CLOCKS_PER_SEC;
    CHECK(err == 0);
    printf("%5.0f ns for each of the %u queues, sessions and subscriptions in a digest of memory\n",
           1e9 * spent / (3 * IDLE_THINGS), 3 * IDLE_THINGS);
}

void bench_idle(void)
{
    struct bench bench;
    bench_open(&bench, 2, false);
    cost(&bench, "a queue that is empty", declare_nth);
    cost(&bench, "more when it has been used since the last checkpoint", use_nth);
    cost(&bench, "a session that is idle", attach_nth);
    cost(&bench, "more with a subscription, and the reply to it", subscribe_nth);
    digest(&bench);
    size_t before = mallinfo2().uordblks;
    bench_checkpoint(&bench);
    store_memory_disk_wipe(bench.disk);
    size_t after = mallinfo2().uordblks;
    printf("%5.0f B  less of all that after a checkpoint\n", ((double)before - (double)after) / IDLE_THINGS);
    bench_close(&bench);
}
