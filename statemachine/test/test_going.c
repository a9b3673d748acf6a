/* What goes bit by bit because it is too much for one entry: with entries that may do very little, on a machine that is left alone and on
 * one that is checkpointed and restarted after every entry. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "leaving_fixture.h"
#include "statemachine/exchange/binding.h"
#include "statemachine/state.h"

#define THINGS 30u
#define WORK 7u

/* A restart forgets how little an entry may do. */
static void disturb_machine(struct fixture *f, bool disturb)
{
    leaving_disturb(f, disturb);
    f->machine->work.max = WORK;
}

static const char *nth(const char *what, unsigned i)
{
    static char names[4][32];
    static unsigned at;
    char *name = names[at++ % 4];
    (void)snprintf(name, sizeof names[0], "%s%u", what, i);
    return name;
}

/* Goes on until nothing is due at once; how many entries that took. */
static unsigned go_on(struct fixture *f, bool disturb)
{
    unsigned entries = 0;
    disturb_machine(f, disturb);
    for (; machine_due_ms(f->machine) == 0; entries++) {
        cr_assert_lt(entries, 10000u);
        fixture_tick(f, f->time_ms);
        disturb_machine(f, disturb);
    }
    return entries;
}

static uint64_t digest_of(struct fixture *f)
{
    uint64_t digest;
    cr_assert_eq(machine_memory_digest(f->machine, &digest), 0);
    return digest ^ machine_running_digest(f->machine);
}

static void begin(struct fixture *f, struct client *a)
{
    publish_fixture_init(f, a);
    f->machine->work.max = WORK;
}

/* ---- Bindings ---- */

static uint64_t exchange_goes_once(bool disturb)
{
    struct fixture f;
    struct client a;
    begin(&f, &a);
    cr_assert_eq(client_declare(&f, &a, "q").error, 0u);
    cr_assert_eq(exchange_declare(&f, &a, "x", HOLDFAST__DECLARE_EXCHANGE__TYPE__TOPIC).error, 0u);
    for (unsigned i = 0; i < THINGS; i++) {
        cr_assert_eq(exchange_bind(&f, &a, "x", "q", nth("key", i)).error, 0u);
    }
    disturb_machine(&f, disturb);
    Holdfast__DeleteExchange delete = HOLDFAST__DELETE_EXCHANGE__INIT;
    delete.exchange = (char[]){"x"};
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_DELETE_EXCHANGE;
    command.delete_exchange = &delete;
    cr_assert_eq(client_command(&f, &a, &command, NULL, 0).error, 0u);
    struct exchange *exchange;
    cr_assert_eq(exchange_find(f.machine, VIRTUAL_HOST_ROOT, "x", 1, &exchange), ERR_NOT_FOUND);
    uint64_t left = f.machine->exchanges.bindings_len;
    cr_assert(left > 0 && left < THINGS, "%lu", left);
    disturb_machine(&f, disturb);

    /* Its name can be had again, and that one has nothing of the first. */
    cr_assert_eq(exchange_declare(&f, &a, "x", HOLDFAST__DECLARE_EXCHANGE__TYPE__TOPIC).error, 0u);
    cr_assert_eq(exchange_find(f.machine, VIRTUAL_HOST_ROOT, "x", 1, &exchange), 0);
    cr_assert_eq(exchange->bindings_len, 0u);
    cr_assert_geq(go_on(&f, disturb), 2u);
    cr_assert_eq(f.machine->exchanges.bindings_len, 0u);
    cr_assert_eq(exchange_find(f.machine, VIRTUAL_HOST_ROOT, "x", 1, &exchange), 0);
    uint64_t digest = digest_of(&f);
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
    begin(&f, &a);
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
    for (unsigned i = 0; i < THINGS; i++) {
        cr_assert_eq(exchange_bind(&f, &a, "x", "q", nth("key", i)).error, 0u);
    }
    cr_assert_eq(exchange_bind(&f, &a, "x", "other", "key3").error, 0u);
    disturb_machine(&f, disturb);
    cr_assert_eq(client_delete(&f, &a, "q", false).error, 0u);
    cr_assert_gt(f.machine->exchanges.bindings_len, THINGS / 2);
    disturb_machine(&f, disturb);

    /* A binding to it matches nothing: one message goes to the other queue, and one to the alternate exchange. */
    struct posts *posts = posts_new(NULL);
    posts_add_to(posts, "x", "key3", "one");
    posts_add_to(posts, "x", "key4", "two");
    cr_assert_eq(posts_send_once(&f, &a, posts).error, 0u);
    cr_assert_eq(ready(&f, "other"), 1u);
    cr_assert_eq(ready(&f, "else"), 1u);
    cr_assert_eq(client_declare(&f, &a, "q").error, 0u);
    cr_assert_geq(go_on(&f, disturb), 1u);
    cr_assert_eq(f.machine->exchanges.bindings_len, 2u);
    cr_assert_eq(ready(&f, "q"), 0u);
    cr_assert_null(f.machine->doomed);
    uint64_t digest = digest_of(&f);
    fixture_done(&f);
    return digest;
}

