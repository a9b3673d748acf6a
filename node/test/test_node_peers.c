/* A node's links: whom it knows, whom it refuses, and what it makes of being refused. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "node_fixture.h"

#define INCARNATION 22u

static struct node_fixture fixture;
static bool replaced; /* The fixture's own links are closed. */

/* ---- The other node ---- */

struct other {
    struct peer_links *links;
    char address[32]; /* Of node 1. */
    bool connected;
    int refused; /* With that. */
    char why[512];
    int bars;      /* It keeps node 1 out, with that error. */
    bool founding; /* It says so. */
    bool closed;
};

static struct other other;

static int other_received(void *arg, uint64_t from, const struct frame *frame)
{
    (void)arg;
    (void)from;
    (void)frame;
    return 0;
}

static void other_changed(void *arg, uint64_t node, bool connected, const char *client_address)
{
    (void)arg;
    (void)client_address;
    other.connected = node == 1 && connected;
}

static void other_refused(void *arg, uint64_t node, int err, const char *detail)
{
    (void)arg;
    (void)node;
    other.refused = err;
    (void)snprintf(other.why, sizeof other.why, "%s", detail);
}

static int other_barred(void *arg, uint64_t node, char *detail, size_t detail_len)
{
    (void)arg;
    (void)snprintf(detail, detail_len, "node %u was given up", (unsigned)node);
    return other.bars;
}

static void note_closed(void *arg)
{
    *(bool *)arg = true;
}

/* That node, from a directory of that incarnation; it dials node 1. */
static void other_start_as(uint64_t id, uint64_t incarnation)
{
    char detail[256] = "";
    (void)snprintf(other.address, sizeof other.address, "127.0.0.1:%u", peer_links_port(fixture.node.peers));
    const struct peer_member one = {.id = 1, .address = other.address};
    const struct peer_links_options options = {
        .loop = &fixture.loop,
        .listen_address = "127.0.0.1:0",
        .node = id,
        .cluster = "test",
        .incarnation = incarnation,
        .founding = other.founding,
        .client_address = "client:2",
        .members = &one,
        .members_len = 1,
        .received = other_received,
        .changed = other_changed,
        .barred = other_barred,
        .refused = other_refused,
    };
    other.connected = other.closed = false;
    other.refused = 0;
    cr_assert_eq(peer_links_start(&options, &other.links, detail, sizeof detail), 0, "%s", detail);
}

static void other_start(uint64_t incarnation)
{
    other_start_as(2, incarnation);
}

static void other_stop(void)
{
    peer_links_close(other.links, note_closed, &other.closed);
    while (!other.closed) {
        (void)uv_run(&fixture.loop, UV_RUN_ONCE);
    }
    other.links = NULL;
}

/* ---- This one ---- */

static void setup(void)
{
    char detail[256] = "";
    node_fixture_start(&fixture);
    struct node *node = &fixture.node;
    peer_links_close(node->peers, note_closed, &replaced);
    while (!replaced) {
        (void)uv_run(&fixture.loop, UV_RUN_ONCE);
    }
    fixture.config.listen_peer = "127.0.0.1:0";
    for (unsigned i = 0; i < 3; i++) {
        node->members[i].id = i + 1;
        node->members[i].voter = true;
        (void)snprintf(node->members[i].address, sizeof node->members[i].address, "%s", fixture.addresses[i]);
    }
    node->members_len = 3;
    cr_assert_eq(node_peers_listen(node, detail, sizeof detail), 0, "%s", detail);
}

static void teardown(void)
{
    if (other.links != NULL) {
        other_stop();
    }
    node_fixture_stop(&fixture);
}

TestSuite(node_peers, .init = setup, .fini = teardown, .timeout = 30);

static void until_decided(void)
{
    while (!other.connected && other.refused == 0) {
        (void)uv_run(&fixture.loop, UV_RUN_ONCE);
    }
}

/* Node 1 finds it, too. */
static void other_is_dialled(void)
{
    char address[32];
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", peer_links_port(other.links));
    cr_assert_eq(peer_links_set_address(fixture.node.peers, 2, address), 0);
}

/* ---- Whom it knows ---- */

