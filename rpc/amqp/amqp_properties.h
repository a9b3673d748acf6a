/* The properties of a message (§4.2.6.1), to a MessageHead and back. Nothing of them is interpreted here: amqp_publish.h does that.
 *
 * A property that is there, but empty or 0, is one of MessageHead.present: bit n for the property of flag n. A string with a zero byte
 * in it, which protobuf cannot hold, is in MessageHead.extra: u8 flag, u8 length, bytes; and again for the next one. */

#ifndef HOLDFAST_RPC_AMQP_AMQP_PROPERTIES_H
#define HOLDFAST_RPC_AMQP_AMQP_PROPERTIES_H

#include "proto/base/arena.h"
#include "proto/wire/message.pb-c.h"
#include "rpc/amqp/amqp_cursor.h"

/* The numbers of their flags. */
enum amqp_property {
    AMQP_CONTENT_TYPE = 15,
    AMQP_CONTENT_ENCODING = 14,
    AMQP_HEADERS = 13,
    AMQP_DELIVERY_MODE = 12,
    AMQP_PRIORITY = 11,
    AMQP_CORRELATION_ID = 10,
    AMQP_REPLY_TO = 9,
    AMQP_EXPIRATION = 8,
    AMQP_MESSAGE_ID = 7,
    AMQP_TIMESTAMP = 6,
    AMQP_TYPE = 5,
    AMQP_USER_ID = 4,
    AMQP_APP_ID = 3,
    AMQP_CLUSTER_ID = 2,
};

/* The payload of a content header frame. */
struct amqp_content {
    uint16_t class_id;
    uint64_t body_len;
    struct amqp_bytes properties; /* Flags and values. Borrowed. */
};

/* ERR_INVALID: shorter than it must be. */
int amqp_content_decode(struct amqp_bytes payload, struct amqp_content *ret_content) NODISCARD;

/* Sets fields of `head`, which holdfast__message_head__init() has made, or another caller; what it refers to is in the arena, or in
 * `properties`. ERR_INVALID: malformed, or something follows. ERR_TOO_BIG, ERR_NOMEM: as amqp_table_decode(). */
int amqp_properties_decode(struct amqp_bytes properties, struct arena *arena, Holdfast__MessageHead *head) NODISCARD;

/* Appends flags and values; the headers are `headers` (there is a table when has_headers, or when there are any). ERR_NOMEM. ERR_TOO_BIG: a
 * string of more than 255 bytes, which another protocol has brought. What was appended before an error stays. */
int amqp_properties_encode(const Holdfast__MessageHead *head, Holdfast__Header *const *headers, size_t headers_len,
                           struct bytes *bytes) NODISCARD;

#endif
