/* What version 1 of the machine sees of a command's header.
 *
 * A build that knew version 1 only skipped later kinds and fields without a look at what is in them. This one decodes them, and
 * would refuse what is malformed inside, or prefer a later kind to an earlier one: so under version 1 they are taken out first. Else
 * replicas of the two builds would not answer the same, whatever a client sends. */

#ifndef HOLDFAST_STATEMACHINE_VERSION_ONE_H
#define HOLDFAST_STATEMACHINE_VERSION_ONE_H

#include "proto/base/arena.h"
#include "proto/base/blob.h"
#include "proto/base/err.h"

/* The header without what version 1 does not know: the same one when it has none of that, or is malformed in a way that every
 * decoder refuses; otherwise a copy in the arena. ERR_NOMEM. */
int version_one_header(struct arena *arena, struct slice header, struct slice *ret_header) NODISCARD;

#endif
