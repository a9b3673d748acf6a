/* Forced recovery: what it refuses is left as it was, to the byte; what it does makes the node the only voter. */

#include "node/recover.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "consensus/driver_recover.h"
#include "consensus/log_format.h"
#include "consensus/meta.h"
#include "node/core/repair_mark.h"
#include "node/core/state_dir.h"
#include "node/data_dir.h"
#include "proto/base/check.h"
#include "recover_fixture.h"

TestSuite(recover, .init = stopped_setup, .fini = stopped_teardown);

/* All is stopped_said, and the directory is as it was. */
static void refused(bool accept_loss, const char *confirm, int status, const char *why)
{
    uint64_t before = stopped_hash();
    cr_assert_eq(recover_said_with(accept_loss, confirm), status, "%s", stopped_said);
    cr_assert_not_null(strstr(stopped_said, why), "not \"%s\": %s", why, stopped_said);
    cr_assert_eq(stopped_hash(), before, "something was changed");
}

static void look(struct driver_recover_report *report)
{
    struct stopped_disk open;
    struct driver_options options = {
        .id = 1, .disk = stopped_disk_open(&open), .clock = &stopped_time.base, .dir = SHARD};
    cr_assert_eq(driver_recover_look(&options, report, stopped_detail, sizeof stopped_detail), 0, "%s", stopped_detail);
    stopped_disk_close(&open);
}

/* What a recovery leaves behind. */
static void is_done(void)
{
    struct driver_recover_report report;
    struct data_dir *visited;
    struct data_dir_member members[MEMBERS_MAX];
    unsigned members_len;
    char text[DATA_DIR_LINE_LEN_MAX];
    look(&report);
    cr_assert(report.alone);
    cr_assert_eq(data_dir_visit(stopped_data, &visited, stopped_detail, sizeof stopped_detail), 0, "%s",
                 stopped_detail);
    cr_assert_not(data_dir_recovery_unfinished(visited));
    cr_assert(data_dir_recovered(visited, text, sizeof text));
    cr_assert_not_null(strstr(text, "given up: nodes 2 3"), "%s", text);
    cr_assert(data_dir_is_expelled(visited, 2) && data_dir_is_expelled(visited, 3));
    cr_assert_not(data_dir_is_expelled(visited, 1));
    cr_assert_eq(data_dir_members_read(visited, members, &members_len, stopped_detail, sizeof stopped_detail), 0, "%s",
                 stopped_detail);
    cr_assert(members_len == 1 && members[0].id == 1 && members[0].voter);
    cr_assert_str_eq(members[0].address, "one:1");
    data_dir_close(visited);
}

Test(recover, makes_the_node_the_only_voter_once)
{
    struct driver_recover_report before;
    struct driver_recover_report after;
    look(&before);
    cr_assert_not(before.alone);
    cr_assert_eq(recover_said_with(true, "orders"), 0, "%s", stopped_said);
    cr_assert_not_null(strstr(stopped_said, "goes on    node 1 at one:1"), "%s", stopped_said);
    cr_assert_not_null(strstr(stopped_said, "given up   node 2 at two:2"), "%s", stopped_said);
    cr_assert_not_null(strstr(stopped_said, "given up   node 3 at three:3"), "%s", stopped_said);
    is_done();
    look(&after);
    cr_assert_eq(after.term, before.term + DRIVER_RECOVER_TERMS);
    cr_assert_eq(after.log_last, before.log_last + 1);
    uint64_t done = stopped_hash();
    cr_assert_eq(recover_said_with(true, "orders"), 0);
    cr_assert_not_null(strstr(stopped_said, "only voter of cluster orders already"), "%s", stopped_said);
    cr_assert_eq(stopped_hash(), done);
}

Test(recover, wants_a_clear_yes)
{
    refused(false, "orders", 2, "--accept-loss");
    refused(true, "order", 1, "\"order\" is not the name of the cluster");
    refused(true, "", 1, "\"\" is not the name of the cluster");
    refused(true, NULL, 1, "no terminal to ask on");
}

Test(recover, refuses_the_directory_of_a_node_that_runs)
{
    struct data_dir *used;
    cr_assert_eq(
        data_dir_open(stopped_data, "orders", 1, &stopped_time.base, &used, stopped_detail, sizeof stopped_detail), 0,
        "%s", stopped_detail);
    refused(true, "orders", 1, "the node must be stopped first");
    data_dir_close(used);
    cr_assert_eq(recover_said_with(true, "orders"), 0, "%s", stopped_said);
}

