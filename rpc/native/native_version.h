/* What the cluster does not know yet: while nodes of an earlier build are members, the machine goes by earlier rules, under which it
 * takes newer commands for malformed and ignores newer fields. A client is to be told so instead. Pure. */

#ifndef HOLDFAST_RPC_NATIVE_NATIVE_VERSION_H
#define HOLDFAST_RPC_NATIVE_NATIVE_VERSION_H

#include <stdbool.h>

#include "rpc/gateway.h"

/* For people, with ERR_VERSION. */
#define NATIVE_VERSION_TEXT "the cluster does not support that yet: one of its nodes is of an earlier version"

/* Whether the rules that are in force know the encoded Command, with all its fields. True of one that is malformed: the machine
 * says so. */
bool native_version_known(struct gateway *gateway, struct slice command);

/* Whether version 1 of the rules knows the encoded Command, with all its fields. True of one that is malformed. */
bool native_version_one_knows(struct slice command);

/* The encoded Command that is refused with VERSION. It has no bodies. Static: no reference is needed. */
struct slice native_version_refused(void);

#endif
