/* The queue machine: what a queue is.
 *
 * machine_apply(entry) -> effects. It reads and writes only its own state: it has no clock, no randomness, no sockets
 * and does not know whether its node leads. The same entries give the same state on every node. Time passes only
 * through entries. Effects are what there is to do about it; every replica computes them, and a node's gateway carries
 * out those that concern its own clients. They may be repeated or lost when a node ends, so nothing depends on them:
 * replies are remembered, and deliveries are numbered and can be asked for again.
 *
 * State lives in memory where it is small (queues, sessions, consumers, unsettled deliveries, producers) and in the
 * store where it is not (messages that survived a checkpoint). What changed since the last checkpoint is in memory: the
 * overlay. Its size is bounded by the log kept for it. */

#ifndef HOLDFAST_STATEMACHINE_MACHINE_H
#define HOLDFAST_STATEMACHINE_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/blob.h"
#include "proto/base/err.h"
#include "statemachine/store/store.h"

struct machine;

/* The newest version of the rules that this build knows. */
#define MACHINE_VERSION_MAX 2u

enum effect_kind {
    EFFECT_REPLY,          /* Answer a command: of a session, or of a node's process (session 0, with its origin). */
    EFFECT_DELIVER,        /* Send a delivery to the session. */
    EFFECT_SESSION_ENDED,  /* The session is gone (closed or expired). */
    EFFECT_CONSUMER_ENDED, /* A subscription ended by itself. */
    EFFECT_NODE_LOST,      /* A process of a node is over: what was attached there is not any more. */
    EFFECT_PREPARED_ASK,   /* The session is to say what becomes of prepared messages: see ResolvePrepared. */
    EFFECT_LOCK_ENDED,     /* A delivery has been held for too long, and has gone back. */
};

/* Why a session ended. */
enum session_end { SESSION_END_CLOSED = 0, SESSION_END_EXPIRED = 1, SESSION_END_HOST_DELETED = 2 };

enum consumer_ended_reason {
    CONSUMER_ENDED_QUEUE_DELETED = 0,
    CONSUMER_ENDED_FETCH_DONE = 1, /* What it was given is settled, or has gone back; or there was nothing. */
};

struct effect {
    enum effect_kind kind;
    uint64_t session;
    union {
        struct effect_reply {
            uint64_t number;     /* 0 for commands of nodes. */
            uint64_t attachment; /* Under which the command was sent: the answer is for nobody else. */
            uint32_t command;    /* Position of the command within its entry. */
            uint32_t error;      /* Positive error number, or 0. */
            const char *detail;  /* Valid until the next apply; "" when all is well. */
            uint64_t count;
            uint64_t repeated_count;
            /* Attach and detach: whose command it was, as in Origin; else 0. */
            uint64_t origin_node;
            uint64_t origin_run;
            uint64_t origin_tag;
            /* Attach, when it was carried out: where the session is attached now. An older link to it is displaced. */
            uint64_t attach_session;
            uint64_t attach_attachment;
            uint64_t last_number;
            /* Publish, since version 2: bits of messages, of the first in the lowest of the first byte, up to the last byte that
             * is not zero. Mandatory ones that reached no queue, and refused ones. Valid until the next apply. */
            const uint8_t *unrouted;
            const uint8_t *refused;
            uint32_t unrouted_len;
            uint32_t refused_len;
        } reply;
        struct effect_delivery {
            uint64_t consumer;
            uint64_t number;
            uint64_t queue; /* The queue's id. */
            uint64_t position;
            uint32_t delivery_count; /* Earlier deliveries. */
            bool settled; /* As it was delivered (auto_accept): machine_content() has it until the next apply. */
        } delivery;
        struct {
            uint64_t consumer;
            enum consumer_ended_reason reason;
        } consumer_ended;
        struct {
            bool expired; /* Otherwise it was closed, or its virtual host deleted. */
            enum session_end end;
        } session_ended;
        struct {
            uint64_t node;
            uint64_t run;
        } node_lost;
        struct {
            const char *id; /* Valid until the next apply. */
            size_t id_len;
        } prepared_ask;
        struct {
            uint64_t consumer;
            uint64_t number;
        } lock_ended;
    };
};

