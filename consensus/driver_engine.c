/* One event through the engine, and what follows from it, in the order that Raft needs: term and vote, entries, messages. */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/driver_internal.h"
#include "proto/base/check.h"
#include "proto/base/fault.h"

_Noreturn void driver_fatal(struct driver *driver, int err, const char *format, ...)
{
    char what[768];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    driver->options.host.fatal(driver->options.host.arg, err, what);
    abort();
}

uint64_t driver_term_of(const struct driver *driver, uint64_t index)
{
    uint64_t term = log_term(driver->log, index);
    if (term == 0 && index == driver->checkpoint_index) {
        return driver->checkpoint_term;
    }
    return term;
}

/* Raft Figure 3.1: term and vote are on stable storage before we answer anybody. */
void driver_save_meta(struct driver *driver)
{
    struct meta_value value = {.term = raft_current_term(&driver->raft), .voted_for = raft_voted_for(&driver->raft)};
    struct clock *clock = driver->options.clock;
    uint64_t begun_ms = clock->monotonic_ms(clock);
    int err = meta_save(driver->meta, &value);
    if (err != 0) {
        driver_fatal(driver, err, "term and vote could not be written: %s", err_text(err));
    }
    driver_was_slow(driver, clock->monotonic_ms(clock) - begun_ms);
}

/* Hands the entries to the log. They are ours (from a message or a submission) or the engine's own barrier. */
static void append_entries(struct driver *driver, const struct raft_update *update,
                           const struct driver_entries *entries)
{
    uint64_t index = update->entries.index;
    if (index <= log_last_index(driver->log)) {
        driver->guards.acted[5] += log_stored_index(driver->log) < log_last_index(driver->log);
        log_truncate(driver->log, index);
    }
    CHECK(index == log_last_index(driver->log) + 1);

    const struct raft_entry *batch = update->entries.batch;
    bool ours = entries != NULL && batch >= entries->raft && batch < entries->raft + entries->count;
    int err;
    if (ours) {
        const struct log_entry *first = entries->log + (batch - entries->raft);
        err = log_append(driver->log, first, update->entries.n);
    } else {
        CHECK(update->entries.n == 1 && batch == &driver->raft.barrier);
        struct log_entry barrier = {.term = batch->term, .type = LOG_ENTRY_BARRIER};
        err = log_append(driver->log, &barrier, 1);
        raft_free(driver->raft.barrier.buf.base);
        driver->raft.barrier.buf.base = NULL;
    }
    if (err != 0) {
        driver_fatal(driver, err, "entries from index %llu on could not be appended: %s", (unsigned long long)index,
                     err_text(err));
    }
}

static void send_frame(struct driver *driver, uint64_t node, struct frame_out *frame, int err)
{
    if (err != 0) { /* Out of memory: a lost message, which Raft allows for. */
        journal_warning(driver->options.journal, "raft", "a message to node %llu was not sent: %s",
                        (unsigned long long)node, err_text(err));
        return;
    }
    driver->options.host.send(driver->options.host.arg, node, frame);
}

void driver_send_message(struct driver *driver, const struct raft_message *message)
{
    struct frame_out frame;
    int err = message_encode(driver->options.shard, message, (struct slice){0}, &frame);
    send_frame(driver, message->server_id, &frame, err);
}

void driver_send_entries(struct driver *driver, uint64_t node, const struct raft_append_entries *append,
                         const struct log_entry *entries, unsigned count)
{
    struct frame_out frame;
    int err = message_encode_append(driver->options.shard, append, entries, count, &frame);
    send_frame(driver, node, &frame, err);
}

void driver_send_append(struct driver *driver, uint64_t node, const struct raft_append_entries *append)
{
    driver_send_entries(driver, node, append, NULL, 0);
    driver_peer_told(driver, node, append, 0);
}

void driver_send_read(struct driver *driver, uint64_t node, enum message_kind kind, uint64_t round)
{
    struct frame_out frame;
    int err = message_encode_read(driver->options.shard, kind, raft_current_term(&driver->raft), round, &frame);
    send_frame(driver, node, &frame, err);
}

/* How many of the entries after `prev` a node may be sent: one that a CHANGE takes the vote from gets that when it is committed
 * (guard.h, about G3). */
static unsigned sendable(const struct driver *driver, uint64_t node, uint64_t prev, unsigned count)
{
    const struct raft *raft = &driver->raft;
    uint64_t change = raft->configuration_uncommitted_index;
    bool demoted = change != 0 && configuration_votes(&raft->configuration_committed, node) &&
                   !configuration_votes(&raft->configuration, node);
    if (!demoted || prev + count < change) {
        return count;
    }
    return prev + 1 < change ? (unsigned)(change - 1 - prev) : 0;
}

/* Sends entries as several frames where one would be too large; together they say the same. */
static void send_append(struct driver *driver, const struct raft_message *message)
{
    struct raft_append_entries part = message->append_entries;
    unsigned left = sendable(driver, message->server_id, part.prev_log_index, part.n_entries);
    unsigned frames = left > 0 ? driver_peer_offer(driver, message->server_id, part.prev_log_index) : 0;
    left = frames > 0 ? left : 0;
    do {
        struct log_entry entries[APPEND_ENTRIES_MAX];
        unsigned count = 0;
        char detail[512] = "";
        if (left > 0) {
            unsigned most = left < APPEND_ENTRIES_MAX ? left : APPEND_ENTRIES_MAX;
            int err = log_read_checked(driver->log, part.prev_log_index + 1, most, APPEND_BYTES_TARGET, entries, &count,
                                       detail, sizeof detail);
            if (err != 0) {
                driver_fatal(driver, err, "entry %llu could not be read back: %s",
                             (unsigned long long)part.prev_log_index + 1, detail[0] != '\0' ? detail : err_text(err));
            }
        }
        driver_send_entries(driver, message->server_id, &part, entries, count);
        driver_peer_told(driver, message->server_id, &part, count);
        if (count > 0) {
            part.prev_log_index += count;
            part.prev_log_term = entries[count - 1].term;
        }
        for (unsigned i = 0; i < count; i++) {
            slice_unref(&entries[i].payload);
        }
        left -= count;
    } while (left > 0 && --frames > 0);
}

