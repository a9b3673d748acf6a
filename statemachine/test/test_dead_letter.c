/* Dead letters: why, where to, and what they carry. */

#include <criterion/criterion.h>
#include <string.h>

#include "leaving_fixture.h"
#include "statemachine/queue/dead_letter.h"
#include "statemachine/state.h"

#define NEVER UINT64_MAX

/* Publishes to "q", whose dead letters go to "dead", and has it die; then looks at the dead letter. */
static void dies(Holdfast__QueueOptions options, const char *reason_text, Holdfast__Death__Reason reason,
                 void (*how)(struct fixture *f, struct client *a), bool disturb)
{
    struct fixture f;
    struct client a;
    publish_fixture_init(&f, &a);
    leaving_declare(&f, &a, "q", &options);
    leaving_declare(&f, &a, "dead", NULL);
    uint64_t at_ms = f.time_ms;
    leaving_publish(&f, &a, "q", "body", NEVER);
    leaving_disturb(&f, disturb);
    how(&f, &a);
    leaving_disturb(&f, disturb);
    cr_assert_eq(ready(&f, "dead"), 1u, "%s", reason_text);
    cr_assert_str_eq(body_at(&f, "dead", 1), "body");
    Holdfast__Trail *trail = leaving_trail(&f, "dead", 1);
    cr_assert_not_null(trail);
    cr_assert_eq(trail->n_death, 1u);
    cr_assert_str_eq(trail->death[0]->queue, "q");
    cr_assert_eq(trail->death[0]->reason, reason);
    cr_assert_eq(trail->death[0]->count, 1u);
    cr_assert_eq(trail->death[0]->position, 1u);
    cr_assert_eq(trail->death[0]->time_ms, machine_time_ms(f.machine));
    cr_assert_str_eq(trail->death[0]->exchange, "");
    cr_assert_eq(trail->death[0]->n_routing_key, 1u);
    cr_assert_str_eq(trail->death[0]->routing_key[0], "q");
    cr_assert_str_eq(trail->first_reason, reason_text);
    cr_assert_str_eq(trail->first_queue, "q");
    cr_assert_eq(trail->first_enqueued_ms, at_ms);
    cr_assert(trail->has_address);
    cr_assert_str_eq(trail->routing_key, "dead");
    cr_assert(trail->no_ttl);
    cr_assert_eq(leaving_counters(&f, "q")->dead_lettered, 1u);
    holdfast__trail__free_unpacked(trail, NULL);
    fixture_done(&f);
}

static void reject(struct fixture *f, struct client *a)
{
    cr_assert_eq(client_subscribe(f, a, "q", 1, 1).error, 0u);
    cr_assert_eq(client_settle(f, a, 1, REJECT, 1, 1).count, 1u);
    cr_assert_eq(leaving_counters(f, "q")->settled, 1u);
}

static void expire(struct fixture *f, struct client *a)
{
    (void)a;
    uint64_t due_ms = machine_due_ms(f->machine);
    cr_assert_eq(due_ms, machine_time_ms(f->machine) + 100);
    fixture_tick(f, due_ms - 1);
    cr_assert_eq(ready(f, "q"), 1u);
    fixture_tick(f, due_ms);
    cr_assert_eq(leaving_counters(f, "q")->expired, 1u);
}

static void push_out(struct fixture *f, struct client *a)
{
    leaving_publish(f, a, "q", "another", NEVER);
    cr_assert_eq(ready(f, "q"), 1u);
    cr_assert_eq(leaving_counters(f, "q")->dropped, 1u);
}

static void release_twice(struct fixture *f, struct client *a)
{
    cr_assert_eq(client_subscribe(f, a, "q", 1, 1).error, 0u);
    cr_assert_eq(client_settle(f, a, 1, RELEASE, 1, 1).count, 1u);
    cr_assert_eq(fixture_count(f, EFFECT_DELIVER), 1u);
    cr_assert_eq(client_settle(f, a, 1, RELEASE, 2, 2).count, 1u);
    cr_assert_eq(leaving_counters(f, "q")->settled, 0u);
}

