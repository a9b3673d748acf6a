/* Limits on a queue's length: who goes, who is refused, and what does not count. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "asking.h"

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

TestSuite(overflow, .init = start, .fini = stop);

/* A queue of at most `length` messages whose dead letters go to "dead". */
static void limited(const char *queue, uint64_t length, Holdfast__QueueOptions__Overflow overflow,
                    Holdfast__QueueOptions options)
{
    Holdfast__QueueOptions dead = options_dead("", "dead");
    options.has_dead_letter = dead.has_dead_letter;
    options.dead_letter_exchange = dead.dead_letter_exchange;
    options.has_dead_letter_key = dead.has_dead_letter_key;
    options.dead_letter_key = dead.dead_letter_key;
    options.has_max_length = true;
    options.max_length = length;
    options.overflow = overflow;
    leaving_declare(&f, &a, "dead", NULL);
    leaving_declare(&f, &a, queue, &options);
}

static const Holdfast__QueueOptions none = HOLDFAST__QUEUE_OPTIONS__INIT;

static void publish_with(const char *queue, uint32_t priority, const char *body)
{
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    struct posts *posts = posts_new(queue);
    head.priority = priority;
    posts_add(posts, &head, body);
    struct effect_reply reply = posts_send_once(&f, &a, posts);
    cr_assert_eq(reply.error, 0u, "%s", reply.detail);
    cr_assert_eq(reply.count, 1u);
}

static Holdfast__Death__Reason reason_of(const char *queue, uint64_t position)
{
    Holdfast__Trail *trail = leaving_trail(&f, queue, position);
    cr_assert_not_null(trail);
    Holdfast__Death__Reason reason = trail->death[0]->reason;
    holdfast__trail__free_unpacked(trail, NULL);
    return reason;
}

Test(overflow, the_first_of_the_lowest_priority_goes)
{
    Holdfast__QueueOptions options = none;
    options.max_priority = 3;
    limited("q", 3, HOLDFAST__QUEUE_OPTIONS__OVERFLOW__DROP_OLDEST, options);
    publish_with("q", 3, "high");
    publish_with("q", 1, "low1");
    publish_with("q", 1, "low2");
    leaving_disturb(&f, true);
    publish_with("q", 2, "middle");
    cr_assert_str_eq(ask_bodies(&f, "q"), "high middle low2 ");
    publish_with("q", 0, "lowest");
    cr_assert_str_eq(ask_bodies(&f, "q"), "high middle lowest ", "the new one is not among those that go");
    publish_with("q", 3, "high2");
    publish_with("q", 3, "high3");
    publish_with("q", 3, "high4");
    cr_assert_str_eq(ask_bodies(&f, "q"), "high2 high3 high4 ");
    cr_assert_str_eq(ask_bodies(&f, "dead"), "low1 low2 lowest middle high ");
    cr_assert_eq(reason_of("dead", 1), HOLDFAST__DEATH__REASON__MAXLEN);
}

Test(overflow, what_comes_back_is_the_first_to_go_and_may_be_above_the_limit)
{
    limited("q", 2, HOLDFAST__QUEUE_OPTIONS__OVERFLOW__DROP_OLDEST, none);
    cr_assert_eq(client_subscribe(&f, &a, "q", 1, 2).error, 0u);
    client_publish(&f, &a, "q", NULL, 1, 2);
    client_publish(&f, &a, "q", NULL, 3, 2);
    cr_assert_str_eq(ask_bodies(&f, "q"), "m1 m2 m3 m4 ", "what is out does not count");
    cr_assert_eq(client_unsubscribe(&f, &a, 1).error, 0u);
    cr_assert_eq(fixture_queue(&f, "q").ready, 4u);
    cr_assert_eq(fixture_queue(&f, "dead").ready, 0u);
    leaving_disturb(&f, true);
    client_publish(&f, &a, "q", NULL, 5, 1);
    cr_assert_str_eq(ask_bodies(&f, "q"), "m4 m5 ");
    cr_assert_str_eq(ask_bodies(&f, "dead"), "m1 m2 m3 ");
}

