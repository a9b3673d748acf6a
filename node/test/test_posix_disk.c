/* The posix disk does on real files what disk.h says. */

#include "node/posix_disk.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "node/posix_disk_private.h"
#include "proto/base/check.h"
#include "proto/base/limits.h"
#include "temp_dir.h"

static struct temp_dir dir;
static uv_loop_t loop;
static struct posix_disk *posix;
static struct disk *disk;

struct test_journal {
    struct journal base;
    char text[1100];
};

static void test_journal_write(struct journal *base, enum journal_level level, const char *subject, const char *text)
{
    struct test_journal *journal = container_of(base, struct test_journal, base);
    (void)level;
    (void)subject;
    snprintf(journal->text, sizeof journal->text, "%s", text);
}

static struct test_journal journal = {.base = {.level = JOURNAL_DEBUG, .write = test_journal_write}};

static void setup(void)
{
    temp_dir_make(&dir);
    cr_assert_eq(uv_loop_init(&loop), 0);
    struct posix_disk_options options = {.loop = &loop, .journal = &journal.base, .root = dir.path};
    cr_assert_eq(posix_disk_open(&options, &posix), 0);
    disk = posix_disk_base(posix);
}

static void teardown(void)
{
    posix_disk_close(posix);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&loop), 0);
    temp_dir_remove(&dir);
}

TestSuite(posix_disk, .init = setup, .fini = teardown);

static struct disk_file *create(const char *path)
{
    struct disk_file *file;
    cr_assert_eq(disk->ops->open(disk, path, DISK_CREATE, &file), 0);
    return file;
}

Test(posix_disk, reads_what_was_written)
{
    char text[16];
    size_t got;
    uint64_t size;
    struct disk_file *file = create("a");
    cr_assert_eq(disk->ops->write(file, 3, "hello", 5), 0);
    cr_assert_eq(disk->ops->sync(file), 0);
    cr_assert_eq(disk->ops->read(file, 1, text, sizeof text, &got), 0);
    cr_assert_eq(got, 7u, "short at the end");
    cr_assert_eq(memcmp(text, "\0\0hello", 7), 0);
    cr_assert_eq(disk->ops->size(file, &size), 0);
    cr_assert_eq(size, 8u);
    cr_assert_eq(disk->ops->truncate(file, 4), 0);
    cr_assert_eq(disk->ops->size(file, &size), 0);
    cr_assert_eq(size, 4u);
    disk->ops->close(file);
}

/* Pages of a file that the system keeps. */
static unsigned cached_pages(const char *name, size_t len)
{
    char path[256];
    unsigned char pages[64] = {0};
    unsigned count = 0;
    snprintf(path, sizeof path, "%s/%s", dir.path, name);
    int fd = open(path, O_RDONLY);
    cr_assert_geq(fd, 0);
    void *map = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
    cr_assert(map != MAP_FAILED && len <= sizeof pages * 4096);
    cr_assert_eq(mincore(map, len, pages), 0);
    cr_assert_eq(munmap(map, len), 0);
    cr_assert_eq(close(fd), 0);
    for (unsigned i = 0; i < sizeof pages; i++) {
        count += pages[i] & 1;
    }
    return count;
}

Test(posix_disk, what_is_read_uncached_comes_from_the_device_and_does_not_stay)
{
    static uint8_t written[10 * 4096];
    static uint8_t found[10 * 4096];
    struct statfs info;
    struct disk_file *file = create("file");
    size_t got;
    for (size_t i = 0; i < sizeof written; i++) {
        written[i] = (uint8_t)(i * 7 + i / 300);
    }
    cr_assert_eq(disk->ops->write(file, 0, written, sizeof written), 0);
    cr_assert_eq(disk->ops->sync(file), 0);
    disk->ops->close(file);
    cr_assert_eq(disk->ops->open(disk, "file", DISK_READ_ONLY | DISK_UNCACHED, &file), 0);
    cr_assert_eq(disk->ops->read(file, 700, found, sizeof found, &got), 0);
    cr_assert_eq(got, sizeof written - 700);
    cr_assert_eq(memcmp(found, written + 700, got), 0);
    disk->ops->close(file);
    cr_assert_eq(statfs(dir.path, &info), 0);
    bool memory = info.f_type == TMPFS_MAGIC || info.f_type == RAMFS_MAGIC;
    cr_assert(memory || cached_pages("file", sizeof written) == 0);
}