Test(dead_letter, goes_where_its_queue_says_whatever_it_died_of)
{
    for (int disturb = 0; disturb < 2; disturb++) {
        Holdfast__QueueOptions options = options_dead("", "dead");
        dies(options, "rejected", HOLDFAST__DEATH__REASON__REJECTED, reject, disturb);
        options.has_ttl = true;
        options.ttl_ms = 100;
        dies(options, "expired", HOLDFAST__DEATH__REASON__EXPIRED, expire, disturb);
        options.has_ttl = false;
        options.has_max_length = true;
        options.max_length = 1;
        dies(options, "maxlen", HOLDFAST__DEATH__REASON__MAXLEN, push_out, disturb);
        options.has_max_length = false;
        options.max_deliveries = 2;
        dies(options, "delivery_limit", HOLDFAST__DEATH__REASON__DELIVERY_LIMIT, release_twice, disturb);
    }
}

Test(dead_letter, is_dropped_when_its_queue_does_not_say_or_there_is_no_way)
{
    Holdfast__QueueOptions options[] = {HOLDFAST__QUEUE_OPTIONS__INIT, options_dead("", "nowhere"),
                                        options_dead("no-exchange", NULL)};
    for (size_t i = 0; i < 3; i++) {
        struct fixture f;
        struct client a;
        publish_fixture_init(&f, &a);
        leaving_declare(&f, &a, "q", &options[i]);
        leaving_publish(&f, &a, "q", "body", NEVER);
        reject(&f, &a);
        struct machine_queue queue = fixture_queue(&f, "q");
        cr_assert_eq(queue.ready + queue.unsettled, 0u);
        cr_assert_eq(leaving_counters(&f, "q")->dead_lettered, i > 0);
        leaving_disturb(&f, true);
        fixture_done(&f);
    }
}

Test(dead_letter, keeps_the_keys_that_it_had_but_for_hidden_ones_in_the_trail)
{
    for (int disturb = 0; disturb < 2; disturb++) {
        struct fixture f;
        struct client a;
        publish_fixture_init(&f, &a);
        Holdfast__QueueOptions options = options_dead("dlx", NULL);
        leaving_declare(&f, &a, "q", &options);
        leaving_declare(&f, &a, "by-key", NULL);
        leaving_declare(&f, &a, "by-also", NULL);
        leaving_declare(&f, &a, "by-hidden", NULL);
        cr_assert_eq(exchange_declare(&f, &a, "in", HOLDFAST__DECLARE_EXCHANGE__TYPE__FANOUT).error, 0u);
        cr_assert_eq(exchange_declare(&f, &a, "dlx", HOLDFAST__DECLARE_EXCHANGE__TYPE__DIRECT).error, 0u);
        cr_assert_eq(exchange_bind(&f, &a, "in", "q", "").error, 0u);
        cr_assert_eq(exchange_bind(&f, &a, "dlx", "by-key", "key").error, 0u);
        cr_assert_eq(exchange_bind(&f, &a, "dlx", "by-also", "also").error, 0u);
        cr_assert_eq(exchange_bind(&f, &a, "dlx", "by-hidden", "hidden").error, 0u);
        Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
        char *also[] = {"also"};
        char *hidden[] = {"hidden"};
        head.exchange = "in";
        head.routing_key = "key";
        head.also_key = also;
        head.hidden_key = hidden;
        head.n_also_key = head.n_hidden_key = 1;
        struct posts *posts = posts_new(NULL);
        posts_add(posts, &head, "body");
        cr_assert_eq(posts_send_once(&f, &a, posts).count, 1u);
        leaving_disturb(&f, disturb);
        reject(&f, &a);
        leaving_disturb(&f, disturb);
        const char *queues[] = {"by-key", "by-also", "by-hidden"};
        for (size_t i = 0; i < 3; i++) {
            cr_assert_eq(ready(&f, queues[i]), 1u, "%s", queues[i]);
            cr_assert_str_eq(body_at(&f, queues[i], 1), "body");
            Holdfast__Trail *trail = leaving_trail(&f, queues[i], 1);
            cr_assert_str_eq(trail->death[0]->exchange, "in");
            cr_assert_eq(trail->death[0]->n_routing_key, 2u);
            cr_assert_str_eq(trail->death[0]->routing_key[0], "key");
            cr_assert_str_eq(trail->death[0]->routing_key[1], "also");
            cr_assert(trail->own_keys);
            cr_assert_str_eq(trail->exchange, "dlx");
            cr_assert_str_eq(trail->routing_key, "key");
            holdfast__trail__free_unpacked(trail, NULL);
        }
        fixture_done(&f);
    }
}

