/* Digests: whether the machines of all replicas still agree.
 *
 * The machine has a running digest of everything it has applied and of what came of it. Replicas that have applied the same
 * entries have the same one; once two differ they differ for ever. So every node notes its own at entries that are the same
 * on all nodes (the first at or after each multiple of DIGESTS_EVERY), and at the last one when the log stands still, tells
 * the others, and compares at every entry of which it knows both sides.
 *
 * What a majority of the voters has is right, since that is what the cluster's clients have been told:
 *  - It is not what we have: we have diverged, and must not go on with this state.
 *  - It is what we have: who has something else is named, for operators, and counts no more until it agrees again.
 *  - Two voters differ and there is no majority for either, since others are down: nobody knows who is right. Then we are
 *    divided, and must not serve until one more tells. Only after a grace, in which what the others have may still arrive.
 * What learners have is judged, but does not count.
 *
 * Only entries that are committed are applied, so what was noted never becomes untrue; that is why it may be compared with
 * something that comes much later, and why an entry that was compared once with a result needs no second look. What goes into
 * the digest is part of the machine's rules: it may change only together with the machine's version.
 *
 * The same is done with digests of the machine's state, at entries where all take them (digests_note()).
 *
 * Pure, and bounded: DIGESTS_KEPT entries of each member. A node that is further behind is not compared at what the others
 * do not keep any more, and is again when it has come near. */

#ifndef HOLDFAST_NODE_CORE_DIGESTS_H
#define HOLDFAST_NODE_CORE_DIGESTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/limits.h"

/* The digest is noted at the first entry at or after each multiple of this index. */
#define DIGESTS_EVERY 256u
/* Entries that are remembered of each node. */
#define DIGESTS_KEPT 64u
/* Of the last entries we know our digest whatever their index, for what others say when the log stands still. */
#define DIGESTS_RECENT 256u
/* With nothing applied for so long, the log stands still. */
#define DIGESTS_IDLE_MS 1000u
/* For so long a difference may wait for what others have, before we are divided. */
#define DIGESTS_GRACE_MS 2500u

struct digest_point {
    uint64_t index; /* 0: none. */
    uint64_t running;
};

/* The last ones, in the order in which they came; a ring. */
struct digest_points {
    struct digest_point items[DIGESTS_KEPT];
    unsigned next;
};

struct digests_node {
    uint64_t id;
    uint64_t equal_at;   /* Where it last agreed with a majority that we belong to; 0: not yet. */
    uint64_t differs_at; /* And where it first differed since; 0: it does not. */
    struct digest_points points;
    struct digest_point
        latest; /* What it applied last, as it said: to be compared with ours when we get there; index 0: done. */
    uint64_t proven_at;  /* Up to where its digest is known to be ours. */
    uint64_t doubted_at; /* And where it was seen to be another one since; 0: nowhere. */
    uint64_t judged;     /* Bits of `points`: nothing more can come of it. */
};

struct digests_member {
    uint64_t id;
    bool voter;
};

struct digests {
    uint64_t node; /* Ourselves. */
    uint64_t applied_index;
    uint64_t applied_running;
    uint64_t applied_ms;
    struct digest_points own;
    uint64_t own_last; /* The newest index in `own`. */
    struct digest_point recent[DIGESTS_RECENT];
    struct digests_node others[MEMBERS_MAX];
    unsigned others_len;
    struct digests_member members[MEMBERS_MAX]; /* As of digests_members(). */
    unsigned members_len;
    uint64_t equal_at;    /* Where we last had what a majority has; 0: not yet. */
    uint64_t diverged_at; /* Where a majority has something else; 0: nowhere. */
    uint64_t open_at;     /* Where voters differ, and it is not known who is right; 0: nowhere. */
    uint64_t open_ms;     /* Since when. */
    bool divided;
    char text[320]; /* What is wrong, in one line; "" when nothing is known to be. */
};

/* Of the machine as it is when it was opened: what it has applied, and its running digest. */
void digests_init(struct digests *digests, uint64_t node, uint64_t applied_index, uint64_t running, uint64_t now_ms);

/* The entry has been applied, and this is the machine's running digest since. */
void digests_applied(struct digests *digests, uint64_t index, uint64_t running, uint64_t now_ms);

/* Instead, of an entry that is noted in any case. */
void digests_note(struct digests *digests, uint64_t index, uint64_t running);

/* Another member's digest. Harmless when it was told before. */
void digests_heard(struct digests *digests, uint64_t node, uint64_t index, uint64_t running);

/* What another member applied last. It is compared with ours there, and with nobody else's: so soon, and seldom at an entry at
 * which others say something too. */
void digests_heard_latest(struct digests *digests, uint64_t node, uint64_t index, uint64_t running);

/* Whether a majority of the voters among these, ourselves included if we vote, are known to have had what we had at that entry or
 * at a later one: digests that differ once differ for ever. Known since digests_init(), not before. */
bool digests_proven(const struct digests *digests, const struct digests_member *members, unsigned members_len,
                    uint64_t index);

/* Whether one of the voters among these was last seen to have something else than we, where it is not known that a majority
 * has what we have. */
bool digests_doubted(const struct digests *digests, const struct digests_member *members, unsigned members_len);

/* The membership is another one. What a voter said before its vote was taken counts no more: a node that is repaired has another
 * state afterwards, and at an entry that only it speaks of nobody could say who is right. What it still has it tells again. To be
 * called for every change; digests_judge() does it too. */
void digests_members(struct digests *digests, const struct digests_member *members, unsigned members_len);

/* When the log stands still, notes where. */
void digests_note_idle(struct digests *digests, uint64_t now_ms);

/* The last ones noted, at most `max`, of ascending index. Returns how many. */
size_t digests_told(const struct digests *digests, struct digest_point *ret_points, size_t max);

/* Compares what is known among these members; forgets who is none of them. Afterwards `diverged_at`, `divided` and `text`
 * say what is the matter. */
void digests_judge(struct digests *digests, const struct digests_member *members, unsigned members_len,
                   uint64_t now_ms);

/* Whether our state may be wrong: nobody may be served from it, and nothing be confirmed. */
static inline bool digests_unsure(const struct digests *digests)
{
    return digests->divided || digests->diverged_at != 0;
}

#endif
