/* The connections between the nodes of a cluster.
 *
 * Each node dials every other and sends on the connection that it dialled; what it accepts it only reads. So messages
 * from one node to another travel on one connection at a time, in order. A newer connection from a node replaces the
 * older one, of which not one more byte is read: nothing old can arrive after something new.
 *
 * On a new connection both sides say who they are (PEER_HELLO); the accepting side first checks the dialler, then answers.
 * Whoever is refused is told why (GOODBYE), both sides put it in their journal once, and the dialler tries again, as it
 * does after every loss, after 50 ms doubling to a second, with jitter.
 *
 * Messages may be lost: those for a node that is not connected, or whose queue is full, are dropped and counted, and the
 * sender is told; so is what was on its way when a connection ends. Raft and the gateways send again. */

#ifndef HOLDFAST_RPC_PEER_PEER_LINKS_H
#define HOLDFAST_RPC_PEER_PEER_LINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "proto/base/err.h"
#include "proto/base/journal.h"
#include "proto/wire/frame.h"

struct peer_links;

struct peer_member {
    uint64_t id;
    const char *address; /* host:port of its peer listener. */
};

struct peer_links_options {
    uv_loop_t *loop;
    struct journal *journal;    /* May be NULL. */
    const char *listen_address; /* host:port; port 0 takes a free one. */
    uint64_t node;              /* This one. */
    const char *cluster;
    uint64_t incarnation;
    uint32_t version;                  /* The newest machine version that this build knows. */
    const char *client_address;        /* Where clients reach this node; "" when unknown. */
    const struct peer_member *members; /* At most MEMBERS_MAX; our own entry is skipped. Copied, as all strings. */
    unsigned members_len;
    size_t queue_max;              /* Bytes queued for one peer; 0: 64 MiB. */
    uint64_t handshake_timeout_ms; /* 0: 5000. */
    void *arg;                     /* For the callbacks. None is called from within a function of this file. */
    /* A frame from a node whose hello was accepted. Borrows. An error closes the connection. */
    int (*received)(void *arg, uint64_t from, const struct frame *frame);
    /* A frame on a connection for what is large (peer_bulk.h): an answer on one that we dialled (`asking`), or a question. As
     * `received`. NULL: such connections are refused. */
    int (*bulk_received)(void *arg, uint64_t from, bool asking, const struct frame *frame);
    /* One that we dialled is ready, or is over. */
    void (*bulk_changed)(void *arg, uint64_t node, bool connected);
    /* Messages to the node can be sent now, or no longer. `client_address` is "" when not known; with connected false it
     * is what it last was. */
    void (*changed)(void *arg, uint64_t node, bool connected, const char *client_address);
    /* Whether the node with that incarnation of its data is the one that we know: 0 or ERR_FOREIGN, for instance. NULL:
     * every one is. */
    int (*known)(void *arg, uint64_t node, uint64_t incarnation);
};

struct peer_links_stats {
    bool connected;
    uint64_t sent_frames;
    uint64_t dropped_frames;
    uint64_t received_frames;
    size_t queued_bytes;
};

/* Listens and begins to dial. ERR_INVALID, ERR_SYSTEM, ERR_NOMEM, ERR_TOO_BIG; `detail` gets one line on error. */
int peer_links_start(const struct peer_links_options *options, struct peer_links **ret_links, char *detail,
                     size_t detail_len) NODISCARD;

/* Sends a frame to a node. Takes ownership. False: it was dropped, since the node is not connected (one that is no member
 * never is) or its queue is full. What was taken arrives, in order, or changed() tells that the connection is over. */
bool peer_links_send(struct peer_links *links, uint64_t node, struct frame_out *frame);

/* Writes what is queued now, rather than at the end of the turn. */
void peer_links_flush(struct peer_links *links);

/* Changes where a member is dialled, from the next attempt on. ERR_NOT_FOUND, ERR_NOMEM. */
int peer_links_set_address(struct peer_links *links, uint64_t node, const char *address) NODISCARD;

uint16_t peer_links_port(const struct peer_links *links);

/* ERR_NOT_FOUND: no such peer. */
int peer_links_stats(const struct peer_links *links, uint64_t node, struct peer_links_stats *ret_stats) NODISCARD;

/* Closes everything at once; no callback follows but `closed` (may be NULL), after which it is freed. */
void peer_links_close(struct peer_links *links, void (*closed)(void *arg), void *arg);

#endif
