/* Applying an entry: which commands are carried out, which were carried out before, and which are refused. */

#include <string.h>

#include "proto/base/check.h"
#include "proto/base/fault.h"
#include "proto/wire/strings.h"
#include "statemachine/command/command.h"
#include "statemachine/queue/sweep.h"
#include "statemachine/version_one.h"

/* protobuf-c says NULL for a malformed header and for want of memory alike. The first must give the same reply on every
 * node, and a header that unpacks to more than the arena's bound counts as malformed; the second must end the process.
 */
struct decoder {
    ProtobufCAllocator protobuf;
    struct arena *arena;
    bool starved;
};

static void *decoder_alloc(void *data, size_t len)
{
    struct decoder *decoder = data;
    void *pointer = arena_alloc(decoder->arena, len);
    if (pointer == NULL && len + 16 <= decoder->arena->used_max - decoder->arena->used) {
        decoder->starved = true;
    }
    return pointer;
}

static void decoder_free(void *data, void *pointer)
{
    (void)data;
    (void)pointer;
}

/* `*ret_command` is NULL for a malformed header. ERR_NOMEM. */
static int command_decode(struct machine *machine, struct slice header, Holdfast__Command **ret_command)
{
    struct decoder decoder = {
        .protobuf = {.alloc = decoder_alloc, .free = decoder_free},
        .arena = &machine->arena,
    };
    decoder.protobuf.allocator_data = &decoder;
    arena_reset(&machine->arena);
    if (machine->version == 1) {
        int err = version_one_header(&machine->arena, header, &header);
        if (err != 0) {
            return err;
        }
    }
    /* A string with a zero byte in it would be cut short by the decoder, and name another queue; and what is nested too deep would
     * take more stack than there is. */
    if (!message_strings_are_whole(&holdfast__command__descriptor, header.data, header.len)) {
        *ret_command = NULL;
        return 0;
    }
    Holdfast__Command *command = holdfast__command__unpack(&decoder.protobuf, header.len, header.data);
    if (command == NULL && decoder.starved) {
        return ERR_NOMEM;
    }
    *ret_command = command;
    return 0;
}

static bool command_is_for_nodes(const Holdfast__Command *command)
{
    return command->kind_case == HOLDFAST__COMMAND__KIND_ATTACH_SESSION ||
           command->kind_case == HOLDFAST__COMMAND__KIND_DETACH_SESSION ||
           command->kind_case == HOLDFAST__COMMAND__KIND_NODE_PRESENT ||
           command->kind_case == HOLDFAST__COMMAND__KIND_NODE_LOST ||
           command->kind_case == HOLDFAST__COMMAND__KIND_RAISE_VERSION;
}