Test(posix_disk, with_too_many_files_open_nothing_is_wrong_with_the_disk)
{
    struct rlimit few;
    struct disk_file *files[4];
    unsigned opened = 0;
    int err = 0;
    disk->ops->close(create("file"));
    int next = dup(0);
    cr_assert_geq(next, 0);
    cr_assert_eq(close(next), 0);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &few), 0);
    few.rlim_cur = (rlim_t)next + 2;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    while (err == 0 && opened < 4) {
        err = disk->ops->open(disk, "file", DISK_READ_ONLY, &files[opened]);
        opened += err == 0;
    }
    cr_assert_eq(err, ERR_NOMEM, "%d", err);
    while (opened > 0) {
        disk->ops->close(files[--opened]);
    }
}

Test(posix_disk, says_what_is_missing_or_there)
{
    struct disk_file *file = NULL;
    cr_assert_eq(disk->ops->open(disk, "none", DISK_READ_ONLY, &file), ERR_NOT_FOUND);
    cr_assert_null(file);
    disk->ops->close(create("a"));
    cr_assert_eq(disk->ops->open(disk, "a", DISK_CREATE | DISK_EXCLUSIVE, &file), ERR_EXISTS);
    cr_assert_eq(disk->ops->remove(disk, "a"), 0);
    cr_assert_eq(disk->ops->remove(disk, "a"), ERR_NOT_FOUND);
}

static void collect(void *arg, const char *name)
{
    char *names = arg;
    strcat(names, name);
    strcat(names, " ");
}

Test(posix_disk, lists_names_in_order)
{
    char names[128] = "";
    cr_assert_eq(disk->ops->make_dir(disk, "x/y"), 0);
    cr_assert_eq(disk->ops->make_dir(disk, "x/y"), 0, "again is fine");
    disk->ops->close(create("x/y/00000010.log"));
    disk->ops->close(create("x/y/00000009.log"));
    disk->ops->close(create("x/y/aside"));
    cr_assert_eq(disk->ops->rename(disk, "x/y/aside", "x/y/00000001.log"), 0);
    cr_assert_eq(disk->ops->sync_dir(disk, "x/y"), 0);
    cr_assert_eq(disk->ops->list(disk, "x/y", collect, names), 0);
    cr_assert_str_eq(names, "00000001.log 00000009.log 00000010.log ");
    cr_assert_eq(disk->ops->list(disk, "x/none", collect, names), ERR_NOT_FOUND);
}

Test(posix_disk, removes_a_directory_when_it_is_empty)
{
    char names[128] = "";
    cr_assert_eq(disk->ops->remove_dir(disk, "x"), ERR_NOT_FOUND);
    cr_assert_eq(disk->ops->make_dir(disk, "x/y"), 0);
    disk->ops->close(create("x/y/a"));
    cr_assert_eq(disk->ops->remove_dir(disk, "x/y"), ERR_IO, "not empty");
    cr_assert_eq(disk->ops->remove_dir(disk, "x/y/a"), ERR_IO, "a file");
    cr_assert_eq(disk->ops->remove(disk, "x/y"), ERR_IO, "nor is it removed in the place of a file");
    cr_assert_eq(disk->ops->remove(disk, "x/y/a"), 0);
    cr_assert_eq(disk->ops->remove_dir(disk, "x/y"), 0);
    cr_assert_eq(disk->ops->list(disk, "x", collect, names), 0);
    cr_assert_str_eq(names, "");
    cr_assert_eq(disk->ops->list(disk, "x/y", collect, names), ERR_NOT_FOUND);
}

