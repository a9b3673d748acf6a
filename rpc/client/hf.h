/* libholdfast: the client library.
 *
 * Any node of a cluster serves. The client connects to one of its servers and stays; when that node goes away, says that it
 * cannot serve, or falls silent, the client resumes its session on the next one and sends again what is unanswered, under
 * the same numbers: whatever was done already is answered the same.
 *
 * Two ways to use it. hf_client_* is asynchronous, on a libuv loop of the caller. hf_* is blocking and has a loop of its
 * own. Functions return 0 or a negative ERR_*, for which err_text() has words.
 *
 * Threads. There is no state beside what hf_open() and hf_client_new() return, and no thread of the library's own. One of
 * these belongs to one thread at a time: use one for each thread, or a lock. An asynchronous client belongs to the thread of
 * its loop, also where its functions are called from other callbacks. A blocking one does not survive fork(): the child may
 * neither use nor close it. The blocking library keeps SIGPIPE away by itself; a program that runs a loop of its own ignores
 * it (signal(SIGPIPE, SIG_IGN)), as libuv wants it.
 *
 * How a command may end, in both:
 *
 *   0                    It was done, and a majority of the nodes has it on disk.
 *   ERR_OUTCOME_UNKNOWN  It was sent, and the time ran out, or the session was lost, before an answer came: nobody can say
 *                        whether it was done, or will be.
 *   ERR_UNAVAILABLE, ERR_TIMEOUT, ERR_CLOSED, ERR_BUSY
 *                        It was not done: it has not been sent.
 *   anything else        The cluster refused it, and it was not done. Among these ERR_NO_SPACE: the disks are too full for
 *                        new messages. Nothing is lost, consuming and settling go on, and publishing succeeds again when
 *                        there is room.
 *
 * Every one ends, at the latest when its time is over: `timeout_ms`, in milliseconds; 0 is for ever. While there is time, a
 * cluster that cannot be reached is tried again and again.
 *
 * A publish that names its producer and numbers its messages can be repeated after any failure, by any process: what is
 * in already is counted as repeated. Numbers of one producer must rise in the order of publishing; after a failure, wait for
 * what is in flight, and begin again with the first number that failed: a later number that is in hides an earlier one that
 * is not.
 *
 * A delivery's token is its number, within its subscription, within the session: settling and extending carry it. It is valid from the
 * delivery until it is settled, or the message goes back: because it was released, its lock ended (hf_message.lock_until_ms), the
 * subscription or the session ended, or the queue was deleted. A message that went back is delivered again under another number, to
 * whomever; so a late settlement cannot touch what somebody else holds: it changes nothing, and ends as ERR_STALE. Extending moves the
 * end of the lock, and leaves the number as it is. What a holder does elsewhere can be fenced off in the same step: hf_transact()
 * publishes only if what it settles is held still.
 *
 * Sessions that outlive a process. With options.session_key, which is the program's own choice, a session can be had by another
 * process: one that opens the library with the same key has the session that is there, or else a new one. hf_resume() takes up the
 * subscriptions that are in it, with what they hold, under the same tokens. The session waits for it for its lease; a process that
 * wants to leave it behind calls hf_close(hf, 0), after hf_flush(). Who knows the key has the session: take random bytes
 * (hf_session_key() makes them of a text), and keep them as you would keep a password.
 *
 *     uint8_t key[SESSION_KEY_LEN];
 *     hf_session_key("worker 7 of the shop", key);
 *     struct hf_options options = {.servers = servers, .session_key = key, .lease_ms = 60000};
 *     ...hf_open(&options, &hf)...
 *     int err = hf_resume(hf, "orders", 5000, &consumer, NULL); // It was here before: what it had comes again.
 *     if (err == ERR_NOT_FOUND) {
 *         err = hf_subscribe(hf, "orders", 100, 5000, &consumer);
 *     }
 *
 * One process has it at a time: the one that began later, by its wall clock. The other, which may only have been slow, is told so:
 * everything it asks for ends as ERR_DISPLACED, and it should end, too. Nothing it sends is carried out any more. What a process had
 * sent without an answer when it died may have been done; numbered publishes tell (hf_producer() has the last number).
 *
 * Memory is bounded: what has no answer is at most 48 MiB (or one command that is larger), and at most the window and four
 * times as many commands that wait for room in it; beyond that commands are refused with ERR_BUSY, and hf_submit() waits.
 * What is delivered is at most the credit of the subscriptions. */

