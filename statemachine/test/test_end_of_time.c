/* The longest times, late in the world: nothing comes early because a sum does not fit. */

#include <criterion/criterion.h>
#include <string.h>

#include "asking.h"
#include "statemachine/machine_looking.h"
#include "statemachine/message/message_head.h"
#include "statemachine/publish/publish.h"
#include "statemachine/queue/queue_options.h"
#include "statemachine/table/timer.h"

#define LONGEST_MS QUEUE_TIME_MS_MAX

static void publish_with(struct fixture *f, struct client *a, const char *queue, const Holdfast__MessageHead *head)
{
    struct posts *posts = posts_new(queue);
    posts_add(posts, head, "m");
    cr_assert_eq(posts_send_once(f, a, posts).error, 0u);
}

static void prepare(struct fixture *f, struct client *a, const char *id, uint64_t ask_after_ms, uint64_t deadline_ms)
{
    Holdfast__Prepare prepare = HOLDFAST__PREPARE__INIT;
    prepare.id = (char *)(uintptr_t)id;
    prepare.group = (char[]){"group"};
    prepare.ask_after_ms = ask_after_ms;
    prepare.deadline_ms = deadline_ms;
    prepare.commit_at_deadline = true;
    struct posts *posts = posts_new("free");
    posts_add(posts, NULL, id);
    posts->publish.prepare = &prepare;
    cr_assert_eq(posts_send_once(f, a, posts).error, 0u);
}

/* Queues in which all times are the longest; "free" has none. */
static void declare(struct fixture *f, struct client *a)
{
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    leaving_declare(f, a, "free", NULL);
    options.expires_ms = LONGEST_MS;
    leaving_declare(f, a, "unused", &options);
    options = (Holdfast__QueueOptions)HOLDFAST__QUEUE_OPTIONS__INIT;
    options.redelivery_delay_ms = LONGEST_MS;
    options.redelivery_delay_max_ms = LONGEST_MS;
    options.id_window_ms = options.keep_settled_ms = options.keep_life_ms = LONGEST_MS;
    leaving_declare(f, a, "waits", &options);
    options = (Holdfast__QueueOptions)HOLDFAST__QUEUE_OPTIONS__INIT;
    options.lock_ms = LONGEST_MS;
    leaving_declare(f, a, "locks", &options);
    options = (Holdfast__QueueOptions)HOLDFAST__QUEUE_OPTIONS__INIT;
    options.has_ttl = true;
    options.ttl_ms = LONGEST_MS;
    leaving_declare(f, a, "expires", &options);
}

/* Something of each kind that has a time, all from `at_ms` on. */
static void begin(struct fixture *f, struct client *a, uint64_t at_ms)
{
    publish_fixture_init(f, a);
    fixture_tick(f, at_ms);
    declare(f, a);
    cr_assert_eq(producer_open_epoch(f, a, "group", false).error, 0u);
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    head.delay_ms = DELAY_MS_MAX;
    publish_with(f, a, "free", &head);
    publish_with(f, a, "expires", NULL);
    publish_with(f, a, "locks", NULL);
    cr_assert_eq(client_subscribe(f, a, "locks", 1, 1).error, 0u);
    prepare(f, a, "asked", PREPARE_MS_MAX, 0);
    prepare(f, a, "committed", 0, PREPARE_MS_MAX);
    head = (Holdfast__MessageHead)HOLDFAST__MESSAGE_HEAD__INIT;
    head.message_id = (char[]){"once"};
    publish_with(f, a, "waits", &head);
    publish_with(f, a, "waits", NULL);
    cr_assert_eq(ask_fetch(f, a, "waits", 2, 2).count, 2u);
    cr_assert_eq(client_settle(f, a, 2, ACCEPT, 1, 1).count, 1u);
    cr_assert_eq(client_settle(f, a, 2, RELEASE, 2, 2).count, 1u);
}

static int count_kept(void *arg, const struct machine_kept *kept)
{
    (void)kept;
    ++*(size_t *)arg;
    return 0;
}

static size_t kept(struct fixture *f)
{
    size_t count = 0;
    cr_assert_eq(machine_kept(f->machine, fixture_queue(f, "waits").id, 0, count_kept, &count), 0);
    return count;
}

