/* Walking over the fields of an encoded protobuf message without unpacking it. Pure; allocates nothing.
 *
 * It takes whatever protobuf takes, and unlike the strict scanner of frames also a varint that is longer than it needs to be:
 * nothing may be seen by the machine and missed here. */

#ifndef HOLDFAST_RPC_NATIVE_NATIVE_SCAN_H
#define HOLDFAST_RPC_NATIVE_NATIVE_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/blob.h"

/* Protobuf wire types (encoding guide, "Message Structure"), and the fields of command.proto that matter here. */
enum { SCAN_VARINT = 0, SCAN_64 = 1, SCAN_LEN = 2, SCAN_32 = 5 };
enum {
    SCAN_COMMAND_PUBLISH = 6,
    SCAN_COMMAND_TRANSACT = 26,
    SCAN_TRANSACT_PUBLISH = 1,
    SCAN_PUBLISH_BODY_LEN = 2,
    SCAN_PUBLISH_BODY_HASH = 3,
    SCAN_PUBLISH_HEAD_LEN = 6,
};

struct native_field {
    uint64_t number;
    unsigned wire;
    uint64_t value;    /* Of a varint. */
    struct slice part; /* Of one with a length, or a fixed one. */
};

/* Takes a varint off the front; bits above the 64th are let go, as protobuf does. False: there is none whole. */
bool native_scan_varint(struct slice *in, uint64_t *ret_value);

/* Takes a field off the front. False: there is none, or it is malformed. */
bool native_scan_field(struct slice *in, struct native_field *ret_field);

#endif
