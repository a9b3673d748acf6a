/* Recorded logs, replayed: replies, effects and state are what they were then, to the bit, whatever is checkpointed and restarted on the
 * way; and a store from then is read. The logs were made by golden/golden_make.c. v1 is of the release that had only version 1; v1_odd has
 * what only a build that knows more could misread. v2 uses all of version 2, v2_raised begins under version 1, and the others have few
 * features each. */

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fixture.h"
#include "golden_log.h"

struct replay {
    struct golden_log log;
    struct fixture f;
    uint64_t texts; /* As far as `texts_index`; replayed entries do not count again. */
    uint64_t texts_index;
    size_t deliveries_max; /* In one entry. */
    size_t ended_max;
};

static void replay_init(struct replay *replay, const char *name)
{
    *replay = (struct replay){0};
    cr_assert_eq(golden_log_read(&replay->log, GOLDEN_DIR, name), 0, GOLDEN_DIR "/%s", name);
    cr_assert_eq(replay->log.digests[replay->log.digests_len - 1].index, replay->log.len);
    fixture_init_empty(&replay->f);
}

static void replay_done(struct replay *replay)
{
    fixture_done(&replay->f);
    golden_log_done(&replay->log);
}

static const struct golden_digests *digests_at(const struct golden_log *log, uint64_t index)
{
    for (size_t i = 0; i < log->digests_len; i++) {
        if (log->digests[i].index == index) {
            return &log->digests[i];
        }
    }
    return NULL;
}

static void replay_compare(struct replay *replay)
{
    struct fixture *f = &replay->f;
    const struct golden_digests *digests = digests_at(&replay->log, f->index);
    if (digests == NULL) {
        return;
    }
    cr_assert_eq(machine_running_digest(f->machine), digests->running, "entry %" PRIu64 ": running digest", f->index);
    cr_assert_eq(fixture_digest(f), digests->machine, "entry %" PRIu64 ": digest of the state", f->index);
    if (replay->texts_index == f->index) {
        cr_assert_eq(replay->texts, digests->texts, "entry %" PRIu64 ": texts of replies", f->index);
    }
}

/* Applies entries up to that index. */
static void replay_to(struct replay *replay, uint64_t index)
{
    struct fixture *f = &replay->f;
    while (f->index < index) {
        cr_assert_eq(fixture_apply(f, slice_ref(replay->log.entries[f->index])), 0, "entry %" PRIu64, f->index + 1);
        if (f->index == replay->texts_index + 1) {
            replay->texts = golden_texts(replay->texts, &f->effects);
            replay->texts_index++;
        }
        size_t deliveries = fixture_count(f, EFFECT_DELIVER);
        size_t ended = fixture_count(f, EFFECT_SESSION_ENDED);
        replay->deliveries_max = deliveries > replay->deliveries_max ? deliveries : replay->deliveries_max;
        replay->ended_max = ended > replay->ended_max ? ended : replay->ended_max;
        replay_compare(replay);
    }
}

static void replay_plain(const char *name)
{
    struct replay replay;
    replay_init(&replay, name);
    replay_to(&replay, replay.log.len);
    replay_done(&replay);
}

/* The recording reaches what one entry may do. */
static void replay_to_the_limits(const char *name)
{
    struct replay replay;
    replay_init(&replay, name);
    replay_to(&replay, replay.log.len);
    cr_assert_eq(replay.deliveries_max, 16384u);
    cr_assert_eq(replay.ended_max, 256u);
    replay_done(&replay);
}

/* Checkpoints, some of which fail, and restarts that go back to the last one. */
static void replay_with_restarts(const char *name)
{
    struct replay replay;
    replay_init(&replay, name);
    unsigned step = 0;
    while (replay.f.index < replay.log.len) {
        uint64_t next = replay.f.index + 29;
        replay_to(&replay, next < replay.log.len ? next : replay.log.len);
        struct machine_checkpoint *checkpoint;
        cr_assert_eq(machine_checkpoint(replay.f.machine, (struct slice){0}, &checkpoint), 0);
        replay_to(&replay, replay.f.index + 7 < replay.log.len ? replay.f.index + 7 : replay.log.len);
        if (step % 5 == 1) {
            store_memory_disk_fail_write(replay.f.disk, ERR_IO);
        }
        machine_checkpoint_done(checkpoint, machine_checkpoint_write(checkpoint));
        if (step % 3 == 2) {
            fixture_crash(&replay.f);
        }
        step++;
    }
    fixture_reopen(&replay.f);
    replay_compare(&replay);
    replay_done(&replay);
}

