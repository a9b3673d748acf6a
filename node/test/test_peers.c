/* What a node knows of the members' connections. */

#include "node/core/peers.h"

#include <criterion/criterion.h>
#include <string.h>

Test(peers, keeps_an_address_that_is_not_said_again)
{
    struct peers peers = {0};
    cr_assert_str_eq(peers_client_address(&peers, 1), "");
    peers_set(&peers, 1, true, "here:1");
    peers_set(&peers, 1, false, NULL);
    cr_assert_str_eq(peers_client_address(&peers, 1), "here:1");
    cr_assert_not(peers_find(&peers, 1)->connected);
}

Test(peers, forgets_a_node)
{
    struct peers peers = {0};
    peers_set(&peers, 1, true, "here:1");
    peers_set(&peers, 2, true, "there:1");
    peers_forget(&peers, 1);
    peers_forget(&peers, 1);
    cr_assert_null(peers_find(&peers, 1));
    cr_assert_str_eq(peers_client_address(&peers, 2), "there:1");
}

Test(peers, a_new_node_takes_the_place_of_one_that_is_gone)
{
    struct peers peers = {0};
    for (uint64_t id = 1; id <= MEMBERS_MAX; id++) {
        peers_set(&peers, id, id != 5, "x:1");
    }
    peers_set(&peers, 100, true, "new:1");
    cr_assert_str_eq(peers_client_address(&peers, 100), "new:1");
    cr_assert_null(peers_find(&peers, 5));
    peers_set(&peers, 101, true, "late:1"); /* All others are there. */
    cr_assert_null(peers_find(&peers, 101));
}
