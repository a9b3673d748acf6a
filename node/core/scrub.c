/* Passes over everything that is on disk. */

#include "node/core/scrub.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/base/limits.h"
#include "statemachine/store/scrub.h"

/* Short enough that a checkpoint, or a segment for the log, hardly waits for it. */
#define PIECE_LEN (128 * KIB)
/* The disk owes the log an answer for so long: it has no time for us. */
#define DISK_WAIT_MS_MAX 100u
/* When to look again after that, or when there was no memory. */
#define RETRY_MS 1000u
#define FIRST_PART 8u

static uint64_t now_ms(const struct scrub *scrub)
{
    return scrub->options.clock->monotonic_ms(scrub->options.clock);
}

void scrub_open(struct scrub *scrub, const struct scrub_options *options)
{
    *scrub = (struct scrub){.options = *options, .due_ms = UINT64_MAX};
    if (options->bytes_per_s == 0) {
        scrub->options.bytes_per_s = SCRUB_BYTES_PER_S_DEFAULT;
    }
    if (options->interval_ms > 0) {
        uint64_t random = options->clock->random(options->clock);
        scrub->due_ms = now_ms(scrub) + random % (options->interval_ms / FIRST_PART + 1);
    }
}

/* Lets go of what belongs to a pass. */
static void pass_drop(struct scrub *scrub)
{
    driver_scrub_close(scrub->log);
    scrub->log = NULL;
    slice_unref(&scrub->rows.from);
    scrub->rows = (struct store_scrub){0};
    scrub->rows_bytes = 0;
}

void scrub_close(struct scrub *scrub)
{
    pass_drop(scrub);
    scrub->state = SCRUB_ENDED;
}

static int piece_run(struct disk_task *task)
{
    struct scrub *scrub = container_of(task, struct scrub, task);
    if (scrub->log != NULL) {
        driver_scrub_read(scrub->log, PIECE_LEN);
    } else {
        scrub->rows.bytes_max = PIECE_LEN;
        scrub->rows_err = scrub_rows(scrub->options.store, &scrub->rows);
    }
    return 0;
}

static void piece_done(struct disk_task *task, int err)
{
    struct scrub *scrub = container_of(task, struct scrub, task);
    CHECK(scrub->state == SCRUB_READING);
    /* An error is the disk's, which did not run it; then nothing was read. */
    scrub->state = err == 0 ? SCRUB_READ : SCRUB_PAUSING;
    scrub->due_ms = now_ms(scrub) + RETRY_MS;
    if (scrub->options.wake != NULL) {
        scrub->options.wake(scrub->options.arg);
    }
}

static bool disk_is_slow(const struct scrub *scrub)
{
    struct driver_status status;
    driver_status(scrub->options.driver, &status);
    return status.disk_wait_ms > DISK_WAIT_MS_MAX;
}

/* Not while the other thread reads: it counts what it has read. */
static void text_fill(struct scrub *scrub)
{
    bool log = scrub->log != NULL;
    uint64_t done = log ? driver_scrub_bytes_done(scrub->log) : scrub->rows_bytes;
    uint64_t all = log ? driver_scrub_bytes(scrub->log) : scrub->rows.bytes_all;
    all = all > done ? all : done; /* That of the store is a guess. */
    (void)snprintf(scrub->text, sizeof scrub->text, "%s, %" PRIu64 " of %" PRIu64 " MiB", log ? "log" : "state",
                   done / MIB, all / MIB);
}

static void piece_begin(struct scrub *scrub)
{
    bool busy = scrub->options.busy != NULL && scrub->options.busy(scrub->options.arg);
    if (busy || disk_is_slow(scrub)) {
        scrub->due_ms = now_ms(scrub) + RETRY_MS;
        return;
    }
    text_fill(scrub);
    scrub->state = SCRUB_READING;
    scrub->piece_ms = now_ms(scrub);
    scrub->task = (struct disk_task){.run = piece_run, .done = piece_done};
    scrub->options.disk->ops->offload(scrub->options.disk, &scrub->task);
}

static void pass_begin(struct scrub *scrub)
{
    if (driver_scrub_open(scrub->options.driver, &scrub->log) != 0) {
        scrub->due_ms = now_ms(scrub) + RETRY_MS;
        return;
    }
    scrub->begun_ms = now_ms(scrub);
    scrub->due_ms = scrub->begun_ms;
    scrub->pass_bytes = 0;
    scrub->state = SCRUB_PAUSING;
}

