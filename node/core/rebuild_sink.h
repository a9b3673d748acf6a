/* The fetching side of a rebuild: brings a copy of another node's state to this disk, file by file, and ends when all of it
 * is here, checked and synced. The caller then looks whether this node still needs it (it may have caught up otherwise: then
 * its log holds what others count on, and must not go), closes the shard, switches the state to the copy (state_dir.h), and
 * opens the shard anew.
 *
 * The files come into the directory `incoming-<source>-<copy>` of the shard, in parts that are asked for one after the other, a
 * few at a time. A file is written under a name of its own (`<name>.part`), synced and renamed when it is whole: after a crash
 * of this process those that are whole need not be fetched again, if the source still has the copy; when it has another one,
 * everything begins anew. A part whose checksum does not match is asked for again; one that the source does not answer
 * within REBUILD_SINK_RETRY_MS too. No more than `rate` bytes a second are asked for. When the source refuses, or has not
 * answered for REBUILD_SINK_GIVE_UP_MS, the sink turns to whoever is the leader then.
 *
 * A copy that is here is looked at as a whole before it counts (`open_copy`): what was damaged on the source's disk, in its
 * memory or in ours has passed all checksums on the way, and must not take a second node's state. One that is damaged is removed,
 * the source is told, and another one is asked for.
 *
 * Everything that writes runs on the disk's other thread. Pure: no socket, no clock but the one given. */

#ifndef HOLDFAST_NODE_CORE_REBUILD_SINK_H
#define HOLDFAST_NODE_CORE_REBUILD_SINK_H

#include <stdbool.h>
#include <stdint.h>

#include "node/core/rebuild_admission.h"
#include "proto/base/clock.h"
#include "proto/base/disk.h"
#include "proto/base/journal.h"
#include "proto/wire/frame.h"
#include "statemachine/store/store.h"

#define REBUILD_SINK_RETRY_MS 3000u
#define REBUILD_SINK_GIVE_UP_MS 15000u
#define REBUILD_SINK_READS_MAX 4u

struct rebuild_sink;

struct rebuild_sink_options {
    struct disk *disk;
    struct clock *clock;
    struct journal *journal;
    const char *dir;        /* Of the shard. */
    uint64_t rate;          /* Bytes a second; 0: without limit. */
    uint64_t disk_free_min; /* What the copy must leave free; it is not begun where it would not. */
    /* This node is a patient (patient.h): it asks for a copy in whose membership it does not vote, and takes no other. `reason`
     * is what is wrong with its data; borrowed. */
    bool join;
    const char *reason;
    enum rebuild_vote vote; /* As rebuild_sink_set_vote() changes it. */
    void *arg;
    /* Opens the copy in the directory `name` of the shard as a store that is only read, and changes nothing there. Runs on the
     * disk's other thread. Errors as those of opening a store, with a line in `detail`. NULL: copies are not looked at. */
    int (*open_copy)(void *arg, const char *name, struct store **ret_store, char *detail, size_t detail_len);
    /* Sends a question, on a connection to that node which is made when there is none. Takes ownership. False: there is none
     * yet, or it is full: the sink tries again. */
    bool (*send)(void *arg, uint64_t node, struct frame_out *frame);
    /* The connection is not needed any more. */
    void (*hang_up)(void *arg, uint64_t node);
    /* The copy is here, durably, in the directory `name`, and holds the entry of that index and term. Called from
     * rebuild_sink_step(), which then waits for rebuild_sink_cancel() or rebuild_sink_close(). */
    void (*ready)(void *arg, const char *name, uint64_t index, uint64_t term);
    /* The source gives no copy now, which it says with an error and a line for people, and perhaps who leads (0: it did not say);
     * or it does not answer (ERR_TIMEOUT), or cannot be reached (ERR_UNAVAILABLE), or its copy is damaged (ERR_CORRUPT). Returns how long to rest, in milliseconds;
     * then the leader last named by rebuild_sink_want(), which may be called from within, is asked. NULL: the sink goes on by
     * itself. */
    uint64_t (*refused)(void *arg, uint64_t source, int err, const char *detail, uint64_t leader);
    /* Before refused(), when the source said where the leader that it names is reached. May be NULL. */
    void (*leader_at)(void *arg, uint64_t leader, const char *address);
    /* Before refused(), when the source has told this node, which asked (REBUILD_VOTE_ASKED), whether it votes. */
    void (*told_vote)(void *arg, bool voter);
    /* Something happened off the loop's own calls that makes a step due. May be NULL. */
    void (*wake)(void *arg);
    /* The disk failed. Nothing more is done. */
    void (*fatal)(void *arg, int err, const char *what);
};

struct rebuild_sink_status {
    bool running;
    bool fetching;   /* There is a copy, and it comes. */
    uint64_t source; /* The node. */
    uint64_t bytes_total;
    uint64_t bytes_here;
    /* The entry that the copy holds at least; 0: none is known yet. */
    uint64_t index;
    uint64_t term;
    /* There is no room for it: so many bytes are still to come, and so many there were for them. 0: there is room, as far as is
     * known. */
    uint64_t room_needed;
    uint64_t room_free;
};

/* That there is no room, for people. */
#define REBUILD_SINK_ROOM_LEN 200u
void rebuild_sink_room_text(const struct rebuild_sink_status *status, char ret_text[REBUILD_SINK_ROOM_LEN]);

int rebuild_sink_open(const struct rebuild_sink_options *options, struct rebuild_sink **ret_sink) NODISCARD;
/* Nothing is under way on another thread any more. NULL is allowed. */
void rebuild_sink_close(struct rebuild_sink *sink);

/* This node needs a copy of the leader's state. May be said again and again. */
void rebuild_sink_want(struct rebuild_sink *sink, uint64_t leader);
/* What it says of its vote from the next question on. */
void rebuild_sink_set_vote(struct rebuild_sink *sink, enum rebuild_vote vote);
/* It does not any more: it has caught up otherwise. What is here so far is removed, also what an earlier process left. */
void rebuild_sink_cancel(struct rebuild_sink *sink);

/* A PEER_REBUILD frame with an answer. Borrows. ERR_BROKEN: close the connection. */
int rebuild_sink_receive(struct rebuild_sink *sink, uint64_t from, const struct frame *frame) NODISCARD;
/* The connection to the node has ended: what was asked is asked again on the next one. */
void rebuild_sink_disconnected(struct rebuild_sink *sink, uint64_t node);

/* There is a connection to the node now: what is to be asked need not wait. A step is due. */
void rebuild_sink_connected(struct rebuild_sink *sink, uint64_t node);

/* Asks for what is due. Call it in every turn, and at the deadline. */
void rebuild_sink_step(struct rebuild_sink *sink);
uint64_t rebuild_sink_deadline_ms(const struct rebuild_sink *sink);
/* Nothing is under way on another thread. */
bool rebuild_sink_idle(const struct rebuild_sink *sink);

void rebuild_sink_status(const struct rebuild_sink *sink, struct rebuild_sink_status *ret_status);

#endif
