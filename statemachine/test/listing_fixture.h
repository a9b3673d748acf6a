/* A queue, and beside it a plain list of what should be in it: what the tests share that do the same to both at random. */

#ifndef HOLDFAST_STATEMACHINE_TEST_LISTING_FIXTURE_H
#define HOLDFAST_STATEMACHINE_TEST_LISTING_FIXTURE_H

#include "fixture.h"
#include "statemachine/state.h"

#define LISTED_MAX 4096u

/* A message; what a test is not about stays 0. */
struct listed {
    uint64_t position;
    uint64_t group;
    uint32_t len;
    uint32_t body_len;
    uint32_t count; /* Deliveries so far. */
    bool out;
};

/* In order of position. */
struct listing {
    struct fixture fixture;
    struct listed listed[LISTED_MAX];
    size_t len;
    uint64_t seed;
};

/* A machine of version 2 with the queue "q"; takes over the options. */
void listing_init(struct listing *listing, uint64_t seed, struct queue_options *options);
struct machine *listing_machine(struct listing *listing);
struct queue *listing_queue(struct listing *listing);
/* A number below `below`, which the seed determines. */
uint32_t listing_roll(struct listing *listing, uint32_t below);
/* Adds a message to the queue (as queue_push(), which takes over its references) and to the list. */
void listing_push(struct listing *listing, const struct message *message, uint32_t priority);
void listing_remove(struct listing *listing, size_t at);
/* A checkpoint and a restart, neither of which may change anything. */
void listing_reopen(struct listing *listing);

#endif
