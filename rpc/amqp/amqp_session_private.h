/* What the files of an AMQP session share. Nobody else includes this.
 *
 * A session has channels. A method of a channel is checked, becomes a command (amqp_submit()), and is answered when the gateway
 * replies. What a channel has to do in order is in order because the commands of a session are; a method that may be refused blocks:
 * until it is answered no further frame of the connection is looked at, so that what a client sent behind it meets a closed channel,
 * as it would with RabbitMQ. Publishes and settlements do not block; they are gathered until the turn is over, or until another command
 * goes out: publishes first, so that a message is never settled before what its consumer published about it. */

#ifndef HOLDFAST_RPC_AMQP_AMQP_SESSION_PRIVATE_H
#define HOLDFAST_RPC_AMQP_AMQP_SESSION_PRIVATE_H

#include "proto/base/arena.h"
#include "proto/base/limits.h"
#include "proto/base/list.h"
#include "rpc/amqp/amqp_error.h"
#include "rpc/amqp/amqp_frame.h"
#include "rpc/amqp/amqp_method.h"
#include "rpc/amqp/amqp_out.h"
#include "rpc/amqp/amqp_properties.h"
#include "rpc/amqp/amqp_session.h"
#include "rpc/amqp/amqp_table.h"

#define AMQP_CHANNEL_MAX 2047u
#define AMQP_FRAME_MAX 131072u
#define AMQP_HEARTBEAT_S 60u
#define AMQP_LEASE_MS LEASE_MS_MIN

/* Frames that may arrive after hold(true). */
#define AMQP_WAITING_MAX 64u

enum amqp_state {
    AMQP_NEW,       /* The greeting is to come, */
    AMQP_STARTING,  /* Start-Ok, */
    AMQP_TUNING,    /* Tune-Ok, */
    AMQP_OPENING,   /* Open. */
    AMQP_ATTACHING, /* Open has come; the gateway attaches. Frames wait. */
    AMQP_OPEN,
    AMQP_CLOSING, /* Close was sent; all but Close-Ok is ignored. */
    AMQP_LEAVING, /* The connection is gone. */
    AMQP_OVER,    /* The last word was said. */
};

struct amqp_batch;     /* amqp_publish.c: publishes that are gathered. */
struct amqp_consumers; /* amqp_consumers.c: all of the session, by their numbers. */
struct amqp_content;
struct amqp_channel;
struct amqp_order;

/* The memory of ten thousand idle ones: what is needed in between only is allocated only then. */
struct amqp_session {
    struct gateway *gateway;
    struct amqp_session_host host;
    struct journal *journal;
    struct memory_budget *content; /* NULL: none. */
    enum amqp_state state;
    bool congested;
    bool loopback;
    bool guest_from_anywhere;
    bool cancel_notify;         /* Capabilities of the client: consumer_cancel_notify, */
    bool blocked_notify;        /* connection.blocked, */
    bool close_on_failed_login; /* authentication_failure_close. */
    bool has_published;         /* It is to know when the cluster refuses messages. */
    bool told_blocked;
    bool failed;          /* While leaving: amqp_sessions_sweep() frees it. */
    bool has_sent;        /* Since the last beat. */
    uint16_t channel_max; /* Negotiated, as the next two. */
    uint16_t heartbeat_s; /* 0: none. */
    uint32_t frame_max;   /* Whole frames. */
    char *peer_name;
    char *user;
    char *virtual_host;
    char *client;                   /* What it calls itself. */
    struct gateway_link *link;      /* NULL: not attached. */
    struct amqp_channel **channels; /* amqp_channel.c: a hash of their numbers. */
    unsigned channels_cap;          /* Buckets: a power of two, or 0. */
    unsigned channels_len;
    struct amqp_out out;
    struct arena arena; /* For one frame at a time: reset when it has been taken. */
    struct list_node leaving;

    /* amqp_order.c: commands that are not answered, and those that the gateway did not take yet, oldest first. */
    struct list_node orders;
    struct list_node unsent;
    unsigned orders_len;    /* Sent and not answered. */
    unsigned enqueuing_len; /* Of these, those that bring messages. */
    unsigned blocking_len;  /* Of all, those that block. */
    uint64_t last_number;
    bool gateway_busy; /* Until resume(). */
    bool in_event;     /* Of the gateway\'s: commands wait for its flush(). */

