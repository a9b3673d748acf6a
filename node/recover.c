/* The course of a forced recovery.
 *
 * What is written, in this order, each durable before the next: that a recovery has begun (from here on the node does not start
 * before it is finished, and doing it again goes on where it was), who is given up, the new membership in the log, that the mark
 * of a node whose data is not to be relied on is void, who is a member, a start (so that log and state from before are older ones),
 * and that it is done. */

#include "node/recover.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "consensus/driver_recover.h"
#include "node/core/rebuild_files.h"
#include "node/core/repair_mark.h"
#include "node/core/state_dir.h"
#include "node/data_dir.h"
#include "node/posix_disk.h"
#include "node/recover_damage.h"
#include "node/recover_rewrite.h"
#include "node/system_clock.h"
#include "proto/base/check.h"
#include "statemachine/machine.h"
#include "statemachine/store/store_rocksdb.h"

#define SHARD_DIR "shard-0"

/* A segment for the one entry that is appended; the node makes its own when it starts. */
#define SEGMENT_LEN (1 * MIB)

#define EXIT_REFUSED 1
#define EXIT_USAGE 2

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

static int say(int status, const char *text)
{
    (void)fprintf(stderr, "holdfast: cluster recover: %s\n", text);
    return status;
}

static int fail(const struct recovery *recovery, int err)
{
    return say(EXIT_REFUSED, recovery->detail[0] != '\0' ? recovery->detail : err_text(err));
}

static struct driver_options driver_options_of(struct recovery *recovery)
{
    return (struct driver_options){
        .id = data_dir_node(recovery->dir),
        .disk = posix_disk_base(recovery->disk),
        .clock = &recovery->clock.base,
        .dir = SHARD_DIR,
        .segment_len = SEGMENT_LEN,
        .applied_index = recovery->applied_index,
        .checkpoint = recovery->position,
    };
}

/* The state as of the last checkpoint, opened, so that one that cannot be gone on with is found now. */
static int read_state(struct recovery *recovery, const struct state_dir *state)
{
    struct store *store;
    struct machine *machine;
    char *detail = recovery->detail;
    size_t detail_len = sizeof recovery->detail;
    int written =
        snprintf(recovery->store, sizeof recovery->store, "%s/" SHARD_DIR "/%s", recovery->options->data, state->name);
    if (written < 0 || (size_t)written >= sizeof recovery->store) {
        return ERR_TOO_BIG;
    }
    int err = store_rocksdb_is_there(recovery->store, &recovery->has_store, detail, detail_len);
    if (err != 0 || !recovery->has_store) {
        return err;
    }
    struct store_rocksdb_options options = {.path = recovery->store, .read_only = true};
    err = store_rocksdb_open(&options, &store, detail, detail_len);
    if (err != 0) {
        return err;
    }
    err = machine_open(store, &machine, &recovery->applied_index, &recovery->position, detail, detail_len);
    if (err != 0) {
        store->ops->close(store);
        return err;
    }
    machine_close(machine);
    return 0;
}

/* What this node could go on with until it meets it: with others it would be had from them. */
static int read_damage(struct recovery *recovery)
{
    if (!recovery->has_store || recovery->report.alone) {
        return 0;
    }
    return recover_damage_read(recovery->store, &recovery->damage, recovery->detail, sizeof recovery->detail);
}

/* It has been noted, by the node or by the scrub, that its data is not to be relied on. An operator's order does not say so. */
static bool is_marked(const struct recovery *recovery)
{
    return recovery->mark.state == REPAIR_NEEDED && !recovery->mark.ordered && recovery->mark.reason[0] != '\0';
}

static int look(struct recovery *recovery)
{
    struct disk *disk = posix_disk_base(recovery->disk);
    struct state_dir state;
    int err = state_dir_read(disk, SHARD_DIR, &state, recovery->detail, sizeof recovery->detail);
    if (err == 0) {
        err = repair_mark_read(disk, SHARD_DIR, &recovery->mark);
    }
    if (err == 0 && state.fresh && data_dir_recovery_unfinished(recovery->dir)) {
        err = state_dir_settle(disk, SHARD_DIR, &state); /* It is our own, written anew. */
    } else if (err == 0 && state.fresh) {
        (void)snprintf(recovery->detail, sizeof recovery->detail,
                       "a copy of another node's state has just taken the place of this node's: start the node once, "
                       "stop it, and then recover");
        return ERR_REFUSED;
    }
    if (err == 0) {
        err = read_state(recovery, &state);
    }
    if (err != 0) {
        return err;
    }
    struct driver_options options = driver_options_of(recovery);
    err = driver_recover_look(&options, &recovery->report, recovery->detail, sizeof recovery->detail);
    return err == 0 ? read_damage(recovery) : err;
}

