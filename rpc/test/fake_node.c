/* A scripted node for tests of the client. */

#include "fake_node.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "proto/base/check.h"
#include "rpc/native/native_frame.h"

static uint64_t fake_monotonic(struct clock *clock)
{
    return container_of(clock, struct fake_node, clock)->now_ms;
}

static uint64_t fake_wall(struct clock *clock)
{
    return FAKE_WALL_MS + container_of(clock, struct fake_node, clock)->now_ms;
}

static uint64_t fake_random(struct clock *clock)
{
    struct fake_node *node = container_of(clock, struct fake_node, clock);
    node->seed = node->seed * 6364136223846793005u + 1442695040888963407u;
    return node->seed;
}

static struct fake_event *event_add(struct fake_node *node, enum fake_event_kind kind)
{
    cr_assert_lt(node->events_len, FAKE_EVENTS_MAX);
    struct fake_event *event = &node->events[node->events_len++];
    *event = (struct fake_event){.kind = kind};
    return event;
}

static void fake_connect(void *arg, const char *address)
{
    struct fake_event *event = event_add(arg, FAKE_CONNECT);
    snprintf(event->address, sizeof event->address, "%s", address);
}

static void fake_disconnect(void *arg)
{
    event_add(arg, FAKE_DISCONNECT);
}

static void command_read(struct fake_node *node, struct fake_event *event, struct frame *frame)
{
    struct native_command native;
    cr_assert_eq(native_frame_decode_command(frame, &native), 0);
    event->number = native.number;
    event->answered = native.answered;
    Holdfast__Command *command =
        holdfast__command__unpack(&node->arena.protobuf, native.command.len, native.command.data);
    cr_assert_not_null(command);
    event->command = (int)command->kind_case;
    switch (command->kind_case) {
    case HOLDFAST__COMMAND__KIND_PUBLISH:
        snprintf(event->queue, sizeof event->queue, "%s", command->publish->queue);
        event->first_sequence = command->publish->first_sequence;
        size_t len = 0;
        for (size_t i = 0; i < command->publish->n_body_len; i++) {
            struct slice body = slice_part(frame->body, len, command->publish->body_len[i]);
            cr_assert_eq(XXH3_64bits(body.data, body.len), command->publish->body_hash[i]);
            len += body.len;
        }
        cr_assert_eq(len, frame->body.len);
        break;
    case HOLDFAST__COMMAND__KIND_DECLARE_QUEUE:
        snprintf(event->queue, sizeof event->queue, "%s", command->declare_queue->queue);
        break;
    case HOLDFAST__COMMAND__KIND_PURGE_QUEUE:
        snprintf(event->queue, sizeof event->queue, "%s", command->purge_queue->queue);
        break;
    case HOLDFAST__COMMAND__KIND_SUBSCRIBE: event->consumer = command->subscribe->consumer; break;
    case HOLDFAST__COMMAND__KIND_SETTLE: event->consumer = command->settle->consumer; break;
    default: break;
    }
}

static void frame_read(struct fake_node *node, struct fake_event *event, struct frame *frame)
{
    ProtobufCMessage *base;
    switch (frame->type) {
    case FRAME_COMMAND: command_read(node, event, frame); break;
    case FRAME_ATTACH:
        cr_assert_eq(native_frame_decode(frame, &holdfast__attach__descriptor, &node->arena, &base), 0);
        const Holdfast__Attach *attach = (const Holdfast__Attach *)(void *)base;
        cr_assert_eq(attach->key.len, sizeof event->key);
        memcpy(event->key, attach->key.data, sizeof event->key);
        event->resume = attach->resume;
        event->attempt = attach->attempt;
        event->consumers_len = attach->n_consumer;
        cr_assert_eq(attach->n_seen, attach->n_consumer);
        if (attach->n_consumer > 0) {
            event->consumer = attach->consumer[0];
            event->seen = attach->seen[0];
        }
        break;
    case FRAME_QUERY:
        cr_assert_eq(native_frame_decode(frame, &holdfast__query__descriptor, &node->arena, &base), 0);
        const Holdfast__Query *query = (const Holdfast__Query *)(void *)base;
        event->id = query->id;
        event->query = (int)query->kind;
        event->position = query->position;
        event->node = query->node;
        event->max = query->max;
        snprintf(event->queue, sizeof event->queue, "%s", query->address[0] != '\0' ? query->address : query->queue);
        break;
    case FRAME_PING:
        cr_assert_eq(native_frame_decode(frame, &holdfast__ping__descriptor, &node->arena, &base), 0);
        event->id = ((const Holdfast__Ping *)(void *)base)->id;
        break;
    default: break;
    }
}

