/* Wishes: nodes that are to be taken out of the votes before they may have a copy of the state, and those that want to vote again. */

#include <inttypes.h>
#include <stdio.h>

#include "node/core/members_private.h"
#include "proto/base/fault.h"

/* What cannot be done now and nobody waits for is tried again after this time. */
#define MEMBERS_RETRY_MS 50u

/* ---- Nodes that are to be taken out of the votes ---- */

static struct members_wish *wish_find(struct members *members, uint64_t node)
{
    for (unsigned i = 0; i < MEMBERS_MAX; i++) {
        if (members->wishes[i].node == node) {
            return &members->wishes[i];
        }
    }
    return NULL;
}

static bool wish_pending(const struct members_wish *wish, uint64_t now_ms)
{
    return wish->node != 0 && now_ms < wish->until_ms;
}

bool members_try_wishes(struct members *members, uint64_t now_ms)
{
    if (now_ms < members->retry_ms) {
        return false;
    }
    members->retry_ms = 0;
    for (unsigned i = 0; i < MEMBERS_MAX; i++) {
        struct members_wish *wish = &members->wishes[i];
        const char *why;
        if (!wish_pending(wish, now_ms) || wish->err == 0) {
            continue;
        }
        wish->err = members_propose_own(members, DRIVER_DEMOTE, wish->node, now_ms, &why);
        if (wish->err == 0) {
            return true;
        }
        (void)snprintf(wish->why, sizeof wish->why, "%s", why);
        members->retry_ms = now_ms + MEMBERS_RETRY_MS;
    }
    return false;
}

/* ---- Nodes that want to vote again ---- */

static bool promote_wanted(struct members *members, const struct roster_node *known, uint64_t now_ms)
{
    const struct members_wish *wish = wish_find(members, known->id);
    return known->wants_vote && (wish == NULL || !wish_pending(wish, now_ms) || known->run != wish->run);
}

/* What it says next may have been said before it heard of that: somebody may have taken the vote away again by then. */
static void promote_again(struct members *members, struct roster_node *known, uint64_t now_ms)
{
    const char *why;
    int err = members_propose_own(members, DRIVER_PROMOTE, known->id, now_ms, &why);
    if (err != 0) {
        journal_debug(members->options.journal, "members", "node %" PRIu64 " is to vote again, but not yet: %s",
                      known->id, why);
        return;
    }
    known->returned_run = known->run;
    known->wants_vote = false;
}

void members_promote(struct members *members, struct roster *roster, uint64_t now_ms)
{
    struct driver_status status;
    if (members->current != NULL || members->waiting_len > 0 || fault_fires(FAULT_SKIP_PROMOTE)) {
        return;
    }
    driver_status(members->options.driver, &status);
    for (unsigned i = 0; i < roster->len && members->current == NULL; i++) {
        struct roster_node *known = &roster->nodes[i];
        const struct driver_status_member *member = members_find(&status, known->id);
        if (member != NULL && !member->voter && promote_wanted(members, known, now_ms)) {
            promote_again(members, known, now_ms);
        }
    }
}

/* ---- Nodes that ask for a copy ---- */

/* The place of the node's wish, made when it has none. NULL: others have all of them. */
static struct members_wish *wish_get(struct members *members, uint64_t node, uint64_t now_ms)
{
    struct members_wish *wish = wish_find(members, node);
    for (unsigned i = 0; i < MEMBERS_MAX && wish == NULL; i++) {
        wish = wish_pending(&members->wishes[i], now_ms) ? NULL : &members->wishes[i];
    }
    if (wish != NULL && (wish->node != node || !wish_pending(wish, now_ms))) {
        *wish = (struct members_wish){.node = node};
    }
    return wish;
}

static int admits_voter(struct members *members, struct members_wish *wish, struct rebuild_says *ret_says)
{
    if (wish->err == 0) { /* Not asked for yet, or made a voter again since. */
        wish->err = ERR_BUSY;
        (void)snprintf(wish->why, sizeof wish->why, "it is about to be");
        members->retry_ms = 1; /* Now. */
    }
    bool refused = wish->err == ERR_REFUSED;
    (void)snprintf(ret_says->why, sizeof ret_says->why,
                   refused ? "node %" PRIu64 " votes, and cannot be taken out of the votes: %s"
                           : "node %" PRIu64 " is being taken out of the votes first (%s)",
                   wish->node, wish->why);
    return refused ? ERR_REFUSED : ERR_BUSY;
}

/* The membership in force is the newest that is in the log: whether that is committed, and applied here. What is older of ours is
 * applied when we serve, and what is newer of ours we know. */
static bool membership_is_settled(const struct members *members, const struct driver_status *status)
{
    return status->change_index == 0 && status->applied_index >= members->last_index;
}

static int admits_not_yet(struct rebuild_says *ret_says)
{
    (void)snprintf(ret_says->why, sizeof ret_says->why, "a change of the membership is being committed");
    return ERR_BUSY;
}

static int tell_vote(const struct members *members, const struct driver_status *status,
                     const struct driver_status_member *member, struct rebuild_says *ret_says)
{
    if (!membership_is_settled(members, status)) {
        return admits_not_yet(ret_says);
    }
    ret_says->vote = member->voter ? REBUILD_VOTE_HAD : REBUILD_VOTE_NONE;
    (void)snprintf(ret_says->why, sizeof ret_says->why, "it is told first whether it votes");
    return ERR_BUSY;
}

int members_admits(struct members *members, const struct rebuild_asks *asks, uint64_t run, uint64_t now_ms,
                   struct rebuild_says *ret_says)
{
    struct driver_status status;
    driver_status(members->options.driver, &status);
    const struct driver_status_member *member = members_find(&status, asks->node);
    if (member == NULL) {
        (void)snprintf(ret_says->why, sizeof ret_says->why,
                       "node %" PRIu64 " is no member of this cluster: holdfast cluster add %" PRIu64 " --peer ...",
                       asks->node, asks->node);
        return ERR_NOT_FOUND;
    }
    if (asks->vote == REBUILD_VOTE_ASKED) {
        return tell_vote(members, &status, member, ret_says);
    }
    struct members_wish *wish = wish_get(members, asks->node, now_ms);
    if (wish == NULL) {
        (void)snprintf(ret_says->why, sizeof ret_says->why, "too many nodes are being taken out of the votes");
        return ERR_BUSY;
    }
    wish->until_ms = now_ms + MEMBERS_WISH_MS;
    wish->run = run;
    if (member->voter && !fault_fires(FAULT_SKIP_ADMIT_VOTER)) {
        return admits_voter(members, wish, ret_says);
    }
    wish->err = 0;
    if (!membership_is_settled(members, &status)) { /* It has to be the one that a copy is made with, too. */
        return admits_not_yet(ret_says);
    }
    ret_says->min_index = status.members_index;
    return 0;
}
