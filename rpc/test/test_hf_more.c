/* The blocking library: batches, transactions, notices, queries, and sessions that are refused. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "hf_node.h"
#include "proto/base/check.h"
#include "rpc/native/native_result.h"

static struct hf_node node;
static struct hf *hf;

static void setup(void)
{
    hf_node_start(&node);
    hf = hf_node_client(&node);
}

static void teardown(void)
{
    cr_assert_eq(hf_close(hf, 20000), 0);
    hf_node_stop(&node);
}

TestSuite(hf_more, .init = setup, .fini = teardown);

/* ---- Batches ---- */

static bool answer_batch(struct hf_node *from, uint64_t number, const Holdfast__Command *command)
{
    if (command->kind_case != HOLDFAST__COMMAND__KIND_PUBLISH) {
        return false;
    }
    const Holdfast__Publish *publish = command->publish;
    CHECK(publish->each && publish->n_body_len == 10 && publish->n_head_len == 10 && publish->first_sequence == 7);
    CHECK(strcmp(publish->producer, "import") == 0 && publish->producer_epoch == 3 && publish->no_gaps);
    static const uint8_t refused[] = {0x02};
    static const uint8_t unrouted[] = {0x05, 0x02};
    struct gateway_reply reply = {.number = number,
                                  .detail = "",
                                  .count = 6,
                                  .repeated_count = 1,
                                  .unrouted = {.data = unrouted, .len = sizeof unrouted},
                                  .refused = {.data = refused, .len = sizeof refused}};
    from->fake.sink.reply(from->fake.sink.arg, &reply);
    return true;
}

Test(hf_more, what_became_of_each_message_of_a_batch)
{
    node.script = answer_batch;
    struct hf_body bodies[10];
    struct client_properties properties[10] = {0};
    for (size_t i = 0; i < 10; i++) {
        bodies[i] = (struct hf_body){"body", 4};
        properties[i].exchange = "x";
        properties[i].routing_key = "k";
        properties[i].mandatory = true;
    }
    struct hf_batch batch = {.properties = properties,
                             .bodies = bodies,
                             .len = 10,
                             .producer = "import",
                             .first_sequence = 7,
                             .epoch = 3,
                             .no_gaps = true,
                             .each = true};
    enum hf_outcome outcomes[10];
    struct hf_published published;
    cr_assert_eq(hf_publish_batch(hf, &batch, 20000, outcomes, &published), 0);
    static const enum hf_outcome expected[10] = {HF_UNROUTED, HF_REFUSED, HF_UNROUTED, HF_TAKEN, HF_TAKEN,
                                                 HF_TAKEN,    HF_TAKEN,   HF_TAKEN,    HF_TAKEN, HF_UNROUTED};
    cr_assert_arr_eq(outcomes, expected, sizeof expected);
    cr_assert_eq(published.enqueued, 6u);
    cr_assert_eq(published.repeated, 1u);
    cr_assert_eq(published.unrouted, 3u);
    cr_assert_eq(published.refused, 1u);
    cr_assert_eq(hf_publish_batch(hf, &batch, 20000, NULL, NULL), 0);
}

Test(hf_more, a_batch_has_some_messages)
{
    struct hf_body body = {"body", 4};
    struct hf_batch batch = {.queue = "q", .bodies = &body};
    cr_assert_eq(hf_publish_batch(hf, &batch, 20000, NULL, NULL), ERR_INVALID);
    batch.len = PUBLISH_MESSAGES_MAX + 1;
    cr_assert_eq(hf_publish_batch(hf, &batch, 20000, NULL, NULL), ERR_TOO_BIG);
    batch.len = 1;
    batch.queue = NULL;
    cr_assert_eq(hf_publish_batch(hf, &batch, 20000, NULL, NULL), ERR_NAME, "there is nowhere to go");
}

/* ---- Transactions ---- */

