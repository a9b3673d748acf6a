/* What gateways send each other, counted: that commands are forwarded, and sent again, is what many runs are about. */

#ifndef HOLDFAST_CHAOS_SIM_FORWARD_H
#define HOLDFAST_CHAOS_SIM_FORWARD_H

#include <stdint.h>

#include "proto/wire/frame.h"

struct sim_world;

/* The highest number of a session's commands that was forwarded. */
struct sim_forwards {
    struct sim_forwarded {
        uint64_t session;
        uint64_t number;
    } sessions[64];
};

void sim_forward_count(struct sim_world *world, uint64_t from, const struct frame *frame);

#endif
