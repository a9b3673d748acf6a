/* Fuzzes log entries: any bytes leave a machine that goes on, and two machines that agree, one of them restarted. */

#include "fuzz_input.h"
#include "proto/base/limits.h"
#include "sim/store_memory.h"
#include "statemachine/machine.h"

static struct machine *open_machine(struct store_memory_disk *disk)
{
    struct store *store;
    struct machine *machine;
    uint64_t applied;
    struct slice consensus;
    char detail[256];
    CHECK(store_memory_open(disk, &store) == 0);
    CHECK(machine_open(store, &machine, &applied, &consensus, detail, sizeof detail) == 0);
    slice_unref(&consensus);
    return machine;
}

/* Checkpoints and starts again. */
static struct machine *restart(struct machine *machine, struct store_memory_disk *disk)
{
    struct machine_checkpoint *checkpoint;
    if (machine_applied_index(machine) > 0) {
        CHECK(machine_checkpoint(machine, (struct slice){0}, &checkpoint) == 0);
        CHECK(machine_checkpoint_write(checkpoint) == 0);
        machine_checkpoint_done(checkpoint, 0);
    }
    machine_close(machine);
    return open_machine(disk);
}

/* The input is a row of entries, each behind its length in two bytes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct store_memory_disk *disks[2] = {store_memory_disk_new(), store_memory_disk_new()};
    CHECK(disks[0] != NULL && disks[1] != NULL);
    struct machine *machines[2] = {open_machine(disks[0]), open_machine(disks[1])};
    for (uint64_t index = 1; len >= 2; index++) {
        size_t entry_len = (size_t)data[0] | (size_t)data[1] << 8;
        data += 2;
        len -= 2;
        entry_len = entry_len < len ? entry_len : len;
        struct slice entry;
        CHECK(slice_copy(data, entry_len, &entry) == 0);
        struct effects effects[2];
        int errs[2];
        for (int i = 0; i < 2; i++) {
            errs[i] = machine_apply(machines[i], index, entry, &effects[i]);
        }
        CHECK(errs[0] == errs[1] && (errs[0] == 0 || errs[0] == ERR_VERSION));
        CHECK(errs[0] != 0 || effects[0].len == effects[1].len);
        slice_unref(&entry);
        data += entry_len;
        len -= entry_len;
        machines[1] = restart(machines[1], disks[1]);
        uint64_t digests[2];
        CHECK(machine_digest(machines[0], &digests[0]) == 0 && machine_digest(machines[1], &digests[1]) == 0);
        CHECK(digests[0] == digests[1]);
    }
    for (int i = 0; i < 2; i++) {
        machine_close(machines[i]);
        store_memory_disk_free(disks[i]);
    }
    return 0;
}
