/* Encoding of query results. */

#include "rpc/native/native_result.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/bytes.h"
#include "proto/base/check.h"
#include "rpc/address.h"
#include "rpc/native/native_bodies.h"
#include "rpc/native/native_limit.h"

/* The numbers of the repeated fields in QueryResult, and of the cluster. */
enum {
    RESULT_QUEUES_FIELD = 4,
    RESULT_CLUSTER_FIELD = 6,
    RESULT_MESSAGES_FIELD = 7,
    RESULT_EXCHANGES_FIELD = 8,
    RESULT_BINDINGS_FIELD = 9,
    RESULT_LIFE_FIELD = 10,
    RESULT_VIRTUAL_HOSTS_FIELD = 11,
};

/* Of a BrowsedMessage: ten numbers and a word. */
_Static_assert(NATIVE_RESULT_MESSAGES_MAX *(11 * 11 + 20) + 1024 < FRAME_HEADER_LEN_MAX, "messages fit");
/* The largest of a list is a binding: two names, a key and its arguments. */
_Static_assert(NATIVE_RESULT_HEADER_LEN_MAX + 32 * KIB < FRAME_HEADER_LEN_MAX, "one element more fits");

/* A result being made. */
struct collector {
    struct bytes header;  /* The repeated fields, encoded so far. */
    struct slice *bodies; /* With references; room for two for each of `max`. */
    unsigned bodies_len;
    unsigned messages;
    unsigned listed; /* Elements of a list. */
    size_t bodies_bytes;
    unsigned max;
    bool heads;
    bool left_out; /* A message that did not fit. */
    uint64_t log_time_ms;
    int err; /* Of the collecting itself. */
};

/* protobuf-c does not write to what it packs; its type has no const. */
static char *text(const char *string)
{
    return (char *)(uintptr_t)(string != NULL ? string : "");
}

/* ---- Questions ---- */

size_t native_result_len_max(const struct gateway *gateway, const struct native_question *question)
{
    uint64_t body_len_max = native_limit_of(gateway->body_len_max);
    switch (question->kind) {
    case HOLDFAST__QUERY__KIND__QUEUES:
    case HOLDFAST__QUERY__KIND__EXCHANGES:
    case HOLDFAST__QUERY__KIND__BINDINGS:
    case HOLDFAST__QUERY__KIND__LIFE:
    case HOLDFAST__QUERY__KIND__VIRTUAL_HOSTS: return FRAME_HEADER_LEN_MAX;
    case HOLDFAST__QUERY__KIND__KEPT:
    case HOLDFAST__QUERY__KIND__BROWSE:
        return FRAME_HEADER_LEN_MAX +
               (size_t)(body_len_max > NATIVE_RESULT_BODIES_LEN_MAX ? body_len_max : NATIVE_RESULT_BODIES_LEN_MAX);
    default: return 2 * NAME_LEN_MAX;
    }
}

bool native_question_reads(const struct native_question *question)
{
    switch (question->kind) {
    case HOLDFAST__QUERY__KIND__QUEUES:
    case HOLDFAST__QUERY__KIND__QUEUE:
    case HOLDFAST__QUERY__KIND__BROWSE:
    case HOLDFAST__QUERY__KIND__EXCHANGES:
    case HOLDFAST__QUERY__KIND__BINDINGS:
    case HOLDFAST__QUERY__KIND__KEPT:
    case HOLDFAST__QUERY__KIND__LIFE:
    case HOLDFAST__QUERY__KIND__VIRTUAL_HOSTS: return true;
    default: return false;
    }
}

bool native_question_changes(const struct native_question *question, enum gateway_change_kind *ret_kind)
{
    switch (question->kind) {
    case HOLDFAST__QUERY__KIND__ADD_MEMBER: *ret_kind = GATEWAY_ADD; return true;
    case HOLDFAST__QUERY__KIND__PROMOTE_MEMBER: *ret_kind = GATEWAY_PROMOTE; return true;
    case HOLDFAST__QUERY__KIND__DEMOTE_MEMBER: *ret_kind = GATEWAY_DEMOTE; return true;
    case HOLDFAST__QUERY__KIND__REMOVE_MEMBER: *ret_kind = GATEWAY_REMOVE; return true;
    default: return false;
    }
}

