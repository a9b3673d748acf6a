/* Heads and trails of messages, to and from what travels. */

#include "rpc/client/client_properties.h"

#include "proto/base/limits.h"
#include "proto/wire/message.pb-c.h"
#include "proto/wire/strings.h"

/* What a head may take besides its headers' values, which are borrowed. */
#define ENCODE_ARENA_LEN_MAX (16 * MIB)

static char *text(const char *string)
{
    return (char *)(uintptr_t)(string == NULL ? "" : string); /* protobuf-c does not write to what it packs. */
}

/* ---- Headers ---- */

static int value_encode(const struct client_header *header, Holdfast__Value *value)
{
    ProtobufCBinaryData bytes = {.len = header->len, .data = (uint8_t *)(uintptr_t)header->data};
    *value = (Holdfast__Value)HOLDFAST__VALUE__INIT;
    switch (header->type) {
    case CLIENT_VOID:
        value->kind_case = HOLDFAST__VALUE__KIND_VOID;
        value->void_ = true;
        return 0;
    case CLIENT_BOOLEAN:
        value->kind_case = HOLDFAST__VALUE__KIND_BOOLEAN;
        value->boolean = header->boolean;
        return 0;
    case CLIENT_INTEGER:
        value->kind_case = HOLDFAST__VALUE__KIND_INT64;
        value->int64 = header->integer;
        return 0;
    case CLIENT_UNSIGNED:
        value->kind_case = HOLDFAST__VALUE__KIND_UINT64;
        value->uint64 = header->unsigned_;
        return 0;
    case CLIENT_FLOAT:
        value->kind_case = HOLDFAST__VALUE__KIND_FLOAT64;
        value->float64 = header->number;
        return 0;
    case CLIENT_STRING:
        value->kind_case = HOLDFAST__VALUE__KIND_STRING;
        value->string = bytes;
        return 0;
    case CLIENT_BINARY:
        value->kind_case = HOLDFAST__VALUE__KIND_BINARY;
        value->binary = bytes;
        return 0;
    case CLIENT_TIMESTAMP:
        value->kind_case = HOLDFAST__VALUE__KIND_TIMESTAMP_S;
        value->timestamp_s = header->unsigned_;
        return 0;
    case CLIENT_OTHER: break;
    }
    return ERR_INVALID;
}

int client_headers_encode(const struct client_header *headers, size_t len, struct arena *arena,
                          Holdfast__Header ***ret_encoded)
{
    Holdfast__Header **pointers = arena_alloc(arena, (len + 1) * sizeof *pointers);
    Holdfast__Header *encoded = arena_alloc(arena, (len + 1) * sizeof *encoded);
    Holdfast__Value *values = arena_alloc(arena, (len + 1) * sizeof *values);
    if (pointers == NULL || encoded == NULL || values == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < len; i++) {
        encoded[i] = (Holdfast__Header)HOLDFAST__HEADER__INIT;
        encoded[i].name = text(headers[i].name);
        encoded[i].value = &values[i];
        pointers[i] = &encoded[i];
        int err = headers[i].name == NULL ? ERR_INVALID : value_encode(&headers[i], &values[i]);
        if (err != 0) {
            return err;
        }
    }
    *ret_encoded = pointers;
    return 0;
}

static struct client_header integer(int64_t value)
{
    return (struct client_header){.type = CLIENT_INTEGER, .integer = value};
}

static struct client_header natural(uint64_t value)
{
    return (struct client_header){.type = CLIENT_UNSIGNED, .unsigned_ = value};
}

static struct client_header bytes_of(enum client_type type, ProtobufCBinaryData bytes)
{
    return (struct client_header){.type = type, .data = bytes.data, .len = bytes.len};
}

static struct client_header value_decode(const Holdfast__Value *value)
{
    switch (value == NULL ? HOLDFAST__VALUE__KIND__NOT_SET : value->kind_case) {
    case HOLDFAST__VALUE__KIND_VOID: return (struct client_header){.type = CLIENT_VOID};
    case HOLDFAST__VALUE__KIND_BOOLEAN:
        return (struct client_header){.type = CLIENT_BOOLEAN, .boolean = value->boolean};
    case HOLDFAST__VALUE__KIND_INT8: return integer(value->int8);
    case HOLDFAST__VALUE__KIND_INT16: return integer(value->int16);
    case HOLDFAST__VALUE__KIND_INT32: return integer(value->int32);
    case HOLDFAST__VALUE__KIND_INT64: return integer(value->int64);
    case HOLDFAST__VALUE__KIND_UINT8: return natural(value->uint8);
    case HOLDFAST__VALUE__KIND_UINT16: return natural(value->uint16);
    case HOLDFAST__VALUE__KIND_UINT32: return natural(value->uint32);
    case HOLDFAST__VALUE__KIND_UINT64: return natural(value->uint64);
    case HOLDFAST__VALUE__KIND_FLOAT32:
        return (struct client_header){.type = CLIENT_FLOAT, .number = (double)value->float32};
    case HOLDFAST__VALUE__KIND_FLOAT64: return (struct client_header){.type = CLIENT_FLOAT, .number = value->float64};
    case HOLDFAST__VALUE__KIND_STRING: return bytes_of(CLIENT_STRING, value->string);
    case HOLDFAST__VALUE__KIND_BINARY: return bytes_of(CLIENT_BINARY, value->binary);
    case HOLDFAST__VALUE__KIND_TIMESTAMP_S:
        return (struct client_header){.type = CLIENT_TIMESTAMP, .unsigned_ = value->timestamp_s};
    default: return (struct client_header){.type = CLIENT_OTHER};
    }
}