#ifndef HOLDFAST_RPC_CLIENT_HF_H
#define HOLDFAST_RPC_CLIENT_HF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "proto/base/err.h"
#include "proto/base/limits.h"
#include "rpc/client/client_core.h"
#include "rpc/client/client_query.h"

struct hf_options {
    const char *servers; /* "host:port,host:port,...": any of the cluster's nodes, tried in this order. Copied, as all
                                  * strings. */
    const char *client_name;  /* For people; NULL: "". */
    const char *virtual_host; /* NULL: "/". */
    const char *user;         /* For quotas: believed, while there is no authentication. NULL: nobody in particular. */
    uint32_t lease_ms;        /* How long the session outlives its connection; 0: 10 s. */
    const uint8_t
        *session_key; /* SESSION_KEY_LEN bytes; NULL: nobody else has them. See "Sessions that outlive a process". */
    uint32_t window;  /* Commands in flight, at most SESSION_WINDOW_MAX; 0: 256. */
    uint64_t
        connect_timeout_ms; /* To reach one node, before the next is tried; 0: 2 s. A node that is there but busy is
                                  * given more. */
    uint64_t
        silence_timeout_ms; /* With something unanswered and nothing heard, another node is tried; 0: 3 s. The node is
                                  * asked for a sign of life after a third of it. A long message that still moves on a slow
                                  * line is one. */
    bool query_only;        /* No session: queries only, to whichever server answers. */
    /* Told when each of the servers has been tried in vain, and again after every further round: `detail` says what was wrong
     * with the last. Nothing is given up, as long as commands have time. It must not call the library. May be NULL. */
    void (*trouble)(void *arg, const char *detail);
    void *trouble_arg;
    bool spread; /* Tries the servers in a random order: for many clients with one list. */
};

/* The asynchronous library. Callbacks are called by the loop, never from within a function of ours. All commands that
 * are issued in one turn of the loop leave in one write. */
struct hf_client;

struct hf_events {
    void *arg;
    /* A delivery; its body is borrowed, slice_ref() keeps it. */
    void (*delivery)(void *arg, const struct client_delivery *delivery);
    /* As in client_core_host. */
    void (*consumer_ended)(void *arg, uint64_t consumer, int err, const char *detail);
    /* May be NULL. */
    void (*attached)(void *arg, const char *address, uint64_t session);
    /* A delivery was held for longer than its lock, and has gone back. May be NULL. */
    void (*lock_ended)(void *arg, uint64_t consumer, uint64_t number);
    /* What becomes of what is prepared under this id is to be said: ResolvePrepared. Asked again and again. May be NULL. */
    void (*prepared_ask)(void *arg, const char *id);
};

/* ERR_INVALID: no servers, or not addresses. ERR_NAME, ERR_UTF8, ERR_NOMEM, ERR_SYSTEM. `loop` must outlive it. */
int hf_client_new(uv_loop_t *loop, const struct hf_options *options, const struct hf_events *events,
                  struct hf_client **ret_client) NODISCARD;

/* Ends what has no answer yet, now, through its callbacks; `freed` (may be NULL) is called when the loop has let go of
 * everything. Without client_core_close_session() before it, the session lives until its lease ends. Not from within a
 * callback of the client. NULL is allowed (and then `freed` is not called). */
void hf_client_free(struct hf_client *client, void (*freed)(void *arg), void *arg);

/* Commands and queries are client_core_*() on this, which is the client's. */
struct client_core *hf_client_core(struct hf_client *client);

/* The blocking library. */
struct hf;
struct hf_message;

