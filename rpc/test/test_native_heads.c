/* Messages with heads and trails on their way to clients, to those too that know nothing of them; and what a cluster of an earlier
 * version does not take. */

#include <criterion/criterion.h>
#include <string.h>
#include <xxhash.h>

#include "proto/base/arena.h"
#include "proto/wire/message.pb-c.h"
#include "proto/wire/native.pb-c.h"
#include "rpc/client/client_properties.h"
#include "rpc/native/native_frame.h"
#include "rpc/native/native_hash.h"
#include "rpc/native/native_outbox.h"
#include "rpc/native/native_version.h"

static const char content[] = "headbody";

static struct slice part(size_t from, size_t len)
{
    return (struct slice){.data = (const uint8_t *)content + from, .len = len};
}

/* What the client of an outbox is sent of a delivery with head "head", body "body" and trail "trail". */
static void deliver(bool heads, Holdfast__Deliveries **ret_deliveries, char text[32])
{
    struct native_outbox outbox = {.heads = heads};
    struct gateway_delivery delivery = {
        .consumer = 1,
        .number = 1,
        .body_hash = XXH3_64bits(content, 8),
        .head = part(0, 4),
        .body = part(4, 4),
        .trail = {.data = (const uint8_t *)"trail", .len = 5},
        .lock_until_ms = 7,
    };
    cr_assert_eq(native_outbox_delivery(&outbox, &delivery), 0);
    struct frame_out frame;
    bool got;
    cr_assert_eq(native_outbox_next(&outbox, &got, &frame), 0);
    cr_assert(got);
    size_t len = 0;
    for (unsigned i = 0; i < frame.parts_len; i++) {
        memcpy(text + len, frame.parts[i].data, frame.parts[i].len);
        len += frame.parts[i].len;
    }
    text[len] = '\0';
    *ret_deliveries =
        holdfast__deliveries__unpack(NULL, frame.head->len - FRAME_PREFIX_LEN, frame.head->data + FRAME_PREFIX_LEN);
    cr_assert_not_null(*ret_deliveries);
    struct slice body = {.data = (const uint8_t *)text, .len = len};
    cr_assert_eq(native_frame_check_deliveries(*ret_deliveries, body), 0);
    frame_out_done(&frame);
    native_outbox_done(&outbox);
}

Test(native_heads, trail_head_and_body_follow_one_another)
{
    Holdfast__Deliveries *deliveries;
    char text[32];
    deliver(true, &deliveries, text);
    cr_assert_str_eq(text, "trailheadbody");
    cr_assert_eq(deliveries->deliveries[0]->head_len, 4u);
    cr_assert_eq(deliveries->deliveries[0]->trail_len, 5u);
    cr_assert_eq(deliveries->deliveries[0]->body_len, 4u);
    cr_assert_eq(deliveries->deliveries[0]->body_hash, XXH3_64bits("headbody", 8));
    cr_assert_eq(deliveries->deliveries[0]->lock_until_ms, 7u);
    holdfast__deliveries__free_unpacked(deliveries, NULL);
}

Test(native_heads, a_client_that_does_not_know_them_is_sent_the_body_alone)
{
    Holdfast__Deliveries *deliveries;
    char text[32];
    deliver(false, &deliveries, text);
    cr_assert_str_eq(text, "body");
    cr_assert_eq(deliveries->deliveries[0]->head_len, 0u);
    cr_assert_eq(deliveries->deliveries[0]->trail_len, 0u);
    cr_assert_eq(deliveries->deliveries[0]->body_hash, XXH3_64bits("body", 4));
    holdfast__deliveries__free_unpacked(deliveries, NULL);
}

Test(native_heads, notices_are_for_those_who_know_them)
{
    for (int heads = 0; heads < 2; heads++) {
        struct native_outbox outbox = {.heads = heads == 1};
        struct frame_out frame;
        bool got;
        cr_assert_eq(native_outbox_lock_ended(&outbox, 3, 4), 0);
        cr_assert_eq(native_outbox_prepared_ask(&outbox, "payment"), 0);
        cr_assert_eq(native_outbox_next(&outbox, &got, &frame), 0);
        cr_assert_eq(got, heads == 1);
        if (got) {
            Holdfast__Notices *notices = holdfast__notices__unpack(NULL, frame.head->len - FRAME_PREFIX_LEN,
                                                                   frame.head->data + FRAME_PREFIX_LEN);
            cr_assert_not_null(notices);
            cr_assert_eq(notices->n_lock_ended, 1u);
            cr_assert_eq(notices->lock_ended[0]->number, 4u);
            cr_assert_eq(notices->n_prepared_ask, 1u);
            cr_assert_str_eq(notices->prepared_ask[0], "payment");
            holdfast__notices__free_unpacked(notices, NULL);
            frame_out_done(&frame);
        }
        native_outbox_done(&outbox);
    }
}

/* ---- Publishing ---- */

static size_t publish_pack(Holdfast__Command__KindCase kind, uint8_t out[256])
{
    uint32_t lens[] = {4};
    uint32_t heads[] = {4};
    uint64_t hashes[] = {XXH3_64bits(content, 8)};
    Holdfast__Publish publish = HOLDFAST__PUBLISH__INIT;
    publish.n_body_len = publish.n_body_hash = publish.n_head_len = 1;
    publish.body_len = lens;
    publish.head_len = heads;
    publish.body_hash = hashes;
    Holdfast__Publish *publishes[] = {&publish};
    Holdfast__Transact transact = HOLDFAST__TRANSACT__INIT;
    transact.n_publish = 1;
    transact.publish = publishes;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = kind;
    if (kind == HOLDFAST__COMMAND__KIND_PUBLISH) {
        command.publish = &publish;
    } else {
        command.transact = &transact;
    }
    return holdfast__command__pack(&command, out);
}

