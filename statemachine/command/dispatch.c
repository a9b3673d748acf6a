/* Which function carries out a command, and who may issue it. */

#include "statemachine/command/dispatch.h"

#include "statemachine/command/command.h"

/* Up to this one version 1 knows them. */
#define KIND_LAST_OF_VERSION_1 HOLDFAST__COMMAND__KIND_PURGE_QUEUE

static bool command_is_for_nodes(const Holdfast__Command *command)
{
    return command->kind_case == HOLDFAST__COMMAND__KIND_ATTACH_SESSION ||
           command->kind_case == HOLDFAST__COMMAND__KIND_DETACH_SESSION ||
           command->kind_case == HOLDFAST__COMMAND__KIND_NODE_PRESENT ||
           command->kind_case == HOLDFAST__COMMAND__KIND_NODE_LOST ||
           command->kind_case == HOLDFAST__COMMAND__KIND_RAISE_VERSION;
}

static bool command_is_known(const struct machine *machine, const Holdfast__Command *command)
{
    return command->kind_case != HOLDFAST__COMMAND__KIND__NOT_SET &&
           (machine->version >= 2 || command->kind_case <= KIND_LAST_OF_VERSION_1);
}

bool command_check(const struct machine *machine, const struct entry_command *from, const Holdfast__Command *command,
                   struct reply *reply)
{
    if (command == NULL) {
        reply_fail(reply, ERR_INVALID, DETAIL_HEADER);
    } else if (!command_is_known(machine, command)) {
        reply_fail(reply, ERR_INVALID, DETAIL_KIND);
    } else if (from->bodies.len > 0 && command->kind_case != HOLDFAST__COMMAND__KIND_PUBLISH &&
               command->kind_case != HOLDFAST__COMMAND__KIND_TRANSACT) {
        reply_fail(reply, ERR_INVALID, DETAIL_BODIES);
    } else if (from->session != 0 && command_is_for_nodes(command)) {
        reply_fail(reply, ERR_REFUSED, DETAIL_NODE_ONLY);
    } else if (from->session == 0 && !command_is_for_nodes(command)) {
        reply_fail(reply, ERR_REFUSED, DETAIL_SESSION_ONLY);
    }
    return reply->error == 0;
}

int command_carry_out_of_node(struct machine *machine, const Holdfast__Command *command, struct reply *reply)
{
    switch (command->kind_case) {
    case HOLDFAST__COMMAND__KIND_ATTACH_SESSION: return command_attach_session(machine, command->attach_session, reply);
    case HOLDFAST__COMMAND__KIND_DETACH_SESSION: return command_detach_session(machine, command->detach_session, reply);
    case HOLDFAST__COMMAND__KIND_NODE_PRESENT: return command_node_present(machine, command->node_present, reply);
    case HOLDFAST__COMMAND__KIND_NODE_LOST: return command_node_lost(machine, command->node_lost, reply);
    case HOLDFAST__COMMAND__KIND_RAISE_VERSION: return command_raise_version(machine, command->raise_version, reply);
    default: return 0;
    }
}

/* ---- Of sessions ---- */

/* Those about what has a name: queues, exchanges, virtual hosts. */
static int carry_out_of_names(struct machine *machine, struct session *session, const Holdfast__Command *command,
                              struct reply *reply)
{
    switch (command->kind_case) {
    case HOLDFAST__COMMAND__KIND_DECLARE_QUEUE:
        return command_declare_queue(machine, session, command->declare_queue, reply);
    case HOLDFAST__COMMAND__KIND_CHANGE_QUEUE:
        return command_change_queue(machine, session, command->change_queue, reply);
    case HOLDFAST__COMMAND__KIND_DELETE_QUEUE:
        return command_delete_queue(machine, session, command->delete_queue, reply);
    case HOLDFAST__COMMAND__KIND_DECLARE_EXCHANGE:
        return command_declare_exchange(machine, session, command->declare_exchange, reply);
    case HOLDFAST__COMMAND__KIND_CHANGE_EXCHANGE:
        return command_change_exchange(machine, session, command->change_exchange, reply);
    case HOLDFAST__COMMAND__KIND_DELETE_EXCHANGE:
        return command_delete_exchange(machine, session, command->delete_exchange, reply);
    case HOLDFAST__COMMAND__KIND_BIND: return command_bind(machine, session, command->bind, reply);
    case HOLDFAST__COMMAND__KIND_UNBIND: return command_unbind(machine, session, command->unbind, reply);
    case HOLDFAST__COMMAND__KIND_CREATE_VIRTUAL_HOST:
        return command_create_virtual_host(machine, command->create_virtual_host, reply);
    case HOLDFAST__COMMAND__KIND_DELETE_VIRTUAL_HOST:
        return command_delete_virtual_host(machine, session, command->delete_virtual_host, reply);
    case HOLDFAST__COMMAND__KIND_SET_LIMITS: return command_set_limits(machine, command->set_limits, reply);
    default: return 0;
    }
}

int command_carry_out_of_session(struct machine *machine, struct session *session, const struct entry_command *from,
                                 const Holdfast__Command *command, struct reply *reply)
{
    switch (command->kind_case) {
    case HOLDFAST__COMMAND__KIND_PUBLISH:
        return command_publish(machine, session, command->publish, from->bodies, reply);
    case HOLDFAST__COMMAND__KIND_TRANSACT:
        return command_transact(machine, session, command->transact, from->bodies, reply);
    case HOLDFAST__COMMAND__KIND_OPEN_PRODUCER:
        return command_open_producer(machine, session, command->open_producer, reply);
    case HOLDFAST__COMMAND__KIND_RESOLVE_PREPARED:
        return command_resolve_prepared(machine, session, command->resolve_prepared, reply);
    case HOLDFAST__COMMAND__KIND_SUBSCRIBE: return command_subscribe(machine, session, command->subscribe, reply);
    case HOLDFAST__COMMAND__KIND_UNSUBSCRIBE: return command_unsubscribe(machine, session, command->unsubscribe, reply);
    case HOLDFAST__COMMAND__KIND_SET_CREDIT: return command_set_credit(machine, session, command->set_credit, reply);
    case HOLDFAST__COMMAND__KIND_SETTLE: return command_settle(machine, session, command->settle, reply);
    case HOLDFAST__COMMAND__KIND_EXTEND: return command_extend(machine, session, command->extend, reply);
    case HOLDFAST__COMMAND__KIND_PURGE_QUEUE: return command_purge_queue(machine, session, command->purge_queue, reply);
    case HOLDFAST__COMMAND__KIND_REDRIVE: return command_redrive(machine, session, command->redrive, reply);
    case HOLDFAST__COMMAND__KIND_REPLAY: return command_replay(machine, session, command->replay, reply);
    case HOLDFAST__COMMAND__KIND_REFUSED: reply_refuse(reply, command->refused->error, machine->version); return 0;
    default: return carry_out_of_names(machine, session, command, reply);
    }
}
