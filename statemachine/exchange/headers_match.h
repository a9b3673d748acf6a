/* What a binding of a headers exchange asks for, and whether a message has it.
 *
 * As in RabbitMQ, the argument x-match says whether `all` of the others must fit (unless it says otherwise) or `any` of them. Those
 * whose names begin with "x-" count only with `all-with-x` and `any-with-x`. With none that counts, `all` fits everything and
 * `any` nothing. An argument without a value (void) fits any value of a header of that name. */

#ifndef HOLDFAST_STATEMACHINE_EXCHANGE_HEADERS_MATCH_H
#define HOLDFAST_STATEMACHINE_EXCHANGE_HEADERS_MATCH_H

#include <stdbool.h>

#include "statemachine/exchange/arguments.h"

struct headers_match {
    bool any;
    size_t len;
    struct argument tests[]; /* In order of name. They borrow from the encoded arguments. */
};

/* Makes it of encoded arguments, which must outlive it; free() frees it. ERR_INVALID: an x-match that is none. ERR_CORRUPT,
 * ERR_NOMEM. */
int headers_match_new(const uint8_t *data, size_t len, struct headers_match **ret_match) NODISCARD;

/* The headers of one message, in order of name. Zeroed at first; keeps its memory from message to message. */
struct headers_sorted {
    struct bytes values;
    struct headers_entry {
        const uint8_t *name;
        size_t name_len;
        size_t value_at; /* In `values`. */
        size_t value_len;
    } * entries;
    size_t len;
    size_t cap;
};

/* Takes the headers out of an encoded MessageHead, from which the names are borrowed; empty: there are none. What is malformed, has
 * no value, or is too deep is left out. ERR_NOMEM. */
int headers_sort(struct headers_sorted *sorted, struct slice head) NODISCARD;
void headers_sorted_done(struct headers_sorted *sorted);

bool headers_fit(const struct headers_match *match, const struct headers_sorted *sorted);

#endif
