/* The fixture of the tests of several shards. */

#include "three_nodes.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/wire/frame.h"

static struct wire *wire_of(const struct three_node *from, const struct three_node *to)
{
    return &from->three->wires[from->id - 1][to->id - 1];
}

/* ---- Frames ---- */

static struct blob *frame_flatten(const struct frame_out *frame)
{
    struct blob *blob = blob_new(frame->len);
    cr_assert_not_null(blob);
    size_t at = frame->head->len;
    memcpy(blob->data, frame->head->data, at);
    for (unsigned i = 0; i < frame->parts_len; i++) {
        if (frame->parts[i].len == 0) {
            continue; /* It may have no address. */
        }
        memcpy(blob->data + at, frame->parts[i].data, frame->parts[i].len);
        at += frame->parts[i].len;
    }
    cr_assert_eq(at, frame->len);
    return blob;
}

static struct frame frame_of(struct blob *blob)
{
    struct frame_prefix prefix;
    cr_assert_eq(frame_prefix_decode(blob->data, &prefix), 0);
    struct slice all = slice_of_blob(blob);
    return (struct frame){
        .type = prefix.type,
        .header = slice_part(all, FRAME_PREFIX_LEN, prefix.header_len),
        .body = slice_part(all, FRAME_PREFIX_LEN + prefix.header_len, prefix.body_len),
    };
}

static void wire_push(struct wire *wire, struct blob *blob)
{
    if (wire->len == wire->cap) {
        wire->cap = wire->cap == 0 ? 64 : wire->cap * 2;
        wire->frames = realloc(wire->frames, wire->cap * sizeof *wire->frames);
        cr_assert_not_null(wire->frames);
    }
    wire->frames[wire->len++] = blob;
}

static struct blob *wire_take(struct wire *wire)
{
    cr_assert_gt(wire->len, 0u);
    struct blob *blob = wire->frames[0];
    wire->len--;
    memmove(wire->frames, wire->frames + 1, wire->len * sizeof *wire->frames);
    return blob;
}

static void wire_drop(struct wire *wire)
{
    while (wire->len > 0) {
        blob_unref(wire_take(wire));
    }
}

static bool node_send(void *arg, uint64_t to, struct frame_out *frame)
{
    struct three_node *node = arg;
    if (to > THREE) { /* A member that has never been started. */
        frame_out_done(frame);
        return false;
    }
    struct wire *wire = &node->three->wires[node->id - 1][to - 1];
    bool taken = wire->connected && !wire->full;
    if (taken) {
        struct blob *blob = frame_flatten(frame);
        if (wire->swallow && frame_of(blob).type == FRAME_PEER_GATEWAY) {
            blob_unref(blob);
        } else {
            wire_push(wire, blob);
        }
    }
    frame_out_done(frame);
    return taken;
}

size_t three_on_wire(const struct three_node *from, const struct three_node *to, uint8_t type)
{
    const struct wire *wire = wire_of(from, to);
    size_t count = 0;
    for (size_t i = 0; i < wire->len; i++) {
        count += frame_of(wire->frames[i]).type == type;
    }
    return count;
}

void three_deliver_one(struct three_node *from, struct three_node *to)
{
    struct blob *blob = wire_take(wire_of(from, to));
    struct frame frame = frame_of(blob);
    int err = shard_receive(to->shard, from->id, &frame);
    blob_unref(blob);
    if (err != 0) {
        cr_assert(from->three->tolerant, "node %u refuses a frame: %s", (unsigned)to->id, err_text(err));
        from->three->refused++;
        three_cut(from, to);
        three_join(from, to);
    }
}

/* ---- Life ---- */

static bool is_up(const struct three_node *node)
{
    return node->shard != NULL && !node->paused;
}

static uint64_t node_memory_used(void *arg)
{
    const struct three_node *node = arg;
    return node->memory_used;
}

static void node_fatal(void *arg, int err, const char *what)
{
    const struct three_node *node = arg;
    cr_assert_fail("node %u: fatal: %s: %s", (unsigned)node->id, what, err_text(err));
}

static void node_settle(struct home *home)
{
    three_settle(container_of(home, struct three_node, home)->three);
}

static void node_wait(struct home *home, uint64_t ms)
{
    three_wait(container_of(home, struct three_node, home)->three, ms);
}

