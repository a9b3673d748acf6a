/* Typed values that are compared by value: arguments of bindings, and headers of messages.
 *
 * They are brought into one form, in which equal values are equal bytes. A value is a letter for its type and, little-endian,
 *
 *   v                       nothing
 *   t u8                    true or false
 *   i u64                   an integer of any width, two's complement
 *   u u64                   one that does not fit that
 *   f u64                   a floating-point number of any width: the bits of the double, with one zero and one NaN
 *   d u32 scale, u32 value  a decimal
 *   S u32 length, bytes     a string
 *   x u32 length, bytes     binary
 *   T u64                   a time
 *   F u32 length, entries   a table: for each entry u32 length of the name, name, value; in the order given
 *   A u32 length, values    an array
 *
 * and arguments are entries like a table's, in order of name and value, so that the same ones in another order are the same.
 * This form is in rows. */

#ifndef HOLDFAST_STATEMACHINE_EXCHANGE_ARGUMENTS_H
#define HOLDFAST_STATEMACHINE_EXCHANGE_ARGUMENTS_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base/arena.h"
#include "proto/base/blob.h"
#include "proto/base/bytes.h"
#include "proto/base/err.h"
#include "proto/wire/message.pb-c.h"

/* Tables and arrays in one another. */
#define ARGUMENTS_DEPTH_MAX 8u
/* Arguments of one binding: how many, and their bytes. */
#define ARGUMENTS_MAX 256u
#define ARGUMENTS_LEN_MAX 16384u

/* Arguments as decoded; borrows. */
struct arguments {
    Holdfast__Header *const *items;
    size_t len;
};

/* Appends the value of an encoded Header (proto/wire/message.proto) in its form, and says where its name is. ERR_INVALID: it is
 * malformed, has no value that this build knows, or is too deep; then, and with ERR_NOMEM, nothing is appended. */
int header_encode(struct slice header, struct bytes *bytes, struct slice *ret_name) NODISCARD;

/* Appends arguments in their form, in order. ERR_INVALID: one without a value, too deep, too many or too long; then, and with
 * ERR_NOMEM, nothing is appended. */
int arguments_encode(struct arguments arguments, struct bytes *bytes) NODISCARD;

/* An argument in its form; borrows. */
struct argument {
    const uint8_t *name;
    const uint8_t *value;
    uint32_t name_len;
    uint32_t value_len;
};

/* Reads the next argument of `*at` and moves that behind it. ERR_CORRUPT. */
int argument_next(const uint8_t **at, const uint8_t *end, struct argument *ret_argument) NODISCARD;

/* Back into what clients speak, in the arena (integers and floating-point numbers in their widest type). ERR_CORRUPT,
 * ERR_NOMEM. */
int arguments_decode(const uint8_t *data, size_t len, struct arena *arena, struct arguments *ret_arguments) NODISCARD;

#endif
