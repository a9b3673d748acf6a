/* Who is given messages: priorities, single-active queues, exclusive consumers, fetches, and queues that go by themselves. */

#include <criterion/criterion.h>
#include <string.h>

#include "fixture.h"
#include "statemachine/queue/queue_options.h"
#include "statemachine/state.h"

static struct fixture f;
static struct client a;
static struct client b;

static void start(void)
{
    fixture_init(&f);
    f.machine->version = 2;
    client_attach(&f, &a, 1, false);
    client_attach(&f, &b, 2, false);
}

static void stop(void)
{
    fixture_done(&f);
}

TestSuite(turns, .init = start, .fini = stop);

static struct effect_reply declare(struct client *client, const char *name, Holdfast__QueueOptions *options)
{
    Holdfast__DeclareQueue declare = HOLDFAST__DECLARE_QUEUE__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    declare.queue = (char *)name;
    declare.options = options;
    command.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_QUEUE;
    command.declare_queue = &declare;
    return client_command(&f, client, &command, NULL, 0);
}

static struct effect_reply subscribe(struct client *client, uint64_t consumer, uint32_t credit,
                                     Holdfast__Subscribe like)
{
    Holdfast__Subscribe subscribe = like;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    subscribe.queue = "q";
    subscribe.consumer = consumer;
    subscribe.credit = credit;
    command.kind_case = HOLDFAST__COMMAND__KIND_SUBSCRIBE;
    command.subscribe = &subscribe;
    return client_command(&f, client, &command, NULL, 0);
}

static const Holdfast__Subscribe plain = HOLDFAST__SUBSCRIBE__INIT;

/* What there is now is as it would be after a restart. */
static void same_after_restart(void)
{
    uint64_t digest = fixture_digest(&f);
    fixture_checkpoint(&f);
    cr_assert_eq(fixture_digest(&f), digest);
    if (MACHINE_VERSION_MAX >= 2) {
        fixture_crash(&f);
        cr_assert_eq(fixture_digest(&f), digest);
    }
    f.machine->version = 2;
}

static bool delivered(size_t nth, const struct client *client, uint64_t consumer)
{
    if (fixture_count(&f, EFFECT_DELIVER) <= nth) {
        return false;
    }
    const struct effect *effect = fixture_delivery(&f, nth);
    return effect->session == client->session && effect->delivery.consumer == consumer;
}

Test(turns, higher_priorities_are_given_messages_first)
{
    Holdfast__Subscribe high = plain;
    high.priority = 5;
    Holdfast__Subscribe low = plain;
    low.priority = -5;
    declare(&a, "q", NULL);
    cr_assert_eq(subscribe(&a, 1, 2, low).error, 0);
    cr_assert_eq(subscribe(&a, 2, 2, plain).error, 0);
    cr_assert_eq(subscribe(&b, 1, 1, high).error, 0);
    cr_assert_eq(subscribe(&b, 2, 1, high).error, 0);
    same_after_restart();
    client_publish(&f, &a, "q", "", 1, 6);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 6u);
    cr_assert(delivered(0, &b, 1) && delivered(1, &b, 2) && delivered(2, &a, 2) && delivered(3, &a, 2));
    cr_assert(delivered(4, &a, 1) && delivered(5, &a, 1));
}

Test(turns, of_a_single_active_queue_go_to_one_until_it_ends)
{
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    Holdfast__Subscribe high = plain;
    high.priority = 9;
    options.single_active = true;
    cr_assert_eq(declare(&a, "q", &options).error, 0);
    cr_assert_eq(subscribe(&a, 1, 1, plain).error, 0);
    cr_assert_eq(subscribe(&a, 2, 9, plain).error, 0);
    cr_assert_eq(subscribe(&b, 1, 9, high).error, 0);
    cr_assert_eq(subscribe(&b, 2, 9, high).error, 0);
    client_publish(&f, &a, "q", "", 1, 4);
    cr_assert(delivered(0, &a, 1));
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 1u, "it has no more credit, and nobody else is given any");
    same_after_restart();
    client_unsubscribe(&f, &a, 1);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 4u);
    cr_assert(delivered(0, &b, 1) && delivered(3, &b, 1), "the highest priority, and of these the first");
    same_after_restart();
    client_unsubscribe(&f, &b, 1);
    cr_assert(delivered(3, &b, 2));
    client_unsubscribe(&f, &b, 2);
    cr_assert(delivered(3, &a, 2));
    client_unsubscribe(&f, &a, 2);
    cr_assert_eq(subscribe(&a, 3, 1, plain).error, 0);
    cr_assert(delivered(0, &a, 3), "the first to come, when there was none");
}

