/* Which copy is fetched: the question for one, and its answer. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/core/rebuild_sink_private.h"
#include "proto/base/check.h"

void sink_open_turn(struct rebuild_sink *sink, uint64_t now_ms)
{
    sink->source = sink->leader;
    sink->phase = SINK_OPENING;
    sink->progress_ms = now_ms;
    sink->send_ms = now_ms;
    sink->damaged = 0;
}

bool sink_ask_open(struct rebuild_sink *sink)
{
    Holdfast__RebuildOpen open = HOLDFAST__REBUILD_OPEN__INIT;
    Holdfast__PeerRebuild message = HOLDFAST__PEER_REBUILD__INIT;
    open.copy = sink->copy_source == sink->source ? sink->copy : 0;
    open.join = sink->options.join;
    if (open.join) {
        open.question = sink->question;
        open.vote = (Holdfast__RebuildVote)sink->options.vote;
        open.reason = (char *)(uintptr_t)sink->options.reason;
    }
    message.kind_case = HOLDFAST__PEER_REBUILD__KIND_OPEN;
    message.open = &open;
    return sink_ask(sink, &message);
}

/* While something is being written for the copy so far, no other is asked for. */
void sink_open_step(struct rebuild_sink *sink, uint64_t now_ms)
{
    if (now_ms >= sink->progress_ms + REBUILD_SINK_GIVE_UP_MS) {
        sink_refused(sink, ERR_TIMEOUT, "it does not answer", 0, SINK_SEND_RETRY_MS);
    } else if (!sink->busy && now_ms >= sink->send_ms) {
        sink->send_ms = now_ms + (sink_ask_open(sink) ? REBUILD_SINK_RETRY_MS : SINK_SEND_RETRY_MS);
    }
}

/* Takes over the files. ERR_BROKEN: it would come where our own state is, which would go file by file. ERR_NOMEM, ERR_TOO_BIG. */
static int sink_begin_copy(struct rebuild_sink *sink, const Holdfast__RebuildOpened *opened,
                           struct rebuild_files *files)
{
    char name[STATE_DIR_NAME_LEN_MAX];
    char path[REBUILD_PATH_LEN_MAX];
    int len = snprintf(name, sizeof name, REBUILD_INCOMING "%" PRIu64 "-%016" PRIx64, sink->source, opened->copy);
    CHECK(len > 0 && len < (int)sizeof name);
    if (strcmp(name, sink->state) == 0) {
        return ERR_BROKEN;
    }
    int err = rebuild_path(path, sink->options.dir, name, "");
    if (err != 0) {
        return err;
    }
    uint64_t *written = calloc(files->len, sizeof *written);
    if (written == NULL) {
        return ERR_NOMEM;
    }
    sink_parts_reset(sink);
    rebuild_files_done(&sink->files);
    free(sink->written);
    sink->files = *files;
    sink->written = written;
    sink->copy = opened->copy;
    sink->copy_source = sink->source;
    sink->index = opened->index;
    sink->term = opened->term;
    memcpy(sink->name, name, sizeof name);
    memcpy(sink->path, path, sizeof path);
    return 0;
}

/* Whether the answer is about the copy that is being fetched already. */
static bool opened_again(const struct rebuild_sink *sink, const Holdfast__RebuildOpened *opened)
{
    return sink->prepared && opened->copy == sink->copy && sink->source == sink->copy_source;
}

static bool opened_the_same(const struct rebuild_sink *sink, const Holdfast__RebuildOpened *opened,
                            const struct rebuild_files *files)
{
    return rebuild_files_equal(files, &sink->files) && opened->index == sink->index && opened->term == sink->term;
}

int sink_open_take(struct rebuild_sink *sink, const Holdfast__RebuildOpened *opened)
{
    struct rebuild_files files;
    bool for_us = !sink->options.join || opened->question == sink->question;
    if (sink->phase != SINK_OPENING || sink->busy || !for_us) {
        return 0;
    }
    int err = rebuild_message_files(opened, &files);
    if (err != 0) {
        return err == ERR_NOMEM ? 0 : err;
    }
    if (opened_again(sink, opened)) {
        bool same = opened_the_same(sink, opened, &files);
        rebuild_files_done(&files);
        sink->phase = same ? SINK_FETCHING : SINK_OPENING;
        sink->copy = same ? sink->copy : 0; /* Otherwise another one is needed. */
        sink->prepared = same;
        sink->progress_ms = sink_now_ms(sink);
        sink->send_ms = same ? sink->progress_ms : sink->send_ms;
        return same ? 0 : ERR_BROKEN;
    }
    err = sink_begin_copy(sink, opened, &files);
    if (err != 0) {
        rebuild_files_done(&files);
        return err == ERR_BROKEN ? err : 0;
    }
    sink->progress_ms = sink_now_ms(sink);
    sink->send_ms = sink->progress_ms;
    sink_disk_prepare(sink);
    return 0;
}
