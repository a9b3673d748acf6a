/* Leaves safety steps out, one at a time, and counts the seeds until a checker complains. */

#include "sim_catch.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/check.h"
#include "sim_isolate.h"

/* How a fault is noticed: by chance soon, by chance after many seeds, or not here, but by the unit tests of a file. */
struct known {
    enum fault fault;
    bool rare;
    uint64_t first; /* Of those that are rare: a seed in which it was noticed; 0: none is known, or one of the first. */
    bool features;  /* Only worlds with exchanges and options are tried: see sim_features.h. */
    const char *test;
    const char *why_not;
};

static const struct known known[] = {
    {.fault = FAULT_SKIP_META_SYNC},
    {.fault = FAULT_SKIP_LOG_SYNC},
    {.fault = FAULT_SKIP_PRODUCER_CHECK},
    {.fault = FAULT_SKIP_SESSION_RETURN},
    {.fault = FAULT_SKIP_NUMBER_CHECK},
    {.fault = FAULT_SKIP_TOKEN_CHECK},
    {.fault = FAULT_SKIP_G2},
    {.fault = FAULT_SKIP_G5},
    {.fault = FAULT_SKIP_G9},
    {.fault = FAULT_SKIP_READ_ROUND},
    {.fault = FAULT_SKIP_READ_APPLY},
    {.fault = FAULT_SKIP_LEASE_STOP},
    {.fault = FAULT_SKIP_ATTEMPT_CHECK},
    {.fault = FAULT_SKIP_FAILED_CHECK},
    {.fault = FAULT_SKIP_RESEND},
    {.fault = FAULT_SKIP_REPLY_MATCH},
    {.fault = FAULT_SKIP_REDELIVERY},
    {.fault = FAULT_SKIP_LOG_SETTLE},
    {.fault = FAULT_SKIP_DIR_SYNC},
    {.fault = FAULT_SKIP_LOG_CHECKSUM},
    {.fault = FAULT_SKIP_CREDIT},
    {.fault = FAULT_SKIP_LEASE_START},
    {.fault = FAULT_SKIP_TIME_SLEW},
    {.fault = FAULT_SKIP_CLOCKS_AGREE},
    {.fault = FAULT_SKIP_PART_CHECKSUM, .rare = true, .first = 235},
    {.fault = FAULT_SKIP_COPY_SYNC},
    {.fault = FAULT_SKIP_SWITCH_SYNC, .rare = true, .first = 250},
    {.fault = FAULT_SKIP_BATCH_SYNCED, .rare = true, .first = 679},
    {.fault = FAULT_SKIP_G1},
    {.fault = FAULT_SKIP_ADMIT_VOTER},
    {.fault = FAULT_SKIP_PROMOTE},
    {.fault = FAULT_SKIP_WATERMARK, .rare = true, .first = 650},
    {.fault = FAULT_SKIP_APPLY_STORED, .rare = true, .first = 58},
    {.fault = FAULT_SKIP_ROW_CHECKSUM, .rare = true, .first = 1458},
    {.fault = FAULT_SKIP_G7, .rare = true, .first = 677},
    {.fault = FAULT_SKIP_DELIVERY_LIMIT, .features = true},
    {.fault = FAULT_SKIP_RETURN_EXPIRY, .features = true},
    {.fault = FAULT_SKIP_EXPIRY, .features = true},
    {.fault = FAULT_SKIP_LOCK_END, .features = true},
    {.fault = FAULT_SKIP_NO_TTL, .features = true},
    {.fault = FAULT_SKIP_ID_CHECK, .features = true},
    {.fault = FAULT_SKIP_EPOCH_CHECK, .features = true},
    {.fault = FAULT_SKIP_TALLY, .features = true},
    {.fault = FAULT_SKIP_GROUP, .features = true},
    {.fault = FAULT_SKIP_CONSUMER_PRIORITY, .features = true},
    {.fault = FAULT_SKIP_EXCLUSIVE_CHECK, .features = true},
    {.fault = FAULT_SKIP_ALL_HELD, .features = true},
    {.fault = FAULT_SKIP_DELAY, .features = true},
    {.fault = FAULT_SKIP_MANDATORY, .features = true},
    {.fault = FAULT_SKIP_DELAY_DOUBLING, .features = true},
    {.fault = FAULT_EXPIRE_EARLY, .features = true},
    {.fault = FAULT_LOCK_EARLY, .features = true},
    {.fault = FAULT_SKIP_DEAD_LETTER, .features = true},
    {.fault = FAULT_SKIP_PRIORITY, .features = true},
    {.fault = FAULT_SKIP_ACTIVE, .features = true},
    {.fault = FAULT_SKIP_COMMIT, .features = true},
    {.fault = FAULT_SKIP_TRANSACT_SETTLE, .features = true},
    {.fault = FAULT_SKIP_ONE_WAY, .features = true},
    {.fault = FAULT_SKIP_PAUSE, .features = true},
    {.fault = FAULT_SKIP_ALONE, .features = true},
    {.fault = FAULT_SKIP_LENGTH, .features = true},
    {.fault = FAULT_SETTLE_BACK, .features = true},
    {.fault = FAULT_SKIP_QUOTA, .features = true},
    {.fault = FAULT_SKIP_SESSION_QUEUES, .features = true},
    {.fault = FAULT_SKIP_EXTEND, .features = true},
    {.fault = FAULT_SKIP_DEADLINE, .features = true},
    {.fault = FAULT_SKIP_ACTIVE_NEXT, .features = true},
    {.fault = FAULT_SKIP_ID_WINDOW, .features = true},
    {.fault = FAULT_SKIP_NOT_COUNTED, .features = true},
    {.fault = FAULT_SKIP_EXCHANGE_PROTECTION, .features = true},
    {.fault = FAULT_SKIP_DRAIN, .features = true},
    {.fault = FAULT_DEAD_TWICE, .features = true},
    {.fault = FAULT_SKIP_USER_QUOTA, .features = true},
    {.fault = FAULT_SKIP_LIMITS_ROW, .features = true},
    {.fault = FAULT_SKIP_LATE_DEAD, .features = true},
    {.fault = FAULT_SKIP_LATE_RETURN, .features = true},
    {.fault = FAULT_SKIP_LATE_COMMIT, .features = true},
    {.fault = FAULT_SKIP_LATE_THINGS, .features = true},
    {.fault = FAULT_SKIP_FETCH_END, .features = true},
    {.fault = FAULT_SKIP_GAP_CHECK, .test = "model_run --faults", .why_not = "no actor leaves a gap"},
    {.fault = FAULT_SKIP_CIRCLE, .test = "model_run --faults", .why_not = "its dead letters go one way"},
    {.fault = FAULT_SKIP_ALTERNATE,
     .test = "model_run --faults",
     .why_not = "of exchanges that change all the time it knows no way beforehand"},
    {.fault = FAULT_SKIP_HEADERS_X,
     .test = "model_run --faults",
     .why_not = "of such exchanges it knows no way beforehand"},
    {.fault = FAULT_SKIP_EXCHANGE_END,
     .test = "model_run --faults",
     .why_not = "an exchange that stays does no harm, and rovers delete it"},
    {.fault = FAULT_SKIP_LENGTH_GIVEN,
     .test = "model_run --faults",
     .why_not = "no virtual host of it has a limit on the length of queues"},
    {.fault = FAULT_SKIP_HOST_SESSIONS,
     .test = "model_run --faults",
     .why_not = "no session is in the virtual host that rovers delete"},
    {.fault = FAULT_SKIP_KEEP, .test = "model_run --faults", .why_not = "it does not look at what is kept"},
    {.fault = FAULT_SKIP_KEPT_END, .test = "model_run --faults", .why_not = "it does not look at what is kept"},
    {.fault = FAULT_SKIP_LIFE_STEP,
     .test = "model_run --faults",
     .why_not = "it does not look at the lives of messages"},
    {.fault = FAULT_SKIP_LIFE_END,
     .test = "model_run --faults",
     .why_not = "it does not look at the lives of messages"},
    {.fault = FAULT_SKIP_REDRIVE_FROM,
     .test = "model_run --faults",
     .why_not = "of rovers' messages it does not know where they died"},
    {.fault = FAULT_SKIP_REDRIVE_TRAIL,
     .test = "model_run --faults",
     .why_not = "of rovers' messages it does not look at trails"},
    {.fault = FAULT_SKIP_REPLAY_LAST, .test = "model_run --faults", .why_not = "rovers replay up to the last one"},
    {.fault = FAULT_SKIP_CHANGE_FIELDS,
     .test = "model_run --faults",
     .why_not = "of rovers' queues it does not know the options beforehand"},
    {.fault = FAULT_SKIP_PROTECTION,
     .test = "model_run --faults",
     .why_not = "of rovers' queues it does not know the options beforehand"},
    {.fault = FAULT_SKIP_QUEUE_EXPIRY,
     .test = "model_run --faults",
     .why_not = "a queue that stays does no harm, and rovers delete it"},
    {.fault = FAULT_SKIP_AUTO_DELETE,
     .test = "model_run --faults",
     .why_not = "a queue that stays does no harm, and rovers delete it"},
    {.fault = FAULT_SKIP_TRANSACT_SEQUENCE,
     .test = "model_run --faults",
     .why_not = "no transaction of it is numbered"},
    {.fault = FAULT_SKIP_TRANSACT_TWICE,
     .test = "model_run --faults",
     .why_not = "no transaction of it settles a delivery twice"},
    {.fault = FAULT_SKIP_ASK_AGAIN, .test = "model_run --faults", .why_not = "who is asked answers"},
    {.fault = FAULT_SKIP_DEATH_COUNT, .test = "model_run --faults", .why_not = "its dead letters die once"},
    {.fault = FAULT_SKIP_DEATH_KEYS, .test = "model_run --faults", .why_not = "no message of it has several keys"},
    {.fault = FAULT_SKIP_WAITING_ROW, .features = true},
    {.fault = FAULT_SKIP_REMOVE_ROW, .features = true},
    {.fault = FAULT_DIVERGE,
     .test = "test_gateway_digests.c",
     .why_not = "it is meant for one replica, and what that does is one of the simulator's own troubles"},
    {.fault = FAULT_DIVERGE_QUIETLY,
     .test = "test_digest_memory.c",
     .why_not = "it is meant for one replica, and what that does is one of the simulator's own troubles"},
    {.fault = FAULT_SKIP_MARK_TERM,
     .test = "test_time_mark.c",
     .why_not =
         "marks are told every second, and kept: who leads without one that others have is not away for a night"},
    {.fault = FAULT_SKIP_TIME_LEAP,
     .test = "test_time_goes_on.c",
     .why_not = "what comes late breaks no promise that it checks"},
    {.fault = FAULT_SKIP_G3,
     .test = "test_guard.c",
     .why_not = "the gateway's own checks come first, and there is one change at a time"},
    {.fault = FAULT_SKIP_G6, .test = "test_guard.c", .why_not = "no operator here goes below three voters"},
    {.fault = FAULT_SKIP_RECONCILE,
     .test = "test_driver_reconcile.c",
     .why_not =
         "where log and state do not fit, the engine or the machine stumbles, or the simulator finds that it forgot"},
    {.fault = FAULT_SKIP_META_SETTLE,
     .test = "test_meta.c",
     .why_not =
         "but once in thousands of seeds: the sync of that file must fail, and the power before it is written again"},
    {.fault = FAULT_SKIP_HOLD,
     .test = "test_driver_rebuild.c",
     .why_not = "whoever fetches a copy in vain fetches another, until there is nothing new to lack"},
    {.fault = FAULT_SKIP_LACKS,
     .test = "test_rebuild_shard.c",
     .why_not = "driver_rejoin() asks the same again, and keeps a log that can go on"},
    {.fault = FAULT_SKIP_G4,
     .test = "test_guard.c",
     .why_not = "what it leaves uninitialised is read by leaders of old terms alone, who step down"},
    {.fault = FAULT_SKIP_G8,
     .test = "test_guard.c",
     .why_not = "a stale rejection makes the leader send again what the follower has, which does no harm"},
    {.fault = FAULT_SKIP_G10, .test = "test_guard.c", .why_not = "no snapshots are sent through the engine"},
    {.fault = FAULT_SKIP_READ_TERM,
     .test = "test_driver_read.c",
     .why_not = "gateways ask for no read index before an entry of their term is committed either"},
    {.fault = FAULT_SKIP_ROOM_CHECK,
     .test = "test_driver_full.c",
     .why_not = "what has no room waits in memory, and is written once there is some"},
    {.fault = FAULT_SKIP_RUN_CHECK,
     .test = "test_presence.c",
     .why_not = "a leader says in the log that a process is lost before it says that the next is there; no chance of "
                "the network changes that order"},
    {.fault = FAULT_ALLOCATION, .test = "test_native_bounds.c", .why_not = "nothing is promised when memory ends"},
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

/* What was seen, in one cell of the table. */
static void catch_print(const struct known *entry, uint64_t within, uint64_t seed, const char *seen)
{
    printf("| %s | %s | ", fault_name(entry->fault), fault_text(entry->fault));
    if (within > 0) {
        printf("%" PRIu64 " | %" PRIu64 " | ", within, seed);
    } else {
        printf("| | ");
    }
    for (; *seen != '\0'; seen++) {
        putchar(*seen == '|' || *seen == '\n' ? ' ' : *seen);
    }
    printf(" |\n");
}

static bool catch_fault(const struct sim_options *options, uint64_t from, uint64_t limit, const struct known *entry)
{
    char complaint[1000] = "";
    struct sim_options run = *options;
    run.features = options->features || entry->features;
    fault_reset();
    fault_set(entry->fault, true);
    from = entry->first > from ? entry->first : from;
    for (uint64_t i = 0; i < limit; i++) {
        run.seed = from + i;
        if (catch_run(&run, complaint, sizeof complaint)) {
            catch_print(entry, i + 1, run.seed, complaint);
            return true;
        }
    }
    snprintf(complaint, sizeof complaint, "not noticed in %" PRIu64 " seeds", limit);
    catch_print(entry, 0, 0, complaint);
    return false;
}

static void catch_elsewhere(const struct known *entry)
{
    char text[1000];
    snprintf(text, sizeof text, "not by the simulator: %s. Shown by `%s`", entry->why_not, entry->test);
    catch_print(entry, 0, 0, text);
}

static const struct known *catch_find(enum fault fault)
{
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (known[i].fault == fault) {
            return &known[i];
        }
    }
    return NULL;
}

