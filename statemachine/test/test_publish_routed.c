/* Publishing under version 2: heads, exchanges, refusals. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "publish_fixture.h"
#include "statemachine/exchange/binding.h"
#include "statemachine/exchange/route.h"
#include "statemachine/state.h"

#define TOPIC HOLDFAST__DECLARE_EXCHANGE__TYPE__TOPIC
#define FANOUT HOLDFAST__DECLARE_EXCHANGE__TYPE__FANOUT

static void setup(struct fixture *f, struct client *a)
{
    publish_fixture_init(f, a);
    cr_assert_eq(client_declare(f, a, "q").error, 0u);
    cr_assert_eq(client_declare(f, a, "r").error, 0u);
    cr_assert_eq(exchange_declare(f, a, "x", TOPIC).error, 0u);
    cr_assert_eq(exchange_bind(f, a, "x", "q", "a.*").error, 0u);
    cr_assert_eq(exchange_bind(f, a, "x", "r", "*.b").error, 0u);
}

Test(publish_routed, each_message_goes_where_its_head_says)
{
    struct fixture f;
    struct client a;
    setup(&f, &a);
    struct posts *posts = posts_new(NULL);
    posts_add_to(posts, "", "q", "default");
    posts_add_to(posts, "x", "a.c", "to q");
    posts_add_to(posts, "x", "a.b", "to both");
    posts_add_to(posts, "x", "nowhere", "to none");
    struct effect_reply reply = posts_send_once(&f, &a, posts);
    cr_assert_eq(reply.error, 0u, "%s", reply.detail);
    cr_assert_eq(reply.count, 4u);
    cr_assert_eq(reply.unrouted_len + reply.refused_len, 0u);
    cr_assert_eq(ready(&f, "q"), 3u);
    cr_assert_eq(ready(&f, "r"), 1u);
    cr_assert_str_eq(body_at(&f, "q", 1), "default");
    cr_assert_str_eq(body_at(&f, "q", 2), "to q");
    cr_assert_str_eq(body_at(&f, "q", 3), "to both");
    cr_assert_str_eq(body_at(&f, "r", 1), "to both");
    fixture_reopen(&f);
    cr_assert_str_eq(body_at(&f, "r", 1), "to both");
    fixture_done(&f);
}

Test(publish_routed, a_queue_that_is_named_has_them_all_with_their_heads)
{
    struct fixture f;
    struct client a;
    setup(&f, &a);
    struct posts *posts = posts_new("q");
    posts_add_to(posts, "no such exchange", "r", "one");
    posts_add(posts, NULL, "two");
    cr_assert_eq(posts_send_once(&f, &a, posts).count, 2u);
    cr_assert_eq(ready(&f, "q"), 2u);
    struct message message;
    cr_assert_eq(state_message(f.machine, queue_by_id(f.machine, 1), 1, &message), 0);
    cr_assert_gt(message.head_len, 0u);
    message_unref(&message);
    fixture_done(&f);
}

Test(publish_routed, further_keys_lead_to_more_queues_and_to_each_once)
{
    struct fixture f;
    struct client a;
    setup(&f, &a);
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    head.routing_key = (char[]){"q"};
    head.also_key = (char *[]){(char[]){"q"}, (char[]){"none"}};
    head.n_also_key = 2;
    head.hidden_key = (char *[]){(char[]){"r"}};
    head.n_hidden_key = 1;
    struct posts *posts = posts_new(NULL);
    posts_add(posts, &head, "m");
    cr_assert_eq(posts_send_once(&f, &a, posts).count, 1u);
    cr_assert_eq(ready(&f, "q"), 1u);
    cr_assert_eq(ready(&f, "r"), 1u);
    fixture_done(&f);
}

Test(publish_routed, mandatory_ones_without_a_way_are_told_and_told_again)
{
    struct fixture f;
    struct client a;
    setup(&f, &a);
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    head.mandatory = true;
    struct posts *posts = posts_new(NULL);
    for (unsigned i = 0; i < 12; i++) {
        head.routing_key = i == 0 || i == 3 || i == 9 ? (char[]){"none"} : (char[]){"q"};
        posts_add(posts, &head, "m");
    }
    struct effect_reply reply = posts_send_once(&f, &a, posts);
    cr_assert_eq(reply.count, 12u);
    cr_assert_eq(reply.unrouted_len, 2u);
    cr_assert_eq(reply.unrouted[0], 1u << 0 | 1u << 3);
    cr_assert_eq(reply.unrouted[1], 1u << 1);
    cr_assert_eq(ready(&f, "q"), 9u);
    fixture_reopen(&f);
    posts = posts_new(NULL);
    posts_add(posts, NULL, "whatever");
    a.number--;
    reply = posts_send_once(&f, &a, posts);
    cr_assert_eq(reply.count, 12u, "the remembered reply");
    cr_assert_eq(reply.unrouted_len, 2u);
    cr_assert_eq(reply.unrouted[1], 1u << 1);
    a.answered = a.number;
    posts = posts_new("q");
    posts_add(posts, NULL, "m");
    cr_assert_eq(posts_send_once(&f, &a, posts).unrouted_len, 0u);
    posts = posts_new(NULL);
    posts_add_to(posts, "", "q", "m");
    cr_assert_eq(posts_send_once(&f, &a, posts).unrouted_len, 0u);
    fixture_done(&f);
}

Test(publish_routed, refusals_leave_no_trace)
{
    struct fixture f;
    struct client a;
    setup(&f, &a);
    struct posts *posts = posts_new(NULL);
    posts_add_to(posts, "", "q", "good");
    posts_add_to(posts, "missing", "q", "no such exchange");
    posts_refused(&f, &a, posts, E(NOT_FOUND));
    posts_free(posts);

    Holdfast__DeclareExchange declare = HOLDFAST__DECLARE_EXCHANGE__INIT;
    declare.exchange = (char[]){"inner"};
    declare.internal = true;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_EXCHANGE;
    command.declare_exchange = &declare;
    cr_assert_eq(client_command(&f, &a, &command, NULL, 0).error, 0u);
    posts = posts_new(NULL);
    posts_add_to(posts, "", "q", "good");
    posts_add_to(posts, "inner", "q", "internal");
    posts_refused(&f, &a, posts, E(REFUSED));
    posts_free(posts);

    posts = posts_new("missing");
    posts_add(posts, NULL, "m");
    posts_refused(&f, &a, posts, E(NOT_FOUND));
    posts_free(posts);

    posts = posts_new("q");
    posts_add(posts, NULL, "good");
    posts_add(posts, NULL, "bad");
    posts->hashes[1]++;
    posts_refused(&f, &a, posts, E(CHECKSUM));
    posts->hashes[1]--;
    posts->publish.n_head_len = 1;
    posts_refused(&f, &a, posts, E(INVALID));
    posts->publish.n_head_len = 2;
    posts->head_lens[1] = 1;
    posts_refused(&f, &a, posts, E(INVALID));
    posts->head_lens[1] = MESSAGE_HEAD_LEN_MAX + 1;
    posts_refused(&f, &a, posts, E(TOO_BIG));
    posts->head_lens[1] = 0;
    posts->body_lens[1] = BODY_LEN_MAX + 1;
    posts_refused(&f, &a, posts, E(TOO_BIG));
    posts_free(posts);

    posts = posts_new("q");
    posts_add(posts, NULL, "good");
    posts_add(posts, NULL, "\x0a\x05x");
    posts->head_lens[1] = 3;
    posts->body_lens[1] = 0;
    posts_refused(&f, &a, posts, E(INVALID));
    posts_free(posts);

    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    head.deliver_at_ms = f.time_ms + 2 * DELAY_MS_MAX;
    posts = posts_new("q");
    posts_add(posts, NULL, "good");
    posts_add(posts, &head, "too late");
    posts_refused(&f, &a, posts, E(INVALID));
    posts_free(posts);

    cr_assert_eq(ready(&f, "q"), 0u);
    fixture_done(&f);
}

Test(publish_routed, an_exclusive_queue_is_its_sessions)
{
    struct fixture f;
    struct client a;
    struct client b;
    setup(&f, &a);
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.exclusive = true;
    cr_assert_eq(options_declare(&f, &a, "mine", &options).error, 0u);
    cr_assert_eq(client_attach(&f, &b, 2, false).error, 0u);
    struct posts *posts = posts_new("mine");
    posts_add(posts, NULL, "m");
    posts_refused(&f, &b, posts, E(EXCLUSIVE));
    cr_assert_eq(posts_send_once(&f, &a, posts).count, 1u);
    posts = posts_new(NULL);
    posts_add_to(posts, "", "mine", "m");
    cr_assert_eq(posts_send_once(&f, &b, posts).count, 1u, "through an exchange everybody may");
    cr_assert_eq(ready(&f, "mine"), 2u);
    fixture_done(&f);
}

Test(publish_routed, with_each_the_others_are_taken_and_a_sequence_is_used_up)
{
    struct fixture f;
    struct client a;
    setup(&f, &a);
    struct posts *posts = posts_new(NULL);
    posts_add_to(posts, "", "q", "one");
    posts_add_to(posts, "missing", "q", "two");
    posts_add_to(posts, "", "q", "three");
    posts->publish.each = true;
    posts->publish.producer = (char[]){"p"};
    posts->publish.first_sequence = 1;
    struct effect_reply reply = posts_send(&f, &a, posts);
    cr_assert_eq(reply.error, 0u);
    cr_assert_eq(reply.count, 2u);
    cr_assert_eq(reply.refused_len, 1u);
    cr_assert_eq(reply.refused[0], 2u);
    cr_assert_eq(exchange_declare(&f, &a, "missing", FANOUT).error, 0u);
    cr_assert_eq(exchange_bind(&f, &a, "missing", "q", "").error, 0u);
    reply = posts_send_once(&f, &a, posts);
    cr_assert_eq(reply.count, 0u);
    cr_assert_eq(reply.repeated_count, 3u);
    cr_assert_eq(reply.refused_len, 0u);
    cr_assert_eq(ready(&f, "q"), 2u);
    fixture_done(&f);
}

Test(publish_routed, what_is_in_already_does_not_need_its_exchange_any_more)
{
    struct fixture f;
    struct client a;
    setup(&f, &a);
    struct posts *posts = posts_new(NULL);
    posts_add_to(posts, "x", "a.c", "one");
    posts->publish.producer = (char[]){"p"};
    posts->publish.first_sequence = 1;
    cr_assert_eq(posts_send(&f, &a, posts).count, 1u);
    Holdfast__DeleteExchange delete = HOLDFAST__DELETE_EXCHANGE__INIT;
    delete.exchange = (char[]){"x"};
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_DELETE_EXCHANGE;
    command.delete_exchange = &delete;
    cr_assert_eq(client_command(&f, &a, &command, NULL, 0).error, 0u);
    cr_assert_eq(posts_send_once(&f, &a, posts).repeated_count, 1u);
    fixture_done(&f);
}

Test(publish_routed, under_version_1_heads_do_not_exist)
{
    struct fixture f;
    struct client a;
    setup(&f, &a);
    f.machine->version = 1;
    struct posts *posts = posts_new("q");
    posts_add(posts, NULL, "m");
    posts->publish.producer_epoch = 7;
    posts->publish.no_gaps = true;
    posts->publish.producer = (char[]){"p"};
    posts->publish.first_sequence = 9;
    cr_assert_eq(posts_send_once(&f, &a, posts).count, 1u);
    cr_assert_eq(producer_open_epoch(&f, &a, "p", false).error, E(INVALID));
    fixture_done(&f);
}

static void name_nth(char name[16], unsigned nth)
{
    (void)snprintf(name, 16, "x%u", nth);
}

/* Exchanges x0 to x`len`, each leading to the next, and the last to the queue. */
static void chain(struct fixture *f, unsigned len)
{
    struct exchange *before = NULL;
    for (unsigned i = 0; i <= len; i++) {
        char name[16];
        struct exchange *exchange;
        struct exchange_properties properties = {.type = EXCHANGE_FANOUT};
        struct binding *binding;
        name_nth(name, i);
        cr_assert_eq(exchange_new(f->machine, VIRTUAL_HOST_ROOT, name, strlen(name), &properties, &exchange), 0);
        struct binding_ends ends = {.source = before != NULL ? before : exchange, .to_exchange = exchange};
        if (before != NULL) {
            cr_assert_eq(binding_find(f->machine, &ends, &binding), 0);
            cr_assert_eq(binding_new(f->machine, &ends), 0);
        }
        before = exchange;
    }
    struct binding_ends ends = {.source = before, .to_queue = queue_by_name(f->machine, VIRTUAL_HOST_ROOT, "q")};
    struct binding *binding;
    cr_assert_eq(binding_find(f->machine, &ends, &binding), 0);
    cr_assert_eq(binding_new(f->machine, &ends), 0);
}

Test(publish_routed, a_way_over_too_many_exchanges_is_refused)
{
    struct fixture f;
    struct client a;
    setup(&f, &a);
    chain(&f, ROUTE_EXCHANGES_MAX);
    struct posts *posts = posts_new(NULL);
    posts_add_to(posts, "", "q", "m");
    posts_add_to(posts, "x0", "", "m");
    posts_refused(&f, &a, posts, E(LIMIT));
    posts_free(posts);
    posts = posts_new(NULL);
    posts_add_to(posts, "x1", "", "as many as may be");
    cr_assert_eq(posts_send_once(&f, &a, posts).error, 0u);
    cr_assert_eq(ready(&f, "q"), 1u);
    fixture_done(&f);
}
