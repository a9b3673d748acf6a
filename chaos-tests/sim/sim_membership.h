/* An operator who changes the membership while things go wrong: adds nodes, promotes, demotes, removes and replaces them, and asks
 * for repairs. What is refused, or whose outcome is unknown, is asked for again, at any node. */

#ifndef HOLDFAST_CHAOS_SIM_MEMBERSHIP_H
#define HOLDFAST_CHAOS_SIM_MEMBERSHIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc/gateway.h"
#include "sim_random.h"

struct sim_world;

enum sim_member_step {
    SIM_MEMBER_START, /* A node that is new, with an empty directory. */
    SIM_MEMBER_ADD,   /* These four as in gateway_change. */
    SIM_MEMBER_PROMOTE,
    SIM_MEMBER_DEMOTE,
    SIM_MEMBER_REMOVE,
    SIM_MEMBER_WIPE, /* The node and its directory are lost. */
    SIM_MEMBER_REPAIR,
    SIM_MEMBER_AWAIT, /* Until it votes. */
};

#define SIM_MEMBER_STEPS_MAX 8u

struct sim_membership {
    struct sim_random random;
    unsigned plans; /* Still to be carried out. */
    struct sim_member_plan {
        enum sim_member_step step;
        unsigned node;
    } steps[SIM_MEMBER_STEPS_MAX]; /* Of the present one. */
    unsigned steps_len;
    unsigned at;
    uint64_t began_us;    /* With the present step. */
    uint64_t repair_life; /* Of the node that was last to be repaired, when that was ordered. */

    struct gateway_change change; /* While it is asked for, */
    bool asking;
    unsigned asked;      /* at this node, */
    uint64_t asked_life; /* in that life. */
    bool answered;
    int err;
    char detail[256];
};

/* Whether this world's membership changes. */
void sim_membership_init(struct sim_world *world);
/* Whether the operator has nothing left to do; `why` gets a line if not. */
bool sim_membership_done(const struct sim_world *world, char *why, size_t why_len);

#endif
