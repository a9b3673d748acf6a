/* The driver: hosts the consensus engine (c-raft 0.22.1, through raft_step) between a log, a network and a state machine.
 *
 * It is one ready loop: an event goes in, the engine decides, and then, in this order: term and vote are made durable;
 * entries go to the log; messages go out; what is newly committed is applied. The guards of guard.h stand between the
 * engine and the world. The driver neither blocks (but for term and vote) nor reads a clock other than the one it is
 * given, so a simulator can run many in one thread.
 *
 * All calls and callbacks are on one thread. Callbacks must not call back into the driver, except where said so. */

#ifndef HOLDFAST_CONSENSUS_DRIVER_H
#define HOLDFAST_CONSENSUS_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/log.h"
#include "proto/base/blob.h"
#include "proto/base/clock.h"
#include "proto/base/disk.h"
#include "proto/base/err.h"
#include "proto/base/journal.h"
#include "proto/base/limits.h"
#include "proto/wire/frame.h"

struct driver;

enum driver_role { DRIVER_FOLLOWER, DRIVER_CANDIDATE, DRIVER_LEADER };

struct driver_member {
    uint64_t id;         /* Not 0. */
    const char *address; /* Where other nodes reach it. */
};

/* What the driver calls. */
struct driver_host {
    void *arg;
    /* Sends a frame to a node, or drops it: Raft allows for both. Takes ownership of the frame. For some seconds that may also be
     * a node that was just removed. */
    void (*send)(void *arg, uint64_t node, struct frame_out *frame);
    /* A committed entry, in order, each exactly once per process. Borrows the payload; slice_ref() to keep it. An error
     * ends the process: replicas must not differ. */
    int (*apply)(void *arg, uint64_t index, uint64_t term, struct slice payload);
    /* The role or the known leader (0: none) changed. When leadership is lost, what was submitted and not applied has
     * an unknown outcome. */
    void (*role_changed)(void *arg, enum driver_role role, uint64_t leader, uint64_t term);
    /* The answer to driver_read(): this node was the leader after the round was asked for, so a replica that has applied
     * everything up to `index` knows all that was confirmed before. Lost when leadership is. */
    void (*read_ready)(void *arg, uint64_t round, uint64_t index);
    /* The leader no longer has the entries that this node lacks, and this node's log has not grown for an election timeout:
     * it needs a copy of the state (driver_rejoin()). Said again and again for as long as it is so. May be NULL. */
    void (*behind)(void *arg, uint64_t leader);
    /* The membership in force (that of the newest CHANGE in the log, committed or not) is another one: driver_status() has it.
     * May be NULL. */
    void (*members_changed)(void *arg);
    /* This node is no member any more: a committed CHANGE says so, and nothing that is known to be committed says otherwise. It
     * may have been added again all the same, without our knowledge: nothing is to be destroyed for this. May be NULL. */
    void (*removed)(void *arg);
    /* As leader: the node, which votes, once said that it had stored everything up to `had`, and its log ends at `has` now. It
     * has lost what may have made entries committed, and must not vote (driver_rejoin() with `discard`). Said about once a second
     * for as long as it is so. May be NULL. */
    void (*forgot)(void *arg, uint64_t node, uint64_t had, uint64_t has);
    /* The process must end: the disk failed, or the engine found a contradiction. `what` is one line. Does not return. */
    void (*fatal)(void *arg, int err, const char *what);
};

struct driver_options {
    uint64_t id;
    uint32_t shard;
    const struct driver_member *members; /* For the first start; until it is changed, the log must know no others. */
    unsigned members_len;
    struct disk *disk;
    struct clock *clock;
    struct journal *journal;
    const char *dir; /* Relative to the disk's root; created when missing. */
    struct driver_host host;
    unsigned election_timeout_ms; /* 0: 300. Randomised by the engine between once and twice. */
    unsigned heartbeat_ms;        /* 0: 50. */
    unsigned window;              /* Entries submitted and not yet committed, at most; 0: 4. */
    uint64_t segment_len;         /* 0: LOG_SEGMENT_LEN. */
    uint64_t cache_len_max;       /* 0: 64 MiB. */
    uint64_t fill_len;            /* As in log_options. */
    uint64_t reserve_len;         /* Log kept allocated ahead of need; 0: two segments. For when the disk is full. */
    uint64_t retain_len;          /* Log kept behind a checkpoint for members that are behind; 0: 1 GiB. */
    /* From the machine's checkpoint: the index up to which entries are in it, and the bytes that driver_checkpoint()
     * gave for it. 0 and empty when there is none. */
    uint64_t applied_index;
    struct slice checkpoint;
    /* For driver_rejoin(): what log and meta hold counts for nothing, and need not be readable. */
    bool discard;
};

