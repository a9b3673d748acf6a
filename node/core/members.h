/* The leader's part in changes of the membership: requests, one at a time; nodes that must be taken out of the votes before
 * they may have a copy of the state; and those that want to vote again.
 *
 * The driver says whether a change can be made (consensus/driver.h); what is asked for and cannot be made is answered at
 * once with its words. What is proposed is answered when it is committed and applied here; a promotion when the new voter
 * has stored it, too: until then it does not know that it votes, and an election that needs its vote would wait for it.
 *
 * Only a leader that serves steps this. What waits when its leadership ends is forgotten: whoever asked sees that, and asks
 * the next. */

#ifndef HOLDFAST_NODE_CORE_MEMBERS_H
#define HOLDFAST_NODE_CORE_MEMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/driver.h"
#include "node/core/rebuild_admission.h"
#include "node/core/roster.h"
#include "proto/base/journal.h"
#include "proto/base/list.h"

/* Requests of all nodes that wait. */
#define MEMBERS_REQUESTS_MAX 64u

/* A line for people, with its end. */
#define MEMBERS_TEXT_LEN 256u

/* After which a request is answered although it is not done. */
#define MEMBERS_WAIT_MS 10000u

/* For how long a node that asked for a copy of the state counts as one that waits to be taken out of the votes: longer than
 * between two of its questions. For as long it is not made a voter, either, unless it is heard of as another process since. */
#define MEMBERS_WISH_MS 10000u

struct members_options {
    struct driver *driver;
    struct journal *journal;
    const struct roster *roster; /* Who is being repaired. */
    uint64_t node;               /* This one. */
    void *arg;
    /* What `from` asked for under `id` is done (0), or not: then `detail` says why. Made from members_step() alone; it may call
     * members_ask(). */
    void (*answer)(void *arg, uint64_t from, uint64_t id, int err, const char *detail);
    /* An entry is wanted, be there commands or not: when it is committed this node led until then. */
    void (*tick)(void *arg);
};

struct members_request {
    struct list_node link;
    uint64_t from; /* 0: nobody asked, or it has been answered. */
    uint64_t id;
    struct driver_change change;
    char address[ADDRESS_LEN_MAX + 1];
    uint64_t deadline_ms;
    uint64_t index; /* The entry that must be applied. */
};

/* A voter that is to be taken out of the votes. */
struct members_wish {
    uint64_t node; /* 0: free. */
    uint64_t until_ms;
    uint64_t run; /* That was heard before it asked; 0: none. */
    int err;      /* Why it is not done yet, and in words. */
    char why[MEMBERS_TEXT_LEN];
};

struct members {
    struct members_options options;
    struct list_node waiting; /* struct members_request. */
    unsigned waiting_len;
    struct members_request *current; /* Proposed, and not applied. */
    uint64_t last_index;             /* Of the last change of this leadership, or of an earlier one that it met. */
    struct members_wish wishes[MEMBERS_MAX];
    uint64_t retry_ms; /* When wishes are tried again. */
};

void members_init(struct members *members, const struct members_options *options);
void members_done(struct members *members);

/* A leadership begins or ends: forgets everything. */
void members_begin(struct members *members);

/* A request, to be answered later. Asked twice under one number it is one. The kind may be any number, and the address any text
 * of at most ADDRESS_LEN_MAX bytes. ERR_BUSY: too many wait. ERR_NOMEM. */
int members_ask(struct members *members, uint64_t from, uint64_t id, const struct driver_change *change,
                uint64_t now_ms) NODISCARD;

/* Does what can be done now. Whether anything was done. */
bool members_step(struct members *members, uint64_t now_ms);
/* When members_step() is due again at the latest; UINT64_MAX: when something happens. */
uint64_t members_deadline_ms(const struct members *members);

/* To be called now and then: makes voters of nodes that want to vote and have caught up, when nothing else is to be done. */
void members_promote(struct members *members, struct roster *roster, uint64_t now_ms);

/* A node that has nothing it may count on, and was last heard of as the process `run` (0: never), asks for a copy of the state. 0: it
 * may have one that holds at least the entry ret_says->min_index: it does not vote in the membership that is applied there.
 * ERR_BUSY: not yet, ret_says->why says what is done about it; or it asked whether it votes, and ret_says->vote says that.
 * ERR_REFUSED: it must vote. ERR_NOT_FOUND: it is no member. */
int members_admits(struct members *members, const struct rebuild_asks *asks, uint64_t run, uint64_t now_ms,
                   struct rebuild_says *ret_says) NODISCARD;

#endif
