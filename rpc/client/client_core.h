/* The client without its sockets: finds a node that serves, numbers commands, sends again what is unanswered under the same
 * numbers, drops deliveries that it has seen, and tells "refused" from "outcome unknown".
 *
 * The asynchronous library puts libuv under it; the simulator puts its own network and clock. One thread.
 *
 * A command has one of three ends, through its callback, exactly once:
 *   answered    reply->error 0, or the number of the error with which the machine refused it: it was not done.
 *   unknown     ERR_OUTCOME_UNKNOWN: it was sent, and the session ended or the time ran out before an answer came.
 *   not sent    ERR_UNAVAILABLE, ERR_TIMEOUT, ERR_CLOSED, ERR_REFUSED...: it cannot have been done.
 * A publish of a named producer is never unknown while time is left: when the session is lost, it is sent again in the
 * next one, and the machine knows its sequence.
 *
 * A session that is refused for good (no such virtual host, a limit on sessions) ends what waits with that error; what is
 * issued later tries again.
 *
 * Any node serves. The client stays with one until it says that it cannot (GOODBYE), the connection is lost, or it falls
 * silent; then it resumes its session on the next one, at once. When all have been tried, it waits, from 50 ms up to 1 s.
 *
 * Callbacks come from within the events, never from within a command; commands may be issued from within callbacks. A
 * connection begins with the first client_core_tick(). */

#ifndef HOLDFAST_RPC_CLIENT_CLIENT_CORE_H
#define HOLDFAST_RPC_CLIENT_CLIENT_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/blob.h"
#include "proto/base/clock.h"
#include "proto/base/err.h"
#include "proto/wire/frame.h"

struct client_core;
struct Holdfast__Command; /* Of command.pb-c.h. */

struct client_reply {
    int err;            /* 0, or negative, as above. */
    const char *detail; /* "" or one line. */
    uint64_t count;
    uint64_t repeated_count;
    struct slice unrouted; /* Bits of messages, as in Reply (command.proto); borrowed. Empty: none is set. */
    struct slice refused;
};

struct client_delivery {
    uint64_t consumer;
    uint64_t number;
    uint64_t position;
    uint64_t enqueued_ms;
    uint64_t body_hash;     /* Has been checked: of the head and the body. */
    uint64_t lock_until_ms; /* Log time at which it goes back unless it is settled or extended; 0: never. */
    uint64_t expires_ms;    /* Of the message, in log time; 0: never. */
    uint32_t delivery_count;
    bool settled;       /* As it was delivered (auto_accept). */
    struct slice body;  /* Borrowed; slice_ref() to keep it. */
    struct slice head;  /* An encoded MessageHead (message.proto), likewise; empty: none. */
    struct slice trail; /* An encoded Trail; empty: none. */
};

typedef void (*client_reply_cb)(void *arg, const struct client_reply *reply);

struct client_core_host {
    void *arg;
    /* Opens a connection to host:port; answer with client_core_connected() or client_core_disconnected(), not from within
     * the call. At most one at a time. */
    void (*connect)(void *arg, const char *address);
    /* Closes it; client_core_disconnected() is not called for it any more. */
    void (*disconnect)(void *arg);
    /* Sends a frame on it, in order. Takes ownership. */
    void (*send)(void *arg, struct frame_out *frame);
    void (*delivery)(void *arg, const struct client_delivery *delivery);
    /* The subscription is over although nobody asked: its queue was deleted, or the session was lost (ERR_SESSION_EXPIRED:
     * what it held has gone back; settlements of its deliveries are void). With 0 it was a fetch, or was drained, and is done. */
    void (*consumer_ended)(void *arg, uint64_t consumer, int err, const char *detail);
    /* A delivery was held for too long, and has gone back. May be NULL. */
    void (*lock_ended)(void *arg, uint64_t consumer, uint64_t number);
    /* What becomes of these prepared messages is to be said. May be NULL. */
    void (*prepared_ask)(void *arg, const char *id);
    /* A number that changes while a long frame moves on the connection, either way, since it was asked last: on a slow line
     * that is a sign of life before the frame is whole. Asked now and then, when nothing is heard. May be NULL. */
    uint64_t (*moved)(void *arg);
    /* Each server has been tried in vain; `detail` is what was wrong with the last. Told again after every further round.
     * It must not call the client. May be NULL. */
    void (*trouble)(void *arg, const char *detail);
    /* For curious programs and tests: attached to a node. May be NULL. */
    void (*attached)(void *arg, const char *address, uint64_t session);
};

