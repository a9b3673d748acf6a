/* Nodes that are present, sessions attached at them, and leases in log time. */

#include <criterion/criterion.h>
#include <string.h>

#include "fixture.h"
#include "proto/base/fault.h"
#include "proto/base/limits.h"
#include "statemachine/state.h"
#include "statemachine/store/rows.h"

/* An origin, as replies carry it. */
static struct effect_reply origin(uint64_t node, uint64_t run, uint64_t tag)
{
    return (struct effect_reply){.origin_node = node, .origin_run = run, .origin_tag = tag};
}

static struct effect_reply attach_at(struct fixture *f, struct client *client, uint8_t key, uint64_t node, uint64_t run)
{
    struct effect_reply from = origin(node, run, ++f->tag);
    return node_attach(f, client, key, &from, 0, 0);
}

Test(presence, nodes_come_and_go)
{
    struct fixture f;
    struct machine_node nodes[NODES_PRESENT_MAX];
    struct machine_node node;
    fixture_init_empty(&f);
    cr_assert_eq(machine_nodes(f.machine, nodes), 0u);
    cr_assert_eq(node_present(&f, 3, 30).error, 0);
    cr_assert_eq(node_present(&f, 1, 10).error, 0);
    cr_assert_eq(node_present(&f, 2, 20).error, 0);
    cr_assert_eq(node_present(&f, 0, 10).error, E(INVALID));
    cr_assert_eq(node_present(&f, 4, 0).error, E(INVALID));
    fixture_reopen(&f);
    cr_assert_eq(machine_nodes(f.machine, nodes), 3u);
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(nodes[i].id, i + 1);
        cr_assert_eq(nodes[i].run, 10 * (i + 1));
        cr_assert_eq(nodes[i].sessions, 0u);
    }
    cr_assert_eq(node_present(&f, 2, 20).error, 0);
    cr_assert_eq(f.effects.len, 1u, "the same run changes nothing");
    cr_assert_eq(node_lost(&f, 2, 21).error, E(STALE));
    cr_assert_eq(node_lost(&f, 9, 20).error, E(STALE));
    cr_assert_eq(node_lost(&f, 2, 20).error, 0);
    cr_assert_eq(f.effects.items[0].kind, EFFECT_NODE_LOST);
    cr_assert_eq(f.effects.items[0].node_lost.node, 2u);
    cr_assert_eq(f.effects.items[0].node_lost.run, 20u);
    cr_assert_eq(node_lost(&f, 2, 20).error, E(STALE));
    fixture_reopen(&f);
    cr_assert_eq(machine_node(f.machine, 2, &node), ERR_NOT_FOUND);
    cr_assert_eq(machine_node(f.machine, 3, &node), 0);
    cr_assert_eq(node.run, 30u);
    fixture_done(&f);
}

/* A replica whose rows differ is found by its digest, whatever it has applied. */
Test(presence, shows_in_the_digest)
{
    struct fixture f;
    struct store *store;
    struct row row = {0};
    fixture_init(&f);
    fixture_reopen(&f);
    uint64_t digest = fixture_digest(&f);
    machine_close(f.machine);
    row_begin(&row, row_key_one(ROW_PRESENCE, NODE));
    row_put_u64(&row, RUN + 1);
    cr_assert_eq(row_seal(&row), 0);
    struct store_change change = {.kind = STORE_PUT, .key = row_key_slice(&row.key)};
    change.value = (struct slice){.data = row.value.data, .len = row.value.len};
    cr_assert_eq(store_memory_open(f.disk, &store), 0);
    cr_assert_eq(store->ops->write(store, &change, 1), 0);
    store->ops->close(store);
    row_done(&row);
    fixture_open(&f);
    cr_assert_neq(fixture_digest(&f), digest);
    fixture_done(&f);
}

