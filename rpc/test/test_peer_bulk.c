/* Connections for what is large, on real sockets: both ways, identity, replacement, bounds, ends of every kind. */

#include "rpc/peer/peer_bulk.h"

#include <criterion/criterion.h>

#include "peer_fixture.h"
#include "proto/base/check.h"
#include "proto/base/fault.h"
#include "proto/base/limits.h"

static bool send_of_type(struct cluster *c, uint64_t from, bool asking, uint8_t type)
{
    struct frame_out frame = test_frame(type, 8, 10, 1, 1);
    return peer_bulk_send(c->nodes[from].links, 3 - from, asking, &frame);
}

Test(peer_bulk, questions_and_answers_travel_both_ways_beside_the_messages)
{
    struct cluster c;
    cluster_open(&c, 2);
    cr_assert(loop_until(&c.loop, cluster_is_connected, &c, 20000));
    unsigned changes = c.nodes[2].changes;
    c.nodes[2].answers = true;
    cr_assert_not(node_bulk_send(&c, 1, 2, true, 1, 10), "nothing is dialled");
    cr_assert_not(node_bulk_send(&c, 1, 2, false, 1, 10), "nor accepted");
    node_bulk_connect(&c, 1, 2);
    cr_assert_eq(node_bulk_dial(&c, 1, 2), 0, "it is there already");
    for (unsigned n = 0; n < 300; n++) {
        cr_assert(node_bulk_send(&c, 1, 2, true, n, n % 50 == 0 ? 200000 : 0));
        cr_assert(node_send(&c, 1, 2, n, 10));
        uv_run(&c.loop, UV_RUN_NOWAIT);
    }
    wait_for(&c, &c.nodes[1].answered[2].count, 300);
    wait_for(&c, &c.nodes[2].received[1].count, 300);
    cr_assert_eq(c.nodes[2].asked[1].count, 300u);
    cr_assert_not(c.nodes[1].disorder || c.nodes[2].disorder);
    cr_assert_not(node_bulk_send(&c, 2, 1, true, 1, 10), "that node has dialled none");
    cr_assert_eq(c.nodes[1].bulk_changes, 1u);
    cr_assert_eq(c.nodes[2].bulk_changes, 0u, "it is not about those that are accepted");
    cr_assert_eq(c.nodes[2].changes, changes);
    cluster_close(&c);
}

Test(peer_bulk, both_nodes_dial_each_other_at_once)
{
    struct cluster c;
    cluster_open(&c, 2);
    c.nodes[1].answers = c.nodes[2].answers = true;
    cr_assert_eq(node_bulk_dial(&c, 1, 2), 0);
    cr_assert_eq(node_bulk_dial(&c, 2, 1), 0);
    cr_assert_eq(node_bulk_dial(&c, 1, 2), 0, "one is being made");
    cr_assert_not(node_bulk_send(&c, 1, 2, true, 1, 10), "it is not ready");
    cr_assert(loop_until(&c.loop, flag_is_set, &c.nodes[1].bulk_ready[2], 20000));
    cr_assert(loop_until(&c.loop, flag_is_set, &c.nodes[2].bulk_ready[1], 20000));
    for (unsigned n = 0; n < 20; n++) {
        cr_assert(node_bulk_send(&c, 1, 2, true, n, 10));
        cr_assert(node_bulk_send(&c, 2, 1, true, 1000 + n, 10));
    }
    wait_for(&c, &c.nodes[1].answered[2].count, 20);
    wait_for(&c, &c.nodes[2].answered[1].count, 20);
    cr_assert_eq(c.nodes[1].answered[2].next, 20u, "each hears the answers to what it asked");
    cr_assert_eq(c.nodes[2].answered[1].next, 1020u);
    cr_assert_eq(c.nodes[1].asked[2].count, 20u);
    cr_assert_not(c.nodes[1].disorder || c.nodes[2].disorder);
    cluster_close(&c);
}

static void impostor_ask(struct end *end, uint8_t type, uint64_t number)
{
    struct frame_out frame = test_frame(type, 8, 10, 1, number);
    put_u64(frame.head->data + FRAME_PREFIX_LEN, number);
    cr_assert_eq(stream_send(end->stream, &frame), 0);
}

static void impostor_close(struct end *end)
{
    stream_close(end->stream, NULL);
    end_done(end);
}

