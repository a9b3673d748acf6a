/* The model and two machines, one of which is checkpointed and restarted, through one history. */

#ifndef HOLDFAST_STATEMACHINE_TEST_WORLD_H
#define HOLDFAST_STATEMACHINE_TEST_WORLD_H

#include "model_private.h"
#include "proto/base/bytes.h"
#include "sim/store_memory.h"
#include "statemachine/machine.h"
#include "step.h"

#define WORLD_CLIENTS 4u
#define WORLD_NODES 3u
#define WORLD_CONSUMERS 3u
#define WORLD_PRODUCERS 3u
#define WORLD_SAID_MAX 2048u

/* States of what a command is about, for the table of what was seen. */
enum object_state {
    OBJECT_NONE,
    OBJECT_EMPTY,
    OBJECT_READY,
    OBJECT_LOCKED,  /* Nothing ready, something locked. */
    OBJECT_WAITING, /* Neither, something waiting. */
    OBJECT_PARKED,
    OBJECT_PAUSED,
    OBJECT_FULL,
    OBJECT_DETACHED,
    OBJECT_STATES,
};

#define ERRORS_MAX 40u

/* How often each operation had each outcome, by the state of its object before. */
struct coverage {
    uint64_t seen[OP_COUNT][ERRORS_MAX][OBJECT_STATES];
    uint64_t effects[8];
    uint64_t seen_else[SEEN_COUNT];
};

struct twin {
    struct store_memory_disk *disk;
    struct machine *machine;
    uint64_t index;
    struct effects effects;
};

struct client {
    uint64_t session;
    uint64_t attachment;
    uint64_t number; /* Of the last command that was added. */
    uint64_t origin_node;
    uint64_t origin_run;
    uint64_t origin_tag;
    uint32_t home; /* Its virtual host: host_name(). */
};

struct world {
    struct model *model;
    bool alone; /* Without machines. */
    struct twin plain;
    struct twin disturbed;
    struct machine_checkpoint *checkpoint; /* Of the disturbed one. */
    bool written;
    struct slice *log; /* log[i] is the entry of index i + 1. */
    size_t log_len;
    struct client clients[WORLD_CLIENTS];
    uint64_t runs[WORLD_NODES];
    uint64_t tag;
    uint64_t time_ms;
    uint64_t sequences[WORLD_PRODUCERS];
    uint64_t published; /* Messages so far: each has another body. */
    /* How each queue and exchange was declared first; op 0: not yet. */
    struct step declared[5];
    struct step exchanges[10];
    /* The entry being built. */
    struct bytes bytes;
    uint32_t commands;
    struct {
        enum op op;
        enum object_state state;
    } ops[256];
    struct coverage *coverage; /* May be NULL. */
    size_t step;               /* The one being applied. */
    char said[WORLD_SAID_MAX]; /* The first difference; empty: none. */
};

/* Applies the history. False: something is different; `said` (of WORLD_SAID_MAX bytes) says what. `coverage` may be NULL.
 * `trace`, if not NULL, gets a line for every step and effect. */
bool world_run(const struct history *history, struct coverage *coverage, char *said, FILE *trace);

/* Applies it to the model alone, to see what the history reaches. */
void world_run_alone(const struct history *history, struct coverage *coverage);

/* world_add.c: adds the command of a step to the entry being built. */
void world_add(struct world *world, const struct step *step);

/* world_parts.c: what commands are made of. */
struct parts {
    struct bytes bodies;
    uint32_t lens[8];
    uint32_t head_lens[8];
    uint64_t hashes[8];
};
char *text_of(const char *text);
const char *queue_name(uint32_t queue);
const char *exchange_name(uint32_t exchange);
const char *host_name(uint32_t host);
/* The options of a step that has them; they borrow from nothing. */
void set_options(Holdfast__QueueOptions *options, const struct step *step);
/* Messages of a step that has `queue`, `messages`, `size` and a head. */
void set_messages(struct world *world, const struct step *step, Holdfast__Publish *publish, struct parts *parts);
/* Arguments of a binding, and how many. */
size_t set_arguments(Holdfast__Header ***ret_arguments, uint32_t match);
void arguments_free(Holdfast__Header **arguments, size_t len);

/* world_settle.c: whose command a step is, and of which consumer. */
uint32_t client_of(const struct world *world, const struct step *step);
uint64_t consumer_of(const struct world *world, const struct step *step);

/* world_add_new.c: commands since version 2. */
void world_add_new(struct world *world, const struct step *step, const struct entry_command *from);
/* world_add_more.c: likewise. */
void world_add_more(struct world *world, const struct step *step, const struct entry_command *from);
void world_add_command(struct world *world, const struct entry_command *from, const Holdfast__Command *command,
                       const void *bodies, size_t bodies_len);
void set_producer(struct world *world, const struct step *step, uint32_t producer, Holdfast__Publish *publish);
void set_settle(struct world *world, const struct step *step, Holdfast__Settle *settle, uint64_t first[2],
                uint64_t last[2]);

/* world_compare.c: they note what is different. */
void compare_effects(struct world *world);
void compare_state(struct world *world, struct twin *twin);
void compare_content(struct world *world, const char *queue, uint64_t position, const struct machine_content *content,
                     const struct parcel *parcel);
void world_say(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
void effects_trace(const struct world *world, FILE *trace);

/* world_look.c: likewise. */
void look_at_queue(struct world *world, struct twin *twin, const struct queue *queue);
void look_at_hosts(struct world *world, struct twin *twin);

/* coverage.c */
enum object_state coverage_state(const struct world *world, const struct step *step);
void coverage_note(struct world *world);
void coverage_add(struct coverage *coverage, const struct coverage *other);
/* At the end of a history. */
void coverage_end(struct world *world);
void coverage_print(const struct coverage *coverage, unsigned version, FILE *file);
/* How many of the cells are empty that histories under these rules are to reach; `file` gets a line for each. */
size_t coverage_missing(const struct coverage *coverage, unsigned version, FILE *file);

#endif
