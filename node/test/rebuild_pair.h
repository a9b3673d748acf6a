/* Two nodes and what lies between them, for tests of rebuilds: a source and a sink, each on a simulated disk of its own, and
 * frames that are carried when the test says so. The state of the source is a few files, which differ from version to
 * version; its store copies them. */

#ifndef HOLDFAST_NODE_TEST_REBUILD_PAIR_H
#define HOLDFAST_NODE_TEST_REBUILD_PAIR_H

#include "node/core/patient.h"
#include "node/core/rebuild_files.h"
#include "node/core/rebuild_message.h"
#include "node/core/rebuild_sink.h"
#include "node/core/rebuild_source.h"
#include "node/core/state_dir.h"
#include "sim/sim_disk.h"

#define PAIR_DIR "shard-0"
#define PAIR_SOURCE 1u
#define PAIR_SINK 2u
#define PAIR_OTHER 3u /* A member that leads nothing; the test answers for it, and for all of higher ids. */
#define PAIR_FILES_MAX 8u
#define PAIR_FRAMES_MAX 64u
#define PAIR_COPIES_MAX 4096u

struct pair_frames {
    struct frame frames[PAIR_FRAMES_MAX];
    uint64_t from[PAIR_FRAMES_MAX];
    unsigned len;
};

/* How the source, and the other member, answer a patient. */
struct pair_members {
    uint64_t
        unproven; /* From this entry on its state is not known to be right, and is for those that are behind; 0: it is. */
    int err;      /* Why the source does not admit; 0: it does. */
    uint64_t min_index;
    bool silent;     /* Nobody tells the source whether it leads. */
    int confirm_err; /* Or this. */
    bool confirming;
    bool other_apart;           /* The other member cannot be reached. */
    bool nobody;                /* The source knows no leader when it does not lead. */
    uint64_t other_leader;      /* Whom the other one names, */
    const char *leader_address; /* and where that is; NULL: it does not say. */
    unsigned withdrawn;         /* The patient has taken an order for withdrawn. */
    unsigned reached;           /* Members that the patient did not know. */
    uint64_t other_lost;        /* Its connection has failed, and the patient has not heard of it. */
    bool voter;                 /* What the source says to one that asks whether it votes, */
    enum rebuild_vote vote;     /* and what it was told last. */
    unsigned noted;             /* So often the patient has noted that; */
    int note_err;               /* or not, because of this. */
    unsigned admissions;
    unsigned confirms;
    unsigned asked_other;
    uint64_t store_soon;
    char reason[300]; /* What the source was told. */
};

struct pair {
    struct clock clock;
    struct store store;
    uint64_t now_ms;
    uint64_t dice;
    struct sim_disk *source_disk;
    struct sim_disk *sink_disk;
    struct rebuild_source *source;
    struct rebuild_sink *sink;
    struct rebuild_sink_options sink_options;
    struct patient *patient; /* Instead of the sink. */
    struct patient_options patient_options;
    struct pair_members members;
    uint64_t held_len_granted;
    uint64_t disk_free_min;       /* Of the source. */
    struct pair_frames questions; /* From the sink. */
    struct pair_frames answers;
    bool connected; /* Otherwise the sink makes a connection when it asks. */
    bool apart;     /* No connection can be made. */
    uint64_t dialled;
    /* The state of the source. */
    uint64_t version;
    int copy_err;                     /* The next copy fails. */
    uint64_t copies[PAIR_COPIES_MAX]; /* The version in each copy, by its number, and its id. */
    uint64_t copy_ids[PAIR_COPIES_MAX];
    unsigned copies_len;
    unsigned suspected;    /* The source was told that its copy is damaged. */
    unsigned checks;       /* Copies that are open, to be looked at. */
    unsigned checks_begun; /* Pieces of them that were read. */
    /* The log of the source. */
    uint64_t stored_index;
    uint64_t log_first;
    uint64_t held; /* UINT64_MAX: nothing. */
    uint64_t held_len;
    uint64_t match;
    /* What the sink said. */
    unsigned readies;
    unsigned fatals;
    char name[STATE_DIR_NAME_LEN_MAX];
    uint64_t index;
    uint64_t term;
};

void pair_start(struct pair *pair, uint64_t seed);
void pair_stop(struct pair *pair);

uint64_t pair_random(struct pair *pair, uint64_t limit);
/* A new state at the source, with other files. */
void pair_change(struct pair *pair);

/* The process ends, with its disk untouched, or with what a crash leaves of it; and it starts again. */
enum pair_end { PAIR_KILL, PAIR_CRASH, PAIR_CRASH_LOSING_ALL };
void pair_restart_source(struct pair *pair, enum pair_end end);
void pair_restart_sink(struct pair *pair, enum pair_end end);
/* The sink is a patient from now on, which may ask the source and the other member. */
void pair_open_patient(struct pair *pair, const char *reason);
/* Everything under way is lost, and the sink is told. */
void pair_disconnect(struct pair *pair);

/* Carries the oldest frame; false: there is none. */
bool pair_carry_question(struct pair *pair);
bool pair_carry_answer(struct pair *pair);
/* Both take their steps. */
void pair_step(struct pair *pair);
/* Whatever comes first: a frame, the disk, or else time. */
void pair_run_one(struct pair *pair);
/* Until the sink says that the copy is there. */
void pair_run(struct pair *pair);

/* The directory that the sink named holds exactly the state that the copy was made of. */
void pair_expect_copy(const struct pair *pair);

/* A frame from a message; the caller releases it. */
struct frame pair_frame(const Holdfast__PeerRebuild *message, struct slice body);
void pair_frame_done(struct frame *frame);

/* How many files below the path there are on the disk; of copies at the source; of what is fetched at the sink. */
unsigned pair_files_below(const struct sim_disk *disk, const char *path);
unsigned pair_copies_there(const struct pair *pair);
unsigned pair_incoming_there(const struct pair *pair);

/* Until the condition holds. */
#define PAIR_RUN_UNTIL(pair, condition)                                                                                \
    do {                                                                                                               \
        unsigned turns = 0;                                                                                            \
        while (!(condition) && turns++ < 20000) {                                                                      \
            pair_run_one(pair);                                                                                        \
        }                                                                                                              \
        cr_assert(condition);                                                                                          \
    } while (0)

/* ---- rebuild_pair_ask.c: questions to the source, past the sink ---- */

int pair_ask(struct pair *pair, uint64_t from, Holdfast__PeerRebuild *message);
int pair_ask_open(struct pair *pair, uint64_t from, uint64_t copy);
/* As a patient. */
int pair_ask_join(struct pair *pair, uint64_t from, uint64_t copy, uint64_t question);
int pair_ask_read(struct pair *pair, uint64_t copy, uint32_t file, uint64_t offset, uint32_t len);
/* Takes the oldest answer. `ret_copy` may be NULL. */
Holdfast__PeerRebuild__KindCase pair_answer_kind(struct pair *pair, uint64_t *ret_copy);
/* What is told, in one struct; the oldest answer is gone. */
struct pair_answer {
    Holdfast__PeerRebuild__KindCase kind;
    uint64_t copy;
    uint64_t index;
    uint64_t question;
    uint32_t error;
    uint64_t leader;
    char detail[300];
};
struct pair_answer pair_take_answer(struct pair *pair);
/* The copy that is announced. */
uint64_t pair_open_copy(struct pair *pair, uint64_t copy);

/* Something happens, at random: a frame arrives, a disk is done with something, time passes. */
void pair_some_turn(struct pair *pair);

#endif
