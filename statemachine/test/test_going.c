/* What goes bit by bit because it is too much for one entry: with entries that may do very little, on a machine that is left alone and on one that is checkpointed and restarted after every
 * entry. */

#include <criterion/criterion.h>
#include <string.h>

#include "asking.h"
#include "going_fixture.h"
#include "statemachine/exchange/binding.h"
#include "statemachine/state.h"

/* ---- Bindings ---- */

static uint64_t exchange_goes_once(bool disturb)
{
    struct fixture f;
    struct client a;
    going_begin(&f, &a);
    cr_assert_eq(client_declare(&f, &a, "q").error, 0u);
    cr_assert_eq(exchange_declare(&f, &a, "x", HOLDFAST__DECLARE_EXCHANGE__TYPE__TOPIC).error, 0u);
    for (unsigned i = 0; i < GOING_THINGS; i++) {
        cr_assert_eq(exchange_bind(&f, &a, "x", "q", going_name("key", i)).error, 0u);
    }
    going_disturb(&f, disturb);
    Holdfast__DeleteExchange delete = HOLDFAST__DELETE_EXCHANGE__INIT;
    delete.exchange = (char[]){"x"};
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_DELETE_EXCHANGE;
    command.delete_exchange = &delete;
    cr_assert_eq(client_command(&f, &a, &command, NULL, 0).error, 0u);
    struct exchange *exchange;
    cr_assert_eq(exchange_find(f.machine, VIRTUAL_HOST_ROOT, "x", 1, &exchange), ERR_NOT_FOUND);
    uint64_t left = f.machine->exchanges.bindings_len;
    cr_assert(left > 0 && left < GOING_THINGS, "%lu", left);
    going_disturb(&f, disturb);

    /* Its name can be had again, and that one has nothing of the first. */
    cr_assert_eq(exchange_declare(&f, &a, "x", HOLDFAST__DECLARE_EXCHANGE__TYPE__TOPIC).error, 0u);
    cr_assert_eq(exchange_find(f.machine, VIRTUAL_HOST_ROOT, "x", 1, &exchange), 0);
    cr_assert_eq(exchange->bindings_len, 0u);
    cr_assert_geq(going_go_on(&f, disturb), 2u);
    cr_assert_eq(f.machine->exchanges.bindings_len, 0u);
    cr_assert_eq(exchange_find(f.machine, VIRTUAL_HOST_ROOT, "x", 1, &exchange), 0);
    uint64_t digest = going_digest(&f);
    fixture_done(&f);
    return digest;
}

Test(going, an_exchange_goes_before_its_bindings)
{
    cr_assert_eq(exchange_goes_once(false), exchange_goes_once(true));
}

static uint64_t bound_queue_goes_once(bool disturb)
{
    struct fixture f;
    struct client a;
    going_begin(&f, &a);
    cr_assert_eq(client_declare(&f, &a, "q").error, 0u);
    cr_assert_eq(client_declare(&f, &a, "other").error, 0u);
    cr_assert_eq(client_declare(&f, &a, "else").error, 0u);
    cr_assert_eq(exchange_declare(&f, &a, "second", HOLDFAST__DECLARE_EXCHANGE__TYPE__FANOUT).error, 0u);
    cr_assert_eq(exchange_bind(&f, &a, "second", "else", "").error, 0u);
    Holdfast__DeclareExchange declare = HOLDFAST__DECLARE_EXCHANGE__INIT;
    declare.exchange = (char[]){"x"};
    declare.has_alternate = true;
    declare.alternate = (char[]){"second"};
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_EXCHANGE;
    command.declare_exchange = &declare;
    cr_assert_eq(client_command(&f, &a, &command, NULL, 0).error, 0u);
    for (unsigned i = 0; i < GOING_THINGS; i++) {
        cr_assert_eq(exchange_bind(&f, &a, "x", "q", going_name("key", i)).error, 0u);
    }
    cr_assert_eq(exchange_bind(&f, &a, "x", "other", "key3").error, 0u);
    going_disturb(&f, disturb);
    cr_assert_eq(client_delete(&f, &a, "q", false).error, 0u);
    cr_assert_gt(f.machine->exchanges.bindings_len, GOING_THINGS / 2);
    going_disturb(&f, disturb);

    /* A binding to it matches nothing: one message goes to the other queue, and one to the alternate exchange. */
    struct posts *posts = posts_new(NULL);
    posts_add_to(posts, "x", "key3", "one");
    posts_add_to(posts, "x", "key4", "two");
    cr_assert_eq(posts_send_once(&f, &a, posts).error, 0u);
    cr_assert_eq(ready(&f, "other"), 1u);
    cr_assert_eq(ready(&f, "else"), 1u);
    cr_assert_eq(client_declare(&f, &a, "q").error, 0u);
    cr_assert_geq(going_go_on(&f, disturb), 1u);
    cr_assert_eq(f.machine->exchanges.bindings_len, 2u);
    cr_assert_eq(ready(&f, "q"), 0u);
    cr_assert_null(f.machine->doomed);
    uint64_t digest = going_digest(&f);
    fixture_done(&f);
    return digest;
}