/* The engine wants to send a snapshot: the member needs entries that our log no longer has. */
static void note_rebuild(struct driver *driver, uint64_t id)
{
    if (driver_peer_rebuild(driver, id)) {
        journal_warning(driver->options.journal, "raft",
                        "node %llu is behind the oldest entry of our log (%llu): it needs a copy of the state",
                        (unsigned long long)id, (unsigned long long)log_first_index(driver->log));
    }
}

static void send_install(struct driver *driver, const struct raft_message *message)
{
    note_rebuild(driver, message->server_id);
    struct slice configuration;
    int err = configuration_encode(&driver->raft.configuration_committed, &configuration);
    struct frame_out frame;
    if (err == 0) {
        err = message_encode(driver->options.shard, message, configuration, &frame);
        slice_unref(&configuration);
    }
    send_frame(driver, message->server_id, &frame, err);
}

/* The engine takes the entry that bootstrap() makes for stored from the start. As long as nothing is, nothing is said to be. */
static void acknowledge_nothing_unwritten(const struct driver *driver, struct raft_message *message)
{
    if (message->type == RAFT_APPEND_ENTRIES_RESULT && message->append_entries_result.rejected == 0 &&
        log_stored_index(driver->log) == 0) {
        message->append_entries_result.last_log_index = 0;
    }
}

static void send_messages(struct driver *driver, struct raft_update *update, bool old_term)
{
    for (unsigned i = 0; i < update->messages.n; i++) {
        struct raft_message *message = &update->messages.batch[i];
        if (message->type == RAFT_APPEND_ENTRIES) {
            send_append(driver, message);
        } else if (message->type == RAFT_INSTALL_SNAPSHOT) {
            send_install(driver, message);
        } else {
            guard_outgoing(&driver->guards, &driver->raft, old_term, message);
            acknowledge_nothing_unwritten(driver, message);
            driver_send_message(driver, message);
            if (message->type == RAFT_TIMEOUT_NOW) {
                driver_transfer_said(driver);
            }
        }
    }
}

/* One event, without what follows from a committed membership. */
static int engine_step(struct driver *driver, struct raft_event *event, const struct driver_entries *entries,
                       bool old_term)
{
    struct raft_update update;
    memset(&update, 0, sizeof update);
    event->time = driver->options.clock->monotonic_ms(driver->options.clock);
    event->capacity = UINT16_MAX; /* Space is watched by the node, not by the engine. */
    uint64_t term = raft_current_term(&driver->raft);
    raft_set_max_inflight_entries(&driver->raft, driver_inflight(driver));
    int rv = raft_step(&driver->raft, event, &update);
    if (rv == RAFT_SHUTDOWN) {
        driver_fatal(driver, ERR_CORRUPT, "the engine found a contradiction in the log: %s",
                     raft_errmsg(&driver->raft));
    }
    if (rv != 0) {
        /* Out of memory half-way: a term that the engine has taken over is not announced again. */
        if (raft_current_term(&driver->raft) != term && event->type != RAFT_START) {
            driver_save_meta(driver);
        }
        return rv;
    }
    if ((update.flags & (RAFT_UPDATE_CURRENT_TERM)) != 0 || (update.flags & (RAFT_UPDATE_VOTED_FOR)) != 0) {
        driver_save_meta(driver);
    }
    if ((update.flags & (RAFT_UPDATE_ENTRIES)) != 0) {
        append_entries(driver, &update, entries);
    }
    CHECK((update.flags & (RAFT_UPDATE_SNAPSHOT)) == 0); /* Installing is never offered to the engine. */
    if ((update.flags & (RAFT_UPDATE_MESSAGES)) != 0) {
        send_messages(driver, &update, old_term);
    }
    return (update.flags & (RAFT_UPDATE_ENTRIES)) != 0 ? -1 : 0;
}

/* G1: the engine learns that its pending membership is committed before anything else can build on it. */
static void report_committed_change(struct driver *driver)
{
    struct raft *raft = &driver->raft;
    uint64_t index = raft->configuration_uncommitted_index;
    if (index == 0 || index > raft_commit_index(raft) || fault_fires(FAULT_SKIP_G1)) {
        return;
    }
    struct raft_event event = {.type = RAFT_CONFIGURATION};
    event.configuration.index = index;
    if (configuration_copy(&raft->configuration, &event.configuration.conf) != 0) {
        driver_fatal(driver, ERR_NOMEM, "membership could not be copied: %s", err_text(ERR_NOMEM));
    }
    driver->guards.acted[1]++;
    (void)engine_step(driver, &event, NULL, false);
}

int driver_event(struct driver *driver, struct raft_event *event, const struct driver_entries *entries, bool old_term)
{
    int rv = engine_step(driver, event, entries, old_term);
    if (rv <= 0) {
        report_committed_change(driver);
    }
    driver_watch_disk(driver);
    return rv;
}