/* Does not wait: the first command finds the cluster. Errors as hf_client_new(). */
int hf_open(const struct hf_options *options, struct hf **ret_hf) NODISCARD;

/* Closes the session, waiting at most `timeout_ms` in all (here 0: not at all), and frees everything. What is not settled
 * goes back to its queues; what was settled with hf_accept() and not flushed is flushed first. Returns how that went; `hf`
 * is gone in any case. A session that could not be closed ends with its lease. NULL is allowed. */
int hf_close(struct hf *hf, uint64_t timeout_ms);

/* One line about the last error; "" when there was none. Valid until the next call. */
const char *hf_error_detail(const struct hf *hf);

int hf_declare(struct hf *hf, const char *queue, uint64_t timeout_ms) NODISCARD;
/* `ret_dropped` may be NULL. */
int hf_delete(struct hf *hf, const char *queue, bool if_empty, uint64_t timeout_ms, uint64_t *ret_dropped) NODISCARD;
/* Drops the messages that are ready; those that are out with consumers stay. `ret_dropped` may be NULL. */
int hf_purge(struct hf *hf, const char *queue, uint64_t timeout_ms, uint64_t *ret_dropped) NODISCARD;

struct hf_body {
    const void *data;
    size_t len;
};

/* Publishes one message and waits. `producer` may be NULL; otherwise `sequence` is the message's number, from 1. */
int hf_publish(struct hf *hf, const char *queue, const char *producer, uint64_t sequence, struct hf_body body,
               uint64_t timeout_ms) NODISCARD;

/* Issues a publish of several messages (all or none of them, at most PUBLISH_MESSAGES_MAX and COMMAND_BODIES_LEN_MAX
 * bytes) without waiting for its answer, for which it has `timeout_ms`. Waits only while too much is in flight, and no
 * longer than that: then ERR_BUSY. Bodies are copied. */
int hf_submit(struct hf *hf, const char *queue, const char *producer, uint64_t first_sequence,
              const struct hf_body *bodies, size_t bodies_len, uint64_t timeout_ms) NODISCARD;

/* What became of submitted messages, since hf_open(). */
struct hf_submitted {
    uint64_t enqueued;
    uint64_t repeated; /* Were in already. */
    uint64_t in_flight;
};

/* Waits until at most `in_flight` submitted messages have no answer. Returns the first error of any of them since the
 * last call that returned one, but ERR_OUTCOME_UNKNOWN rather than another. It takes no longer than they have time. `ret_submitted` (may be NULL) is set in any
 * case. */
int hf_wait(struct hf *hf, uint64_t in_flight, struct hf_submitted *ret_submitted) NODISCARD;

/* ---- Queues with options, exchanges ---- The cluster refuses what it does not know yet, while nodes of an earlier version are
 * members, with ERR_VERSION. */

/* Makes a queue, or finds it there with the same options; ERR_EXISTS: with others. With `passive` it is never made
 * (ERR_NOT_FOUND), and `options`, which may be NULL, are not compared. ERR_INVALID: a value is there without its has_..., among others. */
int hf_declare_as(struct hf *hf, const char *queue, const struct client_queue_options *options, bool passive,
                  uint64_t timeout_ms) NODISCARD;
/* Changes those options of a queue that are named in `fields`. ERR_INVALID as above. */
int hf_change(struct hf *hf, const char *queue, const struct client_queue_options *options,
              const enum client_queue_option *fields, size_t fields_len, uint64_t timeout_ms) NODISCARD;

/* Makes an exchange, or finds it there with the same properties; ERR_EXISTS: with others. */
int hf_declare_exchange(struct hf *hf, const struct client_exchange *exchange, uint64_t timeout_ms) NODISCARD;
int hf_delete_exchange(struct hf *hf, const char *exchange, bool if_unused, uint64_t timeout_ms) NODISCARD;
/* Changes what may be changed of an exchange: with `protected_` (not NULL) whether it can be deleted, with `note` (not NULL) what it
 * says to people. ERR_NOT_FOUND. ERR_REFUSED: it is one that every virtual host has. */
