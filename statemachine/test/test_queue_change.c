/* Changing a queue: what may be changed, and from when on it counts. */

#include <criterion/criterion.h>
#include <string.h>

#include "asking.h"
#include "statemachine/queue/queue_options.h"

#define NEVER UINT64_MAX

/* Numbers of fields of QueueOptions. */
enum {
    FIELD_AUTO_DELETE = 2,
    FIELD_TTL = 11,
    FIELD_MAX_LENGTH = 13,
    FIELD_DEAD_LETTER_KEY = 20,
    FIELD_LOCK = 25,
    FIELD_PROTECTED = 30,
    FIELD_NOTE = 31,
};

static struct fixture f;
static struct client a;

static void start(void)
{
    publish_fixture_init(&f, &a);
}

static void stop(void)
{
    fixture_done(&f);
}

TestSuite(queue_change, .init = start, .fini = stop);

static const Holdfast__QueueOptions none = HOLDFAST__QUEUE_OPTIONS__INIT;

Test(queue_change, of_fields_leaves_the_others)
{
    Holdfast__QueueOptions options = options_dead("amq.fanout", "key");
    options.lock_ms = 100;
    options.note = "first";
    leaving_declare(&f, &a, "q", &options);
    Holdfast__QueueOptions other = HOLDFAST__QUEUE_OPTIONS__INIT;
    other.note = "second";
    other.lock_ms = 7;
    other.has_dead_letter_key = true;
    other.dead_letter_key = "another";
    uint32_t fields[] = {FIELD_NOTE, FIELD_DEAD_LETTER_KEY};
    cr_assert_eq(ask_change(&f, &a, "q", &other, fields, 2).error, 0u);
    leaving_disturb(&f, true);
    const struct queue_options *now = fixture_queue(&f, "q").options;
    cr_assert_str_eq(now->note, "second");
    cr_assert_str_eq(now->dead_letter_key, "another");
    cr_assert_str_eq(now->dead_letter_exchange, "amq.fanout");
    cr_assert_eq(now->lock_ms, 100u);
    cr_assert_eq(ask_change(&f, &a, "q", &other, NULL, 0).error, 0u, "all of them");
    now = fixture_queue(&f, "q").options;
    cr_assert_eq(now->lock_ms, 7u);
    cr_assert_not(now->has_dead_letter);
}

Test(queue_change, what_is_refused)
{
    leaving_declare(&f, &a, "q", NULL);
    Holdfast__QueueOptions other = none;
    uint64_t before = fixture_digest(&f);
    other.auto_delete = true;
    cr_assert_eq(ask_change(&f, &a, "q", &other, NULL, 0).error, E(EXISTS));
    cr_assert_eq(ask_change_one(&f, &a, "q", &other, FIELD_AUTO_DELETE).error, E(EXISTS));
    cr_assert_eq(ask_change_one(&f, &a, "q", &other, 99).error, E(INVALID), "there is no such field");
    cr_assert_eq(ask_change(&f, &a, "q", NULL, NULL, 0).error, E(INVALID), "nothing is said");
    other = none;
    other.lock_ms = UINT64_MAX;
    cr_assert_eq(ask_change_one(&f, &a, "q", &other, FIELD_LOCK).error, E(INVALID));
    cr_assert_eq(ask_change_one(&f, &a, "r", &other, FIELD_NOTE).error, E(NOT_FOUND));
    cr_assert_neq(fixture_digest(&f), before, "its numbers are used up");
    cr_assert_eq(fixture_queue(&f, "q").options->lock_ms, 0u);
    cr_assert_not(fixture_queue(&f, "q").options->auto_delete);
}

Test(queue_change, a_limit_acts_when_the_next_message_comes_in)
{
    leaving_declare(&f, &a, "q", NULL);
    client_publish(&f, &a, "q", NULL, 1, 5);
    Holdfast__QueueOptions options = none;
    options.has_max_length = true;
    options.max_length = 2;
    cr_assert_eq(ask_change_one(&f, &a, "q", &options, FIELD_MAX_LENGTH).error, 0u);
    cr_assert_eq(fixture_queue(&f, "q").ready, 5u);
    leaving_disturb(&f, true);
    client_publish(&f, &a, "q", NULL, 6, 1);
    cr_assert_str_eq(ask_bodies(&f, "q"), "m5 m6 ");
}

Test(queue_change, a_time_to_live_is_of_messages_that_come_in_from_then_on)
{
    leaving_declare(&f, &a, "q", NULL);
    client_publish(&f, &a, "q", NULL, 1, 1);
    Holdfast__QueueOptions options = none;
    options.has_ttl = true;
    options.ttl_ms = 100;
    cr_assert_eq(ask_change_one(&f, &a, "q", &options, FIELD_TTL).error, 0u);
    client_publish(&f, &a, "q", NULL, 2, 1);
    options.has_ttl = false;
    cr_assert_eq(ask_change_one(&f, &a, "q", &options, FIELD_TTL).error, 0u);
    client_publish(&f, &a, "q", NULL, 3, 1);
    leaving_disturb(&f, true);
    fixture_tick(&f, f.time_ms + 100);
    cr_assert_str_eq(ask_bodies(&f, "q"), "m1 m3 ");
}

