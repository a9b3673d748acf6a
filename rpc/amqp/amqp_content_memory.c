/* The memory of messages that are being received. What will come in several frames is claimed as a whole, in a budget of all sessions, and
 * waits while there is no room; who has some and does not go on, while others wait, loses its connection. */

#include "proto/base/check.h"
#include "rpc/amqp/amqp_publishing.h"

/* A head that is longer, or what is longer than a frame, claims memory. */
#define HEAD_LEN_FREE ((size_t)4 * KIB)
/* What fits a frame and comes in parts all the same, of all channels of a session. */
#define PARTIAL_LEN_MAX ((size_t)4 * MIB)
/* A message of which nothing has come for so long, while others wait for memory, */
#define STALL_MS 2000u
/* or which takes longer than this for each 4 MiB, ends its connection. */
#define SLOW_MS 20000u
#define SLOW_LEN (4 * MIB)

static void on_granted(struct memory_claim *claim)
{
    const struct amqp_incoming *incoming = container_of(claim, struct amqp_incoming, claim);
    const struct amqp_session_host *host = &incoming->channel->session->host;
    if (host->wake != NULL) {
        host->wake(host->arg);
    }
}

void amqp_content_claim_init(struct amqp_incoming *incoming)
{
    memory_claim_init(&incoming->claim, incoming->channel->session->content, on_granted);
}

void amqp_content_release(struct amqp_incoming *incoming)
{
    struct amqp_session *session = incoming->channel->session;
    memory_claim_release(&incoming->claim);
    session->batch->partial -= incoming->partial;
    if (session->content != NULL) {
        memory_budget_remove(session->content, incoming->partial);
    }
    incoming->partial = 0;
}

/* It need not be kept, if it comes as it can: no memory is claimed for it. */
static bool is_small(const struct amqp_incoming *incoming)
{
    uint64_t frame_max = incoming->channel->session->frame_max - AMQP_FRAME_COST;
    return incoming->head.len <= HEAD_LEN_FREE && incoming->head.len + incoming->body_len <= frame_max;
}

bool amqp_content_count_part(struct amqp_incoming *incoming)
{
    struct amqp_session *session = incoming->channel->session;
    size_t len = incoming->head.len + (size_t)incoming->body_len;
    if (!is_small(incoming) || incoming->own != NULL) {
        return true;
    }
    if (len > PARTIAL_LEN_MAX - session->batch->partial ||
        (session->content != NULL && memory_budget_over(session->content))) {
        amqp_connection_error(session, AMQP_RESOURCE_ERROR, AMQP_basic_publish,
                              "there is no memory for the contents that have begun on the channels of this connection");
        return false;
    }
    incoming->partial = len;
    session->batch->partial += len;
    if (session->content != NULL) {
        memory_budget_add(session->content, len);
    }
    return true;
}

void amqp_content_claim(struct amqp_incoming *incoming)
{
    struct amqp_session *session = incoming->channel->session;
    uint64_t len = incoming->head.len + incoming->body_len;
    if (is_small(incoming) || memory_claim_take(&incoming->claim, len)) {
        return;
    }
    incoming->state = AMQP_INCOMING_WAITS;
    session->batch->waiting = incoming;
    session->content_waits = true;
}

void amqp_content_look(struct amqp_session *session)
{
    struct amqp_incoming *incoming = session->content_waits ? session->batch->waiting : NULL;
    if (incoming != NULL && incoming->claim.state == MEMORY_CLAIM_HELD) {
        incoming->state = AMQP_INCOMING_BODY;
        session->batch->waiting = NULL;
        session->content_waits = false;
    }
}

/* Whether nothing more of it has come for too long. */
static bool incoming_is_overdue(struct amqp_incoming *incoming, uint64_t now_ms)
{
    if (incoming->claim.state != MEMORY_CLAIM_HELD) {
        return false;
    }
    if (incoming->begun_ms == 0) {
        incoming->begun_ms = now_ms;
    }
    if (incoming->moved_ms == 0 || incoming->moved_len != incoming->own_len) {
        incoming->moved_ms = now_ms;
        incoming->moved_len = incoming->own_len;
    }
    uint64_t allowed_ms = SLOW_MS * (1 + incoming->body_len / SLOW_LEN);
    return now_ms - incoming->moved_ms >= STALL_MS || now_ms - incoming->begun_ms >= allowed_ms;
}

static void contents_drop(struct amqp_session *session)
{
    struct amqp_channel *channel = NULL;
    while ((channel = amqp_channel_next(session, channel)) != NULL) {
        amqp_incoming_done(channel);
    }
}

void amqp_session_tick(struct amqp_session *session, uint64_t now_ms)
{
    bool wanted = session->content != NULL && !list_empty(&session->content->waiters);
    /* What is held for another reason than memory is not its client's fault. */
    if (!wanted || session->state != AMQP_OPEN || (session->held && !session->content_waits)) {
        return;
    }
    struct amqp_channel *channel = NULL;
    while ((channel = amqp_channel_next(session, channel)) != NULL) {
        if (channel->incoming != NULL && incoming_is_overdue(channel->incoming, now_ms)) {
            amqp_connection_error(session, AMQP_RESOURCE_ERROR, AMQP_basic_publish,
                                  "the content on channel %u did not come in time, and others wait for its memory",
                                  channel->number);
            contents_drop(session);
            return;
        }
    }
}
