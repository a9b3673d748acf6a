/* The connections between nodes: life, identity, sending. Dialling and accepting have files of their own. */

#include "rpc/peer/peer_links.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "rpc/peer/peer_private.h"

#define HANDSHAKE_TIMEOUT_MS_DEFAULT 5000u

/* Nodes tell each other their wall clocks every second. Less than a handshake may take, which waits for it. */
#define CLONE_WAIT_MS_DEFAULT 2500u

/* Shorter than the kernel's own patience by far: a partition that heals should find a fresh connection, not one whose
 * retransmission timer has grown to minutes. */
#define CONNECT_TIMEOUT_MS 1000u
#define UNACKED_TIMEOUT_MS 3000u

/* What a hello or a goodbye may unpack to. */
#define ARENA_LEN_MAX (64 * KIB)

struct peer *peer_find(const struct peer_links *links, uint64_t node)
{
    for (unsigned i = 0; i < links->peers_len; i++) {
        if (links->peers[i]->id == node) {
            return links->peers[i];
        }
    }
    return NULL;
}

struct stream_options peer_stream_options(const struct peer_links *links)
{
    return (struct stream_options){
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .handshake_timeout_ms = links->options.handshake_timeout_ms,
        .unacked_timeout_ms = UNACKED_TIMEOUT_MS,
        .queue_max = links->options.queue_max,
    };
}

int peer_links_hello(const struct peer_links *links, uint64_t to, bool bulk, struct frame_out *ret_frame)
{
    struct peer_hello hello = {
        .cluster = links->options.cluster,
        .node = links->options.node,
        .to = to,
        .incarnation = links->options.incarnation,
        .version = links->options.version,
        .client_address = links->options.client_address,
        .bulk = bulk,
        .run = links->options.run,
        .history = links->options.history,
        .founding = links->options.founding,
    };
    return peer_hello_encode(&hello, ret_frame);
}

void peer_complain(struct peer_links *links, char last[PEER_COMPLAINT_LEN_MAX], const char *text)
{
    if (strncmp(last, text, PEER_COMPLAINT_LEN_MAX - 1) != 0) {
        journal_warning(links->options.journal, "peer", "%s", text);
        (void)snprintf(last, PEER_COMPLAINT_LEN_MAX, "%s", text);
    }
}

int peer_hello_check(struct peer_links *links, const struct peer_hello *hello, struct peer **ret_peer, char *detail,
                     size_t detail_len)
{
    if (strcmp(hello->cluster, links->options.cluster) != 0) {
        (void)snprintf(detail, detail_len, "a node of cluster '%.80s' met one of cluster '%.80s'", hello->cluster,
                       links->options.cluster);
        return ERR_FOREIGN;
    }
    if (hello->to != links->options.node) {
        (void)snprintf(detail, detail_len, "node %llu looks for node %llu, and this is node %llu",
                       (unsigned long long)hello->node, (unsigned long long)hello->to,
                       (unsigned long long)links->options.node);
        return ERR_FOREIGN;
    }
    const struct peer_links_options *options = &links->options;
    int err = options->barred != NULL ? options->barred(options->arg, hello->node, detail, detail_len) : 0;
    if (err != 0) {
        return err;
    }
    struct peer *peer = peer_find(links, hello->node);
    if (peer == NULL) {
        (void)snprintf(detail, detail_len, "node %llu is not a member that node %llu knows",
                       (unsigned long long)hello->node, (unsigned long long)links->options.node);
        return ERR_FOREIGN;
    }
    *ret_peer = peer;
    return 0;
}

int peer_identity_check(struct peer_links *links, const struct peer_identity *identity, char *detail, size_t detail_len)
{
    const struct peer_links_options *options = &links->options;
    detail[0] = '\0';
    int err = options->known != NULL ? options->known(options->arg, identity, detail, detail_len) : 0;
    if (err != 0 && detail[0] == '\0') {
        (void)snprintf(detail, detail_len,
                       "node %llu comes with other data than node %llu knows it by (incarnation %016llx): %s",
                       (unsigned long long)identity->node, (unsigned long long)options->node,
                       (unsigned long long)identity->incarnation, err_text(err));
    }
    return err;
}

/* ---- Sending ---- */

bool peer_links_send(struct peer_links *links, uint64_t node, struct frame_out *frame)
{
    struct peer *peer = peer_find(links, node);
    if (peer == NULL) {
        frame_out_done(frame);
        return false;
    }
    bool sent = false;
    if (peer->state == DIAL_READY) {
        sent = stream_send(peer->out, frame) == 0;
    } else {
        frame_out_done(frame);
    }
    if (sent) {
        peer->sent_frames++;
    } else {
        peer->dropped_frames++;
    }
    return sent;
}

void peer_links_flush(struct peer_links *links)
{
    for (unsigned i = 0; i < links->peers_len; i++) {
        if (links->peers[i]->state == DIAL_READY) {
            stream_flush(links->peers[i]->out);
        }
    }
}

