/* The native server on real sockets: a whole conversation, the limit, bad clients, stopping. */

#include "rpc/native/native_server.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fake_gateway.h"
#include "net_fixture.h"
#include "proto/base/check.h"
#include "proto/base/limits.h"
#include "rpc/native/native_frame.h"

struct fixture {
    uv_loop_t loop;
    struct fake_gateway fake;
    struct native_server *server;
    struct test_journal journal;
    unsigned submitted;
    bool closed;
    uv_check_t reads; /* Ends the reads of each turn. */
};

static void on_reads(uv_check_t *check)
{
    struct fixture *f = container_of(check, struct fixture, reads);
    (void)fake_gateway_read_done(&f->fake, 0);
}

static void on_submitted(void *arg)
{
    struct fixture *f = arg;
    f->submitted++;
}

static void fixture_open(struct fixture *f, struct native_server_options options)
{
    *f = (struct fixture){0};
    loop_open(&f->loop);
    fake_gateway_init(&f->fake);
    test_journal_init(&f->journal);
    uv_check_init(&f->loop, &f->reads);
    uv_check_start(&f->reads, on_reads);
    options.server.loop = &f->loop;
    options.server.gateway = &f->fake.base;
    options.server.journal = &f->journal.base;
    options.server.listen_address = "127.0.0.1:0";
    options.arg = f;
    options.submitted = on_submitted;
    char detail[200];
    cr_assert_eq(native_server_start(&options, &f->server, detail, sizeof detail), 0, "%s", detail);
}

static void on_server_closed(void *arg)
{
    struct fixture *f = arg;
    f->closed = true;
}

static bool is_closed(void *arg)
{
    return ((struct fixture *)arg)->closed;
}

static void fixture_close(struct fixture *f)
{
    if (!f->closed) {
        native_server_close(f->server, on_server_closed, f);
        cr_assert(loop_until(&f->loop, is_closed, f, 20000));
    }
    uv_close((uv_handle_t *)&f->reads, NULL);
    loop_close(&f->loop);
    cr_assert_not(f->fake.attached);
    fake_gateway_done(&f->fake);
}

static void client_open(struct fixture *f, struct end *end)
{
    *end = (struct end){0};
    struct stream_events events = end_events(end);
    struct stream_options options = {.queue_max = 64 * MIB};
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%u", native_server_port(f->server));
    cr_assert_eq(stream_new(&f->loop, &options, &events, &end->stream), 0);
    cr_assert_eq(stream_connect(end->stream, address), 0);
    cr_assert(loop_until(&f->loop, end_is_open, end, 20000));
    stream_established(end->stream);
}

static void client_close(struct end *end)
{
    stream_close(end->stream, NULL);
    end_done(end);
}

static void client_send(struct end *end, enum frame_type type, const ProtobufCMessage *message)
{
    struct frame_out frame;
    cr_assert_eq(native_frame_encode(type, message, NULL, 0, &frame), 0);
    cr_assert_eq(stream_send(end->stream, &frame), 0);
}

struct wanted {
    struct end *end;
    unsigned frames;
};

static bool got_wanted(void *arg)
{
    struct wanted *wanted = arg;
    return wanted->end->frames >= wanted->frames;
}

static void client_expect(struct fixture *f, struct end *end, unsigned frames, uint8_t type)
{
    cr_assert(loop_until(&f->loop, got_wanted, &(struct wanted){end, frames}, 20000), "frame %u has not come", frames);
    cr_assert_eq(end->last_type, type, "type %u", end->last_type);
}

static void client_attach(struct fixture *f, struct end *end)
{
    Holdfast__Hello hello = HOLDFAST__HELLO__INIT;
    client_send(end, FRAME_HELLO, &hello.base);
    client_expect(f, end, 1, FRAME_WELCOME);
    Holdfast__Attach attach = HOLDFAST__ATTACH__INIT;
    uint8_t key[16] = {0};
    attach.key = (ProtobufCBinaryData){.len = sizeof key, .data = key};
    client_send(end, FRAME_ATTACH, &attach.base);
    while (!f->fake.attached) {
        uv_run(&f->loop, UV_RUN_ONCE);
    }
    f->fake.sink.attached(f->fake.sink.arg, 1, 0);
    client_expect(f, end, 2, FRAME_ATTACHED);
}

/* The goodbye that an end got last. */
static void expect_goodbye(struct end *end, int err, const char *part)
{
    Holdfast__Goodbye *goodbye = holdfast__goodbye__unpack(NULL, end->last.len, end->last.data);
    cr_assert_not_null(goodbye);
    cr_assert_eq(goodbye->error, (uint32_t)-err, "%u: %s", goodbye->error, goodbye->detail);
    cr_assert_not_null(strstr(goodbye->detail, part), "%s", goodbye->detail);
    holdfast__goodbye__free_unpacked(goodbye, NULL);
}

