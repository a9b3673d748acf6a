/* Going on from a copy of another node's state: the log is made to follow it, and the term to be no older.
 *
 * The engine sees nothing of this. It is started as after any checkpoint: nothing before the copy's last entry, which is
 * committed, is ever asked for again.
 *
 * The order: the term first, then the log, in one step. Whatever happens in between, each state is one that a node may be in.
 *
 *   - Nothing done: state and log do not fit each other, driver_open() refuses them. To be called again.
 *   - The term is the copy's, the log the old one: the same. A term may rise at any time, as when a message with a later one
 *     comes in; and there was no vote in it, since to vote is to take over the term first (Raft Figure 3.1). In the other order
 *     the log would for a moment hold an entry of a later term than the node knows of: it could vote, in an earlier term, for
 *     somebody who lacks that entry.
 *   - The log begins anew: one sector on the disk, synced, says so (log_reset()): before that write counts, all of the old log
 *     does; afterwards nothing of it, though its segments go only then, and a crash may bring some of them back
 *     (LOG_SEGMENT_RESET in log_format.h). Batches are numbered on, so that the watermark stays true, and the epoch is a new one,
 *     so that no batch of before can be read as one that follows.
 *
 * When this is done again, after a crash or only because nobody noted that it was done, the log that begins right after the
 * copy is left as it is: it may have grown, and what it holds may have been acknowledged.
 *
 * For the same reason the old log is read, as at any start, and not just removed. If it has the copy's last entry, it goes on
 * from there as it is, and must (Raft §7: "entries following the snapshot are still valid and must be retained"). Where it has
 * another entry there, or ends before, nothing that it holds and the copy does not can have been committed: a log that holds a
 * committed entry has all committed ones before it (Raft §5.3, Log Matching). Where it begins later, the copy is older than what
 * this node once had: that is refused. So is a damaged log: nobody knows what the node has acknowledged. A node that may count
 * on nothing of it, and does not vote, begins anew instead (driver_discard.c). */

#include <raft.h>
#include <stdio.h>

#include "consensus/driver_internal.h"

static int rejoin_meta(const struct driver_options *options, uint64_t term, char *detail, size_t detail_len)
{
    struct meta *meta;
    struct meta_value value;
    int err = meta_open(options->disk, options->dir, &meta, &value, detail, detail_len);
    if (err != 0) {
        return err;
    }
    if (value.term < term) {
        value = (struct meta_value){.term = term};
        err = meta_save(meta, &value);
    }
    meta_close(meta);
    return err;
}

static int reset_log(struct log *log, const struct driver_options *options, const struct driver_position *position,
                     char *detail, size_t detail_len)
{
    unsigned long long index = position->index;
    unsigned long long first = log_first_index(log);
    unsigned long long last = log_last_index(log);
    if (first == index + 1 || log_term(log, index) == position->term) {
        journal_info(options->journal, "raft", "the log goes on from the copy's last entry, %llu, to %llu", index,
                     last);
        return 0;
    }
    if (first > index) {
        (void)snprintf(
            detail, detail_len,
            "%s/log: begins at entry %llu, but the copy of the state ends at entry %llu: it is older than what "
            "this node had",
            options->dir, first, index);
        return ERR_REFUSED;
    }
    journal_info(options->journal, "raft",
                 "the log (entries %llu to %llu) begins anew after entry %llu, the last one of the copy", first, last,
                 index);
    return log_reset(log, index);
}

static int rejoin_log(const struct driver_options *options, const struct driver_position *position, char *detail,
                      size_t detail_len)
{
    char dir[LOG_PATH_LEN_MAX];
    int err = log_path(options->dir, "log", dir);
    if (err != 0) {
        return err;
    }
    /* Nothing is appended, so nothing is called back. */
    struct log_options log_options = {
        .disk = options->disk, .journal = options->journal, .dir = dir, .segment_len = options->segment_len};
    struct log_recovery recovery;
    struct log *log;
    err = log_open(&log_options, &recovery, &log);
    if (err != 0) {
        (void)snprintf(detail, detail_len, "%s", recovery.detail);
        return err;
    }
    err = reset_log(log, options, position, detail, detail_len);
    log_close(log);
    return err;
}

int driver_rejoin(const struct driver_options *options, char *detail, size_t detail_len)
{
    (void)snprintf(detail, detail_len, "%s", "");
    struct driver_position position;
    int err = driver_position_load(options, &position, detail, detail_len);
    if (err != 0) {
        return err;
    }
    if (options->discard) {
        err = driver_discard(options, &position, detail, detail_len);
    } else {
        err = rejoin_meta(options, position.term, detail, detail_len);
        err = err == 0 ? rejoin_log(options, &position, detail, detail_len) : err;
    }
    raft_configuration_close(&position.configuration);
    if (err != 0 && detail[0] == '\0') {
        (void)snprintf(detail, detail_len, "%s: the log could not be made to follow the copy of the state: %s",
                       options->dir, err_text(err));
    }
    return err;
}
