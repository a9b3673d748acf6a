/* Queues that are longer than what is in memory: RocksDB on a disk. */

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"
#include "statemachine/state.h"
#include "statemachine/store/store_rocksdb_private.h"

#define BACKLOG 10000000u /* BENCH_BACKLOG in the environment: another number. */
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

/* Seconds of this thread; the first batch, for which neither code nor data is in the processor's caches, does not count. */
static double take_timed(struct bench *bench, bool read, uint64_t *taken)
{
    take(bench, BATCH, read);
    uint64_t settled = bench->settled[1];
    double from = bench_thread_seconds();
    take(bench, SHORT - BATCH, read);
    double spent = bench_thread_seconds() - from;
    *taken += bench->settled[1] - settled;
    return spent;
}

static uint64_t rocksdb_number(const struct bench *bench, const char *property)
{
    uint64_t value = 0;
    CHECK(rocksdb_property_int(store_rocksdb_of(bench->machine->store)->db, property, &value) == 0);
    return value;
}

/* A checkpoint, and what RocksDB does by itself after it: its threads would share the core, or at least its caches. */
static void checkpoint_quietly(struct bench *bench)
{
    bench_checkpoint(bench);
    while (rocksdb_number(bench, "rocksdb.num-running-compactions") > 0 ||
           rocksdb_number(bench, "rocksdb.compaction-pending") > 0) {
        (void)usleep(1000);
    }
}

/* Thread's seconds for a message at the head of a queue that is `SHORT` long, all from the store (or all in memory). */
static double short_queue(struct bench *bench, bool stored, bool read)
{
    double spent = 0;
    uint64_t taken = 0;
    for (unsigned round = 0; round < SHORT_ROUNDS; round++) {
        bench_publish(bench, "q", SHORT, NULL, 0);
        if (stored) {
            checkpoint_quietly(bench);
        }
        spent += take_timed(bench, read, &taken);
        bench_credit(bench, 1, BATCH);
        while (bench->delivered[1] > bench->settled[1]) {
            bench_settle(bench, 1, HOLDFAST__SETTLE__OUTCOME__ACCEPT);
        }
        bench_credit(bench, 1, 0);
    }
    return spent / (double)taken;
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
    uint64_t taken = 0;
    for (unsigned round = 0; round < HEAD_ROUNDS; round++) {
        spent += take_timed(bench, read, &taken);
        bench_settle(bench, 1, HOLDFAST__SETTLE__OUTCOME__ACCEPT);
        checkpoint_quietly(bench);
    }
    return spent / (double)taken;
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

struct memory {
    double resident;
    double cached;  /* Blocks, in RocksDB's cache. */
    double written; /* Tables that are being written. */
    double files;   /* Filters and indexes of files. */
};

/* In MB. `trim`: after what is free has been given back, as a node does when it has a lot. */
static struct memory memory_now(const struct bench *bench, bool trim)
{
    if (trim) {
        (void)malloc_trim(0);
    }
    return (struct memory){.resident = (double)bench_resident() / 1e6,
                           .cached = (double)rocksdb_number(bench, "rocksdb.block-cache-usage") / 1e6,
                           .written = (double)rocksdb_number(bench, "rocksdb.cur-size-all-mem-tables") / 1e6,
                           .files = (double)rocksdb_number(bench, "rocksdb.estimate-table-readers-mem") / 1e6};
}

/* What is resident less what RocksDB was configured to keep, and less what that was at the beginning. */
static double memory_beyond(const struct memory *now, const struct memory *before)
{
    return now->resident - now->cached - now->written - (before->resident - before->cached - before->written);
}

static void say_memory(const struct bench *bench, const struct memory *before, unsigned backlog)
{
    struct memory untrimmed = memory_now(bench, false);
    struct memory now = memory_now(bench, true);
    printf(
        "%u messages of %u B wait: %.1f MB resident (%.1f MB before), of which cached blocks %.1f MB (%.1f MB), "
        "tables being written %.1f MB, filters and indexes of files %.1f MB; %.1f MB that are free were given back\n",
        backlog, BODY_LEN, now.resident, before->resident, now.cached, before->cached, now.written, now.files,
        untrimmed.resident - now.resident);
    printf("longest apply %.1f ms, part of a checkpoint on the loop %.1f ms\n", bench->apply_worst * 1e3,
           bench->loop_worst * 1e3);
    bench_goal("10 M messages: memory beyond RocksDB's caches", "MB", memory_beyond(&now, before), 64, true);
}

void bench_backlog(void)
{
    struct bench bench;
    const char *asked = getenv("BENCH_BACKLOG");
    unsigned backlog = asked != NULL ? (unsigned)strtoul(asked, NULL, 10) : BACKLOG;
    bench_open(&bench, 2, true);
    bench_declare(&bench, "q", NULL);
    bench_subscribe(&bench, "q", 1, 1);
    bench_credit(&bench, 1, 0);
    double memory = short_queue(&bench, false, false);
    double memory_read = short_queue(&bench, false, true);
    double fresh = short_queue(&bench, true, false);
    double fresh_read = short_queue(&bench, true, true);
    printf("a queue of %u, against the same in memory:\n", SHORT);
    say_head("delivered and accepted at the head", memory, fresh);
    say_head("and read, as by a gateway", memory_read, fresh_read);
    struct memory before = memory_now(&bench, true);
    bench_watch(&bench);
    fill(&bench, backlog);
    say_memory(&bench, &before, backlog);
    checkpoint_quietly(&bench);
    double head = long_queue(&bench, false);
    double head_read = long_queue(&bench, true);
    say_head("delivered and accepted at the head", fresh, head);
    say_head("and read, as by a gateway", fresh_read, head_read);
    bench_goal("head of 10 M against a queue of 1000", "times", head / fresh, 1.1, true);
    bench_goal("the same with bodies read from RocksDB", "times", head_read / fresh_read, 1.1, true);
    bench_goal("head of 10 M with bodies read", "/s", 1 / head_read, 150000, false);
    bench_watch(&bench);
    drain(&bench);
    printf("after %u have gone through (longest apply %.1f ms):\n", backlog, bench.apply_worst * 1e3);
    double after = short_queue(&bench, true, false);
    double after_read = short_queue(&bench, true, true);
    say_head("delivered and accepted at the head", fresh, after);
    say_head("and read, as by a gateway", fresh_read, after_read);
    bench_goal("head after 10 M have gone through, against a fresh queue", "times", after / fresh, 1.5, true);
    bench_goal("the same with bodies read", "times", after_read / fresh_read, 1.5, true);
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
    double thread = cycles / (bench_thread_seconds() - from);
    double all = cycles / (bench_process_seconds() - process);
    printf("through RocksDB: %.0f cycles/s of this thread, %.0f of all threads (publish, checkpoint, deliver, read, "
           "accept)\n",
           thread, all);
    bench_goal("cycles through RocksDB, all threads' time", "/s", all, 150000, false);
    bench_close(&bench);
}