Test(recover, makes_no_directory)
{
    char path[PATH_LEN];
    struct stat info;
    (void)snprintf(path, sizeof path, "%s/nowhere", stopped_dir.path);
    struct recover_options options = {.data = path, .accept_loss = true, .confirm = "orders"};
    cr_assert_eq(recover_said(&options), 2);
    cr_assert_not_null(strstr(stopped_said, "is not the data directory of a node"), "%s", stopped_said);
    cr_assert_neq(stat(path, &info), 0);
    options.data = stopped_dir.path; /* Is there, but nobody's. */
    cr_assert_eq(recover_said(&options), 2, "%s", stopped_said);
}

/* Of both slots of the term and the vote. */
static void flip_meta(void)
{
    stopped_flip(SHARD "/meta", 9);
    stopped_flip(SHARD "/meta", META_SLOT_LEN + 9);
}

Test(recover, finds_damage_before_it_changes_anything)
{
    const off_t in_first_entry = LOG_SEGMENT_HEAD_LEN + LOG_BATCH_HEAD_LEN + 1;
    char name[256];
    flip_meta();
    refused(true, "orders", 1, SHARD "/meta");
    flip_meta();
    cr_assert_eq(recover_said_with(true, "orders"), 0, "%s", stopped_said);
    stopped_log(name); /* Has two entries now. */
    stopped_flip(name, in_first_entry);
    refused(true, "orders", 1, strrchr(name, '/') + 1);
    stopped_flip(name, in_first_entry);
    refused(true, "orders", 0, "already");
}

Test(recover, needs_a_log)
{
    char path[PATH_LEN];
    char name[256];
    stopped_log(name);
    stopped_path(name, path);
    cr_assert_eq(unlink(path), 0);
    refused(true, "orders", 1, "holdfast: cluster recover: ");
}

Test(recover, does_not_go_on_from_a_state_that_cannot_be_read)
{
    char path[PATH_LEN];
    stopped_path(SHARD "/state", path);
    (void)mkdir(path, 0700);
    stopped_write(SHARD "/state/CURRENT", "MANIFEST-000042\n");
    refused(true, "orders", 1, "state");
}

/* The log does not follow a copy before the node has been started with it. */
Test(recover, is_not_for_a_copy_that_has_just_come)
{
    struct stopped_disk open;
    struct disk *disk = stopped_disk_open(&open);
    cr_assert_eq(state_dir_switch(disk, SHARD, "copy"), 0);
    stopped_disk_close(&open);
    refused(true, "orders", 1, "start the node once");
}

static void mark_write(const struct repair_mark *mark)
{
    struct stopped_disk open;
    cr_assert_eq(repair_mark_write(stopped_disk_open(&open), SHARD, mark), 0);
    stopped_disk_close(&open);
}

static void no_mark_is_left(void)
{
    struct stopped_disk open;
    struct repair_mark mark;
    cr_assert_eq(repair_mark_read(stopped_disk_open(&open), SHARD, &mark), 0);
    cr_assert_eq(mark.state, REPAIR_NONE);
    stopped_disk_close(&open);
}

/* What it was is not known any more: nobody says that it is only what can be found now. */
Test(recover, a_node_that_was_found_damaged_only_with_a_word_about_it)
{
    mark_write(&(struct repair_mark){.state = REPAIR_NEEDED, .reason = "its disk is old"});
    refused(false, NULL, 2,
            "  damaged    this node's data was about to be replaced by a copy of another's: its disk is old");
    refused(true, "orders", 1, "--accept-damage");
    struct recover_options options = {.data = stopped_data, .accept_damage = true, .confirm = "orders"};
    cr_assert_eq(recover_said(&options), 2, "%s", stopped_said);
    options.accept_loss = true;
    cr_assert_eq(recover_said(&options), 0, "%s", stopped_said);
    no_mark_is_left();
    is_done();
    struct data_dir *visited;
    char text[DATA_DIR_LINE_LEN_MAX];
    cr_assert_eq(data_dir_visit(stopped_data, &visited, stopped_detail, sizeof stopped_detail), 0);
    cr_assert(data_dir_recovered(visited, text, sizeof text));
    cr_assert_not_null(strstr(text, "; accepted: damage that was noted: its disk is old"), "%s", text);
    data_dir_close(visited);
}

/* As far as is known what it has is sound. */
Test(recover, voids_the_mark_of_an_operator)
{
    mark_write(&(struct repair_mark){.state = REPAIR_NEEDED, .ordered = true, .reason = "asked for by an operator"});
    cr_assert_eq(recover_said_with(true, "orders"), 0, "%s", stopped_said);
    cr_assert_not_null(strstr(stopped_said, "warning    this node's data"), "%s", stopped_said);
    cr_assert_not_null(strstr(stopped_said, "asked for by an operator"), "%s", stopped_said);
    no_mark_is_left();
    is_done();
}

