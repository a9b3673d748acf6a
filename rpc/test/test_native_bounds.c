/* What clients together cost a node: memory in common, connections that stop, hosts that vanish. On real sockets. */

#include <criterion/criterion.h>
#include <linux/filter.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake_gateway.h"
#include "net_fixture.h"
#include "proto/base/check.h"
#include "proto/base/fault.h"
#include "proto/base/limits.h"
#include "rpc/native/native_frame.h"
#include "rpc/native/native_server.h"

struct fixture {
    uv_loop_t loop;
    struct fake_gateway fake;
    struct native_server *server;
    struct test_journal journal;
    bool closed;
    unsigned wanted;        /* Connections, for the conditions below. */
    uint64_t receiving_max; /* The most ever seen. */
};

static void fixture_open(struct fixture *f, struct native_server_options options)
{
    *f = (struct fixture){0};
    loop_open(&f->loop);
    fake_gateway_init(&f->fake);
    test_journal_init(&f->journal);
    options.loop = &f->loop;
    options.gateway = &f->fake.base;
    options.journal = &f->journal.base;
    options.listen_address = "127.0.0.1:0";
    char detail[200];
    cr_assert_eq(native_server_start(&options, &f->server, detail, sizeof detail), 0, "%s", detail);
}

static void on_server_closed(void *arg)
{
    ((struct fixture *)arg)->closed = true;
}

static bool is_closed(void *arg)
{
    return ((struct fixture *)arg)->closed;
}

static void fixture_close(struct fixture *f)
{
    native_server_close(f->server, on_server_closed, f);
    cr_assert(loop_until(&f->loop, is_closed, f, 20000));
    loop_close(&f->loop);
    fake_gateway_done(&f->fake);
}

static struct native_server_stats stats_of(struct fixture *f)
{
    struct native_server_stats stats;
    native_server_stats(f->server, &stats);
    if (stats.receiving_bytes > f->receiving_max) {
        f->receiving_max = stats.receiving_bytes;
    }
    return stats;
}

static bool has_wanted(void *arg)
{
    struct fixture *f = arg;
    (void)stats_of(f);
    return native_server_connections(f->server) == f->wanted;
}

static void expect_connections(struct fixture *f, unsigned wanted)
{
    f->wanted = wanted;
    cr_assert(loop_until(&f->loop, has_wanted, f, 20000), "%u connections", native_server_connections(f->server));
}

/* A frame in one buffer. */
static void message_append(struct bytes *out, enum frame_type type, const ProtobufCMessage *message)
{
    struct frame_out frame;
    cr_assert_eq(native_frame_encode(type, message, NULL, 0, &frame), 0);
    frame_flatten(&frame, out);
}

/* A plain socket that has said hello; its WELCOME has been read. */
static int raw_greet(struct fixture *f)
{
    int fd = raw_connect(native_server_port(f->server));
    struct bytes hello = {0};
    Holdfast__Hello message = HOLDFAST__HELLO__INIT;
    message_append(&hello, FRAME_HELLO, &message.base);
    raw_write(fd, hello.data, hello.len);
    bytes_done(&hello);
    uint8_t answer[512];
    ssize_t len = -1;
    for (unsigned i = 0; i < 10000 && len <= 0; i++) {
        uv_run(&f->loop, UV_RUN_NOWAIT);
        len = recv(fd, answer, sizeof answer, MSG_DONTWAIT);
    }
    cr_assert_gt(len, (ssize_t)FRAME_PREFIX_LEN);
    cr_assert_eq(answer[3], FRAME_WELCOME);
    return fd;
}

static int raw_attach(struct fixture *f)
{
    int fd = raw_greet(f);
    struct bytes attach = {0};
    Holdfast__Attach message = HOLDFAST__ATTACH__INIT;
    uint8_t key[16] = {0};
    message.key = (ProtobufCBinaryData){.len = sizeof key, .data = key};
    message_append(&attach, FRAME_ATTACH, &message.base);
    raw_write(fd, attach.data, attach.len);
    bytes_done(&attach);
    while (!f->fake.attached) {
        uv_run(&f->loop, UV_RUN_ONCE);
    }
    f->fake.sink.attached(f->fake.sink.arg, 1, 0);
    return fd;
}