    /* amqp_waiting.c: frames that cannot be taken now. A ring, or NULL. */
    struct frame *waiting;
    unsigned waiting_first;
    unsigned waiting_len;
    bool held;
    bool content_waits; /* amqp_content_memory.c: there is no memory for the content that comes now. */
    bool refusing;      /* amqp_refusing.c: publishes wait until earlier ones can be sent again. */
    bool again;         /* Of the frame that is being taken: amqp_frame_take() is to say false. */

    struct amqp_batch *batch;         /* NULL: none. */
    struct amqp_settling *settling;   /* amqp_settle.c: settlements that are gathered. NULL: none. */
    struct amqp_consumers *consumers; /* NULL: there were none so far. */
    uint64_t last_consumer;           /* Numbers given to subscriptions and fetches. */
};

/* ---- Channels: amqp_channel.c ---- */

struct amqp_channel {
    struct amqp_session *session;
    struct amqp_channel *next; /* In its bucket. */
    uint16_t number;
    uint32_t doing; /* The method that was taken last; for errors. */
    bool closing;   /* Channel.Close was sent; all but Close-Ok is ignored. */
    bool gone;      /* It is closed; only its orders keep it. */
    unsigned refs;  /* Of the session, and of each order. */
    /* amqp_content.c: the method whose content is to come, and what has come of it. */
    struct amqp_incoming *incoming; /* NULL: no content is expected. */
    /* amqp_publish.c */
    bool confirms;
    unsigned publishing;                /* Messages whose commands are not answered. */
    uint64_t published;                 /* Counted since confirm.select. */
    struct amqp_confirming *confirming; /* amqp_confirm.c. NULL: nothing waits. */
    /* amqp_tx.c */
    struct amqp_tx *tx; /* NULL: not transactional. */
    /* amqp_consume.c, amqp_unsettled.c */
    uint64_t last_tag;
    struct amqp_unsettled *unsettled; /* NULL: nothing was delivered so far. */
    struct list_node consumers;       /* struct amqp_consumer. */
    uint16_t prefetch;                /* For consumers to come; 0: no limit. */
    uint16_t prefetch_shared;         /* Of all consumers together; 0: no limit. */
    char *last_queue;                 /* That was declared; NULL: none. Methods with queue "" mean it. */
    char *reply_queue;                /* amqp_reply_to.c. NULL: there is none. */
};

/* An open channel of that number, or NULL. */
struct amqp_channel *amqp_channel_find(struct amqp_session *session, uint16_t number);
/* One after another, in no order; NULL: the first, or no more. None may open or close meanwhile. */
struct amqp_channel *amqp_channel_next(const struct amqp_session *session, const struct amqp_channel *channel);
struct amqp_channel *amqp_channel_ref(struct amqp_channel *channel);
void amqp_channel_unref(struct amqp_channel *channel);
/* Whether it is open, and nothing is wrong with it: answers may be sent. */
bool amqp_channel_is_open(const struct amqp_channel *channel);
/* The channel is no more: its consumers end (what they hold goes back), content and transaction are dropped. With `answer`
 * Channel.Close-Ok is sent when all its commands are answered. */
void amqp_channel_close(struct amqp_channel *channel, bool answer);
/* All of a session, without a word; not from within a method of one of them. */
void amqp_channels_free(struct amqp_session *session);
/* Whether the method has to wait until what was published before is answered; nothing is taken until then. */
bool amqp_channel_waits(struct amqp_channel *channel, uint32_t id);
/* A method of a channel that is open. False: it is not one that clients send on channels. */
bool amqp_channel_take(struct amqp_channel *channel, const union amqp_method *method);
/* Channel.Open and Close; amqp_session.c calls them. */
void amqp_take_channel_open(struct amqp_session *session, uint16_t number);

/* ---- Errors: amqp_error.c ---- */

