/* Sending deliveries: those above what a link has been sent, read from the machine, as many as the link can take. */

#include "node/core/gateway.h"
#include "proto/base/check.h"

/* Deliveries collected before they are sent: the machine is not called from within its own iteration. To describe one, its
 * message is read, whether it can be sent then or not: so a chunk ends early when messages are large. */
struct chunk {
    struct machine_delivery items[LINK_DELIVERIES_MAX];
    unsigned len;
    unsigned len_max;
    uint64_t bytes;
    uint64_t bytes_max;
};

static int chunk_add(void *arg, const struct machine_delivery *delivery)
{
    struct chunk *chunk = arg;
    chunk->items[chunk->len++] = *delivery;
    chunk->bytes += delivery->body_len + delivery->head_len + delivery->trail_len;
    return chunk->len == chunk->len_max || chunk->bytes >= chunk->bytes_max;
}

/* What may still be sent. */
struct allowance {
    uint64_t bytes;
    uint32_t deliveries;
};

static bool link_takes(const struct link *link, const struct allowance *allowance)
{
    return link->state == LINK_ATTACHED && !link->paused && allowance->bytes > 0 && allowance->deliveries > 0;
}

/* Of a message that is in its queue, or was settled in this very entry. `whole`: it may have a head or a trail. */
static int gateway_content(struct gateway_core *core, uint64_t queue, uint64_t position, bool whole,
                           struct machine_content *ret_content)
{
    return whole ? machine_content(core->machine, queue, position, ret_content)
                 : machine_body(core->machine, queue, position, &ret_content->body);
}

/* ERR_BUSY: try again in the next turn, or when the link takes deliveries again. */
static int gateway_send_delivery(struct gateway_core *core, struct link *link, struct link_consumer *consumer,
                                 const struct machine_delivery *delivery, struct allowance *allowance)
{
    size_t len = (size_t)delivery->trail_len + delivery->head_len + delivery->body_len;
    if (link->sink.takes != NULL && !link->sink.takes(link->sink.arg, len)) {
        return ERR_BUSY; /* It has paused the link. */
    }
    struct machine_content content = {0};
    int err = gateway_content(core, delivery->queue, delivery->position, delivery->head_len + delivery->trail_len > 0,
                              &content);
    if (err == ERR_NOMEM) {
        return ERR_BUSY;
    }
    if (err != 0) {
        /* It is unsettled, so it must be there: this replica is damaged, and another can lead. */
        gateway_machine_failed(core, err, "the body of an unsettled message cannot be read");
        return ERR_BUSY;
    }
    struct gateway_delivery out = {
        .consumer = delivery->consumer,
        .number = delivery->number,
        .position = delivery->position,
        .enqueued_ms = delivery->enqueued_ms,
        .body_hash = delivery->body_hash,
        .lock_until_ms = delivery->lock_until_ms,
        .expires_ms = delivery->expires_ms,
        .delivery_count = delivery->delivery_count,
        .body = content.body,
        .head = content.head,
        .trail = content.trail,
    };
    consumer->sent = delivery->number;
    allowance->deliveries--;
    allowance->bytes -= len < allowance->bytes ? len : allowance->bytes;
    link->sink.delivery(link->sink.arg, &out);
    gateway_link_touch(core, link);
    machine_content_done(&content);
    return 0;
}

/* What was settled as it was delivered is to be had now or never: it is handed on although the link may not take anything, but not
 * without end. */
void gateway_deliver_settled(struct gateway_core *core, struct link *link, const struct effect_delivery *effect)
{
    struct machine_content content = {0};
    int err = gateway_content(core, effect->queue, effect->position, true, &content);
    if (err == ERR_NOMEM) {
        gateway_link_doom(core, link, ERR_NOMEM, "out of memory");
        return;
    }
    if (err != 0) {
        gateway_machine_failed(core, err, "a message cannot be read as it is delivered");
        return;
    }
    struct gateway_delivery out = {
        .consumer = effect->consumer,
        .number = effect->number,
        .position = effect->position,
        .enqueued_ms = content.enqueued_ms,
        .body_hash = content.hash,
        .expires_ms = content.expires_ms,
        .delivery_count = effect->delivery_count,
        .body = content.body,
        .head = content.head,
        .trail = content.trail,
    };
    size_t len = content.content.len + content.trail.len;
    bool takes = link->sink.takes == NULL || link->sink.takes(link->sink.arg, len);
    link->forced_bytes = takes && !link->paused ? 0 : link->forced_bytes + len;
    if (link->forced_bytes > LINK_FORCED_BYTES_MAX) {
        gateway_link_doom(core, link, ERR_LIMIT, "the client does not keep up with what is settled as it is delivered");
    } else if (link->state == LINK_ATTACHED) {
        link->sink.delivery(link->sink.arg, &out);
        gateway_link_touch(core, link);
    }
    machine_content_done(&content);
}

