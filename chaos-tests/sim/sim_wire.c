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

static void wire_command(struct sim_wire *wire, uint64_t number, uint64_t now_us)
{
    if (wire->unanswered_len == wire->unanswered_cap) {
        wire->unanswered_cap = wire->unanswered_cap == 0 ? 16 : wire->unanswered_cap * 2;
        wire->unanswered = realloc(wire->unanswered, wire->unanswered_cap * sizeof *wire->unanswered);
        CHECK(wire->unanswered != NULL);
    }
    wire->unanswered[wire->unanswered_len++] = (struct sim_wire_command){.number = number, .at_us = now_us};
}

static void wire_reply(struct sim_world *world, struct sim_wire *wire, uint64_t number)
{
    for (size_t i = 0; i < wire->unanswered_len; i++) {
        if (wire->unanswered[i].number == number) {
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

/* The client hears nothing on an older connection: whoever is displaced here has been by nobody. */
static void wire_displaced(struct sim_world *world, const char *what)
{
    sim_world_violation(world, "%s was called displaced on the latest connection of its client", what);
}

/* A connection's commands reach the log in their order, none missing, whoever leads: else the client is told. */
static void wire_error(struct sim_world *world, uint32_t error)
{
    if (error == (uint32_t)-ERR_DISPLACED) {
        wire_displaced(world, "a command");
    } else if (error == (uint32_t)-ERR_OUT_OF_ORDER) {
        sim_world_violation(world,
                            "a command was carried out of order: what was sent before it on the connection is lost");
    }
}

/* Why nodes send their clients elsewhere, known by what they say: so that a reason that never occurs is noticed. */
static void wire_goodbye(struct sim_world *world, const Holdfast__Goodbye *goodbye)
{
    static const struct {
        const char *words;
        enum sim_stat stat;
    } reasons[] = {{"without a leader", SIM_STAT_TOLD_ISOLATED},
                   {"does not answer, or is full", SIM_STAT_TOLD_DISK},
                   {"taken for lost", SIM_STAT_TOLD_LOST},
                   {"does not get answers", SIM_STAT_TOLD_STUCK}};
    SIM_TRACE(world, "goodbye: %s", goodbye->detail);
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
        sim_world_count(world, reasons[i].stat, strstr(goodbye->detail, reasons[i].words) != NULL);
    }
    if (goodbye->error == (uint32_t)-ERR_DISPLACED) {
        wire_displaced(world, "a connection");
    }
}

uint64_t sim_wire_waiting_us(const struct sim_world *world, const struct sim_wire *wire)
{
    return wire->unanswered_len == 0 ? 0 : sim_world_now(world) - wire->unanswered[0].at_us;
}

void sim_wire_from_client(struct sim_world *world, struct sim_wire *wire, const struct frame *frame)
{
    if (frame->type != FRAME_COMMAND) {
        return;
    }
    Holdfast__CommandFrame *command = holdfast__command_frame__unpack(NULL, frame->header.len, frame->header.data);
    CHECK(command != NULL);
    wire_command(wire, command->number, sim_world_now(world));
    holdfast__command_frame__free_unpacked(command, NULL);
}

void sim_wire_from_node(struct sim_world *world, struct sim_wire *wire, const struct frame *frame)
{
    if (frame->type == FRAME_REPLIES) {
        Holdfast__Replies *replies = holdfast__replies__unpack(NULL, frame->header.len, frame->header.data);
        CHECK(replies != NULL);
        for (size_t i = 0; i < replies->n_replies; i++) {
            wire_reply(world, wire, replies->replies[i]->number);
            wire_error(world, replies->replies[i]->error);
        }
        holdfast__replies__free_unpacked(replies, NULL);
    } else if (frame->type == FRAME_DELIVERIES) {
        Holdfast__Deliveries *deliveries = holdfast__deliveries__unpack(NULL, frame->header.len, frame->header.data);
        CHECK(deliveries != NULL);
        for (size_t i = 0; i < deliveries->n_deliveries; i++) {
            wire_delivery(world, wire, deliveries->deliveries[i]);
        }
        holdfast__deliveries__free_unpacked(deliveries, NULL);
    } else if (frame->type == FRAME_GOODBYE) {
        Holdfast__Goodbye *goodbye = holdfast__goodbye__unpack(NULL, frame->header.len, frame->header.data);
        CHECK(goodbye != NULL);
        wire_goodbye(world, goodbye);
        holdfast__goodbye__free_unpacked(goodbye, NULL);
    }
}