static void place_path(char out[256], const char *name)
{
    snprintf(out, 256, "%s/%s", dir.path, name);
}

static int open_as(const char *name, unsigned flags)
{
    struct disk_file *file = NULL;
    journal.text[0] = '\0';
    int err = disk->ops->open(disk, name, flags, &file);
    disk->ops->close(file);
    return err;
}

Test(posix_disk, what_is_no_file_is_damage_and_is_not_waited_for)
{
    static const unsigned flags[] = {0, DISK_READ_ONLY, DISK_READ_ONLY | DISK_UNCACHED, DISK_CREATE};
    static const char *const names[] = {"directory", "pipe", "socket", "nowhere", "circle"};
    static const enum temp_kind kinds[] = {TEMP_DIRECTORY, TEMP_PIPE, TEMP_SOCKET, TEMP_LINK_TO_NOWHERE,
                                           TEMP_LINK_TO_ITSELF};
    char path[256];
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        place_path(path, names[i]);
        temp_put(path, kinds[i]);
    }
    for (unsigned i = 0; i < ARRAY_LEN(flags) * ARRAY_LEN(names); i++) {
        const char *name = names[i % ARRAY_LEN(names)];
        cr_assert_eq(open_as(name, flags[i / ARRAY_LEN(names)]), ERR_CORRUPT, "%s, %u", name, i);
        const char *what = i % ARRAY_LEN(names) < 3 ? ": it is not a file" : ": it is a link that leads nowhere";
        cr_assert(strstr(journal.text, name) != NULL && strstr(journal.text, what) != NULL, "%s", journal.text);
    }
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        cr_assert_eq(disk->ops->remove(disk, names[i]), 0, "an empty directory makes way too");
        cr_assert_eq(open_as(names[i], DISK_CREATE), 0);
    }
}

Test(posix_disk, a_file_takes_the_place_of_an_empty_directory_and_of_no_other)
{
    disk->ops->close(create("a"));
    cr_assert_eq(disk->ops->make_dir(disk, "empty"), 0);
    cr_assert_eq(disk->ops->make_dir(disk, "used/x"), 0);
    cr_assert_eq(disk->ops->rename(disk, "a", "used"), ERR_IO);
    cr_assert_not_null(strstr(journal.text, "/used: Directory not empty"), "%s", journal.text);
    cr_assert_eq(disk->ops->rename(disk, "a", "empty"), 0);
    cr_assert_eq(open_as("empty", 0), 0);
    cr_assert_eq(open_as("a", 0), ERR_NOT_FOUND);
}

/* The memory of this process, where there is none. */
Test(posix_disk, what_the_device_cannot_give_back_is_damage)
{
    uint8_t bytes[100];
    size_t got = 0;
    char path[256];
    struct disk_file *file;
    place_path(path, "unreadable");
    cr_assert_eq(symlink("/proc/self/mem", path), 0);
    cr_assert_eq(disk->ops->open(disk, "unreadable", DISK_READ_ONLY, &file), 0);
    cr_assert_eq(disk->ops->read(file, 0, bytes, sizeof bytes, &got), ERR_CORRUPT);
    cr_assert_not_null(strstr(journal.text, "/unreadable: Input/output error"), "%s", journal.text);
    disk->ops->close(file);
    cr_assert_eq(disk->ops->open(disk, "unreadable", 0, &file), 0);
    cr_assert_eq(disk->ops->write(file, 0, bytes, sizeof bytes), ERR_IO, "a write that fails ends the process");
    disk->ops->close(file);
}

Test(posix_disk, a_link_to_nowhere_is_no_directory_and_is_named)
{
    char path[256];
    place_path(path, "shard");
    cr_assert_eq(symlink("nowhere", path), 0);
    cr_assert_eq(disk->ops->make_dir(disk, "shard"), ERR_IO);
    cr_assert_not_null(strstr(journal.text, "/shard"), "%s", journal.text);
    cr_assert_eq(disk->ops->make_dir(disk, "shard/log"), ERR_IO);
    cr_assert_not_null(strstr(journal.text, "/shard"), "%s", journal.text);
}