/* The effects of one entry, in order. Owned by the machine, valid until its next call. */
struct effects {
    const struct effect *items;
    size_t len;
};

/* Opens the machine on a store, reading back what the last checkpoint wrote. Takes ownership of the store on success.
 * `ret_applied_index` is the index of the last entry in the checkpoint (0: none), and `ret_consensus` the bytes that
 * were given to machine_checkpoint() with it (the caller owns the reference). ERR_VERSION: written by another version.
 * ERR_CORRUPT, ERR_IO, ERR_NOMEM; `detail` gets one line. */
int machine_open(struct store *store, struct machine **ret_machine, uint64_t *ret_applied_index,
                 struct slice *ret_consensus, char *detail, size_t detail_len) NODISCARD;

/* Closes the store too. A checkpoint in flight must have been given back. NULL is allowed. */
void machine_close(struct machine *machine);

/* Applies the entry at `index`, which must be above every index applied so far. (Indexes may be skipped: entries that
 * belong to consensus.) Keeps references to parts of the payload.
 * A malformed entry or command is a no-op, with an error reply where there is somebody to answer, and returns 0.
 * ERR_VERSION: the entry needs rules that this build does not know; nothing has been applied, and the node must stop.
 * ERR_IO, ERR_CORRUPT, ERR_NOMEM: the store failed in the middle: the process must end. */
int machine_apply(struct machine *machine, uint64_t index, struct slice payload, struct effects *ret_effects) NODISCARD;

/* Which row was found damaged, or what the store said of the last error that it gave, with the file where it can be told: one
 * line for people, to go with ERR_CORRUPT, ERR_CHECKSUM and ERR_IO from any function here. Empty when there is nothing. */
void machine_explain(const struct machine *machine, char *text, size_t text_len);

uint64_t machine_applied_index(const struct machine *machine);
/* Log time of the last entry, in milliseconds since 1970-01-01 UTC. */
uint64_t machine_time_ms(const struct machine *machine);
uint32_t machine_version(const struct machine *machine);

/* The log time at which something happens by itself: a lease ends. What did not fit the last entry (deliveries, expiries)
 * is due at once: 0. It comes with the next entry of that time or later, whatever is in it; the leader appends one without
 * commands when it has nothing else to propose. UINT64_MAX: nothing is due. */
uint64_t machine_due_ms(const struct machine *machine);

/* The body of a message that is in a queue, or was settled by the last entry as it was delivered (auto_accept). The caller owns a
 * reference. ERR_NOT_FOUND: settled since, or the queue is gone. ERR_CHECKSUM: damaged, on disk or in memory: it is not what
 * its publisher's library took the hash of, and must not be delivered; replaying the log may bring it back. ERR_IO. */
int machine_body(struct machine *machine, uint64_t queue, uint64_t position, struct slice *ret_body) NODISCARD;

/* Likewise with all that goes with it: the encoded MessageHead and Trail (empty: it has none). The caller owns a reference to the
 * blob of each, and drops them with machine_content_done(). `content` is head and body together, as the hash is of both. */
struct machine_content {
    struct slice content;
    struct slice head;
    struct slice body;
    struct slice trail;
    uint64_t enqueued_ms;
    uint64_t expires_ms; /* Log time; 0: never. */
    uint64_t hash;
};
int machine_content(struct machine *machine, uint64_t queue, uint64_t position,
                    struct machine_content *ret_content) NODISCARD;
void machine_content_done(struct machine_content *content);

/* An unsettled delivery with what is known of its message: applying an entry does not read it, since a follower and a
 * restart have no use for it. */
struct machine_delivery {
    uint64_t consumer;
    uint64_t number;
    uint64_t queue; /* The queue's id: with the position, what machine_body() takes. */
    uint64_t position;
    uint64_t enqueued_ms;
    uint64_t body_hash;     /* Of the head and the body. */
    uint64_t lock_until_ms; /* Log time at which it goes back; 0: never. */
    uint64_t expires_ms;    /* Of the message; 0: never. */
    uint32_t body_len;
    uint32_t head_len;
    uint32_t trail_len;
    uint32_t delivery_count; /* Earlier deliveries. */
};

