/* What goes with a message's body: addresses, times, properties and headers, as plain structs. */

#ifndef HOLDFAST_RPC_CLIENT_CLIENT_PROPERTIES_H
#define HOLDFAST_RPC_CLIENT_CLIENT_PROPERTIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/arena.h"
#include "proto/base/blob.h"
#include "proto/base/err.h"

enum client_type {
    CLIENT_VOID,
    CLIENT_BOOLEAN,
    CLIENT_INTEGER,  /* Of any width. */
    CLIENT_UNSIGNED, /* Of any width. */
    CLIENT_FLOAT,
    CLIENT_STRING, /* Any bytes. */
    CLIENT_BINARY,
    CLIENT_TIMESTAMP, /* Seconds since 1970. */
    CLIENT_OTHER, /* Of a message that came by another protocol: a table, an array, a decimal. Not to be published. */
};

struct client_header {
    const char *name;
    enum client_type type;
    bool boolean;
    int64_t integer;
    uint64_t unsigned_; /* Also the timestamp. */
    double number;
    const void *data; /* Of a string or binary. */
    size_t len;
};

/* NULL and "" are the same; 0 and false are the defaults. As MessageHead in proto/wire/message.proto. */
struct client_properties {
    /* Read by the cluster. */
    const char *exchange;         /* Where it was published to; "" is the default exchange. */
    const char *routing_key;      /* At the default exchange: the name of the queue. */
    const char *const *also_keys; /* Further routing keys. */
    size_t also_keys_len;
    uint32_t priority;      /* Higher comes first. */
    bool has_ttl;           /* It expires */
    uint64_t ttl_ms;        /* so long after it was enqueued. */
    uint64_t delay_ms;      /* It is enqueued so long after it was published. */
    uint64_t deliver_at_ms; /* Or at this time: milliseconds since 1970. */
    const char *group;      /* In a queue of groups: messages of one group one at a time, and in order. */
    const char *message_id; /* In a queue that looks at ids: not taken twice. */
    bool mandatory;         /* If no queue takes it, its publisher is told. */
    const struct client_header *headers;
    size_t headers_len;
    /* For consumers. */
    const char *content_type;
    const char *content_encoding;
    const char *correlation_id;
    const char *reply_to;
    const char *type;
    const char *user_id;
    const char *app_id;
    bool has_timestamp;
    uint64_t timestamp_s; /* Of the publisher's: seconds since 1970. */
};

/* Where a message died before it came to where it is; most recent first. */
struct client_death {
    const char *queue;
    const char *reason;   /* A word: rejected, expired, maxlen, delivery_limit. */
    uint64_t count;       /* Times. */
    const char *exchange; /* Where it had been published to when it came to that queue. */
    uint64_t time_ms;     /* Of the last time, in log time. */
    uint64_t position;    /* In that queue, the last time. */
};

/* The encoded MessageHead; the caller owns the reference. ERR_INVALID: a header without a name, or of type CLIENT_OTHER.
 * ERR_TOO_BIG, ERR_NOMEM. */
int client_properties_encode(const struct client_properties *properties, struct slice *ret_head) NODISCARD;
/* What an encoded head says, in the arena. ERR_INVALID: it is none, or there is no memory. */
int client_properties_decode(struct slice head, struct arena *arena,
                             struct client_properties *ret_properties) NODISCARD;
/* The deaths that an encoded Trail tells of. */
int client_deaths_decode(struct slice trail, struct arena *arena, const struct client_death **ret_deaths,
                         size_t *ret_len) NODISCARD;

/* For the library's own files: headers to and from what travels, in the arena. ERR_INVALID, ERR_NOMEM. */
struct Holdfast__Header;
int client_headers_encode(const struct client_header *headers, size_t len, struct arena *arena,
                          struct Holdfast__Header ***ret_encoded) NODISCARD;
int client_headers_decode(struct Holdfast__Header *const *encoded, size_t len, struct arena *arena,
                          const struct client_header **ret_headers) NODISCARD;

#endif
