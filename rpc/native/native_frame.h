/* The codec of the native protocol, shared by node and client: frames from messages and messages from frames.
 *
 * Headers are protobuf messages (native.proto), bodies are raw bytes behind them. Encoding makes a struct frame_out whose
 * parts are references; decoding borrows from the frame or unpacks into an arena. Pure: no sockets, no clock. */

#ifndef HOLDFAST_RPC_NATIVE_NATIVE_FRAME_H
#define HOLDFAST_RPC_NATIVE_NATIVE_FRAME_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/arena.h"
#include "proto/base/blob.h"
#include "proto/base/bytes.h"
#include "proto/base/err.h"
#include "proto/wire/frame.h"
#include "proto/wire/native.pb-c.h"

/* A frame of one type with a message as its header and `parts` as its body. Takes its own references to the parts
 * (`parts` may be NULL with 0). ERR_TOO_BIG: header or body over the limits of a frame. ERR_NOMEM. */
int native_frame_encode(enum frame_type type, const ProtobufCMessage *header, const struct slice *parts,
                        unsigned parts_len, struct frame_out *ret_frame) NODISCARD;

/* The same with a header that is encoded already; the bytes are copied. */
int native_frame_encode_raw(enum frame_type type, const void *header, size_t header_len, const struct slice *parts,
                            unsigned parts_len, struct frame_out *ret_frame) NODISCARD;

/* A COMMAND frame. `command` is an encoded Command and is copied; the bodies are referenced. ERR_TOO_BIG, ERR_NOMEM. */
int native_frame_encode_command(uint64_t number, uint64_t answered, struct slice command, const struct slice *bodies,
                                unsigned bodies_len, struct frame_out *ret_frame) NODISCARD;

/* Appends `message` to a header being built, as one element of the repeated message field `field` (1 to 15), such as
 * Replies.replies. ERR_NOMEM leaves the header as it was. */
int native_frame_append(struct bytes *header, unsigned field, const ProtobufCMessage *message) NODISCARD;

/* Unpacks the header. The message lives in the arena until its reset; never free it otherwise. Strings are
 * NUL-terminated and not yet checked for UTF-8. ERR_INVALID: not such a message, or over the arena's bound.
 * Cast through the type: `Holdfast__Welcome *m; native_frame_decode(f, &holdfast__welcome__descriptor, arena, &base)`. */
int native_frame_decode(const struct frame *frame, const ProtobufCMessageDescriptor *descriptor, struct arena *arena,
                        ProtobufCMessage **ret_message) NODISCARD;

struct native_command {
    uint64_t number;
    uint64_t answered;
    struct slice command; /* Borrows from the frame. */
};

/* Reads a CommandFrame without copying the command. Strict: ERR_INVALID for an unknown field, a field twice, a wrong
 * wire type, a varint over 64 bits or a length that does not fit. Missing fields are 0 and empty. */
int native_frame_decode_command(const struct frame *frame, struct native_command *ret_command) NODISCARD;

/* Whether the bodies that the message announces are exactly the frame's body, and its fields make sense: 0 or
 * ERR_INVALID. After it, delivery i's trail, head and body are the next bytes. */
int native_frame_check_deliveries(const Holdfast__Deliveries *deliveries, struct slice body) NODISCARD;

/* The length of the varint that encodes `value`, and the encoding; returns the bytes written. */
size_t native_varint_encode(uint64_t value, uint8_t out[10]);

#endif