/* Calls `each` for the unsettled deliveries of a consumer with a number above `seen`, in order of number. Returns 0, or
 * what `each` returned. ERR_NOT_FOUND: no such session or consumer. */
int machine_deliveries(struct machine *machine, uint64_t session, uint64_t consumer, uint64_t seen,
                       int (*each)(void *arg, const struct machine_delivery *delivery), void *arg) NODISCARD;

/* Calls `each` for every open session, in order of id. */
struct machine_session {
    uint64_t id;
    uint64_t attachment;
    uint64_t last_number;
    uint32_t lease_ms;
    uint64_t node;       /* Where it is attached; 0: nowhere. */
    uint64_t expires_ms; /* Log time at which its lease ends; UINT64_MAX while it is attached. */
};
int machine_sessions(struct machine *machine, int (*each)(void *arg, const struct machine_session *session),
                     void *arg) NODISCARD;
/* ERR_NOT_FOUND. */
int machine_session(struct machine *machine, uint64_t session, struct machine_session *ret_session) NODISCARD;
uint64_t machine_sessions_len(const struct machine *machine);

/* The nodes that are present, in order of id, at most NODES_PRESENT_MAX. */
#define NODES_PRESENT_MAX 64u
struct machine_node {
    uint64_t id;
    uint64_t run;      /* Of its process. */
    uint64_t sessions; /* Attached there. */
};
unsigned machine_nodes(const struct machine *machine, struct machine_node ret_nodes[NODES_PRESENT_MAX]);
/* ERR_NOT_FOUND: it is not present. */
int machine_node(const struct machine *machine, uint64_t node, struct machine_node *ret_node) NODISCARD;

/* Calls `each` for the queues of a virtual host whose name sorts after `after` (as bytes; "" for all), in order, until it returns
 * non-zero. What is given is valid during the call. */
struct queue_options;
struct queue_counters;
struct machine_queue {
    const char *name;
    uint64_t id;
    uint64_t virtual_host;
    uint64_t ready; /* Parked ones included. */
    uint64_t parked;
    uint64_t waiting; /* To come back. */
    uint64_t unsettled;
    uint32_t consumers;
    uint64_t enqueued;
    uint64_t delivered; /* Again and again included. */
    uint64_t settled;   /* Accepted, rejected or purged. */
    uint64_t released;  /* Deliveries that went back. */
    const struct queue_options *options;
    const struct queue_counters *counters; /* The rest of them. */
    uint64_t owner;                        /* The session that an exclusive queue belongs to; else 0. */
    uint64_t active_session;               /* The active consumer of a single-active queue; 0: none. */
    uint64_t active_consumer;
    uint64_t last_used_ms;
};
#define MACHINE_VIRTUAL_HOST_ROOT 1u
int machine_queues_in(struct machine *machine, uint64_t virtual_host, const char *after,
                      int (*each)(void *arg, const struct machine_queue *queue), void *arg) NODISCARD;
/* ERR_NOT_FOUND. */
int machine_queue_in(struct machine *machine, uint64_t virtual_host, const char *name,
                     struct machine_queue *ret_queue) NODISCARD;
/* Likewise in "/". */
int machine_queues(struct machine *machine, const char *after,
                   int (*each)(void *arg, const struct machine_queue *queue), void *arg) NODISCARD;
int machine_queue(struct machine *machine, const char *name, struct machine_queue *ret_queue) NODISCARD;
/* The bytes of its ready messages, as far as they count: those that came in since version 2, and of those that came back the ones
 * that did while it had a limit. ERR_NOT_FOUND, ERR_IO, ERR_CORRUPT, ERR_NOMEM. */
int machine_queue_bytes(struct machine *machine, uint64_t queue, uint64_t *ret_bytes) NODISCARD;

/* Calls `each` for the consumers of a queue, by session and number, until it returns non-zero. ERR_NOT_FOUND. */
struct machine_consumer {
    uint64_t session;
    uint64_t consumer;
    uint64_t lock_ms;
    uint64_t delivered; /* Number of its last delivery. */
    uint32_t credit;
    uint32_t unsettled;
    int32_t priority;
    bool exclusive;
    bool auto_accept;
    bool fetch;
    bool active; /* It may be given messages: false while another is the active one. */
    const char *tag;
};
int machine_consumers(struct machine *machine, uint64_t queue,
                      int (*each)(void *arg, const struct machine_consumer *consumer), void *arg) NODISCARD;
