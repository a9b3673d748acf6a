/* Properties, flag by flag. */

#include "rpc/amqp/amqp_properties.h"

#include <string.h>

#include "rpc/amqp/amqp_table.h"

/* The lowest flag says that more flags follow. No property has one of those. */
#define FLAG_MORE 1u
/* Reserved, without a property: RabbitMQ refuses it, too. */
#define FLAG_UNUSED 2u

int amqp_content_decode(struct amqp_bytes payload, struct amqp_content *ret_content)
{
    struct amqp_cursor cursor = amqp_cursor_of(payload);
    struct amqp_content content = {.class_id = amqp_take_u16(&cursor)};
    (void)amqp_take_u16(&cursor); /* Weight: unused. */
    content.body_len = amqp_take_u64(&cursor);
    content.properties = (struct amqp_bytes){cursor.at, cursor.left};
    if (cursor.failed || cursor.left < 2) {
        return ERR_INVALID;
    }
    *ret_content = content;
    return 0;
}

/* Where a property of type string is; NULL for others. */
static char **string_of(Holdfast__MessageHead *head, unsigned flag)
{
    switch (flag) {
    case AMQP_CONTENT_TYPE: return &head->content_type;
    case AMQP_CONTENT_ENCODING: return &head->content_encoding;
    case AMQP_CORRELATION_ID: return &head->correlation_id;
    case AMQP_REPLY_TO: return &head->reply_to;
    case AMQP_EXPIRATION: return &head->expiration;
    case AMQP_MESSAGE_ID: return &head->message_id;
    case AMQP_TYPE: return &head->type;
    case AMQP_USER_ID: return &head->user_id;
    case AMQP_APP_ID: return &head->app_id;
    case AMQP_CLUSTER_ID: return &head->cluster_id;
    default: return NULL;
    }
}

/* ---- Decoding ---- */

struct decoder {
    struct amqp_cursor cursor;
    struct arena *arena;
    Holdfast__MessageHead *head;
};

static int extra_add(struct decoder *decoder, unsigned flag, struct amqp_bytes value)
{
    ProtobufCBinaryData *extra = &decoder->head->extra;
    uint8_t *more = arena_alloc(decoder->arena, extra->len + 2 + value.len);
    if (more == NULL) {
        return ERR_NOMEM;
    }
    if (extra->len > 0) {
        memcpy(more, extra->data, extra->len);
    }
    more[extra->len] = (uint8_t)flag;
    more[extra->len + 1] = (uint8_t)value.len;
    memcpy(more + extra->len + 2, value.data, value.len);
    *extra = (ProtobufCBinaryData){.len = extra->len + 2 + value.len, .data = more};
    return 0;
}

static int take_string(struct decoder *decoder, unsigned flag, char **ret_string)
{
    struct amqp_bytes value = amqp_take_short_string(&decoder->cursor);
    if (value.len > 0 && memchr(value.data, 0, value.len) != NULL) {
        return extra_add(decoder, flag, value);
    }
    if (value.len == 0) {
        decoder->head->present |= 1u << flag;
        return 0;
    }
    char *text = arena_alloc(decoder->arena, value.len + 1);
    if (text == NULL) {
        return ERR_NOMEM;
    }
    memcpy(text, value.data, value.len);
    text[value.len] = '\0';
    *ret_string = text;
    return 0;
}

static int take_headers(struct decoder *decoder)
{
    struct amqp_headers headers = {0};
    int err = amqp_table_decode(amqp_take_long_string(&decoder->cursor), decoder->arena, &headers);
    if (err == 0) {
        decoder->head->has_headers = true;
        decoder->head->header = headers.entries;
        decoder->head->n_header = headers.len;
    }
    return err;
}

static uint32_t take_octet(struct decoder *decoder, unsigned flag)
{
    uint8_t octet = amqp_take_u8(&decoder->cursor);
    decoder->head->present |= octet == 0 ? 1u << flag : 0;
    return octet;
}

