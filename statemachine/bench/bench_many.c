/* Commands that name a lot: a long queue deleted or purged, an exchange with many bindings deleted. */

#include <stdio.h>

#include "bench.h"

#define MESSAGES 1000000u
#define PUBLISHED_AT_ONCE 4096u
#define BINDINGS 100000u

static void of_session(struct bench *bench, const Holdfast__Command *command, const char *what)
{
    bench_watch(bench);
    (void)bench_command(bench, 1, command, NULL, 0);
    double first = bench->apply_worst;
    unsigned more = 0;
    bench_watch(bench);
    for (; machine_due_ms(bench->machine) == 0; more++) {
        bench_tick(bench, bench->time_ms);
    }
    printf("%-70s %6.1f ms, and %u entries more of at most %.1f ms", what, first * 1e3, more, bench->apply_worst * 1e3);
    bench_watch(bench);
    bench_checkpoint(bench);
    printf("; then a checkpoint takes %.1f ms on the loop\n", bench->loop_worst * 1e3);
    (void)fflush(stdout);
}

/* In memory, or mostly in the store. */
static void fill(struct bench *bench, const char *queue, bool stored, Holdfast__MessageHead *const *heads,
                 size_t heads_len)
{
    for (unsigned i = 0; i < MESSAGES / PUBLISHED_AT_ONCE; i++) {
        bench_publish(bench, queue, PUBLISHED_AT_ONCE, heads, heads_len);
    }
    if (stored) {
        bench_checkpoint(bench);
    }
}

static void delete_queue(struct bench *bench, const char *what)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__DeleteQueue delete = HOLDFAST__DELETE_QUEUE__INIT;
    delete.queue = (char[]){"long"};
    command.kind_case = HOLDFAST__COMMAND__KIND_DELETE_QUEUE;
    command.delete_queue = &delete;
    of_session(bench, &command, what);
}

static void purge_queue(struct bench *bench, const char *what)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__PurgeQueue purge = HOLDFAST__PURGE_QUEUE__INIT;
    purge.queue = (char[]){"long"};
    command.kind_case = HOLDFAST__COMMAND__KIND_PURGE_QUEUE;
    command.purge_queue = &purge;
    of_session(bench, &command, what);
}

static void long_queues(struct bench *bench, bool stored, Holdfast__QueueOptions *options,
                        Holdfast__MessageHead *const *heads, size_t heads_len, const char *like)
{
    char what[100];
    const char *where = stored ? "stored" : "in memory";
    bench_declare(bench, "long", options);
    fill(bench, "long", stored, heads, heads_len);
    (void)snprintf(what, sizeof what, "purged: %u messages, %s%s", MESSAGES, where, like);
    purge_queue(bench, what);
    fill(bench, "long", stored, heads, heads_len);
    (void)snprintf(what, sizeof what, "deleted: %u messages, %s%s", MESSAGES, where, like);
    delete_queue(bench, what);
}

static void bind_all(struct bench *bench, const char *exchange, Holdfast__DeclareExchange__Type type)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__DeclareExchange declare = HOLDFAST__DECLARE_EXCHANGE__INIT;
    declare.exchange = (char *)(uintptr_t)exchange;
    declare.type = type;
    command.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_EXCHANGE;
    command.declare_exchange = &declare;
    (void)bench_command(bench, 1, &command, NULL, 0);
    for (unsigned i = 0; i < BINDINGS; i++) {
        char key[32];
        Holdfast__Bind bind = HOLDFAST__BIND__INIT;
        (void)snprintf(key, sizeof key, "region.%u.*", i);
        bind.source = (char *)(uintptr_t)exchange;
        bind.queue = (char[]){"end"};
        bind.key = key;
        command.kind_case = HOLDFAST__COMMAND__KIND_BIND;
        command.bind = &bind;
        (void)bench_command(bench, 1, &command, NULL, 0);
    }
    bench_checkpoint(bench);
}

static void many_bindings(struct bench *bench, Holdfast__DeclareExchange__Type type, const char *what)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__DeleteExchange delete = HOLDFAST__DELETE_EXCHANGE__INIT;
    bind_all(bench, "wide", type);
    delete.exchange = (char[]){"wide"};
    command.kind_case = HOLDFAST__COMMAND__KIND_DELETE_EXCHANGE;
    command.delete_exchange = &delete;
    of_session(bench, &command, what);
}

void bench_many(void)
{
    struct bench bench;
    bench_open(&bench, 2, true);
    bench_declare(&bench, "end", NULL);
    long_queues(&bench, false, NULL, NULL, 0, "");
    long_queues(&bench, true, NULL, NULL, 0, "");

    Holdfast__QueueOptions timed = HOLDFAST__QUEUE_OPTIONS__INIT;
    timed.has_ttl = true;
    timed.ttl_ms = 3600000;
    long_queues(&bench, true, &timed, NULL, 0, ", with TTLs");

    static Holdfast__MessageHead items[10];
    static Holdfast__MessageHead *heads[10];
    for (unsigned i = 0; i < 10; i++) {
        holdfast__message_head__init(&items[i]);
        items[i].priority = i;
        heads[i] = &items[i];
    }
    Holdfast__QueueOptions lanes = HOLDFAST__QUEUE_OPTIONS__INIT;
    lanes.max_priority = 9;
    long_queues(&bench, true, &lanes, heads, 10, ", in 10 lanes");

    many_bindings(&bench, HOLDFAST__DECLARE_EXCHANGE__TYPE__DIRECT, "deleted: a direct exchange with 100000 bindings");
    many_bindings(&bench, HOLDFAST__DECLARE_EXCHANGE__TYPE__TOPIC, "deleted: a topic exchange with 100000 bindings");
    bench_close(&bench);
}
