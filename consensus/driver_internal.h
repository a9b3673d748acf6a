/* The driver's insides, shared by its files and its tests. */

#ifndef HOLDFAST_CONSENSUS_DRIVER_INTERNAL_H
#define HOLDFAST_CONSENSUS_DRIVER_INTERNAL_H

#include <raft.h>

#include "consensus/configuration.h"
#include "consensus/driver.h"
#include "consensus/guard.h"
#include "consensus/log.h"
#include "consensus/log_path.h"
#include "consensus/message.h"
#include "consensus/meta.h"
#include "proto/base/arena.h"

/* Entries per follower that may be unanswered: many, for a follower with a slow disk, which syncs as many at once; but no
 * more than so many bytes, which the loop has to read at once for one that is behind. (The engine counts entries, for all
 * followers alike.) Entries kept behind a checkpoint must be more than this. */
#define DRIVER_INFLIGHT_MAX 448u
#define DRIVER_INFLIGHT_MIN 7u
#define DRIVER_INFLIGHT_BYTES (16 * MIB)
/* Entries that a leader may have proposed and not stored itself. */
#define DRIVER_UNSTORED_MAX 128u
#define DRIVER_TRAILING_MIN 512u
/* Of the messages to a node that answers and does not take the entries offered, one in so many offers them again. */
#define DRIVER_OFFERS_EVERY 8u

/* Rounds of driver_read(). */
struct driver_reads {
    uint64_t term;    /* In which they were asked for. */
    uint64_t asked;   /* The last one that somebody waits for. */
    uint64_t started; /* The last one begun; `asked` when nothing gathers. */
    bool running;     /* `started` has no majority yet. */
    uint64_t index;   /* The commit index when it began. */
    uint64_t sent_ms;
    uint64_t answers[MEMBERS_MAX]; /* Nodes. */
    unsigned answers_len;
};

/* Another node. All but the first three are of `term`, in which we lead. */
struct driver_peer {
    uint64_t id; /* 0: free. */
    bool prompt;
    uint64_t heard_ms; /* When a message of it came in last. */
    uint64_t term;
    uint64_t told;    /* What we sent lets it know that everything up to here is committed. */
    uint64_t offered; /* After which entry we last offered entries, how often again, */
    uint64_t offers;  /* and whether it has answered anything since. */
    bool answered;
    bool rebuild;      /* It needed entries that our log no longer has, and none that it has since. */
    uint64_t probed;   /* Its last entry, when we asked whether ours is the same. */
    bool doubted;      /* It refused what it had acknowledged. */
    bool forgot;       /* It has said that its log ends before that. */
    uint64_t question; /* The last one that it was asked about it, what it had acknowledged by then, and when. */
    uint64_t acknowledged;
    uint64_t questioned_ms;
    uint64_t proven_ms; /* When it last said that it still has that; 0: not since its connection has ended. */
};

/* Entries that a node gets past the engine: one that was removed, or one without a vote that has begun anew. */
enum driver_feed_kind { DRIVER_FEED_REMOVED, DRIVER_FEED_LEARNER };
struct driver_feed {
    uint64_t id;   /* 0: none. */
    uint64_t term; /* In which we lead. */
    uint64_t next; /* The entry that it gets next, */
    uint64_t end;  /* and the last one. */
    uint64_t sent_ms;
    uint64_t until_ms; /* When we give up; 0: nothing was sent since it moved. */
};

struct driver {
    struct driver_options options;
    struct raft raft;
    struct log *log;
    char log_dir[LOG_PATH_LEN_MAX]; /* The log borrows it. */
    struct meta *meta;
    struct guards guards;
    struct arena arena;     /* For the message being received. */
    struct message message; /* Likewise. */
    char from_address[ADDRESS_LEN_MAX + 1];
    uint64_t timeout_fired_ms;

    /* The leader whose connection has ended, until we hear of a leader again; 0: none. When that was, and when to stand for
     * election. */
    uint64_t lost_leader;
    uint64_t lost_ms;
    uint64_t stand_ms;

    /* A timeout of the engine that was noticed late, and when it may be fired. */
    uint64_t late_due_ms;
    uint64_t grace_ms;

    struct driver_reads reads;
    struct driver_peer peers[MEMBERS_MAX];
    struct driver_feed feeds[2];
    uint64_t questions;        /* How many were asked (driver_forgot.c). */
    uint64_t transfer_said_ms; /* When the successor was last told to stand; 0: not since the transfer began. */

    uint64_t prepare_ms;      /* When a log that is short asks the disk again. */
    uint64_t disk_waiting;    /* The write of the log that has been waiting, as log_write_waiting(), */
    uint64_t disk_waiting_ms; /* and since when. */