Test(presence, there_is_room_for_so_many_nodes)
{
    struct fixture f;
    struct machine_node nodes[NODES_PRESENT_MAX];
    fixture_init_empty(&f);
    for (uint64_t node = NODES_PRESENT_MAX; node >= 1; node--) {
        cr_assert_eq(node_present(&f, node, 1).error, 0);
    }
    cr_assert_eq(node_present(&f, NODES_PRESENT_MAX + 1, 1).error, E(LIMIT));
    cr_assert_eq(node_present(&f, NODES_PRESENT_MAX, 2).error, 0, "one that is there may start again");
    cr_assert_eq(node_lost(&f, 1, 1).error, 0);
    cr_assert_eq(node_present(&f, NODES_PRESENT_MAX + 1, 1).error, 0);
    fixture_reopen(&f);
    cr_assert_eq(machine_nodes(f.machine, nodes), NODES_PRESENT_MAX);
    cr_assert_eq(nodes[0].id, 2u);
    fixture_done(&f);
}

Test(presence, only_a_process_that_is_present_attaches)
{
    struct fixture f;
    struct client a;
    fixture_init(&f);
    cr_assert_eq(attach_at(&f, &a, 1, 2, RUN).error, E(UNAVAILABLE));
    cr_assert_eq(attach_at(&f, &a, 1, NODE, RUN + 1).error, E(UNAVAILABLE));
    cr_assert_eq(machine_sessions_len(f.machine), 0u);
    cr_assert_eq(attach_at(&f, &a, 1, NODE, RUN).error, 0);
    cr_assert_eq(machine_sessions_len(f.machine), 1u);
    cr_assert_eq(fixture_session(&f, a.session).node, NODE);
    cr_assert_eq(fixture_session(&f, a.session).expires_ms, UINT64_MAX);
    Holdfast__AttachSession attach = HOLDFAST__ATTACH_SESSION__INIT;
    uint8_t key[16] = {3};
    attach.key = (ProtobufCBinaryData){.len = sizeof key, .data = key};
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_ATTACH_SESSION;
    command.attach_session = &attach;
    cr_assert_eq(fixture_command(&f, &(struct entry_command){0}, &command, NULL, 0).error, E(UNAVAILABLE));
    fixture_done(&f);
}

Test(presence, only_nodes_speak_of_nodes)
{
    struct fixture f;
    struct client a;
    fixture_init(&f);
    client_attach(&f, &a, 1, false);
    Holdfast__NodeLost lost = HOLDFAST__NODE_LOST__INIT;
    Holdfast__NodePresent present = HOLDFAST__NODE_PRESENT__INIT;
    Holdfast__DetachSession detach = HOLDFAST__DETACH_SESSION__INIT;
    Holdfast__AttachSession attach = HOLDFAST__ATTACH_SESSION__INIT;
    lost.node = present.node = NODE;
    lost.run = RUN;
    present.run = RUN + 1;
    detach.session = a.session;
    detach.attachment = a.attachment;
    Holdfast__Command commands[4] = {HOLDFAST__COMMAND__INIT, HOLDFAST__COMMAND__INIT, HOLDFAST__COMMAND__INIT,
                                     HOLDFAST__COMMAND__INIT};
    commands[0].kind_case = HOLDFAST__COMMAND__KIND_NODE_LOST;
    commands[0].node_lost = &lost;
    commands[1].kind_case = HOLDFAST__COMMAND__KIND_NODE_PRESENT;
    commands[1].node_present = &present;
    commands[2].kind_case = HOLDFAST__COMMAND__KIND_DETACH_SESSION;
    commands[2].detach_session = &detach;
    commands[3].kind_case = HOLDFAST__COMMAND__KIND_ATTACH_SESSION;
    commands[3].attach_session = &attach;
    for (size_t i = 0; i < 4; i++) {
        cr_assert_eq(client_command(&f, &a, &commands[i], NULL, 0).error, E(REFUSED));
    }
    cr_assert_eq(fixture_session(&f, a.session).node, NODE);
    fixture_done(&f);
}

