/* CLOCK_MONOTONIC, CLOCK_REALTIME and getrandom(). */

#include "node/system_clock.h"

#include <sys/random.h>
#include <time.h>

#include "proto/base/check.h"

static uint64_t read_ms(clockid_t id)
{
    struct timespec now;
    CHECK(clock_gettime(id, &now) == 0);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t system_monotonic_ms(struct clock *clock)
{
    (void)clock;
    return read_ms(CLOCK_MONOTONIC);
}

static uint64_t system_wall_ms(struct clock *clock)
{
    (void)clock;
    return read_ms(CLOCK_REALTIME);
}

static uint64_t system_random(struct clock *clock)
{
    (void)clock;
    uint64_t value;
    /* Up to 256 bytes are never cut short once the pool is ready, which it is long before we run. */
    CHECK(getrandom(&value, sizeof value, 0) == (ssize_t)sizeof value);
    return value;
}

void system_clock_init(struct system_clock *clock)
{
    *clock = (struct system_clock){
        .base = {.monotonic_ms = system_monotonic_ms, .wall_ms = system_wall_ms, .random = system_random},
    };
}
