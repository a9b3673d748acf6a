/* The routing keys that something is bound with, as a trie of their words. */

#include "statemachine/exchange/topic.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"

/* ---- Words ---- */

struct topic_words {
    const char *at;
    const char *end;
    bool more;
};

static struct topic_words words_of(const char *key, size_t len)
{
    return (struct topic_words){
        .at = key, .end = len > 0 ? key + len : key, .more = len > 0}; /* An empty key may be NULL. */
}

static bool words_next(struct topic_words *words, const char **ret_word, size_t *ret_len)
{
    if (!words->more) {
        return false;
    }
    size_t left = (size_t)(words->end - words->at);
    const char *dot = memchr(words->at, '.', left);
    *ret_word = words->at;
    *ret_len = dot != NULL ? (size_t)(dot - words->at) : left;
    words->more = dot != NULL;
    words->at = dot != NULL ? dot + 1 : words->end;
    return true;
}

/* ---- Nodes ---- */

static struct topic_node *node_new(struct topic *topic, struct topic_node *parent, const char *word, size_t word_len)
{
    size_t len =
        (sizeof(struct topic_node) + word_len + TOPIC_NODE_ALIGNMENT - 1) / TOPIC_NODE_ALIGNMENT * TOPIC_NODE_ALIGNMENT;
    struct topic_node *node = aligned_alloc(TOPIC_NODE_ALIGNMENT, len);
    if (node == NULL) {
        return NULL;
    }
    *node = (struct topic_node){0};
    list_init(&node->items);
    node->id = ++topic->ids;
    node->parent = parent;
    node->word_len = (uint16_t)word_len;
    if (word_len > 0) {
        memcpy(node->word, word, word_len);
    }
    return node;
}

static bool node_leads_nowhere(const struct topic_node *node)
{
    return list_empty(&node->items) && node->words == 0 && node->one == NULL && node->many == NULL;
}

static void node_free(struct topic *topic, struct topic_node *node)
{
    struct topic_node *parent = node->parent;
    if (node->by_word) {
        topic_ways_remove(&topic->ways, node);
        parent->words--;
    } else if (parent == NULL) {
        topic->root = NULL;
    } else if (node->by_many) {
        parent->many = NULL;
    } else {
        parent->one = NULL;
    }
    free(node);
}

void topic_drop(struct topic *topic, struct topic_node *node)
{
    while (node != NULL && node_leads_nowhere(node)) {
        struct topic_node *parent = node->parent;
        node_free(topic, node);
        node = parent;
    }
}

/* The wildcards that lead down from a node. */
static void wildcards_free(struct topic_node *node)
{
    while (node != NULL) {
        if (node->one != NULL || node->many != NULL) {
            struct topic_node *child = node->one != NULL ? node->one : node->many;
            *(node->one != NULL ? &node->one : &node->many) = NULL;
            node = child;
            continue;
        }
        struct topic_node *parent = node->by_word ? NULL : node->parent;
        free(node);
        node = parent;
    }
}

void topic_done(struct topic *topic)
{
    for (size_t i = 0; i < topic->ways.cap; i++) {
        wildcards_free(topic->ways.slots[i].node);
    }
    free(topic->ways.slots);
    wildcards_free(topic->root);
    *topic = (struct topic){0};
}

static struct topic_node *child_by_word(struct topic *topic, struct topic_node *parent, const char *word, size_t len)
{
    uint64_t hash = topic_word_hash(word, len);
    struct topic_node *child = topic_ways_find(&topic->ways, parent, word, len, hash);
    if (child != NULL) {
        return child;
    }
    child = node_new(topic, parent, word, len);
    if (child == NULL) {
        return NULL;
    }
    if (topic_ways_add(&topic->ways, child, hash) != 0) {
        free(child);
        return NULL;
    }
    child->by_word = true;
    parent->words++;
    return child;
}

static struct topic_node *child_by_one(struct topic *topic, struct topic_node *parent)
{
    if (parent->one == NULL) {
        parent->one = node_new(topic, parent, NULL, 0);
    }
    return parent->one;
}

static struct topic_node *child_by_many(struct topic *topic, struct topic_node *parent)
{
    if (parent->many == NULL) {
        parent->many = node_new(topic, parent, NULL, 0);
        if (parent->many != NULL) {
            parent->many->by_many = true;
        }
    }
    return parent->many;
}

static int root_get(struct topic *topic, struct topic_node **ret_root)
{
    if (topic->root == NULL) {
        topic->root = node_new(topic, NULL, NULL, 0);
    }
    *ret_root = topic->root;
    return topic->root != NULL ? 0 : ERR_NOMEM;
}

/* Moves from `*at` to its child; what has been made on the way goes when there is no memory for it. */
static int step(struct topic *topic, struct topic_node **at, struct topic_node *child)
{
    if (child == NULL) {
        topic_drop(topic, *at);
        return ERR_NOMEM;
    }
    *at = child;
    return 0;
}

