/* How often a process has begun to use a data directory, and a random number for each of the last times.
 *
 * A directory that was put back from an older copy (a backup, a snapshot of a virtual machine) has the right incarnation, and yet
 * has lost what it promised since. Its starts tell: others remember the highest that they were told, with its random number. An
 * older copy has fewer; or, when it has been started often enough since, has others. So has a second copy that runs elsewhere.
 *
 * The file has two slots, written in turn and in place, so that a start needs no space that is not there already. A slot,
 * little-endian:
 *
 *   offset  size  what
 *        0     4  magic "HFN1"
 *        4     4  number of random numbers
 *        8     8  starts
 *       16   256  random numbers of the last starts, the newest first, then zeroes
 *      272     8  XXH3-64 of everything before
 *      280   232  zero
 *
 * Start n is in slot n % 2. When neither is whole the count begins anew: to the others that is an older copy, which it may be
 * taken for, since nothing in it is known to be what it was. A file with a slot that the device cannot give back is made anew:
 * it may not take a part of what is around that either. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>
#include <xxhash.h>

#include "node/data_dir_private.h"
#include "node/durable_file.h"
#include "proto/base/bytes.h"
#include "proto/base/check.h"

#define SLOT_LEN 512u
#define STAMPS_AT 16u
#define SUM_AT (STAMPS_AT + 8u * DATA_DIR_STAMPS_MAX)

/* Those of a node that remembers nothing begin above all that it may have had (data_dir_renew()). */
#define GENERATION_BITS 32u

_Static_assert(SUM_AT + 8u <= SLOT_LEN, "a slot holds it");

static const uint8_t starts_magic[4] = {'H', 'F', 'N', '1'};

static void slot_decode(const uint8_t *slot, struct data_dir *dir)
{
    uint32_t len = get_u32(slot + 4);
    bool whole = memcmp(slot, starts_magic, sizeof starts_magic) == 0 &&
                 get_u64(slot + SUM_AT) == XXH3_64bits(slot, SUM_AT) && len <= DATA_DIR_STAMPS_MAX;
    if (!whole || get_u64(slot + 8) <= dir->starts) {
        return;
    }
    dir->starts = get_u64(slot + 8);
    dir->stamps_len = len;
    for (uint32_t i = 0; i < len; i++) {
        dir->stamps[i] = get_u64(slot + STAMPS_AT + 8 * i);
    }
}

static void slot_encode(const struct data_dir *dir, uint8_t slot[SLOT_LEN])
{
    memset(slot, 0, SLOT_LEN);
    memcpy(slot, starts_magic, sizeof starts_magic);
    put_u32(slot + 4, dir->stamps_len);
    put_u64(slot + 8, dir->starts);
    for (unsigned i = 0; i < dir->stamps_len; i++) {
        put_u64(slot + STAMPS_AT + 8 * i, dir->stamps[i]);
    }
    put_u64(slot + SUM_AT, XXH3_64bits(slot, SUM_AT));
}

static int slots_write(const uint8_t *data, size_t len, off_t offset, int fd)
{
    ssize_t written = pwrite(fd, data, len, offset);
    if (written != (ssize_t)len) {
        return written >= 0 || errno == ENOSPC || errno == EDQUOT ? ERR_NO_SPACE : ERR_IO;
    }
    return fsync(fd) == 0 ? 0 : ERR_IO;
}

/* The file is made with both slots, and its name is durable, before anybody is told of the first start. */
static int starts_write(const struct data_dir *dir, int fd, bool new)
{
    uint8_t slots[2 * SLOT_LEN] = {0};
    size_t at = dir->starts % 2 * SLOT_LEN;
    slot_encode(dir, slots + at);
    int err = new ? slots_write(slots, sizeof slots, 0, fd) : slots_write(slots + at, SLOT_LEN, (off_t)at, fd);
    if (err == 0 && new &&fsync(dir->fd) != 0) {
        err = ERR_IO;
    }
    return err;
}

