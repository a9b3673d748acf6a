/* Whether there is room for what is published: full queues, ids that were seen, quotas. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "host_fixture.h"
#include "publish_fixture.h"
#include "statemachine/state.h"

static struct posts *posts_of(const char *queue, size_t count)
{
    static const char *const bodies[] = {"one", "two", "three", "four", "five", "six"};
    struct posts *posts = posts_new(queue);
    for (size_t i = 0; i < count; i++) {
        posts_add(posts, NULL, bodies[i]);
    }
    return posts;
}

static Holdfast__QueueOptions limited(uint64_t length, Holdfast__QueueOptions__Overflow overflow)
{
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.has_max_length = true;
    options.max_length = length;
    options.overflow = overflow;
    return options;
}

Test(publish_room, a_queue_that_refuses_takes_all_or_nothing)
{
    struct fixture f;
    struct client a;
    publish_fixture_init(&f, &a);
    Holdfast__QueueOptions options = limited(3, HOLDFAST__QUEUE_OPTIONS__OVERFLOW__REJECT_NEW);
    cr_assert_eq(options_declare(&f, &a, "q", &options).error, 0u);
    struct posts *posts = posts_of("q", 4);
    posts_refused(&f, &a, posts, E(FULL));
    posts_free(posts);
    cr_assert_eq(posts_send_once(&f, &a, posts_of("q", 2)).count, 2u);
    posts = posts_of("q", 2);
    posts_refused(&f, &a, posts, E(FULL));
    posts_free(posts);
    fixture_reopen(&f);
    cr_assert_eq(posts_send_once(&f, &a, posts_of("q", 1)).count, 1u);
    posts = posts_of("q", 1);
    posts_refused(&f, &a, posts, E(FULL));
    posts_free(posts);
    fixture_done(&f);
}

Test(publish_room, bytes_count_as_well)
{
    struct fixture f;
    struct client a;
    publish_fixture_init(&f, &a);
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.has_max_bytes = true;
    options.max_bytes = 8;
    options.overflow = HOLDFAST__QUEUE_OPTIONS__OVERFLOW__REJECT_NEW;
    cr_assert_eq(options_declare(&f, &a, "q", &options).error, 0u);
    struct posts *posts = posts_of("q", 3); /* 3 + 3 + 5 bytes. */
    posts_refused(&f, &a, posts, E(FULL));
    posts_free(posts);
    cr_assert_eq(posts_send_once(&f, &a, posts_of("q", 2)).count, 2u);
    posts = posts_of("q", 1);
    posts_refused(&f, &a, posts, E(FULL));
    posts_free(posts);
    posts = posts_new("q");
    posts_add(posts, NULL, "ab");
    cr_assert_eq(posts_send_once(&f, &a, posts).count, 1u);
    fixture_done(&f);
}

Test(publish_room, with_each_those_that_fit_are_taken_in_all_their_queues_or_in_none)
{
    struct fixture f;
    struct client a;
    publish_fixture_init(&f, &a);
    Holdfast__QueueOptions options = limited(2, HOLDFAST__QUEUE_OPTIONS__OVERFLOW__REJECT_NEW);
    cr_assert_eq(options_declare(&f, &a, "q", &options).error, 0u);
    cr_assert_eq(client_declare(&f, &a, "r").error, 0u);
    cr_assert_eq(exchange_bind(&f, &a, "amq.fanout", "q", "").error, 0u);
    cr_assert_eq(exchange_bind(&f, &a, "amq.fanout", "r", "").error, 0u);
    struct posts *posts = posts_new(NULL);
    posts_add_to(posts, "amq.fanout", "", "one");
    posts_add_to(posts, "", "r", "two");
    posts_add_to(posts, "amq.fanout", "", "three");
    posts_add_to(posts, "amq.fanout", "", "four");
    posts_add_to(posts, "", "r", "five");
    posts->publish.each = true;
    struct effect_reply reply = posts_send_once(&f, &a, posts);
    cr_assert_eq(reply.error, 0u);
    cr_assert_eq(reply.count, 4u);
    cr_assert_eq(reply.refused_len, 1u);
    cr_assert_eq(reply.refused[0], 1u << 3);
    cr_assert_eq(ready(&f, "q"), 2u);
    cr_assert_eq(ready(&f, "r"), 4u);
    fixture_done(&f);
}

