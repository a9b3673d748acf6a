/* Applying an entry: which commands are carried out, which were carried out before, and which are refused. */

#include "proto/base/check.h"
#include "proto/base/fault.h"
#include "statemachine/command/decode.h"
#include "statemachine/command/dispatch.h"
#include "statemachine/queue/sweep.h"

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

/* A publish that is not to overtake another, though it has no producer. Under version 1 there is no such thing. */
static bool command_is_in_order(const struct machine *machine, const Holdfast__Command *command)
{
    return machine->version >= 2 && command->kind_case == HOLDFAST__COMMAND__KIND_PUBLISH && command->publish->in_order;
}

/* A client that sends several publishes of a producer at a time may have had a later one let in when an earlier one was
 * refused. It sends the refused one again with the same sequences, which must not be taken for done because the later one
 * has moved the producer on. So what was sent before the client knew of a failure fails, too. And so does what is to keep its
 * order. */
static bool publish_check_failed(const struct machine *machine, const struct session *session,
                                 const struct entry_command *from, const Holdfast__Command *command,
                                 struct reply *reply)
{
    bool ordered = command_is_named_publish(machine, command) || command_is_in_order(machine, command);
    if (ordered && from->answered < session->failed_publish && !fault_fires(FAULT_SKIP_FAILED_CHECK)) {
        reply_fail(reply, ERR_REFUSED, DETAIL_BEHIND_FAILED);
        return false;
    }
    return true;
}

/* Whether what was sent behind it must not be let in. What failed as a whole may be sent again, message by message; not so when the
 * virtual host has as many as it may: that is said of each of them. */
static bool failure_counts(const struct machine *machine, const Holdfast__Command *command, const struct reply *reply)
{
    if (command_is_in_order(machine, command)) {
        bool several = command->publish->n_body_len > 1 && reply->detail != DETAIL_READY_MESSAGES;
        return several || reply->detail == DETAIL_BEHIND_FAILED || command_is_named_publish(machine, command);
    }
    return command_is_named_publish(machine, command) || command->kind_case == HOLDFAST__COMMAND__KIND_REFUSED;
}

static void session_note_failure(const struct machine *machine, struct session *session,
                                 const struct entry_command *from, const Holdfast__Command *command,
                                 const struct reply *reply)
{
    if (reply->error != 0 && command != NULL && failure_counts(machine, command, reply)) {
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
    if (err == 0 && command_check(machine, from, command, reply) &&
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
    if (err == 0 && command_check(machine, from, command, &reply)) {
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
    bool raises =
        command_check(machine, from, command, &reply) && command->kind_case == HOLDFAST__COMMAND__KIND_RAISE_VERSION;
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
    work_begin(&machine->work, machine->version);
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
        err = state_go(machine);
    }
    if (err == 0 && machine->version >= 2) {
        deliver_look(machine);
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
        return state_blame_looked(machine, err);
    }
    machine->applied_index = index;
    machine->running_digest = XXH3_64bits_withSeed(payload.data, payload.len, machine->running_digest + index);
    machine->running_digest = effect_list_digest(&machine->effects, machine->running_digest);
    *ret_effects = (struct effects){.items = machine->effects.items, .len = machine->effects.len};
    return 0;
}
