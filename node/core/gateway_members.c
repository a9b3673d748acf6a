/* Changes of the membership as this node's clients and other nodes ask for them: to the leader, and its answers back. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/core/gateway.h"
#include "proto/base/check.h"
#include "rpc/address.h"

/* A little longer than the leader takes to answer whatever comes of it. */
#define CHANGE_TIMEOUT_MS (MEMBERS_WAIT_MS + 2000u)

/* What could not be sent is tried again after this time. */
#define CHANGE_RETRY_MS 50u

_Static_assert((int)GATEWAY_ADD == (int)DRIVER_ADD && (int)GATEWAY_PROMOTE == (int)DRIVER_PROMOTE &&
                   (int)GATEWAY_DEMOTE == (int)DRIVER_DEMOTE && (int)GATEWAY_REMOVE == (int)DRIVER_REMOVE,
               "changes are the same everywhere");
_Static_assert((int)HOLDFAST__CHANGE_MEMBER__KIND__ADD == (int)DRIVER_ADD &&
                   (int)HOLDFAST__CHANGE_MEMBER__KIND__PROMOTE == (int)DRIVER_PROMOTE &&
                   (int)HOLDFAST__CHANGE_MEMBER__KIND__DEMOTE == (int)DRIVER_DEMOTE &&
                   (int)HOLDFAST__CHANGE_MEMBER__KIND__REMOVE == (int)DRIVER_REMOVE,
               "on the wire as well");

/* One of this node's clients waits. */
struct asked_change {
    struct list_node link;
    struct gateway_change *change;
    uint64_t id;
    bool sent; /* To the leader, in this leadership. */
    bool over;
    int err;
    char detail[MEMBERS_TEXT_LEN];
};

static struct asked_change *asked_of(struct list_node *link)
{
    return container_of(link, struct asked_change, link);
}

static void asked_end(struct gateway_core *core, struct asked_change *asked, int err, const char *detail)
{
    asked->over = true;
    asked->err = err;
    (void)snprintf(asked->detail, sizeof asked->detail, "%s", detail);
    core->more = true;
}

static struct asked_change *asked_find(struct gateway_core *core, uint64_t id)
{
    LIST_FOR_EACH (link, &core->changes) {
        if (asked_of(link)->id == id) {
            return asked_of(link);
        }
    }
    return NULL;
}

/* ---- From clients ---- */

void gateway_change(struct gateway *gateway, struct gateway_change *change)
{
    struct gateway_core *core = gateway_core_of(gateway);
    struct asked_change *asked = core->changes_len < MEMBERS_REQUESTS_MAX ? calloc(1, sizeof *asked) : NULL;
    change->deadline_ms = gateway_now_ms(core) + CHANGE_TIMEOUT_MS;
    change->id = ++core->change_id;
    core->more = true;
    if (asked == NULL) {
        list_push_back(&core->changes_refused, &change->link);
        return;
    }
    list_init(&change->link);
    asked->change = change;
    asked->id = change->id;
    list_push_back(&core->changes, &asked->link);
    core->changes_len++;
}

static void asked_free(struct gateway_core *core, struct asked_change *asked)
{
    list_remove(&asked->link);
    core->changes_len--;
    free(asked);
}

void gateway_change_cancel(struct gateway *gateway, struct gateway_change *change)
{
    struct gateway_core *core = gateway_core_of(gateway);
    struct asked_change *asked = asked_find(core, change->id);
    if (asked != NULL && asked->change == change) {
        asked_free(core, asked);
    }
    list_remove(&change->link);
}

/* ---- To the leader ---- */

static bool asked_send(struct gateway_core *core, const struct asked_change *asked)
{
    Holdfast__ChangeMember change = HOLDFAST__CHANGE_MEMBER__INIT;
    Holdfast__PeerGateway message = HOLDFAST__PEER_GATEWAY__INIT;
    message.kind_case = HOLDFAST__PEER_GATEWAY__KIND_CHANGE_MEMBER;
    message.change_member = &change;
    change.id = asked->id;
    change.kind = (Holdfast__ChangeMember__Kind)asked->change->kind;
    change.node = asked->change->node;
    change.address = asked->change->address;
    return gateway_send(core, core->leader, &message, (struct slice){0});
}

