/* Applying an entry: which commands are carried out, which were carried out before, and which are refused. */

#include <string.h>

#include "proto/base/check.h"
#include "proto/base/fault.h"
#include "proto/wire/strings.h"
#include "statemachine/command.h"

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
    Holdfast__Command *command = holdfast__command__unpack(&decoder.protobuf, header.len, header.data);
    if (command == NULL && decoder.starved) {
        return ERR_NOMEM;
    }
    /* A string with a zero byte in it has been cut short by the decoder: it would name another queue. */
    if (command != NULL && !message_strings_are_whole(&holdfast__command__descriptor, header.data, header.len)) {
        command = NULL;
    }
    *ret_command = command;
    return 0;
}

static bool command_is_for_nodes(const Holdfast__Command *command)
{
    return command->kind_case == HOLDFAST__COMMAND__KIND_ATTACH_SESSION ||
           command->kind_case == HOLDFAST__COMMAND__KIND_EXPIRE_SESSION ||
           command->kind_case == HOLDFAST__COMMAND__KIND_RAISE_VERSION;
}

static bool command_check(const struct entry_command *from, const Holdfast__Command *command, struct reply *reply)
{
    if (command == NULL) {
        reply_fail(reply, ERR_INVALID, DETAIL_HEADER);
    } else if (command->kind_case == HOLDFAST__COMMAND__KIND__NOT_SET) {
        reply_fail(reply, ERR_INVALID, DETAIL_KIND);
    } else if (from->bodies.len > 0 && command->kind_case != HOLDFAST__COMMAND__KIND_PUBLISH) {
        reply_fail(reply, ERR_INVALID, DETAIL_BODIES);
    } else if (from->session != 0 && command_is_for_nodes(command)) {
        reply_fail(reply, ERR_REFUSED, DETAIL_NODE_ONLY);
    } else if (from->session == 0 && !command_is_for_nodes(command)) {
        reply_fail(reply, ERR_REFUSED, DETAIL_SESSION_ONLY);
    }
    return reply->error == 0;
}

static int command_carry_out(struct machine *machine, struct session *session, const struct entry_command *from,
                             const Holdfast__Command *command, struct reply *reply)
{
    if (!command_check(from, command, reply)) {
        return 0;
    }
    switch (command->kind_case) {
    case HOLDFAST__COMMAND__KIND_ATTACH_SESSION: return command_attach_session(machine, command->attach_session, reply);
    case HOLDFAST__COMMAND__KIND_EXPIRE_SESSION: return command_expire_session(machine, command->expire_session, reply);
    case HOLDFAST__COMMAND__KIND_RAISE_VERSION: return command_raise_version(machine, command->raise_version, reply);
    case HOLDFAST__COMMAND__KIND_DECLARE_QUEUE: return command_declare_queue(machine, command->declare_queue, reply);
    case HOLDFAST__COMMAND__KIND_DELETE_QUEUE: return command_delete_queue(machine, command->delete_queue, reply);
    case HOLDFAST__COMMAND__KIND_PUBLISH: return command_publish(machine, command->publish, from->bodies, reply);
    case HOLDFAST__COMMAND__KIND_SUBSCRIBE: return command_subscribe(machine, session, command->subscribe, reply);
    case HOLDFAST__COMMAND__KIND_UNSUBSCRIBE: return command_unsubscribe(machine, session, command->unsubscribe, reply);
    case HOLDFAST__COMMAND__KIND_SET_CREDIT: return command_set_credit(machine, session, command->set_credit, reply);
    case HOLDFAST__COMMAND__KIND_SETTLE: return command_settle(machine, session, command->settle, reply);
    case HOLDFAST__COMMAND__KIND_CLOSE_SESSION: /* Its reply goes out first: see session_apply(). */
    default: return 0;
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
    if (err == 0) {
        err = command_carry_out(machine, session, from, command, reply);
    }
    if (err == 0 && from->number > session->replies.last) {
        err = replies_push(&session->replies, reply);
    }
    if (err == 0) {
        err = effect_list_reply(&machine->effects, from->session, from->number, at, reply);
    }
    if (err != 0) {
        return err;
    }
    bool close = reply->error == 0 && command->kind_case == HOLDFAST__COMMAND__KIND_CLOSE_SESSION;
    return close ? state_end_session(machine, session) : 0;
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
    return effect_list_reply(&machine->effects, from->session, from->number, at, &reply);
}

static int command_apply_of_node(struct machine *machine, const struct entry_command *from, uint32_t at)
{
    struct reply reply = {0};
    Holdfast__Command *command;
    int err = command_decode(machine, from->header, &command);
    if (err == 0) {
        err = command_carry_out(machine, NULL, from, command, &reply);
    }
    return err != 0 ? err : effect_list_reply(&machine->effects, 0, 0, at, &reply);
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
    size_t offset = ENTRY_HEAD_LEN;
    for (uint32_t i = 0; i < head->commands; i++) {
        struct entry_command command;
        CHECK(entry_command_decode(payload, &offset, &command) == 0);
        int err = command.session != 0 ? command_apply_of_session(machine, &command, i)
                                       : command_apply_of_node(machine, &command, i);
        if (err != 0) {
            return err;
        }
    }
    int err = deliver_due(machine);
    return err != 0 ? err : machine->err;
}

int machine_apply(struct machine *machine, uint64_t index, struct slice payload, struct effects *ret_effects)
{
    CHECK(index > machine->applied_index);
    effect_list_reset(&machine->effects);
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
