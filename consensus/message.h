/* Raft messages as frames: what the engine says, made into bytes for a peer, and back with everything checked.
 *
 * The header of a frame is a PeerRaft message (peer.proto); entries are the frame's body, raw, and are neither copied on
 * the way out nor on the way in. */

#ifndef HOLDFAST_CONSENSUS_MESSAGE_H
#define HOLDFAST_CONSENSUS_MESSAGE_H

#include <raft.h>
#include <stdint.h>

#include "consensus/log.h"
#include "proto/base/arena.h"
#include "proto/base/blob.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"
#include "proto/wire/frame.h"

/* Whom a message is for: the engine, or the driver itself. */
enum message_kind { MESSAGE_ENGINE, MESSAGE_READ_PING, MESSAGE_READ_PONG };

/* An incoming message. For AppendEntries the entries are here and `raft.append_entries.entries` is NULL. */
struct message {
    enum message_kind kind;
    uint64_t term;                                /* Of the sender. */
    uint64_t round;                               /* READ_PING, READ_PONG: not 0. */
    struct raft_message raft;                     /* ENGINE. */
    struct log_entry entries[APPEND_ENTRIES_MAX]; /* Payloads are borrowed from the frame. */
    unsigned entries_len;
    struct slice configuration; /* InstallSnapshot only; borrowed from the arena. */
};

/* Encodes a message without entries (all but AppendEntries). `configuration` is for InstallSnapshot, else empty. */
int message_encode(uint32_t shard, const struct raft_message *message, struct slice configuration,
                   struct frame_out *ret_frame) NODISCARD;

/* Encodes an AppendEntries with these entries. The frame takes its own references to the payloads. */
int message_encode_append(uint32_t shard, const struct raft_append_entries *append, const struct log_entry *entries,
                          unsigned entries_len, struct frame_out *ret_frame) NODISCARD;

/* Encodes a READ_PING or READ_PONG. */
int message_encode_read(uint32_t shard, enum message_kind kind, uint64_t term, uint64_t round,
                        struct frame_out *ret_frame) NODISCARD;

/* Decodes and checks a frame from a peer into `message`; `arena` holds what is decoded until it is reset.
 * ERR_BROKEN: malformed, or values that no correct peer sends. ERR_NOMEM. */
int message_decode(const struct frame *frame, uint32_t shard, struct arena *arena, struct message *message) NODISCARD;

#endif
