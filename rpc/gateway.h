/* The port through which the protocols see the cluster. node/ implements it; no protocol knows what is behind it.
 *
 * A protocol attaches a session, submits numbered commands under it, and gets replies and deliveries through its sink.
 * Nothing here blocks. All calls and callbacks are on one thread; sink callbacks are never made from within a call. */

#ifndef HOLDFAST_RPC_GATEWAY_H
#define HOLDFAST_RPC_GATEWAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/blob.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"
#include "proto/base/list.h"
#include "proto/wire/command.pb-c.h"

struct gateway;
struct gateway_link; /* One attached connection, on the gateway's side. */

struct gateway_reply {
    uint64_t number;
    uint32_t error; /* Positive error number, or 0. */
    const char *detail;
    uint64_t count;
    uint64_t repeated_count;
    struct slice unrouted; /* Bits, as in Reply. Borrowed; empty: none is set. */
    struct slice refused;
};

struct gateway_delivery {
    uint64_t consumer;
    uint64_t number;
    uint64_t position;
    uint64_t enqueued_ms;
    uint64_t body_hash;     /* Of the head and the body behind it. */
    uint64_t lock_until_ms; /* Log time at which it goes back; 0: never. */
    uint64_t expires_ms;    /* Of the message, in log time; 0: never. */
    uint32_t delivery_count;
    struct slice body;  /* Borrowed, as the others; slice_ref() to keep it. */
    struct slice head;  /* An encoded MessageHead; empty: none. Where there is one, `body` follows it in memory. */
    struct slice trail; /* An encoded Trail; empty: none. */
};

/* Who leads, as this node knows. */
struct gateway_leader {
    uint64_t node;       /* 0: not known. */
    const char *address; /* For clients; "" when not known. */
};

/* What the protocol's side provides. `arg` is its connection. */
struct gateway_sink {
    void *arg;
    void (*attached)(void *arg, uint64_t session, uint64_t last_number);
    /* Exactly one for each command taken, in the order in which they were carried out, unless the link ends before. */
    void (*reply)(void *arg, const struct gateway_reply *reply);
    void (*delivery)(void *arg, const struct gateway_delivery *delivery);
    /* Asked before each delivery, with the length of its body, head and trail. False: not now; pause(true) has been called from within, and
     * pause(false) follows. May be NULL: always. */
    bool (*takes)(void *arg, size_t body_len);
    /* A subscription is over although nobody asked: NOT_FOUND, its queue was deleted; or (0) because it was a fetch, and all that
     * it was given is settled or has gone back. Deliveries of it that came before
     * stand; none follows. Also after an attachment, for a consumer named in it that the session does not have (any
     * more): then a Subscribe that the client has still to send again may yet make it. */
    void (*consumer_ended)(void *arg, uint64_t consumer, int err, const char *detail);
    /* A delivery was held for too long, and has gone back. May be NULL. */
    void (*lock_ended)(void *arg, uint64_t consumer, uint64_t number);
    /* The client is to say what becomes of prepared messages: ResolvePrepared. May be NULL. */
    void (*prepared_ask)(void *arg, const char *id);
    /* The link is over and is freed when this returns: no further callback, no further call. UNAVAILABLE: this node cannot
     * serve (it has no leader, is stopping, or was taken for lost); the session lives on for its lease, and another node
     * may serve it. SESSION_EXPIRED, DISPLACED, CLOSED (the session was closed as asked), or what refused the attachment. */
    void (*detached)(void *arg, int err, const char *detail, const struct gateway_leader *leader);
    /* gateway submit said BUSY; now there is room again. */
    void (*resume)(void *arg);
    /* A turn of the loop is over: what was given to reply(), delivery() and consumer_ended() can be sent, and commands that follow from
     * it submitted. */
    void (*flush)(void *arg);
};

struct gateway_attach {
    uint8_t key[16];
    bool resume;
    const char *virtual_host;
    const char *client;
    const char *user; /* Who it is, as the protocol has found out; NULL or "": nobody in particular. */
    uint32_t lease_ms;
    uint64_t attempt;          /* Counted by the client, higher each time; 0: not counted. */
    const uint64_t *consumers; /* With `seen`: deliveries above these numbers are sent again. Copied. */
    const uint64_t *seen;
    size_t consumers_len;
};

