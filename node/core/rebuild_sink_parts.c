/* Which parts of a copy are asked for, in which order, and how fast. */

#include "node/core/rebuild_sink_private.h"
#include "proto/base/check.h"

/* What may be asked for at once after a pause, as a part of a second's worth. */
#define BURST_PARTS 20u

void sink_parts_reset(struct rebuild_sink *sink)
{
    for (unsigned i = 0; i < REBUILD_SINK_READS_MAX; i++) {
        struct sink_part *part = &sink->parts[i];
        CHECK(part->state != PART_WRITTEN);
        slice_unref(&part->data);
        *part = (struct sink_part){0};
    }
    sink->next_file = 0;
    sink->next_offset = 0;
}

void sink_parts_lost(struct rebuild_sink *sink)
{
    for (unsigned i = 0; i < REBUILD_SINK_READS_MAX; i++) {
        if (sink->parts[i].state == PART_ASKED) {
            sink->parts[i].state = PART_WANTED;
        }
    }
}

void sink_parts_expire(struct rebuild_sink *sink, uint64_t now_ms)
{
    for (unsigned i = 0; i < REBUILD_SINK_READS_MAX; i++) {
        struct sink_part *part = &sink->parts[i];
        if (part->state == PART_ASKED && now_ms >= part->asked_ms + REBUILD_SINK_RETRY_MS) {
            part->state = PART_WANTED;
        }
    }
}

/* An empty file has one part, which need not be asked for. */
static bool parts_take_next(struct rebuild_sink *sink, struct sink_part *part)
{
    while (sink->next_file < sink->files.len && sink->files.items[sink->next_file].whole) {
        sink->next_file++;
    }
    if (sink->next_file == sink->files.len) {
        return false;
    }
    uint64_t size = sink->files.items[sink->next_file].size;
    uint64_t left = size - sink->next_offset;
    *part = (struct sink_part){
        .state = size == 0 ? PART_HERE : PART_WANTED,
        .file = sink->next_file,
        .offset = sink->next_offset,
        .len = (uint32_t)(left < REBUILD_PART_LEN_MAX ? left : REBUILD_PART_LEN_MAX),
    };
    sink->next_offset += part->len;
    if (sink->next_offset == size) {
        sink->next_file++;
        sink->next_offset = 0;
    }
    return true;
}

/* ---- The pace ---- */

static int64_t pace_burst(const struct rebuild_sink *sink)
{
    uint64_t burst = sink->options.rate / BURST_PARTS;
    return (int64_t)(burst > REBUILD_PART_LEN_MAX ? burst : REBUILD_PART_LEN_MAX);
}

/* Whether something may be asked for now: a part may be owed. */
static bool pace_allows(struct rebuild_sink *sink, uint64_t now_ms)
{
    uint64_t elapsed_ms = now_ms - sink->pace_ms < 1000 ? now_ms - sink->pace_ms : 1000;
    int64_t more = (int64_t)(elapsed_ms * sink->options.rate / 1000);
    if (sink->options.rate == 0) {
        return true;
    }
    if (more > 0) {
        sink->pace_ms = now_ms;
        sink->pace_bytes += more;
        if (sink->pace_bytes > pace_burst(sink)) {
            sink->pace_bytes = pace_burst(sink);
        }
    }
    return sink->pace_bytes > 0;
}

static uint64_t pace_deadline_ms(const struct rebuild_sink *sink)
{
    if (sink->options.rate == 0 || sink->pace_bytes > 0) {
        return 0;
    }
    return sink->pace_ms + (uint64_t)(1 - sink->pace_bytes) * 1000 / sink->options.rate + 1;
}

/* ---- Asking ---- */

static bool part_ask(struct rebuild_sink *sink, struct sink_part *part, uint64_t now_ms)
{
    Holdfast__RebuildRead read = HOLDFAST__REBUILD_READ__INIT;
    Holdfast__PeerRebuild message = HOLDFAST__PEER_REBUILD__INIT;
    read.copy = sink->copy;
    read.file = part->file;
    read.offset = part->offset;
    read.len = part->len;
    message.kind_case = HOLDFAST__PEER_REBUILD__KIND_READ;
    message.read = &read;
    if (!sink_ask(sink, &message)) {
        sink->send_ms = now_ms + SINK_SEND_RETRY_MS;
        return false;
    }
    part->state = PART_ASKED;
    part->asked_ms = now_ms;
    sink->pace_bytes -= part->len;
    return true;
}

void sink_parts_ask(struct rebuild_sink *sink, uint64_t now_ms)
{
    for (unsigned i = 0; i < REBUILD_SINK_READS_MAX; i++) {
        struct sink_part *part = &sink->parts[i];
        if (part->state == PART_FREE && !parts_take_next(sink, part)) {
            continue;
        }
        if (part->state != PART_WANTED || now_ms < sink->send_ms) {
            continue;
        }
        if (!pace_allows(sink, now_ms)) {
            sink->progress_ms = part->asked_ms == 0 ? now_ms : sink->progress_ms; /* It is we who wait. */
            continue;
        }
        if (!part_ask(sink, part, now_ms)) {
            return;
        }
    }
}

struct sink_part *sink_parts_find(struct rebuild_sink *sink, uint32_t file, uint64_t offset)
{
    for (unsigned i = 0; i < REBUILD_SINK_READS_MAX; i++) {
        struct sink_part *part = &sink->parts[i];
        if (part->state == PART_ASKED && part->file == file && part->offset == offset) {
            return part;
        }
    }
    return NULL;
}

bool sink_parts_all_here(const struct rebuild_sink *sink)
{
    for (unsigned i = 0; i < REBUILD_SINK_READS_MAX; i++) {
        if (sink->parts[i].state != PART_FREE) {
            return false;
        }
    }
    for (uint32_t i = sink->next_file; i < sink->files.len; i++) {
        if (!sink->files.items[i].whole) {
            return false;
        }
    }
    return true;
}

bool sink_parts_waiting(const struct rebuild_sink *sink)
{
    for (unsigned i = 0; i < REBUILD_SINK_READS_MAX; i++) {
        if (sink->parts[i].state == PART_WANTED || sink->parts[i].state == PART_ASKED) {
            return true;
        }
    }
    return false;
}

uint64_t sink_parts_deadline_ms(const struct rebuild_sink *sink)
{
    uint64_t deadline_ms = UINT64_MAX;
    for (unsigned i = 0; i < REBUILD_SINK_READS_MAX; i++) {
        const struct sink_part *part = &sink->parts[i];
        uint64_t due_ms = UINT64_MAX;
        if (part->state == PART_ASKED) {
            due_ms = part->asked_ms + REBUILD_SINK_RETRY_MS;
        } else if (part->state == PART_WANTED) {
            uint64_t pace_ms = pace_deadline_ms(sink);
            due_ms = pace_ms > sink->send_ms ? pace_ms : sink->send_ms;
        }
        deadline_ms = due_ms < deadline_ms ? due_ms : deadline_ms;
    }
    return deadline_ms;
}