Test(presence, an_attachment_that_comes_again_changes_nothing)
{
    struct fixture f;
    struct client a;
    fixture_init(&f);
    struct effect_reply from = origin(NODE, RUN, 5);
    cr_assert_eq(node_attach(&f, &a, 1, &from, 3, 0).attach_attachment, 1u);
    client_declare(&f, &a, "q");
    fixture_reopen(&f);
    struct effect_reply again = node_attach(&f, NULL, 1, &from, 3, 0);
    cr_assert_eq(again.error, 0);
    cr_assert_eq(again.attach_session, a.session);
    cr_assert_eq(again.attach_attachment, 1u);
    cr_assert_eq(again.last_number, 1u);
    /* Also when the session has been detached meanwhile: nobody is there to be served. */
    cr_assert_eq(node_detach(&f, a.session, 1).error, 0);
    uint64_t expires_ms = fixture_session(&f, a.session).expires_ms;
    cr_assert_eq(node_attach(&f, NULL, 1, &from, 3, 0).attach_attachment, 1u);
    cr_assert_eq(fixture_session(&f, a.session).expires_ms, expires_ms);
    cr_assert_eq(node_detach(&f, a.session, 1).error, 0);
    cr_assert_eq(fixture_session(&f, a.session).expires_ms, expires_ms, "the lease does not start again");
    fixture_done(&f);
}

Test(presence, an_attachment_that_was_overtaken_is_displaced)
{
    struct fixture f;
    struct client a;
    fixture_init(&f);
    node_present(&f, 2, 20);
    struct effect_reply late = origin(NODE, RUN, 1);
    struct effect_reply second = origin(2, 20, 1);
    struct effect_reply third = origin(NODE, RUN, 2);
    struct effect_reply uncounted = origin(2, 20, 2);
    cr_assert_eq(node_attach(&f, &a, 1, &second, 7, 0).attach_attachment, 1u);
    fixture_reopen(&f);
    struct effect_reply reply = node_attach(&f, NULL, 1, &late, 6, 0);
    cr_assert_eq(reply.error, E(DISPLACED));
    cr_assert_eq(reply.attach_session, 0u);
    cr_assert_eq(fixture_session(&f, a.session).node, 2u);
    cr_assert_eq(client_declare(&f, &a, "q").error, 0);
    cr_assert_eq(node_attach(&f, NULL, 1, &third, 7, 0).attach_attachment, 2u);
    cr_assert_eq(fixture_session(&f, a.session).node, NODE);
    cr_assert_eq(node_attach(&f, NULL, 1, &uncounted, 0, 0).attach_attachment, 3u);
    cr_assert_eq(node_attach(&f, NULL, 1, &late, 6, 0).error, E(DISPLACED), "the highest attempt is remembered");
    fixture_done(&f);
}

Test(presence, a_lost_node_takes_its_sessions_with_it)
{
    struct fixture f;
    struct client a[6];
    struct machine_node node;
    fixture_init(&f);
    node_present(&f, 2, 20);
    for (uint8_t i = 0; i < 6; i++) {
        attach_at(&f, &a[i], i, i % 2 == 0 ? NODE : 2, i % 2 == 0 ? RUN : 20);
    }
    cr_assert_eq(machine_node(f.machine, 2, &node), 0);
    cr_assert_eq(node.sessions, 3u);
    fixture_reopen(&f);
    uint64_t time_ms = f.time_ms;
    cr_assert_eq(node_lost(&f, 2, 20).error, 0);
    fixture_reopen(&f);
    for (size_t i = 0; i < 6; i++) {
        struct machine_session session = fixture_session(&f, a[i].session);
        cr_assert_eq(session.node, i % 2 == 0 ? NODE : 0);
        cr_assert_eq(session.expires_ms, i % 2 == 0 ? UINT64_MAX : time_ms + LEASE_MS_DEFAULT);
    }
    cr_assert_eq(machine_due_ms(f.machine), time_ms + LEASE_MS_DEFAULT);
    /* Another process of the first node: the same for its sessions; one has come back before. */
    attach_at(&f, &a[1], 1, NODE, RUN);
    cr_assert_eq(machine_node(f.machine, NODE, &node), 0);
    cr_assert_eq(node.sessions, 4u);
    cr_assert_eq(node_present(&f, NODE, RUN + 1).error, 0);
    cr_assert_eq(f.effects.items[0].kind, EFFECT_NODE_LOST);
    cr_assert_eq(f.effects.items[0].node_lost.run, RUN);
    cr_assert_eq(machine_node(f.machine, NODE, &node), 0);
    cr_assert_eq(node.run, RUN + 1);
    cr_assert_eq(node.sessions, 0u);
    fixture_reopen(&f);
    fixture_tick(&f, f.time_ms + LEASE_MS_DEFAULT);
    cr_assert_eq(fixture_count(&f, EFFECT_SESSION_ENDED), 6u);
    cr_assert_eq(machine_due_ms(f.machine), UINT64_MAX);
    cr_assert_eq(machine_sessions_len(f.machine), 0u);
    fixture_done(&f);
}

