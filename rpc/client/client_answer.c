/* What queries of a client are answered, decoded. */

#include <xxhash.h>

#include "proto/base/check.h"
#include "rpc/client/client_query.h"
#include "rpc/client/client_state.h"
#include "rpc/native/native_frame.h"

static int queues_read(struct client_core *core, const Holdfast__QueryResult *message,
                       struct client_query_result *ret_result)
{
    struct client_queue *queues = arena_alloc(&core->arena, message->n_queues * sizeof *queues);
    if (queues == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < message->n_queues; i++) {
        const Holdfast__QueueInfo *info = message->queues[i];
        queues[i] = (struct client_queue){.name = info->name,
                                          .ready = info->ready,
                                          .unsettled = info->unsettled,
                                          .consumers = info->consumers,
                                          .enqueued = info->enqueued,
                                          .delivered = info->delivered,
                                          .settled = info->settled,
                                          .released = info->released,
                                          .oldest_ms = info->oldest_ms,
                                          .log_time_ms = info->log_time_ms,
                                          .expired = info->expired,
                                          .dropped = info->dropped,
                                          .dead_lettered = info->dead_lettered,
                                          .redriven = info->redriven,
                                          .lock_ended = info->lock_ended,
                                          .parked = info->parked,
                                          .waiting = info->waiting,
                                          .bytes = info->bytes,
                                          .owned = info->owned,
                                          .active_session = info->active_session,
                                          .active_consumer = info->active_consumer};
        if (info->options != NULL) {
            client_options_decode(info->options, &queues[i].options);
        }
    }
    ret_result->queues = queues;
    ret_result->queues_len = message->n_queues;
    return 0;
}

/* Trails, heads and bodies follow each other in the frame's body: all of it, and each as its checksum says. */
static int messages_read(struct client_core *core, const Holdfast__QueryResult *message, const struct frame *frame,
                         struct client_query_result *ret_result)
{
    struct client_message *messages = arena_alloc(&core->arena, message->n_messages * sizeof *messages);
    if (messages == NULL) {
        return ERR_NOMEM;
    }
    struct slice rest = frame->body;
    rest.blob = frame->header.blob; /* Whose reference holds the frame's body, too. */
    for (size_t i = 0; i < message->n_messages; i++) {
        const Holdfast__BrowsedMessage *browsed = message->messages[i];
        size_t hashed_len = (size_t)browsed->head_len + browsed->body_len;
        size_t len = browsed->trail_len + hashed_len;
        if (len > rest.len) {
            return ERR_INVALID;
        }
        struct slice hashed = slice_part(rest, browsed->trail_len, hashed_len);
        struct slice trail = slice_part(rest, 0, browsed->trail_len);
        rest = slice_part(rest, len, rest.len - len);
        if (XXH3_64bits(hashed.data, hashed.len) != browsed->body_hash) {
            return ERR_CHECKSUM;
        }
        messages[i] = (struct client_message){.position = browsed->position,
                                              .enqueued_ms = browsed->enqueued_ms,
                                              .body_hash = browsed->body_hash,
                                              .delivery_count = browsed->delivery_count,
                                              .locked = browsed->locked,
                                              .expires_ms = browsed->expires_ms,
                                              .left_ms = browsed->left_ms,
                                              .state = browsed->state[0] != '\0' ? browsed->state
                                                       : browsed->locked         ? "locked"
                                                                                 : "ready",
                                              .trail = trail,
                                              .head = slice_part(hashed, 0, browsed->head_len),
                                              .body = slice_part(hashed, browsed->head_len, browsed->body_len)};
    }
    ret_result->messages = messages;
    ret_result->messages_len = message->n_messages;
    return rest.len == 0 ? 0 : ERR_INVALID;
}

static int cluster_read(struct client_core *core, const Holdfast__ClusterInfo *info,
                        struct client_query_result *ret_result)
{
    struct client_cluster *cluster = arena_alloc(&core->arena, sizeof *cluster);
    struct client_member *members = arena_alloc(&core->arena, info->n_members * sizeof *members);
    if (cluster == NULL || members == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < info->n_members; i++) {
        const Holdfast__MemberInfo *member = info->members[i];
        members[i] = (struct client_member){.id = member->id,
                                            .peer_address = member->peer_address,
                                            .client_address = member->client_address,
                                            .role = member->role,
                                            .connected = member->connected,
                                            .match_index = member->match_index,
                                            .detail = member->detail,
                                            .voter = member->voter,
                                            .preferred = member->preferred,
                                            .zone = member->zone};
    }
    *cluster = (struct client_cluster){.cluster = info->cluster,
                                       .node = info->node,
                                       .leader = info->leader,
                                       .term = info->term,
                                       .commit_index = info->commit_index,
                                       .applied_index = info->applied_index,
                                       .log_first = info->log_first,
                                       .log_last = info->log_last,
                                       .checkpoint_index = info->checkpoint_index,
                                       .log_time_ms = info->log_time_ms,
                                       .machine_version = info->machine_version,
                                       .version = info->version,
                                       .entries_replayed = info->entries_replayed,
                                       .refusing = info->refusing,
                                       .sessions = info->sessions,
                                       .members = members,
                                       .members_len = info->n_members,
                                       .alarms = (const char *const *)info->alarms,
                                       .alarms_len = info->n_alarms};
    ret_result->cluster = cluster;
    return 0;
}