/* Opens log and meta, recovers, and starts as a follower. Entries after `applied_index` that turn out to be committed are
 * applied later, from driver_step(). `detail` gets one line on error.
 * ERR_CORRUPT, ERR_VERSION, ERR_FOREIGN (the log is of another cluster's members, or of another node), ERR_IO... */
int driver_open(const struct driver_options *options, struct driver **ret_driver, char *detail,
                size_t detail_len) NODISCARD;

/* Before driver_open(), when the state has been replaced by a copy from another node: makes the log in `dir` go on after the
 * copy, whose position is `checkpoint` (as in driver_options), and the term no older than the copy's. What the log held goes,
 * unless it can go on from the copy as it is (driver_lacks()): then it stays. Vote and term stay, but for an older term.
 * Everything is durable afterwards. After a crash in its middle it must be called again, before anything else; once too often
 * does no harm, also when the log has grown since.
 * With `discard`, for a node that is new or whose data is damaged: log and term begin anew with the copy, whatever is there; but
 * a log that begins right after the copy is left alone, as above, and a later term that can be read is kept, with its vote. So
 * it forgets what it has acknowledged and whom it has voted for: that is safe only because it does not vote in the membership
 * of the copy, which is checked (ERR_REFUSED); and because the copy comes from a leader that was one after the node had ceased to
 * vote, which is for the host to see to: such a leader has answered a driver_read() asked for since then, has no CHANGE that is not
 * committed, and makes the copy after it has applied the last one.
 * ERR_CORRUPT: the position, meta or the log. ERR_REFUSED: the copy is older than what the log begins with. ERR_IO, ERR_NO_SPACE,
 * ERR_NOMEM... After any of them the log is as it was, or as it should be. `detail` gets one line. */
int driver_rejoin(const struct driver_options *options, char *detail, size_t detail_len) NODISCARD;

/* Whether this node's log cannot go on from what it has to the entry of that index and term: it ends before it, or has
 * another one there (Raft §7). If not, a copy of the state up to there is not needed. To be asked in the same turn of the loop
 * in which the copy takes the place of the state, since the log may grow in any other. */
bool driver_lacks(const struct driver *driver, uint64_t index, uint64_t term);

/* Keeps the entries from `index` on in the log whatever checkpoints are made, for a node that fetches a copy of the state up to
 * there; UINT64_MAX: none are kept for that reason, and what was goes with the next checkpoint. A lower index than that of the
 * last call keeps what is still there. Not kept across a restart. */
void driver_hold(struct driver *driver, uint64_t index);
/* Bytes of log that are kept for that reason alone, as of the last checkpoint. */
uint64_t driver_held_bytes(const struct driver *driver);

/* Closes the files. For a clean stop, wait until driver_idle(). */
void driver_close(struct driver *driver);

/* A PEER_RAFT frame from a node whose identity has been proven. Borrows the frame. Anything can be in it: a malformed
 * one is ERR_BROKEN, and the connection should be closed; nothing has happened then. */
int driver_receive(struct driver *driver, uint64_t from, const struct frame *frame) NODISCARD;

/* The connection to a node has ended: its process has died, or cannot be reached. If it was the leader, and is not heard by
 * another connection for a heartbeat, an election begins without waiting for the timeout, staggered by rank so that followers
 * do not split the vote. Always safe: an election can
 * only cost time. Takes effect in driver_step(). */
void driver_peer_lost(struct driver *driver, uint64_t node);

/* Does what is due: fires timeouts, submits the barrier of a new term, applies. Call it after every batch of events and at
 * the deadline. */
void driver_step(struct driver *driver);

/* The monotonic time in milliseconds at which driver_step() is due again at the latest. */
uint64_t driver_deadline_ms(const struct driver *driver);

/* Proposes an entry. On success the driver holds its own reference to the payload, and the entry has *ret_index in
 * *ret_term; it is committed only if apply() is called with both. ERR_NOT_LEADER (also while leadership is being handed
 * over), ERR_BUSY (the window is full), ERR_NO_SPACE (the log is full, and the disk too), ERR_TOO_BIG, ERR_NOMEM: it was not
 * proposed. */
int driver_submit(struct driver *driver, struct slice payload, uint64_t *ret_index, uint64_t *ret_term) NODISCARD;

/* Whether driver_submit() would not say BUSY, NO_SPACE or NOT_LEADER. With segments too short for the largest entry
 * (ENTRY_LEN_MAX), such a one may still be refused for want of space. */
bool driver_ready(const struct driver *driver);

/* Asks for a read index (Raft thesis §6.4): read_ready() follows for this round, or for a later one, from driver_step() or
 * driver_receive(). Calls of one turn share a round, and cost one message to each other voter; no log entry. ERR_NOT_LEADER
 * also before an entry of our own term is committed: ask again in a later turn. */
int driver_read(struct driver *driver, uint64_t *ret_round) NODISCARD;

