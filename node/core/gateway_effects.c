/* Carrying out the effects of an entry: replies, deliveries, ended sessions, for the clients of this node. What is done here
 * is committed: a majority has it on disk, and this node has applied it. */

#include <inttypes.h>
#include <string.h>

#include "node/core/gateway.h"
#include "proto/base/fault.h"

/* The session has been attached over another connection, here or elsewhere. Who holds its key has asked for it. */
static void gateway_displaced(struct gateway_core *core, const struct effect_reply *reply)
{
    struct link *older = links_find_session(&core->links, reply->attach_session);
    if (older != NULL && older->attachment < reply->attach_attachment) {
        gateway_link_doom(core, older, ERR_DISPLACED, "the session has been attached over another connection");
    }
}

static void gateway_bind(struct gateway_core *core, struct link *link, const struct effect_reply *reply)
{
    links_bind(&core->links, link, reply->attach_session, reply->attach_attachment);
    link->state = LINK_ATTACHED;
    for (struct link_consumer *consumer = link_consumer_first(link);
         consumer != NULL && !fault_fires(FAULT_SKIP_REDELIVERY); consumer = link_consumer_next(consumer)) {
        gateway_consumer_behind(core, link, consumer);
    }
    link->sink.attached(link->sink.arg, reply->attach_session, reply->last_number);
    gateway_link_touch(core, link);
}

/* Its connection has gone meanwhile: the session is detached again. */
static void gateway_orphan_answered(struct gateway_core *core, struct link *link, const struct effect_reply *reply)
{
    if (reply->error == 0 && reply->attach_session != 0) {
        gateway_link_farewell(core, link, reply->attach_session, reply->attach_attachment);
    }
    link->doom_orphans = false;
    if (link->state == LINK_ORPHAN) {
        link->state = LINK_GONE;
        list_push_back(&core->ending, &link->ending);
    }
}

static void gateway_attach_answered(struct gateway_core *core, struct link *link, const struct effect_reply *reply)
{
    if (link->state == LINK_ORPHAN || link->state == LINK_DOOMED) {
        gateway_orphan_answered(core, link, reply);
    } else if (link->state == LINK_ATTACHING && reply->error != 0) {
        gateway_link_doom(core, link, -(int)reply->error, reply->detail);
    } else if (link->state == LINK_ATTACHING && links_find_session(&core->links, reply->attach_session) == NULL) {
        gateway_bind(core, link, reply);
    } else if (link->state == LINK_ATTACHING) {
        gateway_link_doom(core, link, ERR_DISPLACED, "the session has been attached over another connection");
    }
}

/* An attachment that was carried out a second time, when what came of the first was over, is nobody's: it ends. */
static void gateway_answered_again(struct gateway_core *core, const struct effect_reply *reply)
{
    struct link *link = links_find_session(&core->links, reply->attach_session);
    struct outgoing_command *farewell;
    if (reply->error != 0 || reply->attach_session == 0 ||
        (link != NULL && link->attachment == reply->attach_attachment) || gateway_farewell_new(&farewell) != 0) {
        return;
    }
    gateway_farewell_fill(core, farewell, reply->attach_session, reply->attach_attachment, ++core->links.id_last);
    outgoing_push(&core->outgoing, farewell);
    core->more = true;
}

/* The answer to a command of a node's own. All see where the session is attached now. */
static void gateway_node_reply(struct gateway_core *core, const struct effect_reply *reply)
{
    if (reply->error == 0 && reply->attach_session != 0) {
        gateway_displaced(core, reply);
    }
    if (reply->origin_node != core->node || reply->origin_run != core->run) {
        return;
    }
    struct outgoing_command *command = outgoing_find(&core->outgoing, reply->origin_tag);
    if (command == NULL) {
        gateway_answered_again(core, reply); /* It was sent twice. */
        return;
    }
    gateway_answered(core);
    outgoing_drop(&core->outgoing, command);
    struct link *link = links_find(&core->links, reply->origin_tag);
    if (link != NULL) {
        gateway_attach_answered(core, link, reply);
    }
}

/* Replies go to the connection that submitted the command: an answer to what an earlier one sent, such as "displaced",
 * would be taken by a later one for the answer to the same number of its own. */
static void gateway_reply(struct gateway_core *core, const struct effect *effect)
{
    const struct effect_reply *reply = &effect->reply;
    struct link *link = links_find_session(&core->links, effect->session);
    if (link == NULL || link->state != LINK_ATTACHED ||
        (link->attachment != reply->attachment && !fault_fires(FAULT_SKIP_REPLY_MATCH))) {
        return;
    }
    struct outgoing_command *command = links_pending(link, reply->number);
    if (command == NULL) {
        return; /* Sent twice, answered twice. */
    }
    gateway_link_answered(core, link, command);
    if (reply->error == (uint32_t)-ERR_NO_SPACE) {
        link->slow_until_ms = gateway_now_ms(core) + LINK_SLOW_MS;
    }
    struct gateway_reply answer = {
        .number = reply->number,
        .error = reply->error,
        .detail = reply->detail == NULL ? "" : reply->detail,
        .count = reply->count,
        .repeated_count = reply->repeated_count,
        .unrouted = {.data = reply->unrouted, .len = reply->unrouted_len},
        .refused = {.data = reply->refused, .len = reply->refused_len},
    };
    link->sink.reply(link->sink.arg, &answer);
    gateway_link_touch(core, link);
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
    if (effect->delivery.settled) {
        consumer->sent = effect->delivery.number;
        gateway_deliver_settled(core, link, &effect->delivery);
        return;
    }
    gateway_consumer_behind(core, link, consumer);
}

