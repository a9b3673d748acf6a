/* Opening a driver: files, recovery, and the engine's start; and closing it. */

#include <raft.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/driver_internal.h"
#include "proto/base/check.h"
#include "proto/base/fault.h"

#define ELECTION_TIMEOUT_MS 300u
#define HEARTBEAT_MS 50u
#define WINDOW 4u
#define CACHE_LEN_MAX (64 * MIB)
#define RETAIN_LEN (1 * GIB)
#define MESSAGE_ARENA_MAX (1 * MIB)
/* For how many election timeouts the engine waits for a snapshot that it has offered, deaf to what the node says of its log
 * once we have made another checkpoint. Nothing is on its way then, and the node may have got a copy elsewhere; but an offer
 * takes the place of a heartbeat. */
#define OFFER_ELECTIONS 2u

static void log_stored(void *arg, uint64_t index)
{
    struct driver *driver = arg;
    if (index <= driver->raft.last_stored) {
        return; /* What the write held has been taken back since (G5). */
    }
    struct raft_event event = {.type = RAFT_PERSISTED_ENTRIES};
    event.persisted_entries.index = index;
    (void)driver_event(driver, &event, NULL, false);
}

static void log_failed(void *arg, int err, const char *what)
{
    driver_fatal(arg, err, "the log could not be written: %s", what);
}

static void set_defaults(struct driver_options *options)
{
    options->election_timeout_ms =
        options->election_timeout_ms > 0 ? options->election_timeout_ms : ELECTION_TIMEOUT_MS;
    options->heartbeat_ms = options->heartbeat_ms > 0 ? options->heartbeat_ms : HEARTBEAT_MS;
    options->window = options->window > 0 ? options->window : WINDOW;
    options->segment_len = options->segment_len > 0 ? options->segment_len : LOG_SEGMENT_LEN;
    options->cache_len_max = options->cache_len_max > 0 ? options->cache_len_max : CACHE_LEN_MAX;
    options->reserve_len = options->reserve_len > 0 ? options->reserve_len : 2 * options->segment_len;
    options->retain_len = options->retain_len > 0 ? options->retain_len : RETAIN_LEN;
}

/* The directory and, in the one above, its name: what is stored below it must still be found after the power fails. */
int driver_make_dir(const struct driver_options *options)
{
    const struct disk_ops *ops = options->disk->ops;
    char parent[LOG_PATH_LEN_MAX];
    int err = log_path_parent(options->dir, parent);
    if (err == 0) {
        err = ops->make_dir(options->disk, options->dir);
    }
    return err == 0 ? ops->sync_dir(options->disk, parent) : err;
}

static int open_files(struct driver *driver, struct meta_value *ret_meta, char *detail, size_t detail_len)
{
    const struct driver_options *options = &driver->options;
    int err = log_path(options->dir, "log", driver->log_dir);
    if (err == 0) {
        err = driver_make_dir(options);
    }
    if (err != 0) {
        (void)snprintf(detail, detail_len, "%s: %s", options->dir, err_text(err));
        return err;
    }
    err = meta_open(options->disk, options->dir, &driver->meta, ret_meta, detail, detail_len);
    if (err != 0) {
        return err;
    }
    struct log_options log_options = {
        .disk = options->disk,
        .journal = options->journal,
        .dir = driver->log_dir,
        .segment_len = options->segment_len,
        .reserve_len = options->reserve_len,
        .fill_len = options->fill_len,
        .cache_len_max = options->cache_len_max,
        .arg = driver,
        .stored = log_stored,
        .failed = log_failed,
    };
    struct log_recovery recovery = {0};
    err = log_open(&log_options, &recovery, &driver->log);
    if (err != 0) {
        (void)snprintf(detail, detail_len, "%s", recovery.detail[0] != '\0' ? recovery.detail : err_text(err));
        return err;
    }
    if (recovery.torn_bytes > 0) {
        journal_info(options->journal, "log", "cut %llu bytes of a write that a crash had torn",
                     (unsigned long long)recovery.torn_bytes);
    }
    return 0;
}

static bool is_configured(const struct driver_options *options, uint64_t id)
{
    bool found = false;
    for (unsigned i = 0; i < options->members_len; i++) {
        found = found || options->members[i].id == id;
    }
    return found;
}

