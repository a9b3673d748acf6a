/* A connection with one channel. */

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"
#include "proto/base/check.h"

#define READ_LEN ((size_t)256 * 1024)

static int dial(const char *server)
{
    char host[256];
    const char *colon = strrchr(server, ':');
    if (colon == NULL || (size_t)(colon - server) >= sizeof host) {
        load_fail("%s: HOST:PORT is wanted", server);
    }
    memcpy(host, server, (size_t)(colon - server));
    host[colon - server] = '\0';
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int err = getaddrinfo(host, colon + 1, &hints, &found);
    if (err != 0) {
        load_fail("%s: %s", server, gai_strerror(err));
    }
    int fd = -1;
    for (const struct addrinfo *at = found; at != NULL && fd < 0; at = at->ai_next) {
        fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, at->ai_addr, at->ai_addrlen) != 0) {
            (void)close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(found);
    if (fd < 0) {
        load_fail("%s: cannot connect: %s", server, strerror(errno));
    }
    int one = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void put(struct load_link *link, uint16_t channel, const union amqp_method *method)
{
    if (amqp_frame_method(&link->out, channel, method) != 0) {
        load_fail("out of memory");
    }
}

void load_link_send(struct load_link *link, const union amqp_method *method)
{
    put(link, 1, method);
}

bool load_link_write(struct load_link *link)
{
    while (link->out_at < link->out.len) {
        ssize_t sent = send(link->fd, link->out.data + link->out_at, link->out.len - link->out_at, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            return true;
        }
        if (sent < 0 && errno != EINTR) {
            load_fail("%s: writing failed: %s", link->server, strerror(errno));
        }
        link->out_at += sent > 0 ? (size_t)sent : 0;
    }
    link->out.len = 0;
    link->out_at = 0;
    return false;
}

bool load_link_read(struct load_link *link)
{
    memmove(link->in.data, link->in.data + link->in_at, link->in.len - link->in_at);
    link->in.len -= link->in_at;
    link->in_at = 0;
    if (bytes_reserve(&link->in, READ_LEN) != 0) {
        load_fail("out of memory");
    }
    ssize_t got = recv(link->fd, link->in.data + link->in.len, READ_LEN, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    if (got <= 0) {
        load_fail("%s: the connection is over: %s", link->server, got == 0 ? "closed by the broker" : strerror(errno));
    }
    link->in.len += (size_t)got;
    return true;
}

bool load_link_next(struct load_link *link, struct load_frame *ret_frame)
{
    struct frame_prefix prefix;
    size_t prefix_len = 0;
    size_t left = link->in.len - link->in_at;
    const uint8_t *data = link->in.data + link->in_at;
    if (left == 0) {
        return false;
    }
    if (framing_amqp.measure(data, left, &prefix, &prefix_len) != 0) {
        load_fail("%s: what came is no frame", link->server);
    }
    if (prefix_len == 0 || prefix.body_len > left - prefix_len) {
        return false;
    }
    *ret_frame = (struct load_frame){
        .type = prefix.type, .channel = (uint16_t)prefix.tag, .payload = {data + prefix_len, prefix.body_len - 1}};
    link->in_at += prefix_len + prefix.body_len;
    return true;
}

union amqp_method load_link_method(const struct load_link *link, const struct load_frame *frame)
{
    union amqp_method method;
    if (amqp_method_decode(frame->payload, &method) != 0) {
        load_fail("%s: a method that cannot be decoded", link->server);
    }
    struct amqp_bytes words = {0};
    if (method.id == AMQP_channel_close) {
        words = method.channel_close.reply_text;
    } else if (method.id == AMQP_connection_close) {
        words = method.connection_close.reply_text;
    }
    if (words.data != NULL) {
        load_fail("%s: closed by the broker: %.*s", link->server, (int)words.len, (const char *)words.data);
    }
    return method;
}

/* Waits for this method, on either channel. */
static union amqp_method await(struct load_link *link, uint32_t id)
{
    (void)load_link_write(link);
    for (;;) {
        struct load_frame frame;
        while (load_link_next(link, &frame)) {
            if (frame.type == AMQP_FRAME_METHOD) {
                union amqp_method method = load_link_method(link, &frame);
                if (method.id == id) {
                    return method;
                }
            }
        }
        (void)load_link_read(link);
    }
}

union amqp_method load_link_call(struct load_link *link, const union amqp_method *method, uint32_t answer)
{
    put(link, 1, method);
    return await(link, answer);
}

void load_link_open(struct load_link *link, const char *server)
{
    *link = (struct load_link){.fd = dial(server), .server = server};
    if (bytes_append(&link->out, AMQP_GREETING, AMQP_GREETING_LEN) != 0) {
        load_fail("out of memory");
    }
    (void)await(link, AMQP_connection_start);
    union amqp_method start_ok = {.connection_start_ok = {.id = AMQP_connection_start_ok,
                                                          .mechanism = amqp_text("PLAIN"),
                                                          .response = {(const uint8_t *)"\0guest\0guest", 12},
                                                          .locale = amqp_text("en_US")}};
    put(link, 0, &start_ok);
    struct amqp_connection_tune tune = await(link, AMQP_connection_tune).connection_tune;
    link->frame_max = tune.frame_max != 0 ? tune.frame_max : 131072;
    union amqp_method tune_ok = {.connection_tune_ok = {.id = AMQP_connection_tune_ok,
                                                        .channel_max = tune.channel_max,
                                                        .frame_max = link->frame_max}};
    put(link, 0, &tune_ok);
    union amqp_method open = {.connection_open = {.id = AMQP_connection_open, .virtual_host = amqp_text("/")}};
    put(link, 0, &open);
    (void)await(link, AMQP_connection_open_ok);
    union amqp_method channel = {.channel_open = {.id = AMQP_channel_open}};
    (void)load_link_call(link, &channel, AMQP_channel_open_ok);
}

void load_link_unblock(struct load_link *link)
{
    if (fcntl(link->fd, F_SETFL, O_NONBLOCK) != 0) {
        load_fail("%s: %s", link->server, strerror(errno));
    }
}

void load_link_close(struct load_link *link)
{
    (void)close(link->fd);
    bytes_done(&link->in);
    bytes_done(&link->out);
}
