/* Accepting AMQP clients, and what has to be done for all of them now and then. */

#include "rpc/amqp/amqp_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/base/limits.h"
#include "rpc/amqp/amqp_conn.h"
#include "rpc/amqp/amqp_frame.h"

#define CONTENT_MAX_DEFAULT (64 * MIB)
#define CLOSE_TIMEOUT_MS_DEFAULT 5000u

/* The shortest heartbeat is sent each half of a second, and a client that publishes hears soon that it is in vain. */
#define TICK_MS 250u

struct amqp_server {
    struct amqp_conns conns;
    uv_timer_t tick;
    char refusing[256]; /* As the clients were told; "": nothing is refused. */
    unsigned pending;   /* Of the admission and the timer: what is not closed. */
    void (*closed)(void *arg);
    void *closed_arg;
};

static void server_release(struct amqp_server *server)
{
    if (--server->pending > 0) {
        return;
    }
    if (server->closed != NULL) {
        server->closed(server->closed_arg);
    }
    free(server);
}

static void on_tick_closed(uv_handle_t *handle)
{
    server_release(container_of((uv_timer_t *)(void *)handle, struct amqp_server, tick));
}

static void on_closed(void *arg)
{
    server_release(arg);
}

/* As the gateway has it now. */
static bool note_refusing(struct amqp_server *server)
{
    struct gateway_status status = {0};
    server->conns.gateway->ops->status(server->conns.gateway, &status);
    char refusing[sizeof server->refusing];
    (void)snprintf(refusing, sizeof refusing, "%s", status.refusing != NULL ? status.refusing : "");
    bool changed = strcmp(refusing, server->refusing) != 0;
    memcpy(server->refusing, refusing, sizeof refusing);
    return changed;
}

static void on_tick(uv_timer_t *timer)
{
    struct amqp_server *server = container_of(timer, struct amqp_server, tick);
    if (server->conns.admission.conns_len == 0 && list_empty(&server->conns.leaving)) {
        (void)uv_timer_stop(timer);
        return;
    }
    bool changed = note_refusing(server);
    amqp_conns_tick(&server->conns, uv_now(timer->loop), server->refusing, changed);
}

static int on_accept(void *arg, uv_tcp_t *tcp, bool refuse)
{
    struct amqp_server *server = arg;
    int err = amqp_conn_accept(&server->conns, tcp, refuse);
    if (err == 0 && !uv_is_active((uv_handle_t *)&server->tick)) {
        CHECK(uv_timer_start(&server->tick, on_tick, TICK_MS, TICK_MS) == 0);
    }
    return err;
}

static uint64_t or_default(uint64_t value, uint64_t otherwise)
{
    return value != 0 ? value : otherwise;
}

static void server_configure(struct amqp_server *server, const struct amqp_server_options *options)
{
    struct amqp_conns *conns = &server->conns;
    conns->gateway = options->server.gateway;
    conns->guest_from_anywhere = options->guest_from_anywhere;
    conns->close_timeout_ms = or_default(options->close_timeout_ms, CLOSE_TIMEOUT_MS_DEFAULT);
    memory_budget_init(&conns->content, or_default(options->content_max, CONTENT_MAX_DEFAULT));
    list_init(&conns->due);
    list_init(&conns->leaving);
    conns->stream_options = server_stream_options(&options->server);
    conns->stream_options.handshake_len_max = AMQP_FRAME_MIN - AMQP_PREFIX_LEN;
    conns->stream_options.framing = &framing_amqp;
}

int amqp_server_start(const struct amqp_server_options *options, struct amqp_server **ret_server, char *detail,
                      size_t detail_len)
{
    struct amqp_server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        (void)snprintf(detail, detail_len, "out of memory");
        return ERR_NOMEM;
    }
    server_configure(server, options);
    const struct admission_events events = {.arg = server, .accept = on_accept, .closed = on_closed};
    int err = admission_open(&server->conns.admission, &options->server, &events, detail, detail_len);
    if (err != 0) {
        free(server);
        return err;
    }
    (void)uv_timer_init(options->server.loop, &server->tick); /* It cannot fail (libuv 1.44, timer.c). */
    server->pending = 2;
    *ret_server = server;
    return 0;
}

uint16_t amqp_server_port(const struct amqp_server *server)
{
    return admission_port(&server->conns.admission);
}

unsigned amqp_server_connections(const struct amqp_server *server)
{
    return server->conns.admission.conns_len;
}

void amqp_server_turn(struct amqp_server *server)
{
    amqp_conns_turn(&server->conns);
}

bool amqp_server_is_due(const struct amqp_server *server)
{
    return !list_empty(&server->conns.due);
}

void amqp_server_stop(struct amqp_server *server)
{
    admission_stop(&server->conns.admission);
}

void amqp_server_close(struct amqp_server *server, void (*closed)(void *arg), void *arg)
{
    server->closed = closed;
    server->closed_arg = arg;
    amqp_conns_finish(&server->conns, "shutdown");
    uv_close((uv_handle_t *)&server->tick, on_tick_closed);
    admission_close(&server->conns.admission); /* The timer keeps the server. */
}
