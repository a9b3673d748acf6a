/* Lock, identity and peers of a data directory. */

#include "node/data_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "node/durable_file.h"
#include "proto/base/bytes.h"
#include "proto/base/limits.h"

/* Larger files are not ours. */
#define TEXT_LEN_MAX 8192u

struct data_dir_peer {
    uint64_t node;
    uint64_t incarnation;
};

struct data_dir {
    char *path;
    int fd;
    int lock_fd;
    uint64_t incarnation;
    struct data_dir_peer peers[MEMBERS_MAX];
    unsigned peers_len;
};

__attribute__((format(printf, 4, 5))) static int explain(char *detail, size_t detail_len, int err, const char *format,
                                                         ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(detail, detail_len, format, args);
    va_end(args);
    return err;
}

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

static int data_dir_lock(struct data_dir *dir, char *detail, size_t detail_len)
{
    char pid[32] = "";
    dir->lock_fd = openat(dir->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (dir->lock_fd < 0) {
        return explain(detail, detail_len, ERR_IO, "%s/lock: %s", dir->path, strerror(errno));
    }
    if (flock(dir->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) {
            return explain(detail, detail_len, ERR_IO, "%s/lock: %s", dir->path, strerror(errno));
        }
        ssize_t got = pread(dir->lock_fd, pid, sizeof pid - 1, 0);
        pid[got > 0 ? got : 0] = '\0';
        return explain(detail, detail_len, ERR_LOCKED, "another process (pid %ld) uses %s", strtol(pid, NULL, 10),
                       dir->path);
    }
    /* The pid is for people; the lock holds without it. */
    int len = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(dir->lock_fd, 0) != 0 || pwrite(dir->lock_fd, pid, (size_t)len, 0) != len) {
        return explain(detail, detail_len, errno == ENOSPC ? ERR_NO_SPACE : ERR_IO, "%s/lock: %s", dir->path,
                       strerror(errno));
    }
    return 0;
}

/* Appends the line that says what the lines before it must hash to. */
static size_t put_checksum(char *text, size_t at, size_t len)
{
    int written = snprintf(text + at, len - at, "checksum %016" PRIx64 "\n", (uint64_t)XXH3_64bits(text, at));
    return written > 0 && (size_t)written < len - at ? at + (size_t)written : 0;
}

/* Checks first line and checksum of a text file of ours, and cuts the checksum off. */
static int check_text(const struct data_dir *dir, const char *name, char *text, const char *kind, char *detail,
                      size_t detail_len)
{
    char format[64];
    (void)snprintf(format, sizeof format, "holdfast-%s ", kind);
    bool ours = strncmp(text, format, strlen(format)) == 0;
    char *end = text;
    unsigned long version = ours ? strtoul(text + strlen(format), &end, 10) : 0;
    if (version == 0 || *end != '\n') {
        return explain(detail, detail_len, ERR_CORRUPT, "%s/%s: the first line is not one of ours", dir->path, name);
    }
    if (version > DATA_DIR_VERSION) {
        return explain(detail, detail_len, ERR_VERSION,
                       "%s/%s: format version %lu was written by a newer program; this one knows up to %u", dir->path,
                       name, version, DATA_DIR_VERSION);
    }
    char *last = strstr(text, "\nchecksum ");
    if (last == NULL || strtoull(last + 10, NULL, 16) != XXH3_64bits(text, (size_t)(last + 1 - text))) {
        return explain(detail, detail_len, ERR_CORRUPT, "%s/%s: the checksum does not match: the file is damaged",
                       dir->path, name);
    }
    last[1] = '\0';
    return 0;
}

/* The rest of the line that begins with `key`, or NULL. */
static const char *text_value(const char *text, const char *key, char *out, size_t out_len)
{
    const char *line = strstr(text, key);
    size_t len = line == NULL ? 0 : strcspn(line + strlen(key), "\n");
    if (line == NULL || len >= out_len) {
        return NULL;
    }
    memcpy(out, line + strlen(key), len);
    out[len] = '\0';
    return out;
}

