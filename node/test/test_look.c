/* What a node's replica says to operators: consumers, limits, producers, prepared messages, exchanges and bindings. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "one_node.h"
#include "proto/wire/command.pb-c.h"
#include "rpc/native/native_result.h"

static struct one_node node;
static struct client client;
static const struct gateway_ops *ops;

static void setup(void)
{
    one_node_start(&node, NULL);
    one_node_settle(&node);
    client_init(&client, &node.home, 1);
    client_ready(&client);
    ops = node.gateway->ops;
}

static void teardown(void)
{
    client_done(&client);
    one_node_stop(&node);
}

TestSuite(look, .init = setup, .fini = teardown);

static void submit(const Holdfast__Command *command, const char *body)
{
    struct blob *header = blob_new(holdfast__command__get_packed_size(command));
    cr_assert_not_null(header);
    (void)holdfast__command__pack(command, header->data);
    struct slice bodies;
    cr_assert_eq(slice_copy(body, strlen(body), &bodies), 0);
    uint64_t number = ++client.number;
    cr_assert_eq(ops->submit(client.link, number, number - 1, slice_of_blob(header), bodies), 0);
    blob_unref(header);
    slice_unref(&bodies);
    one_node_wait(&node, CLIENT_ANSWER_MS);
    cr_assert_eq(client.reply[client.replies - 1].number, number);
    cr_assert_eq(client.reply[client.replies - 1].error, 0u, "%u", client.reply[client.replies - 1].error);
}

struct seen {
    unsigned count;
    unsigned stop_at; /* Elements that are taken; 0: all. */
    struct gateway_consumer consumer;
    struct gateway_limit limits[8];
    struct gateway_prepared prepared;
    char text[64];
    int64_t argument;
};

static bool goes_on(struct seen *seen)
{
    if (seen->stop_at != 0 && seen->count == seen->stop_at) {
        return false;
    }
    seen->count++;
    return true;
}

static bool on_consumer(void *arg, const struct gateway_consumer *consumer)
{
    struct seen *seen = arg;
    bool takes = goes_on(seen);
    seen->consumer = takes ? *consumer : seen->consumer;
    (void)snprintf(seen->text, sizeof seen->text, "%s", consumer->tag);
    return takes;
}

static void subscribe(uint64_t number, int32_t priority, const char *tag)
{
    Holdfast__Subscribe subscribe = HOLDFAST__SUBSCRIBE__INIT;
    subscribe.queue = (char[]){"q"};
    subscribe.consumer = number;
    subscribe.credit = 5;
    subscribe.priority = priority;
    subscribe.lock_ms = 4000;
    subscribe.tag = (char *)(uintptr_t)tag;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_SUBSCRIBE;
    command.subscribe = &subscribe;
    submit(&command, "");
}

Test(look, at_consumers)
{
    struct seen seen = {0};
    bool more = true;
    subscribe(1, -2, "worker 1");
    subscribe(7, 3, "worker 7");
    cr_assert_eq(ops->consumers(node.gateway, "", "q", 0, 0, &seen, on_consumer, &more), 0);
    cr_assert_eq(seen.count, 2u);
    cr_assert_not(more);
    cr_assert_str_eq(seen.text, "worker 7");
    cr_assert(seen.consumer.session == client.session && seen.consumer.consumer == 7 && seen.consumer.node == 1);
    cr_assert(seen.consumer.priority == 3 && seen.consumer.credit == 5 && seen.consumer.lock_ms == 4000);
    cr_assert(seen.consumer.active && !seen.consumer.exclusive && !seen.consumer.fetch);
    seen = (struct seen){.stop_at = 1};
    cr_assert_eq(ops->consumers(node.gateway, "/", "q", 0, 0, &seen, on_consumer, &more), 0);
    cr_assert(seen.count == 1 && more && seen.consumer.consumer == 1 && seen.consumer.priority == -2);
    seen = (struct seen){0};
    cr_assert_eq(ops->consumers(node.gateway, "", "q", client.session, 1, &seen, on_consumer, &more), 0);
    cr_assert(seen.count == 1 && !more && seen.consumer.consumer == 7);
    cr_assert_eq(ops->consumers(node.gateway, "", "none", 0, 0, &seen, on_consumer, &more), ERR_NOT_FOUND);
    cr_assert_eq(ops->consumers(node.gateway, "none", "q", 0, 0, &seen, on_consumer, &more), ERR_NOT_FOUND);
}

static bool on_limit(void *arg, const struct gateway_limit *limit)
{
    struct seen *seen = arg;
    seen->limits[limit->what] = *limit;
    seen->count++;
    return true;
}