int hf_change_exchange(struct hf *hf, const char *exchange, const bool *protected_, const char *note,
                       uint64_t timeout_ms) NODISCARD;
/* Whether it is there: 0 or ERR_NOT_FOUND. */
int hf_check_exchange(struct hf *hf, const char *exchange, uint64_t timeout_ms) NODISCARD;
/* As hf_delete(); with `if_unused` only without consumers (ERR_REFUSED). */
int hf_delete_if(struct hf *hf, const char *queue, bool if_empty, bool if_unused, uint64_t timeout_ms,
                 uint64_t *ret_dropped) NODISCARD;
/* From an exchange to a queue or an exchange (both, or none: ERR_INVALID). What is bound already is no error, nor is what is not. */
int hf_bind(struct hf *hf, const struct client_binding *binding, uint64_t timeout_ms) NODISCARD;
int hf_unbind(struct hf *hf, const struct client_binding *binding, uint64_t timeout_ms) NODISCARD;

/* A message with properties. */
struct hf_outgoing {
    const char *queue; /* NULL: to the exchange that the properties name, with their key. */
    struct client_properties properties;
    struct hf_body body;
    const char *producer; /* As for hf_publish(): may be NULL. */
    uint64_t sequence;
    uint64_t epoch;            /* As hf_open_producer() gave it; 0: not checked. One below the newest is ERR_FENCED. */
    bool no_gaps;              /* `sequence` has to follow the producer's last one: else ERR_GAP. */
    const char *prepare;       /* NULL; else an id: nobody sees it until hf_resolve() is called for that. */
    uint64_t deadline_ms;      /* Of what is prepared: then it is dropped, or... 0: there is none. */
    bool commit_at_deadline;   /* ...committed. */
    const char *prepare_group; /* NULL; else who opened the producer of this name is asked what becomes of it, */
    uint64_t ask_after_ms;     /* when nothing was heard for so long, and again after as long. */
};

/* Publishes it and waits. `ret_unrouted` (may be NULL) is set when it is mandatory and reached no queue. */
int hf_publish_message(struct hf *hf, const struct hf_outgoing *message, uint64_t timeout_ms,
                       bool *ret_unrouted) NODISCARD;

/* Several messages as one command: one producer, numbered one after the other. */
struct hf_batch {
    const char *queue;                          /* NULL: each to the exchange that its properties name. */
    const struct client_properties *properties; /* Of each; NULL: they have none, and `queue` is needed. */
    const struct hf_body *bodies;
    size_t len;           /* 1 to PUBLISH_MESSAGES_MAX. */
    const char *producer; /* As for hf_publish(): may be NULL. */
    uint64_t first_sequence;
    uint64_t epoch; /* As in hf_outgoing. */
    bool no_gaps;
    bool
        each; /* A message that is refused, because its exchange is not there or a queue is full, does not keep out the others.
                * Its sequence is used up. Whatever else is wrong refuses all. */
};
enum hf_outcome {
    HF_TAKEN,    /* It is in, or was in already; or it is not mandatory. */
    HF_UNROUTED, /* It was mandatory, and reached no queue. */
    HF_REFUSED,  /* Only with `each`. */
};
struct hf_published {
    uint64_t enqueued;
    uint64_t repeated; /* Were in already. */
    uint64_t unrouted;
    uint64_t refused;
};
/* Publishes them and waits. ret_outcomes[i] (`batch->len` of them, or NULL) is what became of each, `ret_published` (may be NULL) how
 * many it was. Both are set only with 0, which is returned also when some were refused. */
int hf_publish_batch(struct hf *hf, const struct hf_batch *batch, uint64_t timeout_ms, enum hf_outcome *ret_outcomes,
                     struct hf_published *ret_published) NODISCARD;

/* Publishes and accepts messages in one step, all or nothing. ERR_STALE: one of them is not held any more (ERR_NOT_FOUND: also
 * when the subscription of one is over). What gathered with hf_accept() before is not part of it. */
