/* Rules of SEMANTICS.md that are about several things at once. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "asking.h"
#include "statemachine/state.h"

static struct fixture f;
static struct client a;
static struct client b;

static void start(void)
{
    publish_fixture_init(&f, &a);
    cr_assert_eq(client_attach(&f, &b, 2, false).error, 0u);
}

static void stop(void)
{
    fixture_done(&f);
}

TestSuite(rules, .init = start, .fini = stop);

static const Holdfast__QueueOptions none = HOLDFAST__QUEUE_OPTIONS__INIT;

static struct effect_reply publish(const char *queue, const Holdfast__MessageHead *head, const char *body)
{
    struct posts *posts = posts_new(queue);
    posts_add(posts, head, body);
    return posts_send_once(&f, &a, posts);
}

Test(rules, of_a_paused_queue_nothing_is_fetched)
{
    Holdfast__QueueOptions options = none;
    options.paused = true;
    leaving_declare(&f, &a, "q", &options);
    client_publish(&f, &a, "q", NULL, 1, 2);
    struct effect_reply reply = ask_fetch(&f, &a, "q", 1, 5);
    cr_assert_eq(reply.error, 0u);
    cr_assert_eq(reply.count, 0u);
    cr_assert_eq(reply.repeated_count, 2u);
    cr_assert_eq(ask_ended(&f, 1, CONSUMER_ENDED_FETCH_DONE), 1u);
    cr_assert_eq(fixture_queue(&f, "q").consumers, 0u);
}

Test(rules, a_fetch_counts_among_the_consumers_of_a_virtual_host_while_it_holds_something)
{
    leaving_declare(&f, &a, "q", NULL);
    client_publish(&f, &a, "q", NULL, 1, 2);
    cr_assert_eq(ask_limit(&f, &a, HOLDFAST__LIMIT__WHAT__CONSUMERS, 1).error, 0u);
    cr_assert_eq(ask_fetch(&f, &a, "q", 1, 1).count, 1u);
    cr_assert_eq(ask_fetch(&f, &b, "q", 1, 1).error, E(LIMIT));
    cr_assert_eq(client_subscribe(&f, &b, "q", 1, 1).error, E(LIMIT));
    cr_assert_eq(client_settle(&f, &a, 1, ACCEPT, 1, 1).count, 1u);
    cr_assert_eq(ask_fetch(&f, &b, "q", 1, 1).count, 1u);
}

Test(rules, a_dead_letter_keeps_its_priority_and_group_and_is_not_delayed_again)
{
    Holdfast__QueueOptions options = none;
    options.max_priority = 9;
    options.groups = true;
    leaving_declare(&f, &a, "dead", &options);
    options = options_dead("", "dead");
    leaving_declare(&f, &a, "q", &options);
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    head.group = "g";
    head.delay_ms = 100;
    publish("q", &head, "low");
    head.priority = 5;
    publish("q", &head, "high");
    fixture_tick(&f, f.time_ms + 200);
    cr_assert_eq(client_subscribe(&f, &a, "q", 1, 2).error, 0u);
    cr_assert_eq(client_settle(&f, &a, 1, REJECT, 1, 2).count, 2u);
    leaving_disturb(&f, true);
    cr_assert_str_eq(ask_bodies(&f, "dead"), "high low ");
    cr_assert_eq(client_subscribe(&f, &a, "dead", 2, 2).error, 0u);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 1u, "one of a group");
}

Test(rules, messages_without_a_group_are_not_ordered)
{
    Holdfast__QueueOptions options = none;
    options.groups = true;
    leaving_declare(&f, &a, "q", &options);
    client_publish(&f, &a, "q", NULL, 1, 3);
    cr_assert_eq(client_subscribe(&f, &a, "q", 1, 3).error, 0u);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 3u);
}

/* One queue more than a full command may lead to. */
#define QUEUES (PUBLISH_TARGETS_MAX / POSTS_MAX + 1)

Test(rules, a_command_makes_so_many_copies_at_most)
{
    char name[16];
    for (unsigned i = 0; i < QUEUES; i++) {
        snprintf(name, sizeof name, "q%u", i);
        leaving_declare(&f, &a, name, NULL);
        cr_assert_eq(exchange_bind(&f, &a, "amq.fanout", name, "").error, 0u);
    }
    struct posts *posts = posts_new(NULL);
    for (unsigned i = 0; i < POSTS_MAX; i++) {
        posts_add_to(posts, "amq.fanout", "", "x");
    }
    posts_refused(&f, &a, posts, E(LIMIT));
    cr_assert_eq(ask_delete(&f, &a, name, false, false).error, 0u);
    cr_assert_eq(posts_send_once(&f, &a, posts).count, POSTS_MAX);
    cr_assert_eq(ready(&f, "q0"), POSTS_MAX);
}

