/* How connections for what is large end, on real sockets: hung up, lost, given up, closed with the links. */

#include "rpc/peer/peer_bulk.h"

#include <criterion/criterion.h>

#include "peer_fixture.h"
#include "proto/base/check.h"
#include "proto/base/fault.h"

Test(peer_bulk, hanging_up_sends_what_was_taken_and_ends)
{
    struct cluster c;
    cluster_open(&c, 2);
    c.nodes[2].answers = true;
    for (unsigned round = 1; round <= 3; round++) {
        node_bulk_connect(&c, 1, 2);
        for (unsigned n = 0; n < 10; n++) {
            cr_assert(node_bulk_send(&c, 1, 2, true, round * 100 + n, 300000));
        }
        node_bulk_hang_up(&c, 1, 2);
        cr_assert_not(node_bulk_send(&c, 1, 2, true, 1, 10));
        wait_for(&c, &c.nodes[2].asked[1].count, round * 10);
    }
    cr_assert_eq(c.nodes[1].answered[2].count, 0u, "nothing more is heard from it");
    cr_assert_eq(c.nodes[1].bulk_changes, 3u, "ready, each time");
    cr_assert_not(c.nodes[2].disorder);
    cluster_close(&c);
}

static void count_socket(uv_handle_t *handle, void *arg)
{
    *(unsigned *)arg += handle->type == UV_TCP && !uv_is_closing(handle);
}

static unsigned sockets(struct cluster *c)
{
    unsigned count = 0;
    uv_walk(&c->loop, count_socket, &count);
    return count;
}

static void set_flag(void *flag)
{
    *(bool *)flag = true;
}

Test(peer_bulk, hanging_up_and_dialling_again_and_again_is_bounded)
{
    struct cluster c;
    cluster_open_one(&c, 0);
    struct acceptor acceptor;
    acceptor_open(&acceptor, &c);
    unsigned before = sockets(&c);
    for (unsigned n = 0; n < ACCEPTS_MAX; n++) {
        node_bulk_dial_acceptor(&c, &acceptor);
        wait_for(&c, &acceptor.count, n + 1);
        acceptor_greet(&c, &acceptor.ends[n], true);
        cr_assert(loop_until(&c.loop, flag_is_set, &c.nodes[1].bulk_ready[2], 20000));
        node_bulk_hang_up(&c, 1, 2); /* The other side does not close what was ended. */
    }
    /* Theirs, the last of ours, which waits for them, and one that is dialled for messages. */
    cr_assert_leq(sockets(&c), before + ACCEPTS_MAX + 1 + 1);
    bool closed = false;
    peer_links_close(c.nodes[1].links, set_flag, &closed);
    c.nodes[1].links = NULL;
    for (unsigned turns = 0; turns < 50; turns++) {
        uv_run(&c.loop, UV_RUN_NOWAIT);
    }
    cr_assert(closed, "the links wait for nobody's last word");
    acceptor_close(&acceptor);
    cluster_close(&c);
}

Test(peer_bulk, hanging_up_while_it_is_being_made)
{
    struct cluster c;
    cluster_open_one(&c, 0);
    struct acceptor acceptor;
    acceptor_open(&acceptor, &c);
    node_bulk_dial_acceptor(&c, &acceptor);
    node_bulk_hang_up(&c, 1, 2); /* Not yet connected, as far as it knows; */
    wait_for(&c, &acceptor.count, 1);
    struct end *first = &acceptor.ends[0], *second = &acceptor.ends[1];
    cr_assert(loop_until(&c.loop, end_has_ended, first, 20000));
    cr_assert_eq(first->frames, 0u);
    node_bulk_dial_acceptor(&c, &acceptor);
    wait_for(&c, &second->frames, 1);
    node_bulk_hang_up(&c, 1, 2); /* its hello not yet answered. */
    cr_assert(loop_until(&c.loop, end_has_ended, second, 20000));
    cr_assert_eq(second->ended, ERR_CLOSED);
    cr_assert_eq(c.nodes[1].bulk_changes, 0u);
    acceptor_close(&acceptor);
    cluster_close(&c);
}

