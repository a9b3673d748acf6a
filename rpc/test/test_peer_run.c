/* One process speaks for a node: another one waits until the older is known to be dead, and is refused when it is not. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "peer_fixture.h"
#include "proto/base/bytes.h"
#include "proto/base/check.h"
#include "proto/wire/native.pb-c.h"
#include "rpc/native/native_frame.h"
#include "rpc/peer/peer_frame.h"

#define WAIT_MS 300u
#define CLONE "another process is running as node 2 (a copied data directory?)"
#define ALARM "two processes run as node 2"

static void open_waiting(struct cluster *c, uint64_t wait_ms)
{
    memset(c, 0, sizeof *c);
    loop_open(&c->loop);
    c->clone_wait_ms = wait_ms;
    node_start(c, 1, 2, "blue");
}

static void send_number(struct end *end, uint64_t number)
{
    struct frame_out frame = test_frame(FRAME_PEER_RAFT, 8, 10, 1, number);
    put_u64(frame.head->data + FRAME_PREFIX_LEN, number);
    cr_assert_eq(stream_send(end->stream, &frame), 0);
}

/* It has been answered with a hello. */
static void greeted(struct cluster *c, struct end *end)
{
    cr_assert(loop_until(&c->loop, end_has_frame, end, 20000));
    cr_assert_eq(end->last_type, FRAME_PEER_HELLO);
}

static bool says(const struct end *end, const char *text)
{
    return memmem(end->last.data, end->last.len, text, strlen(text)) != NULL;
}

static void refused(struct cluster *c, struct end *end, const char *text)
{
    cr_assert(loop_until(&c->loop, end_has_frame, end, 20000));
    cr_assert_eq(end->last_type, FRAME_GOODBYE);
    cr_assert(says(end, text));
}

static void begin_greeted(struct cluster *c, struct end *end, uint64_t run, bool bulk)
{
    impostor_begin(c, end, run, bulk);
    greeted(c, end);
}

Test(peer_run, a_second_process_is_refused_while_the_first_is_alive)
{
    struct cluster c;
    open_waiting(&c, WAIT_MS);
    struct end first, second;
    begin_greeted(&c, &first, 11, false);
    impostor_begin(&c, &second, 22, false);
    for (uint64_t number = 1; second.frames == 0; number++) {
        send_number(&first, number);
        loop_for(&c.loop, WAIT_MS / 4);
        cr_assert_lt(number, 50u);
    }
    refused(&c, &second, CLONE);
    cr_assert_eq(test_journal_count(&c.nodes[1].journal, ALARM), 1u, "%s", c.nodes[1].journal.text);
    cr_assert_eq(c.nodes[1].doubled[2], 1u);
    cr_assert(strncmp(c.nodes[1].doubled_detail, ALARM, strlen(ALARM)) == 0, "%s", c.nodes[1].doubled_detail);
    unsigned received = c.nodes[1].received[2].count;
    send_number(&first, 100);
    wait_for(&c, &c.nodes[1].received[2].count, received + 1);
    /* It tries again, and the journal is not filled with that. */
    impostor_end(&second);
    impostor_begin(&c, &second, 22, false);
    loop_for(&c.loop, WAIT_MS / 2);
    cr_assert_eq(second.frames, 0u, "not yet");
    send_number(&first, 101);
    refused(&c, &second, CLONE);
    cr_assert_eq(test_journal_count(&c.nodes[1].journal, ALARM), 1u);
    cr_assert_eq(c.nodes[1].doubled[2], 2u, "each time");
    impostor_end(&second);
    impostor_end(&first);
    cluster_close(&c);
}

