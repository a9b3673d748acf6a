/* A shard: one Raft group with its log, its machine and its gateway. Everything of a node but threads and sockets, so
 * that a simulator can run many in one thread.
 *
 * The flow of a command, and where to read it:
 *   a connection submits it to the gateway (gateway.c), which sends it to the node that leads (gateway_forward.c); what
 *   gathered there in one turn of the loop becomes one entry (batch.c), stamped with log time (log_time.c), and is proposed
 *   to the driver (gateway_propose.c). When a majority has it on disk, every node's driver applies it to its machine, and
 *   its gateway carries out the effects for its own clients (gateway_effects.c): that is where a message is confirmed.
 */

#ifndef HOLDFAST_NODE_CORE_SHARD_H
#define HOLDFAST_NODE_CORE_SHARD_H

#include <stdbool.h>
#include <stdint.h>

#include "consensus/driver.h"
#include "rpc/gateway.h"
#include "statemachine/machine.h"
#include "statemachine/store/store.h"

struct shard;

struct shard_options {
    uint64_t node;
    const char *cluster; /* Name of the cluster; borrowed for the life of the shard, as all strings here. */
    const char *version; /* Of the program, for status. */
    const struct driver_member *members;
    unsigned members_len;
    struct disk *disk;   /* For the log, below `dir`. */
    struct store *store; /* For the machine. Taken over in any case: closed on failure. */
    struct clock *clock;
    struct journal *journal; /* May be NULL. */
    const char *dir;         /* Relative to the disk's root. */
    uint64_t checkpoint_len; /* Bytes of log after which a checkpoint is made; 0: 64 MiB. */
    uint64_t retain_len;     /* As in driver_options. */
    uint64_t segment_len;    /* As in driver_options. */
    uint64_t cache_len_max;  /* As in driver_options. */
    uint64_t reserve_len;    /* As in driver_options. */
    uint64_t fill_len;       /* As in driver_options. */
    uint64_t disk_free_min;  /* Below it new messages are refused; 0: no such watermark. */
    uint64_t memory_max;     /* Above it new messages are refused; 0: no such watermark. */
    uint64_t body_len_max;   /* Of one message, at most BODY_LEN_MAX; 0: that. For the protocols: see gateway.h. */
    unsigned election_timeout_ms;
    unsigned heartbeat_ms;
    unsigned window;
    unsigned presence_timeout_ms;  /* A node not heard of for so long is taken for lost; 0: 5 election timeouts. */
    unsigned isolation_timeout_ms; /* Without a leader for so long, clients are told to go elsewhere; 0: the same. */
    unsigned disk_stall_ms;        /* A write that the disk has not answered for so long; 0: 2000. */
    unsigned clock_skew_ms;        /* How far from the majority's wall clocks ours may be; 0: they are not compared. */
    const char *zone;              /* Where this node stands, as in zone.h; NULL or "": not said. */
    bool preferred;                /* It is to lead, when it can. */
    uint64_t rebuild_rate;         /* Bytes a second at which a copy of another node's state is fetched; 0: no limit. */
    bool fresh;                    /* The state is such a copy: the log is made to follow it (state_dir.h). */
    bool discard;                  /* With `fresh`: as in driver_options. */
    bool wants_vote;               /* This node voted once, was repaired, and is to vote again. */
    uint32_t machine_version;      /* The newest rules of the machine that it says to know; 0: all that it does. */
    const char *alarm;             /* What operators should know of this node, one line; NULL: nothing. */
    uint64_t scrub_rate;           /* Bytes a second at which what is stored is read and checked; 0: 16 MiB. */
    uint64_t scrub_interval_ms;    /* From one beginning of that to the next; 0: never. */
    void *arg;                     /* For the callbacks. */
    /* Sends a frame to a node. Takes ownership. False: it was dropped. What was taken arrives, in order, or the connection
     * ends and shard_peer_changed() says so. */
    bool (*send)(void *arg, uint64_t node, struct frame_out *frame);
    /* For what is large, on a connection of its own to a node, which is made when it is missing: a question (`asking`), or an
     * answer on the one that the node made. Takes ownership. False: it was dropped. NULL: there are no such connections, and
     * no rebuilds. */
    bool (*bulk_send)(void *arg, uint64_t node, bool asking, struct frame_out *frame);
    /* The connection that was made for questions to the node is not needed any more. */
    void (*bulk_hang_up)(void *arg, uint64_t node);
    /* Opens the copy of a state that was fetched, in the directory `name` of the shard, only to read it: nothing may change
     * there. Runs on the disk's other thread. NULL: copies are not looked at before they count. */
    int (*open_copy)(void *arg, const char *name, struct store **ret_store, char *detail, size_t detail_len);
    /* This node was too far behind, and has fetched a copy of the state, in the directory `name` of the shard. From here on
     * nothing may be given to the shard: it is to be closed, then state_dir_switch() called, then opened anew. */
    void (*replaced)(void *arg, const char *name);
    /* What is on disk is damaged, has diverged, lacks what was acknowledged, or an operator says so: `what` is one line. From here
     * on the shard does nothing. It is to be closed, and opened anew as a patient (repair.h). `ordered`: that, and nothing else is known
     * to be wrong. NULL: fatal() is called. */
    void (*damaged)(void *arg, const char *what, bool ordered);
    /* The membership in force is another one: see driver_status(). May be NULL. */
    void (*members_changed)(void *arg);
    /* This node is no member any more. May be NULL. */
    void (*removed)(void *arg);
    /* With `wants_vote`: it votes again. May be NULL. */
    void (*voting)(void *arg);
    /* Bytes of memory that this process uses. NULL: not known. */
    uint64_t (*memory_used)(void *arg);
    /* Something happened from outside the loop's own calls that makes shard_step() due (a disk completion). May be
     * NULL. */
    void (*wake)(void *arg);
    /* An entry has been applied, and its effects are about to be carried out: for checkers. May be NULL. */
    void (*applied)(void *arg, uint64_t index, struct slice payload, const struct effects *effects);
    /* Memory that was freed is to be given back to the system: the node is idle, or above its watermark. May be NULL. */
    void (*relax)(void *arg);
    /* The process must end. Does not return (the simulator jumps out). */
    void (*fatal)(void *arg, int err, const char *what);
};