/* Delivers six messages to a subscriber; checks what is in the transaction. */
static bool answer_transaction(struct hf_node *from, uint64_t number, const Holdfast__Command *command)
{
    if (command->kind_case == HOLDFAST__COMMAND__KIND_SUBSCRIBE) {
        hf_node_reply(from, number, 0, 0);
        for (uint64_t i = 1; i <= 6; i++) {
            hf_node_deliver(from, command->subscribe->consumer, i);
        }
        return true;
    }
    if (command->kind_case != HOLDFAST__COMMAND__KIND_TRANSACT) {
        return false;
    }
    const Holdfast__Transact *transact = command->transact;
    CHECK(transact->n_publish == 3);
    CHECK(transact->publish[0]->n_body_len == 2 && strcmp(transact->publish[0]->queue, "a") == 0);
    CHECK(transact->publish[1]->n_body_len == 1 && strcmp(transact->publish[1]->queue, "b") == 0);
    CHECK(transact->publish[2]->n_body_len == 2 && transact->publish[2]->first_sequence == 8);
    CHECK(transact->n_settle == 3);
    CHECK(transact->settle[0]->n_first == 3 && transact->settle[0]->outcome == HOLDFAST__SETTLE__OUTCOME__ACCEPT);
    CHECK(transact->settle[0]->first[2] == 3 && transact->settle[0]->last[2] == 3);
    CHECK(transact->settle[1]->n_first == 1 && transact->settle[1]->outcome == HOLDFAST__SETTLE__OUTCOME__REJECT);
    CHECK(transact->settle[2]->n_first == 2 && transact->settle[2]->first[1] == 6);
    CHECK(transact->settle[2]->has_delay && transact->settle[2]->delay_ms == 50 && transact->settle[2]->not_counted);
    from->scripted++;
    hf_node_reply(from, number, 11, 0);
    return true;
}

Test(hf_more, a_transaction_of_all_kinds)
{
    node.script = answer_transaction;
    uint64_t consumer;
    cr_assert_eq(hf_subscribe(hf, "q", 10, 20000, &consumer), 0);
    struct hf_message taken[6];
    struct hf_settled settled[6];
    for (size_t i = 0; i < 6; i++) {
        cr_assert_eq(hf_next(hf, 20000, &taken[i]), 0);
        enum client_outcome outcome = i < 3 ? CLIENT_ACCEPT : i == 3 ? CLIENT_REJECT : CLIENT_RELEASE;
        settled[i] = (struct hf_settled){.message = &taken[i], .outcome = outcome};
        settled[i].how.has_delay = settled[i].how.not_counted = i > 3;
        settled[i].how.delay_ms = i > 3 ? 50 : 0;
    }
    struct hf_body body = {"body", 4};
    struct hf_outgoing messages[5] = {
        {.queue = "a", .body = body},
        {.queue = "a", .body = body},
        {.queue = "b", .body = body},
        {.queue = "b", .body = body, .producer = "p", .sequence = 8},
        {.queue = "b", .body = body, .producer = "p", .sequence = 9},
    };
    cr_assert_eq(hf_transact_as(hf, messages, 5, settled, 6, 20000), 0);
    cr_assert_eq(node.scripted, 1);
    settled[0].message = &(struct hf_message){.consumer = consumer, .number = 7};
    cr_assert_eq(hf_transact_as(hf, messages, 5, settled, 6, 20000), ERR_INVALID, "it was never delivered");
}

/* ---- Notices ---- */

/* Delivers two messages. When a producer is opened the locks of both end, and something is asked, twice. */
static bool answer_notices(struct hf_node *from, uint64_t number, const Holdfast__Command *command)
{
    const struct gateway_sink *sink = &from->fake.sink;
    if (command->kind_case == HOLDFAST__COMMAND__KIND_SUBSCRIBE) {
        hf_node_reply(from, number, 0, 0);
        hf_node_deliver(from, command->subscribe->consumer, 1);
        hf_node_deliver(from, command->subscribe->consumer, 2);
        return true;
    }
    if (command->kind_case != HOLDFAST__COMMAND__KIND_OPEN_PRODUCER) {
        return false;
    }
    sink->lock_ended(sink->arg, 1, 1);
    sink->lock_ended(sink->arg, 1, 2);
    sink->prepared_ask(sink->arg, "payment 17");
    sink->prepared_ask(sink->arg, "payment 17");
    hf_node_reply(from, number, 4, 9);
    return true;
}

Test(hf_more, notices_wait_until_they_are_read)
{
    node.script = answer_notices;
    struct hf_notice notice;
    cr_assert_eq(hf_notice(hf, 0, &notice), ERR_TIMEOUT);
    uint64_t consumer;
    cr_assert_eq(hf_subscribe(hf, "q", 10, 20000, &consumer), 0);
    struct hf_message message;
    cr_assert_eq(hf_next(hf, 20000, &message), 0);
    cr_assert_eq(message.number, 1u);
    cr_assert_eq(message.lock_until_ms, 5000u);
    uint64_t epoch;
    uint64_t sequence;
    cr_assert_eq(hf_open_producer(hf, "p", 20000, &epoch, &sequence), 0);
    cr_assert_eq(epoch, 4u);
    cr_assert_eq(sequence, 9u);
    cr_assert_eq(hf_notice(hf, 20000, &notice), 0);
    cr_assert_eq(notice.kind, HF_LOCK_ENDED);
    cr_assert_eq(notice.consumer, consumer);
    cr_assert_eq(notice.number, 1u);
    cr_assert_eq(hf_notice(hf, 20000, &notice), 0);
    cr_assert_eq(notice.kind, HF_PREPARED_ASK, "nobody has seen the other message");
    cr_assert_str_eq(notice.id, "payment 17");
    cr_assert_eq(hf_notice(hf, 1, &notice), ERR_TIMEOUT, "asked twice, told once");
    cr_assert_eq(hf_next(hf, 1, &message), ERR_TIMEOUT, "it is not given any more");
}

