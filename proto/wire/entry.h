/* The payload of a log entry: a batch of commands, stamped with a time.
 *
 *   offset  size  what
 *        0     4  magic "HFE1"
 *        4     2  version of this layout (ENTRY_VERSION)
 *        6     2  machine version by whose rules the batch was proposed
 *        8     8  log time in milliseconds since 1970-01-01 UTC
 *       16     4  number of commands
 *       20     4  length of everything after this head
 *       24        commands, each:
 *                   0  4  length of the command header (an encoded Command)
 *                   4  4  length of the bodies
 *                   8  8  session (0: the node itself)
 *                  16  8  number within the session (0 with session 0)
 *                  24  8  attachment of the session that sent it (0 with session 0)
 *                  32  8  the session's replies up to this number may be forgotten
 *                  40     header, then bodies
 *
 * All integers are little-endian. Each command keeps the header that its client encoded: nothing is encoded again on
 * the way from the client's connection into the log. The checksum of an entry belongs to its log record. */

#ifndef HOLDFAST_PROTO_WIRE_ENTRY_H
#define HOLDFAST_PROTO_WIRE_ENTRY_H

#include <stdint.h>

#include "proto/base/blob.h"
#include "proto/base/err.h"

#define ENTRY_HEAD_LEN 24u
#define ENTRY_COMMAND_HEAD_LEN 40u
#define ENTRY_VERSION 1u

struct entry_head {
    uint16_t machine_version;
    uint64_t time_ms;
    uint32_t commands;
    uint32_t len; /* After the head. */
};

struct entry_command {
    uint64_t session;
    uint64_t number;
    uint64_t attachment;
    uint64_t answered;
    struct slice header; /* Borrows from the entry. */
    struct slice bodies; /* Borrows from the entry. */
};

/* Writes the head to the first ENTRY_HEAD_LEN bytes. */
void entry_head_encode(const struct entry_head *head, uint8_t *out);

/* Writes a command's head; the header and the bodies follow it. */
void entry_command_head_encode(const struct entry_command *command, uint8_t *out);

/* Reads and checks the head. ERR_INVALID: too short, wrong magic, or lengths that do not fit. ERR_VERSION: a layout that
 * this build does not know. */
int entry_head_decode(struct slice entry, struct entry_head *ret_head) NODISCARD;

/* Reads the command at `*offset` (ENTRY_HEAD_LEN for the first) and moves the offset behind it. ERR_INVALID when it does
 * not fit; then nothing is moved. */
int entry_command_decode(struct slice entry, size_t *offset, struct entry_command *ret_command) NODISCARD;

#endif
