/* What a start has to do, by what is on the disk: the course of a repair, shared by node.c and the simulator.
 *
 *   mark       the state         what the start does
 *   none       settled           opens it.
 *   none       a fresh copy      it was behind: driver_rejoin(), without `discard`, then opens it.
 *   NEEDED     settled           opens nothing: it is a patient (patient.h), until it has a copy; then repair_switch().
 *                                Ordered by an operator, and nobody leads: repair_withdraw().
 *   NEEDED     a fresh copy      that copy is here: driver_rejoin() with `discard`, repair_rejoined(), then opens it.
 *   RETURNING  settled           opens it, and says `wants_vote`; when it votes again, repair_mark_clear().
 *   RETURNING  a fresh copy      driver_rejoin() without `discard`, then opens it, and says `wants_vote`.
 *
 * Where `current` is damaged, nobody knows which directory is the state: it becomes a patient. So does one whose mark is damaged,
 * whatever it has, and one that joins a running cluster, when its directory is empty.
 *
 * Why the mark is the guard: with `discard` a node forgets what it has acknowledged and voted. It may do so exactly once for each
 * copy, before it says anything to anybody, and only with a copy that was given to it as a patient. So
 *
 *   - repair_rejoined() changes the mark after the log has begun anew and before the shard's first step. If it fails, even for want
 *     of space, the shard must not be opened: the next start would discard again, and by then the node may have its vote.
 *     It comes before state_dir_settle(): after a crash in between the copy is still fresh, and driver_rejoin() without `discard`
 *     leaves the log that begins right after it as it is.
 *   - the mark NEEDED is written when the state is not fresh, and beside it only a patient's copy becomes the state
 *     (repair_switch()): what a shard fetched that was merely behind was not asked for so. (A state that could not be settled, on
 *     a full disk, is fresh for long.)
 *
 * When a start fails with ERR_CORRUPT, or driver_rejoin() with ERR_REFUSED, repair_failed() makes the node a patient; a copy that
 * could not be used is removed, and the state before it is kept until the next one is here. */

#ifndef HOLDFAST_NODE_CORE_REPAIR_H
#define HOLDFAST_NODE_CORE_REPAIR_H

#include "node/core/rebuild_admission.h"
#include "node/core/repair_mark.h"
#include "node/core/state_dir.h"

/* What is found at a start. */
struct repair_facts {
    bool fresh;   /* The state is a fresh copy. */
    bool unknown; /* `current` is damaged. (Whether the mark is, it says itself.) */
    bool empty;   /* Nothing is in the directory of the shard. */
    bool join;    /* As configured: this node joins a cluster that is there. */
};

struct repair_plan {
    bool patient;    /* The shard is not opened. */
    bool rejoin;     /* driver_rejoin() first: the state is fresh (shard_options.fresh). */
    bool discard;    /* With driver_options.discard; then repair_rejoined(). */
    bool wants_vote; /* In its Presence; when it votes, repair_mark_clear(). */
    bool begins;     /* Only now: the mark has to be written before anything else. */
};

/* Of which start the directory of the shard is: the host's (node/data_dir.h), and nothing of a repair. */
#define REPAIR_START_FILE "last-start"

/* Whether a file of that name, in the directory of the shard, is only space kept for another, or says what log time was, or of which start
 * it is: a directory that has nothing else is empty. */
bool repair_is_aside(const char *name);

struct repair_plan repair_plan(const struct repair_facts *facts, const struct repair_mark *mark);

/* All of a start: reads mark and `current`, writes the mark and mends `current` where that is needed, and has the disk keep the
 * space in which either can be replaced once more. `dir` is that of the shard, which exists. Errors of the disk; `detail` gets
 * one line. */
int repair_begin(struct disk *disk, const char *dir, bool join, struct state_dir *ret_current,
                 struct repair_mark *ret_mark, struct repair_plan *ret_plan, char *detail, size_t detail_len) NODISCARD;

/* This node's data is damaged, or it has diverged: durably, it is a patient from the next start on. The shard may still be open,
 * but must do nothing any more. A vote that it is waiting for stays what the leader said of it (rebuild_admission.h). Of a node that is one already the reason stays, unless that was an operator's order and this is none.
 * `voter`: it has a vote, as far as is known. `ordered`: an operator wants it so, and nothing else is known to be wrong. */
int repair_mark_needed(struct disk *disk, const char *dir, const char *reason, bool voter, bool ordered) NODISCARD;

/* Nobody can give a copy to a patient that is one because an operator wants it: what it has may be what the others wait for. Its
 * next start opens that, and says `wants_vote` if it had one: it may have been taken away for the copy. *ret_done: whether it
 * is so; nothing changes for any other patient, nor once there is a copy. Everything is closed. Errors of the disk. */
int repair_withdraw(struct disk *disk, const char *dir, bool *ret_done) NODISCARD;

/* A copy has been fetched, by a patient or by a shard that was behind: from now on, durably, it is the state, and fresh
 * (state_dir_switch()). Nothing is done with that of a shard which has been found damaged since: *ret_done is false. Everything
 * is closed. Errors of the disk. */
int repair_switch(struct disk *disk, const char *dir, const char *name, bool patient, bool *ret_done) NODISCARD;

/* A patient has been told by the leader whether it votes: durably, before it asks on. Errors of the disk; ERR_NO_SPACE: it is not
 * noted, and to be told again. */
int repair_note_vote(struct disk *disk, const char *dir, bool voter) NODISCARD;

/* What it says of its vote when it asks for a copy. */
enum rebuild_vote repair_vote(const struct repair_mark *mark);

/* driver_rejoin() with `discard` is done: RETURNING, or no mark. Changes *mark too. An error: the shard must not be opened. */
int repair_rejoined(struct disk *disk, const char *dir, struct repair_mark *mark) NODISCARD;

/* What was there could not be opened, and everything is closed again: as repair_mark_needed(), and a fresh copy goes, if there is a
 * state to go back to. */
int repair_failed(struct disk *disk, const char *dir, const char *reason, bool voter) NODISCARD;

#endif
