/* One survivor becomes the whole cluster: what there is to go on from, and the entry that says so.
 *
 * The order: the term first, then the entry, as in driver_rejoin.c and for the same reason: a log never holds an entry of a later
 * term than the node knows of. A node that were started in between would be a follower of its old cluster in a later term, as
 * if it had stood for election in vain; the caller sees to it that it is not. When this is done again the term rises again,
 * unless the entry is there.
 *
 * The entry is a CHANGE like any other, proposed by nobody. It departs from one change at a time (Raft thesis §4.1): the old
 * majority and the new one need not overlap, which is the point, and the danger. With it in the log the newest membership is this
 * node alone; the engine elects the only voter as soon as it is started, and everything stored is committed. */

#include "consensus/driver_recover.h"

#include <raft.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/blocking_disk.h"
#include "consensus/driver_internal.h"
#include "consensus/log_inspect.h"

/* What is kept of the log while it is read. */
struct look {
    struct driver_recover_report *report;
    struct look_change {
        uint64_t index;
        struct slice payload;
    } * changes; /* Memberships in the log, in order; owned. */
    unsigned changes_len;
    uint64_t last_term;
    uint64_t checkpoint_term; /* Of the log's entry at the checkpoint's index; 0: it is not there. */
    int err;
};

static void look_done(struct look *look)
{
    for (unsigned i = 0; i < look->changes_len; i++) {
        slice_unref(&look->changes[i].payload);
    }
    free(look->changes);
}

static int look_add(struct look *look, const struct log_inspect_record *record)
{
    struct look_change *grown = realloc(look->changes, (look->changes_len + 1) * sizeof *grown);
    if (grown == NULL) {
        return ERR_NOMEM;
    }
    look->changes = grown;
    int err = slice_copy(record->payload, record->len, &grown[look->changes_len].payload);
    if (err == 0) {
        grown[look->changes_len++].index = record->index;
    }
    return err;
}

/* A record at or below an earlier one takes back what was there (Raft §5.3). */
static void look_record(void *arg, const struct log_inspect_record *record)
{
    struct look *look = arg;
    while (look->changes_len > 0 && look->changes[look->changes_len - 1].index >= record->index) {
        slice_unref(&look->changes[--look->changes_len].payload);
    }
    look->last_term = record->term;
    if (record->index == look->report->checkpoint_index) {
        look->checkpoint_term = record->term;
    }
    if (record->type == LOG_ENTRY_CHANGE && look->err == 0) {
        look->err = look_add(look, record);
    }
}

static int look_log(struct look *look, const struct driver_options *options, char *detail, size_t detail_len)
{
    struct log_inspect_callbacks callbacks = {.arg = look, .record = look_record};
    struct log_inspect_report inspected;
    char dir[LOG_PATH_LEN_MAX];
    int err = log_path(options->dir, "log", dir);
    if (err != 0) {
        return err;
    }
    err = log_inspect(options->disk, dir, &callbacks, &inspected);
    if (err == 0) {
        err = look->err;
    }
    if (err != 0) {
        (void)snprintf(detail, detail_len, "%s: %s", dir,
                       inspected.detail[0] != '\0' ? inspected.detail
                       : err == ERR_NOT_FOUND      ? "there is no log"
                                                   : err_text(err));
        return err;
    }
    look->report->log_first = inspected.first_index;
    look->report->log_last = inspected.last_index;
    look->report->torn_bytes = inspected.torn_bytes;
    return 0;
}

/* The same as at a start (reconcile() in driver_open.c): what does not fit there would not fit after a recovery either. */
static int look_fits(const struct look *look, const struct driver_options *options, uint64_t position_term,
                     char *detail, size_t detail_len)
{
    const struct driver_recover_report *report = look->report;
    unsigned long long index = report->checkpoint_index;
    uint64_t last_term = report->log_last == index ? position_term : look->last_term;
    if (report->log_last == 0) {
        (void)snprintf(detail, detail_len, "%s/log: there is nothing in it", options->dir);
        return ERR_NOT_FOUND;
    }
    if (index + 1 < report->log_first || report->log_last < index ||
        (look->checkpoint_term != 0 && look->checkpoint_term != position_term)) {
        (void)snprintf(
            detail, detail_len, "%s/log: entries %llu to %llu do not go on from the state, which is that of entry %llu",
            options->dir, (unsigned long long)report->log_first, (unsigned long long)report->log_last, index);
        return ERR_CORRUPT;
    }
    if (report->term < last_term && last_term > 1) {
        (void)snprintf(detail, detail_len,
                       "%s/meta: the term is %llu, but entry %llu is of term %llu: term and vote are lost",
                       options->dir, (unsigned long long)report->term, (unsigned long long)report->log_last,
                       (unsigned long long)last_term);
        return ERR_CORRUPT;
    }
    return 0;
}

