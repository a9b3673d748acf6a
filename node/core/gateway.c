/* The gateway's ops, and the end of its turn. */

#include "node/core/gateway.h"

#include <stdio.h>
#include <string.h>

#include "proto/base/check.h"

static struct gateway_core *core_of(struct gateway *gateway)
{
    return container_of(gateway, struct gateway_core, base);
}

static struct link *link_of(struct gateway_link *link)
{
    return container_of(link, struct link, base);
}

static struct gateway_leader gateway_where(const struct gateway_core *core)
{
    return (struct gateway_leader){
        .node = core->leader,
        .address = core->leader == 0 ? "" : peers_client_address(core->peers, core->leader),
    };
}

static int gateway_leader(struct gateway *gateway, struct gateway_leader *ret_leader)
{
    struct gateway_core *core = core_of(gateway);
    *ret_leader = gateway_where(core);
    return core->leading && !core->stopping ? 0 : ERR_NOT_LEADER;
}

/* Notes what the client says to have seen, so that the rest is sent again. */
static int gateway_note_seen(struct link *link, const struct gateway_attach *attach)
{
    if (attach->consumers_len > SESSION_CONSUMERS_MAX) {
        return ERR_LIMIT;
    }
    for (size_t i = 0; i < attach->consumers_len; i++) {
        struct link_consumer *consumer;
        int err = link_consumer_get(link, attach->consumers[i], &consumer);
        if (err != 0) {
            return err;
        }
        consumer->sent = attach->seen[i];
        consumer->named = true;
    }
    return 0;
}

static int gateway_attach(struct gateway *gateway, const struct gateway_attach *attach, const struct gateway_sink *sink,
                          struct gateway_link **ret_link)
{
    struct gateway_core *core = core_of(gateway);
    if (!core->leading || core->stopping) {
        return ERR_NOT_LEADER;
    }
    if (core->batch.len >= GATEWAY_PENDING_COMMANDS_MAX) {
        return ERR_LIMIT;
    }
    struct link *link;
    int err = links_add(&core->links, sink, &link);
    if (err != 0) {
        return err;
    }
    link->base.gateway = gateway;
    err = gateway_note_seen(link, attach);
    if (err == 0) {
        err = gateway_submit_attach(core, attach, link->id);
    }
    if (err != 0) {
        links_remove(&core->links, link);
        return err;
    }
    *ret_link = &link->base;
    return 0;
}

static bool gateway_has_room(const struct gateway_core *core, const struct link *link, uint64_t len)
{
    if (core->batch.len >= GATEWAY_PENDING_COMMANDS_MAX || core->batch.bytes >= GATEWAY_PENDING_BYTES_MAX) {
        return false;
    }
    return link->pending_commands == 0 ||
           (link->pending_commands < LINK_PENDING_COMMANDS_MAX && link->pending_bytes + len <= LINK_PENDING_BYTES_MAX);
}

static int gateway_submit_command(struct gateway_link *base, uint64_t number, uint64_t answered, struct slice header,
                                  struct slice bodies)
{
    struct link *link = link_of(base);
    struct gateway_core *core = core_of(base->gateway);
    if (header.len > HEADER_LEN_MAX || bodies.len > COMMAND_BODIES_LEN_MAX) {
        return ERR_TOO_BIG;
    }
    if (link->state != LINK_ATTACHED) {
        return ERR_BUSY; /* It is over, and will be told so at the end of the turn. */
    }
    struct entry_command command = {
        .session = link->session,
        .number = number,
        .attachment = link->attachment,
        .answered = answered,
        .header = header,
        .bodies = bodies,
    };
    uint64_t len = batch_command_len(&command);
    if (!gateway_has_room(core, link, len) || batch_push(&core->batch, &command, link->id) != 0) {
        if (!list_linked(&link->busy)) {
            list_push_back(&core->busy, &link->busy);
        }
        return ERR_BUSY;
    }
    link->pending_commands++;
    link->pending_bytes += len;
    return 0;
}

static void gateway_pause(struct gateway_link *base, bool paused)
{
    struct link *link = link_of(base);
    struct gateway_core *core = core_of(base->gateway);
    link->paused = paused;
    if (!paused && link->state == LINK_ATTACHED && !list_empty(&link->consumers_behind) &&
        !list_linked(&link->behind)) {
        list_push_back(&core->behind, &link->behind);
        core->more = true;
    }
}

static void gateway_detach(struct gateway_link *base)
{
    struct link *link = link_of(base);
    struct gateway_core *core = core_of(base->gateway);
    if (link->session != 0) {
        gateway_lease_start(core, link->session, link->attachment);
    }
    if (!core->in_turn) {
        links_remove(&core->links, link);
        return;
    }
    links_unbind(&core->links, link);
    list_remove(&link->touched);
    if (!list_linked(&link->ending)) {
        list_push_back(&core->ending, &link->ending);
    }
    link->state = LINK_GONE;
}

