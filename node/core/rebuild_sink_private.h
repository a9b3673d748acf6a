/* The parts of the fetching side: what it asks and hears (rebuild_sink.c), which copy (rebuild_sink_open.c) and which of its parts
 * are asked for next (rebuild_sink_parts.c), what it does to the disk (rebuild_sink_disk.c), and whether the copy is sound
 * (rebuild_sink_check.c). */

#ifndef HOLDFAST_NODE_CORE_REBUILD_SINK_PRIVATE_H
#define HOLDFAST_NODE_CORE_REBUILD_SINK_PRIVATE_H

#include "node/core/rebuild_files.h"
#include "node/core/rebuild_message.h"
#include "node/core/rebuild_sink.h"
#include "node/core/state_dir.h"

/* A question that could not be sent is tried again after this time. */
#define SINK_SEND_RETRY_MS 100u

enum sink_phase {
    SINK_IDLE,
    SINK_RESTING,   /* Until rest_ms; then the leader is asked. */
    SINK_OPENING,   /* Asks for a copy. */
    SINK_PREPARING, /* The directory is made ready, on the other thread. */
    SINK_FETCHING,
    SINK_FINISHING, /* The directory is synced, on the other thread. */
    SINK_CHECKING,  /* The copy is read again, piece by piece, on the other thread. */
    SINK_HERE,      /* The next step says so. */
    SINK_SAID,
    SINK_CLEARING, /* What is here is removed, on the other thread. */
};

enum part_state {
    PART_FREE,
    PART_WANTED,
    PART_ASKED,
    PART_HERE,
    PART_WRITTEN, /* Being written, on the other thread. */
};

struct sink_part {
    enum part_state state;
    uint32_t file;
    uint32_t len;
    uint64_t offset;
    uint64_t asked_ms;
    struct slice data; /* When it is here; owned. */
};

/* A part as the other thread sees it. */
struct sink_write {
    struct sink_part *part;
    bool last;                        /* Of its file. */
    char path[REBUILD_PATH_LEN_MAX];  /* To be written to. */
    char whole[REBUILD_PATH_LEN_MAX]; /* To be renamed to, when it is the last. */
};

struct rebuild_sink {
    struct rebuild_sink_options options;
    struct arena arena;
    enum sink_phase phase;
    bool wanted;
    bool cancelled; /* What is here is to be removed. */
    bool failed;
    uint64_t question; /* With options.join: tells a copy that is for us as we are now. */
    uint64_t leader;   /* As last said. */
    uint64_t source;   /* Whom we ask. */
    /* The copy that is being fetched, 0: none is known; its position, and its directory. */
    uint64_t copy;
    uint64_t copy_source;
    uint64_t index;
    uint64_t term;
    char name[STATE_DIR_NAME_LEN_MAX];
    char path[REBUILD_PATH_LEN_MAX];
    char state[STATE_DIR_NAME_LEN_MAX]; /* The directory of this node's own state: it may be a copy of before. */
    struct rebuild_files files;
    uint64_t bytes_here;
    bool prepared; /* The directory is ready for this copy. */
    /* What the look at the room found; as status has it, which another thread does not write. */
    uint64_t room_needed;
    uint64_t room_free;
    uint64_t said_needed;
    uint64_t said_free;
    /* Times, of the monotonic clock. */
    uint64_t rest_ms;
    uint64_t send_ms;     /* Not before; of a question for a copy: again. */
    uint64_t progress_ms; /* Something useful was last heard, or the asking began. */
    uint64_t pace_ms;
    int64_t pace_bytes; /* May be asked for now. */
    unsigned damaged;   /* Parts in a row that were. */
    /* The next part that nobody has asked for. */
    uint32_t next_file;
    uint64_t next_offset;
    struct sink_part parts[REBUILD_SINK_READS_MAX];
    uint64_t *written; /* Bytes of each file. */
    struct sink_write writes[REBUILD_SINK_READS_MAX];
    unsigned writes_len;
    struct disk_task task;
    bool busy;
    /* While the copy is being checked: the store on it, which the other thread opens, and where it is. */
    struct store *check;
    struct store_scrub scrub;
    uint64_t clear_rest_ms; /* After what is here has been removed; 0: nobody waits. */
};

