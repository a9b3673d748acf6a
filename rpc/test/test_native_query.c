/* Queries of a native session: current when they must be, bounded, and harmless to everything else. */

#include "rpc/native/native_query.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/limits.h"
#include "session_fixture.h"

static void greeted(struct session_fixture *f)
{
    session_fixture_open(f);
    give_hello(f);
    (void)take(f, FRAME_WELCOME, &holdfast__welcome__descriptor);
}

static void ask(struct session_fixture *f, Holdfast__Query__Kind kind, const char *name, uint64_t id)
{
    Holdfast__Query query = HOLDFAST__QUERY__INIT;
    query.id = id;
    query.kind = kind;
    query.queue = query.after = (char *)(uintptr_t)name;
    give(f, FRAME_QUERY, &query.base);
}

static const Holdfast__QueryResult *result_of(struct session_fixture *f, uint64_t id, int err)
{
    const Holdfast__QueryResult *result = take(f, FRAME_QUERY_RESULT, &holdfast__query_result__descriptor);
    cr_assert_eq(result->id, id);
    cr_assert_eq(result->error, (uint32_t)-err, "%u: %s", result->error, result->detail);
    cr_assert((err == 0) == (result->detail[0] == '\0'));
    return result;
}

/* Nothing has been sent; the read is done now, and it was the only one. */
static void read_done(struct session_fixture *f, int err)
{
    cr_assert_eq(f->sent_len, f->read, "answered before the replica was current");
    cr_assert_eq(fake_gateway_read_done(&f->fake, err), 1u);
    cr_assert_eq(f->fake.looks, 0u, "looked at the replica outside of a read");
}

Test(native_query, the_cluster_and_what_is_wrong_are_answered_at_once)
{
    struct session_fixture f;
    greeted(&f);
    ask(&f, HOLDFAST__QUERY__KIND__CLUSTER, "", 5);
    const Holdfast__QueryResult *result = result_of(&f, 5, 0);
    cr_assert_not_null(result->cluster);
    cr_assert_eq(result->cluster->n_members, 2u);
    cr_assert_str_eq(result->cluster->members[1]->role, "leader");
    cr_assert_str_eq(result->cluster->members[0]->detail, "fine");
    cr_assert_str_eq(result->cluster->refusing, "the disks are full");
    cr_assert_eq(result->cluster->sessions, 6u);
    ask(&f, (Holdfast__Query__Kind)99, "", 6);
    (void)result_of(&f, 6, ERR_INVALID);
    ask(&f, HOLDFAST__QUERY__KIND__QUEUE, "", 7);
    (void)result_of(&f, 7, ERR_NAME);
    ask(&f, HOLDFAST__QUERY__KIND__BROWSE, "a\nb", 8);
    (void)result_of(&f, 8, ERR_NAME);
    ask(&f, HOLDFAST__QUERY__KIND__QUEUES, "a\nb", 9);
    (void)result_of(&f, 9, ERR_NAME);
    cr_assert_eq(f.fake.reads, 0u);
    cr_assert_eq(f.closes, 0u);
    session_fixture_close(&f);
}

Test(native_query, answers_wait_for_room)
{
    struct session_fixture f;
    greeted(&f);
    f.fake.queues = 2;
    f.full = true;
    ask(&f, HOLDFAST__QUERY__KIND__QUEUES, "", 1);
    ask(&f, HOLDFAST__QUERY__KIND__BROWSE, "q000000", 2);
    read_done(&f, 0);
    cr_assert_eq(f.sent_len, f.read, "no answer is made");
    cr_assert_eq(f.asked_len, FRAME_HEADER_LEN_MAX);
    cr_assert_eq(f.fake.reads, 1u, "and no read asked for in vain");
    f.full = false;
    native_session_congested(f.session, false);
    read_done(&f, 0);
    (void)result_of(&f, 1, 0);
    (void)result_of(&f, 2, 0);
    cr_assert_eq(f.asked_len, FRAME_HEADER_LEN_MAX + BODY_LEN_MAX);
    cr_assert_eq(f.closes, 0u);
    session_fixture_close(&f);
}

