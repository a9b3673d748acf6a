/* Streams on real sockets: every size arrives, memory stays bounded, deadlines and nonsense end a connection. */

#include "rpc/stream.h"

#include <criterion/criterion.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net_fixture.h"
#include "proto/base/check.h"
#include "proto/base/limits.h"

struct wanted {
    struct end *end;
    unsigned frames;
};

static bool got_wanted(void *arg)
{
    struct wanted *wanted = arg;
    return wanted->end->frames >= wanted->frames || wanted->end->ended != 0;
}

static void established(struct pair *pair)
{
    stream_established(pair->a.stream);
    stream_established(pair->b.stream);
}

Test(stream, frames_of_all_sizes_arrive_whole_and_in_order)
{
    static const size_t sizes[] = {0,     1,     15,    16,     17,     1000,   32751,   32752,    32753,    65535,
                                   65536, 65537, 70000, 131072, 262144, 999999, MIB * 2, MIB * 16, MIB * 32, 3};
    struct pair pair;
    struct stream_options options = {.queue_max = 256 * MIB};
    pair_open(&pair, &options, NULL);
    established(&pair);
    uint64_t hash = 0;
    unsigned count = 0;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        for (unsigned parts = 1; parts <= 5; parts += 4) {
            size_t header_len = i * 1000;
            struct frame_out frame = test_frame((uint8_t)i, header_len, sizes[i], parts, i);
            cr_assert_eq(stream_send(pair.a.stream, &frame), 0);
            hash = test_frame_hash(hash, header_len, sizes[i], i);
            count++;
        }
    }
    cr_assert(loop_until(&pair.loop, got_wanted, &(struct wanted){&pair.b, count}, 20000));
    cr_assert_eq(pair.b.frames, count, "%u frames, %s", pair.b.frames, pair.b.detail);
    cr_assert_eq(pair.b.hash, hash);
    cr_assert_eq(stream_queued_bytes(pair.a.stream), 0u);
    pair_close(&pair);
}

Test(stream, many_small_frames_both_ways)
{
    struct pair pair;
    pair_open(&pair, NULL, NULL);
    established(&pair);
    uint64_t hash = 0;
    for (unsigned i = 0; i < 20000; i++) {
        struct frame_out there = test_frame(1, i % 40, i % 7, i % 7 > 0, i);
        struct frame_out back = test_frame(2, i % 40, i % 7, i % 7 > 0, i);
        cr_assert_eq(stream_send(pair.a.stream, &there), 0);
        cr_assert_eq(stream_send(pair.b.stream, &back), 0);
        hash = test_frame_hash(hash, i % 40, i % 7, i);
    }
    cr_assert(loop_until(&pair.loop, got_wanted, &(struct wanted){&pair.a, 20000}, 10000));
    cr_assert(loop_until(&pair.loop, got_wanted, &(struct wanted){&pair.b, 20000}, 10000));
    cr_assert_eq(pair.a.hash, hash);
    cr_assert_eq(pair.b.hash, hash);
    pair_close(&pair);
}

static bool is_flushed(void *arg)
{
    return stream_queued_bytes(((struct end *)arg)->stream) == 0;
}

Test(stream, the_frames_of_a_turn_leave_in_one_write)
{
    struct pair pair;
    pair_listen(&pair, NULL);
    int fd = raw_connect(listener_port(pair.listener));
    cr_assert(loop_until(&pair.loop, end_is_open, &pair.b, 20000));
    for (unsigned turn = 1; turn <= 3; turn++) {
        for (unsigned i = 0; i < 50; i++) {
            struct frame_out frame = test_frame(1, 20, 100, 2, i);
            cr_assert_eq(stream_send(pair.b.stream, &frame), 0);
        }
        cr_assert(loop_until(&pair.loop, is_flushed, &pair.b, 20000));
        /* Each write is a segment. */
        cr_assert_eq(raw_segments(fd), turn, "%u segments", raw_segments(fd));
    }
    close(fd);
    pair_close(&pair);
}

