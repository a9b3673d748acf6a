/* What commands weigh, roughly and exactly, and that weighing changes nothing. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "exchange_fixture.h"
#include "leaving_fixture.h"
#include "statemachine/machine_weight.h"
#include "statemachine/state.h"

#define MANY UINT64_C(1000000)

static struct world w;
static struct fixture *f = &w.fixture;
static struct client *a = &w.client;

static void setup(void)
{
    world_init(&w);
}

static void teardown(void)
{
    world_done(&w);
}

TestSuite(machine_weight, .init = setup, .fini = teardown);

/* A command as it waits at a leader. `exact`: weighed up to that; 0: roughly. */
static uint64_t weigh(const Holdfast__Command *command, struct bytes *bodies, uint64_t exact)
{
    struct bytes header = {0};
    cr_assert_eq(bytes_reserve(&header, holdfast__command__get_packed_size(command)), 0);
    header.len = holdfast__command__pack(command, header.data);
    struct entry_command waiting = {
        .session = a->session,
        .number = a->number + 1,
        .attachment = a->attachment,
        .header = {.data = header.data, .len = header.len},
        .bodies = {.data = bodies != NULL ? bodies->data : NULL, .len = bodies != NULL ? bodies->len : 0},
    };
    uint64_t digest = world_memory_digest(&w);
    uint64_t weight =
        exact != 0 ? machine_weigh(f->machine, &waiting, exact) : machine_weigh_roughly(f->machine, &waiting);
    cr_assert_eq(world_memory_digest(&w), digest);
    bytes_done(&header);
    return weight;
}

static uint64_t weigh_posts(struct posts *posts, uint64_t exact)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_PUBLISH;
    command.publish = &posts->publish;
    uint64_t weight = weigh(&command, &posts->bodies, exact);
    cr_assert_geq(weigh(&command, &posts->bodies, 0), weigh(&command, &posts->bodies, MANY), "a rough look says more");
    return weight;
}

static const char *nth(const char *what, unsigned n)
{
    static char names[4][32];
    static unsigned at;
    char *name = names[++at % 4];
    (void)snprintf(name, sizeof names[0], "%s%u", what, n);
    return name;
}

static void fan_out(const char *exchange, enum exchange_type type, unsigned queues)
{
    cr_assert_eq(world_declare(&w, exchange, type), 0u);
    for (unsigned i = 0; i < queues; i++) {
        cr_assert_eq(world_queue(&w, nth("q", i)), 0u);
        cr_assert_eq(world_bind(&w, exchange, nth("q", i), "k", NULL), 1);
    }
}

Test(machine_weight, copies_count)
{
    fan_out("x", EXCHANGE_FANOUT, 50);
    struct posts *posts = posts_new(NULL);
    for (unsigned i = 0; i < 10; i++) {
        posts_add_to(posts, "x", "k", "m");
    }
    uint64_t weight = weigh_posts(posts, MANY);
    cr_assert_geq(weight, 500u);
    cr_assert_lt(weight, 700u);
    weight = weigh_posts(posts, 100);
    cr_assert_gt(weight, 100u);
    cr_assert_lt(weight, 250u, "no more is looked at than is asked for");
    posts_free(posts);
}

Test(machine_weight, keys_without_a_match_weigh_little_and_searches_something)
{
    fan_out("x", EXCHANGE_DIRECT, 50);
    fan_out("h", EXCHANGE_HEADERS, 50);
    struct posts *posts = posts_new(NULL);
    posts_add_to(posts, "x", "other", "m");
    cr_assert_leq(weigh_posts(posts, MANY), 3u);
    posts_free(posts);
    posts = posts_new(NULL);
    posts_add_to(posts, "h", "k", "m");
    uint64_t matching = weigh_posts(posts, MANY); /* Each has no arguments, and fits. */
    cr_assert_geq(matching, 50u);
    posts_free(posts);
}

Test(machine_weight, one_queue_by_its_name_or_by_its_key)
{
    cr_assert_eq(world_queue(&w, "q"), 0u);
    struct posts *posts = posts_new("q");
    for (unsigned i = 0; i < 100; i++) {
        posts_add(posts, NULL, "m");
    }
    cr_assert_eq(weigh_posts(posts, MANY), 101u);
    posts_free(posts);
    posts = posts_new(NULL);
    for (unsigned i = 0; i < 100; i++) {
        posts_add_to(posts, "", "q", "m");
    }
    cr_assert_leq(weigh_posts(posts, MANY), 201u);
    posts_free(posts);
    posts = posts_new(NULL);
    posts_add_to(posts, "missing", "q", "m");
    cr_assert_leq(weigh_posts(posts, MANY), 2u);
    posts_free(posts);
}

