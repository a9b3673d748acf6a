/* The fixture of an AMQP session: what the client is sent, and the gateway's side. */

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "amqp_fixture.h"
#include "proto/base/check.h"
#include "proto/base/limits.h"

/* ---- What the client is sent ---- */

static void *keep(struct amqp_fixture *f, const void *data, size_t len)
{
    uint8_t *kept = arena_alloc(&f->arena, len + 1);
    cr_assert_not_null(kept);
    if (len > 0) {
        memcpy(kept, data, len);
    }
    kept[len] = 0;
    return kept;
}

/* The next frame; its payload is kept in the arena. False: nothing was sent. */
static bool take_frame(struct amqp_fixture *f, struct frame_prefix *ret_prefix, struct amqp_bytes *ret_payload)
{
    if (f->read == f->sent.len) {
        return false;
    }
    const uint8_t *data = f->sent.data + f->read;
    size_t left = f->sent.len - f->read;
    size_t prefix_len = 0;
    cr_assert_eq(framing_amqp.measure(data, left, ret_prefix, &prefix_len), 0);
    cr_assert(prefix_len > 0 && ret_prefix->body_len <= left - prefix_len, "a frame is cut short");
    cr_assert(f->frame_max == 0 || prefix_len + ret_prefix->body_len <= f->frame_max, "a frame is too long");
    size_t len = ret_prefix->body_len - 1;
    cr_assert_eq(data[prefix_len + len], AMQP_FRAME_END);
    *ret_payload = (struct amqp_bytes){keep(f, data + prefix_len, len), len};
    f->read += prefix_len + ret_prefix->body_len;
    return true;
}

/* For people: what a method is, with the words of those that close. */
static const char *describe(struct amqp_fixture *f, uint16_t channel, const union amqp_method *method)
{
    char text[400];
    struct amqp_bytes words = {0};
    unsigned code = 0;
    if (method->id == AMQP_channel_close) {
        code = method->channel_close.reply_code;
        words = method->channel_close.reply_text;
    } else if (method->id == AMQP_connection_close) {
        code = method->connection_close.reply_code;
        words = method->connection_close.reply_text;
    }
    int len = code == 0 ? snprintf(text, sizeof text, "%s on %u", amqp_method_name(method->id), channel)
                        : snprintf(text, sizeof text, "%s on %u: %u %.*s", amqp_method_name(method->id), channel, code,
                                   (int)words.len, (const char *)words.data);
    return keep(f, text, (size_t)len);
}

const union amqp_method *amqp_fixture_take(struct amqp_fixture *f, uint16_t channel, enum amqp_id id)
{
    amqp_fixture_turn(f);
    struct frame_prefix prefix;
    struct amqp_bytes payload;
    cr_assert(take_frame(f, &prefix, &payload), "nothing was sent; %s was expected", amqp_method_name(id));
    cr_assert_eq(prefix.type, AMQP_FRAME_METHOD, "a frame of type %u, not %s", prefix.type, amqp_method_name(id));
    union amqp_method *method = arena_alloc(&f->arena, sizeof *method);
    cr_assert_not_null(method);
    cr_assert_eq(amqp_method_decode(payload, method), 0);
    cr_assert(method->id == id && prefix.tag == channel, "%s, not %s on %u", describe(f, (uint16_t)prefix.tag, method),
              amqp_method_name(id), channel);
    return method;
}

const struct amqp_fixture_content *amqp_fixture_take_content(struct amqp_fixture *f, uint16_t channel)
{
    struct frame_prefix prefix;
    struct amqp_bytes payload;
    cr_assert(take_frame(f, &prefix, &payload), "no content follows");
    cr_assert(prefix.type == AMQP_FRAME_HEADER && prefix.tag == channel, "type %u on %u", prefix.type, prefix.tag);
    struct amqp_content content;
    cr_assert_eq(amqp_content_decode(payload, &content), 0);
    cr_assert_eq(content.class_id, AMQP_CLASS_BASIC);
    struct amqp_fixture_content *taken = arena_alloc(&f->arena, sizeof *taken);
    cr_assert_not_null(taken);
    holdfast__message_head__init(&taken->head);
    cr_assert_eq(amqp_properties_decode(content.properties, &f->arena, &taken->head), 0);
    struct bytes body = {0};
    while (body.len < content.body_len) {
        cr_assert(take_frame(f, &prefix, &payload), "%zu bytes of %zu", body.len, (size_t)content.body_len);
        cr_assert(prefix.type == AMQP_FRAME_BODY && prefix.tag == channel, "type %u on %u", prefix.type, prefix.tag);
        cr_assert_gt(payload.len, 0u);
        cr_assert_eq(bytes_append(&body, payload.data, payload.len), 0);
    }
    cr_assert_eq(body.len, content.body_len);
    taken->body = (struct amqp_bytes){keep(f, body.data, body.len), body.len};
    bytes_done(&body);
    return taken;
}

void amqp_fixture_nothing(struct amqp_fixture *f)
{
    amqp_fixture_turn(f);
    struct frame_prefix prefix;
    struct amqp_bytes payload;
    if (!take_frame(f, &prefix, &payload)) {
        return;
    }
    union amqp_method method = {0};
    if (prefix.type != AMQP_FRAME_METHOD || amqp_method_decode(payload, &method) != 0) {
        cr_assert_fail("a frame of type %u was sent", prefix.type);
    }
    cr_assert_fail("%s was sent", describe(f, (uint16_t)prefix.tag, &method));
}