Test(native_query, leadership_is_handed_over_on_request)
{
    struct session_fixture f;
    greeted(&f);
    Holdfast__Query query = HOLDFAST__QUERY__INIT;
    query.kind = HOLDFAST__QUERY__KIND__TRANSFER;
    query.node = 3;
    query.id = 1;
    give(&f, FRAME_QUERY, &query.base);
    (void)result_of(&f, 1, 0);
    cr_assert_eq(f.fake.last_transfer, 3u);
    f.fake.transfer_err = ERR_NOT_FOUND;
    give(&f, FRAME_QUERY, &query.base);
    cr_assert_str_eq(result_of(&f, 1, ERR_NOT_FOUND)->detail, "there is no such member, or it cannot lead");
    f.fake.transfer_err = ERR_UNAVAILABLE;
    give(&f, FRAME_QUERY, &query.base);
    (void)result_of(&f, 1, ERR_UNAVAILABLE);
    session_fixture_close(&f);
}

Test(native_query, queues_page_by_page)
{
    struct session_fixture f;
    greeted(&f);
    f.fake.queues = NATIVE_RESULT_QUEUES_MAX + 1;
    ask(&f, HOLDFAST__QUERY__KIND__QUEUES, "", 1);
    read_done(&f, 0);
    const Holdfast__QueryResult *result = result_of(&f, 1, 0);
    cr_assert_eq(result->n_queues, NATIVE_RESULT_QUEUES_MAX);
    cr_assert(result->more);
    ask(&f, HOLDFAST__QUERY__KIND__QUEUES, result->queues[NATIVE_RESULT_QUEUES_MAX - 1]->name, 2);
    read_done(&f, 0);
    result = result_of(&f, 2, 0);
    cr_assert_eq(result->n_queues, 1u);
    cr_assert_not(result->more);
    const Holdfast__QueueInfo *info = result->queues[0];
    cr_assert_str_eq(info->name, "q000500");
    cr_assert_eq(info->ready, 500u);
    cr_assert_eq(info->unsettled, 501u);
    cr_assert_eq(info->consumers, 502u);
    cr_assert_eq(info->enqueued, 503u);
    cr_assert_eq(info->delivered, 504u);
    cr_assert_eq(info->settled, 505u);
    cr_assert_eq(info->released, 506u);
    cr_assert_eq(info->oldest_ms, 507u);
    cr_assert_eq(info->log_time_ms, 5u);
    f.fake.queues_err = ERR_IO;
    ask(&f, HOLDFAST__QUERY__KIND__QUEUES, "", 3);
    read_done(&f, 0);
    cr_assert_eq(result_of(&f, 3, ERR_IO)->n_queues, 0u);
    session_fixture_close(&f);
}

Test(native_query, an_empty_answer)
{
    struct session_fixture f;
    greeted(&f);
    ask(&f, HOLDFAST__QUERY__KIND__QUEUES, "", 0); /* Id 0, no queues: not one byte of header. */
    read_done(&f, 0);
    cr_assert_eq(result_of(&f, 0, 0)->n_queues, 0u);
    session_fixture_close(&f);
}

Test(native_query, one_queue)
{
    struct session_fixture f;
    greeted(&f);
    f.fake.queues = 2;
    ask(&f, HOLDFAST__QUERY__KIND__QUEUE, "q000001", 1);
    read_done(&f, 0);
    const Holdfast__QueryResult *result = result_of(&f, 1, 0);
    cr_assert_eq(result->n_queues, 1u);
    cr_assert_str_eq(result->queues[0]->name, "q000001");
    cr_assert_eq(result->queues[0]->ready, 1u);
    ask(&f, HOLDFAST__QUERY__KIND__QUEUE, "q000002", 2);
    read_done(&f, 0);
    cr_assert_str_eq(result_of(&f, 2, ERR_NOT_FOUND)->detail, "there is no such queue");
    session_fixture_close(&f);
}

static void browse(struct session_fixture *f, uint64_t position, uint32_t max)
{
    Holdfast__Query query = HOLDFAST__QUERY__INIT;
    char name[] = "q000000";
    query.kind = HOLDFAST__QUERY__KIND__BROWSE;
    query.queue = name;
    query.position = position;
    query.max = max;
    give(f, FRAME_QUERY, &query.base);
    read_done(f, 0);
}

