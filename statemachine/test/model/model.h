/* A model of what every command means (SEMANTICS.md): plain lists, searched from end to end, each rule as the document says it.
 * It shares nothing with the machine but the encoding of entries, so that what both say is right unless both are wrong.
 *
 * It keeps everything it ever allocated until it is freed: histories are small. What bounds the work of one entry (deliveries,
 * timers, sessions that end) must not be reached; the model stops when it is. */

#ifndef HOLDFAST_STATEMACHINE_TEST_MODEL_H
#define HOLDFAST_STATEMACHINE_TEST_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/wire/message.pb-c.h"

struct model;

enum model_effect_kind {
    MODEL_REPLY,
    MODEL_DELIVER,
    MODEL_SESSION_ENDED,
    MODEL_CONSUMER_ENDED,
    MODEL_NODE_LOST,
    MODEL_LOCK_ENDED,
    MODEL_PREPARED_ASK,
};

#define MODEL_BITS_MAX 64u

struct model_effect {
    enum model_effect_kind kind;
    uint64_t session;
    /* Replies. */
    uint64_t number;
    uint64_t attachment;
    uint32_t command;
    uint32_t error; /* Positive. */
    uint64_t count;
    uint64_t repeated_count;
    uint64_t origin_node;
    uint64_t origin_run;
    uint64_t origin_tag;
    uint64_t attach_session;
    uint64_t attach_attachment;
    uint64_t last_number;
    uint64_t unrouted; /* Bits of messages, from the lowest. */
    uint64_t refused;
    /* Deliveries, ends of consumers and of locks. */
    uint64_t consumer;
    uint64_t delivery;
    uint64_t queue;
    uint64_t position;
    uint64_t delivery_count;
    bool expired;    /* Ends of sessions: of a lease. */
    bool fetch_done; /* Ends of consumers. */
    uint64_t node;   /* Lost nodes. */
    uint64_t run;
    const char *prepared; /* Id of what is asked about. */
};

struct model *model_new(void);
void model_free(struct model *model);

/* Applies an entry. The effects are valid until the next one. */
void model_apply(struct model *model, const void *payload, size_t payload_len);
const struct model_effect *model_effects(const struct model *model, size_t *ret_len);

/* What can be seen. */
struct model_queue {
    const char *virtual_host;
    const char *name;
    uint64_t id;
    uint64_t ready; /* And parked ones. */
    uint64_t unsettled;
    uint64_t waiting;
    uint64_t consumers;
    uint64_t enqueued;
    uint64_t delivered;
    uint64_t settled;
    uint64_t released;
};
size_t model_queues(const struct model *model);
struct model_queue model_queue(const struct model *model, size_t nth);

enum model_state { MODEL_READY, MODEL_LOCKED, MODEL_WAITING, MODEL_PARKED, MODEL_KEPT };

struct model_message {
    uint64_t position;
    uint64_t enqueued_ms;
    uint64_t hash; /* Of the head and the body behind it. */
    uint64_t len;
    uint64_t delivery_count; /* So far: of a locked one at least 1. */
    enum model_state state;
    const uint8_t *head;
    size_t head_len;
    const uint8_t *body;
    size_t body_len;
    uint64_t expires_ms; /* 0: never. */
    Holdfast__Death *const *deaths;
    size_t deaths_len;
};
/* The messages of the nth queue, in order of position. */
size_t model_messages(const struct model *model, size_t queue);
struct model_message model_message(const struct model *model, size_t queue, size_t nth);

struct model_session {
    uint64_t id;
    uint64_t attachment;
    uint64_t last_number;
    uint64_t lease_ms;
    uint64_t node;       /* 0: attached nowhere. */
    uint64_t expires_ms; /* UINT64_MAX while it is attached. */
};
size_t model_sessions(const struct model *model);
struct model_session model_session(const struct model *model, size_t nth);

/* The log time at which something happens by itself; UINT64_MAX: never; 0: at once. */
uint64_t model_due_ms(const struct model *model);

#endif