static bool address_is_sound(const char *text)
{
    struct address address;
    return strlen(text) <= ADDRESS_LEN_MAX && bytes_are_utf8(text, strlen(text)) &&
           address_parse(text, &address) == 0 && address.port_number != 0;
}

/* What a question about the replica names, and whether that may be "". */
static const char *name_of(const Holdfast__Query *query, bool *ret_may_be_empty)
{
    *ret_may_be_empty = true;
    switch (query->kind) {
    case HOLDFAST__QUERY__KIND__QUEUES:
    case HOLDFAST__QUERY__KIND__EXCHANGES:
    case HOLDFAST__QUERY__KIND__VIRTUAL_HOSTS: return query->after;
    case HOLDFAST__QUERY__KIND__BINDINGS: return query->exchange;
    default: *ret_may_be_empty = false; return query->queue;
    }
}

static int name_fault(const char *name, bool may_be_empty)
{
    return may_be_empty && name[0] == '\0' ? 0 : name_check(name, strlen(name));
}

int native_question_of(const Holdfast__Query *query, struct native_question *ret_question)
{
    struct native_question question = {
        .id = query->id,
        .kind = (uint32_t)query->kind,
        .position = query->position,
        .max = query->max,
        .node = query->node,
        .name = "",
        .virtual_host = "",
        .address = "",
    };
    int err = 0;
    if (question.kind == HOLDFAST__QUERY__KIND__ADD_MEMBER) {
        bool sound = address_is_sound(query->address);
        question.address = sound ? query->address : "";
        err = sound ? 0 : ERR_INVALID;
    }
    if (native_question_reads(&question)) {
        bool may_be_empty;
        question.name = name_of(query, &may_be_empty);
        question.virtual_host = query->virtual_host;
        question.from = question.kind == HOLDFAST__QUERY__KIND__EXCHANGES ? query->from_first : query->from;
        err = name_fault(question.name, may_be_empty);
        err = err == 0 ? name_fault(question.virtual_host, true) : err;
    }
    *ret_question = question;
    return err;
}

/* ---- Queues ---- */

/* Adds an element to a list. Whether it was taken. */
static bool list_add(struct collector *collector, unsigned field, const ProtobufCMessage *element)
{
    if (collector->err != 0 || collector->listed == NATIVE_RESULT_QUEUES_MAX ||
        collector->header.len >= NATIVE_RESULT_HEADER_LEN_MAX) {
        return false;
    }
    collector->listed++;
    collector->err = native_frame_append(&collector->header, field, element);
    return collector->err == 0;
}

static bool on_queue(void *arg, const struct gateway_queue *queue)
{
    struct collector *collector = arg;
    Holdfast__QueueInfo info = HOLDFAST__QUEUE_INFO__INIT;
    info.name = text(queue->name);
    info.ready = queue->ready;
    info.unsettled = queue->unsettled;
    info.consumers = queue->consumers;
    info.enqueued = queue->enqueued;
    info.delivered = queue->delivered;
    info.settled = queue->settled;
    info.released = queue->released;
    info.oldest_ms = queue->oldest_ms;
    info.log_time_ms = collector->log_time_ms;
    info.options = (Holdfast__QueueOptions *)(uintptr_t)queue->options;
    info.parked = queue->parked;
    info.waiting = queue->waiting;
    info.bytes = queue->bytes;
    info.expired = queue->expired;
    info.dropped = queue->dropped;
    info.dead_lettered = queue->dead_lettered;
    info.redriven = queue->redriven;
    info.lock_ended = queue->lock_ended;
    info.owned = queue->owned;
    info.active_session = queue->active_session;
    info.active_consumer = queue->active_consumer;
    return list_add(collector, RESULT_QUEUES_FIELD, &info.base);
}

