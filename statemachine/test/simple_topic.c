/* Whether a key fits a pattern, as simply as it can be said. */

#include "simple_topic.h"

#include <stdio.h>
#include <string.h>

#include "statemachine/exchange/topic.h"

struct words {
    char *items[160];
    size_t len;
    char text[TOPIC_LEN_MAX + 1];
};

static void words_split(struct words *words, const char *key)
{
    words->len = 0;
    (void)snprintf(words->text, sizeof words->text, "%s", key);
    char *at = words->text;
    while (*key != 0 && at != NULL) {
        words->items[words->len++] = at;
        at = strchr(at, '.');
        if (at != NULL) {
            *at++ = 0;
        }
    }
}

static bool words_fit(const struct words *pattern, size_t p, const struct words *key, size_t k)
{
    if (p == pattern->len) {
        return k == key->len;
    }
    if (strcmp(pattern->items[p], "#") == 0) {
        return words_fit(pattern, p + 1, key, k) || (k < key->len && words_fit(pattern, p, key, k + 1));
    }
    return k < key->len && (strcmp(pattern->items[p], "*") == 0 || strcmp(pattern->items[p], key->items[k]) == 0) &&
           words_fit(pattern, p + 1, key, k + 1);
}

bool simple_topic(const char *pattern, const char *key)
{
    struct words p;
    struct words k;
    words_split(&p, pattern);
    words_split(&k, key);
    return words_fit(&p, 0, &k, 0);
}
