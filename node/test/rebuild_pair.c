/* A source and a sink, and what lies between them. */

#include "rebuild_pair.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/bytes.h"
#include "proto/base/check.h"

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t dice_next(void *arg)
{
    uint64_t *dice = arg;
    return mix(*dice += UINT64_C(0x9e3779b97f4a7c15));
}

uint64_t pair_random(struct pair *pair, uint64_t limit)
{
    return dice_next(&pair->dice) % limit;
}

static uint64_t pair_monotonic_ms(struct clock *clock)
{
    return container_of(clock, struct pair, clock)->now_ms;
}

static uint64_t pair_clock_random(struct clock *clock)
{
    return dice_next(&container_of(clock, struct pair, clock)->dice);
}

/* ---- The state of the source ---- */

static void file_name(uint64_t version, unsigned file, char out[32])
{
    (void)snprintf(out, 32, "%06" PRIu64 "-%u.sst", version, file);
}

static uint8_t *file_content(uint64_t version, unsigned file, uint64_t size)
{
    uint8_t *data = malloc(size + 8);
    cr_assert_not_null(data);
    uint64_t dice = version * 1000 + file;
    for (uint64_t i = 0; i < size; i += 8) {
        put_u64(data + i, dice_next(&dice));
    }
    return data;
}

static uint64_t file_size(uint64_t version, unsigned file)
{
    static const uint64_t sizes[] = {
        0, 1, 511, 4096, 5000, REBUILD_PART_LEN_MAX, REBUILD_PART_LEN_MAX + 1, 3 * REBUILD_PART_LEN_MAX + 17};
    uint64_t dice = version * 77 + file;
    uint64_t kind = dice_next(&dice) % 16;
    return sizes[kind < ARRAY_LEN(sizes) ? kind : kind % 5];
}

static unsigned file_count(uint64_t version)
{
    return 1 + (unsigned)(mix(version) % PAIR_FILES_MAX);
}

void pair_change(struct pair *pair)
{
    pair->version++;
    pair->stored_index += 100;
}

static int copy_file(struct disk *disk, const char *dir, uint64_t version, unsigned file)
{
    char name[32];
    char path[REBUILD_PATH_LEN_MAX];
    struct disk_file *out;
    uint64_t size = file_size(version, file);
    file_name(version, file, name);
    cr_assert_eq(rebuild_path(path, dir, name, ""), 0);
    int err = disk->ops->open(disk, path, DISK_CREATE | DISK_EXCLUSIVE, &out);
    if (err != 0) {
        return err;
    }
    uint8_t *data = file_content(version, file, size);
    err = size == 0 ? 0 : disk->ops->write(out, 0, data, size);
    free(data);
    disk->ops->close(out);
    return err;
}

static int pair_copy(struct store *store, const char *name)
{
    struct pair *pair = container_of(store, struct pair, store);
    struct disk *disk = sim_disk_ops(pair->source_disk);
    char path[REBUILD_PATH_LEN_MAX];
    int err = pair->copy_err;
    pair->copy_err = 0;
    cr_assert_eq(rebuild_path(path, PAIR_DIR, name, ""), 0);
    if (err == 0) {
        err = disk->ops->make_dir(disk, path);
    }
    for (unsigned i = 0; err == 0 && i < file_count(pair->version); i++) {
        err = copy_file(disk, path, pair->version, i);
    }
    cr_assert_lt(pair->copies_len, PAIR_COPIES_MAX);
    cr_assert_eq(sscanf(name, "copy-%16" SCNx64, &pair->copy_ids[pair->copies_len]), 1);
    pair->copies[pair->copies_len++] = pair->version;
    return err;
}

static const struct store_ops pair_store_ops = {.copy = pair_copy};

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

/* ---- A look at a copy ---- */

struct pair_check {
    struct store base;
    struct pair *pair;
    uint64_t version;
    char path[REBUILD_PATH_LEN_MAX];
};