/* Likewise those behind that one of that session, which need not be there. */
int machine_consumers_after(struct machine *machine, uint64_t queue, uint64_t session, uint64_t consumer,
                            int (*each)(void *arg, const struct machine_consumer *consumer), void *arg) NODISCARD;
/* Log time at which the oldest ready message of the queue was enqueued; 0: none is ready. ERR_NOT_FOUND, ERR_IO,
 * ERR_CORRUPT. */
int machine_queue_oldest(struct machine *machine, uint64_t queue, uint64_t *ret_enqueued_ms) NODISCARD;

/* Calls `each` for the messages of a queue from `position` on, ready or not, in order, until it returns non-zero. Returns
 * 0, or what `each` returned. `each` must not call the machine: collect, then read bodies with machine_body().
 * ERR_NOT_FOUND: no such queue. ERR_IO, ERR_CORRUPT. */
enum machine_message_state {
    MESSAGE_READY,
    MESSAGE_LOCKED, /* Out with a consumer. */
    MESSAGE_WAITING,
    MESSAGE_PARKED,
};
struct machine_message {
    uint64_t position;
    uint64_t enqueued_ms;
    uint64_t expires_ms; /* 0: never. */
    uint64_t body_hash;  /* Of the head and the body. */
    uint32_t body_len;
    uint32_t head_len;
    uint32_t trail_len;
    uint32_t delivery_count; /* So far: of a locked one at least 1. */
    enum machine_message_state state;
    bool locked;
};
int machine_browse(struct machine *machine, uint64_t queue, uint64_t position,
                   int (*each)(void *arg, const struct machine_message *message), void *arg) NODISCARD;

/* Checkpoints. machine_checkpoint() collects what changed since the last one, together with the applied index and the
 * given consensus bytes (copied); the machine goes on meanwhile. The result is written with machine_checkpoint_write(),
 * which may run on another thread, and then given back on the loop with machine_checkpoint_done(), whatever the
 * outcome. One at a time: ERR_BUSY. */
struct machine_checkpoint;
int machine_checkpoint(struct machine *machine, struct slice consensus,
                       struct machine_checkpoint **ret_checkpoint) NODISCARD;
int machine_checkpoint_write(struct machine_checkpoint *checkpoint) NODISCARD;
/* With `err` 0 the overlay lets go of what is now in the store. With an error the process should end; when it does not,
 * the changes stay in the overlay and go with the next checkpoint. Frees the checkpoint. */
void machine_checkpoint_done(struct machine_checkpoint *checkpoint, int err);

/* Bytes that the overlay keeps in memory. */
uint64_t machine_overlay_bytes(const struct machine *machine);

/* A digest of the whole state, canonical: two machines that applied the same entries give the same, whatever was
 * checkpointed or restarted in between. Walks everything: for checkers. */
int machine_digest(struct machine *machine, uint64_t *ret_digest) NODISCARD;

/* To be raised with every change of a row's encoding, or of when digests of memory are taken: during an upgrade, nodes compare
 * with their like only. */
#define MACHINE_MEMORY_DIGEST_FORMAT 1u

/* A digest of the part of it that is kept in memory whole (queues, nodes, sessions, subscriptions), as canonical: bugs, and bits
 * that flip, show in it before anything comes of them. Takes time in proportion to that part, but reads nothing. ERR_NOMEM. */
int machine_memory_digest(struct machine *machine, uint64_t *ret_digest) NODISCARD;
/* Whether it should be taken now, when `before` was the entry applied before the last one: the same on every replica, and the
 * less often the longer it takes. */
bool machine_memory_digest_due(const struct machine *machine, uint64_t before);

/* A running digest of the entries applied and their effects: cheap, compared between replicas at equal index. Kept in
 * checkpoints. */
uint64_t machine_running_digest(const struct machine *machine);

#endif
