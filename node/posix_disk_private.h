/* The parts of the posix disk: opening files (posix_open.c), files (posix_file.c), appends (posix_append.c) and threads (posix_disk.c). */

#ifndef HOLDFAST_NODE_POSIX_DISK_PRIVATE_H
#define HOLDFAST_NODE_POSIX_DISK_PRIVATE_H

#include "node/posix_disk.h"

/* What a thread has been given, oldest first: linked through private_data. */
struct posix_job {
    struct posix_job *next;
    int err;
};

struct posix_queue {
    struct posix_job *first;
    struct posix_job **last;
};

struct posix_thread {
    struct posix_disk *disk;
    uv_thread_t thread;
    uv_cond_t wanted;
    struct posix_queue queue;    /* Under the disk's lock. */
    struct posix_queue finished; /* Under the disk's lock. */
    int (*run)(struct posix_job *job);
    void (*done)(struct posix_job *job);
    bool started;
};

/* What is written past the system's cache, gathered; of the writing thread alone. */
struct posix_staging {
    uint8_t *data; /* NULL: the file system does not take such writes. */
    size_t len;
    bool refused; /* Nor does the device. */
};

struct posix_disk {
    struct disk base;
    struct journal *journal;
    char *root;
    int root_fd;
    uv_async_t finished;
    uv_mutex_t lock;
    bool stopping;         /* Under the lock. */
    uint64_t full_said_ns; /* Under the lock: when the journal was last told that there is no space; 0: never. */
    struct posix_thread writer;
    struct posix_thread worker;
    struct posix_staging staging;
};

struct posix_file {
    struct disk_file base;
    int fd;
    bool read_only;
    bool uncached;
    int direct_fd; /* The same file, to be written past the cache; -1 before the first append. */
    char *path;
};

#define POSIX_PATH_LEN_MAX 1024u

/* The path itself. Our own code makes the paths: one that leads elsewhere is a bug. */
const char *posix_path(const char *path);

struct posix_disk *posix_disk_of(struct disk *disk);
struct posix_file *posix_file_of(struct disk_file *file);

/* The code for an errno, having said in the journal which call failed on which file and why. Not to be found, or to be
 * there already, is an answer and is not said; a full disk, which is asked again and again until there is room, is said
 * every ten seconds. */
int posix_disk_failed(struct posix_disk *disk, const char *call, const char *path, int number);
/* The same of an open file, which cannot be missing, whatever the system says. */
int posix_file_failed(struct posix_file *file, const char *call, int number);

/* The synchronous calls. */
int posix_make_dir(struct disk *base, const char *path);
int posix_list(struct disk *base, const char *path, void (*each)(void *arg, const char *name), void *arg);
int posix_open(struct disk *base, const char *path, unsigned flags, struct disk_file **ret_file);
void posix_close(struct disk_file *base);
int posix_size(struct disk_file *base, uint64_t *ret_size);
int posix_read(struct disk_file *base, uint64_t offset, void *data, size_t len, size_t *ret_read);
int posix_write(struct disk_file *base, uint64_t offset, const void *data, size_t len);
int posix_sync(struct disk_file *base);
int posix_allocate(struct disk_file *base, uint64_t size);
int posix_truncate(struct disk_file *base, uint64_t size);
int posix_rename(struct disk *base, const char *from, const char *to);
int posix_remove(struct disk *base, const char *path);
int posix_remove_dir(struct disk *base, const char *path);
int posix_sync_dir(struct disk *base, const char *path);
int posix_free_space(struct disk *base, uint64_t *ret_free);

/* Writes the vectors one after the other at the offset. */
int posix_write_vectors(struct posix_file *file, uint64_t offset, const struct disk_vector *vectors, unsigned count);

/* Asks the file system first. ERR_NOMEM. */
int posix_staging_init(struct posix_staging *staging, int root_fd) NODISCARD;
void posix_staging_done(struct posix_staging *staging);
/* Writes what is appended, without syncing it. On the writing thread. */
int posix_append_write(struct posix_disk *disk, const struct disk_append *append) NODISCARD;

#endif
