/* Making checkpoints off the loop. */

#include "node/core/checkpointer.h"

#include <stdio.h>

#include "proto/base/check.h"

/* A store without space is tried again after this time. */
#define RETRY_MS 10000u

static int checkpointer_run(struct disk_task *task)
{
    struct checkpointer *checkpointer = container_of(task, struct checkpointer, task);
    return machine_checkpoint_write(checkpointer->checkpoint);
}

static void checkpointer_fail(struct checkpointer *checkpointer, int err, const char *step)
{
    char what[200];
    (void)snprintf(what, sizeof what, "checkpoint at index %llu: %s: %s", (unsigned long long)checkpointer->index, step,
                   err_text(err));
    checkpointer->fatal(checkpointer->arg, err, what);
}

static void checkpointer_finished(struct disk_task *task, int err)
{
    struct checkpointer *checkpointer = container_of(task, struct checkpointer, task);
    struct slice bytes = checkpointer->bytes;
    machine_checkpoint_done(checkpointer->checkpoint, err);
    checkpointer->checkpoint = NULL;
    checkpointer->bytes = (struct slice){0};
    if (err == 0) {
        err = driver_checkpoint_stored(checkpointer->driver, checkpointer->index, bytes);
        slice_unref(&bytes);
        if (err != 0) {
            checkpointer_fail(checkpointer, err, "the log before it cannot be dropped");
            return;
        }
        journal_info(checkpointer->journal, "checkpoint", "stored up to index %llu",
                     (unsigned long long)checkpointer->index);
    } else {
        slice_unref(&bytes);
        if (err != ERR_NO_SPACE) {
            checkpointer_fail(checkpointer, err, "it cannot be written");
            return;
        }
        journal_warning(checkpointer->journal, "checkpoint",
                        "no space to store the state up to index %llu; the log is kept, and it is tried again in %u s",
                        (unsigned long long)checkpointer->index, RETRY_MS / 1000);
        checkpointer->retry_ms = checkpointer->clock->monotonic_ms(checkpointer->clock) + RETRY_MS;
    }
    if (checkpointer->wake != NULL) {
        checkpointer->wake(checkpointer->arg);
    }
}

static bool checkpointer_due(const struct checkpointer *checkpointer)
{
    return checkpointer->checkpoint == NULL &&
           driver_log_bytes_since_checkpoint(checkpointer->driver) > checkpointer->checkpoint_len &&
           checkpointer->clock->monotonic_ms(checkpointer->clock) >= checkpointer->retry_ms;
}

void checkpointer_step(struct checkpointer *checkpointer)
{
    if (!checkpointer_due(checkpointer)) {
        return;
    }
    checkpointer->retry_ms = 0;
    int err = driver_checkpoint(checkpointer->driver, &checkpointer->index, &checkpointer->bytes);
    if (err != 0) {
        checkpointer_fail(checkpointer, err, "its position cannot be taken");
        return;
    }
    if (checkpointer->index != machine_applied_index(checkpointer->machine)) {
        /* The last entries were consensus' own, which the machine does not see. What is stored names one index for
         * both; the next command brings them together. */
        slice_unref(&checkpointer->bytes);
        return;
    }
    err = machine_checkpoint(checkpointer->machine, checkpointer->bytes, &checkpointer->checkpoint);
    if (err != 0) {
        slice_unref(&checkpointer->bytes);
        checkpointer_fail(checkpointer, err, "the changes cannot be collected");
        return;
    }
    checkpointer->task = (struct disk_task){.run = checkpointer_run, .done = checkpointer_finished};
    checkpointer->disk->ops->offload(checkpointer->disk, &checkpointer->task);
}

bool checkpointer_idle(const struct checkpointer *checkpointer)
{
    return checkpointer->checkpoint == NULL;
}

uint64_t checkpointer_deadline_ms(const struct checkpointer *checkpointer)
{
    return checkpointer->checkpoint == NULL && checkpointer->retry_ms != 0 ? checkpointer->retry_ms : UINT64_MAX;
}

void checkpointer_done(struct checkpointer *checkpointer)
{
    if (checkpointer->checkpoint != NULL) {
        machine_checkpoint_done(checkpointer->checkpoint, ERR_CLOSED);
        checkpointer->checkpoint = NULL;
        slice_unref(&checkpointer->bytes);
    }
}
