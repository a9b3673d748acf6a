/* What it takes to find the way of a message: nanoseconds over each type of exchange, to one of as many queues, and what bindings cost
 * in memory. */

#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "proto/base/check.h"
#include "sim/store_memory.h"
#include "statemachine/exchange/binding.h"
#include "statemachine/exchange/route.h"
#include "statemachine/state.h"

#define QUEUES 10000u
#define ROUTINGS 2000000u
#define TRIES 3u
#define HEADERS_ROUTINGS 200u

struct bench {
    struct store_memory_disk *disk;
    struct machine *machine;
    struct queue *queues[QUEUES];
    char names[QUEUES][32];
    char keys[QUEUES][64];
    struct route route;
};

static double seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static struct slice text_slice(const char *text)
{
    return (struct slice){.data = (const uint8_t *)text, .len = strlen(text)};
}

static void bench_open(struct bench *bench)
{
    struct store *store;
    uint64_t applied;
    struct slice consensus;
    char detail[256];
    bench->disk = store_memory_disk_new();
    CHECK(bench->disk != NULL && store_memory_open(bench->disk, &store) == 0);
    CHECK(machine_open(store, &bench->machine, &applied, &consensus, detail, sizeof detail) == 0);
    slice_unref(&consensus);
    bench->machine->version = 2;
    for (unsigned i = 0; i < QUEUES; i++) {
        struct queue_options options;
        queue_options_init(&options);
        (void)snprintf(bench->names[i], sizeof bench->names[i], "orders-%05u", i);
        (void)snprintf(bench->keys[i], sizeof bench->keys[i], "region-%u.shop-%u.order", i % 100, i);
        CHECK(queue_new(bench->machine, i + 1, VIRTUAL_HOST_ROOT, bench->names[i], strlen(bench->names[i]), &options,
                        &bench->queues[i]) == 0);
    }
}

static struct exchange *bench_exchange(struct bench *bench, const char *name)
{
    struct exchange *exchange;
    CHECK(exchange_find(bench->machine, VIRTUAL_HOST_ROOT, name, strlen(name), &exchange) == 0);
    return exchange;
}

static void bench_bind(struct bench *bench, struct exchange *exchange, unsigned nth, const char *key,
                       struct arguments arguments)
{
    struct binding_ends ends = {
        .source = exchange, .to_queue = bench->queues[nth], .key = text_slice(key), .arguments = arguments};
    struct binding *binding;
    CHECK(binding_find(bench->machine, &ends, &binding) == 0 && binding == NULL);
    CHECK(binding_new(bench->machine, &ends) == 0);
}

/* A third of the patterns with `*`, a third with `#`; every key fits one of them. */
static void bench_bind_all(struct bench *bench, struct exchange *exchange, bool patterns)
{
    for (unsigned i = 0; i < QUEUES; i++) {
        char pattern[64];
        (void)snprintf(pattern, sizeof pattern,
                       i % 3 == 0   ? "*.shop-%u.order"
                       : i % 3 == 1 ? "#.shop-%u.#"
                                    : "region-%u.shop-%u.order",
                       i % 3 == 2 ? i % 100 : i, i);
        bench_bind(bench, exchange, i, patterns ? pattern : bench->keys[i], (struct arguments){0});
    }
}

enum keys { KEYS_OF_BINDINGS, KEYS_NAMES, KEYS_NEW };

/* A key that leads to the queue. A new one has not been seen before: its first word is another one each time. */
static struct slice key_of(struct bench *bench, unsigned queue, enum keys keys, unsigned nth, char text[64])
{
    if (keys != KEYS_NEW) {
        return text_slice(keys == KEYS_NAMES ? bench->names[queue] : bench->keys[queue]);
    }
    char *at = text + 63;
    const char *end = strchr(bench->keys[queue], '.');
    size_t end_len = strlen(end);
    at -= end_len;
    memcpy(at, end, end_len);
    for (unsigned i = 0; i < 8; i++, nth >>= 4) {
        *--at = (char)('a' + nth % 16);
    }
    return (struct slice){.data = (const uint8_t *)at, .len = end_len + 8};
}

