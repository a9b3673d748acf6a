/* A short table, searched from its start. */

#include "node/core/peers.h"

#include <stddef.h>
#include <string.h>

const struct peer *peers_find(const struct peers *peers, uint64_t node)
{
    for (unsigned i = 0; i < peers->len; i++) {
        if (peers->items[i].node == node) {
            return &peers->items[i];
        }
    }
    return NULL;
}

static struct peer *peers_unconnected(struct peers *peers)
{
    for (unsigned i = 0; i < peers->len; i++) {
        if (!peers->items[i].connected) {
            return &peers->items[i];
        }
    }
    return NULL;
}

static struct peer *peers_make(struct peers *peers, uint64_t node)
{
    for (unsigned i = 0; i < peers->len; i++) {
        if (peers->items[i].node == node) {
            return &peers->items[i];
        }
    }
    struct peer *peer = peers->len < MEMBERS_MAX ? &peers->items[peers->len++] : peers_unconnected(peers);
    if (peer != NULL) {
        *peer = (struct peer){.node = node};
    }
    return peer;
}

void peers_set(struct peers *peers, uint64_t node, bool connected, const char *client_address)
{
    struct peer *peer = peers_make(peers, node);
    if (peer == NULL) {
        return;
    }
    peer->connected = connected;
    if (client_address != NULL && strlen(client_address) <= ADDRESS_LEN_MAX) {
        memcpy(peer->client_address, client_address, strlen(client_address) + 1);
    }
}

const char *peers_client_address(const struct peers *peers, uint64_t node)
{
    const struct peer *peer = peers_find(peers, node);
    return peer == NULL ? "" : peer->client_address;
}

void peers_forget(struct peers *peers, uint64_t node)
{
    for (unsigned i = 0; i < peers->len; i++) {
        if (peers->items[i].node == node) {
            peers->items[i] = peers->items[--peers->len];
            return;
        }
    }
}