/* As leader. */
static void asked_take(struct gateway_core *core, struct asked_change *asked)
{
    struct driver_change change = {
        .kind = (enum driver_change_kind)asked->change->kind,
        .node = asked->change->node,
        .address = asked->change->address,
    };
    int err = members_ask(&core->members, core->node, asked->id, &change, gateway_now_ms(core));
    asked->sent = err == 0;
    if (err != 0) {
        asked_end(core, asked, err, err == ERR_BUSY ? "too many changes wait" : err_text(err));
    }
}

static void changes_route(struct gateway_core *core)
{
    uint64_t now_ms = gateway_now_ms(core);
    if (core->leader == 0 || now_ms < core->changes_ms) {
        return;
    }
    core->changes_ms = 0;
    LIST_FOR_EACH (link, &core->changes) {
        struct asked_change *asked = asked_of(link);
        if (asked->sent || asked->over) {
            continue;
        }
        if (core->leading) {
            asked_take(core, asked);
        } else if (!(asked->sent = asked_send(core, asked))) {
            core->changes_ms = now_ms + CHANGE_RETRY_MS;
        }
    }
}

void gateway_members_resend(struct gateway_core *core)
{
    LIST_FOR_EACH (link, &core->changes) {
        asked_of(link)->sent = false;
    }
}

void gateway_members_role_changed(struct gateway_core *core)
{
    LIST_FOR_EACH (link, &core->changes) {
        if (asked_of(link)->sent && !asked_of(link)->over) {
            asked_end(core, asked_of(link), ERR_UNAVAILABLE,
                      "the leader has changed meanwhile: the outcome is unknown; ask again to see");
        }
    }
    members_begin(&core->members);
}

/* ---- The leader's answers ---- */

static void change_answer(struct gateway_core *core, uint64_t to, uint64_t id, int err, const char *detail)
{
    Holdfast__ChangeMemberResult result = HOLDFAST__CHANGE_MEMBER_RESULT__INIT;
    Holdfast__PeerGateway message = HOLDFAST__PEER_GATEWAY__INIT;
    message.kind_case = HOLDFAST__PEER_GATEWAY__KIND_CHANGE_MEMBER_RESULT;
    message.change_member_result = &result;
    result.id = id;
    result.error = (uint32_t)-err;
    result.detail = (char *)(uintptr_t)detail;
    (void)gateway_send(core, to, &message,
                       (struct slice){0}); /* One that is lost is waited for in vain, and asked again. */
}

static void change_answered(void *arg, uint64_t from, uint64_t id, int err, const char *detail)
{
    struct gateway_core *core = arg;
    if (from != core->node) {
        change_answer(core, from, id, err, detail);
        return;
    }
    struct asked_change *asked = asked_find(core, id);
    if (asked != NULL) {
        asked_end(core, asked, err, detail);
    }
}

void gateway_members_take_result(struct gateway_core *core, uint64_t from, const Holdfast__ChangeMemberResult *result)
{
    struct asked_change *asked = core->leading || from != core->leader ? NULL : asked_find(core, result->id);
    if (asked != NULL && asked->sent && !asked->over) {
        int err = result->error > INT32_MAX ? ERR_INVALID : -(int)result->error;
        asked_end(core, asked, err, err == 0 ? "" : result->detail);
    }
}

/* What is wrong with a request, or NULL. */
static const char *change_fault(const Holdfast__ChangeMember *change)
{
    struct address address;
    bool adds = change->kind == HOLDFAST__CHANGE_MEMBER__KIND__ADD;
    if (change->node == 0) {
        return "which node?";
    }
    if (strlen(change->address) > ADDRESS_LEN_MAX) {
        return "the address is too long";
    }
    return adds && (address_parse(change->address, &address) != 0 || address.port_number == 0)
               ? "the address is not host:port"
               : NULL;
}