/* What is known of a queue. */
struct gateway_queue {
    const char *name;
    uint64_t ready;
    uint64_t unsettled;
    uint32_t consumers;
    uint64_t enqueued; /* Counted since it was declared. */
    uint64_t delivered;
    uint64_t settled;
    uint64_t released;
    uint64_t expired;
    uint64_t dropped;
    uint64_t dead_lettered;
    uint64_t redriven;
    uint64_t lock_ended;
    uint64_t parked;    /* Of the ready ones. */
    uint64_t waiting;   /* Came back, and wait before they are ready again. */
    uint64_t bytes;     /* Of ready messages, as far as they are counted; 0 in a list. */
    uint64_t oldest_ms; /* Log time at which the oldest ready message was enqueued; 0: none is ready, or in a list. */
    bool owned;         /* It is exclusive, and its session is there. */
    uint64_t active_session; /* Of a single-active queue; 0: none. */
    uint64_t active_consumer;
    const Holdfast__QueueOptions *options; /* Never NULL, but in tests. Valid until the next call, as `name`. */
};

struct gateway_exchange {
    const Holdfast__DeclareExchange *declared;
    uint64_t bindings; /* From it. */
};

struct gateway_binding {
    uint64_t id;
    const Holdfast__Bind *bind;
};

struct gateway_virtual_host {
    const char *name;
    uint64_t id;
    const char *note;
};

struct gateway_browsed {
    uint64_t position;
    uint64_t enqueued_ms;
    uint64_t expires_ms; /* Log time; 0: never. */
    uint64_t left_ms;    /* Of a kept one: when it left its queue. */
    uint64_t body_hash;  /* Of the head and the body behind it. */
    uint32_t delivery_count;
    bool locked;       /* Out with a consumer. */
    const char *state; /* A word. */
    struct slice body; /* As in struct gateway_delivery. */
    struct slice head;
    struct slice trail;
};

/* A step of a message's life. */
struct gateway_step {
    const char *what; /* A word. */
    uint64_t index;   /* Of the log. */
    uint64_t time_ms;
    uint64_t session;
    uint64_t consumer;
    const char *text; /* How it came in, or where it went; "". */
};

struct gateway_consumer {
    uint64_t session;
    uint64_t consumer;  /* Its number within the session. */
    uint64_t node;      /* Where the session is attached; 0: nowhere. */
    uint64_t delivered; /* The number of its last delivery. */
    uint64_t lock_ms;   /* Of its own; 0: the queue's. */
    uint32_t credit;
    uint32_t unsettled;
    int32_t priority;
    bool exclusive;
    bool auto_accept;
    bool fetch;
    bool active; /* It may be given messages: false while another is the active one. */
    const char *tag;
};

struct gateway_limit {
    Holdfast__Limit__What what;
    bool is_set;
    bool is_counted; /* `used` says something. */
    uint64_t value;
    uint64_t used;
};

struct gateway_producer {
    uint64_t epoch;         /* 0: it was never opened. */
    uint64_t last_sequence; /* 0: none was taken. */
    uint64_t session;       /* That opened it last; it may be gone. 0: none. */
};

struct gateway_prepared {
    const char *id;
    const char *group;
    const char *state; /* A word. */
    uint64_t messages;
    uint64_t ask_ms;      /* Log time of the next question; 0: none. */
    uint64_t deadline_ms; /* Log time; 0: none. */
    bool commit_at_deadline;
    uint64_t remembered_until_ms; /* Log time; 0: it is not resolved. */
};

/* A read that must be current. The caller's struct, which must live until done() or read_cancel(). */
struct gateway_read {
    /* With 0, this node's replica holds everything that was confirmed, to anybody, before read() was called: look at it
     * now, from within. UNAVAILABLE: no leader could be asked within some seconds. From within it, read() may be called
     * again, also with the same struct. */
    void (*done)(struct gateway_read *read, int err);
    struct list_node node; /* The gateway's, with what follows. */
    uint64_t round;
    uint64_t index;
    uint64_t deadline_ms;
};

#define GATEWAY_ALARMS_MAX 8u

