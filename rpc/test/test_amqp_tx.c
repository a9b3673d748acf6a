/* Transactions: what is gathered, the one command that it becomes, and what is left of it when it is not. */

#include <stdlib.h>
#include <string.h>

#include "amqp_publish_fixture.h"
#include "proto/base/limits.h"
#include "rpc/memory_budget.h"

static void open_transactional(struct amqp_fixture *f)
{
    amqp_fixture_open(f);
    AMQP_GIVE(f, 1, tx_select);
    (void)AMQP_TAKE(f, 1, tx_select_ok);
}

/* Consumes from a queue, and is given as many messages. */
static uint64_t consume(struct amqp_fixture *f, const char *queue, unsigned count)
{
    AMQP_GIVE(f, 1, basic_consume, .queue = amqp_text(queue));
    uint64_t consumer = AMQP_COMMAND(f, SUBSCRIBE)->subscribe->consumer;
    AMQP_REPLY(f, .error = 0);
    (void)AMQP_TAKE(f, 1, basic_consume_ok);
    for (unsigned i = 1; i <= count; i++) {
        struct gateway_delivery delivery = amqp_fixture_message(f, NULL, NULL, "message");
        delivery.consumer = consumer;
        delivery.number = i;
        delivery.position = i;
        delivery.delivery_count = 1;
        cr_assert(amqp_fixture_deliver(f, &delivery));
        (void)AMQP_TAKE(f, 1, basic_deliver);
        (void)amqp_fixture_take_content(f, 1);
    }
    return consumer;
}

static const Holdfast__Transact *take_transact(struct amqp_fixture *f)
{
    return AMQP_COMMAND(f, TRANSACT)->transact;
}

Test(amqp_tx, a_commit_is_one_command)
{
    struct amqp_fixture f;
    open_transactional(&f);
    uint64_t consumer = consume(&f, "in", 5);
    give_message(&f, 1, "", "a", NULL, "one");
    give_message(&f, 1, "amq.topic", "b", NULL, "two");
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = 2);
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = 1);
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = 4);
    AMQP_GIVE(&f, 1, basic_nack, .delivery_tag = 3, .requeue = true);
    AMQP_GIVE(&f, 1, basic_reject, .delivery_tag = 5);
    amqp_fixture_no_command(&f);
    amqp_fixture_nothing(&f);
    AMQP_GIVE(&f, 1, tx_commit);
    const Holdfast__Transact *transact = take_transact(&f);
    cr_assert(f.held);
    cr_assert_eq(transact->n_publish, 1u);
    cr_assert_not(transact->publish[0]->each);
    cr_assert(published_is(&f, transact->publish[0], 0, "one"));
    cr_assert(published_is(&f, transact->publish[0], 1, "two"));
    cr_assert_eq(transact->n_settle, 3u);
    const Holdfast__Settle *accept = transact->settle[0];
    cr_assert_eq(accept->consumer, consumer);
    cr_assert_eq(accept->outcome, HOLDFAST__SETTLE__OUTCOME__ACCEPT);
    cr_assert_eq(accept->n_first, 2u);
    cr_assert_eq(accept->first[0], 1u);
    cr_assert_eq(accept->last[0], 2u);
    cr_assert_eq(accept->first[1], 4u);
    cr_assert_eq(accept->last[1], 4u);
    cr_assert_eq(transact->settle[1]->outcome, HOLDFAST__SETTLE__OUTCOME__REJECT);
    cr_assert_eq(transact->settle[1]->first[0], 5u);
    cr_assert_eq(transact->settle[2]->outcome, HOLDFAST__SETTLE__OUTCOME__RELEASE);
    cr_assert_eq(transact->settle[2]->first[0], 3u);
    AMQP_REPLY(&f, .count = 7);
    (void)AMQP_TAKE(&f, 1, tx_commit_ok);
    cr_assert_not(f.held);
    /* The next one is empty. */
    AMQP_GIVE(&f, 1, tx_commit);
    (void)AMQP_TAKE(&f, 1, tx_commit_ok);
    amqp_fixture_no_command(&f);
    amqp_fixture_close(&f);
}

Test(amqp_tx, what_was_committed_cannot_be_acknowledged_again)
{
    struct amqp_fixture f;
    open_transactional(&f);
    (void)consume(&f, "in", 1);
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = 1);
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = 1);
    amqp_fixture_channel_closes(&f, 1, AMQP_PRECONDITION_FAILED, AMQP_basic_ack, "unknown delivery tag 1");
    amqp_fixture_close(&f);
}

