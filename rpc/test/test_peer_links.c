/* Connections between nodes on real sockets: order, reconnection, identity, replacement, bounds. */

#include "rpc/peer/peer_links.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "peer_fixture.h"
#include "proto/base/check.h"
#include "proto/base/fault.h"
#include "proto/base/limits.h"
#include "rpc/peer/peer_frame.h"

Test(peer_links, three_nodes_talk_in_order)
{
    struct cluster c;
    cluster_open(&c, 3);
    cr_assert(loop_until(&c.loop, cluster_is_connected, &c, 20000));
    cr_assert_str_eq(c.nodes[1].client_address[2], "client:2");
    for (unsigned n = 0; n < 500; n++) {
        for (unsigned i = 1; i <= 3; i++) {
            for (unsigned j = 1; j <= 3; j++) {
                if (i != j) {
                    cr_assert(node_send(&c, i, j, n, n % 100 == 0 ? 300000 : n % 50));
                }
            }
        }
        uv_run(&c.loop, UV_RUN_NOWAIT);
    }
    for (unsigned i = 1; i <= 3; i++) {
        for (unsigned j = 1; j <= 3; j++) {
            if (i != j) {
                cr_assert(
                    loop_until(&c.loop, wanted_is_there, &(struct wanted){&c.nodes[j].received[i].count, 500}, 20000));
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
    cr_assert(loop_until(&c.loop, cluster_is_connected, &c, 20000));
    for (unsigned round = 0; round < 3; round++) {
        node_stop(&c, 2);
        cr_assert(loop_until(&c.loop, flag_is_clear, &c.nodes[1].connected[2], 20000));
        cr_assert_not(node_send(&c, 1, 2, 1, 0), "it must be told that this was dropped");
        cr_assert_not(node_send(&c, 1, 9, 1, 0), "nobody has that number");
        struct peer_links_stats stats;
        cr_assert_eq(peer_links_stats(c.nodes[1].links, 2, &stats), 0);
        cr_assert_eq(stats.dropped_frames, round + 1);
        cr_assert_not(stats.connected);
        loop_for(&c.loop, 100);
        node_restart(&c, 2, 2, "blue");
        cr_assert(loop_until(&c.loop, cluster_is_connected, &c, 20000));
        cr_assert(node_send(&c, 1, 2, 10, 0));
        cr_assert(loop_until(&c.loop, wanted_is_there, &(struct wanted){&c.nodes[2].received[1].count, 1}, 20000));
        cr_assert_eq(c.nodes[2].received[1].next, 11u);
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
    cr_assert(loop_until(&c.loop, cluster_is_connected, &c, 20000));
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

Test(peer_links, data_directories_tell_of_their_starts_and_old_ones_are_told)
{
    struct cluster c = {.history = {1, 2, 3}, .history_len = 3};
    loop_open(&c.loop);
    node_start(&c, 1, 2, "blue");
    c.history[0] = 5;
    c.history_len = 4;
    node_start(&c, 2, 2, "blue");
    c.nodes[1].stale = 5;
    cluster_introduce(&c, 2);
    loop_for(&c.loop, 400);
    cr_assert_not(c.nodes[1].connected[2]);
    cr_assert_not(c.nodes[2].connected[1]);
    cr_assert_eq(c.nodes[1].history_len[2], 4u);
    cr_assert_eq(c.nodes[2].history_len[1], 3u);
    cr_assert_geq(c.nodes[2].refused[1], 1u);
    cr_assert_eq(c.nodes[2].refused_err, ERR_STALE);
    cr_assert_str_eq(c.nodes[2].refused_detail, "it refused us: that is an older copy");
    cr_assert_eq(c.nodes[1].refused[2], 0u);
    cluster_close(&c);
}

Test(peer_links, a_node_that_founds_says_so_both_ways)
{
    struct cluster c = {.founding = 2};
    loop_open(&c.loop);
    node_start(&c, 1, 2, "blue");
    node_start(&c, 2, 2, "blue");
    c.nodes[1].begun = true;
    cluster_introduce(&c, 2);
    loop_for(&c.loop, 400);
    cr_assert_not(c.nodes[1].connected[2], "the answer to a hello says it too");
    cr_assert_not(c.nodes[2].connected[1]);
    cr_assert_geq(c.nodes[2].refused[1], 1u);
    cr_assert_eq(c.nodes[2].refused_err, ERR_STALE);
    cluster_close(&c);
}

Test(peer_links, a_node_at_the_address_of_another_is_not_taken_for_it)
{
    struct cluster c;
    cluster_open(&c, 3);
    cr_assert(loop_until(&c.loop, cluster_is_connected, &c, 20000));
    node_stop(&c, 3);
    cr_assert(loop_until(&c.loop, flag_is_clear, &c.nodes[1].connected[3], 20000));
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%u", c.ports[2]);
    cr_assert_eq(peer_links_set_address(c.nodes[1].links, 3, address), 0);
    loop_for(&c.loop, 300);
    cr_assert_not(c.nodes[1].connected[3]);
    cr_assert_geq(test_journal_count(&c.nodes[1].journal, "looks for node 3, and this is node 2"), 1u, "%s",
                  c.nodes[1].journal.text);
    cluster_close(&c);
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
    impostor_open(&c, &older, false);
    impostor_send(&older, 5, 10);
    cr_assert(loop_until(&c.loop, wanted_is_there, &(struct wanted){&c.nodes[1].received[2].count, 1}, 20000));
    /* Half of a large frame is on its way when the newer connection comes. */
    impostor_send(&older, 6, 20 * MIB);
    uv_run(&c.loop, UV_RUN_NOWAIT);
    impostor_open(&c, &newer, false);
    unsigned received = c.nodes[1].received[2].count;
    cr_assert(loop_until(&c.loop, end_has_ended, &older, 20000));
    impostor_send(&newer, 7, 10);
    cr_assert(
        loop_until(&c.loop, wanted_is_there, &(struct wanted){&c.nodes[1].received[2].count, received + 1}, 20000));
    cr_assert_eq(c.nodes[1].received[2].next, 8u);
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
    cr_assert_eq(c.nodes[1].received[2].count, 0u);
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
    impostor_open(&c, &member, false); /* Has its hello answered. */
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
    impostor_open(&c, &member, false); /* Has its hello answered, behind the other. */
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
    cr_assert(loop_until(&c.loop, cluster_is_connected, &c, 20000));
    c.nodes[2].received_err = ERR_BROKEN;
    cr_assert(node_send(&c, 1, 2, 1, 10));
    cr_assert(loop_until(&c.loop, flag_is_clear, &c.nodes[1].connected[2], 20000));
    cr_assert_eq(test_journal_count(&c.nodes[2].journal, "node 1: a frame of type 66 with 8 + 10 bytes"), 1u);
    c.nodes[2].received_err = 0;
    cr_assert(loop_until(&c.loop, flag_is_set, &c.nodes[1].connected[2], 20000));
    cr_assert(c.nodes[2].connected[1], "the other direction has not suffered");
    cluster_close(&c);
}

Test(peer_links, a_full_queue_drops_and_counts)
{
    struct cluster c;
    cluster_open(&c, 2);
    cr_assert(loop_until(&c.loop, cluster_is_connected, &c, 20000));
    unsigned taken = 0;
    for (unsigned n = 0; n < 100; n++) {
        taken += node_send(&c, 1, 2, n, 100000); /* Without a turn of the loop in between nothing leaves. */
    }
    struct peer_links_stats stats;
    cr_assert_eq(peer_links_stats(c.nodes[1].links, 2, &stats), 0);
    cr_assert_leq(stats.queued_bytes, 4 * MIB);
    cr_assert_eq(stats.sent_frames, 4 * MIB / (100000 + 8 + FRAME_PREFIX_LEN));
    cr_assert_eq(stats.sent_frames + stats.dropped_frames, 100u);
    cr_assert_eq(taken, stats.sent_frames, "the sender knows which were dropped");
    unsigned sent = (unsigned)stats.sent_frames;
    cr_assert(loop_until(&c.loop, wanted_is_there, &(struct wanted){&c.nodes[2].received[1].count, sent}, 20000));
    cr_assert_not(c.nodes[2].disorder);
    cluster_close(&c);
}

Test(peer_links, what_was_taken_arrives_or_the_end_of_the_connection_is_told)
{
    struct cluster c;
    cluster_open(&c, 2);
    cr_assert(loop_until(&c.loop, cluster_is_connected, &c, 20000));
    /* More than the sockets hold is on its way when the other node dies. */
    unsigned taken = 0, changes = c.nodes[1].changes;
    while (node_send(&c, 1, 2, taken, 500000)) {
        taken++;
    }
    cr_assert(loop_until(&c.loop, wanted_is_there, &(struct wanted){&c.nodes[2].received[1].count, 1}, 20000));
    node_stop(&c, 2);
    cr_assert(loop_until(&c.loop, flag_is_clear, &c.nodes[1].connected[2], 20000));
    cr_assert_eq(c.nodes[1].changes, changes + 1);
    cr_assert_not(c.nodes[2].disorder);
    /* Nothing of it comes after the new connection: who sent it sends it again, in front of what is new. */
    node_restart(&c, 2, 2, "blue");
    cr_assert(loop_until(&c.loop, flag_is_set, &c.nodes[1].connected[2], 20000));
    cr_assert_eq(c.nodes[1].changes, changes + 2);
    for (unsigned n = 0; n < taken; n++) {
        cr_assert(node_send(&c, 1, 2, n, 500000));
    }
    cr_assert(loop_until(&c.loop, wanted_is_there, &(struct wanted){&c.nodes[2].received[1].count, taken}, 20000));
    cr_assert_eq(c.nodes[2].received[1].count, taken);
    cr_assert_not(c.nodes[2].disorder);
    cluster_close(&c);
}

Test(peer_frame, a_hello_round_trips_and_bad_ones_do_not)
{
    struct arena arena;
    arena_init(&arena, 64 * KIB);
    static const uint8_t history[PEER_HISTORY_LEN_MAX + 1] = {7, 8, 9};
    struct peer_hello hello = {
        .cluster = "blue", .node = 1, .to = 2, .incarnation = UINT64_MAX, .version = 3, .client_address = "host:5"};
    static const struct {
        const char *cluster;
        uint64_t node;
        const char *address;
        int err;
        size_t history_len;
    } cases[] = {
        {"blue", 1, "host:5", 0, PEER_HISTORY_LEN_MAX},
        {"blue", 1, "host:5", ERR_BROKEN, PEER_HISTORY_LEN_MAX + 1},
        {"blue", 1, "host:5", 0, 0},
        {"blue", 1, "", 0, 1},
        {"", 1, "", ERR_BROKEN, 0},
        {"blue", 0, "", ERR_BROKEN, 0},
        {"bl\nue", 1, "", ERR_BROKEN, 0},
        {"blue", 1, "a\x01", ERR_BROKEN, 0},
        {"\xff", 1, "", ERR_BROKEN, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        hello.cluster = cases[i].cluster;
        hello.node = cases[i].node;
        hello.client_address = cases[i].address;
        hello.bulk = i % 2 == 0;
        hello.run = UINT64_MAX - i;
        hello.founding = i % 3 == 0;
        hello.history = (struct slice){.data = history, .len = cases[i].history_len};
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
            cr_assert_eq(decoded.bulk, i % 2 == 0);
            cr_assert_eq(decoded.run, UINT64_MAX - i);
            cr_assert_eq(decoded.founding, i % 3 == 0);
            cr_assert_eq(decoded.history.len, cases[i].history_len);
            cr_assert(decoded.history.len == 0 || memcmp(decoded.history.data, history, decoded.history.len) == 0);
            frame.type = FRAME_HELLO;
            cr_assert_eq(peer_hello_decode(&frame, &arena, &decoded), ERR_BROKEN);
        }
        frame_out_done(&out);
        arena_reset(&arena);
    }
    arena_done(&arena);
}
