/* Connections between nodes on real sockets: order, reconnection, identity, replacement, bounds. */

#include "rpc/peer/peer_links.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "net_fixture.h"
#include "proto/base/check.h"
#include "proto/base/fault.h"
#include "proto/base/limits.h"
#include "rpc/peer/peer_frame.h"

#define NODES_MAX 3u

/* One node, which notes what happens. */
struct node {
    struct peer_links *links;
    struct test_journal journal;
    bool connected[NODES_MAX + 1];
    unsigned changes;
    char client_address[NODES_MAX + 1][64];
    unsigned received[NODES_MAX + 1];
    unsigned of_gateways;         /* Frames of that type. */
    uint64_t next[NODES_MAX + 1]; /* The number that the next frame from that node should carry. */
    bool disorder;
    int received_err;
    uint64_t foreign; /* An incarnation that is not known. */
    bool closed;
};

struct cluster {
    uv_loop_t loop;
    struct node nodes[NODES_MAX + 1]; /* By id, from 1. */
    uint16_t ports[NODES_MAX + 1];
};

static int on_received(void *arg, uint64_t from, const struct frame *frame)
{
    struct node *node = arg;
    node->received[from]++;
    node->of_gateways += frame->type == FRAME_PEER_GATEWAY;
    if (frame->header.len >= 8) {
        uint64_t number = get_u64(frame->header.data);
        node->disorder |= number < node->next[from];
        node->next[from] = number + 1;
    }
    return node->received_err;
}

static void on_changed(void *arg, uint64_t id, bool connected, const char *client_address)
{
    struct node *node = arg;
    node->connected[id] = connected;
    node->changes++;
    snprintf(node->client_address[id], sizeof node->client_address[id], "%s", client_address);
}

static int on_known(void *arg, uint64_t id, uint64_t incarnation)
{
    struct node *node = arg;
    (void)id;
    return incarnation == node->foreign ? ERR_FOREIGN : 0;
}

static void on_closed(void *arg)
{
    ((struct node *)arg)->closed = true;
}

static bool is_closed(void *arg)
{
    return ((struct node *)arg)->closed;
}

/* Starts a node on its port (0: a free one). The addresses of the others are set by cluster_introduce(). */
static void node_start(struct cluster *cluster, uint64_t id, unsigned count, const char *name)
{
    struct node *node = &cluster->nodes[id];
    *node = (struct node){0};
    test_journal_init(&node->journal);
    struct peer_member members[NODES_MAX];
    char addresses[NODES_MAX][32];
    char listen[32], client[32], detail[200];
    for (unsigned i = 0; i < count; i++) {
        /* Port 1 answers nobody until the real one is known. */
        uint16_t port = cluster->ports[i + 1] != 0 ? cluster->ports[i + 1] : 1;
        snprintf(addresses[i], sizeof addresses[i], "127.0.0.1:%u", port);
        members[i] = (struct peer_member){.id = i + 1, .address = addresses[i]};
    }
    snprintf(listen, sizeof listen, "127.0.0.1:%u", cluster->ports[id]);
    snprintf(client, sizeof client, "client:%u", (unsigned)id);
    struct peer_links_options options = {
        .loop = &cluster->loop,
        .journal = &node->journal.base,
        .listen_address = listen,
        .node = id,
        .cluster = name,
        .incarnation = 100 + id,
        .version = 1,
        .client_address = client,
        .members = members,
        .members_len = count,
        .queue_max = 4 * MIB,
        .arg = node,
        .received = on_received,
        .changed = on_changed,
        .known = on_known,
    };
    cr_assert_eq(peer_links_start(&options, &node->links, detail, sizeof detail), 0, "%s", detail);
    cluster->ports[id] = peer_links_port(node->links);
}