Test(going, a_queue_goes_before_its_bindings)
{
    cr_assert_eq(bound_queue_goes_once(false), bound_queue_goes_once(true));
}

/* ---- Consumers ---- */

static uint64_t consumer_goes_once(bool disturb)
{
    struct fixture f;
    struct client a;
    going_begin(&f, &a);
    Holdfast__QueueOptions options = options_dead("", "dead");
    options.max_deliveries = 2;
    leaving_declare(&f, &a, "q", &options);
    cr_assert_eq(client_declare(&f, &a, "dead").error, 0u);
    going_take_all(&f, &a, "q", 5);
    going_disturb(&f, disturb);
    cr_assert_eq(client_unsubscribe(&f, &a, 5).error, 0u);
    cr_assert_gt(fixture_queue(&f, "q").unsettled, 50u);
    cr_assert_gt(fixture_queue(&f, "q").ready, 0u);
    going_disturb(&f, disturb);

    /* Nobody finds it, and what it holds cannot be settled by anybody. */
    cr_assert_eq(client_settle(&f, &a, 5, ACCEPT, 100, 100).error, E(NOT_FOUND));
    cr_assert_eq(client_unsubscribe(&f, &a, 5).error, E(NOT_FOUND));
    cr_assert_eq(client_subscribe(&f, &a, "q", 5, 10).error, E(EXISTS));
    cr_assert_geq(going_go_on(&f, disturb), 5u);
    cr_assert_eq(fixture_queue(&f, "q").unsettled, 0u);
    cr_assert_eq(fixture_queue(&f, "q").ready, 100u);
    cr_assert_eq(fixture_queue(&f, "q").consumers, 0u);

    /* Once more: then they are dead letters. */
    cr_assert_eq(client_subscribe(&f, &a, "q", 5, 1000).error, 0u);
    cr_assert_eq(client_unsubscribe(&f, &a, 5).error, 0u);
    cr_assert_geq(going_go_on(&f, disturb), 5u);
    cr_assert_eq(fixture_queue(&f, "q").ready, 0u);
    cr_assert_eq(fixture_queue(&f, "dead").ready, 100u);
    cr_assert_str_eq(body_at(&f, "dead", 1), "m1");
    cr_assert_str_eq(body_at(&f, "dead", 100), "m100");
    uint64_t digest = going_digest(&f);
    fixture_done(&f);
    return digest;
}

Test(going, a_consumer_goes_before_what_it_holds)
{
    cr_assert_eq(consumer_goes_once(false), consumer_goes_once(true));
}

/* Until what it held has gone back the queue is its own: who comes next is to have all of it. */
Test(going, a_queue_is_in_use_until_its_consumer_has_gone)
{
    struct fixture f;
    struct client a;
    Holdfast__Subscribe alone = HOLDFAST__SUBSCRIBE__INIT;
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    going_begin(&f, &a);
    options.auto_delete = true;
    leaving_declare(&f, &a, "q", &options);
    alone.exclusive = true;
    cr_assert_eq(client_publish(&f, &a, "q", NULL, 1, 100).count, 100u);
    cr_assert_eq(ask_subscribe(&f, &a, "q", 5, 1000, &alone).error, 0u);
    going_go_on(&f, false);
    cr_assert_eq(client_unsubscribe(&f, &a, 5).error, 0u);
    cr_assert_gt(fixture_queue(&f, "q").unsettled, 0u);
    cr_assert_eq(client_subscribe(&f, &a, "q", 6, 1).error, E(EXCLUSIVE));
    cr_assert_eq(ask_delete(&f, &a, "q", false, true).error, E(REFUSED));
    cr_assert_eq(ask_passive(&f, &a, "q").repeated_count, 1u);
    going_go_on(&f, false);
    cr_assert_eq(fixture_queue(&f, "q").id, 0u, "it was the last one");
    fixture_done(&f);
}