struct client_core_options {
    const char *const *servers; /* host:port, in the order in which they are tried; copied, each once. */
    size_t servers_len;
    const char *client_name;
    const char *virtual_host; /* NULL: "/". */
    const char *user;         /* For quotas; NULL: nobody in particular. */
    uint32_t lease_ms;        /* 0: the default. */
    uint32_t window;          /* Commands in flight, at most SESSION_WINDOW_MAX; 0: 256. */
    uint64_t
        connect_timeout_ms; /* For connecting to one node and its greeting, and again for attaching; 0: 2000. Doubled
                                  * after each attachment without an answer, up to eight times as long. */
    uint64_t
        silence_timeout_ms; /* With something unanswered and nothing heard: another node is tried; 0: 3000. A third of
                                  * it before, the node is asked whether it is there. */
    struct clock *clock;
    struct client_core_host host;
    const uint8_t
        *key;        /* SESSION_KEY_LEN bytes, of the program's own: see client_core_take_up(). NULL: made at random. */
    bool query_only; /* No session and no commands. Queries go to whichever of the servers answers. */
    bool spread;     /* The servers are tried in an order of its own, for one of many clients; else as listed. */
};

int client_core_new(const struct client_core_options *options, struct client_core **ret_core) NODISCARD;
/* What has no answer yet ends as unknown or not sent. NULL is allowed. Not from within a callback of the core. */
void client_core_free(struct client_core *core);

/* Events from the host. */
void client_core_connected(struct client_core *core);
void client_core_disconnected(struct client_core *core, int err);
/* The same with one line for people, which commands that end as ERR_UNAVAILABLE pass on. */
void client_core_disconnected_because(struct client_core *core, int err, const char *detail);
void client_core_frame(struct client_core *core, struct frame *frame); /* Takes ownership. */
void client_core_tick(struct client_core *core);                       /* Due at the deadline; harmless otherwise. */
uint64_t client_core_deadline_ms(const struct client_core *core);      /* UINT64_MAX: nothing to wait for. */

/* Commands. `timeout_ms` 0 means for ever. The bodies are copied or referenced, never borrowed. An error return means
 * that the callback will not be called: ERR_BUSY (the window and its queue are full), ERR_TOO_BIG, ERR_NAME, ERR_UTF8,
 * ERR_INVALID, ERR_NOMEM, ERR_CLOSED, ERR_VERSION (the node is of a version that does not know it). A publish that waits when the node's limit of a body becomes known, and is over
 * it, ends with ERR_TOO_BIG without having been sent. When a publish of a named producer is refused, what its producer
 * numbered after it and has not been sent yet ends with ERR_REFUSED: a later number would hide the refused one. */
int client_core_declare(struct client_core *core, const char *queue, uint64_t timeout_ms, client_reply_cb cb,
                        void *arg) NODISCARD;
int client_core_delete(struct client_core *core, const char *queue, bool if_empty, uint64_t timeout_ms,
                       client_reply_cb cb, void *arg) NODISCARD;
/* Drops the messages that are ready; those that are out with consumers stay. */
int client_core_purge(struct client_core *core, const char *queue, uint64_t timeout_ms, client_reply_cb cb,
                      void *arg) NODISCARD;
int client_core_publish(struct client_core *core, const char *queue, const char *producer, uint64_t first_sequence,
                        const struct slice *bodies, size_t bodies_len, uint64_t timeout_ms, client_reply_cb cb,
                        void *arg) NODISCARD;
