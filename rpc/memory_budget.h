/* Memory that many connections share: a limit, what is taken of it, and who waits for room, in order. Pure.
 *
 * A connection's own bound times the number of connections is more than a machine has; this is the bound of all of them
 * together. Who claims before allocating waits while there is no room; what is there already and cannot wait is counted
 * only, and memory_budget_over() and memory_budget_pressed() tell when it is much. Claims are for what is large. One of
 * them is granted in any case: what is only counted may exceed the limit for as long as others like, and one large frame
 * after the other must get through. */

#ifndef HOLDFAST_RPC_MEMORY_BUDGET_H
#define HOLDFAST_RPC_MEMORY_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/list.h"

/* Must outlive its claims that wait or hold something. */
struct memory_budget {
    uint64_t limit; /* In bytes. */
    uint64_t used;
    unsigned holders;         /* Claims that are held, and what memory_budget_hold() counted. */
    struct list_node waiters; /* Claims, oldest first. */
};

enum memory_claim_state { MEMORY_CLAIM_IDLE, MEMORY_CLAIM_WAITING, MEMORY_CLAIM_HELD };

/* One claim; the caller's struct. */
struct memory_claim {
    struct memory_budget *budget; /* NULL: everything is granted. */
    enum memory_claim_state state;
    uint64_t len; /* While it waits or holds. */
    struct list_node node;
    /* What it waited for is its own now. Called from within the calls that make room for others: it only takes note. */
    void (*granted)(struct memory_claim *claim);
};

void memory_budget_init(struct memory_budget *budget, uint64_t limit);

/* Counts bytes, over the limit too. */
void memory_budget_add(struct memory_budget *budget, uint64_t len);
/* Those are gone; the claims that fit now are granted, in their order. */
void memory_budget_remove(struct memory_budget *budget, uint64_t len);

bool memory_budget_over(const struct memory_budget *budget);
/* More than half of it is taken: who could do with less, should. */
bool memory_budget_pressed(const struct memory_budget *budget);
/* Whether a claim of `len` bytes would be granted at once. */
bool memory_budget_fits(const struct memory_budget *budget, uint64_t len);

/* What was a claim is counted now, and still large: another one is not granted for its sake. */
void memory_budget_hold(struct memory_budget *budget);
void memory_budget_unhold(struct memory_budget *budget);

void memory_claim_init(struct memory_claim *claim, struct memory_budget *budget,
                       void (*granted)(struct memory_claim *claim));

/* Takes `len` bytes: true when the claim holds them. Otherwise it waits, behind those that came before, and granted()
 * follows; asking again is harmless. A claim over the limit is granted when there is no other holder. */
bool memory_claim_take(struct memory_claim *claim, uint64_t len);

/* Gives back what it holds, or waits no more. Harmless when it does neither. */
void memory_claim_release(struct memory_claim *claim);

#endif
