/* The trail of a dead letter. */

#include "statemachine/message/trail.h"

#include <string.h>

#include "proto/base/check.h"
#include "proto/base/fault.h"
#include "proto/wire/fields.h"

/* Numbers of fields in Trail and Death. */
enum {
    TRAIL_DEATH = 1,
    TRAIL_FIRST_QUEUE = 2,
    TRAIL_FIRST_REASON = 3,
    TRAIL_FIRST_EXCHANGE = 4,
    TRAIL_EXCHANGE = 6,
    TRAIL_ROUTING_KEY = 7,
    TRAIL_HAS_ADDRESS = 8,
    TRAIL_FIRST_ENQUEUED_MS = 9,
    TRAIL_NO_TTL = 10,
    TRAIL_OWN_KEYS = 11,
};
enum {
    DEATH_FIELD_QUEUE = 1,
    DEATH_FIELD_REASON = 2,
    DEATH_FIELD_COUNT = 3,
    DEATH_FIELD_EXCHANGE = 4,
    DEATH_FIELD_ROUTING_KEY = 5,
    DEATH_FIELD_TIME_MS = 6,
    DEATH_FIELD_EXPIRATION_MS = 7,
    DEATH_FIELD_HAS_EXPIRATION = 8,
    DEATH_FIELD_POSITION = 9,
};

const char *death_reason_text(enum death_reason reason)
{
    switch (reason) {
    case DEATH_REJECTED: return "rejected";
    case DEATH_EXPIRED: return "expired";
    case DEATH_MAXLEN: return "maxlen";
    case DEATH_DELIVERY_LIMIT: return "delivery_limit";
    }
    return "";
}

/* ---- Reading ---- */

static struct slice field_slice(const struct field *field)
{
    return (struct slice){.data = field->data, .len = field->len};
}

static int death_read(const struct field *from, struct trail_death *ret_death)
{
    const uint8_t *at = from->data;
    const uint8_t *end = at + from->len;
    struct trail_death death = {.encoded = field_slice(from)};
    while (at < end) {
        struct field field;
        if (!field_next(&at, end, &field)) {
            return ERR_CORRUPT;
        }
        switch (field.number) {
        case DEATH_FIELD_QUEUE: death.queue = field_slice(&field); break;
        case DEATH_FIELD_REASON: death.reason = (enum death_reason)field.value; break;
        case DEATH_FIELD_COUNT: death.count = field.value; break;
        default: break;
        }
    }
    *ret_death = death;
    return 0;
}

static int trail_read_field(struct trail *trail, const struct field *field)
{
    switch (field->number) {
    case TRAIL_DEATH:
        if (trail->deaths_len == TRAIL_DEATHS_MAX || field->wire != FIELD_DELIMITED) {
            return ERR_CORRUPT;
        }
        return death_read(field, &trail->deaths[trail->deaths_len++]);
    case TRAIL_FIRST_QUEUE: trail->first_queue = field_slice(field); break;
    case TRAIL_FIRST_REASON: trail->first_reason = field_slice(field); break;
    case TRAIL_FIRST_EXCHANGE: trail->first_exchange = field_slice(field); break;
    case TRAIL_EXCHANGE: trail->exchange = field_slice(field); break;
    case TRAIL_ROUTING_KEY: trail->routing_key = field_slice(field); break;
    case TRAIL_HAS_ADDRESS: trail->has_address = field->value != 0; break;
    case TRAIL_FIRST_ENQUEUED_MS: trail->first_enqueued_ms = field->value; break;
    case TRAIL_NO_TTL: trail->no_ttl = field->value != 0; break;
    case TRAIL_OWN_KEYS: trail->own_keys = field->value != 0; break;
    default: break;
    }
    return 0;
}