/* More notices than are kept. */
static bool answer_flood(struct hf_node *from, uint64_t number, const Holdfast__Command *command)
{
    const struct gateway_sink *sink = &from->fake.sink;
    if (command->kind_case != HOLDFAST__COMMAND__KIND_OPEN_PRODUCER) {
        return false;
    }
    for (uint64_t i = 0; i < HF_NOTICES_MAX + 3; i++) {
        sink->lock_ended(sink->arg, 1, 1 + i);
    }
    hf_node_reply(from, number, 1, 0);
    return true;
}

Test(hf_more, too_many_notices_lose_the_oldest)
{
    node.script = answer_flood;
    uint64_t number;
    struct hf_notice notice;
    cr_assert_eq(hf_open_producer(hf, "p", 20000, &number, &number), 0);
    cr_assert_eq(hf_notice(hf, 20000, &notice), 0);
    cr_assert_eq(notice.kind, HF_NOTICES_LOST);
    for (uint64_t i = 0; i < HF_NOTICES_MAX; i++) {
        cr_assert_eq(hf_notice(hf, 20000, &notice), 0);
        cr_assert_eq(notice.number, 4 + i);
    }
    cr_assert_eq(hf_notice(hf, 1, &notice), ERR_TIMEOUT);
}

/* ---- Draining ---- */

static bool answer_drain(struct hf_node *from, uint64_t number, const Holdfast__Command *command)
{
    const struct gateway_sink *sink = &from->fake.sink;
    if (command->kind_case == HOLDFAST__COMMAND__KIND_UNSUBSCRIBE) {
        CHECK(command->unsubscribe->drain && command->unsubscribe->consumer == 1);
        hf_node_reply(from, number, 1, 0);
        return true;
    }
    if (command->kind_case == HOLDFAST__COMMAND__KIND_SETTLE) {
        from->settled++;
        hf_node_reply(from, number, 1, 0);
        sink->consumer_ended(sink->arg, 1, 0, "");
        return true;
    }
    return false;
}

Test(hf_more, what_is_drained_ends_without_an_error)
{
    node.script = answer_drain;
    uint64_t consumer;
    cr_assert_eq(hf_subscribe(hf, "q", 10, 20000, &consumer), 0);
    struct hf_message message;
    cr_assert_eq(hf_drain(hf, consumer, 20000), 0);
    cr_assert_eq(hf_next(hf, 20000, &message), 0, "what has arrived is given");
    cr_assert_eq(hf_accept(hf, &message), 0);
    cr_assert_eq(hf_flush(hf, 20000), 0);
    cr_assert_eq(hf_next(hf, 1, &message), ERR_TIMEOUT);
    cr_assert_eq(hf_drain(hf, consumer, 20000), ERR_NOT_FOUND, "it has ended");
}

/* ---- Exchanges ---- */

static bool answer_change(struct hf_node *from, uint64_t number, const Holdfast__Command *command)
{
    const Holdfast__ChangeExchange *change = command->change_exchange;
    if (command->kind_case == HOLDFAST__COMMAND__KIND_CHANGE_EXCHANGE) {
        bool first = from->scripted++ == 0;
        CHECK(strcmp(change->exchange, "x") == 0);
        CHECK(change->has_protected == first && change->protected_ == first && change->has_note == !first);
        CHECK(strcmp(change->note, first ? "" : "ours") == 0);
    } else if (command->kind_case == HOLDFAST__COMMAND__KIND_DELETE_QUEUE) {
        CHECK(command->delete_queue->if_unused && !command->delete_queue->if_empty);
    } else if (command->kind_case == HOLDFAST__COMMAND__KIND_DECLARE_EXCHANGE) {
        CHECK(command->declare_exchange->passive);
    } else {
        return false;
    }
    hf_node_reply(from, number, 3, 0);
    return true;
}

