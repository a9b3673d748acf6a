/* Publish: all messages of the command or none, unless it says otherwise, each once for a producer that numbers them; and the names
 * of producers. */

#include <string.h>

#include "proto/base/fault.h"
#include "statemachine/command/command.h"
#include "statemachine/publish/prepared.h"

/* ---- Version 1: to one queue, without heads ---- */

/* How many of the first messages are in already, and the producer moved to the last. */
static int publish_count_repeated(struct machine *machine, const Holdfast__Publish *publish, size_t *ret_repeated)
{
    size_t name_len = strlen(publish->producer);
    if (name_len == 0) {
        *ret_repeated = 0;
        return 0;
    }
    struct producer *producer;
    int err = producer_get(machine, VIRTUAL_HOST_ROOT, publish->producer, name_len, &producer);
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

static int publish_as_version_1(struct machine *machine, const Holdfast__Publish *publish, struct slice bodies,
                                struct reply *reply)
{
    if (!publish_check_form_1(publish, bodies, reply) || !publish_check_producer(publish, reply)) {
        return 0;
    }
    struct queue *queue = queue_by_name(machine, VIRTUAL_HOST_ROOT, publish->queue);
    if (queue == NULL) {
        reply_fail(reply, ERR_NOT_FOUND, DETAIL_QUEUE);
        return 0;
    }
    if (!publish_check_bodies_1(publish, bodies, reply)) {
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
    return reply->count > 0 ? publish_plainly(machine, queue, publish, bodies, repeated) : 0;
}

/* ---- Version 2 ---- */

int command_publish(struct machine *machine, struct session *session, const Holdfast__Publish *publish,
                    struct slice bodies, struct reply *reply)
{
    struct publish_plan plan;
    if (machine->version < 2) {
        return publish_as_version_1(machine, publish, bodies, reply);
    }
    publishing_begin(machine);
    int err = publish_plan(machine, session, publish, bodies, NULL, 0, &plan, reply);
    return err != 0 || reply->error != 0 ? err : publish_commit(machine, &plan, reply);
}

int command_open_producer(struct machine *machine, struct session *session, const Holdfast__OpenProducer *open,
                          struct reply *reply)
{
    size_t name_len = strlen(open->producer);
    int err = name_check(open->producer, name_len);
    if (err != 0) {
        reply_fail(reply, err, DETAIL_PRODUCER_NAME);
        return 0;
    }
    struct producer *producer;
    err = producer_get(machine, session->virtual_host_id, open->producer, name_len, &producer);
    if (err != 0) {
        return err;
    }
    if (!open->keep_epoch) {
        producer_open(machine, producer, session->id);
    }
    reply->count = producer->epoch;
    reply->repeated_count = producer->last;
    return 0;
}

int command_resolve_prepared(struct machine *machine, struct session *session, const Holdfast__ResolvePrepared *resolve,
                             struct reply *reply)
{
    int err = name_check(resolve->id, strlen(resolve->id));
    if (err != 0) {
        reply_fail(reply, err, DETAIL_PREPARED_ID);
        return 0;
    }
    return prepared_resolve(machine, session->virtual_host_id, resolve->id, resolve->commit, reply);
}
