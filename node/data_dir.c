/* Lock and identity of a data directory, and the order in which it is opened. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/data_dir_private.h"
#include "node/durable_file.h"
#include "proto/base/bytes.h"

/* Creates the directory and its parents; their entries are synced, so that the directory is still there after a crash.
 */
static int make_dirs(const char *path)
{
    char part[4096];
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof part) {
        errno = ENAMETOOLONG;
        return ERR_IO;
    }
    memcpy(part, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (part[i] != '/' && part[i] != '\0') {
            continue;
        }
        char saved = part[i];
        part[i] = '\0';
        bool made = mkdir(part, 0750) == 0;
        if (!made && errno != EEXIST) {
            return errno == ENOSPC ? ERR_NO_SPACE : ERR_IO;
        }
        if (made) {
            char *slash = strrchr(part, '/');
            char kept = slash == NULL || slash == part ? '\0' : *slash;
            if (kept != '\0') {
                *slash = '\0';
            }
            int parent = open(slash == NULL ? "." : slash == part ? "/" : part, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            if (kept != '\0') {
                *slash = kept;
            }
            bool synced = parent >= 0 && fsync(parent) == 0;
            if (parent >= 0) {
                (void)close(parent);
            }
            if (!synced) {
                return ERR_IO;
            }
        }
        part[i] = saved;
    }
    return 0;
}

/* Of another process that has it. */
static int lock_taken(const struct data_dir *dir, char *detail, size_t detail_len)
{
    char pid[32] = "";
    ssize_t got = pread(dir->lock_fd, pid, sizeof pid - 1, 0);
    pid[got > 0 ? got : 0] = '\0';
    return data_dir_explain(detail, detail_len, ERR_LOCKED, "another process (pid %ld) uses %s", strtol(pid, NULL, 10),
                            dir->path);
}

static int lock_open(struct data_dir *dir, int flags, char *detail, size_t detail_len)
{
    dir->lock_fd = openat(dir->fd, "lock", O_RDWR | O_CLOEXEC | flags, 0640);
    if (dir->lock_fd >= 0 && flock(dir->lock_fd, LOCK_EX | LOCK_NB) == 0) {
        return 0;
    }
    if (dir->lock_fd >= 0 && errno == EWOULDBLOCK) {
        return lock_taken(dir, detail, detail_len);
    }
    int number = errno;
    if (dir->lock_fd < 0 && durable_file_leads_nowhere(dir->fd, "lock")) {
        return data_dir_explain(detail, detail_len, ERR_IO, "%s/lock: it is a link that leads nowhere: remove it",
                                dir->path);
    }
    return data_dir_explain(detail, detail_len, number == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s/lock: %s", dir->path,
                            strerror(number));
}

static int data_dir_lock(struct data_dir *dir, char *detail, size_t detail_len)
{
    char pid[32];
    int err = lock_open(dir, O_CREAT, detail, detail_len);
    if (err != 0) {
        return err == ERR_NOT_FOUND ? ERR_IO : err;
    }
    /* The pid is for people; the lock holds without it. It is written over the one before, whose space it has. */
    int len = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    ssize_t written = pwrite(dir->lock_fd, pid, (size_t)len, 0);
    bool full = written < 0 && (errno == ENOSPC || errno == EDQUOT);
    if ((!full && written != len) || ftruncate(dir->lock_fd, full ? 0 : len) != 0) {
        return data_dir_explain(detail, detail_len, ERR_IO, "%s/lock: %s", dir->path, strerror(errno));
    }
    return 0;
}

static int identity_write(struct data_dir *dir, const char *cluster, uint64_t node, struct clock *clock, char *detail,
                          size_t detail_len)
{
    if (faccessat(dir->fd, "shard-0", F_OK, 0) == 0) {
        return data_dir_explain(detail, detail_len, ERR_CORRUPT,
                                "%s/identity is missing although %s/shard-0 is there: the directory is incomplete",
                                dir->path, dir->path);
    }
    char *text = malloc(DATA_DIR_TEXT_LEN_MAX);
    if (text == NULL) {
        return data_dir_explain(detail, detail_len, ERR_NOMEM, "out of memory");
    }
    size_t at = 0;
    (void)snprintf(dir->cluster, sizeof dir->cluster, "%s", cluster);
    dir->node = node;
    dir->incarnation = clock->random(clock);
    int err =
        data_dir_text_add(text, &at, "holdfast-data %u\ncluster %s\nnode %" PRIu64 "\nincarnation %016" PRIx64 "\n",
                          DATA_DIR_VERSION, cluster, node, dir->incarnation);
    if (err == 0) {
        err = data_dir_text_write(dir, "identity", text, at, detail, detail_len);
    }
    free(text);
    return err;
}

static int identity_parse(struct data_dir *dir, const char *text, char *detail, size_t detail_len)
{
    char node[32];
    char incarnation[32];
    if (data_dir_text_value(text, "\ncluster ", dir->cluster, sizeof dir->cluster) == NULL ||
        data_dir_text_value(text, "\nnode ", node, sizeof node) == NULL ||
        data_dir_text_value(text, "\nincarnation ", incarnation, sizeof incarnation) == NULL) {
        return data_dir_explain(detail, detail_len, ERR_CORRUPT, "%s/identity: a line is missing", dir->path);
    }
    dir->node = strtoull(node, NULL, 10);
    dir->incarnation = strtoull(incarnation, NULL, 16);
    return 0;
}

/* ERR_NOT_FOUND: there is none. */
static int identity_read(struct data_dir *dir, char *detail, size_t detail_len)
{
    char *text;
    int err = data_dir_text_read(dir, "identity", "data", &text, detail, detail_len);
    if (err == 0) {
        err = identity_parse(dir, text, detail, detail_len);
        free(text);
    }
    return err;
}

