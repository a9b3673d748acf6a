/* The course of a forced recovery.
 *
 * What is written, in this order, each durable before the next: that a recovery has begun (from here on the node does not start
 * before it is finished, and doing it again goes on where it was), who is given up, the new membership in the log, that the mark
 * of a node whose data is not to be relied on is void, who is a member, a start (so that log and state from before are older ones),
 * and that it is done. */

#include "node/recover.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "node/core/rebuild_files.h"
#include "node/core/state_dir.h"
#include "node/recover_private.h"
#include "proto/base/check.h"
#include "statemachine/machine.h"
#include "statemachine/store/store_rocksdb.h"

#define SHARD_DIR "shard-0"

/* A segment for the one entry that is appended; the node makes its own when it starts. */
#define SEGMENT_LEN (1 * MIB)

#define EXIT_REFUSED 1
#define EXIT_USAGE 2

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

static bool is_damaged(const struct recovery *recovery)
{
    return recover_is_marked(recovery) || recovery->damage.found > 0;
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

/* *ret_ended: what is left to do is to say that it is done. */
static int perform(struct recovery *recovery, const char *text, uint64_t *ret_index, bool *ret_ended)
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
    *ret_ended = err == 0;
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

/* Whether what was printed has gone out: nobody accepts what they could not read. */
static bool is_said(void)
{
    if (fflush(stdout) == 0 && ferror(stdout) == 0) {
        return true;
    }
    (void)fprintf(
        stderr,
        "holdfast: cluster recover: what would be lost cannot be written to standard output (%s): nothing was "
        "changed\n",
        strerror(errno));
    return false;
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
    recover_report_print(recovery);
    if (!is_said()) {
        return EXIT_REFUSED;
    }
    if (!recovery->options->accept_loss) {
        return say(EXIT_USAGE, "nothing was changed: --accept-loss says that you accept what will be lost");
    }
    if (!damage_is_accepted(recovery)) {
        return EXIT_REFUSED;
    }
    recover_report_line(recovery, text, text_len);
    return confirmed(recovery) ? -1 : EXIT_REFUSED;
}

/* What failed may have been done all the same: the directory says what is so. */
static int say_how_far(struct recovery *recovery, bool ended)
{
    if (data_dir_recovery_reread(recovery->dir, recovery->detail, sizeof recovery->detail) != 0) {
        (void)say(0, recovery->detail);
        return say(EXIT_REFUSED, "nobody knows how far it came: run this again");
    }
    if (data_dir_recovery_unfinished(recovery->dir)) {
        return say(EXIT_REFUSED, "it is not finished, and the node does not start before it is: run this again");
    }
    return say(EXIT_REFUSED,
               ended ? "it is done all the same: start the node; should that say that it is not finished, run "
                       "this again"
                     : "nothing was changed");
}

static int decide(struct recovery *recovery)
{
    char text[DATA_DIR_LINE_LEN_MAX];
    uint64_t index = 0;
    bool ended;
    int status = ask(recovery, text, sizeof text);
    if (status >= 0) {
        return status;
    }
    int err = write_without_damage(recovery);
    if (err != 0) {
        (void)fail(recovery, err);
        return say(EXIT_REFUSED, "nothing was changed");
    }
    err = perform(recovery, text, &index, &ended);
    if (err != 0) {
        (void)fail(recovery, err);
        return say_how_far(recovery, ended);
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

/* Else the first files that are opened would take their places, and what is said would be written into them. */
static bool outputs_are_open(void)
{
    return fcntl(STDOUT_FILENO, F_GETFD) >= 0 && fcntl(STDERR_FILENO, F_GETFD) >= 0;
}

int recover_run(const struct recover_options *options)
{
    struct recovery recovery = {.options = options};
    if (!outputs_are_open()) {
        return say(EXIT_REFUSED, "standard output or standard error is closed: nothing was changed");
    }
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
