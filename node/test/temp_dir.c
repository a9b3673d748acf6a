/* mkdtemp, and nftw to remove what was made. */

#include "temp_dir.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

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