Test(dead_letter, goes_from_queue_to_queue_and_tells_of_each)
{
    for (int disturb = 0; disturb < 2; disturb++) {
        struct fixture f;
        struct client a;
        publish_fixture_init(&f, &a);
        Holdfast__QueueOptions first = options_dead("x", NULL);
        Holdfast__QueueOptions second = options_dead("y", "changed");
        Holdfast__QueueOptions third = options_dead("z", NULL);
        first.has_ttl = second.has_ttl = third.has_ttl = true;
        first.ttl_ms = 10;
        second.ttl_ms = 20;
        third.ttl_ms = 30;
        leaving_declare(&f, &a, "one", &first);
        leaving_declare(&f, &a, "two", &second);
        leaving_declare(&f, &a, "three", &third);
        leaving_declare(&f, &a, "four", NULL);
        const char *exchanges[] = {"x", "y", "z"};
        const char *queues[] = {"two", "three", "four"};
        const char *keys[] = {"one", "changed", "changed"};
        for (size_t i = 0; i < 3; i++) {
            cr_assert_eq(exchange_declare(&f, &a, exchanges[i], HOLDFAST__DECLARE_EXCHANGE__TYPE__DIRECT).error, 0u);
            cr_assert_eq(exchange_bind(&f, &a, exchanges[i], queues[i], keys[i]).error, 0u);
        }
        uint64_t at_ms = f.time_ms;
        leaving_publish(&f, &a, "one", "body", NEVER);
        uint64_t times[] = {at_ms + 10, at_ms + 30, at_ms + 60};
        for (size_t i = 0; i < 3; i++) {
            leaving_disturb(&f, disturb);
            cr_assert_eq(machine_due_ms(f.machine), times[i]);
            fixture_tick(&f, times[i]);
            cr_assert_eq(ready(&f, queues[i]), 1u, "%s", queues[i]);
        }
        Holdfast__Trail *trail = leaving_trail(&f, "four", 1);
        cr_assert_eq(trail->n_death, 3u);
        cr_assert_str_eq(trail->death[2]->queue, "one");
        cr_assert_str_eq(trail->death[2]->routing_key[0], "one");
        cr_assert_str_eq(trail->death[1]->queue, "two");
        cr_assert_str_eq(trail->death[1]->exchange, "x");
        cr_assert_str_eq(trail->death[1]->routing_key[0], "one");
        cr_assert_str_eq(trail->death[0]->queue, "three");
        cr_assert_str_eq(trail->death[0]->exchange, "y");
        cr_assert_str_eq(trail->death[0]->routing_key[0], "changed");
        cr_assert_str_eq(trail->first_queue, "one");
        cr_assert_eq(trail->first_enqueued_ms, at_ms);
        holdfast__trail__free_unpacked(trail, NULL);
        fixture_done(&f);
    }
}

