/* What becomes due by itself: messages that were delayed, and such whose time is over. */

#include <stdio.h>

#include "bench.h"

#define MESSAGES 1000000u
#define QUEUES 100000u
#define HOUR_S 3600u
#define AT_ONCE 100000u
#define PUBLISHED_AT_ONCE 1000u
#define CHECKPOINT_EVERY_S 60u

static char names[PUBLISHED_AT_ONCE][16];
static Holdfast__MessageHead items[PUBLISHED_AT_ONCE];
static Holdfast__MessageHead *heads[PUBLISHED_AT_ONCE];

static void name_queue(char name[16], unsigned nth)
{
    (void)snprintf(name, 16, "q%u", nth % QUEUES);
}

/* Longest times, as a line. */
static void say(const struct bench *bench, const char *what, double spent)
{
    printf("%-70s longest apply %6.1f ms, part of a checkpoint on the loop %6.1f ms, %.1f s altogether\n", what,
           bench->apply_worst * 1e3, bench->loop_worst * 1e3, spent);
    (void)fflush(stdout);
}

/* Messages over all queues, due after `step` ms more than the one before each, modulo `span`. */
static void publish_all(struct bench *bench, unsigned count, uint64_t span, bool delayed)
{
    for (unsigned i = 0; i < count; i += PUBLISHED_AT_ONCE) {
        for (unsigned j = 0; j < PUBLISHED_AT_ONCE; j++) {
            uint64_t after = 1 + (uint64_t)(i + j) * 7919 % span;
            holdfast__message_head__init(&items[j]);
            name_queue(names[j], i + j);
            items[j].routing_key = names[j];
            items[j].delay_ms = delayed ? after : 0;
            items[j].has_ttl = !delayed;
            items[j].ttl_ms = delayed ? 0 : after;
            heads[j] = &items[j];
        }
        bench_publish(bench, "", PUBLISHED_AT_ONCE, heads, PUBLISHED_AT_ONCE);
        if (i % (100 * PUBLISHED_AT_ONCE) == 0) {
            bench_checkpoint(bench);
        }
    }
    bench_checkpoint(bench);
}

/* An entry a second for an hour, and what is due at once after it. */
static void an_hour(struct bench *bench)
{
    uint64_t start_ms = bench->time_ms;
    for (unsigned s = 1; s <= HOUR_S; s++) {
        bench_tick(bench, start_ms + s * UINT64_C(1000));
        while (machine_due_ms(bench->machine) == 0) {
            bench_tick(bench, bench->time_ms);
        }
        if (s % CHECKPOINT_EVERY_S == 0) {
            bench_checkpoint(bench);
        }
    }
}

static void declare_all(struct bench *bench)
{
    char name[16];
    size_t resident = bench_resident();
    bench_watch(bench);
    double from = bench_thread_seconds();
    for (unsigned i = 0; i < QUEUES; i++) {
        name_queue(name, i);
        bench_declare(bench, name, NULL);
        if (i % 10000 == 9999) {
            bench_checkpoint(bench);
        }
    }
    say(bench, "100000 queues declared", bench_thread_seconds() - from);
    printf("%.0f B in memory for each of them\n", ((double)bench_resident() - (double)resident) / QUEUES);
}

static void over_an_hour(struct bench *bench, bool delayed)
{
    double from = bench_thread_seconds();
    bench_watch(bench);
    publish_all(bench, MESSAGES, HOUR_S * 1000, delayed);
    say(bench, delayed ? "1000000 delayed messages taken" : "1000000 messages with a TTL taken",
        bench_thread_seconds() - from);
    from = bench_thread_seconds();
    bench_watch(bench);
    an_hour(bench);
    say(bench,
        delayed ? "they come due over an hour, one entry a second" : "they expire over an hour, one entry a second",
        bench_thread_seconds() - from);
}

static void in_one_moment(struct bench *bench, bool delayed)
{
    publish_all(bench, AT_ONCE, 1, delayed);
    bench_watch(bench);
    double from = bench_thread_seconds();
    unsigned entries = 0;
    bench->time_ms += 1;
    do {
        bench_tick(bench, bench->time_ms);
        entries++;
    } while (machine_due_ms(bench->machine) == 0);
    say(bench, delayed ? "100000 are due in the same millisecond" : "100000 expire in the same millisecond",
        bench_thread_seconds() - from);
    printf("that took %u entries\n", entries);
}

void bench_timers(void)
{
    struct bench bench;
    bench_open(&bench, 2, true);
    declare_all(&bench);
    over_an_hour(&bench, true);
    over_an_hour(&bench, false);
    in_one_moment(&bench, true);
    in_one_moment(&bench, false);
    bench_close(&bench);
}
