/* Pressure: whether this node is short of disk or memory, by watermarks. It goes below a watermark at once, and is over it
 * again only with some distance, so that it does not flicker. */

#ifndef HOLDFAST_NODE_CORE_PRESSURE_H
#define HOLDFAST_NODE_CORE_PRESSURE_H

#include <stdbool.h>
#include <stdint.h>

struct pressure_limits {
    uint64_t disk_free_min; /* 0: no such watermark. */
    uint64_t memory_max;    /* 0: no such watermark. */
};

struct pressure_sample {
    uint64_t disk_free;   /* UINT64_MAX: not known. */
    uint64_t memory_used; /* 0: not known. */
    bool log_short;       /* The log asked for more of the disk, and got none. */
};

/* Zero-initialise. */
struct pressure {
    bool disk_low;
    bool memory_low;
};

/* Takes what was measured. Whether anything changed. */
bool pressure_update(struct pressure *pressure, const struct pressure_limits *limits,
                     const struct pressure_sample *sample);

#endif
