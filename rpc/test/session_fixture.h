/* A native session with a fake gateway behind it and a host that keeps the frames. */

#ifndef HOLDFAST_RPC_TEST_SESSION_FIXTURE_H
#define HOLDFAST_RPC_TEST_SESSION_FIXTURE_H

#include "fake_gateway.h"
#include "proto/base/arena.h"
#include "rpc/native/native_frame.h"
#include "rpc/native/native_session.h"

struct session_fixture {
    struct fake_gateway fake;
    struct native_session *session;
    struct frame_out sent[300];
    unsigned sent_len;
    unsigned read; /* Of `sent`. */
    bool held;
    bool full;        /* Whether nothing more is taken, */
    size_t asked_len; /* and the length that was asked about last. */
    unsigned closes;
    struct arena arena;
};

void session_fixture_open(struct session_fixture *f);
void session_fixture_close(struct session_fixture *f);

/* A frame from the client. */
void give_raw(struct session_fixture *f, uint8_t type, const void *header, size_t header_len, size_t body_len);
void give(struct session_fixture *f, uint8_t type, const ProtobufCMessage *message);
void give_command(struct session_fixture *f, uint64_t number, size_t body_len);
void give_hello(struct session_fixture *f);
void give_attach(struct session_fixture *f);

/* HELLO and ATTACH with their answers. */
void attach_all(struct session_fixture *f);

/* The next frame sent, decoded; it must be of this type. Lives until the fixture is closed. */
const void *take(struct session_fixture *f, uint8_t type, const ProtobufCMessageDescriptor *descriptor);

/* The next frame is a goodbye, and the last. */
void expect_goodbye(struct session_fixture *f, int err, const char *part);

#endif
