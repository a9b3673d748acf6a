/* A driver whose peers are played by the test. */

#include "fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../chaos-tests/sim/sim_disk.h"
#include "proto/base/check.h"

static const char *const addresses[5] = {"a:1", "b:1", "c:1", "d:1", "e:1"};

static uint64_t clock_now(struct clock *clock)
{
    return container_of(clock, struct fixture, clock)->now_ms;
}

static uint64_t clock_random(struct clock *clock)
{
    (void)clock;
    return 42;
}

static void journal_count(struct journal *journal, enum journal_level level, const char *subject, const char *text)
{
    (void)subject;
    (void)text;
    container_of(journal, struct fixture, journal)->errors += level == JOURNAL_ERROR;
}

/* Keeps the message; what it carried is dropped. */
static void host_send(void *arg, uint64_t node, struct frame_out *frame)
{
    struct fixture *f = arg;
    struct frame_prefix prefix;
    static _Thread_local struct message message;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    cr_assert_eq(frame_prefix_decode(frame->head->data, &prefix), 0);
    struct blob *whole = blob_new(frame->len - FRAME_PREFIX_LEN);
    size_t at = frame->head->len - FRAME_PREFIX_LEN;
    memcpy(whole->data, frame->head->data + FRAME_PREFIX_LEN, at);
    for (unsigned i = 0; i < frame->parts_len; i++) {
        if (frame->parts[i].len > 0) {
            memcpy(whole->data + at, frame->parts[i].data, frame->parts[i].len);
        }
        at += frame->parts[i].len;
    }
    struct frame in = {.type = prefix.type,
                       .header = slice_part(slice_of_blob(whole), 0, prefix.header_len),
                       .body = slice_part(slice_of_blob(whole), prefix.header_len, prefix.body_len)};
    cr_assert_eq(message_decode(&in, 0, &arena, &message), 0, "what the driver sends can be decoded");
    cr_assert_lt(f->sent_len, FIXTURE_SENT_MAX);
    message.raft.server_id = node;
    if (message.raft.type == RAFT_APPEND_ENTRIES) {
        message.raft.append_entries.n_entries = message.entries_len;
    }
    f->sent[f->sent_len++] = (struct fixture_sent){
        .node = node, .kind = message.kind, .term = message.term, .round = message.round, .raft = message.raft};
    arena_done(&arena);
    blob_unref(whole);
    frame_out_done(frame);
}

static int host_apply(void *arg, uint64_t index, uint64_t term, struct slice payload)
{
    (void)term;
    (void)payload;
    struct fixture *f = arg;
    cr_assert_lt(f->applied_len, FIXTURE_APPLIED_MAX);
    f->applied[f->applied_len++] = index;
    f->now_ms += f->apply_ms;
    return 0;
}

static void host_role_changed(void *arg, enum driver_role role, uint64_t leader, uint64_t term)
{
    (void)term;
    struct fixture *f = arg;
    f->role = role;
    f->leader = leader;
}

static void host_read_ready(void *arg, uint64_t round, uint64_t index)
{
    struct fixture *f = arg;
    cr_assert_gt(round, f->read_round, "rounds are answered once, in order");
    f->read_round = round;
    f->read_index = index;
    f->reads++;
}

static void host_members_changed(void *arg)
{
    struct fixture *f = arg;
    f->members_changed++;
}

static void host_removed(void *arg)
{
    struct fixture *f = arg;
    f->removed++;
}

static void host_forgot(void *arg, uint64_t node, uint64_t had, uint64_t has)
{
    struct fixture *f = arg;
    f->forgot++;
    f->forgot_node = node;
    f->forgot_had = had;
    f->forgot_has = has;
}

static void host_fatal(void *arg, int err, const char *what)
{
    (void)arg;
    fprintf(stderr, "fatal: %s: %s\n", err_name(err), what);
    abort();
}

static void open_driver(struct fixture *f)
{
    struct driver_options options = {
        .id = 1,
        .members = f->members,
        .members_len = f->members_len,
        .disk = sim_disk_ops(f->disk),
        .clock = &f->clock,
        .journal = &f->journal,
        .dir = "shard-0",
        .segment_len = 64 * KIB,
        .retain_len = 16 * KIB,
        .applied_index = f->applied_start,
        .checkpoint = f->position,
        .host = {.arg = f,
                 .send = host_send,
                 .apply = host_apply,
                 .role_changed = host_role_changed,
                 .read_ready = host_read_ready,
                 .members_changed = host_members_changed,
                 .removed = host_removed,
                 .forgot = host_forgot,
                 .fatal = host_fatal},
    };
    char detail[512];
    int err = driver_open(&options, &f->driver, detail, sizeof detail);
    cr_assert_eq(err, 0, "%s", detail);
}

