/* Messages that a client has published and that become one Publish: their contents one behind the other, as a command has them, and to
 * whom each is to be confirmed. */

#ifndef HOLDFAST_RPC_AMQP_AMQP_GATHERED_H
#define HOLDFAST_RPC_AMQP_AMQP_GATHERED_H

#include "rpc/amqp/amqp_session_private.h"

/* A command that publishes, until it can be sent, or sent again: amqp_refusing.c. */
struct amqp_kept {
    struct list_node node;
    void (*again)(struct amqp_kept *kept); /* Sends it. */
    void (*drop)(struct amqp_kept *kept);  /* The session is over: takes it out of its list, and frees it. */
};

/* A message whose content is whole. Borrows everything. */
struct amqp_message {
    struct amqp_channel *channel;
    struct amqp_bytes head; /* An encoded MessageHead. */
    struct amqp_bytes body;
    struct blob *own;     /* Head and body lie in it, behind one another, and fill it; NULL: they do not. */
    const char *producer; /* "": none. */
    uint64_t sequence;    /* The producer's. */
    bool mandatory;
};

/* One of those that are gathered. */
struct amqp_gathered_one {
    struct amqp_channel *channel; /* A reference. */
    uint64_t tag;                 /* Its number for confirms; 0: it is not to be confirmed. */
    uint64_t hash;                /* XXH3-64 of head and body. */
    uint32_t head_len;
    uint32_t body_len;
    bool mandatory;
};

struct amqp_gathered {
    struct amqp_kept kept;
    struct amqp_session *session;
    struct blob *content; /* May be longer than what is used of it, while it grows; NULL: there is nothing yet. */
    size_t content_at;    /* Where in the blob the first message begins. */
    size_t content_len;   /* Of all messages. */
    struct amqp_gathered_one *ones;
    unsigned len;
    unsigned cap;
    char *producer;          /* NULL: none. */
    uint64_t first_sequence; /* The others follow by one. */
};

/* NULL: out of memory. */
struct amqp_gathered *amqp_gathered_new(struct amqp_session *session);
/* NULL is allowed. */
void amqp_gathered_free(struct amqp_gathered *gathered);

/* Whether the message may follow those that are there: of the same producer, and by its number the next one. */
bool amqp_gathered_continues(const struct amqp_gathered *gathered, const struct amqp_message *message);

/* Adds a message: copies it, or, when it is the first and has a blob of its own, takes a reference to that. ERR_NOMEM. */
int amqp_gathered_add(struct amqp_gathered *gathered, const struct amqp_message *message, uint64_t tag) NODISCARD;

/* The contents; borrows. What had been reserved behind them is given back. */
struct slice amqp_gathered_content(struct amqp_gathered *gathered);

/* Describes them, with `lens` and `hashes` for as many as there are: lengths of heads, then those of bodies. Borrows. */
void amqp_gathered_describe(const struct amqp_gathered *gathered, uint32_t *lens, uint64_t *hashes,
                            Holdfast__Publish *ret_publish);

/* Those of the message at `at` bytes from the beginning of the contents, the i-th, as gathered alone. NULL: out of memory. */
struct amqp_gathered *amqp_gathered_single(const struct amqp_gathered *gathered, unsigned i, size_t at);

#endif