static void fake_send(void *arg, struct frame_out *out)
{
    struct fake_node *node = arg;
    struct fake_event *event = event_add(node, FAKE_FRAME);
    struct frame_prefix prefix;
    cr_assert_eq(frame_prefix_decode(out->head->data, &prefix), 0);
    struct slice body;
    cr_assert_eq(slice_copy(NULL, 0, &body), 0);
    if (prefix.body_len > 0) {
        slice_unref(&body);
        struct blob *blob = blob_new(prefix.body_len);
        size_t len = 0;
        for (unsigned i = 0; i < out->parts_len; i++) {
            memcpy(blob->data + len, out->parts[i].data, out->parts[i].len);
            len += out->parts[i].len;
        }
        cr_assert_eq(len, prefix.body_len);
        body = slice_of_blob(blob);
    }
    struct frame frame = {.type = prefix.type,
                          .header = slice_part(slice_of_blob(out->head), FRAME_PREFIX_LEN, prefix.header_len),
                          .body = body};
    event->type = prefix.type;
    event->body_len = body.len;
    arena_reset(&node->arena);
    frame_read(node, event, &frame);
    slice_unref(&body);
    frame_out_done(out);
}

static void fake_delivery(void *arg, const struct client_delivery *delivery)
{
    struct fake_node *node = arg;
    cr_assert_lt(node->deliveries_len, ARRAY_LEN(node->deliveries));
    size_t i = node->deliveries_len++;
    node->deliveries[i].consumer = delivery->consumer;
    node->deliveries[i].number = delivery->number;
    snprintf(node->deliveries[i].body, sizeof node->deliveries[i].body, "%.*s", (int)delivery->body.len,
             (const char *)delivery->body.data);
}

static void fake_consumer_ended(void *arg, uint64_t consumer, int err, const char *detail)
{
    struct fake_node *node = arg;
    cr_assert_not_null(detail);
    node->ended_consumer = consumer;
    node->ended_err = err;
    node->ended_calls++;
}

static void fake_attached_cb(void *arg, const char *address, uint64_t session)
{
    struct fake_node *node = arg;
    cr_assert_not_null(address);
    cr_assert_neq(session, 0);
    node->attached_calls++;
}

static uint64_t fake_moved(void *arg)
{
    return ((struct fake_node *)arg)->moved;
}

static void fake_trouble(void *arg, const char *detail)
{
    struct fake_node *node = arg;
    node->trouble_calls++;
    snprintf(node->trouble, sizeof node->trouble, "%s", detail);
}

void fake_node_init(struct fake_node *node, unsigned servers, uint32_t window, bool query_only)
{
    fake_node_init_options(node, servers, (struct client_core_options){.window = window, .query_only = query_only}, 42);
}