int client_headers_decode(Holdfast__Header *const *encoded, size_t len, struct arena *arena,
                          const struct client_header **ret_headers)
{
    struct client_header *headers = arena_alloc(arena, (len + 1) * sizeof *headers);
    if (headers == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < len; i++) {
        headers[i] = value_decode(encoded[i]->value);
        headers[i].name = encoded[i]->name;
    }
    *ret_headers = headers;
    return 0;
}

/* ---- Heads ---- */

static int head_pack(const struct client_properties *properties, struct arena *arena, struct slice *ret_head)
{
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    int err = client_headers_encode(properties->headers, properties->headers_len, arena, &head.header);
    if (err != 0) {
        return err;
    }
    head.n_header = properties->headers_len;
    head.exchange = text(properties->exchange);
    head.routing_key = text(properties->routing_key);
    head.n_also_key = properties->also_keys_len;
    head.also_key = (char **)(uintptr_t)properties->also_keys;
    head.priority = properties->priority;
    head.has_ttl = properties->has_ttl;
    head.ttl_ms = properties->ttl_ms;
    head.delay_ms = properties->delay_ms;
    head.deliver_at_ms = properties->deliver_at_ms;
    head.group = text(properties->group);
    head.message_id = text(properties->message_id);
    head.mandatory = properties->mandatory;
    head.content_type = text(properties->content_type);
    head.content_encoding = text(properties->content_encoding);
    head.correlation_id = text(properties->correlation_id);
    head.reply_to = text(properties->reply_to);
    head.type = text(properties->type);
    head.user_id = text(properties->user_id);
    head.app_id = text(properties->app_id);
    head.has_timestamp = properties->has_timestamp;
    head.timestamp_s = properties->timestamp_s;
    size_t len = holdfast__message_head__get_packed_size(&head);
    if (len > HEADER_LEN_MAX) {
        return ERR_TOO_BIG;
    }
    struct blob *blob = blob_new(len);
    if (blob == NULL) {
        return ERR_NOMEM;
    }
    holdfast__message_head__pack(&head, blob->data);
    *ret_head = slice_of_blob(blob);
    return 0;
}

int client_properties_encode(const struct client_properties *properties, struct slice *ret_head)
{
    struct arena arena;
    arena_init(&arena, ENCODE_ARENA_LEN_MAX);
    int err = head_pack(properties, &arena, ret_head);
    arena_done(&arena);
    return err;
}

int client_properties_decode(struct slice encoded, struct arena *arena, struct client_properties *ret_properties)
{
    /* What anybody published is nested no deeper than there is stack for. */
    if (!message_strings_are_whole(&holdfast__message_head__descriptor, encoded.data, encoded.len)) {
        return ERR_INVALID;
    }
    const Holdfast__MessageHead *head = holdfast__message_head__unpack(&arena->protobuf, encoded.len, encoded.data);
    if (head == NULL) {
        return ERR_INVALID;
    }
    const struct client_header *headers;
    int err = client_headers_decode(head->header, head->n_header, arena, &headers);
    if (err != 0) {
        return err;
    }
    *ret_properties = (struct client_properties){
        .exchange = head->exchange,
        .routing_key = head->routing_key,
        .also_keys = (const char *const *)head->also_key,
        .also_keys_len = head->n_also_key,
        .priority = head->priority,
        .has_ttl = head->has_ttl,
        .ttl_ms = head->ttl_ms,
        .delay_ms = head->delay_ms,
        .deliver_at_ms = head->deliver_at_ms,
        .group = head->group,
        .message_id = head->message_id,
        .mandatory = head->mandatory,
        .headers = headers,
        .headers_len = head->n_header,
        .content_type = head->content_type,
        .content_encoding = head->content_encoding,
        .correlation_id = head->correlation_id,
        .reply_to = head->reply_to,
        .type = head->type,
        .user_id = head->user_id,
        .app_id = head->app_id,
        .has_timestamp = head->has_timestamp,
        .timestamp_s = head->timestamp_s,
    };
    return 0;
}

/* ---- Trails ---- */

static const char *reason_word(Holdfast__Death__Reason reason)
{
    switch (reason) {
    case HOLDFAST__DEATH__REASON__REJECTED: return "rejected";
    case HOLDFAST__DEATH__REASON__EXPIRED: return "expired";
    case HOLDFAST__DEATH__REASON__MAXLEN: return "maxlen";
    case HOLDFAST__DEATH__REASON__DELIVERY_LIMIT: return "delivery_limit";
    default: return "unknown";
    }
}

int client_deaths_decode(struct slice encoded, struct arena *arena, const struct client_death **ret_deaths,
                         size_t *ret_len)
{
    const Holdfast__Trail *trail = holdfast__trail__unpack(&arena->protobuf, encoded.len, encoded.data);
    struct client_death *deaths = trail == NULL ? NULL : arena_alloc(arena, (trail->n_death + 1) * sizeof *deaths);
    if (deaths == NULL) {
        return ERR_INVALID;
    }
    for (size_t i = 0; i < trail->n_death; i++) {
        const Holdfast__Death *death = trail->death[i];
        deaths[i] = (struct client_death){
            .queue = death->queue,
            .reason = reason_word(death->reason),
            .count = death->count,
            .exchange = death->exchange,
            .time_ms = death->time_ms,
            .position = death->position,
        };
    }
    *ret_deaths = deaths;
    *ret_len = trail->n_death;
    return 0;
}