/* Keys in an order that no cache foresees. */
static double bench_route_once(struct bench *bench, const char *name, enum keys keys)
{
    uint64_t reached = 0;
    unsigned nth = 0;
    char text[64];
    double from = seconds();
    for (unsigned i = 0; i < ROUTINGS; i++) {
        nth = (nth * 1103515245u + 12345u) & 0x7fffffffu;
        unsigned queue = (nth >> 8) % QUEUES;
        queue -= keys == KEYS_NEW && queue % 3 == 2; /* Whose pattern has a word for the first one. */
        struct slice key = key_of(bench, queue, keys, i, text);
        struct exchange *exchange = bench_exchange(bench, name);
        CHECK(route(bench->machine, exchange, &(struct route_message){.keys = &key, .keys_len = 1}, &bench->route) ==
              0);
        reached += bench->route.len;
    }
    CHECK(reached == ROUTINGS);
    return (seconds() - from) / ROUTINGS;
}

/* The best of a few, in seconds; `against`: of another kind of exchange. */
static double bench_route(struct bench *bench, const char *name, const char *what, enum keys keys, double against)
{
    double best = 1;
    for (unsigned i = 0; i < TRIES; i++) {
        double spent = bench_route_once(bench, name, keys);
        best = spent < best ? spent : best;
    }
    against = against > 0 ? against : best;
    printf("%4.0f ns, %.2f times the first, to one of %u queues over %s\n", best * 1e9, best / against, QUEUES, what);
    return best;
}

static void bench_headers(struct bench *bench)
{
    Holdfast__Value value = HOLDFAST__VALUE__INIT;
    Holdfast__Header header = HOLDFAST__HEADER__INIT;
    Holdfast__Header *headers[] = {&header};
    struct exchange *exchange = bench_exchange(bench, "amq.headers");
    header.name = (char[]){"shop"};
    header.value = &value;
    value.kind_case = HOLDFAST__VALUE__KIND_INT64;
    for (unsigned i = 0; i < QUEUES; i++) {
        value.int64 = i;
        bench_bind(bench, exchange, i, "", (struct arguments){.items = headers, .len = 1});
    }
    uint8_t packed[64];
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    head.header = headers;
    head.n_header = 1;
    value.int64 = 77;
    struct slice packed_head = {.data = packed, .len = holdfast__message_head__pack(&head, packed)};
    double from = seconds();
    for (unsigned i = 0; i < HEADERS_ROUTINGS; i++) {
        struct route_message message = {.head = packed_head};
        CHECK(route(bench->machine, exchange, &message, &bench->route) == 0 && bench->route.len == 1);
    }
    printf("%.0f ns over a headers exchange, for each of its bindings\n",
           (seconds() - from) * 1e9 / HEADERS_ROUTINGS / QUEUES);
}

int main(void)
{
    static struct bench bench;
    bench_open(&bench);
    size_t before = mallinfo2().uordblks;
    bench_bind_all(&bench, bench_exchange(&bench, "amq.direct"), false);
    size_t direct = mallinfo2().uordblks;
    double from = seconds();
    bench_bind_all(&bench, bench_exchange(&bench, "amq.topic"), true);
    printf("%.0f ns to bind\n", (seconds() - from) * 1e9 / QUEUES);
    printf("%zu bytes a direct binding, %zu a topic one, and what the next checkpoint needs of each\n",
           (direct - before) / QUEUES, (mallinfo2().uordblks - direct) / QUEUES);
    double first = bench_route(&bench, "", "the default exchange", KEYS_NAMES, 0);
    (void)bench_route(&bench, "amq.direct", "a direct exchange", KEYS_OF_BINDINGS, first);
    (void)bench_route(&bench, "amq.topic", "a topic exchange", KEYS_OF_BINDINGS, first);
    (void)bench_route(&bench, "amq.topic", "a topic exchange, by keys that come once", KEYS_NEW, first);
    bench_headers(&bench);
    from = seconds();
    for (bool done = false; !done;) {
        work_begin(&bench.machine->work, bench.machine->version);
        CHECK(exchanges_virtual_host_gone(bench.machine, VIRTUAL_HOST_ROOT, &done) == 0);
    }
    printf("%.0f ns for a binding to go\n", (seconds() - from) * 1e9 / (3 * QUEUES));
    route_done(&bench.route);
    machine_close(bench.machine);
    store_memory_disk_free(bench.disk);
    return 0;
}
