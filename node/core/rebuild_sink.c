/* What the fetching side asks, what it hears, and when it turns to another source. */

#include "node/core/rebuild_sink.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "node/core/rebuild_sink_private.h"
#include "proto/base/bytes.h"
#include "proto/base/fault.h"

/* A question that was lost with its connection, or found no way to make one, is tried again after this time: nobody else slows
 * down the dialling. */
#define DIAL_RETRY_MS 1000u

/* So many parts in a row may be damaged before the source is given up for now. */
#define DAMAGED_MAX 16u

/* Faster than any disk; keeps sums within 64 bits. */
#define RATE_MAX (UINT64_C(1) << 40)

uint64_t sink_now_ms(const struct rebuild_sink *sink)
{
    return sink->options.clock->monotonic_ms(sink->options.clock);
}

void sink_wake(struct rebuild_sink *sink)
{
    if (sink->options.wake != NULL) {
        sink->options.wake(sink->options.arg);
    }
}

bool sink_ask(struct rebuild_sink *sink, Holdfast__PeerRebuild *message)
{
    struct frame_out frame;
    return rebuild_message_encode(message, (struct slice){0}, &frame) == 0 &&
           sink->options.send(sink->options.arg, sink->source, &frame);
}

void sink_rest(struct rebuild_sink *sink, uint64_t ms)
{
    sink_parts_lost(sink);
    sink_check_end(sink);
    sink->phase = SINK_RESTING;
    sink->rest_ms = sink_now_ms(sink) + ms;
    sink->options.hang_up(sink->options.arg, sink->source);
}

uint64_t sink_tell_refused(struct rebuild_sink *sink, int err, const char *detail, uint64_t leader, uint64_t rest_ms)
{
    return sink->options.refused == NULL ? rest_ms
                                         : sink->options.refused(sink->options.arg, sink->source, err, detail, leader);
}

void sink_refused(struct rebuild_sink *sink, int err, const char *detail, uint64_t leader, uint64_t rest_ms)
{
    sink_rest(sink, sink_tell_refused(sink, err, detail, leader, rest_ms));
}

/* ---- Fetching ---- */

static int take_part(struct rebuild_sink *sink, const Holdfast__RebuildPart *answer, const struct frame *frame)
{
    bool ours = sink->phase == SINK_FETCHING && answer->copy == sink->copy;
    struct sink_part *part = ours ? sink_parts_find(sink, answer->file, answer->offset) : NULL;
    if (part == NULL) {
        return 0; /* Asked for twice, or before another copy. */
    }
    if (frame->body.len != part->len) {
        return ERR_BROKEN;
    }
    if (XXH3_64bits(frame->body.data, frame->body.len) != answer->checksum && !fault_fires(FAULT_SKIP_PART_CHECKSUM)) {
        part->state = PART_WANTED;
        journal_warning(sink->options.journal, "rebuild",
                        "%s, offset %" PRIu64 ": the part is damaged; it is asked for again",
                        sink->files.items[part->file].name, part->offset);
        if (++sink->damaged > DAMAGED_MAX) {
            sink_rest(sink, REBUILD_SINK_RETRY_MS);
        }
        return 0;
    }
    part->state = PART_HERE;
    part->data = slice_ref(frame->body);
    sink->damaged = 0;
    sink->progress_ms = sink_now_ms(sink);
    return 0;
}

static void take_refused(struct rebuild_sink *sink, const Holdfast__RebuildRefused *refused)
{
    if (sink->phase != SINK_OPENING && sink->phase != SINK_FETCHING) {
        return;
    }
    int err = refused->error > 0 && refused->error <= INT_MAX ? -(int)refused->error : ERR_REFUSED;
    bool say = name_check(refused->detail, strlen(refused->detail)) == 0;
    if (sink->options.refused == NULL) {
        journal_info(sink->options.journal, "rebuild", "node %" PRIu64 " gives no copy of its state now: %s%s%s",
                     sink->source, err_text(err), say ? ": " : "", say ? refused->detail : "");
    }
    bool told = refused->vote == HOLDFAST__REBUILD_VOTE__REBUILD_VOTE_HAD ||
                refused->vote == HOLDFAST__REBUILD_VOTE__REBUILD_VOTE_NONE;
    if (told && sink->options.vote == REBUILD_VOTE_ASKED) {
        sink->options.told_vote(sink->options.arg, refused->vote == HOLDFAST__REBUILD_VOTE__REBUILD_VOTE_HAD);
    }
    size_t address_len = strlen(refused->leader_address);
    if (sink->options.leader_at != NULL && refused->leader != 0 && address_len <= ADDRESS_LEN_MAX &&
        name_check(refused->leader_address, address_len) == 0) {
        sink->options.leader_at(sink->options.arg, refused->leader, refused->leader_address);
    }
    sink_refused(sink, err, say ? refused->detail : "", refused->leader, REBUILD_SINK_RETRY_MS);
}

