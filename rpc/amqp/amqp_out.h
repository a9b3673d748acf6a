/* Frames on their way out: gathered in one run of bytes, with bodies between them that are not copied. Pure. */

#ifndef HOLDFAST_RPC_AMQP_AMQP_OUT_H
#define HOLDFAST_RPC_AMQP_AMQP_OUT_H

#include "proto/wire/frame.h"
#include "rpc/amqp/amqp_method.h"

/* A body that goes out behind the first `at` of the bytes. */
struct amqp_out_part {
    size_t at;
    struct slice slice; /* Owns a reference. */
};

struct amqp_out {
    struct bytes bytes;
    struct amqp_out_part *parts;
    unsigned parts_len;
    unsigned parts_cap;
    size_t len; /* Of everything. */
};

/* Appends a method frame. ERR_TOO_BIG: a short string of more than 255 bytes. ERR_NOMEM. After an error nothing has been appended. */
int amqp_out_method(struct amqp_out *out, uint16_t channel, const union amqp_method *method) NODISCARD;

/* Appends a method with its content header (`properties`: flags and values) and body, in frames of at most `frame_max` bytes. A short body,
 * or one that is a small part of what it lies in, is copied, another is referred to. As above. */
int amqp_out_content(struct amqp_out *out, uint16_t channel, const union amqp_method *method,
                     struct amqp_bytes properties, struct slice body, uint32_t frame_max) NODISCARD;

/* Appends a heartbeat. ERR_NOMEM. */
int amqp_out_heartbeat(struct amqp_out *out) NODISCARD;

/* Appends what is no frame. ERR_NOMEM. */
int amqp_out_raw(struct amqp_out *out, const void *data, size_t len) NODISCARD;

/* Everything as one piece to send; *ret_got is false when there is nothing. Then it is empty, and holds no memory. ERR_NOMEM: it is as it was. */
int amqp_out_take(struct amqp_out *out, bool *ret_got, struct frame_out *ret_frame) NODISCARD;

void amqp_out_done(struct amqp_out *out);

#endif