/* The first entry of every log is the first membership, the same on all nodes (raft.h: "the log entry with index 1 must
 * always contain the first committed configuration"). It reaches the disk before anything that follows it. */
static int bootstrap(struct driver *driver, struct meta_value *meta, char *detail, size_t detail_len)
{
    if (!is_configured(&driver->options, driver->options.id)) {
        (void)snprintf(detail, detail_len,
                       "%s/log: is empty, and node %llu is none of those that are configured: a node that "
                       "is to be added begins with a copy of the state",
                       driver->options.dir, driver->raft.id);
        return ERR_FOREIGN;
    }
    struct raft_configuration configuration;
    raft_configuration_init(&configuration);
    int err = 0;
    for (unsigned i = 0; i < driver->options.members_len && err == 0; i++) {
        const struct driver_member *member = &driver->options.members[i];
        int rv = raft_configuration_add(&configuration, member->id, member->address, RAFT_VOTER);
        err = rv == 0 ? 0 : rv == RAFT_NOMEM ? ERR_NOMEM : ERR_INVALID;
    }
    struct log_entry entry = {.term = 1, .type = LOG_ENTRY_CHANGE};
    if (err == 0) {
        err = configuration_encode(&configuration, &entry.payload);
    }
    raft_configuration_close(&configuration);
    if (err != 0) {
        return err;
    }
    err = log_append(driver->log, &entry, 1);
    slice_unref(&entry.payload);
    if (err == 0 && meta->term == 0) {
        meta->term = 1;
        err = meta_save(driver->meta, meta);
    }
    return err;
}

/* Log and checkpoint must fit each other. A checkpoint holds only what this node had stored, so a log that begins after it,
 * ends before it, or has another entry at its index has lost what this node may have confirmed: it must not vote on it.
 * Term and vote must fit them too: the term is on disk before any entry of it, but for the first entry (bootstrap()). */
static int reconcile(const struct driver *driver, uint64_t meta_term, char *detail, size_t detail_len)
{
    unsigned long long index = driver->checkpoint_index;
    unsigned long long first = log_first_index(driver->log);
    unsigned long long last = log_last_index(driver->log);
    uint64_t term = log_term(driver->log, index);
    const char *dir = driver->options.dir;
    if (index + 1 < first) {
        (void)snprintf(detail, detail_len, "%s/log: begins at entry %llu, but the state ends at entry %llu", dir, first,
                       index);
        return ERR_CORRUPT;
    }
    if (last < index) {
        (void)snprintf(detail, detail_len, "%s/log: ends at entry %llu, but the state ends at entry %llu", dir, last,
                       index);
        return ERR_CORRUPT;
    }
    if (term != 0 && index > 0 && term != driver->checkpoint_term) {
        (void)snprintf(detail, detail_len,
                       "%s/log: entry %llu is of term %llu, but the state was made from one of term %llu", dir, index,
                       (unsigned long long)term, (unsigned long long)driver->checkpoint_term);
        return ERR_CORRUPT;
    }
    uint64_t last_term = last == index ? driver->checkpoint_term : log_term(driver->log, last);
    if (meta_term < last_term && last_term > 1) {
        (void)snprintf(detail, detail_len,
                       "%s/meta: the term is %llu, but entry %llu is of term %llu: term and vote are lost", dir,
                       (unsigned long long)meta_term, last, (unsigned long long)last_term);
        return ERR_CORRUPT;
    }
    return 0;
}

/* Unless it has been changed since, the membership is the one that all nodes were first started with. A log of others must
 * not vote among these: there would be two majorities. There may be more of them, which are to be added one after the other
 * (driver_change()): until then the log counts. */
static int reconcile_members(const struct driver *driver, char *detail, size_t detail_len)
{
    const struct driver_options *options = &driver->options;
    const struct raft_configuration *held = &driver->raft.configuration;
    if (driver->raft.configuration_committed_index > 1 || driver->raft.configuration_uncommitted_index != 0) {
        return 0;
    }
    bool known = true;
    for (unsigned i = 0; i < held->n; i++) {
        known = known && is_configured(options, held->servers[i].id);
    }
    if (known) {
        return 0;
    }
    char ids[MEMBERS_MAX * 24] = "";
    for (unsigned i = 0; i < held->n && i < MEMBERS_MAX; i++) {
        size_t len = strlen(ids);
        (void)snprintf(ids + len, sizeof ids - len, " %llu", held->servers[i].id);
    }
    (void)snprintf(detail, detail_len, "%s/log: is of a cluster of the nodes%s, and not of the %u that are configured",
                   options->dir, ids, options->members_len);
    return ERR_FOREIGN;
}

