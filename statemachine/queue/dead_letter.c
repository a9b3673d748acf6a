/* Dead letters: where they go, and what they carry with them. */

#include "statemachine/queue/dead_letter.h"

#include <string.h>

#include "proto/base/fault.h"
#include "proto/wire/fields.h"
#include "statemachine/message/kept.h"
#include "statemachine/message/life.h"
#include "statemachine/publish/publish_internal.h"
#include "statemachine/state.h"

/* Numbers of fields in MessageHead. */
enum { HEAD_ALSO_KEY = 3 };

static struct slice text_slice(const char *text)
{
    return (struct slice){.data = (const uint8_t *)text, .len = strlen(text)};
}

/* ---- Where it had been published to ---- */

/* The address under which a message came to the queue. `keys` are those that may be seen. */
struct address {
    struct slice exchange;
    struct slice keys[1 + FURTHER_KEYS_MAX];
    size_t keys_len;
    bool own_keys; /* All of the head's, hidden ones included. */
};

/* The head's routing key and its further ones, but for those that are hidden. */
static int address_of_head(const struct head_facts *facts, struct address *address)
{
    const uint8_t *at = facts->head.data;
    const uint8_t *end = at + facts->head.len;
    address->own_keys = true;
    address->keys[address->keys_len++] = facts->routing_key;
    while (at < end) {
        struct field field;
        if (!field_next(&at, end, &field)) {
            return ERR_CORRUPT;
        }
        if (field.number == HEAD_ALSO_KEY && address->keys_len <= FURTHER_KEYS_MAX) {
            address->keys[address->keys_len++] = (struct slice){.data = field.data, .len = field.len};
        }
    }
    return 0;
}

/* A message without an address was published to its queue. */
static int address_find(const struct queue *queue, const struct trail *trail, const struct head_facts *facts,
                        struct address *ret_address)
{
    ret_address->keys_len = 0;
    ret_address->own_keys = false;
    ret_address->exchange = trail->has_address ? trail->exchange : facts->exchange;
    if (trail->has_address && !trail->own_keys) {
        ret_address->keys[ret_address->keys_len++] = trail->routing_key;
        return 0;
    }
    if (facts->exchange.len == 0 && facts->routing_key.len == 0 && facts->further_keys_len == 0) {
        ret_address->keys[ret_address->keys_len++] = text_slice(queue->name);
        return 0;
    }
    return address_of_head(facts, ret_address);
}

/* ---- Its trail ---- */

/* By its own time to live, and not by the queue's. */
static bool expired_by_itself(const struct message *message, const struct trail *trail, const struct head_facts *facts)
{
    return facts->has_ttl && !trail->no_ttl && message->expires_ms - message->enqueued_ms == facts->ttl_ms;
}

static void trail_set_address(struct trail *trail, const struct queue *queue, const struct address *address)
{
    trail->exchange = text_slice(queue->options.dead_letter_exchange);
    trail->has_address = true;
    trail->own_keys = address->own_keys && !queue->options.has_dead_letter_key && !fault_fires(FAULT_SKIP_DEATH_KEYS);
    trail->routing_key =
        queue->options.has_dead_letter_key ? text_slice(queue->options.dead_letter_key) : address->keys[0];
}

/* Replaces the message's trail by one that tells of this death, too. */
static int message_add_death(const struct machine *machine, const struct queue *queue, struct message *message,
                             struct trail *trail, struct death *death, const struct head_facts *facts,
                             const struct address *address)
{
    struct bytes scratch = {0};
    struct slice encoded;
    death->queue = text_slice(queue->name);
    death->exchange = address->exchange;
    death->keys = address->keys;
    death->keys_len = address->keys_len;
    death->time_ms = machine->time_ms;
    if (death->reason == DEATH_EXPIRED && expired_by_itself(message, trail, facts)) {
        death->has_expiration = true;
        death->expiration_ms = facts->ttl_ms;
    }
    if (trail->deaths_len == 0) {
        trail->first_enqueued_ms = message->enqueued_ms;
    }
    int err = trail_add(trail, death, &scratch);
    if (err == 0) {
        trail->no_ttl = trail->no_ttl || !fault_fires(FAULT_SKIP_NO_TTL);
        trail_set_address(trail, queue, address);
        err = trail_write(trail, &encoded);
    }
    bytes_done(&scratch);
    if (err != 0) {
        return err;
    }
    blob_unref(message->trail_blob);
    message->trail_blob = encoded.blob;
    message->trail = encoded.data;
    message->trail_len = (uint32_t)encoded.len;
    return 0;
}

/* ---- On its way ---- */

static int dead_letter_publish(struct machine *machine, struct queue *queue, struct message *message,
                               const struct address *address, const struct trail *trail)
{
    char first[ROUTING_KEY_LEN_MAX + 1] = {0};
    const char *key = first;
    struct internal internal = {
        .virtual_host = queue->virtual_host,
        .exchange = queue->options.dead_letter_exchange,
        .keys = &key,
        .keys_len = trail->own_keys ? 0 : 1,
        .how = ENQUEUE_DEAD,
        .message = *message,
    };
    if (queue->options.has_dead_letter_key) {
        key = queue->options.dead_letter_key;
    } else if (address->keys[0].len > 0 && address->keys[0].len <= ROUTING_KEY_LEN_MAX) {
        memcpy(first, address->keys[0].data, address->keys[0].len);
    }
    internal.message.shared_body = 0;
    if (fault_fires(FAULT_DEAD_TWICE)) {
        message_ref(&internal.message);
        int err = publish_internal(machine, &internal, NULL);
        if (err != 0) {
            message_unref(&internal.message);
            return err;
        }
    }
    return publish_internal(machine, &internal, NULL);
}