void fixture_init_unwritten(struct fixture *f, unsigned members)
{
    *f = (struct fixture){.now_ms = 1000, .members_len = members};
    f->clock = (struct clock){.monotonic_ms = clock_now, .wall_ms = clock_now, .random = clock_random};
    f->journal = (struct journal){.level = JOURNAL_ERROR, .write = journal_count};
    for (unsigned i = 0; i < members; i++) {
        f->members[i] = (struct driver_member){.id = i + 1, .address = addresses[i]};
    }
    f->disk = sim_disk_new();
    cr_assert_not_null(f->disk);
    open_driver(f);
}

void fixture_init(struct fixture *f, unsigned members)
{
    fixture_init_unwritten(f, members);
    fixture_disk(f);
}

void fixture_reopen(struct fixture *f, bool crash)
{
    if (crash) {
        sim_disk_crash_losing_all(f->disk);
    } else {
        sim_disk_kill(f->disk);
    }
    driver_close(f->driver);
    f->sent_len = 0;
    f->applied_len = 0;
    open_driver(f);
}

void fixture_done(struct fixture *f)
{
    sim_disk_kill(f->disk);
    driver_close(f->driver);
    sim_disk_free(f->disk);
    slice_unref(&f->position);
}

void fixture_disk(struct fixture *f)
{
    sim_disk_complete_all(f->disk);
}

bool fixture_disk_one(struct fixture *f)
{
    return sim_disk_complete_kind(f->disk, SIM_DISK_APPEND);
}

void fixture_forget(struct fixture *f)
{
    f->sent_len = 0;
}

const struct raft_message *fixture_last(const struct fixture *f, uint64_t node, enum raft_message_type type)
{
    for (unsigned i = f->sent_len; i > 0; i--) {
        if (f->sent[i - 1].node == node && f->sent[i - 1].raft.type == type) {
            return &f->sent[i - 1].raft;
        }
    }
    return NULL;
}

struct log_entry fixture_entry(uint64_t term, const char *text)
{
    struct log_entry entry = {.term = term, .type = LOG_ENTRY_COMMAND};
    cr_assert_eq(slice_copy(text, strlen(text), &entry.payload), 0);
    return entry;
}

struct log_entry fixture_change(uint64_t term, const uint64_t *voters, unsigned voters_len, uint64_t standby)
{
    struct log_entry entry = {.term = term, .type = LOG_ENTRY_CHANGE};
    struct raft_configuration configuration;
    raft_configuration_init(&configuration);
    for (unsigned i = 0; i < voters_len; i++) {
        cr_assert_eq(raft_configuration_add(&configuration, voters[i], addresses[voters[i] - 1], RAFT_VOTER), 0);
    }
    if (standby != 0) {
        cr_assert_eq(raft_configuration_add(&configuration, standby, addresses[standby - 1], RAFT_STANDBY), 0);
    }
    cr_assert_eq(configuration_encode(&configuration, &entry.payload), 0);
    raft_configuration_close(&configuration);
    return entry;
}

struct slice fixture_position(uint64_t index, uint64_t term, uint64_t members_index, const uint64_t *voters,
                              unsigned voters_len, uint64_t standby)
{
    struct log_entry change = fixture_change(1, voters, voters_len, standby);
    struct driver_position position = {.index = index, .term = term, .configuration_index = members_index};
    struct slice bytes;
    cr_assert_eq(configuration_decode(change.payload.data, change.payload.len, &position.configuration), 0);
    cr_assert_eq(driver_position_encode(&position, &bytes), 0);
    raft_configuration_close(&position.configuration);
    slice_unref(&change.payload);
    return bytes;
}

/* Turns an outgoing frame into an incoming one and gives it to the driver. */
static int deliver(struct fixture *f, uint64_t from, struct frame_out *out)
{
    struct frame_prefix prefix;
    cr_assert_eq(frame_prefix_decode(out->head->data, &prefix), 0);
    struct blob *whole = blob_new(prefix.header_len + prefix.body_len);
    size_t at = prefix.header_len;
    memcpy(whole->data, out->head->data + FRAME_PREFIX_LEN, at);
    for (unsigned i = 0; i < out->parts_len; i++) {
        if (out->parts[i].len > 0) {
            memcpy(whole->data + at, out->parts[i].data, out->parts[i].len);
        }
        at += out->parts[i].len;
    }
    struct frame in = {.type = prefix.type,
                       .header = slice_part(slice_of_blob(whole), 0, prefix.header_len),
                       .body = slice_part(slice_of_blob(whole), prefix.header_len, prefix.body_len)};
    int err = driver_receive(f->driver, from, &in);
    frame_out_done(out);
    blob_unref(whole);
    return err;
}

