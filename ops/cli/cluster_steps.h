/* Steps of changing the members: each waits until it is done, says what it waits for, and can be taken again. */

#ifndef HOLDFAST_OPS_CLI_CLUSTER_STEPS_H
#define HOLDFAST_OPS_CLI_CLUSTER_STEPS_H

#include "cli.h"
#include "cluster_view.h"

/* For how long a step waits when nothing moves, without --timeout. */
#define STEPS_TIMEOUT_MS 60000u

/* For how long the members are looked at in passing. */
#define STEPS_LOOK_MS 1000u

struct steps {
    struct hf *hf;
    const char *command;   /* For messages; borrowed. */
    const struct cli *cli; /* Borrowed. */
    uint64_t patience_ms;
    uint64_t moved_ms;          /* When something was last seen to move. */
    uint64_t look_ms;           /* When to look what is waited for, */
    uint64_t said_ms;           /* and when that was said last. */
    uint64_t behind;            /* Entries that a node to be promoted lacked when it lacked fewest. */
    char copy[VIEW_DETAIL_LEN]; /* What it said of itself. */
    char said[400];
    char detail[400]; /* Why the last step was not done. */
};

/* Opens the client; on failure says why and returns an exit code. */
int steps_open(const struct cli *cli, const char *command, struct steps *ret_steps);
void steps_close(struct steps *steps);

/* Looks at the members, turns to their leader, and says when none is known. An error has been told; the exit code for it, then, else 0. */
int steps_look(struct steps *steps, struct view *ret_view);

/* Where other nodes are to reach a new member must not be where clients reach one. When it is, that has been told; the exit code
 * for it, then, else 0. */
int steps_check_peer(const struct steps *steps, const struct view *view, uint64_t node, const char *address);

/* Makes a change, and waits until it is done: what must be first is waited for, and a promotion for the node to catch up, for as
 * long as it does. 0, or an error that nobody has been told; steps->detail has words for it. */
int steps_change(struct steps *steps, enum client_change change, uint64_t node, const char *address) NODISCARD;

/* Says on standard error, after a change that took a vote away, when two voters are left, or fewer than `had`. */
void steps_warn_of_votes(struct steps *steps, unsigned had);

/* Says why a step of `node` failed; the exit code. */
int steps_fail(const struct steps *steps, uint64_t node, int err);

#endif