static void step_fetching(struct rebuild_sink *sink, uint64_t now_ms)
{
    sink_parts_expire(sink, now_ms);
    if (sink_parts_waiting(sink) && now_ms >= sink->progress_ms + REBUILD_SINK_GIVE_UP_MS) {
        journal_warning(sink->options.journal, "rebuild", "node %" PRIu64 " does not answer", sink->source);
        sink_refused(sink, ERR_TIMEOUT, "it does not answer", 0, SINK_SEND_RETRY_MS);
        return;
    }
    sink_parts_ask(sink, now_ms);
    if (!sink->busy) {
        sink_disk_write(sink);
    }
    if (!sink->busy && !sink->failed && sink_parts_all_here(sink)) {
        sink_disk_finish(sink);
    }
}

void sink_close_copy(struct rebuild_sink *sink, const char *why)
{
    Holdfast__RebuildClose close = HOLDFAST__REBUILD_CLOSE__INIT;
    Holdfast__PeerRebuild message = HOLDFAST__PEER_REBUILD__INIT;
    close.copy = sink->copy;
    close.damaged = (char *)(uintptr_t)(why != NULL ? why : "");
    message.kind_case = HOLDFAST__PEER_REBUILD__KIND_CLOSE;
    message.close = &close;
    (void)sink_ask(sink, &message); /* When it is lost, the source notices in time. */
    sink->options.hang_up(sink->options.arg, sink->source);
}

static void sink_say_ready(struct rebuild_sink *sink)
{
    sink_close_copy(sink, NULL);
    sink->phase = SINK_SAID;
    sink->options.ready(sink->options.arg, sink->name, sink->index, sink->term);
}

/* ---- Calls ---- */

int rebuild_sink_receive(struct rebuild_sink *sink, uint64_t from, const struct frame *frame)
{
    const Holdfast__PeerRebuild *message;
    int err = rebuild_message_decode(frame, &sink->arena, &message);
    if (err != 0) {
        return err;
    }
    if (from != sink->source || !sink->wanted || sink->failed) {
        return 0;
    }
    switch (message->kind_case) {
    case HOLDFAST__PEER_REBUILD__KIND_OPENED: return sink_open_take(sink, message->opened);
    case HOLDFAST__PEER_REBUILD__KIND_PART: return take_part(sink, message->part, frame);
    case HOLDFAST__PEER_REBUILD__KIND_REFUSED: take_refused(sink, message->refused); return 0;
    default: return ERR_BROKEN;
    }
}

void rebuild_sink_disconnected(struct rebuild_sink *sink, uint64_t node)
{
    if (node != sink->source) {
        return;
    }
    sink_parts_lost(sink);
    sink->send_ms = sink_now_ms(sink) + DIAL_RETRY_MS;
    if (sink->phase == SINK_OPENING && sink->wanted && sink->options.refused != NULL) {
        sink_refused(sink, ERR_UNAVAILABLE, "it cannot be reached", 0, DIAL_RETRY_MS); /* Another may be there. */
    }
}

void rebuild_sink_connected(struct rebuild_sink *sink, uint64_t node)
{
    if (node == sink->source) {
        sink->send_ms = sink_now_ms(sink);
    }
}

void rebuild_sink_want(struct rebuild_sink *sink, uint64_t leader)
{
    if (leader != 0) {
        sink->leader = leader;
        sink->wanted = true;
        sink->cancelled = sink->phase == SINK_CLEARING;
    }
}

void rebuild_sink_cancel(struct rebuild_sink *sink)
{
    if (sink->failed || sink->phase == SINK_CLEARING) {
        sink->wanted = false;
        return;
    }
    if (sink->phase == SINK_OPENING || sink->phase == SINK_FETCHING || sink->phase == SINK_CHECKING) {
        sink->options.hang_up(sink->options.arg, sink->source);
    }
    sink->wanted = false;
    sink->cancelled = sink->phase != SINK_IDLE || sink->copy != 0;
    if (sink->cancelled && !sink->busy) {
        sink_disk_clear(sink);
    }
}

