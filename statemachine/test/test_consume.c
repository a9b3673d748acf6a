/* Delivery, fairness, credit and settlement. */

#include <criterion/criterion.h>
#include <stdio.h>

#include "fixture.h"
#include "proto/base/fault.h"
#include "proto/base/limits.h"
#include "statemachine/state.h"

static void setup(struct fixture *f, struct client *a, struct client *b)
{
    fixture_init(f);
    client_attach(f, a, 1, false);
    client_attach(f, b, 2, false);
    cr_assert_eq(client_declare(f, a, "q").error, 0);
}

Test(consume, subscriptions_are_checked)
{
    struct fixture f;
    struct client a, b;
    setup(&f, &a, &b);
    cr_assert_eq(client_subscribe(&f, &a, "none", 1, 1).error, E(NOT_FOUND));
    cr_assert_eq(client_subscribe(&f, &a, "q", 0, 1).error, E(INVALID));
    cr_assert_eq(client_subscribe(&f, &a, "q", 1, 0).error, E(INVALID));
    cr_assert_eq(client_subscribe(&f, &a, "q", 1, CREDIT_MAX + 1).error, E(INVALID));
    cr_assert_eq(client_subscribe(&f, &a, "q", 1, CREDIT_MAX).error, 0);
    cr_assert_eq(client_subscribe(&f, &a, "q", 1, 1).error, E(EXISTS));
    cr_assert_eq(client_subscribe(&f, &b, "q", 1, 1).error, 0);
    cr_assert_eq(client_set_credit(&f, &a, 2, 1).error, E(NOT_FOUND));
    cr_assert_eq(client_set_credit(&f, &a, 1, CREDIT_MAX + 1).error, E(INVALID));
    cr_assert_eq(client_unsubscribe(&f, &a, 2).error, E(NOT_FOUND));
    for (uint64_t i = 2; i <= SESSION_CONSUMERS_MAX; i++) {
        cr_assert_eq(client_subscribe(&f, &a, "q", i, 1).error, 0);
    }
    cr_assert_eq(client_subscribe(&f, &a, "q", SESSION_CONSUMERS_MAX + 1, 1).error, E(LIMIT));
    fixture_done(&f);
}

Test(consume, consumers_take_turns)
{
    struct fixture f;
    struct client a, b;
    setup(&f, &a, &b);
    client_subscribe(&f, &b, "q", 1, 100);
    client_subscribe(&f, &a, "q", 1, 100);
    client_subscribe(&f, &a, "q", 2, 2);
    client_publish(&f, &a, "q", "", 1, 3);
    uint64_t sessions[3] = {b.session, a.session, a.session};
    uint64_t consumers[3] = {1, 1, 2};
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(fixture_delivery(&f, i)->session, sessions[i]);
        cr_assert_eq(fixture_delivery(&f, i)->delivery.consumer, consumers[i]);
        cr_assert_eq(fixture_delivery(&f, i)->delivery.number, 1u);
    }
    fixture_reopen(&f);
    client_publish(&f, &a, "q", "", 4, 20);
    size_t taken[3] = {0};
    for (size_t i = 0; i < 20; i++) {
        const struct effect *effect = fixture_delivery(&f, i);
        cr_assert_eq(effect->delivery.position, i + 4);
        taken[effect->session == b.session ? 0 : effect->delivery.consumer]++;
    }
    cr_assert_eq(taken[2], 1u, "its credit is used up");
    cr_assert(taken[0] - taken[1] <= 1);
    fixture_done(&f);
}

Test(consume, credit_bounds_what_is_out)
{
    struct fixture f;
    struct client a, b;
    setup(&f, &a, &b);
    client_publish(&f, &a, "q", "", 1, 10);
    client_subscribe(&f, &a, "q", 1, 3);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 3u);
    client_settle(&f, &a, 1, ACCEPT, 2, 3);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 2u);
    client_set_credit(&f, &a, 1, 0);
    client_settle(&f, &a, 1, ACCEPT, 1, 5);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 0u);
    fixture_reopen(&f);
    client_set_credit(&f, &a, 1, 2);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 2u);
    cr_assert_eq(fixture_delivery(&f, 0)->delivery.number, 6u);
    cr_assert_eq(fixture_delivery(&f, 0)->delivery.position, 6u);
    fixture_done(&f);
}

