/* Rules of publishing that hold for each message: keys, delays, ids. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "asking.h"
#include "statemachine/state.h"

static struct fixture f;
static struct client a;

static void start(void)
{
    publish_fixture_init(&f, &a);
}

static void stop(void)
{
    fixture_done(&f);
}

TestSuite(publish_rules, .init = start, .fini = stop);

#define TEN_YEARS_MS (UINT64_C(10) * 366 * 24 * 3600 * 1000)

static struct effect_reply publish(const char *queue, const Holdfast__MessageHead *head, const char *body)
{
    struct posts *posts = posts_new(queue);
    posts_add(posts, head, body);
    return posts_send_once(&f, &a, posts);
}

static void publish_refused(const Holdfast__MessageHead *head, uint32_t error)
{
    struct posts *posts = posts_new(NULL);
    posts_add(posts, head, "x");
    posts_refused(&f, &a, posts, error);
    posts_free(posts);
}

Test(publish_rules, so_many_further_keys)
{
    char keys[257][8];
    char *also[257];
    for (size_t i = 0; i < 257; i++) {
        snprintf(keys[i], sizeof keys[i], "q%zu", i);
        also[i] = keys[i];
    }
    leaving_declare(&f, &a, "q255", NULL);
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    head.also_key = also;
    head.n_also_key = 257;
    publish_refused(&head, E(INVALID));
    head.n_also_key = 256;
    cr_assert_eq(publish(NULL, &head, "x").error, 0u);
    cr_assert_eq(ready(&f, "q255"), 1u, "the last of them counts, too");
    head.n_also_key = 200;
    head.hidden_key = also + 200;
    head.n_hidden_key = 57;
    publish_refused(&head, E(INVALID));
    head.n_hidden_key = 56;
    cr_assert_eq(publish(NULL, &head, "x").error, 0u);
    cr_assert_eq(ready(&f, "q255"), 2u);
}

Test(publish_rules, a_delay_is_of_ten_years_at_most)
{
    leaving_declare(&f, &a, "q", NULL);
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    head.routing_key = "q";
    head.delay_ms = UINT64_MAX;
    publish_refused(&head, E(INVALID));
    head.delay_ms = TEN_YEARS_MS + 1;
    publish_refused(&head, E(INVALID));
    head.delay_ms = TEN_YEARS_MS;
    cr_assert_eq(publish(NULL, &head, "x").error, 0u);
    head.delay_ms = 0;
    head.deliver_at_ms = UINT64_MAX;
    publish_refused(&head, E(INVALID));
    head.deliver_at_ms = 1;
    cr_assert_eq(publish(NULL, &head, "past").error, 0u);
    cr_assert_str_eq(ask_bodies(&f, "q"), "past ", "what has passed is now");
}

Test(publish_rules, of_those_due_at_the_same_time_the_first_published_is_first)
{
    leaving_declare(&f, &a, "q", NULL);
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    uint64_t due_ms = f.time_ms + 500;
    head.deliver_at_ms = due_ms;
    publish("q", &head, "first");
    head.deliver_at_ms = due_ms - 1;
    publish("q", &head, "earlier");
    head.deliver_at_ms = due_ms;
    publish("q", &head, "second");
    leaving_disturb(&f, true);
    head.deliver_at_ms = due_ms;
    publish("q", &head, "third");
    fixture_tick(&f, due_ms - 2);
    cr_assert_str_eq(ask_bodies(&f, "q"), "");
    fixture_tick(&f, due_ms);
    cr_assert_str_eq(ask_bodies(&f, "q"), "earlier first second third ");
}

/* ---- Ids ---- */

static Holdfast__MessageHead with_id(const char *id)
{
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    head.message_id = (char *)(uintptr_t)id;
    return head;
}

static Holdfast__QueueOptions window(uint64_t window_ms)
{
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.id_window_ms = window_ms;
    return options;
}

