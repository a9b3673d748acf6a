/* Exchanges: where messages are published to, and how they find their queues from there.
 *
 * All of them are in memory, with their bindings (binding.h); route.h finds the way of a message. What is kept is a row of the table for
 * each, written when it changes.
 *
 * Every virtual host has some of its own that have no rows: "" (the default one: to the queue with the name of the key), amq.direct,
 * amq.fanout, amq.topic, amq.headers and amq.match. Other names that begin with "amq." are not given.
 *
 * The id of a new one is one more than the highest there is, so what is in order of ids is in the order in which it came, after a
 * restart, too.
 *
 * Row 'X' id: u64 virtual host, u8 type, u8 flags (1: auto_delete, 2: internal, 4: protected, 8: delayed, 16: has an alternate, 32: has
 * been deleted, and its bindings are going), then, each behind its length in u8: name, alternate, note. */

#ifndef HOLDFAST_STATEMACHINE_EXCHANGE_EXCHANGE_H
#define HOLDFAST_STATEMACHINE_EXCHANGE_EXCHANGE_H

#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/base/limits.h"
#include "proto/base/list.h"
#include "statemachine/exchange/headers_match.h"
#include "statemachine/exchange/route_cache.h"
#include "statemachine/exchange/topic.h"
#include "statemachine/hash.h"
#include "statemachine/store/rows.h"

struct machine;
struct queue;
struct binding;

/* Limits of the state as a whole: part of the rules. Those of virtual hosts are not counted. */
#define EXCHANGES_MAX 65536u
#define BINDINGS_MAX 1048576u

/* The numbers are in rows and in commands. */
enum exchange_type {
    EXCHANGE_DIRECT = 0,
    EXCHANGE_FANOUT = 1,
    EXCHANGE_TOPIC = 2,
    EXCHANGE_HEADERS = 3,
};
#define EXCHANGE_TYPE_MAX EXCHANGE_HEADERS

/* The ids of those that every virtual host has; unique in it. */
enum exchange_built_in {
    EXCHANGE_ID_DEFAULT = 1,
    EXCHANGE_ID_AMQ_DIRECT = 2,
    EXCHANGE_ID_AMQ_FANOUT = 3,
    EXCHANGE_ID_AMQ_TOPIC = 4,
    EXCHANGE_ID_AMQ_HEADERS = 5,
    EXCHANGE_ID_AMQ_MATCH = 6,
};
#define EXCHANGE_ID_FIRST 16u

/* The mark of exchanges and queues that have been deleted: no routing leads there. */
#define ROUTE_NEVER UINT64_MAX

struct exchange_properties {
    enum exchange_type type;
    bool auto_delete; /* Goes with its last binding, if it had one. */
    bool internal;    /* Only exchanges and dead letters reach it. */
    bool is_protected;
    bool delayed;
    bool has_alternate;
    struct slice alternate; /* Where what matches no binding goes; borrowed. */
    struct slice note;
};

struct exchange {
    uint64_t id;
    struct exchange_properties properties; /* The strings are behind the name, but for a note that was changed. */
    uint8_t *changed_note;                 /* Owned; NULL: it was not. */
    struct list_node bindings;             /* From it, in order of id. */
    uint64_t bindings_len;
    struct binding *bound;       /* The first of those that lead to it. */
    struct topic topic;          /* The keys of its bindings, if it is a direct or topic exchange. */
    uint64_t route_mark;         /* Of the routing that came by last. No state. */
    struct exchange *route_next; /* Which that goes to next. */
    bool going;                  /* It has been deleted, and is in exchanges.going. */
    struct exchange_host *host;
    RB_ENTRY(exchange) by_name;
    RB_ENTRY(exchange) by_id; /* Unless it is built in. */
    UT_hash_handle by_key;
    size_t name_len;
    uint64_t virtual_host; /* With the name behind it, the key. */
    char name[];
};

/* What a virtual host has. */
struct exchange_host {
    uint64_t virtual_host;
    uint64_t exchanges_len; /* Without those that are built in. */
    uint64_t bindings_len;
    struct list_node bindings; /* In order of id. */
    UT_hash_handle by_id;
};

RB_HEAD(exchange_names, exchange);
RB_HEAD(exchange_ids, exchange);
RB_HEAD(binding_ids, binding);
RB_PROTOTYPE(exchange_names, exchange, by_name, exchange_compare_names)
RB_PROTOTYPE(exchange_ids, exchange, by_id, exchange_compare_ids)

/* In struct machine. Zeroed at first. */
struct exchanges {
    struct exchange *by_key;
    struct exchange_names names; /* By virtual host and name. */
    struct exchange_ids ids;
    struct binding *bindings; /* By what they say. */
    struct binding_ids binding_ids;
    struct exchange_host *hosts;
    uint64_t exchanges_len; /* Without those that are built in. */
    uint64_t bindings_len;
    struct exchange_ids going; /* Deleted, but for their bindings: nobody finds them or is led there. */
    /* Scratch. */
    uint64_t route_marks;
    struct route_cache route_cache;
    struct headers_sorted headers;
    struct bytes fields;
};

