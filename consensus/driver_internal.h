/* The driver's insides, shared by its files and its tests. */

#ifndef HOLDFAST_CONSENSUS_DRIVER_INTERNAL_H
#define HOLDFAST_CONSENSUS_DRIVER_INTERNAL_H

#include <raft.h>

#include "consensus/configuration.h"
#include "consensus/driver.h"
#include "consensus/guard.h"
#include "consensus/log.h"
#include "consensus/message.h"
#include "consensus/meta.h"
#include "proto/base/arena.h"

/* Entries per follower that may be unanswered (the engine counts entries, not bytes). Entries kept behind a checkpoint must
 * be more than this. */
#define DRIVER_INFLIGHT_MAX 128u
#define DRIVER_TRAILING_MIN 512u

struct driver {
    struct driver_options options;
    struct raft raft;
    struct log *log;
    char log_dir[512]; /* The log borrows it. */
    struct meta *meta;
    struct guards guards;
    struct arena arena;     /* For the message being received. */
    struct message message; /* Likewise. */
    char from_address[ADDRESS_LEN_MAX + 1];
    uint64_t timeout_fired_ms;

    /* The leader whose connection has ended, until we hear of a leader again; 0: none. And when to stand for election. */
    uint64_t lost_leader;
    uint64_t stand_ms;

    /* Position. */
    uint64_t applied_index;
    uint64_t replay_end; /* Last index that was in the log when we opened it. */
    uint64_t replayed;
    uint64_t checkpoint_index; /* Of the last durable checkpoint, and its term. */
    uint64_t checkpoint_term;
    uint64_t applied_term;

    /* Membership as of the applied index, for checkpoints. */
    struct raft_configuration applied_configuration;
    uint64_t applied_configuration_index;

    /* What the host was told last. */
    enum driver_role told_role;
    uint64_t told_leader;
    uint64_t told_term;

    uint64_t barrier_term;               /* The term for which a barrier was submitted, if any. */
    uint64_t needs_rebuild[MEMBERS_MAX]; /* Members to which the engine wanted to send a snapshot; 0: free. */
};

/* The entries that an event brings with it: what update.entries may point into. */
struct driver_entries {
    struct raft_entry *raft;
    const struct log_entry *log;
    unsigned count;
};

/* driver_engine.c: one event through the engine, and what follows from it. `entries` may be NULL; `old_term`: the event is
 * a message of an older term than ours. Returns the engine's error (positive), after which nothing has changed; 0; or -1 when
 * the entries that came with the event went to the log. */
int driver_event(struct driver *driver, struct raft_event *event, const struct driver_entries *entries, bool old_term);

/* Ends the process through the host. */
_Noreturn void driver_fatal(struct driver *driver, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Term of the entry at an index, or of the checkpoint there; 0 when not known. */
uint64_t driver_term_of(const struct driver *driver, uint64_t index);

/* driver_election.c: stands for election when the leader is lost, and it is our turn. */
void driver_stand(struct driver *driver);
/* When driver_stand() is due; UINT64_MAX when it is not. */
uint64_t driver_stand_ms(const struct driver *driver);

/* driver_apply.c */
bool driver_apply(struct driver *driver); /* True when there is more to apply than one turn should. */

/* driver_checkpoint.c */
struct driver_position {
    uint64_t index;
    uint64_t term;
    uint64_t configuration_index;
    struct raft_configuration configuration;
};
int driver_position_decode(struct slice bytes, struct driver_position *ret_position) NODISCARD;
int driver_position_encode(const struct driver_position *position, struct slice *ret_bytes) NODISCARD;

/* driver_change.c: proposes a membership. `next` is borrowed. ERR_BUSY and ERR_REFUSED come with a reason. */
int driver_change(struct driver *driver, const struct raft_configuration *next, const char **ret_why) NODISCARD;

#endif