int topic_node(struct topic *topic, const char *pattern, size_t len, struct topic_node **ret_node)
{
    struct topic_words words = words_of(pattern, len);
    struct topic_node *at;
    const char *word;
    size_t word_len;
    bool many = false; /* A `#` was among the wildcards last seen: it comes after them. */
    int err = root_get(topic, &at);
    while (err == 0 && words_next(&words, &word, &word_len)) {
        if (word_len == 1 && *word == '#') {
            many = true;
        } else if (word_len == 1 && *word == '*') {
            err = step(topic, &at, child_by_one(topic, at));
        } else {
            err = many ? step(topic, &at, child_by_many(topic, at)) : 0;
            many = false;
            err = err != 0 ? err : step(topic, &at, child_by_word(topic, at, word, word_len));
        }
    }
    if (err == 0 && many) {
        err = step(topic, &at, child_by_many(topic, at));
    }
    if (err == 0) {
        *ret_node = at;
    }
    return err;
}

int topic_node_exact(struct topic *topic, const char *key, size_t len, struct topic_node **ret_node)
{
    struct topic_node *at;
    int err = root_get(topic, &at);
    if (err == 0) {
        err = step(topic, &at, child_by_word(topic, at, key, len));
    }
    if (err == 0) {
        *ret_node = at;
    }
    return err;
}

/* ---- Questions ---- */

/* The nodes that the words so far lead to. */
struct topic_set {
    uint64_t mark;
    unsigned at; /* Which of a node's links and marks: 0 or 1. */
    struct topic_node *first;
    struct topic_node **last;
};

static void set_init(struct topic_set *set, struct topic *topic, unsigned at)
{
    *set = (struct topic_set){.mark = ++topic->marks, .at = at};
    set->last = &set->first;
}

/* With what `#` leads to without any word. */
static void set_add(struct topic_set *set, struct topic_node *node)
{
    for (; node != NULL && node->mark[set->at] != set->mark; node = node->many) {
        node->mark[set->at] = set->mark;
        node->next[set->at] = NULL;
        *set->last = node;
        set->last = &node->next[set->at];
    }
}

/* Nodes of a set of which the ways by a word are looked for together: what one way waits for the others wait for, too. */
#define SET_STEP_AT_ONCE 4u

struct set_word {
    const char *word;
    size_t len;
    uint64_t hash;
};

/* From the next few nodes of a set; returns the node behind them. */
static struct topic_node *set_step_some(const struct topic *topic, struct topic_node *node, unsigned at,
                                        const struct set_word *word, struct topic_set *to)
{
    uint64_t ways[SET_STEP_AT_ONCE] = {0};
    struct topic_node *first = node;
    unsigned count = 0;
    for (; node != NULL && count < SET_STEP_AT_ONCE; node = node->next[at]) {
        ways[count++] = node->words > 0 ? topic_ways_begin(&topic->ways, node, word->hash) : 0;
    }
    struct topic_node *end = node;
    count = 0;
    for (node = first; node != end; node = node->next[at], count++) {
        if (node->words > 0) {
            set_add(to, topic_ways_end(&topic->ways, ways[count], node, word->word, word->len));
        }
        set_add(to, node->one);
        if (node->by_many) {
            set_add(to, node);
        }
    }
    return end;
}

static void set_step(const struct topic *topic, const struct topic_set *from, const char *word, size_t word_len,
                     struct topic_set *to)
{
    struct set_word asked = {.word = word, .len = word_len, .hash = topic_word_hash(word, word_len)};
    struct topic_node *node = from->first;
    while (node != NULL) {
        node = set_step_some(topic, node, from->at, &asked, to);
    }
}

/* The first of them with something bound. The marks say at which place of the key they were: the last one. */
static struct topic_node *with_items(struct topic_node *node, unsigned at)
{
    while (node != NULL && list_empty(&node->items)) {
        node = node->next[at];
    }
    return node;
}

struct topic_node *topic_match(struct topic *topic, const char *key, size_t len)
{
    if (topic->root == NULL || len > TOPIC_LEN_MAX) {
        return NULL;
    }
    struct topic_words words = words_of(key, len);
    struct topic_set sets[2];
    unsigned at = 0;
    const char *word;
    size_t word_len;
    set_init(&sets[at], topic, at);
    set_add(&sets[at], topic->root);
    while (sets[at].first != NULL && words_next(&words, &word, &word_len)) {
        set_init(&sets[1 - at], topic, 1 - at);
        set_step(topic, &sets[at], word, word_len, &sets[1 - at]);
        at = 1 - at;
    }
    return with_items(sets[at].first, at);
}

struct topic_node *topic_match_next(const struct topic *topic, struct topic_node *node)
{
    unsigned at = node->mark[0] == topic->marks ? 0 : 1;
    return with_items(node->next[at], at);
}

struct topic_node *topic_find_exact(struct topic *topic, const char *key, size_t len)
{
    if (topic->root == NULL || len > TOPIC_LEN_MAX) {
        return NULL;
    }
    return topic_ways_find(&topic->ways, topic->root, key, len, topic_word_hash(key, len));
}