Test(peer_run, a_second_process_takes_over_when_nothing_comes_from_the_first)
{
    struct cluster c;
    open_waiting(&c, WAIT_MS);
    struct end first, second, late;
    begin_greeted(&c, &first, 11, false);
    send_number(&first, 1); /* What came before does not count. */
    wait_for(&c, &c.nodes[1].received[2].count, 1);
    uint64_t begun_ms = uv_now(&c.loop);
    impostor_begin(&c, &second, 22, false);
    greeted(&c, &second);
    cr_assert_geq(uv_now(&c.loop) - begun_ms, WAIT_MS - 1);
    cr_assert(loop_until(&c.loop, end_has_ended, &first, 20000));
    send_number(&second, 2);
    wait_for(&c, &c.nodes[1].received[2].count, 2);
    cr_assert_eq(test_journal_count(&c.nodes[1].journal, ALARM), 0u, "%s", c.nodes[1].journal.text);
    /* The first was only slow. It comes too late, at once and whether or not the second is connected. */
    impostor_begin(&c, &late, 11, false);
    refused(&c, &late, CLONE);
    cr_assert_eq(test_journal_count(&c.nodes[1].journal, ALARM), 1u);
    impostor_end(&late);
    impostor_end(&second);
    loop_for(&c.loop, 20);
    impostor_begin(&c, &late, 11, true);
    refused(&c, &late, CLONE);
    impostor_end(&late);
    begin_greeted(&c, &second, 22, false);
    impostor_end(&second);
    impostor_end(&first);
    cluster_close(&c);
}

Test(peer_run, a_second_process_takes_over_as_soon_as_the_first_is_gone)
{
    struct cluster c;
    open_waiting(&c, 60000);
    struct end first, second;
    begin_greeted(&c, &first, 11, false);
    impostor_begin(&c, &second, 22, false);
    loop_for(&c.loop, 50);
    cr_assert_eq(second.frames, 0u);
    stream_close(first.stream, NULL);
    greeted(&c, &second);
    end_done(&first);
    impostor_end(&second);
    cluster_close(&c);
}

Test(peer_run, a_restart_is_not_delayed)
{
    struct cluster c;
    memset(&c, 0, sizeof c);
    loop_open(&c.loop);
    c.clone_wait_ms = 60000;
    node_start(&c, 1, 2, "blue");
    node_start(&c, 2, 2, "blue");
    cluster_introduce(&c, 2);
    for (unsigned round = 0; round < 20; round++) { /* More than are remembered. */
        cr_assert(loop_until(&c.loop, cluster_is_connected, &c, 20000));
        cr_assert(node_send(&c, 2, 1, round, 10));
        wait_for(&c, &c.nodes[1].received[2].count, round + 1);
        node_stop(&c, 2);
        node_restart(&c, 2, 2, "blue");
    }
    cr_assert_eq(test_journal_count(&c.nodes[1].journal, "two processes"), 0u);
    cluster_close(&c);
}

static void raw_send(int fd, struct frame_out *frame)
{
    struct bytes bytes = {0};
    frame_flatten(frame, &bytes);
    raw_write(fd, bytes.data, bytes.len);
    bytes_done(&bytes);
}

/* When the wait is over, what the first sent before its end has not been read, nor its end. */
Test(peer_run, last_words_are_no_sign_of_life)
{
    struct cluster c;
    open_waiting(&c, 100);
    struct peer_hello hello = {
        .cluster = "blue", .node = 2, .to = 1, .incarnation = 102, .client_address = "", .run = 11};
    struct frame_out frame;
    struct end second;
    int fd = raw_connect(c.ports[1]);
    cr_assert_eq(peer_hello_encode(&hello, &frame), 0);
    raw_send(fd, &frame);
    loop_for(&c.loop, 50);
    impostor_begin(&c, &second, 22, false);
    loop_for(&c.loop, 50);
    cr_assert_eq(second.frames, 0u);
    frame = test_frame(FRAME_PEER_RAFT, 8, 10, 1, 1);
    raw_send(fd, &frame);
    cr_assert_eq(close(fd), 0);
    uint64_t end_ms = uv_now(&c.loop) + 150;
    do {
        usleep(10000); /* Node 1 is held up for longer than the wait. */
    } while (uv_hrtime() / 1000000 < end_ms);
    greeted(&c, &second);
    cr_assert_eq(test_journal_count(&c.nodes[1].journal, ALARM), 0u, "%s", c.nodes[1].journal.text);
    impostor_end(&second);
    cluster_close(&c);
}

