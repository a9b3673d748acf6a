/* RocksDB's files, as the directory has them: what is no file, and what cannot be read. */

#define _POSIX_C_SOURCE 200809L /* fstatat(), strerror_r(). */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "statemachine/store/store_rocksdb_private.h"

/* What RocksDB did when it met an error is before the path of the file, what the system said behind it: "IO error: While pread
 * offset 0 len 53: /data/000012.sst: Input/output error". */
static bool while_reading(const char *text, const char *path)
{
    static const char *const calls[] = {"read", "stat a file", "opendir"};
    const char *end = strstr(text, path);
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        const char *call = strstr(text, calls[i]);
        if (call != NULL && end != NULL && call < end) {
            return true;
        }
    }
    return false;
}

static bool says(const char *text, int number)
{
    char reason[128];
    return strerror_r(number, reason, sizeof reason) == 0 && strstr(text, reason) != NULL;
}

bool store_rocksdb_unreadable(const char *text, const char *path)
{
    return while_reading(text, path) && (says(text, EIO) || says(text, EISDIR));
}

static bool name_ends(const char *name, const char *end)
{
    size_t len = strlen(name);
    return len > strlen(end) && strcmp(name + len - strlen(end), end) == 0;
}

/* Whatever else is there RocksDB does not open. */
static bool is_own(const char *name)
{
    static const char *const begins[] = {"CURRENT", "IDENTITY", "LOCK", "LOG", "MANIFEST-", "OPTIONS-", "ballast"};
    static const char *const ends[] = {".sst", ".blob", ".log", ".dbtmp"};
    for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++) {
        if (strncmp(name, begins[i], strlen(begins[i])) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        if (name_ends(name, ends[i])) {
            return true;
        }
    }
    return false;
}

/* What cannot even be looked at is RocksDB's to complain of, and so is one that has been removed since it was listed: RocksDB knows
 * what must be there. A link that leads nowhere it takes for an error of the disk. */
static const char *unfit(int dir_fd, const char *name)
{
    struct stat info;
    if (fstatat(dir_fd, name, &info, 0) == 0) {
        return S_ISREG(info.st_mode) ? NULL : "not a file";
    }
    bool nowhere = errno == ELOOP || errno == ENOENT;
    bool link = fstatat(dir_fd, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(info.st_mode);
    return nowhere && link ? "a link that leads nowhere" : NULL;
}

int store_rocksdb_check_files(const char *path, char *detail, size_t detail_len)
{
    int err = 0;
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return 0; /* There is none; or RocksDB will say what is wrong with it. */
    }
    const struct dirent *entry;
    while (err == 0 && (entry = readdir(dir)) != NULL) {
        const char *what = is_own(entry->d_name) ? unfit(dirfd(dir), entry->d_name) : NULL;
        if (what != NULL) {
            (void)snprintf(detail, detail_len, "%s/%s: it is %s", path, entry->d_name, what);
            err = ERR_CORRUPT;
        }
    }
    (void)closedir(dir);
    return err;
}