Test(consume, released_messages_go_back_to_their_places)
{
    struct fixture f;
    struct client a, b;
    setup(&f, &a, &b);
    client_publish(&f, &a, "q", "", 1, 6);
    client_subscribe(&f, &a, "q", 1, 4);
    client_set_credit(&f, &a, 1, 0);
    cr_assert_eq(client_settle(&f, &a, 1, RELEASE, 3, 3).count, 1u);
    cr_assert_eq(client_settle(&f, &a, 1, RELEASE, 1, 1).count, 1u);
    fixture_reopen(&f);
    client_subscribe(&f, &b, "q", 1, 10);
    uint64_t positions[4] = {1, 3, 5, 6};
    uint32_t counts[4] = {1, 1, 0, 0};
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 4u);
    for (size_t i = 0; i < 4; i++) {
        cr_assert_eq(fixture_delivery(&f, i)->delivery.position, positions[i]);
        cr_assert_eq(fixture_delivery(&f, i)->delivery.delivery_count, counts[i]);
    }
    client_set_credit(&f, &b, 1, 0);
    client_settle(&f, &b, 1, RELEASE, 1, 1);
    fixture_reopen(&f);
    client_set_credit(&f, &b, 1, 10);
    cr_assert_eq(fixture_delivery(&f, 0)->delivery.position, 1u);
    cr_assert_eq(fixture_delivery(&f, 0)->delivery.delivery_count, 2u);
    fixture_done(&f);
}

Test(consume, stale_settlements_change_nothing_and_are_counted)
{
    struct fixture f;
    struct client a, b;
    setup(&f, &a, &b);
    client_publish(&f, &a, "q", "", 1, 10);
    client_subscribe(&f, &a, "q", 1, 10);
    client_settle(&f, &a, 1, ACCEPT, 3, 4);
    struct effect_reply reply = client_settle(&f, &a, 1, REJECT, 1, 5);
    cr_assert_eq(reply.count, 3u);
    cr_assert_eq(reply.repeated_count, 2u);
    cr_assert_eq(client_settle(&f, &a, 1, ACCEPT, 11, 11).error, E(INVALID));
    cr_assert_eq(client_settle(&f, &a, 1, ACCEPT, 0, 5).error, E(INVALID));
    cr_assert_eq(client_settle(&f, &a, 1, ACCEPT, 7, 6).error, E(INVALID));
    cr_assert_eq(client_settle(&f, &a, 1, ACCEPT, 1, UINT64_MAX).error, E(INVALID));
    cr_assert_eq(client_settle(&f, &a, 2, ACCEPT, 1, 1).error, E(NOT_FOUND));
    cr_assert_eq(client_settle(&f, &b, 1, ACCEPT, 1, 1).error, E(NOT_FOUND));
    cr_assert_eq(client_settle(&f, &a, 1, (Holdfast__Settle__Outcome)7, 6, 6).error, E(INVALID));
    cr_assert_eq(fixture_queue(&f, "q").unsettled, 5u);
    reply = client_settle(&f, &a, 1, RELEASE, 6, 6);
    cr_assert_eq(reply.count, 1u);
    reply = client_settle(&f, &a, 1, ACCEPT, 6, 6);
    cr_assert_eq(reply.count, 0u, "it has gone back, and out again under another number");
    cr_assert_eq(reply.repeated_count, 1u);
    cr_assert_eq(fixture_queue(&f, "q").unsettled, 5u);
    fixture_done(&f);
}

Test(consume, unsubscribing_gives_back)
{
    struct fixture f;
    struct client a, b;
    setup(&f, &a, &b);
    client_publish(&f, &a, "q", "", 1, 5);
    client_subscribe(&f, &a, "q", 1, 3);
    client_subscribe(&f, &b, "q", 1, 100);
    fixture_reopen(&f);
    cr_assert_eq(client_unsubscribe(&f, &a, 1).error, 0);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 3u);
    cr_assert_eq(fixture_delivery(&f, 0)->session, b.session);
    cr_assert_eq(fixture_delivery(&f, 0)->delivery.position, 1u);
    cr_assert_eq(fixture_delivery(&f, 0)->delivery.delivery_count, 1u);
    fixture_reopen(&f);
    cr_assert_eq(fixture_queue(&f, "q").consumers, 1u);
    fixture_done(&f);
}