Test(peer_bulk, a_newer_connection_replaces_the_older_one_of_its_kind)
{
    struct cluster c;
    cluster_open_one(&c, 0);
    struct node *node = &c.nodes[1];
    struct end messages, older, newer;
    impostor_open(&c, &messages, false);
    impostor_open(&c, &older, true);
    impostor_ask(&older, FRAME_PEER_REBUILD, 5);
    wait_for(&c, &node->asked[2].count, 1);
    impostor_open(&c, &newer, true);
    cr_assert(loop_until(&c.loop, end_has_ended, &older, 20000));
    cr_assert(node_bulk_send(&c, 1, 2, false, 6, 10));
    impostor_ask(&newer, FRAME_PEER_REBUILD, 7);
    impostor_ask(&messages, FRAME_PEER_RAFT, 8);
    wait_for(&c, &node->asked[2].count, 2);
    wait_for(&c, &node->received[2].count, 1);
    wait_for(&c, &newer.frames, 2);
    cr_assert_eq(newer.last_type, FRAME_PEER_REBUILD);
    cr_assert_eq(older.frames, 1u, "its hello alone");
    cr_assert_eq(messages.ended, 0, "the other kind is left alone");
    impostor_close(&messages);
    impostor_close(&older);
    impostor_close(&newer);
    cluster_close(&c);
}

Test(peer_bulk, a_node_that_only_speaks_there_is_not_connected)
{
    struct cluster c;
    cluster_open_one(&c, 0);
    struct end bulk;
    impostor_open(&c, &bulk, true);
    impostor_ask(&bulk, FRAME_PEER_REBUILD, 1);
    wait_for(&c, &c.nodes[1].asked[2].count, 1);
    struct peer_links_stats stats;
    cr_assert_eq(peer_links_stats(c.nodes[1].links, 2, &stats), 0);
    cr_assert_eq(stats.received_frames, 0u);
    cr_assert_not(stats.connected);
    cr_assert_eq(c.nodes[1].changes, 0u);
    impostor_close(&bulk);
    cluster_close(&c);
}

Test(peer_bulk, another_cluster_is_refused_and_it_is_told)
{
    struct cluster c;
    cluster_open_one(&c, 0);
    node_start(&c, 2, 2, "green");
    cluster_introduce(&c, 2);
    for (unsigned i = 1; i <= 3; i++) {
        cr_assert_eq(node_bulk_dial(&c, 1, 2), 0);
        wait_for(&c, &c.nodes[1].bulk_changes, i);
        cr_assert_not(c.nodes[1].bulk_ready[2]);
    }
    cr_assert_not(node_bulk_send(&c, 1, 2, true, 1, 10));
    cr_assert_eq(test_journal_count(&c.nodes[1].journal, "bulk connection: it refused us: a node of cluster 'blue'"),
                 1u, "%s", c.nodes[1].journal.text);
    cluster_close(&c);
}

Test(peer_bulk, a_wiped_node_is_refused_whoever_dials)
{
    struct cluster c;
    cluster_open(&c, 2);
    c.nodes[1].foreign = 102;
    cr_assert_eq(node_bulk_dial(&c, 1, 2), 0);
    cr_assert_eq(node_bulk_dial(&c, 2, 1), 0);
    wait_for(&c, &c.nodes[1].bulk_changes, 1);
    wait_for(&c, &c.nodes[2].bulk_changes, 1);
    cr_assert_not(c.nodes[1].bulk_ready[2] || c.nodes[2].bulk_ready[1]);
    cr_assert_geq(test_journal_count(&c.nodes[1].journal, "bulk connection: node 2 comes with other data"), 1u, "%s",
                  c.nodes[1].journal.text);
    cr_assert_geq(test_journal_count(&c.nodes[2].journal, "bulk connection: it refused us: node 2 comes with other"),
                  1u, "%s", c.nodes[2].journal.text);
    cluster_close(&c);
}

Test(peer_bulk, a_node_that_takes_none_refuses)
{
    struct cluster c;
    cluster_open_one(&c, 0);
    c.no_bulk = true;
    node_start(&c, 2, 2, "blue");
    cluster_introduce(&c, 2);
    cr_assert_eq(node_bulk_dial(&c, 1, 2), 0);
    wait_for(&c, &c.nodes[1].bulk_changes, 1);
    cr_assert_not(c.nodes[1].bulk_ready[2]);
    cr_assert_eq(test_journal_count(&c.nodes[1].journal, "it refused us: this node takes no connections"), 1u, "%s",
                 c.nodes[1].journal.text);
    cluster_close(&c);
}

Test(peer_bulk, what_cannot_be_dialled_is_an_error_at_once)
{
    struct cluster c;
    cluster_open_one(&c, 0);
    cr_assert_eq(node_bulk_dial(&c, 1, 9), ERR_NOT_FOUND);
    cr_assert_eq(node_bulk_dial(&c, 1, 1), ERR_NOT_FOUND, "that is this one");
    for (uint64_t nth = 0; nth < 2; nth++) {
        fault_set_nth(FAULT_ALLOCATION, nth);
        cr_assert_eq(node_bulk_dial(&c, 1, 2), ERR_NOMEM);
        fault_reset();
    }
    cr_assert_eq(peer_links_set_address(c.nodes[1].links, 2, "nowhere"), 0);
    cr_assert_eq(node_bulk_dial(&c, 1, 2), ERR_INVALID);
    node_bulk_hang_up(&c, 1, 2);
    node_bulk_hang_up(&c, 1, 9);
    loop_for(&c.loop, 20);
    cr_assert_eq(c.nodes[1].bulk_changes, 0u);
    cluster_close(&c);
}

