/* Sessions: attachments, command numbers, remembered replies, ends. */

#include <criterion/criterion.h>
#include <string.h>

#include "fixture.h"
#include "proto/base/fault.h"
#include "proto/base/limits.h"

Test(session, attach_creates_and_finds_again)
{
    struct fixture f;
    struct client a, again, b;
    fixture_init(&f);
    cr_assert_eq(client_attach(&f, &a, 1, true).error, E(SESSION_EXPIRED));
    cr_assert_eq(client_attach(&f, &a, 1, false).error, 0);
    cr_assert_eq(a.session, 1u);
    cr_assert_eq(a.attachment, 1u);
    cr_assert_eq(client_attach(&f, &b, 2, false).attach_session, 2u);
    cr_assert_eq(client_declare(&f, &a, "q").error, 0);
    fixture_reopen(&f);
    struct effect_reply reply = client_attach(&f, &again, 1, true);
    cr_assert_eq(reply.attach_session, 1u);
    cr_assert_eq(reply.attach_attachment, 2u);
    cr_assert_eq(reply.last_number, 1u);
    struct machine_session session;
    cr_assert_eq(machine_session(f.machine, 1, &session), 0);
    cr_assert_eq(session.lease_ms, LEASE_MS_DEFAULT);
    fixture_done(&f);
}

Test(session, attach_is_checked)
{
    struct fixture f;
    fixture_init(&f);
    uint8_t key[16] = {9};
    Holdfast__AttachSession attach = HOLDFAST__ATTACH_SESSION__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_ATTACH_SESSION;
    command.attach_session = &attach;
    Holdfast__Origin origin = HOLDFAST__ORIGIN__INIT;
    origin.node = NODE;
    origin.run = RUN;
    origin.tag = 1;
    attach.origin = &origin;
    attach.key = (ProtobufCBinaryData){.len = 15, .data = key};
    cr_assert_eq(fixture_command(&f, &(struct entry_command){0}, &command, NULL, 0).error, E(INVALID));
    attach.key.len = 16;
    attach.virtual_host = (char[]){"other"};
    cr_assert_eq(fixture_command(&f, &(struct entry_command){0}, &command, NULL, 0).error, E(NOT_FOUND));
    attach.virtual_host = (char[]){"/"};
    attach.lease_ms = 1;
    cr_assert_eq(fixture_command(&f, &(struct entry_command){0}, &command, NULL, 0).error, 0);
    struct machine_session session;
    cr_assert_eq(machine_session(f.machine, 1, &session), 0);
    cr_assert_eq(session.lease_ms, LEASE_MS_MIN);
    fixture_done(&f);
}

Test(session, displaced_attachments_are_refused)
{
    struct fixture f;
    struct client old, new;
    fixture_init(&f);
    client_attach(&f, &old, 1, false);
    client_attach(&f, &new, 1, false);
    cr_assert_eq(client_declare(&f, &old, "q").error, E(DISPLACED));
    cr_assert_null(fixture_queue(&f, "q").name);
    cr_assert_eq(client_declare(&f, &new, "q").error, 0);
    cr_assert_eq(node_detach(&f, old.session, old.attachment).error, E(STALE));
    cr_assert_eq(fixture_session(&f, new.session).node, NODE);
    cr_assert_eq(node_detach(&f, new.session, new.attachment).error, 0);
    cr_assert_eq(client_declare(&f, &new, "r").error, 0, "what was sent before counts");
    fixture_tick(&f, f.time_ms + LEASE_MS_DEFAULT);
    cr_assert_eq(fixture_count(&f, EFFECT_SESSION_ENDED), 1u);
    cr_assert(f.effects.items[0].session_ended.expired);
    cr_assert_eq(client_declare(&f, &new, "q").error, E(SESSION_EXPIRED));
    cr_assert_eq(node_detach(&f, new.session, new.attachment).error, E(STALE));
    fixture_done(&f);
}