/* Channel.Close with "CODE_NAME - words", for the method `id` (0: none); the channel ends as with amqp_channel_close(). */
__attribute__((format(printf, 4, 5))) void amqp_channel_error(struct amqp_channel *channel, enum amqp_code code,
                                                              uint32_t id, const char *format, ...);
/* Connection.Close, likewise; then the connection is closed once the client has answered, or after a while. */
__attribute__((format(printf, 4, 5))) void amqp_connection_error(struct amqp_session *session, enum amqp_code code,
                                                                 uint32_t id, const char *format, ...);
/* What a reply's error is to the client when nothing more fitting is known: a channel error with the machine's words. `id`: of the
 * method that asked for it. */
void amqp_reply_error(struct amqp_channel *channel, uint32_t id, const struct gateway_reply *reply);
/* No memory, or what must not happen: the connection ends (506, 541). */
void amqp_session_fail(struct amqp_session *session, int err);

/* ---- Commands: amqp_order.c ---- */

/* A command that was submitted, until it is answered. */
struct amqp_order {
    struct list_node node;
    uint64_t number;              /* 0: the gateway has not taken it yet. */
    struct amqp_channel *channel; /* NULL: of the connection. The order's reference. */
    uint32_t id;                  /* Of the method that it was made for; 0: none. */
    bool blocks;                  /* No frame is taken until it is answered. */
    bool no_wait;                 /* The client wants no answer when all is well. */
    bool enqueues;                /* It brings messages. */
    /* It is not sent before those that bring messages are answered: what they brought is with those who wait for it by then, as with
     * RabbitMQ. Commands of one log entry are carried out before anything is delivered. */
    bool apart;
    /* The answer; `reply` NULL: the session is over, and there will be none: only `arg` is to be freed. The channel may be closed by
     * now: amqp_channel_is_open(). The order is freed afterwards. */
    void (*done)(struct amqp_order *order, const struct gateway_reply *reply);
    void *arg;           /* done()'s. */
    uint64_t value;      /* done()'s. */
    uint64_t answered;   /* One that brings messages: all commands up to this one were answered when it was made. */
    struct slice header; /* The encoded command, and its bodies: references, while it is not taken, */
    struct slice bodies; /* or for as long as `keep` is set. */
    bool keep;
};

/* Gives a command to the gateway, in order, at once or as soon as it takes more; what was gathered goes before it. `order` says who
 * wants to know (its fields channel, id, blocks, no_wait, done, arg, value, keep; copied). Takes a reference to `bodies`. When there is no memory the
 * session fails, and done() is called with NULL before this returns. */
void amqp_submit(struct amqp_session *session, const struct amqp_order *order, const Holdfast__Command *command,
                 struct slice bodies);
/* The same for what was gathered: nothing goes before it. */
void amqp_submit_gathered(struct amqp_session *session, const struct amqp_order *order,
                          const Holdfast__Command *command, struct slice bodies);
/* From the gateway. */
void amqp_orders_reply(struct amqp_session *session, const struct gateway_reply *reply);
/* Gives the gateway what waits, as far as it takes it. */
void amqp_orders_send(struct amqp_session *session);
/* Ends all of them: done(NULL). */
void amqp_orders_drop(struct amqp_session *session);
/* Whether a channel has unanswered ones, or messages in them. */
bool amqp_orders_of(const struct amqp_channel *channel);

/* ---- Frames that wait: amqp_waiting.c ---- */

/* Whether frames may be taken now: nothing blocks, and the gateway takes commands. */
bool amqp_session_goes_on(const struct amqp_session *session);
/* To be called when something that it depends on has changed: takes frames that waited, holds the connection or lets it go on. */
void amqp_session_look(struct amqp_session *session);
/* Puts a frame behind those that wait. Takes its reference. */
void amqp_frame_wait(struct amqp_session *session, struct frame *frame);
void amqp_waiting_drop(struct amqp_session *session);
/* Takes a frame, which the caller keeps: amqp_session.c. False: its turn has not come; it is to be the first that is given again when the
 * session goes on. */
bool amqp_frame_take(struct amqp_session *session, const struct frame *frame);

/* ---- Going out: amqp_send.c ---- */

