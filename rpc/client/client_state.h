/* What is inside a client_core, shared by the files that it is made of and by nobody else.
 *
 *   client_core.c         life, and the public functions of commands,
 *   client_publish.c      of those that publish,
 *   client_subscribe.c    of those that subscribe and settle
 *   client_command.c      a command: encoding, numbering, window, answers, sending again
 *   client_command_end.c  commands that end without an answer
 *   client_connection.c   where the client is connected and what it is waiting for there
 *   client_silence.c      what it takes for a sign of life there
 *   client_session.c      whose session it is: its key, what was left in it, its end
 *   client_delivery.c     subscriptions and what arrives for them
 *   client_ask.c          queries,
 *   client_answer.c       and what they are answered
 *
 * Numbers: a command gets its number when it is first sent, so that what is numbered has been sent and what waits has
 * not (in this session). The ring holds the numbered ones from `floor` + 1 to `last_number`; a hole is an answered one. */

#ifndef HOLDFAST_RPC_CLIENT_CLIENT_STATE_H
#define HOLDFAST_RPC_CLIENT_CLIENT_STATE_H

#ifndef HASH_NONFATAL_OOM
#define HASH_NONFATAL_OOM 1
#endif
#include <uthash.h>

#include "proto/base/arena.h"
#include "proto/base/limits.h"
#include "proto/base/list.h"
#include "proto/wire/command.pb-c.h"
#include "proto/wire/native.pb-c.h"
#include "rpc/client/client_core.h"

/* Bytes of commands without an answer; one command may exceed it when it is alone. Below the limit of a stream's queue,
 * so that everything can be sent again on a new connection. */
#define CLIENT_BYTES_MAX (48 * MIB)
#define CLIENT_QUERIES_MAX 64u

/* The pause after every server has been tried in vain. */
#define CLIENT_BACKOFF_MS_MIN 50u
#define CLIENT_BACKOFF_MS_MAX 1000u

enum client_phase {
    CLIENT_PAUSED,     /* No connection; the next attempt is at `phase_deadline_ms`. */
    CLIENT_CONNECTING, /* Until `phase_deadline_ms`, as the next two. */
    CLIENT_GREETING,   /* HELLO is sent. */
    CLIENT_ATTACHING,  /* ATTACH is sent. */
    CLIENT_READY,
    CLIENT_ENDED, /* The session was closed as asked, or the core is being freed. */
};

enum client_command_kind {
    CLIENT_DECLARE,
    CLIENT_DELETE,
    CLIENT_PUBLISH,
    CLIENT_PUBLISH_NAMED,
    CLIENT_SUBSCRIBE,
    CLIENT_UNSUBSCRIBE,
    CLIENT_SETTLE,
    CLIENT_PURGE,
    CLIENT_AGAIN, /* Any other: doing it twice is doing it once, */
    CLIENT_ONCE,  /* or not. */
    CLIENT_CLOSE,
};

struct client_command {
    struct list_node node; /* In `waiting`, or in none while it is in the ring. */
    enum client_command_kind kind;
    uint64_t number;
    uint64_t answered; /* Numbers up to here had been answered when it was first sent under this number. */
    uint64_t consumer;
    uint64_t producer; /* Hash of the name of a named producer; else 0. */
    bool sent;         /* Once, in this session or an earlier one: it may have been done. */
    bool again;        /* Sent in an earlier session, in which it may have been done. */
    bool behind;       /* An earlier number of its producer was refused. */
    bool told;         /* The callback has been called; what is left only holds its number until the answer. */
    int end_err;       /* Set when it is about to be ended without an answer. */
    uint64_t deadline_ms;
    client_reply_cb cb;
    void *arg;
    struct slice header; /* An encoded Command. Owned, as the bodies are. */
    struct slice *bodies;
    unsigned bodies_len;
    size_t len;      /* Of header and bodies. */
    size_t body_len; /* Of the longest body. */
};

struct client_consumer {
    uint64_t id;
    uint64_t seen;
    uint64_t held_to; /* It was taken up, and had been given so many: what of them is settled does not come. */
    bool sent;        /* Its Subscribe has been sent in this session. */
    bool subscribed;  /* And answered. */
    bool ending;      /* Unsubscribe has been asked for. */
    bool gaps;        /* What it is delivered is settled at once: what was lost on the way is not sent again. */
    bool ends_alone;  /* It is a fetch, or is drained: its end is no error. */
    int ended_err;    /* The node has said that it is over; the answer to its Subscribe is still to come. */
    UT_hash_handle hh;
};

struct client_ask {
    struct list_node node_in_list;
    uint64_t id;
    int kind;                    /* Holdfast__Query__Kind. */
    char name[NAME_LEN_MAX + 1]; /* Of what is asked about, or listed after. Or the address of a node. */
    uint64_t position;
    uint32_t max;
    uint64_t node;
    uint64_t session;
    bool flag;  /* Query.from_first, or Query.from. */
    bool sent;  /* On this connection. */
    bool tried; /* On any. */
    uint64_t deadline_ms;
    client_query_cb cb;
    void *arg;
};

