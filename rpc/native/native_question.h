/* What a client asks, checked: from a Query to what can be answered. Pure. */

#ifndef HOLDFAST_RPC_NATIVE_NATIVE_QUESTION_H
#define HOLDFAST_RPC_NATIVE_NATIVE_QUESTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "proto/wire/native.pb-c.h"
#include "rpc/gateway.h"

/* A query that can be answered, its names checked. */
struct native_question {
    uint64_t id;
    uint32_t kind;     /* Holdfast__Query__Kind; another is answered with INVALID. */
    uint64_t position; /* Of a message; the id of a binding; with `session`, a consumer's number. */
    uint64_t session;
    uint32_t max;
    uint64_t node;
    const char *name; /* Of the queue, exchange, user or producer, or after which others are wanted; "" for none. */
    const char *virtual_host; /* "" is "/". */
    bool from;                /* Bindings of one exchange; exchanges from the first, "", on. */
    bool heads;               /* Who asks knows heads and trails. */
    const char *address;      /* Of the node that is to be a member: host:port. */
};

/* Whether the gateway's replica must be current for the answer. */
bool native_question_reads(const struct native_question *question);

/* What its answer counts at least, of NATIVE_QUERY_TURN_LEN, for the time that it takes to make. */
size_t native_question_weight(const struct native_question *question);

/* Whether it asks for a change of the membership, which is answered when that is done; which one, then. */
bool native_question_changes(const struct native_question *question, enum gateway_change_kind *ret_kind);

/* What `query` asks; borrows from it. ERR_NAME, ERR_UTF8: what it names is no name. ERR_INVALID: an address is not host:port. All
 * but that is there. */
int native_question_of(const Holdfast__Query *query, struct native_question *ret_question) NODISCARD;

/* The most that the answer to a question may take, about. */
size_t native_result_len_max(const struct gateway *gateway, const struct native_question *question);

#endif
