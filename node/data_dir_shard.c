/* Ties the directory of the shard to the data directory around it.
 *
 * Log, term and state that were put back from an older copy, while the rest is today's, have lost what was promised since, and the
 * others cannot see it: DATA/starts goes on. So the file last-start beside them says of which start they are, like DATA/starts
 * (data_dir_slots.c). It is written first: after a crash it may be ahead, never behind. One that is behind is an older copy's, and
 * one that is missing may be.
 *
 * Whoever has found that out notes it (`repair`) before anything is written here again (data_dir_shard_adopt()): until then every
 * start finds it out again. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "node/core/repair.h"
#include "node/data_dir_private.h"

#define SHARD "shard-0"

static int shard_fd(const struct data_dir *dir)
{
    return openat(dir->fd, SHARD, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Whether it goes on from the last start: not behind it, and with the same random number for it. Of one that lies further back than
 * the file remembers nothing can be said. */
static void shard_compare(struct data_dir *dir, const struct data_dir_starts *found)
{
    const struct data_dir_starts *last = &dir->starts;
    uint64_t ahead = found->count - last->count;
    if (found->count < last->count) {
        (void)snprintf(dir->shard_why, sizeof dir->shard_why,
                       SHARD " is an older copy (of start %" PRIu64 ", the last one was %" PRIu64
                             "): it has lost what this node promised since",
                       found->count, last->count);
    } else if (ahead < found->stamps_len && last->stamps_len > 0 && found->stamps[ahead] != last->stamps[0]) {
        (void)snprintf(dir->shard_why, sizeof dir->shard_why,
                       SHARD " is not the one that was used at start %" PRIu64
                             " of this directory, but an older copy that has been started since, or another node's",
                       last->count);
    }
}

/* It is there, and a process with more rights, memory or open files could read it: that is no damage. */
static bool shard_is_closed(int number)
{
    return number != ENOENT && number != ENOTDIR && number != ELOOP && number != ENXIO && number != EIO;
}

static int shard_read(const struct data_dir *dir, struct data_dir_starts *ret_found, char *detail, size_t detail_len)
{
    int fd = shard_fd(dir);
    int err = fd >= 0           ? data_dir_slots_read(fd, REPAIR_START_FILE, ret_found)
              : errno == ENOENT ? ERR_NOT_FOUND
                                : ERR_IO;
    int number = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (err != ERR_IO || !shard_is_closed(number)) {
        return err == ERR_IO ? ERR_CORRUPT : err;
    }
    return data_dir_explain(detail, detail_len, err, "%s/" SHARD "%s: %s", dir->path,
                            fd >= 0 ? "/" REPAIR_START_FILE : "", strerror(number));
}

int data_dir_shard_check(struct data_dir *dir, char *detail, size_t detail_len)
{
    struct data_dir_starts found = {0};
    dir->shard_why[0] = '\0';
    if ((dir->starts.facts & DATA_DIR_FACT_SHARD) == 0) {
        return 0; /* An earlier program has used the directory: from this start on it is known. */
    }
    int err = shard_read(dir, &found, detail, detail_len);
    if (err != 0 && err != ERR_NOT_FOUND && err != ERR_CORRUPT) {
        return err;
    }
    if (err == 0 && found.count > 0) {
        shard_compare(dir, &found);
        return 0;
    }
    (void)snprintf(dir->shard_why, sizeof dir->shard_why,
                   SHARD "/" REPAIR_START_FILE
                         " is %s: nobody knows whether log, term and state are this node's latest",
                   err == ERR_NOT_FOUND ? "missing"
                   : err == 0           ? "damaged"
                                        : "not readable");
    return 0;
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
int data_dir_shard_note(struct data_dir *dir, struct data_dir_starts *next, char *detail, size_t detail_len)
{
    bool expected = (next->facts & DATA_DIR_FACT_SHARD) != 0;
    int fd = dir->shard_why[0] == '\0' ? shard_fd(dir) : -1;
    if (fd < 0) {
        return 0;
    }
    struct data_dir_starts noted = *next;
    noted.facts = 0;
    int err = data_dir_slots_write(fd, REPAIR_START_FILE, &noted);
    int saved = errno;
    (void)close(fd);
    if (err == ERR_NO_SPACE && !expected) {
        return 0;
    }
    if (err != 0) {
        return data_dir_explain(detail, detail_len, err, "%s/" SHARD "/" REPAIR_START_FILE ": %s", dir->path,
                                strerror(saved));
    }
    next->facts |= DATA_DIR_FACT_SHARD;
    return 0;
}

/* The file is made anew: it may be one that cannot be read, or none at all. */
static void shard_unlink(const struct data_dir *dir)
{
    int fd = shard_fd(dir);
    if (fd >= 0) {
        if (unlinkat(fd, REPAIR_START_FILE, 0) != 0) {
            (void)unlinkat(fd, REPAIR_START_FILE, AT_REMOVEDIR);
        }
        (void)close(fd);
    }
}

int data_dir_shard_adopt(struct data_dir *dir, struct clock *clock, char *detail, size_t detail_len)
{
    char why[DATA_DIR_WHY_LEN_MAX];
    memcpy(why, dir->shard_why, sizeof why);
    if (why[0] != '\0') {
        shard_unlink(dir);
        dir->shard_why[0] = '\0';
    }
    int err = data_dir_starts_count(dir, clock, detail, detail_len);
    if (err != 0) {
        memcpy(dir->shard_why, why, sizeof why);
    }
    return err;
}