/* The machine has no such consumer. A client that named it when it attached may have missed its end, which is told once
 * and to whoever is connected then; any other has been told, or has ended it itself. */
static void gateway_not_found(struct gateway_core *core, struct link *link, struct link_consumer *consumer)
{
    if (consumer->named) {
        gateway_consumer_ended(core, link, consumer->id);
    } else {
        link_consumer_drop(link, consumer);
    }
}

/* Whether the consumer has been sent everything there is. */
static bool gateway_catch_up(struct gateway_core *core, struct link *link, struct link_consumer *consumer,
                             struct allowance *allowance)
{
    struct chunk chunk;
    int err;
    do {
        chunk.len = 0;
        chunk.len_max = allowance->deliveries;
        chunk.bytes = 0;
        chunk.bytes_max = allowance->bytes;
        err = machine_deliveries(core->machine, link->session, consumer->id, consumer->sent, chunk_add, &chunk);
        if (err == ERR_NOT_FOUND) {
            gateway_not_found(core, link, consumer);
            return true;
        }
        consumer->named = false;
        if (err < 0) {
            gateway_machine_failed(core, err, "the deliveries of a consumer cannot be read");
            return false;
        }
        for (unsigned i = 0; i < chunk.len; i++) {
            if (!link_takes(link, allowance) ||
                gateway_send_delivery(core, link, consumer, &chunk.items[i], allowance) != 0) {
                return false;
            }
        }
    } while (err > 0 && link_takes(link, allowance));
    return err == 0;
}

static int ignore_delivery(void *arg, const struct machine_delivery *delivery)
{
    (void)arg;
    (void)delivery;
    return 1;
}

/* A subscription that the client has ended leaves its record behind; a client that subscribes again and again under new
 * ids must not fill the memory with them. */
static void gateway_prune(struct gateway_core *core, struct link *link)
{
    struct link_consumer *consumer = link_consumer_first(link);
    while (consumer != NULL) {
        struct link_consumer *next = link_consumer_next(consumer);
        if (machine_deliveries(core->machine, link->session, consumer->id, UINT64_MAX, ignore_delivery, NULL) ==
            ERR_NOT_FOUND) {
            gateway_not_found(core, link, consumer);
        }
        consumer = next;
    }
}

/* Sends a link a few messages, out of what may be sent in this round. Whether there were any. */
static bool gateway_deliver_link(struct gateway_core *core, struct link *link, struct allowance *round)
{
    struct allowance before = {
        .bytes = round->bytes < LINK_BYTES_MAX ? round->bytes : LINK_BYTES_MAX,
        .deliveries = round->deliveries < LINK_DELIVERIES_MAX ? round->deliveries : LINK_DELIVERIES_MAX,
    };
    struct allowance allowance = before;
    if (link->consumers_len > SESSION_CONSUMERS_MAX) {
        gateway_prune(core, link);
    }
    struct list_node *node;
    while (link_takes(link, &allowance) && (node = list_first(&link->consumers_behind)) != NULL) {
        struct link_consumer *consumer = container_of(node, struct link_consumer, behind);
        list_remove(&consumer->behind);
        if (!gateway_catch_up(core, link, consumer, &allowance)) {
            list_push_back(&link->consumers_behind, &consumer->behind);
            break;
        }
    }
    round->bytes -= before.bytes - allowance.bytes;
    round->deliveries -= before.deliveries - allowance.deliveries;
    return allowance.deliveries < before.deliveries;
}

void gateway_deliver(struct gateway_core *core)
{
    struct allowance round = {.bytes = ROUND_BYTES_MAX, .deliveries = ROUND_DELIVERIES_MAX};
    struct list_node stuck; /* Nothing could be read for them at the moment. */
    struct list_node *node;
    list_init(&stuck);
    while (round.bytes > 0 && round.deliveries > 0 && (node = list_first(&core->behind)) != NULL) {
        struct link *link = container_of(node, struct link, behind);
        list_remove(&link->behind);
        if (link->state != LINK_ATTACHED || link->paused) {
            continue;
        }
        bool sent = gateway_deliver_link(core, link, &round);
        if (link->state == LINK_ATTACHED && !link->paused && !list_empty(&link->consumers_behind)) {
            list_push_back(sent ? &core->behind : &stuck, &link->behind);
        }
    }
    while ((node = list_first(&stuck)) != NULL) {
        list_remove(node);
        list_push_back(&core->behind, node);
    }
    core->more |= !list_empty(&core->behind);
}
