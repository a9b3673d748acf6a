/* The batch: commands that wait to be proposed, in order, and the entry that is built from the first of them.
 *
 * Everything that gathers while the driver's window is full goes into the next entry: group commit. An entry stops
 * growing at ENTRY_LEN_TARGET bytes or ENTRY_COMMANDS_MAX commands; a single larger command gets an entry of its own.
 * The batch is bounded by BATCH_COMMANDS_MAX; bytes are bounded by who pushes, who knows whom to make wait. */

#ifndef HOLDFAST_NODE_CORE_BATCH_H
#define HOLDFAST_NODE_CORE_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/limits.h"
#include "proto/wire/entry.h"

#define BATCH_COMMANDS_MAX 131072u

/* Zero-initialise; batch_done() at the end. */
struct batch {
    struct entry_command *ring; /* Each holds references to its header and bodies. */
    size_t first;
    size_t len;
    size_t cap; /* 0, or a power of two. */
    uint64_t bytes;
};

/* Appends a command; takes its own references. ERR_TOO_BIG: over HEADER_LEN_MAX or COMMAND_BODIES_LEN_MAX. ERR_LIMIT:
 * the batch is full. ERR_NOMEM. */
int batch_push(struct batch *batch, const struct entry_command *command) NODISCARD;

/* Builds an entry of the first commands, as many as it takes, and leaves them where they are: batch_pop() removes them
 * once the entry has been proposed. The caller owns the entry. An empty batch gives an
 * entry without commands, in which only time passes. ERR_NOMEM. */
int batch_build(const struct batch *batch, uint32_t machine_version, uint64_t time_ms, struct slice *ret_entry,
                uint32_t *ret_commands) NODISCARD;

/* Bytes that a command takes in an entry. */
uint64_t batch_command_len(const struct entry_command *command);

/* Writes a command as it stands in an entry; returns where the next one goes. */
uint8_t *batch_command_encode(const struct entry_command *command, uint8_t *out);

/* Whether the command brings new messages: one that does not is let in when the disks are full. */
bool batch_command_publishes(const struct entry_command *command);

/* Puts `header` in the place of every waiting command that brings new messages: it keeps its number in its session, and
 * is answered with an error. `header` is borrowed from static memory. */
void batch_refuse_publishes(struct batch *batch, struct slice header);

/* Removes the first `count` commands. */
void batch_pop(struct batch *batch, size_t count);

/* Removes everything and frees the memory. */
void batch_done(struct batch *batch);

#endif
