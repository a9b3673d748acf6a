/* Queries of a client: not numbered, not remembered, asked again on every new connection until they are answered. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/bytes.h"
#include "proto/base/check.h"
#include "proto/wire/strings.h"
#include "rpc/client/client_query.h"
#include "rpc/client/client_state.h"
#include "rpc/native/native_frame.h"

/* Takes what `wanted` asks for; its list node, id and deadline are made here. */
static int ask_add(struct client_core *core, const struct client_ask *wanted, const char *name, uint64_t timeout_ms)
{
    if (core->phase == CLIENT_ENDED) {
        return core->ended_err;
    }
    if (core->asks_len >= CLIENT_QUERIES_MAX) {
        return ERR_BUSY;
    }
    size_t name_len = strlen(name);
    if (name_len > NAME_LEN_MAX) {
        return ERR_NAME;
    }
    if (!bytes_are_utf8(name, name_len)) {
        return ERR_UTF8;
    }
    struct client_ask *ask = malloc(sizeof *ask);
    if (ask == NULL) {
        return ERR_NOMEM;
    }
    *ask = *wanted;
    ask->id = ++core->ask_id;
    memcpy(ask->name, name, name_len + 1);
    ask->deadline_ms = client_deadline(core, timeout_ms);
    list_push_back(&core->asks, &ask->node_in_list);
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
    struct client_ask ask = {.kind = HOLDFAST__QUERY__KIND__QUEUES, .cb = cb, .arg = arg};
    return ask_add(core, &ask, after == NULL ? "" : after, timeout_ms);
}

int client_core_query_queue(struct client_core *core, const char *queue, uint64_t timeout_ms, client_query_cb cb,
                            void *arg)
{
    struct client_ask ask = {.kind = HOLDFAST__QUERY__KIND__QUEUE, .cb = cb, .arg = arg};
    return queue[0] == '\0' ? ERR_NAME : ask_add(core, &ask, queue, timeout_ms);
}

int client_core_query_browse(struct client_core *core, const char *queue, uint64_t position, uint32_t max,
                             uint64_t timeout_ms, client_query_cb cb, void *arg)
{
    struct client_ask ask = {
        .kind = HOLDFAST__QUERY__KIND__BROWSE, .position = position, .max = max, .cb = cb, .arg = arg};
    if (queue[0] == '\0' || max == 0) {
        return max == 0 ? ERR_INVALID : ERR_NAME;
    }
    return ask_add(core, &ask, queue, timeout_ms);
}

int client_core_query_kept(struct client_core *core, const char *queue, uint64_t position, uint32_t max,
                           uint64_t timeout_ms, client_query_cb cb, void *arg)
{
    struct client_ask ask = {
        .kind = HOLDFAST__QUERY__KIND__KEPT, .position = position, .max = max, .cb = cb, .arg = arg};
    if (queue[0] == '\0' || max == 0) {
        return max == 0 ? ERR_INVALID : ERR_NAME;
    }
    return ask_add(core, &ask, queue, timeout_ms);
}

int client_core_query_life(struct client_core *core, const char *queue, uint64_t position, uint64_t timeout_ms,
                           client_query_cb cb, void *arg)
{
    struct client_ask ask = {.kind = HOLDFAST__QUERY__KIND__LIFE, .position = position, .cb = cb, .arg = arg};
    return queue[0] == '\0' ? ERR_NAME : ask_add(core, &ask, queue, timeout_ms);
}

int client_core_query_exchanges(struct client_core *core, const char *after, uint64_t timeout_ms, client_query_cb cb,
                                void *arg)
{
    struct client_ask ask = {.kind = HOLDFAST__QUERY__KIND__EXCHANGES, .flag = after == NULL, .cb = cb, .arg = arg};
    return ask_add(core, &ask, after == NULL ? "" : after, timeout_ms);
}

int client_core_query_bindings(struct client_core *core, const char *exchange, uint64_t after, uint64_t timeout_ms,
                               client_query_cb cb, void *arg)
{
    struct client_ask ask = {
        .kind = HOLDFAST__QUERY__KIND__BINDINGS, .flag = exchange != NULL, .position = after, .cb = cb, .arg = arg};
    return ask_add(core, &ask, exchange == NULL ? "" : exchange, timeout_ms);
}

int client_core_query_virtual_hosts(struct client_core *core, const char *after, uint64_t timeout_ms,
                                    client_query_cb cb, void *arg)
{
    struct client_ask ask = {.kind = HOLDFAST__QUERY__KIND__VIRTUAL_HOSTS, .cb = cb, .arg = arg};
    return ask_add(core, &ask, after, timeout_ms);
}

int client_core_query_consumers(struct client_core *core, const char *queue, uint64_t session, uint64_t consumer,
                                uint64_t timeout_ms, client_query_cb cb, void *arg)
{
    struct client_ask ask = {
        .kind = HOLDFAST__QUERY__KIND__CONSUMERS, .session = session, .position = consumer, .cb = cb, .arg = arg};
    return queue[0] == '\0' ? ERR_NAME : ask_add(core, &ask, queue, timeout_ms);
}

