/* Accepting clients. */

#include "rpc/admission.h"

#include <stdio.h>
#include <string.h>

#include "rpc/address.h"
#include "rpc/listener.h"
#include "rpc/stream.h"

/* Connections above the limit that are being told so; further ones are dropped without a word. */
#define REFUSING_MAX 64u

static void release(struct admission *admission)
{
    bool open = admission->doors[0].listener != NULL || admission->doors[1].listener != NULL;
    if (admission->closing && !open && admission->conns_len == 0) {
        admission->events.closed(admission->events.arg);
    }
}

void admission_joined(struct admission *admission, struct list_node *conn)
{
    list_push_back(&admission->conns, conn);
    admission->conns_len++;
    admission->options.bounds->connections_len++;
}

void admission_left(struct admission *admission)
{
    admission->conns_len--;
    admission->options.bounds->connections_len--;
    release(admission);
}

/* Takes the connection off the listener and drops it, without a word. */
static void drop_one(const struct admission_door *door, uv_tcp_t *tcp)
{
    const struct admission *admission = door->admission;
    struct stream *stream;
    struct stream_events events = {0};
    if (stream_new(admission->options.loop, NULL, &events, &stream) != 0) {
        listener_put_off(door->listener);
        return;
    }
    if (stream_accept(stream, tcp) != 0) {
        journal_warning(admission->options.journal, "client", "a connection could not be accepted");
    }
    stream_close(stream, NULL);
}

static void say_no_memory(struct admission *admission)
{
    if (!admission->no_memory) {
        journal_warning(admission->options.journal, "client", "no memory for more clients: they wait");
    }
    admission->no_memory = true;
}

static void on_connection(void *arg, uv_tcp_t *tcp)
{
    const struct admission_door *door = arg;
    struct admission *admission = door->admission;
    const struct server_bounds *bounds = admission->options.bounds;
    if (bounds->connections_len >= bounds->connections_max + REFUSING_MAX) {
        drop_one(door, tcp);
        return;
    }
    bool refuse = bounds->connections_len >= bounds->connections_max;
    if (refuse) {
        journal_warning(admission->options.journal, "client",
                        "a client was refused: the limit of %u connections is reached", bounds->connections_max);
    }
    int err = admission->events.accept(admission->events.arg, tcp, refuse);
    if (err == ERR_NOMEM) {
        say_no_memory(admission);
        listener_put_off(door->listener); /* It is still with the listener. */
    } else if (err != 0) {
        journal_warning(admission->options.journal, "client", "a connection was dropped: %s", err_text(err));
    } else {
        admission->no_memory = false;
    }
}

static void on_failed(void *arg, const char *detail)
{
    const struct admission_door *door = arg;
    journal_warning(door->admission->options.journal, "client", "cannot accept a connection: %s", detail);
}

static void on_listener_closed(void *arg)
{
    struct admission_door *door = arg;
    door->listener = NULL;
    release(door->admission);
}

static int door_open(struct admission *admission, struct admission_door *door, const char *address, char *detail,
                     size_t detail_len)
{
    const struct listener_events events = {
        .arg = door,
        .connection = on_connection,
        .failed = on_failed,
        .closed = on_listener_closed,
    };
    door->admission = admission;
    return listener_open(admission->options.loop, address, &events, &door->listener, detail, detail_len);
}

/* Both of this host's addresses to itself. A host without IPv6 has only one. */
static int doors_open_localhost(struct admission *admission, const char *port, char *detail, size_t detail_len)
{
    char address[32];
    (void)snprintf(address, sizeof address, "127.0.0.1:%s", port);
    int err = door_open(admission, &admission->doors[0], address, detail, detail_len);
    if (err != 0) {
        return err;
    }
    char why[200];
    (void)snprintf(address, sizeof address, "[::1]:%u", (unsigned)admission_port(admission));
    if (door_open(admission, &admission->doors[1], address, why, sizeof why) != 0) {
        journal_info(admission->options.journal, "client", "%s: only 127.0.0.1 is listened on", why);
    }
    return 0;
}

int admission_open(struct admission *admission, const struct server_options *options,
                   const struct admission_events *events, char *detail, size_t detail_len)
{
    struct address address;
    *admission = (struct admission){.options = *options, .events = *events};
    list_init(&admission->conns);
    if (address_parse(options->listen_address, &address) == 0 && strcmp(address.host, "localhost") == 0) {
        return doors_open_localhost(admission, address.port, detail, detail_len);
    }
    return door_open(admission, &admission->doors[0], options->listen_address, detail, detail_len);
}

uint16_t admission_port(const struct admission *admission)
{
    return admission->doors[0].listener != NULL ? listener_port(admission->doors[0].listener) : 0;
}

void admission_stop(struct admission *admission)
{
    for (unsigned i = 0; i < 2; i++) {
        struct admission_door *door = &admission->doors[i];
        if (door->listener != NULL && !door->closing) {
            door->closing = true;
            listener_close(door->listener);
        }
    }
}

void admission_close(struct admission *admission)
{
    admission_stop(admission);
    admission->closing = true;
    release(admission);
}