void fake_node_init_options(struct fake_node *node, unsigned servers, struct client_core_options options, uint64_t seed)
{
    static const char *const names[] = {"a:1", "b:1", "c:1"};
    *node = (struct fake_node){.now_ms = 1000, .seed = seed};
    node->clock = (struct clock){.monotonic_ms = fake_monotonic, .wall_ms = fake_wall, .random = fake_random};
    node->events = calloc(FAKE_EVENTS_MAX, sizeof *node->events);
    cr_assert_not_null(node->events);
    arena_init(&node->arena, 1 << 20);
    options.servers = names;
    options.servers_len = servers;
    options.client_name = "test";
    options.clock = &node->clock;
    options.host = node->host = (struct client_core_host){.arg = node,
                                                          .connect = fake_connect,
                                                          .disconnect = fake_disconnect,
                                                          .send = fake_send,
                                                          .delivery = fake_delivery,
                                                          .consumer_ended = fake_consumer_ended,
                                                          .moved = fake_moved,
                                                          .trouble = fake_trouble,
                                                          .attached = fake_attached_cb};
    cr_assert_eq(client_core_new(&options, &node->core), 0);
}

void fake_node_done(struct fake_node *node)
{
    client_core_free(node->core);
    free(node->events);
    arena_done(&node->arena);
}

struct fake_event *fake_node_expect(struct fake_node *node, enum fake_event_kind kind)
{
    cr_assert_lt(node->read, node->events_len, "the client did nothing");
    struct fake_event *event = &node->events[node->read++];
    cr_assert_eq(event->kind, kind, "event %zu: kind %d (frame %u), expected %d", node->read - 1, (int)event->kind,
                 (unsigned)event->type, (int)kind);
    return event;
}

struct fake_event *fake_node_expect_frame(struct fake_node *node, uint8_t type)
{
    struct fake_event *event = fake_node_expect(node, FAKE_FRAME);
    cr_assert_eq(event->type, type, "frame %u, expected %u", (unsigned)event->type, (unsigned)type);
    return event;
}

void fake_node_expect_nothing(struct fake_node *node)
{
    cr_assert_eq(node->read, node->events_len, "unexpected: kind %d, frame %u", (int)node->events[node->read].kind,
                 (unsigned)node->events[node->read].type);
}

void fake_node_run(struct fake_node *node, uint64_t ms)
{
    uint64_t end = node->now_ms + ms;
    unsigned ticks = 0; /* At one time: leaving a node and connecting to the next are two. */
    client_core_tick(node->core);
    for (uint64_t due; (due = client_core_deadline_ms(node->core)) <= end;) {
        ticks = due > node->now_ms ? 0 : ticks + 1;
        cr_assert_leq(ticks, 2u, "the client spins");
        node->now_ms = due > node->now_ms ? due : node->now_ms;
        client_core_tick(node->core);
    }
    node->now_ms = end;
}

void fake_node_connect(struct fake_node *node, const char *address)
{
    for (int i = 0; i < 600 && node->read == node->events_len; i++) {
        fake_node_run(node, 1);
    }
    const struct fake_event *event = fake_node_expect(node, FAKE_CONNECT);
    if (address != NULL) {
        cr_assert_str_eq(event->address, address);
    }
    client_core_connected(node->core);
    fake_node_expect_frame(node, FRAME_HELLO);
}

struct fake_event *fake_node_attach(struct fake_node *node, const char *address, uint64_t last_number)
{
    fake_node_connect(node, address);
    fake_node_welcome(node, 1, 1, "");
    struct fake_event *attach = fake_node_expect_frame(node, FRAME_ATTACH);
    fake_node_attached(node, 77, last_number);
    return attach;
}

void fake_node_send(struct fake_node *node, uint8_t type, const ProtobufCMessage *message, const void *body,
                    size_t body_len)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    struct blob *blob = blob_new(len + body_len);
    cr_assert_not_null(blob);
    protobuf_c_message_pack(message, blob->data);
    if (body_len > 0) {
        memcpy(blob->data + len, body, body_len);
    }
    struct frame frame = {.type = type,
                          .header = slice_part(slice_of_blob(blob), 0, len),
                          .body = slice_part(slice_of_blob(blob), len, body_len)};
    client_core_frame(node->core, &frame);
}

