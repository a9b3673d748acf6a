/* What the machine reads of a message's head. */

#include "statemachine/message/message_head.h"

#include "proto/base/bytes.h"
#include "proto/wire/message.pb-c.h"
#include "proto/wire/strings.h"
#include "statemachine/hash.h"

/* Numbers of fields in MessageHead, and the wire types they have (protobuf encoding, "Message Structure"). */
enum {
    FIELD_EXCHANGE = 1,
    FIELD_ROUTING_KEY = 2,
    FIELD_ALSO_KEY = 3,
    FIELD_HIDDEN_KEY = 4,
    FIELD_PRIORITY = 5,
    FIELD_TTL_MS = 6,
    FIELD_HAS_TTL = 7,
    FIELD_DELAY_MS = 8,
    FIELD_DELIVER_AT_MS = 9,
    FIELD_GROUP = 10,
    FIELD_MESSAGE_ID = 11,
    FIELD_MANDATORY = 12,
    FIELD_HEADER = 13,
    FIELD_TRAIL_NO_TTL = 10, /* In Trail. */
};
enum { WIRE_VARINT = 0, WIRE_64BIT = 1, WIRE_DELIMITED = 2, WIRE_32BIT = 5 };

struct head_field {
    uint64_t number;
    unsigned wire;
    uint64_t value;       /* Of a varint. */
    struct slice content; /* Of a delimited one. */
};