/* Slot by slot, so that one that cannot be read does not hide the other. */
static int slots_read(struct data_dir *dir, int fd, bool *ret_new, bool *ret_unreadable)
{
    bool new = false;
    bool unreadable = false;
    for (unsigned i = 0; i < 2; i++) {
        uint8_t slot[SLOT_LEN];
        ssize_t got = pread(fd, slot, sizeof slot, (off_t)i * SLOT_LEN);
        if (got < 0 && errno != EIO) {
            return ERR_IO;
        }
        unreadable = unreadable || got < 0;
        new = new || (got >= 0 && got != (ssize_t)sizeof slot);
        if (got == (ssize_t)sizeof slot) {
            slot_decode(slot, dir);
        }
    }
    *ret_new = new;
    *ret_unreadable = unreadable;
    return 0;
}

/* For writing, with what it says taken over. */
static int starts_open(struct data_dir *dir, int *ret_fd, bool *ret_new)
{
    int fd;
    bool new;
    bool unreadable;
    int err = durable_file_open(dir->fd, "starts", O_RDWR | O_CREAT, &fd);
    if (err != 0) {
        return err;
    }
    err = slots_read(dir, fd, &new, &unreadable);
    if (err == 0 && unreadable) {
        (void)close(fd);
        err = durable_file_make_way(dir->fd, "starts");
        err = err == 0 ? durable_file_open(dir->fd, "starts", O_RDWR | O_CREAT, &fd) : err;
        if (err != 0) {
            return err;
        }
    }
    if (err != 0) {
        (void)close(fd);
        return err;
    }
    *ret_fd = fd;
    *ret_new = new || unreadable;
    return 0;
}

static void starts_advance(struct data_dir *dir, struct clock *clock, uint64_t least)
{
    unsigned kept = dir->stamps_len < DATA_DIR_STAMPS_MAX ? dir->stamps_len : DATA_DIR_STAMPS_MAX - 1;
    kept = least > dir->starts + 1 ? 0 : kept; /* Those of before are not the ones right before it. */
    memmove(dir->stamps + 1, dir->stamps, kept * sizeof dir->stamps[0]);
    dir->stamps[0] = clock->random(clock);
    dir->stamps_len = kept + 1;
    dir->starts = least > dir->starts + 1 ? least : dir->starts + 1;
}

static int starts_add(struct data_dir *dir, struct clock *clock, uint64_t least, char *detail, size_t detail_len)
{
    int fd;
    bool new;
    int err = starts_open(dir, &fd, &new);
    if (err == 0) {
        starts_advance(dir, clock, least);
        err = starts_write(dir, fd, new);
        (void)close(fd);
    }
    return err == 0 ? 0 : data_dir_explain(detail, detail_len, err, "%s/starts: %s", dir->path, strerror(errno));
}

int data_dir_starts_count(struct data_dir *dir, struct clock *clock, char *detail, size_t detail_len)
{
    return starts_add(dir, clock, 0, detail, detail_len);
}

/* By the date, so that a directory put back from an older copy need not be renewed twice. A date that is wrong costs that. */
int data_dir_renew(struct data_dir *dir, struct clock *clock, char *detail, size_t detail_len)
{
    uint64_t generation = (dir->starts >> GENERATION_BITS) + 1;
    uint64_t date = clock->wall_ms(clock) / 1000 & UINT32_MAX;
    generation = date > generation ? date : generation;
    return starts_add(dir, clock, generation << GENERATION_BITS, detail, detail_len);
}

size_t data_dir_history(const struct data_dir *dir, uint8_t ret_history[DATA_DIR_HISTORY_LEN_MAX])
{
    CHECK(dir->stamps_len <= DATA_DIR_STAMPS_MAX);
    if (dir->starts == 0) {
        return 0;
    }
    put_u64(ret_history, dir->starts);
    for (unsigned i = 0; i < dir->stamps_len; i++) {
        put_u64(ret_history + 8 + 8 * i, dir->stamps[i]);
    }
    return 8 + 8 * (size_t)dir->stamps_len;
}
