/* A source and a sink, and what lies between them. */

#include "rebuild_pair_private.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"

uint64_t pair_mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t pair_dice_next(void *arg)
{
    uint64_t *dice = arg;
    return pair_mix(*dice += UINT64_C(0x9e3779b97f4a7c15));
}

uint64_t pair_random(struct pair *pair, uint64_t limit)
{
    return pair_dice_next(&pair->dice) % limit;
}

static uint64_t pair_monotonic_ms(struct clock *clock)
{
    return container_of(clock, struct pair, clock)->now_ms;
}

static uint64_t pair_clock_random(struct clock *clock)
{
    return pair_dice_next(&container_of(clock, struct pair, clock)->dice);
}

static void log_stored(void *arg, uint64_t *ret_index, uint64_t *ret_term)
{
    const struct pair *pair = arg;
    *ret_index = pair->stored_index;
    *ret_term = pair->stored_index / 1000 + 1;
}

static bool log_hold(void *arg, uint64_t index)
{
    struct pair *pair = arg;
    pair->held = index;
    return index == UINT64_MAX || pair->log_first <= index + 1;
}

static uint64_t log_held_len(void *arg)
{
    return ((struct pair *)arg)->held_len;
}

static uint64_t log_match(void *arg, uint64_t node)
{
    return node == PAIR_SINK ? ((struct pair *)arg)->match : 0;
}

/* ---- What the sides send ---- */

static void source_send(void *arg, uint64_t node, struct frame_out *frame)
{
    struct pair *pair = arg;
    if (pair->connected && node == PAIR_SINK) {
        (void)pair_frames_push(&pair->answers, PAIR_SOURCE, frame);
    } else {
        frame_out_done(frame);
    }
}

/* It answers at once, or its connection fails. */
static bool ask_other(struct pair *pair, uint64_t node, struct frame_out *frame)
{
    Holdfast__RebuildRefused refused = HOLDFAST__REBUILD_REFUSED__INIT;
    Holdfast__PeerRebuild message = HOLDFAST__PEER_REBUILD__INIT;
    struct frame_out out;
    frame_out_done(frame);
    pair->members.asked_other++;
    pair->members.other_lost = pair->members.other_apart ? node : 0;
    if (pair->members.other_apart) {
        return false;
    }
    refused.error = (uint32_t)-ERR_NOT_LEADER;
    refused.leader = pair->members.other_leader;
    refused.leader_address =
        (char *)(uintptr_t)(pair->members.leader_address != NULL ? pair->members.leader_address : "");
    message.kind_case = HOLDFAST__PEER_REBUILD__KIND_REFUSED;
    message.refused = &refused;
    cr_assert_eq(rebuild_message_encode(&message, (struct slice){0}, &out), 0);
    return pair_frames_push(&pair->answers, node, &out);
}

static bool sink_send(void *arg, uint64_t node, struct frame_out *frame)
{
    struct pair *pair = arg;
    if (node >= PAIR_OTHER) {
        return ask_other(pair, node, frame);
    }
    pair->dialled += !pair->connected;
    pair->connected = !pair->apart && node == PAIR_SOURCE;
    if (pair->connected) {
        return pair_frames_push(&pair->questions, PAIR_SINK, frame);
    }
    frame_out_done(frame);
    return false;
}

static void hang_up_quietly(struct pair *pair)
{
    pair_frames_clear(&pair->questions);
    pair_frames_clear(&pair->answers);
    pair->connected = false;
}

/* What was asked before still arrives. */
static void sink_hang_up(void *arg, uint64_t node)
{
    struct pair *pair = arg;
    (void)node;
    pair_frames_clear(&pair->answers);
    pair->connected = false;
}

void pair_disconnect(struct pair *pair)
{
    bool connected = pair->connected;
    hang_up_quietly(pair);
    if (connected && pair->patient != NULL) {
        patient_bulk_lost(pair->patient, PAIR_SOURCE);
    } else if (connected) {
        rebuild_sink_disconnected(pair->sink, PAIR_SOURCE);
    }
}

/* A side that closes the connection. */
static void refuse_frame(struct pair *pair, int err)
{
    if (err != 0) {
        cr_assert_eq(err, ERR_BROKEN);
        pair_disconnect(pair);
    }
}

