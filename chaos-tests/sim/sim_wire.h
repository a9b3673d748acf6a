/* What one connection of a client has carried: each command has exactly one answer, deliveries come in order, and
 * nobody is displaced but by a later connection of his own. */

#ifndef HOLDFAST_CHAOS_SIM_WIRE_H
#define HOLDFAST_CHAOS_SIM_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/wire/frame.h"

struct sim_world;

#define SIM_WIRE_CONSUMERS_MAX 64u

struct sim_wire {
    struct sim_wire_command {
        uint64_t number;
        uint64_t at_us; /* When the node got it. */
    } * unanswered;     /* In the order in which they were sent. */
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
/* How long the oldest command without an answer has been waiting for it; 0: none waits. */
uint64_t sim_wire_waiting_us(const struct sim_world *world, const struct sim_wire *wire);

#endif
