/* Changing the membership: one entry, alone, when the guards allow for it (Raft thesis §4.1).
 *
 * Without the engine's RAFT_CATCH_UP: it counts rounds of replication and compares the match index with the last one, as is
 * done here; it has no checks of its own, nothing can be changed while it runs, and it gives up by itself. */

#include <raft.h>
#include <string.h>

#include "consensus/driver_internal.h"

/* What a member may lack and still count as one that has caught up, besides twice what may be under way (the window): entries
 * and bytes that are there after some syncs. */
#define NEAR_ENTRIES DRIVER_INFLIGHT_MAX
#define NEAR_BYTES (1 * MIB)

/* Whether a member is there, and has stored all but what is under way. One that has died within the last election timeout, and
 * whose connection has not ended yet, counts as there: with two voters, and one of them lost for good in the very moment in
 * which a third has lost its vote, the way out is that for two lost out of three. */
static bool keeps_up(const struct driver *driver, uint64_t id)
{
    const struct raft *raft = &driver->raft;
    uint64_t last = log_last_index(driver->log);
    raft_index match;
    if (id == raft->id) {
        return true;
    }
    if (raft_match_index(raft, id, &match) != 0 || match == 0 || !driver_peer_is_there(driver, id)) {
        return false;
    }
    uint64_t lacks = last - match;
    return lacks <= (uint64_t)2 * driver->options.window ||
           (lacks <= NEAR_ENTRIES && log_bytes_from(driver->log, match + 1) <= NEAR_BYTES);
}

/* How many of those that vote in `next` are so. */
static unsigned count_ready(const struct driver *driver, const struct raft_configuration *next)
{
    unsigned ready = 0;
    for (unsigned i = 0; i < next->n; i++) {
        ready += next->servers[i].role == RAFT_VOTER && keeps_up(driver, next->servers[i].id);
    }
    return ready;
}

static int submit_change(struct driver *driver, const struct log_entry *entry, const char **ret_why)
{
    struct raft_entry raft_entry = {
        .term = entry->term,
        .type = RAFT_CHANGE,
        .buf = {.base = (void *)entry->payload.data, .len = entry->payload.len},
        .batch = entry->payload.blob,
    };
    struct raft_event event = {.type = RAFT_SUBMIT};
    event.submit.entries = &raft_entry;
    event.submit.n = 1;
    struct driver_entries given = {.raft = &raft_entry, .log = entry, .count = 1};
    int rv = driver_event(driver, &event, &given, false);
    if (rv <= 0) {
        return 0;
    }
    *ret_why = rv == RAFT_CANTCHANGE ? "another change is under way" : raft_strerror(rv);
    switch (rv) {
    case RAFT_CANTCHANGE: return ERR_BUSY;
    case RAFT_NOTLEADER: return ERR_NOT_LEADER;
    case RAFT_NOMEM: return ERR_NOMEM;
    default: return ERR_REFUSED;
    }
}

int driver_propose_members(struct driver *driver, const struct raft_configuration *next, const char **ret_why)
{
    struct raft *raft = &driver->raft;
    uint64_t commit_term = driver_term_of(driver, raft_commit_index(raft));
    int err = guard_change(&driver->guards, raft, commit_term, next, count_ready(driver, next), ret_why);
    if (err != 0) {
        return err;
    }
    struct log_entry entry = {.term = raft_current_term(raft), .type = LOG_ENTRY_CHANGE};
    err = configuration_encode(next, &entry.payload);
    if (err != 0) {
        *ret_why = err_text(err);
        return err;
    }
    if (!log_takes(driver->log, log_last_index(driver->log) + 1, &entry, 1)) {
        *ret_why = "the leader's log is full, and its disk too";
        err = ERR_NO_SPACE;
    } else {
        err = submit_change(driver, &entry, ret_why);
    }
    slice_unref(&entry.payload);
    return err;
}

static int refuse(int err, const char *why, const char **ret_why)
{
    *ret_why = why;
    return err;
}

