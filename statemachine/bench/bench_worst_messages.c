/* Longest applies: commands that name many messages, or that go far. */

#include <stdio.h>

#include "bench_worst.h"
#include "statemachine/command/settle_check.h"

#define CREDIT 65535u
#define QUEUES 100000u
#define LONG 1000000u

static Holdfast__QueueOptions dying(const char *key)
{
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.has_dead_letter = true;
    options.dead_letter_exchange = (char *)(uintptr_t) "";
    options.has_dead_letter_key = true;
    options.dead_letter_key = (char *)(uintptr_t)key;
    return options;
}

/* A consumer that holds all it may. */
static void hold(struct bench *bench, const char *queue, uint64_t consumer)
{
    worst_publish(bench, queue, CREDIT, NULL, 0);
    bench_checkpoint(bench);
    worst_begin(bench);
    bench_subscribe(bench, queue, consumer, CREDIT);
    worst_note(bench);
    while (machine_due_ms(bench->machine) == 0) {
        bench_tick(bench, bench->time_ms);
        worst_note(bench);
    }
}

/* All it holds, so many with each command. */
static void settle(struct bench *bench, uint64_t consumer, uint64_t at_once, Holdfast__Settle__Outcome outcome,
                   const char *what)
{
    worst_begin(bench);
    for (uint64_t first = 1; first <= CREDIT; first += at_once) {
        uint64_t last = first + at_once - 1 < CREDIT ? first + at_once - 1 : CREDIT;
        worst_settle(bench, consumer, first, last, outcome);
        worst_note(bench);
    }
    bench_credit(bench, consumer, 0);
    worst_end(bench, what, CREDIT);
}

static void of_settling(void)
{
    struct bench bench;
    worst_open(&bench);
    Holdfast__QueueOptions dead = dying("dead");
    Holdfast__QueueOptions locked = HOLDFAST__QUEUE_OPTIONS__INIT;
    Holdfast__QueueOptions groups = HOLDFAST__QUEUE_OPTIONS__INIT;
    Holdfast__QueueOptions kept = HOLDFAST__QUEUE_OPTIONS__INIT;
    locked.lock_ms = 3600000;
    locked.redelivery_delay_ms = 3600000;
    groups.groups = true;
    kept.keep_settled_ms = kept.keep_life_ms = 3600000;
    bench_declare(&bench, "dead", NULL);
    bench_declare(&bench, "plain", NULL);
    bench_declare(&bench, "dying", &dead);
    bench_declare(&bench, "locked", &locked);
    bench_declare(&bench, "groups", &groups);
    bench_declare(&bench, "kept", &kept);
    hold(&bench, "plain", 11);
    worst_end(&bench, "delivered to one consumer", CREDIT);
    settle(&bench, 11, CREDIT, HOLDFAST__SETTLE__OUTCOME__ACCEPT, "accepted with one command");
    hold(&bench, "plain", 12);
    settle(&bench, 12, SETTLE_BACK_MAX, HOLDFAST__SETTLE__OUTCOME__RELEASE, "released, as many at a time as may be");
    hold(&bench, "dying", 13);
    settle(&bench, 13, SETTLE_BACK_MAX, HOLDFAST__SETTLE__OUTCOME__REJECT,
           "rejected as many at a time as may be: dead letters");
    hold(&bench, "locked", 14);
    worst_end(&bench, "delivered, with locks", CREDIT);
    settle(&bench, 14, SETTLE_BACK_MAX, HOLDFAST__SETTLE__OUTCOME__RELEASE, "released, likewise, and wait");
    hold(&bench, "groups", 15);
    worst_end(&bench, "delivered, in order of groups", CREDIT);
    settle(&bench, 15, CREDIT, HOLDFAST__SETTLE__OUTCOME__ACCEPT, "accepted with one command, in order of groups");
    hold(&bench, "kept", 16);
    worst_end(&bench, "delivered, with their lives", CREDIT);
    settle(&bench, 16, SETTLE_BACK_MAX / 2, HOLDFAST__SETTLE__OUTCOME__ACCEPT,
           "accepted, as many at a time as may be, and kept");
    bench_close(&bench);
}

