/* basic.deliver: what a client is told of a message. */

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "amqp_fixture.h"

static struct amqp_fixture f;
static uint64_t consumer;
static Holdfast__MessageHead head;

static void setup(void)
{
    amqp_fixture_open(&f);
    AMQP_GIVE(&f, 1, basic_consume, .queue = amqp_text("q"), .consumer_tag = amqp_text("t"));
    consumer = AMQP_COMMAND(&f, SUBSCRIBE)->subscribe->consumer;
    AMQP_REPLY(&f);
    (void)AMQP_TAKE(&f, 1, basic_consume_ok);
    holdfast__message_head__init(&head);
    head.exchange = (char *)(uintptr_t) "logs";
    head.routing_key = (char *)(uintptr_t) "a.b";
}

static void teardown(void)
{
    amqp_fixture_close(&f);
}

TestSuite(amqp_deliver, .init = setup, .fini = teardown);

static const struct amqp_basic_deliver *method;

/* Delivered, and taken by the client. */
static const struct amqp_fixture_content *deliver(const Holdfast__Trail *trail, uint32_t delivery_count)
{
    static uint64_t number;
    struct gateway_delivery delivery = amqp_fixture_message(&f, &head, trail, "body");
    delivery.consumer = consumer;
    delivery.number = ++number;
    delivery.delivery_count = delivery_count;
    cr_assert(amqp_fixture_deliver(&f, &delivery));
    method = AMQP_TAKE(&f, 1, basic_deliver);
    const struct amqp_fixture_content *content = amqp_fixture_take_content(&f, 1);
    cr_assert(amqp_fixture_is(content->body, "body"));
    return content;
}

static const Holdfast__Value *find(const struct amqp_fixture_content *content, const char *name)
{
    const struct amqp_headers headers = {.entries = content->head.header, .len = content->head.n_header};
    return amqp_headers_find(&headers, name);
}

static bool is_text(const Holdfast__Value *value, const char *text)
{
    return value != NULL && value->kind_case == HOLDFAST__VALUE__KIND_STRING && value->string.len == strlen(text) &&
           memcmp(value->string.data, text, value->string.len) == 0;
}

static void add_header(const char *name, Holdfast__Value *value)
{
    Holdfast__Header *header = arena_alloc(&f.arena, sizeof *header);
    Holdfast__Header **headers = arena_alloc(&f.arena, (head.n_header + 1) * sizeof(Holdfast__Header *));
    cr_assert(header != NULL && headers != NULL);
    holdfast__header__init(header);
    header->name = (char *)(uintptr_t)name;
    header->value = value;
    if (head.n_header > 0) {
        memcpy(headers, head.header, head.n_header * sizeof(Holdfast__Header *));
    }
    headers[head.n_header++] = header;
    head.header = headers;
    head.has_headers = true;
}

static Holdfast__Value *new_value(Holdfast__Value__KindCase kind)
{
    Holdfast__Value *value = arena_alloc(&f.arena, sizeof *value);
    cr_assert_not_null(value);
    holdfast__value__init(value);
    value->kind_case = kind;
    return value;
}

static Holdfast__Value *text_value(const char *text)
{
    Holdfast__Value *value = new_value(HOLDFAST__VALUE__KIND_STRING);
    value->string = (ProtobufCBinaryData){.len = strlen(text), .data = (uint8_t *)(uintptr_t)text};
    return value;
}

Test(amqp_deliver, address_and_properties)
{
    head.content_type = (char *)(uintptr_t) "text/plain";
    head.delivery_mode = 2;
    head.wire_priority = 4;
    head.correlation_id = (char *)(uintptr_t) "c";
    head.reply_to = (char *)(uintptr_t) "r";
    head.expiration = (char *)(uintptr_t) "60000";
    head.has_ttl = true;
    head.ttl_ms = 60000;
    head.message_id = (char *)(uintptr_t) "m";
    head.has_timestamp = true;
    head.timestamp_s = 1234;
    head.user_id = (char *)(uintptr_t) "guest";
    add_header("x", text_value("y"));
    const struct amqp_fixture_content *content = deliver(NULL, 0);
    cr_assert_eq(method->delivery_tag, 1u);
    cr_assert_not(method->redelivered);
    cr_assert(amqp_fixture_is(method->consumer_tag, "t"));
    cr_assert(amqp_fixture_is(method->exchange, "logs"));
    cr_assert(amqp_fixture_is(method->routing_key, "a.b"));
    cr_assert_str_eq(content->head.content_type, "text/plain");
    cr_assert_eq(content->head.delivery_mode, 2u);
    cr_assert_eq(content->head.wire_priority, 4u);
    cr_assert_str_eq(content->head.correlation_id, "c");
    cr_assert_str_eq(content->head.reply_to, "r");
    cr_assert_str_eq(content->head.expiration, "60000");
    cr_assert_str_eq(content->head.message_id, "m");
    cr_assert_eq(content->head.timestamp_s, 1234u);
    cr_assert_str_eq(content->head.user_id, "guest");
    cr_assert_eq(content->head.n_header, 1u);
    cr_assert(is_text(find(content, "x"), "y"));
}

