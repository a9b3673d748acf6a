/* What the files of members.h share. */

#ifndef HOLDFAST_NODE_CORE_MEMBERS_PRIVATE_H
#define HOLDFAST_NODE_CORE_MEMBERS_PRIVATE_H

#include "node/core/members.h"

/* A member as the driver knows it; NULL: it is none. */
const struct driver_status_member *members_find(const struct driver_status *status, uint64_t node);

/* Proposes what nobody has asked for. Not 0: it cannot be done now, `*ret_why` (a literal, or the driver's) says why. */
int members_propose_own(struct members *members, enum driver_change_kind kind, uint64_t node, uint64_t now_ms,
                        const char **ret_why) NODISCARD;

/* Tries to take each node out of the votes that is to be, until one change is proposed. Whether one was. */
bool members_try_wishes(struct members *members, uint64_t now_ms);

#endif