static int queue_collect(struct gateway *gateway, const struct native_question *question, struct collector *collector)
{
    struct gateway_queue queue;
    int err = gateway->ops->queue(gateway, question->virtual_host, question->name, &queue);
    if (err == 0) {
        (void)on_queue(collector, &queue);
    }
    return err;
}

static bool on_exchange(void *arg, const struct gateway_exchange *exchange)
{
    Holdfast__ExchangeInfo info = HOLDFAST__EXCHANGE_INFO__INIT;
    info.exchange = (Holdfast__DeclareExchange *)(uintptr_t)exchange->declared;
    info.bindings = exchange->bindings;
    return list_add(arg, RESULT_EXCHANGES_FIELD, &info.base);
}

static bool on_binding(void *arg, const struct gateway_binding *binding)
{
    Holdfast__BindingInfo info = HOLDFAST__BINDING_INFO__INIT;
    info.binding = (Holdfast__Bind *)(uintptr_t)binding->bind;
    info.id = binding->id;
    return list_add(arg, RESULT_BINDINGS_FIELD, &info.base);
}

static bool on_virtual_host(void *arg, const struct gateway_virtual_host *host)
{
    Holdfast__VirtualHostInfo info = HOLDFAST__VIRTUAL_HOST_INFO__INIT;
    info.name = text(host->name);
    info.id = host->id;
    info.note = text(host->note);
    return list_add(arg, RESULT_VIRTUAL_HOSTS_FIELD, &info.base);
}

static bool on_step(void *arg, const struct gateway_step *step)
{
    Holdfast__LifeStep info = HOLDFAST__LIFE_STEP__INIT;
    info.what = text(step->what);
    info.index = step->index;
    info.time_ms = step->time_ms;
    info.session = step->session;
    info.consumer = step->consumer;
    info.text = text(step->text);
    return list_add(arg, RESULT_LIFE_FIELD, &info.base);
}

/* ---- Messages ---- */

static bool on_message(void *arg, const struct gateway_browsed *message)
{
    struct collector *collector = arg;
    struct native_content content =
        native_content_of(collector->heads, message->trail, message->head, message->body, message->body_hash);
    size_t len = content.trail.len + content.content.len;
    bool fits = collector->messages == 0 ||
                (len <= NATIVE_RESULT_BODIES_LEN_MAX && collector->bodies_bytes <= NATIVE_RESULT_BODIES_LEN_MAX - len);
    if (collector->err != 0 || collector->messages == collector->max || !fits) {
        collector->left_out = true;
        return false;
    }
    Holdfast__BrowsedMessage info = HOLDFAST__BROWSED_MESSAGE__INIT;
    info.position = message->position;
    info.enqueued_ms = message->enqueued_ms;
    info.body_hash = content.hash;
    info.body_len = (uint32_t)message->body.len;
    info.head_len = content.head_len;
    info.trail_len = (uint32_t)content.trail.len;
    info.delivery_count = message->delivery_count;
    info.locked = message->locked;
    info.state = text(message->state);
    info.expires_ms = message->expires_ms;
    info.left_ms = message->left_ms;
    collector->err = native_frame_append(&collector->header, RESULT_MESSAGES_FIELD, &info.base);
    if (collector->err != 0) {
        return false;
    }
    if (content.trail.len > 0) {
        collector->bodies[collector->bodies_len++] = slice_ref(content.trail);
    }
    collector->bodies[collector->bodies_len++] = slice_ref(content.content);
    collector->messages++;
    collector->bodies_bytes += len;
    return collector->messages < collector->max && collector->bodies_bytes < NATIVE_RESULT_BODIES_LEN_MAX;
}