static void gateway_session_ended(struct gateway_core *core, const struct effect *effect)
{
    struct link *link = links_find_session(&core->links, effect->session);
    if (link != NULL && effect->session_ended.expired) {
        gateway_link_doom(core, link, ERR_SESSION_EXPIRED, "the session's lease has ended");
    } else if (link != NULL && effect->session_ended.end == SESSION_END_HOST_DELETED) {
        gateway_link_doom(core, link, ERR_SESSION_EXPIRED, "the session's virtual host has been deleted");
    } else if (link != NULL) {
        gateway_link_doom(core, link, ERR_CLOSED, "the session has been closed");
    }
}

/* The cluster has given this process up, for having been silent too long. It is there, so its clients may come back: what
 * they are told makes them attach anew. */
static void gateway_node_lost(struct gateway_core *core, const struct effect *effect)
{
    gateway_presence_ended(core, effect->node_lost.node);
    if (effect->node_lost.node == core->node && effect->node_lost.run == core->run) {
        journal_warning(core->journal, "presence", "the cluster had not heard of this node and took it for lost");
        core->roster.due_ms = 0;
        for (struct link *link = links_first(&core->links); link != NULL; link = links_next(link)) {
            if (link->state == LINK_ATTACHED) {
                gateway_link_doom(core, link, ERR_UNAVAILABLE, "this node was cut off, and was taken for lost");
            }
        }
    }
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

/* What it was given and has not been sent: it is settled (or was, as it was delivered), or has gone back. */
static void gateway_fetch_done(struct gateway_core *core, struct link *link, uint64_t id)
{
    struct link_consumer *consumer = link_consumer_find(link, id);
    if (consumer != NULL) {
        link_consumer_drop(link, consumer);
    }
    if (link->state == LINK_ATTACHED) {
        link->sink.consumer_ended(link->sink.arg, id, 0, "");
        gateway_link_touch(core, link);
    }
}

static void gateway_subscription_over(struct gateway_core *core, const struct effect *effect)
{
    struct link *link = links_find_session(&core->links, effect->session);
    if (link != NULL && effect->consumer_ended.reason == CONSUMER_ENDED_FETCH_DONE) {
        gateway_fetch_done(core, link, effect->consumer_ended.consumer);
    } else if (link != NULL) {
        gateway_consumer_ended(core, link, effect->consumer_ended.consumer);
    }
}

static void gateway_lock_ended(struct gateway_core *core, const struct effect *effect)
{
    struct link *link = links_find_session(&core->links, effect->session);
    if (link != NULL && link->state == LINK_ATTACHED && link->sink.lock_ended != NULL) {
        link->sink.lock_ended(link->sink.arg, effect->lock_ended.consumer, effect->lock_ended.number);
        gateway_link_touch(core, link);
    }
}

static void gateway_prepared_ask(struct gateway_core *core, const struct effect *effect)
{
    struct link *link = links_find_session(&core->links, effect->session);
    char id[NAME_LEN_MAX + 1];
    if (link != NULL && link->state == LINK_ATTACHED && link->sink.prepared_ask != NULL &&
        effect->prepared_ask.id_len < sizeof id) {
        memcpy(id, effect->prepared_ask.id, effect->prepared_ask.id_len);
        id[effect->prepared_ask.id_len] = '\0';
        link->sink.prepared_ask(link->sink.arg, id);
        gateway_link_touch(core, link);
    }
}

void gateway_core_applied(struct gateway_core *core, uint64_t index, uint64_t term, const struct effects *effects)
{
    core->applied_index = index;
    core->entry_term = term;
    core->applied_ms = gateway_now_ms(core);
    gateway_digests_applied(core, index);
    for (size_t i = 0; i < effects->len; i++) {
        const struct effect *effect = &effects->items[i];
        switch (effect->kind) {
        case EFFECT_REPLY:
            if (effect->session == 0) {
                gateway_node_reply(core, &effect->reply);
            } else {
                gateway_reply(core, effect);
            }
            break;
        case EFFECT_DELIVER: gateway_delivered(core, effect); break;
        case EFFECT_SESSION_ENDED: gateway_session_ended(core, effect); break;
        case EFFECT_CONSUMER_ENDED: gateway_subscription_over(core, effect); break;
        case EFFECT_NODE_LOST: gateway_node_lost(core, effect); break;
        case EFFECT_PREPARED_ASK: gateway_prepared_ask(core, effect); break;
        case EFFECT_LOCK_ENDED: gateway_lock_ended(core, effect); break;
        }
    }
}
