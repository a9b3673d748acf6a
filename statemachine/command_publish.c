/* Publish: all messages of the command or none, each once for a producer that numbers them. */

#include <string.h>

#include "proto/base/fault.h"
#include "statemachine/command.h"

static bool publish_check_lengths(const Holdfast__Publish *publish, struct slice bodies, struct reply *reply)
{
    if (publish->n_body_len == 0 || publish->n_body_len > PUBLISH_MESSAGES_MAX ||
        publish->n_body_hash != publish->n_body_len) {
        reply_fail(reply, ERR_INVALID, DETAIL_MESSAGES);
        return false;
    }
    uint64_t total = 0;
    for (size_t i = 0; i < publish->n_body_len; i++) {
        if (publish->body_len[i] > BODY_LEN_MAX) {
            reply_fail(reply, ERR_TOO_BIG, DETAIL_BODY_LEN);
            return false;
        }
        total += publish->body_len[i];
    }
    if (total != bodies.len) {
        reply_fail(reply, ERR_INVALID, DETAIL_BODIES_LEN);
        return false;
    }
    return true;
}

static bool publish_check_hashes(const Holdfast__Publish *publish, struct slice bodies, struct reply *reply)
{
    const uint8_t *body = bodies.data;
    for (size_t i = 0; i < publish->n_body_len; i++) {
        if (XXH3_64bits(body, publish->body_len[i]) != publish->body_hash[i]) {
            reply_fail(reply, ERR_CHECKSUM, DETAIL_BODY_HASH);
            return false;
        }
        body += publish->body_len[i];
    }
    return true;
}

static bool publish_check_producer(const Holdfast__Publish *publish, struct reply *reply)
{
    size_t name_len = strlen(publish->producer);
    if (name_len == 0) {
        return true;
    }
    int err = name_check(publish->producer, name_len);
    if (err != 0) {
        reply_fail(reply, err, DETAIL_PRODUCER_NAME);
    } else if (publish->first_sequence == 0 || publish->first_sequence > UINT64_MAX - publish->n_body_len) {
        reply_fail(reply, ERR_INVALID, DETAIL_SEQUENCE);
    }
    return reply->error == 0;
}

/* How many of the first messages are in already, and the producer moved to the last. */
static int publish_count_repeated(struct machine *machine, const Holdfast__Publish *publish, size_t *ret_repeated)
{
    size_t name_len = strlen(publish->producer);
    if (name_len == 0) {
        *ret_repeated = 0;
        return 0;
    }
    struct producer *producer;
    int err = producer_get(machine, publish->producer, name_len, &producer);
    if (err != 0) {
        return err;
    }
    size_t repeated = 0;
    if (producer->last >= publish->first_sequence) {
        uint64_t behind = producer->last - publish->first_sequence + 1;
        repeated = behind < publish->n_body_len ? (size_t)behind : publish->n_body_len;
    }
    producer_advance(machine, producer, publish->first_sequence + publish->n_body_len - 1);
    *ret_repeated = fault_fires(FAULT_SKIP_PRODUCER_CHECK) ? 0 : repeated;
    return 0;
}

static int publish_enqueue(struct machine *machine, struct queue *queue, const Holdfast__Publish *publish,
                           struct slice bodies, size_t skip)
{
    int err = messages_reserve(&queue->messages, publish->n_body_len - skip);
    if (err != 0) {
        return err;
    }
    const uint8_t *body = bodies.data;
    size_t lost = fault_fires(FAULT_DIVERGE_QUIETLY) ? 1 : 0;
    for (size_t i = 0; i < publish->n_body_len; i++) {
        if (i >= skip && i < publish->n_body_len - lost) {
            struct message message = {
                .blob = bodies.blob != NULL ? blob_ref(bodies.blob) : NULL,
                .data = body,
                .hash = publish->body_hash[i],
                .enqueued_ms = machine->time_ms,
                .len = publish->body_len[i],
            };
            queue_push(machine, queue, message);
        }
        body += publish->body_len[i];
    }
    queue_changed(machine, queue);
    queue_due(machine, queue);
    return 0;
}

int command_publish(struct machine *machine, const Holdfast__Publish *publish, struct slice bodies, struct reply *reply)
{
    if (!publish_check_lengths(publish, bodies, reply) || !publish_check_producer(publish, reply)) {
        return 0;
    }
    struct queue *queue = queue_by_name(machine, publish->queue);
    if (queue == NULL) {
        reply_fail(reply, ERR_NOT_FOUND, DETAIL_QUEUE);
        return 0;
    }
    if (!publish_check_hashes(publish, bodies, reply)) {
        return 0;
    }
    size_t repeated;
    int err = publish_count_repeated(machine, publish, &repeated);
    if (err != 0) {
        return err;
    }
    repeated += fault_fires(FAULT_DIVERGE) && repeated < publish->n_body_len;
    reply->repeated_count = repeated;
    reply->count = publish->n_body_len - repeated;
    return reply->count > 0 ? publish_enqueue(machine, queue, publish, bodies, repeated) : 0;
}
