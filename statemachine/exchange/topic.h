/* The routing keys that something is bound with, as a trie of their words.
 *
 * A pattern is words between dots: `*` stands for one word, `#` for any number of them, none included. "" has no words; "." has
 * two empty ones. Among wildcards side by side only their number and whether there is a `#` count, so each such run is
 * kept in one order: that the runs can be written in many ways makes the trie no larger.
 *
 * A question visits each node at most once for every word of the key, and no node that its words do not lead to. */

#ifndef HOLDFAST_STATEMACHINE_EXCHANGE_TOPIC_H
#define HOLDFAST_STATEMACHINE_EXCHANGE_TOPIC_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "proto/base/list.h"
#include "statemachine/hash.h"

#define TOPIC_LEN_MAX 255u

/* A node and the way to it from its parent: a word, or a wildcard. Of many nodes none is in the processor's cache: what a question
 * looks at first begins a cache line, and a short word ends the next one. */
struct topic_node {
    struct topic_node *parent;
    uint64_t id;             /* Not used again in this trie. */
    struct topic_node *one;  /* Its child by `*`. */
    struct topic_node *many; /* Its child by `#`. */
    struct list_node items;  /* The owner's: what is bound with the pattern that ends here. */
    uint32_t words;          /* Children by words. */
    bool by_many;            /* It is its parent's `many`. */
    bool by_word;
    uint16_t word_len;
    /* Those that a key leads to so far are linked, words at even and at odd places apart: `#` stays while its followers go on. */
    uint64_t mark[2];
    struct topic_node *next[2];
    uint64_t way; /* Hash of parent and word: where it is in the table of children. */
    char word[];
};
#define TOPIC_NODE_ALIGNMENT 64u

/* Nodes that are children by words, by way: open addressing, at most half full, so that most questions that find nothing look at one
 * place. */
struct topic_ways {
    struct topic_way {
        uint64_t way;
        struct topic_node *node; /* NULL: free. */
    } * slots;
    size_t cap; /* A power of two, or 0. */
    size_t len;
};

struct topic {
    struct topic_node *root; /* NULL: nothing is bound. */
    struct topic_ways ways;
    uint64_t ids; /* Given out so far. */
    uint64_t marks;
};

/* Zeroed memory is an empty trie. Frees the nodes, whatever is bound. */
void topic_done(struct topic *topic);

/* The node of a pattern of at most TOPIC_LEN_MAX bytes, made if it is not there. Link something into its items, or drop
 * it. ERR_NOMEM. */
int topic_node(struct topic *topic, const char *pattern, size_t len, struct topic_node **ret_node) NODISCARD;

/* The same with the whole key as one word: no dots, no wildcards, as direct exchanges take it. */
int topic_node_exact(struct topic *topic, const char *key, size_t len, struct topic_node **ret_node) NODISCARD;

/* topic_ways.c. The way of a word from a node; its hash is that of topic_word_hash(). */
uint64_t topic_word_hash(const char *word, size_t len);
struct topic_node *topic_ways_find(const struct topic_ways *ways, const struct topic_node *parent, const char *word,
                                   size_t len, uint64_t word_hash);
/* The same in two steps, so that several ways can be waited for at once: where to look, which begins to be fetched; and looking. There
 * must be a way in the table. */
uint64_t topic_ways_begin(const struct topic_ways *ways, const struct topic_node *parent, uint64_t word_hash);
struct topic_node *topic_ways_end(const struct topic_ways *ways, uint64_t way, const struct topic_node *parent,
                                  const char *word, size_t len);
/* Enters a child that is not there. ERR_NOMEM. */
int topic_ways_add(struct topic_ways *ways, struct topic_node *child, uint64_t word_hash) NODISCARD;
void topic_ways_remove(struct topic_ways *ways, const struct topic_node *child);

/* Something has been taken out of the node's items: frees what leads to nothing any more. */
void topic_drop(struct topic *topic, struct topic_node *node);

/* The first node whose pattern the key (of at most TOPIC_LEN_MAX bytes) fits, NULL if there is none; then the next one.
 * Their order depends on what is bound and on nothing else. Nothing may be added or dropped in between. */
struct topic_node *topic_match(struct topic *topic, const char *key, size_t len);
struct topic_node *topic_match_next(const struct topic *topic, struct topic_node *node);

/* The node of topic_node_exact(), or NULL. */
struct topic_node *topic_find_exact(struct topic *topic, const char *key, size_t len);

#endif