/* Opens machine and driver. `detail` gets one line on error. */
int shard_open(const struct shard_options *options, struct shard **ret_shard, char *detail,
               size_t detail_len) NODISCARD;

/* Closes everything, as a crash would: what is not on disk is lost. All links must have been detached. */
void shard_close(struct shard *shard);

/* The port for the protocols. */
struct gateway *shard_gateway(struct shard *shard);

/* A PEER_RAFT or PEER_GATEWAY frame from a node whose identity has been proven. Borrows. ERR_BROKEN: close the connection. */
int shard_receive(struct shard *shard, uint64_t from, const struct frame *frame) NODISCARD;

/* A PEER_REBUILD frame, on a connection for what is large: an answer (`asking`), on one that we made, or a question. As
 * shard_receive(). */
int shard_receive_bulk(struct shard *shard, uint64_t from, bool asking, const struct frame *frame) NODISCARD;
/* The connection that we made for questions to the node is over, or could not be made; or it is there. A step is due. */
void shard_bulk_lost(struct shard *shard, uint64_t node);
void shard_bulk_connected(struct shard *shard, uint64_t node);

/* What this node has on disk is not to be relied on: as options.damaged says, from the end of this turn on. */
void shard_damaged(struct shard *shard, const char *what);
/* An operator wants this node to begin anew with a copy: the same. */
void shard_ordered(struct shard *shard, const char *what);

/* The end of a turn of the loop: proposes what gathered, drives consensus, applies, carries out effects, starts a
 * checkpoint when one is due. Call it after every batch of events and at the deadline. */
void shard_step(struct shard *shard);
uint64_t shard_deadline_ms(const struct shard *shard);

/* What is known about another node's connection, for redirects and status. `client_address` may be NULL (unknown). */
void shard_peer_changed(struct shard *shard, uint64_t node, bool connected, const char *client_address);
/* Where clients reach this node. */
void shard_set_client_address(struct shard *shard, const char *client_address);

/* Begins to stop: hands leadership over when it leads, refuses new attachments. Step on until shard_stopped(). */
void shard_stop(struct shard *shard);
bool shard_stopped(const struct shard *shard);

/* Whether a copy of another node's state is being fetched. */
bool shard_rebuilding(const struct shard *shard);

/* Whether this node votes, as its log has it. */
bool shard_votes(const struct shard *shard);

/* For checkers and status. */
struct driver *shard_driver(struct shard *shard);
struct machine *shard_machine(struct shard *shard);
/* Commands of this node and its clients, and reads, that have no answer yet. */
size_t shard_unanswered(const struct shard *shard);

#endif