Test(going, a_queue_goes_before_its_bindings)
{
    cr_assert_eq(bound_queue_goes_once(false), bound_queue_goes_once(true));
}

/* ---- Consumers ---- */

static void take_all(struct fixture *f, struct client *a, const char *queue, uint64_t consumer)
{
    cr_assert_eq(client_publish(f, a, queue, "", 1, 100).error, 0u);
    cr_assert_eq(client_subscribe(f, a, queue, consumer, 1000).error, 0u);
    cr_assert_eq(fixture_queue(f, queue).unsettled, 100u);
}

static uint64_t consumer_goes_once(bool disturb)
{
    struct fixture f;
    struct client a;
    begin(&f, &a);
    Holdfast__QueueOptions options = options_dead("", "dead");
    options.max_deliveries = 2;
    leaving_declare(&f, &a, "q", &options);
    cr_assert_eq(client_declare(&f, &a, "dead").error, 0u);
    take_all(&f, &a, "q", 5);
    disturb_machine(&f, disturb);
    cr_assert_eq(client_unsubscribe(&f, &a, 5).error, 0u);
    cr_assert_gt(fixture_queue(&f, "q").unsettled, 50u);
    cr_assert_gt(fixture_queue(&f, "q").ready, 0u);
    disturb_machine(&f, disturb);

    /* Nobody finds it, and what it holds cannot be settled by anybody. */
    cr_assert_eq(client_settle(&f, &a, 5, ACCEPT, 100, 100).error, E(NOT_FOUND));
    cr_assert_eq(client_unsubscribe(&f, &a, 5).error, E(NOT_FOUND));
    cr_assert_eq(client_subscribe(&f, &a, "q", 5, 10).error, E(EXISTS));
    cr_assert_geq(go_on(&f, disturb), 5u);
    cr_assert_eq(fixture_queue(&f, "q").unsettled, 0u);
    cr_assert_eq(fixture_queue(&f, "q").ready, 100u);
    cr_assert_eq(fixture_queue(&f, "q").consumers, 0u);

    /* Once more: then they are dead letters. */
    cr_assert_eq(client_subscribe(&f, &a, "q", 5, 1000).error, 0u);
    cr_assert_eq(client_unsubscribe(&f, &a, 5).error, 0u);
    cr_assert_geq(go_on(&f, disturb), 5u);
    cr_assert_eq(fixture_queue(&f, "q").ready, 0u);
    cr_assert_eq(fixture_queue(&f, "dead").ready, 100u);
    cr_assert_str_eq(body_at(&f, "dead", 1), "m1");
    cr_assert_str_eq(body_at(&f, "dead", 100), "m100");
    uint64_t digest = digest_of(&f);
    fixture_done(&f);
    return digest;
}

Test(going, a_consumer_goes_before_what_it_holds)
{
    cr_assert_eq(consumer_goes_once(false), consumer_goes_once(true));
}

