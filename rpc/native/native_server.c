/* Accepting native clients. */

#include "rpc/native/native_server.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/base/limits.h"
#include "rpc/listener.h"
#include "rpc/memory_budget.h"
#include "rpc/native/native_conn.h"

#define CONNECTIONS_MAX_DEFAULT 16384u
#define MEMORY_MAX_DEFAULT (256 * MIB)
#define SEND_MAX_DEFAULT (256 * MIB)
#define IDLE_TIMEOUT_MS_DEFAULT 60000u
#define FRAME_TIMEOUT_MS_DEFAULT 20000u
#define UNACKED_TIMEOUT_MS_DEFAULT 10000u

/* Connections above the limit that are being told so; further ones are dropped without a word. */
#define REFUSING_MAX 64u

struct native_server {
    struct native_server_options options;
    struct stream_options stream_options;
    struct memory_budget receiving;
    struct memory_budget sending;
    struct listener *listener; /* NULL: closed. */
    struct list_node conns;
    unsigned conns_len;
    void (*closed)(void *arg);
    void *closed_arg;
    bool closing;
    bool no_memory; /* For the connection that came last. */
};

static void server_release(struct native_server *server)
{
    if (!server->closing || server->listener != NULL || server->conns_len > 0) {
        return;
    }
    if (server->closed != NULL) {
        server->closed(server->closed_arg);
    }
    free(server);
}

static void on_conn_received(void *arg)
{
    struct native_server *server = arg;
    if (server->options.submitted != NULL && !server->closing) {
        server->options.submitted(server->options.arg);
    }
}

static void on_conn_closed(void *arg)
{
    struct native_server *server = arg;
    server->conns_len--;
    server_release(server);
}

/* Takes the connection off the listener and drops it, without a word. */
static void drop_one(struct native_server *server, uv_tcp_t *tcp)
{
    struct stream *stream;
    struct stream_events events = {0};
    if (stream_new(server->options.loop, NULL, &events, &stream) != 0) {
        listener_put_off(server->listener);
        return;
    }
    if (stream_accept(stream, tcp) != 0) {
        journal_warning(server->options.journal, "client", "a connection could not be accepted");
    }
    stream_close(stream, NULL);
}

static void server_say_no_memory(struct native_server *server)
{
    if (!server->no_memory) {
        journal_warning(server->options.journal, "client", "no memory for more clients: they wait");
    }
    server->no_memory = true;
}

static void on_connection(void *arg, uv_tcp_t *tcp)
{
    struct native_server *server = arg;
    struct native_conn_owner owner = {
        .arg = server,
        .gateway = server->options.gateway,
        .journal = server->options.journal,
        .received = on_conn_received,
        .closed = on_conn_closed,
    };
    if (server->conns_len >= server->options.connections_max + REFUSING_MAX) {
        drop_one(server, tcp);
        return;
    }
    bool refuse = server->conns_len >= server->options.connections_max;
    if (refuse) {
        journal_warning(server->options.journal, "client",
                        "a client was refused: the limit of %u connections is reached",
                        server->options.connections_max);
    }
    int err = native_conn_accept(server->options.loop, tcp, &server->stream_options, &owner, refuse, &server->conns);
    if (err == ERR_NOMEM) {
        server_say_no_memory(server);
        listener_put_off(server->listener); /* It is still with the listener. */
    } else if (err != 0) {
        journal_warning(server->options.journal, "client", "a connection was dropped: %s", err_text(err));
    } else {
        server->conns_len++;
        server->no_memory = false;
    }
}

static void on_failed(void *arg, const char *detail)
{
    struct native_server *server = arg;
    journal_warning(server->options.journal, "client", "cannot accept a connection: %s", detail);
}

static void on_listener_closed(void *arg)
{
    struct native_server *server = arg;
    server->listener = NULL;
    server_release(server);
}

static uint64_t or_default(uint64_t value, uint64_t otherwise)
{
    return value != 0 ? value : otherwise;
}

static void server_configure(struct native_server *server, const struct native_server_options *options)
{
    server->options = *options;
    server->options.connections_max = (unsigned)or_default(options->connections_max, CONNECTIONS_MAX_DEFAULT);
    memory_budget_init(&server->receiving, or_default(options->memory_max, MEMORY_MAX_DEFAULT));
    memory_budget_init(&server->sending, or_default(options->send_max, SEND_MAX_DEFAULT));
    server->stream_options = (struct stream_options){
        .handshake_timeout_ms = options->handshake_timeout_ms,
        .idle_timeout_ms = or_default(options->idle_timeout_ms, IDLE_TIMEOUT_MS_DEFAULT),
        .frame_timeout_ms = or_default(options->frame_timeout_ms, FRAME_TIMEOUT_MS_DEFAULT),
        .stall_timeout_ms = options->stall_timeout_ms,
        .vanished_timeout_ms = or_default(options->unacked_timeout_ms, UNACKED_TIMEOUT_MS_DEFAULT),
        .receive_budget = &server->receiving,
        .send_budget = &server->sending,
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
    list_init(&server->conns);
    struct listener_events events = {
        .arg = server,
        .connection = on_connection,
        .failed = on_failed,
        .closed = on_listener_closed,
    };
    int err = listener_open(options->loop, options->listen_address, &events, &server->listener, detail, detail_len);
    if (err != 0) {
        free(server);
        return err;
    }
    *ret_server = server;
    return 0;
}

uint16_t native_server_port(const struct native_server *server)
{
    return listener_port(server->listener);
}

unsigned native_server_connections(const struct native_server *server)
{
    return server->conns_len;
}

void native_server_stats(const struct native_server *server, struct native_server_stats *ret_stats)
{
    *ret_stats = (struct native_server_stats){
        .receiving_bytes = server->receiving.used,
        .sending_bytes = server->sending.used,
    };
}

void native_server_close(struct native_server *server, void (*closed)(void *arg), void *arg)
{
    server->closing = true;
    server->closed = closed;
    server->closed_arg = arg;
    listener_close(server->listener);
    LIST_FOR_EACH (node, &server->conns) {
        native_conn_finish(native_conn_of(node), ERR_CLOSED, "the node is stopping");
    }
}
