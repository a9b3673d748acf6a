/* When the body of a message is copied on its way to a client, rather than referred to.
 *
 * A body is a part of something larger: the entry of the log that brought it, with the messages of others in it. What waits for a client
 * that does not read must not keep all that in memory: it keeps the body itself when that is most of what it is a part of, and a copy
 * otherwise. Copying what is short is cheaper than another vector besides. */

#ifndef HOLDFAST_RPC_BODY_COPY_H
#define HOLDFAST_RPC_BODY_COPY_H

#include <stdbool.h>

#include "proto/base/blob.h"

/* A body of at most this length is copied in any case. */
#define BODY_SHORT_LEN 1024u

/* One that is less than this part of its blob is copied. So the memory that is kept is below so many times the bytes that count. */
#define BODY_PART 4u

static inline bool body_is_copied(struct slice body)
{
    return body.len <= BODY_SHORT_LEN || (body.blob != NULL && body.len < (body.blob->len + BODY_PART - 1) / BODY_PART);
}

#endif