struct client_core {
    struct client_core_options options;
    char **servers;
    size_t servers_len;
    size_t server;   /* The one in use, or to be tried next. */
    size_t failures; /* Attempts and connections that came to nothing, one after the other. */
    char *client_name;
    char *virtual_host;
    char *user;
    struct client_core_host host;
    struct clock *clock;

    enum client_phase phase;
    uint64_t phase_deadline_ms;
    uint64_t backoff_ms;
    bool broken;          /* The connection cannot be used any more; the next tick drops it. */
    char trouble[320];    /* Why there is no connection, for people. */
    int refused_err;      /* While what waits is ended because the session was refused: why. */
    uint64_t heard_ms;    /* When something arrived, or when we began to expect something. */
    uint64_t sent_ms;     /* When something was sent. */
    uint64_t progress_ms; /* When a reply arrived, or when we began to expect one. */
    uint64_t looked_ms;   /* When host.moved() was asked, */
    uint64_t moved;       /* and what it said. */
    bool pinging;
    uint64_t pinged_ms;
    unsigned attach_patience; /* Times that the time for attaching has been doubled. */
    uint64_t pings;

    uint8_t key[16];
    bool keyed;         /* It is the program's own: an earlier process may have had the session, a later one take it. */
    bool resumable;     /* The session of this key has been seen. */
    uint64_t session;   /* Its number, as last attached. */
    uint64_t attempt;   /* Attachments of this key that have been asked for; with `keyed` on top of a beginning. */
    unsigned overtaken; /* Attachments in a row that were refused, for a later one had been there. */
    bool rejoin;        /* To be attached again: it is to be sent what a subscription that is taken up holds. */
    int ended_err;      /* Of what is asked for once the phase is CLIENT_ENDED. */
    unsigned strikes;   /* OUT_OF_ORDER without progress. */

    uint32_t window;
    struct client_command *ring[SESSION_WINDOW_MAX];
    uint64_t floor;       /* Numbers up to here have been answered. */
    uint64_t carried_out; /* And up to here carried out, when this connection was attached. */
    uint64_t last_number; /* The last one given. */
    struct list_node waiting;
    size_t waiting_len;
    size_t bytes;        /* Of all commands. */
    size_t unanswered;   /* Commands that have not been told. */
    bool closing;        /* client_core_close_session() was called. */
    uint64_t timeout_ms; /* No command or query times out before. */

    bool version_one;      /* The node that greeted last knows version 1 of the rules alone. */
    uint64_t body_len_max; /* Of the node last attached to. */
    uint64_t node;         /* That greeted last; 0: none has. */
    uint64_t leader;       /* As it knew then; 0: not known. */
    char leader_address[ADDRESS_LEN_MAX + 1];

    struct client_consumer *consumers;
    struct list_node asks;
    size_t asks_len;
    uint64_t ask_id;

    struct arena arena; /* For the frame at hand. */
};

static inline uint64_t client_now(const struct client_core *core)
{
    return core->clock->monotonic_ms(core->clock);
}

/* `delay` from now, or never for 0. */
static inline uint64_t client_deadline(const struct client_core *core, uint64_t delay_ms)
{
    uint64_t now = client_now(core);
    return delay_ms == 0 || delay_ms > UINT64_MAX - now ? UINT64_MAX : now + delay_ms;
}

static inline bool client_ring_empty(const struct client_core *core)
{
    return core->floor == core->last_number;
}

/* client_core.c. 0, ERR_NAME (also of NULL) or ERR_UTF8. */
int client_name_check(const char *name) NODISCARD;
/* Adds a command without bodies and sends it if the window allows. */
int client_command_issue(struct client_core *core, enum client_command_kind kind, const Holdfast__Command *command,
                         uint64_t consumer, uint64_t timeout_ms, client_reply_cb cb, void *arg) NODISCARD;

/* client_command.c. Takes the command's content from `message` (and the bodies, which may be NULL) and lets it wait. */
int client_command_add(struct client_core *core, enum client_command_kind kind, const Holdfast__Command *message,
                       uint64_t consumer, uint64_t producer, const struct slice *bodies, size_t bodies_len,
                       uint64_t timeout_ms, client_reply_cb cb, void *arg) NODISCARD;