/* The table is to say something of each. */
static bool catch_forgotten(void)
{
    bool forgotten = false;
    for (unsigned i = 0; i < FAULT_COUNT; i++) {
        const struct known entry = {.fault = (enum fault)i};
        if (catch_find(entry.fault) == NULL) {
            catch_print(&entry, 0, 0, "nobody has said how it is noticed");
            forgotten = true;
        }
    }
    return forgotten;
}

int sim_catch(const struct sim_options *options, uint64_t from, uint64_t limit, bool all, const enum fault *faults,
              unsigned faults_len)
{
    bool noticed = true;
    if (all) {
        printf(
            "# What the simulator notices\n\n"
            "Made by `holdfast-sim --catch --all --limit %" PRIu64 " --from %" PRIu64
            "`: each step that `proto/base/fault.h` has a switch for is left\nout, and seeds are run until a checker "
            "complains. Of what version 2 of the machine brought: seeds with `--features`. Those that take\nmany "
            "seeds begin with one in which they showed.\n\n",
            limit, from);
    }
    printf("| fault | what is left out | seeds | seed | seen |\n|---|---|---|---|---|\n");
    for (unsigned i = 0; i < faults_len; i++) {
        const struct known *found = catch_find(faults[i]);
        const struct known named = {.fault = faults[i]};
        noticed = catch_fault(options, from, limit, found != NULL ? found : &named) && noticed;
    }
    for (size_t i = 0; i < ARRAY_LEN(known) && faults_len == 0; i++) {
        if (known[i].test != NULL) {
            if (all) {
                catch_elsewhere(&known[i]);
            }
        } else if (all || !known[i].rare) {
            noticed = catch_fault(options, from, limit, &known[i]) && noticed;
        }
    }
    if (all && faults_len == 0) {
        noticed = !catch_forgotten() && noticed;
    }
    fault_reset();
    return noticed ? 0 : 1;
}
