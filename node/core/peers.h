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

/* Remembers; a NULL address leaves what was known. A node beyond MEMBERS_MAX takes the place of one that is not connected; if
 * there is none, it is left out, as is an address over the limit: redirects then say that the address is not known. */
void peers_set(struct peers *peers, uint64_t node, bool connected, const char *client_address);

/* The node is no member any more. Harmless when nothing is known of it. */
void peers_forget(struct peers *peers, uint64_t node);

/* NULL when nothing is known. */
const struct peer *peers_find(const struct peers *peers, uint64_t node);

/* The address for clients, or "". */
const char *peers_client_address(const struct peers *peers, uint64_t node);

#endif
