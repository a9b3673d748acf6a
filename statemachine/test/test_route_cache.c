/* The ways that are kept: never another one than a walk finds. */

#include "statemachine/exchange/route_cache.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "exchange_fixture.h"
#include "statemachine/queue/queue_private.h"
#include "statemachine/state.h"

static struct world w;

static void setup(void)
{
    world_init(&w);
    cr_assert_eq(world_queue(&w, "q0") + world_queue(&w, "q1") + world_queue(&w, "q2"), 0u);
}

static void teardown(void)
{
    world_done(&w);
}

TestSuite(route_cache, .init = setup, .fini = teardown);

static struct route_cache *cache(void)
{
    return &w.fixture.machine->exchanges.route_cache;
}

/* The way, which is known from then on. */
static const char *way(const char *exchange, const char *key)
{
    char walked[256];
    route_cache_outdate(cache());
    (void)snprintf(walked, sizeof walked, "%s", world_route(&w, exchange, key));
    uint64_t marks = w.fixture.machine->exchanges.route_marks;
    const char *known = world_route(&w, exchange, key);
    cr_assert_eq(w.fixture.machine->exchanges.route_marks, marks, "no walk for %s", key);
    cr_assert_str_eq(known, walked);
    return known;
}

static void declare(const char *name, enum exchange_type type, const char *alternate)
{
    Holdfast__DeclareExchange message = HOLDFAST__DECLARE_EXCHANGE__INIT;
    message.exchange = (char *)(uintptr_t)name;
    message.type = (Holdfast__DeclareExchange__Type)type;
    message.has_alternate = alternate != NULL;
    message.alternate = (char *)(uintptr_t)(alternate != NULL ? alternate : "");
    cr_assert_eq(world_declare_as(&w, &message), 0u);
}

Test(route_cache, a_binding_that_comes_or_goes_shows_at_once)
{
    declare("x", EXCHANGE_TOPIC, NULL);
    cr_assert_eq(world_bind(&w, "x", "q0", "a.*", NULL), 1);
    cr_assert_str_eq(way("x", "a.b"), "q0 ");
    cr_assert_eq(world_bind(&w, "x", "q1", "#", NULL), 1);
    cr_assert_str_eq(world_route(&w, "x", "a.b"), "q0 q1 ");
    cr_assert_str_eq(way("x", "a.b"), "q0 q1 ");
    cr_assert_str_eq(way("x", ""), "q1 ");
    cr_assert_eq(world_unbind(&w, "x", "q0", "a.*", NULL), 1);
    cr_assert_str_eq(world_route(&w, "x", "a.b"), "q1 ");
    cr_assert_str_eq(way("x", "a.b"), "q1 ");
    cr_assert_eq(world_unbind(&w, "x", "q1", "#", NULL), 1);
    cr_assert_str_eq(world_route(&w, "x", "a.b"), "");
}

Test(route_cache, a_queue_or_an_exchange_that_goes_is_not_led_to)
{
    declare("x", EXCHANGE_DIRECT, NULL);
    declare("y", EXCHANGE_FANOUT, NULL);
    cr_assert_eq(world_bind(&w, "x", ">y", "k", NULL), 1);
    cr_assert_eq(world_bind(&w, "x", "q2", "k", NULL), 1);
    cr_assert_eq(world_bind(&w, "y", "q1", "", NULL), 1);
    cr_assert_str_eq(way("x", "k"), "q1 q2 ");
    cr_assert_eq(world_delete_queue(&w, "q2"), 0u);
    cr_assert_str_eq(world_route(&w, "x", "k"), "q1 ");
    cr_assert_str_eq(way("x", "k"), "q1 ");
    cr_assert_eq(world_delete(&w, "y", false, false), 0u);
    cr_assert_str_eq(world_route(&w, "x", "k"), "");
    cr_assert_str_eq(way("x", "k"), "");
    cr_assert_eq(world_delete(&w, "x", false, false), 0u);
    declare("x", EXCHANGE_DIRECT, NULL);
    cr_assert_eq(world_bind(&w, "x", "q0", "k", NULL), 1);
    cr_assert_str_eq(world_route(&w, "x", "k"), "q0 ", "another one of that name");
}

/* Its bindings go later. */
Test(route_cache, what_has_been_deleted_but_is_there_is_not_led_to)
{
    declare("x", EXCHANGE_DIRECT, NULL);
    declare("y", EXCHANGE_FANOUT, NULL);
    cr_assert_eq(world_bind(&w, "x", ">y", "k", NULL), 1);
    cr_assert_eq(world_bind(&w, "x", "q2", "k", NULL), 1);
    cr_assert_eq(world_bind(&w, "y", "q1", "", NULL), 1);
    cr_assert_str_eq(way("x", "k"), "q1 q2 ");
    cr_assert_eq(exchange_goes(w.fixture.machine, world_exchange(&w, "y")), 0);
    cr_assert_str_eq(world_route(&w, "x", "k"), "q2 ");
    queue_doom(w.fixture.machine, queue_by_name(w.fixture.machine, VIRTUAL_HOST_ROOT, "q2"));
    cr_assert_str_eq(world_route(&w, "x", "k"), "");
}

