/* The set of settled positions. */

#include "statemachine/queue/gone.h"

#include <criterion/criterion.h>

static void sum(void *arg, uint64_t position)
{
    *(uint64_t *)arg += position;
}

Test(gone, holds_what_was_added)
{
    struct gone gone = {0};
    struct gone more = {0};
    uint64_t expected = 0;
    uint64_t found = 0;
    for (uint64_t position = 1; position < 100000; position += 1 + position % 97) {
        cr_assert_not(gone_has(&gone, position));
        cr_assert_eq(gone_add(&gone, position), 0);
        cr_assert_eq(gone_add(&gone, position), 0);
        cr_assert(gone_has(&gone, position));
        expected += position;
    }
    cr_assert_not(gone_has(&gone, UINT64_MAX));
    gone_each(&gone, sum, &found);
    cr_assert_eq(found, expected);
    cr_assert_eq(gone_add(&more, 1), 0);
    cr_assert_eq(gone_add(&more, 200000), 0);
    cr_assert_eq(gone_merge(&gone, &more), 0);
    cr_assert_eq(more.len, 0u);
    cr_assert_not(gone_has(&more, 1));
    found = 0;
    gone_each(&gone, sum, &found);
    cr_assert_eq(found, expected + 200000);
    gone_clear(&gone);
    cr_assert_not(gone_has(&gone, 1));
    cr_assert_eq(gone_merge(&more, &gone), 0);
    gone_clear(&more);
}