Test(turns, exclusive_consumers_are_alone)
{
    Holdfast__Subscribe exclusive = plain;
    exclusive.exclusive = true;
    declare(&a, "q", NULL);
    cr_assert_eq(subscribe(&a, 1, 1, plain).error, (uint32_t)-ERR_NONE);
    cr_assert_eq(subscribe(&b, 1, 1, exclusive).error, (uint32_t)-ERR_EXCLUSIVE);
    client_unsubscribe(&f, &a, 1);
    cr_assert_eq(subscribe(&b, 1, 1, exclusive).error, 0u);
    same_after_restart();
    cr_assert_eq(subscribe(&a, 1, 1, plain).error, (uint32_t)-ERR_EXCLUSIVE);
    client_unsubscribe(&f, &b, 1);
    cr_assert_eq(subscribe(&a, 1, 1, plain).error, 0u);
}

Test(turns, a_fetch_takes_what_is_ready_and_ends)
{
    Holdfast__Subscribe fetch = plain;
    fetch.fetch = true;
    declare(&a, "q", NULL);
    struct effect_reply reply = subscribe(&a, 1, 2, fetch);
    cr_assert(reply.error == 0 && reply.count == 0 && fixture_count(&f, EFFECT_CONSUMER_ENDED) == 1);
    client_publish(&f, &a, "q", "", 1, 3);
    reply = subscribe(&a, 1, 2, fetch);
    cr_assert(reply.count == 2 && reply.repeated_count == 1);
    cr_assert(delivered(0, &a, 1) && delivered(1, &a, 1));
    cr_assert_eq(fixture_count(&f, EFFECT_CONSUMER_ENDED), 0u);
    same_after_restart();
    client_settle(&f, &a, 1, HOLDFAST__SETTLE__OUTCOME__ACCEPT, 1, 1);
    cr_assert_eq(fixture_count(&f, EFFECT_CONSUMER_ENDED), 0u);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 0u, "it is given no more");
    client_settle(&f, &a, 1, HOLDFAST__SETTLE__OUTCOME__RELEASE, 2, 2);
    cr_assert_eq(fixture_count(&f, EFFECT_CONSUMER_ENDED), 1u);
    struct machine_queue queue;
    cr_assert_eq(machine_queue(f.machine, "q", &queue), 0);
    cr_assert(queue.consumers == 0 && queue.ready == 2);
}

Test(turns, what_is_accepted_at_once_can_be_looked_at_until_the_next_entry)
{
    Holdfast__Subscribe at_once = plain;
    at_once.auto_accept = true;
    declare(&a, "q", NULL);
    client_publish(&f, &a, "q", "", 1, 2);
    same_after_restart();
    client_publish(&f, &a, "q", "", 3, 2);
    cr_assert_eq(subscribe(&a, 1, 1, at_once).error, 0u);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 4u, "it uses up no credit");
    struct machine_queue queue;
    cr_assert_eq(machine_queue(f.machine, "q", &queue), 0);
    cr_assert(queue.ready == 0 && queue.unsettled == 0 && queue.settled == 4);
    for (uint64_t position = 1; position <= 4; position++) {
        struct slice body;
        cr_assert_eq(machine_body(f.machine, queue.id, position, &body), 0);
        cr_assert(body.len == 2 && body.data[1] == '0' + position);
        slice_unref(&body);
    }
    struct slice body;
    fixture_tick(&f, f.time_ms);
    cr_assert_eq(machine_body(f.machine, queue.id, 1, &body), ERR_NOT_FOUND);
    cr_assert_eq(machine_body(f.machine, queue.id, 4, &body), ERR_NOT_FOUND);
}

Test(turns, a_paused_queue_delivers_nothing)
{
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    Holdfast__ChangeQueue change = HOLDFAST__CHANGE_QUEUE__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    uint32_t field = 29;
    options.paused = true;
    options.note = "x";
    declare(&a, "q", &options);
    subscribe(&a, 1, 5, plain);
    client_publish(&f, &a, "q", "", 1, 2);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 0u);
    same_after_restart();
    options.paused = false;
    options.note = "not taken";
    change.queue = "q";
    change.options = &options;
    change.field = &field;
    change.n_field = 1;
    command.kind_case = HOLDFAST__COMMAND__KIND_CHANGE_QUEUE;
    command.change_queue = &change;
    cr_assert_eq(client_command(&f, &a, &command, NULL, 0).error, 0u);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 2u);
    struct machine_queue queue;
    cr_assert_eq(machine_queue(f.machine, "q", &queue), 0);
    cr_assert_str_eq(queue.options->note, "x");
    options.single_active = true;
    change.n_field = 0;
    cr_assert_eq(client_command(&f, &a, &command, NULL, 0).error, (uint32_t)-ERR_EXISTS);
}

static bool queue_is_there(void)
{
    struct machine_queue queue;
    return machine_queue(f.machine, "q", &queue) == 0;
}