struct seen {
    uint64_t numbers[16];
    size_t len;
};

static int see(void *arg, const struct machine_delivery *delivery)
{
    struct seen *seen = arg;
    seen->numbers[seen->len++] = delivery->number;
    return seen->len == 5 ? 5 : 0;
}

Test(consume, deliveries_can_be_asked_for_again)
{
    struct fixture f;
    struct client a, b;
    struct seen seen = {0};
    setup(&f, &a, &b);
    client_publish(&f, &a, "q", "", 1, 10);
    client_subscribe(&f, &a, "q", 1, 10);
    client_settle(&f, &a, 1, ACCEPT, 7, 8);
    fixture_reopen(&f);
    cr_assert_eq(machine_deliveries(f.machine, a.session, 1, 5, see, &seen), 0);
    cr_assert_eq(seen.len, 3u);
    cr_assert_eq(seen.numbers[0], 6u);
    cr_assert_eq(seen.numbers[1], 9u);
    seen.len = 0;
    cr_assert_eq(machine_deliveries(f.machine, a.session, 1, 0, see, &seen), 5);
    cr_assert_eq(machine_deliveries(f.machine, a.session, 1, UINT64_MAX, see, &seen), 0);
    cr_assert_eq(machine_deliveries(f.machine, a.session, 2, 0, see, &seen), ERR_NOT_FOUND);
    cr_assert_eq(machine_deliveries(f.machine, 77, 1, 0, see, &seen), ERR_NOT_FOUND);
    fixture_done(&f);
}

Test(consume, what_one_entry_delivers_is_bounded_and_the_rest_follows)
{
    struct fixture f;
    struct client a, b;
    setup(&f, &a, &b);
    client_declare(&f, &a, "r");
    for (unsigned i = 0; i < 5; i++) {
        client_publish(&f, &a, "q", "", 1, PUBLISH_MESSAGES_MAX);
    }
    client_publish(&f, &a, "r", "", 1, 10);
    struct batch batch;
    batch_start(&batch);
    Holdfast__Subscribe subscribe = HOLDFAST__SUBSCRIBE__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_SUBSCRIBE;
    command.subscribe = &subscribe;
    subscribe.credit = CREDIT_MAX;
    for (subscribe.consumer = 1; subscribe.consumer <= 2; subscribe.consumer++) {
        subscribe.queue = subscribe.consumer == 1 ? (char[]){"q"} : (char[]){"r"};
        struct entry_command from = {.session = b.session, .attachment = 1, .number = ++b.number};
        batch_add(&batch, &from, &command, NULL, 0);
    }
    cr_assert_eq(fixture_apply(&f, batch_finish(&batch, 1, 1)), 0);
    size_t first = fixture_count(&f, EFFECT_DELIVER);
    cr_assert_eq(first, 16384u);
    cr_assert_eq(machine_due_ms(f.machine), 0u);
    fixture_reopen(&f);
    cr_assert_eq(machine_due_ms(f.machine), 0u);
    batch_start(&batch);
    cr_assert_eq(fixture_apply(&f, batch_finish(&batch, 1, 1)), 0);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 5 * PUBLISH_MESSAGES_MAX + 10 - first);
    cr_assert_eq(machine_due_ms(f.machine), UINT64_MAX);
    fixture_done(&f);
}

