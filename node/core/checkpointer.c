/* Making checkpoints off the loop. */

#include "node/core/checkpointer.h"

#include <stdio.h>

#include "proto/base/check.h"

/* A store without space is tried again after this time. */
#define RETRY_MS 10000u

/* Nothing has been applied for so long: what has gathered is stored, if it is worth it, so that a restart has little to
 * replay and memory is given back. */
#define IDLE_MS 2000u
#define IDLE_PART 16u

static int checkpointer_run(struct disk_task *task)
{
    struct checkpointer *checkpointer = container_of(task, struct checkpointer, task);
    return machine_checkpoint_write(checkpointer->checkpoint);
}

static void checkpointer_fail(struct checkpointer *checkpointer, int err, const char *step)
{
    char what[320];
    char said[200] = "";
    machine_explain(checkpointer->machine, said, sizeof said);
    (void)snprintf(what, sizeof what, "checkpoint at index %llu: %s: %s", (unsigned long long)checkpointer->index, step,
                   said[0] != '\0' ? said : err_text(err));
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
        if (checkpointer->idle && checkpointer->relax != NULL) {
            checkpointer->relax(checkpointer->arg);
        }
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
        checkpointer->bytes_seen = UINT64_MAX; /* An idle node looks again. */
    }
    if (checkpointer->wake != NULL) {
        checkpointer->wake(checkpointer->arg);
    }
}

/* Notes whether anything has been applied since the last look. */
static void checkpointer_watch(struct checkpointer *checkpointer, uint64_t now_ms, uint64_t bytes)
{
    bool needs_room = checkpointer->needs_room != NULL && checkpointer->needs_room(checkpointer->arg);
    if (bytes != checkpointer->bytes_seen || needs_room != checkpointer->needed_room) {
        uint64_t least = needs_room ? 0 : checkpointer->checkpoint_len / IDLE_PART;
        checkpointer->bytes_seen = bytes;
        checkpointer->needed_room = needs_room;
        checkpointer->idle_ms = bytes > least ? now_ms + IDLE_MS : UINT64_MAX;
    }
}

/* Whether one that was asked for can be made now. */
static bool checkpointer_wanted(struct checkpointer *checkpointer)
{
    if (checkpointer->wanted == 0) {
        return false;
    }
    struct driver_status status;
    driver_status(checkpointer->driver, &status);
    if (status.checkpoint_index >= checkpointer->wanted) {
        checkpointer->wanted = 0;
    }
    return checkpointer->wanted != 0 && status.applied_index >= checkpointer->wanted;
}

static bool checkpointer_due(struct checkpointer *checkpointer)
{
    uint64_t now_ms = checkpointer->clock->monotonic_ms(checkpointer->clock);
    uint64_t bytes = driver_log_bytes_since_checkpoint(checkpointer->driver);
    checkpointer_watch(checkpointer, now_ms, bytes);
    bool idle = now_ms >= checkpointer->idle_ms;
    return checkpointer->checkpoint == NULL && now_ms >= checkpointer->retry_ms &&
           (bytes > checkpointer->checkpoint_len || idle || checkpointer_wanted(checkpointer));
}

void checkpointer_step(struct checkpointer *checkpointer)
{
    if (!checkpointer_due(checkpointer)) {
        return;
    }
    checkpointer->retry_ms = 0;
    checkpointer->idle = checkpointer->clock->monotonic_ms(checkpointer->clock) >= checkpointer->idle_ms;
    checkpointer->idle_ms = UINT64_MAX;
    int err = driver_checkpoint(checkpointer->driver, &checkpointer->index, &checkpointer->bytes);
    if (err != 0) {
        checkpointer_fail(checkpointer, err, "its position cannot be taken");
        return;
    }
    if (checkpointer->index != machine_applied_index(checkpointer->machine)) {
        /* The last entries were consensus' own, which the machine does not see. What is stored names one index for
         * both; the next command brings them together. */
        slice_unref(&checkpointer->bytes);
        checkpointer->idle_ms = UINT64_MAX;
        if (checkpointer->wanted != 0 && checkpointer->nudge != NULL) {
            checkpointer->nudge(checkpointer->arg);
        }
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

void checkpointer_ask(struct checkpointer *checkpointer, uint64_t index)
{
    if (index > checkpointer->wanted) {
        checkpointer->wanted = index;
    }
}

bool checkpointer_idle(const struct checkpointer *checkpointer)
{
    return checkpointer->checkpoint == NULL;
}

uint64_t checkpointer_deadline_ms(const struct checkpointer *checkpointer)
{
    if (checkpointer->checkpoint != NULL) {
        return UINT64_MAX;
    }
    bool enough = checkpointer->bytes_seen != UINT64_MAX && checkpointer->bytes_seen > checkpointer->checkpoint_len;
    if (checkpointer->retry_ms != 0 && (enough || checkpointer->wanted != 0)) {
        return checkpointer->retry_ms;
    }
    return checkpointer->idle_ms > checkpointer->retry_ms ? checkpointer->idle_ms : checkpointer->retry_ms;
}

void checkpointer_done(struct checkpointer *checkpointer)
{
    if (checkpointer->checkpoint != NULL) {
        machine_checkpoint_done(checkpointer->checkpoint, ERR_CLOSED);
        checkpointer->checkpoint = NULL;
        slice_unref(&checkpointer->bytes);
    }
}