static void node_open(struct three_node *node)
{
    static const char *const addresses[THREE] = {"client:1", "client:2", "client:3"};
    char detail[512] = "";
    struct store *store;
    cr_assert_eq(store_memory_open(node->rows, &store), 0);
    node->options.store = store;
    cr_assert_eq(shard_open(&node->options, &node->shard, detail, sizeof detail), 0, "%s", detail);
    node->home = (struct home){.gateway = shard_gateway(node->shard), .settle = node_settle, .wait = node_wait};
    shard_set_client_address(node->shard, addresses[node->id - 1]);
}

static void node_init(struct three *three, struct three_node *node, uint64_t id, const struct shard_options *options)
{
    static const struct driver_member members[THREE] = {{1, "node:1"}, {2, "node:2"}, {3, "node:3"}};
    *node = (struct three_node){.three = three, .id = id, .disk = sim_disk_new(), .rows = store_memory_disk_new()};
    one_clock_init(&node->clock, id * 7919);
    if (options != NULL) {
        node->options = *options;
    }
    node->options.node = id;
    node->options.cluster = "test";
    node->options.version = "0";
    node->options.members = members;
    node->options.members_len = THREE;
    node->options.disk = sim_disk_ops(node->disk);
    node->options.clock = &node->clock.base;
    node->options.dir = "shard-0";
    node->options.election_timeout_ms = THREE_ELECTION_MS;
    node->options.heartbeat_ms = THREE_HEARTBEAT_MS;
    node->options.arg = node;
    node->options.send = node_send;
    node->options.memory_used = node_memory_used;
    node->options.fatal = node_fatal;
    node_open(node);
}

void three_start(struct three *three, const struct shard_options *options)
{
    *three = (struct three){0};
    for (unsigned i = 0; i < THREE; i++) {
        node_init(three, &three->nodes[i], i + 1, options);
    }
    for (unsigned i = 0; i < THREE; i++) {
        three_heal(&three->nodes[i]);
    }
    three_find_leader(three);
}

void three_stop(struct three *three)
{
    for (unsigned i = 0; i < THREE; i++) {
        struct three_node *node = &three->nodes[i];
        sim_disk_kill(node->disk);
        shard_close(node->shard);
        sim_disk_free(node->disk);
        store_memory_disk_free(node->rows);
        for (unsigned to = 0; to < THREE; to++) {
            wire_drop(&three->wires[i][to]);
            free(three->wires[i][to].frames);
        }
    }
}

static void three_close(struct three_node *node)
{
    shard_close(node->shard);
    node->shard = NULL;
    node->home.gateway = NULL;
}

void three_crash(struct three_node *node)
{
    three_isolate(node);
    sim_disk_crash_losing_all(node->disk);
    three_close(node);
}

void three_kill(struct three_node *node)
{
    three_isolate(node);
    sim_disk_kill(node->disk);
    three_close(node);
}

void three_restart(struct three_node *node)
{
    node_open(node);
    three_heal(node);
}

/* ---- Connections ---- */

void three_hold(struct three_node *from, struct three_node *to, bool held)
{
    wire_of(from, to)->held = held;
}

void three_fill(struct three_node *from, struct three_node *to, bool full)
{
    wire_of(from, to)->full = full;
}

void three_swallow(struct three_node *from, struct three_node *to, bool swallow)
{
    wire_of(from, to)->swallow = swallow;
}

static void wire_change(struct three_node *from, struct three_node *to, bool connected)
{
    static const char *const addresses[THREE] = {"client:1", "client:2", "client:3"};
    wire_drop(wire_of(from, to));
    wire_of(from, to)->connected = connected && to->shard != NULL && from->shard != NULL;
    if (from->shard != NULL) {
        shard_peer_changed(from->shard, to->id, wire_of(from, to)->connected, addresses[to->id - 1]);
    }
}

void three_cut(struct three_node *one, struct three_node *other)
{
    wire_change(one, other, false);
    wire_change(other, one, false);
}

void three_join(struct three_node *one, struct three_node *other)
{
    wire_change(one, other, true);
    wire_change(other, one, true);
}

void three_isolate(struct three_node *node)
{
    for (unsigned i = 0; i < THREE; i++) {
        if (&node->three->nodes[i] != node) {
            three_cut(node, &node->three->nodes[i]);
        }
    }
}

void three_heal(struct three_node *node)
{
    for (unsigned i = 0; i < THREE; i++) {
        struct three_node *other = &node->three->nodes[i];
        if (other != node && !wire_of(node, other)->connected) {
            three_join(node, other);
        }
    }
}

