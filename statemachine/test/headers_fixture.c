/* Headers and arguments for tests. */

#include "headers_fixture.h"

#include <criterion/criterion.h>
#include <string.h>

/* Where the entries are now: they may have been copied. */
static void pairs_point(const struct pairs *from)
{
    struct pairs *pairs = (struct pairs *)(uintptr_t)from;
    for (size_t i = 0; i < pairs->len; i++) {
        pairs->entries[i].value = &pairs->values[i];
        pairs->pointers[i] = &pairs->entries[i];
        pairs->value_pointers[i] = &pairs->values[i];
    }
}

void pairs_add(struct pairs *pairs, const char *name, Holdfast__Value value)
{
    cr_assert_lt(pairs->len, PAIRS_CAP);
    holdfast__header__init(&pairs->entries[pairs->len]);
    pairs->entries[pairs->len].name = (char *)(uintptr_t)name;
    pairs->values[pairs->len++] = value;
    pairs_point(pairs);
}

struct arguments pairs_arguments(const struct pairs *pairs)
{
    pairs_point(pairs);
    return (struct arguments){.items = pairs->pointers, .len = pairs->len};
}

void pairs_pack_head(const struct pairs *pairs, struct bytes *bytes)
{
    pairs_point(pairs);
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    head.n_header = pairs->len;
    head.header = (Holdfast__Header **)(uintptr_t)pairs->pointers;
    cr_assert_eq(bytes_reserve(bytes, holdfast__message_head__get_packed_size(&head) + 1), 0);
    bytes->len += holdfast__message_head__pack(&head, bytes->data + bytes->len);
}

static Holdfast__Value value_of(Holdfast__Value__KindCase kind)
{
    Holdfast__Value value = HOLDFAST__VALUE__INIT;
    value.kind_case = kind;
    return value;
}

#define VALUE_OF(type, name, kind, member)                                                                             \
    Holdfast__Value value_##name(type from)                                                                            \
    {                                                                                                                  \
        Holdfast__Value value = value_of(HOLDFAST__VALUE__KIND_##kind);                                                \
        value.member = from;                                                                                           \
        return value;                                                                                                  \
    }

VALUE_OF(bool, bool, BOOLEAN, boolean)
VALUE_OF(int8_t, int8, INT8, int8)
VALUE_OF(int64_t, int, INT64, int64)
VALUE_OF(uint64_t, uint, UINT64, uint64)
VALUE_OF(float, float, FLOAT32, float32)
VALUE_OF(double, double, FLOAT64, float64)
VALUE_OF(uint64_t, timestamp, TIMESTAMP_S, timestamp_s)

Holdfast__Value value_void(void)
{
    return value_of(HOLDFAST__VALUE__KIND_VOID);
}

static ProtobufCBinaryData binary_of(const char *string)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)string, .len = strlen(string)};
}

Holdfast__Value value_string(const char *string)
{
    Holdfast__Value value = value_of(HOLDFAST__VALUE__KIND_STRING);
    value.string = binary_of(string);
    return value;
}

Holdfast__Value value_binary(const char *string)
{
    Holdfast__Value value = value_of(HOLDFAST__VALUE__KIND_BINARY);
    value.binary = binary_of(string);
    return value;
}

Holdfast__Value value_decimal(uint32_t scale, int32_t number)
{
    static Holdfast__Decimal decimals[2];
    static unsigned at;
    Holdfast__Value value = value_of(HOLDFAST__VALUE__KIND_DECIMAL);
    value.decimal = &decimals[at++ % 2];
    holdfast__decimal__init(value.decimal);
    value.decimal->scale = scale;
    value.decimal->value = number;
    return value;
}

Holdfast__Value value_table(struct pairs *pairs)
{
    Holdfast__Value value = value_of(HOLDFAST__VALUE__KIND_TABLE);
    pairs_point(pairs);
    holdfast__table__init(&pairs->table);
    pairs->table.n_entry = pairs->len;
    pairs->table.entry = pairs->pointers;
    value.table = &pairs->table;
    return value;
}

Holdfast__Value value_array(struct pairs *pairs)
{
    Holdfast__Value value = value_of(HOLDFAST__VALUE__KIND_ARRAY);
    pairs_point(pairs);
    holdfast__array__init(&pairs->array);
    pairs->array.n_item = pairs->len;
    pairs->array.item = pairs->value_pointers;
    value.array = &pairs->array;
    return value;
}
