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

/* Queues, and messages, in one result. */
#define NATIVE_RESULT_QUEUES_MAX 500u
#define NATIVE_RESULT_MESSAGES_MAX 1000u

/* Bytes of header at which a list is closed. */
#define NATIVE_RESULT_HEADER_LEN_MAX (200 * KIB)

/* Bytes of bodies at which a result is closed; a single larger body travels alone. */
#define NATIVE_RESULT_BODIES_LEN_MAX (1 * MIB)

/* A query that can be answered, its names checked. */
struct native_question {
    uint64_t id;
    uint32_t kind; /* Holdfast__Query__Kind; another is answered with INVALID. */
    uint64_t position;
    uint32_t max;
    uint64_t node;
    const char *name;         /* Of the queue or exchange, or after which others are wanted; "" for none. */
    const char *virtual_host; /* "" is "/". */
    bool from;                /* Bindings of one exchange; exchanges from the first, "", on. */
    bool heads;               /* Who asks knows heads and trails. */
    const char *address;      /* Of the node that is to be a member: host:port. */
};

/* Whether the gateway's replica must be current for the answer. */
bool native_question_reads(const struct native_question *question);

/* Whether it asks for a change of the membership, which is answered when that is done; which one, then. */
bool native_question_changes(const struct native_question *question, enum gateway_change_kind *ret_kind);

/* What `query` asks; borrows from it. ERR_NAME, ERR_UTF8: what it names is no name. ERR_INVALID: an address is not host:port. All
 * but that is there. */
int native_question_of(const Holdfast__Query *query, struct native_question *ret_question) NODISCARD;

/* The most that the answer to a question may take, about. */
size_t native_result_len_max(const struct gateway *gateway, const struct native_question *question);

/* The QUERY_RESULT to a question; with `err` it says no more than that. What the gateway refuses is told within the
 * result. ERR_NOMEM, ERR_TOO_BIG. */
int native_result_make(struct gateway *gateway, const struct native_question *question, int err,
                       struct frame_out *ret_frame) NODISCARD;

/* The same to one that has nothing but an error, or 0, and a line about it for an answer. */
int native_result_plain(uint64_t id, int err, const char *detail, struct frame_out *ret_frame) NODISCARD;

#endif
