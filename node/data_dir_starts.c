/* How often a process has begun to use a data directory, and a random number for each of the last times.
 *
 * A directory that was put back from an older copy (a backup, a snapshot of a virtual machine) has the right incarnation, and yet
 * has lost what it promised since. Its starts tell: others remember the highest that they were told, with its random number. An
 * older copy has fewer; or, when it has been started often enough since, has others. So has a second copy that runs elsewhere.
 *
 * Beside it stands what must be known when another file is missing (enum data_dir_fact). When neither slot of the file is whole
 * (data_dir_slots.c) the count begins anew: to the others that is an older copy, which it may be taken for, since nothing in it is
 * known to be what it was. */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "node/data_dir_private.h"
#include "proto/base/bytes.h"
#include "proto/base/check.h"

/* Those of a node that remembers nothing begin above all that it may have had (data_dir_renew()). */
#define GENERATION_BITS 32u

static int starts_failed(const struct data_dir *dir, int err, char *detail, size_t detail_len)
{
    return data_dir_explain(detail, detail_len, err, "%s/starts: %s", dir->path, strerror(errno));
}

int data_dir_starts_read(struct data_dir *dir, char *detail, size_t detail_len)
{
    int err = data_dir_slots_read(dir->fd, "starts", &dir->starts);
    return err == 0 || err == ERR_NOT_FOUND ? 0 : starts_failed(dir, err, detail, detail_len);
}

static void starts_next(struct data_dir_starts *starts, struct clock *clock, uint64_t least)
{
    unsigned kept = starts->stamps_len < DATA_DIR_STAMPS_MAX ? starts->stamps_len : DATA_DIR_STAMPS_MAX - 1;
    kept = least > starts->count + 1 ? 0 : kept; /* Those of before are not the ones right before it. */
    memmove(starts->stamps + 1, starts->stamps, kept * sizeof starts->stamps[0]);
    starts->stamps[0] = clock->random(clock);
    starts->stamps_len = kept + 1;
    starts->count = least > starts->count + 1 ? least : starts->count + 1;
}

static int starts_add(struct data_dir *dir, struct clock *clock, uint64_t least, char *detail, size_t detail_len)
{
    struct data_dir_starts next = dir->starts;
    next.facts |= data_dir_part(dir) == DATA_DIR_PART_TAKEN ? DATA_DIR_FACT_TAKEN : 0u;
    next.facts |= dir->peers_there ? DATA_DIR_FACT_PEERS : 0u;
    next.facts &= data_dir_recovery_unfinished(dir) ? ~0u : ~(unsigned)DATA_DIR_FACT_RECOVERY;
    starts_next(&next, clock, least);
    int err = data_dir_shard_note(dir, &next, detail, detail_len);
    if (err != 0) {
        return err;
    }
    err = data_dir_slots_write(dir->fd, "starts", &next);
    if (err != 0) {
        return starts_failed(dir, err, detail, detail_len);
    }
    dir->starts = next;
    return 0;
}

int data_dir_starts_count(struct data_dir *dir, struct clock *clock, char *detail, size_t detail_len)
{
    return starts_add(dir, clock, 0, detail, detail_len);
}

/* In place of what the last start has written: nobody has been told of it yet, or, in a recovery, nobody who counts. Where none is
 * known the next one has it. */
int data_dir_starts_fact(struct data_dir *dir, enum data_dir_fact fact, bool so, char *detail, size_t detail_len)
{
    struct data_dir_starts next = dir->starts;
    next.facts = so ? next.facts | fact : next.facts & ~(unsigned)fact;
    if (next.facts == dir->starts.facts) {
        return 0;
    }
    int err = next.count == 0 ? 0 : data_dir_slots_write(dir->fd, "starts", &next);
    if (err != 0) {
        return starts_failed(dir, err, detail, detail_len);
    }
    dir->starts = next;
    return 0;
}

/* By the date, so that a directory put back from an older copy need not be renewed twice. A date that is wrong costs that. */
int data_dir_renew(struct data_dir *dir, struct clock *clock, char *detail, size_t detail_len)
{
    uint64_t generation = (dir->starts.count >> GENERATION_BITS) + 1;
    uint64_t date = clock->wall_ms(clock) / 1000 & UINT32_MAX;
    generation = date > generation ? date : generation;
    dir->shard_why[0] = '\0';
    return starts_add(dir, clock, generation << GENERATION_BITS, detail, detail_len);
}

size_t data_dir_history(const struct data_dir *dir, uint8_t ret_history[DATA_DIR_HISTORY_LEN_MAX])
{
    const struct data_dir_starts *starts = &dir->starts;
    CHECK(starts->stamps_len <= DATA_DIR_STAMPS_MAX);
    if (starts->count == 0) {
        return 0;
    }
    put_u64(ret_history, starts->count);
    for (unsigned i = 0; i < starts->stamps_len; i++) {
        put_u64(ret_history + 8 + 8 * i, starts->stamps[i]);
    }
    return 8 + 8 * (size_t)starts->stamps_len;
}
