/* The longest applies: what the cases share, and the table. */

#include "bench_worst.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLES_MAX 1000000u

static double samples[SAMPLES_MAX];
static size_t samples_len;
static unsigned above;
static double longest;

void worst_open(struct bench *bench)
{
    bench_open(bench, 2, true);
    bench_watch(bench);
}

void worst_begin(struct bench *bench)
{
    samples_len = 0;
    bench_watch(bench);
}

void worst_note(struct bench *bench)
{
    CHECK(samples_len < SAMPLES_MAX);
    samples[samples_len++] = bench->apply_worst;
    bench_watch(bench);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

void worst_end(struct bench *bench, const char *what, unsigned size)
{
    double sum = 0;
    while (machine_due_ms(bench->machine) == 0) {
        bench_tick(bench, bench->time_ms);
        worst_note(bench);
    }
    qsort(samples, samples_len, sizeof *samples, compare);
    for (size_t i = 0; i < samples_len; i++) {
        sum += samples[i];
    }
    double worst = 1e3 * samples[samples_len - 1];
    above += worst > WORST_LIMIT_MS;
    longest = worst > longest ? worst : longest;
    printf("%-66s %8u %8zu %10.2f %10.3f %10.1f%s\n", what, size, samples_len, worst, 1e3 * samples[samples_len / 2],
           1e3 * sum, worst > WORST_LIMIT_MS ? "  ABOVE" : "");
    (void)fflush(stdout);
}

void worst_command(struct bench *bench, Holdfast__Command__KindCase kind, ProtobufCMessage *message)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = kind;
    command.publish = (Holdfast__Publish *)(void *)message; /* One of a union. */
    (void)bench_command(bench, 1, &command, NULL, 0);
}

void worst_command_as(struct bench *bench, uint64_t session, uint64_t *number, Holdfast__Command__KindCase kind,
                      ProtobufCMessage *message)
{
    uint64_t own = bench->number;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = kind;
    command.publish = (Holdfast__Publish *)(void *)message;
    bench->number = *number;
    (void)bench_command(bench, session, &command, NULL, 0);
    *number = bench->number;
    bench->number = own;
}

void worst_attach(struct bench *bench, uint64_t node, unsigned nth, const char *virtual_host)
{
    uint8_t key[16] = {1, (uint8_t)nth, (uint8_t)(nth >> 8), (uint8_t)(nth >> 16)};
    Holdfast__Origin origin = HOLDFAST__ORIGIN__INIT;
    origin.node = node;
    origin.run = 1;
    origin.tag = 2 + nth;
    Holdfast__AttachSession attach = HOLDFAST__ATTACH_SESSION__INIT;
    attach.key = (ProtobufCBinaryData){.len = sizeof key, .data = key};
    attach.origin = &origin;
    attach.virtual_host = (char *)(uintptr_t)virtual_host;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_ATTACH_SESSION;
    command.attach_session = &attach;
    (void)bench_command(bench, 0, &command, NULL, 0);
}

void worst_node(struct bench *bench, uint64_t node)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__NodePresent present = HOLDFAST__NODE_PRESENT__INIT;
    present.node = node;
    present.run = 1;
    command.kind_case = HOLDFAST__COMMAND__KIND_NODE_PRESENT;
    command.node_present = &present;
    (void)bench_command(bench, 0, &command, NULL, 0);
}

const char *worst_name(const char *prefix, unsigned nth)
{
    static char names[4][64];
    static unsigned at;
    char *name = names[at++ % 4];
    (void)snprintf(name, sizeof names[0], "%s%u", prefix, nth);
    return name;
}

void worst_declare(struct bench *bench, const char *prefix, unsigned count, Holdfast__QueueOptions *options)
{
    for (unsigned i = 0; i < count; i++) {
        bench_declare(bench, worst_name(prefix, i), options);
    }
}

void worst_exchange(struct bench *bench, const char *name, Holdfast__DeclareExchange__Type type)
{
    Holdfast__DeclareExchange declare = HOLDFAST__DECLARE_EXCHANGE__INIT;
    declare.exchange = (char *)(uintptr_t)name;
    declare.type = type;
    worst_command(bench, HOLDFAST__COMMAND__KIND_DECLARE_EXCHANGE, &declare.base);
}

void worst_bind(struct bench *bench, const char *exchange, const char *queue, const char *key)
{
    Holdfast__Bind bind = HOLDFAST__BIND__INIT;
    bind.source = (char *)(uintptr_t)exchange;
    bind.queue = (char *)(uintptr_t)queue;
    bind.key = (char *)(uintptr_t)key;
    worst_command(bench, HOLDFAST__COMMAND__KIND_BIND, &bind.base);
}

void worst_publish(struct bench *bench, const char *queue, unsigned count, Holdfast__MessageHead *const *heads,
                   size_t heads_len)
{
    while (count > 0) {
        unsigned part = count < PUBLISH_MESSAGES_MAX ? count : PUBLISH_MESSAGES_MAX;
        bench_publish(bench, queue, part, heads, heads_len);
        count -= part;
    }
}

void worst_settle(struct bench *bench, uint64_t consumer, uint64_t first, uint64_t last,
                  Holdfast__Settle__Outcome outcome)
{
    Holdfast__Settle settle = HOLDFAST__SETTLE__INIT;
    settle.consumer = consumer;
    settle.outcome = outcome;
    settle.n_first = settle.n_last = 1;
    settle.first = &first;
    settle.last = &last;
    worst_command(bench, HOLDFAST__COMMAND__KIND_SETTLE, &settle.base);
}

void bench_worst(void)
{
    printf("%-66s %8s %8s %10s %10s %10s\n", "", "size", "entries", "worst ms", "median ms", "all ms");
    worst_of_bindings();
    worst_of_sessions();
    worst_of_hosts();
    worst_of_timers();
    worst_of_messages();
    worst_of_checkpoints();
    printf("%u above %.0f ms\n", above, WORST_LIMIT_MS);
    bench_goal("longest apply, of all that clients can bring about", "ms", longest, WORST_LIMIT_MS, true);
}