struct gateway_status {
    const char *cluster;
    uint64_t node;
    uint64_t leader;
    uint64_t term;
    uint64_t commit_index;
    uint64_t applied_index;
    uint64_t log_first;
    uint64_t log_last;
    uint64_t checkpoint_index;
    uint64_t log_time_ms;
    uint32_t machine_version;
    const char *version;
    uint64_t entries_replayed;
    uint64_t sessions;    /* Open ones, in the whole cluster. */
    const char *refusing; /* Why new messages are refused, as far as this node knows; "" when they are not. */
    struct gateway_status_member {
        uint64_t id;
        const char *peer_address;
        const char *client_address;
        const char *role;
        bool connected;
        uint64_t match_index;
        const char *detail;
        bool voter;
        bool preferred;   /* Its operator would have it lead. */
        const char *zone; /* "" when not known. */
    } members[16];
    unsigned members_len;
    const char *alarms[GATEWAY_ALARMS_MAX]; /* What needs an operator. */
    unsigned alarms_len;
};

enum gateway_change_kind {
    GATEWAY_ADD,     /* `node`, whose peers reach it at `address`, follows and does not vote. */
    GATEWAY_PROMOTE, /* It votes. */
    GATEWAY_DEMOTE,  /* It votes no more. */
    GATEWAY_REMOVE,
};

/* A change of the membership. The caller's struct, which must live until done() or change_cancel(). */
struct gateway_change {
    enum gateway_change_kind kind;
    uint64_t node;
    char address[ADDRESS_LEN_MAX + 1];
    /* 0: it is done, or was so before. Otherwise `detail` says why not, and when to try again: BUSY, not now; REFUSED, not
     * like this; UNAVAILABLE, no leader could be asked, or its answer did not come: the outcome is unknown, asking again is
     * safe. */
    void (*done)(struct gateway_change *change, int err, const char *detail);
    struct list_node link; /* The gateway's, with what follows. */
    uint64_t id;
    uint64_t deadline_ms;
};

struct gateway_ops {
    /* Who leads. 0, or ERR_UNAVAILABLE: not known. */
    int (*leader)(struct gateway *gateway, struct gateway_leader *ret_leader);

    /* Attaches a session, on any node; the answer comes through the sink: attached() or detached(). ERR_UNAVAILABLE: this
     * node cannot serve now, another may. ERR_NOMEM, ERR_LIMIT. */
    int (*attach)(struct gateway *gateway, const struct gateway_attach *attach, const struct gateway_sink *sink,
                  struct gateway_link **ret_link);

    /* Submits a command: `header` is an encoded Command, `bodies` its bodies. Takes its own references. After attached()
     * only, and with rising numbers. ERR_BUSY: nothing was taken; stop reading until resume(). ERR_TOO_BIG. ERR_INVALID:
     * the number is not above the last. */
    int (*submit)(struct gateway_link *link, uint64_t number, uint64_t answered, struct slice header,
                  struct slice bodies);

    /* Deliveries stop while the connection cannot take more, and are caught up afterwards. */
    void (*pause)(struct gateway_link *link, bool paused);

    /* The connection is gone; the session's lease begins. Frees the link. */
    void (*detach)(struct gateway_link *link);

    /* Makes a read current (ReadIndex, Raft thesis §6.4): done() follows, never from within the call. No log entry. */
    void (*read)(struct gateway *gateway, struct gateway_read *read);
    /* No done() any more. Harmless after it. */
    void (*read_cancel)(struct gateway *gateway, struct gateway_read *read);

    /* The rules of the machine that are in force here: what needs newer ones is answered with VERSION. NULL: all. */
    uint32_t (*machine_version)(struct gateway *gateway);

    /* Looks at this node's replica, which is current within a read's done(). `virtual_host` "" means "/"; ERR_NOT_FOUND: there is no
     * such one. `each` is given one after the other until it says false, for one that it did not take: then *ret_more is set. Never called, and may be NULL,
     * where no read succeeds. */