Test(machine_weight, what_is_kept_weighs_more)
{
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.keep_life_ms = 1000;
    leaving_declare(f, a, "kept", &options);
    cr_assert_eq(world_queue(&w, "q"), 0u);
    for (unsigned i = 0; i < 20; i++) {
        leaving_publish(f, a, "kept", "m", UINT64_MAX);
        leaving_publish(f, a, "q", "m", UINT64_MAX);
    }
    cr_assert_eq(client_subscribe(f, a, "kept", 1, 20).error, 0u);
    cr_assert_eq(client_subscribe(f, a, "q", 2, 20).error, 0u);
    uint64_t first[2] = {1, 5};
    uint64_t last[2] = {20, UINT64_MAX};
    Holdfast__Settle settle = HOLDFAST__SETTLE__INIT;
    settle.n_first = settle.n_last = 2;
    settle.first = first;
    settle.last = last;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_SETTLE;
    command.settle = &settle;
    settle.consumer = 1;
    uint64_t kept = weigh(&command, NULL, MANY);
    settle.consumer = 2;
    uint64_t plain = weigh(&command, NULL, MANY);
    cr_assert_eq(plain, 22u, "what is held is settled but once");
    cr_assert_geq(kept, 10 * plain);
    cr_assert_eq(weigh(&command, NULL, 0), plain);
    settle.consumer = 3;
    cr_assert_eq(weigh(&command, NULL, MANY), 1u);
}

Test(machine_weight, a_fetch_weighs_what_it_can_get)
{
    cr_assert_eq(world_queue(&w, "q"), 0u);
    for (unsigned i = 0; i < 20; i++) {
        leaving_publish(f, a, "q", "m", UINT64_MAX);
    }
    Holdfast__Subscribe subscribe = HOLDFAST__SUBSCRIBE__INIT;
    subscribe.queue = (char[]){"q"};
    subscribe.consumer = 1;
    subscribe.credit = 4096;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_SUBSCRIBE;
    command.subscribe = &subscribe;
    cr_assert_eq(weigh(&command, NULL, MANY), 21u);
    subscribe.credit = 3;
    cr_assert_eq(weigh(&command, NULL, MANY), 4u);
}

Test(machine_weight, a_transaction_weighs_its_parts)
{
    fan_out("x", EXCHANGE_FANOUT, 30);
    Holdfast__Transact transact = HOLDFAST__TRANSACT__INIT;
    struct posts *posts = posts_new(NULL);
    posts_add_to(posts, "x", "k", "one");
    struct posts *more = posts_new(NULL);
    posts_add_to(more, "x", "k", "another");
    transact.n_publish = 2;
    transact.publish = (Holdfast__Publish *[]){&posts->publish, &more->publish};
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_TRANSACT;
    command.transact = &transact;
    cr_assert_eq(bytes_append(&posts->bodies, more->bodies.data, more->bodies.len), 0);
    uint64_t weight = weigh(&command, &posts->bodies, MANY);
    cr_assert_geq(weight, 60u);
    cr_assert_lt(weight, 90u);
    posts->bodies.len -= 3; /* Lengths that lie. */
    cr_assert_geq(weigh(&command, &posts->bodies, MANY), 30u);
    posts_free(more);
    posts_free(posts);
}

Test(machine_weight, nonsense_weighs_one)
{
    static const uint8_t nonsense[] = {0x32, 0xff, 0xff, 0xff};
    struct entry_command waiting = {.session = a->session, .header = {.data = nonsense, .len = sizeof nonsense}};
    cr_assert_eq(machine_weigh(f->machine, &waiting, MANY), 1u);
    waiting.header.len = 0;
    cr_assert_eq(machine_weigh(f->machine, &waiting, MANY), 1u);
    cr_assert_leq(machine_weigh_roughly(f->machine, &waiting), 1u);
    waiting.session = 99;
    cr_assert_eq(machine_weigh(f->machine, &waiting, MANY), 1u);
}
