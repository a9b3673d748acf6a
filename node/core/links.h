/* Links: the connections attached at this node, and what of each session's deliveries they have been sent. */

#ifndef HOLDFAST_NODE_CORE_LINKS_H
#define HOLDFAST_NODE_CORE_LINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The ordered sets are macros of this header alone. */
#include <bsd/sys/tree.h>

#include "node/core/outgoing.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"
#include "proto/base/list.h"
#include "rpc/gateway.h"

#define LINKS_MAX 65536u
#define LINK_DETAIL_LEN 256u

enum link_state {
    LINK_ATTACHING, /* The attach command is on its way through the log. */
    LINK_ATTACHED,
    LINK_ORPHAN, /* Its connection went while the attach command was on its way: waits for the answer, to detach. */
    LINK_DOOMED, /* Is told so at the end of the turn, and freed. */
    LINK_GONE,   /* Is freed at the end of the turn. */
};

/* A subscription, as far as deliveries over this link go. */
struct link_consumer {
    RB_ENTRY(link_consumer) by_id;
    struct list_node behind; /* In the link's list, when there may be deliveries above `sent`. */
    uint64_t id;
    uint64_t sent; /* The highest delivery number sent, or named as seen when the link was attached. */
    bool named;    /* By the client in its attachment, and not looked up in the machine since. */
};

RB_HEAD(link_consumers, link_consumer);

struct link {
    struct gateway_link base;
    struct gateway_sink sink;
    enum link_state state;
    RB_ENTRY(link) by_id;
    RB_ENTRY(link) by_session;
    struct list_node touched; /* In the gateway's list: is to be flushed. */
    struct list_node behind;  /* In the gateway's list: deliveries are to be caught up. */
    struct list_node busy;    /* In the gateway's list: was told BUSY and waits for resume(). */
    struct list_node ending;  /* In the gateway's list: doomed or gone. */
    uint64_t id;              /* Unique in this gateway, and the tag of its attach command. */
    uint64_t session;         /* The one bound to it; 0 when there is none. */
    uint64_t attachment;
    bool paused;
    uint64_t forced_bytes;    /* Handed on although it takes nothing: see gateway_deliver_settled(). */
    uint64_t last_number;     /* Of the commands submitted over this link. */
    struct list_node pending; /* Its outgoing commands of the session, in order. */
    uint64_t pending_bytes;
    uint32_t pending_commands;
    uint64_t slow_until_ms;            /* No new messages are taken before: some were refused just now. */
    struct outgoing_command *farewell; /* Its detach command, made ahead so that a session is never left attached. */
    struct link_consumers consumers;
    uint32_t consumers_len;
    struct list_node consumers_behind;
    bool doom_orphans; /* An attach command of it is still on its way when it ends. */
    int doom_err;
    char doom_detail[LINK_DETAIL_LEN];
};

RB_HEAD(links_by_id, link);
RB_HEAD(links_by_session, link);

/* Zero-initialise; links_done() at the end. */
struct links {
    struct links_by_id by_id;
    struct links_by_session by_session;
    uint32_t len;
    uint64_t id_last;
};

/* A new link with an id, in state ATTACHING. ERR_NOMEM, ERR_LIMIT (LINKS_MAX). */
int links_add(struct links *links, const struct gateway_sink *sink, struct link **ret_link) NODISCARD;

/* Takes the link out of every set and list, and frees it. */
void links_remove(struct links *links, struct link *link);

/* NULL when it has gone. */
struct link *links_find(struct links *links, uint64_t id);
/* The link that a session is attached to here, or NULL. */
struct link *links_find_session(struct links *links, uint64_t session);
struct link *links_first(struct links *links);
struct link *links_next(struct link *link);

/* Its command of that number that has no answer yet, or NULL. Answers come in order: it is nearly always the first. */
struct outgoing_command *links_pending(struct link *link, uint64_t number);

/* From here on the session's deliveries go over this link. No other link may have the session. */
void links_bind(struct links *links, struct link *link, uint64_t session, uint64_t attachment);
/* The session's deliveries no longer go over this link. Harmless when they did not. */
void links_unbind(struct links *links, struct link *link);

/* The consumer of that id, made when it is new: then with nothing sent. ERR_NOMEM. Who makes them bounds them. */
int link_consumer_get(struct link *link, uint64_t id, struct link_consumer **ret_consumer) NODISCARD;
/* NULL when there is none. */
struct link_consumer *link_consumer_find(struct link *link, uint64_t id);
struct link_consumer *link_consumer_first(struct link *link);
struct link_consumer *link_consumer_next(struct link_consumer *consumer);
void link_consumer_drop(struct link *link, struct link_consumer *consumer);

/* Frees all links without telling anybody. */
void links_done(struct links *links);

#endif
