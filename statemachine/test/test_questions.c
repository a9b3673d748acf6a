/* Questions about producers, prepared messages, consumers and limits. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "host_fixture.h"
#include "publish_fixture.h"
#include "statemachine/machine_publishing.h"
#include "statemachine/machine_virtual_hosts.h"
#include "statemachine/state.h"

static struct fixture f;
static struct client a;

static void setup(void)
{
    publish_fixture_init(&f, &a);
    cr_assert_eq(client_declare(&f, &a, "q").error, 0u);
}

static void teardown(void)
{
    fixture_done(&f);
}

TestSuite(questions, .init = setup, .fini = teardown);

/* ---- Producers ---- */

Test(questions, what_is_known_of_a_producer)
{
    struct machine_producer producer;
    cr_assert_eq(machine_producer(f.machine, 1, "p", &producer), ERR_NOT_FOUND);
    cr_assert_eq(client_publish(&f, &a, "q", "p", 1, 5).error, 0u);
    uint64_t digest = fixture_digest(&f);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(machine_producer(f.machine, 1, "p", &producer), 0);
        cr_assert_eq(producer.last, 5u);
        cr_assert_eq(producer.epoch, 0u);
        cr_assert_eq(producer.session, 0u);
        fixture_reopen(&f); /* From memory, then from the store. */
    }
    cr_assert_eq(fixture_digest(&f), digest);
    cr_assert_eq(producer_open_epoch(&f, &a, "p", false).count, 1u);
    cr_assert_eq(machine_producer(f.machine, 1, "p", &producer), 0);
    cr_assert_eq(producer.epoch, 1u);
    cr_assert_eq(producer.session, a.session);
    cr_assert_eq(machine_producer(f.machine, 2, "p", &producer), ERR_NOT_FOUND, "another virtual host");
}

/* ---- Prepared messages ---- */

struct seen {
    unsigned count;
    unsigned stop_at; /* 0: never. */
    char ids[200];
    struct machine_prepared last;
};

static int on_prepared(void *arg, const struct machine_prepared *prepared)
{
    struct seen *seen = arg;
    size_t len = strlen(seen->ids);
    (void)snprintf(seen->ids + len, sizeof seen->ids - len, "%s ", prepared->id);
    seen->last = *prepared;
    return ++seen->count == seen->stop_at;
}

static void prepare(const char *id, const char *group, uint64_t deadline_ms)
{
    Holdfast__Prepare prepare = HOLDFAST__PREPARE__INIT;
    prepare.id = (char *)(uintptr_t)id;
    prepare.group = (char *)(uintptr_t)group;
    prepare.ask_after_ms = 1000;
    prepare.deadline_ms = deadline_ms;
    prepare.commit_at_deadline = deadline_ms != 0;
    struct posts *posts = posts_new("q");
    posts_add(posts, NULL, "one");
    posts_add(posts, NULL, "two");
    posts->publish.prepare = &prepare;
    cr_assert_eq(posts_send_once(&f, &a, posts).error, 0u);
}

static void resolve(const char *id, bool commit)
{
    Holdfast__ResolvePrepared resolve = HOLDFAST__RESOLVE_PREPARED__INIT;
    resolve.id = (char *)(uintptr_t)id;
    resolve.commit = commit;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_RESOLVE_PREPARED;
    command.resolve_prepared = &resolve;
    cr_assert_eq(client_command(&f, &a, &command, NULL, 0).error, 0u);
}

static void expect_prepared(const char *after, unsigned stop_at, int result, const char *ids, struct seen *ret_seen)
{
    *ret_seen = (struct seen){.stop_at = stop_at};
    cr_assert_eq(machine_prepared(f.machine, 1, after, on_prepared, ret_seen), result);
    cr_assert_str_eq(ret_seen->ids, ids);
}

