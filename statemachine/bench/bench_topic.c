/* The cycle of a message that is routed: what a topic exchange with many bindings takes of it. */

#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

#define BINDINGS 10000u
#define ROUNDS 4000u
#define CHECKPOINT_EVERY 1000u
#define TRIES 3u

static Holdfast__MessageHead items[BINDINGS];
static Holdfast__MessageHead *heads[BINDINGS + BATCH]; /* The first ones follow the last ones again. */
static char keys[BINDINGS][64];
static char topic[] = "amq.topic";
static char queue[] = "q";

/* A third of the patterns with `*`, a third with `#`; every key fits one of them, and all lead to the same queue. */
static void bind_all(struct bench *bench)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_BIND;
    for (unsigned i = 0; i < BINDINGS; i++) {
        char pattern[64];
        Holdfast__Bind bind = HOLDFAST__BIND__INIT;
        (void)snprintf(pattern, sizeof pattern,
                       i % 3 == 0   ? "*.shop-%u.order"
                       : i % 3 == 1 ? "#.shop-%u.#"
                                    : "region-%u.shop-%u.order",
                       i % 3 == 2 ? i % 100 : i, i);
        bind.source = topic;
        bind.queue = queue;
        bind.key = pattern;
        command.bind = &bind;
        (void)bench_command(bench, 1, &command, NULL, 0);
    }
}

/* Heads in an order that no cache foresees; with `kinds` keys altogether. */
static void heads_init(char *exchange, bool to_queue, unsigned kinds)
{
    unsigned nth = 1;
    for (unsigned i = 0; i < BINDINGS; i++) {
        holdfast__message_head__init(&items[i]);
        (void)snprintf(keys[i], sizeof keys[i], "region-%u.shop-%u.order", i % 100, i);
        items[i].exchange = exchange;
        items[i].routing_key = to_queue ? queue : keys[i % kinds];
        heads[i] = &items[i];
    }
    for (unsigned i = BINDINGS - 1; i > 0; i--) {
        nth = (nth * 1103515245u + 12345u) & 0x7fffffffu;
        unsigned other = nth % (i + 1);
        Holdfast__MessageHead *head = heads[i];
        heads[i] = heads[other];
        heads[other] = head;
    }
    for (unsigned i = 0; i < BATCH; i++) {
        heads[BINDINGS + i] = heads[i];
    }
}

/* Keys that have not been seen before, and that fit a pattern with `*` or `#` in the place of their first word. */
static void renew_keys(Holdfast__MessageHead *const *first)
{
    static unsigned seen;
    for (unsigned i = 0; i < BATCH; i++) {
        size_t nth = (size_t)(first[i] - items);
        nth -= nth % 3 == 2;
        (void)snprintf(keys[first[i] - items], sizeof keys[0], "%08x.shop-%zu.order", seen++, nth);
    }
}

/* Seconds for a message. */
static double measure(struct bench *bench, const char *to, bool with_heads, bool new_keys)
{
    double from = bench->spent;
    for (unsigned round = 0; round < ROUNDS; round++) {
        Holdfast__MessageHead *const *first = heads + (size_t)round * BATCH % BINDINGS;
        if (new_keys) {
            renew_keys(first);
        }
        bench_publish(bench, to, BATCH, with_heads ? first : NULL, BATCH);
        bench_settle(bench, 1, HOLDFAST__SETTLE__OUTCOME__ACCEPT);
        if (round % CHECKPOINT_EVERY == CHECKPOINT_EVERY - 1) {
            bench_checkpoint(bench);
        }
    }
    return (bench->spent - from) / ROUNDS / BATCH;
}

static struct way {
    const char *what;
    char *exchange; /* NULL: to the queue, without heads. */
    bool to_queue;
    unsigned kinds;
    bool new_keys;
    double best;
} ways[] = {
    {"to the queue, without heads", NULL, true, 1, false, 1},
    {"to the queue, with heads that name exchange and key", topic, false, BINDINGS, false, 1},
    {"by the default exchange", (char[]){""}, true, 1, false, 1},
    {"by the topic exchange, the same key always", topic, false, 1, false, 1},
    {"by the topic exchange, 10000 keys in no order", topic, false, BINDINGS, false, 1},
    {"by the topic exchange, each key once (hostile)", topic, false, BINDINGS, true, 1},
};

void bench_topic(void)
{
    struct bench bench;
    bench_open(&bench, 2, false);
    bench_declare(&bench, queue, NULL);
    bench_subscribe(&bench, queue, 1, BATCH);
    bind_all(&bench);
    printf("publish + deliver + accept of %u B in batches of %u, in memory, with %u topic bindings (the best of %u)\n",
           BODY_LEN, BATCH, BINDINGS, TRIES);
    for (unsigned nth = 0; nth < TRIES * sizeof ways / sizeof ways[0]; nth++) {
        struct way *way = &ways[nth % (sizeof ways / sizeof ways[0])];
        if (way->exchange != NULL) {
            heads_init(way->exchange, way->to_queue, way->kinds);
        }
        bool by_name = way == &ways[0] || way == &ways[1];
        double spent = measure(&bench, by_name ? queue : "", way->exchange != NULL, way->new_keys);
        way->best = spent < way->best ? spent : way->best;
    }
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        printf("%10.0f/s  %6.2f times the time  %s\n", 1 / ways[i].best, ways[i].best / ways[0].best, ways[i].what);
    }
    bench_goal("a cycle over 10000 topic bindings, against the same to the queue", "times", ways[4].best / ways[1].best,
               3, true);
    bench_goal("the same with keys that come once (a third of 700000/s)", "/s", 1 / ways[5].best, 700000.0 / 3, false);
    bench_close(&bench);
}
