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

/* Processes of a node that are remembered as over. */
#define PEER_PAST_RUNS_MAX 16u

/* Another member: the connection that we dial, and the one that we accepted. Freed when it is removed, or the links are, and
 * nothing of it is open any more. */
struct peer {
    struct peer_links *links;
    unsigned open; /* Timers and dialled streams. */
    bool removed;
    bool told_over;      /* When it was removed it was connected, which is to be told, */
    bool told_bulk_over; /* and had a bulk connection. */
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
    uint64_t run;                           /* Of the process that counts; 0: not known. */
    uint64_t past_runs[PEER_PAST_RUNS_MAX]; /* Those before it; 0: none. The oldest is overwritten. */
    unsigned past_next;
    struct peer_inbound
        *rival; /* A connection of another process, not answered until it is seen whether the older is alive. */
    uv_timer_t rival_timer;
    uint64_t rival_received; /* What had come on the older one by then. */
    bool rival_outdone;      /* The older process has connected anew since. */
    unsigned doubted;        /* How often in a row it has refused us because another process has our name. */
    uint64_t clone_said_ms;  /* When the journal was told last of two processes; 0: never. By the loop's clock. */
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
    bool bulk;         /* As its hello said, like the next. */
    uint64_t run;
    uint64_t incarnation;
    uint8_t history[PEER_HISTORY_LEN_MAX];
    size_t history_len;
    bool founding;
    struct peer *rival_of; /* It waits to take the place of that peer's connection; NULL: it does not. */
    bool closing;
    bool evicted; /* Closed at once, to make room; it may have been closing slowly before. */
};

struct peer_links {
    struct peer_links_options options; /* The strings are copies. */
    struct peer *peers[MEMBERS_MAX];
    unsigned peers_len;
    struct listener *listener;
    struct list_node inbounds;
    unsigned inbounds_len;
    unsigned open; /* Streams, timers and the listener; the last one frees. */
    uint64_t random;
    uint8_t history[PEER_HISTORY_LEN_MAX];
    struct arena arena;
    char inbound_complaint[PEER_COMPLAINT_LEN_MAX];
    uint64_t inbound_complaint_ms; /* When something was said last; by the loop's clock. */
    bool closing;
    void (*closed)(void *arg);
    void *closed_arg;
};

struct peer *peer_find(const struct peer_links *links, uint64_t node);

/* One open thing less, of the links, or of a peer and so of its links. */
void peer_links_release(struct peer_links *links);
void peer_release(struct peer *peer);
void peer_opened(struct peer *peer);

/* Our own hello, for the node `to`. */
int peer_links_hello(const struct peer_links *links, uint64_t to, bool bulk, struct frame_out *ret_frame) NODISCARD;

/* Options of all streams between nodes. */
struct stream_options peer_stream_options(const struct peer_links *links);

/* Whether a hello is from a member of our cluster, for us: 0, or an error with one line of detail. Sets *ret_peer. */
int peer_hello_check(struct peer_links *links, const struct peer_hello *hello, struct peer **ret_peer, char *detail,
                     size_t detail_len) NODISCARD;

/* Whether a node comes with the data that it is known by: 0, or an error with one line of detail. */
int peer_identity_check(struct peer_links *links, const struct peer_identity *identity, char *detail,
                        size_t detail_len) NODISCARD;

/* Says a line in the journal unless it is the one in `last`. */
void peer_complain(struct peer_links *links, char last[PEER_COMPLAINT_LEN_MAX], const char *text);

/* peer_dial.c */
void peer_dial_start(struct peer *peer); /* Dials after the peer's backoff, or at once when it is 0. */
void peer_dial_close(struct peer *peer); /* Without its timer. */

/* A GOODBYE that came on a connection that we dialled: the error in it, and the line about it. */
int peer_goodbye_decode(struct peer_links *links, const struct frame *frame, char text[PEER_COMPLAINT_LEN_MAX]);
/* Tells the host. */
void peer_refused(struct peer *peer, int err, const char *text);

/* Whether a frame answers our hello on a connection of that kind to the peer: 0, or an error with one line of detail. The
 * hello lives in the arena of the links. */
int peer_answer_check(struct peer *peer, bool bulk, const struct frame *frame, struct peer_hello *ret_hello,
                      char *detail, size_t detail_len) NODISCARD;

/* peer_bulk.c: closes those that we dialled at once. */
void peer_bulk_close(struct peer *peer);

/* peer_members.c */

/* Remembers a member, without an address at fault: ERR_NOMEM. */
int peer_new(struct peer_links *links, uint64_t id, const char *address) NODISCARD;
/* Begins to dial. */
void peer_start(struct peer *peer);
/* Closes its timers and what was dialled. */
void peer_close(struct peer *peer);

/* peer_accept.c */
void peer_accept(struct peer_links *links, uv_tcp_t *tcp);
void peer_inbound_close(struct peer_inbound *inbound);
/* Closes all of a peer's, which forget it. */
void peer_inbounds_forget(struct peer *peer);
/* Answers its hello and lets it speak for the peer, in place of an older one. */
void peer_inbound_greet(struct peer_inbound *inbound, struct peer *peer);
/* Says why, to them and to our people, and closes. */
void peer_inbound_refuse(struct peer_inbound *inbound, int err, const char *detail);

/* peer_run.c: one process speaks for a node. */

/* Whether that process of the node has given way to another. */
bool peer_run_is_past(const struct peer *peer, uint64_t run);
/* A connection whose hello is right: lets it speak for its peer, or refuses it, or has it wait. */
void peer_run_admit(struct peer_inbound *inbound, struct peer *peer);
/* It speaks for its peer now: what other processes have is over. */
void peer_run_taken(struct peer_inbound *inbound);
/* The connection that counted is over: one that waits takes its place. */
void peer_run_vacant(struct peer *peer);
/* A connection that may have waited is over. */
void peer_run_let_go(struct peer_inbound *inbound);

#endif
