/* Two orders over the same leases: by session, to find one, and by deadline, to know which ends first. */

#include "node/core/leases.h"

#include <stddef.h>
#include <stdlib.h>

static int compare(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int lease_compare_session(const struct lease *a, const struct lease *b)
{
    return compare(a->session, b->session);
}

static int lease_compare_deadline(const struct lease *a, const struct lease *b)
{
    int order = compare(a->deadline_ms, b->deadline_ms);
    return order != 0 ? order : compare(a->session, b->session);
}

RB_GENERATE_INTERNAL(lease_by_session, lease, by_session, lease_compare_session, __attribute__((unused)) static)
RB_GENERATE_INTERNAL(lease_by_deadline, lease, by_deadline, lease_compare_deadline, __attribute__((unused)) static)

static struct lease *leases_find(struct leases *leases, uint64_t session)
{
    struct lease key = {.session = session};
    return RB_FIND(lease_by_session, &leases->by_session, &key);
}

int leases_start(struct leases *leases, uint64_t session, uint64_t attachment, uint64_t deadline_ms)
{
    struct lease *lease = leases_find(leases, session);
    if (lease != NULL) {
        RB_REMOVE(lease_by_deadline, &leases->by_deadline, lease);
    } else {
        lease = malloc(sizeof *lease);
        if (lease == NULL) {
            return ERR_NOMEM;
        }
        lease->session = session;
        RB_INSERT(lease_by_session, &leases->by_session, lease);
    }
    lease->attachment = attachment;
    lease->deadline_ms = deadline_ms;
    RB_INSERT(lease_by_deadline, &leases->by_deadline, lease);
    return 0;
}

void leases_stop(struct leases *leases, uint64_t session)
{
    struct lease *lease = leases_find(leases, session);
    if (lease == NULL) {
        return;
    }
    RB_REMOVE(lease_by_session, &leases->by_session, lease);
    RB_REMOVE(lease_by_deadline, &leases->by_deadline, lease);
    free(lease);
}

const struct lease *leases_first(const struct leases *leases)
{
    const struct lease *lease = RB_ROOT(&leases->by_deadline);
    while (lease != NULL && RB_LEFT(lease, by_deadline) != NULL) {
        lease = RB_LEFT(lease, by_deadline);
    }
    return lease;
}

void leases_clear(struct leases *leases)
{
    struct lease *lease;
    while ((lease = RB_ROOT(&leases->by_session)) != NULL) {
        leases_stop(leases, lease->session);
    }
}