static void of_transactions(void)
{
    struct bench bench;
    static uint64_t firsts[SETTLE_RANGES_MAX];
    worst_open(&bench);
    bench_declare(&bench, "q", NULL);
    hold(&bench, "q", 11);
    for (uint64_t i = 0; i < SETTLE_RANGES_MAX; i++) {
        firsts[i] = 1 + 2 * i;
    }
    Holdfast__Settle part = HOLDFAST__SETTLE__INIT;
    part.consumer = 11;
    part.n_first = part.n_last = SETTLE_RANGES_MAX;
    part.first = part.last = firsts;
    Holdfast__Settle *parts[] = {&part};
    Holdfast__Transact transact = HOLDFAST__TRANSACT__INIT;
    transact.settle = parts;
    transact.n_settle = 1;
    worst_begin(&bench);
    worst_command(&bench, HOLDFAST__COMMAND__KIND_TRANSACT, &transact.base);
    worst_note(&bench);
    worst_end(&bench, "a transaction of ranges", SETTLE_RANGES_MAX);
    bench_close(&bench);
}

/* ---- Queues with a limit ---- */

static void of_limits(void)
{
    struct bench bench;
    worst_open(&bench);
    bench_declare(&bench, "dead", NULL);
    Holdfast__QueueOptions dead = dying("dead");
    bench_declare(&bench, "q", &dead);
    worst_publish(&bench, "q", LONG, NULL, 0);
    bench_checkpoint(&bench);
    uint32_t field = 13;
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.has_max_length = true;
    options.max_length = 10;
    options.overflow = HOLDFAST__QUEUE_OPTIONS__OVERFLOW__DROP_OLDEST;
    Holdfast__ChangeQueue change = HOLDFAST__CHANGE_QUEUE__INIT;
    change.queue = (char[]){"q"};
    change.options = &options;
    change.field = &field;
    change.n_field = 1;
    worst_begin(&bench);
    worst_command(&bench, HOLDFAST__COMMAND__KIND_CHANGE_QUEUE, &change.base);
    worst_note(&bench);
    bench_publish(&bench, "q", PUBLISH_MESSAGES_MAX, NULL, 0);
    worst_note(&bench);
    worst_end(&bench, "a long queue is given a short limit, and 4096 come in", LONG);
    bench_close(&bench);

    worst_open(&bench);
    for (unsigned i = 0; i < 2000; i++) {
        Holdfast__QueueOptions next = dying(worst_name("q", i + 1));
        next.has_max_length = true;
        next.max_length = 1;
        bench_declare(&bench, worst_name("q", i), &next);
        bench_publish(&bench, worst_name("q", i), 1, NULL, 0);
    }
    bench_checkpoint(&bench);
    worst_begin(&bench);
    bench_publish(&bench, "q0", 1, NULL, 0);
    worst_note(&bench);
    worst_end(&bench, "a chain of full queues, each with dead letters for the next", 2000);
    bench_close(&bench);
}

/* ---- To many queues ---- */

static void publish_wide(struct bench *bench, unsigned count, unsigned queues, const char *what)
{
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    Holdfast__MessageHead *heads[] = {&head};
    head.exchange = (char[]){"all"};
    worst_begin(bench);
    bench_publish(bench, "", count, heads, 1);
    worst_note(bench);
    worst_end(bench, what, count * queues);
}

static void of_fanout(void)
{
    struct bench bench;
    worst_open(&bench);
    worst_declare(&bench, "q", QUEUES, NULL);
    worst_exchange(&bench, "all", HOLDFAST__DECLARE_EXCHANGE__TYPE__FANOUT);
    for (unsigned i = 0; i < 1000; i++) {
        worst_bind(&bench, "all", worst_name("q", i), "");
    }
    publish_wide(&bench, 131, 1000, "131 messages to 1000 queues each");
    for (unsigned i = 1000; i < QUEUES; i++) {
        worst_bind(&bench, "all", worst_name("q", i), "");
    }
    bench_checkpoint(&bench);
    publish_wide(&bench, 1, QUEUES, "a message to 100000 queues");
    publish_wide(&bench, 1, QUEUES, "another one");
    bench_checkpoint(&bench);
    Holdfast__PurgeQueue purge = HOLDFAST__PURGE_QUEUE__INIT;
    purge.queue = (char[]){"q0"};
    worst_begin(&bench);
    worst_command(&bench, HOLDFAST__COMMAND__KIND_PURGE_QUEUE, &purge.base);
    worst_note(&bench);
    worst_end(&bench, "messages with shared bodies purged", 133);
    bench_close(&bench);
}

/* ---- Moved ---- */

