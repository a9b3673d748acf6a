/* For tests of the membership: changes that are asked of a node of three, and what became of them. */

#ifndef HOLDFAST_NODE_TEST_MEMBERS_FIXTURE_H
#define HOLDFAST_NODE_TEST_MEMBERS_FIXTURE_H

#include <stdbool.h>

#include "node/core/gateway.h"
#include "node/core/members.h"
#include "three_nodes.h"

struct asked {
    struct gateway_change change;
    unsigned calls;
    int err;
    char detail[MEMBERS_TEXT_LEN];
    bool asking; /* The call that asks has not returned. */
};

struct gateway_core *core_of(struct three_node *node);

/* Asks a node for a change; the address of one that is added is "node:NUMBER". */
void ask_change(struct three_node *at, struct asked *asked, enum gateway_change_kind kind, uint64_t node);
/* It has been answered, once, with that; `part` is in the words, of which there are none when all is well. */
void expect_answer(const struct asked *asked, int err, const char *part);

/* Asks until it is done: what must be first passes. */
void make_change(struct three *three, struct three_node *at, enum gateway_change_kind kind, uint64_t node);

/* A node asks for a copy of the state, since its log is damaged: what the other says to that. */
int ask_copy(struct three_node *at, uint64_t node, uint64_t *index, uint64_t *leader, char detail[256]);

/* "voter", "learner", or "" for none, as the node has it. */
const char *standing_of(struct three_node *at, uint64_t node);
/* The same at all nodes that run. */
void expect_standing(struct three *three, uint64_t node, const char *what);

#endif