bool pair_carry_question(struct pair *pair)
{
    struct frame frame;
    uint64_t from;
    if (!pair_frames_pop(&pair->questions, &frame, &from)) {
        return false;
    }
    int err = rebuild_source_receive(pair->source, PAIR_SINK, &frame);
    pair_frame_done(&frame);
    refuse_frame(pair, err);
    return true;
}

bool pair_carry_answer(struct pair *pair)
{
    struct frame frame;
    uint64_t from;
    if (!pair_frames_pop(&pair->answers, &frame, &from)) {
        return false;
    }
    int err = pair->patient != NULL ? patient_receive_bulk(pair->patient, from, true, &frame)
                                    : rebuild_sink_receive(pair->sink, from, &frame);
    pair_frame_done(&frame);
    refuse_frame(pair, err);
    return true;
}

/* ---- Life ---- */

static void sink_ready(void *arg, const char *name, uint64_t index, uint64_t term)
{
    struct pair *pair = arg;
    pair->readies++;
    (void)snprintf(pair->name, sizeof pair->name, "%s", name);
    pair->index = index;
    pair->term = term;
}

static void sink_fatal(void *arg, int err, const char *what)
{
    (void)err;
    (void)what;
    ((struct pair *)arg)->fatals++;
}

static int source_admits(void *arg, const struct rebuild_asks *asks, struct rebuild_says *ret_says)
{
    struct pair *pair = arg;
    struct pair_members *members = &pair->members;
    cr_assert_eq(asks->node, PAIR_SINK);
    members->admissions++;
    (void)snprintf(members->reason, sizeof members->reason, "%s", asks->reason);
    ret_says->leader = members->err == ERR_NOT_LEADER && !members->nobody ? PAIR_OTHER : 0;
    ret_says->min_index = members->min_index;
    (void)snprintf(ret_says->why, sizeof ret_says->why, "%s", members->err == 0 ? "" : "not yet");
    members->vote = asks->vote;
    if (members->err == 0 && asks->vote == REBUILD_VOTE_ASKED) {
        ret_says->vote = members->voter ? REBUILD_VOTE_HAD : REBUILD_VOTE_NONE;
        return ERR_BUSY;
    }
    return members->err;
}

static bool source_gives(void *arg, uint64_t index, bool patient)
{
    const struct pair *pair = arg;
    return !patient || pair->members.unproven == 0 || index < pair->members.unproven;
}

static void source_confirm(void *arg)
{
    struct pair *pair = arg;
    cr_assert_not(pair->members.confirming);
    pair->members.confirming = true;
    pair->members.confirms++;
}

static void source_store_soon(void *arg, uint64_t index)
{
    ((struct pair *)arg)->members.store_soon = index;
}

static void source_suspected(void *arg, const char *what)
{
    cr_assert_neq(what[0], '\0');
    ((struct pair *)arg)->suspected++;
}

static void source_open(struct pair *pair)
{
    const struct rebuild_source_options options = {
        .disk = sim_disk_ops(pair->source_disk),
        .store = &pair->store,
        .log = {.arg = pair, .stored = log_stored, .hold = log_hold, .held_len = log_held_len, .match = log_match},
        .clock = &pair->clock,
        .dir = PAIR_DIR,
        .held_len_granted = pair->held_len_granted,
        .disk_free_min = pair->disk_free_min,
        .arg = pair,
        .send = source_send,
        .admits = source_admits,
        .gives = source_gives,
        .confirm = source_confirm,
        .store_soon = source_store_soon,
        .suspected = source_suspected,
    };
    pair->held = UINT64_MAX;
    pair->members.confirming = false;
    cr_assert_eq(rebuild_source_open(&options, &pair->source), 0);
}

static bool patient_send(void *arg, uint64_t node, bool asking, struct frame_out *frame)
{
    struct pair *pair = arg;
    return asking ? sink_send(pair, node, frame) : pair_frames_push(&pair->answers, PAIR_SINK, frame);
}

static void patient_replaced(void *arg, const char *name)
{
    sink_ready(arg, name, 0, 0);
}

static void patient_open_again(struct pair *pair)
{
    char detail[200];
    cr_assert_eq(patient_open(&pair->patient_options, &pair->patient, detail, sizeof detail), 0, "%s", detail);
}

static void patient_withdraw(void *arg)
{
    ((struct pair *)arg)->members.withdrawn++;
}