static int data_dir_identify(struct data_dir *dir, const char *cluster, uint64_t node, struct clock *clock,
                             char *detail, size_t detail_len)
{
    int err = name_check(cluster, strlen(cluster));
    if (err != 0) {
        return data_dir_explain(detail, detail_len, ERR_INVALID, "the cluster's name: %s", err_text(err));
    }
    err = identity_read(dir, detail, detail_len);
    if (err == ERR_NOT_FOUND) {
        return identity_write(dir, cluster, node, clock, detail, detail_len);
    }
    if (err == 0 && (strcmp(dir->cluster, cluster) != 0 || dir->node != node)) {
        return data_dir_explain(detail, detail_len, ERR_FOREIGN,
                                "%s belongs to node %" PRIu64 " of cluster \"%s\", not to node %" PRIu64
                                " of cluster \"%s\"",
                                dir->path, dir->node, dir->cluster, node, cluster);
    }
    return err;
}

static int data_dir_new(const char *path, struct data_dir **ret_dir, char *detail, size_t detail_len)
{
    struct data_dir *dir = calloc(1, sizeof *dir);
    char *copy = strdup(path);
    if (dir == NULL || copy == NULL) {
        free(dir);
        free(copy);
        return data_dir_explain(detail, detail_len, ERR_NOMEM, "out of memory");
    }
    dir->fd = -1;
    dir->lock_fd = -1;
    dir->path = copy;
    *ret_dir = dir;
    return 0;
}

static int data_dir_enter(struct data_dir *dir, char *detail, size_t detail_len)
{
    dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir->fd >= 0) {
        return 0;
    }
    return data_dir_explain(detail, detail_len, errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND : ERR_IO, "%s: %s",
                            dir->path, strerror(errno));
}

/* What was counted says what else must be there. */
static int data_dir_remember(struct data_dir *dir, char *detail, size_t detail_len)
{
    int err = data_dir_starts_read(dir, detail, detail_len);
    if (err == 0) {
        err = data_dir_peers_read(dir, detail, detail_len);
    }
    return err == 0 ? data_dir_shard_check(dir, detail, detail_len) : err;
}

/* Without its name, and without what it knows of the others, a node is not repaired by itself. */
static void explain_no_repair(char *detail, size_t detail_len)
{
    size_t len = strlen(detail);
    (void)snprintf(detail + len, detail_len - len,
                   "; a node cannot be repaired without that: where there are others, holdfast cluster replace");
}

int data_dir_open(const char *path, const char *cluster, uint64_t node, struct clock *clock, struct data_dir **ret_dir,
                  char *detail, size_t detail_len)
{
    struct data_dir *dir;
    int err = data_dir_new(path, &dir, detail, detail_len);
    if (err != 0) {
        return err;
    }
    if ((err = make_dirs(path)) != 0) {
        (void)data_dir_explain(detail, detail_len, err, "%s: cannot be created: %s", path, strerror(errno));
    }
    if (err == 0) {
        err = data_dir_enter(dir, detail, detail_len);
    }
    if (err == 0) {
        err = data_dir_lock(dir, detail, detail_len);
    }
    if (err == 0) {
        err = data_dir_identify(dir, cluster, node, clock, detail, detail_len);
    }
    if (err == 0) {
        err = data_dir_recoveries_read(dir, detail, detail_len);
    }
    if (err == 0) {
        err = data_dir_removed_check(dir, detail, detail_len);
    }
    if (err == 0) {
        err = data_dir_remember(dir, detail, detail_len);
    }
    if (err == 0) {
        err = data_dir_unfinished_check(dir, detail, detail_len);
    }
    if (err == 0) {
        err = data_dir_starts_count(dir, clock, detail, detail_len);
    }
    if (err == ERR_CORRUPT) {
        explain_no_repair(detail, detail_len);
    }
    if (err != 0) {
        data_dir_close(dir);
        return err;
    }
    *ret_dir = dir;
    return 0;
}

int data_dir_visit(const char *path, struct data_dir **ret_dir, char *detail, size_t detail_len)
{
    struct data_dir *dir;
    int err = data_dir_new(path, &dir, detail, detail_len);
    if (err != 0) {
        return err;
    }
    err = data_dir_enter(dir, detail, detail_len);
    if (err == 0) {
        err = lock_open(dir, 0, detail, detail_len);
    }
    if (err == 0) {
        err = identity_read(dir, detail, detail_len);
    }
    if (err == 0) {
        err = data_dir_recoveries_read(dir, detail, detail_len);
    }
    if (err == 0) {
        err = data_dir_removed_check(dir, detail, detail_len);
    }
    if (err == 0) {
        err = data_dir_remember(dir, detail, detail_len);
    }
    if (err != 0) {
        data_dir_close(dir);
        return err;
    }
    *ret_dir = dir;
    return 0;
}

void data_dir_close(struct data_dir *dir)
{
    if (dir == NULL) {
        return;
    }
    if (dir->lock_fd >= 0) {
        (void)close(dir->lock_fd);
    }
    if (dir->fd >= 0) {
        (void)close(dir->fd);
    }
    free(dir->recoveries);
    free(dir->expelled);
    free(dir->peers);
    free(dir->path);
    free(dir);
}

const char *data_dir_cluster(const struct data_dir *dir)
{
    return dir->cluster;
}

uint64_t data_dir_node(const struct data_dir *dir)
{
    return dir->node;
}

uint64_t data_dir_incarnation(const struct data_dir *dir)
{
    return dir->incarnation;
}