static void cluster_introduce(struct cluster *cluster, unsigned count)
{
    for (unsigned i = 1; i <= count; i++) {
        for (unsigned j = 1; j <= count; j++) {
            char address[32];
            snprintf(address, sizeof address, "127.0.0.1:%u", cluster->ports[j]);
            if (i != j && cluster->nodes[i].links != NULL) {
                cr_assert_eq(peer_links_set_address(cluster->nodes[i].links, j, address), 0);
            }
        }
    }
}

static void cluster_open(struct cluster *cluster, unsigned count)
{
    memset(cluster, 0, sizeof *cluster);
    loop_open(&cluster->loop);
    for (unsigned i = 1; i <= count; i++) {
        node_start(cluster, i, count, "blue");
    }
    cluster_introduce(cluster, count);
}

static void node_stop(struct cluster *cluster, uint64_t id)
{
    struct node *node = &cluster->nodes[id];
    peer_links_close(node->links, on_closed, node);
    cr_assert(loop_until(&cluster->loop, is_closed, node, 20000));
    node->links = NULL;
}

static void cluster_close(struct cluster *cluster)
{
    for (unsigned i = 1; i <= NODES_MAX; i++) {
        if (cluster->nodes[i].links != NULL) {
            node_stop(cluster, i);
        }
    }
    loop_close(&cluster->loop);
}

/* On another port: the old one may belong to a test beside this one by now. */
static void node_restart(struct cluster *cluster, uint64_t id, unsigned count, const char *name)
{
    cluster->ports[id] = 0;
    node_start(cluster, id, count, name);
    cluster_introduce(cluster, count);
}

static bool all_connected(void *arg)
{
    struct cluster *cluster = arg;
    for (unsigned i = 1; i <= NODES_MAX; i++) {
        for (unsigned j = 1; j <= NODES_MAX; j++) {
            if (i != j && cluster->nodes[i].links != NULL && cluster->nodes[j].links != NULL &&
                !cluster->nodes[i].connected[j]) {
                return false;
            }
        }
    }
    return true;
}

/* Whether it was taken. */
static bool send_number(struct cluster *cluster, uint64_t from, uint64_t to, uint64_t number, size_t body_len)
{
    uint8_t type = number % 2 == 0 ? FRAME_PEER_RAFT : FRAME_PEER_GATEWAY;
    struct frame_out frame = test_frame(type, 8, body_len, body_len > 0, number);
    put_u64(frame.head->data + FRAME_PREFIX_LEN, number);
    return peer_links_send(cluster->nodes[from].links, to, &frame);
}

struct wanted {
    const unsigned *count;
    unsigned at_least;
};

static bool got_wanted(void *arg)
{
    struct wanted *wanted = arg;
    return *wanted->count >= wanted->at_least;
}

static bool is_true(void *arg)
{
    return *(bool *)arg;
}

static bool is_false(void *arg)
{
    return !*(bool *)arg;
}

Test(peer_links, three_nodes_talk_in_order)
{
    struct cluster c;
    cluster_open(&c, 3);
    cr_assert(loop_until(&c.loop, all_connected, &c, 20000));
    cr_assert_str_eq(c.nodes[1].client_address[2], "client:2");
    for (unsigned n = 0; n < 500; n++) {
        for (unsigned i = 1; i <= 3; i++) {
            for (unsigned j = 1; j <= 3; j++) {
                if (i != j) {
                    cr_assert(send_number(&c, i, j, n, n % 100 == 0 ? 300000 : n % 50));
                }
            }
        }
        uv_run(&c.loop, UV_RUN_NOWAIT);
    }
    for (unsigned i = 1; i <= 3; i++) {
        for (unsigned j = 1; j <= 3; j++) {
            if (i != j) {
                cr_assert(loop_until(&c.loop, got_wanted, &(struct wanted){&c.nodes[j].received[i], 500}, 20000));
                cr_assert_not(c.nodes[j].disorder);
            }
        }
    }
    cr_assert_eq(c.nodes[1].of_gateways, 500u, "half of what two others sent");
    cluster_close(&c);
}

