/* Encoding of query results. */

#include "rpc/native/native_query.h"

#include <string.h>

#include "proto/base/check.h"
#include "proto/base/limits.h"

/* The numbers of the repeated fields in QueryResult and ClusterInfo. */
enum { RESULT_QUEUES_FIELD = 4, RESULT_CLUSTER_FIELD = 6 };

_Static_assert(NATIVE_QUERY_QUEUES_MAX *(NAME_LEN_MAX + 40) + 1024 < FRAME_HEADER_LEN_MAX, "a full result fits");

struct collector {
    struct bytes header;
    int err;
};

/* protobuf-c does not write to what it packs; its type has no const. */
static char *text(const char *string)
{
    return (char *)(uintptr_t)(string != NULL ? string : "");
}

static void on_queue(void *arg, const char *name, uint64_t ready, uint64_t unsettled, uint32_t consumers)
{
    struct collector *collector = arg;
    Holdfast__QueueInfo info = HOLDFAST__QUEUE_INFO__INIT;
    info.name = text(name);
    info.ready = ready;
    info.unsettled = unsettled;
    info.consumers = consumers;
    if (collector->err == 0) {
        collector->err = native_frame_append(&collector->header, RESULT_QUEUES_FIELD, &info.base);
    }
}

static int queues_collect(struct gateway *gateway, const Holdfast__Query *query, struct collector *collector,
                          Holdfast__QueryResult *result)
{
    size_t after_len = strlen(query->after);
    int err = after_len > 0 ? name_check(query->after, after_len) : 0;
    bool more = false;
    if (err == 0) {
        struct gateway_query_sink sink = {.arg = collector, .queue = on_queue};
        err = gateway->ops->queues(gateway, query->after, NATIVE_QUERY_QUEUES_MAX, &sink, &more);
    }
    if (collector->err != 0) {
        return collector->err;
    }
    if (err != 0) {
        collector->header.len = 0;
        result->error = (uint32_t)-err;
        result->detail = text(err_text(err));
        return 0;
    }
    result->more = more;
    return 0;
}

static int cluster_collect(struct gateway *gateway, struct collector *collector)
{
    struct gateway_status status = {0};
    gateway->ops->status(gateway, &status);
    CHECK(status.members_len <= ARRAY_LEN(status.members));
    Holdfast__MemberInfo members[ARRAY_LEN(status.members)];
    Holdfast__MemberInfo *pointers[ARRAY_LEN(status.members)];
    for (unsigned i = 0; i < status.members_len; i++) {
        members[i] = (Holdfast__MemberInfo)HOLDFAST__MEMBER_INFO__INIT;
        members[i].id = status.members[i].id;
        members[i].peer_address = text(status.members[i].peer_address);
        members[i].client_address = text(status.members[i].client_address);
        members[i].role = text(status.members[i].role);
        members[i].connected = status.members[i].connected;
        members[i].match_index = status.members[i].match_index;
        members[i].detail = text(status.members[i].detail);
        pointers[i] = &members[i];
    }
    Holdfast__ClusterInfo info = HOLDFAST__CLUSTER_INFO__INIT;
    info.cluster = text(status.cluster);
    info.node = status.node;
    info.leader = status.leader;
    info.term = status.term;
    info.commit_index = status.commit_index;
    info.applied_index = status.applied_index;
    info.log_first = status.log_first;
    info.log_last = status.log_last;
    info.checkpoint_index = status.checkpoint_index;
    info.log_time_ms = status.log_time_ms;
    info.machine_version = status.machine_version;
    info.version = text(status.version);
    info.entries_replayed = status.entries_replayed;
    info.members = pointers;
    info.n_members = status.members_len;
    return native_frame_append(&collector->header, RESULT_CLUSTER_FIELD, &info.base);
}

int native_query_answer(struct gateway *gateway, const Holdfast__Query *query, struct frame_out *ret_frame)
{
    Holdfast__QueryResult result = HOLDFAST__QUERY_RESULT__INIT;
    result.id = query->id;
    struct collector collector = {0};
    int err = 0;
    if (query->kind == HOLDFAST__QUERY__KIND__CLUSTER) {
        err = cluster_collect(gateway, &collector);
    } else if (query->kind == HOLDFAST__QUERY__KIND__QUEUES) {
        err = queues_collect(gateway, query, &collector, &result);
    } else {
        result.error = (uint32_t)-ERR_INVALID;
        result.detail = text("a kind of query that this node does not know");
    }
    /* The parts of a protobuf message may come in any order: what was collected, then the rest. */
    size_t len = holdfast__query_result__get_packed_size(&result);
    if (err == 0 && len > 0) {
        err = bytes_reserve(&collector.header, len);
        if (err == 0) {
            collector.header.len += holdfast__query_result__pack(&result, collector.header.data + collector.header.len);
        }
    }
    if (err == 0) {
        err = native_frame_encode_raw(FRAME_QUERY_RESULT, collector.header.data, collector.header.len, NULL, 0,
                                      ret_frame);
    }
    bytes_done(&collector.header);
    return err;
}
