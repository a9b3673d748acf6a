/* Answers to queries from what the gateway knows, encoded. Pure. */

#ifndef HOLDFAST_RPC_NATIVE_NATIVE_RESULT_H
#define HOLDFAST_RPC_NATIVE_NATIVE_RESULT_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "proto/base/limits.h"
#include "proto/wire/frame.h"
#include "rpc/gateway.h"
#include "rpc/native/native_frame.h"
#include "rpc/native/native_question.h"

/* Elements of a list, such as queues, and messages, in one result. */
#define NATIVE_RESULT_QUEUES_MAX 500u
#define NATIVE_RESULT_MESSAGES_MAX 1000u

/* Bytes of header at which a list is closed. */
#define NATIVE_RESULT_HEADER_LEN_MAX (128 * KIB)

/* Bytes of bodies at which a result is closed; a single larger body travels alone. */
#define NATIVE_RESULT_BODIES_LEN_MAX (1 * MIB)

/* The QUERY_RESULT to a question; with `err` it says no more than that. What the gateway refuses is told within the
 * result. ERR_NOMEM, ERR_TOO_BIG. */
int native_result_make(struct gateway *gateway, const struct native_question *question, int err,
                       struct frame_out *ret_frame) NODISCARD;

/* The same to one that has nothing but an error, or 0, and a line about it for an answer. */
int native_result_plain(uint64_t id, int err, const char *detail, struct frame_out *ret_frame) NODISCARD;

#endif