Test(publish_rules, an_id_keeps_a_message_out_of_the_queues_that_have_seen_it)
{
    Holdfast__QueueOptions options = window(1000);
    leaving_declare(&f, &a, "q", &options);
    leaving_declare(&f, &a, "r", NULL);
    exchange_bind(&f, &a, "amq.fanout", "q", "");
    exchange_bind(&f, &a, "amq.fanout", "r", "");
    Holdfast__MessageHead head = with_id("id");
    cr_assert_eq(publish("q", &head, "1").count, 1u);
    head.exchange = "amq.fanout";
    struct effect_reply reply = publish(NULL, &head, "2");
    cr_assert_eq(reply.count, 1u, "it came into one of its queues");
    cr_assert_eq(reply.repeated_count, 0u);
    cr_assert_str_eq(ask_bodies(&f, "q"), "1 ");
    cr_assert_str_eq(ask_bodies(&f, "r"), "2 ");
    reply = publish("q", &head, "3");
    cr_assert_eq(reply.count, 0u);
    cr_assert_eq(reply.repeated_count, 1u);
}

Test(publish_rules, an_id_counts_from_when_it_came_into_the_queue)
{
    Holdfast__QueueOptions options = window(1000);
    leaving_declare(&f, &a, "q", &options);
    Holdfast__MessageHead head = with_id("id");
    head.delay_ms = 500;
    uint64_t now = f.time_ms;
    cr_assert_eq(publish("q", &head, "1").count, 1u);
    cr_assert_eq(publish("q", &head, "2").count, 1u, "none has come in yet");
    fixture_tick(&f, now + 600);
    leaving_disturb(&f, true);
    cr_assert_str_eq(ask_bodies(&f, "q"), "1 ", "they are looked at when they are due");
    head.delay_ms = 0;
    fixture_tick(&f, now + 1500);
    cr_assert_eq(publish("q", &head, "3").repeated_count, 1u);
    fixture_tick(&f, now + 1600);
    cr_assert_eq(publish("q", &head, "4").count, 1u);
    cr_assert_str_eq(ask_bodies(&f, "q"), "1 4 ");
}

Test(publish_rules, ids_of_dead_letters_are_not_looked_at)
{
    Holdfast__QueueOptions options = window(1000);
    Holdfast__QueueOptions from = options_dead("", "q");
    leaving_declare(&f, &a, "q", &options);
    leaving_declare(&f, &a, "source", &from);
    Holdfast__MessageHead head = with_id("id");
    cr_assert_eq(publish("q", &head, "1").count, 1u);
    cr_assert_eq(publish("source", &head, "2").count, 1u);
    cr_assert_eq(client_subscribe(&f, &a, "source", 1, 1).error, 0u);
    cr_assert_eq(client_settle(&f, &a, 1, REJECT, 1, 1).count, 1u);
    cr_assert_str_eq(ask_bodies(&f, "q"), "1 2 ");
}

Test(publish_rules, the_id_of_one_that_is_too_large_is_not_remembered)
{
    Holdfast__QueueOptions options = window(1000);
    options.has_max_bytes = true;
    options.max_bytes = 12;
    leaving_declare(&f, &a, "q", &options);
    Holdfast__MessageHead head = with_id("id");
    cr_assert_eq(publish("q", &head, "much too large").count, 1u);
    cr_assert_eq(fixture_queue(&f, "q").ready, 0u);
    cr_assert_eq(publish("q", &head, "small").count, 1u);
    cr_assert_eq(fixture_queue(&f, "q").ready, 1u);
}

/* What one entry planned is no burden for those that follow. */
Test(publish_rules, a_plan_is_forgotten_when_it_is_done)
{
    cr_assert_eq(client_declare(&f, &a, "q").error, 0u);
    for (unsigned i = 0; i < 5; i++) {
        struct posts *posts = posts_new("q");
        posts_add(posts, NULL, "one");
        posts_add(posts, NULL, "two");
        cr_assert_eq(posts_send_once(&f, &a, posts).count, 2u);
        cr_assert_leq(f.machine->publishing.messages_len, 2u);
        cr_assert_leq(f.machine->publishing.targets_len, 2u);
    }
}