static const struct gateway_ops gateway_core_ops = {
    .leader = gateway_leader,
    .attach = gateway_attach,
    .submit = gateway_submit_command,
    .pause = gateway_pause,
    .detach = gateway_detach,
    .queues = gateway_list_queues,
    .status = gateway_fill_status,
};

void gateway_core_init(struct gateway_core *core, const struct gateway_core_options *options)
{
    *core = (struct gateway_core){
        .base = {.ops = &gateway_core_ops, .body_len_max = options->body_len_max},
        .machine = options->machine,
        .driver = options->driver,
        .clock = options->clock,
        .journal = options->journal,
        .peers = options->peers,
        .cluster = options->cluster,
        .version = options->version,
        .node = options->node,
        .fatal_arg = options->fatal_arg,
        .fatal = options->fatal,
    };
    proposals_init(&core->proposals);
    list_init(&core->touched);
    list_init(&core->behind);
    list_init(&core->busy);
    list_init(&core->ending);
}

void gateway_core_done(struct gateway_core *core)
{
    links_done(&core->links);
    leases_clear(&core->leases);
    proposals_clear(&core->proposals);
    batch_done(&core->batch);
}

void gateway_link_doom(struct gateway_core *core, struct link *link, int err, const char *detail)
{
    if (link->state == LINK_DOOMED || link->state == LINK_GONE) {
        return;
    }
    links_unbind(&core->links, link);
    link->state = LINK_DOOMED;
    link->doom_err = err;
    (void)snprintf(link->doom_detail, sizeof link->doom_detail, "%s", detail == NULL ? "" : detail);
    list_push_back(&core->ending, &link->ending);
}

void gateway_link_touch(struct gateway_core *core, struct link *link)
{
    if (link->state == LINK_ATTACHED && !list_linked(&link->touched)) {
        list_push_back(&core->touched, &link->touched);
    }
}

void gateway_consumer_behind(struct gateway_core *core, struct link *link, struct link_consumer *consumer)
{
    if (!list_linked(&consumer->behind)) {
        list_push_back(&link->consumers_behind, &consumer->behind);
    }
    if (!link->paused && !list_linked(&link->behind)) {
        list_push_back(&core->behind, &link->behind);
    }
}

static void gateway_resume(struct gateway_core *core)
{
    struct list_node later;
    list_init(&later);
    struct list_node *node;
    while ((node = list_first(&core->busy)) != NULL) {
        struct link *link = container_of(node, struct link, busy);
        list_remove(&link->busy);
        if (link->state != LINK_ATTACHED) {
            continue;
        }
        bool room = core->batch.len < GATEWAY_PENDING_COMMANDS_MAX / 2 &&
                    core->batch.bytes < GATEWAY_PENDING_BYTES_MAX / 2 &&
                    link->pending_commands <= LINK_PENDING_COMMANDS_MAX / 2 &&
                    link->pending_bytes <= LINK_PENDING_BYTES_MAX / 2;
        if (!room) {
            list_push_back(&later, &link->busy);
            continue;
        }
        /* It may submit, and be busy again, from within: once more in this round at most is enough for everybody. */
        link->sink.resume(link->sink.arg);
        core->more = core->more || core->batch.len > 0;
        if (list_linked(&link->busy)) {
            list_remove(&link->busy);
            list_push_back(&later, &link->busy);
        }
    }
    while ((node = list_first(&later)) != NULL) {
        list_remove(node);
        list_push_back(&core->busy, node);
    }
}

static void gateway_flush(struct gateway_core *core)
{
    struct list_node *node;
    while ((node = list_first(&core->touched)) != NULL) {
        struct link *link = container_of(node, struct link, touched);
        list_remove(&link->touched);
        link->sink.flush(link->sink.arg);
    }
}

static void gateway_bury(struct gateway_core *core)
{
    struct list_node *node;
    while ((node = list_first(&core->ending)) != NULL) {
        struct link *link = container_of(node, struct link, ending);
        list_remove(&link->ending);
        if (link->state == LINK_DOOMED) {
            struct gateway_leader where = gateway_where(core);
            link->state = LINK_GONE;
            link->sink.detached(link->sink.arg, link->doom_err, link->doom_detail, &where);
        }
        links_remove(&core->links, link);
    }
}

void gateway_core_turn(struct gateway_core *core)
{
    gateway_end_leases(core);
    gateway_deliver(core);
    gateway_flush(core);
    gateway_resume(core);
    gateway_bury(core);
}

uint64_t gateway_core_deadline_ms(const struct gateway_core *core)
{
    if (core->more || (core->serving && core->batch.len > 0 && driver_ready(core->driver))) {
        return 0;
    }
    const struct lease *lease = core->serving ? leases_first(&core->leases) : NULL;
    return lease == NULL ? UINT64_MAX : lease->deadline_ms;
}
