/* Gathering messages. */

#include "rpc/amqp/amqp_gathered.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "proto/base/check.h"

#define CONTENT_LEN_MIN 1024u
#define ONES_MIN 4u

struct amqp_gathered *amqp_gathered_new(struct amqp_session *session)
{
    struct amqp_gathered *gathered = calloc(1, sizeof *gathered);
    if (gathered != NULL) {
        list_init(&gathered->kept.node);
        gathered->session = session;
    }
    return gathered;
}

void amqp_gathered_free(struct amqp_gathered *gathered)
{
    if (gathered == NULL) {
        return;
    }
    for (unsigned i = 0; i < gathered->len; i++) {
        amqp_channel_unref(gathered->ones[i].channel);
    }
    list_remove(&gathered->kept.node);
    blob_unref(gathered->content);
    free(gathered->producer);
    free(gathered->ones);
    free(gathered);
}

bool amqp_gathered_continues(const struct amqp_gathered *gathered, const struct amqp_message *message)
{
    if (gathered->len == 0 || gathered->producer == NULL || message->producer[0] == '\0') {
        return gathered->len == 0 || (gathered->producer == NULL && message->producer[0] == '\0');
    }
    return strcmp(gathered->producer, message->producer) == 0 &&
           message->sequence == gathered->first_sequence + gathered->len;
}

static int ones_reserve(struct amqp_gathered *gathered)
{
    if (gathered->len < gathered->cap) {
        return 0;
    }
    unsigned cap = gathered->cap > 0 ? gathered->cap * 2 : ONES_MIN;
    struct amqp_gathered_one *ones = realloc(gathered->ones, cap * sizeof *ones);
    if (ones == NULL) {
        return ERR_NOMEM;
    }
    gathered->ones = ones;
    gathered->cap = cap;
    return 0;
}

static int content_reserve(struct amqp_gathered *gathered, size_t more)
{
    size_t cap = gathered->content != NULL ? gathered->content->len : 0;
    size_t len = gathered->content_len + more;
    if (gathered->content != NULL && len <= cap) {
        return 0;
    }
    cap = cap < CONTENT_LEN_MIN ? CONTENT_LEN_MIN : cap * 2;
    cap = cap < len ? len : cap;
    struct blob *content = gathered->content != NULL ? blob_resize(gathered->content, cap) : blob_new(cap);
    if (content == NULL) {
        return ERR_NOMEM;
    }
    gathered->content = content;
    return 0;
}

static uint8_t *put(uint8_t *out, struct amqp_bytes bytes)
{
    if (bytes.len > 0) {
        memcpy(out, bytes.data, bytes.len);
    }
    return out + bytes.len;
}

/* Where the message's head and body are now; NULL: out of memory. */
static const uint8_t *content_add(struct amqp_gathered *gathered, const struct amqp_message *message)
{
    size_t len = message->head.len + message->body.len;
    if (gathered->len == 0 && message->own != NULL) {
        blob_unref(gathered->content);
        gathered->content = blob_ref(message->own);
    } else if (content_reserve(gathered, len) != 0) {
        return NULL;
    } else {
        uint8_t *out = gathered->content->data + gathered->content_len;
        (void)put(put(out, message->head), message->body);
    }
    gathered->content_len += len;
    return gathered->content->data + gathered->content_len - len;
}

int amqp_gathered_add(struct amqp_gathered *gathered, const struct amqp_message *message, uint64_t tag)
{
    if (gathered->len == 0 && message->producer[0] != '\0') {
        char *producer = strdup(message->producer);
        if (producer == NULL) {
            return ERR_NOMEM;
        }
        free(gathered->producer);
        gathered->producer = producer;
        gathered->first_sequence = message->sequence;
    }
    const uint8_t *content = ones_reserve(gathered) == 0 ? content_add(gathered, message) : NULL;
    if (content == NULL) {
        return ERR_NOMEM;
    }
    gathered->ones[gathered->len++] = (struct amqp_gathered_one){
        .channel = amqp_channel_ref(message->channel),
        .tag = tag,
        .hash = XXH3_64bits(content, message->head.len + message->body.len),
        .head_len = (uint32_t)message->head.len,
        .body_len = (uint32_t)message->body.len,
        .mandatory = message->mandatory,
    };
    return 0;
}

struct slice amqp_gathered_content(struct amqp_gathered *gathered)
{
    size_t len = gathered->content_at + gathered->content_len;
    if (gathered->content->len > len && gathered->content->refs == 1) {
        struct blob *shorter = blob_resize(gathered->content, len);
        gathered->content = shorter != NULL ? shorter : gathered->content;
    }
    return slice_part(slice_of_blob(gathered->content), gathered->content_at, gathered->content_len);
}

void amqp_gathered_describe(const struct amqp_gathered *gathered, uint32_t *lens, uint64_t *hashes,
                            Holdfast__Publish *ret_publish)
{
    *ret_publish = (Holdfast__Publish)HOLDFAST__PUBLISH__INIT;
    uint32_t *body_lens = lens + gathered->len;
    for (unsigned i = 0; i < gathered->len; i++) {
        lens[i] = gathered->ones[i].head_len;
        body_lens[i] = gathered->ones[i].body_len;
        hashes[i] = gathered->ones[i].hash;
    }
    ret_publish->n_head_len = gathered->len;
    ret_publish->head_len = lens;
    ret_publish->n_body_len = gathered->len;
    ret_publish->body_len = body_lens;
    ret_publish->n_body_hash = gathered->len;
    ret_publish->body_hash = hashes;
    if (gathered->producer != NULL) {
        ret_publish->producer = gathered->producer;
        ret_publish->first_sequence = gathered->first_sequence;
    }
}

struct amqp_gathered *amqp_gathered_single(const struct amqp_gathered *gathered, unsigned i, size_t at)
{
    const struct amqp_gathered_one *one = &gathered->ones[i];
    struct amqp_gathered *single = amqp_gathered_new(gathered->session);
    char *producer = gathered->producer != NULL ? strdup(gathered->producer) : NULL;
    if (single == NULL || (gathered->producer != NULL && producer == NULL) || ones_reserve(single) != 0) {
        free(producer);
        amqp_gathered_free(single);
        return NULL;
    }
    CHECK(at + one->head_len + one->body_len <= gathered->content_len);
    single->producer = producer;
    single->first_sequence = gathered->first_sequence + i;
    single->content = blob_ref(gathered->content);
    single->content_at = gathered->content_at + at;
    single->content_len = (size_t)one->head_len + one->body_len;
    single->ones[single->len++] = *one;
    (void)amqp_channel_ref(one->channel);
    return single;
}