Test(dead_letter, its_own_time_to_live_does_not_go_with_it)
{
    for (int rejected = 0; rejected < 2; rejected++) {
        struct fixture f;
        struct client a;
        publish_fixture_init(&f, &a);
        Holdfast__QueueOptions options = options_dead("", "dead");
        leaving_declare(&f, &a, "q", &options);
        leaving_declare(&f, &a, "dead", NULL);
        uint64_t at_ms = f.time_ms;
        leaving_publish(&f, &a, "q", "body", 50);
        if (rejected) {
            f.time_ms += 10;
            reject(&f, &a);
        } else {
            fixture_tick(&f, at_ms + 50);
        }
        cr_assert_eq(ready(&f, "dead"), 1u);
        Holdfast__Trail *trail = leaving_trail(&f, "dead", 1);
        cr_assert(trail->no_ttl);
        cr_assert_eq(trail->death[0]->has_expiration, !rejected);
        cr_assert_eq(trail->death[0]->expiration_ms, rejected ? 0u : 50u);
        holdfast__trail__free_unpacked(trail, NULL);
        cr_assert_eq(machine_due_ms(f.machine), NEVER);
        fixture_tick(&f, at_ms + 1000);
        cr_assert_eq(ready(&f, "dead"), 1u);
        fixture_done(&f);
    }
}

Test(dead_letter, that_expired_by_the_queues_time_names_none_of_its_own)
{
    struct fixture f;
    struct client a;
    publish_fixture_init(&f, &a);
    Holdfast__QueueOptions options = options_dead("", "dead");
    options.has_ttl = true;
    options.ttl_ms = 20;
    leaving_declare(&f, &a, "q", &options);
    leaving_declare(&f, &a, "dead", NULL);
    leaving_publish(&f, &a, "q", "body", 50);
    fixture_tick(&f, f.time_ms + 20);
    Holdfast__Trail *trail = leaving_trail(&f, "dead", 1);
    cr_assert(!trail->death[0]->has_expiration);
    cr_assert(trail->no_ttl);
    holdfast__trail__free_unpacked(trail, NULL);
    fixture_done(&f);
}

/* Two queues, each the other's place for dead letters. */
static void ring(struct fixture *f, struct client *a)
{
    Holdfast__QueueOptions options = options_dead("", "b");
    publish_fixture_init(f, a);
    options.has_ttl = true;
    options.ttl_ms = 10;
    leaving_declare(f, a, "a", &options);
    options.dead_letter_key = "a";
    leaving_declare(f, a, "b", &options);
}

Test(dead_letter, does_not_go_round_in_a_circle)
{
    struct fixture f;
    struct client a;
    ring(&f, &a);
    leaving_publish(&f, &a, "a", "body", NEVER);
    fixture_tick(&f, f.time_ms + 10);
    cr_assert_eq(ready(&f, "a"), 0u);
    cr_assert_eq(ready(&f, "b"), 1u);
    fixture_tick(&f, f.time_ms + 10);
    cr_assert_eq(ready(&f, "a") + ready(&f, "b"), 0u);
    cr_assert_eq(leaving_counters(&f, "b")->dead_lettered, 1u);
    fixture_done(&f);
}

Test(dead_letter, goes_round_in_a_circle_as_long_as_somebody_rejects_it)
{
    struct fixture f;
    struct client a;
    ring(&f, &a);
    cr_assert_eq(client_subscribe(&f, &a, "b", 1, 1).error, 0u);
    leaving_publish(&f, &a, "a", "body", NEVER);
    for (uint64_t round = 1; round <= 3; round++) {
        cr_assert_eq(ready(&f, "a"), 1u);
        fixture_tick(&f, f.time_ms + 10);
        cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 1u);
        Holdfast__Trail *trail = leaving_trail(&f, "b", round);
        cr_assert_eq(trail->n_death, round == 1 ? 1u : 2u);
        cr_assert_str_eq(trail->death[0]->queue, "a");
        cr_assert_eq(trail->death[0]->count, round);
        holdfast__trail__free_unpacked(trail, NULL);
        leaving_disturb(&f, true);
        cr_assert_eq(client_settle(&f, &a, 1, REJECT, round, round).count, 1u);
    }
    fixture_done(&f);
}

