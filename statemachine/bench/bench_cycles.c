/* How many messages a second go through the machine, by what their queue is like. */

#include <stdio.h>

#include "bench.h"

#define ROUNDS 8000u
#define CHECKPOINT_EVERY 1000u
#define GROUPS 1000u
#define LANES 10u

/* One way of using a queue "q": what is done `rounds` times with BATCH messages. */
struct way {
    const char *what;
    void (*options)(Holdfast__QueueOptions *options);
    Holdfast__MessageHead **heads;
    size_t heads_len;
    void (*round)(struct bench *bench, const struct way *way, uint64_t round);
    uint32_t credit; /* 0: no consumer. */
    unsigned slower; /* So many times fewer rounds. */
    uint32_t version;
};

static Holdfast__MessageHead head_items[GROUPS];
static Holdfast__MessageHead *plain_heads[1];
static Holdfast__MessageHead *lane_heads[LANES];
static Holdfast__MessageHead *group_heads[GROUPS];
static Holdfast__MessageHead *id_heads[BATCH];
static char texts[GROUPS][16];
static char dead[] = "dead";
static char id_texts[BATCH][32];
static Holdfast__MessageHead id_items[BATCH];
static Holdfast__MessageHead plain_item;
static Holdfast__MessageHead lane_items[LANES];

static void heads_init(void)
{
    holdfast__message_head__init(&plain_item);
    plain_item.content_type = (char[]){"text/plain"};
    plain_heads[0] = &plain_item;
    for (unsigned i = 0; i < LANES; i++) {
        holdfast__message_head__init(&lane_items[i]);
        lane_items[i].priority = i;
        lane_heads[i] = &lane_items[i];
    }
    for (unsigned i = 0; i < GROUPS; i++) {
        (void)snprintf(texts[i], sizeof texts[i], "group-%u", i);
        holdfast__message_head__init(&head_items[i]);
        head_items[i].group = texts[i];
        group_heads[i] = &head_items[i];
    }
    for (unsigned i = 0; i < BATCH; i++) {
        holdfast__message_head__init(&id_items[i]);
        id_items[i].message_id = id_texts[i];
        id_heads[i] = &id_items[i];
    }
}

static void through(struct bench *bench, const struct way *way, uint64_t round)
{
    (void)round;
    bench_publish(bench, "q", BATCH, way->heads, way->heads_len);
    bench_settle(bench, 1, HOLDFAST__SETTLE__OUTCOME__ACCEPT);
}

static void through_with_ids(struct bench *bench, const struct way *way, uint64_t round)
{
    for (unsigned i = 0; i < BATCH; i++) {
        (void)snprintf(id_texts[i], sizeof id_texts[i], "%llu-%u", (unsigned long long)round, i);
    }
    bench->time_ms += 10;
    through(bench, way, round);
}

static void in_time(struct bench *bench, const struct way *way, uint64_t round)
{
    bench->time_ms += 10;
    through(bench, way, round);
}

/* What comes in pushes something out, or will be over in a while. */
static void in_only(struct bench *bench, const struct way *way, uint64_t round)
{
    (void)round;
    bench->time_ms += 10;
    bench_publish(bench, "q", BATCH, way->heads, way->heads_len);
}

static void rejected(struct bench *bench, const struct way *way, uint64_t round)
{
    bench_publish(bench, "q", BATCH, way->heads, way->heads_len);
    bench_settle(bench, 1, HOLDFAST__SETTLE__OUTCOME__REJECT);
    if (round % 64 == 63) {
        bench_purge(bench, "dead");
    }
}

static void with_priorities(Holdfast__QueueOptions *options)
{
    options->max_priority = LANES - 1;
}

static void with_groups(Holdfast__QueueOptions *options)
{
    options->groups = true;
}

static void with_length(Holdfast__QueueOptions *options)
{
    options->has_max_length = true;
    options->max_length = 10000;
}

static void with_bytes(Holdfast__QueueOptions *options)
{
    options->has_max_bytes = true;
    options->max_bytes = 1000000;
}