Test(posix_disk, allocates_zeroes_and_never_shrinks)
{
    uint8_t bytes[4096];
    size_t got;
    uint64_t size;
    struct disk_file *file = create("a");
    cr_assert_eq(disk->ops->write(file, 0, "hello", 5), 0);
    cr_assert_eq(disk->ops->allocate(file, 100000), 0);
    cr_assert_eq(disk->ops->size(file, &size), 0);
    cr_assert_eq(size, 100000u);
    cr_assert_eq(disk->ops->read(file, 90000, bytes, sizeof bytes, &got), 0);
    for (size_t i = 0; i < got; i++) {
        cr_assert_eq(bytes[i], 0u);
    }
    cr_assert_eq(disk->ops->allocate(file, 10), 0);
    cr_assert_eq(disk->ops->size(file, &size), 0);
    cr_assert_eq(size, 100000u);
    cr_assert_eq(disk->ops->read(file, 0, bytes, 5, &got), 0);
    cr_assert_eq(memcmp(bytes, "hello", 5), 0);
    disk->ops->close(file);
}

/* A disk of 8 MiB in the place of the test's directory, which this process alone sees. The kernel unmounts it when the
 * process is gone. */
static struct posix_disk *small_disk_open(const char *path)
{
    struct posix_disk *small;
    struct posix_disk_options options = {.loop = &loop, .journal = &journal.base, .root = path};
    cr_assert_eq(unshare(CLONE_NEWNS), 0, "a mount namespace is needed (CAP_SYS_ADMIN)");
    cr_assert_eq(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    cr_assert_eq(mount("none", path, "tmpfs", 0, "size=8m"), 0);
    cr_assert_eq(posix_disk_open(&options, &small), 0);
    return small;
}

static uint64_t free_of(struct disk *of)
{
    uint64_t len;
    cr_assert_eq(of->ops->free_space(of, &len), 0);
    return len;
}

Test(posix_disk, what_does_not_fit_is_not_reserved)
{
    uint64_t size;
    struct disk_file *file;
    struct posix_disk *small_posix = small_disk_open(dir.path);
    struct disk *small = posix_disk_base(small_posix);
    cr_assert_eq(small->ops->open(small, "a", DISK_CREATE, &file), 0);
    uint64_t free_len = free_of(small);
    cr_assert_leq(free_len, 8 * MIB);
    cr_assert_geq(free_len, 7 * MIB);
    cr_assert_eq(small->ops->allocate(file, MIB), 0);
    cr_assert_eq(free_of(small), free_len - MIB);
    journal.text[0] = 0;
    cr_assert_eq(small->ops->allocate(file, 9 * MIB), ERR_NO_SPACE);
    cr_assert(strstr(journal.text, "allocate ") != NULL && strstr(journal.text, "/a: ") != NULL, "%s", journal.text);
    cr_assert_eq(small->ops->size(file, &size), 0);
    cr_assert_eq(size, MIB);
    cr_assert_eq(free_of(small), free_len - MIB, "what was taken is given back");
    journal.text[0] = 0;
    cr_assert_eq(small->ops->allocate(file, 9 * MIB), ERR_NO_SPACE);
    cr_assert_str_eq(journal.text, "", "said once, not at every attempt");
    cr_assert_eq(small->ops->allocate(file, 7 * MIB), 0);
    small->ops->close(file);
    posix_disk_close(small_posix);
    (void)uv_run(&loop, UV_RUN_NOWAIT);
    cr_assert_eq(umount2(dir.path, MNT_DETACH), 0);
}

struct test_append {
    struct disk_append base;
    unsigned *done;
    unsigned place; /* The how manieth to be done; 0: not yet. */
    int err;
};

static void append_done(struct disk_append *base, int err)
{
    struct test_append *append = container_of(base, struct test_append, base);
    append->place = ++*append->done;
    append->err = err;
}

Test(posix_disk, appends_complete_in_order_on_the_loop)
{
    enum { COUNT = 50, VECTORS = 700, PART = 3 };
    static char text[VECTORS * PART + 1];
    static char back[sizeof text];
    static struct disk_vector vectors[VECTORS];
    static struct test_append appends[COUNT];
    unsigned done = 0;
    struct disk_file *file = create("log");
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = (char)('a' + i % 23);
    }
    for (size_t i = 0; i < VECTORS; i++) {
        vectors[i] = (struct disk_vector){.data = text + i * PART, .len = i == 5 ? 0 : PART};
    }
    size_t len = (VECTORS - 1) * PART;
    for (unsigned i = 0; i < COUNT; i++) {
        appends[i] = (struct test_append){
            .base = {.file = file, .offset = i * len, .vectors = vectors, .vectors_len = VECTORS, .done = append_done},
            .done = &done,
        };
        disk->ops->append(disk, &appends[i].base);
        cr_assert_eq(done, 0u, "never from within the call");
    }
    while (done < COUNT) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        size_t got;
        cr_assert_eq(appends[i].err, 0);
        cr_assert_eq(appends[i].place, i + 1);
        cr_assert_eq(disk->ops->read(file, i * len, back, len, &got), 0);
        cr_assert_eq(got, len);
        cr_assert_eq(memcmp(back, text, 5 * PART), 0);
        cr_assert_eq(memcmp(back + 5 * PART, text + 6 * PART, len - 5 * PART), 0);
    }
    disk->ops->close(file);
}

