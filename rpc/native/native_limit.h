/* The limit of a message body: what is over it, what goes into the log in its place, and the words for people. Pure;
 * shared by node and client.
 *
 * A command over the limit keeps its place in the session's numbering: in its stead a small one is submitted under its
 * number, which the machine refuses as TOO_BIG by its own rules and remembers as the answer to that number. So there is
 * no hole, and the answer is the same after any failover, whatever limit another node has. */

#ifndef HOLDFAST_RPC_NATIVE_NATIVE_LIMIT_H
#define HOLDFAST_RPC_NATIVE_NATIVE_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/blob.h"

/* Room for the words. */
#define NATIVE_LIMIT_TEXT_LEN 160u

/* `limit` with 0, and what is above BODY_LEN_MAX, taken for BODY_LEN_MAX. */
uint64_t native_limit_of(uint64_t limit);

/* Whether a command is over the limit: its bodies of `bodies_len` bytes are more than COMMAND_BODIES_LEN_MAX together,
 * or one of them is longer than `limit`. Looks into the encoded Command only when a body could be. */
bool native_limit_exceeded(struct slice command, size_t bodies_len, uint64_t limit);

/* The longest body that an encoded Command announces in a Publish; 0 when there is none. Takes whatever protobuf takes;
 * of a malformed command (which the machine refuses) what comes before the fault. Allocates nothing. */
uint64_t native_limit_longest(struct slice command);

/* The encoded Command that the machine refuses as TOO_BIG. It has no bodies. Static: no reference is needed. */
struct slice native_limit_refused(void);

/* One line that names the limit, for ERR_TOO_BIG. */
void native_limit_text(uint64_t limit, char out[NATIVE_LIMIT_TEXT_LEN]);

#endif
