/* What becomes of an entry, and of each command in it. */

#include <string.h>

#include "model_private.h"
#include "proto/base/limits.h"
#include "proto/wire/strings.h"

#define REPLIES_MAX 1024u

/* 1 to 255 bytes of UTF-8 without control characters. (Commands that are not UTF-8 are not made here.) */
bool m_is_name(const char *text)
{
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
            return false;
        }
    }
    return len >= 1 && len <= 255;
}

static bool is_of_nodes(const Holdfast__Command *command)
{
    return command->kind_case == HOLDFAST__COMMAND__KIND_ATTACH_SESSION ||
           command->kind_case == HOLDFAST__COMMAND__KIND_DETACH_SESSION ||
           command->kind_case == HOLDFAST__COMMAND__KIND_NODE_PRESENT ||
           command->kind_case == HOLDFAST__COMMAND__KIND_NODE_LOST ||
           command->kind_case == HOLDFAST__COMMAND__KIND_RAISE_VERSION;
}

/* What can be said of a command before it is carried out: an error, or 0. */
static int command_error(const struct model *model, const struct entry_command *from, const Holdfast__Command *command)
{
    if (command == NULL || command->kind_case == HOLDFAST__COMMAND__KIND__NOT_SET) {
        return ERR_INVALID;
    }
    if (model->version < 2 && command->kind_case >= HOLDFAST__COMMAND__KIND_DECLARE_EXCHANGE) {
        return ERR_INVALID;
    }
    if (from->bodies.len > 0 && command->kind_case != HOLDFAST__COMMAND__KIND_PUBLISH &&
        command->kind_case != HOLDFAST__COMMAND__KIND_TRANSACT) {
        return ERR_INVALID;
    }
    return is_of_nodes(command) != (from->session == 0) ? ERR_REFUSED : 0;
}

static void raise_version(struct model *model, const Holdfast__RaiseVersion *raise, struct reply *reply)
{
    reply->error = raise->version == 0 ? ERR_INVALID : 0;
    model->version = raise->version > model->version ? raise->version : model->version;
}

/* Any other number than that of an error is malformed. */
static int refused_error(uint32_t error)
{
    return error >= 1 && error <= 31 ? -(int)error : ERR_INVALID;
}

static void carry_out_of_node(struct model *model, const Holdfast__Command *command, struct reply *reply)
{
    switch (command->kind_case) {
    case HOLDFAST__COMMAND__KIND_ATTACH_SESSION: m_attach_session(model, command->attach_session, reply); break;
    case HOLDFAST__COMMAND__KIND_DETACH_SESSION: m_detach_session(model, command->detach_session, reply); break;
    case HOLDFAST__COMMAND__KIND_NODE_PRESENT: m_node_present(model, command->node_present, reply); break;
    case HOLDFAST__COMMAND__KIND_NODE_LOST: m_node_lost(model, command->node_lost, reply); break;
    default: raise_version(model, command->raise_version, reply);
    }
}

