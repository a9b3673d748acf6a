/* Transactions: publishes and settlements, all or nothing. */

#include <criterion/criterion.h>
#include <string.h>

#include "publish_fixture.h"
#include "statemachine/state.h"

struct transaction {
    Holdfast__Transact transact;
    Holdfast__Publish *publishes[300];
    Holdfast__Settle *settles[4];
    struct bytes bodies;
};

static void transaction_init(struct transaction *t)
{
    *t = (struct transaction){0};
    holdfast__transact__init(&t->transact);
    t->transact.publish = t->publishes;
    t->transact.settle = t->settles;
}

static void transaction_add(struct transaction *t, struct posts *posts)
{
    t->publishes[t->transact.n_publish++] = &posts->publish;
    cr_assert_eq(bytes_append(&t->bodies, posts->bodies.data, posts->bodies.len), 0);
}

static void transaction_settle(struct transaction *t, Holdfast__Settle *settle, uint64_t consumer,
                               Holdfast__Settle__Outcome outcome, uint64_t first[2])
{
    holdfast__settle__init(settle);
    settle->consumer = consumer;
    settle->outcome = outcome;
    settle->n_first = settle->n_last = 1;
    settle->first = &first[0];
    settle->last = &first[1];
    t->settles[t->transact.n_settle++] = settle;
}

static Holdfast__Command transaction_command(struct transaction *t)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_TRANSACT;
    command.transact = &t->transact;
    return command;
}

static struct effect_reply transaction_send(struct fixture *f, struct client *a, struct transaction *t)
{
    Holdfast__Command command = transaction_command(t);
    return client_command(f, a, &command, t->bodies.data, t->bodies.len);
}

static void transaction_refused(struct fixture *f, struct client *a, struct transaction *t, uint32_t error)
{
    Holdfast__Command command = transaction_command(t);
    refused_without_a_trace(f, a, &command, t->bodies.data, t->bodies.len, error);
    a->answered = a->number;
}

/* Two queues; three messages of the first are out with consumer 1. */
static void setup(struct fixture *f, struct client *a)
{
    publish_fixture_init(f, a);
    cr_assert_eq(client_declare(f, a, "q").error, 0u);
    cr_assert_eq(client_declare(f, a, "r").error, 0u);
    cr_assert_eq(client_publish(f, a, "q", "", 1, 5).count, 5u);
    cr_assert_eq(client_subscribe(f, a, "q", 1, 3).error, 0u);
}

static struct posts *named(const char *queue, const char *producer, uint64_t first, size_t count)
{
    struct posts *posts = posts_new(queue);
    for (size_t i = 0; i < count; i++) {
        posts_add(posts, NULL, "m");
    }
    posts->publish.producer = (char *)(uintptr_t)producer;
    posts->publish.first_sequence = first;
    return posts;
}

Test(transact, publishes_and_settlements_are_one_step)
{
    struct fixture f;
    struct client a;
    setup(&f, &a);
    struct transaction t;
    transaction_init(&t);
    struct posts *to_r = named("r", "p", 1, 2);
    struct posts *both = posts_new(NULL);
    posts_add_to(both, "", "q", "to q");
    posts_add_to(both, "", "r", "to r");
    transaction_add(&t, to_r);
    transaction_add(&t, both);
    Holdfast__Settle accept;
    Holdfast__Settle release;
    transaction_settle(&t, &accept, 1, ACCEPT, (uint64_t[]){1, 2});
    transaction_settle(&t, &release, 1, RELEASE, (uint64_t[]){3, 3});
    struct effect_reply reply = transaction_send(&f, &a, &t);
    cr_assert_eq(reply.error, 0u, "%s", reply.detail);
    cr_assert_eq(reply.count, 4u + 3u);
    cr_assert_eq(ready(&f, "r"), 3u);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 3u, "what went back, and two more");
    cr_assert_eq(fixture_queue(&f, "q").settled, 2u);
    cr_assert_eq(fixture_queue(&f, "q").ready, 1u);
    fixture_reopen(&f);
    cr_assert_eq(ready(&f, "r"), 3u);
    bytes_done(&t.bodies);
    posts_free(to_r);
    posts_free(both);
    fixture_done(&f);
}

Test(transact, a_stale_settlement_refuses_it_all)
{
    struct fixture f;
    struct client a;
    setup(&f, &a);
    struct posts *posts = named("r", "p", 1, 2);
    struct transaction t;
    transaction_init(&t);
    transaction_add(&t, posts);
    Holdfast__Settle one;
    Holdfast__Settle two;
    transaction_settle(&t, &one, 1, ACCEPT, (uint64_t[]){1, 1});
    transaction_settle(&t, &two, 1, ACCEPT, (uint64_t[]){2, 3});
    uint64_t four = 4;
    two.last = &four;
    transaction_refused(&f, &a, &t, E(INVALID)); /* Never delivered. */
    uint64_t overlap[] = {1, 2};
    two.first = overlap;
    two.last = overlap + 1;
    transaction_refused(&f, &a, &t, E(STALE)); /* 1 is named twice. */
    cr_assert_eq(client_settle(&f, &a, 1, ACCEPT, 2, 2).count, 1u);
    uint64_t others[] = {2, 3};
    two.first = others;
    two.last = others + 1;
    transaction_refused(&f, &a, &t, E(STALE)); /* 2 is settled. */
    two.consumer = 9;
    transaction_refused(&f, &a, &t, E(NOT_FOUND));
    two.consumer = 1;
    two.n_last = 0;
    transaction_refused(&f, &a, &t, E(INVALID));
    two.n_last = 1;
    two.first = two.last;
    cr_assert_eq(transaction_send(&f, &a, &t).count, 2u + 2u);
    cr_assert_eq(ready(&f, "r"), 2u);
    bytes_done(&t.bodies);
    posts_free(posts);
    fixture_done(&f);
}