static bool head_varint(struct slice head, size_t *at, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < 10 && *at < head.len; i++) {
        uint8_t byte = head.data[(*at)++];
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if ((byte & 0x80) == 0) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

/* The field at `*at`, which moves behind it. False: it is malformed. */
static bool head_field(struct slice head, size_t *at, struct head_field *ret_field)
{
    struct head_field field = {0};
    uint64_t tag;
    if (!head_varint(head, at, &tag) || tag >> 3 == 0) {
        return false;
    }
    field.number = tag >> 3;
    field.wire = (unsigned)(tag & 7);
    uint64_t len = 0;
    switch (field.wire) {
    case WIRE_VARINT:
        if (!head_varint(head, at, &field.value)) {
            return false;
        }
        break;
    case WIRE_64BIT: len = 8; break;
    case WIRE_32BIT: len = 4; break;
    case WIRE_DELIMITED:
        if (!head_varint(head, at, &len)) {
            return false;
        }
        break;
    default: return false;
    }
    if (len > head.len - *at) {
        return false;
    }
    field.content = (struct slice){.data = head.data + *at, .len = (size_t)len};
    *at += (size_t)len;
    *ret_field = field;
    return true;
}

static bool key_fits(struct slice key)
{
    return key.len <= ROUTING_KEY_LEN_MAX && bytes_are_utf8(key.data, key.len);
}

static uint64_t group_hash(struct slice group)
{
    uint64_t hash = group.len > 0 ? XXH3_64bits(group.data, group.len) : 0;
    return group.len > 0 && hash == 0 ? 1 : hash; /* 0 is no group. */
}

static struct id_hash id_hash(struct slice id)
{
    if (id.len == 0) {
        return (struct id_hash){0};
    }
    XXH128_hash_t hash = XXH3_128bits(id.data, id.len);
    struct id_hash ret = {.high = hash.high64, .low = hash.low64};
    ret.low += id_hash_is_none(ret);
    return ret;
}

static bool facts_take_delimited(struct head_facts *facts, const struct head_field *field)
{
    switch (field->number) {
    case FIELD_EXCHANGE: facts->exchange = field->content; return field->content.len <= NAME_LEN_MAX;
    case FIELD_ROUTING_KEY: facts->routing_key = field->content; return key_fits(field->content);
    case FIELD_ALSO_KEY:
    case FIELD_HIDDEN_KEY: return key_fits(field->content) && ++facts->further_keys_len <= FURTHER_KEYS_MAX;
    case FIELD_GROUP: facts->group = group_hash(field->content); return true;
    case FIELD_MESSAGE_ID: facts->id = id_hash(field->content); return true;
    case FIELD_HEADER: facts->headers_len++; return true;
    default: return true;
    }
}

static void facts_take_varint(struct head_facts *facts, const struct head_field *field)
{
    switch (field->number) {
    case FIELD_PRIORITY: facts->priority = (uint32_t)field->value; break;
    case FIELD_TTL_MS: facts->ttl_ms = field->value; break;
    case FIELD_HAS_TTL: facts->has_ttl = field->value != 0; break;
    case FIELD_DELAY_MS: facts->delay_ms = field->value; break;
    case FIELD_DELIVER_AT_MS: facts->deliver_at_ms = field->value; break;
    case FIELD_MANDATORY: facts->mandatory = field->value != 0; break;
    default: break;
    }
}

/* A field that a decoder of messages would trip over. */
static bool wire_fits(const struct head_field *field)
{
    switch (field->number) {
    case FIELD_EXCHANGE:
    case FIELD_ROUTING_KEY:
    case FIELD_ALSO_KEY:
    case FIELD_HIDDEN_KEY:
    case FIELD_GROUP:
    case FIELD_MESSAGE_ID:
    case FIELD_HEADER: return field->wire == WIRE_DELIMITED;
    case FIELD_PRIORITY:
    case FIELD_TTL_MS:
    case FIELD_HAS_TTL:
    case FIELD_DELAY_MS:
    case FIELD_DELIVER_AT_MS:
    case FIELD_MANDATORY: return field->wire == WIRE_VARINT;
    default: return true;
    }
}

int head_read(struct slice head, struct head_facts *ret_facts)
{
    struct head_facts facts = {.head = {.data = head.data, .len = head.len}};
    if (head.len > MESSAGE_HEAD_LEN_MAX) {
        return ERR_TOO_BIG;
    }
    if (head.len > 0 && !message_strings_are_whole(&holdfast__message_head__descriptor, head.data, head.len)) {
        return ERR_INVALID;
    }
    for (size_t at = 0; at < head.len;) {
        struct head_field field;
        if (!head_field(head, &at, &field) || !wire_fits(&field)) {
            return ERR_INVALID;
        }
        if (field.wire == WIRE_VARINT) {
            facts_take_varint(&facts, &field);
        } else if (field.wire == WIRE_DELIMITED && !facts_take_delimited(&facts, &field)) {
            return ERR_INVALID;
        }
    }
    if (facts.delay_ms > DELAY_MS_MAX) {
        return ERR_INVALID;
    }
    *ret_facts = facts;
    return 0;
}

bool head_next_key(struct slice head, size_t *at, struct slice *ret_key)
{
    while (*at < head.len) {
        struct head_field field;
        if (!head_field(head, at, &field)) {
            return false;
        }
        if (field.number == FIELD_ALSO_KEY || field.number == FIELD_HIDDEN_KEY) {
            *ret_key = field.content;
            return true;
        }
    }
    return false;
}

uint64_t head_delay_ms(const struct head_facts *facts, uint64_t now_ms)
{
    if (facts->delay_ms > 0) {
        return facts->delay_ms;
    }
    return facts->deliver_at_ms > now_ms ? facts->deliver_at_ms - now_ms : 0;
}

bool trail_has_no_ttl(struct slice trail)
{
    bool no_ttl = false;
    for (size_t at = 0; at < trail.len;) {
        struct head_field field;
        if (!head_field(trail, &at, &field)) {
            return false;
        }
        if (field.number == FIELD_TRAIL_NO_TTL && field.wire == WIRE_VARINT) {
            no_ttl = field.value != 0;
        }
    }
    return no_ttl;
}

uint64_t head_expires_ms(const struct head_facts *facts, bool no_ttl, uint64_t queue_ttl_ms, uint64_t now_ms)
{
    uint64_t ttl_ms = facts->has_ttl && !no_ttl && facts->ttl_ms < queue_ttl_ms ? facts->ttl_ms : queue_ttl_ms;
    if (ttl_ms > UINT64_MAX - now_ms) {
        return 0;
    }
    return now_ms + ttl_ms > 0 ? now_ms + ttl_ms : 1; /* 0 is never, and log time begins with 0. */
}