uint64_t sink_now_ms(const struct rebuild_sink *sink);
void sink_wake(struct rebuild_sink *sink);
bool sink_ask(struct rebuild_sink *sink, Holdfast__PeerRebuild *message);
/* Turns away from the source for a while, and then to the leader. */
void sink_rest(struct rebuild_sink *sink, uint64_t ms);

/* No copy comes from the source now, which is told to whoever wants it. Returns for how long to rest. */
uint64_t sink_tell_refused(struct rebuild_sink *sink, int err, const char *detail, uint64_t leader, uint64_t rest_ms);
/* The same, and rests for so long. */
void sink_refused(struct rebuild_sink *sink, int err, const char *detail, uint64_t leader, uint64_t rest_ms);
/* Tells the source that its copy is not needed any more, and hangs up; with `why` it is damaged. */
void sink_close_copy(struct rebuild_sink *sink, const char *why);

/* ---- rebuild_sink_open.c ---- */

/* Turns to whoever leads. */
void sink_open_turn(struct rebuild_sink *sink, uint64_t now_ms);
void sink_open_step(struct rebuild_sink *sink, uint64_t now_ms);
/* Asks for the copy once. */
bool sink_ask_open(struct rebuild_sink *sink);
/* An answer. ERR_BROKEN. */
int sink_open_take(struct rebuild_sink *sink, const Holdfast__RebuildOpened *opened) NODISCARD;

/* ---- rebuild_sink_check.c ---- */

/* Begins; the copy is here and synced. */
void sink_check_begin(struct rebuild_sink *sink);
/* The next piece, or what is due meanwhile. */
void sink_check_step(struct rebuild_sink *sink, uint64_t now_ms);
/* No more of it. Nothing is under way on the other thread. Harmless when there is nothing. */
void sink_check_end(struct rebuild_sink *sink);

/* ---- rebuild_sink_parts.c ---- */

/* Forgets all parts, and begins with the first. None is being written. */
void sink_parts_reset(struct rebuild_sink *sink);
/* What was asked is to be asked again. */
void sink_parts_lost(struct rebuild_sink *sink);
/* The same for what has not been answered in time. */
void sink_parts_expire(struct rebuild_sink *sink, uint64_t now_ms);
/* Asks for as much as may be. */
void sink_parts_ask(struct rebuild_sink *sink, uint64_t now_ms);
/* The one that was asked for there, or NULL. */
struct sink_part *sink_parts_find(struct rebuild_sink *sink, uint32_t file, uint64_t offset);
/* Nothing is left to be asked for, or to be written. */
bool sink_parts_all_here(const struct rebuild_sink *sink);
/* Something is asked for, or to be. */
bool sink_parts_waiting(const struct rebuild_sink *sink);
/* When to ask, or to ask again. */
uint64_t sink_parts_deadline_ms(const struct rebuild_sink *sink);

/* ---- rebuild_sink_disk.c; each begins something on the other thread, which does nothing else for us ---- */

/* Finds the directory of an earlier fetch, and removes all others. At the start; not on the other thread. */
int sink_disk_find(struct rebuild_sink *sink) NODISCARD;
/* Makes the directory, keeps what is whole in it, and removes the rest and other directories of its kind. */
void sink_disk_prepare(struct rebuild_sink *sink);
/* Writes the parts that are here, if any. */
void sink_disk_write(struct rebuild_sink *sink);
void sink_disk_finish(struct rebuild_sink *sink);
void sink_disk_begin(struct rebuild_sink *sink, int (*run)(struct disk_task *task),
                     void (*done)(struct disk_task *task, int err));
void sink_disk_clear(struct rebuild_sink *sink);

#endif
