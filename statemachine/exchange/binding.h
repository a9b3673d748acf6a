/* A binding: from an exchange to a queue or to another exchange of the same virtual host, for messages with certain routing keys or
 * headers. The same one twice is one.
 *
 * Row 'Y' id: what it says: u64 virtual host, u64 source, u8 1 if it leads to an exchange, u64 that or the queue, u8 length of the
 * key, key, arguments (arguments.h) up to the end. */

#ifndef HOLDFAST_STATEMACHINE_EXCHANGE_BINDING_H
#define HOLDFAST_STATEMACHINE_EXCHANGE_BINDING_H

#include "statemachine/exchange/exchange.h"

struct binding {
    uint64_t id;
    struct exchange *source;
    struct exchange *to_exchange; /* One of the two. */
    struct queue *to_queue;
    struct list_node from;         /* In source->bindings. */
    struct list_node of_host;      /* In source->host->bindings. */
    struct binding *bound_next;    /* Those that lead to the same. */
    struct binding **bound_before; /* What points here. */
    struct topic_node *node;       /* Of a direct or topic exchange. */
    struct list_node at_node;      /* In its items, in order of id. */
    struct headers_match *match;   /* Of a headers exchange. */
    RB_ENTRY(binding) by_id;
    UT_hash_handle by_fields;
    uint32_t fields_len;
    uint8_t fields[]; /* As in the row. */
};

RB_PROTOTYPE(binding_ids, binding, by_id, binding_compare_ids)

struct slice binding_key(const struct binding *binding);
struct slice binding_arguments(const struct binding *binding);

/* What is to be bound, or not any more. */
struct binding_ends {
    struct exchange *source;
    struct exchange *to_exchange; /* One of the two. */
    struct queue *to_queue;
    struct slice key; /* At most TOPIC_LEN_MAX bytes. */
    struct arguments arguments;
};

/* NULL when there is none. ERR_INVALID: the arguments are malformed. ERR_NOMEM. */
int binding_find(struct machine *machine, const struct binding_ends *ends, struct binding **ret_binding) NODISCARD;

/* Makes one that is not there yet, with its row: right after binding_find() has not found it. ERR_INVALID: x-match is none that is
 * known. ERR_NOMEM. */
int binding_new(struct machine *machine, const struct binding_ends *ends) NODISCARD;

/* It goes, with its row. Its source is kept in mind for exchanges_sweep(), if that goes with it. ERR_NOMEM. */
int binding_delete(struct machine *machine, struct binding *binding) NODISCARD;

/* Frees it without any effect on the state. */
void binding_discard(struct machine *machine, struct binding *binding);

/* ERR_NOMEM. */
int binding_row(const struct binding *binding, struct row *row) NODISCARD;
/* Enters the binding of a row; exchanges and queues are there. ERR_CORRUPT, ERR_VERSION, ERR_NOMEM. */
int binding_load(struct machine *machine, const struct row_key *key, struct slice value) NODISCARD;

#endif
