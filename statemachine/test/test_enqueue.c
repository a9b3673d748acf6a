/* Coming into a queue: chains of full queues, and what is put off. */

#include <criterion/criterion.h>
#include <stdio.h>

#include "publish_fixture.h"
#include "statemachine/state.h"

/* Queues "q0", "q1"... that hold one message each; what is pushed out goes to the next, and from the last to nowhere. */
static void chain(struct fixture *f, struct client *a, unsigned len)
{
    for (unsigned i = 0; i < len; i++) {
        char name[16];
        char next[16];
        (void)snprintf(name, sizeof name, "q%u", i);
        (void)snprintf(next, sizeof next, "q%u", i + 1);
        Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
        options.has_max_length = true;
        options.max_length = 1;
        options.has_dead_letter = i + 1 < len;
        options.dead_letter_key = next;
        cr_assert_eq(options_declare(f, a, name, &options).error, 0u);
    }
}

static void post(struct fixture *f, struct client *a, const char *body)
{
    struct posts *posts = posts_new("q0");
    posts_add(posts, NULL, body);
    cr_assert_eq(posts_send_once(f, a, posts).count, 1u);
}

Test(enqueue, what_is_pushed_out_goes_on_along_the_chain)
{
    struct fixture f;
    struct client a;
    publish_fixture_init(&f, &a);
    chain(&f, &a, 20);
    char body[16];
    for (unsigned i = 1; i <= 25; i++) {
        (void)snprintf(body, sizeof body, "m%u", i);
        post(&f, &a, body);
    }
    for (unsigned i = 0; i < 20; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "q%u", i);
        (void)snprintf(body, sizeof body, "m%u", 25 - i);
        cr_assert_eq(ready(&f, name), 1u, "%s", name);
        struct queue *queue = queue_by_name(f.machine, VIRTUAL_HOST_ROOT, name);
        cr_assert_str_eq(body_at(&f, name, queue_enqueued(queue)), body);
    }
    fixture_reopen(&f);
    fixture_done(&f);
}

Test(enqueue, a_long_chain_is_put_off_and_goes_on)
{
    struct fixture f;
    struct client a;
    publish_fixture_init(&f, &a);
    unsigned len = INTERNAL_CHAIN_MAX + 300;
    chain(&f, &a, len);
    for (unsigned i = 0; i < 3; i++) {
        post(&f, &a, "first");
    }
    cr_assert_eq(ready(&f, "q2"), 1u);
    /* All full: from the far end, so that each goes in directly. */
    for (unsigned i = 3; i < len; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "q%u", i);
        cr_assert_eq(client_publish(&f, &a, name, "", 1, 1).count, 1u);
    }
    char last[16];
    (void)snprintf(last, sizeof last, "q%u", len - 1);
    struct queue *queue = queue_by_name(f.machine, VIRTUAL_HOST_ROOT, last);
    cr_assert_eq(queue_enqueued(queue), 1u);
    post(&f, &a, "pushes all");
    cr_assert_eq(queue_enqueued(queue), 1u, "too long for one entry");
    cr_assert_eq(machine_due_ms(f.machine), 0u);
    fixture_reopen(&f);
    fixture_tick(&f, f.time_ms);
    queue = queue_by_name(f.machine, VIRTUAL_HOST_ROOT, last);
    cr_assert_eq(queue_enqueued(queue), 2u);
    cr_assert_eq(machine_due_ms(f.machine), UINT64_MAX);
    fixture_reopen(&f);
    fixture_done(&f);
}

Test(enqueue, a_body_that_a_queue_turns_away_is_shared_by_the_others)
{
    struct fixture f;
    struct client a;
    publish_fixture_init(&f, &a);
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.has_max_bytes = true;
    options.max_bytes = 1;
    cr_assert_eq(options_declare(&f, &a, "small", &options).error, 0u);
    cr_assert_eq(client_declare(&f, &a, "q").error, 0u);
    cr_assert_eq(client_declare(&f, &a, "r").error, 0u);
    const char *const names[] = {"small", "q", "r"};
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(exchange_bind(&f, &a, "amq.fanout", names[i], "").error, 0u);
    }
    struct posts *posts = posts_new(NULL);
    posts_add_to(posts, "amq.fanout", "", "body");
    cr_assert_eq(posts_send_once(&f, &a, posts).count, 1u);
    cr_assert_eq(ready(&f, "small"), 0u);
    fixture_reopen(&f);
    for (size_t i = 1; i < 3; i++) {
        cr_assert_str_eq(body_at(&f, names[i], 1), "body");
        cr_assert_eq(client_purge(&f, &a, names[i]).count, 1u);
    }
    fixture_reopen(&f);
    fixture_tick(&f, f.time_ms);
    fixture_tick(&f, f.time_ms);
    const enum row_kind kinds[] = {ROW_BODY, ROW_BODY_USES};
    for (size_t i = 0; i < 2; i++) {
        struct row_key first = row_key_plain(kinds[i]);
        struct row_key end = row_key_after(&first);
        struct table_row found;
        cr_assert_eq(table_seek(f.machine, &first, &end, &found), ERR_NOT_FOUND, "no body is left behind");
    }
    fixture_done(&f);
}

/* What is pushed out of the first queue on a message's way goes several ways itself, before the second has the message. */
Test(enqueue, ways_within_ways)
{
    struct fixture f;
    struct client a;
    publish_fixture_init(&f, &a);
    static const struct {
        const char *name;
        const char *dead_letter_exchange;
        const char *bound_to;
    } queues[] = {{"a", "x", NULL}, {"b1", "y", "x"}, {"b2", NULL, "x"}, {"c1", NULL, "y"}, {"c2", NULL, "y"}};
    cr_assert_eq(exchange_declare(&f, &a, "x", HOLDFAST__DECLARE_EXCHANGE__TYPE__FANOUT).error, 0u);
    cr_assert_eq(exchange_declare(&f, &a, "y", HOLDFAST__DECLARE_EXCHANGE__TYPE__FANOUT).error, 0u);
    for (size_t i = 0; i < sizeof queues / sizeof queues[0]; i++) {
        Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
        options.has_max_length = true;
        options.max_length = 1;
        options.has_dead_letter = queues[i].dead_letter_exchange != NULL;
        options.dead_letter_exchange =
            (char *)(uintptr_t)(options.has_dead_letter ? queues[i].dead_letter_exchange : "");
        cr_assert_eq(options_declare(&f, &a, queues[i].name, &options).error, 0u);
        if (queues[i].bound_to != NULL) {
            cr_assert_eq(exchange_bind(&f, &a, queues[i].bound_to, queues[i].name, "").error, 0u);
        }
    }
    const char *const bodies[] = {"m1", "m2", "m3"};
    for (size_t i = 0; i < 3; i++) {
        struct posts *posts = posts_new("a");
        posts_add(posts, NULL, bodies[i]);
        cr_assert_eq(posts_send_once(&f, &a, posts).count, 1u);
    }
    cr_assert_str_eq(body_at(&f, "a", 3), "m3");
    cr_assert_str_eq(body_at(&f, "b1", 2), "m2");
    cr_assert_str_eq(body_at(&f, "b2", 2), "m2");
    cr_assert_str_eq(body_at(&f, "c1", 1), "m1");
    cr_assert_str_eq(body_at(&f, "c2", 1), "m1");
    cr_assert_eq(queue_enqueued(queue_by_name(f.machine, VIRTUAL_HOST_ROOT, "c2")), 1u);
    fixture_reopen(&f);
    fixture_done(&f);
}