Test(lease, ends_at_its_time_and_not_before)
{
    struct fixture f;
    struct client a, b;
    fixture_init(&f);
    struct effect_reply from = origin(NODE, RUN, 1);
    node_attach(&f, &a, 1, &from, 0, 5000);
    client_attach(&f, &b, 2, false);
    cr_assert_eq(machine_due_ms(f.machine), UINT64_MAX);
    uint64_t at = f.time_ms + 5000;
    node_detach(&f, a.session, a.attachment);
    cr_assert_eq(machine_due_ms(f.machine), at);
    fixture_reopen(&f);
    cr_assert_eq(machine_due_ms(f.machine), at);
    fixture_tick(&f, at - 1);
    cr_assert_eq(f.effects.len, 0u);
    fixture_tick(&f, at - 1);
    cr_assert_eq(f.effects.len, 0u, "time stands still");
    fixture_tick(&f, at);
    cr_assert_eq(fixture_count(&f, EFFECT_SESSION_ENDED), 1u);
    cr_assert_eq(f.effects.items[0].session, a.session);
    cr_assert(f.effects.items[0].session_ended.expired);
    cr_assert_eq(machine_due_ms(f.machine), UINT64_MAX);
    fixture_reopen(&f);
    cr_assert_eq(client_attach(&f, &a, 1, true).error, E(SESSION_EXPIRED));
    fixture_done(&f);
}

Test(lease, stops_when_the_session_is_attached_again)
{
    struct fixture f;
    struct client a;
    fixture_init(&f);
    client_attach(&f, &a, 1, false);
    node_detach(&f, a.session, a.attachment);
    cr_assert_eq(client_attach(&f, &a, 1, true).attach_attachment, 2u);
    cr_assert_eq(machine_due_ms(f.machine), UINT64_MAX);
    fixture_tick(&f, f.time_ms + 10 * LEASE_MS_DEFAULT);
    cr_assert_eq(f.effects.len, 0u);
    cr_assert_eq(client_declare(&f, &a, "q").error, 0);
    node_detach(&f, a.session, a.attachment);
    client_close(&f, &a);
    cr_assert_eq(machine_due_ms(f.machine), UINT64_MAX);
    fixture_reopen(&f);
    fixture_done(&f);
}

Test(lease, so_many_end_in_one_entry)
{
    struct fixture f;
    struct client a;
    fixture_init(&f);
    for (uint64_t i = 0; i < 600; i++) {
        uint8_t key[16] = {(uint8_t)i, (uint8_t)(i >> 8), 1};
        Holdfast__Origin from = HOLDFAST__ORIGIN__INIT;
        from.node = NODE;
        from.run = RUN;
        from.tag = i + 1;
        Holdfast__AttachSession attach = HOLDFAST__ATTACH_SESSION__INIT;
        attach.key = (ProtobufCBinaryData){.len = sizeof key, .data = key};
        attach.origin = &from;
        Holdfast__Command command = HOLDFAST__COMMAND__INIT;
        command.kind_case = HOLDFAST__COMMAND__KIND_ATTACH_SESSION;
        command.attach_session = &attach;
        cr_assert_eq(fixture_command(&f, &(struct entry_command){0}, &command, NULL, 0).error, 0);
    }
    node_lost(&f, NODE, RUN);
    uint64_t at = f.time_ms + LEASE_MS_DEFAULT;
    uint64_t expected[] = {256, 256, 88, 0};
    for (size_t i = 0; i < 4; i++) {
        fixture_tick(&f, at);
        cr_assert_eq(fixture_count(&f, EFFECT_SESSION_ENDED), expected[i]);
        cr_assert_eq(machine_due_ms(f.machine), i < 2 ? 0 : UINT64_MAX, "what is left is due at once");
        fixture_reopen(&f);
    }
    node_present(&f, NODE, RUN);
    client_attach(&f, &a, 1, false);
    fixture_done(&f);
}

