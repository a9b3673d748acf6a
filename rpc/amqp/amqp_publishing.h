/* What the files of publishing share: messages as they come in, what is gathered of them, and what the cluster has said. */

#ifndef HOLDFAST_RPC_AMQP_AMQP_PUBLISHING_H
#define HOLDFAST_RPC_AMQP_AMQP_PUBLISHING_H

#include "rpc/amqp/amqp_gathered.h"
#include "rpc/memory_budget.h"

/* Messages of one Publish, and bytes at which it is closed. */
#define AMQP_GATHER_MAX 256u
#define AMQP_GATHER_LEN ((size_t)1 * MIB)
/* From this length on a message is a Publish of its own, and its body is not copied again. */
#define AMQP_ALONE_LEN ((size_t)32 * KIB)

enum amqp_incoming_state {
    AMQP_INCOMING_METHOD, /* Its header is to come. */
    AMQP_INCOMING_ASKS,   /* Its header has come, and the cluster is asked whether the exchange is there. */
    AMQP_INCOMING_WAITS,  /* There is no memory for its body. */
    AMQP_INCOMING_BODY,   /* More of its body is to come. */
};

/* A message that is being received: Publish, a content header, bodies. */
struct amqp_incoming {
    struct amqp_channel *channel;
    enum amqp_incoming_state state;
    char exchange[NAME_LEN_MAX + 1];
    char routing_key[UINT8_MAX + 1];
    bool mandatory;
    bool asked; /* Whether the exchange is there. */
    uint64_t body_len;
    struct bytes header; /* The header's payload, while it asks. */
    struct bytes head;   /* The encoded MessageHead. */
    struct blob *own;    /* For what comes in several frames, or is large: the head, and what has come of the body. */
    size_t own_len;      /* Of that. */
    struct memory_claim claim;
    size_t partial;                  /* Counted in the batch, and in the budget, without a claim. */
    uint64_t begun_ms;               /* amqp_session_tick(): when it was first seen; 0: not yet; */
    uint64_t moved_ms;               /* and when it was first seen to be */
    size_t moved_len;                /* of this length. */
    char producer[NAME_LEN_MAX + 1]; /* amqp_head.c; "": none. */
    uint64_t sequence;
};

/* What this node knows of an exchange. */
struct amqp_exchange_seen {
    bool there;
    bool internal;
    bool delayed;
};

/* Of a session that publishes. */
struct amqp_batch {
    struct amqp_gathered *open;    /* What is gathered; NULL: nothing. */
    struct amqp_incoming *spare;   /* For the next message; or NULL. */
    struct amqp_incoming *waiting; /* For memory; or NULL. */
    unsigned incoming;             /* Messages that are being received. */
    struct list_node kept;         /* struct amqp_kept, in order: amqp_refusing.c. */
    bool no_room;                  /* The cluster took none when it was asked last, */
    bool refusing;                 /* and says so. */
    unsigned unanswered;           /* Commands. */
    size_t partial;                /* Bytes of contents that come in parts although they fit a frame. */
    bool finishing;                /* amqp_publishes_finish() has said that it is not so yet. */
    struct list_node confirming;   /* struct amqp_confirming: channels with something to confirm. */
    bool has_seen;                 /* In this turn: */
    char seen_name[NAME_LEN_MAX + 1];
    struct amqp_exchange_seen seen;
};

/* Makes it when there is none; NULL: out of memory, and the session has failed. */
struct amqp_batch *amqp_batch_of(struct amqp_session *session);

/* ---- amqp_publish.c ---- */

/* The content of a message is whole. The message is the caller's still. */
void amqp_published(const struct amqp_message *message);

/* A bit of a reply. */
bool amqp_bit_of(struct slice bits, size_t i);
/* The name of the exchange in a head, which was encoded here. */
void amqp_exchange_of(struct slice head, char ret_name[NAME_LEN_MAX + 1]);

/* ---- amqp_refusing.c ---- */

/* A command that publishes is to be sent when everything that is on its way has been answered, and so is what comes behind it; until then
 * the session takes no frames. `before`: one that is kept, and stands behind it; NULL: it is the last. */
void amqp_publish_keep(struct amqp_session *session, struct amqp_kept *kept, struct amqp_kept *before);
/* Keeps one that was answered, if the answer means that it is to be sent again: the cluster takes no messages, or did not take one
 * before it. `numbered`: its producer has to send again what is not taken, and what is behind that. False: it is not kept. */
bool amqp_publish_keep_refused(struct amqp_session *session, struct amqp_kept *kept, bool numbered,
                               const struct gateway_reply *reply);
/* One was answered, and what became of it is done: those that are kept may have their turn; amqp_publishes_finish(). */
void amqp_publish_answered(struct amqp_session *session);

/* ---- amqp_publish_refuse.c ---- */

/* A message cannot be published: its channel is closed with that error when everything before it has been answered; until then nothing is
 * taken from the client. */
__attribute__((format(printf, 3, 4))) void amqp_publish_refuse(struct amqp_channel *channel, enum amqp_code code,
                                                               const char *format, ...);

/* ---- amqp_content.c ---- */

/* Goes on with a header for which the cluster was asked. */
void amqp_content_answered(struct amqp_channel *channel);

/* ---- amqp_content_memory.c ---- */

/* Of one whose channel is set. */
void amqp_content_claim_init(struct amqp_incoming *incoming);
/* Its head is there, its body is to come: claims memory for both. When there is none the session waits. */
void amqp_content_claim(struct amqp_incoming *incoming);
/* Counts what comes in parts without a claim. False: it is too much, and the connection was closed with an error. */
bool amqp_content_count_part(struct amqp_incoming *incoming);
/* Gives back what it has of both. */
void amqp_content_release(struct amqp_incoming *incoming);

/* ---- amqp_head.c ---- */

/* Makes the head of a message: its properties checked, and what of them means something here. False: the channel or the connection was
 * closed with an error. */
bool amqp_head_make(struct amqp_incoming *incoming, struct amqp_bytes properties, bool delayed);

/* ---- amqp_way.c ---- */

/* Looks whether a message can be published to the exchange that it names. False: not now. Then the cluster is asked, and
 * amqp_content_answered() follows; or the channel was closed with an error. */
bool amqp_exchange_is_open(struct amqp_incoming *incoming, bool *ret_delayed);
/* A message was refused, on a channel that is open: if its exchange is why, the channel is closed with an error. */
bool amqp_exchange_was_closed(struct amqp_channel *channel, const char *exchange);

/* ---- amqp_confirm.c ---- */

/* The channel's message of that number is taken, or is not: its client is told at the end of the turn. */
void amqp_confirm(struct amqp_channel *channel, uint64_t tag, bool taken);

/* ---- amqp_return.c ---- */

/* Returns a message that reached no queue. `content` is its head and body. */
void amqp_return(struct amqp_channel *channel, struct slice content, size_t head_len);

#endif
