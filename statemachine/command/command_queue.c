/* Commands about queues: declare, change, delete, purge. */

#include <string.h>

#include "proto/base/fault.h"
#include "statemachine/command/command.h"
#include "statemachine/message/life.h"
#include "statemachine/virtual_host/virtual_host.h"

/* The queue of that name, if the session may do something to it. */
static struct queue *queue_find_usable(struct machine *machine, struct session *session, const char *name,
                                       struct reply *reply)
{
    struct queue *queue = queue_by_name(machine, session->virtual_host_id, name);
    if (queue == NULL) {
        reply_fail(reply, ERR_NOT_FOUND, DETAIL_QUEUE);
        return NULL;
    }
    if (!queue_usable_by(queue, session)) {
        reply_fail(reply, ERR_EXCLUSIVE, DETAIL_QUEUE_EXCLUSIVE);
        return NULL;
    }
    return queue;
}

/* ---- Declaring ---- */

/* As it is, or with the longest length that its virtual host allows when it names none. */
static bool declare_matches(const struct machine *machine, const struct queue *queue, struct queue_options *options)
{
    uint64_t longest = virtual_host_queue_length_max(machine, queue->virtual_host);
    if (queue_options_match(&queue->options, options) || options->has_max_length || longest == LIMIT_NONE) {
        return queue_options_match(&queue->options, options);
    }
    options->has_max_length = true;
    options->max_length = longest;
    return queue_options_match(&queue->options, options);
}

static int declare_found(struct machine *machine, struct session *session, struct queue *queue,
                         const Holdfast__DeclareQueue *declare, struct queue_options *options, struct reply *reply)
{
    if (machine->version < 2) {
        return 0;
    }
    if (!queue_usable_by(queue, session)) {
        reply_fail(reply, ERR_EXCLUSIVE, DETAIL_QUEUE_EXCLUSIVE);
        return 0;
    }
    if (!declare->passive && !declare_matches(machine, queue, options)) {
        reply_fail(reply, ERR_EXISTS, DETAIL_QUEUE_OPTIONS);
        return 0;
    }
    reply->count = queue_ready(queue);
    reply->repeated_count = queue->consumers_len - queue->fetches_len;
    return queue_used(machine, queue);
}

static int declare_new(struct machine *machine, struct session *session, const Holdfast__DeclareQueue *declare,
                       struct queue_options *options)
{
    struct queue *queue;
    int err = queue_new(machine, machine->next_queue, session->virtual_host_id, declare->queue, strlen(declare->queue),
                        options, &queue);
    if (err != 0) {
        return err;
    }
    machine->next_queue++;
    queue_changed(machine, queue);
    if (queue->options.exclusive) {
        queue->owner = session->id;
        if (!fault_fires(FAULT_SKIP_SESSION_QUEUES)) {
            list_push_back(&session->queues, &queue->owned);
        }
    }
    return queue_used(machine, queue);
}

/* A queue without a limit on its length is given the longest one that its virtual host allows. */
static bool length_admit(const struct machine *machine, uint64_t virtual_host, struct queue_options *options,
                         struct reply *reply)
{
    uint64_t longest = virtual_host_queue_length_max(machine, virtual_host);
    if (longest != LIMIT_NONE && !options->has_max_length) {
        options->has_max_length = !fault_fires(FAULT_SKIP_LENGTH_GIVEN);
        options->max_length = options->has_max_length ? longest : 0;
    } else if (longest != LIMIT_NONE && options->max_length > longest) {
        reply_fail(reply, ERR_LIMIT, DETAIL_QUEUE_LENGTH);
    }
    return reply->error == 0;
}

/* What the virtual host may have. */
static bool declare_admit(struct machine *machine, const struct session *session, struct queue_options *options,
                          struct reply *reply)
{
    if (machine->version < 2) {
        return true;
    }
    if (!virtual_host_has_room(machine, session->virtual_host_id, LIMIT_QUEUES)) {
        reply_fail(reply, ERR_LIMIT, DETAIL_LIMIT_QUEUES);
        return false;
    }
    return length_admit(machine, session->virtual_host_id, options, reply);
}