/* The prefix of a COMMAND with a body of this length. */
static void frame_begin(int fd, size_t body_len)
{
    uint8_t prefix[FRAME_PREFIX_LEN];
    frame_prefix_encode(&(struct frame_prefix){.type = FRAME_COMMAND, .body_len = (uint32_t)body_len}, prefix);
    raw_write(fd, prefix, sizeof prefix);
}

/* Writes what the socket takes, while the loop runs, up to `len`; stops when it takes nothing for a while. */
static size_t raw_pour(struct fixture *f, int fd, size_t len)
{
    static const uint8_t zeros[64 * 1024];
    size_t done = 0;
    for (unsigned idle = 0; done < len && idle < 20;) {
        size_t part = len - done < sizeof zeros ? len - done : sizeof zeros;
        ssize_t n = send(fd, zeros, part, MSG_DONTWAIT | MSG_NOSIGNAL);
        done += n > 0 ? (size_t)n : 0;
        idle = n > 0 ? 0 : idle + 1;
        uv_run(&f->loop, UV_RUN_NOWAIT);
        (void)stats_of(f);
    }
    return done;
}

/* Whether the goodbye on this socket says so. The connection is closed then. */
static void expect_goodbye(struct fixture *f, int fd, const char *part)
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
        struct fixture f;
        fixture_open(&f, (struct native_server_options){.frame_timeout_ms = 200});
        int fd = raw_greet(&f);
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
        cr_assert_eq(stats_of(&f).receiving_bytes, 0u);
        fixture_close(&f);
    }
}

Test(native_bounds, a_large_frame_on_a_slow_line_may_take_longer_than_the_deadline)
{
    struct fixture f;
    fixture_open(&f, (struct native_server_options){.frame_timeout_ms = 400});
    int fd = raw_attach(&f);
    frame_begin(fd, 3 * STREAM_PROGRESS_LEN);
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(raw_pour(&f, fd, STREAM_PROGRESS_LEN), STREAM_PROGRESS_LEN);
        loop_for(&f.loop, 250);
        cr_assert_eq(test_journal_count(&f.journal, "is not complete"), 0u);
    }
    close(fd);
    expect_connections(&f, 0);
    fixture_close(&f);
}

Test(native_bounds, a_client_that_sends_a_frame_in_crumbs_is_sent_away)
{
    struct fixture f;
    fixture_open(&f, (struct native_server_options){.frame_timeout_ms = 300});
    int fd = raw_greet(&f);
    frame_begin(fd, MIB);
    uint64_t began = uv_now(&f.loop);
    while (test_journal_count(&f.journal, "and is not complete") == 0) {
        (void)send(fd, "crumb", 5, MSG_DONTWAIT | MSG_NOSIGNAL);
        loop_for(&f.loop, 10);
        cr_assert_lt(uv_now(&f.loop) - began, 20000u);
    }
    close(fd);
    expect_connections(&f, 0);
    fixture_close(&f);
}

