/* Ties the directory of the shard, and that of its log, to the data directory around it.
 *
 * Log, term and state that were put back from an older copy, while the rest is today's, have lost what was promised since, and the
 * others cannot see it: DATA/starts goes on. So the file last-start beside them says of which start they are, like DATA/starts
 * (data_dir_slots.c). It is written first: after a crash it may be ahead, never behind. One that is behind is an older copy's, and
 * one that is missing may be.
 *
 * The log may be on a disk of its own, and be put back alone, or together with term or state: so its directory has such a file as
 * well, which is written before the shard's. That it must be there is said by the shard's file, for its own start, and not by
 * DATA/starts: so an earlier program, which writes the shard's without that, or forgets that the shard has one, unties the log.
 *
 * The state has none. An older one loses nothing: today's log has what came after it and brings it up to date, or begins too late
 * for that, and then the two are refused (driver_open()). Nothing is promised that is in the state alone.
 *
 * Whoever has found out that one is old notes it (`repair`) before anything is written here again (data_dir_shard_adopt()): until
 * then every start finds it out again. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/core/repair.h"
#include "node/data_dir_private.h"

/* A directory that is tied. */
struct tied {
    const char *path; /* Below DATA. */
    const char *holds;
};

static const struct tied tied_shard = {.path = "shard-0", .holds = "log, term and state are"};
static const struct tied tied_log = {.path = "shard-0/log", .holds = "the log is"};

/* ERR_NOT_FOUND: nothing is there. ERR_IO, with errno: also for a link to nowhere, which may lead to a disk that is not mounted. */
static int tied_open(const struct data_dir *dir, const struct tied *tied, int *ret_fd)
{
    struct stat info;
    int fd = openat(dir->fd, tied->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        *ret_fd = fd;
        return 0;
    }
    int number = errno;
    bool missing = number == ENOENT && fstatat(dir->fd, tied->path, &info, AT_SYMLINK_NOFOLLOW) != 0;
    errno = number;
    return missing ? ERR_NOT_FOUND : ERR_IO;
}

static int tied_failed(const struct data_dir *dir, const struct tied *tied, const char *file, int err, char *detail,
                       size_t detail_len)
{
    return data_dir_explain(detail, detail_len, err, "%s/%s%s: %s", dir->path, tied->path, file, strerror(errno));
}

/* Whether it goes on from the last start: not behind it, and with the same random number for it. Of one that lies further back than
 * the file remembers nothing can be said. */
static void tied_compare(struct data_dir *dir, const struct tied *tied, const struct data_dir_starts *found)
{
    const struct data_dir_starts *last = &dir->starts;
    uint64_t ahead = found->count - last->count;
    if (found->count < last->count) {
        (void)snprintf(dir->shard_why, sizeof dir->shard_why,
                       "%s is an older copy (of start %" PRIu64 ", the last one was %" PRIu64
                       "): it has lost what this node promised since",
                       tied->path, found->count, last->count);
    } else if (ahead < found->stamps_len && last->stamps_len > 0 && found->stamps[ahead] != last->stamps[0]) {
        (void)snprintf(dir->shard_why, sizeof dir->shard_why,
                       "%s is not the one that was used at start %" PRIu64
                       " of this directory, but an older copy that has been started since, or another node's",
                       tied->path, last->count);
    }
}

/* It is there, and a process with more rights, memory or open files could read it: that is no damage. */
static bool file_is_closed(int number)
{
    return number != ENOENT && number != ENOTDIR && number != ELOOP && number != ENXIO && number != EIO;
}

/* ERR_NOT_FOUND; ERR_CORRUPT: it cannot be read; ERR_IO. */
static int tied_read(const struct data_dir *dir, const struct tied *tied, struct data_dir_starts *ret_found,
                     char *detail, size_t detail_len)
{
    int fd;
    int err = tied_open(dir, tied, &fd);
    if (err != 0) {
        return err == ERR_NOT_FOUND ? err : tied_failed(dir, tied, "", err, detail, detail_len);
    }
    err = data_dir_slots_read(fd, REPAIR_START_FILE, ret_found);
    int number = errno;
    (void)close(fd);
    if (err == ERR_IO && !file_is_closed(number)) {
        return ERR_CORRUPT;
    }
    errno = number;
    return err == ERR_IO ? tied_failed(dir, tied, "/" REPAIR_START_FILE, err, detail, detail_len) : err;
}

