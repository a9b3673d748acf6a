/* Query results that hold messages: what was looked at where it is, and what is kept. */

#include <stdlib.h>

#include "rpc/native/native_bodies.h"
#include "rpc/native/native_result_private.h"

/* Its number in QueryResult. */
#define MESSAGES_FIELD 7u

/* Of a BrowsedMessage: ten numbers and a word. */
_Static_assert(NATIVE_RESULT_MESSAGES_MAX *(11 * 11 + 20) + 1024 < FRAME_HEADER_LEN_MAX, "messages fit");

static bool on_message(void *arg, const struct gateway_browsed *message)
{
    struct collector *collector = arg;
    struct native_content content;
    int err =
        native_content_of(collector->heads, message->trail, message->head, message->body, message->body_hash, &content);
    if (err != 0) {
        collector->err = err;
        return false;
    }
    size_t len = content.trail.len + content.content.len;
    bool fits = collector->messages == 0 ||
                (len <= NATIVE_RESULT_BODIES_LEN_MAX && collector->bodies_bytes <= NATIVE_RESULT_BODIES_LEN_MAX - len);
    if (collector->err != 0 || collector->messages == collector->max || !fits) {
        collector->left_out = true;
        slice_unref(&content.content);
        return false;
    }
    Holdfast__BrowsedMessage info = HOLDFAST__BROWSED_MESSAGE__INIT;
    info.position = message->position;
    info.enqueued_ms = message->enqueued_ms;
    info.body_hash = content.hash;
    info.body_len = (uint32_t)message->body.len;
    info.head_len = content.head_len;
    info.trail_len = (uint32_t)content.trail.len;
    info.delivery_count = message->delivery_count;
    info.locked = message->locked;
    info.state = result_text(message->state);
    info.expires_ms = message->expires_ms;
    info.left_ms = message->left_ms;
    collector->err = native_frame_append(&collector->header, MESSAGES_FIELD, &info.base);
    if (collector->err != 0) {
        slice_unref(&content.content);
        return false;
    }
    if (content.trail.len > 0) {
        collector->bodies[collector->bodies_len++] = slice_ref(content.trail);
    }
    collector->bodies[collector->bodies_len++] = content.content;
    collector->messages++;
    collector->bodies_bytes += len;
    return collector->messages < collector->max && collector->bodies_bytes < NATIVE_RESULT_BODIES_LEN_MAX;
}

int native_result_messages(struct gateway *gateway, const struct native_question *question, struct collector *collector,
                           bool *ret_more)
{
    bool any = question->max > 0 && question->max < NATIVE_RESULT_MESSAGES_MAX;
    collector->max = any ? question->max : NATIVE_RESULT_MESSAGES_MAX;
    collector->heads = question->heads;
    collector->bodies = calloc((size_t)collector->max * 2, sizeof *collector->bodies);
    if (collector->bodies == NULL) {
        collector->err = ERR_NOMEM;
        return 0;
    }
    bool more = false;
    int err = gateway->ops->browse(gateway, question->virtual_host, question->name, question->position,
                                   question->kind == HOLDFAST__QUERY__KIND__KEPT, collector, on_message, &more);
    *ret_more = more || collector->left_out;
    return err;
}
