/* Commands that end without an answer: their session is lost, their time is up, or nobody would take them. */

#include "proto/base/check.h"
#include "rpc/client/client_state.h"
#include "rpc/native/native_version.h"

/* What becomes of a command that was sent in a session that is gone: true when it is sent again in the next. */
static bool command_survives(struct client_core *core, struct client_command *command)
{
    const struct client_consumer *consumer = client_consumer_find(core, command->consumer);
    switch (command->kind) {
    case CLIENT_DECLARE:
    case CLIENT_AGAIN:
    case CLIENT_PUBLISH_NAMED:
        command->end_err = ERR_OUTCOME_UNKNOWN;
        return !command->behind; /* Doing it twice is doing it once. */
    case CLIENT_SUBSCRIBE:
        command->end_err = ERR_SESSION_EXPIRED;
        return consumer != NULL && consumer->seen == 0 && !consumer->ending; /* Nobody has noticed that it ended. */
    case CLIENT_UNSUBSCRIBE:
    case CLIENT_CLOSE:
        command->end_err = 0; /* The end of the session has done it. */
        return false;
    case CLIENT_DELETE:
    case CLIENT_PURGE:
    case CLIENT_ONCE:
    case CLIENT_PUBLISH:
    case CLIENT_SETTLE: break;
    }
    command->end_err = ERR_OUTCOME_UNKNOWN;
    return false;
}

void client_command_session_lost(struct client_core *core)
{
    struct list_node again;
    struct list_node dead;
    list_init(&again);
    list_init(&dead);
    for (uint64_t number = core->floor + 1; number <= core->last_number; number++) {
        struct client_command *command = *client_command_slot(core, number);
        *client_command_slot(core, number) = NULL;
        if (command == NULL) {
            continue;
        }
        command->number = 0;
        command->again = true;
        /* Even when its time is up: what its producer numbered after it must not come before it. */
        bool survives = (!command->told || command->kind == CLIENT_PUBLISH_NAMED) && command_survives(core, command);
        list_push_back(survives ? &again : &dead, &command->node);
        core->waiting_len += survives;
    }
    core->floor = 0;
    core->last_number = 0;
    core->strikes = 0;
    /* Settlements that wait are void: their deliveries have gone back. So have those of what is to be unsubscribed. */
    for (struct list_node *node = core->waiting.next, *next; node != &core->waiting; node = next) {
        struct client_command *command = container_of(node, struct client_command, node);
        next = node->next;
        const struct client_consumer *consumer = client_consumer_find(core, command->consumer);
        bool unsubscribe = command->kind == CLIENT_UNSUBSCRIBE && (consumer == NULL || consumer->sent);
        if (command->kind == CLIENT_SETTLE || unsubscribe) {
            command->end_err = unsubscribe ? 0 : ERR_SESSION_EXPIRED;
            list_remove(node);
            list_push_back(&dead, node);
            core->waiting_len--;
        }
    }
    while (!list_empty(&again)) { /* Before what waits, in their order. */
        struct list_node *node = again.prev;
        list_remove(node);
        list_push_front(&core->waiting, node);
    }
    client_consumer_session_lost(core);
    client_command_end_list(core, &dead);
}

/* A command that waits is to end, with `unsent_err` if it was never sent. */
static void waiting_end(struct client_core *core, struct client_command *command, int unsent_err)
{
    struct client_consumer *consumer = client_consumer_find(core, command->consumer);
    if (consumer != NULL && command->kind == CLIENT_SUBSCRIBE) {
        client_consumer_remove(core, consumer);
    } else if (consumer != NULL && command->kind == CLIENT_UNSUBSCRIBE) {
        consumer->ending = false;
    } else if (command->kind == CLIENT_CLOSE) {
        core->closing = false;
    }
    command->end_err = command->sent ? ERR_OUTCOME_UNKNOWN : unsent_err;
}

/* Publishes of named producers that wait to be sent again: they are told, but go on waiting, so that what their producer
 * numbered after them does not come before them. Callbacks may change the list: begin anew after each. */
static void resent_expire(struct client_core *core, uint64_t now)
{
    struct client_command *command = NULL;
    do {
        command = NULL;
        LIST_FOR_EACH (node, &core->waiting) {
            struct client_command *candidate = container_of(node, struct client_command, node);
            if (candidate->kind == CLIENT_PUBLISH_NAMED && candidate->sent && !candidate->told &&
                candidate->deadline_ms <= now) {
                command = candidate;
                break;
            }
        }
        if (command != NULL) {
            int err = ERR_OUTCOME_UNKNOWN;
            client_command_tell(core, command, &(struct client_reply){.err = err, .detail = err_text(err)});
        }
    } while (command != NULL);
}