static void report_members(struct driver_recover_report *report, const struct raft_configuration *held, uint64_t index,
                           uint64_t id)
{
    report->members_index = index;
    report->members_len = 0;
    for (unsigned i = 0; i < held->n && i < MEMBERS_MAX; i++) {
        struct driver_recover_member *member = &report->members[report->members_len++];
        member->id = held->servers[i].id;
        member->voter = held->servers[i].role == RAFT_VOTER;
        (void)snprintf(member->address, sizeof member->address, "%s", held->servers[i].address);
    }
    report->alone = configuration_voters(held) == 1 && configuration_votes(held, id);
}

/* The newest membership counts, committed or not (Raft thesis §4.1). The one before it must have been committed, or it would not
 * have been followed by another. */
static int look_members(const struct look *look, const struct driver_options *options,
                        const struct driver_position *position, char *detail, size_t detail_len)
{
    struct driver_recover_report *report = look->report;
    const struct look_change *newest = look->changes_len > 0 ? &look->changes[look->changes_len - 1] : NULL;
    struct raft_configuration decoded;
    int err = 0;
    if (newest != NULL && newest->index > position->configuration_index) {
        err = configuration_decode(newest->payload.data, newest->payload.len, &decoded);
        if (err != 0) {
            (void)snprintf(detail, detail_len, "the membership in entry %llu cannot be read",
                           (unsigned long long)newest->index);
            return err == ERR_NOMEM ? err : ERR_CORRUPT;
        }
        report_members(report, &decoded, newest->index, options->id);
        raft_configuration_close(&decoded);
    } else {
        report_members(report, &position->configuration, position->configuration_index, options->id);
    }
    report->known = report->checkpoint_index > 0 ? report->checkpoint_index : 1;
    if (look->changes_len > 1 && look->changes[look->changes_len - 2].index > report->known) {
        report->known = look->changes[look->changes_len - 2].index;
    }
    for (unsigned i = 0; i < report->members_len; i++) {
        if (report->members[i].id == options->id) {
            return 0;
        }
    }
    (void)snprintf(detail, detail_len, "%s/log: node %llu is no member of its cluster", options->dir,
                   (unsigned long long)options->id);
    return ERR_FOREIGN;
}

int driver_recover_look(const struct driver_options *options, struct driver_recover_report *ret_report, char *detail,
                        size_t detail_len)
{
    struct driver_recover_report report = {.checkpoint_index = options->applied_index};
    struct look look = {.report = &report};
    struct driver_position position = {0};
    struct meta_value meta = {0};
    (void)snprintf(detail, detail_len, "%s", "");
    raft_configuration_init(&position.configuration);
    int err = options->applied_index > 0 ? driver_position_load(options, &position, detail, detail_len) : 0;
    if (err == 0) {
        err = meta_peek(options->disk, options->dir, &meta, detail, detail_len);
    }
    report.term = meta.term;
    if (err == 0) {
        err = look_log(&look, options, detail, detail_len);
    }
    if (err == 0) {
        err = look_fits(&look, options, position.term, detail, detail_len);
    }
    if (err == 0) {
        err = look_members(&look, options, &position, detail, detail_len);
    }
    look_done(&look);
    raft_configuration_close(&position.configuration);
    if (err == 0) {
        *ret_report = report;
    } else if (detail[0] == '\0') {
        (void)snprintf(detail, detail_len, "%s: %s", options->dir, err_text(err));
    }
    return err;
}

/* The membership of this node alone, and the text. */
static int recover_payload(const struct driver_options *options, const struct driver_recover_report *report,
                           const char *text, struct slice *ret_payload)
{
    struct raft_configuration configuration;
    struct slice members;
    raft_configuration_init(&configuration);
    int rv = RAFT_NOTFOUND;
    for (unsigned i = 0; i < report->members_len; i++) {
        if (report->members[i].id == options->id) {
            rv = raft_configuration_add(&configuration, options->id, report->members[i].address, RAFT_VOTER);
        }
    }
    int err = rv == 0 ? configuration_encode(&configuration, &members) : rv == RAFT_NOMEM ? ERR_NOMEM : ERR_INVALID;
    raft_configuration_close(&configuration);
    if (err != 0) {
        return err;
    }
    size_t text_len = strlen(text);
    text_len = text_len < DRIVER_RECOVER_TEXT_LEN_MAX ? text_len : DRIVER_RECOVER_TEXT_LEN_MAX;
    struct blob *blob = blob_new(members.len + text_len);
    if (blob == NULL) {
        slice_unref(&members);
        return ERR_NOMEM;
    }
    memcpy(blob->data, members.data, members.len);
    memcpy(blob->data + members.len, text, text_len);
    slice_unref(&members);
    *ret_payload = slice_of_blob(blob);
    return 0;
}

