/* Members that come and go while the links run, on real sockets. */

#include <criterion/criterion.h>
#include <stdio.h>

#include "peer_fixture.h"
#include "proto/base/check.h"
#include "proto/base/fault.h"
#include "proto/base/limits.h"

static int add(struct cluster *c, uint64_t id, uint64_t of)
{
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%u", c->ports[of]);
    c->nodes[id].calling = true;
    int err = peer_links_add(c->nodes[id].links, of, address);
    c->nodes[id].calling = false;
    return err;
}

static int drop(struct cluster *c, uint64_t id, uint64_t of)
{
    c->nodes[id].calling = true;
    int err = peer_links_remove(c->nodes[id].links, of);
    c->nodes[id].calling = false;
    return err;
}

/* Nodes 1 and 2 know each other, node 3 knows both. */
static void open_two_and_one(struct cluster *c)
{
    cluster_open(c, 2);
    node_start(c, 3, 3, "blue");
    node_set_address(c, 3, 1, c->ports[1]);
    node_set_address(c, 3, 2, c->ports[2]);
}

static void exchange(struct cluster *c, uint64_t a, uint64_t b, uint64_t number)
{
    unsigned there = c->nodes[b].received[a].count + 1;
    unsigned back = c->nodes[a].received[b].count + 1;
    cr_assert(node_send(c, a, b, number, 10));
    cr_assert(node_send(c, b, a, number, 10));
    wait_for(c, &c->nodes[b].received[a].count, there);
    wait_for(c, &c->nodes[a].received[b].count, back);
}

Test(peer_members, one_that_is_added_is_dialled_and_may_connect)
{
    struct cluster c;
    open_two_and_one(&c);
    loop_for(&c.loop, 150);
    cr_assert_not(c.nodes[3].connected[1]);
    cr_assert_geq(test_journal_count(&c.nodes[3].journal, "node 3 is not a member that node 1 knows"), 1u, "%s",
                  c.nodes[3].journal.text);
    for (uint64_t id = 1; id <= 2; id++) {
        cr_assert_eq(add(&c, id, 3), 0);
        cr_assert_eq(add(&c, id, 3), 0, "so already");
    }
    cr_assert(loop_until(&c.loop, cluster_is_connected, &c, 20000));
    exchange(&c, 1, 3, 1);
    exchange(&c, 2, 3, 1);
    cluster_close(&c);
}

Test(peer_members, what_cannot_be_added)
{
    struct cluster c;
    cluster_open(&c, 2);
    struct peer_links *links = c.nodes[1].links;
    cr_assert_eq(peer_links_add(links, 2, "127.0.0.1:9"), ERR_EXISTS);
    cr_assert_eq(peer_links_add(links, 1, "127.0.0.1:9"), ERR_INVALID);
    cr_assert_eq(peer_links_add(links, 0, "127.0.0.1:9"), ERR_INVALID);
    cr_assert_eq(peer_links_add(links, 3, "nowhere"), ERR_INVALID);
    fault_set_nth(FAULT_ALLOCATION, 0);
    cr_assert_eq(peer_links_add(links, 3, "127.0.0.1:9"), ERR_NOMEM);
    fault_reset();
    cr_assert_eq(peer_links_remove(links, 3), ERR_NOT_FOUND);
    for (uint64_t id = 3; id <= MEMBERS_MAX; id++) {
        cr_assert_eq(peer_links_add(links, id, "127.0.0.1:9"), 0);
    }
    cr_assert_eq(peer_links_add(links, MEMBERS_MAX + 1, "127.0.0.1:9"), ERR_LIMIT);
    cr_assert_eq(peer_links_remove(links, 5), 0);
    cr_assert_eq(peer_links_add(links, MEMBERS_MAX + 1, "127.0.0.1:9"), 0);
    cluster_close(&c);
}

Test(peer_members, one_that_is_removed_loses_all_connections_and_is_refused)
{
    struct cluster c;
    cluster_open(&c, 3);
    cr_assert(loop_until(&c.loop, cluster_is_connected, &c, 20000));
    node_bulk_connect(&c, 1, 3);
    node_bulk_connect(&c, 3, 1);
    unsigned changes = c.nodes[1].changes;
    unsigned bulk_changes = c.nodes[1].bulk_changes;
    cr_assert_eq(drop(&c, 1, 3), 0);
    cr_assert_eq(c.nodes[1].changes, changes, "not from within the call");
    cr_assert_not(node_send(&c, 1, 3, 1, 10));
    cr_assert_not(node_bulk_send(&c, 1, 3, true, 1, 10));
    cr_assert(loop_until(&c.loop, flag_is_clear, &c.nodes[1].connected[3], 20000));
    cr_assert(loop_until(&c.loop, flag_is_clear, &c.nodes[3].connected[1], 20000));
    cr_assert(loop_until(&c.loop, flag_is_clear, &c.nodes[3].bulk_ready[1], 20000));
    loop_for(&c.loop, 300);
    cr_assert_eq(c.nodes[1].changes, changes + 1);
    cr_assert_eq(c.nodes[1].bulk_changes, bulk_changes + 1);
    cr_assert_not(c.nodes[1].bulk_ready[3]);
    cr_assert_not(c.nodes[3].connected[1]);
    cr_assert_geq(test_journal_count(&c.nodes[3].journal, "node 3 is not a member that node 1 knows"), 1u);
    exchange(&c, 1, 2, 5);
    exchange(&c, 3, 2, 5);
    cluster_close(&c);
}

