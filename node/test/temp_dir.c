/* mkdtemp, and nftw to remove what was made. */

#include "temp_dir.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void temp_dir_make(struct temp_dir *dir)
{
    snprintf(dir->path, sizeof dir->path, "/tmp/holdfast-test-XXXXXX");
    cr_assert_not_null(mkdtemp(dir->path));
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info;
    (void)type;
    (void)where;
    return remove(path);
}

void temp_dir_remove(struct temp_dir *dir)
{
    cr_assert_eq(nftw(dir->path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static void junk_make(const char *path)
{
    FILE *out = fopen(path, "w");
    cr_assert_not_null(out);
    cr_assert_geq(fputs("junk", out), 0);
    cr_assert_eq(fclose(out), 0);
}

void temp_put(const char *path, enum temp_kind kind)
{
    struct stat info;
    cr_assert(remove(path) == 0 || lstat(path, &info) != 0);
    switch (kind) {
    case TEMP_JUNK: junk_make(path); break;
    case TEMP_DIRECTORY: cr_assert_eq(mkdir(path, 0700), 0); break;
    case TEMP_PIPE: cr_assert_eq(mkfifo(path, 0600), 0); break;
    case TEMP_SOCKET: cr_assert_eq(mknod(path, S_IFSOCK | 0600, 0), 0); break;
    case TEMP_LINK_TO_NOWHERE: cr_assert_eq(symlink("/nowhere/at/all", path), 0); break;
    case TEMP_LINK_TO_ITSELF: cr_assert_eq(symlink(strrchr(path, '/') + 1, path), 0); break;
    case TEMP_KINDS: cr_assert_fail("no kind");
    }
}
