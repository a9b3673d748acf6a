/* Counted buffers that change their length. */

#include <criterion/criterion.h>
#include <string.h>

#include "proto/base/blob.h"
#include "proto/base/fault.h"

Test(blob, keeps_what_it_has_when_it_is_resized)
{
    struct blob *blob = blob_new(4);
    cr_assert_not_null(blob);
    memcpy(blob->data, "text", 4);
    blob = blob_resize(blob, 1000000);
    cr_assert_not_null(blob);
    cr_assert_eq(blob->len, 1000000u);
    cr_assert_eq(blob->refs, 1u);
    cr_assert_eq(memcmp(blob->data, "text", 4), 0);
    memset(blob->data + 4, 'x', 1000000 - 4);
    blob = blob_resize(blob, 5);
    cr_assert_not_null(blob);
    cr_assert_eq(blob->len, 5u);
    cr_assert_eq(memcmp(blob->data, "textx", 5), 0);
    blob_unref(blob);
}

Test(blob, is_as_it_was_when_there_is_no_memory)
{
    struct blob *blob = blob_new(4);
    cr_assert_not_null(blob);
    memcpy(blob->data, "text", 4);
    cr_assert_null(blob_resize(blob, SIZE_MAX));
    fault_set_nth(FAULT_ALLOCATION, 0);
    cr_assert_null(blob_resize(blob, 8));
    fault_reset();
    cr_assert_eq(blob->len, 4u);
    cr_assert_eq(memcmp(blob->data, "text", 4), 0);
    blob_unref(blob);
}
