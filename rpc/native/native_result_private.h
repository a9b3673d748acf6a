/* What the files that make query results share. Nobody else includes this. */

#ifndef HOLDFAST_RPC_NATIVE_NATIVE_RESULT_PRIVATE_H
#define HOLDFAST_RPC_NATIVE_NATIVE_RESULT_PRIVATE_H

#include "proto/base/bytes.h"
#include "rpc/native/native_result.h"

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
static inline char *result_text(const char *string)
{
    return (char *)(uintptr_t)(string != NULL ? string : "");
}

/* What the gateway says to a question of that kind, collected. Trouble with the collecting itself is in collector->err. */

/* native_result_list.c: all lists, and what is one element. */
int native_result_list(struct gateway *gateway, const struct native_question *question, struct collector *collector,
                       bool *ret_more) NODISCARD;
/* native_result_messages.c */
int native_result_messages(struct gateway *gateway, const struct native_question *question, struct collector *collector,
                           bool *ret_more) NODISCARD;
/* native_result_cluster.c. ERR_NOMEM. */
int native_result_cluster(const struct gateway_status *status, struct collector *collector) NODISCARD;

#endif
