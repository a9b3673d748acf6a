/* Bytes that are shared without being copied: a counted buffer (blob) and a part of one (slice).
 *
 * A frame is read from a socket into one blob; the entries in it, the log's cache, the writer's vectors, the messages of
 * a queue and the deliveries to a consumer are all slices of that blob. Counts are not atomic: references are taken and
 * dropped on the loop's thread only. Another thread may read the bytes while somebody on the loop holds a reference. */

#ifndef HOLDFAST_PROTO_BASE_BLOB_H
#define HOLDFAST_PROTO_BASE_BLOB_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"

struct blob {
    uint32_t refs;
    size_t len;
    _Alignas(16) uint8_t data[];
};

/* A new blob of `len` bytes, not zeroed, with one reference. NULL when out of memory. */
struct blob *blob_new(size_t len) NODISCARD;

/* Makes a blob longer or shorter, which nobody else has a reference to; what is added is not zeroed. The blob that has taken its place; NULL
 * when out of memory: it is as it was. */
struct blob *blob_resize(struct blob *blob, size_t len) NODISCARD;

/* Takes one more reference; returns its argument. */
struct blob *blob_ref(struct blob *blob);

/* Takes as many more. */
void blob_ref_many(struct blob *blob, size_t count);

/* Drops a reference and frees the blob with the last one. NULL is allowed. */
void blob_unref(struct blob *blob);

/* A run of bytes, usually within a blob. `blob` may be NULL for bytes that live elsewhere (and then outlive the slice).
 * A slice owns a reference only where its holder says so. */
struct slice {
    struct blob *blob;
    const uint8_t *data;
    size_t len;
};

/* The slice of the whole blob; borrows. */
struct slice slice_of_blob(struct blob *blob);

/* The part [offset, offset + len) of `slice`, which must lie within it; borrows. */
struct slice slice_part(struct slice slice, size_t offset, size_t len);

/* Takes a reference to the blob behind the slice; returns its argument. */
struct slice slice_ref(struct slice slice);

/* Drops the slice's reference and empties it. */
void slice_unref(struct slice *slice);

/* A new blob holding a copy of the bytes. */
int slice_copy(const void *data, size_t len, struct slice *ret_slice) NODISCARD;

#endif