    /* Position. */
    uint64_t applied_index;
    uint64_t replay_end; /* Last index that was in the log when we opened it. */
    uint64_t replayed;
    uint64_t checkpoint_index; /* Of the last durable checkpoint, and its term. */
    uint64_t checkpoint_term;
    uint64_t applied_term;

    uint64_t hold;       /* As driver_hold() has it. */
    uint64_t kept_first; /* What the last checkpoint would have left as our first entry, but for that. */

    /* Membership as of the applied index, for checkpoints. */
    struct raft_configuration applied_configuration;
    uint64_t applied_configuration_index;

    struct raft_configuration told_members; /* What the host knows. */
    uint64_t heard_commit;                  /* The highest commit index that a leader has named. */
    bool told_removed;

    /* What the host was told last. */
    enum driver_role told_role;
    uint64_t told_leader;
    uint64_t leader_term; /* The highest in which a leader has told the engine that it is one. */
    uint64_t told_term;

    uint64_t barrier_term; /* The term for which a barrier was submitted, if any. */

    /* The leader's term and our last entry when we last said that this node needs a rebuild, and when that was. */
    uint64_t rebuild_term;
    uint64_t rebuild_last;
    uint64_t rebuild_ms;
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

/* Writes down the engine's term and vote. */
void driver_save_meta(struct driver *driver);

/* Term of the entry at an index, or of the checkpoint there; 0 when not known. */
uint64_t driver_term_of(const struct driver *driver, uint64_t index);

/* Sends what the engine does not: an AppendEntries without entries, which the peer is then known to have been told, and one
 * of which nothing is noted. The payloads are borrowed. */
void driver_send_message(struct driver *driver, const struct raft_message *message);
void driver_send_entries(struct driver *driver, uint64_t node, const struct raft_append_entries *append,
                         const struct log_entry *entries, unsigned count);
void driver_send_append(struct driver *driver, uint64_t node, const struct raft_append_entries *append);
void driver_send_read(struct driver *driver, uint64_t node, enum message_kind kind, uint64_t round);

/* driver_read.c: begins a round when one was asked for, and asks again; when that is due; and what peers say to it (in
 * driver->message). */
void driver_read_step(struct driver *driver);
uint64_t driver_read_ms(const struct driver *driver);
void driver_read_ping(struct driver *driver, uint64_t from);
void driver_read_pong(struct driver *driver, uint64_t from);

/* driver_peers.c. NULL: nothing is known of that node. */
const struct driver_peer *driver_peer_find(const struct driver *driver, uint64_t id);
/* The same, made when there is none and place for one; for the present term. */
struct driver_peer *driver_peer_of(struct driver *driver, uint64_t id);
/* Whether a message of it has come in within an election timeout. */
bool driver_peer_is_there(const struct driver *driver, uint64_t id);
/* What is known of nodes that are no members is forgotten. */
void driver_peers_keep_members(struct driver *driver);
/* A message has come in; `result` if it answers an AppendEntries, else NULL. */
void driver_peer_heard(struct driver *driver, uint64_t id, const struct raft_message *result);
/* What was sent to it may not have arrived. */
void driver_peer_forget(struct driver *driver, uint64_t id);
/* An AppendEntries with `count` entries goes to it. */
void driver_peer_told(struct driver *driver, uint64_t id, const struct raft_append_entries *append, unsigned count);
/* In how many frames entries may be offered: as many as it takes, but for a node that was offered these, has answered, and
 * has not taken them: one, or often none. (Raft allows for a message with fewer entries, or none.) */
unsigned driver_peer_offer(struct driver *driver, uint64_t id, uint64_t prev_log_index);
/* How many entries a follower may have unanswered now. */
unsigned driver_inflight(const struct driver *driver);
/* It needs entries that our log no longer has. True when that is news. */
bool driver_peer_rebuild(struct driver *driver, uint64_t id);
/* Whether a node that needs them is to be asked if its last entry is ours: not when it was. Notes that it is. */
bool driver_peer_probe(struct driver *driver, uint64_t id, uint64_t last);
/* Tells those that wait for it what is committed. */
void driver_prompt(struct driver *driver);

/* driver_transfer.c: tells the successor again, as soon as it holds everything; and notes that the engine did. */
void driver_transfer_step(struct driver *driver);
void driver_transfer_said(struct driver *driver);

/* driver.c: notes since when the disk has not answered. */
void driver_watch_disk(struct driver *driver);

/* driver.c: tells the host of a role that it does not know yet. */
void driver_tell_role(struct driver *driver);

/* driver_election.c: stands for election when the leader is lost, and it is our turn. */
void driver_stand(struct driver *driver);
/* An election timeout has passed. A node without a vote does not stand, and the engine has it believe in a leader that is
 * gone for ever: it is to know none, and must not refuse candidates for its sake. */
void driver_leader_silent(struct driver *driver);
/* When driver_stand() is due; UINT64_MAX when it is not. */
uint64_t driver_stand_ms(const struct driver *driver);
/* The node has spoken as a leader. */
void driver_leader_heard(struct driver *driver, uint64_t node);
/* To be called when a timeout of the engine may be due: it waits a moment when that is noticed late, for what came in
 * meanwhile to be read; and when it is then due. */
void driver_note_late(struct driver *driver, uint64_t due_ms);
/* It took so long to write term and vote: an election is given more time. */
void driver_was_slow(struct driver *driver, uint64_t took_ms);
uint64_t driver_graced_ms(const struct driver *driver, uint64_t due_ms);

/* driver_apply.c */
/* Reads some entries and applies them, at least one and none after `until_ms` of the clock. True when there are more, and time. */
bool driver_apply(struct driver *driver, uint64_t until_ms);

/* driver_checkpoint.c */
struct driver_position {
    uint64_t index;
    uint64_t term;
    uint64_t configuration_index;
    struct raft_configuration configuration;
};
int driver_position_decode(struct slice bytes, struct driver_position *ret_position) NODISCARD;
int driver_position_encode(const struct driver_position *position, struct slice *ret_bytes) NODISCARD;
/* That of the options, which must be of their applied index. `detail` gets one line on error. */
int driver_position_load(const struct driver_options *options, struct driver_position *ret_position, char *detail,
                         size_t detail_len) NODISCARD;

/* driver_rebuild.c. Of a leader: a node, which may have been offered a snapshot, has answered. */
void driver_rebuild_probe(struct driver *driver, uint64_t from, const struct raft_append_entries_result *result);
/* Of a follower: whether it has all that an offered snapshot holds; and that it has not. */
bool driver_rebuild_needless(const struct driver *driver, const struct raft_install_snapshot *install);
void driver_rebuild_behind(struct driver *driver, uint64_t leader, const struct raft_install_snapshot *install);

/* driver_change.c: proposes a membership. `next` is borrowed. ERR_BUSY and ERR_REFUSED come with a reason. */
int driver_propose_members(struct driver *driver, const struct raft_configuration *next,
                           const char **ret_why) NODISCARD;

/* driver_members.c: tells the host of the membership in force, and of our own removal. */
void driver_tell_members(struct driver *driver);
/* What the host knows when the driver is opened: the members in the options. */
void driver_told_members_init(struct driver *driver, const struct driver_options *options);

/* driver_open.c: makes the driver's directory, durably. */
int driver_make_dir(const struct driver_options *options) NODISCARD;

/* driver_ballot.c: a request for our vote, in driver->message. Returns as driver_event(). */
int driver_ballot(struct driver *driver, uint64_t from);

/* driver_alone.c: whether this node is the only one that votes; a new term for it when it is about to elect itself; the same
 * at its start, with the membership in force by then. */
bool driver_is_alone(const struct driver *driver);
void driver_alone_timeout(struct driver *driver);
int driver_alone_start(struct driver *driver, const struct raft_configuration *members,
                       struct meta_value *meta) NODISCARD;

/* driver_feed.c: a node was removed, and is known to have everything up to `match`; a node without a vote has said that its
 * log ends at `last`, before what it had acknowledged; what is due; and an answer to an AppendEntries. */
void driver_feed_removed(struct driver *driver, uint64_t id, uint64_t match, uint64_t change);
void driver_feed_learner(struct driver *driver, uint64_t id, uint64_t last, uint64_t match);
void driver_feed_step(struct driver *driver);
void driver_feed_result(struct driver *driver, uint64_t from, const struct raft_append_entries_result *result);

/* driver_forgot.c: looks at the answer to an AppendEntries, before the guards. True when it answers a question of ours, and
 * is not for the engine. */
bool driver_forgot_result(struct driver *driver, uint64_t from, const struct raft_append_entries_result *result);
/* Asks those in doubt. */
void driver_forgot_step(struct driver *driver);
/* Whether a node has said of late that it has all that it is known to have acknowledged; if not, it is asked. */
bool driver_forgot_nothing(struct driver *driver, uint64_t id);

/* driver_discard.c: as driver_rejoin(), with `discard`. */
int driver_discard(const struct driver_options *options, const struct driver_position *position, char *detail,
                   size_t detail_len) NODISCARD;

#endif