/* A result of these messages. */
static void expect_browsed(struct session_fixture *f, uint64_t first, size_t count, bool more)
{
    const Holdfast__QueryResult *result = result_of(f, 0, 0);
    cr_assert_eq(result->n_messages, count, "%zu messages", result->n_messages);
    cr_assert_eq(result->more, more);
    const struct frame_out *frame = &f->sent[f->read - 1];
    size_t parts_len = 0;
    for (unsigned i = 0; i < frame->parts_len; i++) {
        parts_len += frame->parts[i].len;
    }
    cr_assert_eq(parts_len, count * f->fake.body.len);
    for (size_t i = 0; i < count; i++) {
        const Holdfast__BrowsedMessage *message = result->messages[i];
        cr_assert_eq(message->position, first + i);
        cr_assert_eq(message->enqueued_ms, 2u);
        cr_assert_eq(message->body_hash, 3u);
        cr_assert_eq(message->delivery_count, 4u);
        cr_assert(message->locked);
        cr_assert_eq(message->body_len, f->fake.body.len);
    }
}

Test(native_query, messages_are_browsed_within_bounds)
{
    struct session_fixture f;
    greeted(&f);
    f.fake.queues = 1;
    struct blob *small = blob_new(10), *large = blob_new(300 * KIB), *huge = blob_new(BODY_LEN_MAX);
    cr_assert(small != NULL && large != NULL && huge != NULL);
    browse(&f, 0, 5);
    expect_browsed(&f, 1, 0, false);
    f.fake.body = slice_of_blob(small);
    f.fake.messages = NATIVE_RESULT_MESSAGES_MAX + 1;
    browse(&f, 0, 5);
    expect_browsed(&f, 1, 5, true);
    browse(&f, NATIVE_RESULT_MESSAGES_MAX, 5);
    expect_browsed(&f, NATIVE_RESULT_MESSAGES_MAX, 2, false);
    browse(&f, NATIVE_RESULT_MESSAGES_MAX, 2);
    expect_browsed(&f, NATIVE_RESULT_MESSAGES_MAX, 2, false);
    browse(&f, 1, 0);
    expect_browsed(&f, 1, NATIVE_RESULT_MESSAGES_MAX, true);
    browse(&f, 1, UINT32_MAX);
    expect_browsed(&f, 1, NATIVE_RESULT_MESSAGES_MAX, true);
    f.fake.body = slice_of_blob(large);
    browse(&f, 1, 100);
    expect_browsed(&f, 1, 3, true);
    f.fake.messages = 4; /* The last one did not fit, and none is behind it. */
    browse(&f, 1, 100);
    expect_browsed(&f, 1, 3, true);
    f.fake.body = slice_of_blob(huge);
    browse(&f, 2, 100);
    expect_browsed(&f, 2, 1, true);
    browse(&f, 4, 100);
    expect_browsed(&f, 4, 1, false);
    blob_unref(small);
    blob_unref(large);
    session_fixture_close(&f);
    blob_unref(huge);
}

Test(native_query, a_read_in_vain_answers_what_it_was_for)
{
    struct session_fixture f;
    greeted(&f);
    f.fake.queues = 1;
    ask(&f, HOLDFAST__QUERY__KIND__QUEUE, "q000000", 1);
    ask(&f, HOLDFAST__QUERY__KIND__QUEUE, "q000000", 2);
    read_done(&f, ERR_UNAVAILABLE); /* Asked for when the second had not come: that one gets a read of its own. */
    (void)result_of(&f, 1, ERR_UNAVAILABLE);
    read_done(&f, 0);
    (void)result_of(&f, 2, 0);
    cr_assert_eq(f.fake.reads, 2u);
    session_fixture_close(&f);
}

Test(native_query, what_comes_during_a_read_shares_the_next)
{
    struct session_fixture f;
    greeted(&f);
    f.fake.queues = 1;
    for (uint64_t id = 1; id <= 10; id++) {
        ask(&f, HOLDFAST__QUERY__KIND__QUEUE, "q000000", id);
    }
    read_done(&f, 0);
    (void)result_of(&f, 1, 0);
    read_done(&f, 0);
    for (uint64_t id = 2; id <= 10; id++) {
        (void)result_of(&f, id, 0);
    }
    cr_assert_eq(f.fake.reads, 2u);
    session_fixture_close(&f);
}