Test(peer_bulk, hanging_up_from_within_an_answer)
{
    struct cluster c;
    cluster_open(&c, 2);
    c.nodes[2].answers = true;
    c.nodes[1].hangs_up = true;
    c.nodes[1].bulk_err = ERR_BROKEN; /* Closes nothing any more. */
    for (unsigned round = 1; round <= 2; round++) {
        node_bulk_connect(&c, 1, 2);
        for (unsigned n = 0; n < 5; n++) {
            cr_assert(node_bulk_send(&c, 1, 2, true, 10 * round + n, 10));
        }
        wait_for(&c, &c.nodes[1].answered[2].count, round);
        loop_for(&c.loop, 20);
        cr_assert_eq(c.nodes[1].answered[2].count, round, "no more after it");
    }
    cr_assert_eq(c.nodes[1].bulk_changes, 2u);
    cluster_close(&c);
}

Test(peer_bulk, a_lost_one_is_told_and_comes_back_by_dialling_alone)
{
    struct cluster c;
    cluster_open(&c, 2);
    c.nodes[2].answers = true;
    for (unsigned round = 1; round <= 3; round++) {
        node_bulk_connect(&c, 1, 2);
        cr_assert(node_bulk_send(&c, 1, 2, true, round, 10));
        wait_for(&c, &c.nodes[1].answered[2].count, round);
        node_stop(&c, 2);
        cr_assert(loop_until(&c.loop, flag_is_clear, &c.nodes[1].bulk_ready[2], 20000));
        cr_assert_eq(c.nodes[1].bulk_changes, 2 * round);
        cr_assert_not(node_bulk_send(&c, 1, 2, true, 1, 10));
        node_restart(&c, 2, 2, "blue");
        c.nodes[2].answers = true;
        cr_assert(loop_until(&c.loop, flag_is_set, &c.nodes[1].connected[2], 20000));
        loop_for(&c.loop, 50);
        cr_assert_eq(c.nodes[1].bulk_changes, 2 * round, "by itself it is not dialled");
    }
    cluster_close(&c);
}

Test(peer_bulk, one_that_cannot_be_made_is_told_and_may_be_dialled_from_there)
{
    struct cluster c;
    cluster_open_one(&c, 0);
    c.nodes[1].redials = true;
    cr_assert_eq(node_bulk_dial(&c, 1, 2), 0); /* Port 1 answers nobody. */
    wait_for(&c, &c.nodes[1].bulk_changes, 5);
    cr_assert_eq(test_journal_count(&c.nodes[1].journal, "bulk connection: cannot connect"), 1u, "it is said once: %s",
                 c.nodes[1].journal.text);
    node_start(&c, 2, 2, "blue");
    cluster_introduce(&c, 2);
    cr_assert(loop_until(&c.loop, flag_is_set, &c.nodes[1].bulk_ready[2], 20000));
    c.nodes[1].redials = false;
    cluster_close(&c);
}

Test(peer_bulk, whoever_has_no_memory_it_is_made_or_its_end_is_told)
{
    struct cluster c;
    cluster_open_one(&c, UINT64_MAX); /* No deadline comes to the help of whoever says nothing. */
    node_start(&c, 2, 2, "blue");
    cluster_introduce(&c, 2);
    cr_assert(loop_until(&c.loop, cluster_is_connected, &c, 20000));
    unsigned ready = 0, rounds = 12;
    for (unsigned nth = 0; nth < rounds; nth++) {
        unsigned changes = c.nodes[1].bulk_changes;
        fault_set_nth(FAULT_ALLOCATION, nth);
        if (node_bulk_dial(&c, 1, 2) == 0) {
            wait_for(&c, &c.nodes[1].bulk_changes, changes + 1);
        }
        fault_reset();
        ready += c.nodes[1].bulk_ready[2];
        node_bulk_hang_up(&c, 1, 2);
    }
    cr_assert_gt(ready, 0u, "so many allocations it does not take");
    cr_assert_leq(ready, rounds - 3, "the fault was met");
    node_bulk_connect(&c, 1, 2);
    cluster_close(&c);
}

