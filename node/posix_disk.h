/* The disk of a real node: files below a root directory, with two threads of its own.
 *
 * One thread writes and syncs what append() is given, in order; the other runs what offload() is given. Both report to
 * the loop through a uv_async, so that every `done` is called on the loop. What fails is said in the journal, with the
 * call, the file and the system's reason; the caller gets the code. */

#ifndef HOLDFAST_NODE_POSIX_DISK_H
#define HOLDFAST_NODE_POSIX_DISK_H

#include <uv.h>

#include "proto/base/disk.h"
#include "proto/base/journal.h"

struct posix_disk;

struct posix_disk_options {
    uv_loop_t *loop;
    struct journal *journal; /* Used from the threads too. May be NULL. */
    const char *root;        /* An existing directory. Copied. */
};

/* ERR_NOT_FOUND, ERR_IO, ERR_NOMEM, ERR_SYSTEM (no thread to be had). */
int posix_disk_open(const struct posix_disk_options *options, struct posix_disk **ret_disk) NODISCARD;

struct disk *posix_disk_base(struct posix_disk *disk);
/* Whether the file system takes writes past the system's cache, which appends then use. */
bool posix_disk_is_direct(const struct posix_disk *disk);

/* Waits until the threads have done what they were given, and ends them; `done` is not called for it any more. The
 * memory goes when the loop has run the close callback of its uv_async: until then files may be used synchronously and
 * closed. NULL is allowed. */
void posix_disk_close(struct posix_disk *disk);

#endif