/* Counts the connections of a loop on which small writes do not wait for acknowledgements. */
static void count_nodelay(uv_handle_t *handle, void *arg)
{
    uv_os_fd_t fd;
    int nodelay = 0;
    struct sockaddr_storage peer;
    socklen_t nodelay_len = sizeof nodelay, peer_len = sizeof peer;
    if (handle->type == UV_TCP && uv_fileno(handle, &fd) == 0 &&
        getpeername(fd, (struct sockaddr *)&peer, &peer_len) == 0) {
        cr_assert_eq(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &nodelay, &nodelay_len), 0);
        *(unsigned *)arg += nodelay != 0;
    }
}

Test(stream, small_writes_wait_for_nothing_on_either_side)
{
    struct pair pair;
    pair_open(&pair, NULL, NULL);
    unsigned count = 0;
    uv_walk(&pair.loop, count_nodelay, &count);
    cr_assert_eq(count, 2u);
    pair_close(&pair);
}

Test(stream, bytes_that_come_one_at_a_time_make_the_same_frames)
{
    struct pair pair;
    pair_listen(&pair, NULL);
    int fd = raw_connect(listener_port(pair.listener));
    struct bytes all = {0};
    uint64_t hash = 0;
    for (unsigned i = 0; i < 4; i++) {
        struct frame_out frame = test_frame(7, i * 3, i * 11, 1, i);
        frame_flatten(&frame, &all);
        hash = test_frame_hash(hash, i * 3, i * 11, i);
    }
    for (size_t i = 0; i < all.len; i++) {
        raw_write(fd, all.data + i, 1);
        loop_for(&pair.loop, 1);
    }
    cr_assert(loop_until(&pair.loop, got_wanted, &(struct wanted){&pair.b, 4}, 20000));
    cr_assert_eq(pair.b.hash, hash);
    close(fd);
    cr_assert(loop_until(&pair.loop, end_has_ended, &pair.b, 20000));
    cr_assert_eq(pair.b.ended, ERR_CLOSED);
    bytes_done(&all);
    pair_close(&pair);
}

Test(stream, a_reader_that_holds_bounds_the_writer)
{
    struct pair pair;
    struct stream_options options = {.queue_low = 100000, .queue_high = 500000, .queue_max = 2000000};
    pair_open(&pair, &options, NULL);
    established(&pair);
    stream_hold(pair.b.stream, true);
    unsigned sent = 0;
    uint64_t hash = 0;
    int err = 0;
    while (err == 0 && sent < 10000) {
        struct frame_out frame = test_frame(1, 0, 50000, 1, sent);
        err = stream_send(pair.a.stream, &frame);
        if (err == 0) {
            hash = test_frame_hash(hash, 0, 50000, sent++);
        }
        cr_assert_leq(stream_queued_bytes(pair.a.stream), 2000000u);
        uv_run(&pair.loop, UV_RUN_NOWAIT);
    }
    cr_assert_eq(err, ERR_BUSY);
    cr_assert(pair.a.congested);
    cr_assert_eq(pair.b.frames, 0u);
    loop_for(&pair.loop, 50);
    cr_assert_eq(pair.b.frames, 0u);
    stream_hold(pair.b.stream, false);
    cr_assert_eq(pair.b.frames, 0u, "no event from within a call");
    cr_assert(loop_until(&pair.loop, got_wanted, &(struct wanted){&pair.b, sent}, 10000));
    cr_assert_eq(pair.b.hash, hash);
    cr_assert_not(pair.a.congested);
    cr_assert_eq(pair.a.congested_count, 2u);
    pair_close(&pair);
}

static bool has_three(void *arg)
{
    struct end *end = arg;
    if (end->frames < 3) {
        stream_hold(end->stream, false);
    }
    return end->frames >= 3;
}

