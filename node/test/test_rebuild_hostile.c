/* A source that lies makes the sink neither write elsewhere, nor take what it did not ask for, nor ask for ever. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "rebuild_pair.h"

static struct pair pair;

static void setup(void)
{
    pair_start(&pair, 1);
}

static void teardown(void)
{
    pair_stop(&pair);
}

TestSuite(rebuild_hostile, .init = setup, .fini = teardown);

static int tell_opened(uint64_t copy, const char *const *names, const uint64_t *sizes, size_t len)
{
    Holdfast__RebuildOpened opened = HOLDFAST__REBUILD_OPENED__INIT;
    Holdfast__PeerRebuild message = HOLDFAST__PEER_REBUILD__INIT;
    Holdfast__RebuildFile files[4];
    Holdfast__RebuildFile *pointers[4];
    for (size_t i = 0; i < len; i++) {
        files[i] = (Holdfast__RebuildFile)HOLDFAST__REBUILD_FILE__INIT;
        files[i].name = (char *)(uintptr_t)names[i];
        files[i].size = sizes[i];
        pointers[i] = &files[i];
    }
    opened.copy = copy;
    opened.index = 7;
    opened.term = 1;
    opened.n_files = len;
    opened.files = pointers;
    message.kind_case = HOLDFAST__PEER_REBUILD__KIND_OPENED;
    message.opened = &opened;
    struct frame frame = pair_frame(&message, (struct slice){0});
    int err = rebuild_sink_receive(pair.sink, PAIR_SOURCE, &frame);
    pair_frame_done(&frame);
    return err;
}

static int tell_file(const char *name, uint64_t size)
{
    return tell_opened(5, &name, &size, 1);
}

static void expect_nothing_written(void)
{
    cr_assert_eq(sim_disk_pending(pair.sink_disk), 0u);
    cr_assert_eq(pair_incoming_there(&pair), 0u);
    cr_assert_eq(pair_files_below(pair.sink_disk, ""), 1u);
}

Test(rebuild_hostile, the_sink_takes_no_name_that_leads_elsewhere)
{
    static const char *const bad[] = {"",         ".",    "..",    "a/b",         "../state/rows", "/etc/passwd",
                                      "a..b",     "a\\b", "a b",   "000001.part", ".part",         "a\nb",
                                      "\xc3\xa4", "a:b",  "%s%n%n"};
    char longest[REBUILD_FILE_NAME_LEN_MAX + 2];
    memset(longest, 'x', sizeof longest);
    longest[REBUILD_FILE_NAME_LEN_MAX + 1] = '\0';
    rebuild_sink_want(pair.sink, PAIR_SOURCE);
    rebuild_sink_step(pair.sink);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_eq(tell_file(bad[i], 1), ERR_BROKEN, "%s", bad[i]);
    }
    cr_assert_eq(tell_file(longest, 1), ERR_BROKEN);
    expect_nothing_written();
    longest[REBUILD_FILE_NAME_LEN_MAX] = '\0';
    cr_assert_eq(tell_file(longest, 1), 0);
    cr_assert_eq(sim_disk_pending(pair.sink_disk), 1u);
}

Test(rebuild_hostile, the_sink_takes_no_list_that_makes_no_sense)
{
    static const char *const twice[] = {"a", "b", "a"};
    static const uint64_t small[] = {1, 1, 1};
    static const uint64_t large[] = {REBUILD_BYTES_MAX / 2, REBUILD_BYTES_MAX / 2, 1};
    static const char *const names[] = {"a", "b", "c"};
    rebuild_sink_want(pair.sink, PAIR_SOURCE);
    cr_assert_eq(tell_opened(5, names, small, 3), 0, "nobody has asked");
    expect_nothing_written();
    rebuild_sink_step(pair.sink);
    cr_assert_eq(tell_opened(5, twice, small, 3), ERR_BROKEN);
    cr_assert_eq(tell_opened(5, names, large, 3), ERR_BROKEN);
    cr_assert_eq(tell_file("a", UINT64_MAX), ERR_BROKEN);
    cr_assert_eq(tell_opened(0, names, small, 3), ERR_BROKEN);
    cr_assert_eq(tell_opened(5, names, small, 0), ERR_BROKEN);
    expect_nothing_written();
}

/* Not a lie, but the same end: there is no path for it. */
Test(rebuild_hostile, the_sink_takes_no_copy_for_which_it_has_no_path)
{
    static char dir[241];
    memset(dir, 'd', sizeof dir - 1);
    struct disk *disk = sim_disk_ops(pair.sink_disk);
    cr_assert_eq(disk->ops->make_dir(disk, dir), 0);
    rebuild_sink_close(pair.sink);
    pair.sink_options.dir = dir;
    cr_assert_eq(rebuild_sink_open(&pair.sink_options, &pair.sink), 0);
    rebuild_sink_want(pair.sink, PAIR_SOURCE);
    rebuild_sink_step(pair.sink);
    cr_assert_eq(tell_file("a", 10), 0);
    cr_assert_eq(tell_file("a", 10), 0);
    expect_nothing_written();
}