static bool has_command(void *arg)
{
    return ((struct fixture *)arg)->fake.commands > 0;
}

static bool has_no_clients(void *arg)
{
    return native_server_connections(((struct fixture *)arg)->server) == 0;
}

Test(native_server, the_largest_command_goes_in_and_its_body_comes_back)
{
    struct fixture f;
    struct end client;
    fixture_open(&f, (struct native_server_options){0});
    client_open(&f, &client);
    client_attach(&f, &client);
    struct blob *body = blob_new(BODY_LEN_MAX);
    cr_assert_not_null(body);
    memset(body->data, 'x', body->len);
    struct slice part = slice_of_blob(body);
    struct slice command = {.data = (const uint8_t *)"cmd", .len = 3};
    struct frame_out frame;
    cr_assert_eq(native_frame_encode_command(1, 0, command, &part, 1, &frame), 0);
    cr_assert_eq(stream_send(client.stream, &frame), 0);
    cr_assert(loop_until(&f.loop, has_command, &f, 20000));
    cr_assert_eq(f.fake.last_bodies.len, BODY_LEN_MAX);
    cr_assert_gt(f.submitted, 0u);
    f.fake.sink.delivery(f.fake.sink.arg,
                         &(struct gateway_delivery){.consumer = 1, .number = 1, .body = f.fake.last_bodies});
    f.fake.sink.flush(f.fake.sink.arg);
    client_expect(&f, &client, 3, FRAME_DELIVERIES);
    cr_assert_eq(memcmp(client.last.data + client.last.len - BODY_LEN_MAX, body->data, BODY_LEN_MAX), 0);
    blob_unref(body);
    client_close(&client);
    cr_assert(loop_until(&f.loop, has_no_clients, &f, 20000));
    cr_assert_eq(f.fake.detaches, 1u);
    fixture_close(&f);
}

Test(native_server, a_client_that_reads_nothing_pauses_its_deliveries)
{
    struct fixture f;
    struct end client;
    fixture_open(&f, (struct native_server_options){0});
    client_open(&f, &client);
    client_attach(&f, &client);
    stream_hold(client.stream, true);
    struct blob *body = blob_new(256 * KIB);
    cr_assert_not_null(body);
    memset(body->data, 'y', body->len);
    unsigned sent = 0;
    for (; sent < 1000 && !f.fake.paused; sent++) {
        f.fake.sink.delivery(f.fake.sink.arg, &(struct gateway_delivery){
                                                  .consumer = 1, .number = sent + 1, .body = slice_of_blob(body)});
        f.fake.sink.flush(f.fake.sink.arg);
        uv_run(&f.loop, UV_RUN_NOWAIT);
    }
    cr_assert(f.fake.paused);
    stream_hold(client.stream, false);
    while (f.fake.paused) {
        uv_run(&f.loop, UV_RUN_ONCE);
    }
    client_expect(&f, &client, 2 + sent, FRAME_DELIVERIES);
    blob_unref(body);
    client_close(&client);
    fixture_close(&f);
}

Test(native_server, a_client_that_asks_and_reads_nothing_is_not_read_either)
{
    /* Together the answers are more than a connection may queue. */
    enum { QUERIES = 8000, QUERIES_ANSWER_LEN_MIN = 9000 };
    _Static_assert((uint64_t)QUERIES * QUERIES_ANSWER_LEN_MIN > 64 * MIB, "enough to break the bound");
    struct fixture f;
    struct end client;
    fixture_open(&f, (struct native_server_options){0});
    f.fake.queues = 500;
    client_open(&f, &client);
    Holdfast__Hello hello = HOLDFAST__HELLO__INIT;
    client_send(&client, FRAME_HELLO, &hello.base);
    client_expect(&f, &client, 1, FRAME_WELCOME);
    stream_hold(client.stream, true);
    Holdfast__Query query = HOLDFAST__QUERY__INIT;
    query.kind = HOLDFAST__QUERY__KIND__QUEUES;
    for (unsigned i = 1; i <= QUERIES; i++) {
        query.id = i;
        client_send(&client, FRAME_QUERY, &query.base);
    }
    loop_for(&f.loop, 300);
    cr_assert_eq(native_server_connections(f.server), 1u);
    stream_hold(client.stream, false);
    cr_assert(loop_until(&f.loop, got_wanted, &(struct wanted){&client, 1 + QUERIES}, 20000), "%u answers: %s",
              client.frames, client.detail);
    cr_assert_gt(client.last.len, (size_t)QUERIES_ANSWER_LEN_MIN);
    cr_assert_eq(client.ended, 0);
    client_close(&client);
    fixture_close(&f);
}

