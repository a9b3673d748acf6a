/* What a session has while it publishes. */

#include <stdlib.h>

#include "proto/base/check.h"
#include "rpc/amqp/amqp_publishing.h"

struct amqp_batch *amqp_batch_of(struct amqp_session *session)
{
    if (session->batch != NULL) {
        return session->batch;
    }
    struct amqp_batch *batch = calloc(1, sizeof *batch);
    if (batch == NULL) {
        amqp_session_fail(session, ERR_NOMEM);
        return NULL;
    }
    list_init(&batch->kept);
    list_init(&batch->confirming);
    session->batch = batch;
    return batch;
}

static void spare_free(struct amqp_batch *batch)
{
    if (batch->spare != NULL) {
        bytes_done(&batch->spare->header);
        bytes_done(&batch->spare->head);
        free(batch->spare);
        batch->spare = NULL;
    }
}

void amqp_batch_look(struct amqp_session *session)
{
    struct amqp_batch *batch = session->batch;
    if (batch == NULL || batch->open != NULL || batch->incoming > 0 || batch->unanswered > 0 || batch->partial > 0 ||
        batch->finishing || !list_empty(&batch->kept) || !list_empty(&batch->confirming)) {
        return;
    }
    spare_free(batch);
    free(batch);
    session->batch = NULL;
}

void amqp_batch_done(struct amqp_session *session)
{
    struct amqp_batch *batch = session->batch;
    if (batch == NULL) {
        return;
    }
    amqp_gathered_free(batch->open);
    while (!list_empty(&batch->kept)) {
        struct amqp_kept *kept = container_of(list_first(&batch->kept), struct amqp_kept, node);
        kept->drop(kept);
    }
    spare_free(batch);
    free(batch);
    session->batch = NULL;
}
