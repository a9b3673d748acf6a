/* Fuzzes log entries: any bytes leave a machine that goes on, and two machines that agree, one of which takes checkpoints and is
 * started again, from the last one, now and then. */

#include "fuzz_entry_log.h"
#include "fuzz_input.h"
#include "proto/base/bytes.h"
#include "proto/base/limits.h"
#include "proto/wire/entry.h"
#include "sim/store_memory.h"
#include "statemachine/machine.h"

#define ENTRIES_MAX 512u
#define ENTRIES_AFTER 64u
#define TIME_STEP_MASK 4095u

/* Two machines and the log; the first has no checkpoint ever. */
struct pair {
    struct store_memory_disk *disk;
    struct store_memory_disk *plain_disk;
    struct machine *plain;
    struct machine *machine;
    struct machine_checkpoint *checkpoint; /* Begun. */
    struct slice entries[ENTRIES_MAX + ENTRIES_AFTER];
    uint64_t len;
};

static struct machine *open_machine(struct store_memory_disk *disk, uint64_t *ret_applied)
{
    struct store *store;
    struct machine *machine;
    struct slice consensus;
    char detail[256];
    CHECK(store_memory_open(disk, &store) == 0);
    CHECK(machine_open(store, &machine, ret_applied, &consensus, detail, sizeof detail) == 0);
    slice_unref(&consensus);
    return machine;
}

static void checkpoint_end(struct pair *pair)
{
    if (pair->checkpoint != NULL) {
        CHECK(machine_checkpoint_write(pair->checkpoint) == 0);
        machine_checkpoint_done(pair->checkpoint, 0);
        pair->checkpoint = NULL;
    }
}

static void checkpoint_turn(struct pair *pair)
{
    if (pair->checkpoint != NULL) {
        checkpoint_end(pair);
    } else if (machine_applied_index(pair->machine) > 0) {
        CHECK(machine_checkpoint(pair->machine, (struct slice){0}, &pair->checkpoint) == 0);
    }
}

static void compare(struct pair *pair)
{
    uint64_t digests[2];
    CHECK(machine_running_digest(pair->plain) == machine_running_digest(pair->machine));
    CHECK(machine_due_ms(pair->plain) == machine_due_ms(pair->machine));
    CHECK(machine_memory_digest(pair->plain, &digests[0]) == 0 &&
          machine_memory_digest(pair->machine, &digests[1]) == 0);
    CHECK(digests[0] == digests[1]);
    CHECK(machine_digest(pair->plain, &digests[0]) == 0 && machine_digest(pair->machine, &digests[1]) == 0);
    CHECK(digests[0] == digests[1]);
}

static void reopen(struct pair *pair)
{
    uint64_t applied;
    struct effects effects;
    checkpoint_end(pair);
    machine_close(pair->machine);
    pair->machine = open_machine(pair->disk, &applied);
    while (applied < pair->len) {
        CHECK(machine_apply(pair->machine, applied + 1, pair->entries[applied], &effects) == 0);
        applied++;
    }
}

/* The first sessions that there are, and the number that is next in each. */
#define SESSIONS 3u

struct sessions {
    struct machine_session items[SESSIONS];
    size_t len;
};

static int sessions_add(void *arg, const struct machine_session *session)
{
    struct sessions *sessions = arg;
    sessions->items[sessions->len++] = *session;
    return sessions->len == SESSIONS ? 1 : 0;
}

/* The commands are the next ones of sessions that there are, whatever numbers the bytes have there. */
static void entry_expected(struct machine *machine, uint8_t *data, size_t len)
{
    struct entry_head head;
    struct slice entry = {.data = data, .len = len};
    if (entry_head_decode(entry, &head) != 0) {
        return;
    }
    head.machine_version = (uint16_t)machine_version(machine);
    head.time_ms = machine_time_ms(machine) + (head.time_ms & TIME_STEP_MASK);
    entry_head_encode(&head, data);
    struct sessions sessions = {0};
    (void)machine_sessions(machine, sessions_add, &sessions);
    struct entry_command command;
    for (size_t offset = ENTRY_HEAD_LEN, at = offset; entry_command_decode(entry, &offset, &command) == 0;
         at = offset) {
        if (command.session == 0 || sessions.len == 0) {
            continue;
        }
        struct machine_session *session = &sessions.items[command.session % sessions.len];
        command.answered = command.answered % 2 == 0 ? session->last_number : 0;
        command.session = session->id;
        command.number = ++session->last_number;
        command.attachment = session->attachment;
        entry_command_head_encode(&command, data + at);
    }
}