Test(look, at_limits)
{
    Holdfast__Limit limit = HOLDFAST__LIMIT__INIT;
    limit.what = HOLDFAST__LIMIT__WHAT__QUEUES;
    limit.value = 12;
    Holdfast__Limits limits = HOLDFAST__LIMITS__INIT;
    limits.limit = (Holdfast__Limit *[]){&limit};
    limits.n_limit = 1;
    Holdfast__SetLimits set = HOLDFAST__SET_LIMITS__INIT;
    set.virtual_host = (char[]){"/"};
    set.limits = &limits;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_SET_LIMITS;
    command.set_limits = &set;
    submit(&command, "");
    struct seen seen = {0};
    cr_assert_eq(ops->limits(node.gateway, "", "", &seen, on_limit), 0);
    cr_assert_eq(seen.count, 7u);
    const struct gateway_limit *queues = &seen.limits[HOLDFAST__LIMIT__WHAT__QUEUES];
    cr_assert(queues->is_set && queues->value == 12 && queues->is_counted && queues->used == 1);
    cr_assert(!seen.limits[HOLDFAST__LIMIT__WHAT__SESSIONS].is_set);
    cr_assert_eq(seen.limits[HOLDFAST__LIMIT__WHAT__SESSIONS].used, 1u);
    cr_assert_not(seen.limits[HOLDFAST__LIMIT__WHAT__QUEUE_LENGTH].is_counted);
    seen = (struct seen){0};
    cr_assert_eq(ops->limits(node.gateway, "", "carol", &seen, on_limit), 0);
    cr_assert_eq(seen.count, 2u);
    cr_assert_eq(ops->limits(node.gateway, "none", "", &seen, on_limit), ERR_NOT_FOUND);
}

static bool on_prepared(void *arg, const struct gateway_prepared *prepared)
{
    struct seen *seen = arg;
    bool takes = goes_on(seen);
    seen->prepared = *prepared;
    (void)snprintf(seen->text, sizeof seen->text, "%s %s %s", prepared->id, prepared->group, prepared->state);
    return takes;
}

Test(look, at_a_producer_and_what_it_has_prepared)
{
    struct gateway_producer producer;
    cr_assert_eq(ops->producer(node.gateway, "", "import", &producer), ERR_NOT_FOUND);
    Holdfast__Prepare prepare = HOLDFAST__PREPARE__INIT;
    prepare.id = (char[]){"payment"};
    prepare.group = (char[]){"shop"};
    prepare.deadline_ms = 60000;
    prepare.commit_at_deadline = true;
    Holdfast__Publish publish = HOLDFAST__PUBLISH__INIT;
    uint32_t len = 4;
    uint64_t hash = XXH3_64bits("body", 4);
    publish.queue = (char[]){"q"};
    publish.body_len = &len;
    publish.body_hash = &hash;
    publish.n_body_len = publish.n_body_hash = 1;
    publish.producer = (char[]){"import"};
    publish.first_sequence = 5;
    publish.prepare = &prepare;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_PUBLISH;
    command.publish = &publish;
    submit(&command, "body");
    cr_assert_eq(ops->producer(node.gateway, "", "import", &producer), 0);
    cr_assert(producer.last_sequence == 5 && producer.epoch == 0 && producer.session == 0);
    cr_assert_eq(ops->producer(node.gateway, "none", "import", &producer), ERR_NOT_FOUND);
    struct seen seen = {0};
    bool more = true;
    cr_assert_eq(ops->prepared(node.gateway, "", "", &seen, on_prepared, &more), 0);
    cr_assert(seen.count == 1 && !more);
    cr_assert_str_eq(seen.text, "payment shop prepared");
    cr_assert(seen.prepared.messages == 1 && seen.prepared.commit_at_deadline && seen.prepared.deadline_ms > 0);
    Holdfast__ResolvePrepared resolve = HOLDFAST__RESOLVE_PREPARED__INIT;
    resolve.id = (char[]){"payment"};
    command.kind_case = HOLDFAST__COMMAND__KIND_RESOLVE_PREPARED;
    command.resolve_prepared = &resolve;
    submit(&command, "");
    seen = (struct seen){0};
    cr_assert_eq(ops->prepared(node.gateway, "", "", &seen, on_prepared, &more), 0);
    cr_assert_str_eq(seen.text, "payment shop dropped");
    cr_assert_gt(seen.prepared.remembered_until_ms, 0u);
    seen = (struct seen){0};
    cr_assert_eq(ops->prepared(node.gateway, "", "payment", &seen, on_prepared, &more), 0);
    cr_assert_eq(seen.count, 0u);
}

static bool on_exchange(void *arg, const struct gateway_exchange *exchange)
{
    struct seen *seen = arg;
    (void)snprintf(seen->text, sizeof seen->text, "%s %s %d", exchange->declared->exchange, exchange->declared->note,
                   exchange->declared->protected_);
    seen->count++;
    return true;
}

static bool on_binding(void *arg, const struct gateway_binding *binding)
{
    struct seen *seen = arg;
    const Holdfast__Bind *bind = binding->bind;
    (void)snprintf(seen->text, sizeof seen->text, "%s %s %s", bind->source, bind->queue, bind->argument[0]->name);
    seen->argument = bind->argument[0]->value->int64;
    seen->count++;
    return true;
}