static void append_wait(struct test_append *append)
{
    unsigned done = 0;
    append->done = &done;
    append->base.done = append_done;
    disk->ops->append(disk, &append->base);
    while (done == 0) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    cr_assert_eq(append->err, 0);
}

/* What is whole sectors goes past the system's cache, and what is not, through it: both see what the other has written,
 * also where the cache had something else of the same page. */
Test(posix_disk, appends_past_the_cache_are_what_is_read)
{
    enum { LEN = 3 * MIB + 512, VECTORS = 7 };
    static uint8_t data[LEN];
    static uint8_t back[LEN];
    struct disk_vector vectors[VECTORS];
    const size_t offsets[] = {0, 512, 4096 - 512, 2 * MIB + 1536, 3 * MIB + 7};
    struct disk_file *file = create("log");
    int fd = open(dir.path, O_TMPFILE | O_WRONLY | O_DIRECT, 0600);
    cr_assert_eq(posix_disk_is_direct(posix), fd >= 0);
    (void)close(fd);
    cr_assert_eq(disk->ops->allocate(file, 8 * MIB), 0);
    for (size_t round = 0; round < ARRAY_LEN(offsets); round++) {
        size_t got;
        cr_assert_eq(disk->ops->read(file, 0, back, 8192, &got), 0, "pages of the cache");
        for (size_t i = 0; i < LEN; i++) {
            data[i] = (uint8_t)(i * 31 / 7 + round);
        }
        size_t at = 0;
        for (unsigned i = 0; i < VECTORS; i++) {
            size_t len = i + 1 < VECTORS ? LEN / 9 + i : LEN - at;
            vectors[i] = (struct disk_vector){.data = data + at, .len = len};
            at += len;
        }
        struct test_append append = {
            .base = {.file = file, .offset = offsets[round], .vectors = vectors, .vectors_len = VECTORS}};
        append_wait(&append);
        cr_assert_eq(disk->ops->read(file, offsets[round], back, LEN, &got), 0);
        cr_assert_eq(got, (size_t)LEN);
        cr_assert_eq(memcmp(back, data, LEN), 0, "round %zu", round);
    }
    disk->ops->close(file);
}

