/* What clients together cost a node: memory in common for what they send, and connections. On real sockets. */

#include <criterion/criterion.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bounds_fixture.h"
#include "proto/base/check.h"
#include "proto/base/fault.h"
#include "proto/base/limits.h"
#include "rpc/native/native_frame.h"

/* The prefix of a COMMAND with a body of this length. */
static void frame_begin(int fd, size_t body_len)
{
    uint8_t prefix[FRAME_PREFIX_LEN];
    frame_prefix_encode(&(struct frame_prefix){.type = FRAME_COMMAND, .body_len = (uint32_t)body_len}, prefix);
    raw_write(fd, prefix, sizeof prefix);
}

/* Writes what the socket takes, while the loop runs, up to `len`; stops when it takes nothing for a while. */
static size_t raw_pour(struct bounds_fixture *f, int fd, size_t len)
{
    static const uint8_t zeros[64 * 1024];
    size_t done = 0;
    for (unsigned idle = 0; done < len && idle < 20;) {
        size_t part = len - done < sizeof zeros ? len - done : sizeof zeros;
        ssize_t n = send(fd, zeros, part, MSG_DONTWAIT | MSG_NOSIGNAL);
        done += n > 0 ? (size_t)n : 0;
        idle = n > 0 ? 0 : idle + 1;
        uv_run(&f->loop, UV_RUN_NOWAIT);
        (void)bounds_stats(f);
    }
    return done;
}

/* Whether the goodbye on this socket says so. The connection is closed then. */
static void expect_goodbye(struct bounds_fixture *f, int fd, const char *part)
{
    uint8_t answer[1024];
    ssize_t len = -1;
    for (unsigned i = 0; i < 2000 && len <= 0; i++) {
        loop_for(&f->loop, 1);
        len = recv(fd, answer, sizeof answer, MSG_DONTWAIT);
    }
    cr_assert_gt(len, (ssize_t)FRAME_PREFIX_LEN);
    cr_assert_eq(answer[3], FRAME_GOODBYE);
    cr_assert_not_null(memmem(answer, (size_t)len, part, strlen(part)), "%.*s", (int)len, (const char *)answer + 16);
}

Test(native_bounds, a_client_that_stops_within_a_frame_is_sent_away)
{
    static const size_t bodies[] = {100, 20 * KIB, MIB};
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct bounds_fixture f;
        bounds_open(&f, (struct native_server_options){.server.frame_timeout_ms = 200});
        int fd = bounds_greet(&f);
        uint64_t began = uv_now(&f.loop);
        frame_begin(fd, bodies[i]);
        (void)raw_pour(&f, fd, bodies[i] / 2);
        char words[100];
        snprintf(words, sizeof words, "a frame of %zu bytes was begun 0 s ago and is not complete",
                 FRAME_PREFIX_LEN + bodies[i]);
        expect_goodbye(&f, fd, words);
        cr_assert_geq(uv_now(&f.loop) - began, 190u);
        close(fd);
        expect_connections(&f, 0);
        cr_assert_eq(test_journal_count(&f.journal, words), 1u);
        cr_assert_eq(bounds_stats(&f).receiving_bytes, 0u);
        bounds_close(&f);
    }
}

Test(native_bounds, a_large_frame_on_a_slow_line_may_take_longer_than_the_deadline)
{
    struct bounds_fixture f;
    bounds_open(&f, (struct native_server_options){.server.frame_timeout_ms = 400});
    int fd = bounds_attach(&f);
    frame_begin(fd, 3 * STREAM_PROGRESS_LEN);
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(raw_pour(&f, fd, STREAM_PROGRESS_LEN), STREAM_PROGRESS_LEN);
        loop_for(&f.loop, 250);
        cr_assert_eq(test_journal_count(&f.journal, "is not complete"), 0u);
    }
    close(fd);
    expect_connections(&f, 0);
    bounds_close(&f);
}

