/* Encoding and checking of PeerRebuild. */

#include "node/core/rebuild_message.h"

#include "rpc/native/native_frame.h"

int rebuild_message_encode(const Holdfast__PeerRebuild *message, struct slice body, struct frame_out *ret_frame)
{
    return native_frame_encode(FRAME_PEER_REBUILD, &message->base, &body, body.len > 0 ? 1 : 0, ret_frame);
}

static bool message_ok(const Holdfast__PeerRebuild *message)
{
    switch (message->kind_case) {
    case HOLDFAST__PEER_REBUILD__KIND_OPEN: return true;
    case HOLDFAST__PEER_REBUILD__KIND_READ:
        return message->read->copy != 0 && message->read->len > 0 && message->read->len <= REBUILD_PART_LEN_MAX &&
               message->read->file < REBUILD_FILES_MAX && message->read->offset < REBUILD_BYTES_MAX;
    case HOLDFAST__PEER_REBUILD__KIND_CLOSE: return message->close->copy != 0;
    case HOLDFAST__PEER_REBUILD__KIND_OPENED:
        return message->opened->copy != 0 && message->opened->index != 0 && message->opened->n_files > 0 &&
               message->opened->n_files <= REBUILD_FILES_MAX;
    case HOLDFAST__PEER_REBUILD__KIND_PART: return message->part->copy != 0;
    case HOLDFAST__PEER_REBUILD__KIND_REFUSED: return true;
    default: return false;
    }
}

int rebuild_message_decode(const struct frame *frame, struct arena *arena, const Holdfast__PeerRebuild **ret_message)
{
    ProtobufCMessage *base;
    arena_reset(arena);
    if (frame->type != FRAME_PEER_REBUILD ||
        native_frame_decode(frame, &holdfast__peer_rebuild__descriptor, arena, &base) != 0) {
        return ERR_BROKEN;
    }
    const Holdfast__PeerRebuild *message = (const void *)base;
    bool part = message->kind_case == HOLDFAST__PEER_REBUILD__KIND_PART;
    if (message->shard != 0 || frame->body.len > (part ? REBUILD_PART_LEN_MAX : 0) || !message_ok(message)) {
        return ERR_BROKEN;
    }
    *ret_message = message;
    return 0;
}

int rebuild_message_files(const Holdfast__RebuildOpened *opened, struct rebuild_files *ret_files)
{
    struct rebuild_files files = {0};
    int err = 0;
    for (size_t i = 0; err == 0 && i < opened->n_files; i++) {
        err = rebuild_files_add(&files, opened->files[i]->name, opened->files[i]->size);
    }
    if (err == 0) {
        err = rebuild_files_check(&files);
    }
    if (err != 0) {
        rebuild_files_done(&files);
        return err == ERR_NOMEM ? err : ERR_BROKEN;
    }
    *ret_files = files;
    return 0;
}