Test(node_peers, a_directory_is_known_from_its_first_connection_on)
{
    struct node *node = &fixture.node;
    other_start(INCARNATION);
    other_is_dialled();
    until_decided();
    cr_assert(other.connected, "%s", other.why);
    while (!node->accepted[1]) {
        (void)uv_run(&fixture.loop, UV_RUN_ONCE);
    }
    cr_assert_not(node->accepted[2]);
    cr_assert_str_empty(node->alarm);
    other_stop();

    other_start(INCARNATION + 1);
    until_decided();
    cr_assert_eq(other.refused, ERR_FOREIGN, "%s", other.why);
    cr_assert_not_null(strstr(node->stranger, "node 2"), "%s", node->stranger);
    cr_assert_str_eq(node->alarm, node->stranger);
    other_stop();

    other_start(INCARNATION);
    until_decided();
    cr_assert(other.connected, "%s", other.why);
}

Test(node_peers, who_was_given_up_is_kept_out)
{
    char detail[256] = "";
    cr_assert_eq(data_dir_expel(fixture.node.data_dir, (uint64_t[]){2, 4}, 2, detail, sizeof detail), 0, "%s", detail);
    for (uint64_t id = 2; id <= 4; id += 2) { /* A member, and one that is none. */
        other_start_as(id, INCARNATION);
        until_decided();
        cr_assert_eq(other.refused, ERR_REFUSED, "%s", other.why);
        other_stop();
    }
    cr_assert_not(fixture.node.accepted[1]);
}

/* ---- Who founds ---- */

/* It may have been one of ours, and what it promised is gone. */
Test(node_peers, a_cluster_that_has_begun_lets_nobody_found)
{
    other.founding = true;
    other_start(INCARNATION);
    until_decided();
    cr_assert_eq(other.refused, ERR_STALE, "%s", other.why);
    cr_assert_not_null(strstr(other.why, "this cluster has begun"), "%s", other.why);
    cr_assert_not(fixture.node.accepted[1]);
    other_stop();
    other.founding = false;
    other_start(INCARNATION);
    until_decided();
    cr_assert(other.connected, "as a patient: %s", other.why);
}

/* The first entry is in every log: this node may have been quicker, or there was a crash. */
Test(node_peers, one_whose_log_has_but_the_first_entry_lets_others_found)
{
    static const struct driver_member members[] = {
        {.id = 1, .address = "node:1"}, {.id = 2, .address = "node:2"}, {.id = 3, .address = "node:3"}};
    const struct shard_options options = {.members = members, .members_len = 3};
    one_node_stop(&fixture.one);
    one_node_start(&fixture.one, &options);
    fixture.node.shard = fixture.one.shard;
    other.founding = true;
    other_start(INCARNATION);
    until_decided();
    cr_assert(other.connected, "%s", other.why);
}

Test(node_peers, those_who_found_meet)
{
    struct shard *shard = fixture.node.shard;
    fixture.node.shard = NULL;
    fixture.node.founding = true;
    other.founding = true;
    other_start(INCARNATION);
    until_decided();
    cr_assert(other.connected, "%s", other.why);
    other_stop();
    fixture.node.shard = shard;
}

/* What is left of the old cluster must not go on. */
Test(node_peers, who_is_told_that_it_was_given_up_ends, .exit_code = NODE_EXIT_FATAL)
{
    other.bars = ERR_REFUSED;
    other_start(INCARNATION);
    other_is_dialled();
    for (;;) {
        (void)uv_run(&fixture.loop, UV_RUN_ONCE);
    }
}

/* ---- What is shown ---- */

Test(node_peers, a_stranger_is_shown_for_a_while)
{
    struct node *node = &fixture.node;
    (void)snprintf(node->waiting, sizeof node->waiting, "it waits for its vote");
    (void)snprintf(node->stranger, sizeof node->stranger, "somebody came as node 2");
    node->stranger_until_ms = uv_now(node->loop) + 1;
    node_alarm_compose(node);
    cr_assert_str_eq(node->alarm, "it waits for its vote; somebody came as node 2");
    node_peers_step(node);
    cr_assert_str_eq(node->alarm, "it waits for its vote; somebody came as node 2");
    node->stranger_until_ms = uv_now(node->loop);
    node_peers_step(node);
    cr_assert_str_eq(node->alarm, "it waits for its vote");
    cr_assert_str_empty(node->stranger);
    node->waiting[0] = '\0';
    node_alarm_compose(node);
    cr_assert_str_empty(node->alarm);
}
