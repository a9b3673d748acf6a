/* Makes the recorded logs: a machine, a few clients, and random commands for them, from a fixed seed. */

#ifndef HOLDFAST_STATEMACHINE_TEST_GOLDEN_MAKE_H
#define HOLDFAST_STATEMACHINE_TEST_GOLDEN_MAKE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "proto/base/bytes.h"
#include "proto/wire/command.pb-c.h"
#include "proto/wire/entry.h"
#include "sim/store_memory.h"
#include "statemachine/machine.h"

#define CLIENTS 6u
#define CONSUMERS 4u
#define NODES 4u
#define SEEN_MAX 256u /* Details that there may be. */

struct maker_client {
    uint64_t session;
    uint64_t attachment;
    uint64_t number;
    uint64_t answered;
    uint64_t delivered[CONSUMERS + 1]; /* The last delivery's number. */
};

struct maker {
    uint64_t random;
    bool odd; /* What only a build that knows version 2 could misread comes too. */
    struct store_memory_disk *disk;
    struct machine *machine;
    struct effects effects;
    uint64_t index;
    uint64_t time_ms;
    uint64_t tag;
    uint64_t runs[NODES];
    uint64_t sequences[3]; /* Of the producers x, y, z. */
    struct maker_client clients[CLIENTS];
    uint64_t texts;
    FILE *log;
    FILE *digests;
    /* The entry being built. */
    struct bytes bytes;
    uint32_t commands;
    /* How often each detail was given. */
    uint64_t seen[SEEN_MAX];
};

/* Ends the program with a line when it does not hold. */
void require(bool holds, const char *what);

uint64_t below(struct maker *maker, uint64_t limit);

/* Adds a command with an encoded header, or with one to be encoded. */
void add_raw(struct maker *maker, const struct entry_command *from, const void *header, size_t header_len,
             const void *bodies, size_t bodies_len);
void add(struct maker *maker, const struct entry_command *from, const Holdfast__Command *command, const void *bodies,
         size_t bodies_len);
/* The next command of a client. */
struct entry_command next_of(struct maker_client *client);

/* Random commands of all kinds; of a client, or of a node. */
void add_random(struct maker *maker);
/* Commands and fields that version 1 does not know. */
void add_unknown(struct maker *maker, const struct entry_command *from);

/* Single commands, also for the scenes. */
void add_attach(struct maker *maker, const void *key, size_t key_len, uint64_t node, bool resume, uint32_t lease_ms);
void add_declare(struct maker *maker, const struct entry_command *from, const char *queue);
void add_subscribe(struct maker *maker, const struct entry_command *from, const char *queue, uint64_t consumer,
                   uint32_t credit);
void add_set_credit(struct maker *maker, const struct entry_command *from, uint64_t consumer, uint32_t credit);
/* `count` empty messages. */
void add_publish_empty(struct maker *maker, const struct entry_command *from, const char *queue, size_t count);

/* Applies the entry that was built, writes it to the log, and learns from its effects. */
void apply(struct maker *maker);
/* Likewise without learning: the entry in the machine's effects is somebody else's. */
void apply_entry(struct maker *maker, struct slice entry);
/* All rows that a checkpoint leaves in the store go to the file; the machine goes on from them. */
void write_rows(struct maker *maker, FILE *file);

/* Counts the details of the replies of the last entry. */
void learn_details(struct maker *maker);

/* golden_new.c: a log of version 2. `uses` as log_maker_init() takes it; the version is raised by entry `raise_at`. The rows are those
 * after half of the entries. */
void make_new(struct maker *maker, FILE *rows, uint64_t uses, uint64_t raise_at, uint64_t entries);

#endif