int fixture_append(struct fixture *f, uint64_t from, uint64_t term, uint64_t prev_index, uint64_t prev_term,
                   uint64_t commit, struct log_entry *entries, unsigned entries_len)
{
    struct raft_append_entries append = {
        .term = term, .prev_log_index = prev_index, .prev_log_term = prev_term, .leader_commit = commit};
    struct frame_out out;
    cr_assert_eq(message_encode_append(0, &append, entries, entries_len, &out), 0);
    for (unsigned i = 0; i < entries_len; i++) {
        slice_unref(&entries[i].payload);
    }
    return deliver(f, from, &out);
}

int fixture_say(struct fixture *f, uint64_t from, const struct raft_message *message)
{
    struct frame_out out;
    struct log_entry change = {0};
    if (message->type == RAFT_INSTALL_SNAPSHOT) {
        change = fixture_change(1, (uint64_t[]){1, 2, 3}, 3, 0);
    }
    cr_assert_eq(message_encode(0, message, change.payload, &out), 0);
    slice_unref(&change.payload);
    return deliver(f, from, &out);
}

int fixture_result(struct fixture *f, uint64_t from, uint64_t term, uint64_t rejected, uint64_t last_index)
{
    struct raft_message message = {.type = RAFT_APPEND_ENTRIES_RESULT};
    message.append_entries_result =
        (struct raft_append_entries_result){.term = term, .rejected = rejected, .last_log_index = last_index};
    return fixture_say(f, from, &message);
}

const struct fixture_sent *fixture_last_read(const struct fixture *f, uint64_t node, enum message_kind kind)
{
    for (unsigned i = f->sent_len; i > 0; i--) {
        if (f->sent[i - 1].node == node && f->sent[i - 1].kind == kind) {
            return &f->sent[i - 1];
        }
    }
    return NULL;
}

int fixture_say_read(struct fixture *f, uint64_t from, enum message_kind kind, uint64_t term, uint64_t round)
{
    struct frame_out out;
    cr_assert_eq(message_encode_read(0, kind, term, round, &out), 0);
    return deliver(f, from, &out);
}

static void grant(struct fixture *f, bool pre_vote)
{
    const struct raft_message *asked = fixture_last(f, 2, RAFT_REQUEST_VOTE);
    cr_assert_not_null(asked);
    cr_assert_eq(asked->request_vote.pre_vote, pre_vote);
    struct raft_message vote = {.type = RAFT_REQUEST_VOTE_RESULT};
    vote.request_vote_result =
        (struct raft_request_vote_result){.term = asked->request_vote.term, .vote_granted = true, .pre_vote = pre_vote};
    for (uint64_t node = 2; node <= 1 + f->members_len / 2; node++) {
        cr_assert_eq(fixture_say(f, node, &vote), 0);
    }
}

void fixture_until_due(struct fixture *f)
{
    uint64_t due_ms = driver_deadline_ms(f->driver);
    cr_assert_neq(due_ms, UINT64_MAX);
    f->now_ms = due_ms > f->now_ms ? due_ms : f->now_ms;
    driver_step(f->driver);
}

void fixture_time_out(struct fixture *f)
{
    uint64_t due_ms = raft_timeout(&f->driver->raft);
    f->now_ms = due_ms > f->now_ms ? due_ms : f->now_ms;
    driver_step(f->driver);
}

void fixture_lead(struct fixture *f)
{
    fixture_time_out(f);
    grant(f, true);
    grant(f, false);
    driver_step(f->driver);
    cr_assert_eq(f->role, DRIVER_LEADER);
    fixture_disk(f);
    uint64_t term = raft_current_term(&f->driver->raft);
    for (uint64_t node = 2; node <= f->members_len; node++) {
        cr_assert_eq(fixture_result(f, node, term, 0, log_last_index(f->driver->log)), 0);
    }
    driver_step(f->driver);
    cr_assert_eq(raft_commit_index(&f->driver->raft), log_last_index(f->driver->log));
}

uint64_t fixture_submit(struct fixture *f, const char *text)
{
    struct log_entry entry = fixture_entry(0, text);
    uint64_t index;
    uint64_t term;
    cr_assert_eq(driver_submit(f->driver, entry.payload, &index, &term), 0);
    slice_unref(&entry.payload);
    return index;
}

void fixture_acknowledge(struct fixture *f)
{
    uint64_t term = raft_current_term(&f->driver->raft);
    for (uint64_t node = 2; node <= f->members_len; node++) {
        cr_assert_eq(fixture_result(f, node, term, 0, log_last_index(f->driver->log)), 0);
    }
    driver_step(f->driver);
}

struct driver_status fixture_status(const struct fixture *f)
{
    struct driver_status status;
    driver_status(f->driver, &status);
    return status;
}
