/* What the giving side of a rebuild wants of consensus: to know from where on a copy needs the log, and to keep that. */

#ifndef HOLDFAST_NODE_CORE_REBUILD_LOG_H
#define HOLDFAST_NODE_CORE_REBUILD_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "consensus/driver.h"

struct rebuild_log {
    void *arg;
    /* The entry up to which the store holds everything, at least, and its term; 0: nothing is stored. */
    void (*stored)(void *arg, uint64_t *ret_index, uint64_t *ret_term);
    /* Keeps the entries after the index; UINT64_MAX: no more. False: some of them are gone. */
    bool (*hold)(void *arg, uint64_t index);
    /* Bytes that are kept for that reason alone. */
    uint64_t (*held_len)(void *arg);
    /* Up to where the node has the log, as far as this one knows, which leads; 0: not known. */
    uint64_t (*match)(void *arg, uint64_t node);
};

/* That of the driver; borrowed. */
struct rebuild_log rebuild_log_of(struct driver *driver);

#endif
