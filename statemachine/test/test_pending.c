/* Delayed messages. */

#include <criterion/criterion.h>
#include <string.h>

#include "publish_fixture.h"
#include "statemachine/publish/pending.h"
#include "statemachine/state.h"

static void add_delayed(struct posts *posts, const char *exchange, const char *key, uint64_t delay_ms, const char *body)
{
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    head.exchange = (char *)(uintptr_t)exchange;
    head.routing_key = (char *)(uintptr_t)key;
    head.delay_ms = delay_ms;
    posts_add(posts, &head, body);
}

Test(pending, a_message_comes_when_its_time_has_come)
{
    for (int reopens = 0; reopens < 2; reopens++) {
        struct fixture f;
        struct client a;
        publish_fixture_init(&f, &a);
        cr_assert_eq(client_declare(&f, &a, "q").error, 0u);
        struct posts *posts = posts_new(NULL);
        add_delayed(posts, "", "q", 500, "later");
        add_delayed(posts, "", "q", 100, "sooner");
        add_delayed(posts, "", "q", 0, "now");
        add_delayed(posts, "", "q", 100, "as soon");
        uint64_t at_ms = f.time_ms;
        struct effect_reply reply = posts_send_once(&f, &a, posts);
        cr_assert_eq(reply.count, 4u);
        cr_assert_eq(ready(&f, "q"), 1u);
        cr_assert_eq(machine_due_ms(f.machine), at_ms + 100);
        if (reopens) {
            fixture_reopen(&f);
        }
        fixture_tick(&f, at_ms + 99);
        cr_assert_eq(ready(&f, "q"), 1u);
        fixture_tick(&f, at_ms + 100);
        cr_assert_eq(ready(&f, "q"), 3u);
        cr_assert_str_eq(body_at(&f, "q", 1), "now");
        cr_assert_str_eq(body_at(&f, "q", 2), "sooner");
        cr_assert_str_eq(body_at(&f, "q", 3), "as soon");
        if (reopens) {
            fixture_reopen(&f);
        }
        fixture_tick(&f, at_ms + 10000);
        cr_assert_str_eq(body_at(&f, "q", 4), "later");
        cr_assert_eq(machine_due_ms(f.machine), UINT64_MAX);
        fixture_reopen(&f);
        cr_assert_str_eq(body_at(&f, "q", 4), "later");
        fixture_done(&f);
    }
}

Test(pending, it_is_routed_when_it_is_due_and_mandatory_is_answered_at_once)
{
    struct fixture f;
    struct client a;
    publish_fixture_init(&f, &a);
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    head.exchange = (char[]){"amq.fanout"};
    head.delay_ms = 100;
    head.mandatory = true;
    struct posts *posts = posts_new(NULL);
    posts_add(posts, &head, "m");
    struct effect_reply reply = posts_send(&f, &a, posts);
    cr_assert_eq(reply.count, 1u);
    cr_assert_eq(reply.unrouted_len, 1u);
    cr_assert_eq(client_declare(&f, &a, "q").error, 0u);
    cr_assert_eq(exchange_bind(&f, &a, "amq.fanout", "q", "").error, 0u);
    cr_assert_eq(posts_send_once(&f, &a, posts).unrouted_len, 0u);
    fixture_tick(&f, f.time_ms + 1000);
    cr_assert_eq(ready(&f, "q"), 2u);
    fixture_done(&f);
}

Test(pending, to_a_queue_by_name_that_may_be_gone)
{
    struct fixture f;
    struct client a;
    publish_fixture_init(&f, &a);
    cr_assert_eq(client_declare(&f, &a, "q").error, 0u);
    cr_assert_eq(client_declare(&f, &a, "r").error, 0u);
    struct posts *posts = posts_new("q");
    add_delayed(posts, "missing", "r", 100, "m");
    cr_assert_eq(posts_send(&f, &a, posts).count, 1u);
    fixture_tick(&f, f.time_ms + 200);
    cr_assert_eq(ready(&f, "q"), 1u);
    cr_assert_eq(ready(&f, "r"), 0u);
    cr_assert_eq(posts_send_once(&f, &a, posts).count, 1u);
    cr_assert_eq(client_delete(&f, &a, "q", false).error, 0u);
    fixture_tick(&f, f.time_ms + 200);
    cr_assert_eq(machine_due_ms(f.machine), UINT64_MAX);
    fixture_done(&f);
}