static void print_at_risk(const struct driver_recover_report *report)
{
    if (report->log_last > report->known) {
        (void)printf("  kept       entries %" PRIu64 " to %" PRIu64
                     ": nobody can tell any more whether a majority had them; "
                     "they count from now on\n",
                     report->known + 1, report->log_last);
    } else {
        (void)printf("  kept       all entries here are known to have been committed\n");
    }
    (void)printf("  lost       whatever the other nodes had confirmed after entry %" PRIu64 ", if anything\n",
                 report->log_last);
}

static void print_damage(const struct recover_damage *damage)
{
    for (uint64_t i = 0; i < damage->found && i < RECOVER_DAMAGES_MAX; i++) {
        (void)printf("  damaged    %s\n", damage->lines[i]);
    }
    if (damage->found > RECOVER_DAMAGES_MAX) {
        (void)printf("  damaged    %" PRIu64 " more places\n", damage->found - RECOVER_DAMAGES_MAX);
    }
}

static void print_report(const struct recovery *recovery)
{
    const struct driver_recover_report *report = &recovery->report;
    uint64_t own = data_dir_node(recovery->dir);
    char old[256];
    (void)printf("cluster %s, node %" PRIu64 ", %s\n", data_dir_cluster(recovery->dir), own, recovery->options->data);
    (void)printf("  term       %" PRIu64 "\n", report->term);
    (void)printf("  state      as of entry %" PRIu64 " (the last checkpoint)\n", report->checkpoint_index);
    (void)printf("  log        entries %" PRIu64 " to %" PRIu64 "\n", report->log_first, report->log_last);
    (void)printf("  committed  up to entry %" PRIu64 " for certain\n", report->known);
    print_at_risk(report);
    for (unsigned i = 0; i < report->members_len; i++) {
        const struct driver_recover_member *member = &report->members[i];
        (void)printf("  %s node %" PRIu64 " at %s%s\n", member->id == own ? "goes on   " : "given up  ", member->id,
                     member->address, member->voter ? "" : " (did not vote)");
    }
    if (data_dir_shard_is_old(recovery->dir, old, sizeof old)) {
        (void)printf("  warning    %s\n", old);
    }
    if (recovery->mark.state == REPAIR_NEEDED) {
        (void)printf("  %s this node's data was about to be replaced by a copy of another's: %s\n",
                     is_marked(recovery) ? "damaged   " : "warning   ",
                     recovery->mark.reason[0] != '\0' ? recovery->mark.reason : "it is new");
    }
    print_damage(&recovery->damage);
}

static bool is_damaged(const struct recovery *recovery)
{
    return is_marked(recovery) || recovery->damage.found > 0;
}

/* True when the operator has said the cluster's name. */
static bool confirmed(const struct recovery *recovery)
{
    const char *cluster = data_dir_cluster(recovery->dir);
    const char *given = recovery->options->confirm;
    char line[512];
    if (given == NULL) {
        if (isatty(STDIN_FILENO) == 0) {
            (void)say(0, "there is no terminal to ask on: --yes CLUSTER confirms");
            return false;
        }
        (void)fprintf(
            stderr,
            "The nodes that are given up must never run again with their data; if one of them can still be had, "
            "stop here.\n%sTo go on, type the name of the cluster: ",
            recovery->damage.found > 0 ? "What is damaged is left out; --help says what that means.\n" : "");
        if (fgets(line, sizeof line, stdin) == NULL) {
            line[0] = '\0';
        }
        line[strcspn(line, "\n")] = '\0';
        given = line;
    }
    if (strcmp(given, cluster) == 0) {
        return true;
    }
    (void)fprintf(stderr, "holdfast: cluster recover: \"%s\" is not the name of the cluster: nothing was changed\n",
                  given);
    return false;
}

/* What was accepted, or nothing. */
static void describe_damage(const struct recovery *recovery, char *out, size_t out_len)
{
    const struct recover_damage *damage = &recovery->damage;
    out[0] = '\0';
    if (damage->found > 0) {
        (void)snprintf(out, out_len, "; accepted: damage at %" PRIu64 " places, the first: %.200s", damage->found,
                       damage->lines[0]);
    } else if (is_marked(recovery)) {
        (void)snprintf(out, out_len, "; accepted: damage that was noted: %.200s", recovery->mark.reason);
    }
}