int hf_transact(struct hf *hf, const struct hf_outgoing *messages, size_t messages_len,
                const struct hf_message *accepted, size_t accepted_len, uint64_t timeout_ms) NODISCARD;

/* The same with messages that are settled in any way: rejected ones become dead letters, in the same step. */
struct hf_settled {
    const struct hf_message *message;
    enum client_outcome outcome;
    struct client_settlement how; /* As for hf_settle_as(); `all` is implied. */
};
int hf_transact_as(struct hf *hf, const struct hf_outgoing *messages, size_t messages_len,
                   const struct hf_settled *settled, size_t settled_len, uint64_t timeout_ms) NODISCARD;
/* The same, and ret_outcomes[i] (`messages_len` of them, or NULL) is what became of each message: HF_UNROUTED, when it is mandatory and
 * reached no queue; all else was done all the same. Set only with 0. */
int hf_transact_told(struct hf *hf, const struct hf_outgoing *messages, size_t messages_len,
                     const struct hf_settled *settled, size_t settled_len, uint64_t timeout_ms,
                     enum hf_outcome *ret_outcomes) NODISCARD;

/* Commits or drops what was prepared under an id. To do so again is no error; ERR_REFUSED: it was resolved in the other way. */
int hf_resolve(struct hf *hf, const char *id, bool commit, uint64_t timeout_ms) NODISCARD;

/* Takes a producer's name: whoever had it is fenced off. *ret_epoch is for hf_outgoing, *ret_sequence the last that is in. */
int hf_open_producer(struct hf *hf, const char *producer, uint64_t timeout_ms, uint64_t *ret_epoch,
                     uint64_t *ret_sequence) NODISCARD;

/* Dead letters in `queue` go back to where each died, or to `to` (may be NULL), oldest first, at most `max` (1 to 1024; 0: 1024);
 * with `from` (may be NULL) only those that died there. *ret_moved went, *ret_left (each may be NULL) were looked at and stay. ERR_INVALID: `to` is
 * `queue`. */
int hf_redrive(struct hf *hf, const char *queue, const char *to, const char *from, uint32_t max, uint64_t timeout_ms,
               uint64_t *ret_moved, uint64_t *ret_left) NODISCARD;
/* Copies of messages that are kept after they were settled, with positions from `first` to `last`, are enqueued in `to` (NULL: in
 * the same queue). *ret_next is the position to go on from; 0: that was all. */
int hf_replay(struct hf *hf, const char *queue, uint64_t first, uint64_t last, const char *to, uint64_t timeout_ms,
              uint64_t *ret_copied, uint64_t *ret_next) NODISCARD;

/* Virtual hosts. One that is there already is no error. With `force` sessions in it end. */
int hf_create_virtual_host(struct hf *hf, const char *name, const char *note, uint64_t timeout_ms) NODISCARD;
int hf_delete_virtual_host(struct hf *hf, const char *name, bool force, uint64_t timeout_ms) NODISCARD;

struct hf_limit_value {
    enum hf_limit what;
    uint64_t value;
};
/* All limits (client_query.h) of one of the two (the other is NULL); what is not named is without limit. hf_limits() shows them. */
int hf_set_limits(struct hf *hf, const char *virtual_host, const char *user, const struct hf_limit_value *limits,
                  size_t limits_len, uint64_t timeout_ms) NODISCARD;

/* ---- Consuming ---- */

/* Subscribes with `credit` unsettled deliveries at a time, 1 to CREDIT_MAX. */
int hf_subscribe(struct hf *hf, const char *queue, uint32_t credit, uint64_t timeout_ms,
                 uint64_t *ret_consumer) NODISCARD;

/* Ends the subscription: what is not settled goes back. Messages of it that hf_next() has not returned are dropped. */
int hf_unsubscribe(struct hf *hf, uint64_t consumer, uint64_t timeout_ms) NODISCARD;

