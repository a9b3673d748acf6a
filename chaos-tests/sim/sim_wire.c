/* Watching one connection. */

#include "sim_wire.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/wire/native.pb-c.h"
#include "sim_world.h"

void sim_wire_done(struct sim_wire *wire)
{
    free(wire->unanswered);
    *wire = (struct sim_wire){0};
}

static void wire_command(struct sim_wire *wire, uint64_t number)
{
    if (wire->unanswered_len == wire->unanswered_cap) {
        wire->unanswered_cap = wire->unanswered_cap == 0 ? 16 : wire->unanswered_cap * 2;
        wire->unanswered = realloc(wire->unanswered, wire->unanswered_cap * sizeof *wire->unanswered);
        CHECK(wire->unanswered != NULL);
    }
    wire->unanswered[wire->unanswered_len++] = number;
}

static void wire_reply(struct sim_world *world, struct sim_wire *wire, uint64_t number)
{
    for (size_t i = 0; i < wire->unanswered_len; i++) {
        if (wire->unanswered[i] == number) {
            wire->unanswered_len--;
            memmove(wire->unanswered + i, wire->unanswered + i + 1,
                    (wire->unanswered_len - i) * sizeof *wire->unanswered);
            return;
        }
    }
    sim_world_violation(world, "command %" PRIu64 " was answered on a connection on which nobody waited for it",
                        number);
}

static struct sim_wire_consumer *wire_consumer(struct sim_wire *wire, uint64_t consumer)
{
    for (unsigned i = 0; i < wire->consumers_len; i++) {
        if (wire->consumers[i].consumer == consumer) {
            return &wire->consumers[i];
        }
    }
    if (wire->consumers_len == SIM_WIRE_CONSUMERS_MAX) {
        return NULL;
    }
    wire->consumers[wire->consumers_len] = (struct sim_wire_consumer){.consumer = consumer};
    return &wire->consumers[wire->consumers_len++];
}

static void wire_delivery(struct sim_world *world, struct sim_wire *wire, const Holdfast__Delivery *delivery)
{
    struct sim_wire_consumer *consumer = wire_consumer(wire, delivery->consumer);
    if (consumer == NULL) {
        return;
    }
    if (delivery->number <= consumer->last) {
        sim_world_violation(world, "a connection carried delivery %" PRIu64 " of a consumer after delivery %" PRIu64,
                            delivery->number, consumer->last);
    }
    consumer->last = delivery->number;
}

void sim_wire_from_client(struct sim_world *world, struct sim_wire *wire, const struct frame *frame)
{
    (void)world;
    if (frame->type != FRAME_COMMAND) {
        return;
    }
    Holdfast__CommandFrame *command = holdfast__command_frame__unpack(NULL, frame->header.len, frame->header.data);
    CHECK(command != NULL);
    wire_command(wire, command->number);
    holdfast__command_frame__free_unpacked(command, NULL);
}

void sim_wire_from_node(struct sim_world *world, struct sim_wire *wire, const struct frame *frame)
{
    if (frame->type == FRAME_REPLIES) {
        Holdfast__Replies *replies = holdfast__replies__unpack(NULL, frame->header.len, frame->header.data);
        CHECK(replies != NULL);
        for (size_t i = 0; i < replies->n_replies; i++) {
            wire_reply(world, wire, replies->replies[i]->number);
        }
        holdfast__replies__free_unpacked(replies, NULL);
    } else if (frame->type == FRAME_DELIVERIES) {
        Holdfast__Deliveries *deliveries = holdfast__deliveries__unpack(NULL, frame->header.len, frame->header.data);
        CHECK(deliveries != NULL);
        for (size_t i = 0; i < deliveries->n_deliveries; i++) {
            wire_delivery(world, wire, deliveries->deliveries[i]);
        }
        holdfast__deliveries__free_unpacked(deliveries, NULL);
    }
}