Test(peer_members, one_that_was_not_connected_goes_in_silence)
{
    struct cluster c;
    cluster_open_one(&c, 0);
    cr_assert_eq(drop(&c, 1, 2), 0);
    loop_for(&c.loop, 50);
    cr_assert_eq(c.nodes[1].changes, 0u);
    cr_assert_eq(peer_links_stats(c.nodes[1].links, 2, &(struct peer_links_stats){0}), ERR_NOT_FOUND);
    cluster_close(&c);
}

Test(peer_members, removed_and_added_at_once_it_works_again)
{
    struct cluster c;
    cluster_open(&c, 2);
    cr_assert(loop_until(&c.loop, cluster_is_connected, &c, 20000));
    for (unsigned round = 0; round < 5; round++) {
        unsigned changes = c.nodes[1].changes;
        node_bulk_connect(&c, 1, 2);
        cr_assert_eq(drop(&c, 1, 2), 0);
        cr_assert_eq(add(&c, 1, 2), 0);
        cr_assert(c.nodes[1].connected[2], "is told later");
        wait_for(&c, &c.nodes[1].changes, changes + 1);
        cr_assert_not(c.nodes[1].connected[2]);
        cr_assert_not(c.nodes[1].bulk_ready[2]);
        wait_for(&c, &c.nodes[1].changes, changes + 2);
        cr_assert(loop_until(&c.loop, cluster_is_connected, &c, 20000));
        /* Node 2 has to notice that what it dialled is over. */
        struct peer_links_stats stats;
        do {
            uv_run(&c.loop, UV_RUN_ONCE);
            (void)node_send(&c, 2, 1, round, 1);
            cr_assert_eq(peer_links_stats(c.nodes[1].links, 2, &stats), 0);
        } while (stats.received_frames == 0);
        cr_assert(node_send(&c, 1, 2, round, 10));
        wait_for(&c, &c.nodes[2].received[1].count, round + 1);
    }
    cluster_close(&c);
}

Test(peer_members, nothing_is_told_of_one_that_goes_when_the_links_are_closed)
{
    struct cluster c;
    cluster_open(&c, 2);
    cr_assert(loop_until(&c.loop, cluster_is_connected, &c, 20000));
    node_bulk_connect(&c, 1, 2);
    unsigned changes = c.nodes[1].changes;
    unsigned bulk_changes = c.nodes[1].bulk_changes;
    cr_assert_eq(drop(&c, 1, 2), 0);
    node_stop(&c, 1);
    cr_assert_eq(c.nodes[1].changes, changes);
    cr_assert_eq(c.nodes[1].bulk_changes, bulk_changes);
    cluster_close(&c);
}

/* The frame that it has just sent makes node 1 remove it. */
static int on_received_remove(void *arg, uint64_t from, const struct frame *frame)
{
    struct peer_links **links = arg;
    (void)frame;
    cr_assert_eq(peer_links_remove(*links, from), 0);
    return ERR_BROKEN;
}

Test(peer_members, one_may_be_removed_from_within_a_callback)
{
    struct cluster c = {0};
    loop_open(&c.loop);
    struct peer_links *links;
    struct peer_member members[] = {{.id = 2, .address = "127.0.0.1:1"}};
    struct peer_links_options options = {.loop = &c.loop,
                                         .listen_address = "127.0.0.1:0",
                                         .node = 1,
                                         .cluster = "blue",
                                         .members = members,
                                         .members_len = 1,
                                         .arg = &links,
                                         .received = on_received_remove};
    char detail[200];
    cr_assert_eq(peer_links_start(&options, &links, detail, sizeof detail), 0);
    c.ports[1] = peer_links_port(links);
    struct end end;
    impostor_open(&c, &end, false);
    struct frame_out frame = test_frame(FRAME_PEER_RAFT, 8, 10, 1, 1);
    cr_assert_eq(stream_send(end.stream, &frame), 0);
    cr_assert(loop_until(&c.loop, end_has_ended, &end, 20000));
    cr_assert_eq(peer_links_remove(links, 2), ERR_NOT_FOUND);
    impostor_end(&end);
    c.nodes[1].links = links;
    cluster_close(&c);
}
