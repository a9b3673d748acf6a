/* Typed values that are compared by value: out of their form. */

#include <string.h>

#include "proto/base/check.h"
#include "statemachine/exchange/arguments.h"

#define LENGTH_LEN sizeof(uint32_t)

/* What is read: all of it has been bounds-checked when it is handed out. */
struct decode {
    const uint8_t *at;
    const uint8_t *end;
    struct arena *arena;
};

static int take(struct decode *decode, size_t len, const uint8_t **ret_data)
{
    if ((size_t)(decode->end - decode->at) < len) {
        return ERR_CORRUPT;
    }
    *ret_data = decode->at;
    decode->at += len;
    return 0;
}

/* A length, and as many bytes. */
static int take_string(struct decode *decode, const uint8_t **ret_data, uint32_t *ret_len)
{
    const uint8_t *length;
    int err = take(decode, LENGTH_LEN, &length);
    if (err == 0) {
        err = take(decode, get_u32(length), ret_data);
    }
    if (err == 0) {
        *ret_len = get_u32(length);
    }
    return err;
}

static int skip_value(struct decode *decode)
{
    const uint8_t *type;
    const uint8_t *data;
    uint32_t len;
    int err = take(decode, 1, &type);
    if (err != 0) {
        return err;
    }
    switch (*type) {
    case 'v': return 0;
    case 't': return take(decode, 1, &data);
    case 'i':
    case 'u':
    case 'f':
    case 'd':
    case 'T': return take(decode, 8, &data);
    case 'S':
    case 'x':
    case 'F':
    case 'A': return take_string(decode, &data, &len);
    default: return ERR_CORRUPT;
    }
}

int argument_next(const uint8_t **at, const uint8_t *end, struct argument *ret_argument)
{
    struct decode decode = {.at = *at, .end = end};
    struct argument argument;
    int err = take_string(&decode, &argument.name, &argument.name_len);
    argument.value = decode.at;
    if (err == 0) {
        err = skip_value(&decode);
    }
    if (err != 0) {
        return err;
    }
    argument.value_len = (uint32_t)(decode.at - argument.value);
    *ret_argument = argument;
    *at = decode.at;
    return 0;
}

static int get_value(struct decode *decode, unsigned depth, Holdfast__Value **ret_value);

static int get_entry(struct decode *decode, unsigned depth, Holdfast__Header **ret_entry)
{
    const uint8_t *name;
    uint32_t name_len;
    int err = take_string(decode, &name, &name_len);
    if (err != 0) {
        return err;
    }
    Holdfast__Header *entry = arena_alloc(decode->arena, sizeof *entry);
    char *copy = arena_alloc(decode->arena, (size_t)name_len + 1);
    if (entry == NULL || copy == NULL) {
        return ERR_NOMEM;
    }
    holdfast__header__init(entry);
    memcpy(copy, name, name_len);
    copy[name_len] = '\0';
    entry->name = copy;
    err = get_value(decode, depth, &entry->value);
    if (err == 0) {
        *ret_entry = entry;
    }
    return err;
}

static int skip_entry(struct decode *decode)
{
    const uint8_t *name;
    uint32_t name_len;
    int err = take_string(decode, &name, &name_len);
    return err != 0 ? err : skip_value(decode);
}

/* How many values, or entries, there are up to the end. */
static int count_items(struct decode decode, int (*skip)(struct decode *decode), size_t *ret_count)
{
    size_t count = 0;
    for (; decode.at < decode.end; count++) {
        int err = skip(&decode);
        if (err != 0) {
            return err;
        }
    }
    *ret_count = count;
    return 0;
}

static int get_entries(struct decode *decode, unsigned depth, Holdfast__Header ***ret_entries, size_t *ret_len)
{
    size_t len;
    int err = count_items(*decode, skip_entry, &len);
    if (err != 0) {
        return err;
    }
    Holdfast__Header **entries = arena_alloc(decode->arena, (len + 1) * sizeof(Holdfast__Header *));
    if (entries == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; err == 0 && i < len; i++) {
        err = get_entry(decode, depth, &entries[i]);
    }
    if (err == 0) {
        *ret_entries = entries;
        *ret_len = len;
    }
    return err;
}

static int get_table(struct decode *decode, unsigned depth, Holdfast__Value *value)
{
    struct decode inner = {.arena = decode->arena};
    uint32_t len;
    int err = take_string(decode, &inner.at, &len);
    if (err != 0) {
        return err;
    }
    inner.end = inner.at + len;
    value->kind_case = HOLDFAST__VALUE__KIND_TABLE;
    value->table = arena_alloc(decode->arena, sizeof *value->table);
    if (value->table == NULL) {
        return ERR_NOMEM;
    }
    holdfast__table__init(value->table);
    return get_entries(&inner, depth, &value->table->entry, &value->table->n_entry);
}