Test(route_cache, an_alternate_exchange_that_comes_later_counts)
{
    declare("x", EXCHANGE_TOPIC, "late");
    cr_assert_str_eq(way("x", "k"), "");
    declare("late", EXCHANGE_FANOUT, NULL);
    cr_assert_eq(world_bind(&w, "late", "q1", "", NULL), 1);
    cr_assert_str_eq(world_route(&w, "x", "k"), "q1 ");
}

Test(route_cache, an_exchange_that_is_made_counts_by_itself)
{
    declare("x", EXCHANGE_TOPIC, "late");
    cr_assert_str_eq(way("x", "k"), "");
    uint64_t generation = cache()->generation;
    declare("late", EXCHANGE_FANOUT, NULL);
    cr_assert_gt(cache()->generation, generation);
}

Test(route_cache, what_depends_on_more_than_the_key_is_not_kept)
{
    static struct pairs red;
    static struct pairs blue;
    pairs_add(&red, "colour", value_string("red"));
    pairs_add(&blue, "colour", value_string("blue"));
    cr_assert_eq(world_bind(&w, "amq.headers", "q0", "", &red), 1);
    cr_assert_eq(world_bind(&w, "amq.headers", "q1", "", &blue), 1);
    declare("x", EXCHANGE_FANOUT, NULL);
    cr_assert_eq(world_bind(&w, "x", ">amq.headers", "", NULL), 1);
    for (unsigned i = 0; i < 2; i++) {
        cr_assert_str_eq(world_route_headers(&w, "x", &red), "q0 ");
        cr_assert_str_eq(world_route_headers(&w, "x", &blue), "q1 ");
    }
    declare("y", EXCHANGE_DIRECT, "");
    cr_assert_str_eq(world_route(&w, "y", "new"), "");
    cr_assert_eq(world_queue(&w, "new"), 0u);
    cr_assert_str_eq(world_route(&w, "y", "new"), "new ");
}

Test(route_cache, several_keys_are_not_taken_for_the_first_one)
{
    declare("x", EXCHANGE_DIRECT, NULL);
    cr_assert_eq(world_bind(&w, "x", "q0", "a", NULL), 1);
    cr_assert_eq(world_bind(&w, "x", "q1", "b", NULL), 1);
    cr_assert_str_eq(way("x", "a"), "q0 ");
    cr_assert_str_eq(world_route_keys(&w, "x", (const char *const[]){"a", "b"}, 2), "q0 q1 ");
    cr_assert_str_eq(world_route(&w, "x", "a"), "q0 ");
}

Test(route_cache, changes_at_random_beside_walks)
{
    static const char *const exchanges[] = {"e0", "e1", "e2"};
    static const char *const keys[] = {"a", "a.b", "b", "", "a.b.c"};
    static const char *const patterns[] = {"a", "#", "a.*", "*.b", "a.#"};
    static const char *const ends[] = {"q0", "q1", "q2", ">e1", ">e2"};
    uint32_t state = 1;
    for (unsigned i = 0; i < 3; i++) {
        declare(exchanges[i], EXCHANGE_TOPIC, i == 0 ? "e2" : NULL);
    }
    for (unsigned step = 0; step < 600; step++) {
        state = state * 1103515245u + 12345u;
        unsigned choice = state >> 8;
        const char *from = exchanges[choice % 3];
        const char *to = ends[choice / 3 % 5];
        const char *pattern = patterns[choice / 15 % 5];
        (void)(choice / 75 % 2 == 0 ? world_bind(&w, from, to, pattern, NULL)
                                    : world_unbind(&w, from, to, pattern, NULL));
        for (unsigned i = 0; i < 15; i++) {
            char known[256];
            (void)snprintf(known, sizeof known, "%s", world_route(&w, exchanges[i % 3], keys[i / 3]));
            /* The way of several keys is not kept. */
            const char *const twice[] = {keys[i / 3], keys[i / 3]};
            cr_assert_str_eq(known, world_route_keys(&w, exchanges[i % 3], twice, 2));
        }
    }
}

/* Pointers are told apart, not followed. */
Test(route_cache, among_many_keys_each_has_its_own_way)
{
    static struct exchange exchange;
    static struct queue queues[4];
    struct route_cache many = {0};
    struct route kept = {.queues = (struct queue *[4]){0}, .cap = 4};
    struct route found = {.queues = (struct queue *[4]){0}, .cap = 4};
    unsigned hits = 0;
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 40000; i++) {
            char text[16];
            struct slice key = {.data = (const uint8_t *)text, .len = (size_t)snprintf(text, sizeof text, "%u", i)};
            kept.len = i % 4;
            for (unsigned j = 0; j < kept.len; j++) {
                kept.queues[j] = &queues[(i + j) % 4];
            }
            if (route_cache_get(&many, &exchange, key, &found)) {
                hits++;
                cr_assert_eq(found.len, kept.len);
                cr_assert_eq(memcmp(found.queues, kept.queues, kept.len * sizeof *kept.queues), 0);
            }
            cr_assert_not(route_cache_get(&many, &exchange + 1, key, &found));
            route_cache_put(&many, &exchange, key, &kept);
        }
    }
    cr_assert_gt(hits, 10000u);
    route_cache_outdate(&many);
    cr_assert_not(route_cache_get(&many, &exchange, (struct slice){.data = (const uint8_t *)"7", .len = 1}, &found));
    route_cache_done(&many);
}
