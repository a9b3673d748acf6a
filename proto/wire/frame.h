/* The frame: how every message of ours travels, between nodes and between clients and nodes.
 *
 *   offset  size  what
 *        0     2  magic: 'H' 'F'
 *        2     1  version of the protocol (FRAME_VERSION)
 *        3     1  type (enum frame_type)
 *        4     4  length of the header, little-endian
 *        8     4  length of the body, little-endian
 *       12     4  reserved, zero
 *       16        header (protobuf), then body (raw bytes: message bodies, log entries)
 *
 * Message bodies are never inside a protobuf field, so that they are not copied on their way. Both lengths are checked
 * against limits before anything is allocated. */

#ifndef HOLDFAST_PROTO_WIRE_FRAME_H
#define HOLDFAST_PROTO_WIRE_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base/blob.h"
#include "proto/base/err.h"

#define FRAME_PREFIX_LEN 16u
#define FRAME_VERSION 1u

/* The header of each type is the protobuf message of that name in native.proto or peer.proto. */
enum frame_type {
    /* Client to node. */
    FRAME_HELLO = 1,
    FRAME_ATTACH = 2,
    FRAME_COMMAND = 3,
    FRAME_QUERY = 4,
    FRAME_PING = 5,
    /* Node to client. */
    FRAME_WELCOME = 32,
    FRAME_ATTACHED = 33,
    FRAME_REPLIES = 34,
    FRAME_DELIVERIES = 35,
    FRAME_QUERY_RESULT = 36,
    FRAME_PONG = 37,
    FRAME_GOODBYE = 38,
    FRAME_CONSUMERS_ENDED = 39,
    FRAME_NOTICES = 40,
    /* Node to node. */
    FRAME_PEER_HELLO = 64,
    FRAME_PEER_RAFT = 65,
    FRAME_PEER_GATEWAY = 66,
    FRAME_PEER_REBUILD = 67,
};

struct frame_prefix {
    uint8_t type;
    uint32_t tag; /* What else the prefix of another protocol says; ours: 0. */
    uint32_t header_len;
    uint32_t body_len;
};

void frame_prefix_encode(const struct frame_prefix *prefix, uint8_t out[FRAME_PREFIX_LEN]);

/* ERR_BROKEN: not our magic, or reserved bytes in use. ERR_VERSION: another version. ERR_TOO_BIG: a length over its
 * limit. The type is not checked: who reads the frame knows which types it takes. */
int frame_prefix_decode(const uint8_t in[FRAME_PREFIX_LEN], struct frame_prefix *ret_prefix) NODISCARD;

/* A frame as it arrived: type, and the two parts as slices of one blob. The holder of the frame owns one reference,
 * through `header.blob` (`body` borrows it). */
struct frame {
    uint8_t type;
    uint32_t tag; /* As in the prefix. */
    struct slice header;
    struct slice body;
};

/* A frame to be sent: the prefix and header in one blob, then parts that are sent without being copied.
 * Owns a reference to `head` and to every part. */
struct frame_out {
    struct blob *head;   /* Prefix and header. */
    struct slice *parts; /* malloc'd; NULL when there are none. */
    unsigned parts_len;
    size_t len; /* Of everything. */
};

void frame_out_done(struct frame_out *frame);

#endif