/* Who, when, and what: a line for those who ask later. */
static void describe(const struct recovery *recovery, char *out, size_t out_len)
{
    const struct driver_recover_report *report = &recovery->report;
    char host[256] = "?";
    char given_up[MEMBERS_MAX * 24] = "";
    char damage[300];
    char date[32] = "?";
    time_t now = (time_t)(recovery->clock.base.wall_ms((struct clock *)&recovery->clock.base) / 1000);
    struct tm utc;
    if (gmtime_r(&now, &utc) != NULL) {
        (void)strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &utc);
    }
    (void)gethostname(host, sizeof host - 1);
    for (unsigned i = 0; i < report->members_len; i++) {
        size_t len = strlen(given_up);
        if (report->members[i].id != data_dir_node(recovery->dir)) {
            (void)snprintf(given_up + len, sizeof given_up - len, " %" PRIu64, report->members[i].id);
        }
    }
    describe_damage(recovery, damage, sizeof damage);
    (void)snprintf(out, out_len,
                   "forced recovery of node %" PRIu64
                   " at %s on %s by user %ld: it is the only voter from entry %" PRIu64 " on; entries up to %" PRIu64
                   " were committed, those up to %" PRIu64 " are kept; given up: nodes%s%s",
                   data_dir_node(recovery->dir), date, host, (long)getuid(), report->log_last + 1, report->known,
                   report->log_last, given_up, damage);
}

static int give_up_others(struct recovery *recovery)
{
    uint64_t nodes[MEMBERS_MAX];
    for (unsigned i = 0; i < recovery->report.members_len; i++) {
        nodes[i] = recovery->report.members[i].id;
    }
    return data_dir_expel(recovery->dir, nodes, recovery->report.members_len, recovery->detail,
                          sizeof recovery->detail);
}

static int write_members(struct recovery *recovery)
{
    struct data_dir_member alone = {.id = data_dir_node(recovery->dir), .voter = true};
    for (unsigned i = 0; i < recovery->report.members_len; i++) {
        const struct driver_recover_member *member = &recovery->report.members[i];
        if (member->id == alone.id) {
            memcpy(alone.address, member->address, sizeof alone.address);
        }
    }
    return data_dir_members_write(recovery->dir, &alone, 1, recovery->detail, sizeof recovery->detail);
}

/* Named as a copy of this node's own, which nobody else makes. */
static int write_without_damage(struct recovery *recovery)
{
    struct recover_rewrite *rewrite = &recovery->rewrite;
    if (recovery->damage.found == 0) {
        return 0;
    }
    *rewrite = (struct recover_rewrite){
        .disk = posix_disk_base(recovery->disk), .root = recovery->options->data, .dir = SHARD_DIR};
    (void)snprintf(rewrite->name, sizeof rewrite->name, REBUILD_INCOMING "%" PRIu64 "-%016" PRIx64,
                   data_dir_node(recovery->dir), recovery->clock.base.wall_ms(&recovery->clock.base));
    (void)printf("the state is written anew without what is damaged\n");
    (void)fflush(stdout);
    return recover_rewrite(rewrite, recovery->store, recovery->detail, sizeof recovery->detail);
}

static int perform(struct recovery *recovery, const char *text, uint64_t *ret_index)
{
    struct driver_options options = driver_options_of(recovery);
    struct disk *disk = posix_disk_base(recovery->disk);
    char *detail = recovery->detail;
    size_t detail_len = sizeof recovery->detail;
    int err = data_dir_recovery_begin(recovery->dir, text, detail, detail_len);
    if (err == 0) {
        err = give_up_others(recovery);
    }
    if (err == 0 && recovery->rewrite.name[0] != '\0') {
        err = recover_rewrite_switch(&recovery->rewrite, detail, detail_len);
    }
    if (err == 0) {
        err = driver_recover(&options, text, ret_index, detail, detail_len);
    }
    if (err == 0 && recovery->mark.state != REPAIR_NONE) {
        err = repair_mark_clear(disk, SHARD_DIR);
    }
    if (err == 0) {
        err = write_members(recovery);
    }
    if (err == 0) {
        err = data_dir_shard_adopt(recovery->dir, &recovery->clock.base, detail, detail_len);
    }
    return err == 0 ? data_dir_recovery_end(recovery->dir, text, detail, detail_len) : err;
}