Test(publish_room, the_oldest_go_for_new_ones)
{
    struct fixture f;
    struct client a;
    publish_fixture_init(&f, &a);
    Holdfast__QueueOptions options = limited(2, HOLDFAST__QUEUE_OPTIONS__OVERFLOW__DROP_OLDEST);
    cr_assert_eq(options_declare(&f, &a, "q", &options).error, 0u);
    cr_assert_eq(posts_send_once(&f, &a, posts_of("q", 5)).count, 5u);
    cr_assert_eq(ready(&f, "q"), 2u);
    cr_assert_str_eq(body_at(&f, "q", 4), "four");
    cr_assert_str_eq(body_at(&f, "q", 5), "five");
    fixture_reopen(&f);
    cr_assert_eq(posts_send_once(&f, &a, posts_of("q", 1)).count, 1u);
    cr_assert_eq(ready(&f, "q"), 2u);
    cr_assert_str_eq(body_at(&f, "q", 6), "one");
    options = limited(0, HOLDFAST__QUEUE_OPTIONS__OVERFLOW__DROP_OLDEST);
    cr_assert_eq(options_declare(&f, &a, "none", &options).error, 0u);
    cr_assert_eq(posts_send_once(&f, &a, posts_of("none", 2)).count, 2u);
    cr_assert_eq(ready(&f, "none"), 0u);
    fixture_done(&f);
}

Test(publish_room, one_that_is_larger_than_the_queue_goes_itself)
{
    struct fixture f;
    struct client a;
    publish_fixture_init(&f, &a);
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.has_max_bytes = true;
    options.max_bytes = 4;
    cr_assert_eq(options_declare(&f, &a, "q", &options).error, 0u);
    cr_assert_eq(client_declare(&f, &a, "r").error, 0u);
    cr_assert_eq(posts_send_once(&f, &a, posts_of("q", 1)).count, 1u);
    cr_assert_eq(exchange_bind(&f, &a, "amq.fanout", "q", "").error, 0u);
    cr_assert_eq(exchange_bind(&f, &a, "amq.fanout", "r", "").error, 0u);
    struct posts *posts = posts_new(NULL);
    posts_add_to(posts, "amq.fanout", "", "too large");
    cr_assert_eq(posts_send_once(&f, &a, posts).count, 1u);
    cr_assert_eq(ready(&f, "q"), 1u);
    cr_assert_eq(ready(&f, "r"), 1u);
    cr_assert_str_eq(body_at(&f, "q", 1), "one");
    fixture_reopen(&f);
    cr_assert_str_eq(body_at(&f, "r", 1), "too large");
    fixture_done(&f);
}

static struct posts *posts_with_ids(const char *queue, const char *const *ids, size_t len)
{
    struct posts *posts = posts_new(queue);
    for (size_t i = 0; i < len; i++) {
        Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
        head.exchange = (char[]){"amq.fanout"};
        head.message_id = (char *)(uintptr_t)ids[i];
        posts_add(posts, &head, "m");
    }
    return posts;
}

/* So many that they are in each other's places. */
Test(publish_room, many_ids_of_one_command_are_told_apart)
{
    static char texts[2000][8];
    static const char *ids[4000];
    struct fixture f;
    struct client a;
    publish_fixture_init(&f, &a);
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.id_window_ms = 1000;
    cr_assert_eq(options_declare(&f, &a, "q", &options).error, 0u);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        (void)snprintf(texts[i], sizeof texts[i], "%zu", i);
        ids[i] = ids[ARRAY_LEN(texts) + i] = texts[i];
    }
    struct effect_reply reply = posts_send_once(&f, &a, posts_with_ids("q", ids, ARRAY_LEN(ids)));
    cr_assert_eq(reply.error, 0u);
    cr_assert_eq(reply.count, ARRAY_LEN(texts));
    cr_assert_eq(reply.repeated_count, ARRAY_LEN(texts));
    cr_assert_eq(ready(&f, "q"), ARRAY_LEN(texts));
    fixture_done(&f);
}