/* The state that this node works with was a copy of that number, once: nobody else has a say in what is in it. */
Test(rebuild_hostile, the_sink_takes_no_copy_that_would_come_where_its_own_state_is)
{
    static const char dir[] = PAIR_DIR "/incoming-1-0000000000000005";
    static const char row[] = "the only one";
    struct disk *disk = sim_disk_ops(pair.sink_disk);
    struct disk_file *file;
    const uint8_t *data;
    uint64_t len;
    cr_assert_eq(disk->ops->make_dir(disk, dir), 0);
    cr_assert_eq(disk->ops->open(disk, PAIR_DIR "/incoming-1-0000000000000005/000001.sst", DISK_CREATE, &file), 0);
    cr_assert_eq(disk->ops->write(file, 0, row, sizeof row), 0);
    disk->ops->close(file);
    cr_assert_eq(state_dir_switch(disk, PAIR_DIR, "incoming-1-0000000000000005"), 0);
    rebuild_sink_close(pair.sink);
    cr_assert_eq(rebuild_sink_open(&pair.sink_options, &pair.sink), 0);
    rebuild_sink_want(pair.sink, PAIR_SOURCE);
    rebuild_sink_step(pair.sink);
    cr_assert_eq(tell_file("a", 1), ERR_BROKEN);
    cr_assert_eq(sim_disk_pending(pair.sink_disk), 0u);
    sim_disk_complete_all(pair.sink_disk);
    cr_assert_eq(sim_disk_content(pair.sink_disk, PAIR_DIR "/incoming-1-0000000000000005/000001.sst", &data, &len), 0);
    cr_assert(len == sizeof row && memcmp(data, row, len) == 0);
}

static int tell_part(uint32_t file, uint64_t offset, uint64_t checksum, size_t len)
{
    static const uint8_t body[64];
    Holdfast__RebuildPart part = HOLDFAST__REBUILD_PART__INIT;
    Holdfast__PeerRebuild message = HOLDFAST__PEER_REBUILD__INIT;
    part.copy = 5;
    part.file = file;
    part.offset = offset;
    part.checksum = checksum;
    message.kind_case = HOLDFAST__PEER_REBUILD__KIND_PART;
    message.part = &part;
    struct frame frame = pair_frame(&message, (struct slice){.data = body, .len = len});
    int err = rebuild_sink_receive(pair.sink, PAIR_SOURCE, &frame);
    pair_frame_done(&frame);
    return err;
}

Test(rebuild_hostile, the_sink_takes_no_part_that_it_has_not_asked_for)
{
    rebuild_sink_want(pair.sink, PAIR_SOURCE);
    rebuild_sink_step(pair.sink);
    cr_assert_eq(tell_file("a", 10), 0);
    sim_disk_complete_all(pair.sink_disk);
    rebuild_sink_step(pair.sink);
    cr_assert_eq(tell_part(1, 0, 0, 10), 0);
    cr_assert_eq(tell_part(4000000000u, 0, 0, 10), 0);
    cr_assert_eq(tell_part(0, 1, 0, 10), 0);
    cr_assert_eq(tell_part(0, UINT64_MAX, 0, 10), 0);
    cr_assert_eq(tell_part(0, 0, 0, 9), ERR_BROKEN, "shorter than what was asked for");
    cr_assert_eq(tell_part(0, 0, 0, 11), ERR_BROKEN, "longer");
    rebuild_sink_step(pair.sink);
    cr_assert_eq(sim_disk_pending(pair.sink_disk), 0u);
}