Test(native_bounds, a_hundred_half_frames_stay_within_the_budget_and_others_go_on)
{
    enum { HALVES = 100, BUDGET = 72 * 1024 * 1024 };
    struct fixture f;
    fixture_open(&f, (struct native_server_options){.memory_max = BUDGET, .frame_timeout_ms = 500});
    int other = raw_attach(&f);
    int fds[HALVES];
    size_t heap = mallinfo2().uordblks + mallinfo2().hblkhd;
    size_t heap_max = 0;
    for (unsigned i = 0; i < HALVES; i++) {
        fds[i] = raw_greet(&f);
        frame_begin(fds[i], BODY_LEN_MAX);
        (void)raw_pour(&f, fds[i], 200 * KIB);
        size_t now = mallinfo2().uordblks + mallinfo2().hblkhd;
        heap_max = now > heap_max ? now : heap_max;
    }
    cr_assert_leq(f.receiving_max, (uint64_t)BUDGET);
    cr_assert_geq(f.receiving_max, 4 * BODY_LEN_MAX, "four fit");
    cr_assert_leq(heap_max - heap, BUDGET + HALVES * (size_t)(72 * KIB), "%zu bytes", heap_max - heap);
    /* Small frames need no room in it. */
    struct bytes command = {0};
    struct slice header = {.data = (const uint8_t *)"cmd", .len = 3};
    struct frame_out frame;
    struct blob *body = blob_new(20 * KIB);
    cr_assert_not_null(body);
    memset(body->data, 'b', body->len);
    struct slice part = slice_of_blob(body);
    cr_assert_eq(native_frame_encode_command(1, 0, header, &part, 1, &frame), 0);
    frame_flatten(&frame, &command);
    raw_write(other, command.data, command.len);
    while (f.fake.commands == 0) {
        uv_run(&f.loop, UV_RUN_ONCE);
    }
    cr_assert_gt(native_server_connections(f.server), 50u, "the halves are still there");
    /* A large one of somebody who goes on waits for its turn, and gets it. */
    int large = other;
    struct bytes large_command = {0};
    blob_unref(body);
    body = blob_new(MIB);
    cr_assert_not_null(body);
    memset(body->data, 'b', body->len);
    part = slice_of_blob(body);
    cr_assert_eq(native_frame_encode_command(2, 1, header, &part, 1, &frame), 0);
    frame_flatten(&frame, &large_command);
    size_t done = 0;
    uint64_t began = uv_now(&f.loop);
    while (f.fake.commands == 1 && uv_now(&f.loop) - began < 60000) {
        ssize_t n = send(large, large_command.data + done, large_command.len - done, MSG_DONTWAIT | MSG_NOSIGNAL);
        done += n > 0 ? (size_t)n : 0;
        loop_for(&f.loop, 5);
        (void)stats_of(&f);
    }
    cr_assert_eq(f.fake.commands, 2u);
    cr_assert_geq(test_journal_count(&f.journal, "has stopped after"), 10u, "it need not wait for all their deadlines");
    cr_assert_leq(f.receiving_max, (uint64_t)BUDGET);
    bytes_done(&command);
    bytes_done(&large_command);
    blob_unref(body);
    for (unsigned i = 0; i < HALVES; i++) {
        close(fds[i]);
    }
    close(other);
    expect_connections(&f, 0);
    cr_assert_eq(stats_of(&f).receiving_bytes, 0u);
    fixture_close(&f);
}

Test(native_bounds, a_frame_that_waits_for_the_gateway_keeps_its_room)
{
    struct fixture f;
    fixture_open(&f, (struct native_server_options){0});
    int fd = raw_attach(&f);
    f.fake.submit_err = ERR_BUSY;
    struct bytes command = {0};
    struct slice header = {.data = (const uint8_t *)"cmd", .len = 3};
    struct blob *body = blob_new(100 * KIB);
    cr_assert_not_null(body);
    memset(body->data, 'b', body->len);
    struct slice part = slice_of_blob(body);
    struct frame_out frame;
    cr_assert_eq(native_frame_encode_command(1, 0, header, &part, 1, &frame), 0);
    frame_flatten(&frame, &command);
    raw_write(fd, command.data, command.len);
    loop_for(&f.loop, 50);
    cr_assert_gt(stats_of(&f).receiving_bytes, 100 * KIB);
    f.fake.submit_err = 0;
    f.fake.sink.resume(f.fake.sink.arg);
    cr_assert_eq(f.fake.commands, 1u);
    loop_for(&f.loop, 10);
    cr_assert_eq(stats_of(&f).receiving_bytes, 0u);
    bytes_done(&command);
    blob_unref(body);
    close(fd);
    expect_connections(&f, 0);
    fixture_close(&f);
}

