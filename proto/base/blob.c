/* Counted buffers. */

#include "proto/base/blob.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/base/fault.h"

struct blob *blob_new(size_t len)
{
    if (len > SIZE_MAX - sizeof(struct blob) || fault_fires(FAULT_ALLOCATION)) {
        return NULL;
    }
    struct blob *blob = malloc(sizeof *blob + len);
    if (blob == NULL) {
        return NULL;
    }
    blob->refs = 1;
    blob->len = len;
    return blob;
}

struct blob *blob_resize(struct blob *blob, size_t len)
{
    CHECK(blob->refs == 1);
    if (len > SIZE_MAX - sizeof(struct blob) || fault_fires(FAULT_ALLOCATION)) {
        return NULL;
    }
    struct blob *resized = realloc(blob, sizeof *blob + len);
    if (resized != NULL) {
        resized->len = len;
    }
    return resized;
}

struct blob *blob_ref(struct blob *blob)
{
    CHECK(blob->refs > 0 && blob->refs < UINT32_MAX);
    blob->refs++;
    return blob;
}

void blob_ref_many(struct blob *blob, size_t count)
{
    CHECK(blob->refs > 0 && count < UINT32_MAX - blob->refs);
    blob->refs += (uint32_t)count;
}

void blob_unref(struct blob *blob)
{
    if (blob == NULL) {
        return;
    }
    CHECK(blob->refs > 0);
    if (--blob->refs == 0) {
        free(blob);
    }
}

struct slice slice_of_blob(struct blob *blob)
{
    return (struct slice){.blob = blob, .data = blob->data, .len = blob->len};
}

struct slice slice_part(struct slice slice, size_t offset, size_t len)
{
    CHECK(offset <= slice.len && len <= slice.len - offset);
    return (struct slice){.blob = slice.blob, .data = slice.data + offset, .len = len};
}

struct slice slice_ref(struct slice slice)
{
    if (slice.blob != NULL) {
        blob_ref(slice.blob);
    }
    return slice;
}

void slice_unref(struct slice *slice)
{
    blob_unref(slice->blob);
    *slice = (struct slice){0};
}

int slice_copy(const void *data, size_t len, struct slice *ret_slice)
{
    struct blob *blob = blob_new(len);
    if (blob == NULL) {
        return ERR_NOMEM;
    }
    if (len > 0) {
        memcpy(blob->data, data, len);
    }
    *ret_slice = slice_of_blob(blob);
    return 0;
}