int peer_links_stats(const struct peer_links *links, uint64_t node, struct peer_links_stats *ret_stats)
{
    const struct peer *peer = peer_find(links, node);
    if (peer == NULL) {
        return ERR_NOT_FOUND;
    }
    *ret_stats = (struct peer_links_stats){
        .connected = peer->state == DIAL_READY,
        .sent_frames = peer->sent_frames,
        .dropped_frames = peer->dropped_frames,
        .received_frames = peer->received_frames,
        .queued_bytes = peer->out != NULL ? stream_queued_bytes(peer->out) : 0,
    };
    return 0;
}

int peer_links_set_address(struct peer_links *links, uint64_t node, const char *address)
{
    struct peer *peer = peer_find(links, node);
    if (peer == NULL) {
        return ERR_NOT_FOUND;
    }
    char *copy = strdup(address);
    if (copy == NULL) {
        return ERR_NOMEM;
    }
    free(peer->address);
    peer->address = copy;
    return 0;
}

uint16_t peer_links_port(const struct peer_links *links)
{
    return listener_port(links->listener);
}

/* ---- Life ---- */

static void links_free(struct peer_links *links)
{
    for (unsigned i = 0; i < links->peers_len; i++) {
        free(links->peers[i]->address);
        free(links->peers[i]);
    }
    free((char *)(uintptr_t)links->options.cluster);
    free((char *)(uintptr_t)links->options.client_address);
    arena_done(&links->arena);
    free(links);
}

void peer_links_release(struct peer_links *links)
{
    CHECK(links->open > 0);
    if (--links->open > 0 || !links->closing) {
        return;
    }
    void (*closed)(void *arg) = links->closed;
    void *arg = links->closed_arg;
    links_free(links);
    if (closed != NULL) {
        closed(arg);
    }
}

static void on_connection(void *arg, uv_tcp_t *tcp)
{
    peer_accept(arg, tcp);
}

static void on_listen_failed(void *arg, const char *detail)
{
    struct peer_links *links = arg;
    journal_warning(links->options.journal, "peer", "cannot accept a connection: %s", detail);
}

static void on_listener_closed(void *arg)
{
    peer_links_release(arg);
}

/* Copies what the options borrow. */
static int links_copy(struct peer_links *links, const struct peer_links_options *options)
{
    links->options.members = NULL;
    CHECK(options->history.len <= sizeof links->history);
    if (options->history.len > 0) {
        memcpy(links->history, options->history.data, options->history.len);
    }
    links->options.history = (struct slice){.data = links->history, .len = options->history.len};
    links->options.cluster = strdup(options->cluster);
    links->options.client_address = strdup(options->client_address != NULL ? options->client_address : "");
    if (links->options.cluster == NULL || links->options.client_address == NULL) {
        return ERR_NOMEM;
    }
    int err = 0;
    for (unsigned i = 0; err == 0 && i < options->members_len; i++) {
        const struct peer_member *member = &options->members[i];
        err = member->id != options->node ? peer_new(links, member->id, member->address) : 0;
    }
    return err;
}

int peer_links_start(const struct peer_links_options *options, struct peer_links **ret_links, char *detail,
                     size_t detail_len)
{
    if (options->members_len > MEMBERS_MAX) {
        (void)snprintf(detail, detail_len, "%u members, at most %u", options->members_len, MEMBERS_MAX);
        return ERR_TOO_BIG;
    }
    struct peer_links *links = calloc(1, sizeof *links);
    if (links == NULL) {
        (void)snprintf(detail, detail_len, "out of memory");
        return ERR_NOMEM;
    }
    links->options = *options;
    if (links->options.handshake_timeout_ms == 0) {
        links->options.handshake_timeout_ms = HANDSHAKE_TIMEOUT_MS_DEFAULT;
    }
    if (links->options.clone_wait_ms == 0) {
        links->options.clone_wait_ms = CLONE_WAIT_MS_DEFAULT;
    }
    list_init(&links->inbounds);
    arena_init(&links->arena, ARENA_LEN_MAX);
    links->random = (uv_hrtime() ^ options->node * UINT64_C(0x9e3779b97f4a7c15)) | 1;
    while (links->options.run == 0) {
        uint64_t *run = &links->options.run;
        if (uv_random(NULL, NULL, run, sizeof *run, 0, NULL) != 0) {
            *run = links->random; /* A kernel without randomness: the time has to do. */
        }
    }
    int err = links_copy(links, options);
    if (err != 0) {
        (void)snprintf(detail, detail_len, "out of memory");
        goto free_links;
    }
    struct listener_events events = {
        .arg = links,
        .connection = on_connection,
        .failed = on_listen_failed,
        .closed = on_listener_closed,
    };
    err = listener_open(options->loop, options->listen_address, &events, &links->listener, detail, detail_len);
    if (err != 0) {
        goto free_links;
    }
    links->open = 1;
    for (unsigned i = 0; i < links->peers_len; i++) {
        peer_start(links->peers[i]);
    }
    *ret_links = links;
    return 0;

free_links:
    links_free(links);
    return err;
}

void peer_links_close(struct peer_links *links, void (*closed)(void *arg), void *arg)
{
    links->closing = true;
    links->closed = closed;
    links->closed_arg = arg;
    listener_close(links->listener);
    for (unsigned i = 0; i < links->peers_len; i++) {
        peer_close(links->peers[i]);
    }
    LIST_FOR_EACH (node, &links->inbounds) {
        peer_inbound_close(container_of(node, struct peer_inbound, node));
    }
}