Test(dead_letter, of_a_queue_that_is_its_own_place_for_them_is_dropped_unless_rejected)
{
    struct fixture f;
    struct client a;
    publish_fixture_init(&f, &a);
    Holdfast__QueueOptions options = options_dead("", "q");
    options.has_max_length = true;
    options.max_length = 1;
    leaving_declare(&f, &a, "q", &options);
    leaving_publish(&f, &a, "q", "first", NEVER);
    leaving_publish(&f, &a, "q", "second", NEVER);
    cr_assert_eq(ready(&f, "q"), 1u);
    cr_assert_str_eq(body_at(&f, "q", 2), "second");
    cr_assert_eq(client_subscribe(&f, &a, "q", 1, 1).error, 0u);
    cr_assert_eq(client_settle(&f, &a, 1, REJECT, 1, 1).count, 1u);
    cr_assert_str_eq(body_at(&f, "q", 3), "second");
    fixture_done(&f);
}

Test(dead_letter, leaves_and_enters_in_one_step_also_among_several)
{
    struct fixture f;
    struct client a;
    publish_fixture_init(&f, &a);
    Holdfast__QueueOptions options = options_dead("", "dead");
    leaving_declare(&f, &a, "q", &options);
    leaving_declare(&f, &a, "dead", NULL);
    cr_assert_eq(client_publish(&f, &a, "q", NULL, 1, 5).count, 5u);
    cr_assert_eq(client_subscribe(&f, &a, "q", 1, 5).error, 0u);
    cr_assert_eq(client_settle(&f, &a, 1, REJECT, 2, 4).count, 3u);
    cr_assert_eq(fixture_queue(&f, "q").unsettled, 2u);
    cr_assert_eq(ready(&f, "dead"), 3u);
    cr_assert_str_eq(body_at(&f, "dead", 1), "m2");
    cr_assert_str_eq(body_at(&f, "dead", 3), "m4");
    fixture_done(&f);
}

Test(dead_letter, under_version_1_there_is_none)
{
    struct fixture f;
    struct client a;
    fixture_init(&f);
    cr_assert_eq(client_attach(&f, &a, 1, false).error, 0u);
    Holdfast__QueueOptions options = options_dead("", "dead");
    leaving_declare(&f, &a, "q", &options);
    leaving_declare(&f, &a, "dead", NULL);
    cr_assert_eq(client_publish(&f, &a, "q", NULL, 1, 1).count, 1u);
    reject(&f, &a);
    cr_assert_eq(ready(&f, "dead"), 0u);
    fixture_done(&f);
}

/* What cannot be read does not leave: others would have another state. */
Test(dead_letter, of_which_the_row_is_damaged_is_none)
{
    struct fixture f;
    struct client a;
    Holdfast__QueueOptions options = options_dead("", "dead");
    publish_fixture_init(&f, &a);
    leaving_declare(&f, &a, "q", &options);
    leaving_declare(&f, &a, "dead", NULL);
    leaving_publish(&f, &a, "q", "body", NEVER);
    fixture_reopen(&f);
    struct queue *queue = queue_by_name(f.machine, VIRTUAL_HOST_ROOT, "q");
    struct row_key key = row_key_pair(ROW_MESSAGE, queue->id, 1);
    struct store_change change = {.kind = STORE_PUT,
                                  .key = {.data = key.data, .len = key.len},
                                  .value = {.data = (const uint8_t *)"no row", .len = 6}};
    cr_assert_eq(f.machine->store->ops->write(f.machine->store, &change, 1), 0);
    cr_assert_eq(dead_letter_ready(f.machine, queue, 1, DEATH_EXPIRED), ERR_CORRUPT);
    cr_assert_eq(dead_letter_out(f.machine, queue, 1, 0, DEATH_REJECTED), ERR_CORRUPT);
    cr_assert_eq(queue_ready(queue), 1u);
    cr_assert_eq(ready(&f, "dead"), 0u);
    fixture_done(&f);
}