static uint64_t consumed_queue_goes_once(bool disturb)
{
    struct fixture f;
    struct client a;
    struct client b;
    going_begin(&f, &a);
    cr_assert_eq(client_attach(&f, &b, 2, false).error, 0u);
    cr_assert_eq(client_declare(&f, &a, "q").error, 0u);
    going_take_all(&f, &a, "q", 5);
    for (unsigned i = 0; i < GOING_THINGS; i++) {
        cr_assert_eq(client_subscribe(&f, &b, "q", 1 + i, 10).error, 0u);
    }
    going_disturb(&f, disturb);
    cr_assert_eq(client_delete(&f, &a, "q", false).error, 0u);
    going_disturb(&f, disturb);
    cr_assert_not_null(f.machine->doomed);
    cr_assert_eq(client_settle(&f, &b, GOING_THINGS, ACCEPT, 1, 1).error, E(NOT_FOUND));
    cr_assert_eq(client_set_credit(&f, &b, GOING_THINGS, 100).error, E(NOT_FOUND));
    cr_assert_eq(node_detach(&f, b.session, b.attachment).error, 0u);
    going_disturb(&f, disturb);
    cr_assert_eq(client_attach(&f, &b, 2, true).error, 0u);
    cr_assert_geq(going_go_on(&f, disturb), 2u);
    cr_assert_null(f.machine->doomed);
    cr_assert_eq(f.machine->consumers_len, 0u);
    uint64_t digest = going_digest(&f);
    fixture_done(&f);
    return digest;
}

Test(going, a_queue_goes_before_its_consumers)
{
    cr_assert_eq(consumed_queue_goes_once(false), consumed_queue_goes_once(true));
}

static size_t rows_below(struct fixture *f, const struct row_key *prefix)
{
    struct row_key from = *prefix;
    struct row_key end = row_key_after(prefix);
    struct table_row found;
    size_t len = 0;
    for (; table_seek(f->machine, &from, &end, &found) == 0; len++) {
        from = row_key_next(&found.key);
        table_row_done(&found);
    }
    return len;
}

static size_t bodies(struct fixture *f)
{
    struct row_key prefix = row_key_plain(ROW_BODY);
    return rows_below(f, &prefix);
}

/* Messages that are in another queue, too, go from this one as they come from its consumers, whoever ends these. */
static uint64_t sharing_queue_goes_once(bool disturb)
{
    struct fixture f;
    struct client a;
    struct client b;
    going_begin(&f, &a);
    cr_assert_eq(client_attach(&f, &b, 2, false).error, 0u);
    cr_assert_eq(exchange_declare(&f, &a, "x", HOLDFAST__DECLARE_EXCHANGE__TYPE__FANOUT).error, 0u);
    cr_assert_eq(client_declare(&f, &a, "q").error, 0u);
    cr_assert_eq(client_declare(&f, &a, "other").error, 0u);
    cr_assert_eq(exchange_bind(&f, &a, "x", "q", "").error, 0u);
    cr_assert_eq(exchange_bind(&f, &a, "x", "other", "").error, 0u);
    struct posts *posts = posts_new(NULL);
    for (unsigned i = 0; i < 3 * GOING_THINGS; i++) {
        posts_add_to(posts, "x", "", "body");
    }
    cr_assert_eq(posts_send_once(&f, &a, posts).error, 0u);
    going_go_on(&f, disturb);
    cr_assert_eq(bodies(&f), 3 * GOING_THINGS);
    cr_assert_eq(client_subscribe(&f, &b, "q", 1, GOING_THINGS).error, 0u);
    for (unsigned i = 0; i < GOING_THINGS; i++) {
        cr_assert_eq(client_subscribe(&f, &a, "q", 1 + i, 2).error, 0u);
    }
    cr_assert_eq(fixture_queue(&f, "q").unsettled, 3 * GOING_THINGS);
    going_disturb(&f, disturb);
    cr_assert_eq(client_delete(&f, &a, "q", false).error, 0u);
    going_disturb(&f, disturb);
    cr_assert_eq(client_close(&f, &b).error, 0u);
    cr_assert_geq(going_go_on(&f, disturb), 1u);
    cr_assert_null(f.machine->doomed);
    cr_assert_eq(client_purge(&f, &a, "other").error, 0u);
    going_go_on(&f, disturb);
    cr_assert_eq(bodies(&f), 0u, "%zu are left", bodies(&f));
    uint64_t digest = going_digest(&f);
    fixture_done(&f);
    return digest;
}

Test(going, a_queue_that_shares_bodies_goes_before_its_consumers)
{
    cr_assert_eq(sharing_queue_goes_once(false), sharing_queue_goes_once(true));
}

