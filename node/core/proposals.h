/* Entries that this leader has proposed and that are not applied yet, with who is to be answered for each command.
 *
 * An entry is ours only if it is applied under both the index and the term that it was proposed with: another leader
 * may have put another entry there (Raft §5.3). The driver's window bounds their number. */

#ifndef HOLDFAST_NODE_CORE_PROPOSALS_H
#define HOLDFAST_NODE_CORE_PROPOSALS_H

#include <stdint.h>

#include "proto/base/err.h"
#include "proto/base/list.h"

struct proposal {
    struct list_node node;
    uint64_t index;
    uint64_t term;
    uint32_t len;
    uint64_t links[]; /* By position in the entry: the link to answer; 0: nobody. */
};

struct proposals {
    struct list_node list; /* In order of index. */
};

void proposals_init(struct proposals *proposals);

/* A proposal of `len` commands that is not in the list yet; NULL when out of memory. The caller fills in the links and
 * then either records or frees it: room is made before the entry is proposed, so that recording cannot fail. */
struct proposal *proposal_new(uint32_t len);
void proposal_free(struct proposal *proposal);

/* Takes ownership. The index must be above those recorded. */
void proposals_record(struct proposals *proposals, struct proposal *proposal, uint64_t index, uint64_t term);

/* An entry is applied: takes out and returns the proposal for it, or NULL when the entry is not one of ours. Earlier
 * ones were superseded and are dropped. The caller frees it. */
struct proposal *proposals_take(struct proposals *proposals, uint64_t index, uint64_t term);

/* Leadership is lost: what became of them is for others to know. */
void proposals_clear(struct proposals *proposals);

#endif