static void pass_end(struct scrub *scrub)
{
    uint64_t took_ms = now_ms(scrub) - scrub->begun_ms;
    uint64_t interval_ms = scrub->options.interval_ms;
    pass_drop(scrub);
    scrub->totals.passes++;
    scrub->state = SCRUB_WAITING;
    scrub->due_ms = interval_ms > 0 ? scrub->begun_ms + interval_ms : UINT64_MAX;
    journal_info(scrub->options.journal, "scrub", "read %" PRIu64 " MiB again in %" PRIu64 " s, and found no damage",
                 scrub->pass_bytes / MIB, took_ms / 1000);
}

static void pass_fail(struct scrub *scrub, const char *what)
{
    char line[600];
    (void)snprintf(line, sizeof line, "%s", what); /* It goes with the pass. */
    pass_drop(scrub);
    scrub->totals.found++;
    scrub->state = SCRUB_ENDED;
    scrub->due_ms = UINT64_MAX;
    journal_error(scrub->options.journal, "scrub", "%s", line);
    scrub->options.damaged(scrub->options.arg, line);
}

/* Counts what was read, and waits for as long as that may take. */
static void piece_count(struct scrub *scrub, uint64_t bytes)
{
    scrub->pass_bytes += bytes;
    scrub->totals.bytes += bytes;
    scrub->state = SCRUB_PAUSING;
    scrub->due_ms = scrub->piece_ms + bytes * 1000 / scrub->options.bytes_per_s;
}

static void settle_log(struct scrub *scrub)
{
    char detail[512] = "";
    bool mended = false;
    uint64_t before = driver_scrub_bytes_done(scrub->log);
    int err = driver_scrub_settle(scrub->log, &mended, detail, sizeof detail);
    if (err == ERR_NOMEM) {
        scrub->state = SCRUB_PAUSING; /* As late as piece_done() has said. */
        return;
    }
    if (err != 0) {
        pass_fail(scrub, detail);
        return;
    }
    if (mended) {
        scrub->totals.mended++;
        journal_warning(scrub->options.journal, "scrub", "%s", detail);
    }
    piece_count(scrub, driver_scrub_bytes_done(scrub->log) - before);
    if (driver_scrub_finished(scrub->log)) {
        driver_scrub_close(scrub->log);
        scrub->log = NULL;
    }
}

/* Rather than the want of something, which may be there later. */
static bool is_damage(int err)
{
    return err == ERR_CORRUPT || err == ERR_CHECKSUM || err == ERR_VERSION || err == ERR_IO;
}

static void settle_rows(struct scrub *scrub)
{
    struct store_scrub *rows = &scrub->rows;
    if (scrub->rows_err != 0 && !is_damage(scrub->rows_err)) {
        scrub->state = SCRUB_PAUSING; /* As late as piece_done() has said. */
        return;
    }
    if (scrub->rows_err != 0) {
        pass_fail(scrub, rows->detail);
        return;
    }
    piece_count(scrub, rows->bytes);
    scrub->rows_bytes += rows->bytes;
    slice_unref(&rows->from);
    rows->from = rows->next;
    rows->next = (struct slice){0};
    if (rows->from.len == 0) {
        pass_end(scrub);
    }
}

void scrub_step(struct scrub *scrub)
{
    if (scrub->state == SCRUB_READ && scrub->log != NULL) {
        settle_log(scrub);
    } else if (scrub->state == SCRUB_READ) {
        settle_rows(scrub);
    }
    if (scrub->stopping && scrub->state != SCRUB_READING) {
        scrub->state = SCRUB_ENDED;
    }
    if (scrub->state == SCRUB_WAITING && now_ms(scrub) >= scrub->due_ms) {
        pass_begin(scrub);
    }
    if (scrub->state == SCRUB_PAUSING && now_ms(scrub) >= scrub->due_ms) {
        piece_begin(scrub);
    }
}

uint64_t scrub_deadline_ms(const struct scrub *scrub)
{
    switch (scrub->state) {
    case SCRUB_WAITING:
    case SCRUB_PAUSING: return scrub->due_ms;
    case SCRUB_READ: return 0;
    case SCRUB_READING:
    case SCRUB_ENDED: break;
    }
    return UINT64_MAX;
}

void scrub_start_now(struct scrub *scrub)
{
    if (scrub->state == SCRUB_WAITING) {
        scrub->due_ms = 0;
    }
}

void scrub_stop(struct scrub *scrub)
{
    scrub->stopping = true;
}

bool scrub_idle(const struct scrub *scrub)
{
    return scrub->state != SCRUB_READING;
}

const char *scrub_text(struct scrub *scrub)
{
    if (scrub->state == SCRUB_WAITING || scrub->state == SCRUB_ENDED) {
        return NULL;
    }
    if (scrub->state != SCRUB_READING) {
        text_fill(scrub);
    }
    return scrub->text;
}

const struct scrub_totals *scrub_totals(const struct scrub *scrub)
{
    return &scrub->totals;
}