Test(amqp_deliver, tags_count_up)
{
    (void)deliver(NULL, 0);
    cr_assert_eq(method->delivery_tag, 1u);
    (void)deliver(NULL, 0);
    cr_assert_eq(method->delivery_tag, 2u);
}

Test(amqp_deliver, no_properties_at_all)
{
    const struct amqp_fixture_content *content = deliver(NULL, 0);
    cr_assert_not(content->head.has_headers);
    cr_assert_eq(content->head.delivery_mode, 0u);
}

Test(amqp_deliver, an_empty_table_stays_one)
{
    head.has_headers = true;
    cr_assert(deliver(NULL, 0)->head.has_headers);
}

/* The header x-delivery-count of a delivery from a queue with that note and limit; -1: it has none. */
static int64_t counted(const char *note, uint64_t max_deliveries, uint32_t delivery_count)
{
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.note = (char *)(uintptr_t)note;
    options.max_deliveries = max_deliveries;
    struct gateway_queue queue = {.name = "q", .options = &options};
    f.fake.queue_is = &queue;
    AMQP_GIVE(&f, 1, basic_consume, .queue = amqp_text("q"));
    consumer = AMQP_COMMAND(&f, SUBSCRIBE)->subscribe->consumer;
    AMQP_REPLY(&f);
    (void)AMQP_TAKE(&f, 1, basic_consume_ok);
    const struct amqp_fixture_content *content = deliver(NULL, delivery_count);
    const Holdfast__Value *count = find(content, "x-delivery-count");
    f.fake.queue_is = NULL;
    return count == NULL ? -1 : count->int64;
}

/* As quorum queues do, and classic ones do not. */
Test(amqp_deliver, counts_by_the_type_of_the_queue)
{
    cr_assert_eq(counted("AMQP: durable, quorum", 0, 0), -1, "only the answer to a get says 0");
    cr_assert_eq(counted("AMQP: durable, quorum", 0, 2), 2);
    cr_assert_eq(counted("AMQP: durable", 0, 0), -1);
    cr_assert_eq(counted("AMQP: durable", 0, 2), -1);
    cr_assert_eq(counted("AMQP: transient", 5, 0), -1);
    cr_assert_eq(counted("AMQP: transient", 5, 2), 2);
    cr_assert_eq(counted("an operator's", 0, 0), -1);
    cr_assert_eq(counted("an operator's", 0, 2), 2);
}

Test(amqp_deliver, one_that_came_back)
{
    add_header("x-delivery-count", text_value("what a publisher wrote"));
    const struct amqp_fixture_content *content = deliver(NULL, 0);
    cr_assert_not(method->redelivered);
    cr_assert(is_text(find(content, "x-delivery-count"), "what a publisher wrote"));
    content = deliver(NULL, 3);
    cr_assert(method->redelivered);
    cr_assert_eq(content->head.n_header, 1u);
    const Holdfast__Value *count = find(content, "x-delivery-count");
    cr_assert_eq(count->kind_case, HOLDFAST__VALUE__KIND_INT64);
    cr_assert_eq(count->int64, 3);
}

Test(amqp_deliver, further_keys)
{
    add_header("CC", text_value("seen"));
    add_header("BCC", text_value("not seen"));
    const struct amqp_fixture_content *content = deliver(NULL, 0);
    cr_assert(is_text(find(content, "CC"), "seen"));
    cr_assert_null(find(content, "BCC"));
}

/* The delay has been made: who publishes the message again does not make it again. */
Test(amqp_deliver, a_delay)
{
    Holdfast__Value *delay = new_value(HOLDFAST__VALUE__KIND_INT32);
    delay->int32 = 5000;
    add_header("x-delay", delay);
    cr_assert_eq(find(deliver(NULL, 0), "x-delay")->int32, 5000, "it was never made");
    head.delay_ms = 5000;
    cr_assert_eq(find(deliver(NULL, 0), "x-delay")->int32, -5000);
    delay->kind_case = HOLDFAST__VALUE__KIND_UINT32;
    delay->uint32 = 4000000000u;
    const Holdfast__Value *made = find(deliver(NULL, 0), "x-delay");
    cr_assert_eq(made->kind_case, HOLDFAST__VALUE__KIND_INT64);
    cr_assert_eq(made->int64, -4000000000ll);
}