static int browse_collect(struct gateway *gateway, const struct native_question *question, struct collector *collector,
                          bool *ret_more)
{
    bool any = question->max > 0 && question->max < NATIVE_RESULT_MESSAGES_MAX;
    collector->max = any ? question->max : NATIVE_RESULT_MESSAGES_MAX;
    collector->heads = question->heads;
    collector->bodies = calloc((size_t)collector->max * 2, sizeof *collector->bodies);
    if (collector->bodies == NULL) {
        collector->err = ERR_NOMEM;
        return 0;
    }
    bool more = false;
    int err = gateway->ops->browse(gateway, question->virtual_host, question->name, question->position,
                                   question->kind == HOLDFAST__QUERY__KIND__KEPT, collector, on_message, &more);
    *ret_more = more || collector->left_out;
    return err;
}

/* ---- The cluster ---- */

static int cluster_collect(const struct gateway_status *status, struct collector *collector)
{
    CHECK(status->members_len <= ARRAY_LEN(status->members));
    Holdfast__MemberInfo members[ARRAY_LEN(status->members)];
    Holdfast__MemberInfo *pointers[ARRAY_LEN(status->members)];
    for (unsigned i = 0; i < status->members_len; i++) {
        members[i] = (Holdfast__MemberInfo)HOLDFAST__MEMBER_INFO__INIT;
        members[i].id = status->members[i].id;
        members[i].peer_address = text(status->members[i].peer_address);
        members[i].client_address = text(status->members[i].client_address);
        members[i].role = text(status->members[i].role);
        members[i].connected = status->members[i].connected;
        members[i].match_index = status->members[i].match_index;
        members[i].detail = text(status->members[i].detail);
        members[i].voter = status->members[i].voter;
        members[i].zone = text(status->members[i].zone);
        members[i].preferred = status->members[i].preferred;
        pointers[i] = &members[i];
    }
    Holdfast__ClusterInfo info = HOLDFAST__CLUSTER_INFO__INIT;
    info.cluster = text(status->cluster);
    info.node = status->node;
    info.leader = status->leader;
    info.term = status->term;
    info.commit_index = status->commit_index;
    info.applied_index = status->applied_index;
    info.log_first = status->log_first;
    info.log_last = status->log_last;
    info.checkpoint_index = status->checkpoint_index;
    info.log_time_ms = status->log_time_ms;
    info.machine_version = status->machine_version;
    info.version = text(status->version);
    info.entries_replayed = status->entries_replayed;
    info.refusing = text(status->refusing);
    info.sessions = status->sessions;
    info.members = pointers;
    info.n_members = status->members_len;
    char *alarms[GATEWAY_ALARMS_MAX];
    CHECK(status->alarms_len <= GATEWAY_ALARMS_MAX);
    for (unsigned i = 0; i < status->alarms_len; i++) {
        alarms[i] = text(status->alarms[i]);
    }
    info.alarms = alarms;
    info.n_alarms = status->alarms_len;
    return native_frame_append(&collector->header, RESULT_CLUSTER_FIELD, &info.base);
}

/* ---- The result ---- */

static int list_collect(struct gateway *gateway, const struct native_question *question, struct collector *collector,
                        bool *ret_more)
{
    const struct gateway_ops *ops = gateway->ops;
    const char *host = question->virtual_host;
    const char *name = question->name;
    switch (question->kind) {
    case HOLDFAST__QUERY__KIND__QUEUES: return ops->queues(gateway, host, name, collector, on_queue, ret_more);
    case HOLDFAST__QUERY__KIND__EXCHANGES:
        return ops->exchanges(gateway, host, question->from ? NULL : name, collector, on_exchange, ret_more);
    case HOLDFAST__QUERY__KIND__BINDINGS:
        return ops->bindings(gateway, host, question->from ? name : NULL, question->position, collector, on_binding,
                             ret_more);
    case HOLDFAST__QUERY__KIND__VIRTUAL_HOSTS:
        return ops->virtual_hosts(gateway, name, collector, on_virtual_host, ret_more);
    default: return ops->life(gateway, host, name, question->position, collector, on_step, ret_more);
    }
}

