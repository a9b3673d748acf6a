/* Queries of a client: not numbered, not remembered, asked again on every new connection until they are answered. */

#include <stdlib.h>
#include <string.h>

#include "proto/base/bytes.h"
#include "proto/base/check.h"
#include "rpc/client/client_query.h"
#include "rpc/client/client_state.h"
#include "rpc/native/native_frame.h"

static int ask_add(struct client_core *core, int kind, const char *after, uint64_t timeout_ms, client_query_cb cb,
                   void *arg)
{
    if (core->phase == CLIENT_ENDED) {
        return ERR_CLOSED;
    }
    if (core->asks_len >= CLIENT_QUERIES_MAX) {
        return ERR_BUSY;
    }
    size_t after_len = strlen(after);
    if (after_len > NAME_LEN_MAX) {
        return ERR_NAME;
    }
    if (!bytes_are_utf8(after, after_len)) {
        return ERR_UTF8;
    }
    struct client_ask *ask = calloc(1, sizeof *ask);
    if (ask == NULL) {
        return ERR_NOMEM;
    }
    ask->id = ++core->ask_id;
    ask->kind = kind;
    memcpy(ask->after, after, after_len + 1);
    ask->deadline_ms = client_deadline(core, timeout_ms);
    ask->cb = cb;
    ask->arg = arg;
    list_push_back(&core->asks, &ask->node);
    core->asks_len++;
    if (ask->deadline_ms < core->timeout_ms) {
        core->timeout_ms = ask->deadline_ms;
    }
    client_ask_pump(core);
    return 0;
}

int client_core_query_queues(struct client_core *core, const char *after, uint64_t timeout_ms, client_query_cb cb,
                             void *arg)
{
    return ask_add(core, HOLDFAST__QUERY__KIND__QUEUES, after == NULL ? "" : after, timeout_ms, cb, arg);
}

int client_core_query_cluster(struct client_core *core, uint64_t timeout_ms, client_query_cb cb, void *arg)
{
    return ask_add(core, HOLDFAST__QUERY__KIND__CLUSTER, "", timeout_ms, cb, arg);
}

void client_ask_pump(struct client_core *core)
{
    if (core->phase != CLIENT_READY || core->broken) {
        return;
    }
    LIST_FOR_EACH (node, &core->asks) {
        struct client_ask *ask = container_of(node, struct client_ask, node);
        if (ask->sent) {
            continue;
        }
        Holdfast__Query query = HOLDFAST__QUERY__INIT;
        query.id = ask->id;
        query.kind = (Holdfast__Query__Kind)ask->kind;
        query.after = ask->after;
        struct frame_out frame;
        if (native_frame_encode(FRAME_QUERY, &query.base, NULL, 0, &frame) != 0) {
            core->broken = true;
            return;
        }
        client_connection_send(core, &frame);
        ask->sent = true;
    }
}

void client_ask_unsent(struct client_core *core)
{
    LIST_FOR_EACH (node, &core->asks) {
        container_of(node, struct client_ask, node)->sent = false;
    }
}

bool client_ask_sent(const struct client_core *core)
{
    LIST_FOR_EACH (node, &core->asks) {
        if (container_of(node, struct client_ask, node)->sent) {
            return true;
        }
    }
    return false;
}

static void ask_end(struct client_core *core, struct client_ask *ask, int err, const char *detail,
                    const struct client_query_result *result)
{
    list_remove(&ask->node);
    core->asks_len--;
    client_query_cb cb = ask->cb;
    void *arg = ask->arg;
    free(ask);
    cb(arg, err, detail, result);
}

static int queues_read(struct client_core *core, const Holdfast__QueryResult *message,
                       struct client_query_result *ret_result)
{
    struct client_queue *queues = arena_alloc(&core->arena, message->n_queues * sizeof *queues);
    if (queues == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < message->n_queues; i++) {
        const Holdfast__QueueInfo *info = message->queues[i];
        queues[i] = (struct client_queue){
            .name = info->name, .ready = info->ready, .unsettled = info->unsettled, .consumers = info->consumers};
    }
    ret_result->queues = queues;
    ret_result->queues_len = message->n_queues;
    ret_result->more = message->more;
    return 0;
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
                                            .detail = member->detail};
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
                                       .members = members,
                                       .members_len = info->n_members};
    ret_result->cluster = cluster;
    return 0;
}

int client_ask_result(struct client_core *core, struct frame *frame)
{
    ProtobufCMessage *base;
    int err = native_frame_decode(frame, &holdfast__query_result__descriptor, &core->arena, &base);
    if (err != 0) {
        return err;
    }
    const Holdfast__QueryResult *message = (const Holdfast__QueryResult *)(void *)base;
    struct client_ask *ask = NULL;
    LIST_FOR_EACH (node, &core->asks) {
        struct client_ask *candidate = container_of(node, struct client_ask, node);
        if (candidate->id == message->id && candidate->sent) {
            ask = candidate;
            break;
        }
    }
    if (ask == NULL) {
        return 0; /* It has run out of time meanwhile. */
    }
    int refused = message->error > INT32_MAX ? ERR_INVALID : -(int)message->error;
    if (refused == ERR_NOT_LEADER && !core->options.query_only) {
        return ERR_NOT_LEADER;
    }
    if (refused != 0) {
        ask_end(core, ask, refused, message->detail, NULL);
        return 0;
    }
    struct client_query_result result = {0};
    if (ask->kind == HOLDFAST__QUERY__KIND__QUEUES) {
        err = queues_read(core, message, &result);
    } else {
        err = message->cluster == NULL ? ERR_INVALID : cluster_read(core, message->cluster, &result);
    }
    if (err == 0) {
        ask_end(core, ask, 0, "", &result);
    }
    return err;
}

static void asks_end(struct client_core *core, struct list_node *dead, int err)
{
    struct list_node *node;
    while ((node = list_first(dead)) != NULL) {
        ask_end(core, container_of(node, struct client_ask, node), err,
                err == ERR_UNAVAILABLE && core->trouble[0] != '\0' ? core->trouble : err_text(err), NULL);
    }
}

void client_ask_expire(struct client_core *core, uint64_t now)
{
    struct list_node dead;
    list_init(&dead);
    for (struct list_node *node = core->asks.next, *next; node != &core->asks; node = next) {
        struct client_ask *ask = container_of(node, struct client_ask, node);
        next = node->next;
        if (ask->deadline_ms <= now) {
            list_remove(node);
            list_push_back(&dead, node);
        } else if (ask->deadline_ms < core->timeout_ms) {
            core->timeout_ms = ask->deadline_ms;
        }
    }
    asks_end(core, &dead, core->phase == CLIENT_READY ? ERR_TIMEOUT : ERR_UNAVAILABLE);
}

void client_ask_end_all(struct client_core *core, int err)
{
    asks_end(core, &core->asks, err);
}