Test(lease, the_end_of_time_is_survived)
{
    struct fixture f;
    struct client a, b;
    fixture_init(&f);
    client_attach(&f, &a, 1, false);
    client_attach(&f, &b, 2, false);
    fixture_tick(&f, UINT64_MAX - 5);
    f.time_ms = UINT64_MAX - 5;
    node_detach(&f, a.session, a.attachment);
    cr_assert_eq(machine_due_ms(f.machine), UINT64_MAX - 1);
    fixture_reopen(&f);
    fixture_tick(&f, UINT64_MAX);
    cr_assert_eq(fixture_count(&f, EFFECT_SESSION_ENDED), 1u);
    cr_assert_eq(machine_due_ms(f.machine), UINT64_MAX, "an attached session is not due");
    f.time_ms = 7;
    node_detach(&f, b.session, b.attachment);
    fixture_reopen(&f);
    cr_assert_eq(machine_due_ms(f.machine), 0u);
    fixture_tick(&f, 0);
    cr_assert_eq(fixture_count(&f, EFFECT_SESSION_ENDED), 1u);
    cr_assert_eq(machine_due_ms(f.machine), UINT64_MAX);
    fixture_done(&f);
}

Test(presence, a_detached_session_keeps_what_it_holds_and_gets_nothing_new)
{
    struct fixture f;
    struct client a, b;
    fixture_init(&f);
    client_attach(&f, &a, 1, false);
    client_attach(&f, &b, 2, false);
    client_declare(&f, &a, "q");
    client_subscribe(&f, &a, "q", 1, 4);
    client_publish(&f, &b, "q", "", 1, 2);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 2u);
    node_detach(&f, a.session, a.attachment);
    client_publish(&f, &b, "q", "", 3, 4);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 0u);
    fixture_reopen(&f);
    cr_assert_eq(fixture_queue(&f, "q").unsettled, 2u);
    cr_assert_eq(fixture_queue(&f, "q").ready, 4u);
    /* What it sent before it was gone is carried out, and gives it no place among those who wait. */
    cr_assert_eq(client_set_credit(&f, &a, 1, 9).error, 0);
    cr_assert_eq(client_subscribe(&f, &a, "q", 2, 9).error, 0);
    cr_assert_eq(client_settle(&f, &a, 1, ACCEPT, 1, 1).count, 1u);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 0u);
    fixture_reopen(&f);
    client_attach(&f, &a, 1, true);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 4u);
    cr_assert_eq(fixture_delivery(&f, 0)->delivery.position, 3u);
    cr_assert_eq(fixture_delivery(&f, 0)->delivery.number, 3u, "its numbers go on");
    cr_assert_eq(fixture_delivery(&f, 0)->delivery.delivery_count, 0u);
    node_detach(&f, a.session, a.attachment);
    fixture_tick(&f, f.time_ms + LEASE_MS_DEFAULT);
    cr_assert_eq(fixture_queue(&f, "q").unsettled, 0u);
    cr_assert_eq(fixture_queue(&f, "q").ready, 5u);
    fixture_done(&f);
}

/* Subscriptions get their turns back in an order that does not tell of a restart. */
Test(presence, turns_after_an_attachment_are_the_same_after_a_restart)
{
    uint64_t order[2][6];
    for (int restarted = 0; restarted < 2; restarted++) {
        struct fixture f;
        struct client a;
        fixture_init(&f);
        client_attach(&f, &a, 1, false);
        client_declare(&f, &a, "q");
        const uint64_t consumers[] = {5, 2, 9, 1, 7, 3};
        for (size_t i = 0; i < 6; i++) {
            client_subscribe(&f, &a, "q", consumers[i], 1);
        }
        if (restarted == 1) {
            fixture_reopen(&f);
        }
        node_detach(&f, a.session, a.attachment);
        client_attach(&f, &a, 1, true);
        client_publish(&f, &a, "q", "", 1, 6);
        for (size_t i = 0; i < 6; i++) {
            order[restarted][i] = fixture_delivery(&f, i)->delivery.consumer;
        }
        fixture_done(&f);
    }
    cr_assert_eq(memcmp(order[0], order[1], sizeof order[0]), 0);
}

