/* Zones: the places where nodes stand, as operators call them. */

#ifndef HOLDFAST_NODE_CORE_ZONE_H
#define HOLDFAST_NODE_CORE_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ZONE_LEN_MAX 32u

/* Whether it is 1 to ZONE_LEN_MAX letters, digits, '.', '_' and '-': it goes into lines of text and over the network. */
bool zone_name_valid(const char *name);

struct zone_member {
    const char *zone; /* "": not known. */
    bool voter;
};

/* The zone without whose voters the others are no majority, when that need not be so: the voters could be spread over the
 * zones that there are, those of members without a vote included, such that losing one zone leaves a majority. NULL: there is
 * none. Members whose zone is not known count as voters, and for no zone. */
const char *zone_that_stops(const struct zone_member *members, unsigned len, unsigned *ret_in_zone,
                            unsigned *ret_voters);

#endif
