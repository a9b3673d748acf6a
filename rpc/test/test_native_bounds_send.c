/* What a node queues for clients that read slowly, not at all, or whose host has vanished. On real sockets. */

#include <criterion/criterion.h>
#include <linux/filter.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bounds_fixture.h"
#include "proto/base/limits.h"

static void deliver(struct bounds_fixture *f, uint64_t number, struct blob *body)
{
    struct gateway_delivery delivery = {.consumer = 1, .number = number, .body = slice_of_blob(body)};
    f->fake.sink.delivery(f->fake.sink.arg, &delivery);
}

/* Deliveries until the client is told to pause, or `max`. */
static unsigned deliver_until_paused(struct bounds_fixture *f, struct blob *body, unsigned max)
{
    unsigned sent = 0;
    while (sent < max && !f->fake.paused) {
        sent++;
        deliver(f, sent, body);
        f->fake.sink.flush(f->fake.sink.arg);
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    return sent;
}

static void read_until_resumed(struct bounds_fixture *f, int fd)
{
    uint8_t sink[65536];
    while (f->fake.paused) {
        (void)recv(fd, sink, sizeof sink, MSG_DONTWAIT);
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
}

Test(native_bounds_send, with_much_queued_for_others_a_client_is_paused_early)
{
    struct bounds_fixture f;
    /* With this limit, whatever the socket does not take exceeds it. */
    bounds_open(&f, (struct native_server_options){.send_max = 1});
    int fd = bounds_attach(&f);
    struct blob *body = body_new(16 * KIB);
    (void)deliver_until_paused(&f, body, 2000);
    cr_assert(f.fake.paused);
    uint64_t queued = bounds_stats(&f).sending_bytes;
    cr_assert_geq(queued, (uint64_t)STREAM_SHARE_HIGH);
    cr_assert_leq(queued, (uint64_t)STREAM_SHARE_HIGH + 64 * KIB, "%llu", (unsigned long long)queued);
    read_until_resumed(&f, fd);
    cr_assert_leq(bounds_stats(&f).sending_bytes, (uint64_t)STREAM_SHARE_LOW);
    blob_unref(body);
    close(fd);
    expect_connections(&f, 0);
    cr_assert_eq(bounds_stats(&f).sending_bytes, 0u);
    bounds_close(&f);
}

/* In a turn of the gateway, in which no event tells of congestion, no more is taken than the mark and one delivery. */
Test(native_bounds_send, what_one_turn_delivers_to_a_client_is_bounded)
{
    struct bounds_fixture f;
    bounds_open(&f, (struct native_server_options){0});
    int fd = bounds_attach(&f);
    struct blob *body = body_new(100 * KIB);
    unsigned sent = 0;
    while (sent < 1000 && f.fake.sink.takes(f.fake.sink.arg, body->len)) {
        sent++;
        deliver(&f, sent, body);
    }
    cr_assert(f.fake.paused);
    cr_assert_geq(bounds_stats(&f).sending_bytes, MIB);
    cr_assert_leq(bounds_stats(&f).sending_bytes, MIB + 110 * KIB);
    f.fake.sink.flush(f.fake.sink.arg);
    read_until_resumed(&f, fd);
    blob_unref(body);
    close(fd);
    expect_connections(&f, 0);
    bounds_close(&f);
}

/* A client that waits for room for something large is still heard, and answered. */
Test(native_bounds_send, who_waits_for_room_is_read_all_the_same)
{
    struct bounds_fixture f;
    bounds_open(&f, (struct native_server_options){.send_max = MIB});
    int hog = bounds_attach(&f);
    struct blob *body = body_new(8 * MIB);
    cr_assert(f.fake.sink.takes(f.fake.sink.arg, body->len));
    deliver(&f, 1, body);
    f.fake.sink.flush(f.fake.sink.arg);
    loop_for(&f.loop, 20);
    cr_assert_gt(bounds_stats(&f).sending_bytes, (uint64_t)MIB);
    f.fake.attached = false;
    int fd = bounds_attach(&f);
    loop_for(&f.loop, 20);
    uint8_t sink[65536];
    (void)recv(fd, sink, sizeof sink, MSG_DONTWAIT); /* ATTACHED */
    cr_assert_not(f.fake.sink.takes(f.fake.sink.arg, body->len));
    Holdfast__Ping ping = HOLDFAST__PING__INIT;
    message_write(fd, FRAME_PING, &ping.base);
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
    close(hog);
    expect_connections(&f, 1);
    f.fake.attached = true; /* The other. */
    close(fd);
    expect_connections(&f, 0);
    cr_assert_eq(bounds_stats(&f).sending_bytes, 0u);
    bounds_close(&f);
}

/* Each PING costs more than it brings: what has been read in one go is not answered in one go. */
Test(native_bounds_send, a_flood_of_small_questions_is_answered_as_far_as_there_is_room)
{
    struct bounds_fixture f;
    bounds_open(&f, (struct native_server_options){.send_max = 1});
    int fd = bounds_attach(&f);
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
        uint64_t now = bounds_stats(&f).sending_bytes;
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
    bounds_close(&f);
}

static bool has_complained(void *arg)
{
    return test_journal_count(&((struct bounds_fixture *)arg)->journal, "has acknowledged nothing") > 0;
}

/* From here on the socket gets nothing from the network, and acknowledges nothing: its host might as well be gone. */
static void vanish(int fd)
{
    struct sock_filter drop = {.code = BPF_RET | BPF_K, .k = 0};
    struct sock_fprog program = {.len = 1, .filter = &drop};
    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program), 0);
}

Test(native_bounds_send, a_client_whose_host_vanished_is_noticed_and_one_that_does_not_read_is_not_taken_for_it)
{
    struct bounds_fixture f;
    struct blob *body = body_new(64 * KIB);
    for (unsigned gone = 0; gone < 2; gone++) {
        bounds_open(&f, (struct native_server_options){.server.unacked_timeout_ms = 700});
        int fd = bounds_attach(&f);
        if (gone) {
            vanish(fd);
        }
        (void)deliver_until_paused(&f, body, gone ? 1 : 2000);
        cr_assert_eq(loop_until(&f.loop, has_complained, &f, gone ? 20000 : 2500), gone);
        cr_assert_eq(f.fake.attached, !gone);
        close(fd);
        expect_connections(&f, 0);
        bounds_close(&f);
    }
    blob_unref(body);
}
