/* The roster: what the leader knows of the nodes that serve clients: when it last heard of each, of which process, and
 * whether it is short of anything. Other nodes keep none of it: a new leader begins with a grace of one timeout. */

#ifndef HOLDFAST_NODE_CORE_ROSTER_H
#define HOLDFAST_NODE_CORE_ROSTER_H

#include <stdbool.h>
#include <stdint.h>

#include "statemachine/machine.h"

/* What a node says is wrong with it, with its end. */
#define ROSTER_ALARM_LEN 256u

struct roster_node {
    uint64_t id;
    uint64_t run; /* Of the process that was heard; 0: none yet. */
    uint64_t heard_ms;
    uint64_t commands_ms; /* When it last sent commands; 0: never. */
    bool disk_low;        /* Or its disk does not answer. */
    bool memory_low;
    bool wants_vote;              /* It voted once, was repaired, and is to vote again. */
    bool returning;               /* It fetches a copy, and will be. */
    uint64_t returned_run;        /* The process that was given the vote back that it wanted: it wants no other. */
    uint32_t version;             /* The newest rules of the machine that it knows; 0: it has not said. */
    uint64_t version_run;         /* The process that said so. */
    char alarm[ROSTER_ALARM_LEN]; /* One line of UTF-8; "": nothing is wrong. */
    uint64_t repair_ms;           /* When it was last told that its data is not to be relied on; 0: never. */
    uint64_t follows_ms; /* When its log was last seen to move, or to hold all that was committed the time before. */
    uint64_t match_index;
    uint64_t commit_index;
    uint64_t asked_present; /* The run for which a NodePresent is under way. */
    uint64_t asked_lost;    /* The run for which a NodeLost is under way. */
};

/* Zero-initialise. */
struct roster {
    struct roster_node nodes[NODES_PRESENT_MAX];
    unsigned len;
    uint64_t due_ms; /* When to look, and as a follower to send, again. */
};

/* A leadership begins: nothing has been heard, and nobody is late. */
void roster_begin(struct roster *roster);

/* The record of a node, made when it is new: as heard at `now_ms`. NULL: there are NODES_PRESENT_MAX others. */
struct roster_node *roster_get(struct roster *roster, uint64_t node, uint64_t now_ms);
/* NULL when there is none. */
const struct roster_node *roster_find(const struct roster *roster, uint64_t node);
/* Forgets a node. Harmless when there is no record of it. */
void roster_forget(struct roster *roster, uint64_t node);

/* Keeps what a node says is wrong with it: as much of it as fits, without control characters, and what is UTF-8. */
void roster_set_alarm(struct roster_node *node, const char *text);

#endif
