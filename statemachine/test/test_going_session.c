/* Sessions and virtual hosts that go bit by bit: with entries that may do very little, on a machine that is left alone and on one that is checkpointed and restarted after every
 * entry. */

#include <criterion/criterion.h>
#include <string.h>

#include "going_fixture.h"
#include "host_fixture.h"
#include "statemachine/state.h"

/* ---- Sessions ---- */

static uint64_t session_goes_once(bool disturb)
{
    struct fixture f;
    struct client a;
    struct client b;
    struct client again;
    going_begin(&f, &a);
    cr_assert_eq(client_attach(&f, &b, 2, false).error, 0u);
    cr_assert_eq(client_declare(&f, &a, "q").error, 0u);
    Holdfast__QueueOptions single = HOLDFAST__QUEUE_OPTIONS__INIT;
    single.single_active = true;
    leaving_declare(&f, &b, "single", &single);
    cr_assert_eq(client_subscribe(&f, &b, "single", 1000, 10).error, 0u);
    cr_assert_eq(client_subscribe(&f, &b, "single", 1001, 10).error, 0u);
    cr_assert_eq(client_subscribe(&f, &a, "single", 1, 10).error, 0u);
    going_take_all(&f, &b, "q", 5);
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.exclusive = true;
    for (unsigned i = 0; i < GOING_THINGS; i++) {
        leaving_declare(&f, &b, going_name("own", i), &options);
    }
    going_disturb(&f, disturb);
    cr_assert_eq(client_close(&f, &b).error, 0u);
    cr_assert_eq(fixture_count(&f, EFFECT_SESSION_ENDED), 0u);
    going_disturb(&f, disturb);

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
        going_disturb(&f, disturb);
    }
    cr_assert_eq(ended, 1u);
    cr_assert_eq(fixture_queue(&f, "q").ready, 100u);
    cr_assert_eq(fixture_queue(&f, "own0").id, 0u);
    cr_assert_eq(HASH_CNT(by_id, f.machine->queues), 2u);
    cr_assert_eq(fixture_queue(&f, "single").active_session, a.session);
    uint64_t digest = going_digest(&f);
    fixture_done(&f);
    return digest;
}

Test(going, a_session_goes_before_what_it_has)
{
    cr_assert_eq(session_goes_once(false), session_goes_once(true));
}

/* What a session that goes gives back in the last of several entries is delivered all the same, though nothing else happens. */
static uint64_t others_get_all_once(bool disturb)
{
    struct fixture f;
    struct client a;
    struct client b;
    going_begin(&f, &a);
    cr_assert_eq(client_attach(&f, &b, 2, false).error, 0u);
    cr_assert_eq(client_declare(&f, &a, "q").error, 0u);
    going_take_all(&f, &b, "q", 5);
    cr_assert_eq(client_subscribe(&f, &a, "q", 1, 1000).error, 0u);
    going_disturb(&f, disturb);
    cr_assert_eq(client_close(&f, &b).error, 0u);
    unsigned entries = going_go_on(&f, disturb);
    cr_assert_gt(entries, 2u);
    cr_assert_eq(fixture_queue(&f, "q").ready, 0u);
    cr_assert_eq(fixture_queue(&f, "q").unsettled, 100u);
    uint64_t digest = going_digest(&f);
    fixture_done(&f);
    return digest;
}

Test(going, what_a_session_held_is_delivered_to_the_last)
{
    cr_assert_eq(others_get_all_once(false), others_get_all_once(true));
}

static uint64_t leases_end_once(bool disturb)
{
    struct fixture f;
    struct client a;
    struct client clients[10];
    going_begin(&f, &a);
    cr_assert_eq(client_declare(&f, &a, "q").error, 0u);
    for (unsigned i = 0; i < 10; i++) {
        cr_assert_eq(client_attach(&f, &clients[i], (uint8_t)(10 + i), false).error, 0u);
        cr_assert_eq(client_subscribe(&f, &clients[i], "q", 1, 10).error, 0u);
    }
    cr_assert_eq(client_publish(&f, &a, "q", "", 1, 90).error, 0u);
    cr_assert_eq(node_lost(&f, NODE, RUN).error, 0u);
    going_disturb(&f, disturb);
    fixture_tick(&f, f.time_ms + 60000);
    cr_assert_gt(machine_sessions_len(f.machine), 0u);
    cr_assert_geq(going_go_on(&f, disturb), 5u);
    cr_assert_eq(machine_sessions_len(f.machine), 0u);
    cr_assert_eq(fixture_queue(&f, "q").ready, 90u);
    uint64_t digest = going_digest(&f);
    fixture_done(&f);
    return digest;
}

Test(going, leases_end_one_after_the_other)
{
    cr_assert_eq(leases_end_once(false), leases_end_once(true));
}

/* ---- Virtual hosts ---- */

static void host_fill(struct fixture *f, struct client *b, struct client *c)
{
    cr_assert_eq(host_attach(f, b, 2, "tenant", "").error, 0u);
    cr_assert_eq(host_attach(f, c, 3, "tenant", "").error, 0u);
    for (unsigned i = 0; i < GOING_THINGS; i++) {
        cr_assert_eq(client_declare(f, b, going_name("its", i)).error, 0u);
        cr_assert_eq(exchange_bind(f, b, "amq.topic", going_name("its", i), "key").error, 0u);
        cr_assert_eq(exchange_declare(f, b, going_name("x", i), HOLDFAST__DECLARE_EXCHANGE__TYPE__FANOUT).error, 0u);
        cr_assert_eq(client_subscribe(f, c, going_name("its", i), 1 + i, 10).error, 0u);
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
    going_begin(&f, &a);
    cr_assert_eq(client_declare(&f, &a, "mine").error, 0u);
    cr_assert_eq(host_create(&f, &a, "tenant").error, 0u);
    host_fill(&f, &b, &c);
    going_disturb(&f, disturb);
    cr_assert_eq(host_delete(&f, own ? &b : &a, "tenant", true).error, 0u);
    cr_assert_eq(f.machine->virtual_hosts.going_len, 1u);
    going_disturb(&f, disturb);

    /* Nothing goes on in it, and there may be another one of that name at once, and sessions with the same keys. */
    cr_assert_eq(client_publish(&f, &c, "its3", "", 1, 1).error, E(SESSION_EXPIRED));
    struct client again;
    cr_assert_eq(host_attach(&f, &again, 3, "tenant", "").error, E(NOT_FOUND));
    cr_assert_eq(host_create(&f, &a, "tenant").error, 0u);
    cr_assert_eq(host_attach(&f, &again, 3, "tenant", "").error, 0u);
    cr_assert_neq(again.session, c.session);
    cr_assert_eq(client_declare(&f, &again, "its3").error, 0u);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 0u);
    cr_assert_geq(going_go_on(&f, disturb), 5u);
    cr_assert_eq(f.machine->virtual_hosts.going_len, 0u);
    cr_assert_eq(HASH_CNT(by_id, f.machine->virtual_hosts.by_id), 2u);
    cr_assert_eq(HASH_CNT(by_id, f.machine->queues), 2u);
    cr_assert_eq(f.machine->exchanges.exchanges_len + f.machine->exchanges.bindings_len, 0u);
    cr_assert_eq(machine_sessions_len(f.machine), 2u);
    uint64_t digest = going_digest(&f);
    fixture_done(&f);
    return digest;
}

Test(going, a_virtual_host_goes_before_what_is_in_it)
{
    cr_assert_eq(host_goes_once(false, false), host_goes_once(false, true));
    cr_assert_eq(host_goes_once(true, false), host_goes_once(true, true));
}
