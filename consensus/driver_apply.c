/* Committed entries, in order, to the state machine. */

#include <raft.h>

#include "consensus/driver_internal.h"
#include "proto/base/check.h"
#include "proto/base/fault.h"

/* Entries and bytes read from the log at a time. */
#define APPLY_ENTRIES_MAX 64u
#define APPLY_BYTES_MAX (4 * MIB)

/* A CHANGE takes effect when it is appended (the engine's business); here it is noted for checkpoints. */
static void apply_change(struct driver *driver, uint64_t index, struct slice payload)
{
    struct raft_configuration configuration;
    int err = configuration_decode(payload.data, payload.len, &configuration);
    if (err != 0) {
        driver_fatal(driver, err == ERR_NOMEM ? err : ERR_CORRUPT, "the membership in entry %llu cannot be read",
                     (unsigned long long)index);
    }
    raft_configuration_close(&driver->applied_configuration);
    driver->applied_configuration = configuration;
    driver->applied_configuration_index = index;
}

static void apply_entry(struct driver *driver, uint64_t index, const struct log_entry *entry)
{
    switch (entry->type) {
    case LOG_ENTRY_COMMAND: {
        const struct driver_host *host = &driver->options.host;
        int err = host->apply(host->arg, index, entry->term, entry->payload);
        if (err != 0) {
            driver_fatal(driver, err, "entry %llu could not be applied: %s", (unsigned long long)index, err_text(err));
        }
        break;
    }
    case LOG_ENTRY_CHANGE: apply_change(driver, index, entry->payload); break;
    case LOG_ENTRY_BARRIER: break;
    default: CHECK(false);
    }
    driver->applied_index = index;
    driver->applied_term = entry->term;
    driver->replayed += index <= driver->replay_end;
}

static uint64_t now_ms(const struct driver *driver)
{
    return driver->options.clock->monotonic_ms(driver->options.clock);
}

bool driver_apply(struct driver *driver, uint64_t until_ms)
{
    /* A follower's commit index may be ahead of its own disk: what is not stored here is not applied here. */
    uint64_t commit = raft_commit_index(&driver->raft);
    uint64_t stored = driver->raft.last_stored;
    uint64_t target = commit < stored || fault_fires(FAULT_SKIP_APPLY_STORED) ? commit : stored;
    if (driver->raft.snapshot.installing || driver->applied_index >= target) {
        return false;
    }
    struct log_entry entries[APPLY_ENTRIES_MAX];
    uint64_t most = target - driver->applied_index;
    unsigned count;
    char detail[512] = "";
    int err =
        log_read(driver->log, driver->applied_index + 1, most < APPLY_ENTRIES_MAX ? (unsigned)most : APPLY_ENTRIES_MAX,
                 APPLY_BYTES_MAX, entries, &count, detail, sizeof detail);
    if (err != 0) {
        driver_fatal(driver, err, "entry %llu could not be read back: %s",
                     (unsigned long long)driver->applied_index + 1, detail[0] != '\0' ? detail : err_text(err));
    }
    bool in_time = true;
    for (unsigned i = 0; i < count; i++) {
        if (in_time) {
            apply_entry(driver, driver->applied_index + 1, &entries[i]);
            in_time = now_ms(driver) < until_ms;
        }
        slice_unref(&entries[i].payload);
    }
    return in_time && driver->applied_index < target;
}
