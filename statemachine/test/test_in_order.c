/* Publishes that do not overtake one that was not let in, and is sent again. */

#include <criterion/criterion.h>

#include "asking.h"
#include "proto/base/fault.h"
#include "statemachine/state.h"

static struct fixture f;
static struct client a;

static void start(void)
{
    publish_fixture_init(&f, &a);
    leaving_declare(&f, &a, "q", NULL);
    a.answered = a.number;
}

static void stop(void)
{
    fault_reset();
    fixture_done(&f);
}

TestSuite(in_order, .init = start, .fini = stop);

static struct effect_reply send(const char *queue, bool in_order, const char *body, unsigned count)
{
    struct posts *posts = posts_new(queue);
    posts->publish.in_order = in_order;
    for (unsigned i = 0; i < count; i++) {
        posts_add(posts, NULL, body);
    }
    return posts_send_once(&f, &a, posts);
}

Test(in_order, what_is_sent_before_a_refusal_is_known_is_refused)
{
    (void)client_refused(&f, &a, E(NO_SPACE));
    leaving_disturb(&f, true);
    struct effect_reply reply = send("q", true, "b", 1);
    cr_assert_eq(reply.error, E(REFUSED));
    cr_assert_str_eq(reply.detail, "a publish before it failed, and its client did not know yet");
    cr_assert_eq(send("q", false, "other", 1).error, 0u, "who did not ask for it is let in");
    a.answered += 1;
    cr_assert_eq(send("q", true, "c", 1).error, E(REFUSED), "the refusal of b is not known");
    leaving_disturb(&f, true);
    a.answered = a.number;
    cr_assert_eq(send("q", true, "a", 1).error, 0u);
    cr_assert_eq(send("q", true, "b", 1).error, 0u);
    cr_assert_eq(send("q", true, "c", 1).error, 0u);
    cr_assert_str_eq(ask_bodies(&f, "q"), "other a b c ");
}

Test(in_order, what_failed_as_a_whole_may_be_sent_again_one_by_one)
{
    cr_assert_eq(send("nowhere", true, "a", 2).error, E(NOT_FOUND));
    cr_assert_eq(send("q", true, "b", 1).error, E(REFUSED));
    a.answered = a.number;
    cr_assert_eq(send("nowhere", true, "a", 1).error, E(NOT_FOUND));
    cr_assert_eq(send("q", true, "a", 1).error, 0u, "one message that fails is not sent again");
    cr_assert_eq(send("nowhere", false, "b", 2).error, E(NOT_FOUND));
    cr_assert_eq(send("q", true, "b", 1).error, 0u);
    cr_assert_str_eq(ask_bodies(&f, "q"), "a b ");
}

Test(in_order, the_limit_on_ready_messages_is_for_each_of_them)
{
    cr_assert_eq(ask_limit(&f, &a, HOLDFAST__LIMIT__WHAT__READY_MESSAGES, 1).error, 0u);
    cr_assert_eq(send("q", true, "a", 1).error, 0u);
    cr_assert_eq(send("q", true, "b", 2).error, E(LIMIT));
    cr_assert_eq(client_purge(&f, &a, "q").error, 0u);
    cr_assert_eq(send("q", true, "c", 1).error, 0u);
}

Test(in_order, a_producer_keeps_its_order_anyway)
{
    cr_assert_eq(client_publish(&f, &a, "nowhere", "p", 1, 1).error, E(NOT_FOUND));
    cr_assert_eq(send("q", true, "b", 1).error, E(REFUSED));
    a.answered = a.number;
    struct posts *posts = posts_new("nowhere");
    posts->publish.in_order = true;
    posts->publish.producer = (char[]){"p"};
    posts->publish.first_sequence = 1;
    posts_add(posts, NULL, "a");
    cr_assert_eq(posts_send_once(&f, &a, posts).error, E(NOT_FOUND));
    cr_assert_eq(client_publish(&f, &a, "q", "p", 2, 1).error, E(REFUSED));
}

Test(in_order, version_1_does_not_know_it)
{
    f.machine->version = 1;
    (void)client_refused(&f, &a, E(NO_SPACE));
    Holdfast__Publish publish = HOLDFAST__PUBLISH__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    uint32_t len = 0;
    uint64_t hash = UINT64_C(0x2d06800538d394c2); /* XXH3-64 of nothing. */
    command.kind_case = HOLDFAST__COMMAND__KIND_PUBLISH;
    command.publish = &publish;
    publish.queue = (char[]){"q"};
    publish.n_body_len = publish.n_body_hash = 1;
    publish.body_len = &len;
    publish.body_hash = &hash;
    publish.in_order = true;
    cr_assert_eq(client_command(&f, &a, &command, NULL, 0).error, 0u);
    f.machine->version = 2;
}
