/* Which routing keys and headers fit. */

#include <stdio.h>
#include <string.h>

#include "model_private.h"

/* The next word of a text; `*rest` is NULL behind the last one. */
static size_t word_len(const char *text)
{
    return strcspn(text, ".");
}

static const char *behind_word(const char *text)
{
    const char *end = text + word_len(text);
    return *end == '.' ? end + 1 : NULL;
}

/* NULL is no words at all. */
static bool words_fit(const char *pattern, const char *key)
{
    if (pattern == NULL) {
        return key == NULL;
    }
    size_t len = word_len(pattern);
    if (len == 1 && pattern[0] == '#') {
        return words_fit(behind_word(pattern), key) || (key != NULL && words_fit(pattern, behind_word(key)));
    }
    if (key == NULL) {
        return false;
    }
    bool same = len == word_len(key) && memcmp(pattern, key, len) == 0;
    bool any = len == 1 && pattern[0] == '*';
    return (same || any) && words_fit(behind_word(pattern), behind_word(key));
}

bool m_topic_fits(const char *pattern, const char *key)
{
    return words_fit(pattern[0] != '\0' ? pattern : NULL, key[0] != '\0' ? key : NULL);
}

static bool value_is_integer(const Holdfast__Value *value, bool *negative, uint64_t *number)
{
    int64_t with_sign = 0;
    switch (value->kind_case) {
    case HOLDFAST__VALUE__KIND_INT8: with_sign = value->int8; break;
    case HOLDFAST__VALUE__KIND_INT16: with_sign = value->int16; break;
    case HOLDFAST__VALUE__KIND_INT32: with_sign = value->int32; break;
    case HOLDFAST__VALUE__KIND_INT64: with_sign = value->int64; break;
    case HOLDFAST__VALUE__KIND_UINT8: *negative = false, *number = value->uint8; return true;
    case HOLDFAST__VALUE__KIND_UINT16: *negative = false, *number = value->uint16; return true;
    case HOLDFAST__VALUE__KIND_UINT32: *negative = false, *number = value->uint32; return true;
    case HOLDFAST__VALUE__KIND_UINT64: *negative = false, *number = value->uint64; return true;
    default: return false;
    }
    *negative = with_sign < 0;
    *number = (uint64_t)with_sign;
    return true;
}

/* Of the kinds that histories use. */
bool m_values_same(const Holdfast__Value *a, const Holdfast__Value *b)
{
    bool a_negative;
    bool b_negative;
    uint64_t a_number;
    uint64_t b_number;
    if (value_is_integer(a, &a_negative, &a_number) && value_is_integer(b, &b_negative, &b_number)) {
        return a_negative == b_negative && a_number == b_number;
    }
    if (a->kind_case != b->kind_case) {
        return false;
    }
    switch (a->kind_case) {
    case HOLDFAST__VALUE__KIND_VOID: return true;
    case HOLDFAST__VALUE__KIND_BOOLEAN: return a->boolean == b->boolean;
    case HOLDFAST__VALUE__KIND_STRING:
        return a->string.len == b->string.len &&
               (a->string.len == 0 || memcmp(a->string.data, b->string.data, a->string.len) == 0);
    default: model_require(false, "a kind of value that histories do not use"); return false;
    }
}

static bool argument_fits(const Holdfast__Header *argument, const Holdfast__MessageHead *head)
{
    for (size_t i = 0; i < head->n_header; i++) {
        const Holdfast__Header *header = head->header[i];
        if (strcmp(header->name, argument->name) == 0 && (argument->value->kind_case == HOLDFAST__VALUE__KIND_VOID ||
                                                          m_values_same(argument->value, header->value))) {
            return true;
        }
    }
    return false;
}

bool m_headers_fit(Holdfast__Header *const *arguments, size_t arguments_len, const Holdfast__MessageHead *head)
{
    char match[16] = "all";
    for (size_t i = 0; i < arguments_len; i++) {
        const ProtobufCBinaryData *text = &arguments[i]->value->string;
        if (strcmp(arguments[i]->name, "x-match") == 0) {
            (void)snprintf(match, sizeof match, "%.*s", (int)text->len, (const char *)text->data);
        }
    }
    bool with_x = strstr(match, "-with-x") != NULL;
    bool all = strncmp(match, "all", 3) == 0;
    for (size_t i = 0; i < arguments_len; i++) {
        const char *name = arguments[i]->name;
        if (strcmp(name, "x-match") == 0 || (!with_x && strncmp(name, "x-", 2) == 0)) {
            continue;
        }
        bool fits = argument_fits(arguments[i], head);
        if (fits != all) {
            return fits;
        }
    }
    return all;
}