Test(peer_links, a_node_that_comes_back_is_found_again)
{
    struct cluster c;
    cluster_open(&c, 2);
    cr_assert(loop_until(&c.loop, all_connected, &c, 20000));
    for (unsigned round = 0; round < 3; round++) {
        node_stop(&c, 2);
        cr_assert(loop_until(&c.loop, is_false, &c.nodes[1].connected[2], 20000));
        cr_assert_not(send_number(&c, 1, 2, 1, 0), "it must be told that this was dropped");
        cr_assert_not(send_number(&c, 1, 9, 1, 0), "nobody has that number");
        struct peer_links_stats stats;
        cr_assert_eq(peer_links_stats(c.nodes[1].links, 2, &stats), 0);
        cr_assert_eq(stats.dropped_frames, round + 1);
        cr_assert_not(stats.connected);
        loop_for(&c.loop, 100);
        node_restart(&c, 2, 2, "blue");
        cr_assert(loop_until(&c.loop, all_connected, &c, 20000));
        cr_assert(send_number(&c, 1, 2, 10, 0));
        cr_assert(loop_until(&c.loop, got_wanted, &(struct wanted){&c.nodes[2].received[1], 1}, 20000));
        cr_assert_eq(c.nodes[2].next[1], 11u);
    }
    cr_assert_eq(peer_links_stats(c.nodes[1].links, 9, &(struct peer_links_stats){0}), ERR_NOT_FOUND);
    cluster_close(&c);
}

Test(peer_links, another_cluster_is_refused_and_both_say_so_once)
{
    struct cluster c;
    memset(&c, 0, sizeof c);
    loop_open(&c.loop);
    node_start(&c, 1, 2, "blue");
    node_start(&c, 2, 2, "green");
    cluster_introduce(&c, 2);
    loop_for(&c.loop, 700);
    for (unsigned i = 1; i <= 2; i++) {
        cr_assert_not(c.nodes[i].connected[3 - i]);
        cr_assert_eq(c.nodes[i].changes, 0u);
        cr_assert_eq(test_journal_count(&c.nodes[i].journal, "refused a connection: a node of cluster"), 1u, "%s",
                     c.nodes[i].journal.text);
        cr_assert_eq(test_journal_count(&c.nodes[i].journal, "it refused us: a node of cluster"), 1u, "%s",
                     c.nodes[i].journal.text);
    }
    /* Retried, until it is right. */
    node_stop(&c, 2);
    node_restart(&c, 2, 2, "blue");
    cr_assert(loop_until(&c.loop, all_connected, &c, 20000));
    cluster_close(&c);
}

Test(peer_links, a_wiped_node_is_refused_under_its_old_name)
{
    struct cluster c;
    cluster_open(&c, 2);
    c.nodes[1].foreign = 102;
    loop_for(&c.loop, 400);
    cr_assert_not(c.nodes[1].connected[2]);
    cr_assert_not(c.nodes[2].connected[1]);
    cr_assert_geq(test_journal_count(&c.nodes[2].journal, "comes with other data"), 1u, "%s", c.nodes[2].journal.text);
    cluster_close(&c);
}

Test(peer_links, a_node_at_the_address_of_another_is_not_taken_for_it)
{
    struct cluster c;
    cluster_open(&c, 3);
    cr_assert(loop_until(&c.loop, all_connected, &c, 20000));
    node_stop(&c, 3);
    cr_assert(loop_until(&c.loop, is_false, &c.nodes[1].connected[3], 20000));
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%u", c.ports[2]);
    cr_assert_eq(peer_links_set_address(c.nodes[1].links, 3, address), 0);
    loop_for(&c.loop, 300);
    cr_assert_not(c.nodes[1].connected[3]);
    cr_assert_geq(test_journal_count(&c.nodes[1].journal, "looks for node 3, and this is node 2"), 1u, "%s",
                  c.nodes[1].journal.text);
    cluster_close(&c);
}

