/* How many publish + deliver + accept cycles a second one core's machine applies. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

#include "proto/base/check.h"
#include "proto/wire/command.pb-c.h"
#include "proto/wire/entry.h"
#include "sim/store_memory.h"
#include "statemachine/machine.h"

#define BATCH 256u
#define BODY_LEN 100u
#define ROUNDS 20000u
#define CHECKPOINT_EVERY 2000u

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
    uint8_t key[16] = "bench";
    Holdfast__AttachSession attach = HOLDFAST__ATTACH_SESSION__INIT;
    attach.key = (ProtobufCBinaryData){.len = sizeof key, .data = key};
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
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

int main(void)
{
    struct store_memory_disk *disk = store_memory_disk_new();
    struct store *store;
    uint64_t applied;
    struct slice consensus;
    char detail[256];
    struct bench bench = {0};
    CHECK(disk != NULL && store_memory_open(disk, &store) == 0);
    CHECK(machine_open(store, &bench.machine, &applied, &consensus, detail, sizeof detail) == 0);
    slice_unref(&consensus);
    bench_setup(&bench);
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
    return 0;
}