/* Each check, left out by its hook: what it is for. */
Test(presence, the_run_check_is_what_keeps_a_late_loss_out)
{
    struct fixture f;
    struct client a;
    fixture_init(&f);
    node_present(&f, NODE, RUN + 1);
    attach_at(&f, &a, 1, NODE, RUN + 1);
    fault_set(FAULT_SKIP_RUN_CHECK, true);
    cr_assert_eq(node_lost(&f, NODE, RUN).error, 0);
    fault_reset();
    cr_assert_eq(fixture_session(&f, a.session).node, 0u);
    fixture_done(&f);
}

Test(presence, the_attempt_check_is_what_keeps_a_late_attachment_out)
{
    struct fixture f;
    struct client a;
    fixture_init(&f);
    struct effect_reply second = origin(NODE, RUN, 2);
    struct effect_reply late = origin(NODE, RUN, 1);
    node_attach(&f, &a, 1, &second, 2, 0);
    fault_set(FAULT_SKIP_ATTEMPT_CHECK, true);
    cr_assert_eq(node_attach(&f, NULL, 1, &late, 1, 0).error, 0);
    fault_reset();
    cr_assert_eq(client_declare(&f, &a, "q").error, E(DISPLACED));
    fixture_done(&f);
}

Test(lease, the_stop_is_what_saves_a_session_that_came_back)
{
    struct fixture f;
    struct client a;
    fixture_init(&f);
    client_attach(&f, &a, 1, false);
    node_detach(&f, a.session, a.attachment);
    fault_set(FAULT_SKIP_LEASE_STOP, true);
    client_attach(&f, &a, 1, true);
    node_detach(&f, a.session, a.attachment);
    client_attach(&f, &a, 1, true);
    fixture_tick(&f, f.time_ms + LEASE_MS_DEFAULT);
    fault_reset();
    cr_assert_eq(fixture_count(&f, EFFECT_SESSION_ENDED), 1u);
    fixture_done(&f);
}

/* Whoever attaches under many keys and goes away blocks half of the places for as long as a lease may be, never all. */
Test(presence, leases_are_short_while_there_are_many_sessions)
{
    struct fixture f;
    struct client clients[5];
    fixture_init(&f);
    f.machine->sessions_max = 8;
    for (uint8_t i = 0; i < 5; i++) {
        struct effect_reply from = origin(NODE, RUN, ++f.tag);
        cr_assert_eq(node_attach(&f, &clients[i], i, &from, 0, LEASE_MS_MAX).error, 0);
    }
    for (unsigned i = 0; i < 5; i++) {
        cr_assert_eq(node_detach(&f, clients[i].session, 1).error, 0);
        cr_assert_eq(fixture_session(&f, clients[i].session).expires_ms, machine_time_ms(f.machine) + LEASE_MS_DEFAULT);
    }
    cr_assert_eq(client_close(&f, &clients[4]).error, 0);
    struct effect_reply from = origin(NODE, RUN, ++f.tag);
    cr_assert_eq(node_attach(&f, &clients[0], 0, &from, 0, LEASE_MS_MAX).error, 0);
    cr_assert_eq(node_detach(&f, clients[0].session, 2).error, 0);
    cr_assert_eq(fixture_session(&f, clients[0].session).expires_ms, machine_time_ms(f.machine) + LEASE_MS_MAX);
    fixture_done(&f);
}

Test(presence, there_are_only_so_many_sessions)
{
    struct fixture f;
    fixture_init(&f);
    f.machine->sessions_max = 3;
    for (uint8_t i = 0; i < 3; i++) {
        cr_assert_eq(attach_at(&f, NULL, i, NODE, RUN).error, 0);
    }
    cr_assert_eq(attach_at(&f, NULL, 3, NODE, RUN).error, E(LIMIT));
    cr_assert_eq(attach_at(&f, NULL, 2, NODE, RUN).error, 0);
    fixture_done(&f);
}