Test(native_query, more_queries_than_may_wait_hold_the_client_and_none_is_lost)
{
    enum { MORE = 20 };
    struct session_fixture f;
    session_fixture_open(&f);
    attach_all(&f);
    f.fake.queues = 1;
    for (uint64_t id = 1; id <= NATIVE_QUERY_WAITING_MAX; id++) {
        ask(&f, HOLDFAST__QUERY__KIND__QUEUE, "q000000", id);
    }
    cr_assert_not(f.held);
    for (uint64_t id = NATIVE_QUERY_WAITING_MAX + 1; id <= NATIVE_QUERY_WAITING_MAX + MORE; id++) {
        ask(&f, HOLDFAST__QUERY__KIND__QUEUE, "q000000", id);
        cr_assert(f.held);
    }
    give_command(&f, 18, 1);
    f.fake.sink.resume(f.fake.sink.arg); /* It waits for something else. */
    cr_assert_eq(f.fake.commands, 0u, "it came behind the queries");
    read_done(&f, 0);
    cr_assert(f.held, "only one was answered: the read was asked for when there was one");
    while (fake_gateway_read_done(&f.fake, 0) > 0) {
    }
    cr_assert_not(f.held);
    cr_assert_eq(f.fake.commands, 1u);
    for (uint64_t id = 1; id <= NATIVE_QUERY_WAITING_MAX + MORE; id++) {
        (void)result_of(&f, id, 0);
    }
    cr_assert_eq(f.read, f.sent_len);
    session_fixture_close(&f);
}

Test(native_query, answers_wait_while_the_client_takes_none_and_are_read_again)
{
    struct session_fixture f;
    greeted(&f);
    f.fake.queues = 1;
    ask(&f, HOLDFAST__QUERY__KIND__QUEUE, "q000000", 1);
    native_session_congested(f.session, true);
    read_done(&f, 0);
    cr_assert_eq(f.sent_len, f.read);
    ask(&f, HOLDFAST__QUERY__KIND__QUEUE, "q000000", 2);
    cr_assert_eq(f.fake.reads, 1u, "no read before the answer can be sent");
    native_session_congested(f.session, false);
    cr_assert_eq(f.fake.reads, 2u);
    read_done(&f, 0);
    (void)result_of(&f, 1, 0);
    (void)result_of(&f, 2, 0);
    session_fixture_close(&f);
}

Test(native_query, a_read_is_good_for_a_bounded_length_of_answers)
{
    struct session_fixture f;
    greeted(&f);
    f.fake.queues = 1;
    f.fake.messages = 1;
    struct blob *body = blob_new(BODY_LEN_MAX);
    cr_assert_not_null(body);
    f.fake.body = slice_of_blob(body);
    for (uint64_t id = 1; id <= 10; id++) {
        ask(&f, HOLDFAST__QUERY__KIND__BROWSE, "q000000", id);
    }
    for (uint64_t id = 1; id <= 10; id++) {
        read_done(&f, 0);
        (void)result_of(&f, id, 0);
        cr_assert_eq(f.read, f.sent_len, "one large answer a turn");
    }
    session_fixture_close(&f);
    blob_unref(body);
}

Test(native_query, a_connection_that_goes_cancels_its_read)
{
    for (unsigned attached = 0; attached < 2; attached++) {
        struct session_fixture f;
        session_fixture_open(&f);
        if (attached) {
            attach_all(&f);
        } else {
            give_hello(&f);
        }
        ask(&f, HOLDFAST__QUERY__KIND__QUEUES, "", 1);
        ask(&f, HOLDFAST__QUERY__KIND__QUEUES, "", 2);
        cr_assert_eq(f.fake.reads, 1u);
        session_fixture_close(&f); /* The fake gateway finds a read that was left behind. */
    }
}

Test(native_query, a_goodbye_cancels_the_read)
{
    struct session_fixture f;
    session_fixture_open(&f);
    attach_all(&f);
    ask(&f, HOLDFAST__QUERY__KIND__QUEUES, "", 1);
    fake_gateway_detach(&f.fake, ERR_UNAVAILABLE, "", NULL);
    expect_goodbye(&f, ERR_UNAVAILABLE, "no leader");
    cr_assert_eq(fake_gateway_read_done(&f.fake, 0), 0u);
    session_fixture_close(&f);
}
