/* Answers to QUERY frames, from what the gateway knows. Pure. */

#ifndef HOLDFAST_RPC_NATIVE_NATIVE_QUERY_H
#define HOLDFAST_RPC_NATIVE_NATIVE_QUERY_H

#include "proto/base/err.h"
#include "proto/wire/frame.h"
#include "rpc/gateway.h"
#include "rpc/native/native_frame.h"

/* Queues in one result. */
#define NATIVE_QUERY_QUEUES_MAX 500u

/* The QUERY_RESULT for a query. What the query asks wrongly, or the gateway refuses, is told within the result.
 * ERR_NOMEM, ERR_TOO_BIG. */
int native_query_answer(struct gateway *gateway, const Holdfast__Query *query, struct frame_out *ret_frame) NODISCARD;

#endif