/* Deliveries until the client is told to pause, or `max`. */
static unsigned deliver_until_paused(struct fixture *f, struct blob *body, unsigned max)
{
    unsigned sent = 0;
    while (sent < max && !f->fake.paused) {
        sent++;
        f->fake.sink.delivery(f->fake.sink.arg,
                              &(struct gateway_delivery){.consumer = 1, .number = sent, .body = slice_of_blob(body)});
        f->fake.sink.flush(f->fake.sink.arg);
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    return sent;
}

Test(native_bounds, with_much_queued_for_others_a_client_is_paused_early)
{
    struct fixture f;
    /* With this limit, whatever the socket does not take exceeds it. */
    fixture_open(&f, (struct native_server_options){.send_max = 1});
    int fd = raw_attach(&f);
    struct blob *body = blob_new(16 * KIB);
    cr_assert_not_null(body);
    memset(body->data, 'y', body->len);
    (void)deliver_until_paused(&f, body, 2000);
    cr_assert(f.fake.paused);
    uint64_t queued = stats_of(&f).sending_bytes;
    cr_assert_geq(queued, (uint64_t)STREAM_SHARE_HIGH);
    cr_assert_leq(queued, (uint64_t)STREAM_SHARE_HIGH + 64 * KIB, "%llu", (unsigned long long)queued);
    uint8_t sink[65536];
    while (f.fake.paused) { /* It reads again. */
        (void)recv(fd, sink, sizeof sink, MSG_DONTWAIT);
        uv_run(&f.loop, UV_RUN_NOWAIT);
    }
    cr_assert_leq(stats_of(&f).sending_bytes, (uint64_t)STREAM_SHARE_LOW);
    blob_unref(body);
    close(fd);
    expect_connections(&f, 0);
    cr_assert_eq(stats_of(&f).sending_bytes, 0u);
    fixture_close(&f);
}

/* In a turn of the gateway, in which no event tells of congestion, no more is taken than the mark and one delivery. */
Test(native_bounds, what_one_turn_delivers_to_a_client_is_bounded)
{
    struct fixture f;
    fixture_open(&f, (struct native_server_options){0});
    int fd = raw_attach(&f);
    struct blob *body = blob_new(100 * KIB);
    cr_assert_not_null(body);
    memset(body->data, 'y', body->len);
    unsigned sent = 0;
    while (sent < 1000 && f.fake.sink.takes(f.fake.sink.arg, body->len)) {
        sent++;
        f.fake.sink.delivery(f.fake.sink.arg,
                             &(struct gateway_delivery){.consumer = 1, .number = sent, .body = slice_of_blob(body)});
    }
    cr_assert(f.fake.paused);
    cr_assert_geq(stats_of(&f).sending_bytes, MIB);
    cr_assert_leq(stats_of(&f).sending_bytes, MIB + 110 * KIB);
    f.fake.sink.flush(f.fake.sink.arg);
    uint8_t sink[65536];
    while (f.fake.paused) {
        (void)recv(fd, sink, sizeof sink, MSG_DONTWAIT);
        uv_run(&f.loop, UV_RUN_NOWAIT);
    }
    blob_unref(body);
    close(fd);
    expect_connections(&f, 0);
    fixture_close(&f);
}

/* A client that waits for room for something large is still heard, and answered. */
Test(native_bounds, who_waits_for_room_is_read_all_the_same)
{
    struct fixture f;
    fixture_open(&f, (struct native_server_options){.send_max = MIB});
    int hog = raw_attach(&f);
    struct blob *body = blob_new(8 * MIB);
    cr_assert_not_null(body);
    memset(body->data, 'y', body->len);
    cr_assert(f.fake.sink.takes(f.fake.sink.arg, body->len));
    f.fake.sink.delivery(f.fake.sink.arg,
                         &(struct gateway_delivery){.consumer = 1, .number = 1, .body = slice_of_blob(body)});
    loop_for(&f.loop, 20);
    cr_assert_gt(stats_of(&f).sending_bytes, (uint64_t)MIB);
    f.fake.attached = false;
    int fd = raw_attach(&f);
    loop_for(&f.loop, 20);
    uint8_t sink[65536];
    (void)recv(fd, sink, sizeof sink, MSG_DONTWAIT); /* ATTACHED */
    cr_assert_not(f.fake.sink.takes(f.fake.sink.arg, body->len));
    struct bytes ping_frame = {0};
    Holdfast__Ping ping = HOLDFAST__PING__INIT;
    message_append(&ping_frame, FRAME_PING, &ping.base);
    raw_write(fd, ping_frame.data, ping_frame.len);
    ssize_t len = -1;
    for (unsigned i = 0; i < 1000 && len <= 0; i++) {
        loop_for(&f.loop, 1);
        len = recv(fd, sink, sizeof sink, MSG_DONTWAIT);
    }
    cr_assert_geq(len, (ssize_t)FRAME_PREFIX_LEN);
    cr_assert_eq(sink[3], FRAME_PONG);
    cr_assert(f.fake.paused, "and its answer has not taken its place in the line");
    while (!f.fake.sink.takes(f.fake.sink.arg, body->len)) {
        (void)recv(hog, sink, sizeof sink, MSG_DONTWAIT);
        uv_run(&f.loop, UV_RUN_NOWAIT);
    }
    blob_unref(body);
    bytes_done(&ping_frame);
    close(hog);
    expect_connections(&f, 1);
    f.fake.attached = true; /* The other. */
    close(fd);
    expect_connections(&f, 0);
    cr_assert_eq(stats_of(&f).sending_bytes, 0u);
    fixture_close(&f);
}

/* Each PING costs more than it brings: what has been read in one go is not answered in one go. */
Test(native_bounds, a_flood_of_small_questions_is_answered_as_far_as_there_is_room)
{
    struct fixture f;
    fixture_open(&f, (struct native_server_options){.send_max = 1});
    int fd = raw_attach(&f);
    struct bytes pings = {0};
    Holdfast__Ping ping = HOLDFAST__PING__INIT;
    ping.id = 1;
    for (unsigned i = 0; i < 3000; i++) {
        message_append(&pings, FRAME_PING, &ping.base);
    }
    raw_write(fd, pings.data, pings.len);
    uint64_t most = 0;
    for (unsigned turns = 0; turns < 200; turns++) {
        uv_run(&f.loop, UV_RUN_NOWAIT);
        uint64_t now = stats_of(&f).sending_bytes;
        most = now > most ? now : most;
    }
    cr_assert_leq(most, (uint64_t)STREAM_SHARE_HIGH + KIB, "%llu", (unsigned long long)most);
    size_t answered = 0;
    uint8_t sink[65536];
    for (unsigned idle = 0; answered < 3000 * 18 && idle < 100000; idle++) {
        ssize_t len = recv(fd, sink, sizeof sink, MSG_DONTWAIT);
        answered += len > 0 ? (size_t)len : 0;
        uv_run(&f.loop, UV_RUN_NOWAIT);
    }
    cr_assert_geq(answered, 3000u * 18u);
    bytes_done(&pings);
    close(fd);
    expect_connections(&f, 0);
    fixture_close(&f);
}

/* A frame whose prefix came alone takes its room later, and is watched all the same. */
Test(native_bounds, a_frame_that_stops_is_sent_away_soon_when_others_wait_also_if_its_prefix_came_first)
{
    struct fixture f;
    fixture_open(&f, (struct native_server_options){.memory_max = 2 * MIB, .frame_timeout_ms = 4000});
    int first = raw_greet(&f);
    uint8_t prefix[FRAME_PREFIX_LEN];
    frame_prefix_encode(&(struct frame_prefix){.type = FRAME_COMMAND, .body_len = 2 * MIB}, prefix);
    raw_write(first, prefix, 7);
    loop_for(&f.loop, 20);
    raw_write(first, prefix + 7, sizeof prefix - 7);
    (void)raw_pour(&f, first, 100 * KIB);
    int second = raw_greet(&f);
    frame_begin(second, 2 * MIB);
    (void)raw_pour(&f, second, 100 * KIB);
    uint64_t began = uv_now(&f.loop);
    expect_goodbye(&f, first, "and others wait");
    cr_assert_lt(uv_now(&f.loop) - began, 2000u, "long before its time");
    close(first);
    close(second);
    expect_connections(&f, 0);
    fixture_close(&f);
}

static bool has_greeting(void *arg)
{
    uint8_t byte;
    return recv(*(int *)arg, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 1;
}

Test(native_bounds, a_connection_for_which_there_is_no_memory_waits_until_there_is)
{
    struct fixture f;
    fixture_open(&f, (struct native_server_options){0});
    int fd = raw_connect(native_server_port(f.server));
    struct bytes hello = {0};
    Holdfast__Hello message = HOLDFAST__HELLO__INIT;
    message_append(&hello, FRAME_HELLO, &message.base);
    raw_write(fd, hello.data, hello.len);
    fault_set_nth(FAULT_ALLOCATION, 0);
    loop_for(&f.loop, 20);
    fault_reset();
    cr_assert_eq(test_journal_count(&f.journal, "no memory for more clients"), 1u);
    cr_assert_eq(native_server_connections(f.server), 0u);
    cr_assert(loop_until(&f.loop, has_greeting, &fd, 10000));
    int other = raw_greet(&f);
    close(other);
    close(fd);
    bytes_done(&hello);
    expect_connections(&f, 0);
    fixture_close(&f);
}

static bool has_complained(void *arg)
{
    return test_journal_count(&((struct fixture *)arg)->journal, "has acknowledged nothing") > 0;
}

/* From here on the socket gets nothing from the network, and acknowledges nothing: its host might as well be gone. */
static void vanish(int fd)
{
    struct sock_filter drop = {.code = BPF_RET | BPF_K, .k = 0};
    struct sock_fprog program = {.len = 1, .filter = &drop};
    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program), 0);
}

