/* The changes of the membership that one connection has asked for and that are not answered: each is, when the gateway is done
 * with it. Pure. */

#ifndef HOLDFAST_RPC_NATIVE_NATIVE_CHANGE_H
#define HOLDFAST_RPC_NATIVE_NATIVE_CHANGE_H

#include "proto/base/list.h"
#include "rpc/gateway.h"
#include "rpc/native/native_result.h"

/* Of one connection. An operator makes one at a time. */
#define NATIVE_CHANGES_MAX 4u

struct native_changes {
    struct gateway *gateway;
    void *arg;
    /* An answer. Takes ownership. */
    void (*answer)(void *arg, struct frame_out *frame);
    /* An answer could not be made, and is missing. May call native_changes_done(). */
    void (*failed)(void *arg, int err);
    struct list_node waiting;
    unsigned waiting_len;
};

/* The callbacks are the caller's to set. */
void native_changes_init(struct native_changes *changes, struct gateway *gateway);
/* Nothing is answered any more; what was asked for may be done all the same. Twice is harmless. */
void native_changes_done(struct native_changes *changes);

/* Answers later, from within the gateway's turn. Copies. ERR_BUSY: too many are not answered. ERR_NOMEM. */
int native_changes_add(struct native_changes *changes, const struct native_question *question,
                       enum gateway_change_kind kind) NODISCARD;

#endif