Test(posix_disk, zeroes_ahead_leave_what_is_before_and_behind)
{
    static uint8_t back[2 * MIB];
    uint8_t data[512];
    size_t got;
    memset(data, 7, sizeof data);
    struct disk_vector vector = {.data = data, .len = sizeof data};
    struct disk_file *file = create("log");
    cr_assert_eq(disk->ops->allocate(file, sizeof back), 0);
    struct test_append before = {.base = {.file = file, .offset = 4096 - 512, .vectors = &vector, .vectors_len = 1}};
    append_wait(&before);
    struct test_append behind = {.base = {.file = file, .offset = MIB + 8192, .vectors = &vector, .vectors_len = 1}};
    append_wait(&behind);
    struct test_append zeroes = {.base = {.file = file, .offset = 4096, .zeroes_len = MIB + 4096, .skip_sync = true}};
    append_wait(&zeroes);
    cr_assert_eq(disk->ops->read(file, 0, back, sizeof back, &got), 0);
    cr_assert_eq(got, sizeof back);
    for (size_t i = 0; i < sizeof back; i++) {
        bool ours = (i >= 4096 - 512 && i < 4096) || (i >= MIB + 8192 && i < MIB + 8192 + 512);
        cr_assert_eq(back[i], ours ? 7 : 0, "%zu", i);
    }
    disk->ops->close(file);
}

struct test_task {
    struct disk_task base;
    uv_thread_t thread;
    int err;
    bool done;
};

static int task_run(struct disk_task *base)
{
    struct test_task *task = container_of(base, struct test_task, base);
    struct disk_file *file;
    task->thread = uv_thread_self();
    int err = disk->ops->open(disk, "from-task", DISK_CREATE, &file);
    if (err == 0) {
        disk->ops->close(file);
    }
    return err == 0 ? ERR_STALE : err; /* A code that nothing else returns here. */
}

static void task_done(struct disk_task *base, int err)
{
    struct test_task *task = container_of(base, struct test_task, base);
    task->err = err;
    task->done = true;
}

Test(posix_disk, tasks_run_elsewhere_and_are_done_here)
{
    struct test_task task = {.base = {.run = task_run, .done = task_done}};
    disk->ops->offload(disk, &task.base);
    while (!task.done) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    uv_thread_t self = uv_thread_self();
    cr_assert_eq(uv_thread_equal(&task.thread, &self), 0);
    cr_assert_eq(task.err, ERR_STALE);
    disk->ops->close(create("from-task"));
}

Test(posix_disk, a_failed_append_says_call_file_and_reason)
{
    unsigned done = 0;
    char data[4096] = {0};
    struct disk_vector vector = {.data = data, .len = sizeof data};
    struct disk_file *file;
    disk->ops->close(create("log"));
    cr_assert_eq(disk->ops->open(disk, "log", DISK_READ_ONLY, &file), 0);
    struct test_append append = {
        .base = {.file = file, .vectors = &vector, .vectors_len = 1, .done = append_done},
        .done = &done,
    };
    disk->ops->append(disk, &append.base);
    while (done == 0) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    cr_assert_eq(append.err, ERR_IO);
    cr_assert(strstr(journal.text, "write ") != NULL && strstr(journal.text, "/log: ") != NULL, "%s", journal.text);
    disk->ops->close(file);
}

Test(posix_disk, a_full_device_is_no_space)
{
    struct disk_file *file = create("full");
    int device = open("/dev/full", O_RDWR | O_CLOEXEC);
    cr_assert(device >= 0 && dup2(device, posix_file_of(file)->fd) >= 0); /* A device itself is not opened. */
    cr_assert_eq(disk->ops->write(file, 0, "x", 1), ERR_NO_SPACE);
    cr_assert_not_null(strstr(journal.text, strerror(ENOSPC)), "%s", journal.text);
    disk->ops->close(file);
    cr_assert_eq(close(device), 0);
}

Test(posix_disk, a_missing_root_is_refused)
{
    struct posix_disk *none = NULL;
    struct posix_disk_options options = {.loop = &loop, .journal = &journal.base, .root = "/tmp/none/such"};
    cr_assert_eq(posix_disk_open(&options, &none), ERR_NOT_FOUND);
    cr_assert_null(none);
}
