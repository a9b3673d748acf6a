/* Headers and arguments for tests. */

#ifndef HOLDFAST_STATEMACHINE_TEST_HEADERS_FIXTURE_H
#define HOLDFAST_STATEMACHINE_TEST_HEADERS_FIXTURE_H

#include "proto/base/bytes.h"
#include "statemachine/exchange/arguments.h"

#define PAIRS_CAP 8u

/* Names and values; zero-initialise. What is made of it borrows from it, and stays valid as long as it is not changed. */
struct pairs {
    Holdfast__Header entries[PAIRS_CAP];
    Holdfast__Value values[PAIRS_CAP];
    Holdfast__Header *pointers[PAIRS_CAP];
    Holdfast__Value *value_pointers[PAIRS_CAP];
    Holdfast__Table table;
    Holdfast__Array array;
    size_t len;
};

void pairs_add(struct pairs *pairs, const char *name, Holdfast__Value value);
struct arguments pairs_arguments(const struct pairs *pairs);
/* Appends an encoded MessageHead with these headers. */
void pairs_pack_head(const struct pairs *pairs, struct bytes *bytes);

Holdfast__Value value_void(void);
Holdfast__Value value_bool(bool value);
Holdfast__Value value_int8(int8_t value);
Holdfast__Value value_int(int64_t value);
Holdfast__Value value_uint(uint64_t value);
Holdfast__Value value_float(float value);
Holdfast__Value value_double(double value);
Holdfast__Value value_decimal(uint32_t scale, int32_t value); /* Two of them at a time. */
Holdfast__Value value_string(const char *string);
Holdfast__Value value_binary(const char *string);
Holdfast__Value value_timestamp(uint64_t value);
Holdfast__Value value_table(struct pairs *pairs);
Holdfast__Value value_array(struct pairs *pairs); /* Of its values. */

#endif