Test(publish_room, ids_are_taken_once_within_their_window)
{
    struct fixture f;
    struct client a;
    publish_fixture_init(&f, &a);
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.id_window_ms = 1000;
    cr_assert_eq(options_declare(&f, &a, "q", &options).error, 0u);
    cr_assert_eq(client_declare(&f, &a, "r").error, 0u);
    struct effect_reply reply =
        posts_send_once(&f, &a, posts_with_ids("q", (const char *const[]){"a", "b", "a", "", ""}, 5));
    cr_assert_eq(reply.count, 4u, "%llu", (unsigned long long)reply.count);
    cr_assert_eq(reply.repeated_count, 1u);
    fixture_reopen(&f);
    reply = posts_send_once(&f, &a, posts_with_ids("q", (const char *const[]){"b", "c"}, 2));
    cr_assert_eq(reply.count, 1u);
    cr_assert_eq(reply.repeated_count, 1u);
    cr_assert_eq(ready(&f, "q"), 5u);
    cr_assert_eq(exchange_bind(&f, &a, "amq.fanout", "q", "").error, 0u);
    cr_assert_eq(exchange_bind(&f, &a, "amq.fanout", "r", "").error, 0u);
    reply = posts_send_once(&f, &a, posts_with_ids(NULL, (const char *const[]){"a"}, 1));
    cr_assert_eq(reply.count, 1u, "it is new to the other queue");
    cr_assert_eq(ready(&f, "q"), 5u);
    cr_assert_eq(ready(&f, "r"), 1u);
    fixture_tick(&f, f.time_ms + 2000);
    cr_assert_eq(posts_send_once(&f, &a, posts_with_ids("q", (const char *const[]){"a", "b"}, 2)).count, 2u);
    fixture_reopen(&f);
    fixture_done(&f);
}

Test(publish_room, forgotten_ids_leave_nothing_behind)
{
    struct fixture f;
    struct client a;
    publish_fixture_init(&f, &a);
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.id_window_ms = 100;
    cr_assert_eq(options_declare(&f, &a, "q", &options).error, 0u);
    uint64_t before = machine_overlay_bytes(f.machine);
    cr_assert_eq(posts_send_once(&f, &a, posts_with_ids("q", (const char *const[]){"a"}, 1)).count, 1u);
    cr_assert_gt(machine_overlay_bytes(f.machine), before);
    cr_assert_eq(client_purge(&f, &a, "q").count, 1u);
    fixture_reopen(&f);
    fixture_tick(&f, f.time_ms + 200);
    fixture_reopen(&f);
    struct row_key first = row_key_plain(ROW_ID_SEEN);
    struct row_key end = row_key_after(&first);
    struct table_row found;
    cr_assert_eq(table_seek(f.machine, &first, &end, &found), ERR_NOT_FOUND);
    fixture_done(&f);
}

Test(publish_room, ready_messages_of_a_virtual_host_are_limited)
{
    struct fixture f;
    struct client a;
    publish_fixture_init(&f, &a);
    cr_assert_eq(client_declare(&f, &a, "q").error, 0u);
    cr_assert_eq(client_declare(&f, &a, "r").error, 0u);
    cr_assert_eq(posts_send_once(&f, &a, posts_of("q", 2)).count, 2u);
    cr_assert_eq(host_limit(&f, &a, "/", "", HOLDFAST__LIMIT__WHAT__READY_MESSAGES, 4).error, 0u);
    cr_assert_eq(posts_send_once(&f, &a, posts_of("r", 3)).count, 3u, "as of the beginning");
    for (int round = 0; round < 2; round++) {
        struct posts *posts = posts_of("q", 1);
        posts_refused(&f, &a, posts, E(LIMIT));
        posts_free(posts);
        fixture_reopen(&f);
    }
    cr_assert_eq(client_subscribe(&f, &a, "r", 1, 2).error, 0u);
    cr_assert_eq(posts_send_once(&f, &a, posts_of("q", 1)).count, 1u, "what is delivered does not count");
    cr_assert_eq(client_delete(&f, &a, "r", false).error, 0u);
    cr_assert_eq(posts_send_once(&f, &a, posts_of("q", 1)).count, 1u);
    struct posts *posts = posts_of("q", 1);
    posts_refused(&f, &a, posts, E(LIMIT));
    posts_free(posts);
    cr_assert_eq(virtual_host_ready(virtual_host_by_name(f.machine, "/")), 4u);
    fixture_done(&f);
}