/* 0 also when it is so already, which leaves `next` as it is. */
static int add(struct raft_configuration *next, const struct driver_change *change, const char **ret_why)
{
    const struct raft_server *server = configuration_find(next, change->node);
    if (change->address == NULL || change->address[0] == '\0' || strlen(change->address) > ADDRESS_LEN_MAX) {
        return refuse(ERR_INVALID, "a member needs an address, of at most 255 bytes", ret_why);
    }
    if (server != NULL) {
        return strcmp(server->address, change->address) == 0
                   ? 0
                   : refuse(ERR_REFUSED, "a member with this number has another address: remove it first", ret_why);
    }
    if (next->n >= MEMBERS_MAX) {
        return refuse(ERR_LIMIT, "the cluster has as many members as there can be", ret_why);
    }
    switch (raft_configuration_add(next, change->node, change->address, RAFT_STANDBY)) {
    case 0: return 0;
    case RAFT_DUPLICATEADDRESS: return refuse(ERR_REFUSED, "another member has this address", ret_why);
    default: return refuse(ERR_NOMEM, err_text(ERR_NOMEM), ret_why);
    }
}

static void remove_server(struct raft_configuration *next, uint64_t id)
{
    unsigned i = 0;
    while (next->servers[i].id != id) {
        i++;
    }
    raft_free(next->servers[i].address);
    next->n--;
    memmove(&next->servers[i], &next->servers[i + 1], (next->n - i) * sizeof next->servers[0]);
}

/* Makes the change in a copy of the membership. */
static int make_next(struct driver *driver, struct raft_configuration *next, const struct driver_change *change,
                     const char **ret_why)
{
    if (change->kind == DRIVER_ADD) {
        return add(next, change, ret_why);
    }
    struct raft_server *server = NULL;
    for (unsigned i = 0; i < next->n; i++) {
        server = next->servers[i].id == change->node ? &next->servers[i] : server;
    }
    if (server == NULL) {
        return refuse(ERR_NOT_FOUND, "there is no such member", ret_why);
    }
    switch (change->kind) {
    case DRIVER_PROMOTE:
        if (server->role != RAFT_VOTER && !keeps_up(driver, change->node)) {
            return refuse(ERR_BUSY, "it has not caught up with the leader yet, or is not there", ret_why);
        }
        /* It may have begun anew, and what it is known to match is from before that. */
        if (server->role != RAFT_VOTER && !driver_forgot_nothing(driver, change->node)) {
            return refuse(ERR_BUSY, "it is being asked whether it still has what it had stored", ret_why);
        }
        server->role = RAFT_VOTER;
        return 0;
    case DRIVER_DEMOTE: server->role = RAFT_STANDBY; return 0;
    case DRIVER_REMOVE: remove_server(next, change->node); return 0;
    case DRIVER_ADD:
    default: return refuse(ERR_INVALID, "there is no such kind of change", ret_why);
    }
}

static int propose_next(struct driver *driver, const struct driver_change *change,
                        const struct raft_configuration *next, uint64_t *ret_index, const char **ret_why)
{
    raft_index match = 0;
    (void)raft_match_index(&driver->raft, change->node, &match);
    int err = driver_propose_members(driver, next, ret_why);
    if (err == 0) {
        *ret_index = log_last_index(driver->log);
        if (change->kind == DRIVER_REMOVE) {
            driver_feed_removed(driver, change->node, match, *ret_index);
        }
    }
    return err;
}

int driver_change(struct driver *driver, const struct driver_change *change, uint64_t *ret_index, const char **ret_why)
{
    const struct raft *raft = &driver->raft;
    *ret_why = "";
    if (raft->state != RAFT_LEADER) {
        return refuse(ERR_NOT_LEADER, "this node does not lead", ret_why);
    }
    if (raft_transferee(raft) != 0) {
        return refuse(ERR_NOT_LEADER, "leadership is being handed over", ret_why);
    }
    if (change->node == 0) {
        return refuse(ERR_INVALID, "a member needs a number that is not 0", ret_why);
    }
    if (raft->configuration_uncommitted_index != 0) {
        return refuse(ERR_BUSY, "another change is under way", ret_why);
    }
    struct raft_configuration next;
    if (configuration_copy(&raft->configuration, &next) != 0) {
        return refuse(ERR_NOMEM, err_text(ERR_NOMEM), ret_why);
    }
    uint64_t index = 0;
    int err = make_next(driver, &next, change, ret_why);
    if (err == 0 && !configuration_equal(&raft->configuration, &next)) {
        err = propose_next(driver, change, &next, &index, ret_why);
    }
    raft_configuration_close(&next);
    if (err == 0) {
        *ret_index = index;
    }
    return err;
}
