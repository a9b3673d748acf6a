/* Listening. */

#include "rpc/listener.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/base/check.h"
#include "rpc/address.h"

#define BACKLOG 1024

/* Connections accepted in one turn of the loop: when many come at once, those that are there already have their turn
 * in between. */
#define ACCEPTS_PER_TURN 32u

/* A connection that could not be accepted for want of memory is offered again after this time. */
#define RETRY_MS 100u

struct listener {
    struct listener_events events;
    uv_tcp_t tcp;
    uv_timer_t retry;  /* For a connection that could not be accepted. */
    uv_idle_t idle;    /* Runs at each turn in which connections were accepted or put off. */
    unsigned accepted; /* In this turn. */
    bool put_off;      /* One waits; libuv asks for no other before it has been accepted. */
    unsigned open;     /* Handles. */
    bool listening;    /* Otherwise nobody has been given it: closed() is not called. */
};

static void listener_release(struct listener *listener)
{
    if (--listener->open > 0) {
        return;
    }
    if (listener->listening && listener->events.closed != NULL) {
        listener->events.closed(listener->events.arg);
    }
    free(listener);
}

static void on_tcp_closed(uv_handle_t *handle)
{
    listener_release(container_of((uv_tcp_t *)(void *)handle, struct listener, tcp));
}

static void on_idle_closed(uv_handle_t *handle)
{
    listener_release(container_of((uv_idle_t *)(void *)handle, struct listener, idle));
}

static void on_retry_closed(uv_handle_t *handle)
{
    listener_release(container_of((uv_timer_t *)(void *)handle, struct listener, retry));
}

static void handles_close(struct listener *listener)
{
    uv_close((uv_handle_t *)&listener->tcp, on_tcp_closed);
    uv_close((uv_handle_t *)&listener->retry, on_retry_closed);
    uv_close((uv_handle_t *)&listener->idle, on_idle_closed);
}

static void on_turn(uv_idle_t *idle)
{
    struct listener *listener = container_of(idle, struct listener, idle);
    listener->accepted = listener->put_off ? 1 : 0;
    if (!listener->put_off) {
        (void)uv_idle_stop(idle);
        return;
    }
    listener->put_off = false;
    listener->events.connection(listener->events.arg, &listener->tcp);
}

static void on_retry(uv_timer_t *timer)
{
    struct listener *listener = container_of(timer, struct listener, retry);
    listener->events.connection(listener->events.arg, &listener->tcp);
}

void listener_put_off(struct listener *listener)
{
    (void)uv_timer_start(&listener->retry, on_retry, RETRY_MS, 0);
}

static void on_connection(uv_stream_t *handle, int status)
{
    struct listener *listener = container_of((uv_tcp_t *)(void *)handle, struct listener, tcp);
    if (status != 0) {
        listener->events.failed(listener->events.arg, uv_strerror(status));
        return;
    }
    (void)uv_idle_start(&listener->idle, on_turn);
    if (listener->accepted == ACCEPTS_PER_TURN) {
        listener->put_off = true;
        return;
    }
    listener->accepted++;
    listener->events.connection(listener->events.arg, &listener->tcp);
}

/* Binds and listens on the first address of the host. Returns 0 or libuv's error. */
static int listener_bind(uv_loop_t *loop, struct listener *listener, const struct address *address)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    uv_getaddrinfo_t resolve;
    int rc = uv_getaddrinfo(loop, &resolve, NULL, address->host, address->port, &hints);
    if (rc != 0) {
        return rc;
    }
    rc = uv_tcp_bind(&listener->tcp, resolve.addrinfo->ai_addr, 0);
    if (rc == 0) {
        rc = uv_listen((uv_stream_t *)&listener->tcp, BACKLOG, on_connection);
    }
    uv_freeaddrinfo(resolve.addrinfo);
    return rc;
}

int listener_open(uv_loop_t *loop, const char *text, const struct listener_events *events,
                  struct listener **ret_listener, char *detail, size_t detail_len)
{
    struct address address;
    int err = address_parse(text, &address);
    if (err != 0) {
        (void)snprintf(detail, detail_len, "'%s' is not an address: it must be host:port", text);
        return err;
    }
    struct listener *listener = calloc(1, sizeof *listener);
    if (listener == NULL) {
        (void)snprintf(detail, detail_len, "out of memory");
        return ERR_NOMEM;
    }
    listener->events = *events;
    int rc = uv_tcp_init(loop, &listener->tcp);
    CHECK(rc == 0);                              /* Without a socket to make it cannot fail (libuv 1.44, tcp.c). */
    (void)uv_timer_init(loop, &listener->retry); /* Nor can these two (timer.c and loop-watcher.c). */
    (void)uv_idle_init(loop, &listener->idle);
    listener->open = 3;
    rc = listener_bind(loop, listener, &address);
    if (rc != 0) {
        (void)snprintf(detail, detail_len, "cannot listen on %s: %s", text, uv_strerror(rc));
        handles_close(listener);
        return ERR_SYSTEM;
    }
    listener->listening = true;
    *ret_listener = listener;
    return 0;
}

uint16_t listener_port(const struct listener *listener)
{
    struct sockaddr_storage own;
    int len = sizeof own;
    if (uv_tcp_getsockname(&listener->tcp, (struct sockaddr *)&own, &len) != 0) {
        return 0;
    }
    uint16_t port = own.ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)(const void *)&own)->sin6_port
                                              : ((const struct sockaddr_in *)(const void *)&own)->sin_port;
    return ntohs(port);
}

void listener_close(struct listener *listener)
{
    handles_close(listener);
}
