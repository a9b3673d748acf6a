/* From a Query to a question that can be answered. */

#include "rpc/native/native_question.h"

#include <string.h>

#include "proto/base/bytes.h"
#include "proto/base/limits.h"
#include "proto/wire/frame.h"
#include "rpc/address.h"
#include "rpc/native/native_limit.h"
#include "rpc/native/native_query.h"
#include "rpc/native/native_result.h"

/* An answer that is no list: of a queue, its names, note and numbers. */
#define SINGLE_LEN_MAX (8 * NAME_LEN_MAX)

/* What kind of answer a kind of query has. */
enum answer { ANSWER_AT_ONCE, ANSWER_SINGLE, ANSWER_LIST, ANSWER_MESSAGES };

static enum answer answer_of(uint32_t kind)
{
    switch (kind) {
    case HOLDFAST__QUERY__KIND__QUEUE:
    case HOLDFAST__QUERY__KIND__LIMITS:
    case HOLDFAST__QUERY__KIND__PRODUCER: return ANSWER_SINGLE;
    case HOLDFAST__QUERY__KIND__QUEUES:
    case HOLDFAST__QUERY__KIND__EXCHANGES:
    case HOLDFAST__QUERY__KIND__BINDINGS:
    case HOLDFAST__QUERY__KIND__LIFE:
    case HOLDFAST__QUERY__KIND__VIRTUAL_HOSTS:
    case HOLDFAST__QUERY__KIND__CONSUMERS:
    case HOLDFAST__QUERY__KIND__PREPARED: return ANSWER_LIST;
    case HOLDFAST__QUERY__KIND__KEPT:
    case HOLDFAST__QUERY__KIND__BROWSE: return ANSWER_MESSAGES;
    default: return ANSWER_AT_ONCE;
    }
}

bool native_question_reads(const struct native_question *question)
{
    return answer_of(question->kind) != ANSWER_AT_ONCE;
}

size_t native_question_weight(const struct native_question *question)
{
    switch (answer_of(question->kind)) {
    case ANSWER_LIST: return NATIVE_QUERY_LIST_LEN_MIN;
    case ANSWER_MESSAGES: return NATIVE_QUERY_TURN_LEN;
    default: return 0;
    }
}

size_t native_result_len_max(const struct gateway *gateway, const struct native_question *question)
{
    uint64_t body_len_max = native_limit_of(gateway->body_len_max);
    switch (answer_of(question->kind)) {
    case ANSWER_LIST: return FRAME_HEADER_LEN_MAX;
    case ANSWER_MESSAGES:
        return FRAME_HEADER_LEN_MAX +
               (size_t)(body_len_max > NATIVE_RESULT_BODIES_LEN_MAX ? body_len_max : NATIVE_RESULT_BODIES_LEN_MAX);
    default: return SINGLE_LEN_MAX;
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
    case HOLDFAST__QUERY__KIND__VIRTUAL_HOSTS:
    case HOLDFAST__QUERY__KIND__PREPARED: return query->after;
    case HOLDFAST__QUERY__KIND__BINDINGS: return query->exchange;
    case HOLDFAST__QUERY__KIND__LIMITS: return query->user;
    case HOLDFAST__QUERY__KIND__PRODUCER: *ret_may_be_empty = false; return query->producer;
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
        .session = query->session,
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
