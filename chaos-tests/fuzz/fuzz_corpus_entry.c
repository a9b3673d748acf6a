/* Writes seeds for the fuzzers of log entries and of rows: random logs with all commands of version 2, as the tests use them, and single
 * damages.
 *
 * Usage: fuzz_corpus_entry DIRECTORY      (chaos-tests/fuzz/corpus, whose subdirectories must exist) */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fuzz_entry_log.h"
#include "log_maker.h"
#include "proto/base/check.h"
#include "row_damage.h"
#include "sim/store_memory.h"

#define LOGS 12u
#define LOG_LEN_MAX 6000u

static void append(struct bytes *bytes, const void *data, size_t len)
{
    CHECK(bytes_append(bytes, data, len) == 0);
}

static void seed(const char *path, const struct bytes *bytes)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(bytes->data, 1, bytes->len, file) != bytes->len || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
}

static struct machine *machine_new_of(struct store_memory_disk *disk)
{
    struct store *store;
    struct machine *machine;
    struct slice consensus;
    uint64_t index;
    char detail[256];
    CHECK(store_memory_open(disk, &store) == 0);
    CHECK(machine_open(store, &machine, &index, &consensus, detail, sizeof detail) == 0);
    slice_unref(&consensus);
    return machine;
}

/* With a checkpoint or a restart now and then. */
static void append_entry(struct bytes *bytes, struct log_maker *maker, struct slice entry)
{
    static const unsigned flags[] = {0, 0, 0, 0, FUZZ_ENTRY_CHECKPOINT, FUZZ_ENTRY_CHECKPOINT, FUZZ_ENTRY_REOPEN};
    uint8_t lead[2];
    put_u16(lead, (uint16_t)(entry.len | MAKER_PICK(maker, flags)));
    append(bytes, lead, sizeof lead);
    append(bytes, entry.data, entry.len);
}

/* The fuzzer takes an entry's time for what has passed since the one before. */
static void entry_set_time(struct slice entry, uint64_t time_ms)
{
    struct entry_head head;
    CHECK(entry_head_decode(entry, &head) == 0);
    head.time_ms = time_ms;
    entry_head_encode(&head, entry.blob->data);
}

static void make_log(unsigned number)
{
    struct store_memory_disk *disk = store_memory_disk_new();
    struct machine *machine = machine_new_of(disk);
    struct log_maker maker;
    struct effects effects;
    struct bytes bytes = {0};
    char path[64];
    log_maker_init(&maker, 100 + number, number % 3 == 0 ? UINT64_MAX & ~(UINT64_C(1) << USES_LARGE) : 0);
    maker.uses &= ~(UINT64_C(1) << USES_LARGE);
    for (uint64_t index = 1; bytes.len < LOG_LEN_MAX; index++) {
        uint64_t before = machine_time_ms(machine);
        struct slice entry = log_maker_next(&maker);
        CHECK(machine_apply(machine, index, entry, &effects) == 0);
        log_maker_learn(&maker, machine, &effects);
        if (entry.len <= FUZZ_ENTRY_LEN) {
            entry_set_time(entry, machine_time_ms(machine) - before);
            append_entry(&bytes, &maker, entry);
        }
        slice_unref(&entry);
    }
    (void)snprintf(path, sizeof path, "entry/made_%02u", number);
    seed(path, &bytes);
    bytes_done(&bytes);
    log_maker_done(&maker);
    machine_close(machine);
    store_memory_disk_free(disk);
}

static void make_damage(unsigned number)
{
    struct log_maker dice = {.random = number};
    struct bytes bytes = {0};
    char path[64];
    uint8_t data[14];
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)maker_below(&dice, 256);
    }
    data[1] = (uint8_t)(number % DAMAGE_KINDS + (number / DAMAGE_KINDS % 2) * 0x80);
    append(&bytes, data, sizeof data);
    (void)snprintf(path, sizeof path, "rows/damage_%02u", number);
    seed(path, &bytes);
    bytes_done(&bytes);
}

int main(int argc, char **argv)
{
    if (argc != 2 || chdir(argv[1]) != 0) {
        (void)fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
        return 2;
    }
    for (unsigned number = 0; number < LOGS; number++) {
        make_log(number);
        make_damage(number);
    }
    return 0;
}
