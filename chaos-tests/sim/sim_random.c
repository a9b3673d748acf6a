/* xoshiro256** and the few distributions that the simulation draws from. */

#include "sim_random.h"

#include "proto/base/check.h"

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t sim_random_mix(uint64_t a, uint64_t b)
{
    uint64_t state = a * UINT64_C(0xd1342543de82ef95) ^ b;
    return splitmix(&state);
}

void sim_random_init(struct sim_random *random, uint64_t seed, uint64_t stream)
{
    uint64_t state = sim_random_mix(seed, stream);
    for (int i = 0; i < 4; i++) {
        random->state[i] = splitmix(&state);
    }
}

static uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

uint64_t sim_random_next(struct sim_random *random)
{
    uint64_t *s = random->state;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t sim_random_between(struct sim_random *random, uint64_t first, uint64_t last)
{
    CHECK(first <= last && last - first < UINT64_MAX);
    return first + sim_random_next(random) % (last - first + 1);
}

bool sim_random_chance(struct sim_random *random, uint64_t per_million)
{
    return sim_random_next(random) % 1000000 < per_million;
}

uint64_t sim_random_delay(struct sim_random *random, uint64_t mean)
{
    /* A geometric choice of the scale and a uniform place in it: close enough to an exponential, without floats. */
    uint64_t bits = sim_random_next(random);
    uint64_t scale = mean / 2 + 1;
    for (int i = 0; i < 4 && (bits & 1) != 0; i++) {
        scale *= 2;
        bits >>= 1;
    }
    return sim_random_between(random, scale / 4, scale + scale / 2);
}

uint64_t sim_random_callback(void *arg)
{
    return sim_random_next(arg);
}
