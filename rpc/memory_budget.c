/* Sharing memory among connections. */

#include "rpc/memory_budget.h"

#include "proto/base/check.h"

void memory_budget_init(struct memory_budget *budget, uint64_t limit)
{
    *budget = (struct memory_budget){.limit = limit};
    list_init(&budget->waiters);
}

/* One alone may be larger than the limit: it must not wait for ever. */
static bool budget_fits(const struct memory_budget *budget, uint64_t len)
{
    return budget->holders == 0 || (budget->used <= budget->limit && len <= budget->limit - budget->used);
}

static void claim_hold(struct memory_claim *claim)
{
    claim->state = MEMORY_CLAIM_HELD;
    claim->budget->used += claim->len;
    claim->budget->holders++;
}

static void budget_grant(struct memory_budget *budget)
{
    for (struct list_node *node = list_first(&budget->waiters); node != NULL; node = list_first(&budget->waiters)) {
        struct memory_claim *claim = container_of(node, struct memory_claim, node);
        if (!budget_fits(budget, claim->len)) {
            return; /* Those behind it wait as well, or a large one would never get its turn. */
        }
        list_remove(node);
        claim_hold(claim);
        claim->granted(claim);
    }
}

void memory_budget_add(struct memory_budget *budget, uint64_t len)
{
    budget->used += len;
}

void memory_budget_remove(struct memory_budget *budget, uint64_t len)
{
    CHECK(len <= budget->used);
    budget->used -= len;
    budget_grant(budget);
}

bool memory_budget_over(const struct memory_budget *budget)
{
    return budget->used > budget->limit;
}

bool memory_budget_pressed(const struct memory_budget *budget)
{
    return budget->used > budget->limit / 2;
}

bool memory_budget_fits(const struct memory_budget *budget, uint64_t len)
{
    return list_empty(&budget->waiters) && budget_fits(budget, len);
}

void memory_budget_hold(struct memory_budget *budget)
{
    budget->holders++;
}

void memory_budget_unhold(struct memory_budget *budget)
{
    CHECK(budget->holders > 0);
    budget->holders--;
    budget_grant(budget);
}

void memory_claim_init(struct memory_claim *claim, struct memory_budget *budget,
                       void (*granted)(struct memory_claim *claim))
{
    *claim = (struct memory_claim){.budget = budget, .granted = granted};
    list_init(&claim->node);
}

bool memory_claim_take(struct memory_claim *claim, uint64_t len)
{
    struct memory_budget *budget = claim->budget;
    if (budget == NULL || claim->state == MEMORY_CLAIM_HELD) {
        return true;
    }
    if (claim->state == MEMORY_CLAIM_WAITING) {
        return false;
    }
    claim->len = len;
    if (memory_budget_fits(budget, len)) {
        claim_hold(claim);
        return true;
    }
    claim->state = MEMORY_CLAIM_WAITING;
    list_push_back(&budget->waiters, &claim->node);
    return false;
}

void memory_claim_release(struct memory_claim *claim)
{
    enum memory_claim_state state = claim->state;
    claim->state = MEMORY_CLAIM_IDLE;
    if (state == MEMORY_CLAIM_HELD) {
        claim->budget->holders--;
        memory_budget_remove(claim->budget, claim->len);
    } else if (state == MEMORY_CLAIM_WAITING) {
        list_remove(&claim->node);
        budget_grant(claim->budget); /* One behind it may fit where it did not. */
    }
}