Test(hf_more, exchanges_are_changed)
{
    node.script = answer_change;
    bool on = true;
    uint64_t dropped;
    cr_assert_eq(hf_change_exchange(hf, "x", &on, NULL, 20000), 0);
    cr_assert_eq(hf_change_exchange(hf, "x", NULL, "ours", 20000), 0);
    cr_assert_eq(hf_check_exchange(hf, "x", 20000), 0);
    cr_assert_eq(hf_delete_if(hf, "q", false, true, 20000, &dropped), 0);
    cr_assert_eq(dropped, 3u);
}

/* ---- Hostile publishers ---- */

/* An encoded MessageHead with a header whose value is an array in an array, and so on. */
static size_t deep_head(uint8_t *to, size_t cap, unsigned depth)
{
    size_t at = cap;
    unsigned values = 2 * depth + 1;
    for (unsigned i = 0; i < values + 2; i++) { /* From the inside out: a field of the content so far. */
        size_t len = cap - at;
        static const uint8_t tags[] = {0x0a, 0x92}; /* Array.item, or (two bytes) Value.array. */
        uint8_t prefix[8];
        size_t prefix_len = 0;
        bool outer = i >= values;
        prefix[prefix_len++] = outer ? (i == values ? 0x12 : 0x6a) : tags[(i + 1) % 2];
        if (!outer && (i + 1) % 2 == 1) {
            prefix[prefix_len++] = 0x01;
        }
        for (; len >= 0x80; len >>= 7) {
            prefix[prefix_len++] = (uint8_t)(len | 0x80);
        }
        prefix[prefix_len++] = (uint8_t)len;
        CHECK(at >= prefix_len);
        at -= prefix_len;
        memcpy(to + at, prefix, prefix_len);
    }
    memmove(to, to + at, cap - at);
    return cap - at;
}

static bool answer_deep(struct hf_node *from, uint64_t number, const Holdfast__Command *command)
{
    static uint8_t content[250 * KIB];
    if (command->kind_case != HOLDFAST__COMMAND__KIND_SUBSCRIBE) {
        return false;
    }
    hf_node_reply(from, number, 0, 0);
    unsigned depths[] = {3, 20000};
    for (uint64_t i = 0; i < 2; i++) {
        size_t head_len = deep_head(content, sizeof content - 4, depths[i]);
        memcpy(content + head_len, "body", 4);
        struct gateway_delivery delivery = {.consumer = command->subscribe->consumer,
                                            .number = i + 1,
                                            .position = i + 1,
                                            .body_hash = XXH3_64bits(content, head_len + 4),
                                            .head = {.data = content, .len = head_len},
                                            .body = {.data = content + head_len, .len = 4}};
        from->fake.sink.delivery(from->fake.sink.arg, &delivery);
        from->fake.sink.flush(from->fake.sink.arg);
    }
    return true;
}

Test(hf_more, a_head_that_is_nested_too_deep_harms_nobody)
{
    node.script = answer_deep;
    uint64_t consumer;
    cr_assert_eq(hf_subscribe(hf, "q", 10, 20000, &consumer), 0);
    struct hf_message message;
    cr_assert_eq(hf_next(hf, 20000, &message), 0);
    cr_assert_eq(message.properties->headers_len, 1u);
    cr_assert_eq(message.properties->headers[0].type, CLIENT_OTHER);
    cr_assert_eq(hf_next(hf, 20000, &message), ERR_INVALID);
    cr_assert_eq(message.number, 2u);
    cr_assert_null(message.properties);
    cr_assert_eq(message.body.len, 4u, "it is there, and can be rejected");
    cr_assert_arr_eq(message.body.data, "body", 4);
}

/* ---- Queries ---- */

struct seen {
    unsigned count;
    uint64_t last_session;
    uint64_t last_number;
    char text[32];
};

static void on_consumer(void *arg, const struct client_consumer_info *consumer)
{
    struct seen *seen = arg;
    cr_assert(consumer->session > seen->last_session ||
              (consumer->session == seen->last_session && consumer->consumer > seen->last_number));
    seen->last_session = consumer->session;
    seen->last_number = consumer->consumer;
    seen->count++;
    cr_assert(consumer->node == 3 && consumer->delivered == 4 && consumer->lock_ms == 5 && consumer->credit == 6);
    cr_assert(consumer->unsettled == 7 && consumer->priority == -8 && consumer->exclusive && consumer->active);
    cr_assert(!consumer->fetch && !consumer->auto_accept && strcmp(consumer->tag, "a tag") == 0);
}

static void on_limit(void *arg, const struct client_limit *limit)
{
    struct seen *seen = arg;
    seen->count++;
    cr_assert(limit->what == HF_LIMIT_CONSUMERS && limit->is_set && limit->is_counted);
    cr_assert(limit->value == 9 && limit->used == 2);
}

