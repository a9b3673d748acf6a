/* Planning a publish: everything that may keep it out, in the order that SEMANTICS.md gives. */

#include <stdlib.h>
#include <string.h>

#include "proto/base/fault.h"
#include "statemachine/command/command.h"
#include "statemachine/publish/prepared.h"

/* Scratch that is larger than this is given back. */
#define MESSAGES_KEPT_MAX PUBLISH_MESSAGES_MAX
#define TARGETS_KEPT_MAX 65536u

void publishing_init(struct publishing *publishing)
{
    *publishing = (struct publishing){0};
    arena_init(&publishing->arena, SIZE_MAX / 2);
    list_init(&publishing->held);
}

void publishing_done(struct publishing *publishing)
{
    CHECK(list_empty(&publishing->held));
    free(publishing->messages);
    free(publishing->targets);
    free(publishing->ids);
    route_done(&publishing->route);
    route_done(&publishing->internal_route);
    arena_done(&publishing->arena);
}

void publishing_begin(struct machine *machine)
{
    struct publishing *publishing = &machine->publishing;
    publishing->messages_len = 0;
    publishing->targets_len = 0;
    publishing->ids_len = 0;
    publishing->mark++;
    if (publishing->bits_used) {
        memset(publishing->unrouted, 0, sizeof publishing->unrouted);
        memset(publishing->refused, 0, sizeof publishing->refused);
        publishing->bits_used = false;
    }
    publishing->bits_len = 0;
    if (publishing->targets_cap > TARGETS_KEPT_MAX) {
        free(publishing->targets);
        publishing->targets = NULL;
        publishing->targets_cap = 0;
    }
}

static int publishing_reserve(struct publishing *publishing, size_t extra)
{
    size_t len = publishing->messages_len + extra;
    if (len <= publishing->messages_cap) {
        return 0;
    }
    size_t cap = publishing->messages_cap > 0 ? publishing->messages_cap : 64;
    while (cap < len) {
        cap *= 2;
    }
    struct planned *messages = realloc(publishing->messages, cap * sizeof *messages);
    if (messages == NULL) {
        return ERR_NOMEM;
    }
    publishing->messages = messages;
    publishing->messages_cap = cap;
    return 0;
}

/* Reads the heads. */
static int plan_messages(struct machine *machine, struct publish_plan *plan, struct reply *reply)
{
    const Holdfast__Publish *publish = plan->publish;
    struct publishing *publishing = &machine->publishing;
    const uint8_t *data = plan->content.data;
    int err = publishing_reserve(publishing, publish->n_body_len);
    if (err != 0) {
        return err;
    }
    for (size_t i = 0; i < publish->n_body_len; i++) {
        struct planned *planned = &publishing->messages[publishing->messages_len + i];
        *planned = (struct planned){.data = data, .hash = publish->body_hash[i], .body_len = publish->body_len[i]};
        planned->head_len = publish->n_head_len > 0 ? publish->head_len[i] : 0;
        struct slice head = {.data = data, .len = planned->head_len};
        if (head_read(head, &planned->facts) != 0) {
            reply_fail(reply, ERR_INVALID, DETAIL_HEAD);
            return 0;
        }
        if (head_delay_ms(&planned->facts, machine->time_ms) > DELAY_MS_MAX) {
            reply_fail(reply, ERR_INVALID, DETAIL_DELAY);
            return 0;
        }
        data += planned->head_len + planned->body_len;
    }
    publishing->messages_len += publish->n_body_len;
    publishing->bits_len += publish->n_body_len;
    return 0;
}

/* Publish.queue. */
static bool plan_queue(struct machine *machine, struct publish_plan *plan, struct reply *reply)
{
    const Holdfast__Publish *publish = plan->publish;
    if (publish->queue[0] == 0 && publish->n_head_len > 0) {
        return true;
    }
    struct queue *queue = queue_by_name(machine, plan->session->virtual_host_id, publish->queue);
    if (queue == NULL) {
        reply_fail(reply, ERR_NOT_FOUND, DETAIL_QUEUE);
        return false;
    }
    if (!queue_usable_by(queue, plan->session)) {
        reply_fail(reply, ERR_EXCLUSIVE, DETAIL_QUEUE_EXCLUSIVE);
        return false;
    }
    plan->queue = queue;
    plan->queue_id = queue->id;
    plan->plain = publish->n_head_len == 0 && publish->prepare == NULL && queue_is_plain(queue);
    return true;
}

/* What is known of a producer, with what publishes before this one in the transaction will bring. */
struct planned_producer {
    uint64_t last;
    uint64_t epoch;
};