static uint64_t consumed_queue_goes_once(bool disturb)
{
    struct fixture f;
    struct client a;
    struct client b;
    begin(&f, &a);
    cr_assert_eq(client_attach(&f, &b, 2, false).error, 0u);
    cr_assert_eq(client_declare(&f, &a, "q").error, 0u);
    take_all(&f, &a, "q", 5);
    for (unsigned i = 0; i < THINGS; i++) {
        cr_assert_eq(client_subscribe(&f, &b, "q", 1 + i, 10).error, 0u);
    }
    disturb_machine(&f, disturb);
    cr_assert_eq(client_delete(&f, &a, "q", false).error, 0u);
    disturb_machine(&f, disturb);
    cr_assert_not_null(f.machine->doomed);
    cr_assert_eq(client_settle(&f, &b, THINGS, ACCEPT, 1, 1).error, E(NOT_FOUND));
    cr_assert_eq(client_set_credit(&f, &b, THINGS, 100).error, E(NOT_FOUND));
    cr_assert_eq(node_detach(&f, b.session, b.attachment).error, 0u);
    disturb_machine(&f, disturb);
    cr_assert_eq(client_attach(&f, &b, 2, true).error, 0u);
    cr_assert_geq(go_on(&f, disturb), 2u);
    cr_assert_null(f.machine->doomed);
    cr_assert_eq(f.machine->consumers_len, 0u);
    uint64_t digest = digest_of(&f);
    fixture_done(&f);
    return digest;
}

Test(going, a_queue_goes_before_its_consumers)
{
    cr_assert_eq(consumed_queue_goes_once(false), consumed_queue_goes_once(true));
}

Test(going, every_consumer_of_a_queue_is_told_once)
{
    struct fixture f;
    struct client a;
    size_t told = 0;
    begin(&f, &a);
    cr_assert_eq(client_declare(&f, &a, "q").error, 0u);
    for (unsigned i = 0; i < THINGS; i++) {
        cr_assert_eq(client_subscribe(&f, &a, "q", 1 + i, 10).error, 0u);
    }
    cr_assert_eq(client_delete(&f, &a, "q", false).error, 0u);
    for (told = fixture_count(&f, EFFECT_CONSUMER_ENDED); machine_due_ms(f.machine) == 0;
         told += fixture_count(&f, EFFECT_CONSUMER_ENDED)) {
        fixture_tick(&f, f.time_ms);
    }
    cr_assert_eq(told, THINGS);
    fixture_done(&f);
}

/* ---- Sessions ---- */

static uint64_t session_goes_once(bool disturb)
{
    struct fixture f;
    struct client a;
    struct client b;
    struct client again;
    begin(&f, &a);
    cr_assert_eq(client_attach(&f, &b, 2, false).error, 0u);
    cr_assert_eq(client_declare(&f, &a, "q").error, 0u);
    Holdfast__QueueOptions single = HOLDFAST__QUEUE_OPTIONS__INIT;
    single.single_active = true;
    leaving_declare(&f, &b, "single", &single);
    cr_assert_eq(client_subscribe(&f, &b, "single", 1000, 10).error, 0u);
    cr_assert_eq(client_subscribe(&f, &b, "single", 1001, 10).error, 0u);
    cr_assert_eq(client_subscribe(&f, &a, "single", 1, 10).error, 0u);
    take_all(&f, &b, "q", 5);
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.exclusive = true;
    for (unsigned i = 0; i < THINGS; i++) {
        leaving_declare(&f, &b, nth("own", i), &options);
    }
    disturb_machine(&f, disturb);
    cr_assert_eq(client_close(&f, &b).error, 0u);
    cr_assert_eq(fixture_count(&f, EFFECT_SESSION_ENDED), 0u);
    disturb_machine(&f, disturb);

    /* It is not there any more: neither for its client nor for whoever has its key. */
    struct machine_session session;
    cr_assert_eq(machine_session(f.machine, b.session, &session), ERR_NOT_FOUND);
    cr_assert_eq(client_publish(&f, &b, "q", "", 1, 1).error, E(SESSION_EXPIRED));
    cr_assert_eq(client_attach(&f, &again, 2, true).error, E(SESSION_EXPIRED));
    cr_assert_eq(client_attach(&f, &again, 2, false).error, 0u);
    cr_assert_neq(again.session, b.session);
    size_t ended = 0;
    for (unsigned i = 0; machine_due_ms(f.machine) == 0; i++) {
        cr_assert_lt(i, 1000u);
        fixture_tick(&f, f.time_ms);
        ended += fixture_count(&f, EFFECT_SESSION_ENDED);
        disturb_machine(&f, disturb);
    }
    cr_assert_eq(ended, 1u);
    cr_assert_eq(fixture_queue(&f, "q").ready, 100u);
    cr_assert_eq(fixture_queue(&f, "own0").id, 0u);
    cr_assert_eq(HASH_CNT(by_id, f.machine->queues), 2u);
    cr_assert_eq(fixture_queue(&f, "single").active_session, a.session);
    uint64_t digest = digest_of(&f);
    fixture_done(&f);
    return digest;
}

