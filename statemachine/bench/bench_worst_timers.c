/* Longest applies: what happens by itself, a lot of it in one millisecond. */

#include <stdio.h>
#include <xxhash.h>

#include "bench_worst.h"

#define AT_ONCE 100000u
#define QUEUES 100000u
#define HEADS 1000u
#define CREDIT 50000u

static char names[HEADS][16];
static Holdfast__MessageHead items[HEADS];
static Holdfast__MessageHead *heads[HEADS];

/* Heads that go to one queue each, or (queues 1) all to the first. */
static void make_heads(unsigned from, unsigned queues, uint64_t ttl_ms, uint64_t delay_ms)
{
    for (unsigned i = 0; i < HEADS; i++) {
        holdfast__message_head__init(&items[i]);
        (void)snprintf(names[i], sizeof names[i], "q%u", (from + i) % queues);
        items[i].routing_key = names[i];
        items[i].has_ttl = ttl_ms != 0;
        items[i].ttl_ms = ttl_ms;
        items[i].delay_ms = delay_ms;
        heads[i] = &items[i];
    }
}

static void publish_over(struct bench *bench, unsigned count, unsigned queues, uint64_t ttl_ms, uint64_t delay_ms)
{
    for (unsigned i = 0; i < count; i += HEADS) {
        make_heads(i, queues, ttl_ms, delay_ms);
        bench_publish(bench, "", HEADS, heads, HEADS);
    }
    bench_checkpoint(bench);
}

static void moment(struct bench *bench, uint64_t after_ms, const char *what, unsigned size)
{
    worst_begin(bench);
    bench_tick(bench, bench->time_ms + after_ms);
    worst_note(bench);
    worst_end(bench, what, size);
}

static void of_messages(void)
{
    struct bench bench;
    worst_open(&bench);
    worst_declare(&bench, "q", QUEUES, NULL);
    bench_checkpoint(&bench);
    publish_over(&bench, AT_ONCE, 1, 10, 0);
    moment(&bench, 10, "messages of one queue expire in the same ms", AT_ONCE);
    publish_over(&bench, AT_ONCE, QUEUES, 10, 0);
    moment(&bench, 10, "messages of as many queues expire in the same ms", AT_ONCE);
    publish_over(&bench, AT_ONCE, 1, 0, 10);
    moment(&bench, 10, "delayed messages of one queue are due in the same ms", AT_ONCE);
    publish_over(&bench, AT_ONCE, QUEUES, 0, 10);
    moment(&bench, 10, "delayed messages of as many queues are due in the same ms", AT_ONCE);
    bench_close(&bench);
}

static void of_dead_letters(void)
{
    struct bench bench;
    worst_open(&bench);
    worst_exchange(&bench, "dead", HOLDFAST__DECLARE_EXCHANGE__TYPE__FANOUT);
    worst_declare(&bench, "dead", 1000, NULL);
    worst_bind(&bench, "dead", "dead0", "");
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.has_dead_letter = true;
    options.dead_letter_exchange = (char[]){"dead"};
    bench_declare(&bench, "q0", &options);
    publish_over(&bench, AT_ONCE, 1, 10, 0);
    moment(&bench, 10, "messages expire in the same ms, and are dead letters", AT_ONCE);
    for (unsigned i = 1; i < 1000; i++) {
        worst_bind(&bench, "dead", worst_name("dead", i), "");
    }
    publish_over(&bench, 2000, 1, 10, 0);
    moment(&bench, 10, "likewise, each of them to 1000 queues", 2000);
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    Holdfast__MessageHead *one[] = {&head};
    head.exchange = (char[]){"dead"};
    head.delay_ms = 10;
    worst_publish(&bench, "", 2000, one, 1);
    bench_checkpoint(&bench);
    moment(&bench, 10, "delayed messages are due in the same ms, each to 1000 queues", 2000);
    bench_close(&bench);
}

static void of_queues(void)
{
    struct bench bench;
    worst_open(&bench);
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.expires_ms = 1000;
    worst_declare(&bench, "q", QUEUES, &options);
    bench_checkpoint(&bench);
    moment(&bench, 1000, "queues that nobody uses expire in the same ms", QUEUES);
    bench_close(&bench);
}

static void of_locks(void)
{
    struct bench bench;
    worst_open(&bench);
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.lock_ms = 1000;
    options.redelivery_delay_ms = 1000;
    bench_declare(&bench, "q", &options);
    worst_publish(&bench, "q", 2 * CREDIT, NULL, 0);
    bench_checkpoint(&bench);
    bench_subscribe(&bench, "q", 1, CREDIT);
    bench_subscribe(&bench, "q", 2, CREDIT);
    while (machine_due_ms(bench.machine) == 0) {
        bench_tick(&bench, bench.time_ms);
    }
    bench_checkpoint(&bench);
    moment(&bench, 1000, "locks end in the same ms", 2 * CREDIT);
    moment(&bench, 1000, "messages have waited, and are delivered again", 2 * CREDIT);
    bench_close(&bench);
}

static void of_prepared(void)
{
    struct bench bench;
    worst_open(&bench);
    bench_declare(&bench, "q", NULL);
    static uint8_t body[BODY_LEN_MAX];
    static uint32_t lens[PUBLISH_MESSAGES_MAX];
    static uint64_t hashes[PUBLISH_MESSAGES_MAX];
    const size_t len = BODY_LEN_MAX / PUBLISH_MESSAGES_MAX;
    for (size_t i = 0; i < PUBLISH_MESSAGES_MAX; i++) {
        lens[i] = (uint32_t)len;
        hashes[i] = XXH3_64bits(body, len);
    }
    Holdfast__Prepare prepare = HOLDFAST__PREPARE__INIT;
    prepare.id = (char[]){"prepared"};
    Holdfast__Publish publish = HOLDFAST__PUBLISH__INIT;
    publish.queue = (char[]){"q"};
    publish.n_body_len = publish.n_body_hash = PUBLISH_MESSAGES_MAX;
    publish.body_len = lens;
    publish.body_hash = hashes;
    publish.prepare = &prepare;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_PUBLISH;
    command.publish = &publish;
    worst_begin(&bench);
    (void)bench_command(&bench, 1, &command, body, sizeof body);
    worst_note(&bench);
    worst_end(&bench, "16 MiB prepared: messages", PUBLISH_MESSAGES_MAX);
    bench_checkpoint(&bench);
    Holdfast__ResolvePrepared resolve = HOLDFAST__RESOLVE_PREPARED__INIT;
    resolve.id = prepare.id;
    resolve.commit = true;
    worst_begin(&bench);
    worst_command(&bench, HOLDFAST__COMMAND__KIND_RESOLVE_PREPARED, &resolve.base);
    worst_note(&bench);
    worst_end(&bench, "they are committed", PUBLISH_MESSAGES_MAX);
    bench_close(&bench);
}

void worst_of_timers(void)
{
    of_messages();
    of_dead_letters();
    of_queues();
    of_locks();
    of_prepared();
}