static void on_producer(void *arg, const struct client_producer *producer)
{
    struct seen *seen = arg;
    seen->count++;
    cr_assert(producer->epoch == 2 && producer->last_sequence == 77 && producer->session == 5);
    snprintf(seen->text, sizeof seen->text, "%s", producer->name);
}

static void on_prepared(void *arg, const struct client_prepared *prepared)
{
    struct seen *seen = arg;
    cr_assert(strcmp(prepared->id, seen->text) > 0);
    snprintf(seen->text, sizeof seen->text, "%s", prepared->id);
    seen->count++;
    cr_assert(strcmp(prepared->group, "shop") == 0 && strcmp(prepared->state, "prepared") == 0);
    cr_assert(prepared->messages == 2 && prepared->ask_ms == 3 && prepared->deadline_ms == 4);
    cr_assert(!prepared->commit_at_deadline && prepared->remembered_until_ms == 0);
}

Test(hf_more, lists_are_followed_to_their_end)
{
    node.fake.things = 2 * NATIVE_RESULT_QUEUES_MAX + 7;
    struct seen consumers = {0};
    cr_assert_eq(hf_consumers(hf, "q", 20000, on_consumer, &consumers), 0);
    cr_assert_eq(consumers.count, node.fake.things);
    struct seen prepared = {0};
    cr_assert_eq(hf_prepared(hf, 20000, on_prepared, &prepared), 0);
    cr_assert_eq(prepared.count, node.fake.things);
    cr_assert_eq(hf_consumers(hf, "", 20000, on_consumer, &consumers), ERR_NAME);
}

Test(hf_more, limits_and_a_producer)
{
    struct seen seen = {0};
    cr_assert_eq(hf_limits(hf, NULL, 20000, on_limit, &seen), 0);
    cr_assert_str_eq(node.fake.last_look, "");
    cr_assert_eq(hf_limits(hf, "carol", 20000, on_limit, &seen), 0);
    cr_assert_str_eq(node.fake.last_look, "carol");
    cr_assert_eq(seen.count, 2u);
    cr_assert_eq(hf_limits(hf, "", 20000, on_limit, &seen), ERR_NAME);
    cr_assert_eq(hf_producer(hf, "import", 20000, on_producer, &seen), 0);
    cr_assert_str_eq(seen.text, "import");
    cr_assert_eq(hf_producer(hf, "nobody", 20000, on_producer, &seen), ERR_NOT_FOUND);
    cr_assert_eq(seen.count, 3u);
}

/* ---- Sessions ---- */

Test(hf_more, a_user_is_told_to_the_node)
{
    struct hf_options options = {.servers = node.address, .user = "carol"};
    struct hf *other;
    cr_assert_eq(hf_open(&options, &other), 0);
    cr_assert_eq(hf_declare(other, "q", 20000), 0);
    cr_assert_str_eq(node.fake.last_user, "carol");
    cr_assert_eq(hf_close(other, 20000), 0);
    options.user = "a\nb";
    cr_assert_eq(hf_open(&options, &other), ERR_NAME);
}

Test(hf_more, a_session_that_is_refused_is_an_answer)
{
    node.fake.attach_err = ERR_NOT_FOUND;
    struct seen seen = {0};
    cr_assert_eq(hf_declare(hf, "q", 20000), ERR_NOT_FOUND);
    cr_assert(strstr(hf_error_detail(hf), "no such") != NULL || strstr(hf_error_detail(hf), "not") != NULL, "%s",
              hf_error_detail(hf));
    cr_assert_eq(hf_limits(hf, NULL, 20000, on_limit, &seen), ERR_NOT_FOUND);
    uint64_t consumer;
    cr_assert_eq(hf_subscribe(hf, "q", 10, 20000, &consumer), ERR_NOT_FOUND);
    node.fake.attach_err = 0;
    cr_assert_eq(hf_declare(hf, "q", 20000), 0, "it is tried again");
}

/* ---- What is not held any more ---- */

Test(hf_more, what_was_held_by_a_subscription_that_is_over_is_stale)
{
    const struct hf_message gone = {.consumer = 99, .number = 1};
    cr_assert_eq(hf_settle_as(hf, &gone, CLIENT_RELEASE, NULL, 20000), ERR_STALE);
    cr_assert_not_null(strstr(hf_error_detail(hf), "subscription is over"), "%s", hf_error_detail(hf));
    cr_assert_eq(hf_extend(hf, &gone, 0, 20000), ERR_STALE);
    cr_assert_eq(hf_release_after(hf, &gone, 10, 20000), ERR_STALE);
}
