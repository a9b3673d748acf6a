/* The log on disk: append-only segments of checksummed records, written in batches by one writer.
 *
 * The driver appends entries as the engine hands them out; they are readable at once (from the cache), and durable when
 * `stored` says so. One batch is in flight at a time: what gathers while it is written and synced goes out in the next
 * (group commit). All calls are made on the loop's thread. Errors of the disk while writing are fatal by design and are
 * reported through `failed`: the host must end the process, since what the page cache holds after a failed sync is
 * unknown (Rebello et al., ATC'20).
 *
 * The format is described in log_format.h, recovery in log_recover.h. */

#ifndef HOLDFAST_CONSENSUS_LOG_H
#define HOLDFAST_CONSENSUS_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/blob.h"
#include "proto/base/disk.h"
#include "proto/base/err.h"
#include "proto/base/journal.h"

struct log;

/* The type numbers are those of Raft entries in c-raft: they are stored. */
enum log_entry_type { LOG_ENTRY_COMMAND = 1, LOG_ENTRY_BARRIER = 2, LOG_ENTRY_CHANGE = 3 };

struct log_entry {
    uint64_t term;
    enum log_entry_type type;
    struct slice payload; /* log_append() takes its own reference; log_read() gives one to the caller. */
};

struct log_options {
    struct disk *disk;
    struct journal *journal; /* May be NULL. */
    const char *dir;         /* Relative to the disk's root; created when missing. Borrowed for the life of the log. */
    uint64_t segment_len;    /* Bytes of a segment file (default LOG_SEGMENT_LEN); a larger entry gets its own. */
    uint64_t reserve_len;    /* Bytes kept ready ahead of need, in segments; at least one. */
    uint64_t fill_len;       /* Bytes of zeroes written ahead when there is nothing else to write (log_fill.h). */
    uint64_t cache_len_max;  /* Bytes of payload kept in memory; entries not yet stored are kept beyond it. */
    void *arg;               /* For the callbacks, which are never called from within a call into the log. */
    void (*stored)(void *arg, uint64_t index);            /* Everything up to the index is on disk. */
    void (*failed)(void *arg, int err, const char *what); /* The disk failed: end the process. */
};

#define LOG_SEGMENT_LEN (UINT64_C(64) << 20)

/* What log_takes() keeps free of commands, so that a new leader's first entry finds room; a quarter of a segment when that
 * is less. */
#define LOG_MARGIN_LEN (UINT64_C(64) << 10)

/* What recovery found. */
struct log_recovery {
    uint64_t records_read;
    uint64_t torn_bytes; /* Cut from the end of the last batch. */
    char detail[512];    /* On error: file, offset and what is wrong there. */
};

/* Opens the log, reading it from disk; an empty directory is an empty log whose first entry will have index 1. A torn
 * tail is cut.
 * ERR_CORRUPT: damage that no crash explains (file and offset in `recovery->detail`); nothing has been changed.
 * ERR_VERSION: written by a newer version. ERR_IO, ERR_NOMEM. ERR_NO_SPACE, but not for want of a segment: then the log
 * is short, and can be read. */
int log_open(const struct log_options *options, struct log_recovery *recovery, struct log **ret_log) NODISCARD;

/* Closes the files. What is not stored yet is not written any more: wait for log_idle() before, unless simulating a
 * crash. NULL is allowed. The disk must have completed or forgotten what it was asked to do. */
void log_close(struct log *log);

/* First index held, and last one appended. An empty log after index i has first = i + 1 and last = i. */
uint64_t log_first_index(const struct log *log);
uint64_t log_last_index(const struct log *log);
/* The highest index known to be on disk. */
uint64_t log_stored_index(const struct log *log);
/* Whether nothing is waiting to be written. */
bool log_idle(const struct log *log);
/* Term of an entry held, or 0. */
uint64_t log_term(const struct log *log, uint64_t index);
/* Type of an entry held, or 0. */
int log_type(const struct log *log, uint64_t index);
/* Bytes on disk of the entries from `index` on. */
uint64_t log_bytes_from(const struct log *log, uint64_t index);

/* The disk had no room when a segment was to be made. What has been made ahead of need is used up; then entries wait. */
bool log_is_short(const struct log *log);
/* Bytes that can be written before a segment must be made. */
uint64_t log_room(const struct log *log);
/* Whether the entries may be appended, with what is held from `index` on taken back before: always, unless the log is short
 * and they do not fit into what is there. */
bool log_takes(const struct log *log, uint64_t index, const struct log_entry *entries, unsigned count);
/* The largest payload that a segment of the usual length holds. */
uint64_t log_payload_len_usual(const struct log *log);
/* Starts making what is missing of the segments kept ready, unless that is under way. Also when the log is short: to be
 * called now and then, until it is not. ERR_NOMEM. */
int log_prepare(struct log *log) NODISCARD;
/* The number of the write that the disk has not answered yet; 0 when none is waiting for it. */
uint64_t log_write_waiting(const struct log *log);

/* Appends entries; the first gets index log_last_index() + 1. Takes a reference to each payload. ERR_NOMEM. */
int log_append(struct log *log, const struct log_entry *entries, unsigned count) NODISCARD;

/* Takes back the entries from `index` on (Raft §5.3: a conflicting entry and all that follow it). Nothing is erased:
 * records that follow with lower indexes say so. A write in flight reports at most index - 1 (guard G5). */
void log_truncate(struct log *log, uint64_t index);

/* Drops whole segments whose entries are all below `index`. That is durable only when the next segment has been made: after a
 * crash before that the log may begin with some of them. To sync the directory here would stop the loop. */
int log_drop_before(struct log *log, uint64_t index) NODISCARD;

/* Empties the log; the next entry will have index + 1. For an installed snapshot. Not while a write is in flight. */
int log_reset(struct log *log, uint64_t index) NODISCARD;

/* Reads up to `count` entries from `index` on, stopping when their payloads together reach `bytes_max` (but at least
 * one). Old ones are read from disk and checked again. The caller owns a reference to each payload.
 * ERR_NOT_FOUND: the first one is not held. ERR_CORRUPT: with file and offset in `detail` (of `detail_len` bytes). */
int log_read(struct log *log, uint64_t index, unsigned count, uint64_t bytes_max, struct log_entry *ret_entries,
             unsigned *ret_count, char *detail, size_t detail_len) NODISCARD;

/* The same, for another node: entries that are stored are given from memory only if they are still what was written. If one
 * has changed there, the journal is told, and it is read from disk. */
int log_read_checked(struct log *log, uint64_t index, unsigned count, uint64_t bytes_max, struct log_entry *ret_entries,
                     unsigned *ret_count, char *detail, size_t detail_len) NODISCARD;

#endif