static int check_file(struct pair_check *check, unsigned file)
{
    char name[32];
    char path[REBUILD_PATH_LEN_MAX];
    struct disk *disk = check->pair->sink_options.disk;
    struct disk_file *open;
    uint64_t size = file_size(check->version, file);
    size_t len = 0;
    file_name(check->version, file, name);
    cr_assert_eq(rebuild_path(path, check->path, name, ""), 0);
    int err = disk->ops->open(disk, path, DISK_READ_ONLY, &open);
    if (err != 0) {
        return err;
    }
    uint8_t *expected = file_content(check->version, file, size);
    uint8_t *found = malloc(size + 1);
    cr_assert_not_null(found);
    err = disk->ops->read(open, 0, found, size + 1, &len);
    if (err == 0 && (len != size || memcmp(found, expected, size) != 0)) {
        err = ERR_CORRUPT;
    }
    disk->ops->close(open);
    free(found);
    free(expected);
    return err;
}

/* A file a piece; the key is its number. */
static int check_scrub(struct store *store, struct store_scrub *scrub)
{
    struct pair_check *check = container_of(store, struct pair_check, base);
    unsigned file = scrub->from.len > 0 ? scrub->from.data[0] : 0;
    check->pair->checks_begun++;
    int err = check_file(check, file);
    if (err != 0) {
        (void)snprintf(scrub->detail, sizeof scrub->detail, "%s, file %u", check->path, file);
        return err;
    }
    if (file + 1 < file_count(check->version)) {
        struct blob *blob = blob_new(1);
        cr_assert_not_null(blob);
        blob->data[0] = (uint8_t)(file + 1);
        scrub->next = slice_of_blob(blob);
    }
    return 0;
}

static void check_close(struct store *store)
{
    struct pair_check *check = container_of(store, struct pair_check, base);
    check->pair->checks--;
    free(check);
}

static const struct store_ops check_ops = {.scrub = check_scrub, .close = check_close};

static uint64_t copy_version_of(const struct pair *pair, const char *name)
{
    uint64_t copy = 0;
    uint64_t source = 0;
    cr_assert_eq(sscanf(name, "incoming-%" SCNu64 "-%" SCNx64, &source, &copy), 2);
    cr_assert_eq(source, PAIR_SOURCE);
    for (unsigned i = 0; i < pair->copies_len; i++) {
        if (pair->copy_ids[i] == copy) {
            return pair->copies[i];
        }
    }
    cr_assert_fail("no such copy was made");
    return 0;
}

static int pair_open_check(void *arg, const char *name, struct store **ret_store, char *detail, size_t detail_len)
{
    struct pair *pair = arg;
    struct pair_check *check = calloc(1, sizeof *check);
    (void)detail;
    (void)detail_len;
    cr_assert_not_null(check);
    check->base.ops = &check_ops;
    check->pair = pair;
    check->version = copy_version_of(pair, name);
    cr_assert_eq(rebuild_path(check->path, PAIR_DIR, name, ""), 0);
    pair->checks++;
    *ret_store = &check->base;
    return 0;
}

/* ---- Frames ---- */

static struct frame frame_flat(const struct frame_out *out)
{
    struct blob *blob = blob_new(out->len);
    cr_assert_not_null(blob);
    memcpy(blob->data, out->head->data, out->head->len);
    size_t at = out->head->len;
    for (unsigned i = 0; i < out->parts_len; i++) {
        memcpy(blob->data + at, out->parts[i].data, out->parts[i].len);
        at += out->parts[i].len;
    }
    struct frame_prefix prefix;
    cr_assert_eq(frame_prefix_decode(blob->data, &prefix), 0);
    return (struct frame){
        .type = prefix.type,
        .header = {.blob = blob, .data = blob->data + FRAME_PREFIX_LEN, .len = prefix.header_len},
        .body = {.blob = blob, .data = blob->data + FRAME_PREFIX_LEN + prefix.header_len, .len = prefix.body_len},
    };
}

struct frame pair_frame(const Holdfast__PeerRebuild *message, struct slice body)
{
    struct frame_out out;
    cr_assert_eq(rebuild_message_encode(message, body, &out), 0);
    struct frame frame = frame_flat(&out);
    frame_out_done(&out);
    return frame;
}

void pair_frame_done(struct frame *frame)
{
    slice_unref(&frame->header);
}