/* ---- Time ---- */

/* Whether anything moved. */
static bool disk_move(struct three_node *node)
{
    if (node->disk_held || node->paused || sim_disk_pending(node->disk) == 0) {
        return false;
    }
    sim_disk_complete_one(node->disk);
    return true;
}

static bool wire_move(struct three_node *from, struct three_node *to)
{
    struct wire *wire = wire_of(from, to);
    if (wire->held || wire->len == 0 || !is_up(to)) {
        return false;
    }
    three_deliver_one(from, to);
    return true;
}

/* A turn of every node that is up, and one thing each for its disk and its connections. */
static bool three_move(struct three *three)
{
    bool moved = false;
    for (unsigned i = 0; i < THREE; i++) {
        struct three_node *node = &three->nodes[i];
        if (!is_up(node)) {
            continue;
        }
        shard_step(node->shard);
        moved |= disk_move(node);
        for (unsigned to = 0; to < THREE; to++) {
            moved |= to != i && wire_move(node, &three->nodes[to]);
        }
        moved |= shard_deadline_ms(node->shard) <= node->clock.now_ms;
    }
    return moved;
}

void three_settle(struct three *three)
{
    /* Once more when nothing has moved: what the last turn asked for. */
    unsigned still = 0;
    for (int i = 0; i < 100000 && still < 2; i++) {
        still = three_move(three) ? 0 : still + 1;
    }
    cr_assert_eq(still, 2u, "it never comes to rest");
}

static uint64_t three_deadline_ms(struct three *three, uint64_t until_ms)
{
    uint64_t next_ms = until_ms;
    for (unsigned i = 0; i < THREE; i++) {
        struct three_node *node = &three->nodes[i];
        uint64_t due_ms = is_up(node) ? shard_deadline_ms(node->shard) : UINT64_MAX;
        next_ms = due_ms < next_ms ? due_ms : next_ms;
    }
    return next_ms;
}

void three_wait(struct three *three, uint64_t ms)
{
    three_settle(three); /* What happened until now happened now. */
    uint64_t now_ms = three->nodes[0].clock.now_ms;
    uint64_t until_ms = now_ms + ms;
    while (now_ms < until_ms) {
        uint64_t next_ms = three_deadline_ms(three, until_ms);
        now_ms = next_ms > now_ms ? next_ms : now_ms + 1;
        for (unsigned i = 0; i < THREE; i++) {
            three->nodes[i].clock.now_ms = now_ms;
        }
        three_settle(three);
    }
}

void three_step(struct three_node *node)
{
    do {
        shard_step(node->shard);
    } while (disk_move(node) || shard_deadline_ms(node->shard) <= node->clock.now_ms);
}

static uint64_t known_leader(struct three_node *node)
{
    struct gateway_leader leader;
    return node->home.gateway->ops->leader(node->home.gateway, &leader) == 0 ? leader.node : 0;
}

static bool all_follow(struct three *three, uint64_t id)
{
    for (unsigned i = 0; i < THREE; i++) {
        if (is_up(&three->nodes[i]) && known_leader(&three->nodes[i]) != id) {
            return false;
        }
    }
    return id != 0 && is_up(&three->nodes[id - 1]);
}

static uint64_t agreed_leader(struct three *three)
{
    for (unsigned i = 0; i < THREE; i++) {
        if (all_follow(three, three->nodes[i].id)) {
            return three->nodes[i].id;
        }
    }
    return 0;
}

void three_find_leader(struct three *three)
{
    three_settle(three);
    for (int i = 0; i < 1000 && agreed_leader(three) == 0; i++) {
        three_wait(three, 10);
    }
    uint64_t id = agreed_leader(three);
    cr_assert_neq(id, 0u, "nobody leads");
    three->leader = &three->nodes[id - 1];
    three->a = &three->nodes[id % THREE];
    three->b = &three->nodes[(id + 1) % THREE];
    three_settle(three);
}

void three_lead(struct three *three, struct three_node *to)
{
    cr_assert_eq(three->leader->home.gateway->ops->transfer(three->leader->home.gateway, to->id), 0);
    for (int i = 0; i < 100 && agreed_leader(three) != to->id; i++) {
        three_wait(three, 10);
    }
    three_find_leader(three);
    cr_assert_eq(three->leader, to);
}

struct gateway_status three_status(struct three_node *node)
{
    struct gateway_status status;
    node->home.gateway->ops->status(node->home.gateway, &status);
    return status;
}
