/* Publishing without a client: dead letters, and messages that were kept aside and are due. */

#ifndef HOLDFAST_STATEMACHINE_PUBLISH_PUBLISH_INTERNAL_H
#define HOLDFAST_STATEMACHINE_PUBLISH_PUBLISH_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "statemachine/message/message.h"
#include "statemachine/queue/enqueue.h"

struct machine;
struct queue;

struct internal {
    uint64_t virtual_host;
    /* Where to. With `queue` there, by that name, without routing. Else to the exchange: by `keys`, or, when there are none, by the
     * head's own routing keys. All texts are borrowed. */
    const char *queue;    /* NULL: to the exchange. */
    const char *exchange; /* "": the default one. NULL: the head's. */
    const char *const *keys;
    size_t keys_len;
    enum enqueue_how how;
    bool waited;            /* It has been a pending message, and is one no more. */
    struct message message; /* As for enqueue(); its references are taken over, also when this fails. */
};

/* Routes the message and puts it into each queue that it reaches. `*ret_queues` (may be NULL): how many that were; 0: it is gone.
 * An exchange or a queue that is not there is no way at all. A dead letter (ENQUEUE_DEAD) is kept out of queues for which
 * dead_letter_may_enter() says so. ERR_NOMEM, ERR_IO, ERR_CORRUPT.
 *
 * When a message that comes in pushes out others, these are published when it has come in, one after the other: so a chain of full
 * queues takes no stack. Of such there are at most INTERNAL_CHAIN_MAX after one message; the others are pending messages that are
 * due at once. `*ret_queues` is 1 for those that were put off. */
int publish_internal(struct machine *machine, const struct internal *internal, size_t *ret_queues) NODISCARD;
#define INTERNAL_CHAIN_MAX 1024u

/* What enqueue() does around its work: what is published meanwhile waits until the outermost one is done. ERR_NOMEM, ERR_IO,
 * ERR_CORRUPT. */
void publish_internal_hold(struct machine *machine);
int publish_internal_release(struct machine *machine) NODISCARD;

#endif
