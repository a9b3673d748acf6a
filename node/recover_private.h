/* A forced recovery under way: what is shared by its course (recover.c) and by what it tells people (recover_report.c). */

#ifndef HOLDFAST_NODE_RECOVER_PRIVATE_H
#define HOLDFAST_NODE_RECOVER_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "consensus/driver_recover.h"
#include "node/core/repair_mark.h"
#include "node/data_dir.h"
#include "node/posix_disk.h"
#include "node/recover.h"
#include "node/recover_damage.h"
#include "node/recover_rewrite.h"
#include "node/system_clock.h"

struct recovery {
    const struct recover_options *options;
    struct data_dir *dir;
    uv_loop_t loop;
    struct posix_disk *disk;
    struct system_clock clock;
    struct repair_mark mark;
    uint64_t applied_index;
    struct slice position; /* Of the checkpoint. */
    struct driver_recover_report report;
    char store[4096]; /* The path of the state. */
    bool has_store;
    struct recover_rewrite rewrite; /* Its name is "" when there is no need of it. */
    struct recover_damage damage;
    char detail[1024];
};

/* Whether it has been noted, by the node or by the scrub, that its data is not to be relied on. An operator's order does not say
 * so. */
bool recover_is_marked(const struct recovery *recovery);

/* What is here, what is lost, what is damaged: on standard output. */
void recover_report_print(const struct recovery *recovery);

/* Who, when, and what: a line for those who ask later. It is cut off where `out` ends. */
void recover_report_line(const struct recovery *recovery, char *out, size_t out_len);

#endif