static void of_moving(void)
{
    struct bench bench;
    worst_open(&bench);
    Holdfast__QueueOptions dead = dying("dead");
    Holdfast__QueueOptions kept = HOLDFAST__QUEUE_OPTIONS__INIT;
    kept.keep_settled_ms = 3600000;
    bench_declare(&bench, "dead", NULL);
    bench_declare(&bench, "q", &dead);
    bench_declare(&bench, "kept", &kept);
    hold(&bench, "q", 11);
    settle(&bench, 11, SETTLE_BACK_MAX, HOLDFAST__SETTLE__OUTCOME__REJECT, "rejected, to be redriven");
    hold(&bench, "kept", 12);
    settle(&bench, 12, SETTLE_BACK_MAX, HOLDFAST__SETTLE__OUTCOME__ACCEPT, "accepted, to be replayed");
    bench_checkpoint(&bench);
    Holdfast__Redrive redrive = HOLDFAST__REDRIVE__INIT;
    redrive.queue = (char[]){"dead"};
    worst_begin(&bench);
    worst_command(&bench, HOLDFAST__COMMAND__KIND_REDRIVE, &redrive.base);
    worst_note(&bench);
    worst_end(&bench, "redriven with one command", 1024);
    Holdfast__Replay replay = HOLDFAST__REPLAY__INIT;
    replay.queue = (char[]){"kept"};
    replay.first = 1;
    replay.last = UINT64_MAX;
    worst_begin(&bench);
    worst_command(&bench, HOLDFAST__COMMAND__KIND_REPLAY, &replay.base);
    worst_note(&bench);
    worst_end(&bench, "replayed with one command", 1024);
    bench_close(&bench);
}

/* Many ids, remembered since the last checkpoint. */
static void of_ids(void)
{
    struct bench bench;
    static char ids[PUBLISH_MESSAGES_MAX][16];
    static Holdfast__MessageHead items[PUBLISH_MESSAGES_MAX];
    static Holdfast__MessageHead *heads[PUBLISH_MESSAGES_MAX];
    worst_open(&bench);
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.id_window_ms = 3600000;
    bench_declare(&bench, "q", &options);
    for (unsigned i = 0; i < 100; i++) {
        for (unsigned j = 0; j < PUBLISH_MESSAGES_MAX; j++) {
            holdfast__message_head__init(&items[j]);
            (void)snprintf(ids[j], sizeof ids[j], "id%u", i * PUBLISH_MESSAGES_MAX + j);
            items[j].message_id = ids[j];
            heads[j] = &items[j];
        }
        bench_publish(&bench, "q", PUBLISH_MESSAGES_MAX, heads, PUBLISH_MESSAGES_MAX);
    }
    Holdfast__DeleteQueue delete = HOLDFAST__DELETE_QUEUE__INIT;
    delete.queue = (char[]){"q"};
    worst_begin(&bench);
    worst_command(&bench, HOLDFAST__COMMAND__KIND_DELETE_QUEUE, &delete.base);
    worst_note(&bench);
    worst_end(&bench, "a queue is deleted that remembers ids, no checkpoint since", 100 * PUBLISH_MESSAGES_MAX);
    worst_begin(&bench);
    bench_tick(&bench, bench.time_ms + 3600000);
    worst_note(&bench);
    worst_end(&bench, "their windows end", 100 * PUBLISH_MESSAGES_MAX);
    bench_close(&bench);
}

void worst_of_messages(void)
{
    of_settling();
    of_transactions();
    of_limits();
    of_fanout();
    of_moving();
    of_ids();
}

/* ---- Checkpoints ---- */

static void loop_part(struct bench *bench, const char *what, unsigned size)
{
    bench_watch(bench);
    bench_checkpoint(bench);
    printf("%-66s %8u %8s %10.2f%s\n", what, size, "", 1e3 * bench->loop_worst,
           1e3 * bench->loop_worst > WORST_LIMIT_MS ? "  ABOVE" : "");
    (void)fflush(stdout);
}

void worst_of_checkpoints(void)
{
    struct bench bench;
    worst_open(&bench);
    Holdfast__QueueOptions timed = HOLDFAST__QUEUE_OPTIONS__INIT;
    timed.has_ttl = true;
    timed.ttl_ms = 3600000;
    bench_declare(&bench, "q", NULL);
    bench_declare(&bench, "timed", &timed);
    worst_publish(&bench, "q", 200000, NULL, 0);
    loop_part(&bench, "a checkpoint's part on the loop: messages", 200000);
    worst_publish(&bench, "timed", 200000, NULL, 0);
    loop_part(&bench, "likewise: messages with timers", 200000);
    worst_declare(&bench, "q", 100000, NULL);
    loop_part(&bench, "likewise: queues", 100000);
    bench_close(&bench);
}
