/* Leases: how long a session that is attached nowhere goes on, in log time. */

#include "statemachine/session/lease.h"

#include "proto/base/check.h"
#include "statemachine/state.h"

/* Sessions that end in one entry: what each holds goes back, which is not for nothing. */
#define EXPIRIES_PER_ENTRY_MAX 256u

static int lease_compare(const struct session *a, const struct session *b)
{
    if (a->expires_ms != b->expires_ms) {
        return a->expires_ms > b->expires_ms ? 1 : -1;
    }
    return (a->id > b->id) - (a->id < b->id);
}

RB_GENERATE(leases, session, by_expiry, lease_compare)

void lease_resume(struct machine *machine, struct session *session, uint64_t expires_ms)
{
    CHECK(session->expires_ms == LEASE_NEVER && expires_ms != LEASE_NEVER);
    session->expires_ms = expires_ms;
    CHECK(RB_INSERT(leases, &machine->leases, session) == NULL);
}

void lease_stop(struct machine *machine, struct session *session)
{
    if (session->expires_ms != LEASE_NEVER) {
        RB_REMOVE(leases, &machine->leases, session);
        session->expires_ms = LEASE_NEVER;
    }
}

/* Long leases are for when there is room: sessions that nobody comes back for must not keep others out. */
static uint64_t lease_length(struct machine *machine, const struct session *session)
{
    bool many = HASH_CNT(by_id, machine->sessions) > machine->sessions_max / 2;
    return many && session->lease_ms > LEASE_MS_DEFAULT ? LEASE_MS_DEFAULT : session->lease_ms;
}

/* At the end of all time a lease ends just before it. */
void lease_start(struct machine *machine, struct session *session)
{
    const uint64_t latest = LEASE_NEVER - 1;
    lease_stop(machine, session);
    uint64_t now = machine->time_ms < latest ? machine->time_ms : latest;
    uint64_t lease_ms = lease_length(machine, session);
    lease_ms = lease_ms < latest - now ? lease_ms : latest - now;
    lease_resume(machine, session, now + lease_ms);
}

int leases_expire(struct machine *machine)
{
    for (unsigned ended = 0; ended < EXPIRIES_PER_ENTRY_MAX && !work_is_done(&machine->work); ended++) {
        struct session *session = RB_MIN(leases, &machine->leases);
        if (session == NULL || session->expires_ms > machine->time_ms) {
            return 0;
        }
        int err = state_end_session(machine, session, SESSION_END_EXPIRED);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

uint64_t leases_due_ms(const struct machine *machine)
{
    const struct session *session = RB_ROOT(&machine->leases);
    while (session != NULL && RB_LEFT(session, by_expiry) != NULL) {
        session = RB_LEFT(session, by_expiry);
    }
    return session != NULL ? session->expires_ms : LEASE_NEVER;
}
