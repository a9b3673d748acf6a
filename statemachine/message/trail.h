/* The trail of a dead letter (proto/wire/message.proto, Trail): read without being copied, and written with a death more. */

#ifndef HOLDFAST_STATEMACHINE_MESSAGE_TRAIL_H
#define HOLDFAST_STATEMACHINE_MESSAGE_TRAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/blob.h"
#include "proto/base/bytes.h"

/* Deaths that a trail tells of, and the bytes that they may take together; the oldest go, but for the last one. */
#define TRAIL_DEATHS_MAX 32u
#define TRAIL_DEATHS_LEN_MAX (64u * 1024u)

/* The numbers are those of Death.Reason. */
enum death_reason {
    DEATH_REJECTED = 0,
    DEATH_EXPIRED = 1,
    DEATH_MAXLEN = 2,
    DEATH_DELIVERY_LIMIT = 3,
};

/* As a protocol's front-end writes it: "rejected", "expired", "maxlen", "delivery_limit". */
const char *death_reason_text(enum death_reason reason);

/* A death that is being added. All is borrowed. */
struct death {
    struct slice queue;
    enum death_reason reason;
    struct slice exchange;
    const struct slice *keys;
    size_t keys_len;
    uint64_t time_ms;
    bool has_expiration;
    uint64_t expiration_ms;
    uint64_t position; /* 0: it was never in the queue. */
};

/* One that was read, or added. */
struct trail_death {
    struct slice encoded;
    struct slice queue;
    enum death_reason reason;
    uint64_t count;
};

struct trail {
    struct trail_death deaths[TRAIL_DEATHS_MAX]; /* The last one first. */
    size_t deaths_len;
    struct slice first_queue;
    struct slice first_reason;
    struct slice first_exchange;
    bool has_address;
    bool own_keys;
    bool no_ttl;
    struct slice exchange;
    struct slice routing_key;
    uint64_t first_enqueued_ms;
};

/* Reads an encoded trail; no bytes are an empty one. Borrows. ERR_CORRUPT. */
int trail_read(const uint8_t *data, size_t len, struct trail *ret_trail) NODISCARD;

/* Puts a death in front; one in the same queue for the same reason is counted instead. `scratch` holds its encoding and must
 * outlive the trail's use; it is emptied first. The trail borrows from `death`, too. ERR_NOMEM: the trail is as it was. */
int trail_add(struct trail *trail, const struct death *death, struct bytes *scratch) NODISCARD;

/* Encodes a trail. The caller owns the reference. ERR_NOMEM. */
int trail_write(const struct trail *trail, struct slice *ret_encoded) NODISCARD;

/* Whether the way to a queue closes a circle: it has died there, and no death since then, that one included, was a rejection. */
bool trail_closes_circle(const struct trail *trail, struct slice queue);

#endif