/* A store whose first file is missing is not one that never was. */
Test(recover, does_not_take_a_state_without_its_beginning_for_none)
{
    static const char *const files[] = {"000008.log", "000009.sst", "000010.blob", "MANIFEST-000005"};
    char path[PATH_LEN];
    char name[64];
    stopped_path(SHARD "/state", path);
    (void)mkdir(path, 0700);
    stopped_write(SHARD "/state/MANIFEST-000001", ""); /* A crash while the first store was made. */
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        (void)snprintf(name, sizeof name, SHARD "/state/%s", files[i]);
        stopped_write(name, "");
        refused(true, "orders", 1, "state/CURRENT: the file is missing");
        stopped_path(name, path);
        cr_assert_eq(unlink(path), 0);
    }
    cr_assert_eq(recover_said_with(true, "orders"), 0, "%s", stopped_said);
}

/* Of the node, as a process that ends. Returns what it says of its starts; whether its shard is an older copy. */
static size_t start_once(uint8_t history[DATA_DIR_HISTORY_LEN_MAX], bool *ret_old)
{
    struct data_dir *started;
    cr_assert_eq(
        data_dir_open(stopped_data, "orders", 1, &stopped_time.base, &started, stopped_detail, sizeof stopped_detail),
        0, "%s", stopped_detail);
    *ret_old = data_dir_shard_is_old(started, stopped_detail, sizeof stopped_detail);
    size_t len = data_dir_history(started, history);
    data_dir_close(started);
    return len;
}

/* Who accepts a loss may accept this one; and what is there then is the latest. */
static void goes_on_without(const char *name, const char *warning)
{
    uint8_t history[DATA_DIR_HISTORY_LEN_MAX];
    char path[PATH_LEN];
    bool old;
    size_t before = start_once(history, &old);
    cr_assert_not(old);
    stopped_path(name, path);
    cr_assert_eq(unlink(path), 0);
    refused(false, "orders", 2, "--accept-loss");
    cr_assert_eq(recover_said_with(true, "orders"), 0, "%s", stopped_said);
    cr_assert_not_null(strstr(stopped_said, warning), "%s", stopped_said);
    is_done();
    cr_assert_eq(access(path, F_OK), 0);
    cr_assert_eq(start_once(history, &old), before + 16, "the recovery counts as a start");
    cr_assert_not(old, "%s", stopped_detail);
}

Test(recover, goes_on_from_an_older_copy_of_the_shard_and_ties_it_again)
{
    goes_on_without(SHARD "/last-start", "warning    shard-0/last-start is missing");
}

Test(recover, goes_on_from_an_older_copy_of_the_log_and_ties_it_again)
{
    goes_on_without(SHARD "/log/last-start", "warning    shard-0/log/last-start is missing");
}

/* It died after the log was changed: nothing is asked any more, and no node starts before it is finished. */
Test(recover, is_finished_when_it_is_run_again)
{
    struct stopped_disk open;
    struct data_dir *visited;
    uint64_t index;
    static const char text[] = "forced recovery of node 1: given up: nodes 2 3";
    struct driver_options options = {
        .id = 1, .disk = stopped_disk_open(&open), .clock = &stopped_time.base, .dir = SHARD, .segment_len = 1 * MIB};
    cr_assert_eq(data_dir_visit(stopped_data, &visited, stopped_detail, sizeof stopped_detail), 0, "%s",
                 stopped_detail);
    cr_assert_eq(data_dir_recovery_begin(visited, text, stopped_detail, sizeof stopped_detail), 0, "%s",
                 stopped_detail);
    cr_assert_eq(data_dir_expel(visited, (uint64_t[]){2, 3}, 2, stopped_detail, sizeof stopped_detail), 0, "%s",
                 stopped_detail);
    cr_assert_eq(driver_recover(&options, text, &index, stopped_detail, sizeof stopped_detail), 0, "%s",
                 stopped_detail);
    data_dir_close(visited);
    stopped_disk_close(&open);
    struct data_dir *started;
    cr_assert_eq(
        data_dir_open(stopped_data, "orders", 1, &stopped_time.base, &started, stopped_detail, sizeof stopped_detail),
        ERR_REFUSED);
    cr_assert_eq(recover_said_with(false, NULL), 0, "%s", stopped_said);
    cr_assert_not_null(strstr(stopped_said, "a recovery that was begun is being finished"), "%s", stopped_said);
    is_done();
    cr_assert_eq(
        data_dir_open(stopped_data, "orders", 1, &stopped_time.base, &started, stopped_detail, sizeof stopped_detail),
        0, "%s", stopped_detail);
    data_dir_close(started);
}