/* What a producer numbered after a message that will not be sent must not be sent either: a later sequence number would
 * make the machine take the earlier one for a repetition. */
static bool producer_is_dead(struct list_node *dead, const struct client_command *command)
{
    if (command->producer == 0) {
        return false;
    }
    LIST_FOR_EACH (node, dead) {
        if (container_of(node, struct client_command, node)->producer == command->producer) {
            return true;
        }
    }
    return false;
}

/* Why the node at hand would not take it: 0, ERR_TOO_BIG or ERR_VERSION. */
static int command_fault(const struct client_core *core, const struct client_command *command)
{
    if (command->body_len > core->body_len_max) {
        return ERR_TOO_BIG;
    }
    return core->version_one && !native_version_one_knows(command->header) ? ERR_VERSION : 0;
}

void client_command_refuse(struct client_core *core)
{
    struct list_node dead;
    list_init(&dead);
    for (struct list_node *node = core->waiting.next, *next; node != &core->waiting; node = next) {
        struct client_command *command = container_of(node, struct client_command, node);
        next = node->next;
        if (command->sent) {
            continue; /* It may have been done: the node tells. */
        }
        int fault = command_fault(core, command);
        if (fault != 0 || producer_is_dead(&dead, command)) {
            waiting_end(core, command, fault != 0 ? fault : ERR_REFUSED);
            list_remove(node);
            list_push_back(&dead, node);
            core->waiting_len--;
        }
    }
    client_command_end_list(core, &dead);
}

void client_command_expire(struct client_core *core, uint64_t now)
{
    struct list_node dead;
    list_init(&dead);
    resent_expire(core, now);
    for (struct list_node *node = core->waiting.next, *next; node != &core->waiting; node = next) {
        struct client_command *command = container_of(node, struct client_command, node);
        next = node->next;
        if (command->told) {
            continue;
        }
        if (command->deadline_ms <= now || producer_is_dead(&dead, command)) {
            waiting_end(core, command, core->phase == CLIENT_READY ? ERR_TIMEOUT : ERR_UNAVAILABLE);
            list_remove(node);
            list_push_back(&dead, node);
            core->waiting_len--;
        } else if (command->deadline_ms < core->timeout_ms) {
            core->timeout_ms = command->deadline_ms;
        }
    }
    /* Those that were sent keep their numbers, so that there is no hole when they have to be sent again. Callbacks may
     * add to the ring's end, but nothing leaves it meanwhile. */
    for (uint64_t number = core->floor + 1; number <= core->last_number; number++) {
        struct client_command *command = *client_command_slot(core, number);
        if (command == NULL || command->told) {
            continue;
        }
        if (command->deadline_ms <= now) {
            int err = ERR_OUTCOME_UNKNOWN;
            client_command_tell(core, command, &(struct client_reply){.err = err, .detail = err_text(err)});
        } else if (command->deadline_ms < core->timeout_ms) {
            core->timeout_ms = command->deadline_ms;
        }
    }
    client_command_end_list(core, &dead);
}

void client_command_end_waiting(struct client_core *core, int err)
{
    struct list_node dead;
    list_init(&dead);
    struct list_node *node;
    while ((node = list_first(&core->waiting)) != NULL) {
        waiting_end(core, container_of(node, struct client_command, node), err);
        list_remove(node);
        list_push_back(&dead, node);
    }
    core->waiting_len = 0;
    client_command_end_list(core, &dead);
}

void client_command_end_all(struct client_core *core, int sent_err, int unsent_err)
{
    struct list_node dead;
    list_init(&dead);
    for (uint64_t number = core->floor + 1; number <= core->last_number; number++) {
        struct client_command *command = *client_command_slot(core, number);
        *client_command_slot(core, number) = NULL;
        if (command != NULL) {
            command->end_err = sent_err;
            list_push_back(&dead, &command->node);
        }
    }
    core->floor = core->last_number;
    struct list_node *node;
    while ((node = list_first(&core->waiting)) != NULL) {
        struct client_command *command = container_of(node, struct client_command, node);
        command->end_err = command->kind == CLIENT_CLOSE && unsent_err == 0 ? 0 : command->sent ? sent_err : unsent_err;
        list_remove(node);
        list_push_back(&dead, node);
    }
    core->waiting_len = 0;
    client_command_end_list(core, &dead);
}

bool client_command_only_close_waits(struct client_core *core)
{
    struct list_node *node = list_first(&core->waiting);
    return node != NULL && client_ring_empty(core) &&
           container_of(node, struct client_command, node)->kind == CLIENT_CLOSE;
}
