/* Zones have plain names, and a warning is given when losing one would stop the cluster and that could be otherwise. */

#include "node/core/zone.h"

#include <criterion/criterion.h>

Test(zone, has_a_plain_name)
{
    cr_assert(zone_name_valid("a") && zone_name_valid("eu-west-1.a_B9"));
    cr_assert(zone_name_valid("0123456789abcdef0123456789abcdef"));
    cr_assert_not(zone_name_valid("0123456789abcdef0123456789abcdef0"));
    cr_assert_not(zone_name_valid("") || zone_name_valid("a b") || zone_name_valid("a\n") ||
                  zone_name_valid("\xc3\xa4"));
}

/* Each letter is a member: upper case votes; '.' stands for a voter, ',' for another member of no known zone. */
static void stops(const char *members, char zone, unsigned in_zone, unsigned voters)
{
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    struct zone_member list[16];
    unsigned len = 0;
    for (; members[len] != '\0'; len++) {
        char c = members[len];
        bool upper = c >= 'A' && c <= 'E';
        list[len] = (struct zone_member){.zone = c == '.' || c == ',' ? "" : names[upper ? c - 'A' : c - 'a'],
                                         .voter = upper || c == '.'};
    }
    unsigned got_in_zone = 77;
    unsigned got_voters = 77;
    const char *got = zone_that_stops(list, len, &got_in_zone, &got_voters);
    if (zone == '\0') {
        cr_assert_null(got, "%s: %s", members, got);
        cr_assert_eq(got_in_zone, 77u);
        return;
    }
    cr_assert_not_null(got, "%s", members);
    cr_assert_eq(got[0], zone, "%s: %s", members, got);
    cr_assert_eq(got_in_zone, in_zone, "%s", members);
    cr_assert_eq(got_voters, voters, "%s", members);
}

Test(zone, that_stops_the_cluster_needlessly_is_told)
{
    stops("", '\0', 0, 0);
    stops("A", '\0', 0, 0);
    stops("...", '\0', 0, 0);
    stops("ABC", '\0', 0, 0);
    stops("AAA", '\0', 0, 0); /* There is no other place. */
    stops("AAB", '\0', 0, 0); /* One of two zones always has a majority. */
    stops("AABc", 'a', 2, 3); /* The third zone could have a vote. */
    stops("ABBc", 'b', 2, 3);
    stops("AB.", '\0', 0, 0);
    stops("AA.", '\0', 0, 0);
    stops("AABBC", '\0', 0, 0);
    stops("AAABB", '\0', 0, 0);
    stops("AAABC", 'a', 3, 5);
    stops("AAAAB", '\0', 0, 0);
    stops("AABB", '\0', 0, 0); /* Half of four is enough to stop them, wherever they are. */
    stops("AABC", '\0', 0, 0);
    stops("AABCd", 'a', 2, 4);
    stops("ABCD", '\0', 0, 0);
    stops("ABCaa", '\0', 0, 0);
}