Test(session, a_repeated_number_is_answered_the_same_and_not_carried_out)
{
    struct fixture f;
    struct client a;
    fixture_init(&f);
    client_attach(&f, &a, 1, false);
    client_declare(&f, &a, "q");
    cr_assert_eq(client_publish(&f, &a, "q", "", 1, 3).count, 3u);
    cr_assert_eq(client_publish(&f, &a, "none", "", 1, 3).error, E(NOT_FOUND));
    fixture_reopen(&f);
    a.number = 1;
    cr_assert_eq(client_publish(&f, &a, "q", "", 1, 3).count, 3u);
    cr_assert_eq(client_publish(&f, &a, "none", "", 1, 3).error, E(NOT_FOUND));
    cr_assert_eq(fixture_queue(&f, "q").ready, 3u);
    a.number = 3;
    cr_assert_eq(client_publish(&f, &a, "q", "", 1, 1).count, 1u);
    cr_assert_eq(fixture_queue(&f, "q").ready, 4u);
    fixture_done(&f);
}

Test(session, the_number_check_is_what_prevents_it)
{
    struct fixture f;
    struct client a;
    fixture_init(&f);
    client_attach(&f, &a, 1, false);
    client_declare(&f, &a, "q");
    client_publish(&f, &a, "q", "", 1, 3);
    fault_set(FAULT_SKIP_NUMBER_CHECK, true);
    a.number--;
    client_publish(&f, &a, "q", "", 1, 3);
    fault_reset();
    cr_assert_eq(fixture_queue(&f, "q").ready, 6u);
    fixture_done(&f);
}

Test(session, skipped_numbers_change_nothing)
{
    struct fixture f;
    struct client a;
    fixture_init(&f);
    client_attach(&f, &a, 1, false);
    a.number = 1;
    cr_assert_eq(client_declare(&f, &a, "q").error, E(OUT_OF_ORDER));
    a.number = UINT64_MAX - 1;
    cr_assert_eq(client_declare(&f, &a, "q").error, E(OUT_OF_ORDER));
    a.number = UINT64_MAX;
    cr_assert_eq(client_declare(&f, &a, "q").error, E(OUT_OF_ORDER), "number 0 is never the next");
    cr_assert_null(fixture_queue(&f, "q").name);
    a.number = 0;
    cr_assert_eq(client_declare(&f, &a, "q").error, 0);
    fixture_done(&f);
}

Test(session, answered_replies_are_forgotten)
{
    struct fixture f;
    struct client a;
    fixture_init(&f);
    client_attach(&f, &a, 1, false);
    for (int i = 0; i < 5; i++) {
        client_declare(&f, &a, "q");
    }
    a.answered = 3;
    client_declare(&f, &a, "q");
    a.answered = 0;
    a.number = 2;
    cr_assert_eq(client_declare(&f, &a, "q").error, E(OUT_OF_ORDER));
    cr_assert_eq(client_declare(&f, &a, "q").error, 0, "number 4 is remembered still");
    a.number = 6;
    a.answered = UINT64_MAX;
    cr_assert_eq(client_declare(&f, &a, "q").error, 0);
    a.number = 6;
    a.answered = 0;
    cr_assert_eq(client_declare(&f, &a, "q").error, 0, "its own reply is not answered yet");
    fixture_done(&f);
}

Test(session, no_more_replies_than_the_window_are_remembered)
{
    struct fixture f;
    struct client a;
    fixture_init(&f);
    client_attach(&f, &a, 1, false);
    for (unsigned i = 0; i < SESSION_WINDOW_MAX + 10; i++) {
        cr_assert_eq(client_declare(&f, &a, "q").error, 0);
    }
    fixture_reopen(&f);
    a.number = 9;
    cr_assert_eq(client_declare(&f, &a, "q").error, E(OUT_OF_ORDER));
    cr_assert_eq(client_declare(&f, &a, "q").error, 0);
    fixture_done(&f);
}

