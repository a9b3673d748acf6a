/* Leases: how long a session that is attached nowhere goes on, in log time. */

#ifndef HOLDFAST_STATEMACHINE_SESSION_LEASE_H
#define HOLDFAST_STATEMACHINE_SESSION_LEASE_H

#include <bsd/sys/tree.h>
#include <stdint.h>

#include "proto/base/err.h"

struct machine;
struct session;

/* The deadline of a session that is attached: none. */
#define LEASE_NEVER UINT64_MAX

RB_HEAD(leases, session);
RB_PROTOTYPE(leases, session, by_expiry, lease_compare)

/* Starts the lease of a session, at the time of the entry. */
void lease_start(struct machine *machine, struct session *session);
/* Enters a lease that runs already. */
void lease_resume(struct machine *machine, struct session *session, uint64_t expires_ms);
/* Ends the lease, if there is one; the session goes on. */
void lease_stop(struct machine *machine, struct session *session);

/* Ends the sessions whose lease has ended, those first whose lease ended first, as many as one entry may. ERR_NOMEM. */
int leases_expire(struct machine *machine) NODISCARD;

/* When the next lease ends; LEASE_NEVER when none is running. */
uint64_t leases_due_ms(const struct machine *machine);

#endif