/* ---- Of other protocols ---- */

Test(amqp_deliver, without_a_head)
{
    struct gateway_delivery delivery = amqp_fixture_message(&f, NULL, NULL, "plain");
    delivery.consumer = consumer;
    delivery.number = 1;
    cr_assert(amqp_fixture_deliver(&f, &delivery));
    method = AMQP_TAKE(&f, 1, basic_deliver);
    cr_assert(amqp_fixture_is(method->exchange, ""));
    cr_assert(amqp_fixture_is(method->routing_key, "q"));
    cr_assert(amqp_fixture_is(amqp_fixture_take_content(&f, 1)->body, "plain"));
}

Test(amqp_deliver, published_to_its_queue_with_a_head)
{
    head.exchange = (char *)(uintptr_t) "";
    head.routing_key = (char *)(uintptr_t) "";
    head.type = (char *)(uintptr_t) "t";
    const struct amqp_fixture_content *content = deliver(NULL, 0);
    cr_assert(amqp_fixture_is(method->routing_key, "q"));
    cr_assert_str_eq(content->head.type, "t");
}

Test(amqp_deliver, what_other_protocols_say)
{
    head.priority = 300;
    head.has_ttl = true;
    head.ttl_ms = 1500;
    const struct amqp_fixture_content *content = deliver(NULL, 0);
    cr_assert_eq(content->head.wire_priority, 255u);
    cr_assert_str_eq(content->head.expiration, "1500");
}

/* A string of AMQP has 255 bytes. The rest of the message comes. */
Test(amqp_deliver, what_does_not_fit)
{
    char long_text[300];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    head.correlation_id = long_text;
    head.type = (char *)(uintptr_t) "fits";
    add_header(long_text, text_value("v"));
    add_header("fits", text_value("v"));
    const struct amqp_fixture_content *content = deliver(NULL, 1);
    cr_assert_str_eq(content->head.correlation_id, "");
    cr_assert_str_eq(content->head.type, "fits");
    cr_assert_not_null(find(content, "fits"));
    cr_assert_eq(content->head.n_header, 2u);
    Holdfast__Table table = HOLDFAST__TABLE__INIT;
    Holdfast__Header inner = HOLDFAST__HEADER__INIT;
    Holdfast__Header *inners[] = {&inner};
    inner.name = long_text;
    inner.value = text_value("v");
    table.entry = inners;
    table.n_entry = 1;
    Holdfast__Value *nested = new_value(HOLDFAST__VALUE__KIND_TABLE);
    nested->table = &table;
    add_header("nested", nested);
    content = deliver(NULL, 1);
    cr_assert_str_eq(content->head.type, "fits");
    cr_assert_eq(content->head.n_header, 1u);
    cr_assert_eq(find(content, "x-delivery-count")->int64, 1);
}

/* A head whose properties no decoder takes: the address is the machine's business, and comes. */
Test(amqp_deliver, a_head_that_cannot_be_decoded)
{
    static const uint8_t broken[] = {0x0a, 1, 'e', 0x12, 1, 'k', 0xa0, 1, 5}; /* content_type as a number. */
    struct blob *blob = blob_new(sizeof broken + 4);
    memcpy(blob->data, broken, sizeof broken);
    memcpy(blob->data + sizeof broken, "body", 4);
    struct slice all = slice_of_blob(blob);
    const struct gateway_delivery delivery = {.consumer = consumer,
                                              .number = 1,
                                              .body_hash = XXH3_64bits(blob->data, blob->len),
                                              .head = slice_part(all, 0, sizeof broken),
                                              .body = slice_part(all, sizeof broken, 4)};
    cr_assert(amqp_fixture_deliver(&f, &delivery));
    method = AMQP_TAKE(&f, 1, basic_deliver);
    cr_assert(amqp_fixture_is(method->exchange, "e"));
    cr_assert(amqp_fixture_is(method->routing_key, "k"));
    cr_assert(amqp_fixture_is(amqp_fixture_take_content(&f, 1)->body, "body"));
    blob_unref(blob);
}