Test(transact, what_is_refused_alone_refuses_it_all)
{
    struct fixture f;
    struct client a;
    setup(&f, &a);
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.has_max_length = true;
    options.max_length = 3;
    options.overflow = HOLDFAST__QUEUE_OPTIONS__OVERFLOW__REJECT_NEW;
    cr_assert_eq(options_declare(&f, &a, "small", &options).error, 0u);
    struct posts *first = named("small", "", 0, 2);
    struct posts *second = named("small", "", 0, 2);
    struct transaction t;
    Holdfast__Settle settle;
    transaction_init(&t);
    transaction_add(&t, first);
    transaction_add(&t, second);
    transaction_settle(&t, &settle, 1, ACCEPT, (uint64_t[]){1, 2});
    transaction_refused(&f, &a, &t, E(FULL)); /* What the first brings counts. */
    second->publish.queue = (char[]){"missing"};
    transaction_refused(&f, &a, &t, E(NOT_FOUND));
    second->publish.queue = (char[]){"q"};
    second->publish.each = true;
    transaction_refused(&f, &a, &t, E(INVALID));
    second->publish.each = false;
    Holdfast__Prepare prepare = HOLDFAST__PREPARE__INIT;
    prepare.id = (char[]){"id"};
    second->publish.prepare = &prepare;
    transaction_refused(&f, &a, &t, E(INVALID));
    second->publish.prepare = NULL;
    second->hashes[0]++;
    transaction_refused(&f, &a, &t, E(CHECKSUM));
    second->hashes[0]--;
    t.bodies.len--;
    transaction_refused(&f, &a, &t, E(INVALID));
    t.bodies.len++;
    cr_assert_eq(bytes_append(&t.bodies, "x", 1), 0);
    transaction_refused(&f, &a, &t, E(INVALID));
    t.bodies.len--;
    cr_assert_eq(transaction_send(&f, &a, &t).count, 2u + 2u + 2u);
    bytes_done(&t.bodies);
    posts_free(first);
    posts_free(second);
    fixture_done(&f);
}

Test(transact, its_size_is_limited_and_it_is_not_empty)
{
    struct fixture f;
    struct client a;
    setup(&f, &a);
    struct posts *posts = named("r", "", 0, 1);
    struct posts *many = named("r", "", 0, POSTS_MAX);
    struct transaction t;
    transaction_init(&t);
    transaction_refused(&f, &a, &t, E(INVALID));
    for (size_t i = 0; i < 257; i++) {
        transaction_add(&t, posts);
    }
    transaction_refused(&f, &a, &t, E(INVALID));
    t.transact.n_publish = 0;
    t.bodies.len = 0;
    transaction_add(&t, many);
    transaction_add(&t, posts);
    transaction_refused(&f, &a, &t, E(INVALID));
    t.transact.n_publish = 0;
    t.bodies.len = 0;
    for (size_t i = 0; i < 256; i++) {
        transaction_add(&t, posts);
    }
    cr_assert_eq(transaction_send(&f, &a, &t).count, 256u);
    bytes_done(&t.bodies);
    posts_free(posts);
    posts_free(many);
    fixture_done(&f);
}

Test(transact, a_producers_publishes_follow_one_another)
{
    struct fixture f;
    struct client a;
    setup(&f, &a);
    struct posts *first = named("r", "p", 1, 3);
    struct posts *second = named("q", "p", 3, 2);
    second->publish.no_gaps = true;
    struct transaction t;
    transaction_init(&t);
    transaction_add(&t, first);
    transaction_add(&t, second);
    struct effect_reply reply = transaction_send(&f, &a, &t);
    cr_assert_eq(reply.count, 4u);
    cr_assert_eq(reply.repeated_count, 1u);
    cr_assert_eq(producer_open_epoch(&f, &a, "p", true).repeated_count, 4u);
    bytes_done(&t.bodies);
    posts_free(first);
    posts_free(second);
    fixture_done(&f);
}

Test(transact, a_named_one_behind_a_failed_publish_fails)
{
    struct fixture f;
    struct client a;
    setup(&f, &a);
    cr_assert_eq(client_publish(&f, &a, "missing", "p", 1, 1).error, E(NOT_FOUND));
    struct posts *posts = named("r", "p", 2, 1);
    struct transaction t;
    transaction_init(&t);
    transaction_add(&t, posts);
    cr_assert_eq(transaction_send(&f, &a, &t).error, E(REFUSED));
    a.answered = a.number;
    cr_assert_eq(transaction_send(&f, &a, &t).count, 1u);
    bytes_done(&t.bodies);
    posts_free(posts);
    fixture_done(&f);
}

Test(transact, bits_count_over_all_of_its_messages)
{
    struct fixture f;
    struct client a;
    setup(&f, &a);
    struct posts *first = named("r", "", 0, 9);
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    head.routing_key = (char[]){"none"};
    head.mandatory = true;
    struct posts *second = posts_new(NULL);
    posts_add_to(second, "", "q", "m");
    posts_add(second, &head, "m");
    struct transaction t;
    transaction_init(&t);
    transaction_add(&t, first);
    transaction_add(&t, second);
    struct effect_reply reply = transaction_send(&f, &a, &t);
    cr_assert_eq(reply.count, 11u);
    cr_assert_eq(reply.unrouted_len, 2u);
    cr_assert_eq(reply.unrouted[0], 0u);
    cr_assert_eq(reply.unrouted[1], 1u << 2);
    bytes_done(&t.bodies);
    posts_free(first);
    posts_free(second);
    fixture_done(&f);
}