static int plan_find_producer(struct machine *machine, const struct publish_plan *plan,
                              const struct publish_plan *earlier, size_t earlier_len,
                              struct planned_producer *ret_producer)
{
    const Holdfast__Publish *publish = plan->publish;
    struct producer *producer;
    int err =
        producer_get(machine, plan->session->virtual_host_id, publish->producer, plan->producer_name_len, &producer);
    if (err != 0) {
        return err;
    }
    *ret_producer = (struct planned_producer){.last = producer->last, .epoch = producer->epoch};
    for (size_t i = 0; i < earlier_len; i++) {
        const Holdfast__Publish *before = earlier[i].publish;
        uint64_t last = before->first_sequence + before->n_body_len - 1;
        if (strcmp(before->producer, publish->producer) == 0 && last > ret_producer->last &&
            !fault_fires(FAULT_SKIP_TRANSACT_SEQUENCE)) {
            ret_producer->last = last;
        }
    }
    return 0;
}

static size_t plan_count_repeated(const Holdfast__Publish *publish, uint64_t last)
{
    size_t repeated = 0;
    if (last >= publish->first_sequence) {
        uint64_t behind = last - publish->first_sequence + 1;
        repeated = behind < publish->n_body_len ? (size_t)behind : publish->n_body_len;
    }
    return fault_fires(FAULT_SKIP_PRODUCER_CHECK) ? 0 : repeated;
}

static bool plan_check_epoch(const Holdfast__Publish *publish, const struct planned_producer *producer,
                             struct reply *reply)
{
    if (publish->producer_epoch != 0 && publish->producer_epoch < producer->epoch &&
        !fault_fires(FAULT_SKIP_EPOCH_CHECK)) {
        reply_fail(reply, ERR_FENCED, DETAIL_FENCED);
    } else if (publish->no_gaps && publish->first_sequence - 1 > producer->last && !fault_fires(FAULT_SKIP_GAP_CHECK)) {
        reply_fail(reply, ERR_GAP, DETAIL_GAP);
    }
    return reply->error == 0;
}

/* The rest of the checks, of messages that are new. */
static int plan_room(struct machine *machine, struct publish_plan *plan, struct reply *reply)
{
    const Holdfast__Publish *publish = plan->publish;
    uint64_t host = plan->session->virtual_host_id;
    if (plan->repeated == publish->n_body_len) {
        return 0;
    }
    if (publish->prepare != NULL) {
        int err = prepared_check_new(machine, host, publish->prepare->id, reply);
        if (err != 0 || reply->error != 0) {
            return err;
        }
    }
    if (!virtual_host_has_room(machine, host, LIMIT_READY_MESSAGES)) {
        reply_fail(reply, ERR_LIMIT, DETAIL_READY_MESSAGES);
        return 0;
    }
    return plan->plain ? 0 : publish_room(machine, plan, reply);
}

static bool plan_check(const Holdfast__Publish *publish, struct slice bodies, struct reply *reply)
{
    return publish_check_form(publish, bodies, reply) && publish_check_producer(publish, reply) &&
           publish_check_prepare(publish, reply) && publish_check_hashes(publish, bodies, reply);
}

int publish_plan(struct machine *machine, struct session *session, const Holdfast__Publish *publish,
                 struct slice bodies, const struct publish_plan *earlier, size_t earlier_len,
                 struct publish_plan *ret_plan, struct reply *reply)
{
    struct publish_plan plan = {.publish = publish, .session = session, .content = bodies};
    plan.producer_name_len = strlen(publish->producer);
    plan.first = machine->publishing.messages_len;
    plan.first_bit = machine->publishing.bits_len;
    if (!plan_check(publish, bodies, reply)) {
        return 0;
    }
    struct planned_producer producer = {0};
    int err = 0;
    if (plan.producer_name_len > 0) {
        err = plan_find_producer(machine, &plan, earlier, earlier_len, &producer);
        plan.repeated = plan_count_repeated(publish, producer.last);
    }
    plan.repeated += fault_fires(FAULT_DIVERGE) && plan.repeated < publish->n_body_len;
    if (err == 0 && publish->n_head_len > 0) {
        err = plan_messages(machine, &plan, reply);
    }
    if (err != 0 || reply->error != 0 || !plan_queue(machine, &plan, reply)) {
        return err;
    }
    if (!plan.plain && publish->n_head_len == 0) {
        err = plan_messages(machine, &plan, reply);
    } else if (plan.plain) {
        machine->publishing.bits_len += publish->n_body_len;
    }
    if (err == 0 && !plan.plain) {
        err = publish_route(machine, &plan, reply);
    }
    if (err != 0 || reply->error != 0) {
        return err;
    }
    if (plan.producer_name_len > 0 && !plan_check_epoch(publish, &producer, reply)) {
        return 0;
    }
    err = plan_room(machine, &plan, reply);
    if (err == 0 && reply->error == 0) {
        *ret_plan = plan;
    }
    return err;
}
