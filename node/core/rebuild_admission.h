/* What a patient (patient.h) says when it asks for a copy of the state, and what the leader says to that.
 *
 * A vote that is taken away for a copy is given back afterwards: but only one that the node had. What the node itself knows of that
 * may be old: an operator may have taken the vote away while it was down, or it was never a voter. So the leader tells it before
 * anything is done about its vote, as of an entry that is committed and applied, and it notes that durably (repair_mark.h). Only
 * then does it ask again, and only then may the leader take its vote away: from then on nobody could tell any more.
 *
 * One that loses what it had noted, in the middle of that, is told the same again by the leader that took its vote; after a change of
 * the leader as well it comes back without, and an operator promotes it.
 *
 * Earlier programs say nothing of it, and count on what they know themselves. */

#ifndef HOLDFAST_NODE_CORE_REBUILD_ADMISSION_H
#define HOLDFAST_NODE_CORE_REBUILD_ADMISSION_H

#include <stdint.h>

/* As the wire has it (RebuildVote). */
enum rebuild_vote {
    REBUILD_VOTE_UNSAID,
    REBUILD_VOTE_ASKED, /* A patient: it is to be told. */
    REBUILD_VOTE_HAD,   /* It has a vote, or had one until it was taken away for a copy. */
    REBUILD_VOTE_NONE,  /* It has none. */
};

#define REBUILD_WHY_LEN 400u

struct rebuild_asks {
    uint64_t node;
    const char *reason; /* What is wrong with its data; "": it is new. */
    enum rebuild_vote vote;
};

struct rebuild_says {
    uint64_t min_index;        /* 0: it may have a copy that holds at least this entry. */
    uint64_t leader;           /* With ERR_NOT_LEADER: who is to be asked; 0: not known. */
    enum rebuild_vote vote;    /* With ERR_BUSY, to one that asked: HAD or NONE; UNSAID: not now. */
    char why[REBUILD_WHY_LEN]; /* One line for people, with every error. */
};

#endif
