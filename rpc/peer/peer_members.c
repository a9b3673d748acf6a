/* Members come and go: what is made for one, and what ends with it. */

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/base/fault.h"
#include "rpc/address.h"
#include "rpc/peer/peer_private.h"

void peer_opened(struct peer *peer)
{
    peer->open++;
    peer->links->open++;
}

void peer_release(struct peer *peer)
{
    struct peer_links *links = peer->links;
    CHECK(peer->open > 0);
    if (--peer->open == 0 && peer->removed) {
        free(peer->address);
        free(peer);
    }
    peer_links_release(links);
}

int peer_new(struct peer_links *links, uint64_t id, const char *address)
{
    CHECK(links->peers_len < MEMBERS_MAX);
    struct peer *peer = fault_fires(FAULT_ALLOCATION) ? NULL : calloc(1, sizeof *peer);
    if (peer == NULL) {
        return ERR_NOMEM;
    }
    *peer = (struct peer){.links = links, .id = id, .address = strdup(address)};
    if (peer->address == NULL) {
        free(peer);
        return ERR_NOMEM;
    }
    links->peers[links->peers_len++] = peer;
    return 0;
}

void peer_start(struct peer *peer)
{
    uv_loop_t *loop = peer->links->options.loop;
    CHECK(uv_timer_init(loop, &peer->timer) == 0 && uv_timer_init(loop, &peer->rival_timer) == 0);
    peer->timer.data = peer;
    peer->rival_timer.data = peer;
    peer_opened(peer);
    peer_opened(peer);
    peer_dial_start(peer);
}

static void on_timer_closed(uv_handle_t *handle)
{
    peer_release(handle->data);
}

/* Later than the call that removed it, and before anything that is made for the same node anew can be ready. */
static void on_removed(uv_handle_t *handle)
{
    struct peer *peer = handle->data;
    struct peer_links *links = peer->links;
    const struct peer_links_options *options = &links->options;
    if (peer->told_over && !links->closing && options->changed != NULL) {
        options->changed(options->arg, peer->id, false, peer->client_address);
    }
    if (peer->told_bulk_over && !links->closing && options->bulk_changed != NULL) {
        options->bulk_changed(options->arg, peer->id, false);
    }
    peer_release(peer);
}

void peer_close(struct peer *peer)
{
    peer_dial_close(peer);
    peer_bulk_close(peer);
    uv_close((uv_handle_t *)&peer->timer, peer->removed ? on_removed : on_timer_closed);
    uv_close((uv_handle_t *)&peer->rival_timer, on_timer_closed);
}

int peer_links_add(struct peer_links *links, uint64_t node, const char *address)
{
    struct address parsed;
    if (links->closing) {
        return ERR_CLOSED;
    }
    if (node == 0 || node == links->options.node || address_parse(address, &parsed) != 0) {
        return ERR_INVALID;
    }
    const struct peer *known = peer_find(links, node);
    if (known != NULL) {
        return strcmp(known->address, address) == 0 ? 0 : ERR_EXISTS;
    }
    if (links->peers_len >= MEMBERS_MAX - 1) {
        return ERR_LIMIT; /* We are a member too. */
    }
    int err = peer_new(links, node, address);
    if (err == 0) {
        peer_start(links->peers[links->peers_len - 1]);
    }
    return err;
}

int peer_links_remove(struct peer_links *links, uint64_t node)
{
    struct peer *peer = peer_find(links, node);
    if (links->closing) {
        return ERR_CLOSED;
    }
    if (peer == NULL) {
        return ERR_NOT_FOUND;
    }
    unsigned at = 0;
    while (links->peers[at] != peer) {
        at++;
    }
    links->peers_len--;
    memmove(&links->peers[at], &links->peers[at + 1], (links->peers_len - at) * sizeof links->peers[0]);
    peer->removed = true;
    peer->told_over = peer->state == DIAL_READY;
    peer->told_bulk_over = peer->bulk_out != NULL;
    peer_inbounds_forget(peer);
    peer_close(peer);
    return 0;
}