Test(look, at_an_exchange_that_was_changed_and_its_bindings)
{
    Holdfast__DeclareExchange declare = HOLDFAST__DECLARE_EXCHANGE__INIT;
    declare.exchange = (char[]){"x"};
    declare.type = HOLDFAST__DECLARE_EXCHANGE__TYPE__HEADERS;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_EXCHANGE;
    command.declare_exchange = &declare;
    submit(&command, "");
    Holdfast__ChangeExchange change = HOLDFAST__CHANGE_EXCHANGE__INIT;
    change.exchange = (char[]){"x"};
    change.has_protected = change.protected_ = change.has_note = true;
    change.note = (char[]){"ours"};
    command.kind_case = HOLDFAST__COMMAND__KIND_CHANGE_EXCHANGE;
    command.change_exchange = &change;
    submit(&command, "");
    Holdfast__Value value = HOLDFAST__VALUE__INIT;
    value.kind_case = HOLDFAST__VALUE__KIND_INT16;
    value.int16 = -9;
    Holdfast__Header header = HOLDFAST__HEADER__INIT;
    header.name = (char[]){"size"};
    header.value = &value;
    Holdfast__Bind bind = HOLDFAST__BIND__INIT;
    bind.source = (char[]){"x"};
    bind.queue = (char[]){"q"};
    bind.argument = (Holdfast__Header *[]){&header};
    bind.n_argument = 1;
    command.kind_case = HOLDFAST__COMMAND__KIND_BIND;
    command.bind = &bind;
    submit(&command, "");
    struct seen seen = {0};
    bool more = true;
    cr_assert_eq(ops->exchanges(node.gateway, "", NULL, &seen, on_exchange, &more), 0);
    cr_assert_str_eq(seen.text, "x ours 1");
    cr_assert_eq(seen.count, 7u, "with those that every virtual host has");
    for (int i = 0; i < 2; i++) {
        seen = (struct seen){0};
        cr_assert_eq(ops->bindings(node.gateway, "", i == 0 ? NULL : "x", 0, &seen, on_binding, &more), 0);
        cr_assert(seen.count == 1 && !more && seen.argument == -9);
        cr_assert_str_eq(seen.text, "x q size");
    }
}

/* The most that the arguments of a binding may be: voids in an array. */
Test(look, at_the_largest_bindings)
{
    enum { ITEMS = 4080, HEADERS = 4 };
    static Holdfast__Value items[ITEMS];
    static Holdfast__Value *pointers[ITEMS];
    for (size_t i = 0; i < ITEMS; i++) {
        items[i] = (Holdfast__Value)HOLDFAST__VALUE__INIT;
        items[i].kind_case = HOLDFAST__VALUE__KIND_VOID;
        items[i].void_ = true;
        pointers[i] = &items[i];
    }
    Holdfast__Array array = HOLDFAST__ARRAY__INIT;
    array.item = pointers;
    array.n_item = ITEMS;
    Holdfast__Value value = HOLDFAST__VALUE__INIT;
    value.kind_case = HOLDFAST__VALUE__KIND_ARRAY;
    value.array = &array;
    static const char *const names[HEADERS] = {"a", "b", "c", "d"};
    Holdfast__Header headers[HEADERS];
    Holdfast__Header *header_pointers[HEADERS];
    for (size_t i = 0; i < HEADERS; i++) {
        headers[i] = (Holdfast__Header)HOLDFAST__HEADER__INIT;
        headers[i].name = (char *)(uintptr_t)names[i];
        headers[i].value = &value;
        header_pointers[i] = &headers[i];
    }
    Holdfast__Bind bind = HOLDFAST__BIND__INIT;
    bind.source = (char[]){"amq.headers"};
    bind.queue = (char[]){"q"};
    bind.argument = header_pointers;
    bind.n_argument = HEADERS;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_BIND;
    command.bind = &bind;
    char key[NAME_LEN_MAX + 1] = "a";
    memset(key + 1, 'k', NAME_LEN_MAX - 1);
    for (; key[0] < 'f'; key[0]++) {
        bind.key = key;
        submit(&command, "");
    }
    const struct native_question question = {
        .kind = HOLDFAST__QUERY__KIND__BINDINGS, .name = "", .virtual_host = "", .address = ""};
    struct frame_out frame;
    cr_assert_eq(native_result_make(node.gateway, &question, 0, &frame), 0, "it fits a frame");
    cr_assert_gt(frame.len, 100 * KIB);
    struct arena arena;
    arena_init(&arena, 16 * MIB);
    size_t header_len = frame.head->len - FRAME_PREFIX_LEN;
    ProtobufCMessage *base = protobuf_c_message_unpack(&holdfast__query_result__descriptor, &arena.protobuf, header_len,
                                                       frame.head->data + FRAME_PREFIX_LEN);
    cr_assert_not_null(base);
    const Holdfast__QueryResult *result = (const Holdfast__QueryResult *)(void *)base;
    cr_assert_eq(result->error, 0u, "%s", result->detail);
    cr_assert_gt(result->n_bindings, 0u);
    cr_assert(result->more);
    arena_done(&arena);
    frame_out_done(&frame);
}
