/* What the machine reads of a message's head (proto/wire/message.proto, MessageHead): where it is to go, when, and how it is
 * told from others. Nothing is copied nor allocated; what is for consumers is only looked at as far as it must be well formed. */

#ifndef HOLDFAST_STATEMACHINE_MESSAGE_MESSAGE_HEAD_H
#define HOLDFAST_STATEMACHINE_MESSAGE_MESSAGE_HEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/blob.h"
#include "proto/base/limits.h"

/* One encoded head, in bytes. */
#define MESSAGE_HEAD_LEN_MAX HEADER_LEN_MAX
/* A routing key, in bytes: AMQP's short strings. */
#define ROUTING_KEY_LEN_MAX 255u
/* Further routing keys (CC and BCC together) of one message. */
#define FURTHER_KEYS_MAX 256u
/* How long a message may be kept before it is enqueued: ten years. */
#define DELAY_MS_MAX (UINT64_C(10) * 366 * 24 * 3600 * 1000)

/* A message's id in 128 bits, as queues remember it. All 0: it has none. */
struct id_hash {
    uint64_t high;
    uint64_t low;
};

static inline bool id_hash_is_none(struct id_hash hash)
{
    return hash.high == 0 && hash.low == 0;
}

struct head_facts {
    struct slice head; /* All of it; borrowed, like what follows. Empty: all else is empty or 0, too. */
    struct slice exchange;
    struct slice routing_key;
    uint32_t further_keys_len; /* also_key and hidden_key together: head_next_key() gives them. */
    uint32_t headers_len;
    uint32_t priority;
    bool has_ttl;
    bool mandatory;
    uint64_t ttl_ms;
    uint64_t delay_ms;
    uint64_t deliver_at_ms;
    uint64_t group; /* A hash; 0: it is in no group. */
    struct id_hash id;
};

/* Reads and checks a head. ERR_INVALID: it is malformed, a key is too long, not UTF-8, or there are too many, or the delay is too
 * long. ERR_TOO_BIG. An empty head has no facts. */
int head_read(struct slice head, struct head_facts *ret_facts) NODISCARD;

/* The further routing keys, in the order of the head: `*at` is 0 for the first, and where the last one ended for the next. False
 * when there are no more. `head` must have passed head_read(). */
bool head_next_key(struct slice head, size_t *at, struct slice *ret_key);

/* For how long the message is to be kept aside, if it is taken at `now_ms`; 0: not at all. May be above DELAY_MS_MAX when it
 * names a time that is far off. */
uint64_t head_delay_ms(const struct head_facts *facts, uint64_t now_ms);

/* Whether a trail (an encoded Trail, as the machine makes it) says that the head's time to live has done its work. */
bool trail_has_no_ttl(struct slice trail);

/* When a message that comes into a queue at `now_ms` expires there: by the head's time to live (unless that has done its work
 * already), or by the queue's (UINT64_MAX: none), whichever is the smaller. 0: never. */
uint64_t head_expires_ms(const struct head_facts *facts, bool no_ttl, uint64_t queue_ttl_ms, uint64_t now_ms);

#endif
