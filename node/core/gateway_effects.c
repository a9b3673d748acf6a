/* Carrying out the effects of an applied entry. This is the line where a message is confirmed: the reply to its publish
 * command leaves here, after a majority has the entry on disk and this node has applied it. */

#include "node/core/gateway.h"

/* The answer to an attachment. Who holds the session's key has asked for it, so an older link gives way. */
static void gateway_bind(struct gateway_core *core, struct link *link, const struct effect_reply *reply)
{
    struct link *older = links_find_session(&core->links, reply->attach_session);
    if (older != NULL) {
        gateway_link_doom(core, older, ERR_DISPLACED, "the session has been attached over another connection");
    }
    leases_stop(&core->leases, reply->attach_session);
    links_bind(&core->links, link, reply->attach_session, reply->attachment);
    link->state = LINK_ATTACHED;
    for (struct link_consumer *consumer = link_consumer_first(link); consumer != NULL;
         consumer = link_consumer_next(consumer)) {
        gateway_consumer_behind(core, link, consumer);
    }
    link->sink.attached(link->sink.arg, reply->attach_session, reply->last_number);
    gateway_link_touch(core, link);
}

static void gateway_attach_reply(struct gateway_core *core, struct link *link, const struct effect_reply *reply)
{
    if (reply->error != 0) {
        if (link != NULL) {
            gateway_link_doom(core, link, -(int)reply->error, reply->detail);
        }
    } else if (link != NULL && link->state == LINK_ATTACHING) {
        gateway_bind(core, link, reply);
    } else if (reply->attach_session != 0) {
        /* Its connection has gone meanwhile; an older one has been displaced all the same. */
        struct link *older = links_find_session(&core->links, reply->attach_session);
        if (older != NULL) {
            gateway_link_doom(core, older, ERR_DISPLACED, "the session has been attached over another connection");
        }
        gateway_lease_start(core, reply->attach_session, reply->attachment);
    }
}

/* Replies go to the link that submitted the command: an answer to what an earlier connection sent, such as "displaced",
 * would be taken by a later one for the answer to the same number of its own. */
static void gateway_reply(struct gateway_core *core, const struct proposal *proposal, const struct effect *effect)
{
    const struct effect_reply *reply = &effect->reply;
    if (proposal == NULL || reply->command >= proposal->len) {
        return;
    }
    uint64_t id = proposal->links[reply->command];
    struct link *link = id == 0 ? NULL : links_find(&core->links, id);
    if (effect->session == 0) {
        if (id != 0) {
            gateway_attach_reply(core, link, reply);
        }
    } else if (link != NULL && link->state == LINK_ATTACHED && link->session == effect->session) {
        struct gateway_reply answer = {
            .number = reply->number,
            .error = reply->error,
            .detail = reply->detail == NULL ? "" : reply->detail,
            .count = reply->count,
            .repeated_count = reply->repeated_count,
        };
        link->sink.reply(link->sink.arg, &answer);
        gateway_link_touch(core, link);
    }
}

static void gateway_delivered(struct gateway_core *core, const struct effect *effect)
{
    struct link *link = links_find_session(&core->links, effect->session);
    if (link == NULL) {
        return;
    }
    struct link_consumer *consumer;
    if (link_consumer_get(link, effect->delivery.consumer, &consumer) != 0) {
        /* Without memory the link cannot be served; attached again, it is sent what it has not seen. */
        gateway_link_doom(core, link, ERR_NOMEM, "out of memory");
        return;
    }
    if (effect->delivery.number <= consumer->sent) {
        /* Numbers begin anew: the consumer is another one, subscribed under the same id. */
        consumer->sent = effect->delivery.number - 1;
    }
    gateway_consumer_behind(core, link, consumer);
}

static void gateway_session_ended(struct gateway_core *core, uint64_t session)
{
    struct link *link = links_find_session(&core->links, session);
    if (link != NULL) {
        /* Only sessions without a link expire. */
        gateway_link_doom(core, link, ERR_CLOSED, "the session has been closed");
    }
    leases_stop(&core->leases, session);
}

void gateway_consumer_ended(struct gateway_core *core, struct link *link, uint64_t id)
{
    struct link_consumer *consumer = link_consumer_find(link, id);
    if (consumer != NULL) {
        link_consumer_drop(link, consumer);
    }
    if (link->state == LINK_ATTACHED) {
        link->sink.consumer_ended(link->sink.arg, id, ERR_NOT_FOUND,
                                  "the subscription has ended: its queue was deleted");
        gateway_link_touch(core, link);
    }
}

static void gateway_queue_deleted(struct gateway_core *core, const struct effect *effect)
{
    struct link *link = links_find_session(&core->links, effect->session);
    if (link != NULL) {
        gateway_consumer_ended(core, link, effect->consumer_ended.consumer);
    }
}

void gateway_core_applied(struct gateway_core *core, uint64_t index, uint64_t term, const struct effects *effects)
{
    if (!core->leading) {
        return;
    }
    struct proposal *proposal = proposals_take(&core->proposals, index, term);
    for (size_t i = 0; i < effects->len; i++) {
        const struct effect *effect = &effects->items[i];
        switch (effect->kind) {
        case EFFECT_REPLY: gateway_reply(core, proposal, effect); break;
        case EFFECT_DELIVER: gateway_delivered(core, effect); break;
        case EFFECT_SESSION_ENDED: gateway_session_ended(core, effect->session); break;
        case EFFECT_CONSUMER_ENDED: gateway_queue_deleted(core, effect); break;
        }
    }
    proposal_free(proposal);
}