static int patient_note_vote(void *arg, bool voter)
{
    struct pair *pair = arg;
    cr_assert_eq(voter, pair->members.voter);
    pair->members.noted++;
    return pair->members.note_err;
}

static bool patient_reach(void *arg, uint64_t node, const char *address)
{
    struct pair *pair = arg;
    cr_assert_eq(node, PAIR_SOURCE);
    cr_assert_str_eq(address, pair->members.leader_address);
    pair->members.reached++;
    return true;
}

void pair_open_patient(struct pair *pair, const char *reason)
{
    static const uint64_t members[] = {PAIR_SOURCE, PAIR_SINK, PAIR_OTHER};
    const struct rebuild_sink_options *sink = &pair->sink_options;
    pair->patient_options = (struct patient_options){
        .node = PAIR_SINK,
        .reason = reason,
        .members = members,
        .members_len = ARRAY_LEN(members),
        .disk = sink->disk,
        .clock = sink->clock,
        .dir = sink->dir,
        .rate = sink->rate,
        .disk_free_min = sink->disk_free_min,
        .arg = pair,
        .bulk_send = patient_send,
        .open_copy = pair_open_check,
        .bulk_hang_up = sink_hang_up,
        .note_vote = patient_note_vote,
        .reach = patient_reach,
        .replaced = patient_replaced,
        .withdraw = patient_withdraw,
        .fatal = sink_fatal,
    };
    rebuild_sink_close(pair->sink);
    pair->sink = NULL;
    patient_open_again(pair);
}

static void sink_open(struct pair *pair)
{
    if (pair->patient != NULL) {
        pair->patient_options.disk = pair->sink_options.disk;
        patient_open_again(pair);
        return;
    }
    cr_assert_eq(rebuild_sink_open(&pair->sink_options, &pair->sink), 0);
}

static struct sim_disk *disk_new(void)
{
    struct sim_disk *sim = sim_disk_new();
    struct disk *disk = sim_disk_ops(sim);
    struct disk_file *file;
    cr_assert_eq(disk->ops->make_dir(disk, PAIR_DIR "/state"), 0);
    cr_assert_eq(disk->ops->open(disk, PAIR_DIR "/state/rows", DISK_CREATE, &file), 0);
    cr_assert_eq(disk->ops->write(file, 0, "old", 3), 0);
    cr_assert_eq(disk->ops->sync(file), 0);
    disk->ops->close(file);
    cr_assert_eq(disk->ops->sync_dir(disk, PAIR_DIR "/state"), 0);
    cr_assert_eq(disk->ops->sync_dir(disk, PAIR_DIR), 0);
    cr_assert_eq(disk->ops->sync_dir(disk, "."), 0);
    return sim;
}

void pair_start(struct pair *pair, uint64_t seed)
{
    *pair = (struct pair){
        .clock = {.monotonic_ms = pair_monotonic_ms, .random = pair_clock_random},
        .store = {.ops = &pair_store_ops},
        .now_ms = 1000,
        .dice = pair_mix(seed + 1),
        .version = seed * 1000 + 1,
        .stored_index = 500,
        .log_first = 1,
        .held_len_granted = 1000000,
        .members = {.other_leader = PAIR_SOURCE},
    };
    pair->source_disk = disk_new();
    pair->sink_disk = disk_new();
    pair->sink_options = (struct rebuild_sink_options){
        .disk = sim_disk_ops(pair->sink_disk),
        .clock = &pair->clock,
        .dir = PAIR_DIR,
        .arg = pair,
        .send = sink_send,
        .hang_up = sink_hang_up,
        .open_copy = pair_open_check,
        .ready = sink_ready,
        .fatal = sink_fatal,
    };
    source_open(pair);
    sink_open(pair);
}

void pair_stop(struct pair *pair)
{
    hang_up_quietly(pair);
    sim_disk_kill(pair->source_disk);
    sim_disk_kill(pair->sink_disk);
    rebuild_source_close(pair->source);
    rebuild_sink_close(pair->sink);
    patient_close(pair->patient);
    cr_assert_eq(pair->checks, 0u);
    sim_disk_free(pair->source_disk);
    sim_disk_free(pair->sink_disk);
}