static int exchanges_read(struct client_core *core, const Holdfast__QueryResult *message,
                          struct client_query_result *ret_result)
{
    struct client_exchange *exchanges = arena_alloc(&core->arena, (message->n_exchanges + 1) * sizeof *exchanges);
    if (exchanges == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < message->n_exchanges; i++) {
        const Holdfast__DeclareExchange *declared = message->exchanges[i]->exchange;
        if (declared == NULL) {
            return ERR_INVALID;
        }
        exchanges[i] = (struct client_exchange){.name = declared->exchange,
                                                .type = (enum client_exchange_type)declared->type,
                                                .auto_delete = declared->auto_delete,
                                                .internal = declared->internal,
                                                .has_alternate = declared->has_alternate,
                                                .alternate = declared->alternate,
                                                .protected_ = declared->protected_,
                                                .note = declared->note,
                                                .bindings = message->exchanges[i]->bindings,
                                                .delayed = declared->delayed};
    }
    ret_result->exchanges = exchanges;
    ret_result->exchanges_len = message->n_exchanges;
    return 0;
}

static int bindings_read(struct client_core *core, const Holdfast__QueryResult *message,
                         struct client_query_result *ret_result)
{
    struct client_binding *bindings = arena_alloc(&core->arena, (message->n_bindings + 1) * sizeof *bindings);
    if (bindings == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < message->n_bindings; i++) {
        const Holdfast__Bind *bind = message->bindings[i]->binding;
        if (bind == NULL) {
            return ERR_INVALID;
        }
        bindings[i] = (struct client_binding){.source = bind->source,
                                              .queue = bind->to_exchange ? NULL : bind->queue,
                                              .exchange = bind->to_exchange ? bind->exchange : NULL,
                                              .key = bind->key,
                                              .arguments_len = bind->n_argument,
                                              .id = message->bindings[i]->id};
        int err = client_headers_decode(bind->argument, bind->n_argument, &core->arena, &bindings[i].arguments);
        if (err != 0) {
            return err;
        }
    }
    ret_result->bindings = bindings;
    ret_result->bindings_len = message->n_bindings;
    return 0;
}

static int hosts_read(struct client_core *core, const Holdfast__QueryResult *message,
                      struct client_query_result *ret_result)
{
    struct client_virtual_host *hosts = arena_alloc(&core->arena, (message->n_virtual_hosts + 1) * sizeof *hosts);
    if (hosts == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < message->n_virtual_hosts; i++) {
        const Holdfast__VirtualHostInfo *info = message->virtual_hosts[i];
        hosts[i] = (struct client_virtual_host){.name = info->name, .id = info->id, .note = info->note};
    }
    ret_result->virtual_hosts = hosts;
    ret_result->virtual_hosts_len = message->n_virtual_hosts;
    return 0;
}

static int life_read(struct client_core *core, const Holdfast__QueryResult *message,
                     struct client_query_result *ret_result)
{
    struct client_step *steps = arena_alloc(&core->arena, (message->n_life + 1) * sizeof *steps);
    if (steps == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < message->n_life; i++) {
        const Holdfast__LifeStep *step = message->life[i];
        steps[i] = (struct client_step){.what = step->what,
                                        .index = step->index,
                                        .time_ms = step->time_ms,
                                        .session = step->session,
                                        .consumer = step->consumer,
                                        .text = step->text};
    }
    ret_result->steps = steps;
    ret_result->steps_len = message->n_life;
    return 0;
}

