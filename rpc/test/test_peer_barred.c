/* A node that was given up is told so, member or not: what it is told makes it stop. */

#include <criterion/criterion.h>

#include "peer_fixture.h"

static void expect_told(struct cluster *c)
{
    loop_for(&c->loop, 400);
    cr_assert_not(c->nodes[1].connected[2]);
    cr_assert_not(c->nodes[2].connected[1]);
    cr_assert_geq(c->nodes[2].refused[1], 1u);
    cr_assert_eq(c->nodes[2].refused_err, ERR_REFUSED);
    cr_assert_str_eq(c->nodes[2].refused_detail, "it refused us: that node was given up");
}

Test(peer_barred, a_member_is_kept_out)
{
    struct cluster c;
    cluster_open(&c, 2);
    c.nodes[1].barred = 2;
    expect_told(&c);
    cr_assert_eq(c.nodes[1].asked_known, 0u, "nothing of it is remembered");
    cluster_close(&c);
}

Test(peer_barred, one_that_is_no_member_any_more_is_told_more_than_that)
{
    struct cluster c;
    cluster_open(&c, 2);
    cr_assert_eq(peer_links_remove(c.nodes[1].links, 2), 0);
    c.nodes[1].barred = 2;
    expect_told(&c);
    cluster_close(&c);
}

Test(peer_barred, so_is_one_that_asks_for_what_is_large)
{
    struct cluster c;
    cluster_open(&c, 2);
    c.nodes[1].barred = 2;
    cr_assert_eq(node_bulk_dial(&c, 2, 1), 0);
    loop_for(&c.loop, 400);
    cr_assert_not(c.nodes[2].bulk_ready[1]);
    cr_assert_eq(c.nodes[2].refused_err, ERR_REFUSED);
    cluster_close(&c);
}