static void carry_out(struct model *model, struct session *session, const struct entry_command *from,
                      const Holdfast__Command *command, struct reply *reply)
{
    switch (command->kind_case) {
    case HOLDFAST__COMMAND__KIND_DECLARE_QUEUE: m_declare_queue(model, session, command->declare_queue, reply); break;
    case HOLDFAST__COMMAND__KIND_DELETE_QUEUE: m_delete_queue(model, session, command->delete_queue, reply); break;
    case HOLDFAST__COMMAND__KIND_PURGE_QUEUE: m_purge_queue(model, session, command->purge_queue, reply); break;
    case HOLDFAST__COMMAND__KIND_PUBLISH: m_publish(model, session, command->publish, from->bodies, reply); break;
    case HOLDFAST__COMMAND__KIND_TRANSACT: m_transact(model, session, command->transact, from->bodies, reply); break;
    case HOLDFAST__COMMAND__KIND_SUBSCRIBE: m_subscribe(model, session, command->subscribe, reply); break;
    case HOLDFAST__COMMAND__KIND_UNSUBSCRIBE: m_unsubscribe(model, session, command->unsubscribe, reply); break;
    case HOLDFAST__COMMAND__KIND_SET_CREDIT: m_set_credit(model, session, command->set_credit, reply); break;
    case HOLDFAST__COMMAND__KIND_SETTLE: m_settle(model, session, command->settle, reply); break;
    case HOLDFAST__COMMAND__KIND_CHANGE_QUEUE: m_change_queue(model, session, command->change_queue, reply); break;
    case HOLDFAST__COMMAND__KIND_EXTEND: m_extend(model, session, command->extend, reply); break;
    case HOLDFAST__COMMAND__KIND_OPEN_PRODUCER: m_open_producer(model, session, command->open_producer, reply); break;
    case HOLDFAST__COMMAND__KIND_RESOLVE_PREPARED:
        m_resolve_prepared(model, session, command->resolve_prepared, reply);
        break;
    case HOLDFAST__COMMAND__KIND_DECLARE_EXCHANGE:
        m_declare_exchange(model, session, command->declare_exchange, reply);
        break;
    case HOLDFAST__COMMAND__KIND_CHANGE_EXCHANGE:
        m_change_exchange(model, session, command->change_exchange, reply);
        break;
    case HOLDFAST__COMMAND__KIND_DELETE_EXCHANGE:
        m_delete_exchange(model, session, command->delete_exchange, reply);
        break;
    case HOLDFAST__COMMAND__KIND_BIND: m_bind(model, session, command->bind, reply); break;
    case HOLDFAST__COMMAND__KIND_UNBIND: m_unbind(model, session, command->unbind, reply); break;
    case HOLDFAST__COMMAND__KIND_REDRIVE: m_redrive(model, session, command->redrive, reply); break;
    case HOLDFAST__COMMAND__KIND_REPLAY: m_replay(model, session, command->replay, reply); break;
    case HOLDFAST__COMMAND__KIND_CREATE_VIRTUAL_HOST: m_create_host(model, command->create_virtual_host, reply); break;
    case HOLDFAST__COMMAND__KIND_DELETE_VIRTUAL_HOST:
        m_delete_host(model, session, command->delete_virtual_host, reply);
        break;
    case HOLDFAST__COMMAND__KIND_SET_LIMITS: m_set_limits(model, command->set_limits, reply); break;
    case HOLDFAST__COMMAND__KIND_REFUSED: reply->error = refused_error(command->refused->error); break;
    default: break;
    }
}

static void reply_effect(struct model *model, const struct entry_command *from, uint32_t at, const struct reply *reply,
                         const Holdfast__Origin *origin)
{
    struct model_effect *effect = model_effect(model, MODEL_REPLY, from->session);
    effect->number = from->number;
    effect->attachment = from->attachment;
    effect->command = at;
    effect->error = (uint32_t)-reply->error;
    effect->count = reply->count;
    effect->repeated_count = reply->repeated_count;
    effect->unrouted = reply->unrouted;
    effect->refused = reply->refused;
    effect->attach_session = reply->attach_session;
    effect->attach_attachment = reply->attach_attachment;
    effect->last_number = reply->last_number;
    if (origin != NULL) {
        effect->origin_node = origin->node;
        effect->origin_run = origin->run;
        effect->origin_tag = origin->tag;
    }
}

/* Whether the command is to be carried out; else `reply` is its answer. */
static bool is_next(struct session *session, const struct entry_command *from, struct reply *reply)
{
    if (from->number > session->last + 1) {
        reply->error = ERR_OUT_OF_ORDER;
        return false;
    }
    while (session->replies.len > 0 && ((struct reply *)session->replies.items[0])->number <= from->answered) {
        m_list_remove(&session->replies, session->replies.items[0]);
    }
    if (from->number == session->last + 1) {
        return true;
    }
    reply->error = ERR_OUT_OF_ORDER;
    EACH (struct reply, kept, &session->replies) {
        if (kept->number == from->number) {
            *reply = *kept;
        }
    }
    return false;
}

/* Whether it has messages of a producer. */
static bool is_named_publish(const struct model *model, const Holdfast__Command *command)
{
    if (command != NULL && command->kind_case == HOLDFAST__COMMAND__KIND_PUBLISH) {
        return command->publish->producer[0] != '\0';
    }
    bool named = false;
    if (command != NULL && command->kind_case == HOLDFAST__COMMAND__KIND_TRANSACT && model->version >= 2) {
        for (size_t i = 0; i < command->transact->n_publish; i++) {
            named = named || command->transact->publish[i]->producer[0] != '\0';
        }
    }
    return named;
}

static bool is_in_order(const struct model *model, const Holdfast__Command *command)
{
    return model->version >= 2 && command != NULL && command->kind_case == HOLDFAST__COMMAND__KIND_PUBLISH &&
           command->publish->in_order;
}

