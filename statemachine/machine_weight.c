/* How much work commands are, before they are in an entry. */

#include "statemachine/machine_weight.h"

#include "proto/base/limits.h"
#include "statemachine/command/command.h"
#include "statemachine/command/decode.h"
#include "statemachine/message/kept.h"
#include "statemachine/message/life.h"
#include "statemachine/queue/moving.h"
#include "statemachine/session/consumer.h"

/* A message has at least its hash and its length in the header of a Publish. */
#define PUBLISH_HEADER_PER_MESSAGE 9u
/* Further keys are in the heads: so many bytes of them take a unit to look for. */
#define BYTES_PER_UNIT 128u
/* Keys or bindings that are looked at in a unit. */
#define LOOKS_PER_UNIT 8u
/* The field of Command that is a Publish, as the tag that begins it (protobuf encoding guide). */
#define PUBLISH_TAG 0x32u

/* Units for a message that is delivered or settled, and more when its life, or itself, is kept: rows are read and written. */
#define WEIGHT_OF_MESSAGE 1u
#define WEIGHT_OF_KEEPING 12u

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t message_weight(const struct queue *queue)
{
    bool keeps = queue_keeps_lives(queue) || queue_keeps_settled(queue);
    return keeps ? WEIGHT_OF_MESSAGE + WEIGHT_OF_KEEPING : WEIGHT_OF_MESSAGE;
}

/* ---- Publishes ---- */

static uint64_t route_weight(const struct route *route)
{
    uint64_t weight = route->looked / LOOKS_PER_UNIT;
    for (size_t i = 0; i < route->len; i++) {
        weight += message_weight(route->queues[i]);
    }
    return weight;
}

static uint64_t weigh_routed(struct machine *machine, const struct session *session, struct slice head, uint64_t most)
{
    struct head_facts facts;
    struct exchange *exchange;
    if (head_read(head, &facts) != 0 ||
        exchange_find(machine, session->virtual_host_id, (const char *)facts.exchange.data, facts.exchange.len,
                      &exchange) != 0) {
        return 1;
    }
    struct slice keys[1 + FURTHER_KEYS_MAX] = {facts.routing_key};
    struct route_message message = {.keys = keys, .keys_len = 1, .head = head};
    size_t at = 0;
    while (message.keys_len <= facts.further_keys_len && head_next_key(head, &at, &keys[message.keys_len])) {
        message.keys_len++;
    }
    struct route *route_found = &machine->publishing.route;
    return 1 + (route(machine, exchange, &message, route_found) == 0 ? route_weight(route_found) : most);
}

static uint64_t weigh_publish(struct machine *machine, const struct session *session, const Holdfast__Publish *publish,
                              struct slice bodies, uint64_t most)
{
    if (publish->queue[0] != 0 || publish->n_head_len == 0) {
        const struct queue *queue = queue_by_name(machine, session->virtual_host_id, publish->queue);
        return 1 + (queue != NULL ? publish->n_body_len * message_weight(queue) : 0);
    }
    uint64_t weight = 1;
    size_t at = 0;
    for (size_t i = 0; i < publish->n_head_len && i < publish->n_body_len && weight <= most; i++) {
        uint64_t len = (uint64_t)publish->head_len[i] + publish->body_len[i];
        if (len > bodies.len - at) {
            break;
        }
        weight += weigh_routed(machine, session, slice_part(bodies, at, publish->head_len[i]), most);
        at += (size_t)len;
    }
    return weight;
}

/* ---- Deliveries ---- */

/* Ranges may overlap, and name more than there is. */
static uint64_t weigh_settle(struct session *session, const Holdfast__Settle *settle)
{
    const struct consumer *consumer = consumer_find(session, settle->consumer);
    if (consumer == NULL || settle->n_first != settle->n_last) {
        return 1;
    }
    uint64_t settled = 0;
    for (size_t i = 0; i < settle->n_first && settled < consumer->deliveries.held; i++) {
        uint64_t more = settle->last[i] - settle->first[i] + 1;
        settled += smaller(more, consumer->deliveries.held);
    }
    settled = smaller(settled, consumer->deliveries.held);
    uint64_t each = message_weight(consumer->queue);
    if (settle->outcome == HOLDFAST__SETTLE__OUTCOME__REJECT && consumer->queue->options.has_dead_letter) {
        each += WORK_OF_DEAD_LETTER;
    }
    return settle->n_first + settled * each;
}

