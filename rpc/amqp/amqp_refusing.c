/* The cluster takes no messages for a while: what was published stays here, and nothing more is taken from the client until it flows
 * again.
 *
 * One command after another is tried while it is not known here that the cluster refuses (the gateway gives each refusal some pause);
 * once it is, the word that it takes messages again is waited for. */

#include "proto/base/check.h"
#include "rpc/amqp/amqp_publishing.h"

static void try_first(struct amqp_session *session)
{
    struct amqp_batch *batch = session->batch;
    struct list_node *first = list_first(&batch->kept);
    if (first != NULL && !batch->trying && !batch->refusing) {
        struct amqp_kept *kept = container_of(first, struct amqp_kept, node);
        list_remove(first);
        batch->trying = true;
        kept->tried = true;
        kept->again(kept);
    }
}

void amqp_publish_keep(struct amqp_session *session, struct amqp_kept *kept)
{
    struct amqp_batch *batch = amqp_batch_of(session);
    if (batch == NULL || session->state == AMQP_LEAVING) {
        kept->drop(kept); /* Nobody was told that it is there, and nobody waits for it. */
        return;
    }
    if (kept->tried) {
        list_push_front(&batch->kept, &kept->node);
        kept->tried = false;
        batch->trying = false;
    } else {
        list_push_back(&batch->kept, &kept->node);
    }
    session->refusing = true;
    try_first(session);
}

void amqp_publish_flows(struct amqp_session *session)
{
    if (!session->refusing) {
        return;
    }
    struct amqp_batch *batch = session->batch;
    session->refusing = false;
    batch->trying = false;
    struct list_node *first;
    while ((first = list_first(&batch->kept)) != NULL) {
        struct amqp_kept *kept = container_of(first, struct amqp_kept, node);
        list_remove(first);
        kept->tried = false;
        kept->again(kept);
    }
}

void amqp_publishes_refusing(struct amqp_session *session, bool refusing)
{
    if (session->batch != NULL) {
        session->batch->refusing = refusing;
        try_first(session);
    }
}

static bool is_finished(const struct amqp_batch *batch)
{
    return batch->unanswered == 0 && list_empty(&batch->kept);
}

bool amqp_publishes_finish(struct amqp_session *session, void (*finished)(struct amqp_session *session))
{
    amqp_publishes_submit(session);
    if (session->batch == NULL || is_finished(session->batch)) {
        return true;
    }
    session->batch->finished = finished;
    session->blocking_len++;
    return false;
}

void amqp_publish_answered(struct amqp_session *session)
{
    struct amqp_batch *batch = session->batch;
    void (*finished)(struct amqp_session * session) = batch->finished;
    if (finished != NULL && is_finished(batch)) {
        batch->finished = NULL;
        session->blocking_len--;
        if (session->state == AMQP_OPEN) {
            finished(session);
        }
    }
}
