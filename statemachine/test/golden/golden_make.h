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
    uint64_t seen[64];
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

#endif
