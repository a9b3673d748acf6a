/* Carrying out a planned publish. */

#include "statemachine/publish/publish.h"

#include <string.h>

#include "proto/base/fault.h"
#include "statemachine/command/command.h"
#include "statemachine/message/body.h"
#include "statemachine/publish/pending.h"
#include "statemachine/publish/prepared.h"

bool queue_is_plain(const struct queue *queue)
{
    const struct queue_options *options = &queue->options;
    return !options->has_ttl && !options->has_max_length && !options->has_max_bytes && options->keep_life_ms == 0;
}

int publish_plainly(struct machine *machine, struct queue *queue, const Holdfast__Publish *publish, struct slice bodies,
                    size_t skip)
{
    size_t lost = fault_fires(FAULT_DIVERGE_QUIETLY) ? 1 : 0;
    struct plain_messages messages = {.blob = bodies.blob,
                                      .data = bodies.data,
                                      .lens = publish->body_len + skip,
                                      .hashes = publish->body_hash + skip,
                                      .len = publish->n_body_len - skip};
    for (size_t i = 0; i < skip; i++) {
        messages.data += publish->body_len[i];
    }
    messages.len -= messages.len > 0 ? lost : 0;
    return queue_push_plain(machine, queue, &messages);
}

static struct message planned_message(const struct publish_plan *plan, const struct planned *planned)
{
    return (struct message){
        .blob = plan->content.blob,
        .data = planned->data,
        .hash = planned->hash,
        .head_len = planned->head_len,
        .body_len = planned->body_len,
    };
}

/* Into each of its queues that is there still. */
static int commit_taken(struct machine *machine, const struct publish_plan *plan, const struct planned *planned)
{
    struct planned_target *targets = planned->targets_len > 0 ? machine->publishing.targets + planned->targets : NULL;
    size_t len = 0;
    for (size_t i = 0; i < planned->targets_len; i++) {
        targets[i].queue = queue_by_id(machine, targets[i].queue_id);
        len += targets[i].queue != NULL;
    }
    struct message message = planned_message(plan, planned);
    int err = len > 1 ? body_share(machine, &message, len) : 0;
    for (size_t i = 0; err == 0 && i < planned->targets_len; i++) {
        if (targets[i].queue != NULL) {
            struct message copy = message;
            message_ref(&copy);
            err = enqueue(machine, targets[i].queue, &copy, &planned->facts, ENQUEUE_PUBLISHED, NULL);
        }
    }
    return err;
}

static int commit_delayed(struct machine *machine, const struct publish_plan *plan, const struct planned *planned)
{
    struct internal internal = {
        .virtual_host = plan->session->virtual_host_id,
        .queue = plan->queue != NULL ? plan->publish->queue : NULL,
        .how = ENQUEUE_DUE,
        .message = planned_message(plan, planned),
    };
    uint64_t delay_ms = head_delay_ms(&planned->facts, machine->time_ms);
    return pending_add(machine, &internal, timer_after(machine->time_ms, delay_ms));
}

static void bit_set(struct publishing *publishing, uint8_t *bits, size_t bit)
{
    publishing->bits_used = true;
    bits[bit / 8] = (uint8_t)(bits[bit / 8] | 1u << bit % 8);
}

/* Without the zeros at the end. */
static struct reply_bits bits_of(const uint8_t *bits, size_t len)
{
    size_t bytes = (len + 7) / 8;
    while (bytes > 0 && bits[bytes - 1] == 0) {
        bytes--;
    }
    return (struct reply_bits){.data = bits, .len = bytes};
}

static int commit_message(struct machine *machine, const struct publish_plan *plan, size_t i, struct prepared *prepared,
                          struct reply *reply)
{
    struct publishing *publishing = &machine->publishing;
    const struct planned *planned = &publishing->messages[plan->first + i];
    if (planned->unrouted) {
        bit_set(publishing, publishing->unrouted, plan->first_bit + i);
    }
    switch (planned->fate) {
    case PLANNED_REPEATED: reply->repeated_count++; return 0;
    case PLANNED_REFUSED: bit_set(publishing, publishing->refused, plan->first_bit + i); return 0;
    case PLANNED_TAKEN: reply->count++; return commit_taken(machine, plan, planned);
    case PLANNED_DELAYED: reply->count++; return commit_delayed(machine, plan, planned);
    case PLANNED_PREPARED: {
        reply->count++;
        struct message message = planned_message(plan, planned);
        return prepared_add(machine, prepared, &message);
    }
    }
    return ERR_CORRUPT;
}

static int commit_messages(struct machine *machine, const struct publish_plan *plan, struct reply *reply)
{
    struct publishing *publishing = &machine->publishing;
    const Holdfast__Publish *publish = plan->publish;
    bool prepares = publish->prepare != NULL && plan->repeated < publish->n_body_len;
    size_t lost = fault_fires(FAULT_DIVERGE_QUIETLY) ? 1 : 0;
    struct prepared prepared = {0};
    int err = prepares ? prepared_begin(machine, plan->session->virtual_host_id, publish, &prepared) : 0;
    for (size_t i = 0; err == 0 && i < publish->n_body_len - lost; i++) {
        err = commit_message(machine, plan, i, &prepared, reply);
    }
    if (err == 0 && prepares) {
        err = prepared_end(machine, &prepared);
    }
    reply->unrouted = bits_of(publishing->unrouted, publishing->bits_len);
    reply->refused = bits_of(publishing->refused, publishing->bits_len);
    return err;
}

static int commit_producer(struct machine *machine, const struct publish_plan *plan)
{
    const Holdfast__Publish *publish = plan->publish;
    struct producer *producer;
    if (plan->producer_name_len == 0) {
        return 0;
    }
    int err =
        producer_get(machine, plan->session->virtual_host_id, publish->producer, plan->producer_name_len, &producer);
    if (err == 0) {
        producer_advance(machine, producer, publish->first_sequence + publish->n_body_len - 1);
    }
    return err;
}

int publish_commit(struct machine *machine, const struct publish_plan *plan, struct reply *reply)
{
    int err = commit_producer(machine, plan);
    if (err != 0 || !plan->plain) {
        return err != 0 ? err : commit_messages(machine, plan, reply);
    }
    size_t count = plan->publish->n_body_len - plan->repeated;
    reply->repeated_count += plan->repeated;
    reply->count += count;
    struct queue *queue = count > 0 ? queue_by_id(machine, plan->queue_id) : NULL;
    return queue != NULL ? publish_plainly(machine, queue, plan->publish, plan->content, plan->repeated) : 0;
}