Test(questions, what_is_prepared_in_order_of_id)
{
    struct seen seen;
    expect_prepared("", 0, 0, "", &seen);
    prepare("b", "shop", 0);
    fixture_checkpoint(&f);
    prepare("a", "", 5000);
    uint64_t a_ms = machine_time_ms(f.machine);
    prepare("bb", "shop", 0);
    uint64_t bb_ms = machine_time_ms(f.machine);
    for (int i = 0; i < 2; i++) {
        expect_prepared("", 0, 0, "a b bb ", &seen);
        cr_assert_eq(seen.last.messages, 2u);
        cr_assert_eq(seen.last.state, MACHINE_PREPARED);
        cr_assert_eq(seen.last.ask_ms, bb_ms + 1000);
        cr_assert_eq(seen.last.deadline_ms, 0u);
        expect_prepared("", 2, 1, "a b ", &seen);
        expect_prepared("b", 0, 0, "bb ", &seen);
        expect_prepared("", 1, 1, "a ", &seen);
        cr_assert_eq(seen.last.deadline_ms, a_ms + 5000);
        cr_assert(seen.last.commit_at_deadline);
        expect_prepared("c", 0, 0, "", &seen);
        fixture_reopen(&f);
    }
    cr_assert_eq(machine_prepared(f.machine, 2, "", on_prepared, &seen), 0, "another virtual host has none");
}

Test(questions, outcomes_are_shown_for_a_day)
{
    struct seen seen;
    prepare("a", "", 0);
    prepare("b", "", 0);
    resolve("a", true);
    uint64_t a_ms = machine_time_ms(f.machine);
    resolve("b", false);
    expect_prepared("", 1, 1, "a ", &seen);
    cr_assert_eq(seen.last.state, MACHINE_COMMITTED);
    cr_assert_eq(seen.last.ask_ms, 0u);
    uint64_t until_ms = seen.last.remembered_until_ms;
    cr_assert_eq(until_ms, a_ms + UINT64_C(24) * 3600 * 1000);
    expect_prepared("a", 0, 0, "b ", &seen);
    cr_assert_eq(seen.last.state, MACHINE_DROPPED);
    f.machine->time_ms = until_ms; /* Before the timer has come. */
    expect_prepared("", 0, 0, "b ", &seen);
}

/* ---- Consumers ---- */

static int on_consumer(void *arg, const struct machine_consumer *consumer)
{
    struct seen *seen = arg;
    size_t len = strlen(seen->ids);
    (void)snprintf(seen->ids + len, sizeof seen->ids - len, "%u.%u ", (unsigned)consumer->session,
                   (unsigned)consumer->consumer);
    return ++seen->count == seen->stop_at;
}

static void expect_consumers(uint64_t session, uint64_t number, unsigned stop_at, const char *ids)
{
    struct seen seen = {.stop_at = stop_at};
    uint64_t queue = fixture_queue(&f, "q").id;
    int err = machine_consumers_after(f.machine, queue, session, number, on_consumer, &seen);
    cr_assert_eq(err, stop_at != 0);
    cr_assert_str_eq(seen.ids, ids);
}

Test(questions, consumers_from_any_of_them_on)
{
    struct client b = {0};
    cr_assert_eq(client_attach(&f, &b, 9, false).error, 0u);
    cr_assert(a.session == 1 && b.session == 2);
    uint64_t numbers[] = {5, 3, 9};
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(client_subscribe(&f, &a, "q", numbers[i], 10).error, 0u);
    }
    cr_assert_eq(client_subscribe(&f, &b, "q", 1, 10).error, 0u);
    expect_consumers(0, 0, 0, "1.3 1.5 1.9 2.1 ");
    expect_consumers(1, 3, 0, "1.5 1.9 2.1 ");
    expect_consumers(1, 4, 0, "1.5 1.9 2.1 ");
    expect_consumers(1, 9, 0, "2.1 ");
    expect_consumers(1, UINT64_MAX, 0, "2.1 ");
    expect_consumers(2, 1, 0, "");
    expect_consumers(0, 0, 2, "1.3 1.5 ");
    struct seen seen = {0};
    cr_assert_eq(machine_consumers_after(f.machine, 999, 0, 0, on_consumer, &seen), ERR_NOT_FOUND);
}

/* ---- Limits ---- */