Test(peer_run, of_two_that_wait_the_newer_counts_and_waits_no_longer)
{
    struct cluster c;
    open_waiting(&c, WAIT_MS);
    struct end first, second, third;
    begin_greeted(&c, &first, 11, false);
    uint64_t begun_ms = uv_now(&c.loop);
    impostor_begin(&c, &second, 22, false);
    loop_for(&c.loop, WAIT_MS / 2);
    impostor_begin(&c, &third, 22, false);
    greeted(&c, &third);
    cr_assert_lt(uv_now(&c.loop) - begun_ms, WAIT_MS + WAIT_MS / 2);
    cr_assert(loop_until(&c.loop, end_has_ended, &second, 20000));
    cr_assert_eq(second.frames, 0u);
    impostor_end(&first);
    impostor_end(&second);
    impostor_end(&third);
    cluster_close(&c);
}

Test(peer_run, the_first_is_alive_when_it_connects_anew)
{
    struct cluster c;
    open_waiting(&c, WAIT_MS);
    struct end first, again, second;
    begin_greeted(&c, &first, 11, false);
    impostor_begin(&c, &second, 22, false);
    loop_for(&c.loop, WAIT_MS / 3);
    begin_greeted(&c, &again, 11, false);
    refused(&c, &second, CLONE);
    impostor_end(&first);
    impostor_end(&again);
    impostor_end(&second);
    cluster_close(&c);
}

Test(peer_run, one_that_waits_may_go_or_speak_out_of_turn)
{
    struct cluster c;
    open_waiting(&c, WAIT_MS);
    struct end first, second;
    begin_greeted(&c, &first, 11, false);
    impostor_begin(&c, &second, 22, false);
    loop_for(&c.loop, 50);
    impostor_end(&second);
    loop_for(&c.loop, WAIT_MS + 50);
    impostor_begin(&c, &second, 22, false);
    loop_for(&c.loop, 50);
    send_number(&second, 1);
    refused(&c, &second, "does not wait");
    impostor_end(&second);
    loop_for(&c.loop, WAIT_MS + 50);
    impostor_begin(&c, &second, 22, false);
    loop_for(&c.loop, 50);
    node_stop(&c, 1); /* While it waits. */
    cr_assert_eq(second.frames, 0u);
    impostor_end(&second);
    impostor_end(&first);
    cluster_close(&c);
}

Test(peer_run, one_that_waits_goes_with_its_member)
{
    struct cluster c;
    open_waiting(&c, WAIT_MS);
    struct end first, second;
    begin_greeted(&c, &first, 11, false);
    impostor_begin(&c, &second, 22, false);
    loop_for(&c.loop, 50);
    cr_assert_eq(peer_links_remove(c.nodes[1].links, 2), 0);
    cr_assert(loop_until(&c.loop, end_has_ended, &first, 20000));
    cr_assert(loop_until(&c.loop, end_has_ended, &second, 20000));
    loop_for(&c.loop, WAIT_MS + 50);
    impostor_end(&first);
    impostor_end(&second);
    cluster_close(&c);
}

Test(peer_run, a_bulk_connection_is_the_living_processs)
{
    struct cluster c;
    open_waiting(&c, WAIT_MS);
    struct end first, first_bulk, second, second_bulk;
    begin_greeted(&c, &first, 11, false);
    begin_greeted(&c, &first_bulk, 11, true);
    impostor_begin(&c, &second_bulk, 22, true);
    refused(&c, &second_bulk, "an earlier process of this node is still connected");
    impostor_end(&second_bulk);
    begin_greeted(&c, &second, 22, false); /* Nothing comes from the first. */
    cr_assert(loop_until(&c.loop, end_has_ended, &first_bulk, 20000));
    begin_greeted(&c, &second_bulk, 22, true);
    impostor_end(&second_bulk);
    impostor_end(&second);
    impostor_end(&first);
    impostor_end(&first_bulk);
    cluster_close(&c);
}