Test(queue_change, a_lock_is_as_long_as_the_queue_says_when_it_begins_or_is_extended)
{
    Holdfast__QueueOptions options = none;
    options.lock_ms = 100;
    leaving_declare(&f, &a, "q", &options);
    client_publish(&f, &a, "q", NULL, 1, 2);
    cr_assert_eq(client_subscribe(&f, &a, "q", 1, 1).error, 0u);
    uint64_t begun_ms = machine_time_ms(f.machine);
    options.lock_ms = 1000;
    cr_assert_eq(ask_change_one(&f, &a, "q", &options, FIELD_LOCK).error, 0u);
    cr_assert_eq(machine_due_ms(f.machine), begun_ms + 100, "what is out stays as it is");
    cr_assert_eq(leaving_extend(&f, &a, 1, 1, 1, 0).count, 1u);
    cr_assert_eq(machine_due_ms(f.machine), machine_time_ms(f.machine) + 1000, "as one that is made now");
    options.lock_ms = 0;
    cr_assert_eq(ask_change_one(&f, &a, "q", &options, FIELD_LOCK).error, 0u);
    cr_assert_eq(leaving_extend(&f, &a, 1, 1, 1, 0).count, 1u);
    cr_assert_eq(machine_due_ms(f.machine), NEVER, "which would have no lock");
    leaving_disturb(&f, true);
    cr_assert_eq(client_settle(&f, &a, 1, ACCEPT, 1, 1).count, 1u);
    cr_assert_eq(machine_due_ms(f.machine), NEVER);
}

Test(queue_change, protection_holds_until_it_is_taken_off)
{
    Holdfast__QueueOptions options = none;
    options.protected_ = true;
    leaving_declare(&f, &a, "q", &options);
    client_publish(&f, &a, "q", NULL, 1, 2);
    leaving_disturb(&f, true);
    cr_assert_eq(ask_delete(&f, &a, "q", false, false).error, E(REFUSED));
    cr_assert_eq(client_purge(&f, &a, "q").error, E(REFUSED));
    cr_assert_eq(fixture_queue(&f, "q").ready, 2u);
    cr_assert_eq(ask_change_one(&f, &a, "q", &none, FIELD_PROTECTED).error, 0u);
    cr_assert_eq(client_purge(&f, &a, "q").count, 2u);
    cr_assert_eq(ask_delete(&f, &a, "q", false, false).error, 0u);
}

Test(queue_change, it_does_not_go_round_the_length_that_the_virtual_host_allows)
{
    Holdfast__QueueOptions options = none;
    options.has_max_length = true;
    options.max_length = 50;
    leaving_declare(&f, &a, "q", &options);
    leaving_declare(&f, &a, "old", NULL);
    cr_assert_eq(ask_limit(&f, &a, HOLDFAST__LIMIT__WHAT__QUEUE_LENGTH, 100).error, 0u);
    options.max_length = 100;
    cr_assert_eq(ask_change_one(&f, &a, "q", &options, FIELD_MAX_LENGTH).error, 0u);
    options.max_length = 101;
    cr_assert_eq(ask_change_one(&f, &a, "q", &options, FIELD_MAX_LENGTH).error, E(LIMIT));
    cr_assert_eq(fixture_queue(&f, "q").options->max_length, 100u);
    options.has_max_length = false;
    cr_assert_eq(ask_change_one(&f, &a, "q", &options, FIELD_MAX_LENGTH).error, 0u);
    cr_assert(fixture_queue(&f, "q").options->has_max_length, "it is given the longest");
    cr_assert_eq(fixture_queue(&f, "q").options->max_length, 100u);
    options.note = "old";
    cr_assert_eq(ask_change(&f, &a, "old", &options, NULL, 0).error, 0u, "what is there stays");
    cr_assert_not(fixture_queue(&f, "old").options->has_max_length);
    cr_assert_str_eq(fixture_queue(&f, "old").options->note, "old");
    options.has_max_length = true;
    options.max_length = 1000;
    cr_assert_eq(ask_change_one(&f, &a, "old", &options, FIELD_MAX_LENGTH).error, 0u, "shorter than it was");
    cr_assert_eq(ask_change_one(&f, &a, "old", &options, FIELD_MAX_LENGTH).error, 0u);
    options.max_length = 1001;
    cr_assert_eq(ask_change_one(&f, &a, "old", &options, FIELD_MAX_LENGTH).error, E(LIMIT));
}

Test(queue_change, new_queues_have_at_most_the_length_that_the_virtual_host_allows)
{
    Holdfast__QueueOptions options = none;
    cr_assert_eq(ask_limit(&f, &a, HOLDFAST__LIMIT__WHAT__QUEUE_LENGTH, 100).error, 0u);
    cr_assert_eq(options_declare(&f, &a, "q", &none).error, 0u);
    cr_assert(fixture_queue(&f, "q").options->has_max_length);
    cr_assert_eq(fixture_queue(&f, "q").options->max_length, 100u);
    leaving_disturb(&f, true);
    cr_assert_eq(options_declare(&f, &a, "q", &none).error, 0u, "the same again");
    options.has_max_length = true;
    options.max_length = 101;
    cr_assert_eq(options_declare(&f, &a, "r", &options).error, E(LIMIT));
    options.max_length = 99;
    cr_assert_eq(options_declare(&f, &a, "r", &options).error, 0u);
    cr_assert_eq(fixture_queue(&f, "r").options->max_length, 99u);
}