/* Gives the engine the trail of the log: terms and types, and the bytes of memberships. */
static int load_trail(struct driver *driver, struct raft_entry **ret_entries, unsigned *ret_count,
                      struct slice **ret_held, unsigned *ret_held_len, char *detail, size_t detail_len)
{
    uint64_t first = log_first_index(driver->log);
    uint64_t last = log_last_index(driver->log);
    size_t count = (size_t)(last + 1 - first);
    struct raft_entry *entries = count > 0 ? raft_malloc(count * sizeof *entries) : NULL;
    struct slice *held = NULL;
    unsigned held_len = 0;
    int err = 0;
    if (count > 0 && entries == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < count && err == 0; i++) {
        uint64_t index = first + i;
        entries[i] = (struct raft_entry){.term = log_term(driver->log, index),
                                         .type = (enum raft_entry_type)log_type(driver->log, index)};
        if (entries[i].type != RAFT_CHANGE) {
            continue;
        }
        struct log_entry change;
        unsigned read;
        err = log_read(driver->log, index, 1, UINT64_MAX, &change, &read, detail, detail_len);
        if (err != 0) {
            break;
        }
        struct slice *grown = realloc(held, (held_len + 1) * sizeof *held);
        struct raft_configuration check;
        if (grown == NULL || (err = configuration_decode(change.payload.data, change.payload.len, &check)) != 0) {
            err = grown == NULL || err == ERR_NOMEM ? ERR_NOMEM : ERR_CORRUPT;
            (void)snprintf(detail, detail_len, "the membership in entry %llu cannot be read",
                           (unsigned long long)index);
            held = grown != NULL ? grown : held;
            slice_unref(&change.payload);
            break;
        }
        raft_configuration_close(&check);
        held = grown;
        held[held_len++] = change.payload;
        entries[i].buf = (struct raft_buffer){.base = (void *)change.payload.data, .len = change.payload.len};
    }
    if (err != 0) {
        raft_free(entries);
        for (unsigned i = 0; i < held_len; i++) {
            slice_unref(&held[i]);
        }
        free(held);
        return err;
    }
    *ret_entries = entries;
    *ret_count = (unsigned)count;
    *ret_held = held;
    *ret_held_len = held_len;
    return 0;
}

/* A node that is alone elects itself at its start. `held` are the memberships in the log. */
static int raise_term(struct driver *driver, const struct slice *held, unsigned held_len, struct meta_value *meta)
{
    if (held_len == 0) {
        return driver_alone_start(driver, &driver->applied_configuration, meta);
    }
    struct raft_configuration members;
    int err = configuration_decode(held[held_len - 1].data, held[held_len - 1].len, &members);
    if (err == 0) {
        err = driver_alone_start(driver, &members, meta);
        raft_configuration_close(&members);
    }
    return err;
}

static int start_engine(struct driver *driver, struct meta_value *meta, char *detail, size_t detail_len)
{
    struct raft_entry *entries;
    struct slice *held;
    unsigned count;
    unsigned held_len;
    int err = load_trail(driver, &entries, &count, &held, &held_len, detail, detail_len);
    if (err != 0) {
        return err;
    }
    err = raise_term(driver, held, held_len, meta);
    struct raft_snapshot_metadata metadata = {.index = driver->checkpoint_index, .term = driver->checkpoint_term};
    struct raft_event event = {.type = RAFT_START};
    event.start.term = meta->term;
    event.start.voted_for = meta->voted_for;
    event.start.start_index = log_first_index(driver->log);
    event.start.entries = entries;
    event.start.n_entries = count;
    if (err == 0 && driver->checkpoint_index > 0) {
        err = configuration_copy(&driver->applied_configuration, &metadata.configuration);
        metadata.configuration_index = driver->applied_configuration_index;
        event.start.metadata = &metadata;
    }
    if (err == 0) {
        int rv = driver_event(driver, &event, NULL, false);
        err = rv > 0 ? (rv == RAFT_NOMEM ? ERR_NOMEM : ERR_CORRUPT) : 0;
    }
    raft_free(entries);
    for (unsigned i = 0; i < held_len; i++) {
        slice_unref(&held[i]);
    }
    free(held);
    return err;
}