/* ---- All of them ---- */

/* After opening, when queues are there: reads the rows. ERR_CORRUPT, ERR_VERSION, ERR_IO, ERR_NOMEM. */
int exchanges_load(struct machine *machine) NODISCARD;
/* Frees everything, for closing; before the queues. */
void exchanges_done(struct machine *machine);

/* How many rows exchanges_memory_digest() makes; and adds those of all that is in memory. ERR_NOMEM. */
uint64_t exchanges_weight(const struct machine *machine);
int exchanges_memory_digest(struct machine *machine, uint64_t *digest) NODISCARD;

/* A queue is about to go: its bindings go, as far as one entry may, and auto-delete exchanges with their last ones. Whether any are
 * left shows in `queue->bound`. ERR_NOMEM. */
int exchanges_queue_gone(struct machine *machine, struct queue *queue) NODISCARD;
/* A virtual host goes: all of its exchanges and bindings do, as far as one entry may; *ret_done: all are gone. Its queues may go before
 * or after. ERR_NOMEM. */
int exchanges_virtual_host_gone(struct machine *machine, uint64_t virtual_host, bool *ret_done) NODISCARD;

/* What a virtual host has, for its limits; 0: nothing. */
uint64_t exchanges_len_of_host(struct machine *machine, uint64_t virtual_host);
uint64_t bindings_len_of_host(struct machine *machine, uint64_t virtual_host);

/* ---- One ---- */

/* ERR_NOT_FOUND. ERR_NOMEM: the built-in ones are made when they are looked for. */
int exchange_find(struct machine *machine, uint64_t virtual_host, const char *name, size_t name_len,
                  struct exchange **ret_exchange) NODISCARD;
/* NULL when there is none; ids are unique in the machine, but those of built-in ones in their virtual host. Also one that is going. */
struct exchange *exchange_by_id(struct machine *machine, uint64_t virtual_host, uint64_t id);
/* The first exchange of a virtual host whose name sorts after `after` (NULL: the first of all); NULL when there is none. */
struct exchange *exchange_after(struct machine *machine, uint64_t virtual_host, const char *after);
/* Whether a name is one that virtual hosts keep for themselves. */
bool exchange_name_is_reserved(const char *name, size_t name_len);
/* Makes sure that those are there that every virtual host has. ERR_NOMEM. */
int exchange_host_get(struct machine *machine, uint64_t virtual_host, struct exchange_host **ret_host) NODISCARD;

/* Makes an exchange, which must not be there, with its row. The names must be valid. ERR_NOMEM. */
int exchange_new(struct machine *machine, uint64_t virtual_host, const char *name, size_t name_len,
                 const struct exchange_properties *properties, struct exchange **ret_exchange) NODISCARD;
/* Changes its protection, and with `note` (not NULL) its note, of at most NAME_LEN_MAX bytes. Not of one that is built in. ERR_NOMEM. */
int exchange_change(struct machine *machine, struct exchange *exchange, bool is_protected,
                    const struct slice *note) NODISCARD;
/* It goes, with its bindings and those that lead to it, and with auto-delete exchanges whose last one that was. When that is more than
 * one entry may do the rest follows; nobody finds it meanwhile. ERR_NOMEM. */
int exchange_delete(struct machine *machine, struct exchange *exchange) NODISCARD;
/* Nobody finds it any more, and exchanges_sweep() is to delete it: with the command, and at the end of entries. ERR_NOMEM. */
int exchange_goes(struct machine *machine, struct exchange *exchange) NODISCARD;
int exchanges_sweep(struct machine *machine) NODISCARD;
/* Whether that has something to do. */
bool exchanges_are_going(const struct machine *machine);
/* Frees it without any effect on the state; it has no bindings. */
void exchange_discard(struct machine *machine, struct exchange *exchange);

static inline bool exchange_is_default(const struct exchange *exchange)
{
    return exchange->id == EXCHANGE_ID_DEFAULT;
}
static inline bool exchange_is_built_in(const struct exchange *exchange)
{
    return exchange->id < EXCHANGE_ID_FIRST;
}

/* Whether it has these properties, but for what may differ (protection and note). */
bool exchange_has(const struct exchange *exchange, const struct exchange_properties *properties);

/* Its row; not of one that is built in. `row` is started and sealed. ERR_NOMEM. */
int exchange_row(const struct exchange *exchange, struct row *row) NODISCARD;
/* Enters the exchange of a row. ERR_CORRUPT, ERR_VERSION, ERR_NOMEM. */
int exchange_load(struct machine *machine, const struct row_key *key, struct slice value) NODISCARD;

#endif