static bool command_check(const struct entry_command *from, const Holdfast__Command *command, struct reply *reply)
{
    if (command == NULL) {
        reply_fail(reply, ERR_INVALID, DETAIL_HEADER);
    } else if (command->kind_case == HOLDFAST__COMMAND__KIND__NOT_SET) {
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

static int command_carry_out_of_node(struct machine *machine, const Holdfast__Command *command, struct reply *reply)
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

static int command_carry_out_of_exchange(struct machine *machine, struct session *session,
                                         const Holdfast__Command *command, struct reply *reply)
{
    switch (command->kind_case) {
    case HOLDFAST__COMMAND__KIND_DECLARE_EXCHANGE:
        return command_declare_exchange(machine, session, command->declare_exchange, reply);
    case HOLDFAST__COMMAND__KIND_DELETE_EXCHANGE:
        return command_delete_exchange(machine, session, command->delete_exchange, reply);
    case HOLDFAST__COMMAND__KIND_BIND: return command_bind(machine, session, command->bind, reply);
    case HOLDFAST__COMMAND__KIND_UNBIND: return command_unbind(machine, session, command->unbind, reply);
    default: return 0;
    }
}

/* Those around publishing, and virtual hosts. */
static int command_carry_out_of_publisher(struct machine *machine, struct session *session,
                                          const struct entry_command *from, const Holdfast__Command *command,
                                          struct reply *reply)
{
    switch (command->kind_case) {
    case HOLDFAST__COMMAND__KIND_TRANSACT:
        return command_transact(machine, session, command->transact, from->bodies, reply);
    case HOLDFAST__COMMAND__KIND_OPEN_PRODUCER:
        return command_open_producer(machine, session, command->open_producer, reply);
    case HOLDFAST__COMMAND__KIND_RESOLVE_PREPARED:
        return command_resolve_prepared(machine, session, command->resolve_prepared, reply);
    case HOLDFAST__COMMAND__KIND_CREATE_VIRTUAL_HOST:
        return command_create_virtual_host(machine, command->create_virtual_host, reply);
    case HOLDFAST__COMMAND__KIND_DELETE_VIRTUAL_HOST:
        return command_delete_virtual_host(machine, session, command->delete_virtual_host, reply);
    case HOLDFAST__COMMAND__KIND_SET_LIMITS: return command_set_limits(machine, command->set_limits, reply);
    default: return 0;
    }
}

/* Those that keep messages where they are, or move them. */
static int command_carry_out_of_mover(struct machine *machine, struct session *session,
                                      const Holdfast__Command *command, struct reply *reply)
{
    switch (command->kind_case) {
    case HOLDFAST__COMMAND__KIND_EXTEND: return command_extend(machine, session, command->extend, reply);
    case HOLDFAST__COMMAND__KIND_REDRIVE: return command_redrive(machine, session, command->redrive, reply);
    case HOLDFAST__COMMAND__KIND_REPLAY: return command_replay(machine, session, command->replay, reply);
    default: return 0;
    }
}

static int command_carry_out_of_session(struct machine *machine, struct session *session,
                                        const struct entry_command *from, const Holdfast__Command *command,
                                        struct reply *reply)
{
    switch (command->kind_case) {
    case HOLDFAST__COMMAND__KIND_DECLARE_QUEUE:
        return command_declare_queue(machine, session, command->declare_queue, reply);
    case HOLDFAST__COMMAND__KIND_CHANGE_QUEUE:
        return command_change_queue(machine, session, command->change_queue, reply);
    case HOLDFAST__COMMAND__KIND_DELETE_QUEUE:
        return command_delete_queue(machine, session, command->delete_queue, reply);
    case HOLDFAST__COMMAND__KIND_PURGE_QUEUE: return command_purge_queue(machine, session, command->purge_queue, reply);
    case HOLDFAST__COMMAND__KIND_PUBLISH:
        return command_publish(machine, session, command->publish, from->bodies, reply);
    case HOLDFAST__COMMAND__KIND_TRANSACT:
    case HOLDFAST__COMMAND__KIND_OPEN_PRODUCER:
    case HOLDFAST__COMMAND__KIND_RESOLVE_PREPARED:
    case HOLDFAST__COMMAND__KIND_CREATE_VIRTUAL_HOST:
    case HOLDFAST__COMMAND__KIND_DELETE_VIRTUAL_HOST:
    case HOLDFAST__COMMAND__KIND_SET_LIMITS:
        if (machine->version >= 2) {
            return command_carry_out_of_publisher(machine, session, from, command, reply);
        }
        reply_fail(reply, ERR_INVALID, DETAIL_KIND);
        return 0;
    case HOLDFAST__COMMAND__KIND_SUBSCRIBE: return command_subscribe(machine, session, command->subscribe, reply);
    case HOLDFAST__COMMAND__KIND_UNSUBSCRIBE: return command_unsubscribe(machine, session, command->unsubscribe, reply);
    case HOLDFAST__COMMAND__KIND_SET_CREDIT: return command_set_credit(machine, session, command->set_credit, reply);
    case HOLDFAST__COMMAND__KIND_SETTLE: return command_settle(machine, session, command->settle, reply);
    case HOLDFAST__COMMAND__KIND_EXTEND:
    case HOLDFAST__COMMAND__KIND_REDRIVE:
    case HOLDFAST__COMMAND__KIND_REPLAY:
        if (machine->version >= 2) {
            return command_carry_out_of_mover(machine, session, command, reply);
        }
        reply_fail(reply, ERR_INVALID, DETAIL_KIND);
        return 0;
    case HOLDFAST__COMMAND__KIND_REFUSED: reply_refuse(reply, command->refused->error, machine->version); return 0;
    case HOLDFAST__COMMAND__KIND_DECLARE_EXCHANGE:
    case HOLDFAST__COMMAND__KIND_DELETE_EXCHANGE:
    case HOLDFAST__COMMAND__KIND_BIND:
    case HOLDFAST__COMMAND__KIND_UNBIND:
        if (machine->version >= 2) {
            return command_carry_out_of_exchange(machine, session, command, reply);
        }
        reply_fail(reply, ERR_INVALID, DETAIL_KIND);
        return 0;
    case HOLDFAST__COMMAND__KIND_CLOSE_SESSION: /* Its reply goes out first: see session_apply(). */
    default: return 0;
    }
}

/* Whether it has messages of a producer. Under version 1 there are no transactions. */
static bool command_is_named_publish(const struct machine *machine, const Holdfast__Command *command)
{
    if (command->kind_case == HOLDFAST__COMMAND__KIND_PUBLISH) {
        return command->publish->producer[0] != 0;
    }
    bool named = false;
    if (command->kind_case == HOLDFAST__COMMAND__KIND_TRANSACT && machine->version >= 2) {
        for (size_t i = 0; i < command->transact->n_publish && !named; i++) {
            named = command->transact->publish[i]->producer[0] != 0;
        }
    }
    return named;
}

/* A client that sends several publishes of a producer at a time may have had a later one let in when an earlier one was
 * refused. It sends the refused one again with the same sequences, which must not be taken for done because the later one
 * has moved the producer on. So what was sent before the client knew of a failure fails, too. */
static bool publish_check_failed(const struct machine *machine, const struct session *session,
                                 const struct entry_command *from, const Holdfast__Command *command,
                                 struct reply *reply)
{
    if (command_is_named_publish(machine, command) && from->answered < session->failed_publish &&
        !fault_fires(FAULT_SKIP_FAILED_CHECK)) {
        reply_fail(reply, ERR_REFUSED, DETAIL_BEHIND_FAILED);
        return false;
    }
    return true;
}

static void session_note_failure(const struct machine *machine, struct session *session,
                                 const struct entry_command *from, const Holdfast__Command *command,
                                 const struct reply *reply)
{
    if (reply->error != 0 && command != NULL &&
        (command_is_named_publish(machine, command) || command->kind_case == HOLDFAST__COMMAND__KIND_REFUSED)) {
        session->failed_publish = from->number;
    }
}

/* Whether the command is the session's next one. If not, the reply is the remembered one, or says what is wrong. */
static bool session_admit(struct machine *machine, struct session *session, const struct entry_command *from,
                          struct reply *reply)
{
    struct replies *replies = &session->replies;
    if (from->number > replies->last && from->number - replies->last > 1) {
        reply_fail(reply, ERR_OUT_OF_ORDER, DETAIL_NUMBER_SKIPPED);
        return false;
    }
    session_changed(machine, session);
    replies_forget(replies, from->answered);
    if (from->number > replies->last) {
        return true;
    }
    if (fault_fires(FAULT_SKIP_NUMBER_CHECK)) {
        return true;
    }
    if (replies_get(replies, from->number, reply) != 0) {
        reply_fail(reply, ERR_OUT_OF_ORDER, DETAIL_REPLY_FORGOTTEN);
    }
    return false;
}

static int session_apply(struct machine *machine, struct session *session, const struct entry_command *from,
                         uint32_t at, struct reply *reply)
{
    Holdfast__Command *command;
    int err = command_decode(machine, from->header, &command);
    if (err == 0 && command_check(from, command, reply) &&
        publish_check_failed(machine, session, from, command, reply)) {
        err = command_carry_out_of_session(machine, session, from, command, reply);
    }
    if (err == 0) {
        session_note_failure(machine, session, from, command, reply);
    }
    if (err == 0 && from->number > session->replies.last) {
        err = replies_push(&session->replies, reply);
    }
    if (err == 0) {
        err = effect_list_reply(&machine->effects, from, at, reply);
    }
    if (err != 0) {
        return err;
    }
    if (virtual_host_by_id(machine, session->virtual_host_id) == NULL) { /* It has deleted where it is itself. */
        return state_end_session(machine, session, SESSION_END_HOST_DELETED);
    }
    bool close = reply->error == 0 && command->kind_case == HOLDFAST__COMMAND__KIND_CLOSE_SESSION;
    return close ? state_end_session(machine, session, SESSION_END_CLOSED) : 0;
}

static int command_apply_of_session(struct machine *machine, const struct entry_command *from, uint32_t at)
{
    struct reply reply = {0};
    struct session *session = session_by_id(machine, from->session);
    if (session == NULL) {
        reply_fail(&reply, ERR_SESSION_EXPIRED, DETAIL_SESSION);
    } else if (session->attachment != from->attachment) {
        reply_fail(&reply, ERR_DISPLACED, DETAIL_ATTACHMENT);
    } else if (session_admit(machine, session, from, &reply)) {
        return session_apply(machine, session, from, at, &reply);
    }
    return effect_list_reply(&machine->effects, from, at, &reply);
}

/* Whose command it was, for the reply, also when it was refused. */
static struct origin command_origin(const Holdfast__Command *command)
{
    const Holdfast__Origin *origin = NULL;
    if (command != NULL && command->kind_case == HOLDFAST__COMMAND__KIND_ATTACH_SESSION) {
        origin = command->attach_session->origin;
    } else if (command != NULL && command->kind_case == HOLDFAST__COMMAND__KIND_DETACH_SESSION) {
        origin = command->detach_session->origin;
    }
    return origin == NULL ? (struct origin){0}
                          : (struct origin){.node = origin->node, .run = origin->run, .tag = origin->tag};
}

static int command_apply_of_node(struct machine *machine, const struct entry_command *from, uint32_t at)
{
    struct reply reply = {0};
    Holdfast__Command *command;
    int err = command_decode(machine, from->header, &command);
    if (err == 0 && command_check(from, command, &reply)) {
        err = command_carry_out_of_node(machine, command, &reply);
    }
    if (err != 0) {
        return err;
    }
    reply.origin = command_origin(command);
    return effect_list_reply(&machine->effects, from, at, &reply);
}

/* Whether a command raises the version to one that this build does not know. */
static int command_check_version(struct machine *machine, const struct entry_command *from)
{
    if (from->session != 0) {
        return 0;
    }
    Holdfast__Command *command;
    int err = command_decode(machine, from->header, &command);
    if (err != 0) {
        return err;
    }
    struct reply reply = {0};
    bool raises = command_check(from, command, &reply) && command->kind_case == HOLDFAST__COMMAND__KIND_RAISE_VERSION;
    return raises && command->raise_version->version > MACHINE_VERSION_MAX ? ERR_VERSION : 0;
}

/* Looks through the entry before anything is applied. ERR_INVALID: it is malformed as a whole. ERR_VERSION. */
static int entry_check(struct machine *machine, struct slice payload, struct entry_head *ret_head)
{
    struct entry_head head;
    int err = entry_head_decode(payload, &head);
    if (err != 0) {
        return err;
    }
    if (head.machine_version > machine->version && head.machine_version > MACHINE_VERSION_MAX) {
        return ERR_VERSION;
    }
    size_t offset = ENTRY_HEAD_LEN;
    for (uint32_t i = 0; i < head.commands; i++) {
        struct entry_command command;
        err = entry_command_decode(payload, &offset, &command);
        if (err == 0) {
            err = command_check_version(machine, &command);
        }
        if (err != 0) {
            return err;
        }
    }
    if (offset != payload.len) {
        return ERR_INVALID;
    }
    *ret_head = head;
    return 0;
}

static int entry_apply(struct machine *machine, struct slice payload, const struct entry_head *head)
{
    if (head->time_ms > machine->time_ms) {
        machine->time_ms = head->time_ms;
    }
    int err = leases_expire(machine);
    if (err == 0 && machine->version >= 2) {
        err = timers_fire(machine);
    }
    if (err != 0) {
        return err;
    }
    size_t offset = ENTRY_HEAD_LEN;
    for (uint32_t i = 0; i < head->commands; i++) {
        struct entry_command command;
        CHECK(entry_command_decode(payload, &offset, &command) == 0);
        err = command.session != 0 ? command_apply_of_session(machine, &command, i)
                                   : command_apply_of_node(machine, &command, i);
        if (err != 0) {
            return err;
        }
    }
    err = deliver_due(machine);
    if (err == 0 && machine->version >= 2) {
        err = expire_undelivered(machine);
    }
    if (err == 0) {
        err = sweeps_go(machine);
    }
    if (err == 0 && machine->version >= 2) {
        err = timers_look(machine);
    }
    return err != 0 ? err : machine->err;
}

int machine_apply(struct machine *machine, uint64_t index, struct slice payload, struct effects *ret_effects)
{
    CHECK(index > machine->applied_index);
    machine->applying_index = index;
    effect_list_reset(&machine->effects);
    partings_clear(&machine->partings);
    struct entry_head head;
    int err = entry_check(machine, payload, &head);
    if (err == 0) {
        err = entry_apply(machine, payload, &head);
    } else if (err == ERR_INVALID) {
        err = 0;
    }
    if (err != 0) {
        return err;
    }
    machine->applied_index = index;
    machine->running_digest = XXH3_64bits_withSeed(payload.data, payload.len, machine->running_digest + index);
    machine->running_digest = effect_list_digest(&machine->effects, machine->running_digest);
    *ret_effects = (struct effects){.items = machine->effects.items, .len = machine->effects.len};
    return 0;
}
