/* Replies to commands, and how a session remembers them. */

#include "statemachine/reply.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

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

/* The last error that there was in version 1. */
#define ERROR_MAX_1 ((uint32_t) - (ERR_SYSTEM))

void reply_refuse(struct reply *reply, uint32_t error, uint32_t version)
{
    bool known = error_is_known(error) && (version >= 2 || error <= ERROR_MAX_1);
    int err = known ? -(int)error : ERR_INVALID;
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

static int replies_push_bits(struct replies *replies, const struct reply *reply)
{
    size_t len = reply->unrouted.len + reply->refused.len;
    if (len == 0) {
        return 0;
    }
    CHECK(reply->unrouted.len <= REPLY_BITS_LEN_MAX && reply->refused.len <= REPLY_BITS_LEN_MAX);
    struct reply_kept_bits *bits = malloc(sizeof *bits + len);
    if (bits == NULL) {
        return ERR_NOMEM;
    }
    bits->next = NULL;
    bits->number = replies->last + 1;
    bits->unrouted_len = (uint16_t)reply->unrouted.len;
    bits->refused_len = (uint16_t)reply->refused.len;
    if (reply->unrouted.len > 0) {
        memcpy(bits->data, reply->unrouted.data, reply->unrouted.len);
    }
    if (reply->refused.len > 0) {
        memcpy(bits->data + reply->unrouted.len, reply->refused.data, reply->refused.len);
    }
    if (replies->bits == NULL) {
        replies->bits = bits;
    } else {
        replies->bits_last->next = bits;
    }
    replies->bits_last = bits;
    return 0;
}

/* Those of replies that are not remembered any more. */
static void replies_trim_bits(struct replies *replies)
{
    while (replies->bits != NULL && replies->last - replies->bits->number >= replies->len) {
        struct reply_kept_bits *bits = replies->bits;
        replies->bits = bits->next;
        free(bits);
    }
}

int replies_push(struct replies *replies, const struct reply *reply)
{
    int err = replies_push_bits(replies, reply);
    if (err != 0) {
        return err;
    }
    if (replies->len == replies->cap && replies->cap < SESSION_WINDOW_MAX) {
        err = replies_grow(replies);
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
    replies_trim_bits(replies);
    return 0;
}

void replies_forget(struct replies *replies, uint64_t number)
{
    uint64_t keep = number < replies->last ? replies->last - number : 0;
    if (keep < replies->len) {
        replies->len = (size_t)keep;
        replies_trim_bits(replies);
    }
}

static void replies_get_bits(const struct replies *replies, uint64_t number, struct reply *reply)
{
    const struct reply_kept_bits *bits = replies->bits;
    while (bits != NULL && bits->number < number) {
        bits = bits->next;
    }
    if (bits != NULL && bits->number == number) {
        reply->unrouted = (struct reply_bits){.data = bits->data, .len = bits->unrouted_len};
        reply->refused = (struct reply_bits){.data = bits->data + bits->unrouted_len, .len = bits->refused_len};
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
    replies_get_bits(replies, number, ret_reply);
    return 0;
}

void replies_done(struct replies *replies)
{
    replies->len = 0;
    replies_trim_bits(replies);
    free(replies->items);
    *replies = (struct replies){0};
}