/* All that a publish can say. Messages go to `queue`; or, when that is NULL, each to the exchange that its head names. */
struct client_publish {
    const char *queue;
    const char *producer; /* NULL: none. */
    uint64_t first_sequence;
    uint64_t producer_epoch;   /* Of client_core_command() with OpenProducer; 0: not checked. */
    bool no_gaps;              /* `first_sequence` has to follow the last one: else ERR_GAP. */
    bool each;                 /* A message that is refused does not keep out the others: see reply->refused. */
    const struct slice *heads; /* An encoded MessageHead for each message, or NULL. */
    const struct slice *bodies;
    size_t len;
    const char *prepare; /* NULL; else an id: nobody sees the messages until that is resolved, with what follows. */
    const char *prepare_group;
    uint64_t ask_after_ms;
    uint64_t deadline_ms;
    bool commit_at_deadline;
};
int client_core_publish_all(struct client_core *core, const struct client_publish *publish, uint64_t timeout_ms,
                            client_reply_cb cb, void *arg) NODISCARD;

/* Any other command of command.proto that a session may issue and that has no bodies, is no subscription, and settles nothing.
 * `again`: doing it twice is doing it once, so that it may be sent again in the next session when this one is lost; otherwise it
 * then ends as ERR_OUTCOME_UNKNOWN. Names in it are checked by the cluster. */
int client_core_command(struct client_core *core, const struct Holdfast__Command *command, bool again,
                        uint64_t timeout_ms, client_reply_cb cb, void *arg) NODISCARD;

/* What goes with a subscription; all 0: nothing. */
struct client_subscription {
    int32_t priority; /* Those with a higher one are given messages first. */
    bool exclusive;
    bool auto_accept; /* What is delivered is settled at once: at most once. */
    bool fetch;       /* Takes up to `credit` messages that are ready, and ends by itself. */
    uint64_t lock_ms; /* Instead of the queue's; 0: the queue's. */
    const char *tag;  /* For people; NULL: "". */
};
/* As client_core_subscribe(). */
int client_core_subscribe_as(struct client_core *core, const char *queue, uint64_t consumer, uint32_t credit,
                             const struct client_subscription *how, uint64_t timeout_ms, client_reply_cb cb,
                             void *arg) NODISCARD;

/* `consumer`: not 0, and better never used before: a settlement of an earlier subscription could meet the new one. */
int client_core_subscribe(struct client_core *core, const char *queue, uint64_t consumer, uint32_t credit,
                          uint64_t timeout_ms, client_reply_cb cb, void *arg) NODISCARD;
int client_core_unsubscribe(struct client_core *core, uint64_t consumer, uint64_t timeout_ms, client_reply_cb cb,
                            void *arg) NODISCARD;
/* Is given no more, keeps what it holds, and ends (consumer_ended() with 0) when that is settled; at once when it holds nothing. */
int client_core_drain(struct client_core *core, uint64_t consumer, uint64_t timeout_ms, client_reply_cb cb,
                      void *arg) NODISCARD;
/* With options.key a program takes up the session that an earlier process had under the same key: what had been asked for is over, what
 * was being consumed is held still. `left` is a subscription as client_core_query_consumers() has it, of this session
 * (client_core_session()): it goes on as if it had been made here, and all that it holds is delivered once more, under the same
 * numbers. ERR_NOT_FOUND: it is another session's. ERR_EXISTS: it is this one's already.
 *
 * Of two processes the one that began later, by its wall clock, has the session: what the other has asked for and will ask for
 * ends as ERR_DISPLACED, as its subscriptions do (unknown remains what it had sent). It must not go on settling. */
struct client_consumer_info;
int client_core_take_up(struct client_core *core, const struct client_consumer_info *left) NODISCARD;
/* The number of the session; 0: there is none yet, or it has been lost. */
uint64_t client_core_session(const struct client_core *core);
enum client_outcome { CLIENT_ACCEPT = 0, CLIENT_REJECT = 1, CLIENT_RELEASE = 2 };
struct client_range {
    uint64_t first;
    uint64_t last;
};
/* ERR_NOT_FOUND: no such subscription (any more). ERR_INVALID: a range names what has not been delivered. */
int client_core_settle(struct client_core *core, uint64_t consumer, enum client_outcome outcome,
                       const struct client_range *ranges, size_t ranges_len, uint64_t timeout_ms, client_reply_cb cb,
                       void *arg) NODISCARD;