Test(native_heads, the_hash_is_of_head_and_body)
{
    const Holdfast__Command__KindCase kinds[] = {HOLDFAST__COMMAND__KIND_PUBLISH, HOLDFAST__COMMAND__KIND_TRANSACT};
    for (unsigned i = 0; i < 2; i++) {
        uint8_t packed[256];
        uint8_t bodies[8];
        struct slice command = {.data = packed, .len = publish_pack(kinds[i], packed)};
        memcpy(bodies, content, 8);
        cr_assert(native_hash_matches(command, (struct slice){.data = bodies, .len = 8}));
        for (unsigned bit = 0; bit < 64; bit++) {
            bodies[bit / 8] ^= (uint8_t)(1u << bit % 8);
            cr_assert_not(native_hash_matches(command, (struct slice){.data = bodies, .len = 8}));
            bodies[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

/* ---- Versions ---- */

static uint32_t version;

static uint32_t machine_version_of(struct gateway *gateway)
{
    (void)gateway;
    return version;
}

static bool is_known(const Holdfast__Command *command)
{
    static const struct gateway_ops ops = {.machine_version = machine_version_of};
    struct gateway gateway = {.ops = &ops};
    uint8_t packed[256];
    struct slice header = {.data = packed, .len = holdfast__command__pack(command, packed)};
    version = 2;
    cr_assert(native_version_known(&gateway, header));
    version = 1;
    return native_version_known(&gateway, header);
}

Test(native_heads, what_version_1_does_not_know_is_told_apart)
{
    char name[] = "q";
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__DeclareQueue declare = HOLDFAST__DECLARE_QUEUE__INIT;
    declare.queue = name;
    command.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_QUEUE;
    command.declare_queue = &declare;
    cr_assert(is_known(&command));
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    declare.options = &options;
    cr_assert_not(is_known(&command));

    uint8_t packed[256];
    Holdfast__Command *publish =
        holdfast__command__unpack(NULL, publish_pack(HOLDFAST__COMMAND__KIND_PUBLISH, packed), packed);
    cr_assert_not_null(publish);
    cr_assert_not(is_known(publish));
    publish->publish->n_head_len = 0;
    cr_assert(is_known(publish));
    publish->publish->n_head_len = 1;
    holdfast__command__free_unpacked(publish, NULL);

    Holdfast__Bind bind = HOLDFAST__BIND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_BIND;
    command.bind = &bind;
    cr_assert_not(is_known(&command));
    Holdfast__PurgeQueue purge = HOLDFAST__PURGE_QUEUE__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_PURGE_QUEUE;
    command.purge_queue = &purge;
    cr_assert(is_known(&command));
}

/* ---- Properties ---- */

Test(native_heads, properties_come_out_as_they_went_in)
{
    const struct client_header headers[] = {{.name = "s", .type = CLIENT_STRING, .data = "text", .len = 4},
                                            {.name = "i", .type = CLIENT_INTEGER, .integer = -5},
                                            {.name = "b", .type = CLIENT_BOOLEAN, .boolean = true},
                                            {.name = "v", .type = CLIENT_VOID},
                                            {.name = "f", .type = CLIENT_FLOAT, .number = 0.5}};
    const char *const also[] = {"k2"};
    const struct client_properties in = {.exchange = "e",
                                         .routing_key = "k",
                                         .also_keys = also,
                                         .also_keys_len = 1,
                                         .priority = 3,
                                         .has_ttl = true,
                                         .message_id = "id",
                                         .headers = headers,
                                         .headers_len = 5,
                                         .content_type = "text/plain"};
    struct slice head;
    cr_assert_eq(client_properties_encode(&in, &head), 0);
    struct arena arena;
    struct client_properties out;
    arena_init(&arena, 1 << 20);
    cr_assert_eq(client_properties_decode(head, &arena, &out), 0);
    cr_assert_str_eq(out.exchange, "e");
    cr_assert_str_eq(out.also_keys[0], "k2");
    cr_assert_eq(out.priority, 3u);
    cr_assert(out.has_ttl && out.ttl_ms == 0);
    cr_assert_str_eq(out.content_type, "text/plain");
    cr_assert_str_eq(out.reply_to, "");
    cr_assert_eq(out.headers_len, 5u);
    cr_assert_arr_eq(out.headers[0].data, "text", 4);
    cr_assert_eq(out.headers[1].integer, -5);
    cr_assert(out.headers[2].boolean);
    cr_assert_eq(out.headers[3].type, CLIENT_VOID);
    cr_assert_eq(out.headers[4].number, 0.5);
    struct slice cut = slice_part(head, 0, head.len - 1);
    cr_assert_eq(client_properties_decode(cut, &arena, &out), ERR_INVALID);
    arena_done(&arena);
    slice_unref(&head);
    const struct client_header other = {.name = "o", .type = CLIENT_OTHER};
    const struct client_properties bad = {.headers = &other, .headers_len = 1};
    cr_assert_eq(client_properties_encode(&bad, &head), ERR_INVALID);
}
