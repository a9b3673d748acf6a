/* Tables, decoded and encoded value by value. */

#include "rpc/amqp/amqp_table.h"

#include <string.h>

#include "proto/base/check.h"

/* ---- Decoding ---- */

struct decoder {
    struct arena *arena;
    unsigned depth;
    unsigned values; /* So far. */
    int err;         /* The first one; then everything else is of no use. */
};

/* A list whose length is known only at its end. */
struct list {
    void **items;
    size_t len;
    size_t cap;
};

static void *decoder_alloc(struct decoder *decoder, size_t len)
{
    void *memory = decoder->err == 0 ? arena_alloc(decoder->arena, len) : NULL;
    if (memory == NULL && decoder->err == 0) {
        decoder->err = ERR_NOMEM;
    }
    return memory;
}

/* Doubles: what was outgrown stays in the arena, and is as much again at most. */
static void list_add(struct decoder *decoder, struct list *list, void *item)
{
    if (list->len == list->cap) {
        size_t cap = list->cap == 0 ? 4 : 2 * list->cap;
        void **items = decoder_alloc(decoder, cap * sizeof *items);
        if (items == NULL) {
            return;
        }
        if (list->len > 0) {
            memcpy(items, list->items, list->len * sizeof *items);
        }
        list->items = items;
        list->cap = cap;
    }
    list->items[list->len++] = item;
}

static char *take_name(struct decoder *decoder, struct amqp_cursor *cursor)
{
    struct amqp_bytes name = amqp_take_short_string(cursor);
    char *text = decoder_alloc(decoder, name.len + 1);
    if (text == NULL) {
        return NULL;
    }
    if (name.len > 0) {
        memcpy(text, name.data, name.len);
    }
    text[name.len] = '\0';
    if (strlen(text) != name.len) {
        decoder->err = ERR_INVALID;
    }
    return text;
}

static ProtobufCBinaryData take_binary(struct amqp_cursor *cursor)
{
    struct amqp_bytes bytes = amqp_take_long_string(cursor);
    return (ProtobufCBinaryData){.len = bytes.len, .data = (uint8_t *)(uintptr_t)bytes.data};
}

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static double double_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static Holdfast__Value *take_value(struct decoder *decoder, struct amqp_cursor *cursor);

static struct list take_items(struct decoder *decoder, struct amqp_bytes content)
{
    struct amqp_cursor cursor = amqp_cursor_of(content);
    struct list list = {0};
    while (decoder->err == 0 && cursor.left > 0 && !cursor.failed) {
        list_add(decoder, &list, take_value(decoder, &cursor));
    }
    if (decoder->err == 0 && cursor.failed) {
        decoder->err = ERR_INVALID;
    }
    return list;
}

static struct list take_entries(struct decoder *decoder, struct amqp_bytes content)
{
    struct amqp_cursor cursor = amqp_cursor_of(content);
    struct list list = {0};
    while (decoder->err == 0 && cursor.left > 0 && !cursor.failed) {
        Holdfast__Header *header = decoder_alloc(decoder, sizeof *header);
        if (header == NULL) {
            break;
        }
        holdfast__header__init(header);
        header->name = take_name(decoder, &cursor);
        header->value = take_value(decoder, &cursor);
        list_add(decoder, &list, header);
    }
    if (decoder->err == 0 && cursor.failed) {
        decoder->err = ERR_INVALID;
    }
    return list;
}

static Holdfast__Table *take_table(struct decoder *decoder, struct amqp_cursor *cursor)
{
    Holdfast__Table *table = decoder_alloc(decoder, sizeof *table);
    struct list list = take_entries(decoder, amqp_take_long_string(cursor));
    if (table != NULL) {
        holdfast__table__init(table);
        table->entry = (Holdfast__Header **)list.items;
        table->n_entry = list.len;
    }
    return table;
}

static Holdfast__Array *take_array(struct decoder *decoder, struct amqp_cursor *cursor)
{
    Holdfast__Array *array = decoder_alloc(decoder, sizeof *array);
    struct list list = take_items(decoder, amqp_take_long_string(cursor));
    if (array != NULL) {
        holdfast__array__init(array);
        array->item = (Holdfast__Value **)list.items;
        array->n_item = list.len;
    }
    return array;
}

