/* Requests: what is to be done next, and whether it is done. */

#include "node/core/members_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"

void members_init(struct members *members, const struct members_options *options)
{
    *members = (struct members){.options = *options};
    list_init(&members->waiting);
}

static struct members_request *request_of(struct list_node *link)
{
    return container_of(link, struct members_request, link);
}

void members_begin(struct members *members)
{
    struct list_node *link;
    while ((link = list_first(&members->waiting)) != NULL) {
        list_remove(link);
        free(request_of(link));
    }
    free(members->current);
    members->current = NULL;
    members->waiting_len = 0;
    members->last_index = 0;
    members->retry_ms = 0;
    memset(members->wishes, 0, sizeof members->wishes);
}

void members_done(struct members *members)
{
    members_begin(members);
}

/* ---- Words ---- */

static const char *change_words(enum driver_change_kind kind)
{
    switch (kind) {
    case DRIVER_ADD: return "is a member, without a vote";
    case DRIVER_PROMOTE: return "votes";
    case DRIVER_DEMOTE: return "votes no more";
    default: return "is no member any more";
    }
}

/* ---- Members ---- */

const struct driver_status_member *members_find(const struct driver_status *status, uint64_t node)
{
    for (unsigned i = 0; i < status->members_len; i++) {
        if (status->members[i].id == node) {
            return &status->members[i];
        }
    }
    return NULL;
}

/* ---- Requests ---- */

static bool request_is(const struct members_request *request, uint64_t from, uint64_t id)
{
    return request != NULL && request->from == from && request->id == id;
}

int members_ask(struct members *members, uint64_t from, uint64_t id, const struct driver_change *change,
                uint64_t now_ms)
{
    CHECK(from != 0 && strlen(change->address) <= ADDRESS_LEN_MAX);
    if (request_is(members->current, from, id)) {
        return 0;
    }
    LIST_FOR_EACH (link, &members->waiting) {
        if (request_is(request_of(link), from, id)) {
            return 0;
        }
    }
    struct members_request *request = members->waiting_len < MEMBERS_REQUESTS_MAX ? malloc(sizeof *request) : NULL;
    if (request == NULL) {
        return members->waiting_len < MEMBERS_REQUESTS_MAX ? ERR_NOMEM : ERR_BUSY;
    }
    *request = (struct members_request){
        .from = from,
        .id = id,
        .change = {.kind = change->kind, .node = change->node},
        .deadline_ms = now_ms + MEMBERS_WAIT_MS,
    };
    memcpy(request->address, change->address, strlen(change->address) + 1);
    request->change.address = request->address;
    list_push_back(&members->waiting, &request->link);
    members->waiting_len++;
    return 0;
}

/* Whoever asked is told; the request stays with whoever has it. */
static void request_answer(struct members *members, struct members_request *request, int err, const char *detail)
{
    uint64_t from = request->from;
    request->from = 0;
    if (from != 0) {
        members->options.answer(members->options.arg, from, request->id, err, detail);
    }
}

/* The request needs nothing more, and leaves the list. */
static void request_end(struct members *members, struct members_request *request, int err, const char *detail)
{
    list_remove(&request->link);
    members->waiting_len--;
    request_answer(members, request, err, detail);
    free(request);
}

/* ---- Proposing ---- */

/* What is so already may be so in an entry that is not committed; and whoever says so may lead no more, and not know of the
 * change that has undone it. So an entry of this leadership must be committed after it. */
static uint64_t members_index(struct members *members, uint64_t index)
{
    struct driver_status status;
    driver_status(members->options.driver, &status);
    if (index == 0) {
        index = status.log_last + 1;
        members->options.tick(members->options.arg);
    }
    if (status.change_index > members->last_index) {
        members->last_index = status.change_index;
    }
    return index;
}

/* Takes the request over when it is proposed, or done already. */
static int members_propose(struct members *members, struct members_request *request, const char **ret_why)
{
    CHECK(members->current == NULL);
    uint64_t index;
    *ret_why = "";
    int err = driver_change(members->options.driver, &request->change, &index, ret_why);
    if (err == ERR_NOT_FOUND && request->change.kind == DRIVER_REMOVE) {
        err = 0; /* It is so already. */
        index = 0;
    }
    if (err != 0) {
        return err;
    }
    if (index != 0) {
        journal_info(members->options.journal, "members", "node %" PRIu64 " %s when entry %" PRIu64 " is committed",
                     request->change.node, change_words(request->change.kind), index);
    }
    members->last_index = index > members->last_index ? index : members->last_index;
    request->index = members_index(members, index);
    members->current = request;
    return 0;
}

int members_propose_own(struct members *members, enum driver_change_kind kind, uint64_t node, uint64_t now_ms,
                        const char **ret_why)
{
    struct members_request *request = malloc(sizeof *request);
    if (request == NULL) {
        *ret_why = err_text(ERR_NOMEM);
        return ERR_NOMEM;
    }
    *request = (struct members_request){.change = {.kind = kind, .node = node}};
    request->change.address = request->address;
    request->deadline_ms = now_ms + MEMBERS_WAIT_MS;
    list_init(&request->link);
    int err = members_propose(members, request, ret_why);
    if (err != 0) {
        free(request);
    }
    return err;
}

static unsigned members_voters(struct members *members)
{
    struct driver_status status;
    unsigned voters = 0;
    driver_status(members->options.driver, &status);
    for (unsigned i = 0; i < status.members_len; i++) {
        voters += status.members[i].voter;
    }
    return voters;
}