void fake_node_welcome(struct fake_node *node, uint64_t self, uint64_t leader, const char *address)
{
    Holdfast__Welcome welcome = HOLDFAST__WELCOME__INIT;
    welcome.node = self;
    welcome.leader = leader;
    welcome.leader_address = (char *)address;
    welcome.body_len_max = node->body_len_max;
    welcome.checks_version = !node->version_one;
    fake_node_send(node, FRAME_WELCOME, &welcome.base, NULL, 0);
}

void fake_node_attached(struct fake_node *node, uint64_t session, uint64_t last_number)
{
    Holdfast__Attached attached = HOLDFAST__ATTACHED__INIT;
    attached.session = session;
    attached.last_number = last_number;
    fake_node_send(node, FRAME_ATTACHED, &attached.base, NULL, 0);
}

void fake_node_reply(struct fake_node *node, uint64_t number, int err)
{
    Holdfast__Reply reply = HOLDFAST__REPLY__INIT;
    reply.number = number;
    reply.error = (uint32_t)-err;
    reply.detail = err == 0 ? "" : "refused by the test";
    reply.count = 1;
    Holdfast__Reply *list[] = {&reply};
    Holdfast__Replies replies = HOLDFAST__REPLIES__INIT;
    replies.n_replies = 1;
    replies.replies = list;
    fake_node_send(node, FRAME_REPLIES, &replies.base, NULL, 0);
}

void fake_node_goodbye(struct fake_node *node, int err, const char *address)
{
    Holdfast__Goodbye goodbye = HOLDFAST__GOODBYE__INIT;
    goodbye.error = (uint32_t)-err;
    goodbye.leader_address = (char *)address;
    fake_node_send(node, FRAME_GOODBYE, &goodbye.base, NULL, 0);
}

void fake_node_pong(struct fake_node *node, uint64_t id)
{
    Holdfast__Pong pong = HOLDFAST__PONG__INIT;
    pong.id = id;
    fake_node_send(node, FRAME_PONG, &pong.base, NULL, 0);
}

void fake_node_deliver(struct fake_node *node, uint64_t consumer, uint64_t number, const char *body,
                       uint64_t hash_error)
{
    Holdfast__Delivery delivery = HOLDFAST__DELIVERY__INIT;
    delivery.consumer = consumer;
    delivery.number = number;
    delivery.position = number;
    delivery.lock_until_ms = node->lock_until_ms;
    delivery.body_len = (uint32_t)strlen(body);
    delivery.body_hash = XXH3_64bits(body, strlen(body)) + hash_error;
    Holdfast__Delivery *list[] = {&delivery};
    Holdfast__Deliveries deliveries = HOLDFAST__DELIVERIES__INIT;
    deliveries.n_deliveries = 1;
    deliveries.deliveries = list;
    fake_node_send(node, FRAME_DELIVERIES, &deliveries.base, body, strlen(body));
}

void fake_node_end(struct fake_node *node, uint64_t consumer, int err)
{
    Holdfast__ConsumersEnded ended = HOLDFAST__CONSUMERS_ENDED__INIT;
    char detail[] = "the queue was deleted";
    ended.consumer = &consumer;
    ended.n_consumer = 1;
    ended.error = (uint32_t)-err;
    ended.detail = detail;
    fake_node_send(node, FRAME_CONSUMERS_ENDED, &ended.base, NULL, 0);
}

void fake_reply_cb(void *arg, const struct client_reply *reply)
{
    struct fake_reply *seen = arg;
    seen->calls++;
    seen->err = reply->err;
    seen->count = reply->count;
    snprintf(seen->detail, sizeof seen->detail, "%s", reply->detail);
}

void fake_node_publish(struct fake_node *node, const char *producer, uint64_t sequence, uint64_t timeout_ms,
                       struct fake_reply *reply)
{
    struct slice body = {.data = (const uint8_t *)"hello", .len = 5};
    cr_assert_eq(client_core_publish(node->core, "q", producer, sequence, &body, 1, timeout_ms, fake_reply_cb, reply),
                 0);
}