int client_core_query_limits(struct client_core *core, const char *user, uint64_t timeout_ms, client_query_cb cb,
                             void *arg)
{
    struct client_ask ask = {.kind = HOLDFAST__QUERY__KIND__LIMITS, .cb = cb, .arg = arg};
    return user != NULL && user[0] == '\0' ? ERR_NAME : ask_add(core, &ask, user == NULL ? "" : user, timeout_ms);
}

int client_core_query_producer(struct client_core *core, const char *producer, uint64_t timeout_ms, client_query_cb cb,
                               void *arg)
{
    struct client_ask ask = {.kind = HOLDFAST__QUERY__KIND__PRODUCER, .cb = cb, .arg = arg};
    return producer[0] == '\0' ? ERR_NAME : ask_add(core, &ask, producer, timeout_ms);
}

int client_core_query_prepared(struct client_core *core, const char *after, uint64_t timeout_ms, client_query_cb cb,
                               void *arg)
{
    struct client_ask ask = {.kind = HOLDFAST__QUERY__KIND__PREPARED, .cb = cb, .arg = arg};
    return ask_add(core, &ask, after, timeout_ms);
}

int client_core_transfer(struct client_core *core, uint64_t node, uint64_t timeout_ms, client_query_cb cb, void *arg)
{
    struct client_ask ask = {.kind = HOLDFAST__QUERY__KIND__TRANSFER, .node = node, .cb = cb, .arg = arg};
    return ask_add(core, &ask, "", timeout_ms);
}

int client_core_change_member(struct client_core *core, enum client_change change, uint64_t node, const char *address,
                              uint64_t timeout_ms, client_query_cb cb, void *arg)
{
    static const int kinds[] = {
        [CLIENT_ADD_MEMBER] = HOLDFAST__QUERY__KIND__ADD_MEMBER,
        [CLIENT_PROMOTE_MEMBER] = HOLDFAST__QUERY__KIND__PROMOTE_MEMBER,
        [CLIENT_DEMOTE_MEMBER] = HOLDFAST__QUERY__KIND__DEMOTE_MEMBER,
        [CLIENT_REMOVE_MEMBER] = HOLDFAST__QUERY__KIND__REMOVE_MEMBER,
        [CLIENT_REPAIR_MEMBER] = HOLDFAST__QUERY__KIND__REPAIR_MEMBER,
    };
    CHECK((size_t)change < ARRAY_LEN(kinds));
    struct client_ask ask = {.kind = kinds[change], .node = node, .cb = cb, .arg = arg};
    const char *name = change == CLIENT_ADD_MEMBER && address != NULL ? address : "";
    if (node == 0 || strlen(name) > ADDRESS_LEN_MAX) {
        return ERR_INVALID;
    }
    return ask_add(core, &ask, name, timeout_ms);
}

/* Asked twice, they could undo what has come of the first time. */
static bool ask_once(const struct client_ask *ask)
{
    return ask->kind == HOLDFAST__QUERY__KIND__TRANSFER || ask->kind == HOLDFAST__QUERY__KIND__REPAIR_MEMBER;
}

static bool ask_changes(const struct client_ask *ask)
{
    return ask->kind == HOLDFAST__QUERY__KIND__ADD_MEMBER || ask->kind == HOLDFAST__QUERY__KIND__PROMOTE_MEMBER ||
           ask->kind == HOLDFAST__QUERY__KIND__DEMOTE_MEMBER || ask->kind == HOLDFAST__QUERY__KIND__REMOVE_MEMBER;
}

int client_core_query_cluster(struct client_core *core, uint64_t timeout_ms, client_query_cb cb, void *arg)
{
    struct client_ask ask = {.kind = HOLDFAST__QUERY__KIND__CLUSTER, .cb = cb, .arg = arg};
    return ask_add(core, &ask, "", timeout_ms);
}

/* What `ask` asks, on this connection. */
static int ask_send(struct client_core *core, struct client_ask *ask)
{
    Holdfast__Query query = HOLDFAST__QUERY__INIT;
    query.id = ask->id;
    query.kind = (Holdfast__Query__Kind)ask->kind;
    switch (ask->kind) {
    case HOLDFAST__QUERY__KIND__QUEUES:
    case HOLDFAST__QUERY__KIND__EXCHANGES:
    case HOLDFAST__QUERY__KIND__VIRTUAL_HOSTS:
    case HOLDFAST__QUERY__KIND__PREPARED: query.after = ask->name; break;
    case HOLDFAST__QUERY__KIND__LIMITS: query.user = ask->name; break;
    case HOLDFAST__QUERY__KIND__PRODUCER: query.producer = ask->name; break;
    case HOLDFAST__QUERY__KIND__BINDINGS: query.exchange = ask->name; break;
    case HOLDFAST__QUERY__KIND__ADD_MEMBER: query.address = ask->name; break;
    default: query.queue = ask->name; break;
    }
    query.from_first = ask->kind == HOLDFAST__QUERY__KIND__EXCHANGES && ask->flag;
    query.from = ask->kind == HOLDFAST__QUERY__KIND__BINDINGS && ask->flag;
    query.virtual_host = strcmp(core->virtual_host, "/") == 0 ? query.virtual_host : core->virtual_host;
    query.position = ask->position;
    query.session = ask->session;
    query.max = ask->max;
    query.node = ask->node;
    struct frame_out frame;
    int err = native_frame_encode(FRAME_QUERY, &query.base, NULL, 0, &frame);
    if (err == 0) {
        client_connection_send(core, &frame);
        ask->sent = true;
        ask->tried = true;
    }
    return err;
}

