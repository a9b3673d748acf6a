/* What became of messages. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "leaving_fixture.h"
#include "statemachine/machine_looking.h"
#include "statemachine/queue/queue.h"
#include "statemachine/state.h"

struct seen {
    struct machine_life steps[16];
    char texts[16][32];
    size_t len;
};

static int see(void *arg, const struct machine_life *life)
{
    struct seen *seen = arg;
    seen->steps[seen->len] = *life;
    (void)snprintf(seen->texts[seen->len++], sizeof seen->texts[0], "%s", life->text);
    return 0;
}

static struct seen look(struct fixture *f, uint64_t position)
{
    struct seen seen = {0};
    cr_assert_eq(machine_life(f->machine, fixture_queue(f, "q").id, position, see, &seen), 0);
    return seen;
}

static void is(struct fixture *f, uint64_t position, const enum machine_life_kind *kinds, size_t len)
{
    struct seen seen = look(f, position);
    cr_assert_eq(seen.len, len, "%zu steps, not %zu", seen.len, len);
    for (size_t i = 0; i < len; i++) {
        cr_assert_eq(seen.steps[i].kind, kinds[i], "step %zu is %d", i, seen.steps[i].kind);
        cr_assert(i == 0 || seen.steps[i].index >= seen.steps[i - 1].index);
    }
}
#define IS(f, position, ...)                                                                                           \
    is(f, position, (enum machine_life_kind[]){__VA_ARGS__},                                                           \
       sizeof((enum machine_life_kind[]){__VA_ARGS__}) / sizeof(enum machine_life_kind))

static void begin(struct fixture *f, struct client *a)
{
    Holdfast__QueueOptions options = options_dead("", "dead");
    publish_fixture_init(f, a);
    options.keep_life_ms = 1000;
    options.max_deliveries = 3;
    options.redelivery_delay_ms = 10;
    options.lock_ms = 100;
    leaving_declare(f, a, "q", &options);
    leaving_declare(f, a, "dead", NULL);
}

Test(life, is_noted_from_beginning_to_end_and_kept_for_so_long)
{
    for (int disturb = 0; disturb < 2; disturb++) {
        struct fixture f;
        struct client a;
        begin(&f, &a);
        cr_assert_eq(client_subscribe(&f, &a, "q", 1, 1).error, 0u);
        leaving_publish(&f, &a, "q", "body", UINT64_MAX);
        uint64_t index = f.index;
        IS(&f, 1, LIFE_ENQUEUED, LIFE_DELIVERED);
        leaving_disturb(&f, disturb);
        cr_assert_eq(client_settle(&f, &a, 1, RELEASE, 1, 1).count, 1u);
        leaving_disturb(&f, disturb);
        fixture_tick(&f, f.time_ms + 10);
        fixture_tick(&f, f.time_ms + 100);
        fixture_tick(&f, f.time_ms + 10);
        cr_assert_eq(client_unsubscribe(&f, &a, 1).error, 0u);
        IS(&f, 1, LIFE_ENQUEUED, LIFE_DELIVERED, LIFE_RELEASED, LIFE_WAITING, LIFE_DELIVERED, LIFE_LOCK_ENDED,
           LIFE_WAITING, LIFE_DELIVERED, LIFE_HOLDER_ENDED, LIFE_DELIVERY_LIMIT, LIFE_DEAD_LETTERED);
        struct seen seen = look(&f, 1);
        cr_assert_str_eq(seen.texts[0], "published");
        cr_assert_eq(seen.steps[0].index, index);
        cr_assert_eq(seen.steps[1].session, a.session);
        cr_assert_eq(seen.steps[1].consumer, 1u);
        cr_assert_eq(seen.steps[10].time_ms, machine_time_ms(f.machine));
        leaving_disturb(&f, disturb);
        fixture_tick(&f, seen.steps[10].time_ms + 999);
        cr_assert_eq(look(&f, 1).len, 11u);
        fixture_tick(&f, seen.steps[10].time_ms + 1000);
        cr_assert_eq(look(&f, 1).len, 0u);
        cr_assert_eq(machine_due_ms(f.machine), UINT64_MAX);
        fixture_done(&f);
    }
}

Test(life, ends_in_all_ways)
{
    struct fixture f;
    struct client a;
    begin(&f, &a);
    leaving_publish(&f, &a, "q", "expired", 5);
    fixture_tick(&f, f.time_ms + 10);
    IS(&f, 1, LIFE_ENQUEUED, LIFE_EXPIRED, LIFE_DEAD_LETTERED);
    cr_assert_eq(client_subscribe(&f, &a, "q", 1, 2).error, 0u);
    leaving_publish(&f, &a, "q", "accepted", UINT64_MAX);
    leaving_publish(&f, &a, "q", "rejected", UINT64_MAX);
    cr_assert_eq(client_settle(&f, &a, 1, ACCEPT, 1, 1).count, 1u);
    cr_assert_eq(client_settle(&f, &a, 1, REJECT, 2, 2).count, 1u);
    IS(&f, 2, LIFE_ENQUEUED, LIFE_DELIVERED, LIFE_ACCEPTED);
    IS(&f, 3, LIFE_ENQUEUED, LIFE_DELIVERED, LIFE_REJECTED, LIFE_DEAD_LETTERED);
    fixture_tick(&f, f.time_ms + 2000);
    cr_assert_eq(look(&f, 1).len + look(&f, 2).len + look(&f, 3).len, 0u);
    fixture_done(&f);
}

Test(life, of_what_was_purged_goes_without_a_walk_over_the_queue)
{
    for (int disturb = 0; disturb < 2; disturb++) {
        struct fixture f;
        struct client a;
        begin(&f, &a);
        for (unsigned i = 0; i < 600; i++) {
            leaving_publish(&f, &a, "q", "body", UINT64_MAX);
        }
        cr_assert_eq(client_subscribe(&f, &a, "q", 1, 300).error, 0u);
        cr_assert_eq(leaving_extend(&f, &a, 1, 1, 300, 100000).count, 300u);
        leaving_disturb(&f, disturb);
        cr_assert_eq(client_purge(&f, &a, "q").count, 300u);
        uint64_t purged_ms = machine_time_ms(f.machine);
        cr_assert_eq(client_set_credit(&f, &a, 1, 0).error, 0u);
        leaving_publish(&f, &a, "q", "after", UINT64_MAX);
        leaving_disturb(&f, disturb);
        IS(&f, 0, LIFE_PURGED);
        cr_assert_eq(look(&f, 600).len, 1u);
        for (uint64_t ms = 1000; ms < 1004; ms++) {
            fixture_tick(&f, purged_ms + ms);
            cr_assert_eq(look(&f, 301).len, ms < 1001, "%lu", (unsigned long)ms);
            cr_assert_eq(look(&f, 600).len, ms < 1002, "%lu", (unsigned long)ms);
            leaving_disturb(&f, disturb);
        }
        cr_assert_eq(look(&f, 0).len, 0u);
        cr_assert_eq(machine_due_ms(f.machine), purged_ms - 1 + 100000);
        IS(&f, 300, LIFE_ENQUEUED, LIFE_DELIVERED);
        IS(&f, 601, LIFE_ENQUEUED);
        fixture_done(&f);
    }
}

Test(life, goes_when_the_queue_does_not_keep_it_any_more)
{
    struct fixture f;
    struct client a;
    begin(&f, &a);
    leaving_publish(&f, &a, "q", "body", UINT64_MAX);
    leaving_disturb(&f, true);
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__ChangeQueue change = HOLDFAST__CHANGE_QUEUE__INIT;
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    uint32_t fields[] = {27};
    change.queue = "q";
    change.options = &options;
    change.field = fields;
    change.n_field = 1;
    command.kind_case = HOLDFAST__COMMAND__KIND_CHANGE_QUEUE;
    command.change_queue = &change;
    cr_assert_eq(client_command(&f, &a, &command, NULL, 0).error, 0u);
    cr_assert_eq(look(&f, 1).len, 0u);
    leaving_disturb(&f, true);
    cr_assert_eq(look(&f, 1).len, 0u);
    fixture_done(&f);
}

Test(life, tells_of_redriving)
{
    struct fixture f;
    struct client a;
    begin(&f, &a);
    Holdfast__QueueOptions options = options_dead("", "q");
    leaving_declare(&f, &a, "source", &options);
    cr_assert_eq(client_subscribe(&f, &a, "source", 1, 1).error, 0u);
    leaving_publish(&f, &a, "source", "body", UINT64_MAX);
    cr_assert_eq(client_settle(&f, &a, 1, REJECT, 1, 1).count, 1u);
    cr_assert_eq(client_unsubscribe(&f, &a, 1).error, 0u);
    cr_assert_eq(leaving_redrive(&f, &a, "q", "", "", 0).count, 1u);
    IS(&f, 1, LIFE_ENQUEUED, LIFE_REDRIVEN);
    struct seen seen = look(&f, 1);
    cr_assert_str_eq(seen.texts[0], "dead letter");
    cr_assert_str_eq(seen.texts[1], "source");
    uint64_t until_ms = machine_time_ms(f.machine) + 1000;
    fixture_tick(&f, until_ms - 1);
    cr_assert_eq(look(&f, 1).len, 2u);
    fixture_tick(&f, until_ms);
    cr_assert_eq(look(&f, 1).len, 0u, "it has left the queue");
    fixture_done(&f);
}
