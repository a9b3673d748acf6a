/* What must hold of the nodes at every moment: one leader a term, one entry an index, one state an index, and no word
 * taken back across a crash. (Raft, Figure 3.2: election safety, log matching, leader completeness, state machine
 * safety.) */

#ifndef HOLDFAST_CHAOS_SIM_CHECKER_H
#define HOLDFAST_CHAOS_SIM_CHECKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim_world;
struct sim_node;

/* What the first node to get there found at an index. */
struct sim_entry {
    uint64_t term;         /* 0: not applied anywhere yet. */
    uint64_t applied_term; /* The term of the node that applied it first: it was committed in that term or before. */
    uint64_t hash;
    uint64_t running_digest;
    uint64_t full_digest;
    bool has_running;
    bool has_full;
};

struct sim_checker {
    struct sim_entry *entries; /* By index. */
    size_t entries_cap;
    uint64_t applied_max;
    uint64_t sessions_index; /* Up to there sessions have been looked at. */
    uint64_t *leaders;       /* By term: the node's id, or 0. */
    size_t leaders_cap;
    uint64_t *candidates; /* By term: a node that stood for election in it, or 0. */
    size_t candidates_cap;
};

void sim_checker_done(struct sim_checker *checker);
/* After each frame of consensus that a node received: its term may have changed. */
void sim_checker_received(struct sim_node *node);
/* After each turn of a node. */
void sim_checker_turn(struct sim_node *node);
/* Before a crash: remembers what the node has promised. After a restart: holds it to that. */
void sim_checker_crash(struct sim_node *node);
void sim_checker_restart(struct sim_node *node);
/* It has given up what it said, to begin anew with a copy. */
void sim_checker_discarded(struct sim_node *node);
/* Compares the digests of whole states. */
void sim_checker_digest(struct sim_node *node);
/* At the end: all nodes are equal, and all queues empty. */
void sim_checker_end(struct sim_world *world);

#endif