Test(consume, a_settlement_of_many_overlapping_ranges_costs_what_is_held)
{
    struct fixture f;
    struct client a, b;
    setup(&f, &a, &b);
    client_subscribe(&f, &a, "q", 1, CREDIT_MAX);
    for (unsigned i = 0; i < 15; i++) {
        client_publish(&f, &a, "q", "", 1, PUBLISH_MESSAGES_MAX);
    }
    uint64_t firsts[SETTLE_RANGES_MAX];
    uint64_t lasts[SETTLE_RANGES_MAX];
    for (uint64_t i = 0; i < SETTLE_RANGES_MAX; i++) {
        firsts[i] = 2 + i;
        lasts[i] = 30000 + i;
    }
    Holdfast__Settle settle = HOLDFAST__SETTLE__INIT;
    settle.consumer = 1;
    settle.n_first = settle.n_last = SETTLE_RANGES_MAX;
    settle.first = firsts;
    settle.last = lasts;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_SETTLE;
    command.settle = &settle;
    struct effect_reply reply = client_command(&f, &a, &command, NULL, 0);
    cr_assert_eq(reply.count, 30000u + SETTLE_RANGES_MAX - 2);
    cr_assert_eq(reply.count + reply.repeated_count, SETTLE_RANGES_MAX * 29999u);
    cr_assert_eq(fixture_queue(&f, "q").unsettled, 15 * PUBLISH_MESSAGES_MAX - reply.count);
    fixture_done(&f);
}

Test(consume, the_token_check_is_what_keeps_a_late_holder_out)
{
    for (int on = 0; on < 2; on++) {
        struct fixture f;
        struct client a, b;
        setup(&f, &a, &b);
        fault_set(FAULT_SKIP_TOKEN_CHECK, on == 1);
        client_publish(&f, &a, "q", "", 1, 2);
        client_subscribe(&f, &a, "q", 1, 2);
        client_set_credit(&f, &a, 1, 0);
        client_settle(&f, &a, 1, RELEASE, 1, 2);
        client_subscribe(&f, &b, "q", 1, 1);
        struct effect_reply reply = client_settle(&f, &a, 1, ACCEPT, 1, 2);
        cr_assert_eq(reply.count, on == 1 ? 2u : 0u);
        cr_assert_eq(reply.repeated_count, on == 1 ? 0u : 2u);
        cr_assert_eq(fixture_queue(&f, "q").unsettled, on == 1 ? 0u : 1u);
        cr_assert_eq(fixture_queue(&f, "q").ready, on == 1 ? 0u : 1u);
        fault_reset();
        fixture_done(&f);
    }
}

static void add_subscribe(struct batch *batch, struct client *client, char *queue, uint64_t consumer, uint32_t credit)
{
    Holdfast__Subscribe subscribe = HOLDFAST__SUBSCRIBE__INIT;
    subscribe.queue = queue;
    subscribe.consumer = consumer;
    subscribe.credit = credit;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_SUBSCRIBE;
    command.subscribe = &subscribe;
    struct entry_command from = {
        .session = client->session, .attachment = client->attachment, .number = ++client->number};
    batch_add(batch, &from, &command, NULL, 0);
}

Test(consume, a_long_queue_does_not_keep_a_short_one_waiting)
{
    struct fixture f;
    struct client a, b;
    struct batch batch;
    setup(&f, &a, &b);
    client_declare(&f, &a, "short");
    client_publish(&f, &a, "short", "", 1, 100);
    for (unsigned i = 0; i < 245; i++) {
        client_publish(&f, &a, "q", "", 1, PUBLISH_MESSAGES_MAX);
    }
    cr_assert_gt(fixture_queue(&f, "q").ready, 1000000u);
    batch_start(&batch);
    add_subscribe(&batch, &b, (char[]){"q"}, 1, CREDIT_MAX);
    add_subscribe(&batch, &b, (char[]){"short"}, 2, CREDIT_MAX);
    cr_assert_eq(fixture_apply(&f, batch_finish(&batch, 1, 1)), 0);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 16384u);
    cr_assert_eq(fixture_queue(&f, "short").unsettled, 100u);
    cr_assert_eq(fixture_queue(&f, "q").unsettled, 16284u);
    cr_assert_eq(machine_due_ms(f.machine), 0u);
    fixture_done(&f);
}

/* 300 queues of 200 messages: what one entry may deliver is given to them in turns, and the next entry goes on where it
 * stopped, after a restart as well. */
