/* Replies, deliveries and ends of subscriptions on their way to a client, gathered over a turn of the loop into few
 * frames. Pure. */

#ifndef HOLDFAST_RPC_NATIVE_NATIVE_OUTBOX_H
#define HOLDFAST_RPC_NATIVE_NATIVE_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/bytes.h"
#include "proto/base/limits.h"
#include "proto/wire/frame.h"
#include "rpc/gateway.h"

/* A DELIVERIES frame is closed at so many deliveries, or when the next body would take it over so many bytes; a single
 * larger body travels alone. REPLIES frames are closed at a length of header. */
#define NATIVE_DELIVERIES_MAX 256u
#define NATIVE_DELIVERIES_LEN_MAX (1 * MIB)
#define NATIVE_REPLIES_LEN_MAX (64 * KIB)

/* Subscriptions in one CONSUMERS_ENDED frame, and the bytes of the line that says why; a longer one is cut. */
#define NATIVE_ENDED_MAX 256u
#define NATIVE_ENDED_DETAIL_LEN 256u

/* Zero-initialise; native_outbox_done() at the end. */
struct native_outbox {
    struct bytes replies;    /* Encoded so far, as the header of a REPLIES frame. */
    struct bytes deliveries; /* As the header of a DELIVERIES frame. */
    bool heads;              /* The client knows of heads, trails and notices. */
    struct bytes notices;    /* As the header of a NOTICES frame. */
    struct slice *bodies;    /* One or two a delivery, each with a reference; NULL when there are none. */
    unsigned bodies_len;
    unsigned deliveries_len;
    size_t bodies_bytes;
    uint64_t *ended; /* Consumers, NATIVE_ENDED_MAX of them, or NULL. They share the error and the line. */
    unsigned ended_len;
    int ended_err;
    char ended_detail[NATIVE_ENDED_DETAIL_LEN];
};

void native_outbox_done(struct native_outbox *outbox);

/* Adds one. The caller flushes first while it is full for it, and whenever a turn is over. ERR_NOMEM: not added. */
int native_outbox_reply(struct native_outbox *outbox, const struct gateway_reply *reply) NODISCARD;
int native_outbox_delivery(struct native_outbox *outbox, const struct gateway_delivery *delivery) NODISCARD;
/* Notices: dropped when the client does not know of them. */
int native_outbox_lock_ended(struct native_outbox *outbox, uint64_t consumer, uint64_t number) NODISCARD;
int native_outbox_prepared_ask(struct native_outbox *outbox, const char *id) NODISCARD;
int native_outbox_ended(struct native_outbox *outbox, uint64_t consumer, int err, const char *detail) NODISCARD;

/* Whether a reply, or a delivery with `body_len` bytes of body, head and trail, belongs in the next frame: also when a subscription has
 * ended, since what comes after an end may be about another one under the same id. */
bool native_outbox_full(const struct native_outbox *outbox, size_t body_len);
/* Whether the end of a subscription, with this error and line, belongs in the next frame. */
bool native_outbox_ended_full(const struct native_outbox *outbox, int err, const char *detail);

/* Takes the next frame to send: replies first, so that a subscription is confirmed before its first delivery; then
 * deliveries; then what has ended after them. Nothing is left when *ret_got is false, and
 * no memory is kept. ERR_NOMEM, ERR_TOO_BIG. */
int native_outbox_next(struct native_outbox *outbox, bool *ret_got, struct frame_out *ret_frame) NODISCARD;

#endif