Test(amqp_tx, rollback_gives_back_nothing_but_the_right_to_settle)
{
    struct amqp_fixture f;
    open_transactional(&f);
    uint64_t consumer = consume(&f, "in", 3);
    give_message(&f, 1, "", "a", NULL, "one");
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = 3);
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = 1);
    AMQP_GIVE(&f, 1, tx_rollback);
    (void)AMQP_TAKE(&f, 1, tx_rollback_ok);
    amqp_fixture_no_command(&f);
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = 3, .multiple = true);
    AMQP_GIVE(&f, 1, tx_commit);
    const Holdfast__Transact *transact = take_transact(&f);
    cr_assert_eq(transact->n_publish, 0u);
    cr_assert_eq(transact->n_settle, 1u);
    cr_assert_eq(transact->settle[0]->consumer, consumer);
    cr_assert_eq(transact->settle[0]->first[0], 1u);
    cr_assert_eq(transact->settle[0]->last[0], 3u);
    amqp_fixture_close(&f);
}

Test(amqp_tx, what_reaches_no_queue_comes_back_before_commit_ok)
{
    struct amqp_fixture f;
    open_transactional(&f);
    give_message(&f, 1, "", "there", NULL, "one");
    give_mandatory(&f, 1, "nowhere", "two");
    AMQP_GIVE(&f, 1, tx_commit);
    (void)take_transact(&f);
    AMQP_REPLY(&f, .count = 2, .unrouted = {.data = (const uint8_t *)"\x02", .len = 1});
    cr_assert(amqp_fixture_is(AMQP_TAKE(&f, 1, basic_return)->routing_key, "nowhere"));
    cr_assert(amqp_fixture_is(amqp_fixture_take_content(&f, 1)->body, "two"));
    (void)AMQP_TAKE(&f, 1, tx_commit_ok);
    amqp_fixture_close(&f);
}

Test(amqp_tx, a_commit_that_is_refused_closes_the_channel)
{
    struct amqp_fixture f;
    open_transactional(&f);
    give_message(&f, 1, "", "q", NULL, "one");
    AMQP_GIVE(&f, 1, tx_commit);
    (void)take_transact(&f);
    AMQP_REPLY(&f, .error = -ERR_FULL, .detail = "the queue is full");
    amqp_fixture_channel_closes(&f, 1, AMQP_PRECONDITION_FAILED, AMQP_tx_commit,
                                "nothing of the transaction was done: the queue is full");
    amqp_fixture_close(&f);
}

Test(amqp_tx, an_exchange_that_goes_before_the_commit)
{
    struct amqp_fixture f;
    Holdfast__DeclareExchange exchange;
    open_transactional(&f);
    exchange_is(&f, &exchange, "x");
    give_message(&f, 1, "", "q", NULL, "one");
    give_message(&f, 1, "x", "q", NULL, "two");
    exchange_is(&f, &exchange, NULL);
    AMQP_GIVE(&f, 1, tx_commit);
    (void)take_transact(&f);
    AMQP_REPLY(&f, .error = -ERR_NOT_FOUND, .detail = "no such exchange");
    amqp_fixture_channel_closes(&f, 1, AMQP_NOT_FOUND, AMQP_basic_publish, "no exchange 'x' in vhost '/'");
    amqp_fixture_close(&f);
}

Test(amqp_tx, a_commit_for_which_there_is_no_space_waits)
{
    struct amqp_fixture f;
    open_transactional(&f);
    give_message(&f, 1, "", "q", NULL, "one");
    AMQP_GIVE(&f, 1, tx_commit);
    (void)take_transact(&f);
    amqp_session_refusing(f.session, "no room");
    (void)AMQP_TAKE(&f, 0, connection_blocked);
    AMQP_REPLY(&f, .error = -ERR_NO_SPACE);
    give_message(&f, 1, "", "q", NULL, "two");
    amqp_fixture_no_command(&f);
    cr_assert(f.held);
    amqp_session_refusing(f.session, "");
    (void)AMQP_TAKE(&f, 0, connection_unblocked);
    cr_assert(published_is(&f, take_transact(&f)->publish[0], 0, "one"));
    AMQP_REPLY(&f, .count = 1);
    (void)AMQP_TAKE(&f, 1, tx_commit_ok);
    cr_assert_not(f.held);
    amqp_fixture_close(&f);
}

Test(amqp_tx, a_commit_that_waits_for_space_goes_with_its_session)
{
    struct amqp_fixture f;
    open_transactional(&f);
    give_message(&f, 1, "", "q", NULL, "one");
    AMQP_GIVE(&f, 1, tx_commit);
    (void)take_transact(&f);
    amqp_session_refusing(f.session, "no room");
    AMQP_REPLY(&f, .error = -ERR_NO_SPACE);
    amqp_fixture_close(&f);
}