/* Takes over the references, unless it fails. */
static int dead_letter_send(struct machine *machine, struct queue *queue, uint64_t position, struct message *message,
                            enum death_reason reason)
{
    struct death death = {.reason = reason, .position = position};
    struct trail trail;
    struct head_facts facts;
    struct address address;
    int err = trail_read(message->trail, message->trail_len, &trail);
    if (err == 0) {
        err = head_read((struct slice){.data = message->data, .len = message->head_len}, &facts);
    }
    if (err == 0) {
        err = address_find(queue, &trail, &facts, &address);
    }
    if (err == ERR_NOMEM) {
        return err;
    }
    if (err != 0) {
        return ERR_CORRUPT;
    }
    /* The trail that was read borrows from the one that is replaced. */
    struct blob *before = message->trail_blob;
    if (before != NULL) {
        blob_ref(before);
    }
    err = message_add_death(machine, queue, message, &trail, &death, &facts, &address);
    if (err == 0) {
        queue->counters.dead_lettered++;
        queue_changed(machine, queue);
        err = life_note_text(machine, queue, position, LIFE_DEAD_LETTERED, queue->options.dead_letter_exchange);
    }
    if (err == 0) {
        struct message sent = *message;
        *message = (struct message){0};
        err = dead_letter_publish(machine, queue, &sent, &address, &trail);
    }
    blob_unref(before);
    return err;
}

/* ---- Leaving ---- */

static enum machine_life_kind life_kind_of(enum death_reason reason)
{
    switch (reason) {
    case DEATH_REJECTED: return LIFE_REJECTED;
    case DEATH_EXPIRED: return LIFE_EXPIRED;
    case DEATH_MAXLEN: return LIFE_DROPPED;
    case DEATH_DELIVERY_LIMIT: break;
    }
    return LIFE_DELIVERY_LIMIT;
}

static enum machine_kept_outcome kept_outcome_of(enum death_reason reason)
{
    switch (reason) {
    case DEATH_REJECTED: return KEPT_REJECTED;
    case DEATH_EXPIRED: return KEPT_EXPIRED;
    case DEATH_MAXLEN: return KEPT_DROPPED;
    case DEATH_DELIVERY_LIMIT: break;
    }
    return KEPT_DELIVERY_LIMIT;
}

/* What is done with its content must be done with what its publisher sent. */
static int message_check(struct machine *machine, const struct queue *queue, uint64_t position,
                         const struct message *message)
{
    if (XXH3_64bits(message->data, message_len(message)) == message->hash) {
        return 0;
    }
    struct row_key key = row_key_pair(ROW_MESSAGE, queue->id, position);
    return state_blame(machine, &key, ERR_CORRUPT, "the body is damaged");
}

static int dead_letter_note(struct machine *machine, struct queue *queue, uint64_t position,
                            const struct message *message, enum death_reason reason)
{
    if (position == 0) {
        return 0;
    }
    bool keep = message != NULL && !fault_fires(FAULT_SKIP_KEEP);
    int err = keep ? kept_add(machine, queue, position, message, kept_outcome_of(reason)) : 0;
    return err != 0 ? err : life_note_step(machine, queue, position, life_kind_of(reason), 0, 0);
}

/* Whether more is done than to forget it. */
static bool dead_letter_matters(const struct queue *queue)
{
    return queue->options.has_dead_letter || queue_keeps_settled(queue);
}

int dead_letter(struct machine *machine, struct queue *queue, uint64_t position, struct message *message,
                enum death_reason reason)
{
    int err = dead_letter_matters(queue) ? message_check(machine, queue, position, message) : 0;
    if (err == 0) {
        err = dead_letter_note(machine, queue, position, message, reason);
    }
    if (err == 0 && queue->options.has_dead_letter && !fault_fires(FAULT_SKIP_DEAD_LETTER)) {
        work_spend(&machine->work, WORK_OF_DEAD_LETTER);
        err = dead_letter_send(machine, queue, position, message, reason);
    }
    message_unref(message);
    return err != 0 || position == 0 ? err : life_end(machine, queue, position);
}

/* Of a message whose content nobody asks for. */
static int dead_letter_forget(struct machine *machine, struct queue *queue, uint64_t position, enum death_reason reason)
{
    int err = dead_letter_note(machine, queue, position, NULL, reason);
    return err != 0 ? err : life_end(machine, queue, position);
}

int dead_letter_ready(struct machine *machine, struct queue *queue, uint64_t position, enum death_reason reason)
{
    struct message message;
    if (!dead_letter_matters(queue)) {
        int err = queue_drop_ready(machine, queue, position);
        return err != 0 ? err : dead_letter_forget(machine, queue, position, reason);
    }
    int err = queue_take_position(machine, queue, position, &message);
    return err != 0 ? err : dead_letter(machine, queue, position, &message, reason);
}

int dead_letter_out(struct machine *machine, struct queue *queue, uint64_t position, uint64_t group,
                    enum death_reason reason)
{
    struct message message;
    if (!dead_letter_matters(queue)) {
        int err = queue_forget(machine, queue, position, group);
        return err != 0 ? err : dead_letter_forget(machine, queue, position, reason);
    }
    int err = state_message(machine, queue, position, &message);
    if (err != 0) {
        return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
    }
    err = queue_forget(machine, queue, position, group);
    if (err != 0) {
        message_unref(&message);
        return err;
    }
    return dead_letter(machine, queue, position, &message, reason);
}

bool dead_letter_may_enter(struct machine *machine, const struct message *message, const struct queue *queue)
{
    struct trail trail;
    (void)machine;
    return trail_read(message->trail, message->trail_len, &trail) != 0 ||
           !trail_closes_circle(&trail, text_slice(queue->name)) || fault_fires(FAULT_SKIP_CIRCLE);
}