Test(stream, hold_within_a_frame_stops_the_frames_behind_it)
{
    struct pair pair;
    pair_open(&pair, NULL, NULL);
    pair.b.hold_each = true;
    for (unsigned i = 0; i < 5; i++) {
        struct frame_out frame = test_frame(1, 10, 10, 1, i);
        cr_assert_eq(stream_send(pair.a.stream, &frame), 0);
    }
    loop_for(&pair.loop, 50);
    cr_assert_eq(pair.b.frames, 1u);
    cr_assert(loop_until(&pair.loop, has_three, &pair.b, 20000));
    loop_for(&pair.loop, 20);
    cr_assert_eq(pair.b.frames, 3u);
    pair_close(&pair);
}

Test(stream, a_stream_can_be_closed_from_within_a_frame)
{
    struct pair pair;
    pair_open(&pair, NULL, NULL);
    pair.b.close_on_frame = true;
    for (unsigned i = 0; i < 5; i++) {
        struct frame_out frame = test_frame(1, 10, 10, 1, i);
        cr_assert_eq(stream_send(pair.a.stream, &frame), 0);
    }
    cr_assert(loop_until(&pair.loop, end_has_closed, &pair.b, 20000));
    cr_assert_eq(pair.b.frames, 1u);
    cr_assert(loop_until(&pair.loop, end_has_ended, &pair.a, 20000));
    pair_close(&pair);
}

/* What a raw client writes ends the stream with this error, before a frame comes out. */
static void ends_with(const void *data, size_t len, bool after_handshake, int err)
{
    struct pair pair;
    pair_listen(&pair, NULL);
    int fd = raw_connect(listener_port(pair.listener));
    cr_assert(loop_until(&pair.loop, end_is_open, &pair.b, 20000));
    if (after_handshake) {
        stream_established(pair.b.stream);
    }
    raw_write(fd, data, len);
    cr_assert(loop_until(&pair.loop, end_has_ended, &pair.b, 20000));
    cr_assert_eq(pair.b.ended, err, "%s: %s", err_name(pair.b.ended), pair.b.detail);
    cr_assert_eq(pair.b.frames, 0u);
    close(fd);
    pair_close(&pair);
}

static void prefix_of(uint8_t out[FRAME_PREFIX_LEN], size_t header_len, size_t body_len)
{
    frame_prefix_encode(
        &(struct frame_prefix){.type = 1, .header_len = (uint32_t)header_len, .body_len = (uint32_t)body_len}, out);
}