/* A leader does not take itself out: it hands over, and the next leader does. Not for what that would refuse. */
static void members_step_aside(struct members *members, struct members_request *request)
{
    char text[MEMBERS_TEXT_LEN];
    unsigned voters = members_voters(members);
    if (voters <= 2) {
        request_end(members, request, ERR_REFUSED,
                    voters == 1 ? "it is the only voter" : "fewer than two voters would remain");
        return;
    }
    int err = driver_transfer(members->options.driver, 0);
    (void)snprintf(text, sizeof text,
                   err == 0 || err == ERR_BUSY ? "node %" PRIu64 " leads: leadership is being handed over; ask again"
                                               : "node %" PRIu64 " leads, and no other voter is there to take over",
                   members->options.node);
    request_end(members, request, ERR_BUSY, text);
}

/* Its vote was taken away so that it could have a copy, and it is to get it back: "votes no more" would be true, and not for long. */
static bool members_returns(struct members *members, uint64_t node)
{
    struct driver_status status;
    driver_status(members->options.driver, &status);
    const struct driver_status_member *member = members_find(&status, node);
    const struct roster_node *known =
        members->options.roster == NULL ? NULL : roster_find(members->options.roster, node);
    return member != NULL && !member->voter && known != NULL && (known->returning || known->wants_vote);
}

static void members_ask_later(struct members *members, struct members_request *request)
{
    char text[MEMBERS_TEXT_LEN];
    (void)snprintf(text, sizeof text,
                   "node %" PRIu64
                   " is being repaired, and gets its vote back when it has caught up: ask again then; or remove it",
                   request->change.node);
    request_end(members, request, ERR_BUSY, text);
}

/* Whether anything was done. */
static bool members_begin_next(struct members *members, uint64_t now_ms)
{
    struct list_node *link = list_first(&members->waiting);
    if (link == NULL) {
        return false;
    }
    struct members_request *request = request_of(link);
    enum driver_change_kind kind = request->change.kind;
    if (request->deadline_ms <= now_ms) {
        request_end(members, request, ERR_BUSY, "another change is under way, and has not ended in time");
        return true;
    }
    if (kind != DRIVER_ADD && kind != DRIVER_PROMOTE && kind != DRIVER_DEMOTE && kind != DRIVER_REMOVE) {
        request_end(members, request, ERR_INVALID, "a kind of change that the leader does not know");
        return true;
    }
    if (request->change.node == members->options.node && (kind == DRIVER_DEMOTE || kind == DRIVER_REMOVE)) {
        members_step_aside(members, request);
        return true;
    }
    if (kind == DRIVER_DEMOTE && members_returns(members, request->change.node)) {
        members_ask_later(members, request);
        return true;
    }
    const char *why;
    int err = members_propose(members, request, &why);
    if (err != 0) {
        bool lost = err == ERR_NOT_LEADER;
        const char *detail = why[0] != '\0' ? why : err_text(err);
        request_end(members, request, lost ? ERR_BUSY : err,
                    lost ? "leadership is being handed over; ask again" : detail);
        return true;
    }
    list_remove(&request->link);
    members->waiting_len--;
    return true;
}

/* ---- The change under way ---- */

static bool current_is_stored(const struct members_request *request, const struct driver_status *status)
{
    const struct driver_status_member *member = members_find(status, request->change.node);
    return request->change.kind != DRIVER_PROMOTE || member == NULL || !member->voter || member->id == status->id ||
           member->match_index >= request->index;
}

static void current_late(struct members *members, const struct members_request *request, bool applied)
{
    char text[MEMBERS_TEXT_LEN];
    if (applied) {
        (void)snprintf(text, sizeof text, "node %" PRIu64 " votes, but has not stored that (entry %" PRIu64 ") in time",
                       request->change.node, request->index);
    } else {
        (void)snprintf(text, sizeof text,
                       "entry %" PRIu64 " is not committed yet: the outcome is unknown; ask again to see",
                       request->index);
    }
    request_answer(members, members->current, ERR_UNAVAILABLE, text);
}

/* Whether the change under way is over. */
static bool members_finish(struct members *members, uint64_t now_ms)
{
    struct driver_status status;
    struct members_request *request = members->current;
    driver_status(members->options.driver, &status);
    bool applied = status.applied_index >= request->index;
    if (applied && (current_is_stored(request, &status) || request->from == 0)) {
        members->current = NULL;
        request_answer(members, request, 0, "");
        free(request);
        return true;
    }
    if (request->from != 0 && request->deadline_ms <= now_ms) {
        current_late(members, request, applied);
    }
    return false;
}

/* ---- Step by step ---- */

bool members_step(struct members *members, uint64_t now_ms)
{
    bool any = false;
    bool more = true;
    while (more) {
        more = members->current != NULL ? members_finish(members, now_ms)
                                        : members_begin_next(members, now_ms) || members_try_wishes(members, now_ms);
        any = any || more;
    }
    return any;
}

uint64_t members_deadline_ms(const struct members *members)
{
    if (members->current != NULL) {
        return members->current->from != 0 ? members->current->deadline_ms : UINT64_MAX;
    }
    if (members->waiting_len > 0) {
        return 0;
    }
    return members->retry_ms != 0 ? members->retry_ms : UINT64_MAX;
}
