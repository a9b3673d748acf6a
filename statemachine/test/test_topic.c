/* Topics: patterns against keys, beside a simple matcher that says the same. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simple_topic.h"
#include "statemachine/exchange/topic.h"

/* ---- The trie, with names for what is bound ---- */

struct bound {
    struct list_node link;
    struct topic_node *node;
    char pattern[TOPIC_LEN_MAX + 1];
    unsigned seen; /* By the question asked last. */
};

static void bind(struct topic *topic, struct bound *bound, const char *pattern)
{
    (void)snprintf(bound->pattern, sizeof bound->pattern, "%s", pattern);
    list_init(&bound->link);
    cr_assert_eq(topic_node(topic, pattern, strlen(pattern), &bound->node), 0);
    list_push_back(&bound->node->items, &bound->link);
}

static void unbind(struct topic *topic, struct bound *bound)
{
    list_remove(&bound->link);
    topic_drop(topic, bound->node);
    bound->node = NULL;
}

/* How many are bound with what fits; counts for each how often it was given. */
static unsigned ask(struct topic *topic, const char *key)
{
    unsigned count = 0;
    struct topic_node *node = topic_match(topic, key, strlen(key));
    for (; node != NULL; node = topic_match_next(topic, node)) {
        cr_assert_not(list_empty(&node->items));
        LIST_FOR_EACH (link, &node->items) {
            container_of(link, struct bound, link)->seen++;
            count++;
        }
    }
    return count;
}

static bool fits(const char *pattern, const char *key)
{
    struct topic topic = {0};
    struct bound bound = {0};
    bind(&topic, &bound, pattern);
    unsigned count = ask(&topic, key);
    cr_assert_leq(count, 1u);
    cr_assert_eq(count == 1, simple_topic(pattern, key), "%s, %s", pattern, key);
    unbind(&topic, &bound);
    cr_assert_null(topic.root);
    cr_assert_eq(topic.ways.len, 0u);
    topic_done(&topic);
    return count == 1;
}

Test(topic, words_and_wildcards)
{
    cr_assert(fits("a.b.c", "a.b.c"));
    cr_assert_not(fits("a.b.c", "a.b"));
    cr_assert_not(fits("a.b", "a.b.c"));
    cr_assert_not(fits("a.b", "a.bb"));
    cr_assert(fits("a.*.c", "a.b.c"));
    cr_assert_not(fits("a.*.c", "a.c"));
    cr_assert(fits("a.#.c", "a.c"));
    cr_assert(fits("a.#.c", "a.x.y.c"));
    cr_assert_not(fits("a.#.c", "a.x.y"));
    cr_assert(fits("#", "a.b"));
    cr_assert(fits("#.b", "b"));
    cr_assert(fits("a.#", "a"));
    cr_assert(fits("*.#.*", "a.b"));
    cr_assert_not(fits("*.#.*", "a"));
    cr_assert(fits("#.*.#", "a"));
    cr_assert_not(fits("#.*.#", ""));
    cr_assert(fits("a.#.b.#.c", "a.b.b.c.c"));
    cr_assert_not(fits("a*", "ab"), "a wildcard is a whole word");
    cr_assert(fits("a*", "a*"));
}

Test(topic, empty_words)
{
    cr_assert(fits("", ""));
    cr_assert(fits("#", ""));
    cr_assert_not(fits("*", ""));
    cr_assert_not(fits("", "a"));
    cr_assert(fits(".", "."));
    cr_assert(fits("*.*", "."));
    cr_assert(fits("a.", "a."));
    cr_assert_not(fits("a.", "a"));
    cr_assert(fits("a.*", "a."));
    cr_assert(fits("..", ".."));
    cr_assert_not(fits("..", "."));
}

Test(topic, a_whole_key_as_one_word)
{
    struct topic topic = {0};
    struct topic_node *node;
    struct topic_node *other;
    cr_assert_null(topic_find_exact(&topic, "a.b", 3));
    cr_assert_eq(topic_node_exact(&topic, "a.b", 3, &node), 0);
    cr_assert_eq(topic_node_exact(&topic, "", 0, &other), 0);
    cr_assert_neq(node, other);
    cr_assert_eq(topic_find_exact(&topic, "a.b", 3), node);
    cr_assert_eq(topic_find_exact(&topic, "", 0), other);
    cr_assert_null(topic_find_exact(&topic, "a", 1));
    cr_assert_null(topic_find_exact(&topic, "*", 1));
    topic_done(&topic);
}

