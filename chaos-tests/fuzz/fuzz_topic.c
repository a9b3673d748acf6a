/* Fuzzes topic patterns: a trie of any patterns says the same of any key as a matcher that walks over one pattern at a time, and
 * nothing is left of it when all have gone. */

#include <string.h>

#include "proto/base/check.h"
#include "proto/base/list.h"
#include "statemachine/exchange/topic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define PATTERNS_MAX 32u

struct text {
    const char *data;
    size_t len;
};

struct pattern {
    struct text text;
    struct list_node link;
    struct topic_node *node;
    bool found;
};

/* Its place behind the first word; past its end when that was the last one. */
static size_t word_end(struct text text, size_t at)
{
    while (at < text.len && text.data[at] != '.') {
        at++;
    }
    return at;
}

/* Columns of a table: fits[p] says whether the pattern's words before p fit the key's words so far. */
static bool pattern_fits(struct text pattern, struct text key)
{
    bool fits[TOPIC_LEN_MAX + 3] = {[0] = true};
    struct text words[TOPIC_LEN_MAX + 1];
    size_t words_len = 0;
    for (size_t at = 0; pattern.len > 0 && at <= pattern.len; words_len++) {
        size_t end = word_end(pattern, at);
        words[words_len] = (struct text){.data = pattern.data + at, .len = end - at};
        at = end + 1;
    }
    for (size_t p = 0; p < words_len; p++) {
        fits[p + 1] = fits[p] && words[p].len == 1 && words[p].data[0] == '#';
    }
    for (size_t at = 0; key.len > 0 && at <= key.len;) {
        size_t end = word_end(key, at);
        bool next[TOPIC_LEN_MAX + 3] = {false};
        for (size_t p = 0; p < words_len; p++) {
            bool many = words[p].len == 1 && words[p].data[0] == '#';
            bool one = words[p].len == 1 && words[p].data[0] == '*';
            bool same = words[p].len == end - at && memcmp(words[p].data, key.data + at, end - at) == 0;
            next[p + 1] = many ? next[p] || fits[p + 1] : fits[p] && (one || same);
        }
        memcpy(fits, next, sizeof fits);
        at = end + 1;
    }
    return fits[words_len];
}

static void check_key(struct topic *topic, struct pattern *patterns, size_t len, struct text key)
{
    struct topic_node *node = topic_match(topic, key.data, key.len);
    for (; node != NULL; node = topic_match_next(topic, node)) {
        LIST_FOR_EACH (link, &node->items) {
            struct pattern *pattern = container_of(link, struct pattern, link);
            CHECK(!pattern->found);
            pattern->found = true;
        }
    }
    for (size_t i = 0; i < len; i++) {
        CHECK(patterns[i].found == pattern_fits(patterns[i].text, key));
        patterns[i].found = false;
    }
}

/* The input is lines: patterns, of which each is a key, too. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct topic topic = {0};
    struct pattern patterns[PATTERNS_MAX];
    size_t patterns_len = 0;
    const char *at = (const char *)data;
    const char *end = at + len;
    while (at < end && patterns_len < PATTERNS_MAX) {
        const char *line = memchr(at, '\n', (size_t)(end - at));
        size_t line_len = (size_t)((line != NULL ? line : end) - at);
        struct pattern *pattern = &patterns[patterns_len++];
        *pattern = (struct pattern){.text = {.data = at, .len = line_len < TOPIC_LEN_MAX ? line_len : TOPIC_LEN_MAX}};
        CHECK(topic_node(&topic, pattern->text.data, pattern->text.len, &pattern->node) == 0);
        list_init(&pattern->link);
        list_push_back(&pattern->node->items, &pattern->link);
        at += line_len + (line != NULL);
    }
    for (size_t i = 0; i < patterns_len; i++) {
        check_key(&topic, patterns, patterns_len, patterns[i].text);
    }
    for (size_t i = 0; i < patterns_len; i++) {
        list_remove(&patterns[i].link);
        topic_drop(&topic, patterns[i].node);
        check_key(&topic, patterns + i + 1, patterns_len - i - 1, patterns[0].text);
    }
    CHECK(topic.root == NULL && topic.ways.len == 0);
    topic_done(&topic);
    return 0;
}
