/* What things cost in memory, each, and how long it takes to open a machine that has a lot of them. */

#include <malloc.h>
#include <stdio.h>

#include "bench_worst.h"
#include "statemachine/store/store_rocksdb.h"

#define CHECKPOINT_EVERY 50000u
#define IN_A_SESSION 1000u
#define HEADS 1000u

static double used(void)
{
    return (double)mallinfo2().uordblks;
}

/* Closed, and opened again. */
static double reopen(struct bench *bench)
{
    struct store_rocksdb_options options = {.path = bench->path};
    struct store *store;
    struct slice consensus;
    uint64_t applied;
    char detail[256];
    machine_close(bench->machine);
    double from = bench_thread_seconds();
    CHECK(store_rocksdb_open(&options, &store, detail, sizeof detail) == 0);
    CHECK(machine_open(store, &bench->machine, &applied, &consensus, detail, sizeof detail) == 0);
    slice_unref(&consensus);
    return bench_thread_seconds() - from;
}

static void declare_nth(struct bench *bench, unsigned nth)
{
    bench_declare(bench, worst_name("idle-queue-", nth), NULL);
}

static void exchange_nth(struct bench *bench, unsigned nth)
{
    worst_exchange(bench, worst_name("exchange-", nth), HOLDFAST__DECLARE_EXCHANGE__TYPE__TOPIC);
}

static void bind_nth(struct bench *bench, unsigned nth)
{
    worst_bind(bench, "amq.topic", "q", worst_name("region.*.", nth));
}

static void attach_nth(struct bench *bench, unsigned nth)
{
    worst_attach(bench, 1, nth, "/");
}

static void consumer_nth(struct bench *bench, unsigned nth)
{
    static uint64_t number;
    Holdfast__Subscribe subscribe = HOLDFAST__SUBSCRIBE__INIT;
    if (nth % IN_A_SESSION == 0) {
        worst_attach(bench, 1, nth / IN_A_SESSION, "/");
        number = 0;
    }
    subscribe.queue = (char[]){"q"};
    subscribe.consumer = 1 + nth % IN_A_SESSION;
    subscribe.credit = 100;
    worst_command_as(bench, 2 + nth / IN_A_SESSION, &number, HOLDFAST__COMMAND__KIND_SUBSCRIBE, &subscribe.base);
}

static void producer_nth(struct bench *bench, unsigned nth)
{
    Holdfast__OpenProducer open = HOLDFAST__OPEN_PRODUCER__INIT;
    open.producer = (char *)(uintptr_t)worst_name("producer-", nth);
    worst_command(bench, HOLDFAST__COMMAND__KIND_OPEN_PRODUCER, &open.base);
}

static void delayed_nth(struct bench *bench, unsigned nth)
{
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    Holdfast__MessageHead *heads[] = {&head};
    if (nth % HEADS == 0) {
        head.routing_key = (char[]){"q"};
        head.delay_ms = 3600000;
        bench_publish(bench, "", HEADS, heads, 1);
    }
}

static void locked_nth(struct bench *bench, unsigned nth)
{
    if (nth % HEADS == 0) {
        bench_publish(bench, "locked", HEADS, NULL, 0);
    }
    if (nth % CHECKPOINT_EVERY == 0) {
        bench_subscribe(bench, "locked", 10 + nth / CHECKPOINT_EVERY, CHECKPOINT_EVERY);
    }
}

static void many(const char *what, unsigned count, void (*make)(struct bench *bench, unsigned nth))
{
    struct bench bench;
    Holdfast__QueueOptions locked = HOLDFAST__QUEUE_OPTIONS__INIT;
    double fresh = 0;
    worst_open(&bench);
    locked.lock_ms = 3600000;
    bench_declare(&bench, "q", NULL);
    bench_declare(&bench, "locked", &locked);
    bench_checkpoint(&bench);
    double before = used();
    for (unsigned i = 0; i < count; i++) {
        make(&bench, i);
        if (i == CHECKPOINT_EVERY - 1) {
            fresh = (used() - before) / CHECKPOINT_EVERY;
        }
        if (i % CHECKPOINT_EVERY == CHECKPOINT_EVERY - 1) {
            bench_checkpoint(&bench);
        }
    }
    bench_checkpoint(&bench);
    double kept = (used() - before) / count;
    double seconds = reopen(&bench);
    printf("%-28s %8u: %5.0f B each before a checkpoint, %5.0f B after it; opened in %6.2f s, %7.1f MB resident\n",
           what, count, fresh, kept, seconds, (double)bench_resident() / 1e6);
    (void)fflush(stdout);
    bench_close(&bench);
    (void)malloc_trim(0);
}

void bench_opening(void)
{
    many("queues", 1000000, declare_nth);
    many("exchanges", 60000, exchange_nth);
    many("bindings", 1000000, bind_nth);
    many("sessions", 60000, attach_nth);
    many("consumers", 500000, consumer_nth);
    many("producers", 1000000, producer_nth);
    many("delayed messages", 1000000, delayed_nth);
    many("locked deliveries", 1000000, locked_nth);
}