Test(going, a_session_goes_before_what_it_has)
{
    cr_assert_eq(session_goes_once(false), session_goes_once(true));
}

static uint64_t leases_end_once(bool disturb)
{
    struct fixture f;
    struct client a;
    struct client clients[10];
    begin(&f, &a);
    cr_assert_eq(client_declare(&f, &a, "q").error, 0u);
    for (unsigned i = 0; i < 10; i++) {
        cr_assert_eq(client_attach(&f, &clients[i], (uint8_t)(10 + i), false).error, 0u);
        cr_assert_eq(client_subscribe(&f, &clients[i], "q", 1, 10).error, 0u);
    }
    cr_assert_eq(client_publish(&f, &a, "q", "", 1, 90).error, 0u);
    cr_assert_eq(node_lost(&f, NODE, RUN).error, 0u);
    disturb_machine(&f, disturb);
    fixture_tick(&f, f.time_ms + 60000);
    cr_assert_gt(machine_sessions_len(f.machine), 0u);
    cr_assert_geq(go_on(&f, disturb), 5u);
    cr_assert_eq(machine_sessions_len(f.machine), 0u);
    cr_assert_eq(fixture_queue(&f, "q").ready, 90u);
    uint64_t digest = digest_of(&f);
    fixture_done(&f);
    return digest;
}

Test(going, leases_end_one_after_the_other)
{
    cr_assert_eq(leases_end_once(false), leases_end_once(true));
}

/* ---- Virtual hosts ---- */

static struct effect_reply attach_in(struct fixture *f, struct client *client, uint8_t key, const char *host)
{
    uint8_t bytes[16] = {key};
    Holdfast__AttachSession attach = HOLDFAST__ATTACH_SESSION__INIT;
    attach.key = (ProtobufCBinaryData){.len = sizeof bytes, .data = bytes};
    attach.virtual_host = (char *)(uintptr_t)host;
    Holdfast__Origin origin = HOLDFAST__ORIGIN__INIT;
    origin.node = NODE;
    origin.run = RUN;
    origin.tag = ++f->tag;
    attach.origin = &origin;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_ATTACH_SESSION;
    command.attach_session = &attach;
    struct effect_reply reply = fixture_command(f, &(struct entry_command){0}, &command, NULL, 0);
    *client = (struct client){
        .session = reply.attach_session, .attachment = reply.attach_attachment, .number = reply.last_number};
    return reply;
}

static uint32_t host_create(struct fixture *f, struct client *a)
{
    Holdfast__CreateVirtualHost create = HOLDFAST__CREATE_VIRTUAL_HOST__INIT;
    create.virtual_host = (char[]){"tenant"};
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_CREATE_VIRTUAL_HOST;
    command.create_virtual_host = &create;
    return client_command(f, a, &command, NULL, 0).error;
}

static uint32_t host_delete(struct fixture *f, struct client *a)
{
    Holdfast__DeleteVirtualHost delete = HOLDFAST__DELETE_VIRTUAL_HOST__INIT;
    delete.virtual_host = (char[]){"tenant"};
    delete.force = true;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_DELETE_VIRTUAL_HOST;
    command.delete_virtual_host = &delete;
    return client_command(f, a, &command, NULL, 0).error;
}

static void host_fill(struct fixture *f, struct client *b, struct client *c)
{
    cr_assert_eq(attach_in(f, b, 2, "tenant").error, 0u);
    cr_assert_eq(attach_in(f, c, 3, "tenant").error, 0u);
    for (unsigned i = 0; i < THINGS; i++) {
        cr_assert_eq(client_declare(f, b, nth("its", i)).error, 0u);
        cr_assert_eq(exchange_bind(f, b, "amq.topic", nth("its", i), "key").error, 0u);
        cr_assert_eq(exchange_declare(f, b, nth("x", i), HOLDFAST__DECLARE_EXCHANGE__TYPE__FANOUT).error, 0u);
        cr_assert_eq(client_subscribe(f, c, nth("its", i), 1 + i, 10).error, 0u);
    }
    cr_assert_eq(client_publish(f, b, "its3", "", 1, 9).error, 0u);
}

