/* The questions and answers of a rebuild: frames from messages, and messages from frames, checked. */

#ifndef HOLDFAST_NODE_CORE_REBUILD_MESSAGE_H
#define HOLDFAST_NODE_CORE_REBUILD_MESSAGE_H

#include "node/core/rebuild_files.h"
#include "proto/base/arena.h"
#include "proto/base/blob.h"
#include "proto/wire/frame.h"
#include "proto/wire/peer.pb-c.h"

/* What a message may take in memory when it is decoded: room for REBUILD_FILES_MAX names. */
#define REBUILD_MESSAGE_MEMORY_MAX (2 * MIB)

/* Takes its own reference to the body, which may be empty. ERR_TOO_BIG: too many names for one frame. ERR_NOMEM. */
int rebuild_message_encode(const Holdfast__PeerRebuild *message, struct slice body,
                           struct frame_out *ret_frame) NODISCARD;

/* The message lives in the arena until its reset. ERR_BROKEN: it is malformed, or over a limit. Of RebuildOpened everything is
 * checked but the names, which rebuild_message_files() looks at; of the others everything that can be without more knowledge. */
int rebuild_message_decode(const struct frame *frame, struct arena *arena,
                           const Holdfast__PeerRebuild **ret_message) NODISCARD;

/* The files of RebuildOpened. ERR_BROKEN: a name, two that are the same, too much. ERR_NOMEM. */
int rebuild_message_files(const Holdfast__RebuildOpened *opened, struct rebuild_files *ret_files) NODISCARD;

#endif
