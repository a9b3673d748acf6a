/* What the files of the pair have in common. */

#ifndef HOLDFAST_NODE_TEST_REBUILD_PAIR_PRIVATE_H
#define HOLDFAST_NODE_TEST_REBUILD_PAIR_PRIVATE_H

#include "rebuild_pair.h"

uint64_t pair_mix(uint64_t z);
/* The next number of the dice; `arg` is theirs. */
uint64_t pair_dice_next(void *arg);

/* rebuild_pair_state.c: the store of the source, which makes copies; and a store on a copy that has come (open_copy). */
extern const struct store_ops pair_store_ops;
int pair_open_check(void *arg, const char *name, struct store **ret_store, char *detail, size_t detail_len);

/* rebuild_pair_frames.c: false: there is no room, or no frame. Takes ownership; the caller releases. */
bool pair_frames_push(struct pair_frames *frames, uint64_t from, struct frame_out *out);
bool pair_frames_pop(struct pair_frames *frames, struct frame *ret_frame, uint64_t *ret_from);
void pair_frames_clear(struct pair_frames *frames);

#endif
