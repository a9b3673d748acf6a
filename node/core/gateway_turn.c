/* The end of a turn: links are sent what has gathered, go on, or are over. */

#include "node/core/gateway.h"

static bool gateway_may_resume(struct gateway_core *core, const struct link *link, uint64_t now_ms)
{
    if (link->slow_until_ms > now_ms) {
        gateway_resume_at(core, link);
        return false;
    }
    return core->outgoing.len < OUTGOING_COMMANDS_MAX / 2 && core->outgoing.bytes < OUTGOING_BYTES_MAX / 2 &&
           link->pending_commands <= LINK_PENDING_COMMANDS_MAX / 2 && link->pending_bytes <= LINK_PENDING_BYTES_MAX / 2;
}

static void gateway_resume(struct gateway_core *core)
{
    uint64_t now_ms = gateway_now_ms(core);
    core->resume_ms = UINT64_MAX;
    struct list_node later;
    list_init(&later);
    struct list_node *node;
    while ((node = list_first(&core->busy)) != NULL) {
        struct link *link = container_of(node, struct link, busy);
        list_remove(&link->busy);
        if (link->state != LINK_ATTACHED) {
            continue;
        }
        if (!gateway_may_resume(core, link, now_ms)) {
            list_push_back(&later, &link->busy);
            continue;
        }
        /* It may submit, and be busy again, from within: once more in this round at most is enough for everybody. */
        link->slow_until_ms = 0;
        link->sink.resume(link->sink.arg);
        core->more = core->more || outgoing_next(&core->outgoing) != NULL;
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
        link->sink.flush(link->sink.arg); /* It may submit from within. */
        core->more = core->more || outgoing_next(&core->outgoing) != NULL;
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
            link->state = link->doom_orphans ? LINK_ORPHAN : LINK_GONE;
            link->sink.detached(link->sink.arg, link->doom_err, link->doom_detail, &where);
        }
        if (link->state != LINK_ORPHAN) {
            gateway_link_free(core, link);
        }
    }
}

void gateway_core_turn(struct gateway_core *core)
{
    gateway_presence_turn(core);
    gateway_version_turn(core);
    gateway_digests_turn(core);
    gateway_clocks_turn(core);
    gateway_members_turn(core);
    gateway_reads_turn(core);
    gateway_deliver(core);
    gateway_flush(core);
    gateway_resume(core);
    gateway_bury(core);
}