static Holdfast__Decimal *take_decimal(struct decoder *decoder, struct amqp_cursor *cursor)
{
    Holdfast__Decimal *decimal = decoder_alloc(decoder, sizeof *decimal);
    if (decimal != NULL) {
        holdfast__decimal__init(decimal);
        decimal->scale = amqp_take_u8(cursor);
        decimal->value = (int32_t)amqp_take_u32(cursor);
    }
    return decimal;
}

static void take_nested(struct decoder *decoder, struct amqp_cursor *cursor, bool table, Holdfast__Value *value)
{
    if (decoder->depth == AMQP_DEPTH_MAX) {
        decoder->err = ERR_TOO_BIG;
        return;
    }
    decoder->depth++;
    if (table) {
        value->kind_case = HOLDFAST__VALUE__KIND_TABLE;
        value->table = take_table(decoder, cursor);
    } else {
        value->kind_case = HOLDFAST__VALUE__KIND_ARRAY;
        value->array = take_array(decoder, cursor);
    }
    decoder->depth--;
}

#define TAKE(kind, field, expression)                                                                                  \
    value->kind_case = HOLDFAST__VALUE__KIND_##kind;                                                                   \
    value->field = (expression);                                                                                       \
    break

static void take_content(struct decoder *decoder, struct amqp_cursor *cursor, char type, Holdfast__Value *value)
{
    switch (type) {
    case 't': TAKE(BOOLEAN, boolean, amqp_take_u8(cursor) != 0);
    case 'b': TAKE(INT8, int8, (int8_t)amqp_take_u8(cursor));
    case 'B': TAKE(UINT8, uint8, amqp_take_u8(cursor));
    case 's': TAKE(INT16, int16, (int16_t)amqp_take_u16(cursor));
    case 'u': TAKE(UINT16, uint16, amqp_take_u16(cursor));
    case 'I': TAKE(INT32, int32, (int32_t)amqp_take_u32(cursor));
    case 'i': TAKE(UINT32, uint32, amqp_take_u32(cursor));
    case 'l': TAKE(INT64, int64, (int64_t)amqp_take_u64(cursor));
    case 'L': TAKE(UINT64, uint64, amqp_take_u64(cursor));
    case 'f': TAKE(FLOAT32, float32, float_of(amqp_take_u32(cursor)));
    case 'd': TAKE(FLOAT64, float64, double_of(amqp_take_u64(cursor)));
    case 'D': TAKE(DECIMAL, decimal, take_decimal(decoder, cursor));
    case 'S': TAKE(STRING, string, take_binary(cursor));
    case 'x': TAKE(BINARY, binary, take_binary(cursor));
    case 'T': TAKE(TIMESTAMP_S, timestamp_s, amqp_take_u64(cursor));
    case 'V': TAKE(VOID, void_, true);
    case 'F':
    case 'A': take_nested(decoder, cursor, type == 'F', value); break;
    default: decoder->err = decoder->err != 0 ? decoder->err : ERR_INVALID; break;
    }
}

static Holdfast__Value *take_value(struct decoder *decoder, struct amqp_cursor *cursor)
{
    if (decoder->err == 0 && ++decoder->values > AMQP_VALUES_MAX) {
        decoder->err = ERR_TOO_BIG;
    }
    Holdfast__Value *value = decoder_alloc(decoder, sizeof *value);
    if (value != NULL) {
        holdfast__value__init(value);
        take_content(decoder, cursor, (char)amqp_take_u8(cursor), value);
    }
    return value;
}

int amqp_table_decode(struct amqp_bytes table, struct arena *arena, struct amqp_headers *ret_headers)
{
    struct decoder decoder = {.arena = arena};
    struct list list = take_entries(&decoder, table);
    if (decoder.err == 0) {
        *ret_headers = (struct amqp_headers){(Holdfast__Header **)list.items, list.len};
    }
    return decoder.err;
}

const Holdfast__Value *amqp_headers_find(const struct amqp_headers *headers, const char *name)
{
    for (size_t i = headers->len; i > 0; i--) {
        if (strcmp(headers->entries[i - 1]->name, name) == 0) {
            return headers->entries[i - 1]->value;
        }
    }
    return NULL;
}