static int declare_with(struct machine *machine, struct session *session, const Holdfast__DeclareQueue *declare,
                        struct queue_options *options, struct reply *reply)
{
    struct queue *queue = queue_by_name(machine, session->virtual_host_id, declare->queue);
    if (queue != NULL) {
        return declare_found(machine, session, queue, declare, options, reply);
    }
    if (machine->version >= 2 && declare->passive) {
        reply_fail(reply, ERR_NOT_FOUND, DETAIL_QUEUE);
        return 0;
    }
    if (HASH_CNT(by_id, machine->queues) >= (machine->version == 1 ? QUEUES_MAX_OLD : QUEUES_MAX)) {
        reply_fail(reply, ERR_LIMIT, DETAIL_QUEUES);
        return 0;
    }
    if (!declare_admit(machine, session, options, reply)) {
        return 0;
    }
    return declare_new(machine, session, declare, options);
}

int command_declare_queue(struct machine *machine, struct session *session, const Holdfast__DeclareQueue *declare,
                          struct reply *reply)
{
    int err = name_check(declare->queue, strlen(declare->queue));
    if (err != 0) {
        reply_fail(reply, err, DETAIL_QUEUE_NAME);
        return 0;
    }
    struct queue_options options;
    err = queue_options_read(machine->version >= 2 ? declare->options : NULL, &options);
    if (err == ERR_INVALID) {
        reply_fail(reply, ERR_INVALID, DETAIL_QUEUE_OPTIONS_RANGE);
        return 0;
    }
    if (err == 0) {
        err = declare_with(machine, session, declare, &options, reply);
        queue_options_done(&options);
    }
    return err;
}

/* ---- Changing ---- */

/* What a number in `field` means: a value, and its has_. */
static bool change_copy_field(Holdfast__QueueOptions *to, const Holdfast__QueueOptions *from, uint32_t field)
{
    const ProtobufCFieldDescriptor *descriptor =
        protobuf_c_message_descriptor_get_field(&holdfast__queue_options__descriptor, field);
    if (descriptor == NULL) {
        return false;
    }
    size_t len = descriptor->type == PROTOBUF_C_TYPE_BOOL     ? sizeof(protobuf_c_boolean)
                 : descriptor->type == PROTOBUF_C_TYPE_UINT64 ? sizeof(uint64_t)
                 : descriptor->type == PROTOBUF_C_TYPE_STRING ? sizeof(char *)
                                                              : sizeof(uint32_t);
    memcpy((uint8_t *)to + descriptor->offset, (const uint8_t *)from + descriptor->offset, len);
    return true;
}

/* The fields that say whether others count; 0: it stands for itself. */
static uint32_t change_has_field(uint32_t field)
{
    switch (field) {
    case 11: return 12; /* ttl_ms */
    case 13: return 14; /* max_length */
    case 15: return 16; /* max_bytes */
    case 19: return 18; /* dead_letter_exchange */
    case 20: return 21; /* dead_letter_key */
    default: return 0;
    }
}

/* A queue's options as they would be declared; borrows the texts. */
static Holdfast__QueueOptions options_as_message(const struct queue_options *options)
{
    Holdfast__QueueOptions message = HOLDFAST__QUEUE_OPTIONS__INIT;
    message.exclusive = options->exclusive;
    message.auto_delete = options->auto_delete;
    message.max_priority = options->max_priority;
    message.groups = options->groups;
    message.single_active = options->single_active;
    message.expires_ms = options->expires_ms;
    message.ttl_ms = options->ttl_ms;
    message.has_ttl = options->has_ttl;
    message.max_length = options->max_length;
    message.has_max_length = options->has_max_length;
    message.max_bytes = options->max_bytes;
    message.has_max_bytes = options->has_max_bytes;
    message.overflow = (Holdfast__QueueOptions__Overflow)options->overflow;
    message.has_dead_letter = options->has_dead_letter;
    message.dead_letter_exchange = (char *)options->dead_letter_exchange;
    message.dead_letter_key = (char *)options->dead_letter_key;
    message.has_dead_letter_key = options->has_dead_letter_key;
    message.max_deliveries = options->max_deliveries;
    message.redelivery_delay_ms = options->redelivery_delay_ms;
    message.redelivery_delay_max_ms = options->redelivery_delay_max_ms;
    message.lock_ms = options->lock_ms;
    message.keep_settled_ms = options->keep_settled_ms;
    message.keep_life_ms = options->keep_life_ms;
    message.id_window_ms = options->id_window_ms;
    message.paused = options->paused;
    message.protected_ = options->protected;
    message.note = (char *)options->note;
    return message;
}

