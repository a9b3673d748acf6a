/* The parts of the giving side: what it is asked (rebuild_source.c), its copy (rebuild_source_copy.c), and what is read of it
 * (rebuild_source_read.c). */

#ifndef HOLDFAST_NODE_CORE_REBUILD_SOURCE_PRIVATE_H
#define HOLDFAST_NODE_CORE_REBUILD_SOURCE_PRIVATE_H

#include "node/core/rebuild_files.h"
#include "node/core/rebuild_message.h"
#include "node/core/rebuild_source.h"
#include "node/core/state_dir.h"

enum source_phase {
    SOURCE_NONE,
    SOURCE_MAKING,
    SOURCE_READY,
    SOURCE_REMOVING,
    SOURCE_FOLLOWED, /* The copy is gone, and its node catches up with the log that is held. */
};

struct source_read {
    struct disk_task task;
    struct rebuild_source *source;
    bool busy;
    uint64_t node;
    uint64_t copy;
    uint32_t file;
    uint64_t offset;
    struct blob *blob;
    uint64_t checksum;
    char path[REBUILD_PATH_LEN_MAX];
};

struct rebuild_source {
    struct rebuild_source_options options;
    struct arena arena;
    enum source_phase phase;
    uint64_t copy;
    uint64_t index;
    uint64_t term;
    uint64_t node;     /* For which the copy is; 0: of an earlier process, and nobody has asked yet. */
    uint64_t next;     /* For this node a new one is made when the present one is removed; 0: for none. */
    uint64_t match;    /* Up to where the node had the log when last looked at. */
    uint64_t asked_ms; /* When it last asked, or moved on. */
    uint64_t look_ms;  /* When to look at all this again. */
    bool touched;      /* Something of the copy has been read. */
    bool follow;       /* Of one that is being removed: hold the log on. */
    struct rebuild_files files;
    char name[STATE_DIR_NAME_LEN_MAX];
    char path[REBUILD_PATH_LEN_MAX];
    struct disk_task task; /* Making or removing. */
    bool busy;
    struct source_read reads[REBUILD_SOURCE_READS_MAX];
};

uint64_t source_now_ms(const struct rebuild_source *source);
void source_wake(struct rebuild_source *source);
/* Sends an answer; what cannot be sent is asked for again. */
void source_answer(struct rebuild_source *source, uint64_t node, Holdfast__PeerRebuild *message, struct slice body);
void source_refuse(struct rebuild_source *source, uint64_t node, int err);
void source_tell_opened(struct rebuild_source *source);

/* Finds what an earlier process left. */
int source_adopt(struct rebuild_source *source) NODISCARD;
/* Begins a copy for the node, or refuses it. There is none. */
void source_make(struct rebuild_source *source, uint64_t node);
/* Begins to remove the copy. `follow`: the log is held on for its node. */
void source_remove(struct rebuild_source *source, bool follow);
/* The log need not be held any more. */
void source_let_go(struct rebuild_source *source);

/* ERR_BROKEN: it is not within the copy. */
int source_read_begin(struct rebuild_source *source, uint64_t from, const Holdfast__RebuildRead *read) NODISCARD;

#endif
