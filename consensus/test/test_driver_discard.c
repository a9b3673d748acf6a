/* Beginning anew with a copy: whatever is in the directory, and whenever the process dies meanwhile; and what becomes of the
 * node afterwards. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "../../chaos-tests/sim/sim_disk.h"
#include "cluster.h"
#include "dying_disk.h"
#include "fixture.h"

#define OLD_LAST 61u
#define OLD_TERM 2u
/* The node's own term, in which it has voted for node 3. */
#define OWN_TERM 5u
#define COPY_INDEX 30u
#define COPY_TERM 4u

static uint64_t random_next(void *arg)
{
    uint64_t *state = arg;
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

/* A follower with a log of some segments and a vote, closed; and what it is to begin anew with, in which it has none. */
static struct driver_options set(struct fixture *f)
{
    char text[3000];
    memset(text, 'o', sizeof text);
    text[sizeof text - 1] = '\0';
    fixture_init(f, 3);
    for (uint64_t index = 2; index <= OLD_LAST; index++) {
        struct log_entry entry = fixture_entry(OLD_TERM, text);
        cr_assert_eq(fixture_append(f, 2, OLD_TERM, index - 1, index == 2 ? 1 : OLD_TERM, 1, &entry, 1), 0);
        fixture_disk(f);
        fixture_forget(f);
    }
    struct raft_message vote = {.type = RAFT_REQUEST_VOTE};
    vote.request_vote = (struct raft_request_vote){
        .term = OWN_TERM, .candidate_id = 3, .last_log_index = 100, .last_log_term = 4, .disrupt_leader = true};
    cr_assert_eq(fixture_say(f, 3, &vote), 0);
    fixture_disk(f);
    struct driver_options options = f->driver->options;
    sim_disk_kill(f->disk);
    driver_close(f->driver);
    f->driver = NULL;
    f->sent_len = 0;
    f->position = fixture_position(COPY_INDEX, COPY_TERM, 7, (uint64_t[]){2, 3}, 2, 1);
    options.applied_index = COPY_INDEX;
    options.checkpoint = f->position;
    options.discard = true;
    return options;
}

static void begin_anew(const struct driver_options *options)
{
    char detail[512];
    int err = driver_rejoin(options, detail, sizeof detail);
    cr_assert_eq(err, 0, "%s", detail);
}

/* It is opened with the copy, empty, in this term; it follows, and keeps what it then has when the power fails. */
static void expect_new(struct fixture *f, const struct driver_options *options, uint64_t term, uint64_t voted_for)
{
    char detail[512];
    cr_assert_eq(driver_open(options, &f->driver, detail, sizeof detail), 0, "%s", detail);
    struct driver_status status = fixture_status(f);
    cr_assert_eq(status.log_first, COPY_INDEX + 1);
    cr_assert_eq(status.log_last, COPY_INDEX);
    cr_assert_eq(status.applied_index, COPY_INDEX);
    cr_assert_eq(status.term, term);
    cr_assert_eq(status.voted_for, voted_for);
    cr_assert_eq(status.members_index, 7u);
    struct log_entry entry = fixture_entry(OWN_TERM + 1, "a");
    cr_assert_eq(fixture_append(f, 3, OWN_TERM + 1, COPY_INDEX, COPY_TERM, COPY_INDEX, &entry, 1), 0);
    fixture_disk(f);
    const struct raft_message *answer = fixture_last(f, 3, RAFT_APPEND_ENTRIES_RESULT);
    cr_assert_not_null(answer);
    cr_assert_eq(answer->append_entries_result.rejected, 0u);
    cr_assert_eq(answer->append_entries_result.last_log_index, COPY_INDEX + 1);
    sim_disk_crash_losing_all(f->disk);
    driver_close(f->driver);
    cr_assert_eq(driver_open(options, &f->driver, detail, sizeof detail), 0, "%s", detail);
    cr_assert_eq(fixture_status(f).log_first, COPY_INDEX + 1);
    cr_assert_eq(fixture_status(f).log_last, COPY_INDEX + 1);
}

Test(driver_discard, a_log_that_is_whole_goes_too_and_a_later_term_stays)
{
    struct fixture f;
    struct driver_options options = set(&f);
    begin_anew(&options);
    expect_new(&f, &options, OWN_TERM, 3);
    fixture_done(&f);
}

Test(driver_discard, a_node_with_nothing_at_all)
{
    struct fixture f;
    struct driver_options options = set(&f);
    sim_disk_free(f.disk);
    f.disk = sim_disk_new();
    options.disk = sim_disk_ops(f.disk);
    begin_anew(&options);
    expect_new(&f, &options, COPY_TERM, 0);
    fixture_done(&f);
}

/* It forgets whom it has voted for, and what it has acknowledged: only without a vote. */
Test(driver_discard, a_node_that_votes_in_the_copy_is_refused)
{
    struct fixture f;
    char detail[512];
    struct driver_options options = set(&f);
    struct slice voter = fixture_position(COPY_INDEX, COPY_TERM, 7, (uint64_t[]){1, 2, 3}, 3, 0);
    struct slice stranger = fixture_position(COPY_INDEX, COPY_TERM, 7, (uint64_t[]){2, 3}, 2, 4);
    options.checkpoint = voter;
    cr_assert_eq(driver_rejoin(&options, detail, sizeof detail), ERR_REFUSED);
    cr_assert_not_null(strstr(detail, "had a vote"), "%s", detail);
    options.checkpoint = stranger;
    cr_assert_eq(driver_rejoin(&options, detail, sizeof detail), ERR_REFUSED);
    cr_assert_not_null(strstr(detail, "was no member"), "%s", detail);
    slice_unref(&voter);
    slice_unref(&stranger);
    options.discard = false;
    options.applied_index = 0;
    options.checkpoint = (struct slice){0};
    cr_assert_eq(driver_open(&options, &f.driver, detail, sizeof detail), 0, "nothing is changed: %s", detail);
    cr_assert_eq(fixture_status(&f).log_last, OLD_LAST);
    fixture_done(&f);
}

struct files {
    char paths[64][64];
    uint64_t lens[64];
    unsigned len;
};

static void file_found(void *arg, const char *path, const uint8_t *data, uint64_t len)
{
    (void)data;
    struct files *files = arg;
    cr_assert_lt(files->len, 64u);
    (void)snprintf(files->paths[files->len], sizeof files->paths[0], "%s", path);
    files->lens[files->len++] = len;
}

enum damage { DAMAGE_BITS, DAMAGE_HEAD, DAMAGE_CUT, DAMAGE_GARBAGE, DAMAGE_LOST, DAMAGE_UNREADABLE, DAMAGES };

/* Damages a file, in a manner that a crash does not explain. */
static void damage(struct sim_disk *disk, const char *path, uint64_t len, enum damage kind, uint64_t *random)
{
    struct disk *ops = sim_disk_ops(disk);
    struct disk_file *file;
    uint8_t garbage[4096];
    uint64_t end = len < sizeof garbage ? len : sizeof garbage;
    for (size_t i = 0; i < sizeof garbage; i++) {
        garbage[i] = (uint8_t)random_next(random);
    }
    switch (kind) {
    case DAMAGE_BITS:
        for (int i = 0; i < 20; i++) {
            cr_assert_eq(sim_disk_corrupt(disk, path, random_next(random) % len, 0x10), 0);
        }
        break;
    case DAMAGE_HEAD: cr_assert_eq(sim_disk_overwrite(disk, path, 0, garbage, end < 512 ? end : 512), 0); break;
    case DAMAGE_GARBAGE: cr_assert_eq(sim_disk_overwrite(disk, path, 0, garbage, end), 0); break;
    case DAMAGE_CUT:
        cr_assert_eq(ops->ops->open(ops, path, 0, &file), 0);
        cr_assert_eq(ops->ops->truncate(file, random_next(random) % len), 0);
        cr_assert_eq(ops->ops->sync(file), 0);
        ops->ops->close(file);
        break;
    case DAMAGE_LOST: cr_assert_eq(ops->ops->remove(ops, path), 0); break;
    case DAMAGE_UNREADABLE: cr_assert_eq(sim_disk_lose_sector(disk, path, 0), 0); break;
    case DAMAGES:
    default: break;
    }
}

Test(driver_discard, damage_of_any_kind_to_any_file_is_no_obstacle)
{
    struct fixture f;
    struct driver_options options = set(&f);
    struct files files = {0};
    uint64_t random = 1;
    sim_disk_each_file(f.disk, file_found, &files);
    cr_assert_gt(files.len, 3u);
    unsigned unreadable = 0;
    for (unsigned i = 0; i < 2 * files.len; i++) {
        for (unsigned kind = 0; kind < DAMAGES; kind++) {
            struct fixture g = f;
            char detail[512];
            g.disk = sim_disk_clone(f.disk);
            options.disk = sim_disk_ops(g.disk);
            options.host.arg = &g;
            damage(g.disk, files.paths[i % files.len], files.lens[i % files.len], (enum damage)kind, &random);
            if (i >= files.len) { /* A second one, of another kind. */
                unsigned other = (unsigned)(random_next(&random) % files.len);
                damage(g.disk, files.paths[other != i % files.len ? other : (other + 1) % files.len], files.lens[other],
                       (enum damage)((kind + 1) % DAMAGES), &random);
            }
            struct driver_options plain = options;
            plain.discard = false;
            struct sim_disk *clone = i < files.len && kind != DAMAGE_UNREADABLE ? sim_disk_clone(g.disk) : NULL;
            if (clone != NULL) {
                plain.disk = sim_disk_ops(clone);
                unreadable += driver_rejoin(&plain, detail, sizeof detail) != 0;
                sim_disk_free(clone);
            }
            int err = driver_rejoin(&options, detail, sizeof detail);
            cr_assert_eq(err, 0, "%s, damage %u: %s", files.paths[i % files.len], kind, detail);
            sim_disk_crash_losing_all(g.disk);
            cr_assert_eq(driver_open(&options, &g.driver, detail, sizeof detail), 0, "%s", detail);
            cr_assert_geq(fixture_status(&g).term, COPY_TERM);
            cr_assert_eq(fixture_status(&g).log_first, COPY_INDEX + 1);
            cr_assert_eq(fixture_status(&g).log_last, COPY_INDEX);
            sim_disk_kill(g.disk);
            driver_close(g.driver);
            sim_disk_free(g.disk);
        }
    }
    cr_assert_gt(unreadable, 3u, "most of it is damage that nothing else gets over");
    sim_disk_free(f.disk);
    slice_unref(&f.position);
}

/* A host that does not know whether it was done does it again. By then the log may hold what the node has acknowledged. */
Test(driver_discard, once_more_after_the_log_has_grown_changes_nothing)
{
    struct fixture f;
    char detail[512];
    struct driver_options options = set(&f);
    begin_anew(&options);
    expect_new(&f, &options, OWN_TERM, 3);
    uint64_t term = fixture_status(&f).term;
    sim_disk_kill(f.disk);
    driver_close(f.driver);
    begin_anew(&options);
    cr_assert_eq(driver_open(&options, &f.driver, detail, sizeof detail), 0, "%s", detail);
    cr_assert_eq(fixture_status(&f).log_last, COPY_INDEX + 1);
    cr_assert_eq(fixture_status(&f).term, term);
    fixture_done(&f);
}

/* Term and vote were put back behind the copy: nobody knows what else was. */
Test(driver_discard, a_term_older_than_the_copy_rises)
{
    struct fixture f;
    struct driver_options options = set(&f);
    struct meta *meta;
    struct meta_value value = {.term = 1};
    char detail[512];
    begin_anew(&options);
    cr_assert_eq(options.disk->ops->remove(options.disk, "shard-0/meta"), 0);
    cr_assert_eq(meta_open(options.disk, "shard-0", &meta, &value, detail, sizeof detail), 0);
    value = (struct meta_value){.term = 1};
    cr_assert_eq(meta_save(meta, &value), 0);
    meta_close(meta);
    begin_anew(&options);
    expect_new(&f, &options, COPY_TERM, 0);
    fixture_done(&f);
}

/* Since a crash could bring old segments back among the new ones, on a disk that keeps no order. */
static bool removed_unsynced;
static struct disk_ops real_ops;

static int watch_remove(struct disk *disk, const char *path)
{
    removed_unsynced = removed_unsynced || strstr(path, "/log/") != NULL;
    return real_ops.remove(disk, path);
}

static int watch_sync_dir(struct disk *disk, const char *path)
{
    removed_unsynced = removed_unsynced && strcmp(path, "shard-0/log") != 0;
    return real_ops.sync_dir(disk, path);
}

static int watch_open(struct disk *disk, const char *path, unsigned flags, struct disk_file **ret_file)
{
    bool made = (flags & DISK_CREATE) != 0 && strstr(path, "/log/") != NULL;
    cr_assert_not(made && removed_unsynced, "%s", path);
    return real_ops.open(disk, path, flags, ret_file);
}

Test(driver_discard, nothing_new_is_made_before_the_old_is_gone_for_good)
{
    struct fixture f;
    struct driver_options options = set(&f);
    cr_assert_eq(sim_disk_corrupt(f.disk, "shard-0/log/00000001.log", 2048, 0xff), 0);
    real_ops = *options.disk->ops;
    struct disk_ops watching = real_ops;
    watching.remove = watch_remove;
    watching.sync_dir = watch_sync_dir;
    watching.open = watch_open;
    options.disk->ops = &watching;
    removed_unsynced = false;
    begin_anew(&options);
    options.disk->ops = &real_ops;
    expect_new(&f, &options, OWN_TERM, 3);
    fixture_done(&f);
}

Test(driver_discard, foreign_files_stay)
{
    struct fixture f;
    struct driver_options options = set(&f);
    struct disk_file *file;
    const uint8_t *data;
    uint64_t len;
    cr_assert_eq(options.disk->ops->open(options.disk, "shard-0/log/notes.txt", DISK_CREATE, &file), 0);
    options.disk->ops->close(file);
    begin_anew(&options);
    cr_assert_eq(sim_disk_content(f.disk, "shard-0/log/notes.txt", &data, &len), 0);
    expect_new(&f, &options, OWN_TERM, 3);
    fixture_done(&f);
}

static void crash(struct sim_disk *disk, uint64_t kind, uint64_t *random)
{
    if (kind == 0) {
        sim_disk_crash_losing_all(disk);
    } else if (kind == 1) {
        sim_disk_kill(disk);
    } else {
        sim_disk_crash(disk, random_next, random);
    }
}

/* Dies before the nth change, and then before another one; true when it has not got that far. */
static bool die_and_do_it_again(const struct fixture *from, const struct driver_options *options, uint64_t nth,
                                uint64_t kind, uint64_t term, uint64_t voted_for)
{
    struct fixture f = *from;
    struct driver_options again = *options;
    uint64_t random = nth * 100 + kind;
    char detail[512];
    f.disk = sim_disk_clone(from->disk);
    again.disk = sim_disk_ops(f.disk);
    again.host.arg = &f;
    for (uint64_t twice = 0; twice < 2; twice++) {
        dying_disk_begin(again.disk, twice == 0 ? nth : nth / 2);
        int err = driver_rejoin(&again, detail, sizeof detail);
        dying_disk_end(again.disk);
        if (twice == 0 && err == 0 && dying_disk_changes() <= nth) {
            sim_disk_free(f.disk);
            return true;
        }
        crash(f.disk, kind, &random);
    }
    begin_anew(&again);
    sim_disk_crash_losing_all(f.disk);
    expect_new(&f, &again, term, voted_for);
    sim_disk_kill(f.disk);
    driver_close(f.driver);
    sim_disk_free(f.disk);
    return false;
}

static void die_everywhere(const struct fixture *f, const struct driver_options *options, uint64_t term,
                           uint64_t voted_for)
{
    uint64_t nth = 0;
    for (bool done = false; !done; nth++) {
        for (uint64_t kind = 0; kind < 10 && !done; kind++) {
            done = die_and_do_it_again(f, options, nth, kind, term, voted_for);
        }
    }
    cr_assert_gt(nth, 20u, "it does more than that: %d", (int)nth);
}

Test(driver_discard, it_may_die_at_any_moment)
{
    struct fixture f;
    struct driver_options options = set(&f);
    die_everywhere(&f, &options, OWN_TERM, 3);
    sim_disk_free(f.disk);
    slice_unref(&f.position);
}

Test(driver_discard, it_may_die_at_any_moment_when_log_and_meta_are_damaged)
{
    struct fixture f;
    struct driver_options options = set(&f);
    cr_assert_eq(sim_disk_corrupt(f.disk, "shard-0/log/00000001.log", 2048, 0xff), 0);
    cr_assert_eq(sim_disk_corrupt(f.disk, "shard-0/meta", 20, 0xff), 0);
    cr_assert_eq(sim_disk_corrupt(f.disk, "shard-0/meta", 532, 0xff), 0);
    die_everywhere(&f, &options, COPY_TERM, 0);
    sim_disk_free(f.disk);
    slice_unref(&f.position);
}

/* Node 3's log is damaged. It loses its vote, begins anew with the leader's state, catches up, votes again, and with its vote
 * the others go on without the one that led. */
Test(driver_discard, a_damaged_voter_comes_back)
{
    static struct cluster c;
    cluster_init(&c);
    uint64_t leader = cluster_elect(&c);
    uint64_t other = leader == 1 ? 2 : 1;
    uint64_t third = 6 - leader - other;
    cluster_submit(&c, leader, 50);
    cluster_close(&c, other);
    cr_assert_eq(sim_disk_corrupt(c.nodes[other].disk, "shard-0/log/00000001.log", 2048, 0xff), 0);
    cluster_submit(&c, leader, 50);
    cluster_run(&c, 500);
    cluster_change(&c, leader, DRIVER_DEMOTE, other);
    cluster_checkpoint(&c, leader);
    cluster_copy_anew(&c, leader, other);
    cluster_open(&c, other);
    cluster_submit(&c, leader, 50);
    cluster_run(&c, 500);
    cr_assert_eq(c.nodes[other].now.digest, c.nodes[leader].now.digest);
    cluster_change(&c, leader, DRIVER_PROMOTE, other);
    cluster_run(&c, 200);
    cluster_close(&c, leader);
    uint64_t next = cluster_elect(&c);
    cr_assert(next == other || next == third);
    cluster_submit(&c, next, 50);
    cluster_run(&c, 200);
    cr_assert_eq(c.nodes[other].now.digest, c.nodes[third].now.digest);
    cluster_done(&c);
}

/* A node is added to two, and replaces one of them. The one that is removed hears of it. */
Test(driver_discard, a_new_node_takes_the_place_of_another)
{
    static struct cluster c;
    cluster_init_voters(&c, 3);
    uint64_t leader = cluster_elect(&c);
    uint64_t leaver = leader == 1 ? 2 : 1;
    cluster_submit(&c, leader, 20);
    cluster_change(&c, leader, DRIVER_ADD, 4);
    cluster_checkpoint(&c, leader);
    cluster_copy_anew(&c, leader, 4);
    cluster_open(&c, 4);
    cluster_run(&c, 300);
    cluster_change(&c, leader, DRIVER_PROMOTE, 4);
    cluster_run(&c, 100);
    cluster_change(&c, leader, DRIVER_REMOVE, leaver);
    cluster_run(&c, 200);
    cr_assert_eq(c.nodes[leaver].removed, 1u);
    cluster_submit(&c, leader, 20);
    cluster_run(&c, 2000);
    cr_assert_eq(cluster_elect(&c), leader, "nobody is disturbed");
    cr_assert_eq(c.nodes[4].now.digest, c.nodes[leader].now.digest);
    cr_assert_neq(c.nodes[leaver].now.digest, c.nodes[leader].now.digest);
    cluster_done(&c);
}