/* What a session holds of a queue where every message may be delivered once is published when the session ends: a last will. */
Test(rules, what_a_session_holds_may_be_what_it_leaves_behind)
{
    Holdfast__QueueOptions options = options_dead("amq.topic", "client.gone");
    options.max_deliveries = 1;
    leaving_declare(&f, &a, "wills", &options);
    leaving_declare(&f, &a, "readers", NULL);
    cr_assert_eq(exchange_bind(&f, &a, "amq.topic", "readers", "client.#").error, 0u);
    leaving_publish(&f, &b, "wills", "will", UINT64_MAX);
    cr_assert_eq(ask_fetch(&f, &b, "wills", 1, 1).count, 1u);
    leaving_disturb(&f, true);
    cr_assert_eq(node_detach(&f, b.session, b.attachment).error, 0u);
    uint64_t ends_ms = fixture_session(&f, b.session).expires_ms;
    fixture_tick(&f, ends_ms - 1);
    cr_assert_eq(fixture_queue(&f, "readers").ready, 0u);
    fixture_tick(&f, ends_ms);
    cr_assert_str_eq(ask_bodies(&f, "readers"), "will ");
}

/* As a beanstalkd job that is buried and kicked. */
Test(rules, what_was_put_aside_comes_back_by_redriving)
{
    Holdfast__QueueOptions options = options_dead("", "aside");
    leaving_declare(&f, &a, "q", &options);
    leaving_declare(&f, &a, "aside", NULL);
    client_publish(&f, &a, "q", NULL, 1, 3);
    cr_assert_eq(ask_fetch(&f, &a, "q", 1, 2).count, 2u);
    cr_assert_eq(client_settle(&f, &a, 1, REJECT, 1, 2).count, 2u);
    cr_assert_str_eq(ask_bodies(&f, "aside"), "m1 m2 ");
    cr_assert_eq(leaving_redrive(&f, &a, "aside", "", "", 1).count, 1u);
    cr_assert_str_eq(ask_bodies(&f, "aside"), "m2 ");
    cr_assert_str_eq(ask_bodies(&f, "q"), "m3 m1 ");
}

/* A reply to whom asked: its own exclusive queue, by the default exchange, from another session. */
Test(rules, an_exclusive_queue_is_reached_through_exchanges_by_everybody)
{
    Holdfast__QueueOptions options = none;
    options.exclusive = true;
    cr_assert_eq(options_declare(&f, &b, "reply-to", &options).error, 0u);
    struct posts *posts = posts_new("reply-to");
    posts_add(posts, NULL, "by name");
    posts_refused(&f, &a, posts, E(EXCLUSIVE));
    posts_free(posts);
    posts = posts_new(NULL);
    posts_add_to(posts, "", "reply-to", "by exchange");
    cr_assert_eq(posts_send_once(&f, &a, posts).count, 1u);
    cr_assert_eq(client_publish(&f, &b, "reply-to", NULL, 1, 1).count, 1u);
    cr_assert_eq(ready(&f, "reply-to"), 2u);
}

/* The key of a group of producers is asked of whoever took it last. */
Test(rules, who_answers_for_prepared_messages_takes_the_place_by_opening)
{
    Holdfast__Prepare prepare = HOLDFAST__PREPARE__INIT;
    prepare.id = "id";
    prepare.group = "group";
    prepare.ask_after_ms = 100;
    leaving_declare(&f, &a, "q", NULL);
    cr_assert_eq(producer_open_epoch(&f, &a, "group", false).count, 1u);
    struct posts *posts = posts_new("q");
    posts_add(posts, NULL, "x");
    posts->publish.prepare = &prepare;
    cr_assert_eq(posts_send_once(&f, &a, posts).count, 1u);
    uint64_t now = f.time_ms;
    fixture_tick(&f, now + 100);
    cr_assert_eq(fixture_count(&f, EFFECT_PREPARED_ASK), 1u);
    cr_assert_eq(f.effects.items[0].session, a.session);
    cr_assert_eq(client_close(&f, &a).error, 0u);
    fixture_tick(&f, now + 200);
    cr_assert_eq(fixture_count(&f, EFFECT_PREPARED_ASK), 0u, "there is nobody");
    cr_assert_eq(producer_open_epoch(&f, &b, "group", false).count, 2u);
    leaving_disturb(&f, true);
    fixture_tick(&f, now + 400);
    cr_assert_eq(fixture_count(&f, EFFECT_PREPARED_ASK), 1u);
    cr_assert_eq(f.effects.items[0].session, b.session);
}