int trail_read(const uint8_t *data, size_t len, struct trail *ret_trail)
{
    const uint8_t *at = data;
    const uint8_t *end = len > 0 ? data + len : data;
    *ret_trail = (struct trail){0};
    while (at < end) {
        struct field field;
        int err = field_next(&at, end, &field) ? trail_read_field(ret_trail, &field) : ERR_CORRUPT;
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

/* ---- Writing ---- */

/* A field being appended; the first error sticks. */
struct writer {
    struct bytes *bytes;
    int err;
};

static void write_bytes(struct writer *writer, const void *data, size_t len)
{
    if (writer->err == 0 && len > 0) {
        writer->err = bytes_append(writer->bytes, data, len);
    }
}

static void write_varint(struct writer *writer, uint64_t value)
{
    uint8_t data[10];
    size_t len = 0;
    do {
        data[len] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
        len++;
    } while (value > 0);
    write_bytes(writer, data, len);
}

/* As protobuf has it, 0 is not written. */
static void write_number(struct writer *writer, uint32_t field, uint64_t value)
{
    if (value != 0) {
        write_varint(writer, (uint64_t)field << 3 | FIELD_VARINT);
        write_varint(writer, value);
    }
}

static void write_always(struct writer *writer, uint32_t field, struct slice value)
{
    write_varint(writer, (uint64_t)field << 3 | FIELD_DELIMITED);
    write_varint(writer, value.len);
    write_bytes(writer, value.data, value.len);
}

static void write_text(struct writer *writer, uint32_t field, struct slice value)
{
    if (value.len > 0) {
        write_always(writer, field, value);
    }
}

static int death_write(const struct death *death, uint64_t count, struct bytes *out)
{
    struct writer writer = {.bytes = out};
    out->len = 0;
    write_text(&writer, DEATH_FIELD_QUEUE, death->queue);
    write_number(&writer, DEATH_FIELD_REASON, (uint64_t)death->reason);
    write_number(&writer, DEATH_FIELD_COUNT, count);
    write_text(&writer, DEATH_FIELD_EXCHANGE, death->exchange);
    for (size_t i = 0; i < death->keys_len; i++) {
        write_always(&writer, DEATH_FIELD_ROUTING_KEY, death->keys[i]);
    }
    write_number(&writer, DEATH_FIELD_TIME_MS, death->time_ms);
    write_number(&writer, DEATH_FIELD_EXPIRATION_MS, death->expiration_ms);
    write_number(&writer, DEATH_FIELD_HAS_EXPIRATION, death->has_expiration);
    write_number(&writer, DEATH_FIELD_POSITION, death->position);
    return writer.err;
}

static bool slice_equal(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* The oldest go when they are too long together. */
static void trail_shorten(struct trail *trail)
{
    size_t len = 0;
    size_t kept = 0;
    while (kept < trail->deaths_len && (kept == 0 || len + trail->deaths[kept].encoded.len <= TRAIL_DEATHS_LEN_MAX)) {
        len += trail->deaths[kept++].encoded.len;
    }
    trail->deaths_len = kept;
}

int trail_add(struct trail *trail, const struct death *death, struct bytes *scratch)
{
    size_t at = 0;
    while (at < trail->deaths_len &&
           (trail->deaths[at].reason != death->reason || !slice_equal(trail->deaths[at].queue, death->queue))) {
        at++;
    }
    bool again = at < trail->deaths_len;
    struct trail_death added = {.queue = death->queue,
                                .reason = death->reason,
                                .count =
                                    again && !fault_fires(FAULT_SKIP_DEATH_COUNT) ? trail->deaths[at].count + 1 : 1};
    int err = death_write(death, added.count, scratch);
    if (err != 0) {
        return err;
    }
    added.encoded = (struct slice){.data = scratch->data, .len = scratch->len};
    if (trail->deaths_len == 0) {
        const char *reason = death_reason_text(death->reason);
        trail->first_queue = death->queue;
        trail->first_reason = (struct slice){.data = (const uint8_t *)reason, .len = strlen(reason)};
        trail->first_exchange = death->exchange;
    }
    if (!again) {
        trail->deaths_len += trail->deaths_len < TRAIL_DEATHS_MAX;
        at = trail->deaths_len - 1;
    }
    memmove(trail->deaths + 1, trail->deaths, at * sizeof trail->deaths[0]);
    trail->deaths[0] = added;
    trail_shorten(trail);
    return 0;
}

int trail_write(const struct trail *trail, struct slice *ret_encoded)
{
    struct bytes bytes = {0};
    struct writer writer = {.bytes = &bytes};
    for (size_t i = 0; i < trail->deaths_len; i++) {
        write_always(&writer, TRAIL_DEATH, trail->deaths[i].encoded);
    }
    write_text(&writer, TRAIL_FIRST_QUEUE, trail->first_queue);
    write_text(&writer, TRAIL_FIRST_REASON, trail->first_reason);
    write_text(&writer, TRAIL_FIRST_EXCHANGE, trail->first_exchange);
    write_text(&writer, TRAIL_EXCHANGE, trail->exchange);
    write_text(&writer, TRAIL_ROUTING_KEY, trail->routing_key);
    write_number(&writer, TRAIL_HAS_ADDRESS, trail->has_address);
    write_number(&writer, TRAIL_FIRST_ENQUEUED_MS, trail->first_enqueued_ms);
    write_number(&writer, TRAIL_NO_TTL, trail->no_ttl);
    write_number(&writer, TRAIL_OWN_KEYS, trail->own_keys);
    int err = writer.err != 0 ? writer.err : slice_copy(bytes.data, bytes.len, ret_encoded);
    bytes_done(&bytes);
    return err;
}

/* ---- Circles ---- */

bool trail_closes_circle(const struct trail *trail, struct slice queue)
{
    for (size_t i = 0; i < trail->deaths_len; i++) {
        if (trail->deaths[i].reason == DEATH_REJECTED) {
            return false;
        }
        if (slice_equal(trail->deaths[i].queue, queue)) {
            return true;
        }
    }
    return false;
}