Test(going, every_consumer_of_a_queue_is_told_once)
{
    struct fixture f;
    struct client a;
    size_t told = 0;
    going_begin(&f, &a);
    cr_assert_eq(client_declare(&f, &a, "q").error, 0u);
    for (unsigned i = 0; i < GOING_THINGS; i++) {
        cr_assert_eq(client_subscribe(&f, &a, "q", 1 + i, 10).error, 0u);
    }
    cr_assert_eq(client_delete(&f, &a, "q", false).error, 0u);
    for (told = fixture_count(&f, EFFECT_CONSUMER_ENDED); machine_due_ms(f.machine) == 0;
         told += fixture_count(&f, EFFECT_CONSUMER_ENDED)) {
        fixture_tick(&f, f.time_ms);
    }
    cr_assert_eq(told, GOING_THINGS);
    fixture_done(&f);
}

/* ---- Dead letters and what is pushed out ---- */

static uint64_t dead_letters_wait_once(bool disturb)
{
    struct fixture f;
    struct client a;
    going_begin(&f, &a);
    cr_assert_eq(exchange_declare(&f, &a, "all", HOLDFAST__DECLARE_EXCHANGE__TYPE__FANOUT).error, 0u);
    for (unsigned i = 0; i < 8; i++) {
        cr_assert_eq(client_declare(&f, &a, going_name("dead", i)).error, 0u);
        cr_assert_eq(exchange_bind(&f, &a, "all", going_name("dead", i), "").error, 0u);
    }
    Holdfast__QueueOptions options = options_dead("all", NULL);
    leaving_declare(&f, &a, "q", &options);
    going_take_all(&f, &a, "q", 5);
    going_disturb(&f, disturb);
    cr_assert_eq(client_settle(&f, &a, 5, REJECT, 1, 100).error, 0u);
    cr_assert_lt(ready(&f, "dead0"), 100u);
    cr_assert_geq(going_go_on(&f, disturb), 5u);
    for (unsigned i = 0; i < 8; i++) {
        cr_assert_eq(ready(&f, going_name("dead", i)), 100u);
    }
    cr_assert_str_eq(body_at(&f, "dead7", 50), "m50"); /* In the order in which they died. */
    uint64_t digest = going_digest(&f);
    fixture_done(&f);
    return digest;
}

Test(going, dead_letters_that_are_too_many_come_later_and_in_order)
{
    cr_assert_eq(dead_letters_wait_once(false), dead_letters_wait_once(true));
}

Test(going, a_queue_that_became_too_long_shrinks_bit_by_bit)
{
    struct fixture f;
    struct client a;
    going_begin(&f, &a);
    cr_assert_eq(client_declare(&f, &a, "q").error, 0u);
    cr_assert_eq(client_publish(&f, &a, "q", "", 1, 100).error, 0u);
    uint32_t field[] = {13, 17};
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.has_max_length = true;
    options.max_length = 10;
    options.overflow = HOLDFAST__QUEUE_OPTIONS__OVERFLOW__DROP_OLDEST;
    Holdfast__ChangeQueue change = HOLDFAST__CHANGE_QUEUE__INIT;
    change.queue = (char[]){"q"};
    change.options = &options;
    change.field = field;
    change.n_field = 2;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_CHANGE_QUEUE;
    command.change_queue = &change;
    cr_assert_eq(client_command(&f, &a, &command, NULL, 0).error, 0u);
    cr_assert_eq(client_publish(&f, &a, "q", "", 1, 1).error, 0u);
    uint64_t left = ready(&f, "q");
    cr_assert(left < 100 && left > 90, "%lu", left);
    cr_assert_eq(client_publish(&f, &a, "q", "", 1, 50).error, 0u); /* At least as many go as come. */
    cr_assert_lt(ready(&f, "q"), left);
    for (unsigned i = 0; i < 40; i++) {
        cr_assert_eq(client_publish(&f, &a, "q", "", 1, 1).error, 0u);
    }
    cr_assert_eq(ready(&f, "q"), 10u);
    fixture_done(&f);
}

static uint64_t work_of_publishing(struct fixture *f, struct client *a, const char *queue, size_t count)
{
    cr_assert_eq(client_publish(f, a, queue, "", 1, count).error, 0u);
    return f->machine->work.max - f->machine->work.left;
}

