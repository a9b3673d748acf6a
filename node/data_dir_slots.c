/* The format of the files that count starts: DATA/starts, and last-start in the directories of the shard and its log.
 *
 * A file has two slots, written in turn and in place, so that a start needs no space that is not there already. Start n is in slot
 * n % 2. A slot, little-endian:
 *
 *   offset  size  what
 *        0     4  magic "HFN1"
 *        4     4  number of random numbers
 *        8     8  starts
 *       16   256  random numbers of the last starts, the newest first, then zeroes
 *      272     8  XXH3-64 of everything before
 *      280     4  bits: what is known of the directory besides (enum data_dir_fact)
 *      284     4  zero
 *      288     8  XXH3-64 of everything before
 *      296   216  zero
 *
 * Earlier programs wrote zeroes from 280 on, and do not look there: then nothing is known besides. */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>
#include <xxhash.h>

#include "node/data_dir_private.h"
#include "node/durable_file.h"
#include "proto/base/bytes.h"

#define SLOT_LEN 512u
#define STAMPS_AT 16u
#define SUM_AT (STAMPS_AT + 8u * DATA_DIR_STAMPS_MAX)
#define FACTS_AT (SUM_AT + 8u)
#define FACTS_SUM_AT (FACTS_AT + 8u)

_Static_assert(FACTS_SUM_AT + 8u <= SLOT_LEN, "a slot holds it");

static const uint8_t starts_magic[4] = {'H', 'F', 'N', '1'};

/* Takes the facts of a slot, when they are whole. */
static bool facts_decode(const uint8_t *slot, unsigned *ret_facts)
{
    static const uint8_t none[FACTS_SUM_AT + 8u - FACTS_AT] = {0};
    bool earlier = memcmp(slot + FACTS_AT, none, sizeof none) == 0;
    if (!earlier && get_u64(slot + FACTS_SUM_AT) != XXH3_64bits(slot, FACTS_SUM_AT)) {
        return false;
    }
    *ret_facts = get_u32(slot + FACTS_AT);
    return true;
}

/* Takes what a slot says, when it is whole and newer. */
static void slot_decode(const uint8_t *slot, struct data_dir_starts *starts)
{
    uint32_t len = get_u32(slot + 4);
    unsigned facts;
    bool whole = memcmp(slot, starts_magic, sizeof starts_magic) == 0 &&
                 get_u64(slot + SUM_AT) == XXH3_64bits(slot, SUM_AT) && len <= DATA_DIR_STAMPS_MAX;
    if (!whole || get_u64(slot + 8) <= starts->count || !facts_decode(slot, &facts)) {
        return;
    }
    starts->count = get_u64(slot + 8);
    starts->facts = facts;
    starts->stamps_len = len;
    for (uint32_t i = 0; i < len; i++) {
        starts->stamps[i] = get_u64(slot + STAMPS_AT + 8 * i);
    }
}

static void slot_encode(const struct data_dir_starts *starts, uint8_t slot[SLOT_LEN])
{
    memset(slot, 0, SLOT_LEN);
    memcpy(slot, starts_magic, sizeof starts_magic);
    put_u32(slot + 4, starts->stamps_len);
    put_u64(slot + 8, starts->count);
    for (unsigned i = 0; i < starts->stamps_len; i++) {
        put_u64(slot + STAMPS_AT + 8 * i, starts->stamps[i]);
    }
    put_u64(slot + SUM_AT, XXH3_64bits(slot, SUM_AT));
    put_u32(slot + FACTS_AT, starts->facts);
    put_u64(slot + FACTS_SUM_AT, XXH3_64bits(slot, FACTS_SUM_AT));
}

/* What is in a file that is open. */
struct slots {
    struct data_dir_starts starts;
    bool whole;      /* The file has both slots, be they damaged or not. */
    bool unreadable; /* The device cannot give one back: it may not take a part of what is around that either. */
};

/* Slot by slot, so that one that cannot be read does not hide the other. */
static int slots_load(int fd, struct slots *ret_slots)
{
    *ret_slots = (struct slots){.whole = true};
    for (unsigned i = 0; i < 2; i++) {
        uint8_t slot[SLOT_LEN];
        ssize_t got = pread(fd, slot, sizeof slot, (off_t)i * SLOT_LEN);
        if (got < 0 && errno != EIO) {
            return ERR_IO;
        }
        ret_slots->unreadable = ret_slots->unreadable || got < 0;
        ret_slots->whole = ret_slots->whole && (got < 0 || got == (ssize_t)sizeof slot);
        if (got == (ssize_t)sizeof slot) {
            slot_decode(slot, &ret_slots->starts);
        }
    }
    return 0;
}

int data_dir_slots_read(int dir_fd, const char *name, struct data_dir_starts *ret_starts)
{
    struct slots slots = {0};
    struct stat stat;
    int fd = openat(dir_fd, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && (errno == ENXIO || durable_file_leads_nowhere(dir_fd, name))) {
        *ret_starts = slots.starts; /* No file is a damaged one. */
        return 0;
    }
    if (fd < 0) {
        return errno == ENOENT ? ERR_NOT_FOUND : ERR_IO;
    }
    bool file = fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode);
    int err = file ? slots_load(fd, &slots) : 0;
    (void)close(fd);
    *ret_starts = slots.starts;
    return err;
}

static int bytes_write(const uint8_t *data, size_t len, off_t offset, int fd)
{
    ssize_t written = pwrite(fd, data, len, offset);
    if (written != (ssize_t)len) {
        return written >= 0 || errno == ENOSPC || errno == EDQUOT ? ERR_NO_SPACE : ERR_IO;
    }
    return fsync(fd) == 0 ? 0 : ERR_IO;
}

/* For writing. One that cannot be read is made anew. */
static int slots_open(int dir_fd, const char *name, int *ret_fd, struct slots *ret_slots)
{
    int err = durable_file_open(dir_fd, name, O_RDWR | O_CREAT, ret_fd);
    if (err != 0) {
        return err;
    }
    err = slots_load(*ret_fd, ret_slots);
    if (err == 0 && !ret_slots->unreadable) {
        return 0;
    }
    (void)close(*ret_fd);
    if (err == 0) {
        err = durable_file_make_way(dir_fd, name);
    }
    ret_slots->whole = false;
    return err == 0 ? durable_file_open(dir_fd, name, O_RDWR | O_CREAT, ret_fd) : err;
}

/* The file is made with both slots, and its name is durable, before anybody is told of the first start. One that says more than
 * is true now is made anew: its other slot would go on saying it. */
int data_dir_slots_write(int dir_fd, const char *name, const struct data_dir_starts *starts)
{
    uint8_t bytes[2 * SLOT_LEN] = {0};
    size_t at = starts->count % 2 * SLOT_LEN;
    struct slots before;
    int fd;
    int err = slots_open(dir_fd, name, &fd, &before);
    if (err != 0) {
        return err;
    }
    bool anew = !before.whole || before.starts.count > starts->count;
    slot_encode(starts, bytes + at);
    err = anew ? bytes_write(bytes, sizeof bytes, 0, fd) : bytes_write(bytes + at, SLOT_LEN, (off_t)at, fd);
    if (err == 0 && anew && fsync(dir_fd) != 0) {
        err = ERR_IO;
    }
    int saved = errno;
    (void)close(fd);
    errno = saved;
    return err;
}