/* What goes with a settlement; all 0: nothing. */
struct client_settlement {
    bool has_delay; /* RELEASE: delivered again after `delay_ms`, whatever the queue says. */
    uint64_t delay_ms;
    bool all;         /* All or nothing: when one is not held any more, STALE. */
    bool not_counted; /* RELEASE: the delivery does not count. */
};
/* As client_core_settle(). */
int client_core_settle_as(struct client_core *core, uint64_t consumer, enum client_outcome outcome,
                          const struct client_settlement *how, const struct client_range *ranges, size_t ranges_len,
                          uint64_t timeout_ms, client_reply_cb cb, void *arg) NODISCARD;
/* Deliveries of a queue with a lock are kept for `lock_ms` from now; 0: for as long as a message would be that is delivered to this
 * consumer now, as the subscription or, by now, the queue says. Errors as client_core_settle(). */
int client_core_extend(struct client_core *core, uint64_t consumer, uint64_t lock_ms, const struct client_range *ranges,
                       size_t ranges_len, uint64_t timeout_ms, client_reply_cb cb, void *arg) NODISCARD;
/* Publishes and settlements, all or nothing. Neither `each` nor `prepare`. A session that is lost meanwhile leaves it unknown. */
struct client_transaction {
    const struct client_publish *publishes;
    size_t publishes_len;
    const struct client_settled {
        uint64_t consumer;
        enum client_outcome outcome;
        struct client_range range;
        struct client_settlement how; /* `all` is implied. */
    } * settled;
    size_t settled_len;
};
int client_core_transact(struct client_core *core, const struct client_transaction *transaction, uint64_t timeout_ms,
                         client_reply_cb cb, void *arg) NODISCARD;
/* Ends the session: what it holds goes back. */
int client_core_close_session(struct client_core *core, uint64_t timeout_ms, client_reply_cb cb, void *arg) NODISCARD;

/* Queries are not numbered and not remembered: after a reconnection they are asked again. Those about queues are
 * linearizable. Results live during the callback. */
struct client_query_result; /* Declared in client_query.h: the decoded QueryResult. */
typedef void (*client_query_cb)(void *arg, int err, const char *detail, const struct client_query_result *result);
int client_core_query_queues(struct client_core *core, const char *after, uint64_t timeout_ms, client_query_cb cb,
                             void *arg) NODISCARD;
/* One queue, in result->queues. ERR_NOT_FOUND. */
int client_core_query_queue(struct client_core *core, const char *queue, uint64_t timeout_ms, client_query_cb cb,
                            void *arg) NODISCARD;
/* Messages from `position` on (0: from the first), at most `max`, in result->messages. Takes nothing. ERR_NOT_FOUND. */
int client_core_query_browse(struct client_core *core, const char *queue, uint64_t position, uint32_t max,
                             uint64_t timeout_ms, client_query_cb cb, void *arg) NODISCARD;
/* Likewise, of those that have left the queue and are kept. */
int client_core_query_kept(struct client_core *core, const char *queue, uint64_t position, uint32_t max,
                           uint64_t timeout_ms, client_query_cb cb, void *arg) NODISCARD;
/* What became of the message at `position`, in result->steps. ERR_NOT_FOUND: no such queue. */
int client_core_query_life(struct client_core *core, const char *queue, uint64_t position, uint64_t timeout_ms,
                           client_query_cb cb, void *arg) NODISCARD;
/* Exchanges whose names sort after `after` (NULL: all; the first is ""), in result->exchanges. */
int client_core_query_exchanges(struct client_core *core, const char *after, uint64_t timeout_ms, client_query_cb cb,
                                void *arg) NODISCARD;
