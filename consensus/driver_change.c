/* Proposing a membership: one entry, alone, when the guards allow for it (Raft thesis §4.1). */

#include <raft.h>

#include "consensus/driver_internal.h"

int driver_propose_members(struct driver *driver, const struct raft_configuration *next, const char **ret_why)
{
    struct raft *raft = &driver->raft;
    uint64_t commit_term = driver_term_of(driver, raft_commit_index(raft));
    int err = guard_change(&driver->guards, raft, commit_term, next, ret_why);
    if (err != 0) {
        return err;
    }
    struct log_entry entry = {.term = raft_current_term(raft), .type = LOG_ENTRY_CHANGE};
    err = configuration_encode(next, &entry.payload);
    if (err != 0) {
        *ret_why = err_text(err);
        return err;
    }
    struct raft_entry raft_entry = {
        .term = entry.term,
        .type = RAFT_CHANGE,
        .buf = {.base = (void *)entry.payload.data, .len = entry.payload.len},
        .batch = entry.payload.blob,
    };
    struct raft_event event = {.type = RAFT_SUBMIT};
    event.submit.entries = &raft_entry;
    event.submit.n = 1;
    struct driver_entries given = {.raft = &raft_entry, .log = &entry, .count = 1};
    int rv = driver_event(driver, &event, &given, false);
    slice_unref(&entry.payload);
    if (rv > 0) {
        *ret_why = rv == RAFT_CANTCHANGE ? "another change is under way" : raft_strerror(rv);
        return rv == RAFT_CANTCHANGE ? ERR_BUSY : rv == RAFT_NOTLEADER ? ERR_NOT_LEADER : ERR_REFUSED;
    }
    return 0;
}