Test(amqp_tx, producers_are_publishes_of_their_own)
{
    struct amqp_fixture f;
    open_transactional(&f);
    give_message(&f, 1, "", "q", NULL, "one");
    Holdfast__Value values[2] = {HOLDFAST__VALUE__INIT, HOLDFAST__VALUE__INIT};
    values[0].kind_case = HOLDFAST__VALUE__KIND_STRING;
    values[0].string = (ProtobufCBinaryData){.len = 1, .data = (uint8_t[]){'p'}};
    values[1].kind_case = HOLDFAST__VALUE__KIND_INT32;
    values[1].int32 = 3;
    Holdfast__Header headers[2] = {HOLDFAST__HEADER__INIT, HOLDFAST__HEADER__INIT};
    headers[0].name = (char[]){"x-holdfast-producer"};
    headers[0].value = &values[0];
    headers[1].name = (char[]){"x-holdfast-sequence"};
    headers[1].value = &values[1];
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    head.header = (Holdfast__Header *[]){&headers[0], &headers[1]};
    head.n_header = 2;
    give_message(&f, 1, "", "q", &head, "two");
    give_message(&f, 1, "", "q", NULL, "three");
    AMQP_GIVE(&f, 1, tx_commit);
    const Holdfast__Transact *transact = take_transact(&f);
    cr_assert_eq(transact->n_publish, 3u);
    cr_assert(published_is(&f, transact->publish[0], 0, "one"));
    cr_assert_str_eq(transact->publish[1]->producer, "p");
    cr_assert_eq(transact->publish[1]->first_sequence, 3u);
    cr_assert(transact->publish[1]->no_gaps);
    size_t first = transact->publish[0]->head_len[0] + transact->publish[0]->body_len[0];
    f.bodies = slice_part(f.bodies, first, f.bodies.len - first);
    cr_assert(published_is(&f, transact->publish[1], 0, "two"));
    size_t second = transact->publish[1]->head_len[0] + transact->publish[1]->body_len[0];
    f.bodies = slice_part(f.bodies, second, f.bodies.len - second);
    cr_assert(published_is(&f, transact->publish[2], 0, "three"));
    amqp_fixture_close(&f);
}

Test(amqp_tx, modes_do_not_mix)
{
    struct amqp_fixture f;
    open_transactional(&f);
    AMQP_GIVE(&f, 1, confirm_select);
    amqp_fixture_channel_closes(&f, 1, AMQP_PRECONDITION_FAILED, AMQP_confirm_select,
                                "cannot switch from tx to confirm mode");
    amqp_fixture_channel(&f, 1);
    AMQP_GIVE(&f, 1, tx_commit);
    amqp_fixture_channel_closes(&f, 1, AMQP_PRECONDITION_FAILED, AMQP_tx_commit, "channel is not transactional");
    amqp_fixture_channel(&f, 1);
    AMQP_GIVE(&f, 1, tx_rollback);
    amqp_fixture_channel_closes(&f, 1, AMQP_PRECONDITION_FAILED, AMQP_tx_rollback, "channel is not transactional");
    amqp_fixture_close(&f);
}

Test(amqp_tx, selecting_twice_is_selecting)
{
    struct amqp_fixture f;
    open_transactional(&f);
    give_message(&f, 1, "", "q", NULL, "one");
    AMQP_GIVE(&f, 1, tx_select);
    (void)AMQP_TAKE(&f, 1, tx_select_ok);
    AMQP_GIVE(&f, 1, tx_commit);
    cr_assert_eq(take_transact(&f)->publish[0]->n_body_len, 1u);
    amqp_fixture_close(&f);
}

Test(amqp_tx, what_is_not_committed_goes_with_the_channel)
{
    struct amqp_fixture f;
    open_transactional(&f);
    give_message(&f, 1, "", "q", NULL, "one");
    AMQP_GIVE(&f, 1, channel_close);
    (void)AMQP_TAKE(&f, 1, channel_close_ok);
    amqp_fixture_no_command(&f);
    amqp_fixture_close(&f);
}

Test(amqp_tx, so_many_messages_and_no_more)
{
    struct amqp_fixture f;
    open_transactional(&f);
    for (unsigned i = 0; i < 4096; i++) {
        give_message(&f, 1, "", "q", NULL, "message");
    }
    amqp_fixture_nothing(&f);
    give_message(&f, 1, "", "q", NULL, "one more");
    amqp_fixture_channel_closes(&f, 1, AMQP_PRECONDITION_FAILED, AMQP_basic_publish,
                                "the transaction is too large: more than 4096 messages");
    amqp_fixture_no_command(&f);
    amqp_fixture_close(&f);
}

