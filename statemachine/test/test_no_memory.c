/* What there is no memory for is an error, whichever part of it that was: an entry that is applied has changed all that it says. */

#include <criterion/criterion.h>
#include <string.h>

#include "asking.h"
#include "proto/base/fault.h"
#include "statemachine/state.h"

struct scene {
    struct fixture fixture;
    struct client client;
    Holdfast__Command command; /* What is tried; KIND__NOT_SET: nothing but time that goes on. */
    uint64_t time_ms;
};

static struct slice scene_entry(struct scene *scene)
{
    struct batch batch;
    const struct entry_command from = {.session = scene->client.session,
                                       .attachment = scene->client.attachment,
                                       .number = scene->client.number + 1,
                                       .answered = scene->client.answered};
    batch_start(&batch);
    if (scene->command.kind_case != HOLDFAST__COMMAND__KIND__NOT_SET) {
        batch_add(&batch, &from, &scene->command, NULL, 0);
    }
    return batch_finish(&batch, 2, scene->time_ms);
}

static int scene_apply(struct scene *scene)
{
    return fixture_apply(&scene->fixture, scene_entry(scene));
}

static void scene_make(struct scene *scene, void (*make)(struct scene *scene), bool stored)
{
    *scene = (struct scene){0};
    make(scene);
    if (stored) {
        fixture_reopen(&scene->fixture);
    }
}

/* Lets each allocation fail in turn, on a scene made anew, which is in memory or in the store. Returns how many there were. */
static uint64_t fail_each_of(void (*make)(struct scene *scene), bool stored)
{
    struct scene scene;
    scene_make(&scene, make, stored);
    cr_assert_eq(scene_apply(&scene), 0);
    uint64_t whole = fixture_digest(&scene.fixture);
    fixture_done(&scene.fixture);
    for (uint64_t nth = 0;; nth++) {
        scene_make(&scene, make, stored);
        struct slice entry = scene_entry(&scene);
        fault_set_nth(FAULT_ALLOCATION, nth);
        int err = fixture_apply(&scene.fixture, entry);
        fault_reset();
        if (err == 0) {
            cr_assert_eq(fixture_digest(&scene.fixture), whole, "the %luth failure was passed over",
                         (unsigned long)nth);
            fixture_done(&scene.fixture);
            return nth;
        }
        cr_assert_eq(err, ERR_NOMEM, "%s", err_name(err));
        fixture_done(&scene.fixture);
    }
}

static uint64_t fail_each(void (*make)(struct scene *scene))
{
    uint64_t in_memory = fail_each_of(make, false);
    uint64_t in_store = fail_each_of(make, true);
    return in_memory < in_store ? in_memory : in_store;
}

/* A message of a group, with a time to live, out with consumer 1 of "q", which has everything that a queue can have; another of
 * the group is behind it. */
static void one_out(struct scene *scene, Holdfast__QueueOptions options)
{
    struct fixture *f = &scene->fixture;
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    publish_fixture_init(f, &scene->client);
    options.groups = true;
    options.lock_ms = 1000;
    options.keep_life_ms = options.keep_settled_ms = 5000;
    leaving_declare(f, &scene->client, "q", &options);
    leaving_declare(f, &scene->client, "dead", NULL);
    cr_assert_eq(client_subscribe(f, &scene->client, "q", 1, 1).error, 0u);
    head.group = (char[]){"group"};
    head.has_ttl = true;
    head.ttl_ms = 100000;
    struct posts *posts = posts_new("q");
    posts_add(posts, &head, "one");
    posts_add(posts, &head, "two");
    cr_assert_eq(posts_send_once(f, &scene->client, posts).count, 2u);
    scene->time_ms = f->time_ms;
    scene->command = (Holdfast__Command)HOLDFAST__COMMAND__INIT;
}

static Holdfast__QueueOptions plain(void)
{
    return (Holdfast__QueueOptions)HOLDFAST__QUEUE_OPTIONS__INIT;
}

static void settles(struct scene *scene, Holdfast__Settle__Outcome outcome, uint64_t delay_ms)
{
    static Holdfast__Settle settle;
    static uint64_t number = 1;
    holdfast__settle__init(&settle);
    settle.consumer = 1;
    settle.outcome = outcome;
    settle.has_delay = delay_ms > 0;
    settle.delay_ms = delay_ms;
    settle.n_first = settle.n_last = 1;
    settle.first = settle.last = &number;
    scene->command.kind_case = HOLDFAST__COMMAND__KIND_SETTLE;
    scene->command.settle = &settle;
}

static void releases(struct scene *scene)
{
    one_out(scene, plain());
    settles(scene, RELEASE, 500);
}

static void accepts(struct scene *scene)
{
    one_out(scene, plain());
    settles(scene, ACCEPT, 0);
}

static void rejects(struct scene *scene)
{
    one_out(scene, options_dead("", "dead"));
    settles(scene, REJECT, 0);
}

static void lock_ends(struct scene *scene)
{
    Holdfast__QueueOptions options = plain();
    options.redelivery_delay_ms = 300;
    one_out(scene, options);
    scene->time_ms += 2000;
}

static void wait_ends(struct scene *scene)
{
    releases(scene);
    cr_assert_eq(scene_apply(scene), 0);
    scene->client.number++;
    scene->command.kind_case = HOLDFAST__COMMAND__KIND__NOT_SET;
    scene->time_ms += 600;
}

static void expires(struct scene *scene)
{
    releases(scene);
    cr_assert_eq(scene_apply(scene), 0);
    scene->client.number++;
    scene->command.kind_case = HOLDFAST__COMMAND__KIND__NOT_SET;
    scene->time_ms += 200000;
}

static void unsubscribes(struct scene *scene)
{
    static Holdfast__Unsubscribe unsubscribe;
    one_out(scene, plain());
    holdfast__unsubscribe__init(&unsubscribe);
    unsubscribe.consumer = 1;
    scene->command.kind_case = HOLDFAST__COMMAND__KIND_UNSUBSCRIBE;
    scene->command.unsubscribe = &unsubscribe;
}

Test(no_memory, for_a_message_that_is_settled)
{
    cr_assert_geq(fail_each(accepts), 4u);
    cr_assert_geq(fail_each(rejects), 4u);
}

Test(no_memory, for_a_message_that_goes_back)
{
    cr_assert_geq(fail_each(releases), 4u);
    cr_assert_geq(fail_each(unsubscribes), 4u);
}

Test(no_memory, for_what_happens_by_itself)
{
    cr_assert_geq(fail_each(lock_ends), 4u);
    cr_assert_geq(fail_each(wait_ends), 4u);
    cr_assert_geq(fail_each(expires), 4u);
}