/* Each is dropped when nothing may be sent any more, and ends the session when there is no memory. */
void amqp_send(struct amqp_session *session, uint16_t channel, const union amqp_method *method);
/* A method with content: the encoded properties (flags and values), and the body, of which it takes a reference or a copy. */
void amqp_send_content(struct amqp_session *session, uint16_t channel, const union amqp_method *method,
                       struct amqp_bytes properties, struct slice body);
/* What has gathered leaves. */
void amqp_send_gathered(struct amqp_session *session);
/* The last word was said: the connection closes when it is out. */
void amqp_session_over(struct amqp_session *session);

/* ---- The connection: amqp_connection.c (methods of channel 0), amqp_greeting.c (how it begins), amqp_login.c (who it is) ---- */

void amqp_take_greeting(struct amqp_session *session);
/* Notes what the client says about itself: its capabilities, and a name for people. ERR_INVALID, ERR_TOO_BIG, ERR_NOMEM. */
int amqp_client_note(struct amqp_session *session, struct amqp_bytes client_properties) NODISCARD;
/* A method on channel 0, in any state. */
void amqp_connection_take(struct amqp_session *session, const union amqp_method *method);
/* The gateway's answer to Open: */
void amqp_connection_attached(struct amqp_session *session);
/* or the end of the link, at any time: `link` is NULL already. */
void amqp_connection_detached(struct amqp_session *session, int err, const char *detail);

/* The user's name (NAME_LEN_MAX), checked. ERR_REFUSED: not so; the journal says why. ERR_INVALID: malformed. ERR_NOT_FOUND: no such
 * mechanism. ERR_NOMEM. */
int amqp_login(struct amqp_session *session, struct amqp_bytes mechanism, struct amqp_bytes response,
               char ret_user[NAME_LEN_MAX + 1]) NODISCARD;

/* ---- Names: amqp_name.c ---- */

/* A copy in the arena, with a zero behind it; NULL, and the channel (or connection) is closed with an error: not a name, or no memory. "" is
 * allowed. `what` such as "queue". */
char *amqp_name(struct amqp_channel *channel, uint32_t id, const char *what, struct amqp_bytes name);
/* The queue that a method means: "" is the last one declared on the channel (none: 404). NULL as above. */
char *amqp_queue_name(struct amqp_channel *channel, uint32_t id, struct amqp_bytes name);
/* Whether the name is reserved ("amq."). */
bool amqp_name_is_reserved(const char *name);
/* A routing key: a copy in the arena. NULL: not UTF-8, or as above. */
char *amqp_key(struct amqp_channel *channel, uint32_t id, struct amqp_bytes key);
/* The arguments of a method, in the arena. False: malformed, too many or no memory; the channel (or connection) is closed with an
 * error. */
bool amqp_arguments(struct amqp_channel *channel, uint32_t id, struct amqp_bytes table,
                    struct amqp_headers *ret_headers);

#define AMQP_NAME_MADE_MAX 64u

/* A name that nobody has: `prefix` (at most 40 bytes), and 22 random characters that need no quoting anywhere. */
void amqp_name_generate(const char *prefix, char ret_name[AMQP_NAME_MADE_MAX]);

/* ---- Methods of channels ---- */