/* "NAME - words", as it must be. */
static void check_words(enum amqp_code code, const char *words, struct amqp_bytes text)
{
    char expected[512];
    (void)snprintf(expected, sizeof expected, "%s - %s", amqp_code_name(code), words);
    cr_assert(amqp_fixture_is(text, expected), "'%.*s' rather than '%s'", (int)text.len, (const char *)text.data,
              expected);
}

void amqp_fixture_channel_closes(struct amqp_fixture *f, uint16_t channel, enum amqp_code code, uint32_t id,
                                 const char *words)
{
    const struct amqp_channel_close *close = AMQP_TAKE(f, channel, channel_close);
    check_words(code, words, close->reply_text);
    cr_assert_eq(close->reply_code, code);
    cr_assert_eq(AMQP_ID(close->class_id, close->method_id), id);
    AMQP_GIVE(f, channel, channel_close_ok);
}

void amqp_fixture_connection_closes(struct amqp_fixture *f, enum amqp_code code, uint32_t id, const char *words)
{
    const struct amqp_connection_close *close = AMQP_TAKE(f, 0, connection_close);
    check_words(code, words, close->reply_text);
    cr_assert_eq(close->reply_code, code);
    cr_assert_eq(AMQP_ID(close->class_id, close->method_id), id);
    AMQP_GIVE(f, 0, connection_close_ok);
    amqp_fixture_turn(f);
    cr_assert_eq(f->closes, 1u, "the connection was not closed");
}

bool amqp_fixture_is(struct amqp_bytes bytes, const char *text)
{
    return bytes.len == strlen(text) && (bytes.len == 0 || memcmp(bytes.data, text, bytes.len) == 0);
}

/* ---- The gateway ---- */

static const char *kind_name(Holdfast__Command__KindCase kind)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field(&holdfast__command__descriptor, (unsigned)kind);
    return field == NULL ? "nothing" : field->name;
}

const Holdfast__Command *amqp_fixture_command(struct amqp_fixture *f, Holdfast__Command__KindCase kind)
{
    amqp_fixture_turn(f);
    cr_assert_lt(f->commands_read, f->fake.commands, "no command was given; %s was expected", kind_name(kind));
    unsigned at = f->commands_read++ % FAKE_COMMANDS_MAX;
    struct slice header = f->fake.headers[at];
    const Holdfast__Command *command = holdfast__command__unpack(&f->arena.protobuf, header.len, header.data);
    cr_assert_not_null(command);
    cr_assert_eq(command->kind_case, kind, "%s, not %s", kind_name(command->kind_case), kind_name(kind));
    f->bodies = f->fake.bodies[at];
    f->number = f->fake.numbers[at];
    return command;
}

void amqp_fixture_no_command(struct amqp_fixture *f)
{
    amqp_fixture_turn(f);
    if (f->commands_read < f->fake.commands) {
        struct slice header = f->fake.headers[f->commands_read % FAKE_COMMANDS_MAX];
        const Holdfast__Command *command = holdfast__command__unpack(&f->arena.protobuf, header.len, header.data);
        cr_assert_fail("%s was given", command == NULL ? "what is no command" : kind_name(command->kind_case));
    }
}

void amqp_fixture_reply(struct amqp_fixture *f, struct gateway_reply reply)
{
    amqp_fixture_turn(f);
    cr_assert_lt(f->commands_replied, f->fake.commands, "there is nothing to answer");
    cr_assert_leq(f->fake.commands - f->commands_replied, FAKE_COMMANDS_MAX);
    reply.number = f->fake.numbers[f->commands_replied++ % FAKE_COMMANDS_MAX];
    reply.detail = reply.detail == NULL ? "" : reply.detail;
    f->fake.sink.reply(f->fake.sink.arg, &reply);
}

struct gateway_delivery amqp_fixture_message(struct amqp_fixture *f, const Holdfast__MessageHead *head,
                                             const Holdfast__Trail *trail, const char *body)
{
    size_t head_len = head == NULL ? 0 : holdfast__message_head__get_packed_size(head);
    size_t trail_len = trail == NULL ? 0 : holdfast__trail__get_packed_size(trail);
    size_t body_len = strlen(body);
    struct blob *blob = blob_new(head_len + body_len + trail_len);
    cr_assert(blob != NULL && f->messages_len < ARRAY_LEN(f->messages));
    f->messages[f->messages_len++] = blob;
    if (head != NULL) {
        (void)holdfast__message_head__pack(head, blob->data);
    }
    memcpy(blob->data + head_len, body, body_len);
    if (trail != NULL) {
        (void)holdfast__trail__pack(trail, blob->data + head_len + body_len);
    }
    struct slice all = slice_of_blob(blob);
    return (struct gateway_delivery){.body_hash = XXH3_64bits(blob->data, head_len + body_len),
                                     .head = slice_part(all, 0, head_len),
                                     .body = slice_part(all, head_len, body_len),
                                     .trail = slice_part(all, head_len + body_len, trail_len)};
}

bool amqp_fixture_deliver(struct amqp_fixture *f, const struct gateway_delivery *delivery)
{
    const struct gateway_sink *sink = &f->fake.sink;
    if (sink->takes != NULL && !sink->takes(sink->arg, delivery->body.len + delivery->head.len + delivery->trail.len)) {
        cr_assert(f->fake.paused, "deliveries are not taken, and not paused");
        return false;
    }
    sink->delivery(sink->arg, delivery);
    return true;
}
