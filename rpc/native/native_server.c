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
    struct native_conn_owner owner = {
        .arg = server, .gateway = server->options.server.gateway, .received = on_received};
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

static void server_configure(struct native_server *server, const struct native_server_options *options)
{
    struct server_options *common = &server->options.server;
    server->options = *options;
    if (common->bounds == NULL) {
        server_bounds_init(&server->own, options->connections_max, options->memory_max, options->send_max);
        common->bounds = &server->own;
    }
    server->stream_options = server_stream_options(common);
    server->stream_options.idle_timeout_ms =
        options->idle_timeout_ms != 0 ? options->idle_timeout_ms : IDLE_TIMEOUT_MS_DEFAULT;
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
    const struct admission_events events = {.arg = server, .accept = on_accept, .closed = on_closed};
    int err = admission_open(&server->admission, &server->options.server, &events, detail, detail_len);
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
        .receiving_bytes = server->options.server.bounds->receiving.used,
        .sending_bytes = server->options.server.bounds->sending.used,
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