/* A stream that says hello as node 2 to node 1. */
static void impostor_open(struct cluster *c, struct end *end)
{
    *end = (struct end){0};
    struct stream_events events = end_events(end);
    struct stream_options options = {.queue_max = 64 * MIB};
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%u", c->ports[1]);
    cr_assert_eq(stream_new(&c->loop, &options, &events, &end->stream), 0);
    cr_assert_eq(stream_connect(end->stream, address), 0);
    cr_assert(loop_until(&c->loop, end_is_open, end, 20000));
    struct peer_hello hello = {.cluster = "blue", .node = 2, .to = 1, .incarnation = 102, .client_address = "x:1"};
    struct frame_out frame;
    cr_assert_eq(peer_hello_encode(&hello, &frame), 0);
    cr_assert_eq(stream_send(end->stream, &frame), 0);
    stream_established(end->stream);
    cr_assert(loop_until(&c->loop, end_has_frame, end, 20000));
    cr_assert_eq(end->last_type, FRAME_PEER_HELLO);
}

static void impostor_send(struct end *end, uint64_t number, size_t body_len)
{
    struct frame_out frame = test_frame(FRAME_PEER_RAFT, 8, body_len, 1, number);
    put_u64(frame.head->data + FRAME_PREFIX_LEN, number);
    cr_assert_eq(stream_send(end->stream, &frame), 0);
}

Test(peer_links, a_newer_connection_replaces_the_older_one_with_all_that_it_holds)
{
    struct cluster c;
    memset(&c, 0, sizeof c);
    loop_open(&c.loop);
    node_start(&c, 1, 2, "blue");
    struct end older, newer;
    impostor_open(&c, &older);
    impostor_send(&older, 5, 10);
    cr_assert(loop_until(&c.loop, got_wanted, &(struct wanted){&c.nodes[1].received[2], 1}, 20000));
    /* Half of a large frame is on its way when the newer connection comes. */
    impostor_send(&older, 6, 20 * MIB);
    uv_run(&c.loop, UV_RUN_NOWAIT);
    impostor_open(&c, &newer);
    unsigned received = c.nodes[1].received[2];
    cr_assert(loop_until(&c.loop, end_has_ended, &older, 20000));
    impostor_send(&newer, 7, 10);
    cr_assert(loop_until(&c.loop, got_wanted, &(struct wanted){&c.nodes[1].received[2], received + 1}, 20000));
    cr_assert_eq(c.nodes[1].next[2], 8u);
    cr_assert_not(c.nodes[1].disorder);
    stream_close(older.stream, NULL);
    stream_close(newer.stream, NULL);
    end_done(&older);
    end_done(&newer);
    cluster_close(&c);
}

Test(peer_links, strangers_are_refused)
{
    struct cluster c;
    memset(&c, 0, sizeof c);
    loop_open(&c.loop);
    node_start(&c, 1, 2, "blue");
    struct end end = {0};
    struct stream_events events = end_events(&end);
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%u", c.ports[1]);
    cr_assert_eq(stream_new(&c.loop, NULL, &events, &end.stream), 0);
    cr_assert_eq(stream_connect(end.stream, address), 0);
    struct frame_out frame = test_frame(FRAME_PEER_RAFT, 100, 100, 1, 1);
    cr_assert_eq(stream_send(end.stream, &frame), 0);
    cr_assert(loop_until(&c.loop, end_has_ended, &end, 20000));
    cr_assert_eq(end.last_type, FRAME_GOODBYE);
    cr_assert_eq(c.nodes[1].received[2], 0u);
    stream_close(end.stream, NULL);
    end_done(&end);
    cluster_close(&c);
}

#define STRANGERS (8u * MEMBERS_MAX + 10u)