/* What the gateway says to it. Trouble with the collecting itself is in collector->err. */
static int collect(struct gateway *gateway, const struct native_question *question, struct collector *collector,
                   bool *ret_more)
{
    struct gateway_status status = {0};
    gateway->ops->status(gateway, &status);
    collector->log_time_ms = status.log_time_ms;
    switch (question->kind) {
    case HOLDFAST__QUERY__KIND__CLUSTER: collector->err = cluster_collect(&status, collector); return 0;
    case HOLDFAST__QUERY__KIND__QUEUE: return queue_collect(gateway, question, collector);
    case HOLDFAST__QUERY__KIND__BROWSE:
    case HOLDFAST__QUERY__KIND__KEPT: return browse_collect(gateway, question, collector, ret_more);
    case HOLDFAST__QUERY__KIND__TRANSFER: return gateway->ops->transfer(gateway, question->node);
    case HOLDFAST__QUERY__KIND__REPAIR_MEMBER: return gateway->ops->repair(gateway, question->node);
    default:
        return native_question_reads(question) ? list_collect(gateway, question, collector, ret_more) : ERR_INVALID;
    }
}

/* The words for an error. */
static const char *detail_of(const struct native_question *question, int err)
{
    if (err == ERR_NOT_FOUND) {
        return !native_question_reads(question)                    ? "there is no such member"
               : question->kind == HOLDFAST__QUERY__KIND__BINDINGS ? "there is no such exchange or virtual host"
               : question->name[0] == '\0' || question->kind == HOLDFAST__QUERY__KIND__EXCHANGES
                   ? "there is no such virtual host"
                   : "there is no such queue";
    }
    if (err == ERR_REFUSED && question->kind == HOLDFAST__QUERY__KIND__REPAIR_MEMBER) {
        return "its data is needed: the other voters that can be reached are no majority";
    }
    if (err == ERR_INVALID && question->kind == HOLDFAST__QUERY__KIND__ADD_MEMBER) {
        return "the address is not host:port";
    }
    return err == ERR_INVALID ? "a kind of query that this node does not know" : err_text(err);
}

/* The parts of a protobuf message may come in any order: what was collected, then the rest. */
static int collector_close(struct collector *collector, const Holdfast__QueryResult *rest, struct frame_out *ret_frame)
{
    size_t len = holdfast__query_result__get_packed_size(rest);
    int err = len > 0 ? bytes_reserve(&collector->header, len) : 0;
    if (err != 0) {
        return err;
    }
    if (len > 0) {
        collector->header.len += holdfast__query_result__pack(rest, collector->header.data + collector->header.len);
    }
    return native_bodies_encode(FRAME_QUERY_RESULT, collector->header.data, collector->header.len, collector->bodies,
                                collector->bodies_len, ret_frame);
}

/* Drops what was collected. */
static void collector_empty(struct collector *collector)
{
    collector->header.len = 0;
    while (collector->bodies_len > 0) {
        slice_unref(&collector->bodies[--collector->bodies_len]);
    }
}

int native_result_make(struct gateway *gateway, const struct native_question *question, int err,
                       struct frame_out *ret_frame)
{
    struct collector collector = {0};
    bool more = false;
    if (err == 0) {
        err = collect(gateway, question, &collector, &more);
    }
    Holdfast__QueryResult rest = HOLDFAST__QUERY_RESULT__INIT;
    rest.id = question->id;
    rest.more = err == 0 && more;
    if (err != 0) {
        collector_empty(&collector);
        rest.error = (uint32_t)-err;
        rest.detail = text(detail_of(question, err));
    }
    int made = collector.err != 0 ? collector.err : collector_close(&collector, &rest, ret_frame);
    collector_empty(&collector);
    free(collector.bodies);
    bytes_done(&collector.header);
    return made;
}

int native_result_plain(uint64_t id, int err, const char *detail, struct frame_out *ret_frame)
{
    Holdfast__QueryResult result = HOLDFAST__QUERY_RESULT__INIT;
    result.id = id;
    result.error = (uint32_t)-err;
    result.detail = text(detail);
    return native_frame_encode(FRAME_QUERY_RESULT, &result.base, NULL, 0, ret_frame);
}