Test(pending, it_comes_into_a_full_queue_and_its_time_to_live_counts_from_then)
{
    struct fixture f;
    struct client a;
    publish_fixture_init(&f, &a);
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.has_max_length = true;
    options.max_length = 1;
    options.overflow = HOLDFAST__QUEUE_OPTIONS__OVERFLOW__REJECT_NEW;
    cr_assert_eq(options_declare(&f, &a, "q", &options).error, 0u);
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    head.delay_ms = 100;
    head.has_ttl = true;
    head.ttl_ms = 50;
    struct posts *posts = posts_new("q");
    posts_add(posts, &head, "late");
    cr_assert_eq(posts_send_once(&f, &a, posts).count, 1u);
    posts = posts_new("q");
    posts_add(posts, NULL, "there");
    cr_assert_eq(posts_send_once(&f, &a, posts).count, 1u);
    uint64_t at_ms = f.time_ms + 1000;
    fixture_tick(&f, at_ms);
    cr_assert_eq(ready(&f, "q"), 2u);
    cr_assert_str_eq(body_at(&f, "q", 1), "there");
    cr_assert_str_eq(body_at(&f, "q", 2), "late");
    struct message message;
    cr_assert_eq(state_message(f.machine, queue_by_id(f.machine, 1), 2, &message), 0);
    cr_assert_eq(message.expires_ms, at_ms + 50);
    cr_assert_eq(message.enqueued_ms, at_ms);
    message_unref(&message);
    fixture_done(&f);
}

Test(pending, a_row_that_is_damaged_is_no_message)
{
    struct fixture f;
    struct client a;
    publish_fixture_init(&f, &a);
    cr_assert_eq(client_declare(&f, &a, "q").error, 0u);
    struct posts *posts = posts_new("q");
    add_delayed(posts, "", "", 100, "m");
    cr_assert_eq(posts_send_once(&f, &a, posts).count, 1u);
    struct row_key key = row_key_one(ROW_PENDING, 1);
    struct table_row found;
    cr_assert_eq(table_get(f.machine, &key, &found), 0);
    *(uint8_t *)(uintptr_t)found.content.data ^= 1;
    table_row_done(&found);
    struct timer timer = {.kind = TIMER_PENDING, .a = 1};
    cr_assert_eq(pending_fired(f.machine, &timer), ERR_CHECKSUM);
    fixture_done(&f);
}

Test(pending, names_and_keys_and_trail_come_back)
{
    struct fixture f;
    struct client a;
    publish_fixture_init(&f, &a);
    cr_assert_eq(client_declare(&f, &a, "q").error, 0u);
    cr_assert_eq(client_declare(&f, &a, "r").error, 0u);
    static const uint8_t body[] = "dead";
    static const uint8_t trail[] = {0x50, 0x01};
    const char *keys[] = {"q", "r"};
    struct internal internal = {
        .virtual_host = VIRTUAL_HOST_ROOT,
        .exchange = "",
        .keys = keys,
        .keys_len = 2,
        .how = ENQUEUE_REDRIVEN,
        .message = {
            .data = body, .body_len = 4, .hash = XXH3_64bits(body, 4), .trail = trail, .trail_len = sizeof trail}};
    cr_assert_eq(pending_add(f.machine, &internal, f.time_ms + 10), 0);
    fixture_reopen(&f);
    fixture_tick(&f, f.time_ms + 10);
    struct message message;
    for (uint64_t queue = 1; queue <= 2; queue++) {
        cr_assert_eq(state_message(f.machine, queue_by_id(f.machine, queue), 1, &message), 0);
        cr_assert_eq(message.trail_len, sizeof trail);
        cr_assert_eq(memcmp(message.trail, trail, sizeof trail), 0);
        cr_assert_eq(memcmp(message.data, body, 4), 0);
        message_unref(&message);
    }
    fixture_done(&f);
}
