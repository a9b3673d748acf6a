/* Connecting a stream: resolves a name, tries its addresses one after the other. */

#include <string.h>

#include "proto/base/check.h"
#include "rpc/stream_private.h"

static void try_next(struct stream *stream);

static void on_retry_closed(uv_handle_t *handle)
{
    struct stream *stream = container_of((uv_tcp_t *)(void *)handle, struct stream, tcp);
    if (stream->state == STREAM_CLOSING || stream->end_err != 0) {
        stream_release(stream);
        return;
    }
    int rc = uv_tcp_init(stream->loop, &stream->tcp);
    CHECK(rc == 0); /* Without a socket to make it cannot fail (libuv 1.44, tcp.c). */
    try_next(stream);
}

/* The address did not answer: the next one, on a new socket, since a socket belongs to one address family. */
static void address_failed(struct stream *stream, int rc)
{
    if (stream->next_address == NULL) {
        stream_fail(stream, ERR_SYSTEM, "cannot connect: %s", uv_strerror(rc));
        return;
    }
    uv_close((uv_handle_t *)&stream->tcp, on_retry_closed);
}

static void on_connect(uv_connect_t *connect, int status)
{
    struct stream *stream = container_of(connect, struct stream, connect);
    if (stream->state == STREAM_CLOSING || stream->end_err != 0) {
        return;
    }
    if (status != 0) {
        address_failed(stream, status);
        return;
    }
    int rc = stream_opened(stream);
    if (rc != 0) {
        stream_fail(stream, ERR_SYSTEM, "reading failed: %s", uv_strerror(rc));
    } else if (stream->events.connected != NULL) {
        stream->events.connected(stream->events.arg);
    }
}

static void try_next(struct stream *stream)
{
    const struct addrinfo *address = stream->next_address;
    CHECK(address != NULL);
    stream->next_address = address->ai_next;
    int rc = uv_tcp_connect(&stream->connect, &stream->tcp, address->ai_addr, on_connect);
    if (rc != 0) {
        address_failed(stream, rc);
    }
}

static void on_resolved(uv_getaddrinfo_t *resolve, int status, struct addrinfo *addresses)
{
    struct stream *stream = container_of(resolve, struct stream, resolve);
    stream->resolving = false;
    stream->addresses = addresses;
    stream->next_address = addresses;
    if (stream->state != STREAM_CLOSING && stream->end_err == 0) {
        if (status != 0 || addresses == NULL) {
            stream_fail(stream, ERR_SYSTEM, "cannot resolve the name: %s",
                        status != 0 ? uv_strerror(status) : "no address");
        } else {
            try_next(stream);
        }
    }
    stream_release(stream);
}

int stream_connect(struct stream *stream, const char *text)
{
    CHECK(stream->state == STREAM_NEW);
    struct address address;
    int err = address_parse(text, &address);
    if (err != 0) {
        return err;
    }
    /* A numeric address needs no resolver, whose threads may be busy with disks. */
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } numeric;
    int rc;
    if (uv_ip4_addr(address.host, address.port_number, &numeric.v4) == 0 ||
        uv_ip6_addr(address.host, address.port_number, &numeric.v6) == 0) {
        rc = uv_tcp_connect(&stream->connect, &stream->tcp, &numeric.any, on_connect);
    } else {
        struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
        rc = uv_getaddrinfo(stream->loop, &stream->resolve, on_resolved, address.host, address.port, &hints);
        if (rc == 0) {
            stream->resolving = true;
            stream->pending++;
        }
    }
    if (rc != 0) {
        return rc == UV_ENOMEM ? ERR_NOMEM : ERR_SYSTEM;
    }
    stream->state = STREAM_CONNECTING;
    stream->connect_deadline_ms = stream_deadline(stream, stream->options.connect_timeout_ms);
    stream_arm(stream);
    return 0;
}

void stream_connect_cancel(struct stream *stream)
{
    if (stream->resolving) {
        (void)uv_cancel((uv_req_t *)&stream->resolve); /* When it runs already, its callback comes later. */
    }
}

void stream_connect_done(struct stream *stream)
{
    if (stream->addresses != NULL) {
        uv_freeaddrinfo(stream->addresses);
    }
}
