/* Drivers that talk to each other. */

#include "cluster.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "../../chaos-tests/sim/sim_disk.h"
#include "proto/base/check.h"

#define PAYLOAD_LEN 100u

static const struct driver_member members[CLUSTER_NODES_MAX] = {
    {.id = 1, .address = "a:1"}, {.id = 2, .address = "b:1"}, {.id = 3, .address = "c:1"},
    {.id = 4, .address = "d:1"}, {.id = 5, .address = "e:1"}, {.id = 6, .address = "f:1"}};

void cluster_expect(const struct cluster *c, bool holds, const char *what)
{
    if (!holds && c->exit_on_violation) {
        _exit(CLUSTER_VIOLATION);
    }
    cr_assert(holds, "%s", what);
}

static uint64_t clock_now(struct clock *clock)
{
    return container_of(clock, struct cluster, clock)->now_ms;
}

static uint64_t clock_random(struct clock *clock)
{
    struct cluster *c = container_of(clock, struct cluster, clock);
    c->random = c->random * 6364136223846793005u + 1442695040888963407u;
    return c->random >> 33;
}

static void journal_drop(struct journal *journal, enum journal_level level, const char *subject, const char *text)
{
    (void)journal;
    (void)level;
    (void)subject;
    (void)text;
}

/* Counts what the tests ask about. */
static void look(struct cluster *c, const struct cluster_frame *frame)
{
    static _Thread_local struct message message;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    cr_assert_eq(message_decode(&frame->frame, 0, &arena, &message), 0, "what a driver sends can be decoded");
    if (message.kind == MESSAGE_ENGINE && message.raft.type == RAFT_INSTALL_SNAPSHOT) {
        c->nodes[frame->to].offers++;
    }
    if (message.kind == MESSAGE_ENGINE && message.raft.type == RAFT_APPEND_ENTRIES_RESULT) {
        c->nodes[frame->from].refusals += message.raft.append_entries_result.rejected > 0;
    }
    arena_done(&arena);
}

static void host_send(void *arg, uint64_t node, struct frame_out *out)
{
    struct cluster_node *from = arg;
    struct cluster *c = from->cluster;
    struct frame_prefix prefix;
    cr_assert_eq(frame_prefix_decode(out->head->data, &prefix), 0);
    struct cluster_frame frame = {.from = from->id, .to = node, .bytes = blob_new(prefix.header_len + prefix.body_len)};
    size_t at = out->head->len - FRAME_PREFIX_LEN;
    memcpy(frame.bytes->data, out->head->data + FRAME_PREFIX_LEN, at);
    for (unsigned i = 0; i < out->parts_len; i++) {
        if (out->parts[i].len > 0) {
            memcpy(frame.bytes->data + at, out->parts[i].data, out->parts[i].len);
        }
        at += out->parts[i].len;
    }
    frame.frame = (struct frame){.type = prefix.type,
                                 .header = slice_part(slice_of_blob(frame.bytes), 0, prefix.header_len),
                                 .body = slice_part(slice_of_blob(frame.bytes), prefix.header_len, prefix.body_len)};
    frame_out_done(out);
    cr_assert_lt(c->frames_len, CLUSTER_FRAMES_MAX);
    look(c, &frame);
    c->frames[c->frames_len++] = frame;
}

static int host_apply(void *arg, uint64_t index, uint64_t term, struct slice payload)
{
    struct cluster_node *node = arg;
    cr_assert_gt(index, node->now.index, "each entry once, in order");
    node->now.index = index;
    node->now.digest = XXH3_64bits_withSeed(payload.data, payload.len, node->now.digest ^ index ^ term << 32);
    cr_assert_lt(index, CLUSTER_ENTRIES_MAX);
    uint64_t *digest = &node->cluster->digests[index];
    cluster_expect(node->cluster, *digest == 0 || *digest == node->now.digest, "replicas differ");
    *digest = node->now.digest;
    return 0;
}

static void host_role_changed(void *arg, enum driver_role role, uint64_t leader, uint64_t term)
{
    struct cluster_node *node = arg;
    uint64_t *leads = &node->cluster->leaders[term % CLUSTER_TERMS_MAX];
    (void)leader;
    if (role == DRIVER_LEADER) {
        cluster_expect(node->cluster, *leads == 0 || *leads == node->id, "a term has two leaders");
        *leads = node->id;
    }
}

static void host_read_ready(void *arg, uint64_t round, uint64_t index)
{
    struct cluster_node *node = arg;
    (void)index;
    node->read_round = round;
}

static void host_behind(void *arg, uint64_t leader)
{
    struct cluster_node *node = arg;
    node->behind++;
    node->behind_leader = leader;
}

