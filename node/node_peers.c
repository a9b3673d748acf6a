/* A node's links to the others. */

#include <inttypes.h>
#include <stdio.h>

#include "node/node_private.h"
#include "proto/base/check.h"

/* Between two complaints about peers with a directory that is not theirs: each is one connection of a stranger. */
#define STRANGER_PAUSE_MS 1000u

/* What the peers' links tell. */

static int node_received(void *arg, uint64_t from, const struct frame *frame)
{
    struct node *node = arg;
    bool known = frame->type == FRAME_PEER_RAFT || frame->type == FRAME_PEER_GATEWAY;
    if (node->closing) {
        return 0; /* What would be stored and answered now is not in the copy that takes the state's place. */
    }
    return known ? shard_receive(node->shard, from, frame) : ERR_BROKEN;
}

static int node_bulk_received(void *arg, uint64_t from, bool asking, const struct frame *frame)
{
    struct node *node = arg;
    return node->closing ? 0 : shard_receive_bulk(node->shard, from, asking, frame);
}

static void node_bulk_changed(void *arg, uint64_t peer, bool connected)
{
    struct node *node = arg;
    if (!connected && !node->closing) {
        shard_bulk_lost(node->shard, peer);
    }
}

static void node_peer_changed(void *arg, uint64_t peer, bool connected, const char *client_address)
{
    struct node *node = arg;
    journal_info(node->journal, "peer", "node %" PRIu64 " is %s", peer, connected ? "connected" : "disconnected");
    shard_peer_changed(node->shard, peer, connected,
                       client_address != NULL && client_address[0] != '\0' ? client_address : NULL);
}

static int node_peer_known(void *arg, uint64_t peer, uint64_t incarnation)
{
    struct node *node = arg;
    char detail[512];
    int err = data_dir_peer(node->data_dir, peer, incarnation, detail, sizeof detail);
    uint64_t now_ms = uv_now(node->loop);
    if (err != 0 && now_ms >= node->stranger_said_ms + STRANGER_PAUSE_MS) {
        node->stranger_said_ms = now_ms;
        journal_error(node->journal, "peer", "%s", detail);
    }
    return err;
}

int node_peers_listen(struct node *node, char *detail, size_t detail_len)
{
    const struct config *config = node->config;
    struct peer_member members[MEMBERS_MAX];
    for (unsigned i = 0; i < config->members_len; i++) {
        members[i] = (struct peer_member){.id = config->members[i].id, .address = config->members[i].peer_address};
    }
    struct peer_links_options options = {
        .loop = node->loop,
        .journal = node->journal,
        .listen_address = config->listen_peer,
        .node = config->node,
        .cluster = config->cluster,
        .incarnation = data_dir_incarnation(node->data_dir),
        .version = MACHINE_VERSION_MAX,
        .client_address = config_member(config, config->node)->client_address,
        .members = members,
        .members_len = config->members_len,
        .arg = node,
        .received = node_received,
        .bulk_received = node_bulk_received,
        .bulk_changed = node_bulk_changed,
        .changed = node_peer_changed,
        .known = node_peer_known,
    };
    return peer_links_start(&options, &node->peers, detail, detail_len);
}
