/* An AMQP server on a real socket, with a fake gateway behind it whose turns end the loop's, and plain sockets as its clients. */

#ifndef HOLDFAST_RPC_TEST_AMQP_NET_H
#define HOLDFAST_RPC_TEST_AMQP_NET_H

#include "amqp_fixture.h"
#include "net_fixture.h"
#include "rpc/amqp/amqp_server.h"

#define WAIT_MS 20000u

struct amqp_net {
    uv_loop_t loop;
    struct fake_gateway fake;
    struct gateway_ops ops;
    struct server_bounds bounds;
    struct amqp_server *server;
    struct test_journal journal;
    const char *refusing; /* As the gateway says. */
    bool closed;
    uv_check_t turns;
};

/* A server on a free port of 127.0.0.1, unless `options` says where; what else the fixture provides is filled in. `connections_max`: 0 is
 * the default. */
void amqp_net_open(struct amqp_net *f, struct amqp_server_options options, unsigned connections_max);
void amqp_net_close(struct amqp_net *f);
/* For amqp_server_close(), and whether it has been called. */
void amqp_net_closed(void *arg);
bool amqp_net_is_closed(void *arg);

/* ---- A client ---- */

struct amqp_client {
    struct amqp_net *f;
    int fd;
    struct bytes got;
    size_t read;
    size_t wanted;
    bool ended;
};

void amqp_client_open(struct amqp_net *f, struct amqp_client *client);
void amqp_client_close(struct amqp_client *client);
/* The next bytes; they live until something else is expected. */
const uint8_t *amqp_client_expect(struct amqp_client *client, size_t len);
/* The payload of the next frame, likewise. */
struct amqp_bytes amqp_client_frame(struct amqp_client *client, uint8_t type);
union amqp_method amqp_client_take(struct amqp_client *client, enum amqp_id id);
void amqp_client_give(struct amqp_client *client, uint16_t channel, const union amqp_method *method);
#define AMQP_CLIENT_GIVE(client, channel, name, ...)                                                                   \
    amqp_client_give(client, channel, &(union amqp_method){.name = {.id = AMQP_##name, __VA_ARGS__}})

/* Up to Open, which is not answered yet. */
void amqp_client_ask_to_open(struct amqp_client *client, uint32_t frame_max, uint16_t heartbeat_s);
/* Up to Open-Ok. */
void amqp_client_shake_hands(struct amqp_client *client, uint16_t heartbeat_s);
/* Whether the server has closed the connection. */
bool amqp_client_has_ended(void *arg);

#endif
