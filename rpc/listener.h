/* A listening TCP socket on a libuv loop. */

#ifndef HOLDFAST_RPC_LISTENER_H
#define HOLDFAST_RPC_LISTENER_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "proto/base/err.h"

struct listener;

struct listener_events {
    void *arg;
    /* A connection waits: stream_accept() it, or listener_put_off(). */
    void (*connection)(void *arg, uv_tcp_t *tcp);
    /* Accepting failed, for want of file descriptors for instance; listening goes on. `detail` is one line. */
    void (*failed)(void *arg, const char *detail);
    void (*closed)(void *arg); /* After listener_close(); may be NULL. */
};

/* Listens on "host:port"; a name is resolved, blocking; port 0 takes a free one. ERR_INVALID, ERR_SYSTEM, ERR_NOMEM;
 * `detail` gets one line on error. */
int listener_open(uv_loop_t *loop, const char *address, const struct listener_events *events,
                  struct listener **ret_listener, char *detail, size_t detail_len) NODISCARD;

/* From within connection(), when there is no memory to accept it: it waits a little and is offered again. One that is
 * neither accepted nor put off stops the listener, as libuv waits for it. */
void listener_put_off(struct listener *listener);

/* The port that it listens on. */
uint16_t listener_port(const struct listener *listener);

/* Stops and, once closed() has been called, frees it. */
void listener_close(struct listener *listener);

#endif
