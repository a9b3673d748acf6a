/* Queues that are longer than what is in memory: RocksDB on a disk. */

#include <malloc.h>
#include <stdio.h>

#include "bench.h"

#define BACKLOG 10000000u
#define PUBLISHED_AT_ONCE 4096u
#define CHECKPOINT_EVERY 64u /* Publishes of so many. */
#define SHORT 1000u
#define SHORT_ROUNDS 100u
#define HEAD_ROUNDS 100u
#define DISK_BATCHES 64u
#define DISK_ROUNDS 20u

/* Reads what the last entry delivered, as a gateway does. */
static void read_delivered(struct bench *bench)
{
    struct effects effects = bench->effects;
    for (size_t i = 0; i < effects.len; i++) {
        if (effects.items[i].kind == EFFECT_DELIVER) {
            struct slice body;
            const struct effect_delivery *delivery = &effects.items[i].delivery;
            CHECK(machine_body(bench->machine, delivery->queue, delivery->position, &body) == 0);
            CHECK(body.len == BODY_LEN);
            slice_unref(&body);
        }
    }
}

/* Takes `count` messages from the head, in batches, reads and accepts them. The rounds have to come out even. */
static void take(struct bench *bench, unsigned count, bool read)
{
    uint64_t until = bench->delivered[1] + count;
    bench_credit(bench, 1, BATCH);
    while (bench->settled[1] < until && bench->delivered[1] > bench->settled[1]) {
        if (read) {
            read_delivered(bench);
        }
        if (bench->delivered[1] + BATCH > until) {
            bench_credit(bench, 1, 0); /* What is out stays out. */
        }
        bench_settle(bench, 1, HOLDFAST__SETTLE__OUTCOME__ACCEPT);
    }
}

/* Thread's seconds for a message at the head of a queue that is `SHORT` long, all from the store. */
static double short_queue(struct bench *bench, bool read)
{
    double spent = 0;
    uint64_t taken = bench->settled[1];
    for (unsigned round = 0; round < SHORT_ROUNDS; round++) {
        bench_publish(bench, "q", SHORT, NULL, 0);
        bench_checkpoint(bench);
        double from = bench_thread_seconds();
        take(bench, SHORT, read);
        spent += bench_thread_seconds() - from;
        bench_credit(bench, 1, BATCH);
        while (bench->delivered[1] > bench->settled[1]) {
            bench_settle(bench, 1, HOLDFAST__SETTLE__OUTCOME__ACCEPT);
        }
        bench_credit(bench, 1, 0);
    }
    return spent / (double)(bench->settled[1] - taken);
}

static void fill(struct bench *bench, unsigned count)
{
    for (unsigned i = 0; i < count / PUBLISHED_AT_ONCE; i++) {
        bench_publish(bench, "q", PUBLISHED_AT_ONCE, NULL, 0);
        if (i % CHECKPOINT_EVERY == CHECKPOINT_EVERY - 1) {
            bench_checkpoint(bench);
        }
    }
    bench_checkpoint(bench);
}

static double long_queue(struct bench *bench, bool read)
{
    double spent = 0;
    uint64_t taken = bench->settled[1];
    for (unsigned round = 0; round < HEAD_ROUNDS; round++) {
        double from = bench_thread_seconds();
        take(bench, SHORT, read);
        spent += bench_thread_seconds() - from;
        bench_settle(bench, 1, HOLDFAST__SETTLE__OUTCOME__ACCEPT);
        bench_checkpoint(bench);
    }
    return spent / (double)(bench->settled[1] - taken);
}

static void drain(struct bench *bench)
{
    bench_credit(bench, 1, 4096);
    for (unsigned i = 1; bench->delivered[1] > bench->settled[1]; i++) {
        bench_settle(bench, 1, HOLDFAST__SETTLE__OUTCOME__ACCEPT);
        if (i % CHECKPOINT_EVERY == 0) {
            bench_checkpoint(bench);
        }
    }
    bench_checkpoint(bench);
    bench_credit(bench, 1, 0);
}

static void say_head(const char *what, double fresh, double now)
{
    printf("  %-40s %9.0f/s from a queue of %u, %9.0f/s here: %.2f times the time\n", what, 1 / fresh, SHORT, 1 / now,
           now / fresh);
}

/* RocksDB's cache (16 MiB) and tables that are being written (256 MiB each) are part of what is resident. */
static void say_memory(const struct bench *bench, size_t resident, size_t heap)
{
    double grown = (double)bench_resident() - (double)resident;
    (void)malloc_trim(0);
    printf("%u messages of %u B wait: %.1f MB more resident (%.1f MB after a trim, %.1f MB of the heap in use), "
           "RocksDB's caches and "
           "tables included; longest apply %.1f ms, part of a checkpoint on the loop %.1f ms\n",
           BACKLOG, BODY_LEN, grown / 1e6, ((double)bench_resident() - (double)resident) / 1e6,
           ((double)mallinfo2().uordblks - (double)heap) / 1e6, bench->apply_worst * 1e3, bench->loop_worst * 1e3);
}

void bench_backlog(void)
{
    struct bench bench;
    bench_open(&bench, 2, true);
    bench_declare(&bench, "q", NULL);
    bench_subscribe(&bench, "q", 1, 1);
    bench_credit(&bench, 1, 0);
    double fresh = short_queue(&bench, false);
    double fresh_read = short_queue(&bench, true);
    (void)malloc_trim(0);
    size_t resident = bench_resident();
    size_t heap = mallinfo2().uordblks;
    bench_watch(&bench);
    fill(&bench, BACKLOG);
    say_memory(&bench, resident, heap);
    say_head("delivered and accepted at the head", fresh, long_queue(&bench, false));
    say_head("and read, as by a gateway", fresh_read, long_queue(&bench, true));
    bench_watch(&bench);
    drain(&bench);
    printf("after %u have gone through (longest apply %.1f ms):\n", BACKLOG, bench.apply_worst * 1e3);
    say_head("delivered and accepted at the head", fresh, short_queue(&bench, false));
    say_head("and read, as by a gateway", fresh_read, short_queue(&bench, true));
    bench_close(&bench);
}

/* Every message is written to the store, and read from it. */
void bench_rocksdb(void)
{
    struct bench bench;
    bench_open(&bench, 2, true);
    bench_declare(&bench, "q", NULL);
    bench_subscribe(&bench, "q", 1, 1);
    bench_credit(&bench, 1, 0);
    double process = bench_process_seconds();
    double from = bench_thread_seconds();
    for (unsigned round = 0; round < DISK_ROUNDS; round++) {
        for (unsigned i = 0; i < DISK_BATCHES; i++) {
            bench_publish(&bench, "q", BATCH, NULL, 0);
        }
        bench_checkpoint(&bench);
        bench_credit(&bench, 1, BATCH);
        while (bench.delivered[1] > bench.settled[1]) {
            read_delivered(&bench);
            bench_settle(&bench, 1, HOLDFAST__SETTLE__OUTCOME__ACCEPT);
        }
        bench_credit(&bench, 1, 0);
    }
    double cycles = (double)DISK_ROUNDS * DISK_BATCHES * BATCH;
    printf("through RocksDB: %.0f cycles/s of this thread, %.0f of all threads (publish, checkpoint, deliver, read, "
           "accept)\n",
           cycles / (bench_thread_seconds() - from), cycles / (bench_process_seconds() - process));
    bench_close(&bench);
}