/* False: the log ends here for both. */
static bool apply(struct pair *pair, const struct slice *entry)
{
    struct effects effects[2];
    int errs[2] = {machine_apply(pair->plain, pair->len + 1, *entry, &effects[0]),
                   machine_apply(pair->machine, pair->len + 1, *entry, &effects[1])};
    CHECK(errs[0] == errs[1] && (errs[0] == 0 || errs[0] == ERR_VERSION));
    if (errs[0] != 0) {
        return false;
    }
    CHECK(effects[0].len == effects[1].len);
    CHECK(machine_running_digest(pair->plain) == machine_running_digest(pair->machine));
    pair->entries[pair->len++] = slice_ref(*entry);
    return true;
}

static void apply_given(struct pair *pair, const struct fuzz_entry *given)
{
    struct slice entry;
    struct blob *blob = blob_new(given->len);
    CHECK(blob != NULL);
    if (given->len > 0) {
        memcpy(blob->data, given->data, given->len);
    }
    entry = slice_of_blob(blob);
    if ((given->flags & FUZZ_ENTRY_AS_IT_IS) == 0) {
        entry_expected(pair->plain, blob->data, given->len);
    }
    bool applied = apply(pair, &entry);
    slice_unref(&entry);
    if (applied && (given->flags & FUZZ_ENTRY_CHECKPOINT) != 0) {
        checkpoint_turn(pair);
    }
    if (applied && (given->flags & FUZZ_ENTRY_REOPEN) != 0) {
        reopen(pair);
        compare(pair);
    }
}

/* Entries without commands: what is due comes, and what is due at once comes to an end. */
static void apply_due(struct pair *pair)
{
    for (unsigned i = 0; i < ENTRIES_AFTER; i++) {
        uint64_t due_ms = machine_due_ms(pair->plain);
        uint64_t now_ms = machine_time_ms(pair->plain);
        CHECK(i + 1 < ENTRIES_AFTER || due_ms != 0);
        if (due_ms != 0 && (i > ENTRIES_AFTER / 2 || due_ms > now_ms + TIME_STEP_MASK * 4)) {
            return;
        }
        struct blob *blob = blob_new(ENTRY_HEAD_LEN);
        CHECK(blob != NULL);
        struct entry_head head = {.machine_version = (uint16_t)machine_version(pair->plain),
                                  .time_ms = due_ms > now_ms ? due_ms : now_ms};
        entry_head_encode(&head, blob->data);
        struct slice entry = slice_of_blob(blob);
        CHECK(apply(pair, &entry));
        slice_unref(&entry);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint64_t applied;
    static struct pair pair;
    pair = (struct pair){.disk = store_memory_disk_new(), .plain_disk = store_memory_disk_new()};
    CHECK(pair.disk != NULL && pair.plain_disk != NULL);
    pair.plain = open_machine(pair.plain_disk, &applied);
    pair.machine = open_machine(pair.disk, &applied);
    struct fuzz_entry given;
    while (pair.len < ENTRIES_MAX && fuzz_entry_next(&data, &len, &given)) {
        apply_given(&pair, &given);
    }
    compare(&pair);
    apply_due(&pair);
    checkpoint_turn(&pair);
    reopen(&pair);
    compare(&pair);
    machine_close(pair.plain);
    machine_close(pair.machine);
    for (uint64_t i = 0; i < pair.len; i++) {
        slice_unref(&pair.entries[i]);
    }
    store_memory_disk_free(pair.disk);
    store_memory_disk_free(pair.plain_disk);
    return 0;
}
