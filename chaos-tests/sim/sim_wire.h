/* What one connection of a client has carried: each command has exactly one answer, and deliveries come in order. */

#ifndef HOLDFAST_CHAOS_SIM_WIRE_H
#define HOLDFAST_CHAOS_SIM_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/wire/frame.h"

struct sim_world;

#define SIM_WIRE_CONSUMERS_MAX 64u

struct sim_wire {
    uint64_t *unanswered; /* Numbers of the commands that were sent, in order. */
    size_t unanswered_len;
    size_t unanswered_cap;
    struct sim_wire_consumer {
        uint64_t consumer;
        uint64_t last; /* Delivery number. */
    } consumers[SIM_WIRE_CONSUMERS_MAX];
    unsigned consumers_len;
};

void sim_wire_done(struct sim_wire *wire);
/* A frame that the client sends, or that the node does. */
void sim_wire_from_client(struct sim_world *world, struct sim_wire *wire, const struct frame *frame);
void sim_wire_from_node(struct sim_world *world, struct sim_wire *wire, const struct frame *frame);

#endif
