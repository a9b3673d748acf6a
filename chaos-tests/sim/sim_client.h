/* A client: the real client library on the simulated network, and the work it does: a producer or a consumer. */

#ifndef HOLDFAST_CHAOS_SIM_CLIENT_H
#define HOLDFAST_CHAOS_SIM_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/clock.h"
#include "rpc/client/client_core.h"
#include "sim_random.h"

struct sim_world;
struct sim_conn;
struct sim_event;

enum sim_client_kind { SIM_PRODUCER, SIM_CONSUMER };

#define SIM_HELD_MAX 64u

/* Commands under way at most: what the library takes without a connection, with the smallest window. */
#define SIM_INFLIGHT_MAX 16u

/* A delivery that a consumer is working on. */
struct sim_held {
    uint64_t consumer;
    uint64_t number;
    uint64_t message;
    uint32_t delivery_count;
};

struct sim_client {
    struct sim_world *world;
    unsigned index;
    enum sim_client_kind kind;
    struct clock clock;
    struct sim_random random;
    struct client_core *core; /* NULL: the program is not running. */
    struct sim_conn *conn;
    uint64_t life;
    uint64_t timer_us;
    uint32_t lease_ms;
    uint64_t session;       /* As last attached; 0: not yet. */
    uint64_t attached_conn; /* The connection on which it was attached last. */
    unsigned attached_node;
    uint64_t attached_life; /* Of that node. */
    bool dead;              /* Gone for good. */
    bool closing;           /* It has asked for the end of its session. */
    bool spread;            /* Takes any node; otherwise the first that serves. */
    bool working;           /* A work event is pending. */
    uint64_t think_us;      /* Mean time between two steps of work. */
    unsigned queue;
    unsigned inflight; /* Commands of the work without an answer. */
    unsigned inflight_max;
    unsigned reading; /* Questions without an answer. */
    bool declared;

    /* Producer. */
    bool named;
    char name[16];
    unsigned batch_max;
    uint64_t next_sequence;
    uint64_t unconfirmed; /* All sequences below are confirmed; only for named ones. */
    bool resend;          /* Something failed: begin again at the first that is not confirmed. */

    /* Consumer. */
    uint64_t consumer; /* Its current subscription; 0: none. */
    bool subscribed;   /* Confirmed, or under way. */
    uint32_t credit;
    uint64_t last_delivery; /* Number of the last one, of this subscription. */
    uint64_t last_position; /* Of the last one that had not been delivered before. */
    struct sim_held held[SIM_HELD_MAX];
    unsigned held_len;
    uint64_t released_consumer; /* A delivery given back, to be settled once more although it is void. */
    uint64_t released_number;
    uint64_t released_message;
};

void sim_client_init(struct sim_world *world, unsigned index, enum sim_client_kind kind);
void sim_client_done(struct sim_client *client);

/* Starts the program, or ends it without a word; ended, it starts again after `down_us`. */
void sim_client_start(struct sim_client *client);
void sim_client_crash(struct sim_client *client, uint64_t down_us);
/* A consumer closes its session, ends, and starts again; what it holds is given back at once. */
void sim_client_close(struct sim_client *client);
/* Ends it without a word, for ever. */
void sim_client_die(struct sim_client *client);
/* Whether it has nothing left to do. */
bool sim_client_idle(const struct sim_client *client);
/* After each event that may have changed what is due. */
void sim_client_arm(struct sim_client *client);

/* What the connection tells it. */
void sim_client_connected(struct sim_client *client);
void sim_client_disconnected(struct sim_client *client, int err);
void sim_client_frame(struct sim_client *client, struct frame *frame);

/* The work: sim_producer.c, sim_consumer.c. */
void sim_client_work_later(struct sim_client *client, uint64_t delay_us);
void sim_producer_work(struct sim_client *client);
bool sim_producer_idle(const struct sim_client *client);
void sim_consumer_work(struct sim_client *client);
bool sim_consumer_idle(const struct sim_client *client);
void sim_consumer_delivery(struct sim_client *client, const struct client_delivery *delivery);
void sim_consumer_ended(struct sim_client *client, uint64_t consumer);
const char *sim_queue_name(unsigned queue);

#endif
