/* What the files of the peer links share. Nobody else includes this. */

#ifndef HOLDFAST_RPC_PEER_PEER_PRIVATE_H
#define HOLDFAST_RPC_PEER_PEER_PRIVATE_H

#include "proto/base/arena.h"
#include "proto/base/limits.h"
#include "proto/base/list.h"
#include "rpc/listener.h"
#include "rpc/peer/peer_frame.h"
#include "rpc/peer/peer_links.h"
#include "rpc/stream.h"

#define PEER_COMPLAINT_LEN_MAX 300u

/* A connection that lived for so long was a good one: the next loss is news again. */
#define PEER_GOOD_MS 1000u

enum peer_dial_state { DIAL_WAITING, DIAL_CONNECTING, DIAL_GREETING, DIAL_READY };

/* Another member: the connection that we dial, and the one that we accepted. */
struct peer {
    struct peer_links *links;
    uint64_t id;
    char *address;
    enum peer_dial_state state;
    struct stream *out; /* NULL while waiting. */
    uv_timer_t timer;
    unsigned backoff_ms;
    uint64_t ready_since_ms;
    char client_address[ADDRESS_LEN_MAX + 1];
    struct peer_inbound *in;                /* The accepted connection that counts; NULL: none. */
    char complaint[PEER_COMPLAINT_LEN_MAX]; /* The last line in the journal, so that retries do not repeat it. */
    struct peer_bulk *bulk_out;             /* For what is large: the one that we dialled, */
    struct peer_bulk *bulk_parting;         /* one before it that still sends its rest, */
    struct peer_inbound *bulk_in;           /* and the accepted one that counts; NULL: none. */
    char bulk_complaint[PEER_COMPLAINT_LEN_MAX];
    uint64_t sent_frames;
    uint64_t dropped_frames;
    uint64_t received_frames;
};

/* A connection for what is large, dialled. It is its own allocation: the last one may still be going when the next is made. */
struct peer_bulk {
    struct peer *peer;
    struct stream *stream;
    enum peer_dial_state state; /* Never DIAL_WAITING. */
    uint64_t ready_since_ms;
};

/* An accepted connection. */
struct peer_inbound {
    struct list_node node;
    struct peer_links *links;
    struct stream *stream;
    struct peer *peer; /* NULL until its hello. */
    bool bulk;         /* As its hello said. */
    bool closing;
    bool evicted; /* Closed at once, to make room; it may have been closing slowly before. */
};

struct peer_links {
    struct peer_links_options options; /* The strings are copies. */
    struct peer *peers;
    unsigned peers_len;
    struct listener *listener;
    struct list_node inbounds;
    unsigned inbounds_len;
    unsigned open; /* Streams, timers and the listener; the last one frees. */
    uint64_t random;
    struct arena arena;
    char inbound_complaint[PEER_COMPLAINT_LEN_MAX];
    uint64_t inbound_complaint_ms; /* When something was said last; by the loop's clock. */
    bool closing;
    void (*closed)(void *arg);
    void *closed_arg;
};

struct peer *peer_find(const struct peer_links *links, uint64_t node);

/* One open thing less. */
void peer_links_release(struct peer_links *links);

/* Our own hello, for the node `to`. */
int peer_links_hello(const struct peer_links *links, uint64_t to, bool bulk, struct frame_out *ret_frame) NODISCARD;

/* Options of all streams between nodes. */
struct stream_options peer_stream_options(const struct peer_links *links);

/* Whether a hello is from a member of our cluster, for us: 0, or an error with one line of detail. Sets *ret_peer. */
int peer_hello_check(struct peer_links *links, const struct peer_hello *hello, struct peer **ret_peer, char *detail,
                     size_t detail_len) NODISCARD;

/* Says a line in the journal unless it is the one in `last`. */
void peer_complain(struct peer_links *links, char last[PEER_COMPLAINT_LEN_MAX], const char *text);

/* peer_dial.c */
void peer_dial_start(struct peer *peer); /* Dials after the peer's backoff, or at once when it is 0. */
void peer_dial_close(struct peer *peer);

/* The line about a GOODBYE that came on a connection that we dialled. */
void peer_goodbye_text(struct peer_links *links, const struct frame *frame, char text[PEER_COMPLAINT_LEN_MAX]);

/* Whether a frame answers our hello on a connection of that kind to the peer: 0, or an error with one line of detail. The
 * hello lives in the arena of the links. */
int peer_answer_check(struct peer *peer, bool bulk, const struct frame *frame, struct peer_hello *ret_hello,
                      char *detail, size_t detail_len) NODISCARD;

/* peer_bulk.c: closes those that we dialled at once. */
void peer_bulk_close(struct peer *peer);

/* peer_accept.c */
void peer_accept(struct peer_links *links, uv_tcp_t *tcp);
void peer_inbound_close(struct peer_inbound *inbound);

#endif