static int consumers_read(struct client_core *core, const Holdfast__QueryResult *message,
                          struct client_query_result *ret_result)
{
    struct client_consumer_info *consumers = arena_alloc(&core->arena, (message->n_consumers + 1) * sizeof *consumers);
    if (consumers == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < message->n_consumers; i++) {
        const Holdfast__ConsumerInfo *info = message->consumers[i];
        consumers[i] = (struct client_consumer_info){.session = info->session,
                                                     .consumer = info->consumer,
                                                     .node = info->node,
                                                     .delivered = info->delivered,
                                                     .lock_ms = info->lock_ms,
                                                     .credit = info->credit,
                                                     .unsettled = info->unsettled,
                                                     .priority = info->priority,
                                                     .exclusive = info->exclusive,
                                                     .auto_accept = info->auto_accept,
                                                     .fetch = info->fetch,
                                                     .active = info->active,
                                                     .tag = info->tag};
    }
    ret_result->consumers = consumers;
    ret_result->consumers_len = message->n_consumers;
    return 0;
}

static int limits_read(struct client_core *core, const Holdfast__QueryResult *message,
                       struct client_query_result *ret_result)
{
    struct client_limit *limits = arena_alloc(&core->arena, (message->n_limits + 1) * sizeof *limits);
    if (limits == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < message->n_limits; i++) {
        const Holdfast__LimitInfo *info = message->limits[i];
        limits[i] = (struct client_limit){.what = (enum hf_limit)info->what,
                                          .is_set = info->is_set,
                                          .is_counted = info->is_counted,
                                          .value = info->value,
                                          .used = info->used};
    }
    ret_result->limits = limits;
    ret_result->limits_len = message->n_limits;
    return 0;
}

static int producer_read(struct client_core *core, const Holdfast__ProducerInfo *info,
                         struct client_query_result *ret_result)
{
    struct client_producer *producer = arena_alloc(&core->arena, sizeof *producer);
    if (producer == NULL) {
        return ERR_NOMEM;
    }
    *producer = (struct client_producer){
        .name = info->name, .epoch = info->epoch, .last_sequence = info->last_sequence, .session = info->session};
    ret_result->producer = producer;
    return 0;
}

static int prepared_read(struct client_core *core, const Holdfast__QueryResult *message,
                         struct client_query_result *ret_result)
{
    struct client_prepared *prepared = arena_alloc(&core->arena, (message->n_prepared + 1) * sizeof *prepared);
    if (prepared == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < message->n_prepared; i++) {
        const Holdfast__PreparedInfo *info = message->prepared[i];
        prepared[i] = (struct client_prepared){.id = info->id,
                                               .group = info->group,
                                               .state = info->state,
                                               .messages = info->messages,
                                               .ask_ms = info->ask_ms,
                                               .deadline_ms = info->deadline_ms,
                                               .commit_at_deadline = info->commit_at_deadline,
                                               .remembered_until_ms = info->remembered_until_ms};
    }
    ret_result->prepared = prepared;
    ret_result->prepared_len = message->n_prepared;
    return 0;
}

int client_answer_read(struct client_core *core, int kind, const Holdfast__QueryResult *message,
                       const struct frame *frame, struct client_query_result *ret_result)
{
    ret_result->more = message->more;
    switch (kind) {
    case HOLDFAST__QUERY__KIND__CLUSTER:
        return message->cluster == NULL ? ERR_INVALID : cluster_read(core, message->cluster, ret_result);
    case HOLDFAST__QUERY__KIND__QUEUE:
        return message->n_queues != 1 ? ERR_INVALID : queues_read(core, message, ret_result);
    case HOLDFAST__QUERY__KIND__QUEUES: return queues_read(core, message, ret_result);
    case HOLDFAST__QUERY__KIND__EXCHANGES: return exchanges_read(core, message, ret_result);
    case HOLDFAST__QUERY__KIND__BINDINGS: return bindings_read(core, message, ret_result);
    case HOLDFAST__QUERY__KIND__VIRTUAL_HOSTS: return hosts_read(core, message, ret_result);
    case HOLDFAST__QUERY__KIND__LIFE: return life_read(core, message, ret_result);
    case HOLDFAST__QUERY__KIND__CONSUMERS: return consumers_read(core, message, ret_result);
    case HOLDFAST__QUERY__KIND__LIMITS: return limits_read(core, message, ret_result);
    case HOLDFAST__QUERY__KIND__PRODUCER:
        return message->producer == NULL ? ERR_INVALID : producer_read(core, message->producer, ret_result);
    case HOLDFAST__QUERY__KIND__PREPARED: return prepared_read(core, message, ret_result);
    case HOLDFAST__QUERY__KIND__KEPT:
    case HOLDFAST__QUERY__KIND__BROWSE: return messages_read(core, message, frame, ret_result);
    default: return 0;
    }
}
