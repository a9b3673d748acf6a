/* Replies to commands, and how a session remembers them. */

#include "statemachine/reply.h"

#include <stdbool.h>
#include <stdlib.h>

#include "proto/base/check.h"
#include "proto/base/limits.h"

#define CAP_MIN 8u

const char *detail_text(unsigned detail)
{
    switch (detail) {
#define X(name, number, text)                                                                                          \
    case number: return text;
        DETAIL_LIST(X)
#undef X
    default: return "";
    }
}

void reply_fail(struct reply *reply, int err, enum detail detail)
{
    CHECK(err < 0 && -err <= UINT16_MAX);
    *reply = (struct reply){.error = (uint32_t)-err, .detail = detail};
}

static bool error_is_known(uint32_t error)
{
    switch (error) {
#define X(name, number, text) case number:
        ERR_LIST(X)
#undef X
        return true;
    default: return false;
    }
}

void reply_refuse(struct reply *reply, uint32_t error)
{
    int err = error_is_known(error) ? -(int)error : ERR_INVALID;
    reply_fail(reply, err, err == ERR_NO_SPACE ? DETAIL_NO_SPACE : DETAIL_NOT_TAKEN);
}

static int replies_grow(struct replies *replies)
{
    size_t cap = replies->cap > 0 ? 2 * replies->cap : CAP_MIN;
    struct reply_kept *items = calloc(cap, sizeof *items);
    if (items == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < replies->len; i++) {
        uint64_t number = replies->last - i;
        items[number & (cap - 1)] = replies->items[number & (replies->cap - 1)];
    }
    free(replies->items);
    replies->items = items;
    replies->cap = cap;
    return 0;
}

int replies_push(struct replies *replies, const struct reply *reply)
{
    if (replies->len == replies->cap && replies->cap < SESSION_WINDOW_MAX) {
        int err = replies_grow(replies);
        if (err != 0) {
            return err;
        }
    }
    replies->last++;
    replies->items[replies->last & (replies->cap - 1)] = (struct reply_kept){
        .count = reply->count,
        .repeated_count = reply->repeated_count,
        .error = (uint16_t)reply->error,
        .detail = (uint16_t)reply->detail,
    };
    if (replies->len < replies->cap) {
        replies->len++;
    }
    return 0;
}

void replies_forget(struct replies *replies, uint64_t number)
{
    uint64_t keep = number < replies->last ? replies->last - number : 0;
    if (keep < replies->len) {
        replies->len = (size_t)keep;
    }
}

int replies_get(const struct replies *replies, uint64_t number, struct reply *ret_reply)
{
    if (number > replies->last || replies->last - number >= replies->len) {
        return ERR_NOT_FOUND;
    }
    const struct reply_kept *kept = &replies->items[number & (replies->cap - 1)];
    *ret_reply = (struct reply){
        .error = kept->error,
        .detail = (enum detail)kept->detail,
        .count = kept->count,
        .repeated_count = kept->repeated_count,
    };
    return 0;
}

void replies_done(struct replies *replies)
{
    free(replies->items);
    *replies = (struct replies){0};
}
