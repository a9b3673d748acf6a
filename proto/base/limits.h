/* Every limit that more than one room has to respect, in one place, asserted to fit each other.
 *
 * A limit that belongs to a single file stands in that file. */

#ifndef HOLDFAST_PROTO_BASE_LIMITS_H
#define HOLDFAST_PROTO_BASE_LIMITS_H

#include <stdint.h>

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

/* Names of queues, producers, virtual hosts: UTF-8, in bytes (AMQP 0-9-1 shortstr). */
#define NAME_LEN_MAX 255u

/* One message body, in bytes. */
#define BODY_LEN_MAX (16 * MIB)

/* Messages in one publish command; deliveries named by one settle command. */
#define PUBLISH_MESSAGES_MAX 4096u
#define SETTLE_RANGES_MAX 4096u

/* A protobuf header, in bytes: of a command, or of a frame. */
#define HEADER_LEN_MAX (256 * KIB)

/* The bodies of one command together. */
#define COMMAND_BODIES_LEN_MAX BODY_LEN_MAX

/* One log entry: a batch of commands. A batch stops growing at the target, so that replication stays smooth; a single
 * large command may take it up to the maximum. */
#define ENTRY_LEN_TARGET (256 * KIB)
#define ENTRY_LEN_MAX (24 * MIB)
#define ENTRY_COMMANDS_MAX 4096u

/* One frame on a wire, header and payload. A peer frame holds one large entry or several small ones. */
#define FRAME_HEADER_LEN_MAX HEADER_LEN_MAX
#define FRAME_BODY_LEN_MAX (32 * MIB)
/* What a node that fetches a copy of the state asks for at once, and how many files a copy has at most. */
#define REBUILD_PART_LEN_MAX (256 * KIB)
#define REBUILD_FILES_MAX 4096u

/* Entries in one AppendEntries frame, and the bytes at which a frame is closed. */
#define APPEND_ENTRIES_MAX 256u
#define APPEND_BYTES_TARGET (1 * MIB)

/* Commands of one session that may be unanswered; the machine remembers as many replies. */
#define SESSION_WINDOW_MAX 1024u

/* Unsettled deliveries of one subscription. */
#define CREDIT_MAX 65535u

/* Subscriptions of one session. */
#define SESSION_CONSUMERS_MAX 1024u

/* Bytes of what a client names its session with: who has them has the session. */
#define SESSION_KEY_LEN 16u

/* Seconds for which a session may stay without a connection. */
#define LEASE_MS_MIN 1000u
#define LEASE_MS_MAX (24u * 3600u * 1000u)
#define LEASE_MS_DEFAULT 10000u

/* Members of a cluster. */
#define MEMBERS_MAX 9u
#define ADDRESS_LEN_MAX 255u

_Static_assert(COMMAND_BODIES_LEN_MAX >= BODY_LEN_MAX, "the largest body fits a command");
_Static_assert(ENTRY_LEN_MAX >= COMMAND_BODIES_LEN_MAX + HEADER_LEN_MAX + 4096, "the largest command fits an entry");
_Static_assert(ENTRY_LEN_TARGET <= ENTRY_LEN_MAX, "the target is below the maximum");
_Static_assert(FRAME_BODY_LEN_MAX >= ENTRY_LEN_MAX, "the largest entry fits a peer frame");
_Static_assert(FRAME_BODY_LEN_MAX >= COMMAND_BODIES_LEN_MAX, "the largest command fits a client frame");
_Static_assert(APPEND_BYTES_TARGET <= FRAME_BODY_LEN_MAX, "a closed frame is within the limit");
_Static_assert(ENTRY_LEN_MAX <= UINT32_MAX && FRAME_BODY_LEN_MAX <= UINT32_MAX, "lengths travel in 32 bits");
_Static_assert(HEADER_LEN_MAX >= PUBLISH_MESSAGES_MAX * (5 + 8) + 4 * NAME_LEN_MAX + 256,
               "the header of the largest publish fits");
_Static_assert(HEADER_LEN_MAX >= SETTLE_RANGES_MAX * 2 * 10 + 256, "the header of the largest settle fits");

#endif
