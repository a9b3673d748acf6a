/* The frames of AMQP 0-9-1 (§2.3.5): u8 type, u16 channel, u32 length, payload, u8 end.
 *
 * To the reader (framing.h) the payload with its end is a body; `tag` is the channel. What a client sends first, "AMQP" 0 0 9 1, is
 * a frame of type AMQP_FRAME_GREETING, with the seven bytes of a prefix, and one of body. Pure. */

#ifndef HOLDFAST_RPC_AMQP_AMQP_FRAME_H
#define HOLDFAST_RPC_AMQP_AMQP_FRAME_H

#include "rpc/amqp/amqp_method.h"
#include "rpc/framing.h"

#define AMQP_PREFIX_LEN 7u
/* Prefix and end. */
#define AMQP_FRAME_COST 8u
#define AMQP_FRAME_END 0xceu

/* Before a limit has been negotiated (§4.2.3), for whole frames. */
#define AMQP_FRAME_MIN 4096u

enum amqp_frame_type {
    AMQP_FRAME_METHOD = 1,
    AMQP_FRAME_HEADER = 2,
    AMQP_FRAME_BODY = 3,
    AMQP_FRAME_HEARTBEAT = 8,
    AMQP_FRAME_GREETING = 'A',
};

/* ERR_VERSION: what arrived begins like another protocol, or is a greeting for another version: to be answered with
 * AMQP_GREETING. ERR_TOO_BIG: a length beyond all limits. */
extern const struct framing framing_amqp;

/* What a server sends to a client that speaks otherwise (§4.2.2). */
#define AMQP_GREETING "AMQP\0\0\x09\x01"
#define AMQP_GREETING_LEN 8u

/* The payload of a frame: without its end. ERR_BROKEN: it does not end as it must. */
int amqp_frame_payload(const struct frame *frame, struct amqp_bytes *ret_payload) NODISCARD;

/* Frames are appended to one byte string, which goes out as a whole: begin, append the payload, end. */
int amqp_frame_begin(struct bytes *bytes, enum amqp_frame_type type, uint16_t channel, size_t *ret_place) NODISCARD;
int amqp_frame_end(struct bytes *bytes, size_t place) NODISCARD;

/* A whole method frame. As amqp_method_encode(); after an error nothing has been appended. */
int amqp_frame_method(struct bytes *bytes, uint16_t channel, const union amqp_method *method) NODISCARD;

/* The prefix of a body frame of `len` bytes, which follow without being copied, and then AMQP_FRAME_END. */
int amqp_frame_body_prefix(struct bytes *bytes, uint16_t channel, uint32_t len) NODISCARD;

#endif