static uint64_t weigh_subscribe(struct machine *machine, const struct session *session,
                                const Holdfast__Subscribe *subscribe)
{
    const struct queue *queue = queue_by_name(machine, session->virtual_host_id, subscribe->queue);
    return 1 + (queue != NULL ? smaller(subscribe->credit, queue_ready(queue)) * message_weight(queue) : 0);
}

/* ---- All of them ---- */

static uint64_t weigh_transact(struct machine *machine, struct session *session, const Holdfast__Transact *transact,
                               struct slice bodies, uint64_t most)
{
    uint64_t weight = 1;
    for (size_t i = 0; i < transact->n_settle && weight <= most; i++) {
        weight += weigh_settle(session, transact->settle[i]);
    }
    size_t at = 0;
    for (size_t i = 0; i < transact->n_publish && weight <= most; i++) {
        const Holdfast__Publish *publish = transact->publish[i];
        weight += weigh_publish(machine, session, publish, slice_part(bodies, at, bodies.len - at), most - weight);
        uint64_t len = 0;
        for (size_t j = 0; j < publish->n_body_len; j++) {
            len += publish->body_len[j] + (uint64_t)(j < publish->n_head_len ? publish->head_len[j] : 0);
        }
        if (len > bodies.len - at) {
            break;
        }
        at += (size_t)len;
    }
    return weight;
}

static uint64_t weigh_decoded(struct machine *machine, struct session *session, const Holdfast__Command *command,
                              struct slice bodies, uint64_t most)
{
    switch (command->kind_case) {
    case HOLDFAST__COMMAND__KIND_PUBLISH: return weigh_publish(machine, session, command->publish, bodies, most);
    case HOLDFAST__COMMAND__KIND_TRANSACT: return weigh_transact(machine, session, command->transact, bodies, most);
    case HOLDFAST__COMMAND__KIND_SETTLE: return weigh_settle(session, command->settle);
    case HOLDFAST__COMMAND__KIND_SUBSCRIBE: return weigh_subscribe(machine, session, command->subscribe);
    case HOLDFAST__COMMAND__KIND_REDRIVE: return MOVE_MAX * (uint64_t)WORK_OF_DEAD_LETTER;
    case HOLDFAST__COMMAND__KIND_REPLAY: return MOVE_MAX * (uint64_t)WORK_OF_DEAD_LETTER;
    default: return 1;
    }
}

uint64_t machine_weigh(struct machine *machine, const struct entry_command *command, uint64_t most)
{
    struct session *session = command->session != 0 ? session_by_id(machine, command->session) : NULL;
    Holdfast__Command *decoded;
    if (session == NULL) {
        return 1;
    }
    if (command_decode(machine, command->header, &decoded) != 0) {
        return most + 1; /* There is no memory: it is told when the command is applied. */
    }
    return decoded != NULL ? weigh_decoded(machine, session, decoded, command->bodies, most) : 1;
}

uint64_t machine_weigh_roughly(struct machine *machine, const struct entry_command *command)
{
    if (command->header.len == 0 || command->header.data[0] != PUBLISH_TAG) {
        return machine_weigh(machine, command, ENTRY_WEIGHT_MAX);
    }
    uint64_t messages = 1 + (uint64_t)command->header.len / PUBLISH_HEADER_PER_MESSAGE;
    uint64_t queues = HASH_CNT(by_id, machine->queues);
    uint64_t copies = smaller(queues, machine->exchanges.bindings_len + FURTHER_KEYS_MAX);
    return messages * (1 + copies) + command->bodies.len / BYTES_PER_UNIT;
}