static int load_checkpoint(struct driver *driver, const struct driver_options *options, char *detail, size_t detail_len)
{
    if (options->applied_index == 0) {
        return 0;
    }
    struct driver_position position;
    int err = driver_position_load(options, &position, detail, detail_len);
    if (err != 0) {
        return err;
    }
    driver->checkpoint_index = position.index;
    driver->checkpoint_term = position.term;
    driver->applied_index = position.index;
    driver->applied_term = position.term;
    driver->applied_configuration = position.configuration;
    driver->applied_configuration_index = position.configuration_index;
    return 0;
}

static int init_engine(struct driver *driver)
{
    const struct driver_options *options = &driver->options;
    const char *address = "";
    for (unsigned i = 0; i < options->members_len; i++) {
        if (options->members[i].id == options->id) {
            address = options->members[i].address;
        }
    }
    if (raft_init(&driver->raft, NULL, NULL, options->id, address) != 0) {
        return ERR_NOMEM;
    }
    driver->raft.tracer = NULL; /* It would format a line at every step, into a static buffer. */
    raft_seed(&driver->raft, (unsigned)options->clock->random(options->clock));
    raft_set_pre_vote(&driver->raft, true);
    raft_set_election_timeout(&driver->raft, options->election_timeout_ms);
    raft_set_heartbeat_timeout(&driver->raft, options->heartbeat_ms);
    raft_set_install_snapshot_timeout(&driver->raft, OFFER_ELECTIONS * options->election_timeout_ms);
    return 0;
}

int driver_open(const struct driver_options *options, struct driver **ret_driver, char *detail, size_t detail_len)
{
    _Static_assert(DRIVER_TRAILING_MIN > DRIVER_INFLIGHT_MAX, "what is in flight stays in the log");
    CHECK(options->members_len > 0 && options->members_len <= MEMBERS_MAX && options->id != 0);
    (void)snprintf(detail, detail_len, "%s", "");
    struct driver *driver = calloc(1, sizeof *driver);
    if (driver == NULL) {
        return ERR_NOMEM;
    }
    driver->hold = UINT64_MAX;
    driver->options = *options;
    driver->options.checkpoint = (struct slice){0}; /* Borrowed for this call only. */
    set_defaults(&driver->options);
    arena_init(&driver->arena, MESSAGE_ARENA_MAX);
    raft_configuration_init(&driver->applied_configuration);
    driver_told_members_init(driver, options);
    int err = init_engine(driver);
    if (err != 0) {
        goto free_driver;
    }
    err = load_checkpoint(driver, options, detail, detail_len);
    if (err != 0) {
        goto close_engine;
    }
    struct meta_value meta = {0};
    err = open_files(driver, &meta, detail, detail_len);
    if (err != 0) {
        goto close_engine;
    }
    err = fault_fires(FAULT_SKIP_RECONCILE) ? 0 : reconcile(driver, meta.term, detail, detail_len);
    if (err == 0) {
        driver->replay_end = log_last_index(driver->log);
        bool empty = driver->checkpoint_index == 0 && log_last_index(driver->log) == 0;
        err = empty ? bootstrap(driver, &meta, detail, detail_len) : 0;
    }
    if (err == 0) {
        err = start_engine(driver, &meta, detail, detail_len);
    }
    if (err == 0) {
        err = reconcile_members(driver, detail, detail_len);
    }
    if (err != 0) {
        goto close_engine;
    }
    *ret_driver = driver;
    return 0;

close_engine:
    if (detail[0] == '\0') {
        (void)snprintf(detail, detail_len, "%s", err_text(err));
    }
    driver_close(driver);
    return err;
free_driver:
    raft_configuration_close(&driver->told_members);
    arena_done(&driver->arena);
    free(driver);
    return err;
}

void driver_close(struct driver *driver)
{
    if (driver == NULL) {
        return;
    }
    log_close(driver->log);
    if (driver->meta != NULL) {
        meta_close(driver->meta);
    }
    raft_configuration_close(&driver->applied_configuration);
    raft_configuration_close(&driver->told_members);
    raft_close(&driver->raft, NULL);
    arena_done(&driver->arena);
    free(driver);
}