Test(native_bounds, a_client_that_sends_a_frame_in_crumbs_is_sent_away)
{
    struct bounds_fixture f;
    bounds_open(&f, (struct native_server_options){.server.frame_timeout_ms = 300});
    int fd = bounds_greet(&f);
    frame_begin(fd, MIB);
    uint64_t began = uv_now(&f.loop);
    while (test_journal_count(&f.journal, "and is not complete") == 0) {
        (void)send(fd, "crumb", 5, MSG_DONTWAIT | MSG_NOSIGNAL);
        loop_for(&f.loop, 10);
        cr_assert_lt(uv_now(&f.loop) - began, 20000u);
    }
    close(fd);
    expect_connections(&f, 0);
    bounds_close(&f);
}

/* A COMMAND in one buffer, with a body of this length, from a client that has seen the answers to all before it. */
static void command_append(struct bytes *out, uint64_t number, size_t body_len)
{
    struct slice header = {.data = (const uint8_t *)"cmd", .len = 3};
    struct blob *blob = body_new(body_len);
    struct slice body = slice_of_blob(blob);
    struct frame_out frame;
    cr_assert_eq(native_frame_encode_command(number, number - 1, header, &body, 1, &frame), 0);
    frame_flatten(&frame, out);
    blob_unref(blob);
}

Test(native_bounds, a_hundred_half_frames_stay_within_the_budget_and_others_go_on)
{
    enum { HALVES = 100, BUDGET = 72 * 1024 * 1024 };
    struct bounds_fixture f;
    bounds_open(&f, (struct native_server_options){.memory_max = BUDGET, .server.frame_timeout_ms = 500});
    int other = bounds_attach(&f);
    int fds[HALVES];
    size_t heap = mallinfo2().uordblks + mallinfo2().hblkhd;
    size_t heap_max = 0;
    for (unsigned i = 0; i < HALVES; i++) {
        fds[i] = bounds_greet(&f);
        frame_begin(fds[i], BODY_LEN_MAX);
        (void)raw_pour(&f, fds[i], 200 * KIB);
        size_t now = mallinfo2().uordblks + mallinfo2().hblkhd;
        heap_max = now > heap_max ? now : heap_max;
    }
    cr_assert_leq(f.receiving_max, (uint64_t)BUDGET);
    cr_assert_geq(f.receiving_max, 4 * BODY_LEN_MAX, "four fit");
    cr_assert_leq(heap_max - heap, BUDGET + HALVES * (size_t)(72 * KIB), "%zu bytes", heap_max - heap);
    /* Small frames need no room in it. */
    struct bytes small = {0};
    command_append(&small, 1, 20 * KIB);
    raw_write(other, small.data, small.len);
    while (f.fake.commands == 0) {
        uv_run(&f.loop, UV_RUN_ONCE);
    }
    cr_assert_gt(native_server_connections(f.server), 50u, "the halves are still there");
    /* A large one of somebody who goes on waits for its turn, and gets it. */
    struct bytes large = {0};
    command_append(&large, 2, MIB);
    size_t done = 0;
    uint64_t began = uv_now(&f.loop);
    while (f.fake.commands == 1 && uv_now(&f.loop) - began < 60000) {
        ssize_t n = send(other, large.data + done, large.len - done, MSG_DONTWAIT | MSG_NOSIGNAL);
        done += n > 0 ? (size_t)n : 0;
        loop_for(&f.loop, 5);
        (void)bounds_stats(&f);
    }
    cr_assert_eq(f.fake.commands, 2u);
    cr_assert_geq(test_journal_count(&f.journal, "has stopped after"), 10u, "it need not wait for all their deadlines");
    cr_assert_leq(f.receiving_max, (uint64_t)BUDGET);
    bytes_done(&small);
    bytes_done(&large);
    for (unsigned i = 0; i < HALVES; i++) {
        close(fds[i]);
    }
    close(other);
    expect_connections(&f, 0);
    cr_assert_eq(bounds_stats(&f).receiving_bytes, 0u);
    bounds_close(&f);
}

Test(native_bounds, a_frame_that_waits_for_the_gateway_keeps_its_room)
{
    struct bounds_fixture f;
    bounds_open(&f, (struct native_server_options){0});
    int fd = bounds_attach(&f);
    f.fake.submit_err = ERR_BUSY;
    struct bytes command = {0};
    command_append(&command, 1, 100 * KIB);
    raw_write(fd, command.data, command.len);
    loop_for(&f.loop, 50);
    cr_assert_gt(bounds_stats(&f).receiving_bytes, 100 * KIB);
    f.fake.submit_err = 0;
    f.fake.sink.resume(f.fake.sink.arg);
    cr_assert_eq(f.fake.commands, 1u);
    loop_for(&f.loop, 10);
    cr_assert_eq(bounds_stats(&f).receiving_bytes, 0u);
    bytes_done(&command);
    close(fd);
    expect_connections(&f, 0);
    bounds_close(&f);
}

