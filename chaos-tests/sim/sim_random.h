/* Random numbers of the simulation: small, fast, and the same everywhere for the same seed.
 *
 * The generator is xoshiro256** (Blackman and Vigna, 2018), seeded with splitmix64. Each part of a world has its own
 * stream, so that a change in one does not reshuffle the others. */

#ifndef HOLDFAST_CHAOS_SIM_RANDOM_H
#define HOLDFAST_CHAOS_SIM_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct sim_random {
    uint64_t state[4];
};

/* `stream` tells apart the generators of one seed. */
void sim_random_init(struct sim_random *random, uint64_t seed, uint64_t stream);
uint64_t sim_random_next(struct sim_random *random);
/* Between first and last, both included. */
uint64_t sim_random_between(struct sim_random *random, uint64_t first, uint64_t last);
/* True `per_million` times in a million. */
bool sim_random_chance(struct sim_random *random, uint64_t per_million);
/* Small mostly, sometimes many times the mean: how long things in a network or on a disk take. At most 16 means. */
uint64_t sim_random_delay(struct sim_random *random, uint64_t mean);
/* For sim_disk_crash(): `arg` is a struct sim_random. */
uint64_t sim_random_callback(void *arg);
/* A well mixed function of two numbers. */
uint64_t sim_random_mix(uint64_t a, uint64_t b);

#endif