void rebuild_sink_step(struct rebuild_sink *sink)
{
    uint64_t now_ms = sink_now_ms(sink);
    if (sink->failed) {
        return;
    }
    if (sink->cancelled && !sink->busy) {
        sink_disk_clear(sink);
    }
    bool due = sink->phase == SINK_IDLE || (sink->phase == SINK_RESTING && now_ms >= sink->rest_ms);
    if (!sink->wanted) {
        return;
    }
    if (due) {
        sink_open_turn(sink, now_ms);
    }
    switch (sink->phase) {
    case SINK_OPENING: sink_open_step(sink, now_ms); break;
    case SINK_FETCHING: step_fetching(sink, now_ms); break;
    case SINK_CHECKING: sink_check_step(sink, now_ms); break;
    case SINK_HERE: sink_say_ready(sink); break;
    default: break;
    }
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t fetching_deadline_ms(const struct rebuild_sink *sink)
{
    uint64_t deadline_ms = sink_parts_deadline_ms(sink);
    if (sink_parts_waiting(sink)) {
        deadline_ms = earlier(deadline_ms, sink->progress_ms + REBUILD_SINK_GIVE_UP_MS);
    }
    bool here = false;
    for (unsigned i = 0; i < REBUILD_SINK_READS_MAX; i++) {
        here = here || sink->parts[i].state == PART_HERE;
    }
    here = here || !sink_parts_waiting(sink);
    return here && !sink->busy ? 0 : deadline_ms;
}

uint64_t rebuild_sink_deadline_ms(const struct rebuild_sink *sink)
{
    if (sink->failed || !sink->wanted) {
        return UINT64_MAX; /* What is being done says itself when it is. */
    }
    switch (sink->phase) {
    case SINK_IDLE:
    case SINK_HERE: return 0;
    case SINK_RESTING: return sink->rest_ms;
    case SINK_OPENING: {
        uint64_t give_up_ms = sink->progress_ms + REBUILD_SINK_GIVE_UP_MS;
        return sink->busy ? give_up_ms : earlier(sink->send_ms, give_up_ms);
    }
    case SINK_FETCHING: return fetching_deadline_ms(sink);
    case SINK_CHECKING: return sink->busy ? sink->send_ms : 0;
    default: return UINT64_MAX;
    }
}

bool rebuild_sink_idle(const struct rebuild_sink *sink)
{
    return !sink->busy;
}

void rebuild_sink_status(const struct rebuild_sink *sink, struct rebuild_sink_status *ret_status)
{
    bool running = sink->wanted && !sink->failed;
    *ret_status = (struct rebuild_sink_status){.running = running};
    if (running) {
        ret_status->fetching = sink->phase >= SINK_PREPARING && sink->phase <= SINK_SAID;
        ret_status->source = sink->source;
        ret_status->bytes_total = sink->files.bytes;
        ret_status->bytes_here = sink->bytes_here;
        ret_status->index = sink->files.len > 0 ? sink->index : 0;
        ret_status->term = sink->files.len > 0 ? sink->term : 0;
        ret_status->room_needed = sink->said_needed;
        ret_status->room_free = sink->said_free;
    }
}

void rebuild_sink_set_vote(struct rebuild_sink *sink, enum rebuild_vote vote)
{
    sink->options.vote = vote;
}

void rebuild_sink_room_text(const struct rebuild_sink_status *status, char ret_text[REBUILD_SINK_ROOM_LEN])
{
    (void)snprintf(ret_text, REBUILD_SINK_ROOM_LEN,
                   "there is no room for a copy of the state beside what is there: it needs %" PRIu64
                   " MiB more, and %" PRIu64 " MiB may be used; nothing is removed to make room",
                   (status->room_needed + MIB - 1) / MIB, status->room_free / MIB);
}

/* ---- Life ---- */

int rebuild_sink_open(const struct rebuild_sink_options *options, struct rebuild_sink **ret_sink)
{
    struct rebuild_sink *sink = calloc(1, sizeof *sink);
    if (sink == NULL) {
        return ERR_NOMEM;
    }
    sink->options = *options;
    if (sink->options.rate > RATE_MAX) {
        sink->options.rate = RATE_MAX;
    }
    sink->pace_bytes = 1;
    while (options->join && sink->question == 0) {
        sink->question = options->clock->random(options->clock);
    }
    arena_init(&sink->arena, REBUILD_MESSAGE_MEMORY_MAX);
    int err = sink_disk_find(sink);
    if (err != 0) {
        rebuild_sink_close(sink);
        return err;
    }
    *ret_sink = sink;
    return 0;
}

void rebuild_sink_close(struct rebuild_sink *sink)
{
    if (sink == NULL) {
        return;
    }
    for (unsigned i = 0; i < REBUILD_SINK_READS_MAX; i++) {
        slice_unref(&sink->parts[i].data);
    }
    sink_check_end(sink);
    rebuild_files_done(&sink->files);
    free(sink->written);
    arena_done(&sink->arena);
    free(sink);
}