/* It is given no more, and keeps what it holds: hf_next() gives what has arrived, and when all is settled it ends, which is no error. */
int hf_drain(struct hf *hf, uint64_t consumer, uint64_t timeout_ms) NODISCARD;
/* How many unsettled deliveries it may have from now on, 0 to CREDIT_MAX; 0 pauses it. What it holds it keeps. A program that wants so
 * many messages and no more lowers it before it settles the last ones. */
int hf_set_credit(struct hf *hf, uint64_t consumer, uint32_t credit, uint64_t timeout_ms) NODISCARD;

/* The same with what goes with a subscription: a priority, to be alone, at most once... */
int hf_subscribe_as(struct hf *hf, const char *queue, uint32_t credit, const struct client_subscription *how,
                    uint64_t timeout_ms, uint64_t *ret_consumer) NODISCARD;

/* Takes what is ready now, at most `max` messages (1 to CREDIT_MAX): hf_next() gives them, and then no more of this queue. With
 * `accept` they are settled as they are delivered. `ret_taken` (may be NULL): how many it was given. */
int hf_fetch(struct hf *hf, const char *queue, uint32_t max, bool accept, uint64_t timeout_ms,
             uint64_t *ret_taken) NODISCARD;

/* Takes up a subscription to `queue` that an earlier process left in this session, or a fetch of which something is held: see
 * "Sessions that outlive a process". Of several, one that has not been taken up; so this is called until it returns ERR_NOT_FOUND
 * (also: no such queue). hf_next() gives what it holds once more, in the order in which it was given, then what is new. *ret_held (may
 * be NULL): how many messages it holds. */
int hf_resume(struct hf *hf, const char *queue, uint64_t timeout_ms, uint64_t *ret_consumer,
              uint64_t *ret_held) NODISCARD;
/* The same key for the same text; another one, as good as certainly, for another text. */
void hf_session_key(const char *text, uint8_t ret_key[SESSION_KEY_LEN]);

struct hf_message {
    uint64_t consumer;
    uint64_t number;
    uint64_t position; /* In its queue. */
    uint64_t enqueued_ms;
    uint32_t delivery_count; /* Earlier deliveries. */
    uint64_t lock_until_ms;  /* Log time at which it goes back unless it is settled or extended; 0: never. */
    uint64_t expires_ms;     /* Log time; 0: never. */
    bool settled;            /* As it was delivered. */
    struct hf_body body;     /* Its bytes match the checksum that the publisher's library took. */
    const struct client_properties
        *properties; /* NULL: it was published without, or they cannot be read. Lives as long as the body. */
    const struct client_death *deaths; /* Where it was a dead letter, most recent first. */
    size_t deaths_len;
};

/* What the client is told without having asked: */
struct hf_notice {
    enum hf_notice_kind {
        HF_LOCK_ENDED, /* A message that hf_next() has given was held for longer than its lock, and has gone back to its queue.
                          * Others have it, or will: whoever works on it should stop, and cannot settle it any more. */
        HF_PREPARED_ASK, /* What becomes of what is prepared under `id` is to be said, with hf_resolve(). Asked again. */
        HF_NOTICES_LOST, /* There were others before; too many waited to be read. */
    } kind;
    uint64_t consumer; /* As in hf_message. */
    uint64_t number;
    char id[NAME_LEN_MAX + 1];
};
/* The next one. They arrive while any function here waits, and while hf_poll() is called; a message whose lock ends before hf_next()
 * has given it is not given, and there is no notice. ERR_TIMEOUT: there is none (here 0 does not wait). At most HF_NOTICES_MAX wait
 * to be read, then the oldest are lost. */
#define HF_NOTICES_MAX 4096u
int hf_notice(struct hf *hf, uint64_t timeout_ms, struct hf_notice *ret_notice) NODISCARD;

/* The next message of any subscription; it lives until the next call of hf_next() or hf_close(). Flushes settlements
 * before it waits. ERR_TIMEOUT: none came in time (here 0 does not wait). ERR_INVALID: there is one, and *ret_message is set, but its
 * properties are of a kind that this library cannot read; it may be settled as any other. ERR_SESSION_EXPIRED, ERR_NOT_FOUND: a
 * subscription is over; what it held has gone back to its queue. */