/* Rows that a checkpoint of that release left in its store. */
static void load_rows(struct fixture *f, const char *name)
{
    char path[512];
    struct slice file;
    struct store *store;
    (void)snprintf(path, sizeof path, GOLDEN_DIR "/%s.rows", name);
    cr_assert_eq(golden_file_read(path, &file), 0, "%s", path);
    machine_close(f->machine);
    cr_assert_eq(store_memory_open(f->disk, &store), 0);
    for (size_t at = 0; at < file.len;) {
        size_t key_len = get_u32(file.data + at);
        size_t value_len = get_u32(file.data + at + 4);
        struct store_change change = {.kind = STORE_PUT,
                                      .key = slice_part(file, at + 8, key_len),
                                      .value = slice_part(file, at + 8 + key_len, value_len)};
        cr_assert_eq(store->ops->write(store, &change, 1), 0);
        at += 8 + key_len + value_len;
    }
    store->ops->close(store);
    slice_unref(&file);
    fixture_open(f);
}

/* The store is that of entry `index`. */
static void replay_from_store(const char *name, uint64_t index)
{
    struct replay replay;
    replay_init(&replay, name);
    load_rows(&replay.f, name);
    cr_assert_eq(replay.f.index, index);
    replay_compare(&replay);
    fixture_crash(&replay.f);
    replay_compare(&replay);
    replay_to(&replay, index + 150 < replay.log.len ? index + 150 : replay.log.len);
    fixture_reopen(&replay.f);
    replay_to(&replay, replay.log.len);
    replay_done(&replay);
}

Test(golden, version_1_is_what_it_was)
{
    replay_to_the_limits("v1");
}

Test(golden, version_1_is_what_it_was_with_restarts)
{
    replay_with_restarts("v1");
}

Test(golden, version_1_goes_on_from_its_store)
{
    replay_from_store("v1", 650);
}

Test(golden, version_1_takes_later_things_as_it_did)
{
    replay_to_the_limits("v1_odd");
}

Test(golden, version_1_takes_later_things_as_it_did_with_restarts)
{
    replay_with_restarts("v1_odd");
}

Test(golden, version_1_goes_on_from_a_store_after_later_things)
{
    replay_from_store("v1_odd", 650);
}

/* ---- Version 2 ---- */

static const char *const new_logs[] = {"v2", "v2_raised", "v2_few_1", "v2_few_2", "v2_few_3"};

Test(golden, version_2_is_what_it_was)
{
    for (size_t i = 0; i < sizeof new_logs / sizeof *new_logs; i++) {
        replay_plain(new_logs[i]);
    }
}

Test(golden, version_2_is_what_it_was_with_restarts)
{
    for (size_t i = 0; i < sizeof new_logs / sizeof *new_logs; i++) {
        replay_with_restarts(new_logs[i]);
    }
}

Test(golden, version_2_goes_on_from_its_store)
{
    replay_from_store("v2", 600);
    replay_from_store("v2_raised", 300);
    replay_from_store("v2_few_1", 150);
    replay_from_store("v2_few_2", 150);
    replay_from_store("v2_few_3", 150);
}

/* Every kind of command is in the recording, and most answers. */
Test(golden, version_2_is_recorded_with_all_commands)
{
    struct golden_log log;
    unsigned kinds[64] = {0};
    cr_assert_eq(golden_log_read(&log, GOLDEN_DIR, "v2"), 0);
    for (size_t i = 0; i < log.len; i++) {
        struct entry_command command;
        for (size_t offset = ENTRY_HEAD_LEN; entry_command_decode(log.entries[i], &offset, &command) == 0;) {
            Holdfast__Command *decoded = holdfast__command__unpack(NULL, command.header.len, command.header.data);
            cr_assert_not_null(decoded);
            kinds[decoded->kind_case]++;
            holdfast__command__free_unpacked(decoded, NULL);
        }
    }
    for (unsigned i = 0; i < holdfast__command__descriptor.n_fields; i++) {
        cr_assert_gt(kinds[holdfast__command__descriptor.fields[i].id], 0u, "%s",
                     holdfast__command__descriptor.fields[i].name);
    }
    golden_log_done(&log);
}