/* The same copy cannot have other files than before: another one is asked for. */
Test(rebuild_hostile, the_sink_notices_that_a_copy_is_not_what_it_was)
{
    static const uint64_t sizes[] = {10, 11};
    for (unsigned again = 0; again < 2; again++) {
        pair_stop(&pair);
        pair_start(&pair, 1);
        rebuild_sink_want(pair.sink, PAIR_SOURCE);
        rebuild_sink_step(pair.sink);
        cr_assert_eq(tell_file("a", 10), 0);
        sim_disk_complete_all(pair.sink_disk);
        rebuild_sink_step(pair.sink);
        pair.now_ms += REBUILD_SINK_GIVE_UP_MS;
        rebuild_sink_step(pair.sink); /* Nobody has answered. */
        pair.now_ms += 1000;
        rebuild_sink_step(pair.sink);
        cr_assert_eq(tell_file("a", sizes[again]), again == 0 ? 0 : ERR_BROKEN);
        cr_assert_eq(sim_disk_pending(pair.sink_disk), 0u);
        pair_disconnect(&pair);
        pair_run(&pair);
        pair_expect_copy(&pair);
    }
}

/* All parts are damaged: it is not asked again and again at full speed. */
Test(rebuild_hostile, the_sink_turns_away_from_a_source_that_damages_everything)
{
    unsigned asked = 0;
    uint64_t from_ms = pair.now_ms;
    rebuild_sink_want(pair.sink, PAIR_SOURCE);
    while (pair.now_ms < from_ms + 60000) {
        for (unsigned i = 0; i < pair.answers.len; i++) {
            struct slice body = pair.answers.frames[i].body;
            if (body.len > 0 && asked++ < 100000) {
                ((uint8_t *)(uintptr_t)body.data)[0] ^= 1;
                cr_assert(pair_carry_answer(&pair));
                break;
            }
        }
        pair_run_one(&pair);
    }
    cr_assert_eq(pair.readies, 0u);
    cr_assert_gt(asked, 10u);
    cr_assert_lt(asked, 1000u);
}

Test(rebuild_hostile, anything_may_be_in_a_frame)
{
    uint64_t copy = pair_open_copy(&pair, 0);
    rebuild_sink_want(pair.sink, PAIR_SOURCE);
    for (unsigned i = 0; i < 20000; i++) {
        Holdfast__RebuildOpened opened = HOLDFAST__REBUILD_OPENED__INIT;
        Holdfast__PeerRebuild message = HOLDFAST__PEER_REBUILD__INIT;
        Holdfast__RebuildFile file = HOLDFAST__REBUILD_FILE__INIT;
        Holdfast__RebuildFile *files = &file;
        file.name = (char *)(uintptr_t) "000001.sst";
        file.size = 10;
        opened.copy = copy;
        opened.index = 1;
        opened.n_files = 1;
        opened.files = &files;
        message.kind_case = HOLDFAST__PEER_REBUILD__KIND_OPENED;
        message.opened = &opened;
        struct frame frame = pair_frame(&message, (struct slice){0});
        for (unsigned flips = 0; flips <= i % 4; flips++) {
            uint8_t *bytes = (uint8_t *)(uintptr_t)frame.header.data;
            bytes[pair_random(&pair, frame.header.len)] = (uint8_t)pair_random(&pair, 256);
        }
        int sink_err = rebuild_sink_receive(pair.sink, PAIR_SOURCE, &frame);
        int source_err = rebuild_source_receive(pair.source, PAIR_SINK, &frame);
        cr_assert(sink_err == 0 || sink_err == ERR_BROKEN);
        cr_assert(source_err == 0 || source_err == ERR_BROKEN);
        pair_frame_done(&frame);
        rebuild_sink_step(pair.sink);
        sim_disk_complete_all(pair.sink_disk);
        sim_disk_complete_all(pair.source_disk);
    }
}
