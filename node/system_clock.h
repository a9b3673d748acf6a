/* The operating system's clocks and randomness. */

#ifndef HOLDFAST_NODE_SYSTEM_CLOCK_H
#define HOLDFAST_NODE_SYSTEM_CLOCK_H

#include "proto/base/clock.h"

struct system_clock {
    struct clock base;
};

void system_clock_init(struct system_clock *clock);

#endif
