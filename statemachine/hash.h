/* uthash as this room uses it: XXH3 for the keys, and no exit() when memory runs out. */

#ifndef HOLDFAST_STATEMACHINE_HASH_H
#define HOLDFAST_STATEMACHINE_HASH_H

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "proto/base/check.h"

/* Apply cannot go on without memory, and half an entry must not stay: the process ends and starts again from its log.
 */
#define uthash_fatal(message) check_failed(message, __FILE__, __LINE__)
#define HASH_FUNCTION(key, key_len, hash) ((hash) = (unsigned)XXH3_64bits((key), (key_len)))
#include <uthash.h>

#endif