int hf_next(struct hf *hf, uint64_t timeout_ms, struct hf_message *ret_message) NODISCARD;

/* For a program that works on a message for long: reads what has arrived and says that it is there, in a few
 * milliseconds. A node that hears nothing from a client for a minute lets it go, and its messages go to others when the
 * lease has ended; so call this every 20 seconds or so. Returns 0, or what hf_next() is going to say: a subscription is
 * over, and somebody else may be working on the message already. */
int hf_poll(struct hf *hf) NODISCARD;

/* Settles a message: done; not wanted; or back to its queue. Settlements gather and leave in batches, with hf_flush(),
 * hf_next() or when there are many. */
int hf_accept(struct hf *hf, const struct hf_message *message) NODISCARD;
int hf_reject(struct hf *hf, const struct hf_message *message) NODISCARD;
int hf_release(struct hf *hf, const struct hf_message *message) NODISCARD;

/* Settles one message, in any way, and waits for the answer. `how` may be NULL. ERR_STALE: it is not held any more, and nothing was done. */
int hf_settle_as(struct hf *hf, const struct hf_message *message, enum client_outcome outcome,
                 const struct client_settlement *how, uint64_t timeout_ms) NODISCARD;

/* Settles, in any way, `last` and all that its subscription was given before it and holds still; those that hf_accept() and the like
 * have settled are not. Waits. *ret_settled (may be NULL): how many they were. What had gone back already is passed over; ERR_STALE:
 * nothing of it was held any more. `how` may be NULL; its `all` is not looked at. */
int hf_settle_up_to(struct hf *hf, const struct hf_message *last, enum client_outcome outcome,
                    const struct client_settlement *how, uint64_t timeout_ms, uint64_t *ret_settled) NODISCARD;

/* Back to its queue, to be delivered again after `delay_ms`. Waits for the answer. ERR_STALE: it is not held any more. */
int hf_release_after(struct hf *hf, const struct hf_message *message, uint64_t delay_ms, uint64_t timeout_ms) NODISCARD;

/* A message that is held under a lock (message->lock_until_ms, which stays as it was): it is held for `lock_ms` from now; 0: for as
 * long as one that is delivered to this subscription now, which is the subscription's own time or else the queue's at present. One
 * without a lock stays without. Waits. ERR_STALE. */
int hf_extend(struct hf *hf, const struct hf_message *message, uint64_t lock_ms, uint64_t timeout_ms) NODISCARD;

/* Sends the settlements that have gathered, without waiting for their answers. */
int hf_settle(struct hf *hf, uint64_t timeout_ms) NODISCARD;

/* Sends them and waits for the answers of all settlements so far. Returns their first error since the last call that
 * returned one, as hf_wait() does. ERR_STALE: some messages had been given to others meanwhile. ERR_OUTCOME_UNKNOWN: also when answers are
 * still missing after `timeout_ms`; a later call waits for them again. */
int hf_flush(struct hf *hf, uint64_t timeout_ms) NODISCARD;

/* Queries about queues are linearizable: the answer holds all that was confirmed, to anybody, before the call. What `each`
 * gets lives until it returns; it must not call the library. */

/* Calls `each` for one queue. ERR_NOT_FOUND. */
int hf_queue(struct hf *hf, const char *queue, uint64_t timeout_ms,
             void (*each)(void *arg, const struct client_queue *queue), void *arg) NODISCARD;

/* Looks at messages where they are, from `position` on (0: from the first), in order: takes nothing, changes nothing.
 * Calls `each` for some of them, at most `max`. When *ret_more is set there are others: ask again from behind the last
 * position. ERR_NOT_FOUND. */
int hf_browse(struct hf *hf, const char *queue, uint64_t position, uint32_t max, uint64_t timeout_ms,
              void (*each)(void *arg, const struct client_message *message), void *arg, bool *ret_more) NODISCARD;

