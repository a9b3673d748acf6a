/* Counting forwarded commands. */

#include "sim_forward.h"

#include <inttypes.h>

#include "proto/wire/entry.h"
#include "proto/wire/peer.pb-c.h"
#include "sim_world.h"

/* Sessions share the few places; a mistake in a count does no harm. */
static void forward_one(struct sim_world *world, const struct entry_command *command)
{
    struct sim_forwarded *place = &world->forwards.sessions[command->session % 64];
    sim_world_count(world, SIM_STAT_FORWARDED, 1);
    if (place->session != command->session) {
        *place = (struct sim_forwarded){.session = command->session};
    }
    if (command->session != 0 && command->number <= place->number) {
        sim_world_count(world, SIM_STAT_RESENT, 1);
    } else {
        place->number = command->number;
    }
}

void sim_forward_count(struct sim_world *world, uint64_t from, const struct frame *frame)
{
    if (frame->type != FRAME_PEER_GATEWAY) {
        return;
    }
    Holdfast__PeerGateway *message = holdfast__peer_gateway__unpack(NULL, frame->header.len, frame->header.data);
    if (message == NULL) {
        sim_world_violation(world, "node %" PRIu64 " sent a malformed frame to another gateway", from);
        return;
    }
    uint32_t commands = message->kind_case == HOLDFAST__PEER_GATEWAY__KIND_FORWARD ? message->forward->commands : 0;
    size_t offset = 0;
    for (uint32_t i = 0; i < commands; i++) {
        struct entry_command command;
        if (entry_command_decode(frame->body, &offset, &command) != 0) {
            sim_world_violation(world, "node %" PRIu64 " forwarded a malformed command", from);
            break;
        }
        forward_one(world, &command);
    }
    holdfast__peer_gateway__free_unpacked(message, NULL);
}
