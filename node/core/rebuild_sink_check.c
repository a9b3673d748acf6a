/* Whether the copy that has come is sound: all of it is read, piece by piece, on the disk's other thread, which others use in
 * between. Meanwhile the source is asked for the copy once more now and then, lest it lets go of the log after it. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "node/core/rebuild_sink_private.h"
#include "node/core/repair_mark.h"
#include "proto/base/check.h"
#include "proto/base/limits.h"
#include "statemachine/store/scrub.h"

#define CHECK_PIECE_LEN (4 * MIB)

/* Much less than the time after which a source forgets us. */
#define CHECK_ASK_MS 15000u

static int check_run(struct disk_task *task)
{
    struct rebuild_sink *sink = container_of(task, struct rebuild_sink, task);
    const struct rebuild_sink_options *options = &sink->options;
    struct store_scrub *scrub = &sink->scrub;
    scrub->detail[0] = '\0';
    if (sink->check == NULL) {
        int err = options->open_copy(options->arg, sink->name, &sink->check, scrub->detail, sizeof scrub->detail);
        if (err != 0) {
            sink->check = NULL;
            return err;
        }
    }
    scrub->bytes_max = CHECK_PIECE_LEN;
    return scrub_rows(sink->check, scrub);
}

/* Nobody else is to fetch it, and this node wants another one. What cannot be read counts as damaged: it was written and synced
 * here a moment ago, and what is written next lies elsewhere. */
static void copy_is_damaged(struct rebuild_sink *sink, int err)
{
    char why[REPAIR_REASON_LEN_MAX + 1];
    char detail[REPAIR_REASON_LEN_MAX + 100];
    repair_reason(why, sink->scrub.detail[0] != '\0' ? sink->scrub.detail : err_text(err));
    (void)snprintf(detail, sizeof detail, "the copy that it gave is damaged: %s", why);
    journal_error(sink->options.journal, "rebuild",
                  "the copy of the state of node %" PRIu64 " is damaged, and goes: %s", sink->copy_source, why);
    sink_close_copy(sink, why);
    sink->clear_rest_ms = sink_tell_refused(sink, ERR_CORRUPT, detail, 0, REBUILD_SINK_RETRY_MS);
    sink_disk_clear(sink);
}

static void check_done(struct disk_task *task, int err)
{
    struct rebuild_sink *sink = container_of(task, struct rebuild_sink, task);
    struct store_scrub *scrub = &sink->scrub;
    sink->busy = false;
    if (err == ERR_NOMEM) {
        sink_rest(sink, REBUILD_SINK_GIVE_UP_MS);
    } else if (err != 0) {
        copy_is_damaged(sink, err);
    } else if (scrub->next.len == 0) {
        sink_check_end(sink);
        sink->phase = SINK_HERE;
    } else {
        slice_unref(&scrub->from);
        scrub->from = scrub->next;
        scrub->next = (struct slice){0};
    }
    sink_wake(sink);
}

void sink_check_begin(struct rebuild_sink *sink)
{
    CHECK(sink->check == NULL);
    sink->phase = SINK_CHECKING;
    sink->scrub = (struct store_scrub){0};
    sink->send_ms = sink_now_ms(sink) + CHECK_ASK_MS;
}

void sink_check_step(struct rebuild_sink *sink, uint64_t now_ms)
{
    if (now_ms >= sink->send_ms) {
        sink->send_ms = now_ms + CHECK_ASK_MS;
        (void)sink_ask_open(sink);
    }
    if (!sink->busy) {
        sink_disk_begin(sink, check_run, check_done);
    }
}

void sink_check_end(struct rebuild_sink *sink)
{
    if (sink->check != NULL) {
        sink->check->ops->close(sink->check);
        sink->check = NULL;
    }
    slice_unref(&sink->scrub.from);
    slice_unref(&sink->scrub.next);
}
