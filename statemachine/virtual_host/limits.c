/* What a virtual host or a user may have at most. */

#include "statemachine/virtual_host/limits.h"

void limits_init(struct limits *limits)
{
    for (unsigned i = 0; i < LIMITS_LEN; i++) {
        limits->values[i] = LIMIT_NONE;
    }
}

static unsigned limits_count(const struct limits *limits)
{
    unsigned count = 0;
    for (unsigned i = 0; i < LIMITS_LEN; i++) {
        count += limits->values[i] != LIMIT_NONE;
    }
    return count;
}

bool limits_are_none(const struct limits *limits)
{
    return limits_count(limits) == 0;
}

static bool limit_is_of_users(uint64_t what)
{
    return what == LIMIT_SESSIONS || what == LIMIT_CONSUMERS;
}

int limits_read(const Holdfast__Limits *from, bool of_user, struct limits *ret_limits)
{
    struct limits limits;
    limits_init(&limits);
    for (size_t i = 0; from != NULL && i < from->n_limit; i++) {
        uint64_t what = (uint64_t)from->limit[i]->what;
        if (what >= LIMITS_LEN || (of_user && !limit_is_of_users(what))) {
            return ERR_INVALID;
        }
        limits.values[what] = from->limit[i]->value;
    }
    *ret_limits = limits;
    return 0;
}

void limits_put(const struct limits *limits, struct row *row)
{
    row_put_u8(row, (uint8_t)limits_count(limits));
    for (unsigned i = 0; i < LIMITS_LEN; i++) {
        if (limits->values[i] != LIMIT_NONE) {
            row_put_u8(row, (uint8_t)i);
            row_put_u64(row, limits->values[i]);
        }
    }
}

int limits_get(struct row_reader *reader, struct limits *ret_limits)
{
    struct limits limits;
    limits_init(&limits);
    unsigned count = row_get_u8(reader);
    for (unsigned i = 0; i < count; i++) {
        unsigned what = row_get_u8(reader);
        uint64_t value = row_get_u64(reader);
        if (what >= LIMITS_LEN) {
            return ERR_CORRUPT;
        }
        limits.values[what] = value;
    }
    *ret_limits = limits;
    return 0;
}
