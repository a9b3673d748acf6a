/* A native server whose bounds are looked at, with a fake gateway behind it, and plain sockets as its clients. */

#ifndef HOLDFAST_RPC_TEST_BOUNDS_FIXTURE_H
#define HOLDFAST_RPC_TEST_BOUNDS_FIXTURE_H

#include "fake_gateway.h"
#include "net_fixture.h"
#include "proto/wire/native.pb-c.h"
#include "rpc/native/native_server.h"

struct bounds_fixture {
    uv_loop_t loop;
    struct fake_gateway fake;
    struct native_server *server;
    struct test_journal journal;
    bool closed;
    unsigned wanted;        /* Connections, that expect_connections() waits for. */
    uint64_t receiving_max; /* The most that bounds_stats() has seen. */
};

/* A server on a free port. What the fixture provides is filled in. */
void bounds_open(struct bounds_fixture *f, struct native_server_options options);
void bounds_close(struct bounds_fixture *f);

struct native_server_stats bounds_stats(struct bounds_fixture *f);
/* Runs the loop until there are so many. */
void expect_connections(struct bounds_fixture *f, unsigned wanted);

/* A frame without a body: added to a buffer, written to a socket. */
void message_append(struct bytes *out, enum frame_type type, const ProtobufCMessage *message);
void message_write(int fd, enum frame_type type, const ProtobufCMessage *message);

/* Bytes for the body of a message. */
struct blob *body_new(size_t len);

/* A plain socket that has said hello; its WELCOME has been read. */
int bounds_greet(struct bounds_fixture *f);
/* The same, attached; ATTACHED is still to be read. */
int bounds_attach(struct bounds_fixture *f);

#endif