static void apply_next(struct model *model, struct session *session, const struct entry_command *from, uint32_t at,
                       const Holdfast__Command *command)
{
    struct reply *reply = model_alloc(model, sizeof *reply);
    reply->error = command_error(model, from, command);
    bool in_order = is_in_order(model, command);
    bool behind =
        reply->error == 0 && (in_order || is_named_publish(model, command)) && from->answered < session->failed_publish;
    if (behind) {
        m_saw(model, SEEN_BEHIND_FAILED);
        reply->error = ERR_REFUSED;
    } else if (reply->error == 0) {
        carry_out(model, session, from, command, reply);
    }
    bool counts = is_named_publish(model, command) || behind ||
                  (command != NULL && command->kind_case == HOLDFAST__COMMAND__KIND_REFUSED) ||
                  (in_order && command->publish->n_body_len > 1 && reply->error != ERR_LIMIT);
    if (reply->error != 0 && counts) {
        session->failed_publish = from->number;
    }
    reply->number = session->last = from->number;
    m_list_add(model, &session->replies, reply);
    if (session->replies.len > REPLIES_MAX) {
        m_list_remove(&session->replies, session->replies.items[0]);
    }
    reply_effect(model, from, at, reply, NULL);
    if (m_host_find(model, session->virtual_host) == NULL) {
        m_session_end(model, session, MODEL_HOST_DELETED); /* It has deleted where it is itself. */
    } else if (reply->error == 0 && command->kind_case == HOLDFAST__COMMAND__KIND_CLOSE_SESSION) {
        m_session_end(model, session, MODEL_CLOSED);
    }
}

static void apply_of_session(struct model *model, const struct entry_command *from, uint32_t at,
                             const Holdfast__Command *command)
{
    struct reply reply = {0};
    struct session *session = m_session_find(model, from->session);
    if (session == NULL) {
        reply.error = ERR_SESSION_EXPIRED;
    } else if (session->attachment != from->attachment) {
        reply.error = ERR_DISPLACED;
    } else if (is_next(session, from, &reply)) {
        apply_next(model, session, from, at, command);
        return;
    }
    reply_effect(model, from, at, &reply, NULL);
}

static void apply_of_node(struct model *model, const struct entry_command *from, uint32_t at,
                          const Holdfast__Command *command)
{
    struct reply reply = {0};
    const Holdfast__Origin *origin = NULL;
    if (command != NULL && command->kind_case == HOLDFAST__COMMAND__KIND_ATTACH_SESSION) {
        origin = command->attach_session->origin;
    } else if (command != NULL && command->kind_case == HOLDFAST__COMMAND__KIND_DETACH_SESSION) {
        origin = command->detach_session->origin;
    }
    reply.error = command_error(model, from, command);
    if (reply.error == 0) {
        carry_out_of_node(model, command, &reply);
    }
    reply_effect(model, from, at, &reply, origin);
}

static void *decode_alloc(void *model, size_t len)
{
    return model_alloc(model, len);
}

static void decode_free(void *model, void *memory)
{
    (void)model;
    (void)memory;
}

/* NULL: malformed. */
static Holdfast__Command *decode(struct model *model, struct slice header)
{
    ProtobufCAllocator allocator = {.alloc = decode_alloc, .free = decode_free, .allocator_data = model};
    if (!message_strings_are_whole(&holdfast__command__descriptor, header.data, header.len)) {
        return NULL;
    }
    return holdfast__command__unpack(&allocator, header.len, header.data);
}

void model_apply(struct model *model, const void *payload, size_t payload_len)
{
    /* A copy, since messages refer to it. */
    uint8_t *copy = model_alloc(model, payload_len);
    if (payload_len > 0) {
        memcpy(copy, payload, payload_len);
    }
    struct slice entry = {.data = copy, .len = payload_len};
    struct entry_head head;
    model->effects_len = 0;
    model->deliveries = 0;
    model->index++;
    model_require(entry_head_decode(entry, &head) == 0, "the entry is sound");
    model->time_ms = head.time_ms > model->time_ms ? head.time_ms : model->time_ms;
    m_leases_end(model);
    if (model->version >= 2) {
        m_time_passes(model);
    }
    size_t offset = ENTRY_HEAD_LEN;
    for (uint32_t at = 0; at < head.commands; at++) {
        struct entry_command from;
        model_require(entry_command_decode(entry, &offset, &from) == 0, "the entry is sound");
        Holdfast__Command *command = decode(model, from.header);
        if (from.session != 0) {
            apply_of_session(model, &from, at, command);
        } else {
            apply_of_node(model, &from, at, command);
        }
    }
    (void)m_deliver(model);
    if (model->version >= 2) {
        m_expire_at_once(model);
    }
}
