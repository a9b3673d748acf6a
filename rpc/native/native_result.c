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
enum { RESULT_QUEUES_FIELD = 4, RESULT_CLUSTER_FIELD = 6, RESULT_MESSAGES_FIELD = 7 };

/* Of a QueueInfo: a name and nine numbers; of a BrowsedMessage: six numbers. */
_Static_assert(NATIVE_RESULT_QUEUES_MAX *(NAME_LEN_MAX + 9 * 11 + 10) + 1024 < FRAME_HEADER_LEN_MAX, "queues fit");
_Static_assert(NATIVE_RESULT_MESSAGES_MAX *(6 * 11 + 5) + 1024 < FRAME_HEADER_LEN_MAX, "messages fit");

/* A result being made. */
struct collector {
    struct bytes header;  /* The repeated fields, encoded so far. */
    struct slice *bodies; /* With references; room for `max`. */
    unsigned bodies_len;
    size_t bodies_bytes;
    unsigned max;
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
    case HOLDFAST__QUERY__KIND__QUEUES: return FRAME_HEADER_LEN_MAX;
    case HOLDFAST__QUERY__KIND__BROWSE:
        return FRAME_HEADER_LEN_MAX +
               (size_t)(body_len_max > NATIVE_RESULT_BODIES_LEN_MAX ? body_len_max : NATIVE_RESULT_BODIES_LEN_MAX);
    default: return 2 * NAME_LEN_MAX;
    }
}

bool native_question_reads(const struct native_question *question)
{
    return question->kind == HOLDFAST__QUERY__KIND__QUEUES || question->kind == HOLDFAST__QUERY__KIND__QUEUE ||
           question->kind == HOLDFAST__QUERY__KIND__BROWSE;
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

int native_question_of(const Holdfast__Query *query, struct native_question *ret_question)
{
    struct native_question question = {
        .id = query->id,
        .kind = (uint32_t)query->kind,
        .position = query->position,
        .max = query->max,
        .node = query->node,
        .name = "",
        .address = "",
    };
    int err = 0;
    if (question.kind == HOLDFAST__QUERY__KIND__ADD_MEMBER) {
        bool sound = address_is_sound(query->address);
        question.address = sound ? query->address : "";
        err = sound ? 0 : ERR_INVALID;
    }
    if (native_question_reads(&question)) {
        bool all = question.kind == HOLDFAST__QUERY__KIND__QUEUES;
        question.name = all ? query->after : query->queue;
        err = all && question.name[0] == '\0' ? 0 : name_check(question.name, strlen(question.name));
    }
    *ret_question = question;
    return err;
}

/* ---- Queues ---- */

static void on_queue(void *arg, const struct gateway_queue *queue)
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
    if (collector->err == 0) {
        collector->err = native_frame_append(&collector->header, RESULT_QUEUES_FIELD, &info.base);
    }
}

static int queue_collect(struct gateway *gateway, const char *name, struct collector *collector)
{
    struct gateway_queue queue;
    int err = gateway->ops->queue(gateway, name, &queue);
    if (err == 0) {
        on_queue(collector, &queue);
    }
    return err;
}

/* ---- Messages ---- */

static bool on_message(void *arg, const struct gateway_browsed *message)
{
    struct collector *collector = arg;
    size_t len = message->body.len;
    bool fits = collector->bodies_len == 0 ||
                (len <= NATIVE_RESULT_BODIES_LEN_MAX && collector->bodies_bytes <= NATIVE_RESULT_BODIES_LEN_MAX - len);
    if (collector->err != 0 || collector->bodies_len == collector->max || !fits) {
        collector->left_out = true;
        return false;
    }
    Holdfast__BrowsedMessage info = HOLDFAST__BROWSED_MESSAGE__INIT;
    info.position = message->position;
    info.enqueued_ms = message->enqueued_ms;
    info.body_hash = message->body_hash;
    info.body_len = (uint32_t)len;
    info.delivery_count = message->delivery_count;
    info.locked = message->locked;
    collector->err = native_frame_append(&collector->header, RESULT_MESSAGES_FIELD, &info.base);
    if (collector->err != 0) {
        return false;
    }
    collector->bodies[collector->bodies_len++] = slice_ref(message->body);
    collector->bodies_bytes += len;
    return collector->bodies_len < collector->max && collector->bodies_bytes < NATIVE_RESULT_BODIES_LEN_MAX;
}

static int browse_collect(struct gateway *gateway, const struct native_question *question, struct collector *collector,
                          bool *ret_more)
{
    bool any = question->max > 0 && question->max < NATIVE_RESULT_MESSAGES_MAX;
    collector->max = any ? question->max : NATIVE_RESULT_MESSAGES_MAX;
    collector->bodies = calloc(collector->max, sizeof *collector->bodies);
    if (collector->bodies == NULL) {
        collector->err = ERR_NOMEM;
        return 0;
    }
    bool more = false;
    int err = gateway->ops->browse(gateway, question->name, question->position, collector, on_message, &more);
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

/* What the gateway says to it. Trouble with the collecting itself is in collector->err. */
static int collect(struct gateway *gateway, const struct native_question *question, struct collector *collector,
                   bool *ret_more)
{
    struct gateway_status status = {0};
    gateway->ops->status(gateway, &status);
    collector->log_time_ms = status.log_time_ms;
    switch (question->kind) {
    case HOLDFAST__QUERY__KIND__CLUSTER: collector->err = cluster_collect(&status, collector); return 0;
    case HOLDFAST__QUERY__KIND__QUEUES:
        return gateway->ops->queues(gateway, question->name, NATIVE_RESULT_QUEUES_MAX, collector, on_queue, ret_more);
    case HOLDFAST__QUERY__KIND__QUEUE: return queue_collect(gateway, question->name, collector);
    case HOLDFAST__QUERY__KIND__BROWSE: return browse_collect(gateway, question, collector, ret_more);
    case HOLDFAST__QUERY__KIND__TRANSFER: return gateway->ops->transfer(gateway, question->node);
    case HOLDFAST__QUERY__KIND__REPAIR_MEMBER: return gateway->ops->repair(gateway, question->node);
    default: return ERR_INVALID;
    }
}

/* The words for an error. */
static const char *detail_of(const struct native_question *question, int err)
{
    if (err == ERR_NOT_FOUND) {
        return native_question_reads(question) ? "there is no such queue" : "there is no such member";
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