Test(questions, what_a_virtual_host_may_have_and_has)
{
    struct machine_limit limits[MACHINE_LIMITS_MAX];
    unsigned len;
    cr_assert_eq(exchange_declare(&f, &a, "x", HOLDFAST__DECLARE_EXCHANGE__TYPE__FANOUT).error, 0u);
    cr_assert_eq(exchange_bind(&f, &a, "x", "q", "").count, 1u);
    cr_assert_eq(client_publish(&f, &a, "q", "", 1, 5).error, 0u);
    cr_assert_eq(client_declare(&f, &a, "q2").error, 0u);
    cr_assert_eq(client_subscribe(&f, &a, "q2", 1, 10).error, 0u);
    cr_assert_eq(host_limit(&f, &a, "/", "", LIMIT_BINDINGS, 40).error, 0u);
    uint64_t used[MACHINE_LIMITS_MAX] = {1, 2, 1, 1, 1, 5, 0};
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(machine_host_limits(f.machine, 1, limits, &len), 0);
        cr_assert_eq(len, MACHINE_LIMITS_MAX);
        for (uint32_t what = 0; what < MACHINE_LIMITS_MAX; what++) {
            cr_assert_eq(limits[what].what, what);
            cr_assert_eq(limits[what].is_set, what == LIMIT_BINDINGS);
            cr_assert_eq(limits[what].value, what == LIMIT_BINDINGS ? 40u : 0u);
            cr_assert_eq(limits[what].is_counted, what != LIMIT_QUEUE_LENGTH);
            cr_assert_eq(limits[what].used, used[what], "%u", what);
        }
        fixture_reopen(&f);
    }
    cr_assert_eq(machine_host_limits(f.machine, 9, limits, &len), ERR_NOT_FOUND);
}

Test(questions, what_a_user_may_have)
{
    struct machine_limit limits[MACHINE_LIMITS_MAX];
    unsigned len;
    machine_user_limits(f.machine, "carol", limits, &len);
    cr_assert_eq(len, 2u);
    cr_assert(limits[0].what == LIMIT_SESSIONS && limits[1].what == LIMIT_CONSUMERS);
    cr_assert(!limits[0].is_set && !limits[1].is_set && limits[0].used == 0);
    cr_assert_eq(host_limit(&f, &a, "", "carol", LIMIT_CONSUMERS, 7).error, 0u);
    machine_user_limits(f.machine, "carol", limits, &len);
    cr_assert(!limits[0].is_set && limits[1].is_set && limits[1].value == 7 && limits[1].is_counted);
}

/* ---- Browsing over what has gone ---- */

struct browsed {
    size_t count;
    uint64_t positions[16];
};

static int on_browsed(void *arg, const struct machine_message *message)
{
    struct browsed *browsed = arg;
    cr_assert_lt(browsed->count, 16u);
    browsed->positions[browsed->count++] = message->position;
    return 0;
}

static void expect_browsed(uint64_t from, size_t count, const uint64_t *positions)
{
    struct browsed browsed = {0};
    cr_assert_eq(machine_browse(f.machine, fixture_queue(&f, "q").id, from, on_browsed, &browsed), 0);
    cr_assert_eq(browsed.count, count, "%zu", browsed.count);
    cr_assert_arr_eq(browsed.positions, positions, count * sizeof *positions);
}

/* One that stays, and `expiring` behind it that do not. */
static void publish_some(size_t expiring)
{
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    struct posts *posts = posts_new("q");
    posts_add(posts, NULL, "stays");
    head.has_ttl = true;
    head.ttl_ms = 50;
    for (size_t i = 0; i < expiring; i++) {
        posts_add(posts, &head, "goes");
    }
    cr_assert_eq(posts_send_once(&f, &a, posts).error, 0u);
}

Test(questions, a_browse_passes_over_holes)
{
    for (int stored = 0; stored < 4; stored++) {
        publish_some(100); /* 1 stays. */
        publish_some(0);   /* 102 */
        if (stored & 1) {
            fixture_checkpoint(&f);
        }
        publish_some(1);   /* 103 */
        publish_some(200); /* 105 */
        publish_some(0);   /* 306 */
        fixture_tick(&f, f.time_ms + 1000);
        cr_assert_eq(ready(&f, "q"), 5u);
        static const uint64_t left[] = {1, 102, 103, 105, 306};
        for (int again = 0; again < 3; again++) {
            expect_browsed(0, 5, left);
            expect_browsed(2, 4, left + 1);
            expect_browsed(50, 4, left + 1);
            expect_browsed(104, 2, left + 3);
            expect_browsed(305, 1, left + 4);
            expect_browsed(307, 0, left);
            if (stored & 2) {
                fixture_reopen(&f);
            }
        }
        teardown();
        setup();
    }
}
