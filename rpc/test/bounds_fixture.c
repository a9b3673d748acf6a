/* A native server whose bounds are looked at, and plain sockets as its clients. */

#include "bounds_fixture.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>

#include "rpc/native/native_frame.h"

void bounds_open(struct bounds_fixture *f, struct native_server_options options)
{
    *f = (struct bounds_fixture){0};
    loop_open(&f->loop);
    fake_gateway_init(&f->fake);
    test_journal_init(&f->journal);
    options.server.loop = &f->loop;
    options.server.gateway = &f->fake.base;
    options.server.journal = &f->journal.base;
    options.server.listen_address = "127.0.0.1:0";
    char detail[200];
    cr_assert_eq(native_server_start(&options, &f->server, detail, sizeof detail), 0, "%s", detail);
}

static void on_server_closed(void *arg)
{
    ((struct bounds_fixture *)arg)->closed = true;
}

static bool is_closed(void *arg)
{
    return ((struct bounds_fixture *)arg)->closed;
}

void bounds_close(struct bounds_fixture *f)
{
    native_server_close(f->server, on_server_closed, f);
    cr_assert(loop_until(&f->loop, is_closed, f, 20000));
    loop_close(&f->loop);
    fake_gateway_done(&f->fake);
}

struct native_server_stats bounds_stats(struct bounds_fixture *f)
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
    struct bounds_fixture *f = arg;
    (void)bounds_stats(f);
    return native_server_connections(f->server) == f->wanted;
}

void expect_connections(struct bounds_fixture *f, unsigned wanted)
{
    f->wanted = wanted;
    cr_assert(loop_until(&f->loop, has_wanted, f, 20000), "%u connections", native_server_connections(f->server));
}

void message_append(struct bytes *out, enum frame_type type, const ProtobufCMessage *message)
{
    struct frame_out frame;
    cr_assert_eq(native_frame_encode(type, message, NULL, 0, &frame), 0);
    frame_flatten(&frame, out);
}

void message_write(int fd, enum frame_type type, const ProtobufCMessage *message)
{
    struct bytes bytes = {0};
    message_append(&bytes, type, message);
    raw_write(fd, bytes.data, bytes.len);
    bytes_done(&bytes);
}

struct blob *body_new(size_t len)
{
    struct blob *body = blob_new(len);
    cr_assert_not_null(body);
    memset(body->data, 'y', body->len);
    return body;
}

int bounds_greet(struct bounds_fixture *f)
{
    int fd = raw_connect(native_server_port(f->server));
    Holdfast__Hello hello = HOLDFAST__HELLO__INIT;
    message_write(fd, FRAME_HELLO, &hello.base);
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

int bounds_attach(struct bounds_fixture *f)
{
    int fd = bounds_greet(f);
    Holdfast__Attach attach = HOLDFAST__ATTACH__INIT;
    uint8_t key[16] = {0};
    attach.key = (ProtobufCBinaryData){.len = sizeof key, .data = key};
    message_write(fd, FRAME_ATTACH, &attach.base);
    while (!f->fake.attached) {
        uv_run(&f->loop, UV_RUN_ONCE);
    }
    f->fake.sink.attached(f->fake.sink.arg, 1, 0);
    return fd;
}
