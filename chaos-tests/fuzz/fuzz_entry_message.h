/* Messages of protocol buffers made up and changed by what is known of their fields: for fuzzers that want more than bytes that no
 * decoder takes. */

#ifndef HOLDFAST_CHAOS_TESTS_FUZZ_ENTRY_MESSAGE_H
#define HOLDFAST_CHAOS_TESTS_FUZZ_ENTRY_MESSAGE_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

/* A row of numbers that the seed decides. */
struct fuzz_random {
    uint64_t state;
};

uint64_t fuzz_random_next(struct fuzz_random *random);
/* 0 to `below` - 1; `below` is above 0. */
uint64_t fuzz_random_below(struct fuzz_random *random, uint64_t below);

/* A new message with some of its fields set, to values that mean something to the machine: names that several commands choose,
 * small numbers, times of some milliseconds. protobuf_c_message_free_unpacked() frees it. */
ProtobufCMessage *fuzz_message_new(struct fuzz_random *random, const ProtobufCMessageDescriptor *descriptor);

/* Sets a field of it, or of a message in it, anew. */
void fuzz_message_change(struct fuzz_random *random, ProtobufCMessage *message);

#endif