Test(peer_links, strangers_that_say_nothing_do_not_keep_a_member_out)
{
    struct cluster c;
    memset(&c, 0, sizeof c);
    loop_open(&c.loop);
    node_start(&c, 1, 2, "blue");
    int fds[STRANGERS];
    for (unsigned i = 0; i < STRANGERS; i++) {
        fds[i] = raw_connect(c.ports[1]);
        uv_run(&c.loop, UV_RUN_NOWAIT);
    }
    struct end member;
    impostor_open(&c, &member); /* Has its hello answered. */
    cr_assert_eq(test_journal_count(&c.nodes[1].journal, "had not said hello"), 1u);
    stream_close(member.stream, NULL);
    end_done(&member);
    for (unsigned i = 0; i < STRANGERS; i++) {
        cr_assert_eq(close(fds[i]), 0);
    }
    cluster_close(&c);
}

Test(peer_links, a_connection_for_which_there_is_no_memory_waits_until_there_is)
{
    struct cluster c;
    memset(&c, 0, sizeof c);
    loop_open(&c.loop);
    node_start(&c, 1, 2, "blue");
    int fd = raw_connect(c.ports[1]);
    fault_set_nth(FAULT_ALLOCATION, 0);
    loop_for(&c.loop, 20);
    fault_reset();
    struct end member;
    impostor_open(&c, &member); /* Has its hello answered, behind the other. */
    stream_close(member.stream, NULL);
    end_done(&member);
    cr_assert_eq(close(fd), 0);
    cluster_close(&c);
}

Test(peer_links, strangers_in_a_loop_do_not_fill_the_journal)
{
    struct cluster c;
    memset(&c, 0, sizeof c);
    loop_open(&c.loop);
    node_start(&c, 1, 2, "blue");
    for (uint64_t i = 0; i < 20; i++) {
        struct peer_hello hello = {.cluster = "blue", .node = 100 + i, .to = 1, .incarnation = 5, .client_address = ""};
        struct frame_out frame;
        struct bytes bytes = {0};
        cr_assert_eq(peer_hello_encode(&hello, &frame), 0);
        frame_flatten(&frame, &bytes);
        int fd = raw_connect(c.ports[1]);
        raw_write(fd, bytes.data, bytes.len);
        loop_for(&c.loop, 5);
        cr_assert_eq(close(fd), 0);
        bytes_done(&bytes);
    }
    cr_assert_eq(test_journal_count(&c.nodes[1].journal, "is not a member"), 1u, "%s", c.nodes[1].journal.text);
    cluster_close(&c);
}

Test(peer_links, a_refused_frame_closes_the_connection_and_it_comes_back)
{
    struct cluster c;
    cluster_open(&c, 2);
    cr_assert(loop_until(&c.loop, all_connected, &c, 20000));
    c.nodes[2].received_err = ERR_BROKEN;
    cr_assert(send_number(&c, 1, 2, 1, 10));
    cr_assert(loop_until(&c.loop, is_false, &c.nodes[1].connected[2], 20000));
    cr_assert_eq(test_journal_count(&c.nodes[2].journal, "node 1: a frame of type 66 with 8 + 10 bytes"), 1u);
    c.nodes[2].received_err = 0;
    cr_assert(loop_until(&c.loop, is_true, &c.nodes[1].connected[2], 20000));
    cr_assert(c.nodes[2].connected[1], "the other direction has not suffered");
    cluster_close(&c);
}

Test(peer_links, a_full_queue_drops_and_counts)
{
    struct cluster c;
    cluster_open(&c, 2);
    cr_assert(loop_until(&c.loop, all_connected, &c, 20000));
    unsigned taken = 0;
    for (unsigned n = 0; n < 100; n++) {
        taken += send_number(&c, 1, 2, n, 100000); /* Without a turn of the loop in between nothing leaves. */
    }
    struct peer_links_stats stats;
    cr_assert_eq(peer_links_stats(c.nodes[1].links, 2, &stats), 0);
    cr_assert_leq(stats.queued_bytes, 4 * MIB);
    cr_assert_eq(stats.sent_frames, 4 * MIB / (100000 + 8 + FRAME_PREFIX_LEN));
    cr_assert_eq(stats.sent_frames + stats.dropped_frames, 100u);
    cr_assert_eq(taken, stats.sent_frames, "the sender knows which were dropped");
    unsigned sent = (unsigned)stats.sent_frames;
    cr_assert(loop_until(&c.loop, got_wanted, &(struct wanted){&c.nodes[2].received[1], sent}, 20000));
    cr_assert_not(c.nodes[2].disorder);
    cluster_close(&c);
}