/* Of one that must be there. */
static int tied_check(struct data_dir *dir, const struct tied *tied, struct data_dir_starts *ret_found, char *detail,
                      size_t detail_len)
{
    int err = tied_read(dir, tied, ret_found, detail, detail_len);
    if (err != 0 && err != ERR_NOT_FOUND && err != ERR_CORRUPT) {
        return err;
    }
    if (err == 0 && ret_found->count > 0) {
        tied_compare(dir, tied, ret_found);
        return 0;
    }
    (void)snprintf(dir->shard_why, sizeof dir->shard_why,
                   "%s/" REPAIR_START_FILE " is %s: nobody knows whether %s this node's latest", tied->path,
                   err == ERR_NOT_FOUND ? "missing"
                   : err == 0           ? "damaged"
                                        : "not readable",
                   tied->holds);
    return 0;
}

int data_dir_shard_check(struct data_dir *dir, char *detail, size_t detail_len)
{
    struct data_dir_starts shard = {0};
    struct data_dir_starts log = {0};
    dir->shard_why[0] = '\0';
    dir->log_is_tied = false;
    dir->log_alone_is_old = false;
    if ((dir->starts.facts & DATA_DIR_FACT_SHARD) == 0) {
        return 0; /* An earlier program has used the directory: from this start on it is known. */
    }
    int err = tied_check(dir, &tied_shard, &shard, detail, detail_len);
    dir->log_is_tied = (shard.facts & DATA_DIR_FACT_LOG) != 0;
    if (err != 0 || dir->shard_why[0] != '\0' || !dir->log_is_tied) {
        return err;
    }
    err = tied_check(dir, &tied_log, &log, detail, detail_len);
    dir->log_alone_is_old = dir->shard_why[0] != '\0';
    return err;
}

bool data_dir_shard_is_old(const struct data_dir *dir, char *detail, size_t detail_len)
{
    if (dir->shard_why[0] == '\0') {
        return false;
    }
    (void)snprintf(detail, detail_len, "%s", dir->shard_why);
    return true;
}

/* Before the node's first start is over there is no such directory; and a disk that is full need not give room for the file, as
 * long as nobody expects it. */
static int tied_write(const struct data_dir *dir, const struct tied *tied, const struct data_dir_starts *starts,
                      bool expected, bool *ret_written, char *detail, size_t detail_len)
{
    int fd;
    *ret_written = false;
    int err = tied_open(dir, tied, &fd);
    if (err != 0) {
        return err == ERR_NOT_FOUND || !expected ? 0 : tied_failed(dir, tied, "", err, detail, detail_len);
    }
    err = data_dir_slots_write(fd, REPAIR_START_FILE, starts);
    int saved = errno;
    (void)close(fd);
    errno = saved;
    if (err == ERR_NO_SPACE && !expected) {
        return 0;
    }
    *ret_written = err == 0;
    return err == 0 ? 0 : tied_failed(dir, tied, "/" REPAIR_START_FILE, err, detail, detail_len);
}

/* Where the log alone is old, its file is left as it is, and is looked at again. */
int data_dir_shard_note(struct data_dir *dir, struct data_dir_starts *next, char *detail, size_t detail_len)
{
    struct data_dir_starts noted = *next;
    bool old = dir->shard_why[0] != '\0';
    bool shard = false;
    bool log = old && dir->log_alone_is_old;
    if (old && !log) {
        return 0;
    }
    noted.facts = 0;
    int err = log ? 0 : tied_write(dir, &tied_log, &noted, dir->log_is_tied, &log, detail, detail_len);
    if (err == 0) {
        noted.facts = log ? DATA_DIR_FACT_LOG : 0u;
        err =
            tied_write(dir, &tied_shard, &noted, (next->facts & DATA_DIR_FACT_SHARD) != 0, &shard, detail, detail_len);
    }
    if (shard) {
        dir->log_is_tied = log;
        next->facts |= DATA_DIR_FACT_SHARD;
    }
    return err;
}

/* The file is made anew: it may be one that cannot be read, or none at all. */
static void tied_unlink(const struct data_dir *dir, const struct tied *tied)
{
    int fd;
    if (tied_open(dir, tied, &fd) == 0) {
        if (unlinkat(fd, REPAIR_START_FILE, 0) != 0) {
            (void)unlinkat(fd, REPAIR_START_FILE, AT_REMOVEDIR);
        }
        (void)close(fd);
    }
}

/* Nobody expects the log's file any more: its directory may be lost as well, or its disk full. */
int data_dir_shard_adopt(struct data_dir *dir, struct clock *clock, char *detail, size_t detail_len)
{
    char why[DATA_DIR_WHY_LEN_MAX];
    memcpy(why, dir->shard_why, sizeof why);
    if (why[0] != '\0') {
        tied_unlink(dir, &tied_log);
        tied_unlink(dir, &tied_shard);
        dir->log_is_tied = false;
        dir->shard_why[0] = '\0';
    }
    int err = data_dir_starts_count(dir, clock, detail, detail_len);
    if (err != 0) {
        memcpy(dir->shard_why, why, sizeof why);
    }
    return err;
}
