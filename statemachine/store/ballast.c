/* A file of zeroes, written where there is plenty and removed where there is need. */

#define _POSIX_C_SOURCE 200809L /* strdup(), statvfs(). */

#include "statemachine/store/ballast.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#define BALLAST_NAME "/ballast"

/* A disk that cannot be asked has room. */
static uint64_t ballast_free_space(const struct ballast *ballast)
{
    struct statvfs info;
    return statvfs(ballast->dir, &info) != 0 ? UINT64_MAX : (uint64_t)info.f_bavail * info.f_frsize;
}

/* One that is not whole is not to be relied on, and is written again. */
static bool ballast_find(const struct ballast *ballast)
{
    FILE *file = fopen(ballast->path, "re");
    if (file == NULL) {
        return false;
    }
    bool whole = fseek(file, 0, SEEK_END) == 0 && ftell(file) == (long)BALLAST_LEN;
    (void)fclose(file);
    return whole;
}

int ballast_init(struct ballast *ballast, const char *dir)
{
    size_t len = strlen(dir) + sizeof BALLAST_NAME;
    char *copy = strdup(dir);
    char *path = malloc(len);
    if (copy == NULL || path == NULL) {
        free(copy);
        free(path);
        return ERR_NOMEM;
    }
    (void)snprintf(path, len, "%s" BALLAST_NAME, dir);
    *ballast = (struct ballast){.dir = copy, .path = path};
    ballast->there = ballast_find(ballast);
    return 0;
}

void ballast_done(struct ballast *ballast)
{
    free(ballast->dir);
    free(ballast->path);
    *ballast = (struct ballast){0};
}

/* Not synced: it is the space that counts, not what is in it. */
static bool ballast_write(const struct ballast *ballast)
{
    static const uint8_t zeroes[64 * 1024];
    FILE *file = fopen(ballast->path, "we");
    if (file == NULL) {
        return false;
    }
    bool written = true;
    for (uint64_t at = 0; written && at < BALLAST_LEN; at += sizeof zeroes) {
        written = fwrite(zeroes, 1, sizeof zeroes, file) == sizeof zeroes;
    }
    return fclose(file) == 0 && written;
}

void ballast_take(struct ballast *ballast)
{
    if (ballast->there || ballast_free_space(ballast) < 2 * BALLAST_LEN) {
        return;
    }
    ballast->there = ballast_write(ballast);
    if (!ballast->there) {
        (void)remove(ballast->path);
    }
}

bool ballast_make_room(struct ballast *ballast, uint64_t len)
{
    uint64_t free_len = ballast_free_space(ballast);
    if (free_len >= len) {
        return true;
    }
    if (!ballast->there || free_len + BALLAST_LEN < len) {
        return false;
    }
    ballast->there = false;
    return remove(ballast->path) == 0;
}
