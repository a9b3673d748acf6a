/* Makes random logs of version 2: clients in several virtual hosts and nodes that use every command, each history some features
 * more than others. Entries depend on the seed and on the effects of those before, and on nothing else. For tests that compare
 * machines with each other, and for recordings. */

#ifndef HOLDFAST_STATEMACHINE_TEST_LOG_MAKER_H
#define HOLDFAST_STATEMACHINE_TEST_LOG_MAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/bytes.h"
#include "proto/wire/command.pb-c.h"
#include "proto/wire/entry.h"
#include "statemachine/machine.h"

#define MAKER_CLIENTS 6u
#define MAKER_CONSUMERS 4u
#define MAKER_NODES 3u
#define MAKER_PRODUCERS 3u
#define MAKER_MESSAGES_MAX 6u

struct log_maker_client {
    uint64_t session;
    uint64_t attachment;
    uint64_t number;
    uint64_t answered;
    uint64_t delivered[MAKER_CONSUMERS + 1]; /* The last delivery's number. */
};

/* What a history uses, or does not. */
enum log_feature {
    USES_PRIORITIES,
    USES_GROUPS,
    USES_SINGLE_ACTIVE,
    USES_EXCLUSIVE,
    USES_AUTO_DELETE,
    USES_QUEUE_EXPIRY,
    USES_TTL,
    USES_LENGTH,
    USES_BYTES,
    USES_DEAD_LETTERS,
    USES_MAX_DELIVERIES,
    USES_DELAYS,
    USES_LOCKS,
    USES_KEPT,
    USES_LIFE,
    USES_IDS,
    USES_PAUSES,
    USES_EXCHANGES,
    USES_PREPARE,
    USES_PRODUCERS,
    USES_HOSTS,
    USES_LIMITS,
    USES_LARGE,
    USES_CHANGES,
    USES_FETCH,
    USES_LATE,
    USES_ODDITIES,
    LOG_FEATURES,
};

struct log_maker {
    uint64_t random;
    uint64_t uses; /* Bits of features. */
    unsigned weights[8];
    uint64_t raise_at; /* The entry that raises the version: 1, unless it is changed after log_maker_init(). */
    uint64_t index;
    uint64_t time_ms;
    uint64_t tag;
    uint64_t prepared;
    uint64_t runs[MAKER_NODES];
    uint64_t sequences[MAKER_PRODUCERS];
    uint64_t epochs[MAKER_PRODUCERS];
    struct log_maker_client clients[MAKER_CLIENTS];
    /* The entry being built. */
    struct bytes bytes;
    uint32_t commands;
    uint64_t kinds[40]; /* Commands so far, by kind. */
};

/* `uses`: bits of log_feature; 0: the seed chooses them. */
void log_maker_init(struct log_maker *maker, uint64_t seed, uint64_t uses);
void log_maker_done(struct log_maker *maker);

/* The next entry; the caller owns it. */
struct slice log_maker_next(struct log_maker *maker);
/* Takes notice of what became of it. */
void log_maker_learn(struct log_maker *maker, struct machine *machine, const struct effects *effects);

/* For the maker's own files. */

uint64_t maker_below(struct log_maker *maker, uint64_t limit);
/* One time of `of`, if the history uses that. */
bool maker_may(struct log_maker *maker, enum log_feature feature, unsigned of);
char *maker_text(const char *text);
char *maker_queue(struct log_maker *maker);
char *maker_exchange(struct log_maker *maker);
char *maker_key(struct log_maker *maker);
/* A time in milliseconds: mostly short. */
uint64_t maker_time(struct log_maker *maker);
#define MAKER_PICK(maker, items) ((items)[maker_below(maker, sizeof(items) / sizeof *(items))])
void maker_add(struct log_maker *maker, const struct entry_command *from, const Holdfast__Command *command,
               struct slice bodies);
/* Headers "h" and "g" with values of all types, up to `max`; valid until the next call. */
size_t maker_headers(struct log_maker *maker, size_t max, Holdfast__Header ***ret_headers);

/* log_maker_queue.c */
void maker_add_queue(struct log_maker *maker, const struct entry_command *from);
void maker_add_exchange(struct log_maker *maker, const struct entry_command *from);
void maker_add_host(struct log_maker *maker, const struct entry_command *from);
/* log_maker_publish.c */
void maker_add_publish(struct log_maker *maker, const struct entry_command *from);
void maker_add_transact(struct log_maker *maker, const struct entry_command *from,
                        const struct log_maker_client *client);
void maker_add_producer(struct log_maker *maker, const struct entry_command *from);
/* log_maker_consume.c */
void maker_set_settle(struct log_maker *maker, const struct log_maker_client *client, Holdfast__Settle *settle,
                      uint64_t firsts[3], uint64_t lasts[3]);
void maker_add_settle(struct log_maker *maker, const struct entry_command *from, const struct log_maker_client *client);
void maker_add_consume(struct log_maker *maker, const struct entry_command *from);
void maker_add_move(struct log_maker *maker, const struct entry_command *from);

#endif
