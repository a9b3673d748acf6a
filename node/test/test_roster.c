/* The leader's table of nodes. */

#include "node/core/roster.h"

#include <criterion/criterion.h>

Test(roster, a_new_node_counts_as_heard_when_it_is_noted)
{
    struct roster roster = {0};
    cr_assert_null(roster_find(&roster, 3));
    struct roster_node *node = roster_get(&roster, 3, 1000);
    cr_assert_not_null(node);
    cr_assert_eq(node->id, 3u);
    cr_assert_eq(node->heard_ms, 1000u);
    cr_assert_eq(node->run, 0u);
    node->run = 7;
    cr_assert_eq(roster_get(&roster, 3, 2000), node);
    cr_assert_eq(node->heard_ms, 1000u, "asking for it is not hearing of it");
    cr_assert_eq(roster_find(&roster, 3)->run, 7u);
}

Test(roster, is_bounded)
{
    struct roster roster = {0};
    for (uint64_t id = 1; id <= NODES_PRESENT_MAX; id++) {
        cr_assert_not_null(roster_get(&roster, id, 0));
    }
    cr_assert_null(roster_get(&roster, NODES_PRESENT_MAX + 1, 0));
    cr_assert_not_null(roster_get(&roster, 1, 0));
}

Test(roster, a_leadership_begins_with_nobody)
{
    struct roster roster = {0};
    roster_get(&roster, 1, 1000)->disk_low = true;
    roster.due_ms = 5000;
    roster_begin(&roster);
    cr_assert_null(roster_find(&roster, 1));
    cr_assert_eq(roster.due_ms, 0u);
}