bool gateway_knows_member(struct gateway_core *core, uint64_t node)
{
    driver_status(core->driver, &core->status);
    for (unsigned i = 0; i < core->status.members_len; i++) {
        if (core->status.members[i].id == node) {
            return true;
        }
    }
    return false;
}

void gateway_members_take(struct gateway_core *core, uint64_t from, const Holdfast__ChangeMember *change)
{
    const char *fault = gateway_knows_member(core, from) ? change_fault(change) : "only members may ask for changes";
    if (fault != NULL) {
        change_answer(core, from, change->id, ERR_INVALID, fault);
        return;
    }
    struct driver_change wanted = {
        .kind = (enum driver_change_kind)change->kind,
        .node = change->node,
        .address = change->address,
    };
    int err = members_ask(&core->members, from, change->id, &wanted, gateway_now_ms(core));
    if (err != 0) {
        change_answer(core, from, change->id, err, err == ERR_BUSY ? "too many changes wait" : err_text(err));
    }
    core->more = true;
}

/* ---- The turn ---- */

static void changes_refuse(struct gateway_core *core)
{
    struct list_node *link;
    while ((link = list_first(&core->changes_refused)) != NULL) {
        struct gateway_change *change = container_of(link, struct gateway_change, link);
        list_remove(link);
        change->done(change, ERR_BUSY, "too many changes wait at this node");
    }
}

/* One that is over, or whose time has passed. */
static struct asked_change *changes_ended(struct gateway_core *core)
{
    uint64_t now_ms = gateway_now_ms(core);
    LIST_FOR_EACH (link, &core->changes) {
        struct asked_change *asked = asked_of(link);
        if (!asked->over && asked->change->deadline_ms <= now_ms) {
            asked_end(core, asked, ERR_UNAVAILABLE,
                      asked->sent ? "the leader has not answered in time: the outcome is unknown; ask again to see"
                                  : "no leader can be reached");
        }
        if (asked->over) {
            return asked;
        }
    }
    return NULL;
}

static void change_tick(void *arg)
{
    gateway_core_tick(arg);
}

void gateway_members_init(struct gateway_core *core)
{
    list_init(&core->changes);
    list_init(&core->changes_refused);
    core->change_id = core->run >> 16; /* Not what an earlier process of this node has asked. */
    members_init(&core->members, &(struct members_options){.journal = core->journal,
                                                           .roster = &core->roster,
                                                           .node = core->node,
                                                           .arg = core,
                                                           .answer = change_answered,
                                                           .tick = change_tick});
}

void gateway_members_done(struct gateway_core *core)
{
    struct list_node *link;
    while ((link = list_first(&core->changes)) != NULL) {
        asked_free(core, asked_of(link));
    }
    while ((link = list_first(&core->changes_refused)) != NULL) {
        list_remove(link);
    }
    members_done(&core->members);
}

void gateway_members_turn(struct gateway_core *core)
{
    changes_route(core);
    if (core->leading && core->serving && members_step(&core->members, gateway_now_ms(core))) {
        core->more = true;
    }
    changes_refuse(core);
    struct asked_change *asked;
    while ((asked = changes_ended(core)) != NULL) {
        struct asked_change ended = *asked;
        asked_free(core, asked);
        ended.change->done(ended.change, ended.err, ended.detail);
    }
}

uint64_t gateway_members_deadline_ms(const struct gateway_core *core)
{
    uint64_t deadline_ms = core->leading && core->serving ? members_deadline_ms(&core->members) : UINT64_MAX;
    if (core->changes_ms != 0 && core->leader != 0 && core->changes_ms < deadline_ms) {
        deadline_ms = core->changes_ms;
    }
    LIST_FOR_EACH (link, &core->changes) {
        uint64_t due_ms = container_of(link, struct asked_change, link)->change->deadline_ms;
        deadline_ms = due_ms < deadline_ms ? due_ms : deadline_ms;
    }
    return deadline_ms;
}
