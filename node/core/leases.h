/* Leases: the sessions without a connection at this leader, and when each of them has had its time.
 *
 * Only a leader keeps them; a new one starts them all afresh, so that a change of leader never shortens a lease. */

#ifndef HOLDFAST_NODE_CORE_LEASES_H
#define HOLDFAST_NODE_CORE_LEASES_H

#include <stdbool.h>
#include <stdint.h>

/* The ordered sets are macros of this header alone. */
#include <bsd/sys/tree.h>

#include "proto/base/err.h"

struct lease {
    RB_ENTRY(lease) by_session;
    RB_ENTRY(lease) by_deadline;
    uint64_t session;
    uint64_t attachment; /* The one that was left: a later attachment makes the expiry void. */
    uint64_t deadline_ms;
};

RB_HEAD(lease_by_session, lease);
RB_HEAD(lease_by_deadline, lease);

/* Zero-initialise; leases_clear() at the end. */
struct leases {
    struct lease_by_session by_session;
    struct lease_by_deadline by_deadline;
};

/* Starts or restarts the lease of a session. Times are of the monotonic clock. ERR_NOMEM. */
int leases_start(struct leases *leases, uint64_t session, uint64_t attachment, uint64_t deadline_ms) NODISCARD;

/* The session has a connection again, or is gone. Harmless when there is no lease. */
void leases_stop(struct leases *leases, uint64_t session);

/* The lease that ends first, or NULL. Valid until the next change. */
const struct lease *leases_first(const struct leases *leases);

void leases_clear(struct leases *leases);

#endif
