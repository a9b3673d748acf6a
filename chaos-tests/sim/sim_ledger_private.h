/* An entry, while the ledger looks at it. */

#ifndef HOLDFAST_CHAOS_SIM_LEDGER_PRIVATE_H
#define HOLDFAST_CHAOS_SIM_LEDGER_PRIVATE_H

#include "proto/wire/command.pb-c.h"
#include "proto/wire/message.pb-c.h"
#include "sim_ledger.h"

#define LOOK_MOVES_MAX 512u

/* Why a message may leave, or a delivery end. */
enum {
    WHY_SETTLED = 1,
    WHY_REJECTED = 2,
    WHY_EXPIRED = 4,
    WHY_MAXLEN = 8,
    WHY_LIMIT = 16,
    WHY_RELEASED = 32,
    WHY_LOCK = 64,
    WHY_ENDED = 128,
    WHY_COUNTED = 256, /* Of what is released: it is one delivery older, or not. */
    WHY_NOT_COUNTED = 512,
};
#define WHY_DEAD (WHY_REJECTED | WHY_EXPIRED | WHY_MAXLEN | WHY_LIMIT)
#define WHY_BACK (WHY_RELEASED | WHY_LOCK | WHY_ENDED)

#define LOOK_VIOLATION(look, queue, item, text, ...)                                                                   \
    sim_world_violation(                                                                                               \
        (look)->world, "entry %" PRIu64 ", queue %s, position %" PRIx64 ", message %" PRIx64 ": " text, (look)->index, \
        (look)->world->features.queues[queue].name, (item)->position, (item)->parcel, ##__VA_ARGS__)

struct look_command {
    Holdfast__Command *command;
    uint64_t session;
    struct slice bodies;
    bool done; /* It was carried out in this entry. */
    uint32_t error;
    uint64_t count;
    uint64_t repeated_count;
};

struct look {
    struct sim_world *world;
    struct sim_ledger *ledger;
    struct machine *machine;
    uint64_t index;
    uint64_t time_ms;
    const struct effects *effects;
    bool behind; /* This entry has left something to the next, in a world in which it may; */
    bool late;   /* or the one before it has. */
    struct look_command *commands;
    size_t commands_len;
    struct look_death { /* A message that came as a dead letter. */
        uint64_t parcel;
        unsigned from;
        unsigned to;
        unsigned why;
        bool matched;
    } deaths[LOOK_MOVES_MAX];
    size_t deaths_len;
    struct sim_leave leaves[LOOK_MOVES_MAX];
    size_t leaves_len;
    struct look_expected { /* Is to be in that queue by this entry. */
        uint64_t parcel;
        unsigned queue;
    } expected[LOOK_MOVES_MAX * 4];
    size_t expected_len;
    unsigned arrived[SIM_FEATURE_QUEUES]; /* Messages that came in. */
    unsigned back[SIM_FEATURE_QUEUES];    /* That are ready again, or may come in whatever the queue's limit is. */
};

/* Whether what comes in may push out what is there; a queue that refuses new ones keeps it, and takes all else. */
static inline bool look_pushes_out(const struct sim_feature_options *options)
{
    return options->has_max_length && options->overflow != HOLDFAST__QUEUE_OPTIONS__OVERFLOW__REJECT_NEW;
}

/* sim_ledger_command.c: what the commands were, and what follows from them. */
void look_commands(struct look *look, struct slice payload);
void look_commands_done(struct look *look);
/* The parcel's way is taken now. */
void look_route(struct look *look, uint64_t id, struct sim_parcel *parcel);

/* sim_ledger_delivery.c */
/* What the commands of the entry did to a delivery: reasons. `ret_delay_ms` is the shortest delay that goes with them. */
unsigned look_delivery(const struct look *look, const struct sim_feature_options *options, const struct sim_item *item,
                       uint64_t *ret_delay_ms);
/* Until when its lock lasts after the entry's extensions. */
uint64_t look_extended(const struct look *look, const struct sim_item *item);
/* Whether a command of this session was carried out that may settle, extend or end deliveries. */
bool look_settles(const struct look *look, uint64_t session);
/* Whether the consumer has ended in this entry. */
bool look_ended(const struct look *look, uint64_t session, uint64_t consumer);

/* sim_ledger_arrive.c: a message has come; also one that was published and has left again. */
void look_arrive(struct look *look, unsigned queue, struct sim_item *item);
void look_arrive_published(struct look *look, unsigned queue, const struct sim_item *item, struct sim_parcel *parcel);
/* Whether the queue that looks at ids is to keep it out. */
bool look_id_seen(struct look *look, unsigned queue, const struct sim_parcel *parcel);
/* Whether so much log time may have passed since. */
bool look_passed_really(const struct look *look, uint64_t since_us, uint64_t ms);

/* sim_ledger_queue.c: what each queue holds now, and how that came. */
void look_queue(struct look *look, unsigned queue);
/* sim_ledger_quiet.c: whether the entry has left the queue as it was. Most have, and reading all that it holds takes long. */
bool look_quiet(struct look *look, unsigned queue, const struct machine_queue *found);
/* sim_ledger_late.c: what may come with a later entry. */
void look_begin_late(struct look *look);
/* Whether a delivery that is over for these reasons may stay for now. */
bool look_may_stay(const struct look *look, const struct sim_item *item, unsigned why);
/* Whether the dead letter may still come; it is remembered. */
bool look_owe(struct look *look, const struct sim_leave *leave);
/* Whether a message that is due need not have come yet. */
bool look_due_later(struct look *look, struct sim_parcel *parcel);
/* Dead letters of messages that came and left within an entry that the ledger did not see them come in. */
void look_route_dead(struct look *look);
/* Takes those that are still to come out of the ledger; the caller frees them. */
struct sim_leave *look_take_owed(struct look *look, size_t *ret_len);

/* sim_ledger_match.c. All queues have been looked at: what left is held against what came elsewhere, and what was to come. */
void look_match(struct look *look);

#endif