static void disk_end(struct pair *pair, struct sim_disk *disk, enum pair_end end)
{
    switch (end) {
    case PAIR_KILL: sim_disk_kill(disk); break;
    case PAIR_CRASH: sim_disk_crash(disk, pair_dice_next, &pair->dice); break;
    case PAIR_CRASH_LOSING_ALL: sim_disk_crash_losing_all(disk); break;
    }
}

void pair_restart_source(struct pair *pair, enum pair_end end)
{
    pair_disconnect(pair);
    disk_end(pair, pair->source_disk, end);
    rebuild_source_close(pair->source);
    source_open(pair);
}

void pair_restart_sink(struct pair *pair, enum pair_end end)
{
    hang_up_quietly(pair);
    disk_end(pair, pair->sink_disk, end);
    rebuild_sink_close(pair->sink);
    patient_close(pair->patient);
    sink_open(pair);
}

/* ---- Running ---- */

static void members_step(struct pair *pair)
{
    if (pair->members.confirming && !pair->members.silent) {
        pair->members.confirming = false;
        rebuild_source_confirmed(pair->source, pair->members.confirm_err);
    }
    uint64_t lost = pair->members.other_lost;
    pair->members.other_lost = 0;
    if (lost != 0) {
        patient_bulk_lost(pair->patient, lost);
    }
}

void pair_step(struct pair *pair)
{
    members_step(pair);
    rebuild_source_step(pair->source);
    if (pair->patient != NULL) {
        patient_step(pair->patient);
    } else {
        rebuild_sink_step(pair->sink);
    }
}

static void wait_for_time(struct pair *pair)
{
    uint64_t source_ms = rebuild_source_deadline_ms(pair->source);
    uint64_t sink_ms =
        pair->patient != NULL ? patient_deadline_ms(pair->patient) : rebuild_sink_deadline_ms(pair->sink);
    uint64_t next_ms = source_ms < sink_ms ? source_ms : sink_ms;
    pair->now_ms = next_ms > pair->now_ms && next_ms != UINT64_MAX ? next_ms : pair->now_ms + 1;
}

void pair_run_one(struct pair *pair)
{
    pair_step(pair);
    if (pair_carry_question(pair) || pair_carry_answer(pair)) {
        return;
    }
    if (sim_disk_pending(pair->source_disk) > 0) {
        sim_disk_complete_one(pair->source_disk);
    } else if (sim_disk_pending(pair->sink_disk) > 0) {
        sim_disk_complete_one(pair->sink_disk);
    } else {
        wait_for_time(pair);
    }
}

void pair_run(struct pair *pair)
{
    unsigned readies = pair->readies;
    for (unsigned i = 0; i < 100000 && pair->readies == readies; i++) {
        if (pair->patient == NULL) {
            rebuild_sink_want(pair->sink, PAIR_SOURCE);
        }
        pair_run_one(pair);
    }
    cr_assert_eq(pair->readies, readies + 1, "the copy does not come");
}

/* ---- Looking ---- */

struct below {
    const char *path;
    unsigned files;
};

static void below_each(void *arg, const char *path, const uint8_t *data, uint64_t len)
{
    struct below *below = arg;
    (void)data;
    (void)len;
    below->files += strncmp(path, below->path, strlen(below->path)) == 0;
}

unsigned pair_files_below(const struct sim_disk *disk, const char *path)
{
    struct below below = {.path = path};
    sim_disk_each_file(disk, below_each, &below);
    return below.files;
}

unsigned pair_copies_there(const struct pair *pair)
{
    return pair_files_below(pair->source_disk, PAIR_DIR "/" REBUILD_COPY);
}

unsigned pair_incoming_there(const struct pair *pair)
{
    return pair_files_below(pair->sink_disk, PAIR_DIR "/" REBUILD_INCOMING);
}

void pair_some_turn(struct pair *pair)
{
    switch (pair_random(pair, 6)) {
    case 0: (void)pair_carry_question(pair); break;
    case 1: (void)pair_carry_answer(pair); break;
    case 2:
        if (sim_disk_pending(pair->source_disk) > 0) {
            sim_disk_complete_one(pair->source_disk);
        }
        break;
    case 3:
        if (sim_disk_pending(pair->sink_disk) > 0) {
            sim_disk_complete_one(pair->sink_disk);
        }
        break;
    case 4: pair->now_ms += pair_random(pair, 200); break;
    default: pair_run_one(pair); break;
    }
    pair_step(pair);
}
