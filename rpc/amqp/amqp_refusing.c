/* What was published and has to wait: because the cluster takes no messages for a while, or did not take something before it that is
 * to be sent again. It stays here, in order, and nothing more is taken from the client until it has been sent.
 *
 * What is on its way behind something that was not taken is not taken either (Publish.in_order), and comes here as well. When all that was
 * sent has been answered, what is here is sent again. While it is not known whether the cluster has room the first is tried alone (the
 * gateway gives each refusal some pause); when the cluster says that it takes no messages, its word that it takes them again is waited
 * for. */

#include "proto/base/check.h"
#include "rpc/amqp/amqp_publishing.h"
#include "rpc/amqp/amqp_refusal.h"

static struct amqp_kept *kept_first(struct amqp_batch *batch)
{
    struct list_node *first = list_first(&batch->kept);
    return first != NULL ? container_of(first, struct amqp_kept, node) : NULL;
}

static void send_all(struct amqp_session *session)
{
    struct amqp_kept *kept;
    session->refusing = false;
    while ((kept = kept_first(session->batch)) != NULL) {
        list_remove(&kept->node);
        kept->again(kept);
    }
}

/* Sends what may be sent. The one that is tried stays in its place. */
static void kept_look(struct amqp_session *session)
{
    struct amqp_batch *batch = session->batch;
    if (batch->unanswered > 0 || session->state == AMQP_LEAVING) {
        return;
    }
    if (!batch->no_room || list_empty(&batch->kept)) {
        send_all(session);
    } else if (!batch->refusing) {
        kept_first(batch)->again(kept_first(batch));
    }
}

void amqp_publish_keep(struct amqp_session *session, struct amqp_kept *kept, struct amqp_kept *before)
{
    CHECK(!list_linked(&kept->node));
    list_push_back(before != NULL ? &before->node : &session->batch->kept, &kept->node);
    session->refusing = true;
}

bool amqp_publish_keep_refused(struct amqp_session *session, struct amqp_kept *kept, bool numbered,
                               const struct gateway_reply *reply)
{
    struct amqp_batch *batch = session->batch;
    bool no_room = reply->error == (uint32_t)-ERR_NO_SPACE;
    bool behind = amqp_said(reply, ERR_REFUSED, AMQP_SAID_BEHIND) && (session->refusing || !numbered);
    batch->no_room = no_room || (behind && batch->no_room);
    if (!no_room && !behind) {
        return false;
    }
    if (session->state == AMQP_LEAVING) {
        kept->drop(kept); /* Nobody was told that it is there, and nobody waits for it. */
    } else if (!list_linked(&kept->node)) {
        amqp_publish_keep(session, kept, NULL);
    }
    return true;
}

void amqp_publishes_refusing(struct amqp_session *session, bool refusing)
{
    if (session->batch != NULL) {
        session->batch->refusing = refusing;
        kept_look(session);
    }
}

static bool is_finished(const struct amqp_batch *batch)
{
    return batch->unanswered == 0 && list_empty(&batch->kept);
}

bool amqp_publishes_finish(struct amqp_session *session)
{
    amqp_publishes_submit(session);
    if (session->batch == NULL || is_finished(session->batch)) {
        return true;
    }
    if (!session->batch->finishing) {
        session->batch->finishing = true;
        session->blocking_len++;
    }
    return false;
}

void amqp_publish_answered(struct amqp_session *session)
{
    struct amqp_batch *batch = session->batch;
    kept_look(session);
    if (batch->finishing && is_finished(batch)) {
        batch->finishing = false;
        session->blocking_len--;
    }
}
