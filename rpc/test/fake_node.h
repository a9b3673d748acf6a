/* A scripted node for tests of the client: no sockets, virtual time. The test sees every frame that the client sends,
 * decoded, and says what comes back. */

#ifndef HOLDFAST_RPC_TEST_FAKE_NODE_H
#define HOLDFAST_RPC_TEST_FAKE_NODE_H

#include "proto/base/arena.h"
#include "proto/base/clock.h"
#include "proto/wire/native.pb-c.h"
#include "rpc/client/client_core.h"

#define FAKE_EVENTS_MAX 20000u

/* The wall clock is so far ahead of the other one. */
#define FAKE_WALL_MS UINT64_C(1700000000000)

enum fake_event_kind { FAKE_CONNECT, FAKE_DISCONNECT, FAKE_FRAME };

/* What the client did, in order. Commands are decoded. */
struct fake_event {
    enum fake_event_kind kind;
    char address[64];
    uint8_t type;
    uint64_t number;
    uint64_t answered;
    int command; /* Holdfast__Command__KindCase. */
    char queue[32];
    uint64_t first_sequence;
    uint64_t consumer;
    uint8_t key[16];
    bool resume;
    size_t consumers_len;
    uint64_t seen; /* Of the first consumer in an ATTACH. */
    uint64_t attempt;
    uint64_t id; /* Of a query or ping. */
    int query;   /* Holdfast__Query__Kind, and what it asks for. */
    uint64_t position;
    uint64_t node;
    uint32_t max;
    size_t body_len;
};

struct fake_reply {
    int calls;
    int err;
    uint64_t count;
    char detail[256];
};

struct fake_node {
    struct clock clock;
    uint64_t now_ms;
    uint64_t seed;
    struct client_core *core;
    struct client_core_host host; /* What the core is given. */
    struct fake_event *events;
    size_t events_len;
    size_t read; /* Events that the test has consumed. */
    struct {
        uint64_t consumer;
        uint64_t number;
        char body[32];
    } deliveries[64];
    size_t deliveries_len;
    uint64_t lock_until_ms; /* Of what fake_node_deliver() delivers; 0: without a lock. */
    uint64_t ended_consumer;
    int ended_err;
    int ended_calls;
    int attached_calls;
    uint64_t body_len_max; /* What its WELCOME says. */
    bool version_one;      /* It is of a build that knows nothing else. */
    uint64_t moved;        /* What host.moved() says. */
    int trouble_calls;
    char trouble[320];
    struct arena arena;
};

/* Three servers "a:1", "b:1", "c:1", unless `servers` is smaller. */
void fake_node_init(struct fake_node *node, unsigned servers, uint32_t window, bool query_only);
/* The same with options of the test's own; what the fake provides is filled in. */
void fake_node_init_options(struct fake_node *node, unsigned servers, struct client_core_options options,
                            uint64_t seed);
void fake_node_done(struct fake_node *node);

/* The next thing that the client did; fails the test when there is none, or another kind. */
struct fake_event *fake_node_expect(struct fake_node *node, enum fake_event_kind kind);
struct fake_event *fake_node_expect_frame(struct fake_node *node, uint8_t type);
/* Fails when the client did anything else. */
void fake_node_expect_nothing(struct fake_node *node);

/* Lets time pass to the client's next deadline, at most `ms`; returns what is left of it. Ticks there. */
void fake_node_run(struct fake_node *node, uint64_t ms);

/* Runs until the client connects and answers; returns the ATTACH. `address` as it must be, or NULL. */
struct fake_event *fake_node_attach(struct fake_node *node, const char *address, uint64_t last_number);
/* The same up to the connection itself. */
void fake_node_connect(struct fake_node *node, const char *address);

void fake_node_welcome(struct fake_node *node, uint64_t self, uint64_t leader, const char *address);
void fake_node_attached(struct fake_node *node, uint64_t session, uint64_t last_number);
void fake_node_reply(struct fake_node *node, uint64_t number, int err);
void fake_node_goodbye(struct fake_node *node, int err, const char *address);
void fake_node_pong(struct fake_node *node, uint64_t id);
/* `hash_error` is added to the checksum. */
void fake_node_deliver(struct fake_node *node, uint64_t consumer, uint64_t number, const char *body,
                       uint64_t hash_error);
/* CONSUMERS_ENDED for one consumer. */
void fake_node_end(struct fake_node *node, uint64_t consumer, int err);
void fake_node_send(struct fake_node *node, uint8_t type, const ProtobufCMessage *message, const void *body,
                    size_t body_len);

/* The callback for commands; `arg` is a struct fake_reply. */
void fake_reply_cb(void *arg, const struct client_reply *reply);

/* A publish of one short message. */
void fake_node_publish(struct fake_node *node, const char *producer, uint64_t sequence, uint64_t timeout_ms,
                       struct fake_reply *reply);

#endif