/* Whether the node is to hear at once of what is committed, because clients wait there for what it applies, rather than with
 * the next entry or heartbeat. Kept until changed; matters while leading. */
void driver_set_prompt(struct driver *driver, uint64_t node, bool prompt);

/* Hands leadership to `node`, or with 0 to the voter that holds most of the log, of those heard of within an election timeout.
 * Our own disk may be behind. 0: it is under way, or was already; no entries are taken until the outcome shows in
 * role_changed(), or until it is given up after an election timeout: then ask again. ERR_NOT_LEADER; ERR_NOT_FOUND: no such
 * voter, or none alive; ERR_BUSY: it is being handed to another. */
int driver_transfer(struct driver *driver, uint64_t node) NODISCARD;

/* A change of the membership, one member at a time (Raft thesis §4.1). */
enum driver_change_kind {
    DRIVER_ADD,     /* `node`, at `address`, follows and does not vote. */
    DRIVER_PROMOTE, /* It votes. It must have caught up. */
    DRIVER_DEMOTE,  /* It votes no more. */
    DRIVER_REMOVE,
};
struct driver_change {
    enum driver_change_kind kind;
    uint64_t node;
    const char *address; /* For ADD; copied. */
};

/* Proposes a change. 0: it is entry *ret_index, and made when that is committed; or it is so already (*ret_index 0).
 * ERR_NOT_LEADER, also while leadership is being handed over. ERR_BUSY: not now, *ret_why says what must be first: another
 * change is under way; an entry of the present term is to be committed; who is to be promoted must catch up, and have said
 * within the last election timeout that it still has what it had stored (this call asks it: call again some milliseconds
 * later); of those that would vote a majority must be there, and keep up (whoever is demoted or removed need not). ERR_REFUSED, ERR_NOT_FOUND (no such
 * member), ERR_INVALID (number or address), ERR_LIMIT (MEMBERS_MAX): not like this, *ret_why says why. ERR_NO_SPACE, ERR_NOMEM.
 * *ret_why is static text, empty when it returns 0. */
int driver_change(struct driver *driver, const struct driver_change *change, uint64_t *ret_index,
                  const char **ret_why) NODISCARD;

/* The bytes that a checkpoint of the state as of the applied index must hold for the driver: membership and position.
 * The caller owns the slice. */
int driver_checkpoint(struct driver *driver, uint64_t *ret_index, struct slice *ret_bytes) NODISCARD;

/* Such a checkpoint is durable: the log before it may go, except for what is retained for others. */
int driver_checkpoint_stored(struct driver *driver, uint64_t index, struct slice bytes) NODISCARD;

struct driver_status {
    uint64_t id;
    uint64_t leader; /* 0: not known. */
    uint64_t term;
    uint64_t voted_for;
    enum driver_role role;
    uint64_t commit_index;
    uint64_t applied_index;
    uint64_t applied_term; /* Of the entry applied last, or of the checkpoint. */
    uint64_t log_first;
    uint64_t log_last;
    uint64_t log_stored;
    uint64_t checkpoint_index;
    uint64_t checkpoint_term;
    uint64_t replayed;   /* Entries applied from this node's own log that an earlier process had written. */
    bool term_committed; /* As leader: an entry of our own term is committed. */
    uint64_t guards[11]; /* How often guard 1 to 10 acted. */
    uint64_t log_room;   /* Bytes that the log can take before it needs more of the disk. */
    bool log_short;      /* The disk gave no space for more log when it was last asked. */
    bool log_full;       /* It cannot get more of the disk: no entries are taken until it can. */
    uint64_t
        disk_wait_ms; /* For how long the oldest write to the log has not been answered by the disk; 0: none waits. */
    struct driver_status_member {
        uint64_t id;
        char address[ADDRESS_LEN_MAX + 1];
        bool voter;
        uint64_t match_index; /* As leader. */
        bool needs_rebuild;   /* As leader: its next entry is no longer in our log. */
        bool forgot;          /* As leader: as host.forgot has it, until it has stored as much again. */
    } members[MEMBERS_MAX];
    unsigned members_len;
    uint64_t change_index;  /* Of a CHANGE that is not committed; 0: none. */
    uint64_t members_index; /* Of the last CHANGE applied; 0: none is known (it is older than the checkpoint knows). */
};

void driver_status(const struct driver *driver, struct driver_status *ret_status);

/* Bytes of log applied since the last checkpoint: what triggers the next one. Entries that are not applied do not count: a
 * checkpoint would not hold them, and one without any entry is none. */
uint64_t driver_log_bytes_since_checkpoint(const struct driver *driver);

/* Nothing is waiting for the disk. */
bool driver_idle(const struct driver *driver);

/* For checkers: the log, to compare replicas. */
struct log *driver_log(struct driver *driver);

#endif