static bool damage_is_accepted(const struct recovery *recovery)
{
    if (recovery->damage.found > 0 && !recovery->damage.content) {
        (void)say(0,
                  "nothing was changed: more than messages is damaged here, see above, and a state cannot be made of "
                  "the rest: recover another node");
        return false;
    }
    if (is_damaged(recovery) && !recovery->options->accept_damage) {
        (void)say(
            0, "nothing was changed: there is damage here, see above: recover a node that has none; where there is no "
               "such node, --accept-damage goes on without what is damaged: see --help");
        return false;
    }
    return true;
}

/* Asks what there is to ask. -1: go on; otherwise the exit status. An interrupted recovery has been confirmed when it was
 * begun, and when the log is changed already there is nothing left to decide: the others were given up before that. */
static int ask(struct recovery *recovery, char *text, size_t text_len)
{
    if (recovery->report.alone && data_dir_recovery_begun(recovery->dir, text, text_len)) {
        (void)printf("a recovery that was begun is being finished\n");
        return -1;
    }
    if (recovery->report.alone) {
        (void)printf("node %" PRIu64 " is the only voter of cluster %s already: start it\n",
                     data_dir_node(recovery->dir), data_dir_cluster(recovery->dir));
        return 0;
    }
    print_report(recovery);
    (void)fflush(stdout);
    if (!recovery->options->accept_loss) {
        return say(EXIT_USAGE, "nothing was changed: --accept-loss says that you accept what will be lost");
    }
    if (!damage_is_accepted(recovery)) {
        return EXIT_REFUSED;
    }
    describe(recovery, text, text_len);
    return confirmed(recovery) ? -1 : EXIT_REFUSED;
}

static int decide(struct recovery *recovery)
{
    char text[DATA_DIR_LINE_LEN_MAX];
    uint64_t index = 0;
    int status = ask(recovery, text, sizeof text);
    if (status >= 0) {
        return status;
    }
    int err = write_without_damage(recovery);
    if (err != 0) {
        (void)fail(recovery, err);
        return say(EXIT_REFUSED, "nothing was changed");
    }
    err = perform(recovery, text, &index);
    if (err != 0) {
        (void)fail(recovery, err);
        if (err == ERR_NO_SPACE && !data_dir_recovery_unfinished(recovery->dir)) {
            return say(EXIT_REFUSED, "nothing was changed");
        }
        return say(EXIT_REFUSED, "it is not finished, and the node does not start before it is: run this again");
    }
    (void)printf("done: entry %" PRIu64 " makes node %" PRIu64
                 " the only voter. Start it, then add new nodes, with empty "
                 "directories and under new ids: holdfast cluster add\n",
                 index, data_dir_node(recovery->dir));
    return 0;
}

static int with_disk(struct recovery *recovery)
{
    struct posix_disk_options options = {.loop = &recovery->loop, .root = recovery->options->data};
    CHECK(uv_loop_init(&recovery->loop) == 0);
    int err = posix_disk_open(&options, &recovery->disk);
    int status = 0;
    if (err == 0) {
        err = look(recovery);
        status = err == 0 ? decide(recovery) : fail(recovery, err);
        posix_disk_close(recovery->disk);
    } else {
        status = fail(recovery, err);
    }
    slice_unref(&recovery->position);
    (void)uv_run(&recovery->loop, UV_RUN_DEFAULT);
    CHECK(uv_loop_close(&recovery->loop) == 0);
    return status;
}

int recover_run(const struct recover_options *options)
{
    struct recovery recovery = {.options = options};
    system_clock_init(&recovery.clock);
    int err = data_dir_visit(options->data, &recovery.dir, recovery.detail, sizeof recovery.detail);
    if (err == ERR_NOT_FOUND) {
        (void)fprintf(stderr, "holdfast: cluster recover: %s is not the data directory of a node (%s)\n", options->data,
                      recovery.detail);
        return EXIT_USAGE;
    }
    if (err == ERR_LOCKED) {
        (void)fail(&recovery, err);
        return say(EXIT_REFUSED, "the node must be stopped first");
    }
    if (err != 0) {
        return fail(&recovery, err);
    }
    int status = with_disk(&recovery);
    data_dir_close(recovery.dir);
    return status;
}