Test(stream, nonsense_and_other_versions_end_it)
{
    uint8_t p[FRAME_PREFIX_LEN];
    ends_with("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27, false, ERR_BROKEN);
    prefix_of(p, 1, 1);
    p[2]++;
    ends_with(p, sizeof p, false, ERR_VERSION);
    prefix_of(p, 1, 1);
    p[13] = 1;
    ends_with(p, sizeof p, true, ERR_BROKEN);
}

Test(stream, lengths_over_a_limit_end_it_before_anything_is_read)
{
    uint8_t p[FRAME_PREFIX_LEN];
    prefix_of(p, STREAM_HANDSHAKE_FRAME_LEN_MAX, 1);
    ends_with(p, sizeof p, false, ERR_TOO_BIG);
    prefix_of(p, FRAME_HEADER_LEN_MAX + 1, 0);
    ends_with(p, sizeof p, true, ERR_TOO_BIG);
    prefix_of(p, 0, FRAME_BODY_LEN_MAX + 1);
    ends_with(p, sizeof p, true, ERR_TOO_BIG);
    prefix_of(p, UINT32_MAX, UINT32_MAX);
    ends_with(p, sizeof p, true, ERR_TOO_BIG);
}

Test(stream, a_slow_handshake_ends_it)
{
    struct pair pair;
    struct stream_options options = {.handshake_timeout_ms = 100};
    pair_open(&pair, NULL, &options);
    struct frame_out frame = test_frame(1, 1, 0, 0, 1);
    cr_assert_eq(stream_send(pair.a.stream, &frame), 0);
    cr_assert(loop_until(&pair.loop, end_has_ended, &pair.b, 20000));
    cr_assert_eq(pair.b.ended, ERR_TIMEOUT);
    cr_assert_not_null(strstr(pair.b.detail, "handshake"));
    pair_close(&pair);
}

Test(stream, silence_ends_it_but_frames_and_holding_do_not)
{
    struct pair pair;
    struct stream_options options = {.idle_timeout_ms = 250};
    pair_open(&pair, NULL, &options);
    established(&pair);
    for (unsigned i = 0; i < 5; i++) {
        struct frame_out frame = test_frame(1, 1, 0, 0, 1);
        cr_assert_eq(stream_send(pair.a.stream, &frame), 0);
        loop_for(&pair.loop, 100);
        cr_assert_eq(pair.b.ended, 0);
    }
    stream_hold(pair.b.stream, true);
    loop_for(&pair.loop, 400);
    cr_assert_eq(pair.b.ended, 0);
    stream_hold(pair.b.stream, false);
    uint64_t began = uv_now(&pair.loop);
    cr_assert(loop_until(&pair.loop, end_has_ended, &pair.b, 20000));
    cr_assert_eq(pair.b.ended, ERR_TIMEOUT);
    cr_assert_geq(uv_now(&pair.loop) - began, 240u);
    pair_close(&pair);
}

Test(stream, a_peer_that_takes_nothing_ends_it)
{
    struct pair pair;
    struct stream_options options = {.stall_timeout_ms = 200};
    pair_open(&pair, &options, NULL);
    established(&pair);
    stream_hold(pair.b.stream, true);
    struct frame_out frame = test_frame(1, 0, 24 * MIB, 1, 1);
    cr_assert_eq(stream_send(pair.a.stream, &frame), 0);
    cr_assert(loop_until(&pair.loop, end_has_ended, &pair.a, 20000));
    cr_assert_eq(pair.a.ended, ERR_TIMEOUT);
    cr_assert_not_null(strstr(pair.a.detail, "takes no data"), "%s", pair.a.detail);
    pair_close(&pair);
}

static void on_finished(void *arg)
{
    struct end *end = arg;
    end->stream = NULL;
    end->closed = true;
}

Test(stream, the_last_word_arrives_although_the_other_side_still_sends)
{
    struct pair pair;
    pair_open(&pair, NULL, NULL);
    established(&pair);
    /* Bytes that b will never read: closing with them unread would reset the connection. */
    struct frame_out noise = test_frame(1, 0, 4 * MIB, 1, 1);
    cr_assert_eq(stream_send(pair.a.stream, &noise), 0);
    stream_hold(pair.b.stream, true);
    loop_for(&pair.loop, 20);
    struct frame_out last = test_frame(38, 100, 3 * MIB, 1, 9);
    cr_assert_eq(stream_send(pair.b.stream, &last), 0);
    stream_finish(pair.b.stream, on_finished);
    struct frame_out late = test_frame(38, 1, 0, 0, 9);
    cr_assert_eq(stream_send(pair.b.stream, &late), ERR_CLOSED);
    cr_assert(loop_until(&pair.loop, end_has_ended, &pair.a, 20000));
    cr_assert_eq(pair.a.frames, 1u);
    cr_assert_eq(pair.a.hash, test_frame_hash(0, 100, 3 * MIB, 9));
    cr_assert_eq(pair.a.ended, ERR_CLOSED);
    stream_close(pair.a.stream, on_finished);
    cr_assert(loop_until(&pair.loop, end_has_closed, &pair.b, 1000), "closed as soon as the peer has");
    pair_close(&pair);
}

Test(stream, lingering_is_bounded)
{
    struct pair pair;
    struct stream_options options = {.linger_ms = 100};
    pair_open(&pair, NULL, &options);
    stream_finish(pair.b.stream, on_finished);
    cr_assert(loop_until(&pair.loop, end_has_closed, &pair.b, 2000));
    pair_close(&pair);
}

Test(stream, nobody_lingers_for_a_peer_that_has_reset_the_connection)
{
    struct pair pair;
    struct stream_options options = {.linger_ms = 600000};
    pair_listen(&pair, &options);
    int fd = raw_connect(listener_port(pair.listener));
    cr_assert(loop_until(&pair.loop, end_is_open, &pair.b, 20000));
    struct frame_out unread = test_frame(1, 10, 10, 1, 1);
    cr_assert_eq(stream_send(pair.b.stream, &unread), 0);
    cr_assert(loop_until(&pair.loop, is_flushed, &pair.b, 20000));
    close(fd); /* With something unread in it: a reset. */
    cr_assert(loop_until(&pair.loop, end_has_ended, &pair.b, 20000));
    cr_assert_eq(pair.b.ended, ERR_SYSTEM);
    struct frame_out last = test_frame(1, 10, 10, 1, 2);
    cr_assert_eq(stream_send(pair.b.stream, &last), 0);
    stream_finish(pair.b.stream, on_finished);
    cr_assert(loop_until(&pair.loop, end_has_closed, &pair.b, 20000));
    pair_close(&pair);
}

Test(stream, connecting_by_name_and_in_vain)
{
    struct pair pair;
    pair_listen(&pair, NULL);
    struct stream_events events = end_events(&pair.a);
    char address[64];
    /* "localhost" may resolve to ::1 first, where nobody listens: the next address is tried. */
    snprintf(address, sizeof address, "localhost:%u", listener_port(pair.listener));
    cr_assert_eq(stream_new(&pair.loop, NULL, &events, &pair.a.stream), 0);
    cr_assert_eq(stream_connect(pair.a.stream, address), 0);
    cr_assert(loop_until(&pair.loop, end_is_open, &pair.a, 20000));
    cr_assert_eq(strncmp(stream_peer_name(pair.a.stream), "127.0.0.1:", 10), 0);
    stream_close(pair.a.stream, NULL);

    /* Nobody listens on a reserved port that only root could bind. */
    snprintf(address, sizeof address, "127.0.0.1:%u", 1u);
    struct end vain = {0};
    events = end_events(&vain);
    cr_assert_eq(stream_new(&pair.loop, NULL, &events, &vain.stream), 0);
    cr_assert_eq(stream_connect(vain.stream, address), 0);
    cr_assert(loop_until(&pair.loop, end_has_ended, &vain, 20000));
    cr_assert_eq(vain.ended, ERR_SYSTEM);
    cr_assert_not(vain.connected);
    stream_close(vain.stream, NULL);
    pair.a.stream = NULL;
    pair_close(&pair);
}

Test(stream, a_stream_can_be_closed_while_it_connects)
{
    struct pair pair;
    pair_listen(&pair, NULL);
    struct stream_events events = end_events(&pair.a);
    char address[64];
    snprintf(address, sizeof address, "localhost:%u", listener_port(pair.listener));
    cr_assert_eq(stream_new(&pair.loop, NULL, &events, &pair.a.stream), 0);
    cr_assert_eq(stream_connect(pair.a.stream, address), 0);
    stream_close(pair.a.stream, on_finished);
    cr_assert(loop_until(&pair.loop, end_has_closed, &pair.a, 20000));
    cr_assert_eq(pair.a.ended, 0);
    pair_close(&pair);
}

Test(stream, what_is_no_address_is_refused)
{
    static const char *const bad[] = {"", "host", "host:", ":1", "host:70000", "host:1x", "::1:80", "[::1]80", "h:-1"};
    uv_loop_t loop;
    loop_open(&loop);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct end end = {0};
        struct stream_events events = end_events(&end);
        cr_assert_eq(stream_new(&loop, NULL, &events, &end.stream), 0);
        cr_assert_eq(stream_connect(end.stream, bad[i]), ERR_INVALID, "%s", bad[i]);
        stream_close(end.stream, NULL);
    }
    loop_close(&loop);
}
