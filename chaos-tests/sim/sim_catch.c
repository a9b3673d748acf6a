/* Leaves safety steps out, one at a time, and counts the seeds until a checker complains. */

#include "sim_catch.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/check.h"
#include "sim_isolate.h"

/* What chance finds soon. The simulator cannot notice the others, which unit tests show:
 *   ALLOCATION: nothing is promised when memory ends.
 *   G1, G3, G6, G10: members do not change here, and no snapshots are sent (test_guard.c).
 *   G4: what it leaves uninitialised is read by leaders of old terms alone, who step down (test_guard.c).
 *   G7: the candidate that is not told the term finds it out from somebody else, a little later (test_guard.c).
 *   G8: a stale rejection makes the leader send again what the follower has, which does no harm (test_guard.c).
 *   READ_TERM: gateways ask for no read index before an entry of their term is committed either (test_driver_read.c).
 *   ROOM_CHECK: what has no room waits in memory, and is written once there is some (test_driver_full.c).
 *   DIVERGE: all replicas alike take it for the rule, and it shows when one alone does (test_gateway_digests.c).
 *   RUN_CHECK: a leader says in the log that a process is lost before it says that the next is there; no chance of the
 *     network changes that order (test_presence.c). */
static const enum fault known[] = {
    FAULT_SKIP_META_SYNC,
    FAULT_SKIP_LOG_SYNC,
    FAULT_SKIP_PRODUCER_CHECK,
    FAULT_SKIP_SESSION_RETURN,
    FAULT_SKIP_NUMBER_CHECK,
    FAULT_SKIP_TOKEN_CHECK,
    FAULT_SKIP_G2,
    FAULT_SKIP_G5,
    FAULT_SKIP_G9,
    FAULT_SKIP_READ_ROUND,
    FAULT_SKIP_READ_APPLY,
    FAULT_SKIP_LEASE_STOP,
    FAULT_SKIP_ATTEMPT_CHECK,
    FAULT_SKIP_FAILED_CHECK,
    FAULT_SKIP_RESEND,
    FAULT_SKIP_REPLY_MATCH,
    FAULT_SKIP_REDELIVERY,
};

/* In a process of its own, since an engine without its guards may also crash. Gives the complaint, or "". */
static bool catch_run(const struct sim_options *options, char *complaint, size_t complaint_len)
{
    struct sim_result result;
    sim_isolate_run(options, &result);
    CHECK(complaint_len >= sizeof result.failure);
    memcpy(complaint, result.failure, sizeof result.failure);
    return result.failed;
}

static bool catch_fault(const struct sim_options *options, uint64_t from, uint64_t limit, enum fault fault)
{
    char complaint[1000] = "";
    struct sim_options run = *options;
    fault_reset();
    fault_set(fault, true);
    for (uint64_t i = 0; i < limit; i++) {
        run.seed = from + i;
        if (catch_run(&run, complaint, sizeof complaint)) {
            printf("%-22s noticed after %5" PRIu64 " seeds (seed %" PRIu64 "): %s\n", fault_name(fault), i + 1,
                   run.seed, complaint);
            return true;
        }
    }
    printf("%-22s NOT noticed in %" PRIu64 " seeds\n", fault_name(fault), limit);
    return false;
}

int sim_catch(const struct sim_options *options, uint64_t from, uint64_t limit, const enum fault *faults,
              unsigned faults_len)
{
    bool all = true;
    if (faults_len == 0) {
        faults = known;
        faults_len = ARRAY_LEN(known);
    }
    for (unsigned i = 0; i < faults_len; i++) {
        all = catch_fault(options, from, limit, faults[i]) && all;
    }
    fault_reset();
    return all ? 0 : 1;
}
