/* What is read off a view of the members. */

#include "cluster_view.h"

#include <criterion/criterion.h>
#include <string.h>

static struct view three_nodes(void)
{
    return (struct view){
        .node = 2,
        .leader = 2,
        .term = 3,
        .takes_part = true,
        .members_len = 3,
        .members = {{.id = 1, .client_address = "one:7470", .voter = true},
                    {.id = 2, .client_address = "two:7470", .voter = true},
                    {.id = 3, .client_address = "", .voter = false}},
    };
}

static void expect_leaderless(const struct view *view, const char *part)
{
    char text[VIEW_DETAIL_LEN];
    view_leaderless(view, text, sizeof text);
    cr_assert_not_null(strstr(text, part), "%s", text);
}

Test(cluster_view, members)
{
    struct view view = three_nodes();
    cr_assert_eq(view_find(&view, 3), &view.members[2]);
    cr_assert_null(view_find(&view, 4));
    cr_assert_eq(view_client(&view, "two:7470"), &view.members[1]);
    cr_assert_null(view_client(&view, "two:7471"));
    cr_assert_eq(view_voters(&view), 2u);
}

Test(cluster_view, only_the_leader_knows_for_certain)
{
    struct view view = three_nodes();
    cr_assert(view_is_leaders(&view));
    view.leader = 1;
    cr_assert_not(view_is_leaders(&view));
    view.leader = view.node = 0;
    cr_assert_not(view_is_leaders(&view));
}

Test(cluster_view, a_leader_is_certain_with_a_majority_of_the_voters)
{
    struct view view = three_nodes();
    cr_assert_not(view_has_majority(&view), "it alone is none of two");
    view.members[2].connected = true;
    cr_assert_not(view_has_majority(&view), "who does not vote does not count");
    view.members[0].connected = true;
    cr_assert(view_has_majority(&view));
    view.leader = 1;
    cr_assert_not(view_has_majority(&view));
}

Test(cluster_view, why_no_leader_is_known)
{
    struct view view = three_nodes();
    expect_leaderless(&view, "a majority of the voters must run");
    view.takes_part = false;
    expect_leaderless(&view, "node 2 takes no part in the cluster until it has a copy");
    view.founding = true;
    strcpy(view.members[1].detail, "this cluster has not begun");
    expect_leaderless(&view, "this cluster has not begun");
}