static int get_array(struct decode *decode, unsigned depth, Holdfast__Value *value)
{
    struct decode inner = {.arena = decode->arena};
    uint32_t len;
    size_t count = 0;
    int err = take_string(decode, &inner.at, &len);
    if (err == 0) {
        inner.end = inner.at + len;
        err = count_items(inner, skip_value, &count);
    }
    if (err != 0) {
        return err;
    }
    value->kind_case = HOLDFAST__VALUE__KIND_ARRAY;
    value->array = arena_alloc(decode->arena, sizeof *value->array);
    Holdfast__Value **items = arena_alloc(decode->arena, (count + 1) * sizeof(Holdfast__Value *));
    if (value->array == NULL || items == NULL) {
        return ERR_NOMEM;
    }
    holdfast__array__init(value->array);
    for (size_t i = 0; err == 0 && i < count; i++) {
        err = get_value(&inner, depth, &items[i]);
    }
    value->array->item = items;
    value->array->n_item = count;
    return err;
}

/* Strings are borrowed from what is decoded. */
static int get_binary(struct decode *decode, Holdfast__Value__KindCase kind, ProtobufCBinaryData *binary,
                      Holdfast__Value *value)
{
    const uint8_t *data;
    uint32_t len;
    int err = take_string(decode, &data, &len);
    if (err == 0) {
        value->kind_case = kind;
        *binary = (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)data, .len = len};
    }
    return err;
}

static int get_decimal(const uint8_t *data, struct arena *arena, Holdfast__Value *value)
{
    value->kind_case = HOLDFAST__VALUE__KIND_DECIMAL;
    value->decimal = arena_alloc(arena, sizeof *value->decimal);
    if (value->decimal == NULL) {
        return ERR_NOMEM;
    }
    holdfast__decimal__init(value->decimal);
    value->decimal->scale = get_u32(data);
    value->decimal->value = (int32_t)get_u32(data + 4);
    return 0;
}

static int get_number(struct decode *decode, uint8_t type, Holdfast__Value *value)
{
    const uint8_t *data;
    int err = take(decode, 8, &data);
    if (err != 0 || type == 'd') {
        return err != 0 ? err : get_decimal(data, decode->arena, value);
    }
    uint64_t number = get_u64(data);
    switch (type) {
    case 'i':
        value->kind_case = HOLDFAST__VALUE__KIND_INT64;
        value->int64 = (int64_t)number;
        return 0;
    case 'u':
        value->kind_case = HOLDFAST__VALUE__KIND_UINT64;
        value->uint64 = number;
        return 0;
    case 'T':
        value->kind_case = HOLDFAST__VALUE__KIND_TIMESTAMP_S;
        value->timestamp_s = number;
        return 0;
    default:
        value->kind_case = HOLDFAST__VALUE__KIND_FLOAT64;
        memcpy(&value->float64, &number, sizeof number);
        return 0;
    }
}

static int get_boolean(struct decode *decode, Holdfast__Value *value)
{
    const uint8_t *data;
    int err = take(decode, 1, &data);
    if (err == 0) {
        value->kind_case = HOLDFAST__VALUE__KIND_BOOLEAN;
        value->boolean = *data != 0;
    }
    return err;
}

static int get_value(struct decode *decode, unsigned depth, Holdfast__Value **ret_value)
{
    const uint8_t *type;
    int err = depth == ARGUMENTS_DEPTH_MAX ? ERR_CORRUPT : take(decode, 1, &type);
    if (err != 0) {
        return err;
    }
    Holdfast__Value *value = arena_alloc(decode->arena, sizeof *value);
    if (value == NULL) {
        return ERR_NOMEM;
    }
    holdfast__value__init(value);
    *ret_value = value;
    switch (*type) {
    case 'v': value->kind_case = HOLDFAST__VALUE__KIND_VOID; return 0;
    case 't': return get_boolean(decode, value);
    case 'S': return get_binary(decode, HOLDFAST__VALUE__KIND_STRING, &value->string, value);
    case 'x': return get_binary(decode, HOLDFAST__VALUE__KIND_BINARY, &value->binary, value);
    case 'F': return get_table(decode, depth + 1, value);
    case 'A': return get_array(decode, depth + 1, value);
    case 'i':
    case 'u':
    case 'f':
    case 'd':
    case 'T': return get_number(decode, *type, value);
    default: return ERR_CORRUPT;
    }
}

int arguments_decode(const uint8_t *data, size_t len, struct arena *arena, struct arguments *ret_arguments)
{
    struct decode decode = {.at = data, .end = data + len, .arena = arena};
    Holdfast__Header **entries;
    size_t entries_len;
    int err = get_entries(&decode, 0, &entries, &entries_len);
    if (err == 0) {
        *ret_arguments = (struct arguments){.items = entries, .len = entries_len};
    }
    return err;
}