Test(consume, queues_take_turns)
{
    struct fixture f;
    struct client a, b;
    struct batch batch;
    setup(&f, &a, &b);
    batch_start(&batch);
    for (unsigned i = 0; i < 300; i++) {
        char name[8];
        (void)snprintf(name, sizeof name, "t%u", i);
        client_declare(&f, &a, name);
        client_publish(&f, &a, name, "", 1, 200);
        add_subscribe(&batch, &b, name, i + 1, CREDIT_MAX);
    }
    cr_assert_eq(fixture_apply(&f, batch_finish(&batch, 1, 1)), 0);
    uint64_t served[4] = {16384, 16384, 16384, 300 * 200 - 3 * 16384};
    for (size_t entry = 0; entry < 4; entry++) {
        if (entry > 0) {
            fixture_tick(&f, f.time_ms);
        }
        cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), served[entry]);
        uint64_t least = UINT64_MAX;
        uint64_t most = 0;
        for (unsigned i = 0; i < 300; i++) {
            char name[8];
            (void)snprintf(name, sizeof name, "t%u", i);
            uint64_t unsettled = fixture_queue(&f, name).unsettled;
            least = unsettled < least ? unsettled : least;
            most = unsettled > most ? unsettled : most;
        }
        cr_assert_leq(most - least, 64u, "between %llu and %llu", (unsigned long long)least, (unsigned long long)most);
        fixture_reopen(&f);
    }
    cr_assert_eq(machine_due_ms(f.machine), UINT64_MAX);
    fixture_done(&f);
}

Test(consume, a_thousand_consumers_get_equal_shares)
{
    struct fixture f;
    struct client a, b;
    struct batch batch;
    uint64_t shares[1001] = {0};
    setup(&f, &a, &b);
    batch_start(&batch);
    for (uint64_t consumer = 1; consumer <= 1000; consumer++) {
        add_subscribe(&batch, consumer % 2 == 0 ? &a : &b, (char[]){"q"}, consumer, 100);
    }
    cr_assert_eq(fixture_apply(&f, batch_finish(&batch, 1, 1)), 0);
    for (unsigned i = 0; i < 10; i++) {
        client_publish(&f, &a, "q", "", 1, 500);
        cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 500u);
        for (size_t nth = 0; nth < f.effects.len; nth++) {
            if (f.effects.items[nth].kind == EFFECT_DELIVER) {
                shares[f.effects.items[nth].delivery.consumer]++;
            }
        }
        fixture_reopen(&f);
    }
    for (uint64_t consumer = 1; consumer <= 1000; consumer++) {
        cr_assert_eq(shares[consumer], 5u);
    }
    fixture_done(&f);
}

/* Counted whatever becomes of them, and after a restart. */
Test(consume, there_are_only_so_many_subscriptions)
{
    struct fixture f;
    struct client a, b;
    setup(&f, &a, &b);
    cr_assert_eq(client_declare(&f, &a, "r").error, 0);
    cr_assert_eq(client_subscribe(&f, &a, "q", 1, 1).error, 0);
    cr_assert_eq(client_subscribe(&f, &a, "r", 2, 1).error, 0);
    fixture_reopen(&f);
    f.machine->consumers_max = 3;
    cr_assert_eq(client_subscribe(&f, &b, "q", 1, 1).error, 0);
    cr_assert_eq(client_subscribe(&f, &b, "q", 2, 1).error, E(LIMIT));
    cr_assert_eq(client_unsubscribe(&f, &b, 1).error, 0);
    cr_assert_eq(client_subscribe(&f, &b, "q", 3, 1).error, 0);
    cr_assert_eq(client_delete(&f, &a, "r", false).error, 0);
    cr_assert_eq(client_subscribe(&f, &b, "q", 4, 1).error, 0);
    cr_assert_eq(client_close(&f, &b).error, 0);
    for (uint64_t i = 0; i < 2; i++) {
        cr_assert_eq(client_subscribe(&f, &a, "q", 10 + i, 1).error, 0);
    }
    cr_assert_eq(client_subscribe(&f, &a, "q", 20, 1).error, E(LIMIT));
    fixture_done(&f);
}
