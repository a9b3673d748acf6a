/* The batch: commands that wait to be proposed, and the entry that is built from the first of them.
 *
 * Everything that gathers while the driver's window is full goes into the next entry: group commit. An entry stops
 * growing at ENTRY_LEN_TARGET bytes or ENTRY_COMMANDS_MAX commands; a single larger command gets an entry of its own.
 * The batch is bounded by BATCH_COMMANDS_MAX; bytes are bounded by who pushes, who knows whom to make wait.
 *
 * The commands of a session stay in order. But settlements of sessions that have nothing else waiting come before what others publish:
 * if they queued up behind it, consumers would be given new messages the later the more is published, a queue would grow although its
 * consumers could keep up, and what is far back in a queue costs all nodes more. Of an entry they are half at most, if others wait. */

#ifndef HOLDFAST_NODE_CORE_BATCH_H
#define HOLDFAST_NODE_CORE_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/core/command_ring.h"
#include "proto/base/limits.h"

#define BATCH_COMMANDS_MAX 131072u
#define BATCH_SESSIONS 1024u /* A power of two. */

/* Zero-initialise; batch_done() at the end. */
struct batch {
    struct command_ring settlements; /* Of sessions without any in `others`. */
    struct command_ring others;
    uint32_t settling[BATCH_SESSIONS]; /* How many of `settlements` are of a session with a number like that; */
    uint32_t waiting[BATCH_SESSIONS];  /* and of `others`. */
    size_t len;                        /* Of both. */
    uint64_t bytes;
};

/* Takes a command in; takes its own references. ERR_TOO_BIG: over HEADER_LEN_MAX or COMMAND_BODIES_LEN_MAX. ERR_LIMIT:
 * the batch is full. ERR_NOMEM. */
int batch_push(struct batch *batch, const struct entry_command *command) NODISCARD;

/* The first commands, as they go into one entry. */
struct batch_cut {
    uint32_t settlements;
    uint32_t others;
    size_t len; /* Of the entry, in bytes. */
};
static inline uint32_t batch_cut_commands(const struct batch_cut *cut)
{
    return cut->settlements + cut->others;
}
/* As many as an entry takes for its length and their number. */
struct batch_cut batch_cut(const struct batch *batch);
/* The first of such a cut: so many settlements (one at least, if there are any in it), and at most so many others. */
struct batch_cut batch_cut_less(const struct batch *batch, uint32_t settlements, uint32_t others);
/* The nth of them, from 0; borrowed until the next push or pop. */
const struct entry_command *batch_at(const struct batch *batch, const struct batch_cut *cut, uint32_t nth);

/* Builds an entry of what was cut, and leaves it where it is: batch_pop() removes it once the entry has been proposed. The caller owns
 * the entry. A cut of nothing gives an entry without commands, in which only time passes. ERR_NOMEM. */
int batch_build(const struct batch *batch, const struct batch_cut *cut, uint32_t machine_version, uint64_t time_ms,
                struct slice *ret_entry) NODISCARD;
/* Removes what was cut. */
void batch_pop(struct batch *batch, const struct batch_cut *cut);

/* Bytes that a command takes in an entry. */
uint64_t batch_command_len(const struct entry_command *command);

/* Writes a command as it stands in an entry; returns where the next one goes. */
uint8_t *batch_command_encode(const struct entry_command *command, uint8_t *out);

/* Whether the command brings new messages: one that does not is let in when the disks are full. */
bool batch_command_publishes(const struct entry_command *command);

/* Puts `header` in the place of every waiting command that brings new messages: it keeps its number in its session, and
 * is answered with an error. `header` is borrowed from static memory. */
void batch_refuse_publishes(struct batch *batch, struct slice header);

/* Removes everything and frees the memory. */
void batch_done(struct batch *batch);

#endif
