/* A frame on its way: one run of bytes, as a socket would have it. */

#ifndef HOLDFAST_CHAOS_SIM_FRAME_H
#define HOLDFAST_CHAOS_SIM_FRAME_H

#include <stdbool.h>

#include "proto/wire/frame.h"

/* Copies a frame into one blob, which the caller owns; frees the frame. */
struct blob *sim_frame_pack(struct frame_out *frame);
/* Whether a node that receives this frame may stand for election at once: the answer to a (pre-)vote, and TimeoutNow. */
bool sim_frame_may_start_election(const struct frame *frame);
/* Reads the prefix again. The frame takes over the reference. A bad prefix is a violation of ours: ERR_BROKEN... */
int sim_frame_unpack(struct blob *blob, struct frame *ret_frame) NODISCARD;

#endif