Test(native_bounds, a_client_whose_host_vanished_is_noticed_and_one_that_does_not_read_is_not_taken_for_it)
{
    struct fixture f;
    struct blob *body = blob_new(64 * KIB);
    cr_assert_not_null(body);
    memset(body->data, 'y', body->len);
    for (unsigned gone = 0; gone < 2; gone++) {
        fixture_open(&f, (struct native_server_options){.unacked_timeout_ms = 700});
        int fd = raw_attach(&f);
        if (gone) {
            vanish(fd);
        }
        (void)deliver_until_paused(&f, body, gone ? 1 : 2000);
        cr_assert_eq(loop_until(&f.loop, has_complained, &f, gone ? 20000 : 2500), gone);
        cr_assert_eq(f.fake.attached, !gone);
        close(fd);
        expect_connections(&f, 0);
        fixture_close(&f);
    }
    blob_unref(body);
}

Test(native_bounds, a_connection_that_is_idle_costs_little)
{
    enum { IDLE = 400 };
    struct fixture f;
    fixture_open(&f, (struct native_server_options){0});
    int fds[IDLE];
    fds[0] = raw_greet(&f);
    size_t before = mallinfo2().uordblks;
    for (unsigned i = 1; i < IDLE; i++) {
        fds[i] = raw_greet(&f);
    }
    size_t each = (mallinfo2().uordblks - before) / (IDLE - 1);
    cr_log_info("%zu bytes a connection", each);
    cr_assert_leq(each, 5000u, "%zu bytes a connection", each);
    for (unsigned i = 0; i < IDLE; i++) {
        close(fds[i]);
    }
    expect_connections(&f, 0);
    fixture_close(&f);
}

Test(native_bounds, many_who_come_at_once_do_not_stop_the_loop)
{
    enum { MANY = 300 };
    struct fixture f;
    fixture_open(&f, (struct native_server_options){0});
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
    fixture_close(&f);
}
