/* The leader's table of nodes. */

#include "node/core/roster.h"

#include <criterion/criterion.h>
#include <string.h>

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

Test(roster, forgets_a_node)
{
    struct roster roster = {0};
    for (uint64_t id = 1; id <= 3; id++) {
        cr_assert_not_null(roster_get(&roster, id, id));
    }
    roster_forget(&roster, 1);
    roster_forget(&roster, 9);
    cr_assert_eq(roster.len, 2u);
    cr_assert_null(roster_find(&roster, 1));
    cr_assert_eq(roster_find(&roster, 3)->heard_ms, 3u);
    cr_assert_eq(roster_find(&roster, 2)->heard_ms, 2u);
}

Test(roster, an_alarm_is_one_line_of_bounded_length)
{
    struct roster_node node = {0};
    char text[2 * ROSTER_ALARM_LEN];
    roster_set_alarm(&node, "a\tb\nc\x7f"
                            "d");
    cr_assert_str_eq(node.alarm, "a b c d");
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    memcpy(text + ROSTER_ALARM_LEN - 2, "\xc3\xa4", 2); /* Cut in its middle. */
    roster_set_alarm(&node, text);
    cr_assert_eq(strlen(node.alarm), ROSTER_ALARM_LEN - 2);
    roster_set_alarm(&node, "good\xff"
                            "bad");
    cr_assert_str_eq(node.alarm, "good");
    roster_set_alarm(&node, "");
    cr_assert_str_eq(node.alarm, "");
}