/* As many headers as a head can have. */
Test(amqp_deliver, a_large_head)
{
    enum { LEN = 20000 };
    static Holdfast__Header headers[LEN];
    static Holdfast__Header *pointers[LEN];
    Holdfast__Value *value = new_value(HOLDFAST__VALUE__KIND_BOOLEAN);
    value->boolean = true;
    for (unsigned i = 0; i < LEN; i++) {
        holdfast__header__init(&headers[i]);
        headers[i].name = (char *)(uintptr_t) "n";
        headers[i].value = value;
        pointers[i] = &headers[i];
    }
    head.header = pointers;
    head.n_header = 10000; /* What a table that comes may have, as well. */
    cr_assert_eq(deliver(NULL, 0)->head.n_header, 10000u);
}

/* ---- Dead letters ---- */

Test(amqp_deliver, a_dead_letter)
{
    Holdfast__Death death = HOLDFAST__DEATH__INIT;
    Holdfast__Death *deaths[] = {&death};
    Holdfast__Trail trail = HOLDFAST__TRAIL__INIT;
    char *keys[] = {(char *)(uintptr_t) "a.b"};
    death.queue = (char *)(uintptr_t) "work";
    death.reason = HOLDFAST__DEATH__REASON__EXPIRED;
    death.count = 1;
    death.exchange = (char *)(uintptr_t) "logs";
    death.routing_key = keys;
    death.n_routing_key = 1;
    death.time_ms = 5999;
    trail.death = deaths;
    trail.n_death = 1;
    trail.first_queue = death.queue;
    trail.first_reason = (char *)(uintptr_t) "expired";
    trail.first_exchange = death.exchange;
    trail.has_address = true;
    trail.exchange = (char *)(uintptr_t) "dlx";
    trail.routing_key = (char *)(uintptr_t) "dead";
    trail.no_ttl = true;
    head.expiration = (char *)(uintptr_t) "100";
    head.has_ttl = true;
    head.ttl_ms = 100;
    add_header("CC", text_value("other"));
    add_header("x-death", text_value("no history"));
    const struct amqp_fixture_content *content = deliver(&trail, 0);
    cr_assert(amqp_fixture_is(method->exchange, "dlx"));
    cr_assert(amqp_fixture_is(method->routing_key, "dead"));
    cr_assert_not(method->redelivered);
    cr_assert_str_eq(content->head.expiration, "");
    cr_assert_null(find(content, "CC"), "it went elsewhere");
    cr_assert_eq(content->head.n_header, 4u);
    cr_assert_eq(find(content, "x-death")->kind_case, HOLDFAST__VALUE__KIND_ARRAY);
    cr_assert(is_text(find(content, "x-first-death-queue"), "work"));
    trail.own_keys = true;
    trail.no_ttl = false;
    content = deliver(&trail, 0);
    cr_assert_not_null(find(content, "CC"));
    cr_assert_str_eq(content->head.expiration, "100");
}

/* ---- A client that does not read ---- */

Test(amqp_deliver, nothing_is_taken_while_the_connection_is_full)
{
    f.full = true;
    struct gateway_delivery delivery = amqp_fixture_message(&f, &head, NULL, "body");
    delivery.consumer = consumer;
    delivery.number = 1;
    cr_assert_not(amqp_fixture_deliver(&f, &delivery));
    amqp_fixture_nothing(&f);
    f.full = false;
    amqp_session_congested(f.session, false);
    cr_assert_not(f.fake.paused);
    cr_assert(amqp_fixture_deliver(&f, &delivery));
    (void)AMQP_TAKE(&f, 1, basic_deliver);
}

/* What is for a consumer that nobody knows is nobody's. */
Test(amqp_deliver, to_nobody)
{
    struct gateway_delivery delivery = amqp_fixture_message(&f, &head, NULL, "body");
    delivery.consumer = consumer + 1;
    delivery.number = 1;
    cr_assert(amqp_fixture_deliver(&f, &delivery));
    amqp_fixture_nothing(&f);
    amqp_fixture_no_command(&f);
}

Test(amqp_deliver, what_is_not_what_was_published_is_not_delivered)
{
    struct gateway_delivery delivery = amqp_fixture_message(&f, &head, NULL, "body");
    delivery.consumer = consumer;
    delivery.number = 1;
    delivery.position = 77;
    ((uint8_t *)(uintptr_t)delivery.body.data)[3] ^= 0x10; /* A bit, on the way from the disk to here. */
    cr_assert(amqp_fixture_deliver(&f, &delivery));
    const struct amqp_connection_close *close = AMQP_TAKE(&f, 0, connection_close);
    cr_assert_eq(close->reply_code, AMQP_INTERNAL_ERROR);
    cr_assert(amqp_fixture_is(close->reply_text,
                              "INTERNAL_ERROR - the message at position 77 is not what was published: its "
                              "checksum is wrong"));
}