/* A full queue that loses one for each that comes in costs no entry more than any; what goes beyond that does. */
Test(going, one_that_makes_room_for_another_is_paid_for_by_that)
{
    struct fixture f;
    struct client a;
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    publish_fixture_init(&f, &a);
    leaving_declare(&f, &a, "any", NULL);
    options.has_max_length = true;
    options.max_length = 10;
    leaving_declare(&f, &a, "full", &options);
    uint64_t work = work_of_publishing(&f, &a, "any", 10);
    cr_assert_eq(work_of_publishing(&f, &a, "full", 10), work);
    cr_assert_eq(work_of_publishing(&f, &a, "full", 10), work);
    cr_assert_eq(leaving_counters(&f, "full")->dropped, 10u);
    options.has_max_length = false;
    options.has_max_bytes = true;
    options.max_bytes = 20;
    leaving_declare(&f, &a, "long", &options);
    (void)work_of_publishing(&f, &a, "long", 9); /* "m1" to "m9". */
    leaving_publish(&f, &a, "long", "and a longer one", UINT64_MAX);
    cr_assert_eq(leaving_counters(&f, "long")->dropped, 7u, "two fit beside it");
    cr_assert_eq(f.machine->work.max - f.machine->work.left, 6u * WORK_OF_DROP);
    fixture_done(&f);
}

/* ---- Settling ---- */

Test(going, what_is_rejected_or_released_at_a_time_is_limited)
{
    struct fixture f;
    struct client a;
    publish_fixture_init(&f, &a);
    cr_assert_eq(client_declare(&f, &a, "q").error, 0u);
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(client_publish(&f, &a, "q", "", 1, 4000).error, 0u);
    }
    cr_assert_eq(client_subscribe(&f, &a, "q", 5, 12000).error, 0u);
    cr_assert_eq(client_set_credit(&f, &a, 5, 0).error, 0u);
    cr_assert_eq(client_settle(&f, &a, 5, RELEASE, 1, 4097).error, E(LIMIT));
    cr_assert_eq(client_settle(&f, &a, 5, REJECT, 1, 4097).error, E(LIMIT));
    cr_assert_eq(fixture_queue(&f, "q").unsettled, 12000u);
    cr_assert_eq(client_settle(&f, &a, 5, REJECT, 1, 4096).error, 0u);
    cr_assert_eq(client_settle(&f, &a, 5, RELEASE, 1, 8192).error, 0u); /* What is not held does not count. */
    cr_assert_eq(client_settle(&f, &a, 5, ACCEPT, 1, 12000).error, 0u);
    cr_assert_eq(fixture_queue(&f, "q").unsettled, 0u);
    fixture_done(&f);
}

/* ---- Rows of a queue ---- */

static size_t rows_of(struct fixture *f, enum row_kind kind, uint64_t queue)
{
    struct row_key prefix = row_key_one(kind, queue);
    return rows_below(f, &prefix);
}

Test(going, a_queue_leaves_no_rows_behind)
{
    static const enum row_kind kinds[] = {ROW_ID_SEEN, ROW_KEPT, ROW_LIFE, ROW_WAITING};
    struct fixture f;
    struct client a;
    publish_fixture_init(&f, &a);
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.id_window_ms = options.keep_settled_ms = options.keep_life_ms = options.redelivery_delay_ms = 60000;
    leaving_declare(&f, &a, "q", &options);
    cr_assert_eq(client_declare(&f, &a, "plain").error, 0u);
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    struct posts *posts = posts_new("q");
    head.message_id = (char[]){"first"};
    posts_add(posts, &head, "one");
    head.message_id = (char[]){"second"};
    posts_add(posts, &head, "two");
    cr_assert_eq(posts_send_once(&f, &a, posts).error, 0u);
    cr_assert_eq(client_publish(&f, &a, "plain", "", 1, 3).error, 0u);
    cr_assert_eq(client_subscribe(&f, &a, "q", 1, 10).error, 0u);
    cr_assert_eq(client_settle(&f, &a, 1, ACCEPT, 1, 1).error, 0u);
    cr_assert_eq(client_settle(&f, &a, 1, RELEASE, 2, 2).error, 0u);
    uint64_t id = fixture_queue(&f, "q").id;
    leaving_disturb(&f, true);
    cr_assert(queue_by_id(f.machine, id)->had_rows);
    cr_assert_not(queue_by_name(f.machine, VIRTUAL_HOST_ROOT, "plain")->had_rows);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        cr_assert_gt(rows_of(&f, kinds[i], id), 0u, "%c", kinds[i]);
    }
    cr_assert_eq(client_delete(&f, &a, "q", false).error, 0u);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        cr_assert_eq(rows_of(&f, kinds[i], id), 0u, "%c", kinds[i]);
    }
    fixture_done(&f);
}
