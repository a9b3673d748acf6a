/* The gateway: the port of rpc/gateway.h, before a machine and a driver.
 *
 * Only the leader serves. An attachment is a command in the log like any other, so that when it is answered this node
 * has applied everything that was committed before: what the answer says is never stale. Commands gather in a batch;
 * replies go to the link that submitted the command, and to no other; deliveries go to the link that the session is
 * bound to, in the order of their numbers, read back from the machine from the last one sent. Nothing is queued for a
 * link that cannot take it: it is only remembered that it is behind.
 *
 * Sink callbacks are made from within shard_step() alone. */

#ifndef HOLDFAST_NODE_CORE_GATEWAY_H
#define HOLDFAST_NODE_CORE_GATEWAY_H

#include <stdbool.h>
#include <stdint.h>

#include "consensus/driver.h"
#include "node/core/batch.h"
#include "node/core/leases.h"
#include "node/core/links.h"
#include "node/core/log_time.h"
#include "node/core/peers.h"
#include "node/core/proposals.h"
#include "rpc/gateway.h"
#include "statemachine/machine.h"

/* Commands that wait to be proposed: of one link, and of all. The first command of a link is always taken while there
 * is room in the whole, whatever its size. */
#define LINK_PENDING_COMMANDS_MAX SESSION_WINDOW_MAX
#define LINK_PENDING_BYTES_MAX (4 * MIB)
#define GATEWAY_PENDING_COMMANDS_MAX 32768u
#define GATEWAY_PENDING_BYTES_MAX (64 * MIB)

_Static_assert(GATEWAY_PENDING_COMMANDS_MAX < BATCH_COMMANDS_MAX, "the node's own commands find room in a full batch");

/* What one link is sent in a turn of the loop; the rest waits for the next turn, so that one link cannot hold up the
 * others. */
#define TURN_DELIVERIES_MAX 4096u
#define TURN_BYTES_MAX (4 * MIB)

struct gateway_core {
    struct gateway base;
    /* Borrowed for the life of the gateway. */
    struct machine *machine;
    struct driver *driver;
    struct clock *clock;
    struct journal *journal;
    const struct peers *peers;
    const char *cluster;
    const char *version;
    uint64_t node;
    void *fatal_arg;
    void (*fatal)(void *arg, int err, const char *what);

    bool leading;  /* Commands are taken. */
    bool serving;  /* And proposed: everything of earlier terms has been applied. */
    bool stopping; /* No new attachments. */
    bool in_turn;  /* Callbacks are being made: links are freed at the end of the turn. */
    bool more;     /* Something is left to be done in the next turn at once. */
    uint64_t leader;
    uint64_t term;
    struct log_time time;
    struct batch batch;
    struct proposals proposals;
    struct leases leases;
    struct links links;
    struct list_node touched;
    struct list_node behind;
    struct list_node busy;
    struct list_node ending;
    struct driver_status status; /* Holds the addresses that status() gives out. */
};

struct gateway_core_options {
    struct machine *machine;
    struct driver *driver;
    struct clock *clock;
    struct journal *journal;
    const struct peers *peers;
    const char *cluster;
    const char *version;
    uint64_t node;
    uint64_t body_len_max; /* As in struct gateway. */
    void *fatal_arg;
    void (*fatal)(void *arg, int err, const char *what);
};

void gateway_core_init(struct gateway_core *core, const struct gateway_core_options *options);
/* Forgets all links. */
void gateway_core_done(struct gateway_core *core);

/* From the driver, possibly in the middle of its work: notes it; the links are told at the end of the turn. */
void gateway_core_role_changed(struct gateway_core *core, bool leading, uint64_t leader, uint64_t term);

/* From the driver: the entry has been applied, with these effects. Makes no call to the machine. */
void gateway_core_applied(struct gateway_core *core, uint64_t index, uint64_t term, const struct effects *effects);

/* Proposes what has gathered, as far as the driver takes it. Whether anything was proposed. */
bool gateway_core_propose(struct gateway_core *core);

/* Ends a turn: leases, deliveries, flushes, resumes, and the farewell to links that are over. */
void gateway_core_turn(struct gateway_core *core);

/* When gateway_core_turn() is due again at the latest, by the monotonic clock. */
uint64_t gateway_core_deadline_ms(const struct gateway_core *core);

/* For the gateway's own files. */

/* Appends a command of the node itself to the batch. ERR_NOMEM, ERR_LIMIT, ERR_TOO_BIG. */
int gateway_submit_attach(struct gateway_core *core, const struct gateway_attach *attach, uint64_t link) NODISCARD;
int gateway_submit_expire(struct gateway_core *core, uint64_t session, uint64_t attachment) NODISCARD;

/* The link is over, with `err` and a line for the protocol's side. Harmless when it is already. */
void gateway_link_doom(struct gateway_core *core, struct link *link, int err, const char *detail);
/* The link is to be flushed at the end of the turn. */
void gateway_link_touch(struct gateway_core *core, struct link *link);
/* Deliveries of the consumer above what was sent are to be caught up. */
void gateway_consumer_behind(struct gateway_core *core, struct link *link, struct link_consumer *consumer);
/* The session has no such consumer any more, its queue was deleted: forgets it and tells the link's protocol. */
void gateway_consumer_ended(struct gateway_core *core, struct link *link, uint64_t id);
/* Sends what links that are behind can take now. */
void gateway_deliver(struct gateway_core *core);
/* Starts the lease of a session that has no link. */
void gateway_lease_start(struct gateway_core *core, uint64_t session, uint64_t attachment);
/* Submits the expiry of sessions whose lease has run out. */
void gateway_end_leases(struct gateway_core *core);

void gateway_fill_status(struct gateway *gateway, struct gateway_status *ret_status);
int gateway_list_queues(struct gateway *gateway, const char *after, size_t max, const struct gateway_query_sink *sink,
                        bool *ret_more);

#endif