/* ---- Random ones ---- */

static uint64_t state = 42;

static unsigned random_below(unsigned n)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)((state >> 33) % n);
}

static void random_key(char *key, bool pattern)
{
    static const char *const words[] = {"a", "b", "", "cc", "*", "#"};
    unsigned len = random_below(7);
    size_t at = 0;
    key[0] = 0;
    for (unsigned i = 0; i < len; i++) {
        const char *word = words[random_below(pattern ? 6 : 4)];
        at += (size_t)snprintf(key + at, 64 - at, "%s%s", i > 0 ? "." : "", word);
    }
}

static void check_key(struct topic *topic, struct bound *bounds, size_t len)
{
    char key[64];
    random_key(key, false);
    unsigned expected = 0;
    for (size_t i = 0; i < len; i++) {
        bounds[i].seen = 0;
    }
    unsigned count = ask(topic, key);
    for (size_t i = 0; i < len; i++) {
        bool is = bounds[i].node != NULL && simple_topic(bounds[i].pattern, key);
        expected += is;
        cr_assert_eq(bounds[i].seen, is ? 1u : 0u, "%s, %s", bounds[i].pattern, key);
    }
    cr_assert_eq(count, expected);
}

Test(topic, random_patterns_as_a_simple_matcher)
{
    enum { BOUND = 300 };
    static struct bound bounds[BOUND];
    struct topic topic = {0};
    for (unsigned round = 0; round < 6000; round++) {
        struct bound *bound = &bounds[random_below(BOUND)];
        if (bound->node != NULL) {
            unbind(&topic, bound);
        } else {
            char pattern[64];
            random_key(pattern, true);
            bind(&topic, bound, pattern);
        }
        check_key(&topic, bounds, BOUND);
    }
    for (size_t i = 0; i < BOUND; i++) {
        if (bounds[i].node != NULL) {
            unbind(&topic, &bounds[i]);
        }
    }
    cr_assert_null(topic.root, "nothing is left");
    cr_assert_eq(topic.ways.len, 0u);
    topic_done(&topic);
}

/* ---- How much it takes ---- */

/* With a matcher that tries all ways this takes longer than the sun lasts. */
Test(topic, many_wildcards_take_no_more_than_their_number)
{
    struct topic topic = {0};
    struct bound bounds[2] = {{.seen = 0}};
    char pattern[TOPIC_LEN_MAX + 1] = "";
    char key[TOPIC_LEN_MAX + 1] = "";
    for (unsigned i = 0; i < 42; i++) {
        strcat(pattern, "#.a.*.");
        strcat(key, "a.a.a.");
    }
    strcat(pattern, "b");
    strcat(key, "a");
    bind(&topic, &bounds[0], pattern);
    cr_assert_eq(ask(&topic, key), 0u);
    strcpy(key + strlen(key) - 1, "b");
    cr_assert_eq(ask(&topic, key), 1u);
    topic_done(&topic);
}

/* All ways to write sixteen wildcards are but few patterns. */
Test(topic, runs_of_wildcards_are_kept_in_one_order)
{
    struct topic topic = {0};
    struct topic_node *first;
    struct topic_node *node;
    cr_assert_eq(topic_node(&topic, "a.#.*.#.*.b", 11, &first), 0);
    cr_assert_eq(topic_node(&topic, "a.*.*.#.b", 9, &node), 0);
    cr_assert_eq(node, first);
    uint64_t ids = topic.ids;
    for (unsigned i = 0; i < 1u << 16; i++) {
        char pattern[32];
        for (unsigned j = 0; j < 16; j++) {
            pattern[2 * j] = (i >> j & 1) != 0 ? '#' : '*';
            pattern[2 * j + 1] = '.';
        }
        cr_assert_eq(topic_node(&topic, pattern, 31, &node), 0);
    }
    cr_assert_leq(topic.ids - ids, 2u * 17u);
    topic_done(&topic);
}

Test(topic, a_key_that_is_too_long_fits_nothing)
{
    struct topic topic = {0};
    struct bound bound = {0};
    char key[TOPIC_LEN_MAX + 2];
    memset(key, 'a', sizeof key);
    bind(&topic, &bound, "#");
    cr_assert_null(topic_match(&topic, key, TOPIC_LEN_MAX + 1));
    cr_assert_not_null(topic_match(&topic, key, TOPIC_LEN_MAX));
    topic_done(&topic);
}
