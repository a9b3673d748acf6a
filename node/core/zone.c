/* Names and counts. */

#include "node/core/zone.h"

#include <string.h>

bool zone_name_valid(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t len = strnlen(name, ZONE_LEN_MAX + 1);
    return len > 0 && len <= ZONE_LEN_MAX && strspn(name, letters) == len;
}

static unsigned voters_in(const struct zone_member *members, unsigned len, const char *zone)
{
    unsigned count = 0;
    for (unsigned i = 0; i < len; i++) {
        count += members[i].voter && strcmp(members[i].zone, zone) == 0;
    }
    return count;
}

/* Whether a member before it is in the same zone. */
static bool seen_before(const struct zone_member *members, unsigned at)
{
    for (unsigned i = 0; i < at; i++) {
        if (strcmp(members[i].zone, members[at].zone) == 0) {
            return true;
        }
    }
    return false;
}

const char *zone_that_stops(const struct zone_member *members, unsigned len, unsigned *ret_in_zone,
                            unsigned *ret_voters)
{
    unsigned voters = 0;
    unsigned zones = 0;
    const char *most = NULL;
    unsigned most_voters = 0;
    for (unsigned i = 0; i < len; i++) {
        voters += members[i].voter;
        if (members[i].zone[0] == '\0' || seen_before(members, i)) {
            continue;
        }
        unsigned here = voters_in(members, len, members[i].zone);
        zones++;
        if (here > most_voters) {
            most = members[i].zone;
            most_voters = here;
        }
    }
    /* So many lost leave no majority. */
    unsigned too_many = (voters + 1) / 2;
    unsigned spread = zones > 0 ? (voters + zones - 1) / zones : voters;
    if (most == NULL || most_voters < too_many || spread >= too_many) {
        return NULL;
    }
    *ret_in_zone = most_voters;
    *ret_voters = voters;
    return most;
}
