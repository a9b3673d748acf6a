/* Accepting native clients. */

#include "rpc/native/native_server.h"

#include <stdio.h>
#include <stdlib.h>

#include "rpc/native/native_conn.h"

#define IDLE_TIMEOUT_MS_DEFAULT 60000u

struct native_server {
    struct native_server_options options;
    struct stream_options stream_options;
    struct server_bounds own; /* When it shares with nobody. */
    struct admission admission;
    void (*closed)(void *arg);
    void *closed_arg;
};

static void on_received(void *arg)
{
    struct native_server *server = arg;
    if (server->options.submitted != NULL && !server->admission.closing) {
        server->options.submitted(server->options.arg);
    }
}

static int on_accept(void *arg, uv_tcp_t *tcp, bool refuse)
{
    struct native_server *server = arg;
    struct native_conn_owner owner = {.arg = server, .gateway = server->options.gateway, .received = on_received};
    return native_conn_accept(&server->admission, tcp, &server->stream_options, &owner, refuse);
}

static void on_closed(void *arg)
{
    struct native_server *server = arg;
    if (server->closed != NULL) {
        server->closed(server->closed_arg);
    }
    free(server);
}

static uint64_t or_default(uint64_t value, uint64_t otherwise)
{
    return value != 0 ? value : otherwise;
}

static void server_configure(struct native_server *server, const struct native_server_options *options)
{
    server->options = *options;
    if (options->bounds == NULL) {
        server_bounds_init(&server->own, options->connections_max, options->memory_max, options->send_max);
        server->options.bounds = &server->own;
    }
    server->stream_options = (struct stream_options){
        .handshake_timeout_ms = options->handshake_timeout_ms,
        .idle_timeout_ms = or_default(options->idle_timeout_ms, IDLE_TIMEOUT_MS_DEFAULT),
        .frame_timeout_ms = or_default(options->frame_timeout_ms, SERVER_FRAME_TIMEOUT_MS),
        .stall_timeout_ms = options->stall_timeout_ms,
        .vanished_timeout_ms = or_default(options->unacked_timeout_ms, SERVER_UNACKED_TIMEOUT_MS),
        .receive_budget = &server->options.bounds->receiving,
        .send_budget = &server->options.bounds->sending,
    };
}

int native_server_start(const struct native_server_options *options, struct native_server **ret_server, char *detail,
                        size_t detail_len)
{
    struct native_server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        (void)snprintf(detail, detail_len, "out of memory");
        return ERR_NOMEM;
    }
    server_configure(server, options);
    struct admission_options admission = {
        .loop = options->loop,
        .journal = options->journal,
        .listen_address = options->listen_address,
        .bounds = server->options.bounds,
        .arg = server,
        .accept = on_accept,
        .closed = on_closed,
    };
    int err = admission_open(&server->admission, &admission, detail, detail_len);
    if (err != 0) {
        free(server);
        return err;
    }
    *ret_server = server;
    return 0;
}

uint16_t native_server_port(const struct native_server *server)
{
    return admission_port(&server->admission);
}

unsigned native_server_connections(const struct native_server *server)
{
    return server->admission.conns_len;
}

void native_server_stats(const struct native_server *server, struct native_server_stats *ret_stats)
{
    *ret_stats = (struct native_server_stats){
        .receiving_bytes = server->options.bounds->receiving.used,
        .sending_bytes = server->options.bounds->sending.used,
    };
}

void native_server_close(struct native_server *server, void (*closed)(void *arg), void *arg)
{
    server->closed = closed;
    server->closed_arg = arg;
    admission_close(&server->admission);
    LIST_FOR_EACH (node, &server->admission.conns) {
        native_conn_finish(node, ERR_CLOSED, "the node is stopping");
    }
}
