/* The machine and its clients: see the header. */

#include "bench.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "statemachine/store/store_rocksdb.h"

static double seconds_of(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

double bench_thread_seconds(void)
{
    return seconds_of(CLOCK_THREAD_CPUTIME_ID);
}

double bench_process_seconds(void)
{
    return seconds_of(CLOCK_PROCESS_CPUTIME_ID);
}

size_t bench_resident(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%*u %lu", &pages) == 1);
    (void)fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

void bench_watch(struct bench *bench)
{
    bench->apply_worst = bench->loop_worst = 0;
}

static struct slice bench_entry(const struct bench *bench, uint64_t session, const Holdfast__Command *command,
                                const void *bodies, size_t bodies_len)
{
    size_t header_len = command != NULL ? holdfast__command__get_packed_size(command) : 0;
    size_t head_len = command != NULL ? ENTRY_COMMAND_HEAD_LEN : 0;
    struct blob *blob = blob_new(ENTRY_HEAD_LEN + head_len + header_len + bodies_len);
    CHECK(blob != NULL);
    struct entry_head head = {.machine_version = (uint16_t)bench->version,
                              .time_ms = bench->time_ms,
                              .commands = command != NULL ? 1 : 0,
                              .len = (uint32_t)(blob->len - ENTRY_HEAD_LEN)};
    entry_head_encode(&head, blob->data);
    if (command != NULL) {
        struct entry_command from = {.session = session, .attachment = session != 0, .header.len = header_len};
        from.number = session != 0 ? bench->number : 0;
        from.answered = session != 0 ? bench->number - 1 : 0;
        from.bodies.len = bodies_len;
        entry_command_head_encode(&from, blob->data + ENTRY_HEAD_LEN);
        holdfast__command__pack(command, blob->data + ENTRY_HEAD_LEN + ENTRY_COMMAND_HEAD_LEN);
    }
    if (bodies_len > 0) {
        memcpy(blob->data + blob->len - bodies_len, bodies, bodies_len);
    }
    return slice_of_blob(blob);
}

static void bench_apply(struct bench *bench, struct slice entry)
{
    double from = bench_thread_seconds();
    int err = machine_apply(bench->machine, ++bench->index, entry, &bench->effects);
    double spent = bench_thread_seconds() - from;
    CHECK(err == 0);
    slice_unref(&entry);
    bench->spent += spent;
    bench->apply_worst = spent > bench->apply_worst ? spent : bench->apply_worst;
    for (size_t i = 0; i < bench->effects.len; i++) {
        const struct effect *effect = &bench->effects.items[i];
        if (effect->kind == EFFECT_DELIVER && effect->delivery.consumer < 3) {
            bench->delivered[effect->delivery.consumer]++;
        }
    }
}

struct effect_reply bench_command(struct bench *bench, uint64_t session, const Holdfast__Command *command,
                                  const void *bodies, size_t bodies_len)
{
    bench->number += session != 0 ? 1 : 0;
    bench_apply(bench, bench_entry(bench, session, command, bodies, bodies_len));
    for (size_t i = 0; i < bench->effects.len; i++) {
        if (bench->effects.items[i].kind == EFFECT_REPLY) {
            CHECK(bench->effects.items[i].reply.error == 0);
            return bench->effects.items[i].reply;
        }
    }
    CHECK(false);
    return (struct effect_reply){0};
}

void bench_tick(struct bench *bench, uint64_t time_ms)
{
    bench->time_ms = time_ms;
    bench_apply(bench, bench_entry(bench, 0, NULL, NULL, 0));
}

static void bench_note_loop(struct bench *bench, double from)
{
    double spent = bench_thread_seconds() - from;
    bench->spent += spent;
    bench->loop_worst = spent > bench->loop_worst ? spent : bench->loop_worst;
}

void bench_checkpoint(struct bench *bench)
{
    struct machine_checkpoint *checkpoint;
    double from = bench_thread_seconds();
    CHECK(machine_checkpoint(bench->machine, (struct slice){0}, &checkpoint) == 0);
    bench_note_loop(bench, from);
    CHECK(machine_checkpoint_write(checkpoint) == 0);
    from = bench_thread_seconds();
    machine_checkpoint_done(checkpoint, 0);
    bench_note_loop(bench, from);
}

static void bench_setup(struct bench *bench, uint32_t version)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__NodePresent present = HOLDFAST__NODE_PRESENT__INIT;
    present.node = present.run = 1;
    command.kind_case = HOLDFAST__COMMAND__KIND_NODE_PRESENT;
    command.node_present = &present;
    (void)bench_command(bench, 0, &command, NULL, 0);
    if (version > 1) {
        Holdfast__RaiseVersion raise = HOLDFAST__RAISE_VERSION__INIT;
        raise.version = version;
        command.kind_case = HOLDFAST__COMMAND__KIND_RAISE_VERSION;
        command.raise_version = &raise;
        (void)bench_command(bench, 0, &command, NULL, 0);
        bench->version = version;
    }
    uint8_t key[16] = "bench";
    Holdfast__Origin origin = HOLDFAST__ORIGIN__INIT;
    origin.node = origin.run = origin.tag = 1;
    Holdfast__AttachSession attach = HOLDFAST__ATTACH_SESSION__INIT;
    attach.key = (ProtobufCBinaryData){.len = sizeof key, .data = key};
    attach.origin = &origin;
    command.kind_case = HOLDFAST__COMMAND__KIND_ATTACH_SESSION;
    command.attach_session = &attach;
    (void)bench_command(bench, 0, &command, NULL, 0);
}

void bench_open(struct bench *bench, uint32_t version, bool rocksdb)
{
    struct store *store;
    uint64_t applied;
    struct slice consensus;
    char detail[256];
    *bench = (struct bench){.version = 1, .path = "/tmp/holdfast-bench-XXXXXX", .time_ms = 1000};
    if (rocksdb) {
        CHECK(mkdtemp(bench->path) != NULL);
        struct store_rocksdb_options options = {.path = bench->path};
        CHECK(store_rocksdb_open(&options, &store, detail, sizeof detail) == 0);
    } else {
        bench->disk = store_memory_disk_new();
        CHECK(bench->disk != NULL && store_memory_open(bench->disk, &store) == 0);
    }
    CHECK(machine_open(store, &bench->machine, &applied, &consensus, detail, sizeof detail) == 0);
    slice_unref(&consensus);
    bench_setup(bench, version);
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

void bench_close(struct bench *bench)
{
    machine_close(bench->machine);
    if (bench->disk != NULL) {
        store_memory_disk_free(bench->disk);
    } else {
        CHECK(nftw(bench->path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) == 0);
    }
}