/* A frame whose prefix came alone takes its room later, and is watched all the same. */
Test(native_bounds, a_frame_that_stops_is_sent_away_soon_when_others_wait_also_if_its_prefix_came_first)
{
    struct bounds_fixture f;
    bounds_open(&f, (struct native_server_options){.memory_max = 2 * MIB, .server.frame_timeout_ms = 4000});
    int first = bounds_greet(&f);
    uint8_t prefix[FRAME_PREFIX_LEN];
    frame_prefix_encode(&(struct frame_prefix){.type = FRAME_COMMAND, .body_len = 2 * MIB}, prefix);
    raw_write(first, prefix, 7);
    loop_for(&f.loop, 20);
    raw_write(first, prefix + 7, sizeof prefix - 7);
    (void)raw_pour(&f, first, 100 * KIB);
    int second = bounds_greet(&f);
    frame_begin(second, 2 * MIB);
    (void)raw_pour(&f, second, 100 * KIB);
    uint64_t began = uv_now(&f.loop);
    expect_goodbye(&f, first, "and others wait");
    cr_assert_lt(uv_now(&f.loop) - began, 2000u, "long before its time");
    close(first);
    close(second);
    expect_connections(&f, 0);
    bounds_close(&f);
}

static bool has_greeting(void *arg)
{
    uint8_t byte;
    return recv(*(int *)arg, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 1;
}

Test(native_bounds, a_connection_for_which_there_is_no_memory_waits_until_there_is)
{
    struct bounds_fixture f;
    bounds_open(&f, (struct native_server_options){0});
    int fd = raw_connect(native_server_port(f.server));
    Holdfast__Hello hello = HOLDFAST__HELLO__INIT;
    message_write(fd, FRAME_HELLO, &hello.base);
    fault_set_nth(FAULT_ALLOCATION, 0);
    loop_for(&f.loop, 20);
    fault_reset();
    cr_assert_eq(test_journal_count(&f.journal, "no memory for more clients"), 1u);
    cr_assert_eq(native_server_connections(f.server), 0u);
    cr_assert(loop_until(&f.loop, has_greeting, &fd, 10000));
    int other = bounds_greet(&f);
    close(other);
    close(fd);
    expect_connections(&f, 0);
    bounds_close(&f);
}

Test(native_bounds, a_connection_that_is_idle_costs_little)
{
    enum { IDLE = 400 };
    struct bounds_fixture f;
    bounds_open(&f, (struct native_server_options){0});
    int fds[IDLE];
    fds[0] = bounds_greet(&f);
    size_t before = mallinfo2().uordblks;
    for (unsigned i = 1; i < IDLE; i++) {
        fds[i] = bounds_greet(&f);
    }
    size_t each = (mallinfo2().uordblks - before) / (IDLE - 1);
    cr_log_info("%zu bytes a connection", each);
    cr_assert_leq(each, 5000u, "%zu bytes a connection", each);
    for (unsigned i = 0; i < IDLE; i++) {
        close(fds[i]);
    }
    expect_connections(&f, 0);
    bounds_close(&f);
}

Test(native_bounds, many_who_come_at_once_do_not_stop_the_loop)
{
    enum { MANY = 300 };
    struct bounds_fixture f;
    bounds_open(&f, (struct native_server_options){0});
    int fds[MANY];
    for (unsigned i = 0; i < MANY; i++) {
        fds[i] = raw_connect(native_server_port(f.server));
    }
    unsigned turns = 0;
    while (native_server_connections(f.server) < MANY) {
        unsigned before = native_server_connections(f.server);
        uv_run(&f.loop, UV_RUN_NOWAIT);
        cr_assert_leq(native_server_connections(f.server) - before, 33u);
        cr_assert_lt(turns++, 1000u);
    }
    for (unsigned i = 0; i < MANY; i++) {
        close(fds[i]);
    }
    expect_connections(&f, 0);
    bounds_close(&f);
}