Test(session, malformed_commands_are_answered_and_numbered)
{
    struct fixture f;
    struct client a;
    fixture_init(&f);
    client_attach(&f, &a, 1, false);
    Holdfast__Command empty = HOLDFAST__COMMAND__INIT;
    cr_assert_eq(client_command(&f, &a, &empty, NULL, 0).error, E(INVALID));
    Holdfast__RaiseVersion raise = HOLDFAST__RAISE_VERSION__INIT;
    empty.kind_case = HOLDFAST__COMMAND__KIND_RAISE_VERSION;
    empty.raise_version = &raise;
    cr_assert_eq(client_command(&f, &a, &empty, NULL, 0).error, E(REFUSED));
    Holdfast__DeclareQueue declare = HOLDFAST__DECLARE_QUEUE__INIT;
    declare.queue = (char[]){"q"};
    empty.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_QUEUE;
    empty.declare_queue = &declare;
    cr_assert_eq(client_command(&f, &a, &empty, "body", 4).error, E(INVALID));
    cr_assert_eq(fixture_command(&f, &(struct entry_command){0}, &empty, NULL, 0).error, E(REFUSED));
    cr_assert_eq(client_declare(&f, &a, "q").error, 0);
    fixture_done(&f);
}

Test(session, closing_gives_back_what_is_held)
{
    struct fixture f;
    struct client a, b;
    fixture_init(&f);
    client_attach(&f, &a, 1, false);
    client_attach(&f, &b, 2, false);
    client_declare(&f, &a, "q");
    client_publish(&f, &a, "q", "", 1, 4);
    client_subscribe(&f, &a, "q", 1, 3);
    cr_assert_eq(fixture_queue(&f, "q").unsettled, 3u);
    fixture_reopen(&f);
    cr_assert_eq(client_close(&f, &a).error, 0);
    cr_assert_eq(f.effects.items[0].kind, EFFECT_REPLY);
    cr_assert_eq(f.effects.items[1].kind, EFFECT_SESSION_ENDED);
    cr_assert_not(f.effects.items[1].session_ended.expired);
    cr_assert_eq(fixture_queue(&f, "q").ready, 4u);
    cr_assert_eq(fixture_queue(&f, "q").consumers, 0u);
    fixture_reopen(&f);
    client_subscribe(&f, &b, "q", 7, 10);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 4u);
    for (size_t i = 0; i < 4; i++) {
        cr_assert_eq(fixture_delivery(&f, i)->delivery.position, i + 1);
        cr_assert_eq(fixture_delivery(&f, i)->delivery.delivery_count, i < 3 ? 1u : 0u);
    }
    fixture_done(&f);
}

Test(session, the_return_is_what_saves_messages)
{
    struct fixture f;
    struct client a;
    fixture_init(&f);
    client_attach(&f, &a, 1, false);
    client_declare(&f, &a, "q");
    client_publish(&f, &a, "q", "", 1, 4);
    client_subscribe(&f, &a, "q", 1, 3);
    fault_set(FAULT_SKIP_SESSION_RETURN, true);
    client_close(&f, &a);
    fault_reset();
    cr_assert_eq(fixture_queue(&f, "q").ready, 1u);
    fixture_done(&f);
}

Test(session, versions)
{
    struct fixture f;
    fixture_init(&f);
    Holdfast__RaiseVersion raise = HOLDFAST__RAISE_VERSION__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_RAISE_VERSION;
    command.raise_version = &raise;
    cr_assert_eq(machine_version(f.machine), 1u);
    cr_assert_eq(fixture_command(&f, &(struct entry_command){0}, &command, NULL, 0).error, E(INVALID));
    raise.version = 1;
    cr_assert_eq(fixture_command(&f, &(struct entry_command){0}, &command, NULL, 0).error, 0);
    uint64_t digest = fixture_digest(&f);
    struct batch batch;
    batch_start(&batch);
    cr_assert_eq(fixture_apply(&f, batch_finish(&batch, MACHINE_VERSION_MAX + 1, 9999)), ERR_VERSION);
    batch_start(&batch);
    raise.version = MACHINE_VERSION_MAX + 1;
    batch_add(&batch, &(struct entry_command){0}, &command, NULL, 0);
    cr_assert_eq(fixture_apply(&f, batch_finish(&batch, 1, 9999)), ERR_VERSION);
    cr_assert_eq(fixture_digest(&f), digest, "nothing has been applied");
    fixture_done(&f);
}

