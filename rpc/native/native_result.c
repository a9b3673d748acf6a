/* Query results: what is collected, and the frame that it makes. */

#include "rpc/native/native_result.h"

#include <stdlib.h>

#include "rpc/native/native_bodies.h"
#include "rpc/native/native_result_private.h"

/* What the gateway says to it. Trouble with the collecting itself is in collector->err. */
static int collect(struct gateway *gateway, const struct native_question *question, struct collector *collector,
                   bool *ret_more)
{
    struct gateway_status status = {0};
    gateway->ops->status(gateway, &status);
    collector->log_time_ms = status.log_time_ms;
    switch (question->kind) {
    case HOLDFAST__QUERY__KIND__CLUSTER: collector->err = native_result_cluster(&status, collector); return 0;
    case HOLDFAST__QUERY__KIND__BROWSE:
    case HOLDFAST__QUERY__KIND__KEPT: return native_result_messages(gateway, question, collector, ret_more);
    case HOLDFAST__QUERY__KIND__TRANSFER: return gateway->ops->transfer(gateway, question->node);
    case HOLDFAST__QUERY__KIND__REPAIR_MEMBER: return gateway->ops->repair(gateway, question->node);
    default:
        return native_question_reads(question) ? native_result_list(gateway, question, collector, ret_more)
                                               : ERR_INVALID;
    }
}

/* What is not there. */
static const char *missing_text(const struct native_question *question)
{
    switch (question->kind) {
    case HOLDFAST__QUERY__KIND__QUEUES:
    case HOLDFAST__QUERY__KIND__EXCHANGES:
    case HOLDFAST__QUERY__KIND__LIMITS:
    case HOLDFAST__QUERY__KIND__PREPARED: return "there is no such virtual host";
    case HOLDFAST__QUERY__KIND__BINDINGS: return "there is no such exchange or virtual host";
    case HOLDFAST__QUERY__KIND__PRODUCER: return "nothing is known of such a producer";
    case HOLDFAST__QUERY__KIND__TRANSFER: return "there is no such member, or it cannot lead";
    default: return native_question_reads(question) ? "there is no such queue" : "there is no such member";
    }
}

/* The words for an error. */
static const char *detail_of(const struct native_question *question, int err)
{
    if (err == ERR_NOT_FOUND) {
        return missing_text(question);
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
        rest.detail = result_text(detail_of(question, err));
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
    result.detail = result_text(detail);
    return native_frame_encode(FRAME_QUERY_RESULT, &result.base, NULL, 0, ret_frame);
}
