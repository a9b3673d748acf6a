/* What becomes of the rovers' exchanges when they are changed and deleted. */

#include <inttypes.h>
#include <string.h>

#include "sim_rover.h"
#include "sim_world.h"
#include "statemachine/machine_exchanges.h"

static struct sim_rover_guard *guard_of(struct sim_world *world, const char *name)
{
    for (unsigned i = 0; i < SIM_ROVER_EXCHANGES; i++) {
        if (strcmp(sim_rover_exchanges[i], name) == 0) {
            return &world->rovers.guards[i];
        }
    }
    return NULL;
}

static void changed(struct sim_world *world, uint64_t index, const Holdfast__ChangeExchange *change)
{
    struct sim_rover_guard *guard = guard_of(world, change->exchange);
    if (guard != NULL && change->has_protected) {
        guard->changed = index;
        guard->wanted = change->protected_;
    }
}

/* One that goes by itself may have been there anew meanwhile, and unprotected. */
static void deleted(struct sim_world *world, uint64_t index, const Holdfast__DeleteExchange *delete)
{
    struct sim_rover_guard *guard = guard_of(world, delete->exchange);
    if (guard == NULL) {
        return;
    }
    if (guard->is_protected && !guard->passes && guard->changed != index) {
        sim_world_violation(world, "entry %" PRIu64 ": the rovers' exchange %s was deleted, and is protected", index,
                            delete->exchange);
    }
    guard->deleted = index;
}

void sim_rover_exchange_command(struct sim_world *world, uint64_t index, const Holdfast__Command *command, int err)
{
    if (command->kind_case == HOLDFAST__COMMAND__KIND_CHANGE_EXCHANGE && err == 0) {
        changed(world, index, command->change_exchange);
    } else if (command->kind_case == HOLDFAST__COMMAND__KIND_DELETE_EXCHANGE && err == 0) {
        deleted(world, index, command->delete_exchange);
    } else if (command->kind_case == HOLDFAST__COMMAND__KIND_DELETE_EXCHANGE) {
        const struct sim_rover_guard *guard = guard_of(world, command->delete_exchange->exchange);
        sim_world_count(world, SIM_STAT_R_EXCHANGES_KEPT, guard != NULL && guard->is_protected && err == ERR_REFUSED);
    }
}

void sim_rover_exchanges_applied(struct sim_world *world, struct machine *machine, uint64_t index, uint64_t host)
{
    for (unsigned i = 0; i < SIM_ROVER_EXCHANGES; i++) {
        struct sim_rover_guard *guard = &world->rovers.guards[i];
        struct machine_exchange exchange;
        bool there = machine_exchange(machine, host, sim_rover_exchanges[i], &exchange) == 0;
        guard->is_protected = there && exchange.is_protected;
        guard->passes = there && exchange.auto_delete;
        if (there && guard->changed == index && guard->deleted != index && !guard->passes &&
            exchange.is_protected != guard->wanted) {
            sim_world_violation(world, "entry %" PRIu64 ": the rovers' exchange %s is%s protected after its change",
                                index, sim_rover_exchanges[i], exchange.is_protected ? "" : " not");
        }
    }
}