static void host_removed(void *arg)
{
    struct cluster_node *node = arg;
    node->removed++;
}

static void host_forgot(void *arg, uint64_t id, uint64_t had, uint64_t has)
{
    struct cluster_node *node = arg;
    cr_assert_gt(had, has);
    node->forgot++;
    node->forgot_node = id;
}

static void host_fatal(void *arg, int err, const char *what)
{
    struct cluster_node *node = arg;
    cluster_expect(node->cluster, !node->cluster->exit_on_violation, what);
    fprintf(stderr, "fatal: %s: %s\n", err_name(err), what);
    abort();
}

struct driver_options cluster_options(struct cluster *c, uint64_t id)
{
    struct cluster_node *node = &c->nodes[id];
    return (struct driver_options){
        .id = id,
        .members = members,
        .members_len = c->voters,
        .disk = sim_disk_ops(node->disk),
        .clock = &c->clock,
        .journal = &c->journal,
        .dir = "shard-0",
        .segment_len = 16 * KIB,
        .retain_len = 8 * KIB,
        .fill_len = 4 * KIB,
        .election_timeout_ms = CLUSTER_ELECTION_MS,
        .heartbeat_ms = CLUSTER_HEARTBEAT_MS,
        .applied_index = node->checkpoint.position.len > 0 ? node->checkpoint.index : 0,
        .checkpoint = node->checkpoint.position,
        .host = {.arg = node,
                 .send = host_send,
                 .apply = host_apply,
                 .role_changed = host_role_changed,
                 .read_ready = host_read_ready,
                 .behind = host_behind,
                 .removed = host_removed,
                 .forgot = host_forgot,
                 .fatal = host_fatal},
    };
}

void cluster_open(struct cluster *c, uint64_t id)
{
    struct cluster_node *node = &c->nodes[id];
    struct driver_options options = cluster_options(c, id);
    char detail[512];
    node->now = node->checkpoint;
    node->behind = 0;
    node->offers = 0;
    node->refusals = 0;
    node->removed = 0;
    node->forgot = 0;
    node->read_round = 0;
    int err = driver_open(&options, &node->driver, detail, sizeof detail);
    cr_assert_eq(err, 0, "%s", detail);
}

void cluster_close(struct cluster *c, uint64_t id)
{
    struct cluster_node *node = &c->nodes[id];
    sim_disk_kill(node->disk);
    driver_close(node->driver);
    node->driver = NULL;
}

void cluster_init(struct cluster *c)
{
    cluster_init_voters(c, CLUSTER_NODES);
}

void cluster_init_voters(struct cluster *c, unsigned voters)
{
    *c = (struct cluster){.now_ms = 1000, .random = 7, .voters = voters};
    c->clock = (struct clock){.monotonic_ms = clock_now, .wall_ms = clock_now, .random = clock_random};
    c->journal = (struct journal){.level = JOURNAL_ERROR, .write = journal_drop};
    for (uint64_t id = 1; id <= CLUSTER_NODES_MAX; id++) {
        c->nodes[id].cluster = c;
        c->nodes[id].id = id;
        c->nodes[id].disk = sim_disk_new();
        cr_assert_not_null(c->nodes[id].disk);
        if (id <= voters) {
            cluster_open(c, id);
        }
    }
}

void cluster_done(struct cluster *c)
{
    for (uint64_t id = 1; id <= CLUSTER_NODES_MAX; id++) {
        cluster_close(c, id);
        sim_disk_free(c->nodes[id].disk);
        slice_unref(&c->nodes[id].checkpoint.position);
    }
    for (unsigned i = 0; i < c->frames_len; i++) {
        blob_unref(c->frames[i].bytes);
    }
    for (unsigned i = 0; i < c->late_len; i++) {
        blob_unref(c->late[i].bytes);
    }
}

static bool happens(struct cluster *c, unsigned of_a_thousand)
{
    return of_a_thousand > 0 && clock_random(&c->clock) % 1000 < of_a_thousand;
}

/* What is late comes some time. */
static void release_late(struct cluster *c)
{
    while (c->late_len > 0 && clock_random(&c->clock) % 4 == 0) {
        cr_assert_lt(c->frames_len, CLUSTER_FRAMES_MAX);
        c->frames[c->frames_len++] = c->late[--c->late_len];
    }
}

static void deliver(struct cluster *c)
{
    struct cluster_frame frame = c->frames[0];
    c->frames_len--;
    memmove(c->frames, c->frames + 1, c->frames_len * sizeof c->frames[0]);
    if (c->late_len < CLUSTER_LATE_MAX && happens(c, c->lateness)) {
        c->late[c->late_len++] = frame;
        return;
    }
    struct cluster_node *to = &c->nodes[frame.to];
    bool lost = to->driver == NULL || to->cut_off || c->nodes[frame.from].cut_off;
    if (!lost && !happens(c, c->loss)) {
        cr_assert_eq(driver_receive(to->driver, frame.from, &frame.frame), 0);
    }
    blob_unref(frame.bytes);
}