    /* The queues whose names sort after `after`. */
    int (*queues)(struct gateway *gateway, const char *virtual_host, const char *after, void *arg,
                  bool (*each)(void *arg, const struct gateway_queue *queue), bool *ret_more);
    /* ERR_NOT_FOUND. */
    int (*queue)(struct gateway *gateway, const char *virtual_host, const char *name, struct gateway_queue *ret_queue);
    /* Messages of a queue from `position` on, in order, until `each` says false (this one was taken); sets *ret_more when there
     * are others. With `kept`, those that have left it and are kept. ERR_NOT_FOUND, and what reading a body may say. */
    int (*browse)(struct gateway *gateway, const char *virtual_host, const char *name, uint64_t position, bool kept,
                  void *arg, bool (*each)(void *arg, const struct gateway_browsed *message), bool *ret_more);
    /* The exchanges whose names sort after `after` (NULL: all; the first is ""). */
    int (*exchanges)(struct gateway *gateway, const char *virtual_host, const char *after, void *arg,
                     bool (*each)(void *arg, const struct gateway_exchange *exchange), bool *ret_more);
    /* The bindings with an id above `after`; with `from`, those from the exchange of that name. ERR_NOT_FOUND. */
    int (*bindings)(struct gateway *gateway, const char *virtual_host, const char *from, uint64_t after, void *arg,
                    bool (*each)(void *arg, const struct gateway_binding *binding), bool *ret_more);
    /* The virtual hosts whose names sort after `after`. */
    int (*virtual_hosts)(struct gateway *gateway, const char *after, void *arg,
                         bool (*each)(void *arg, const struct gateway_virtual_host *host), bool *ret_more);
    /* The consumers of a queue behind that one of that session, by session and number. ERR_NOT_FOUND. */
    int (*consumers)(struct gateway *gateway, const char *virtual_host, const char *queue, uint64_t session,
                     uint64_t consumer, void *arg, bool (*each)(void *arg, const struct gateway_consumer *consumer),
                     bool *ret_more);
    /* What the virtual host, or (if `user` is not "") the user, may have, and has: all limits that there are for it. */
    int (*limits)(struct gateway *gateway, const char *virtual_host, const char *user, void *arg,
                  bool (*each)(void *arg, const struct gateway_limit *limit));
    /* ERR_NOT_FOUND: nothing is known of it. */
    int (*producer)(struct gateway *gateway, const char *virtual_host, const char *name,
                    struct gateway_producer *ret_producer);
    /* Prepared messages whose ids sort after `after`, with those that were resolved and are remembered. */
    int (*prepared)(struct gateway *gateway, const char *virtual_host, const char *after, void *arg,
                    bool (*each)(void *arg, const struct gateway_prepared *prepared), bool *ret_more);
    /* What became of the message at a position of a queue, in order. ERR_NOT_FOUND: no such queue. */
    int (*life)(struct gateway *gateway, const char *virtual_host, const char *queue, uint64_t position, void *arg,
                bool (*each)(void *arg, const struct gateway_step *step), bool *ret_more);

    /* Asks for leadership to be handed to `node`, or to whoever is most advanced (0). ERR_NOT_FOUND: no such member,
     * or none that can lead. ERR_UNAVAILABLE: no leader is known. 0: asked for; status() shows what comes of it. */
    int (*transfer)(struct gateway *gateway, uint64_t node);

    /* Changes the membership: done() follows, never from within the call. */
    void (*change)(struct gateway *gateway, struct gateway_change *change);
    /* No done() any more; the change may be made all the same. Harmless after it. */
    void (*change_cancel)(struct gateway *gateway, struct gateway_change *change);

    /* Asks `node` to put its data aside and fetch a copy of the leader's. ERR_NOT_FOUND: no such member. ERR_UNAVAILABLE: it
     * cannot be reached. ERR_REFUSED: it is the only voter. 0: asked for. */
    int (*repair)(struct gateway *gateway, uint64_t node);

    void (*status)(struct gateway *gateway, struct gateway_status *ret_status);
};

struct gateway {
    const struct gateway_ops *ops;
    /* What this node takes as one message body, in bytes; 0: BODY_LEN_MAX. A protocol enforces it before it submits: it
     * is this node's configuration, of which the replicated machine knows nothing. */
    uint64_t body_len_max;
};

struct gateway_link {
    struct gateway *gateway;
};

#endif