static int identity_write(struct data_dir *dir, const char *cluster, uint64_t node, struct clock *clock, char *detail,
                          size_t detail_len)
{
    if (faccessat(dir->fd, "shard-0", F_OK, 0) == 0) {
        return explain(detail, detail_len, ERR_CORRUPT,
                       "%s/identity is missing although %s/shard-0 is there: the directory is incomplete", dir->path,
                       dir->path);
    }
    char text[1024];
    dir->incarnation = clock->random(clock);
    int written =
        snprintf(text, sizeof text, "holdfast-data %u\ncluster %s\nnode %" PRIu64 "\nincarnation %016" PRIx64 "\n",
                 DATA_DIR_VERSION, cluster, node, dir->incarnation);
    size_t len = written > 0 && (size_t)written < sizeof text ? put_checksum(text, (size_t)written, sizeof text) : 0;
    if (len == 0) {
        return explain(detail, detail_len, ERR_INVALID, "%s: the cluster's name is too long", dir->path);
    }
    int err = durable_file_write(dir->fd, "identity", text, len);
    return err == 0 ? 0 : explain(detail, detail_len, err, "%s/identity: %s", dir->path, strerror(errno));
}

static int identity_check(struct data_dir *dir, char *text, const char *cluster, uint64_t node, char *detail,
                          size_t detail_len)
{
    char found_cluster[NAME_LEN_MAX + 1];
    char found_node[32];
    char incarnation[32];
    int err = check_text(dir, "identity", text, "data", detail, detail_len);
    if (err != 0) {
        return err;
    }
    if (text_value(text, "\ncluster ", found_cluster, sizeof found_cluster) == NULL ||
        text_value(text, "\nnode ", found_node, sizeof found_node) == NULL ||
        text_value(text, "\nincarnation ", incarnation, sizeof incarnation) == NULL) {
        return explain(detail, detail_len, ERR_CORRUPT, "%s/identity: a line is missing", dir->path);
    }
    if (strcmp(found_cluster, cluster) != 0 || strtoull(found_node, NULL, 10) != node) {
        return explain(detail, detail_len, ERR_FOREIGN,
                       "%s belongs to node %s of cluster \"%s\", not to node %" PRIu64 " of cluster \"%s\"", dir->path,
                       found_node, found_cluster, node, cluster);
    }
    dir->incarnation = strtoull(incarnation, NULL, 16);
    return 0;
}

static int data_dir_identify(struct data_dir *dir, const char *cluster, uint64_t node, struct clock *clock,
                             char *detail, size_t detail_len)
{
    char *text;
    size_t len;
    int err = name_check(cluster, strlen(cluster));
    if (err != 0) {
        return explain(detail, detail_len, ERR_INVALID, "the cluster's name: %s", err_text(err));
    }
    err = durable_file_read(dir->fd, "identity", TEXT_LEN_MAX, &text, &len);
    if (err == ERR_NOT_FOUND) {
        return identity_write(dir, cluster, node, clock, detail, detail_len);
    }
    if (err != 0) {
        return explain(detail, detail_len, err == ERR_TOO_BIG ? ERR_CORRUPT : err, "%s/identity: %s", dir->path,
                       err == ERR_TOO_BIG ? "far too long" : strerror(errno));
    }
    err = identity_check(dir, text, cluster, node, detail, detail_len);
    free(text);
    return err;
}

static int peers_parse(struct data_dir *dir, const char *text, char *detail, size_t detail_len)
{
    for (const char *line = strstr(text, "\npeer "); line != NULL; line = strstr(line + 1, "\npeer ")) {
        struct data_dir_peer peer;
        char *end;
        peer.node = strtoull(line + 6, &end, 10);
        peer.incarnation = strtoull(end, NULL, 16);
        if (peer.node == 0 || dir->peers_len == MEMBERS_MAX) {
            return explain(detail, detail_len, ERR_CORRUPT, "%s/peers: a line makes no sense", dir->path);
        }
        dir->peers[dir->peers_len++] = peer;
    }
    return 0;
}

