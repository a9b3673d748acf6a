/* What the files of the blocking library share, and nobody else.
 *
 *   client_blocking.c          its life, its loop, and commands that are waited for
 *   client_blocking_publish.c  publishing
 *   client_blocking_message.c  messages with properties, producers, moving messages
 *   client_blocking_batch.c    several messages at once, transactions
 *   client_blocking_notice.c   what it is told without having asked
 *   client_blocking_queue.c    options of queues, exchanges, bindings, virtual hosts
 *   client_blocking_consume.c  deliveries and settlements
 *   client_blocking_resume.c   what an earlier process left in the session
 *   client_blocking_query.c    queries */

#ifndef HOLDFAST_RPC_CLIENT_CLIENT_BLOCKING_H
#define HOLDFAST_RPC_CLIENT_CLIENT_BLOCKING_H

#include "proto/base/list.h"
#include "rpc/client/hf.h"

/* Settlements that gather before they leave by themselves. */
#define SETTLE_RANGES_BATCH 256u

struct hf_item {
    struct list_node node;
    struct client_delivery delivery; /* Owns references to its body, head and trail. */
    struct arena arena;              /* For what its head and trail say, once it is shown. */
    struct client_properties properties;
};

/* An error that came with an answer nobody was waiting for. */
struct hf_late {
    int err; /* 0: none. */
    char detail[256];
};

struct hf {
    uv_loop_t loop;
    uv_timer_t timer; /* The limit of the wait at hand. */
    bool timed_out;
    struct hf_client *client;
    struct client_core *core;
    struct list_node items;
    struct hf_item *shown; /* Returned by hf_next() last. */
    uint64_t consumers;    /* The last id given. */
    struct hf_late ended;  /* A subscription is over, and hf_next() has not said so. */
    struct hf_submitted submitted;
    struct hf_late submit;
    uint64_t settle_consumer; /* What gathers: of one consumer, with one outcome. */
    enum client_outcome settle_outcome;
    struct client_range ranges[SETTLE_RANGES_BATCH];
    size_t ranges_len;
    uint64_t settle_messages;
    size_t settles;           /* Commands in flight. */
    struct list_node notices; /* Not read yet. */
    size_t notices_len;
    bool notices_lost;
    struct hf_late settle;
    char detail[512];
};

/* One command or query that is waited for. Its callback sets `done`. */
struct hf_call {
    struct hf *hf;
    bool done;
    int err;
    uint64_t count;
    uint64_t repeated_count;
    bool unrouted;       /* The only message of a publish was mandatory, and reached no queue. */
    const char *invalid; /* What is said when it cannot even be issued, with ERR_INVALID; NULL: no more than that. */
};

/* Words for that. */
#define HF_CREDIT_TEXT "a subscription has a credit, and a fetch takes, from 1 to 65535 messages"
#define HF_DELIVERY_TEXT "this delivery was never made, or that is no outcome"
#define HF_NUMBERS_TEXT "there is no message, or its producer's number is 0 or the highest there is"

/* Notes the line about an error for hf_error_detail(), and returns the error. */
int hf_fail(struct hf *hf, int err, const char *detail);

/* Keeps the first error, but "unknown" rather than any other: it asks most of the program. */
void hf_late_set(struct hf_late *late, int err, const char *detail);
/* Returns and clears it. */
int hf_late_take(struct hf *hf, struct hf_late *late);

/* Likewise for a publish that was not even issued: says which limit it is over, in the node's words. */
int hf_issue_fail(struct hf *hf, int err);

/* Turns the loop once: waits until something happens (or for nothing at all). */
void hf_turn(struct hf *hf);
void hf_turn_now(struct hf *hf);
/* To be called by whatever may end a wait: a turn must not begin to sleep after that. */
void hf_happened(struct hf *hf);

/* The limit of a wait: hf->timed_out is set when it has passed. 0: none. */
void hf_limit_start(struct hf *hf, uint64_t timeout_ms);
void hf_limit_stop(struct hf *hf);

/* Time as a sum of several waits: when it is over, and how much is left (at least 1; 0: for ever, as everywhere). */
uint64_t hf_deadline(uint64_t timeout_ms);
uint64_t hf_left_ms(uint64_t deadline_ms);

/* What a message says as the core wants it, without its lengths and places: `head` and `body` are borrowed. */
struct client_publish hf_publish_of(const struct hf_outgoing *message, const struct slice *head,
                                    const struct slice *body);

/* The callback of commands that are waited for; `arg` is a struct hf_call. */
void hf_on_reply(void *arg, const struct client_reply *reply);
/* Turns the loop until the call is done; `err` is what issuing it returned. */
int hf_call_wait(struct hf_call *call, int err);

/* What the client tells: for hf_open(). */
void hf_on_delivery(void *arg, const struct client_delivery *delivery);
void hf_on_consumer_ended(void *arg, uint64_t consumer, int err, const char *detail);
void hf_on_lock_ended(void *arg, uint64_t consumer, uint64_t number);
void hf_on_prepared_ask(void *arg, const char *id);
void hf_notices_drop(struct hf *hf);
/* Drops a message that has been delivered and not shown. Whether there was one. */
bool hf_item_drop(struct hf *hf, uint64_t consumer, uint64_t number);
/* Frees what has been delivered and not shown, of one consumer or (0) of all; and what is shown. */
void hf_items_drop(struct hf *hf, uint64_t consumer);
void hf_shown_drop(struct hf *hf);

#endif