static void with_ttl(Holdfast__QueueOptions *options)
{
    options->has_ttl = true;
    options->ttl_ms = 1000;
}

static void with_lock(Holdfast__QueueOptions *options)
{
    options->lock_ms = 30000;
}

static void with_dead_letters(Holdfast__QueueOptions *options)
{
    options->has_dead_letter = options->has_dead_letter_key = true;
    options->dead_letter_key = dead;
}

static void with_ttl_and_dead_letters(Holdfast__QueueOptions *options)
{
    with_ttl(options);
    with_dead_letters(options);
}

static void with_ids(Holdfast__QueueOptions *options)
{
    options->id_window_ms = 1000;
}

static void with_keeping(Holdfast__QueueOptions *options)
{
    options->keep_settled_ms = 1000;
}

static void with_life(Holdfast__QueueOptions *options)
{
    options->keep_life_ms = 1000;
}

/* Messages a second. */
static double measure(const struct way *way)
{
    struct bench bench;
    bench_open(&bench, way->version, false);
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    if (way->options != NULL) {
        way->options(&options);
        bench_declare(&bench, "dead", NULL);
    }
    bench_declare(&bench, "q", way->options != NULL ? &options : NULL);
    if (way->credit > 0) {
        bench_subscribe(&bench, "q", 1, way->credit);
    }
    uint64_t rounds = ROUNDS / way->slower;
    double from = bench.spent;
    for (uint64_t round = 0; round < rounds; round++) {
        way->round(&bench, way, round);
        if (round % CHECKPOINT_EVERY == CHECKPOINT_EVERY - 1) {
            bench_checkpoint(&bench);
        }
    }
    double spent = bench.spent - from;
    bench_close(&bench);
    return (double)rounds * BATCH / spent;
}

void bench_cycles(void)
{
    heads_init();
    const struct way ways[] = {
        {"version 1", NULL, NULL, 0, through, BATCH, 1, 1},
        {"version 2", NULL, NULL, 0, through, BATCH, 1, 2},
        {"with heads", NULL, plain_heads, 1, through, BATCH, 1, 2},
        {"10 priorities", with_priorities, lane_heads, LANES, through, BATCH, 1, 2},
        {"1000 groups", with_groups, group_heads, GROUPS, through, BATCH, 8, 2},
        {"max_length, not reached", with_length, NULL, 0, through, BATCH, 1, 2},
        {"max_length, one out for each in", with_length, NULL, 0, in_only, 0, 4, 2},
        {"max_bytes, one out for each in", with_bytes, NULL, 0, in_only, 0, 4, 2},
        {"TTL, delivered at once", with_ttl, NULL, 0, in_time, BATCH, 8, 2},
        {"TTL, all expire", with_ttl, NULL, 0, in_only, 0, 8, 2},
        {"TTL, all expire and are dead letters", with_ttl_and_dead_letters, NULL, 0, in_only, 0, 16, 2},
        {"all rejected, dead letters", with_dead_letters, NULL, 0, rejected, BATCH, 8, 2},
        {"locks", with_lock, NULL, 0, in_time, BATCH, 8, 2},
        {"ids looked at", with_ids, id_heads, BATCH, through_with_ids, BATCH, 16, 2},
        {"settled ones kept", with_keeping, NULL, 0, in_time, BATCH, 16, 2},
        {"lives kept", with_life, NULL, 0, in_time, BATCH, 16, 2},
    };
    double plain = 0;
    printf("publish + deliver + accept of %u B in batches of %u, in memory; messages a second, and against version 1\n",
           BODY_LEN, BATCH);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        double rate = measure(&ways[i]);
        plain = i == 0 ? rate : plain;
        printf("%10.0f  %6.3f  %s\n", rate, rate / plain, ways[i].what);
        (void)fflush(stdout);
        if (i < 2) {
            bench_goal(i == 0 ? "cycles in memory, version 1" : "cycles in memory, version 2", "/s", rate, 700000,
                       false);
        }
    }
}