Test(session, time_never_goes_back)
{
    struct fixture f;
    struct batch batch;
    fixture_init(&f);
    batch_start(&batch);
    cr_assert_eq(fixture_apply(&f, batch_finish(&batch, 1, 5000)), 0);
    batch_start(&batch);
    cr_assert_eq(fixture_apply(&f, batch_finish(&batch, 1, 10)), 0);
    cr_assert_eq(machine_time_ms(f.machine), 5000u);
    fixture_done(&f);
}

Test(session, a_refused_command_takes_its_number)
{
    struct fixture f;
    struct client a;
    fixture_init(&f);
    client_attach(&f, &a, 1, false);
    struct effect_reply reply = client_refused(&f, &a, E(NO_SPACE));
    cr_assert_eq(reply.error, E(NO_SPACE));
    cr_assert_str_eq(reply.detail, "new messages are refused: the cluster is short of disk or memory");
    cr_assert_eq(client_refused(&f, &a, E(UNAVAILABLE)).error, E(UNAVAILABLE));
    cr_assert_eq(client_refused(&f, &a, 0).error, E(INVALID));
    cr_assert_eq(client_refused(&f, &a, 29).error, E(INVALID), "no such error, yet");
    cr_assert_eq(client_refused(&f, &a, UINT32_MAX).error, E(INVALID));
    cr_assert_eq(fixture_session(&f, a.session).last_number, 5u);
    fixture_reopen(&f);
    a.number = 0;
    reply = client_publish(&f, &a, "q", "", 1, 1);
    cr_assert_eq(reply.error, E(NO_SPACE), "the same command sent again is answered the same");
    cr_assert_str_eq(reply.detail, "new messages are refused: the cluster is short of disk or memory");
    fixture_done(&f);
}

/* Publishes 1-3 and 4-6 are in flight together, and the first is refused. */
static uint64_t publish_behind_a_refused_one(bool check)
{
    struct fixture f;
    struct client a;
    fixture_init(&f);
    client_attach(&f, &a, 1, false);
    client_declare(&f, &a, "q");
    fault_set(FAULT_SKIP_FAILED_CHECK, !check);
    client_refused(&f, &a, E(NO_SPACE));
    fixture_reopen(&f);
    struct effect_reply reply = client_publish(&f, &a, "q", "p", 4, 3);
    cr_assert_eq(reply.error, check ? E(REFUSED) : 0);
    cr_assert_eq(client_publish(&f, &a, "q", "", 1, 1).error, 0, "without a producer nothing is sent again");
    a.answered = 2;
    reply = client_publish(&f, &a, "q", "p", 7, 3);
    cr_assert_eq(reply.error, check ? E(REFUSED) : 0, "it does not know of the second failure");
    /* Now it has all answers, and begins where it was refused. */
    a.answered = a.number;
    cr_assert_eq(client_publish(&f, &a, "q", "p", 1, 9).error, 0);
    cr_assert_eq(client_publish(&f, &a, "q", "p", 10, 1).error, 0);
    fault_reset();
    uint64_t ready = fixture_queue(&f, "q").ready;
    fixture_done(&f);
    return ready;
}

Test(session, a_publish_that_was_sent_before_a_failure_was_known_fails)
{
    cr_assert_eq(publish_behind_a_refused_one(true), 11u);
    cr_assert_eq(publish_behind_a_refused_one(false), 8u, "three messages are lost without the check");
}

Test(session, a_failed_publish_counts_as_refused)
{
    struct fixture f;
    struct client a;
    fixture_init(&f);
    client_attach(&f, &a, 1, false);
    client_declare(&f, &a, "q");
    cr_assert_eq(client_publish(&f, &a, "none", "", 1, 1).error, E(NOT_FOUND));
    cr_assert_eq(client_publish(&f, &a, "q", "p", 1, 1).error, 0, "one without a producer does not count");
    cr_assert_eq(client_publish(&f, &a, "none", "p", 2, 1).error, E(NOT_FOUND));
    cr_assert_eq(client_publish(&f, &a, "q", "p", 3, 1).error, E(REFUSED));
    cr_assert_eq(client_declare(&f, &a, "q").error, 0);
    fixture_done(&f);
}