/* amqp_exchange.c */
void amqp_take_exchange_declare(struct amqp_channel *channel, const struct amqp_exchange_declare *method);
void amqp_take_exchange_delete(struct amqp_channel *channel, const struct amqp_exchange_delete *method);
/* amqp_binding.c */
void amqp_take_exchange_bind(struct amqp_channel *channel, const struct amqp_exchange_bind *method);
void amqp_take_exchange_unbind(struct amqp_channel *channel, const struct amqp_exchange_unbind *method);
void amqp_take_queue_bind(struct amqp_channel *channel, const struct amqp_queue_bind *method);
void amqp_take_queue_unbind(struct amqp_channel *channel, const struct amqp_queue_unbind *method);
/* amqp_queue.c, amqp_queue_arguments.c */
void amqp_take_queue_declare(struct amqp_channel *channel, const struct amqp_queue_declare *method);
void amqp_take_queue_delete(struct amqp_channel *channel, const struct amqp_queue_delete *method);
void amqp_take_queue_purge(struct amqp_channel *channel, const struct amqp_queue_purge *method);
/* amqp_consume.c */
void amqp_take_basic_qos(struct amqp_channel *channel, const struct amqp_basic_qos *method);
void amqp_take_basic_consume(struct amqp_channel *channel, const struct amqp_basic_consume *method);
void amqp_take_basic_cancel(struct amqp_channel *channel, const struct amqp_basic_cancel *method);
/* amqp_get.c */
void amqp_take_basic_get(struct amqp_channel *channel, const struct amqp_basic_get *method);
/* amqp_settle.c: ack, nack, reject, recover */
void amqp_take_basic_ack(struct amqp_channel *channel, const struct amqp_basic_ack *method);
void amqp_take_basic_nack(struct amqp_channel *channel, const struct amqp_basic_nack *method);
void amqp_take_basic_reject(struct amqp_channel *channel, const struct amqp_basic_reject *method);
void amqp_take_basic_recover(struct amqp_channel *channel, uint32_t id, bool requeue);
/* amqp_publish.c: Publish, and its content */
void amqp_take_basic_publish(struct amqp_channel *channel, const struct amqp_basic_publish *method);
void amqp_take_content_header(struct amqp_channel *channel, struct amqp_bytes payload);
/* `payload` lies within `frame`. */
void amqp_take_content_body(struct amqp_channel *channel, struct amqp_bytes payload, const struct frame *frame);
/* amqp_confirm.c */
void amqp_take_confirm_select(struct amqp_channel *channel, const struct amqp_confirm_select *method);
/* amqp_tx.c */
void amqp_take_tx_select(struct amqp_channel *channel);
void amqp_take_tx_commit(struct amqp_channel *channel);
void amqp_take_tx_rollback(struct amqp_channel *channel);

/* What was gathered goes to the gateway. */
void amqp_publishes_submit(struct amqp_session *session); /* amqp_publish.c */
void amqp_settles_submit(struct amqp_session *session);   /* amqp_settle.c */
void amqp_confirms_send(struct amqp_session *session);    /* amqp_confirm.c: Ack and Nack of what was answered. */
/* Frees session->batch when there is nothing in it: amqp_batch.c. */
void amqp_batch_look(struct amqp_session *session);
/* Goes on with a content that waited for memory, if it has been given it: amqp_content_memory.c. */
void amqp_content_look(struct amqp_session *session);

/* The cluster takes messages again, or does not: amqp_refusing.c. */
void amqp_publishes_refusing(struct amqp_session *session, bool refusing);
/* Whether everything that was published has been answered. False: not yet, and nothing is taken until it is. */
bool amqp_publishes_finish(struct amqp_session *session);

/* ---- From the gateway: amqp_sink.c calls ---- */

/* amqp_deliver.c */
void amqp_deliver(struct amqp_session *session, const struct gateway_delivery *delivery);
/* amqp_consume.c */
void amqp_consumer_ended(struct amqp_session *session, uint64_t consumer, int err, const char *detail);
void amqp_lock_ended(struct amqp_session *session, uint64_t consumer, uint64_t number);
struct gateway_sink amqp_session_sink(struct amqp_session *session);

/* ---- What a channel or a session has of these files, when it ends: frees, without a word, and sets NULL ---- */

void amqp_incoming_done(struct amqp_channel *channel);   /* amqp_publish.c */
void amqp_confirming_done(struct amqp_channel *channel); /* amqp_confirm.c */
void amqp_tx_done(struct amqp_channel *channel);         /* amqp_tx.c */
void amqp_unsettled_done(struct amqp_channel *channel);  /* amqp_unsettled.c */
void amqp_batch_done(struct amqp_session *session);      /* amqp_publish.c */
void amqp_settling_done(struct amqp_session *session);   /* amqp_settle.c */
void amqp_consumers_done(struct amqp_session *session);  /* amqp_consumers.c */
/* The channel closes: its consumers and fetches end (Unsubscribe: what they hold goes back). amqp_consume.c */
void amqp_consumers_leave(struct amqp_channel *channel);

#endif