Test(peer_bulk, other_frames_end_a_connection_whoever_sends_them)
{
    struct cluster c;
    cluster_open(&c, 2);
    cr_assert(loop_until(&c.loop, cluster_is_connected, &c, 20000));
    static const uint8_t types[] = {FRAME_PEER_RAFT, FRAME_PEER_GATEWAY, FRAME_PEER_HELLO, FRAME_GOODBYE, FRAME_PING};
    for (unsigned i = 0; i < 2 * ARRAY_LEN(types); i++) {
        bool asking = i % 2 == 0;
        node_bulk_connect(&c, 1, 2);
        cr_assert(node_bulk_send(&c, 1, 2, true, i, 10));
        wait_for(&c, &c.nodes[2].asked[1].count, i + 1);
        cr_assert(send_of_type(&c, asking ? 1 : 2, asking, types[i / 2]));
        cr_assert(loop_until(&c.loop, flag_is_clear, &c.nodes[1].bulk_ready[2], 20000));
    }
    cr_assert_eq(c.nodes[2].asked[1].count, 2 * ARRAY_LEN(types));
    cr_assert_eq(c.nodes[1].answered[2].count, 0u);
    cr_assert(c.nodes[1].connected[2] && c.nodes[2].connected[1], "the others have not suffered");
    cr_assert_eq(c.nodes[1].received[2].count + c.nodes[2].received[1].count, 0u);
    cluster_close(&c);
}

Test(peer_bulk, its_frames_end_a_connection_for_messages)
{
    struct cluster c;
    cluster_open(&c, 2);
    cr_assert(loop_until(&c.loop, cluster_is_connected, &c, 20000));
    struct frame_out frame = test_frame(FRAME_PEER_REBUILD, 8, 10, 1, 1);
    cr_assert(peer_links_send(c.nodes[1].links, 2, &frame));
    cr_assert(loop_until(&c.loop, flag_is_clear, &c.nodes[1].connected[2], 20000));
    cr_assert_eq(c.nodes[2].received[1].count + c.nodes[2].asked[1].count, 0u);
    cr_assert_eq(test_journal_count(&c.nodes[2].journal, "a frame of type 67 with 8 + 10 bytes"), 1u);
    cluster_close(&c);
}

Test(peer_bulk, a_frame_that_its_receiver_refuses_ends_the_connection)
{
    struct cluster c;
    cluster_open(&c, 2);
    for (unsigned who = 1; who <= 2; who++) {
        node_bulk_connect(&c, 1, 2);
        c.nodes[2].answers = true;
        c.nodes[who].bulk_err = ERR_BROKEN;
        cr_assert(node_bulk_send(&c, 1, 2, true, who, 10));
        cr_assert(loop_until(&c.loop, flag_is_clear, &c.nodes[1].bulk_ready[2], 20000));
        cr_assert_eq(test_journal_count(&c.nodes[who].journal, "a frame of type 67 with 8 + "), 1u, "%s",
                     c.nodes[who].journal.text);
        c.nodes[who].bulk_err = 0;
    }
    cluster_close(&c);
}

Test(peer_bulk, a_full_queue_drops_in_both_directions)
{
    struct cluster c;
    cluster_open_one(&c, 0);
    node_stop(&c, 1);
    c.queue_max = 64 * MIB; /* What holds for messages is not meant. */
    node_restart(&c, 1, 2, "blue");
    node_start(&c, 2, 2, "blue");
    cluster_introduce(&c, 2);
    node_bulk_connect(&c, 1, 2);
    cr_assert(node_bulk_send(&c, 1, 2, true, 0, 10));
    wait_for(&c, &c.nodes[2].asked[1].count, 1);
    cr_assert_not(node_bulk_send(&c, 1, 2, true, 1, PEER_BULK_QUEUE_MAX), "more than may ever wait");
    unsigned asked = 0, answered = 0;
    for (unsigned n = 1; n <= 100; n++) {
        asked += node_bulk_send(&c, 1, 2, true, n, 100000); /* Without a turn of the loop in between nothing leaves. */
        answered += node_bulk_send(&c, 2, 1, false, n, 100000);
    }
    cr_assert_eq(asked, PEER_BULK_QUEUE_MAX / (100000 + 8 + FRAME_PREFIX_LEN));
    cr_assert_eq(answered, asked);
    wait_for(&c, &c.nodes[2].asked[1].count, asked + 1);
    wait_for(&c, &c.nodes[1].answered[2].count, answered);
    cr_assert_eq(c.nodes[2].asked[1].next, asked + 1, "those that were taken, in order");
    cr_assert_not(c.nodes[1].disorder || c.nodes[2].disorder);
    cr_assert(node_bulk_send(&c, 1, 2, true, 200, 100000), "there is room again");
    cluster_close(&c);
}