/* Likewise, at messages that have left the queue and are kept. */
int hf_kept(struct hf *hf, const char *queue, uint64_t position, uint32_t max, uint64_t timeout_ms,
            void (*each)(void *arg, const struct client_message *message), void *arg, bool *ret_more) NODISCARD;
/* Looks for a message by its id (client_properties.message_id), from `position` on (0: from the first), among those in the queue, or
 * with `kept` among those that have left it and are kept; calls `each` for the first that has it. Reads all before it, page by page.
 * ERR_NOT_FOUND: no message has it, or there is no such queue. ERR_INVALID: the id is empty. */
int hf_find(struct hf *hf, const char *queue, const char *message_id, uint64_t position, bool kept, uint64_t timeout_ms,
            void (*each)(void *arg, const struct client_message *message), void *arg) NODISCARD;
/* Calls `each` for the steps of the life of the message at `position`, in order. ERR_NOT_FOUND: no such queue. */
int hf_life(struct hf *hf, const char *queue, uint64_t position, uint64_t timeout_ms,
            void (*each)(void *arg, const struct client_step *step), void *arg) NODISCARD;
/* Calls `each` for every subscription to a queue. ERR_NOT_FOUND. */
int hf_consumers(struct hf *hf, const char *queue, uint64_t timeout_ms,
                 void (*each)(void *arg, const struct client_consumer_info *consumer), void *arg) NODISCARD;
/* Calls `each` for each limit that there is for a user, or (NULL) for the client's virtual host: whether it is set, and what is used. */
int hf_limits(struct hf *hf, const char *user, uint64_t timeout_ms,
              void (*each)(void *arg, const struct client_limit *limit), void *arg) NODISCARD;
/* Calls `each` with what is known of a producer. Nobody is fenced off. ERR_NOT_FOUND: nothing. */
int hf_producer(struct hf *hf, const char *producer, uint64_t timeout_ms,
                void (*each)(void *arg, const struct client_producer *producer), void *arg) NODISCARD;
/* Calls `each` for what is prepared, or was resolved less than a day ago, in order of id. */
int hf_prepared(struct hf *hf, uint64_t timeout_ms, void (*each)(void *arg, const struct client_prepared *prepared),
                void *arg) NODISCARD;
/* Calls `each` for every exchange, in order of name; for every binding (from `exchange`, if not NULL); for every virtual host. */
int hf_exchanges(struct hf *hf, uint64_t timeout_ms, void (*each)(void *arg, const struct client_exchange *exchange),
                 void *arg) NODISCARD;
int hf_bindings(struct hf *hf, const char *exchange, uint64_t timeout_ms,
                void (*each)(void *arg, const struct client_binding *binding), void *arg) NODISCARD;
int hf_virtual_hosts(struct hf *hf, uint64_t timeout_ms,
                     void (*each)(void *arg, const struct client_virtual_host *host), void *arg) NODISCARD;

/* Calls `each` for every queue, in order of name. */
int hf_queues(struct hf *hf, uint64_t timeout_ms, void (*each)(void *arg, const struct client_queue *queue),
              void *arg) NODISCARD;

/* Calls `each` with what the connected node says about itself and the others. */
int hf_cluster(struct hf *hf, uint64_t timeout_ms, void (*each)(void *arg, const struct client_cluster *cluster),
               void *arg) NODISCARD;

/* Asks for leadership to go to the member `node`, or with 0 to whoever is most advanced. Returns when it is asked for;
 * hf_cluster() shows what comes of it. ERR_NOT_FOUND: no such member, or none that can lead. ERR_OUTCOME_UNKNOWN: the connection was lost. */
int hf_transfer(struct hf *hf, uint64_t node, uint64_t timeout_ms) NODISCARD;

/* Changes the membership: see client_core_change_member(). Returns when it is done. */
int hf_change_member(struct hf *hf, enum client_change change, uint64_t node, const char *address,
                     uint64_t timeout_ms) NODISCARD;

#endif
