/* What the giving side is asked, and when its copy goes. */

#include "node/core/rebuild_source.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/core/rebuild_source_private.h"
#include "proto/base/check.h"

/* How often the copy that is there is looked at. */
#define LOOK_MS 1000u

/* The log that may be held for a copy, in copies; and how often that is doubled. */
#define COST_FACTOR 4u
#define DOUBLINGS_MAX 20u

uint64_t source_now_ms(const struct rebuild_source *source)
{
    return source->options.clock->monotonic_ms(source->options.clock);
}

void source_wake(struct rebuild_source *source)
{
    if (source->options.wake != NULL) {
        source->options.wake(source->options.arg);
    }
}

/* ---- Answers ---- */

void source_answer(struct rebuild_source *source, uint64_t node, Holdfast__PeerRebuild *message, struct slice body)
{
    struct frame_out frame;
    int err = rebuild_message_encode(message, body, &frame);
    if (err == 0) {
        source->options.send(source->options.arg, node, &frame);
    } else if (message->kind_case == HOLDFAST__PEER_REBUILD__KIND_OPENED) {
        source_refuse(source, node, err);
    }
}

void source_refuse(struct rebuild_source *source, uint64_t node, int err)
{
    source_refuse_why(source, node, err, "");
}

void source_refuse_why(struct rebuild_source *source, uint64_t node, int err, const char *why)
{
    struct rebuild_says says = {0};
    (void)snprintf(says.why, sizeof says.why, "%s", why);
    source_refuse_says(source, node, err, &says);
}

void source_refuse_says(struct rebuild_source *source, uint64_t node, int err, const struct rebuild_says *says)
{
    Holdfast__RebuildRefused refused = HOLDFAST__REBUILD_REFUSED__INIT;
    Holdfast__PeerRebuild message = HOLDFAST__PEER_REBUILD__INIT;
    CHECK(err < 0);
    refused.error = (uint32_t)-err;
    refused.detail = (char *)(uintptr_t)says->why;
    refused.leader = says->leader;
    refused.vote = (Holdfast__RebuildVote)says->vote;
    char address[ADDRESS_LEN_MAX + 1] = "";
    if (says->leader != 0 && source->options.address != NULL) {
        source->options.address(source->options.arg, says->leader, address);
    }
    refused.leader_address = address;
    message.kind_case = HOLDFAST__PEER_REBUILD__KIND_REFUSED;
    message.refused = &refused;
    source_answer(source, node, &message, (struct slice){0});
}

bool source_gives(const struct rebuild_source *source, uint64_t index, bool patient)
{
    const struct rebuild_source_options *options = &source->options;
    return options->gives == NULL || options->gives(options->arg, index, patient);
}

void source_refuse_compare(struct rebuild_source *source, uint64_t node)
{
    source_refuse_why(source, node, ERR_BUSY, "the state is being compared with the other nodes' first");
}

void source_tell_opened(struct rebuild_source *source)
{
    if (!source_gives(source, source->holds, source->question != 0)) {
        source->asked_ms = 0; /* Others need not wait for that. */
        source_refuse_compare(source, source->node);
        return;
    }
    uint32_t len = source->files.len;
    Holdfast__RebuildOpened opened = HOLDFAST__REBUILD_OPENED__INIT;
    Holdfast__PeerRebuild message = HOLDFAST__PEER_REBUILD__INIT;
    Holdfast__RebuildFile *files = calloc(len + 1, sizeof *files);
    Holdfast__RebuildFile **pointers = calloc(len + 1, sizeof *pointers);
    if (files != NULL && pointers != NULL) {
        for (uint32_t i = 0; i < len; i++) {
            files[i] = (Holdfast__RebuildFile)HOLDFAST__REBUILD_FILE__INIT;
            files[i].name = source->files.items[i].name;
            files[i].size = source->files.items[i].size;
            pointers[i] = &files[i];
        }
        opened.copy = source->copy;
        opened.index = source->index;
        opened.term = source->term;
        opened.n_files = len;
        opened.files = pointers;
        opened.question = source->question;
        message.kind_case = HOLDFAST__PEER_REBUILD__KIND_OPENED;
        message.opened = &opened;
        source_answer(source, source->node, &message, (struct slice){0});
    }
    free(pointers);
    free(files);
}

/* ---- Questions ---- */

static bool copy_is_for(struct rebuild_source *source, uint64_t from, uint64_t copy)
{
    if (source->phase != SOURCE_READY || source->copy != copy) {
        return false;
    }
    if (source->node == 0) {
        source->node = from;
    }
    return source->node == from;
}

static int take_read(struct rebuild_source *source, uint64_t from, const Holdfast__RebuildRead *read)
{
    if (!copy_is_for(source, from, read->copy)) {
        source_refuse(source, from, ERR_NOT_FOUND);
        return 0;
    }
    source->asked_ms = source_now_ms(source);
    source->touched = true;
    return source_read_begin(source, from, read);
}

/* Of one that is damaged nothing follows: another is made when the node asks again. */
static void take_close(struct rebuild_source *source, uint64_t from, const Holdfast__RebuildClose *close)
{
    char why[REPAIR_REASON_LEN_MAX + 1];
    bool damaged = close->damaged[0] != '\0';
    if (!copy_is_for(source, from, close->copy)) {
        return;
    }
    source->asked_ms = source_now_ms(source);
    source_remove(source, !damaged);
    if (!damaged) {
        return;
    }
    repair_reason(why, close->damaged);
    journal_error(source->options.journal, "rebuild", "node %" PRIu64 " has found the copy of our state damaged: %s",
                  from, why);
    if (source->options.suspected != NULL) {
        source->options.suspected(source->options.arg, why);
    }
}

