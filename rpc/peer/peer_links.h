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
 * Members come and go while it runs: peer_links_add(), peer_links_remove().
 *
 * A node is one process. When a connection of another process comes while one of the node is there, the older is most often
 * dead, though our kernel has not heard so. If something still comes on it within `clone_wait_ms`, there are two: a data
 * directory was copied, and would vote and acknowledge twice. Then the newer is refused. A process that has given way to
 * another is never taken again.
 *
 * Messages may be lost: those for a node that is not connected, or whose queue is full, are dropped and counted, and the
 * sender is told; so is what was on its way when a connection ends. Raft and the gateways send again. */

#ifndef HOLDFAST_RPC_PEER_PEER_LINKS_H
#define HOLDFAST_RPC_PEER_PEER_LINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "proto/base/blob.h"
#include "proto/base/err.h"
#include "proto/base/journal.h"
#include "proto/wire/frame.h"
#include "rpc/peer/peer_frame.h"

struct peer_links;

struct peer_member {
    uint64_t id;
    const char *address; /* host:port of its peer listener. */
};

/* Whose data a node comes with. */
struct peer_identity {
    uint64_t node;
    uint64_t incarnation;
    struct slice history; /* What it says of the starts of its data directory; may be empty. */
    bool founding;        /* It has nothing, and waits for a new cluster to begin. */
};

struct peer_links_options {
    uv_loop_t *loop;
    struct journal *journal;    /* May be NULL. */
    const char *listen_address; /* host:port; port 0 takes a free one. */
    uint64_t node;              /* This one. */
    const char *cluster;
    uint64_t incarnation;
    struct slice history;              /* As in peer_identity: ours, at most PEER_HISTORY_LEN_MAX bytes. Copied. */
    bool founding;                     /* As in peer_identity: this one does. */
    uint32_t version;                  /* The newest machine version that this build knows. */
    const char *client_address;        /* Where clients reach this node; "" when unknown. */
    const struct peer_member *members; /* At most MEMBERS_MAX; our own entry is skipped. Copied, as all strings. */
    unsigned members_len;
    size_t queue_max;              /* Bytes queued for one peer; 0: 64 MiB. */
    uint64_t handshake_timeout_ms; /* 0: 5000. */
    uint64_t clone_wait_ms;        /* 0: 2500. A node must say something to all others more often than that. */
    uint64_t run;                  /* Of this process: no other has the same. 0: one is drawn. */
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
    /* Whether the node with that data is the one that we know: 0 or ERR_FOREIGN, for instance; asked when nothing else speaks
     * against it. On error `detail`, which is "", may get one line for both sides. NULL: every one is. It may not call back. */
    int (*known)(void *arg, const struct peer_identity *identity, char *detail, size_t detail_len);
    /* Whether a node of our cluster is kept out whatever else, member or not: 0, or an error with one line of detail for both
     * sides. NULL: none is. It may not call back. */
    int (*barred)(void *arg, uint64_t node, char *detail, size_t detail_len);
    /* A member has refused our connection, with an error of err.h and one line that says why. ERR_LOCKED: it did so several times
     * in a row, since another process is running as this node; one of both must end, and this one cannot know which. May be
     * NULL. */
    void (*refused)(void *arg, uint64_t node, int err, const char *detail);
    /* We have refused a connection of a second process that runs as `node`: `detail` says so in one line. It tries again, and so
     * this is told again and again. It may not call back. May be NULL. */
    void (*doubled)(void *arg, uint64_t node, const char *detail);
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

/* A member more: it is dialled, and may connect. 0, also when it is there with that address. ERR_EXISTS: it is there with
 * another (peer_links_set_address()). ERR_INVALID: id 0, our own, or no address. ERR_LIMIT: MEMBERS_MAX. ERR_NOMEM. ERR_CLOSED. */
int peer_links_add(struct peer_links *links, uint64_t node, const char *address) NODISCARD;

/* A member less: its connections end, both ways, and it is refused from now on. If it was connected, changed() says so later,
 * before anything about the node when it is added again; the same goes for bulk_changed(). ERR_NOT_FOUND. ERR_CLOSED. */
int peer_links_remove(struct peer_links *links, uint64_t node) NODISCARD;

/* Changes where a member is dialled, from the next attempt on. ERR_NOT_FOUND, ERR_NOMEM. */
int peer_links_set_address(struct peer_links *links, uint64_t node, const char *address) NODISCARD;

uint16_t peer_links_port(const struct peer_links *links);

/* ERR_NOT_FOUND: no such peer. */
int peer_links_stats(const struct peer_links *links, uint64_t node, struct peer_links_stats *ret_stats) NODISCARD;

/* Closes everything at once; no callback follows but `closed` (may be NULL), after which it is freed. */
void peer_links_close(struct peer_links *links, void (*closed)(void *arg), void *arg);

#endif
