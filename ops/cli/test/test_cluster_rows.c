/* What is kept of what nodes say of themselves. */

#include "cluster_rows.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct cluster_rows *rows;
static char longest[2000];

static void setup(void)
{
    rows = calloc(1, sizeof *rows);
    cr_assert_not_null(rows);
    rows->len = 1;
    memset(longest, 'x', sizeof longest - 1);
}

static void teardown(void)
{
    free(rows);
}

TestSuite(cluster_rows, .init = setup, .fini = teardown);

static const struct node_row *note(const char *refusing, const char *detail)
{
    struct client_member member = {
        .id = 1, .role = "leader", .detail = detail, .peer_address = "", .client_address = "", .zone = ""};
    struct client_cluster cluster = {
        .cluster = "c", .node = 1, .version = "1", .refusing = refusing, .members = &member, .members_len = 1};
    cluster_rows_note(rows, &rows->row[0], &cluster);
    return &rows->row[0];
}

Test(cluster_rows, a_reason_with_a_part_for_each_of_nine_nodes_is_kept)
{
    char reason[700];
    size_t len = (size_t)snprintf(reason, sizeof reason, "new messages are refused:");
    for (int i = 1; i <= 9; i++) {
        len += (size_t)snprintf(reason + len, sizeof reason - len,
                                " node %d: its disk is nearly full, or does not answer;", i);
    }
    cr_assert_str_eq(note(reason, "")->refusing, reason);
}

Test(cluster_rows, what_is_cut_ends_with_dots)
{
    const struct node_row *row = note(longest, longest);
    cr_assert_eq(strlen(row->refusing), sizeof row->refusing - 1);
    cr_assert_str_eq(row->refusing + strlen(row->refusing) - 4, "x...");
    cr_assert_str_eq(row->detail + strlen(row->detail) - 4, "x...");
}