/* Bindings with an id above `after`, in result->bindings; with `exchange` (else NULL) those from that one. ERR_NOT_FOUND. */
int client_core_query_bindings(struct client_core *core, const char *exchange, uint64_t after, uint64_t timeout_ms,
                               client_query_cb cb, void *arg) NODISCARD;
/* Virtual hosts whose names sort after `after` ("": all), in result->virtual_hosts. */
int client_core_query_virtual_hosts(struct client_core *core, const char *after, uint64_t timeout_ms,
                                    client_query_cb cb, void *arg) NODISCARD;
/* Consumers of a queue behind that one (0, 0: all), by session and number, in result->consumers. ERR_NOT_FOUND: no such queue. */
int client_core_query_consumers(struct client_core *core, const char *queue, uint64_t session, uint64_t consumer,
                                uint64_t timeout_ms, client_query_cb cb, void *arg) NODISCARD;
/* What a user, or (NULL) the client's virtual host, may have and has, in result->limits. */
int client_core_query_limits(struct client_core *core, const char *user, uint64_t timeout_ms, client_query_cb cb,
                             void *arg) NODISCARD;
/* In result->producer. ERR_NOT_FOUND: nothing is known of it. */
int client_core_query_producer(struct client_core *core, const char *producer, uint64_t timeout_ms, client_query_cb cb,
                               void *arg) NODISCARD;
/* What is prepared, or was resolved less than a day ago, under ids that sort after `after` ("": all), in result->prepared. */
int client_core_query_prepared(struct client_core *core, const char *after, uint64_t timeout_ms, client_query_cb cb,
                               void *arg) NODISCARD;
/* Asks for leadership to go to `node`, or with 0 to whoever is most advanced. 0: asked for; whether it is done shows in
 * the cluster's status. Never asked twice: ERR_OUTCOME_UNKNOWN when the connection is lost meanwhile. ERR_NOT_FOUND. */
int client_core_transfer(struct client_core *core, uint64_t node, uint64_t timeout_ms, client_query_cb cb,
                         void *arg) NODISCARD;
/* Changes of the membership. Answered when it is done, or was so before; else with why not: ERR_BUSY, not now; ERR_REFUSED,
 * ERR_NOT_FOUND, ERR_INVALID, ERR_LIMIT, not like this; ERR_UNAVAILABLE, nobody could be asked who may decide it, or nobody knows
 * whether it is done; ERR_OUTCOME_UNKNOWN. To ask again is safe. `node` is to be a member, or is one; `address`, where other nodes
 * reach it, is for ADD alone (NULL otherwise). REPAIR is answered when it is asked for, and not asked twice. */
enum client_change {
    CLIENT_ADD_MEMBER,     /* Follows, and does not vote. */
    CLIENT_PROMOTE_MEMBER, /* Votes. */
    CLIENT_DEMOTE_MEMBER,  /* Votes no more. */
    CLIENT_REMOVE_MEMBER,
    CLIENT_REPAIR_MEMBER, /* Puts its data aside, and fetches a copy of the leader's. */
};
int client_core_change_member(struct client_core *core, enum client_change change, uint64_t node, const char *address,
                              uint64_t timeout_ms, client_query_cb cb, void *arg) NODISCARD;
/* Of the node that the client is connected to. */
int client_core_query_cluster(struct client_core *core, uint64_t timeout_ms, client_query_cb cb, void *arg) NODISCARD;

/* What the node last attached to takes as one message body, in bytes; BODY_LEN_MAX before any has said. */
uint64_t client_core_body_len_max(const struct client_core *core);

/* Who leads, and where clients reach it, as the node knew that greeted last; for information. 0 and "": not known. The
 * address lives until the next event. */
struct client_leader {
    uint64_t node; /* That said so; 0: none has. */
    uint64_t leader;
    const char *address;
};
struct client_leader client_core_leader(const struct client_core *core);

/* Commands that have no answer yet. */
size_t client_core_unanswered(const struct client_core *core);

#endif
