/* An AMQP server, and its clients. */

#include "amqp_net.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/base/check.h"

/* The gateway's, which ends each turn of the loop. */
static void on_turn(uv_check_t *check)
{
    struct amqp_net *f = container_of(check, struct amqp_net, turns);
    if (f->server != NULL) {
        amqp_server_turn(f->server);
    }
    if (f->fake.attached) {
        f->fake.sink.flush(f->fake.sink.arg);
    }
}

static void status(struct gateway *gateway, struct gateway_status *ret_status)
{
    struct amqp_net *f = container_of(gateway, struct amqp_net, fake.base);
    *ret_status = (struct gateway_status){.cluster = "test", .version = "9.9", .refusing = f->refusing};
}

void amqp_net_open(struct amqp_net *f, struct amqp_server_options options, unsigned connections_max)
{
    *f = (struct amqp_net){.refusing = ""};
    loop_open(&f->loop);
    fake_gateway_init(&f->fake);
    f->ops = *f->fake.base.ops;
    f->ops.status = status;
    f->fake.base.ops = &f->ops;
    test_journal_init(&f->journal);
    server_bounds_init(&f->bounds, connections_max, 0, 0);
    options.server.loop = &f->loop;
    options.server.gateway = &f->fake.base;
    options.server.journal = &f->journal.base;
    options.server.bounds = &f->bounds;
    options.server.listen_address =
        options.server.listen_address != NULL ? options.server.listen_address : "127.0.0.1:0";
    char detail[200];
    cr_assert_eq(amqp_server_start(&options, &f->server, detail, sizeof detail), 0, "%s", detail);
    uv_check_init(&f->loop, &f->turns);
    uv_check_start(&f->turns, on_turn);
}

void amqp_net_closed(void *arg)
{
    struct amqp_net *f = arg;
    f->closed = true;
    f->server = NULL;
}

bool amqp_net_is_closed(void *arg)
{
    return ((struct amqp_net *)arg)->closed;
}

void amqp_net_close(struct amqp_net *f)
{
    if (!f->closed) {
        amqp_server_close(f->server, amqp_net_closed, f);
        cr_assert(loop_until(&f->loop, amqp_net_is_closed, f, WAIT_MS));
    }
    uv_close((uv_handle_t *)&f->turns, NULL);
    loop_close(&f->loop);
    cr_assert_not(f->fake.attached);
    cr_assert_eq(f->bounds.connections_len, 0u);
    fake_gateway_done(&f->fake);
}

void amqp_client_open(struct amqp_net *f, struct amqp_client *client)
{
    *client = (struct amqp_client){.f = f, .fd = raw_connect(amqp_server_port(f->server))};
}

void amqp_client_close(struct amqp_client *client)
{
    close(client->fd);
    bytes_done(&client->got);
}

static void client_read(struct amqp_client *client)
{
    uint8_t data[4096];
    ssize_t len;
    while ((len = recv(client->fd, data, sizeof data, MSG_DONTWAIT)) > 0) {
        cr_assert_eq(bytes_append(&client->got, data, (size_t)len), 0);
    }
    client->ended = client->ended || len == 0;
}

static bool client_has(void *arg)
{
    struct amqp_client *client = arg;
    client_read(client);
    return client->got.len - client->read >= client->wanted || client->ended;
}

bool amqp_client_has_ended(void *arg)
{
    struct amqp_client *client = arg;
    client_read(client);
    return client->ended;
}

const uint8_t *amqp_client_expect(struct amqp_client *client, size_t len)
{
    client->wanted = len;
    cr_assert(loop_until(&client->f->loop, client_has, client, WAIT_MS), "nothing came");
    cr_assert_geq(client->got.len - client->read, len, "the connection has ended");
    const uint8_t *data = client->got.data + client->read;
    client->read += len;
    return data;
}

struct amqp_bytes amqp_client_frame(struct amqp_client *client, uint8_t type)
{
    const uint8_t *prefix = amqp_client_expect(client, AMQP_PREFIX_LEN);
    cr_assert_eq(prefix[0], type, "a frame of type %u", prefix[0]);
    size_t len = (size_t)prefix[5] << 8 | prefix[6];
    const uint8_t *payload = amqp_client_expect(client, len + 1);
    cr_assert_eq(payload[len], AMQP_FRAME_END);
    return (struct amqp_bytes){payload, len};
}

union amqp_method amqp_client_take(struct amqp_client *client, enum amqp_id id)
{
    union amqp_method method;
    cr_assert_eq(amqp_method_decode(amqp_client_frame(client, AMQP_FRAME_METHOD), &method), 0);
    cr_assert_eq(method.id, id, "%s, not %s", amqp_method_name(method.id), amqp_method_name(id));
    return method;
}

void amqp_client_give(struct amqp_client *client, uint16_t channel, const union amqp_method *method)
{
    struct bytes bytes = {0};
    cr_assert_eq(amqp_frame_method(&bytes, channel, method), 0);
    raw_write(client->fd, bytes.data, bytes.len);
    bytes_done(&bytes);
}

void amqp_client_ask_to_open(struct amqp_client *client, uint32_t frame_max, uint16_t heartbeat_s)
{
    /* {"capabilities": {"connection.blocked": true}} */
    static const uint8_t properties[] = "\x0c"
                                        "capabilities"
                                        "F\0\0\0\x15"
                                        "\x12"
                                        "connection.blocked"
                                        "t\1";
    raw_write(client->fd, AMQP_GREETING, AMQP_GREETING_LEN);
    (void)amqp_client_take(client, AMQP_connection_start);
    AMQP_CLIENT_GIVE(client, 0, connection_start_ok, .client_properties = {properties, sizeof properties - 1},
                     .mechanism = amqp_text("PLAIN"), .response = {(const uint8_t *)"\0guest\0guest", 12});
    (void)amqp_client_take(client, AMQP_connection_tune);
    AMQP_CLIENT_GIVE(client, 0, connection_tune_ok, .frame_max = frame_max, .heartbeat = heartbeat_s);
    AMQP_CLIENT_GIVE(client, 0, connection_open, .virtual_host = amqp_text("/"));
}

static bool amqp_net_is_attached(void *arg)
{
    return ((struct amqp_net *)arg)->fake.attached;
}

void amqp_client_shake_hands(struct amqp_client *client, uint16_t heartbeat_s)
{
    struct amqp_net *f = client->f;
    amqp_client_ask_to_open(client, 4096, heartbeat_s);
    cr_assert(loop_until(&f->loop, amqp_net_is_attached, f, WAIT_MS));
    f->fake.sink.attached(f->fake.sink.arg, 42, 0);
    (void)amqp_client_take(client, AMQP_connection_open_ok);
}
