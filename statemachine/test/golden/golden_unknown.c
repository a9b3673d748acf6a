/* Commands and fields that version 1 does not know, as bytes: what a build that knows only version 1 takes them for is what
 * they mean under version 1. */

#include <string.h>
#include <xxhash.h>

#include "golden_make.h"

static void put(struct bytes *bytes, const void *data, size_t len)
{
    require(bytes_append(bytes, data, len) == 0, "memory");
}

static void put_varint(struct bytes *bytes, uint64_t value)
{
    uint8_t data[10];
    size_t len = 0;
    do {
        data[len++] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
    } while (value > 0);
    put(bytes, data, len);
}

static void put_number(struct bytes *bytes, unsigned field, uint64_t value)
{
    put_varint(bytes, field << 3);
    put_varint(bytes, value);
}

static void put_bytes(struct bytes *bytes, unsigned field, const void *data, size_t len)
{
    put_varint(bytes, field << 3 | 2);
    put_varint(bytes, len);
    put(bytes, data, len);
}

static void put_text(struct bytes *bytes, unsigned field, const char *text)
{
    put_bytes(bytes, field, text, strlen(text));
}

/* What a build that knows the field could stumble over: another type, bytes that are no message, a zero byte in a string. */
static void put_odd(struct maker *maker, struct bytes *bytes, unsigned field)
{
    uint64_t kind = below(maker, 4);
    if (kind == 0) {
        put_bytes(bytes, field, "\xff\xff\xff\xff", 4);
    } else if (kind == 1) {
        put_number(bytes, field, below(maker, 9));
    } else if (kind == 2) {
        put_bytes(bytes, field,
                  "\x0a\x03"
                  "a\0b",
                  5);
    } else {
        put_varint(bytes, field << 3 | 1);
        put(bytes, "\1\2\3\4\5\6\7\10", 8);
    }
}

/* The fields that later versions have there, or numbers that nobody has yet. */
static void put_new_fields(struct maker *maker, struct bytes *inner, unsigned first, unsigned last)
{
    for (uint64_t i = 1 + below(maker, 3); i > 0; i--) {
        unsigned field = first + (unsigned)below(maker, last - first + 1);
        if (maker->odd && below(maker, 2) == 0) {
            put_odd(maker, inner, field);
        } else {
            put_number(inner, below(maker, 4) == 0 ? 900 : field, below(maker, 3));
        }
    }
}

static void unknown_publish(struct maker *maker, struct bytes *inner, struct bytes *bodies)
{
    uint8_t hash[8];
    put(bodies,
        "\x0a\x01"
        "ebody",
        7);
    put_u64(hash, XXH3_64bits(bodies->data, bodies->len));
    put_text(inner, 1, below(maker, 4) == 0 ? "" : "a");
    put_bytes(inner, 2, "\x07", 1);
    put_bytes(inner, 3, hash, sizeof hash);
    put_bytes(inner, 6, "\x03", below(maker, 2)); /* head_len */
    put_number(inner, 7, below(maker, 3));        /* producer_epoch */
    put_number(inner, 8, below(maker, 2));        /* no_gaps */
    put_number(inner, 9, below(maker, 2));        /* each */
    if (below(maker, 2) == 0) {
        put_bytes(inner, 10, "\x0a\x02id", 4); /* prepare */
    }
    if (maker->odd) {
        put_new_fields(maker, inner, 6, 10);
    }
}

static void unknown_declare(struct maker *maker, struct bytes *inner)
{
    static const char *const names[] = {"a", "b", "new"};
    put_text(inner, 1, names[below(maker, 3)]);
    if (below(maker, 2) == 0) {
        put_bytes(inner, 2, "\x08\x01\x18\x05\xe8\x01\x01", 7); /* exclusive, max_priority 5, paused */
    }
    put_number(inner, 3, below(maker, 2)); /* passive */
    if (maker->odd) {
        put_new_fields(maker, inner, 2, 3);
    }
}

static void unknown_subscribe(struct maker *maker, struct bytes *inner)
{
    put_text(inner, 1, "a");
    put_number(inner, 2, 1 + below(maker, CONSUMERS));
    put_number(inner, 3, 1 + below(maker, 8));
    put_new_fields(maker, inner, 4, 8);
    if (below(maker, 2) == 0) {
        put_text(inner, 9, "tag");
    }
}

static void unknown_settle(struct maker *maker, struct bytes *inner)
{
    put_number(inner, 1, 1 + below(maker, CONSUMERS));
    put_number(inner, 2, below(maker, 3));
    put_bytes(inner, 3, "\x01", 1);
    put_bytes(inner, 4, "\x01", 1);
    put_new_fields(maker, inner, 5, 8);
}

static void unknown_delete(struct maker *maker, struct bytes *inner)
{
    put_text(inner, 1, "b");
    put_number(inner, 2, 1);
    put_number(inner, 3, 1); /* if_unused */
    if (maker->odd) {
        put_new_fields(maker, inner, 3, 3);
    }
}

/* Of a node: who the user is. */
static void unknown_attach(struct maker *maker, struct bytes *header)
{
    struct bytes inner = {0};
    uint8_t key[16] = {1 + (uint8_t)below(maker, CLIENTS)};
    uint8_t origin[16] = {0x08, 1, 0x11};
    put_u64(origin + 3, maker->runs[0]);
    put_bytes(&inner, 1, key, sizeof key);
    put_bytes(&inner, 6, origin, 11);
    put_text(&inner, 8, "user");
    if (maker->odd) {
        put_odd(maker, &inner, 8);
    }
    put_bytes(header, 1, inner.data, inner.len);
    bytes_done(&inner);
}

static void unknown_of_session(struct maker *maker, struct bytes *header, struct bytes *bodies)
{
    struct bytes inner = {0};
    unsigned kind = 0;
    switch (below(maker, 5)) {
    case 0: kind = 6, unknown_publish(maker, &inner, bodies); break;
    case 1: kind = 4, unknown_declare(maker, &inner); break;
    case 2: kind = 7, unknown_subscribe(maker, &inner); break;
    case 3: kind = 9, unknown_settle(maker, &inner); break;
    default: kind = 5, unknown_delete(maker, &inner); break;
    }
    put_bytes(header, kind, inner.data, inner.len);
    bytes_done(&inner);
}

/* A kind that later versions have, or nobody yet. */
static void unknown_kind(struct maker *maker, struct bytes *header)
{
    unsigned kind = below(maker, 5) == 0 ? 200 : 20 + (unsigned)below(maker, 14);
    if (maker->odd) {
        put_odd(maker, header, kind);
    } else {
        put_bytes(header, kind,
                  "\x0a\x01"
                  "a",
                  below(maker, 2) == 0 ? 3 : 0);
    }
}

void add_unknown(struct maker *maker, const struct entry_command *from)
{
    struct bytes header = {0};
    struct bytes bodies = {0};
    uint64_t kind = below(maker, 8);
    if (kind < 3) {
        unknown_kind(maker, &header);
        put(&bodies, "x", below(maker, 3) == 0);
    } else if (from->session == 0) {
        unknown_attach(maker, &header);
    } else {
        unknown_of_session(maker, &header, &bodies);
    }
    /* To who knows it, the later of two kinds is the command. */
    if (maker->odd && below(maker, 3) == 0) {
        unknown_kind(maker, &header);
    }
    add_raw(maker, from, header.data, header.len, bodies.data, bodies.len);
    bytes_done(&header);
    bytes_done(&bodies);
}
