/* Dead letters that go back to where they died. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "leaving_fixture.h"
#include "statemachine/queue/moving.h"
#include "statemachine/queue/queue.h"

/* "a" and "b", with their dead letters in "dead": of each three have died, in turn. */
static void two_dead(struct fixture *f, struct client *a)
{
    publish_fixture_init(f, a);
    Holdfast__QueueOptions options = options_dead("", "dead");
    leaving_declare(f, a, "a", &options);
    leaving_declare(f, a, "b", &options);
    leaving_declare(f, a, "dead", NULL);
    cr_assert_eq(client_subscribe(f, a, "a", 1, 1).error, 0u);
    cr_assert_eq(client_subscribe(f, a, "b", 2, 1).error, 0u);
    for (uint64_t i = 1; i <= 3; i++) {
        char body[] = {'a', (char)('0' + i), 0};
        leaving_publish(f, a, "a", body, UINT64_MAX);
        cr_assert_eq(client_settle(f, a, 1, REJECT, i, i).count, 1u);
        body[0] = 'b';
        leaving_publish(f, a, "b", body, UINT64_MAX);
        cr_assert_eq(client_settle(f, a, 2, REJECT, i, i).count, 1u);
    }
    cr_assert_eq(client_unsubscribe(f, a, 1).error, 0u);
    cr_assert_eq(client_unsubscribe(f, a, 2).error, 0u);
    cr_assert_eq(ready(f, "dead"), 6u);
}

Test(redrive, goes_back_to_where_each_died_the_oldest_first)
{
    for (int disturb = 0; disturb < 2; disturb++) {
        struct fixture f;
        struct client a;
        two_dead(&f, &a);
        leaving_disturb(&f, disturb);
        struct effect_reply reply = leaving_redrive(&f, &a, "dead", "", "", 3);
        cr_assert_eq(reply.error, 0u, "%s", reply.detail);
        cr_assert_eq(reply.count, 3u);
        cr_assert_eq(reply.repeated_count, 0u);
        leaving_disturb(&f, disturb);
        cr_assert_eq(ready(&f, "a"), 2u);
        cr_assert_str_eq(body_at(&f, "a", 4), "a1");
        cr_assert_str_eq(body_at(&f, "a", 5), "a2");
        cr_assert_str_eq(body_at(&f, "b", 4), "b1");
        cr_assert_null(leaving_trail(&f, "a", 4));
        cr_assert_eq(leaving_counters(&f, "dead")->redriven, 3u);
        cr_assert_eq(leaving_redrive(&f, &a, "dead", "", "", 0).count, 3u);
        cr_assert_eq(ready(&f, "dead"), 0u);
        cr_assert_eq(leaving_redrive(&f, &a, "dead", "", "", 0).count, 0u);
        fixture_done(&f);
    }
}

Test(redrive, leaves_what_is_not_meant_or_has_nowhere_to_go)
{
    for (int disturb = 0; disturb < 2; disturb++) {
        struct fixture f;
        struct client a;
        two_dead(&f, &a);
        leaving_publish(&f, &a, "dead", "alive", UINT64_MAX);
        struct effect_reply reply = leaving_redrive(&f, &a, "dead", "", "b", 0);
        cr_assert_eq(reply.count, 3u);
        cr_assert_eq(reply.repeated_count, 4u);
        leaving_disturb(&f, disturb);
        cr_assert_eq(client_delete(&f, &a, "a", false).error, 0u);
        reply = leaving_redrive(&f, &a, "dead", "", "", 0);
        cr_assert_eq(reply.count, 0u);
        cr_assert_eq(reply.repeated_count, 4u);
        leaving_disturb(&f, disturb);
        leaving_declare(&f, &a, "a", NULL);
        reply = leaving_redrive(&f, &a, "dead", "", "", 0);
        cr_assert_eq(reply.count, 3u);
        cr_assert_eq(reply.repeated_count, 1u);
        cr_assert_str_eq(body_at(&f, "a", 3), "a3");
        leaving_disturb(&f, disturb);
        cr_assert_eq(client_subscribe(&f, &a, "dead", 3, 1).error, 0u);
        cr_assert_eq(fixture_delivery(&f, 0)->delivery.position, 7u);
        fixture_done(&f);
    }
}

Test(redrive, goes_to_another_queue_when_that_is_asked_for)
{
    struct fixture f;
    struct client a;
    two_dead(&f, &a);
    leaving_declare(&f, &a, "other", NULL);
    cr_assert_eq(leaving_redrive(&f, &a, "dead", "other", "a", 2).count, 2u);
    cr_assert_str_eq(body_at(&f, "other", 1), "a1");
    cr_assert_str_eq(body_at(&f, "other", 2), "a2");
    cr_assert_eq(leaving_redrive(&f, &a, "dead", "dead", "", 0).count, 4u);
    cr_assert_eq(ready(&f, "dead"), 4u);
    cr_assert_null(leaving_trail(&f, "dead", 7));
    fixture_done(&f);
}

Test(redrive, takes_what_came_back_and_leaves_what_is_locked)
{
    struct fixture f;
    struct client a;
    two_dead(&f, &a);
    cr_assert_eq(client_subscribe(&f, &a, "dead", 3, 3).error, 0u);
    cr_assert_eq(client_set_credit(&f, &a, 3, 0).error, 0u);
    cr_assert_eq(client_settle(&f, &a, 3, RELEASE, 2, 2).count, 1u);
    cr_assert_eq(leaving_redrive(&f, &a, "dead", "", "", 2).count, 2u);
    cr_assert_str_eq(body_at(&f, "b", 4), "b1");
    cr_assert_str_eq(body_at(&f, "b", 5), "b2");
    cr_assert_eq(fixture_queue(&f, "dead").unsettled, 2u);
    cr_assert_eq(ready(&f, "dead"), 2u);
    fixture_done(&f);
}

Test(redrive, is_refused_when_it_cannot_be_meant)
{
    struct fixture f;
    struct client a;
    two_dead(&f, &a);
    cr_assert_eq(leaving_redrive(&f, &a, "nowhere", "", "", 0).error, E(NOT_FOUND));
    cr_assert_eq(leaving_redrive(&f, &a, "dead", "nowhere", "", 0).error, E(NOT_FOUND));
    cr_assert_eq(leaving_redrive(&f, &a, "dead", "", "", MOVE_MAX + 1).error, E(INVALID));
    struct client b;
    cr_assert_eq(client_attach(&f, &b, 2, false).error, 0u);
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.exclusive = true;
    leaving_declare(&f, &a, "mine", &options);
    cr_assert_eq(leaving_redrive(&f, &b, "mine", "", "", 0).error, E(EXCLUSIVE));
    cr_assert_eq(leaving_redrive(&f, &b, "dead", "mine", "", 0).error, E(EXCLUSIVE));
    cr_assert_eq(ready(&f, "dead"), 6u);
    fixture_done(&f);
}