Test(turns, an_exclusive_queue_is_its_sessions_own_and_goes_with_it)
{
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__CloseSession close = HOLDFAST__CLOSE_SESSION__INIT;
    options.exclusive = true;
    cr_assert_eq(declare(&a, "q", &options).error, 0u);
    same_after_restart();
    cr_assert_eq(declare(&a, "q", &options).error, 0u);
    cr_assert_eq(declare(&a, "q", NULL).error, (uint32_t)-ERR_EXISTS);
    cr_assert_eq(declare(&b, "q", &options).error, (uint32_t)-ERR_EXCLUSIVE);
    cr_assert_eq(subscribe(&b, 1, 1, plain).error, (uint32_t)-ERR_EXCLUSIVE);
    cr_assert_eq(client_delete(&f, &b, "q", false).error, (uint32_t)-ERR_EXCLUSIVE);
    cr_assert_eq(subscribe(&a, 1, 1, plain).error, 0u);
    command.kind_case = HOLDFAST__COMMAND__KIND_CLOSE_SESSION;
    command.close_session = &close;
    client_command(&f, &a, &command, NULL, 0);
    cr_assert_not(queue_is_there());
}

Test(turns, an_auto_delete_queue_goes_with_its_last_consumer)
{
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.auto_delete = true;
    declare(&a, "q", &options);
    same_after_restart();
    cr_assert(queue_is_there(), "it has had none yet");
    subscribe(&a, 1, 1, plain);
    subscribe(&b, 1, 1, plain);
    client_publish(&f, &a, "q", "", 1, 2);
    client_unsubscribe(&f, &a, 1);
    cr_assert(queue_is_there());
    client_unsubscribe(&f, &b, 1);
    cr_assert_not(queue_is_there());
}

Test(turns, a_queue_expires_when_nobody_uses_it)
{
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.expires_ms = 1000;
    uint64_t now = f.time_ms;
    declare(&a, "q", &options);
    fixture_tick(&f, now + 900);
    declare(&a, "q", &options);
    same_after_restart();
    fixture_tick(&f, now + 1899);
    cr_assert(queue_is_there());
    subscribe(&a, 1, 1, plain);
    fixture_tick(&f, now + 5000);
    cr_assert(queue_is_there(), "it has a consumer");
    client_unsubscribe(&f, &a, 1);
    fixture_tick(&f, now + 5999);
    cr_assert(queue_is_there());
    fixture_tick(&f, now + 6001);
    cr_assert_not(queue_is_there());
}

Test(turns, an_exclusive_consumer_keeps_fetches_out_and_no_fetch_keeps_it_out)
{
    Holdfast__Subscribe exclusive = plain;
    Holdfast__Subscribe fetch = plain;
    exclusive.exclusive = true;
    fetch.fetch = true;
    declare(&a, "q", NULL);
    client_publish(&f, &a, "q", "", 1, 3);
    cr_assert_eq(subscribe(&a, 1, 1, fetch).count, 1u, "it holds one");
    same_after_restart();
    cr_assert_eq(subscribe(&b, 1, 1, exclusive).error, 0u);
    cr_assert_eq(subscribe(&a, 2, 1, fetch).error, (uint32_t)-ERR_EXCLUSIVE);
    cr_assert_eq(subscribe(&b, 2, 1, fetch).error, (uint32_t)-ERR_EXCLUSIVE);
    client_unsubscribe(&f, &b, 1);
    cr_assert_eq(subscribe(&a, 2, 1, fetch).count, 1u);
}

Test(turns, of_a_single_active_queue_nobody_fetches_beside_the_active_one)
{
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    Holdfast__Subscribe fetch = plain;
    fetch.fetch = true;
    options.single_active = true;
    declare(&a, "q", &options);
    cr_assert_eq(subscribe(&b, 9, 1, fetch).error, 0u, "there is none");
    cr_assert_eq(subscribe(&a, 1, 1, plain).error, 0u);
    client_publish(&f, &a, "q", "", 1, 3);
    same_after_restart();
    cr_assert_eq(subscribe(&b, 9, 1, fetch).error, (uint32_t)-ERR_EXCLUSIVE);
    struct effect_reply reply = subscribe(&a, 9, 1, fetch);
    cr_assert(reply.error == 0 && reply.count == 1, "it is its own");
    client_unsubscribe(&f, &a, 1);
    cr_assert_eq(subscribe(&b, 9, 1, fetch).count, 1u);
}

static struct effect_reply delete_unused(struct client *client)
{
    Holdfast__DeleteQueue delete = HOLDFAST__DELETE_QUEUE__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    delete.queue = "q";
    delete.if_unused = true;
    command.kind_case = HOLDFAST__COMMAND__KIND_DELETE_QUEUE;
    command.delete_queue = &delete;
    return client_command(&f, client, &command, NULL, 0);
}

Test(turns, a_queue_with_consumers_is_used_and_one_with_fetches_is_not)
{
    Holdfast__Subscribe fetch = plain;
    fetch.fetch = true;
    declare(&a, "q", NULL);
    client_publish(&f, &a, "q", "", 1, 2);
    cr_assert_eq(subscribe(&b, 2, 1, fetch).count, 1u);
    cr_assert_eq(subscribe(&a, 1, 1, plain).error, 0u);
    same_after_restart();
    cr_assert_eq(delete_unused(&b).error, (uint32_t)-ERR_REFUSED);
    cr_assert(queue_is_there());
    client_unsubscribe(&f, &a, 1);
    struct effect_reply reply = delete_unused(&b);
    cr_assert(reply.error == 0 && reply.count == 2);
    cr_assert_not(queue_is_there());
}