Test(peer_links, what_was_taken_arrives_or_the_end_of_the_connection_is_told)
{
    struct cluster c;
    cluster_open(&c, 2);
    cr_assert(loop_until(&c.loop, all_connected, &c, 20000));
    /* More than the sockets hold is on its way when the other node dies. */
    unsigned taken = 0, changes = c.nodes[1].changes;
    while (send_number(&c, 1, 2, taken, 500000)) {
        taken++;
    }
    cr_assert(loop_until(&c.loop, got_wanted, &(struct wanted){&c.nodes[2].received[1], 1}, 20000));
    node_stop(&c, 2);
    cr_assert(loop_until(&c.loop, is_false, &c.nodes[1].connected[2], 20000));
    cr_assert_eq(c.nodes[1].changes, changes + 1);
    cr_assert_not(c.nodes[2].disorder);
    /* Nothing of it comes after the new connection: who sent it sends it again, in front of what is new. */
    node_restart(&c, 2, 2, "blue");
    cr_assert(loop_until(&c.loop, is_true, &c.nodes[1].connected[2], 20000));
    cr_assert_eq(c.nodes[1].changes, changes + 2);
    for (unsigned n = 0; n < taken; n++) {
        cr_assert(send_number(&c, 1, 2, n, 500000));
    }
    cr_assert(loop_until(&c.loop, got_wanted, &(struct wanted){&c.nodes[2].received[1], taken}, 20000));
    cr_assert_eq(c.nodes[2].received[1], taken);
    cr_assert_not(c.nodes[2].disorder);
    cluster_close(&c);
}

Test(peer_frame, a_hello_round_trips_and_bad_ones_do_not)
{
    struct arena arena;
    arena_init(&arena, 64 * KIB);
    struct peer_hello hello = {
        .cluster = "blue", .node = 1, .to = 2, .incarnation = UINT64_MAX, .version = 3, .client_address = "host:5"};
    static const struct {
        const char *cluster;
        uint64_t node;
        const char *address;
        int err;
    } cases[] = {
        {"blue", 1, "host:5", 0},      {"blue", 1, "", 0},
        {"", 1, "", ERR_BROKEN},       {"blue", 0, "", ERR_BROKEN},
        {"bl\nue", 1, "", ERR_BROKEN}, {"blue", 1, "a\x01", ERR_BROKEN},
        {"\xff", 1, "", ERR_BROKEN},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        hello.cluster = cases[i].cluster;
        hello.node = cases[i].node;
        hello.client_address = cases[i].address;
        struct frame_out out;
        cr_assert_eq(peer_hello_encode(&hello, &out), 0);
        struct frame frame = {.type = FRAME_PEER_HELLO};
        struct slice head = slice_of_blob(out.head);
        frame.header = slice_part(head, FRAME_PREFIX_LEN, head.len - FRAME_PREFIX_LEN);
        struct peer_hello decoded;
        cr_assert_eq(peer_hello_decode(&frame, &arena, &decoded), cases[i].err, "case %zu", i);
        if (cases[i].err == 0) {
            cr_assert_str_eq(decoded.cluster, "blue");
            cr_assert_str_eq(decoded.client_address, cases[i].address);
            cr_assert_eq(decoded.incarnation, UINT64_MAX);
            cr_assert_eq(decoded.to, 2u);
            frame.type = FRAME_HELLO;
            cr_assert_eq(peer_hello_decode(&frame, &arena, &decoded), ERR_BROKEN);
        }
        frame_out_done(&out);
        arena_reset(&arena);
    }
    arena_done(&arena);
}