Test(amqp_tx, so_many_bytes_and_no_more)
{
    size_t len = 6 * MIB;
    char *body = calloc(1, len);
    cr_assert_not_null(body);
    struct amqp_fixture f;
    open_transactional(&f);
    for (unsigned i = 0; i < 2; i++) {
        AMQP_GIVE(&f, 1, basic_publish, .routing_key = amqp_text("q"));
        amqp_fixture_give_content(&f, 1, NULL, body, len);
    }
    amqp_fixture_nothing(&f);
    AMQP_GIVE(&f, 1, basic_publish, .routing_key = amqp_text("q"));
    amqp_fixture_give_content(&f, 1, NULL, body, len);
    amqp_fixture_channel_closes(&f, 1, AMQP_PRECONDITION_FAILED, AMQP_basic_publish,
                                "the transaction is too large: its messages take more than 16 MiB");
    free(body);
    amqp_fixture_close(&f);
}

Test(amqp_tx, what_waits_for_a_commit_takes_half_of_the_memory_at_most)
{
    struct memory_budget budget;
    memory_budget_init(&budget, 1000);
    struct amqp_fixture f;
    const struct amqp_session_options options = {.peer_name = "192.0.2.1:5555", .loopback = true, .content = &budget};
    amqp_fixture_new(&f, &options);
    amqp_fixture_shake_hands(&f, (struct amqp_bytes){0});
    amqp_fixture_channel(&f, 1);
    AMQP_GIVE(&f, 1, tx_select);
    (void)AMQP_TAKE(&f, 1, tx_select_ok);
    static char body[601];
    memset(body, 'x', 600);
    give_message(&f, 1, "", "q", NULL, body);
    amqp_fixture_nothing(&f);
    cr_assert_geq(budget.used, 600u);
    give_message(&f, 1, "", "q", NULL, "one more");
    amqp_fixture_channel_closes(&f, 1, AMQP_PRECONDITION_FAILED, AMQP_basic_publish,
                                "the transaction is too large: this node has no memory for more of its messages");
    cr_assert_eq(budget.used, 0u);
    amqp_fixture_close(&f);
}

Test(amqp_tx, settlements_of_what_has_ended_are_left_out)
{
    struct amqp_fixture f;
    open_transactional(&f);
    uint64_t gone = consume(&f, "gone", 1);
    uint64_t there = consume(&f, "there", 1);
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = 2, .multiple = true);
    f.fake.sink.consumer_ended(f.fake.sink.arg, gone, ERR_NOT_FOUND, "the queue was deleted");
    (void)AMQP_TAKE(&f, 1, basic_cancel);
    AMQP_GIVE(&f, 1, tx_commit);
    const Holdfast__Transact *transact = take_transact(&f);
    cr_assert_eq(transact->n_settle, 1u);
    cr_assert_eq(transact->settle[0]->consumer, there);
    amqp_fixture_close(&f);
}

/* With basic.qos for the channel as a whole a settlement makes room when it is committed, not before. */
Test(amqp_tx, settling_makes_room_with_the_commit)
{
    struct amqp_fixture f;
    open_transactional(&f);
    AMQP_GIVE(&f, 1, basic_qos, .prefetch_count = 2, .global = true);
    (void)AMQP_TAKE(&f, 1, basic_qos_ok);
    AMQP_GIVE(&f, 1, basic_consume, .queue = amqp_text("q"));
    uint64_t consumer = AMQP_COMMAND(&f, SUBSCRIBE)->subscribe->consumer;
    AMQP_REPLY(&f, .error = 0);
    (void)AMQP_TAKE(&f, 1, basic_consume_ok);
    struct gateway_delivery delivery = amqp_fixture_message(&f, NULL, NULL, "message");
    delivery.consumer = consumer;
    delivery.delivery_count = 1;
    for (delivery.number = 1; delivery.number <= 2; delivery.number++) {
        cr_assert(amqp_fixture_deliver(&f, &delivery));
        (void)AMQP_TAKE(&f, 1, basic_deliver);
        (void)amqp_fixture_take_content(&f, 1);
    }
    AMQP_GIVE(&f, 1, basic_ack, .delivery_tag = 2, .multiple = true);
    amqp_fixture_no_command(&f);
    cr_assert(amqp_fixture_deliver(&f, &delivery));
    amqp_fixture_nothing(&f); /* It is one too many still, and goes back. */
    unsigned before = f.fake.commands;
    while (f.commands_read < f.fake.commands) {
        f.commands_read++;
    }
    while (f.commands_replied < before) {
        AMQP_REPLY(&f, .error = 0);
    }
    AMQP_GIVE(&f, 1, tx_commit);
    (void)take_transact(&f);
    AMQP_REPLY(&f, .count = 2);
    (void)AMQP_TAKE(&f, 1, tx_commit_ok);
    delivery.number++;
    cr_assert(amqp_fixture_deliver(&f, &delivery));
    cr_assert_eq(AMQP_TAKE(&f, 1, basic_deliver)->delivery_tag, 3u);
    amqp_fixture_close(&f);
}
