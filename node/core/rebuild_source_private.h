/* The parts of the giving side: what it is asked (rebuild_source.c), its copy (rebuild_source_copy.c), and what is read of it
 * (rebuild_source_read.c). */

#ifndef HOLDFAST_NODE_CORE_REBUILD_SOURCE_PRIVATE_H
#define HOLDFAST_NODE_CORE_REBUILD_SOURCE_PRIVATE_H

#include "node/core/rebuild_files.h"
#include "node/core/rebuild_message.h"
#include "node/core/rebuild_source.h"
#include "node/core/repair_mark.h"
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

/* A question for a copy. */
struct source_question {
    uint64_t node; /* 0: there is none. */
    uint64_t copy; /* Which it has begun to read. */
    /* Of a patient; 0: of a node that is merely behind. */
    uint64_t question;
    uint64_t min_index; /* What the copy must hold. */
    enum rebuild_vote vote;
};

struct rebuild_source {
    struct rebuild_source_options options;
    struct arena arena;
    enum source_phase phase;
    uint64_t copy;
    uint64_t index;
    uint64_t holds; /* An entry that is not before the last one in the copy. */
    uint64_t term;
    uint64_t node;                  /* For which the copy is; 0: of an earlier process, and nobody has asked yet. */
    uint64_t question;              /* Of this node, if it is a patient for which the copy is good; else 0. */
    uint64_t bytes;                 /* Of the copy. */
    struct source_question next;    /* A new one is made for it when the present one is removed. */
    struct source_question joining; /* A patient's, until it is sure that we lead. */
    char reason[REPAIR_REASON_LEN_MAX + 1]; /* Of that patient. */
    unsigned doublings;                     /* Of what a copy may cost. */
    uint64_t match;                         /* Up to where the node had the log when last looked at. */
    uint64_t asked_ms;                      /* When it last asked, or moved on. */
    uint64_t look_ms;                       /* When to look at all this again. */
    bool touched;                           /* Something of the copy has been read. */
    bool follow;                            /* Of one that is being removed: hold the log on. */
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
/* With a line for people. */
void source_refuse_why(struct rebuild_source *source, uint64_t node, int err, const char *why);
/* With all that is said. */
void source_refuse_says(struct rebuild_source *source, uint64_t node, int err, const struct rebuild_says *says);
/* Whether a copy that holds the entry may be given away; and that it may not, yet. */
bool source_gives(const struct rebuild_source *source, uint64_t index, bool patient);
void source_refuse_compare(struct rebuild_source *source, uint64_t node);
void source_tell_opened(struct rebuild_source *source);

/* Finds what an earlier process left. */
int source_adopt(struct rebuild_source *source) NODISCARD;
/* Begins a copy for the question, or refuses it. There is none. */
void source_make(struct rebuild_source *source, const struct source_question *question);
/* Begins to remove the copy. `follow`: the log is held on for its node. */
void source_remove(struct rebuild_source *source, bool follow);
/* The log need not be held any more. */
void source_let_go(struct rebuild_source *source);

/* ---- rebuild_source_open.c: who gets a copy ---- */

void source_take_open(struct rebuild_source *source, uint64_t from, const Holdfast__RebuildOpen *open);

/* ERR_BROKEN: it is not within the copy. */
int source_read_begin(struct rebuild_source *source, uint64_t from, const Holdfast__RebuildRead *read) NODISCARD;

#endif