Test(overflow, a_queue_that_refuses_takes_what_is_not_published)
{
    limited("q", 2, HOLDFAST__QUEUE_OPTIONS__OVERFLOW__REJECT_NEW, none);
    client_publish(&f, &a, "q", NULL, 1, 2);
    cr_assert_eq(client_publish(&f, &a, "q", NULL, 3, 1).error, E(FULL));
    Holdfast__QueueOptions to = options_dead("", "q");
    leaving_declare(&f, &a, "source", &to);
    client_publish(&f, &a, "source", NULL, 4, 1);
    cr_assert_eq(client_subscribe(&f, &a, "source", 1, 1).error, 0u);
    cr_assert_eq(client_settle(&f, &a, 1, REJECT, 1, 1).count, 1u);
    cr_assert_str_eq(ask_bodies(&f, "q"), "m1 m2 m4 ", "nothing goes for it");
    cr_assert_str_eq(ask_bodies(&f, "dead"), "");
    leaving_disturb(&f, true);
    cr_assert_eq(client_publish(&f, &a, "q", NULL, 5, 1).error, E(FULL));
    cr_assert_eq(client_subscribe(&f, &a, "q", 2, 1).error, 0u);
    cr_assert_eq(client_settle(&f, &a, 2, ACCEPT, 1, 1).count, 1u);
    cr_assert_eq(client_publish(&f, &a, "q", NULL, 5, 1).error, 0u, "two are out or gone");
}

Test(overflow, a_new_message_may_be_the_dead_letter)
{
    limited("q", 2, HOLDFAST__QUEUE_OPTIONS__OVERFLOW__REJECT_NEW_DEAD_LETTER, none);
    struct effect_reply reply = client_publish(&f, &a, "q", NULL, 1, 3);
    cr_assert_eq(reply.error, 0u);
    cr_assert_eq(reply.count, 3u, "it counts as taken");
    cr_assert_str_eq(ask_bodies(&f, "q"), "m1 m2 ");
    cr_assert_str_eq(ask_bodies(&f, "dead"), "m3 ");
    cr_assert_eq(reason_of("dead", 1), HOLDFAST__DEATH__REASON__MAXLEN);
    leaving_disturb(&f, true);
    Holdfast__QueueOptions to = options_dead("", "q");
    leaving_declare(&f, &a, "source", &to);
    client_publish(&f, &a, "source", NULL, 4, 1);
    cr_assert_eq(client_subscribe(&f, &a, "source", 1, 1).error, 0u);
    cr_assert_eq(client_settle(&f, &a, 1, REJECT, 1, 1).count, 1u);
    cr_assert_str_eq(ask_bodies(&f, "q"), "m2 m4 ", "a dead letter takes the place of the oldest");
    cr_assert_str_eq(ask_bodies(&f, "dead"), "m3 m1 ");
}

Test(overflow, of_bytes_as_many_go_as_are_in_the_way)
{
    Holdfast__QueueOptions options = none;
    options.has_max_bytes = true;
    options.max_bytes = 10;
    leaving_declare(&f, &a, "q", &options);
    leaving_publish(&f, &a, "q", "1234", UINT64_MAX);
    leaving_publish(&f, &a, "q", "56", UINT64_MAX);
    leaving_publish(&f, &a, "q", "789A", UINT64_MAX);
    cr_assert_eq(fixture_queue(&f, "q").ready, 3u);
    leaving_disturb(&f, true);
    leaving_publish(&f, &a, "q", "bcdef", UINT64_MAX);
    cr_assert_str_eq(ask_bodies(&f, "q"), "789A bcdef ");
    leaving_publish(&f, &a, "q", "much too long", UINT64_MAX);
    cr_assert_str_eq(ask_bodies(&f, "q"), "789A bcdef ", "it would not fit alone: it goes itself");
}

Test(overflow, so_many_go_for_one_that_comes_in)
{
    leaving_declare(&f, &a, "q", NULL);
    client_publish(&f, &a, "q", NULL, 1, 2000);
    Holdfast__QueueOptions options = none;
    options.has_max_length = true;
    options.max_length = 5;
    cr_assert_eq(ask_change(&f, &a, "q", &options, NULL, 0).error, 0u);
    client_publish(&f, &a, "q", NULL, 1, 1);
    cr_assert_eq(fixture_queue(&f, "q").ready, 2000u - 1024u + 1u);
    client_publish(&f, &a, "q", NULL, 1, 1);
    cr_assert_eq(fixture_queue(&f, "q").ready, 5u);
}
