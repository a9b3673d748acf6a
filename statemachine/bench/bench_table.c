/* What rows of the table cost: put, checkpoint, found one after the other in the store, removed. */

#include "bench.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "proto/base/check.h"
#include "sim/store_memory.h"
#include "statemachine/state.h"
#include "statemachine/store/store_rocksdb.h"

#define ROWS 200000u

struct times {
    double put;
    double collect;
    double write;
    double done;
    double seek;
    double seek_removing;
};

static double seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double since(double *from)
{
    double now = seconds();
    double spent = now - *from;
    *from = now;
    return spent;
}

static void put(struct machine *machine, uint64_t position)
{
    row_begin_new(&machine->row, row_key_pair(ROW_WAITING, 1 + position % 16, position));
    row_put_u64(&machine->row, position);
    CHECK(row_seal(&machine->row) == 0);
    CHECK(table_put(machine, &machine->row, (struct slice){0}) == 0);
}

static void checkpoint(struct machine *machine, struct times *times)
{
    struct machine_checkpoint *checkpoint;
    double at = seconds();
    CHECK(machine_checkpoint(machine, (struct slice){0}, &checkpoint) == 0);
    times->collect = since(&at);
    CHECK(machine_checkpoint_write(checkpoint) == 0);
    times->write = since(&at);
    machine_checkpoint_done(checkpoint, 0);
    times->done = since(&at);
}

/* All rows, one after the other; each is removed, and the search begins at the first again, or it goes on behind it. */
static void seek_all(struct machine *machine, bool remove)
{
    struct row_key from = row_key_plain(ROW_WAITING);
    struct row_key end = row_key_after(&from);
    struct table_row row;
    size_t len = 0;
    while (table_seek(machine, &from, &end, &row) == 0) {
        if (remove) {
            CHECK(table_remove(machine, &row.key) == 0);
        } else {
            from = row_key_next(&row.key);
        }
        table_row_done(&row);
        len++;
    }
    CHECK(len == ROWS);
}

static void bench_store(const char *name, struct store *store)
{
    struct machine *machine;
    uint64_t applied;
    struct slice consensus;
    char detail[256];
    struct times times = {0};
    CHECK(machine_open(store, &machine, &applied, &consensus, detail, sizeof detail) == 0);
    slice_unref(&consensus);
    double at = seconds();
    for (uint64_t position = 0; position < ROWS; position++) {
        put(machine, position);
    }
    times.put = since(&at);
    checkpoint(machine, &times);
    at = seconds();
    seek_all(machine, false);
    times.seek = since(&at);
    seek_all(machine, true);
    times.seek_removing = since(&at);
    machine_close(machine);
    const double ns = 1e9 / ROWS;
    printf(
        "table on %s, per row: put %.0f ns, collected %.0f ns, written %.0f ns, let go of %.0f ns, found in the store "
        "%.0f ns, found and removed %.0f ns\n",
        name, times.put * ns, times.collect * ns, times.write * ns, times.done * ns, times.seek * ns,
        times.seek_removing * ns);
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

void bench_table(void)
{
    struct store_memory_disk *disk = store_memory_disk_new();
    struct store *store;
    char detail[256];
    CHECK(disk != NULL && store_memory_open(disk, &store) == 0);
    bench_store("a store in memory", store);
    store_memory_disk_free(disk);

    char path[] = "/tmp/holdfast-bench-XXXXXX";
    CHECK(mkdtemp(path) != NULL);
    struct store_rocksdb_options options = {.path = path};
    CHECK(store_rocksdb_open(&options, &store, detail, sizeof detail) == 0);
    bench_store("RocksDB", store);
    CHECK(nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) == 0);
}