Test(peer_bulk, one_that_says_nothing_after_connecting_is_given_up)
{
    struct cluster c;
    cluster_open_one(&c, 100);
    struct acceptor acceptor;
    acceptor_open(&acceptor, &c);
    node_bulk_dial_acceptor(&c, &acceptor);
    wait_for(&c, &c.nodes[1].bulk_changes, 1);
    cr_assert_not(c.nodes[1].bulk_ready[2]);
    cr_assert_eq(test_journal_count(&c.nodes[1].journal, "bulk connection: the handshake took too long"), 1u, "%s",
                 c.nodes[1].journal.text);
    cr_assert(loop_until(&c.loop, end_has_ended, &acceptor.ends[0], 20000));
    acceptor_close(&acceptor);
    cluster_close(&c);
}

/* As a build that does not know of the other kind does. */
Test(peer_bulk, one_that_answers_as_for_messages_is_given_up)
{
    struct cluster c;
    cluster_open_one(&c, 0);
    struct acceptor acceptor;
    acceptor_open(&acceptor, &c);
    node_bulk_dial_acceptor(&c, &acceptor);
    wait_for(&c, &acceptor.count, 1);
    acceptor_greet(&c, &acceptor.ends[0], false);
    wait_for(&c, &c.nodes[1].bulk_changes, 1);
    cr_assert_not(c.nodes[1].bulk_ready[2]);
    cr_assert_eq(test_journal_count(&c.nodes[1].journal, "for one of another kind"), 1u, "%s", c.nodes[1].journal.text);
    acceptor_close(&acceptor);
    cluster_close(&c);
}

Test(peer_bulk, the_links_close_with_everything_open)
{
    struct cluster c;
    cluster_open(&c, 3);
    cr_assert(loop_until(&c.loop, cluster_is_connected, &c, 20000));
    node_bulk_connect(&c, 2, 1);
    for (unsigned round = 0; round < 2; round++) { /* One that is parting, one with much queued. */
        node_bulk_connect(&c, 1, 2);
        for (unsigned n = 0; n < 12; n++) {
            cr_assert(node_bulk_send(&c, 1, 2, true, n, 300000));
        }
        if (round == 0) {
            node_bulk_hang_up(&c, 1, 2);
        }
    }
    cr_assert_eq(node_bulk_dial(&c, 1, 3), 0); /* One that is being made. */
    unsigned changes = c.nodes[1].bulk_changes;
    node_stop(&c, 1);
    cr_assert_eq(c.nodes[1].bulk_changes, changes, "no callback follows");
    cluster_close(&c);
}

Test(peer_bulk, the_links_close_from_within_a_question_or_an_answer)
{
    for (unsigned who = 1; who <= 2; who++) {
        struct cluster c;
        cluster_open(&c, 2);
        c.nodes[2].answers = true;
        c.nodes[who].closes_links = true;
        c.nodes[who].bulk_err = ERR_BROKEN;
        node_bulk_connect(&c, 1, 2);
        cr_assert(node_bulk_send(&c, 1, 2, true, 1, 10));
        cr_assert(node_bulk_send(&c, 1, 2, true, 2, 10));
        cr_assert(loop_until(&c.loop, flag_is_set, &c.nodes[who].closed, 20000));
        cr_assert_eq(who == 1 ? c.nodes[1].answered[2].count : c.nodes[2].asked[1].count, 1u);
        cluster_close(&c);
    }
}

Test(peer_bulk, nothing_is_dialled_while_the_links_close)
{
    struct cluster c;
    cluster_open_one(&c, 0);
    struct peer_links *links = c.nodes[1].links;
    peer_links_close(links, NULL, NULL);
    cr_assert_eq(peer_bulk_dial(links, 2), ERR_CLOSED);
    peer_bulk_hang_up(links, 2);
    c.nodes[1].links = NULL;
    cluster_close(&c);
}
