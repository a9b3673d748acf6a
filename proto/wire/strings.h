/* Strings that are what they say: protobuf lets a string hold a zero byte, C does not. */

#ifndef HOLDFAST_PROTO_WIRE_STRINGS_H
#define HOLDFAST_PROTO_WIRE_STRINGS_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether no string in the encoded message, or in the messages within it, holds a zero byte: decoded, it would be cut
 * short and name something else. False as well for bytes that are not an encoded message. Allocates nothing; messages are
 * followed to a depth of 32. */
bool message_strings_are_whole(const ProtobufCMessageDescriptor *descriptor, const uint8_t *data, size_t len);

#endif