void client_ask_pump(struct client_core *core)
{
    if (core->phase != CLIENT_READY || core->broken) {
        return;
    }
    LIST_FOR_EACH (node, &core->asks) {
        struct client_ask *ask = container_of(node, struct client_ask, node_in_list);
        if (!ask->sent && ask_send(core, ask) != 0) {
            core->broken = true;
            return;
        }
    }
}

bool client_ask_sent(const struct client_core *core)
{
    LIST_FOR_EACH (node, &core->asks) {
        if (container_of(node, struct client_ask, node_in_list)->sent) {
            return true;
        }
    }
    return false;
}

static void ask_end(struct client_core *core, struct client_ask *ask, int err, const char *detail,
                    const struct client_query_result *result)
{
    list_remove(&ask->node_in_list);
    core->asks_len--;
    client_query_cb cb = ask->cb;
    void *arg = ask->arg;
    free(ask);
    cb(arg, err, detail, result);
}

/* The query that a result answers; NULL when it has run out of time meanwhile. */
static struct client_ask *ask_find(struct client_core *core, uint64_t id)
{
    LIST_FOR_EACH (node, &core->asks) {
        struct client_ask *ask = container_of(node, struct client_ask, node_in_list);
        if (ask->id == id && ask->sent) {
            return ask;
        }
    }
    return NULL;
}

int client_ask_result(struct client_core *core, struct frame *frame)
{
    ProtobufCMessage *base;
    if (!message_strings_are_whole(&holdfast__query_result__descriptor, frame->header.data, frame->header.len)) {
        return ERR_INVALID;
    }
    int err = native_frame_decode(frame, &holdfast__query_result__descriptor, &core->arena, &base);
    if (err != 0) {
        return err;
    }
    const Holdfast__QueryResult *message = (const Holdfast__QueryResult *)(void *)base;
    struct client_ask *ask = ask_find(core, message->id);
    if (ask == NULL) {
        return 0;
    }
    int refused = message->error > INT32_MAX ? ERR_INVALID : -(int)message->error;
    if (refused == ERR_UNAVAILABLE && !ask_changes(ask)) {
        ask->sent = false; /* It was not done: another node may. */
        return ERR_UNAVAILABLE;
    }
    struct client_query_result result = {0};
    if (refused != 0) {
        ask_end(core, ask, refused, message->detail[0] != '\0' ? message->detail : err_text(refused), NULL);
        err = refused == ERR_UNAVAILABLE ? refused : 0; /* The next time another is asked. */
    } else if ((err = client_answer_read(core, ask->kind, message, frame, &result)) == 0) {
        ask_end(core, ask, 0, "", &result);
    }
    return err;
}

/* Why there is no answer, for people. */
static const char *unanswered_text(const struct client_core *core, int err, char line[400])
{
    if ((err == ERR_UNAVAILABLE || core->refused_err != 0) && core->trouble[0] != '\0') {
        return core->trouble;
    }
    if (err != ERR_TIMEOUT) {
        return err_text(err);
    }
    snprintf(line, 400, "%s gave no answer in time%s", core->servers[core->server],
             core->leader == 0 ? "; it knew no leader: does a majority of the nodes run?" : "");
    return line;
}

/* Ends them without an answer. What was asked for and must not be asked for twice may have been done. */
static void asks_end(struct client_core *core, struct list_node *dead, int err)
{
    char line[400];
    struct list_node *node;
    while ((node = list_first(dead)) != NULL) {
        struct client_ask *ask = container_of(node, struct client_ask, node_in_list);
        bool unknown = (ask->sent && ask_once(ask)) || (ask->tried && ask_changes(ask));
        int end_err = unknown ? ERR_OUTCOME_UNKNOWN : err;
        ask_end(core, ask, end_err, unanswered_text(core, end_err, line), NULL);
    }
}

void client_ask_unsent(struct client_core *core)
{
    struct list_node dead;
    list_init(&dead);
    for (struct list_node *node = core->asks.next, *next; node != &core->asks; node = next) {
        struct client_ask *ask = container_of(node, struct client_ask, node_in_list);
        next = node->next;
        if (ask->sent && ask_once(ask)) {
            list_remove(node);
            list_push_back(&dead, node);
        }
        ask->sent = false;
    }
    asks_end(core, &dead, ERR_OUTCOME_UNKNOWN);
}

void client_ask_expire(struct client_core *core, uint64_t now)
{
    struct list_node dead;
    list_init(&dead);
    for (struct list_node *node = core->asks.next, *next; node != &core->asks; node = next) {
        struct client_ask *ask = container_of(node, struct client_ask, node_in_list);
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