static bool frames_push(struct pair_frames *frames, uint64_t from, struct frame_out *out)
{
    bool room = frames->len < PAIR_FRAMES_MAX;
    if (room) {
        frames->from[frames->len] = from;
        frames->frames[frames->len++] = frame_flat(out);
    }
    frame_out_done(out);
    return room;
}

static bool frames_pop(struct pair_frames *frames, struct frame *ret_frame, uint64_t *ret_from)
{
    if (frames->len == 0) {
        return false;
    }
    *ret_frame = frames->frames[0];
    *ret_from = frames->from[0];
    memmove(frames->frames, frames->frames + 1, --frames->len * sizeof frames->frames[0]);
    memmove(frames->from, frames->from + 1, frames->len * sizeof frames->from[0]);
    return true;
}

static void frames_clear(struct pair_frames *frames)
{
    struct frame frame;
    uint64_t from;
    while (frames_pop(frames, &frame, &from)) {
        pair_frame_done(&frame);
    }
}

static void source_send(void *arg, uint64_t node, struct frame_out *frame)
{
    struct pair *pair = arg;
    if (pair->connected && node == PAIR_SINK) {
        (void)frames_push(&pair->answers, PAIR_SOURCE, frame);
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
    message.kind_case = HOLDFAST__PEER_REBUILD__KIND_REFUSED;
    message.refused = &refused;
    cr_assert_eq(rebuild_message_encode(&message, (struct slice){0}, &out), 0);
    return frames_push(&pair->answers, node, &out);
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
        return frames_push(&pair->questions, PAIR_SINK, frame);
    }
    frame_out_done(frame);
    return false;
}

static void hang_up_quietly(struct pair *pair)
{
    frames_clear(&pair->questions);
    frames_clear(&pair->answers);
    pair->connected = false;
}

/* What was asked before still arrives. */
static void sink_hang_up(void *arg, uint64_t node)
{
    struct pair *pair = arg;
    (void)node;
    frames_clear(&pair->answers);
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
    if (!frames_pop(&pair->questions, &frame, &from)) {
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
    if (!frames_pop(&pair->answers, &frame, &from)) {
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

static int source_admits(void *arg, uint64_t node, const char *reason, uint64_t *ret_min_index, uint64_t *ret_leader,
                         char *detail, size_t detail_len)
{
    struct pair *pair = arg;
    struct pair_members *members = &pair->members;
    cr_assert_eq(node, PAIR_SINK);
    members->admissions++;
    (void)snprintf(members->reason, sizeof members->reason, "%s", reason);
    *ret_leader = members->err == ERR_NOT_LEADER ? PAIR_OTHER : 0;
    *ret_min_index = members->min_index;
    (void)snprintf(detail, detail_len, "%s", members->err == 0 ? "" : "not yet");
    return members->err;
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
    return asking ? sink_send(pair, node, frame) : frames_push(&pair->answers, PAIR_SINK, frame);
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
        .replaced = patient_replaced,
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
        .dice = mix(seed + 1),
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
    case PAIR_CRASH: sim_disk_crash(disk, dice_next, &pair->dice); break;
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

void pair_expect_copy(const struct pair *pair)
{
    uint64_t version = copy_version_of(pair, pair->name);
    for (unsigned i = 0; i < file_count(version); i++) {
        char name[32];
        char dir[REBUILD_PATH_LEN_MAX];
        char path[REBUILD_PATH_LEN_MAX];
        const uint8_t *data;
        uint64_t len;
        file_name(version, i, name);
        cr_assert_eq(rebuild_path(dir, PAIR_DIR, pair->name, ""), 0);
        cr_assert_eq(rebuild_path(path, dir, name, ""), 0);
        cr_assert_eq(sim_disk_content(pair->sink_disk, path, &data, &len), 0, "%s", path);
        cr_assert_eq(len, file_size(version, i));
        uint8_t *expected = file_content(version, i, len);
        cr_assert(len == 0 || memcmp(data, expected, len) == 0, "%s", path);
        free(expected);
    }
    char below[REBUILD_PATH_LEN_MAX];
    cr_assert_eq(rebuild_path(below, PAIR_DIR, pair->name, "/"), 0);
    cr_assert_eq(pair_files_below(pair->sink_disk, below), file_count(version));
}