/* `own`: by one of the sessions that are in it. */
static uint64_t host_goes_once(bool own, bool disturb)
{
    struct fixture f;
    struct client a;
    struct client b;
    struct client c;
    begin(&f, &a);
    cr_assert_eq(client_declare(&f, &a, "mine").error, 0u);
    cr_assert_eq(host_create(&f, &a), 0u);
    host_fill(&f, &b, &c);
    disturb_machine(&f, disturb);
    cr_assert_eq(host_delete(&f, own ? &b : &a), 0u);
    cr_assert_eq(f.machine->virtual_hosts.going_len, 1u);
    disturb_machine(&f, disturb);

    /* Nothing goes on in it, and there may be another one of that name at once, and sessions with the same keys. */
    cr_assert_eq(client_publish(&f, &c, "its3", "", 1, 1).error, E(SESSION_EXPIRED));
    struct client again;
    cr_assert_eq(attach_in(&f, &again, 3, "tenant").error, E(NOT_FOUND));
    cr_assert_eq(host_create(&f, &a), 0u);
    cr_assert_eq(attach_in(&f, &again, 3, "tenant").error, 0u);
    cr_assert_neq(again.session, c.session);
    cr_assert_eq(client_declare(&f, &again, "its3").error, 0u);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 0u);
    cr_assert_geq(go_on(&f, disturb), 5u);
    cr_assert_eq(f.machine->virtual_hosts.going_len, 0u);
    cr_assert_eq(HASH_CNT(by_id, f.machine->virtual_hosts.by_id), 2u);
    cr_assert_eq(HASH_CNT(by_id, f.machine->queues), 2u);
    cr_assert_eq(f.machine->exchanges.exchanges_len + f.machine->exchanges.bindings_len, 0u);
    cr_assert_eq(machine_sessions_len(f.machine), 2u);
    uint64_t digest = digest_of(&f);
    fixture_done(&f);
    return digest;
}

Test(going, a_virtual_host_goes_before_what_is_in_it)
{
    cr_assert_eq(host_goes_once(false, false), host_goes_once(false, true));
    cr_assert_eq(host_goes_once(true, false), host_goes_once(true, true));
}

/* ---- Dead letters and what is pushed out ---- */

static uint64_t dead_letters_wait_once(bool disturb)
{
    struct fixture f;
    struct client a;
    begin(&f, &a);
    cr_assert_eq(exchange_declare(&f, &a, "all", HOLDFAST__DECLARE_EXCHANGE__TYPE__FANOUT).error, 0u);
    for (unsigned i = 0; i < 8; i++) {
        cr_assert_eq(client_declare(&f, &a, nth("dead", i)).error, 0u);
        cr_assert_eq(exchange_bind(&f, &a, "all", nth("dead", i), "").error, 0u);
    }
    Holdfast__QueueOptions options = options_dead("all", NULL);
    leaving_declare(&f, &a, "q", &options);
    take_all(&f, &a, "q", 5);
    disturb_machine(&f, disturb);
    cr_assert_eq(client_settle(&f, &a, 5, REJECT, 1, 100).error, 0u);
    cr_assert_lt(ready(&f, "dead0"), 100u);
    cr_assert_geq(go_on(&f, disturb), 5u);
    for (unsigned i = 0; i < 8; i++) {
        cr_assert_eq(ready(&f, nth("dead", i)), 100u);
    }
    cr_assert_str_eq(body_at(&f, "dead7", 50), "m50"); /* In the order in which they died. */
    uint64_t digest = digest_of(&f);
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
    begin(&f, &a);
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
    cr_assert_eq(client_settle(&f, &a, 5, RELEASE, 1, 8193).error, E(LIMIT));
    cr_assert_eq(client_settle(&f, &a, 5, REJECT, 1, 8193).error, E(LIMIT));
    cr_assert_eq(fixture_queue(&f, "q").unsettled, 12000u);
    cr_assert_eq(client_settle(&f, &a, 5, REJECT, 1, 8192).error, 0u);
    cr_assert_eq(client_settle(&f, &a, 5, REJECT, 1, 12000).error, 0u); /* What is not held does not count. */
    cr_assert_eq(fixture_queue(&f, "q").unsettled, 0u);
    fixture_done(&f);
}