/* A longer queue than its virtual host allows is not made of it; what it may hold already stays. */
static bool change_admit(const struct machine *machine, const struct queue *queue, struct queue_options *options,
                         struct reply *reply)
{
    const struct queue_options *old = &queue->options;
    uint64_t longest = old->has_max_length ? old->max_length : LIMIT_NONE;
    bool longer = (options->has_max_length ? options->max_length : LIMIT_NONE) > longest;
    return !longer || length_admit(machine, queue->virtual_host, options, reply);
}

/* What the options are to be. ERR_INVALID, ERR_NOMEM. */
static int change_read(const struct queue *queue, const Holdfast__ChangeQueue *change,
                       struct queue_options *ret_options)
{
    if (change->n_field == 0 || change->options == NULL || fault_fires(FAULT_SKIP_CHANGE_FIELDS)) {
        return change->options == NULL ? ERR_INVALID : queue_options_read(change->options, ret_options);
    }
    Holdfast__QueueOptions message = options_as_message(&queue->options);
    for (size_t i = 0; i < change->n_field; i++) {
        uint32_t has = change_has_field(change->field[i]);
        if (!change_copy_field(&message, change->options, change->field[i]) ||
            (has != 0 && !change_copy_field(&message, change->options, has))) {
            return ERR_INVALID;
        }
    }
    return queue_options_read(&message, ret_options);
}

int command_change_queue(struct machine *machine, struct session *session, const Holdfast__ChangeQueue *change,
                         struct reply *reply)
{
    struct queue *queue = queue_find_usable(machine, session, change->queue, reply);
    if (queue == NULL) {
        return 0;
    }
    struct queue_options options;
    int err = change_read(queue, change, &options);
    if (err == ERR_INVALID) {
        reply_fail(reply, ERR_INVALID, DETAIL_QUEUE_OPTIONS_RANGE);
        return 0;
    }
    if (err != 0) {
        return err;
    }
    if (!queue_options_same_kind(&queue->options, &options)) {
        reply_fail(reply, ERR_EXISTS, DETAIL_QUEUE_OPTIONS);
    }
    if (reply->error != 0 || !change_admit(machine, queue, &options, reply)) {
        queue_options_done(&options);
        return 0;
    }
    uint64_t life_ms = queue->options.keep_life_ms;
    if (options.protected != queue->options.protected) {
        virtual_host_queue_protected(machine, queue, options.protected);
    }
    queue_options_done(&queue->options);
    queue->options = options;
    queue_changed(machine, queue);
    queue_due(machine, queue);
    err = life_changed(machine, queue, life_ms);
    return err != 0 ? err : queue_used(machine, queue);
}

/* ---- Deleting ---- */

int command_delete_queue(struct machine *machine, struct session *session, const Holdfast__DeleteQueue *delete,
                         struct reply *reply)
{
    struct queue *queue = queue_find_usable(machine, session, delete->queue, reply);
    if (queue == NULL) {
        return 0;
    }
    uint64_t messages = queue_ready(queue) + queue->unsettled + queue->waiting_len;
    if (queue->options.protected) {
        reply_fail(reply, ERR_REFUSED, DETAIL_QUEUE_PROTECTED);
    } else if (delete->if_empty && messages > 0) {
        reply_fail(reply, ERR_REFUSED, DETAIL_NOT_EMPTY);
    } else if (machine->version >= 2 && delete->if_none_ready && queue_ready(queue) > 0) {
        reply_fail(reply, ERR_REFUSED, DETAIL_NOT_EMPTY);
    } else if (machine->version >= 2 && delete->if_unused && queue->consumers_len > queue->fetches_len) {
        reply_fail(reply, ERR_REFUSED, DETAIL_QUEUE_USED);
    }
    if (reply->error != 0) {
        return 0;
    }
    reply->count = messages;
    reply->repeated_count = machine->version >= 2 ? queue_ready(queue) : 0;
    return queue_delete(machine, queue);
}

int command_purge_queue(struct machine *machine, struct session *session, const Holdfast__PurgeQueue *purge,
                        struct reply *reply)
{
    struct queue *queue = queue_find_usable(machine, session, purge->queue, reply);
    if (queue == NULL) {
        return 0;
    }
    if (queue->options.protected && !fault_fires(FAULT_SKIP_PROTECTION)) {
        reply_fail(reply, ERR_REFUSED, DETAIL_QUEUE_PROTECTED);
        return 0;
    }
    reply->count = queue_ready(queue);
    return reply->count > 0 ? queue_purge(machine, queue) : 0;
}