int rebuild_source_receive(struct rebuild_source *source, uint64_t from, const struct frame *frame)
{
    const Holdfast__PeerRebuild *message;
    int err = rebuild_message_decode(frame, &source->arena, &message);
    if (err != 0) {
        return err;
    }
    switch (message->kind_case) {
    case HOLDFAST__PEER_REBUILD__KIND_OPEN: source_take_open(source, from, message->open); return 0;
    case HOLDFAST__PEER_REBUILD__KIND_READ: return take_read(source, from, message->read);
    case HOLDFAST__PEER_REBUILD__KIND_CLOSE: take_close(source, from, message->close); return 0;
    default: return ERR_BROKEN;
    }
}

/* ---- Time ---- */

static bool source_is_idle_for_long(const struct rebuild_source *source, uint64_t now_ms)
{
    return now_ms >= source->asked_ms + REBUILD_SOURCE_IDLE_MS;
}

/* What any copy may cost, and what this one may (see the header). */
static uint64_t source_held_max(const struct rebuild_source *source)
{
    uint64_t granted = source->options.held_len_granted;
    uint64_t own = COST_FACTOR * source->bytes; /* At most REBUILD_BYTES_MAX of them. */
    uint64_t max = granted > own ? granted : own;
    return max > UINT64_MAX >> source->doublings ? UINT64_MAX : max << source->doublings;
}

static uint64_t source_free_bytes(struct rebuild_source *source)
{
    struct disk *disk = source->options.disk;
    uint64_t free_bytes = 0;
    return disk->ops->free_space(disk, &free_bytes) == 0 ? free_bytes : UINT64_MAX;
}

/* What it costs this node to go on, if that is too much. */
static const char *source_costs(struct rebuild_source *source)
{
    const struct rebuild_source_options *options = &source->options;
    uint64_t held = options->log.held_len(options->log.arg);
    uint64_t free_bytes = source_free_bytes(source);
    uint64_t min = options->disk_free_min;
    uint64_t twice = min == 0 ? REBUILD_SOURCE_FREE_MIN : min > UINT64_MAX / 2 ? UINT64_MAX : 2 * min;
    if (min > 0 && free_bytes < min) {
        return "the disk is short";
    }
    if (held > options->held_len_granted && free_bytes < twice) {
        return "the log that is kept for it leaves too little of the disk";
    }
    if (held > source_held_max(source)) {
        source->doublings += source->doublings < DOUBLINGS_MAX;
        return "too much of the log would have to be kept for it";
    }
    return NULL;
}

static void look_at_copy(struct rebuild_source *source, uint64_t now_ms)
{
    const char *costs = source_costs(source);
    if (costs == NULL && !source_is_idle_for_long(source, now_ms)) {
        return;
    }
    journal_info(source->options.journal, "rebuild", "the copy of the state for node %" PRIu64 " goes: %s",
                 source->node, costs != NULL ? costs : "nobody has asked for it");
    source_remove(source, costs == NULL);
}

/* The node has the copy, and fetches the log after it as any follower does. */
static void look_at_node(struct rebuild_source *source, uint64_t now_ms)
{
    struct rebuild_log *log = &source->options.log;
    uint64_t match = source->node == 0 ? 0 : log->match(log->arg, source->node);
    uint64_t index;
    uint64_t term;
    log->stored(log->arg, &index, &term);
    if (match != source->match) {
        source->match = match;
        source->asked_ms = now_ms;
    }
    if (match >= index) {
        source->doublings = 0;
    }
    if (match >= index || source_is_idle_for_long(source, now_ms) || source_costs(source) != NULL ||
        source->node == 0) {
        source->phase = SOURCE_NONE;
        source_let_go(source);
    } else if (match > source->index) {
        source->index = match;
        (void)log->hold(log->arg, match);
    }
}

void rebuild_source_step(struct rebuild_source *source)
{
    uint64_t now_ms = source_now_ms(source);
    if (now_ms < rebuild_source_deadline_ms(source)) {
        return;
    }
    source->look_ms = now_ms + LOOK_MS;
    if (source->phase == SOURCE_READY) {
        look_at_copy(source, now_ms);
    } else {
        look_at_node(source, now_ms);
    }
}

uint64_t rebuild_source_deadline_ms(const struct rebuild_source *source)
{
    bool looked_at = source->phase == SOURCE_READY || source->phase == SOURCE_FOLLOWED;
    return looked_at ? source->look_ms : UINT64_MAX;
}

bool rebuild_source_idle(const struct rebuild_source *source)
{
    for (unsigned i = 0; i < REBUILD_SOURCE_READS_MAX; i++) {
        if (source->reads[i].busy) {
            return false;
        }
    }
    return !source->busy;
}

/* ---- Life ---- */

int rebuild_source_open(const struct rebuild_source_options *options, struct rebuild_source **ret_source)
{
    struct rebuild_source *source = calloc(1, sizeof *source);
    if (source == NULL) {
        return ERR_NOMEM;
    }
    source->options = *options;
    arena_init(&source->arena, REBUILD_MESSAGE_MEMORY_MAX);
    int err = source_adopt(source);
    if (err != 0) {
        rebuild_source_close(source);
        return err;
    }
    *ret_source = source;
    return 0;
}

void rebuild_source_close(struct rebuild_source *source)
{
    if (source == NULL) {
        return;
    }
    for (unsigned i = 0; i < REBUILD_SOURCE_READS_MAX; i++) {
        blob_unref(source->reads[i].blob);
    }
    rebuild_files_done(&source->files);
    arena_done(&source->arena);
    free(source);
}
