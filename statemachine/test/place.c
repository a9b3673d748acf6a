/* Places for stores. */

#include "place.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "statemachine/store/store_rocksdb.h"

#define SMALL_DISK "size=64m"

/* As a node asks it. */
bool place_takes_direct_writes(const struct place *place)
{
    int fd = open(place->root, O_TMPFILE | O_WRONLY | O_DIRECT, 0600);
    if (fd >= 0) {
        (void)close(fd);
    }
    return fd >= 0;
}

void place_open(struct place *place)
{
    char detail[256] = "";
    if (place->rows != NULL) {
        cr_assert_eq(store_memory_open(place->rows, &place->store), 0);
        return;
    }
    struct store_rocksdb_options options = {.path = place->dir, .direct = place_takes_direct_writes(place)};
    cr_assert_eq(store_rocksdb_open(&options, &place->store, detail, sizeof detail), 0, "%s", detail);
}

static void place_make_state(struct place *place)
{
    snprintf(place->dir, sizeof place->dir, "%s/state", place->root);
    cr_assert_eq(mkdir(place->dir, 0700), 0);
}

void place_init(struct place *place, bool memory)
{
    *place = (struct place){.root = "/tmp/holdfast-store-XXXXXX"};
    if (memory) {
        place->rows = store_memory_disk_new();
        place->files = sim_disk_new();
        struct disk *files = sim_disk_ops(place->files);
        cr_assert_eq(files->ops->make_dir(files, PLACE_MEMORY_DIR), 0);
        store_memory_disk_set_files(place->rows, files, PLACE_MEMORY_DIR);
    } else {
        cr_assert_not_null(mkdtemp(place->root));
        place_make_state(place);
    }
    place_open(place);
}

void place_init_small(struct place *place)
{
    *place = (struct place){.root = "/tmp/holdfast-small-XXXXXX", .small = true};
    cr_assert_not_null(mkdtemp(place->root));
    cr_assert_eq(unshare(CLONE_NEWNS), 0, "a mount namespace is needed (CAP_SYS_ADMIN)");
    cr_assert_eq(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    cr_assert_eq(mount("none", place->root, "tmpfs", 0, SMALL_DISK), 0);
    place_make_state(place);
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

void place_done(struct place *place)
{
    place->store->ops->close(place->store);
    store_memory_disk_free(place->rows);
    sim_disk_free(place->files);
    if (place->small) {
        cr_assert_eq(umount2(place->root, MNT_DETACH), 0);
        cr_assert_eq(rmdir(place->root), 0);
    } else if (place->rows == NULL) {
        cr_assert_eq(nftw(place->root, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
    }
}

void place_reopen(struct place *place)
{
    place->store->ops->close(place->store);
    place_open(place);
}

void place_path(const struct place *place, const char *name, char ret_path[128])
{
    snprintf(ret_path, 128, "%s/%s", place->root, name);
}

/* Asked again when RocksDB, which may merge its files meanwhile, has taken some of it first. */
void place_fill(const struct place *place, size_t rest)
{
    char path[128];
    int err = ENOSPC;
    place_path(place, "filler", path);
    for (unsigned i = 0; i < 1000 && err == ENOSPC; i++) {
        struct statvfs info;
        cr_assert_eq(statvfs(place->root, &info), 0);
        size_t free_len = (size_t)info.f_bavail * info.f_frsize;
        if (free_len <= rest) {
            return;
        }
        FILE *file = fopen(path, "w");
        cr_assert_not_null(file);
        err = posix_fallocate(fileno(file), 0, (off_t)(free_len - rest));
        fclose(file);
    }
    cr_assert_eq(err, 0);
}

void place_empty(const struct place *place)
{
    char path[128];
    place_path(place, "filler", path);
    cr_assert_eq(unlink(path), 0);
}

void place_remove(const struct place *place, const char *name)
{
    char path[128];
    place_path(place, name, path);
    cr_assert_eq(nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}

struct slice text(const char *string)
{
    return (struct slice){.data = (const uint8_t *)string, .len = strlen(string)};
}
