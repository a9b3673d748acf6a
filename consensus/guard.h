/* The ten guards: what must stand between c-raft 0.22.1 and the world, or data is lost or the cluster stops for ever.
 *
 * The engine's core is sound only behind them. Each was found by reading its source or by fault injection; each has a unit
 * test of its name that fails when the guard is switched off, and the simulator counts how often each acts.
 *
 *   G1  An AppendEntries is split so that a CHANGE is the first entry of its message, and a committed CHANGE is reported
 *       to the engine before the next one is appended. Otherwise: the engine notes the wrong index for it; reconfiguration
 *       is blocked for ever, and a rollback can pick the wrong membership.
 *   G2  An AppendEntries that begins below our commit index loses the entries we have, and is anchored at the commit index.
 *       Otherwise: the commit index goes back; on a compacted log the engine reads and writes out of bounds.
 *   G3  A CHANGE is submitted only when an entry of our own term is committed, it is the only difference, and its target is
 *       another server. Otherwise leader completeness breaks (the single-server change bug of 2015). And only when a
 *       majority of those that vote after it is there, and holds what is committed: or it would be in force, and not be
 *       committed. (See below.)
 *   G4  An answer to a message of an old term has its last_log_index set. Otherwise the field is uninitialised, and a
 *       leader may count it: a false commit.
 *   G5  When entries are taken back, writes in flight complete only up to the last entry kept (in the log). Otherwise, on a
 *       slow disk: a false commit.
 *   G6  Never fewer than two voters once there were two. A lone voter loses all with its one disk. Where there is only one
 *       (a node on its own, or what is left of a cluster), it takes a new term before it elects itself, which the engine
 *       does not: else it leads a second time in a term in which it has led, and gives out an index twice (driver_alone.c).
 *   G7  A refused pre-vote answers with the larger of the message's and our own term. Otherwise a candidate with an old
 *       term never learns of the new one: a deadlock.
 *   G8  The leader drops rejections at or below what it knows to match. Otherwise: empty probes for ever.
 *   G9  A timeout is fired only when due, and by a leader at most once a heartbeat. Otherwise: a busy loop that aborts the
 *       pipelines of quiet peers.
 *   G10 An InstallSnapshot that arrives while one is being installed is dropped. Otherwise: a leak.
 *
 * About G3. That no committed entry is lost across a change rests on three things (thesis §4.1, and the amendment of 2015): two
 * memberships that follow one another differ in one server, so their majorities overlap; the one before is committed when the
 * next is made; and the leader has committed an entry in its own term before. None of them asks the server that is demoted or
 * removed for anything: it may be dead, or damaged. Nor does any need *all* voters to hold the commit index: that was for the
 * engine's sake, whose servers refuse to vote while they believe to be no voters, so that a node which did not have the
 * CHANGE with its promotion yet could leave the others without a leader for ever. Here it votes (thesis §4.1: requests are
 * processed "without consulting the current configuration"; driver_ballot.c), and a node that is demoted gets the CHANGE when
 * it is committed and not before (driver_engine.c): else it might be the only one that holds it, would not stand, and would
 * refuse those who lack it. */

#ifndef HOLDFAST_CONSENSUS_GUARD_H
#define HOLDFAST_CONSENSUS_GUARD_H

#include <raft.h>
#include <stdbool.h>
#include <stdint.h>

#include "consensus/message.h"

#define GUARDS 10

/* Counts how often each guard acted; index 0 is unused. */
struct guards {
    uint64_t acted[GUARDS + 1];
};

/* G1: how many of the entries from `from` on may go to the engine in one message. */
unsigned guard_append_part(struct guards *guards, const struct log_entry *entries, unsigned from, unsigned count);

/* G2: moves the start of an AppendEntries of the current term to our commit index, whose entry has `commit_term`.
 * `entries` and `count` are those of the message; *ret_skip gets how many of the first are dropped. */
void guard_append_anchor(struct guards *guards, const struct raft *raft, uint64_t commit_term,
                         struct raft_append_entries *append, unsigned count, unsigned *ret_skip);

/* G3 and G6: whether a CHANGE to `next` may be submitted now, with `commit_term` the term of the entry at the commit index, and
 * `ready` of those that vote in `next` (ourselves among them) there, with all that is committed.
 * 0; ERR_NOT_LEADER; ERR_BUSY: not now, try again when `ret_why` has passed; ERR_REFUSED: never. */
int guard_change(struct guards *guards, const struct raft *raft, uint64_t commit_term,
                 const struct raft_configuration *next, unsigned ready, const char **ret_why) NODISCARD;

/* G4 and G7: amends an outgoing message. `old_term`: it answers a message of an older term than ours. */
void guard_outgoing(struct guards *guards, const struct raft *raft, bool old_term, struct raft_message *message);

/* G8: whether a result goes to the engine; may amend it. */
bool guard_result(struct guards *guards, const struct raft *raft, raft_id from,
                  struct raft_append_entries_result *result);

/* G9: when the next RAFT_TIMEOUT is due, given when the last one was fired. */
uint64_t guard_timeout_ms(struct guards *guards, const struct raft *raft, uint64_t last_fired_ms);

/* G10: whether an InstallSnapshot goes to the engine. */
bool guard_install(struct guards *guards, const struct raft *raft);

#endif
