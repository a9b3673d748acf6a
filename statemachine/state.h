/* The state behind struct machine; for the files of this room only.
 *
 * Row 'G': u64 applied index, u64 time_ms, u32 machine version, u64 next session, u64 next queue, u64 due cursor,
 * u64 running digest, (since ROW_VERSION_NEW: u64 time of the first timer, u64 next virtual host, u64 next pending message), u32 length of the consensus bytes, consensus
 * bytes. */

#ifndef HOLDFAST_STATEMACHINE_STATE_H
#define HOLDFAST_STATEMACHINE_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/arena.h"
#include "proto/base/list.h"
#include "statemachine/effect_list.h"
#include "statemachine/exchange/exchange.h"
#include "statemachine/machine.h"
#include "statemachine/message/body_cache.h"
#include "statemachine/publish/producer.h"
#include "statemachine/publish/publish.h"
#include "statemachine/queue/expiry.h"
#include "statemachine/queue/parting.h"
#include "statemachine/queue/queue.h"
#include "statemachine/session/lease.h"
#include "statemachine/session/presence.h"
#include "statemachine/session/session.h"
#include "statemachine/store/rows.h"
#include "statemachine/table/table.h"
#include "statemachine/table/timer.h"
#include "statemachine/virtual_host/virtual_host.h"
#include "statemachine/work.h"

/* Limits of the state as a whole: part of the rules, so they change only with the machine's version. */
#define QUEUES_MAX 1048576u
#define QUEUES_MAX_OLD 65536u /* Under version 1. */
#define SESSIONS_MAX 65536u
#define CONSUMERS_MAX 524288u

/* A row that is in the store, or in the checkpoint in flight, and is to be deleted with the next one. For ROW_QUEUE all
 * rows of the queue go. */
struct forgotten_row {
    enum row_kind kind;
    uint64_t a;
    uint64_t b;
};

struct machine {
    struct store *store;
    uint64_t applied_index;
    uint64_t applying_index; /* Of the entry that is being applied. */
    uint64_t time_ms;
    uint32_t version;
    uint64_t next_session;
    uint64_t next_queue;
    uint64_t next_body;  /* The next id of a shared body. */
    uint64_t due_cursor; /* The queue whose turn is next when not all deliveries fitted the last entry; 0: all did. */
    uint64_t running_digest;

    struct queue *queues;           /* By id. */
    struct queue *doomed;           /* By id: of which there is nothing left but messages to be dropped. */
    uint64_t sweeps;                /* Rows that say which (sweep.h). */
    struct queue_names queue_names; /* By name. */
    struct queue_dues due_queues;   /* That may have something to deliver. */
    struct session *sessions;       /* By id, in order of id. */
    struct session *session_keys;   /* By key. */
    size_t sessions_max;            /* SESSIONS_MAX and CONSUMERS_MAX, but for tests. */
    size_t consumers_max;
    size_t consumers_len;
    struct leases leases;                     /* Sessions that are attached nowhere, by the end of their lease. */
    struct leases ending_sessions;            /* That have ended, but for what they have (session_end.c), by id. */
    struct ending_consumers ending_consumers; /* Likewise, by session and id. */
    struct list_node presences;               /* Nodes that are present, in order of node. */
    unsigned presences_len;
    struct producers producers;
    struct virtual_hosts virtual_hosts;
    uint64_t next_pending; /* Id of the next message, or messages, that are kept aside (pending.h, prepared.h). */
    struct publishing publishing; /* Scratch of publish.h. */
    struct table table;
    struct timers timers;
    struct exchanges exchanges;

    /* What the next checkpoint has to write. */
    struct list_node changed_queues;
    struct list_node changed_presences;
    struct list_node changed_sessions;
    struct list_node changed_consumers;
    struct list_node unstored_returns;
    struct forgotten_row *forgotten;
    size_t forgotten_len;
    size_t forgotten_cap;
    struct machine_checkpoint *checkpoint; /* The one in flight. */
    struct machine_checkpoint *failed;     /* Its changes go first in the next one. */
    uint64_t overlay_bytes;

    /* Scratch for one entry. */
    struct work work;
    struct effect_list effects;
    struct arena arena;
    struct row row;
    struct body_cache bodies;
    struct partings partings;
    struct expiries undelivered;
    int err;               /* The first failure in a place that cannot return one; ends the apply. */
    char said[320];        /* Which row was found damaged, and how; empty: none was. */
    struct row_key looked; /* The row that was looked for last, in the table or among messages. No state. */
};

/* Notes that a row of the store is damaged, for machine_explain(); gives the error back. Other errors are not noted. */
int state_blame(struct machine *machine, const struct row_key *key, int err, const char *what);

/* Notes that a row is looked for; and that it is to blame for an error of which nobody has said more; gives the error back. */
void state_look_at(struct machine *machine, const struct row_key *key);
int state_blame_looked(struct machine *machine, int err);

/* Notes a row for deletion. Out of memory shows in machine->err. */
void state_forget_row(struct machine *machine, enum row_kind kind, uint64_t a, uint64_t b);

/* The globals' row. ERR_NOMEM. */
int state_row(const struct machine *machine, struct slice consensus, struct row *row) NODISCARD;

/* A message that is in the queue: its slot, or its row read from the store, with its content. The caller owns the references in
 * ret_message: message_unref(). ERR_NOT_FOUND, ERR_CORRUPT, ERR_IO, ERR_NOMEM. The content's hash is not checked. */
int state_message(struct machine *machine, struct queue *queue, uint64_t position,
                  struct message *ret_message) NODISCARD;

/* Likewise, from its row in the store, whether it is in the queue still or not. */
int state_read_message(struct machine *machine, uint64_t queue, uint64_t position,
                       struct message *ret_message) NODISCARD;

/* What is known of a message without its content. ERR_NOT_FOUND, ERR_CORRUPT, ERR_IO. */
struct message_head {
    uint64_t enqueued_ms;
    uint64_t hash;
    uint64_t expires_ms;
    uint64_t group;
    uint64_t shared_body;
    uint64_t bytes_before;
    uint32_t head_len;
    uint32_t body_len;
    uint32_t trail_len;
    uint32_t counted_len; /* message_counted_len(). */
};
int state_message_head(struct machine *machine, struct queue *queue, uint64_t position,
                       struct message_head *ret_head) NODISCARD;
struct message_head state_head_of(const struct message *message);

/* Hands ready messages to waiting consumers, queues taking turns, as far as one entry may. */
int deliver_due(struct machine *machine) NODISCARD;
/* What has come back to its queue since then is delivered by the next entry, which is due at once. */
void deliver_look(struct machine *machine);

/* Goes on with all that goes bit by bit, as far as one entry may, at its end; and whether there is any of that. */
int state_go(struct machine *machine) NODISCARD;
bool state_is_going(const struct machine *machine);

/* Ends the session, with its effect when all that it has is gone. */
int state_end_session(struct machine *machine, struct session *session, enum session_end end) NODISCARD;

#endif
