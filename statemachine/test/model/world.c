/* The model and two machines through one history. */

#include "world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t durations[] = {0, 1, 3, 10, 50, 200, 1000, 2500, 11000, 70000, 90000000};

void world_say(struct world *world, const char *format, ...)
{
    if (world->said[0] == '\0') {
        int at = snprintf(world->said, sizeof world->said, "step %zu, entry %zu: ", world->step, world->log_len);
        va_list args;
        va_start(args, format);
        (void)vsnprintf(world->said + at, sizeof world->said - (size_t)at, format, args);
        va_end(args);
    }
}

static void twin_open(struct world *world, struct twin *twin)
{
    struct store *store;
    struct slice consensus;
    char detail[256] = "";
    int err = store_memory_open(twin->disk, &store);
    model_require(err == 0, "the store opens");
    err = machine_open(store, &twin->machine, &twin->index, &consensus, detail, sizeof detail);
    if (err != 0) {
        twin->machine = NULL;
        store->ops->close(store);
        world_say(world, "the machine does not open: %s: %s", err_name(err), detail);
        return;
    }
    slice_unref(&consensus);
}

static void twin_new(struct world *world, struct twin *twin)
{
    twin->disk = store_memory_disk_new();
    model_require(twin->disk != NULL, "memory");
    twin_open(world, twin);
}

static void twin_apply(struct world *world, struct twin *twin, struct slice entry)
{
    char said[512] = "";
    int err = machine_apply(twin->machine, twin->index + 1, entry, &twin->effects);
    if (err != 0) {
        machine_explain(twin->machine, said, sizeof said);
        world_say(world, "applying failed: %s %s", err_name(err), said);
        return;
    }
    twin->index++;
}

static void checkpoint_end(struct world *world)
{
    if (world->checkpoint != NULL) {
        machine_checkpoint_done(world->checkpoint, world->written ? 0 : ERR_IO);
        world->checkpoint = NULL;
    }
}

static void twin_compare(struct world *world)
{
    uint64_t a = 0;
    uint64_t b = 0;
    if (machine_running_digest(world->plain.machine) != machine_running_digest(world->disturbed.machine)) {
        world_say(world, "the machine that is restarted has another running digest");
    }
    if (machine_memory_digest(world->plain.machine, &a) != 0 ||
        machine_memory_digest(world->disturbed.machine, &b) != 0 || a != b) {
        world_say(world, "the machine that is restarted has another digest of what is in memory");
    }
    if (machine_digest(world->plain.machine, &a) != 0 || machine_digest(world->disturbed.machine, &b) != 0 || a != b) {
        world_say(world, "the machine that is restarted has another digest");
    }
    if (machine_due_ms(world->plain.machine) != machine_due_ms(world->disturbed.machine)) {
        world_say(world, "the machine that is restarted has something due at another time");
    }
}

/* Closes it at any moment, opens it, and applies the log from where the checkpoint ends. */
static void restart(struct world *world)
{
    checkpoint_end(world);
    machine_close(world->disturbed.machine);
    twin_open(world, &world->disturbed);
    while (world->said[0] == '\0' && world->disturbed.index < world->log_len) {
        twin_apply(world, &world->disturbed, world->log[world->disturbed.index]);
    }
    if (world->said[0] == '\0') {
        twin_compare(world);
    }
}

static void disturb(struct world *world, const struct step *step)
{
    if (step->op == OP_CHECKPOINT && world->checkpoint == NULL) {
        world->written = false;
        if (machine_checkpoint(world->disturbed.machine, (struct slice){0}, &world->checkpoint) != 0) {
            world_say(world, "no checkpoint");
        }
    } else if (step->op == OP_WRITE && world->checkpoint != NULL && !world->written) {
        if (step->args[0] != 0) {
            store_memory_disk_fail_write(world->disturbed.disk, ERR_IO);
        }
        world->written = machine_checkpoint_write(world->checkpoint) == 0;
        if (!world->written && step->args[0] == 0) {
            world_say(world, "the checkpoint cannot be written");
        }
    } else if (step->op == OP_DONE) {
        checkpoint_end(world);
    } else if (step->op == OP_RESTART) {
        restart(world);
    }
}