static int take_property(struct decoder *decoder, unsigned flag)
{
    Holdfast__MessageHead *head = decoder->head;
    char **string = string_of(head, flag);
    if (string != NULL) {
        return take_string(decoder, flag, string);
    }
    switch (flag) {
    case AMQP_HEADERS: return take_headers(decoder);
    case AMQP_DELIVERY_MODE: head->delivery_mode = take_octet(decoder, flag); return 0;
    case AMQP_PRIORITY: head->wire_priority = take_octet(decoder, flag); return 0;
    default:
        head->has_timestamp = true;
        head->timestamp_s = amqp_take_u64(&decoder->cursor);
        return 0;
    }
}

int amqp_properties_decode(struct amqp_bytes properties, struct arena *arena, Holdfast__MessageHead *head)
{
    struct decoder decoder = {.cursor = amqp_cursor_of(properties), .arena = arena, .head = head};
    uint16_t flags = amqp_take_u16(&decoder.cursor);
    if ((flags & (FLAG_MORE | FLAG_UNUSED)) != 0) {
        return ERR_INVALID;
    }
    int err = 0;
    for (unsigned flag = AMQP_CONTENT_TYPE; err == 0 && flag >= AMQP_CLUSTER_ID; flag--) {
        err = (flags & 1u << flag) != 0 ? take_property(&decoder, flag) : 0;
    }
    return err == 0 && (decoder.cursor.failed || decoder.cursor.left > 0) ? ERR_INVALID : err;
}

/* ---- Encoding ---- */

/* That property's value among those with a zero byte; empty when it is not there. */
static struct amqp_bytes extra_find(const Holdfast__MessageHead *head, unsigned flag)
{
    struct amqp_cursor cursor = amqp_cursor_of((struct amqp_bytes){head->extra.data, head->extra.len});
    while (cursor.left > 0 && !cursor.failed) {
        uint8_t of = amqp_take_u8(&cursor);
        struct amqp_bytes value = amqp_take_short_string(&cursor);
        if (of == flag && !cursor.failed) {
            return value;
        }
    }
    return (struct amqp_bytes){0};
}

static struct amqp_bytes string_value(const Holdfast__MessageHead *head, unsigned flag)
{
    char **string = string_of((Holdfast__MessageHead *)(uintptr_t)head, flag);
    struct amqp_bytes value = amqp_text(*string);
    return value.len == 0 && head->extra.len > 0 ? extra_find(head, flag) : value;
}

static bool is_string(unsigned flag)
{
    Holdfast__MessageHead head;
    return string_of(&head, flag) != NULL;
}

static bool is_there(const Holdfast__MessageHead *head, size_t headers_len, unsigned flag)
{
    if ((head->present & 1u << flag) != 0) {
        return true;
    }
    if (is_string(flag)) {
        return string_value(head, flag).len > 0;
    }
    switch (flag) {
    case AMQP_HEADERS: return head->has_headers || headers_len > 0;
    case AMQP_DELIVERY_MODE: return head->delivery_mode != 0;
    case AMQP_PRIORITY: return head->wire_priority != 0;
    default: return head->has_timestamp;
    }
}

static int put_property(const Holdfast__MessageHead *head, Holdfast__Header *const *headers, size_t headers_len,
                        unsigned flag, struct bytes *bytes)
{
    if (is_string(flag)) {
        return amqp_put_short_string(bytes, string_value(head, flag));
    }
    switch (flag) {
    case AMQP_HEADERS: return amqp_table_encode(headers, headers_len, bytes);
    case AMQP_DELIVERY_MODE: return amqp_put_u8(bytes, (uint8_t)head->delivery_mode);
    case AMQP_PRIORITY: return amqp_put_u8(bytes, (uint8_t)head->wire_priority);
    default: return amqp_put_u64(bytes, head->timestamp_s);
    }
}

int amqp_properties_encode(const Holdfast__MessageHead *head, Holdfast__Header *const *headers, size_t headers_len,
                           struct bytes *bytes)
{
    size_t place = bytes->len;
    unsigned flags = 0;
    int err = amqp_put_u16(bytes, 0);
    for (unsigned flag = AMQP_CONTENT_TYPE; err == 0 && flag >= AMQP_CLUSTER_ID; flag--) {
        if (is_there(head, headers_len, flag)) {
            flags |= 1u << flag;
            err = put_property(head, headers, headers_len, flag, bytes);
        }
    }
    if (err == 0) {
        bytes->data[place] = (uint8_t)(flags >> 8);
        bytes->data[place + 1] = (uint8_t)flags;
    }
    return err;
}