Test(native_server, clients_above_the_limit_are_told)
{
    struct fixture f;
    struct end first, second, third;
    fixture_open(&f, (struct native_server_options){.connections_max = 1});
    client_open(&f, &first);
    client_attach(&f, &first);
    client_open(&f, &second);
    client_expect(&f, &second, 1, FRAME_GOODBYE);
    expect_goodbye(&second, ERR_LIMIT, "as many clients");
    client_close(&second);
    client_close(&first);
    cr_assert(loop_until(&f.loop, has_no_clients, &f, 20000));
    client_open(&f, &third);
    client_attach(&f, &third);
    client_close(&third);
    fixture_close(&f);
}

Test(native_server, nonsense_is_answered_with_a_goodbye)
{
    struct fixture f;
    struct end client;
    fixture_open(&f, (struct native_server_options){0});
    int fd = raw_connect(native_server_port(f.server));
    raw_write(fd, "EHLO example.org\r\n", 18);
    loop_for(&f.loop, 50);
    uint8_t answer[512];
    ssize_t len = read(fd, answer, sizeof answer);
    cr_assert_gt(len, (ssize_t)FRAME_PREFIX_LEN);
    cr_assert_eq(answer[3], FRAME_GOODBYE);
    close(fd);
    client_open(&f, &client);
    struct frame_out frame;
    cr_assert_eq(native_frame_encode_raw(FRAME_PEER_HELLO, "", 0, NULL, 0, &frame), 0);
    cr_assert_eq(stream_send(client.stream, &frame), 0);
    client_expect(&f, &client, 1, FRAME_GOODBYE);
    expect_goodbye(&client, ERR_BROKEN, "do not send");
    cr_assert(loop_until(&f.loop, end_has_ended, &client, 20000));
    client_close(&client);
    cr_assert(loop_until(&f.loop, has_no_clients, &f, 20000));
    fixture_close(&f);
}

Test(native_server, a_client_that_says_nothing_is_sent_away)
{
    struct fixture f;
    struct end client;
    fixture_open(&f, (struct native_server_options){.server.handshake_timeout_ms = 100, .idle_timeout_ms = 300});
    client_open(&f, &client);
    client_expect(&f, &client, 1, FRAME_GOODBYE);
    expect_goodbye(&client, ERR_TIMEOUT, "handshake");
    client_close(&client);
    client_open(&f, &client);
    client_attach(&f, &client);
    for (unsigned i = 0; i < 5; i++) {
        Holdfast__Ping ping = HOLDFAST__PING__INIT;
        client_send(&client, FRAME_PING, &ping.base);
        loop_for(&f.loop, 100);
        cr_assert_eq(client.last_type, FRAME_PONG);
    }
    cr_assert(loop_until(&f.loop, end_has_ended, &client, 20000));
    expect_goodbye(&client, ERR_TIMEOUT, "nothing heard");
    cr_assert_eq(f.fake.detaches, 1u);
    client_close(&client);
    fixture_close(&f);
}

Test(native_server, stopping_detaches_at_once_and_says_goodbye)
{
    struct fixture f;
    struct end client;
    fixture_open(&f, (struct native_server_options){0});
    client_open(&f, &client);
    client_attach(&f, &client);
    native_server_close(f.server, on_server_closed, &f);
    cr_assert_not(f.fake.attached);
    client_expect(&f, &client, 3, FRAME_GOODBYE);
    expect_goodbye(&client, ERR_CLOSED, "stopping");
    client_close(&client);
    cr_assert(loop_until(&f.loop, is_closed, &f, 1000));
    fixture_close(&f);
}

Test(native_server, an_address_in_use_is_an_error_with_a_reason)
{
    struct fixture f;
    fixture_open(&f, (struct native_server_options){0});
    char address[32], detail[200];
    snprintf(address, sizeof address, "127.0.0.1:%u", native_server_port(f.server));
    struct native_server_options options = {
        .server.loop = &f.loop, .server.gateway = &f.fake.base, .server.listen_address = address};
    struct native_server *second;
    cr_assert_eq(native_server_start(&options, &second, detail, sizeof detail), ERR_SYSTEM);
    cr_assert_not_null(strstr(detail, address), "%s", detail);
    options.server.listen_address = "nonsense";
    cr_assert_eq(native_server_start(&options, &second, detail, sizeof detail), ERR_INVALID);
    fixture_close(&f);
}