/* It died when a state without what was damaged had just taken the place of the old one. */
Test(recover, goes_on_with_the_state_that_it_has_written_itself)
{
    struct stopped_disk open;
    struct data_dir *visited;
    struct state_dir state;
    cr_assert_eq(data_dir_visit(stopped_data, &visited, stopped_detail, sizeof stopped_detail), 0);
    cr_assert_eq(data_dir_recovery_begin(visited, "forced recovery", stopped_detail, sizeof stopped_detail), 0);
    data_dir_close(visited);
    struct disk *disk = stopped_disk_open(&open);
    cr_assert_eq(state_dir_switch(disk, SHARD, "incoming-1-0000000000000007"), 0);
    stopped_disk_close(&open);
    cr_assert_eq(recover_said_with(true, "orders"), 0, "%s", stopped_said);
    disk = stopped_disk_open(&open);
    cr_assert_eq(state_dir_read(disk, SHARD, &state, stopped_detail, sizeof stopped_detail), 0);
    cr_assert_not(state.fresh);
    cr_assert_str_eq(state.name, "incoming-1-0000000000000007");
    stopped_disk_close(&open);
    is_done();
}

/* Before that it is asked for again, like any. */
Test(recover, is_asked_again_when_nothing_was_decided)
{
    struct data_dir *visited;
    cr_assert_eq(data_dir_visit(stopped_data, &visited, stopped_detail, sizeof stopped_detail), 0, "%s",
                 stopped_detail);
    cr_assert_eq(data_dir_recovery_begin(visited, "forced recovery", stopped_detail, sizeof stopped_detail), 0, "%s",
                 stopped_detail);
    data_dir_close(visited);
    refused(false, NULL, 2, "--accept-loss");
    refused(true, "another", 1, "is not the name of the cluster");
    cr_assert_eq(recover_said_with(true, "orders"), 0, "%s", stopped_said);
    is_done();
}

/* The first of all writes fails: the node starts as it did before. */
Test(recover, says_so_when_nothing_was_changed)
{
    struct data_dir *started;
    char path[PATH_LEN];
    stopped_path("recoveries.new", path);
    cr_assert_eq(mkdir(path, 0700), 0);
    stopped_write("recoveries.new/inside", "");
    refused(true, "orders", 1, "/recoveries: ");
    cr_assert_not_null(strstr(stopped_said, "nothing was changed"), "%s", stopped_said);
    cr_assert_null(strstr(stopped_said, "not finished"), "%s", stopped_said);
    cr_assert_eq(
        data_dir_open(stopped_data, "orders", 1, &stopped_time.base, &started, stopped_detail, sizeof stopped_detail),
        0, "%s", stopped_detail);
    data_dir_close(started);
}

/* It fails behind the log: no file can take the place of the list of members. */
static void recover_but_for_the_members(void)
{
    char path[PATH_LEN];
    char inside[PATH_LEN];
    stopped_path("members", path);
    stopped_path("members/inside", inside);
    cr_assert(mkdir(path, 0700) == 0 && mkdir(inside, 0700) == 0);
    cr_assert_eq(recover_said_with(true, "orders"), 1, "%s", stopped_said);
    cr_assert_not_null(strstr(stopped_said, "run this again"), "%s", stopped_said);
    cr_assert(rmdir(inside) == 0 && rmdir(path) == 0);
}

/* It died after the log was changed, and then lost what it had noted of itself. */
Test(recover, is_finished_although_what_was_written_of_it_is_damaged)
{
    struct data_dir *started;
    recover_but_for_the_members();
    stopped_flip("recoveries", 40);
    cr_assert_eq(
        data_dir_open(stopped_data, "orders", 1, &stopped_time.base, &started, stopped_detail, sizeof stopped_detail),
        ERR_REFUSED);
    cr_assert_not_null(strstr(stopped_detail, "begun and not finished"), "%s", stopped_detail);
    cr_assert_eq(recover_said_with(false, NULL), 0, "%s", stopped_said);
    cr_assert_not_null(strstr(stopped_said, "a recovery that was begun is being finished"), "%s", stopped_said);
    cr_assert_eq(
        data_dir_open(stopped_data, "orders", 1, &stopped_time.base, &started, stopped_detail, sizeof stopped_detail),
        0, "%s", stopped_detail);
    data_dir_close(started);
}

/* Something goes wrong on the way: no node starts on what is there. */
Test(recover, a_node_does_not_start_before_it_is_finished)
{
    struct data_dir *started;
    recover_but_for_the_members();
    cr_assert_eq(
        data_dir_open(stopped_data, "orders", 1, &stopped_time.base, &started, stopped_detail, sizeof stopped_detail),
        ERR_REFUSED);
    cr_assert_eq(recover_said_with(false, NULL), 0, "%s", stopped_said);
    is_done();
}
