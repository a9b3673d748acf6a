/* Whether the bodies of a publish are what its sender handed over, as they arrive. Pure.
 *
 * The hash of a body is made by the client's library when the application hands it over, and goes with it everywhere: it is
 * looked at here, when the command is carried out on each node, before a delivery leaves, and by the library that receives
 * it. Here it keeps what was damaged on the way out of the log: in its stead a small command is submitted under its number,
 * which stands for a refusal (Refused), so that the session's numbering has no hole. */

#ifndef HOLDFAST_RPC_NATIVE_NATIVE_HASH_H
#define HOLDFAST_RPC_NATIVE_NATIVE_HASH_H

#include <stdbool.h>

#include "proto/base/blob.h"

/* For people, with ERR_CHECKSUM. */
#define NATIVE_HASH_TEXT "a message body does not match the hash that its sender made of it: it was damaged since"

/* False: one of the bodies (with the head before it, where there are heads) does not match its hash. True also for what is no publish, or is not encoded as clients do it, or
 * has lengths that do not fit: the machine looks at all that by its own rules. Allocates nothing. */
bool native_hash_matches(struct slice command, struct slice bodies);

/* The encoded Command that is refused with CHECKSUM. It has no bodies. Static: no reference is needed. */
struct slice native_hash_refused(void);

#endif