static int recover_meta(const struct driver_options *options, uint64_t rise, uint64_t *ret_term, char *detail,
                        size_t detail_len)
{
    struct meta *meta;
    struct meta_value value;
    int err = meta_open(options->disk, options->dir, &meta, &value, detail, detail_len);
    if (err != 0) {
        return err;
    }
    if (rise > 0) {
        value = (struct meta_value){.term = value.term + rise};
        err = meta_save(meta, &value);
    }
    meta_close(meta);
    *ret_term = value.term;
    return err;
}

struct recover_writer {
    uint64_t stored;
    int err;
};

static void writer_stored(void *arg, uint64_t index)
{
    struct recover_writer *writer = arg;
    writer->stored = index;
}

static void writer_failed(void *arg, int err, const char *what)
{
    struct recover_writer *writer = arg;
    (void)what;
    writer->err = err;
}

/* NULL for an entry: what is there is made durable, since it may have been read from memory alone (log_recover_settle()). */
static int recover_append(const struct driver_options *options, const struct log_entry *entry, uint64_t *ret_index,
                          char *detail, size_t detail_len)
{
    struct blocking_disk disk;
    struct recover_writer writer = {0};
    struct log_recovery recovery = {0};
    struct log *log;
    char dir[LOG_PATH_LEN_MAX];
    int err = log_path(options->dir, "log", dir);
    if (err != 0) {
        return err;
    }
    blocking_disk_init(&disk, options->disk);
    struct log_options log_options = {
        .disk = &disk.disk,
        .journal = options->journal,
        .dir = dir,
        .segment_len = options->segment_len,
        .arg = &writer,
        .stored = writer_stored,
        .failed = writer_failed,
    };
    err = log_open(&log_options, &recovery, &log);
    if (err != 0) {
        (void)snprintf(detail, detail_len, "%s", recovery.detail);
        return err;
    }
    uint64_t index = log_last_index(log);
    if (entry != NULL) {
        index++;
        err = log_append(log, entry, 1);
        while (err == 0 && writer.err == 0 && blocking_disk_run(&disk)) {
        }
        if (err == 0 && writer.stored < index) {
            err = writer.err != 0 ? writer.err : log_is_short(log) ? ERR_NO_SPACE : ERR_IO;
        }
    }
    log_close(log);
    *ret_index = index;
    return err;
}

int driver_recover(const struct driver_options *options, const char *text, uint64_t *ret_index, char *detail,
                   size_t detail_len)
{
    struct driver_recover_report report;
    struct log_entry entry = {.type = LOG_ENTRY_CHANGE};
    uint64_t index = 0;
    int err = driver_recover_look(options, &report, detail, detail_len);
    if (err != 0) {
        return err;
    }
    if (!report.alone) {
        err = recover_payload(options, &report, text, &entry.payload);
    }
    if (err == 0) {
        err = recover_meta(options, report.alone ? 0 : DRIVER_RECOVER_TERMS, &entry.term, detail, detail_len);
    }
    if (err == 0) {
        err = recover_append(options, report.alone ? NULL : &entry, &index, detail, detail_len);
    }
    slice_unref(&entry.payload);
    if (err == 0) {
        *ret_index = report.alone ? report.members_index : index;
    } else if (detail[0] == '\0') {
        (void)snprintf(detail, detail_len, "%s: %s", options->dir, err_text(err));
    }
    return err;
}

/* An encoded membership says how long it is by being encoded again. */
size_t driver_recover_text(const uint8_t *payload, size_t len, const char **ret_text)
{
    struct raft_configuration configuration;
    struct slice members;
    if (configuration_decode(payload, len, &configuration) != 0) {
        return 0;
    }
    int err = configuration_encode(&configuration, &members);
    raft_configuration_close(&configuration);
    if (err != 0) {
        return 0;
    }
    size_t at = members.len;
    slice_unref(&members);
    if (at >= len) {
        return 0;
    }
    *ret_text = (const char *)payload + at;
    return len - at;
}