static void acceptor_refuse(struct cluster *c, struct end *end, int err)
{
    wait_for(c, &end->frames, 1);
    Holdfast__Goodbye goodbye = HOLDFAST__GOODBYE__INIT;
    struct frame_out frame;
    goodbye.error = (uint32_t)-err;
    goodbye.detail = "another one runs";
    cr_assert_eq(native_frame_encode(FRAME_GOODBYE, &goodbye.base, NULL, 0, &frame), 0);
    cr_assert_eq(stream_send(end->stream, &frame), 0);
}

Test(peer_run, a_process_is_told_when_it_is_taken_for_a_second_one_again_and_again)
{
    struct cluster c;
    struct acceptor acceptor;
    open_waiting(&c, WAIT_MS);
    acceptor_open(&acceptor, &c);
    node_set_address(&c, 1, 2, listener_port(acceptor.listener));
    for (unsigned i = 0; i < 6; i++) {
        wait_for(&c, &acceptor.count, i + 1);
        if (i == 2) { /* It was a mistake. */
            acceptor_greet(&c, &acceptor.ends[i], false);
            cr_assert(loop_until(&c.loop, flag_is_set, &c.nodes[1].connected[2], 20000));
        }
        acceptor_refuse(&c, &acceptor.ends[i], i == 0 ? ERR_UNAVAILABLE : ERR_LOCKED);
        if (i == 2) {
            cr_assert(loop_until(&c.loop, flag_is_clear, &c.nodes[1].connected[2], 20000));
        }
        cr_assert(loop_until(&c.loop, end_has_ended, &acceptor.ends[i], 20000));
        /* The other one at once; of these, the third in a row. */
        cr_assert_eq(c.nodes[1].refused[2], i < 4 ? 1u : i - 2, "%u", i);
    }
    cr_assert_eq(c.nodes[1].refused_err, ERR_LOCKED);
    cr_assert_str_eq(c.nodes[1].refused_detail, "it refused us: another one runs");
    node_set_address(&c, 1, 2, 1);
    acceptor_close(&acceptor);
    cluster_close(&c);
}

/* Node 1 dials one that is over. */
Test(peer_run, a_process_that_is_over_does_not_answer_either)
{
    struct cluster c;
    open_waiting(&c, WAIT_MS);
    struct end end;
    begin_greeted(&c, &end, 11, false);
    impostor_end(&end);
    loop_for(&c.loop, 20);
    begin_greeted(&c, &end, 22, false);
    struct acceptor acceptor;
    acceptor_open(&acceptor, &c);
    node_set_address(&c, 1, 2, listener_port(acceptor.listener));
    wait_for(&c, &acceptor.count, 1);
    wait_for(&c, &acceptor.ends[0].frames, 1);
    struct peer_hello hello = {
        .cluster = "blue", .node = 2, .to = 1, .incarnation = 102, .client_address = "", .run = 11};
    struct frame_out frame;
    cr_assert_eq(peer_hello_encode(&hello, &frame), 0);
    cr_assert_eq(stream_send(acceptor.ends[0].stream, &frame), 0);
    cr_assert(loop_until(&c.loop, end_has_ended, &acceptor.ends[0], 20000));
    cr_assert_not(c.nodes[1].connected[2]);
    cr_assert_eq(test_journal_count(&c.nodes[1].journal, "had given way to another answers there"), 1u);
    node_set_address(&c, 1, 2, 1);
    acceptor_close(&acceptor);
    impostor_end(&end);
    cluster_close(&c);
}
