/* What a binding of a headers exchange asks for, and whether a message has it. */

#include "statemachine/exchange/headers_match.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/base/fault.h"
#include "proto/wire/fields.h"

/* In MessageHead. */
#define FIELD_HEADER 13u
#define CAP_MIN 16u

static int compare_bytes(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);
    return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

/* ---- What a binding asks for ---- */

static bool argument_is_x(const struct argument *argument)
{
    return argument->name_len >= 2 && memcmp(argument->name, "x-", 2) == 0;
}

static bool argument_is_x_match(const struct argument *argument)
{
    return argument->name_len == strlen("x-match") && memcmp(argument->name, "x-match", argument->name_len) == 0;
}

static bool value_is_string(const struct argument *argument, const char *string)
{
    size_t len = strlen(string);
    return argument->value[0] == 'S' && argument->value_len == 1 + sizeof(uint32_t) + len &&
           memcmp(argument->value + 1 + sizeof(uint32_t), string, len) == 0;
}

struct match_mode {
    bool any;
    bool with_x;
};

static int mode_read(const struct argument *argument, struct match_mode *mode)
{
    static const struct {
        const char *name;
        struct match_mode mode;
    } modes[] = {
        {"all", {false, false}},
        {"any", {true, false}},
        {"all-with-x", {false, true}},
        {"any-with-x", {true, true}},
    };
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        if (value_is_string(argument, modes[i].name)) {
            *mode = modes[i].mode;
            return 0;
        }
    }
    return ERR_INVALID;
}

/* How many arguments there are, and the mode. */
static int match_look(const uint8_t *at, const uint8_t *end, size_t *ret_len, struct match_mode *ret_mode)
{
    struct match_mode mode = {0};
    size_t len = 0;
    while (at < end) {
        struct argument argument;
        int err = argument_next(&at, end, &argument);
        if (err == 0 && argument_is_x_match(&argument)) {
            err = mode_read(&argument, &mode);
        }
        if (err != 0) {
            return err;
        }
        len++;
    }
    *ret_len = len;
    *ret_mode = mode;
    return 0;
}

int headers_match_new(const uint8_t *data, size_t data_len, struct headers_match **ret_match)
{
    struct match_mode mode;
    const uint8_t *end = data + data_len;
    size_t len;
    int err = match_look(data, end, &len, &mode);
    if (err != 0) {
        return err;
    }
    struct headers_match *match = calloc(1, sizeof *match + len * sizeof match->tests[0]);
    if (match == NULL) {
        return ERR_NOMEM;
    }
    match->any = mode.any;
    while (data < end) {
        struct argument argument;
        err = argument_next(&data, end, &argument);
        CHECK(err == 0);
        if (!argument_is_x_match(&argument) &&
            (mode.with_x || !argument_is_x(&argument) || fault_fires(FAULT_SKIP_HEADERS_X))) {
            match->tests[match->len++] = argument;
        }
    }
    *ret_match = match;
    return 0;
}

/* ---- A message's headers ---- */

static int entry_compare(const void *a, const void *b)
{
    const struct headers_entry *first = a;
    const struct headers_entry *second = b;
    return compare_bytes(first->name, first->name_len, second->name, second->name_len);
}

static int sorted_grow(struct headers_sorted *sorted)
{
    size_t cap = sorted->cap > 0 ? 2 * sorted->cap : CAP_MIN;
    struct headers_entry *entries = realloc(sorted->entries, cap * sizeof *entries);
    if (entries == NULL) {
        return ERR_NOMEM;
    }
    sorted->entries = entries;
    sorted->cap = cap;
    return 0;
}

static int sorted_add(struct headers_sorted *sorted, struct slice header)
{
    size_t at = sorted->values.len;
    struct slice name;
    int err = sorted->len == sorted->cap ? sorted_grow(sorted) : 0;
    if (err == 0) {
        err = header_encode(header, &sorted->values, &name);
    }
    if (err != 0) {
        return err == ERR_INVALID ? 0 : err;
    }
    sorted->entries[sorted->len++] = (struct headers_entry){
        .name = name.data,
        .name_len = name.len,
        .value_at = at,
        .value_len = sorted->values.len - at,
    };
    return 0;
}

int headers_sort(struct headers_sorted *sorted, struct slice head)
{
    const uint8_t *at = head.data;
    const uint8_t *end = at + head.len;
    struct field field;
    int err = 0;
    sorted->values.len = 0;
    sorted->len = 0;
    while (err == 0 && at < end && field_next(&at, end, &field)) {
        if (field.number == FIELD_HEADER && field.wire == FIELD_DELIMITED) {
            err = sorted_add(sorted, (struct slice){.data = field.data, .len = field.len});
        }
    }
    if (err == 0 && sorted->len > 1) {
        qsort(sorted->entries, sorted->len, sizeof *sorted->entries, entry_compare);
    }
    return err;
}

void headers_sorted_done(struct headers_sorted *sorted)
{
    bytes_done(&sorted->values);
    free(sorted->entries);
    *sorted = (struct headers_sorted){0};
}

/* ---- Matching ---- */

/* The first entry whose name does not sort before that of the test. */
static size_t sorted_find(const struct headers_sorted *sorted, const struct argument *test)
{
    size_t low = 0;
    size_t high = sorted->len;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct headers_entry *entry = &sorted->entries[middle];
        if (compare_bytes(entry->name, entry->name_len, test->name, test->name_len) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Of several headers of one name, one has to fit. */
static bool test_fits(const struct argument *test, const struct headers_sorted *sorted)
{
    for (size_t i = sorted_find(sorted, test); i < sorted->len; i++) {
        const struct headers_entry *entry = &sorted->entries[i];
        if (compare_bytes(entry->name, entry->name_len, test->name, test->name_len) != 0) {
            return false;
        }
        const uint8_t *value = sorted->values.data + entry->value_at;
        if (test->value[0] == 'v' || compare_bytes(value, entry->value_len, test->value, test->value_len) == 0) {
            return true;
        }
    }
    return false;
}

bool headers_fit(const struct headers_match *match, const struct headers_sorted *sorted)
{
    for (size_t i = 0; i < match->len; i++) {
        if (test_fits(&match->tests[i], sorted) == match->any) {
            return match->any;
        }
    }
    return !match->any;
}