/* Until nothing is under way and nothing is due. */
static void settle(struct cluster *c)
{
    bool busy = true;
    while (busy) {
        busy = c->frames_len > 0;
        while (c->frames_len > 0) {
            deliver(c);
        }
        for (uint64_t id = 1; id <= CLUSTER_NODES_MAX; id++) {
            if (c->nodes[id].driver != NULL) {
                if (!happens(c, c->slowness)) {
                    sim_disk_complete_all(c->nodes[id].disk);
                }
                driver_step(c->nodes[id].driver);
            }
        }
        busy = busy || c->frames_len > 0;
    }
}

void cluster_run(struct cluster *c, uint64_t ms)
{
    settle(c);
    for (uint64_t done = 0; done < ms; done += CLUSTER_STEP_MS) {
        c->now_ms += CLUSTER_STEP_MS;
        release_late(c);
        settle(c);
    }
}

struct driver_status cluster_status(const struct cluster *c, uint64_t id)
{
    struct driver_status status;
    driver_status(c->nodes[id].driver, &status);
    return status;
}

uint64_t cluster_elect(struct cluster *c)
{
    for (int i = 0; i < 1000; i++) {
        for (uint64_t id = 1; id <= CLUSTER_NODES_MAX; id++) {
            bool there = c->nodes[id].driver != NULL && !c->nodes[id].cut_off;
            if (there && cluster_status(c, id).role == DRIVER_LEADER && cluster_status(c, id).term_committed) {
                return id;
            }
        }
        cluster_run(c, CLUSTER_STEP_MS);
    }
    cr_assert(false, "nobody leads");
    return 0;
}

void cluster_submit(struct cluster *c, uint64_t leader, unsigned count)
{
    struct driver *driver = c->nodes[leader].driver;
    for (unsigned i = 0; i < count; i++) {
        uint8_t payload[PAYLOAD_LEN] = {0};
        memcpy(payload, &c->submitted, sizeof c->submitted);
        c->submitted++;
        struct slice slice;
        uint64_t index;
        uint64_t term;
        cr_assert_eq(slice_copy(payload, sizeof payload, &slice), 0);
        cr_assert_eq(driver_submit(driver, slice, &index, &term), 0);
        slice_unref(&slice);
        settle(c);
        cr_assert_eq(cluster_status(c, leader).applied_index, index);
    }
}

void cluster_checkpoint(struct cluster *c, uint64_t id)
{
    struct cluster_node *node = &c->nodes[id];
    struct cluster_state state = {.digest = node->now.digest};
    cr_assert_eq(driver_checkpoint(node->driver, &state.index, &state.position), 0);
    cr_assert_eq(driver_checkpoint_stored(node->driver, state.index, state.position), 0);
    slice_unref(&node->checkpoint.position);
    node->checkpoint = state;
    settle(c);
}

static void copy(struct cluster *c, uint64_t from, uint64_t to, bool discard)
{
    struct cluster_node *node = &c->nodes[to];
    const struct cluster_state *state = &c->nodes[from].checkpoint;
    cr_assert_null(node->driver);
    struct slice position = slice_ref(state->position);
    slice_unref(&node->checkpoint.position);
    node->checkpoint = *state;
    node->checkpoint.position = position;
    struct driver_options options = cluster_options(c, to);
    options.discard = discard;
    char detail[512];
    cr_assert_eq(driver_rejoin(&options, detail, sizeof detail), 0, "%s", detail);
}

void cluster_copy(struct cluster *c, uint64_t from, uint64_t to)
{
    copy(c, from, to, false);
}

void cluster_copy_anew(struct cluster *c, uint64_t from, uint64_t to)
{
    copy(c, from, to, true);
}

const char *cluster_address(uint64_t id)
{
    return members[id - 1].address;
}

void cluster_change(struct cluster *c, uint64_t leader, enum driver_change_kind kind, uint64_t node)
{
    struct driver_change change = {.kind = kind, .node = node, .address = members[node - 1].address};
    uint64_t index;
    const char *why;
    int err = driver_change(c->nodes[leader].driver, &change, &index, &why);
    if (err == ERR_BUSY && kind == DRIVER_PROMOTE) { /* It is asked something first. */
        settle(c);
        err = driver_change(c->nodes[leader].driver, &change, &index, &why);
    }
    cr_assert_eq(err, 0, "%s", why);
    settle(c);
    cr_assert_geq(cluster_status(c, leader).applied_index, index);
}