/* Clients are where the model says that their sessions are. */
static void clients_learn(struct world *world)
{
    for (size_t i = 0; i < WORLD_CLIENTS; i++) {
        struct client *client = &world->clients[i];
        client->session = 0;
        EACH (struct session, session, &world->model->sessions) {
            if (session->key[0] == i + 1) {
                client->session = session->id;
                client->attachment = session->attachment;
                client->number = session->last;
            }
        }
    }
}

static struct slice entry_finish(struct world *world, uint64_t ms)
{
    struct slice entry;
    world->time_ms += ms;
    entry_head_encode(&(struct entry_head){.machine_version = (uint16_t)world->model->version,
                                           .time_ms = world->time_ms,
                                           .commands = world->commands,
                                           .len = (uint32_t)(world->bytes.len - ENTRY_HEAD_LEN)},
                      world->bytes.data);
    model_require(slice_copy(world->bytes.data, world->bytes.len, &entry) == 0, "memory");
    world->bytes.len = ENTRY_HEAD_LEN;
    return entry;
}

static void apply(struct world *world, uint64_t ms)
{
    struct slice entry = entry_finish(world, ms);
    world->log = realloc(world->log, (world->log_len + 1) * sizeof *world->log);
    model_require(world->log != NULL, "memory");
    world->log[world->log_len++] = entry;
    model_apply(world->model, entry.data, entry.len);
    if (!world->alone) {
        twin_apply(world, &world->plain, entry);
        twin_apply(world, &world->disturbed, entry);
    }
    if (world->said[0] == '\0' && !world->alone) {
        compare_effects(world);
        compare_state(world, &world->plain);
        compare_state(world, &world->disturbed);
        if (world->log_len % 8 == 0) {
            twin_compare(world);
        }
    }
    coverage_note(world);
    world->commands = 0;
    clients_learn(world);
}

static void world_step(struct world *world, const struct step *step)
{
    if (step->op == OP_ENTRY) {
        apply(world, durations[step->args[0]]);
    } else if (step->op <= OP_RESTART) {
        if (!world->alone) {
            disturb(world, step);
        }
    } else if (world->commands < 255) {
        world->ops[world->commands].op = step->op;
        world->ops[world->commands].state = coverage_state(world, step);
        world_add(world, step);
    }
}

static void world_start(struct world *world)
{
    uint8_t head[ENTRY_HEAD_LEN] = {0};
    world->time_ms = UINT64_C(1700000000000);
    world->model = model_new();
    model_require(bytes_append(&world->bytes, head, sizeof head) == 0, "memory");
    if (!world->alone) {
        twin_new(world, &world->plain);
        twin_new(world, &world->disturbed);
    }
}

static void twins_stop(struct world *world)
{
    checkpoint_end(world);
    if (world->said[0] == '\0') {
        restart(world);
    }
    machine_close(world->plain.machine);
    machine_close(world->disturbed.machine);
    store_memory_disk_free(world->plain.disk);
    store_memory_disk_free(world->disturbed.disk);
}

static void world_stop(struct world *world)
{
    coverage_end(world);
    if (!world->alone) {
        twins_stop(world);
    }
    for (size_t i = 0; i < world->log_len; i++) {
        slice_unref(&world->log[i]);
    }
    free(world->log);
    bytes_done(&world->bytes);
    model_free(world->model);
}

bool world_run(const struct history *history, struct coverage *coverage, char *said, FILE *trace)
{
    struct world *world = calloc(1, sizeof *world);
    model_require(world != NULL, "memory");
    world->coverage = coverage;
    world_start(world);
    for (world->step = 0; world->step < history->len && world->said[0] == '\0'; world->step++) {
        const struct step *step = &history->steps[world->step];
        if (trace != NULL) {
            (void)fprintf(trace, "%4zu ", world->step);
            step_print(step, trace);
        }
        world_step(world, step);
        if (trace != NULL && step->op == OP_ENTRY) {
            effects_trace(world, trace);
        }
        if (trace != NULL) {
            (void)fflush(trace);
        }
    }
    world_stop(world);
    (void)snprintf(said, WORLD_SAID_MAX, "%s", world->said);
    free(world);
    return said[0] == '\0';
}

void world_run_alone(const struct history *history, struct coverage *coverage)
{
    struct world *world = calloc(1, sizeof *world);
    model_require(world != NULL, "memory");
    world->alone = true;
    world->coverage = coverage;
    world_start(world);
    for (world->step = 0; world->step < history->len; world->step++) {
        world_step(world, &history->steps[world->step]);
    }
    world_stop(world);
    free(world);
}