static int count_life(void *arg, const struct machine_life *life)
{
    (void)life;
    ++*(size_t *)arg;
    return 0;
}

/* Of the message that was accepted. */
static size_t life_steps(struct fixture *f)
{
    size_t count = 0;
    cr_assert_eq(machine_life(f->machine, fixture_queue(f, "waits").id, 1, count_life, &count), 0);
    return count;
}

/* Whether "waits" knows the id; if not, it does then. */
static bool id_is_known(struct fixture *f, struct client *a)
{
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    head.message_id = (char[]){"once"};
    struct posts *posts = posts_new("waits");
    posts_add(posts, &head, "m");
    return posts_send_once(f, a, posts).repeated_count == 1;
}

static void nothing_has_come(struct fixture *f)
{
    cr_assert_eq(f->effects.len, 0u);
    cr_assert_eq(fixture_queue(f, "free").ready, 0u);
    cr_assert_eq(fixture_queue(f, "expires").ready, 1u);
    cr_assert_eq(fixture_queue(f, "locks").unsettled, 1u);
    cr_assert_eq(fixture_queue(f, "waits").waiting, 1u);
    cr_assert_neq(fixture_queue(f, "unused").id, 0u);
    cr_assert_eq(kept(f), 1u);
    cr_assert_eq(life_steps(f), 3u, "enqueued, delivered, accepted");
}

Test(end_of_time, what_would_be_behind_it_never_comes)
{
    for (int disturb = 0; disturb < 2; disturb++) {
        struct fixture f;
        struct client a;
        begin(&f, &a, UINT64_MAX - 1000);
        cr_assert_eq(machine_due_ms(f.machine), UINT64_MAX);
        leaving_disturb(&f, disturb);
        fixture_tick(&f, f.time_ms + 1);
        nothing_has_come(&f);
        cr_assert(id_is_known(&f, &a));
        cr_assert_eq(leaving_extend(&f, &a, 1, 1, 1, LONGEST_MS).error, 0u);
        leaving_disturb(&f, disturb);
        fixture_tick(&f, UINT64_MAX - 1);
        nothing_has_come(&f);
        fixture_tick(&f, UINT64_MAX);
        nothing_has_come(&f);
        cr_assert_eq(machine_due_ms(f.machine), UINT64_MAX);
        f.time_ms = UINT64_MAX - 1; /* Of an entry that came late. */
        cr_assert_eq(client_settle(&f, &a, 1, ACCEPT, 1, 1).count, 1u);
        fixture_done(&f);
    }
}

static void everything_has_come(struct fixture *f, struct client *a)
{
    cr_assert_eq(fixture_queue(f, "free").ready, 2u, "delayed, and committed");
    cr_assert_eq(fixture_queue(f, "expires").ready, 0u);
    cr_assert_eq(fixture_queue(f, "waits").waiting, 0u);
    cr_assert_eq(fixture_queue(f, "waits").ready, 1u);
    cr_assert_eq(fixture_queue(f, "unused").id, 0u);
    cr_assert_eq(kept(f), 0u);
    cr_assert_eq(life_steps(f), 0u);
    cr_assert_not(id_is_known(f, a));
}

/* 2^63: nothing of it may be taken for negative. */
Test(end_of_time, long_before_it_the_longest_times_are_what_they_say)
{
    for (int disturb = 0; disturb < 2; disturb++) {
        struct fixture f;
        struct client a;
        const uint64_t at_ms = UINT64_C(1) << 63;
        begin(&f, &a, at_ms);
        const uint64_t last_ms = f.time_ms;
        leaving_disturb(&f, disturb);
        fixture_tick(&f, at_ms + LONGEST_MS - 1);
        nothing_has_come(&f);
        leaving_disturb(&f, disturb);
        size_t asked = 0;
        size_t locks = 0;
        for (uint64_t now_ms = at_ms + LONGEST_MS; now_ms <= last_ms + LONGEST_MS; now_ms++) {
            fixture_tick(&f, now_ms);
            asked += fixture_count(&f, EFFECT_PREPARED_ASK);
            locks += fixture_count(&f, EFFECT_LOCK_ENDED);
        }
        cr_assert_eq(asked, 1u);
        cr_assert_eq(locks, 1u);
        everything_has_come(&f, &a);
        fixture_done(&f);
    }
}
