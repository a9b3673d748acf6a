/* The nodes that are present: which process of each is there, and the sessions that are attached at it.
 *
 * Row 'N' node: u64 run. */

#ifndef HOLDFAST_STATEMACHINE_SESSION_PRESENCE_H
#define HOLDFAST_STATEMACHINE_SESSION_PRESENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/list.h"
#include "statemachine/store/rows.h"

struct machine;

struct presence {
    uint64_t node;
    uint64_t run;              /* Of its process. */
    struct list_node sessions; /* Attached there: by session->at_place. */
    uint64_t sessions_len;
    struct list_node by_node; /* In machine->presences, in order of node. */
    struct list_node changed; /* In machine->changed_presences. */
    bool stored;              /* A row for it is in the store or in a checkpoint. */
};

/* NULL when the node is not present. */
struct presence *presence_find(const struct machine *machine, uint64_t node);
/* NULL unless it is present with that run. */
struct presence *presence_of_run(const struct machine *machine, uint64_t node, uint64_t run);

/* Enters a node that is not present. ERR_NOMEM, ERR_LIMIT: NODES_PRESENT_MAX are. */
int presence_new(struct machine *machine, uint64_t node, uint64_t run, struct presence **ret_presence) NODISCARD;
/* Another process of the node is there now. Nothing may be attached. */
void presence_set_run(struct machine *machine, struct presence *presence, uint64_t run);
/* The process is over: detaches its sessions, with its effect. ERR_NOMEM. */
int presence_end_run(struct machine *machine, struct presence *presence) NODISCARD;
/* The node is not present any more. Nothing may be attached. */
void presence_free(struct machine *machine, struct presence *presence);
/* Frees it without any effect on the state, for closing; after its sessions. */
void presence_discard(struct presence *presence);

void presence_changed(struct machine *machine, struct presence *presence);

int presence_row(const struct presence *presence, struct row *row) NODISCARD;
/* Enters the node of a row. ERR_CORRUPT, ERR_VERSION, ERR_NOMEM. */
int presence_load(struct machine *machine, const struct row_key *key, struct slice value) NODISCARD;

#endif
