/* The list of entries in flight. */

#include "node/core/proposals.h"

#include <stdlib.h>

#include "proto/base/check.h"

void proposals_init(struct proposals *proposals)
{
    list_init(&proposals->list);
}

struct proposal *proposal_new(uint32_t len)
{
    struct proposal *proposal = calloc(1, sizeof *proposal + len * sizeof proposal->links[0]);
    if (proposal != NULL) {
        list_init(&proposal->node);
        proposal->len = len;
    }
    return proposal;
}

void proposal_free(struct proposal *proposal)
{
    free(proposal);
}

static struct proposal *proposals_first(struct proposals *proposals)
{
    struct list_node *node = list_first(&proposals->list);
    return node == NULL ? NULL : container_of(node, struct proposal, node);
}

void proposals_record(struct proposals *proposals, struct proposal *proposal, uint64_t index, uint64_t term)
{
    if (!list_empty(&proposals->list)) {
        CHECK(container_of(proposals->list.prev, struct proposal, node)->index < index);
    }
    proposal->index = index;
    proposal->term = term;
    list_push_back(&proposals->list, &proposal->node);
}

struct proposal *proposals_take(struct proposals *proposals, uint64_t index, uint64_t term)
{
    for (;;) {
        struct proposal *proposal = proposals_first(proposals);
        if (proposal == NULL || proposal->index > index) {
            return NULL;
        }
        list_remove(&proposal->node);
        if (proposal->index == index && proposal->term == term) {
            return proposal;
        }
        proposal_free(proposal);
    }
}

void proposals_clear(struct proposals *proposals)
{
    struct proposal *proposal;
    while ((proposal = proposals_first(proposals)) != NULL) {
        list_remove(&proposal->node);
        proposal_free(proposal);
    }
}
