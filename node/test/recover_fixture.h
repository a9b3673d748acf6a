/* A node of three that is stopped, in a directory of its own, and what a look at that finds: for tests of what an operator does to it.
 * Each test has a process of its own. */

#ifndef HOLDFAST_NODE_TEST_RECOVER_FIXTURE_H
#define HOLDFAST_NODE_TEST_RECOVER_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "node/posix_disk.h"
#include "node/recover.h"
#include "node/system_clock.h"
#include "temp_dir.h"

#define SHARD "shard-0"
#define PATH_LEN 512

extern struct temp_dir stopped_dir;
extern struct system_clock stopped_time;
extern char stopped_data[128];    /* The directory: of node 1 of cluster "orders". */
extern char stopped_detail[1024]; /* For whoever wants one. */
extern char stopped_said[16384];  /* By the last recovery, on both outputs. */

void stopped_setup(void);
void stopped_teardown(void);

/* Its disk, for as long as it is open. */
struct stopped_disk {
    uv_loop_t loop;
    struct posix_disk *disk;
};

struct disk *stopped_disk_open(struct stopped_disk *open);
void stopped_disk_close(struct stopped_disk *open);
/* Its threads end, so that nothing uses what is freed after that; to be closed all the same. */
void stopped_disk_stop(struct stopped_disk *open);

/* Of all files, and their names. */
uint64_t stopped_hash(void);
void stopped_path(const char *name, char path[PATH_LEN]);
void stopped_write(const char *name, const char *text);
/* The only segment of the log that has something in it: the first. */
void stopped_log(char name[256]);
/* Changes a bit there; again: back. */
void stopped_flip(const char *name, off_t at);

/* Recovers, with nobody to ask, and all output in `stopped_said`. */
int recover_said(const struct recover_options *options);
int recover_said_with(bool accept_loss, const char *confirm);

#endif
