/* What this node knows of the members' connections: for redirects and status. */

#ifndef HOLDFAST_NODE_CORE_PEERS_H
#define HOLDFAST_NODE_CORE_PEERS_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/limits.h"

struct peer {
    uint64_t node;
    bool connected;
    char client_address[ADDRESS_LEN_MAX + 1]; /* "" when not known. */
};

/* Zero-initialise. */
struct peers {
    struct peer items[MEMBERS_MAX];
    unsigned len;
};

/* Remembers; a NULL address leaves what was known. A node beyond MEMBERS_MAX, or an address over the limit, is left
 * out: redirects then say that the address is not known. */
void peers_set(struct peers *peers, uint64_t node, bool connected, const char *client_address);

/* NULL when nothing is known. */
const struct peer *peers_find(const struct peers *peers, uint64_t node);

/* The address for clients, or "". */
const char *peers_client_address(const struct peers *peers, uint64_t node);

#endif
