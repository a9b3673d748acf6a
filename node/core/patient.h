/* A node that has nothing it may count on: it is new, or its data is damaged, has diverged, or lacks what it acknowledged. Its
 * shard is not opened: it neither votes nor acknowledges nor serves. It asks the members, one after the other, for a copy of the
 * state in whose membership it does not vote (RebuildOpen with `join`), which the leader grants (rebuild_source.h), and fetches
 * it (rebuild_sink.h). Then it is closed, repair_switch() makes the copy the state, and the node starts anew (repair.h).
 *
 * What it had stays on the disk, untouched, until the log follows the copy: where there is no room for both, it says so, and
 * waits for somebody to make room.
 *
 * One that an operator has ordered to be one has put aside what was sound. When it hears for a while, from everybody whom it can
 * reach, that nobody leads, that was one node too many: it takes the order for withdrawn, and comes back with what it has.
 *
 * Pure: no socket, no clock but the one given. What writes runs on the disk's other thread. */

#ifndef HOLDFAST_NODE_CORE_PATIENT_H
#define HOLDFAST_NODE_CORE_PATIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/core/rebuild_admission.h"
#include "proto/base/clock.h"
#include "proto/base/disk.h"
#include "proto/base/err.h"
#include "proto/base/journal.h"
#include "proto/wire/frame.h"
#include "statemachine/store/store.h"

struct patient;

struct patient_options {
    uint64_t node;          /* This one. */
    const char *reason;     /* What is wrong, one line (repair_mark.h); "": nothing, it is new. Copied. */
    enum rebuild_vote vote; /* What is noted of its vote (repair_vote()). */
    bool ordered;           /* That is an operator's order: what this node has is sound, as far as is known. */
    bool founding;          /* It asks nobody: its cluster has not begun, which `reason` says. */
    const uint64_t
        *members; /* Whom it may ask; itself, if it is there, is left out. Copied. At most MEMBERS_MAX count. */
    unsigned members_len;
    struct disk *disk;
    struct clock *clock;
    struct journal *journal; /* May be NULL. */
    const char *dir;         /* Of the shard; it exists. Borrowed. */
    uint64_t rate;           /* Bytes a second at which the copy is fetched; 0: without limit. */
    uint64_t disk_free_min;  /* What the copy must leave free. */
    void *arg;               /* For the callbacks. */
    /* As in shard_options. */
    bool (*bulk_send)(void *arg, uint64_t node, bool asking, struct frame_out *frame);
    void (*bulk_hang_up)(void *arg, uint64_t node);
    int (*open_copy)(void *arg, const char *name, struct store **ret_store, char *detail, size_t detail_len);
    /* With `vote` REBUILD_VOTE_ASKED: the leader has said whether it votes; to be noted durably (repair_note_vote()). ERR_NO_SPACE: it
     * asks again. */
    int (*note_vote)(void *arg, bool voter);
    /* A member that is not among `members` leads, and is reached at this address: one that became a member while this node took no
     * part. Whether bulk_send() may be called for it from now on. NULL: no. */
    bool (*reach)(void *arg, uint64_t node, const char *address);
    /* The copy is here, durably, in the directory `name` of the shard: nothing may be given to the patient any more; it is to be
     * closed, then repair_switch() called, then the node opened anew. Called from within patient_step(), once. */
    void (*replaced)(void *arg, const char *name);
    /* Nobody leads, and what this node has is sound: it may be what the others wait for. Nothing may be given to the patient any more;
     * it is to be closed, then repair_withdraw() called, then the node opened anew. Called from within patient_step(), once. NULL: it
     * goes on asking. */
    void (*withdraw)(void *arg);
    /* Something happened off the loop's own calls that makes patient_step() due. May be NULL. */
    void (*wake)(void *arg);
    /* The disk failed. Does not return, or nothing more is done. */
    void (*fatal)(void *arg, int err, const char *what);
};

/* ERR_NOMEM, and errors of the disk. `detail` gets one line on error. */
int patient_open(const struct patient_options *options, struct patient **ret_patient, char *detail,
                 size_t detail_len) NODISCARD;
/* Nothing is under way on another thread any more. NULL is allowed. */
void patient_close(struct patient *patient);

/* Whom it may ask from now on. Copied. */
void patient_set_members(struct patient *patient, const uint64_t *members, unsigned members_len);

/* A PEER_REBUILD frame, as in shard_receive_bulk(): an answer (`asking`), on a connection that we made, or a question, which is
 * refused. Borrows. ERR_BROKEN: close the connection. */
int patient_receive_bulk(struct patient *patient, uint64_t from, bool asking, const struct frame *frame) NODISCARD;
/* The connection that we made for questions to the node is over, or could not be made; or it is there. A step is due. */
void patient_bulk_lost(struct patient *patient, uint64_t node);
void patient_bulk_connected(struct patient *patient, uint64_t node);
/* The node has refused our connection, with these words: they are said in place of that it cannot be reached, until a connection is
 * there. */
void patient_turned_away(struct patient *patient, uint64_t node, const char *why);

/* Asks for what is due. Call it after every batch of events and at the deadline. */
void patient_step(struct patient *patient);
uint64_t patient_deadline_ms(const struct patient *patient);
/* Nothing is under way on another thread: it may be closed. */
bool patient_idle(const struct patient *patient);

/* Nothing is wrong with it: it is new. */
bool patient_is_new(const struct patient *patient);
bool patient_is_founding(const struct patient *patient);
/* For people: what is wrong, what it waits for, how far it has come. Valid until the next call. */
const char *patient_text(struct patient *patient);

#endif