static int peers_read(struct data_dir *dir, char *detail, size_t detail_len)
{
    char *text;
    size_t len;
    int err = durable_file_read(dir->fd, "peers", TEXT_LEN_MAX, &text, &len);
    if (err == ERR_NOT_FOUND) {
        return 0;
    }
    if (err != 0) {
        return explain(detail, detail_len, err == ERR_TOO_BIG ? ERR_CORRUPT : err, "%s/peers: %s", dir->path,
                       err == ERR_TOO_BIG ? "far too long" : strerror(errno));
    }
    err = check_text(dir, "peers", text, "peers", detail, detail_len);
    if (err == 0) {
        err = peers_parse(dir, text, detail, detail_len);
    }
    free(text);
    return err;
}

static int peers_write(struct data_dir *dir)
{
    char text[TEXT_LEN_MAX];
    size_t at = (size_t)snprintf(text, sizeof text, "holdfast-peers %u\n", DATA_DIR_VERSION);
    for (unsigned i = 0; i < dir->peers_len; i++) {
        at += (size_t)snprintf(text + at, sizeof text - at, "peer %" PRIu64 " %016" PRIx64 "\n", dir->peers[i].node,
                               dir->peers[i].incarnation);
    }
    return durable_file_write(dir->fd, "peers", text, put_checksum(text, at, sizeof text));
}

int data_dir_open(const char *path, const char *cluster, uint64_t node, struct clock *clock, struct data_dir **ret_dir,
                  char *detail, size_t detail_len)
{
    struct data_dir *dir = calloc(1, sizeof *dir);
    if (dir == NULL) {
        return explain(detail, detail_len, ERR_NOMEM, "out of memory");
    }
    dir->fd = -1;
    dir->lock_fd = -1;
    dir->path = strdup(path);
    int err = dir->path == NULL ? explain(detail, detail_len, ERR_NOMEM, "out of memory") : 0;
    if (err == 0 && (err = make_dirs(path)) != 0) {
        (void)explain(detail, detail_len, err, "%s: cannot be created: %s", path, strerror(errno));
    }
    if (err == 0 && (dir->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
        err = explain(detail, detail_len, ERR_IO, "%s: %s", path, strerror(errno));
    }
    if (err == 0) {
        err = data_dir_lock(dir, detail, detail_len);
    }
    if (err == 0) {
        err = data_dir_identify(dir, cluster, node, clock, detail, detail_len);
    }
    if (err == 0) {
        err = peers_read(dir, detail, detail_len);
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
    free(dir->path);
    free(dir);
}

uint64_t data_dir_incarnation(const struct data_dir *dir)
{
    return dir->incarnation;
}

int data_dir_peer(struct data_dir *dir, uint64_t node, uint64_t incarnation, char *detail, size_t detail_len)
{
    for (unsigned i = 0; i < dir->peers_len; i++) {
        if (dir->peers[i].node != node) {
            continue;
        }
        if (dir->peers[i].incarnation == incarnation) {
            return 0;
        }
        return explain(detail, detail_len, ERR_FOREIGN,
                       "node %" PRIu64 " has another data directory than before (incarnation %016" PRIx64
                       ", known is %016" PRIx64 "): it has lost what it promised and is refused; it must join anew, "
                       "under a new id",
                       node, incarnation, dir->peers[i].incarnation);
    }
    if (node == 0 || dir->peers_len == MEMBERS_MAX) {
        return explain(detail, detail_len, ERR_LIMIT, "node %" PRIu64 ": more peers than a cluster can have", node);
    }
    dir->peers[dir->peers_len++] = (struct data_dir_peer){.node = node, .incarnation = incarnation};
    int err = peers_write(dir);
    if (err != 0) {
        dir->peers_len--;
        return explain(detail, detail_len, err, "%s/peers: %s", dir->path, strerror(errno));
    }
    return 0;
}