/* Where the command of a number is, from `floor` + 1 to `last_number`. */
struct client_command **client_command_slot(struct client_core *core, uint64_t number);
/* Calls back, once. */
void client_command_tell(struct client_core *core, struct client_command *command, const struct client_reply *reply);
/* Ends and frees the commands of a list, each with its `end_err`. Their callbacks may add others elsewhere. */
void client_command_end_list(struct client_core *core, struct list_node *list);
/* Sends what the window allows. */
void client_command_pump(struct client_core *core);
/* A new connection to the same session: sends everything unanswered again, in order. */
void client_command_resend(struct client_core *core);
/* A Replies frame. ERR_INVALID: not one. ERR_OUT_OF_ORDER, ERR_DISPLACED: attach again.
 * ERR_SESSION_EXPIRED: the session is gone. ERR_CLOSED: it was closed as asked. */
int client_command_replies(struct client_core *core, struct frame *frame) NODISCARD;

/* client_command_end.c. The session is gone: what can be sent again waits for the next one, the rest ends. */
void client_command_session_lost(struct client_core *core);
/* Ends what is over its time. */
void client_command_expire(struct client_core *core, uint64_t now);
/* Ends what waits, because the session is refused with `err`. */
void client_command_end_waiting(struct client_core *core, int err);
/* Ends everything: what was sent with `sent_err`, the rest with `unsent_err`. */
void client_command_end_all(struct client_core *core, int sent_err, int unsent_err);
/* The node takes bodies up to core->body_len_max, and perhaps nothing that is new since version 1: what waits, has never been sent and
 * is more than that ends. */
void client_command_refuse(struct client_core *core);
/* Whether the consumer's Subscribe has a number, is not answered, and was carried out before this attachment. */
bool client_command_subscribed_before(struct client_core *core, uint64_t consumer);
/* Whether a close waits alone although there is no session: nothing is left to be done. */
bool client_command_only_close_waits(struct client_core *core);

/* client_connection.c. Sends a frame and notes that something is expected. */
void client_connection_send(struct client_core *core, struct frame_out *frame);

/* client_session.c. With `key` (else NULL) the program's own. */
void client_session_init(struct client_core *core, const uint8_t *key);
/* A fresh key, unless it is the program's: the next attachment opens a new session. */
void client_session_new_key(struct client_core *core);
/* ERR_SESSION_EXPIRED: it is not the session that we know. */
int client_session_attached(struct client_core *core, uint64_t session, uint64_t last_number) NODISCARD;
/* It was closed as asked. */
void client_session_closed(struct client_core *core);
/* An attachment is refused, for a later one has been there. True: that was another process's, and this client has ended. */
bool client_session_overtaken(struct client_core *core);

/* client_silence.c. Whether an answer of any kind is to come. */
bool client_silence_expects(const struct client_core *core);
/* When there is something to look at, to ask or to give up, on a connection that is ready. */
uint64_t client_silence_deadline_ms(const struct client_core *core);
/* Looks whether anything moves. `late_ms` after it was to be done: in that time the program did not look. */
void client_silence_look(struct client_core *core, uint64_t now, uint64_t late_ms);
bool client_silence_too_long(const struct client_core *core, uint64_t now);
bool client_silence_ping_due(const struct client_core *core, uint64_t now);

/* client_delivery.c */
struct client_consumer *client_consumer_find(struct client_core *core, uint64_t id);
int client_consumer_add(struct client_core *core, uint64_t id) NODISCARD;
void client_consumer_remove(struct client_core *core, struct client_consumer *consumer);
/* ERR_INVALID, ERR_CHECKSUM, or ERR_OUT_OF_ORDER for a gap: the connection must be dropped. */
int client_consumer_deliveries(struct client_core *core, struct frame *frame) NODISCARD;
/* A Notices frame. ERR_INVALID: not one. */
int client_consumer_notices(struct client_core *core, struct frame *frame) NODISCARD;
/* A ConsumersEnded frame. ERR_INVALID: not one. */
int client_consumer_ended(struct client_core *core, struct frame *frame) NODISCARD;
/* After the session's end: tells the host about subscriptions that are over. */
void client_consumer_session_lost(struct client_core *core);
void client_consumer_free_all(struct client_core *core);

/* client_answer.c. What a result to a query of that kind holds; lives in core->arena and in the frame. ERR_INVALID, ERR_CHECKSUM,
 * ERR_NOMEM. */
struct client_query_result;
int client_answer_read(struct client_core *core, int kind, const Holdfast__QueryResult *message,
                       const struct frame *frame, struct client_query_result *ret_result) NODISCARD;

/* client_ask.c */
void client_ask_pump(struct client_core *core);
/* The connection is gone: they will be asked again, but for what must not be done twice. Calls back. */
void client_ask_unsent(struct client_core *core);
/* ERR_INVALID; ERR_UNAVAILABLE: another node has to be asked. */
int client_ask_result(struct client_core *core, struct frame *frame) NODISCARD;
void client_ask_expire(struct client_core *core, uint64_t now);
void client_ask_end_all(struct client_core *core, int err);
bool client_ask_sent(const struct client_core *core);

#endif
