/* Time and randomness, as the consensus room and the gateway see them. node/ reads the operating system's; the simulator
 * has its own. The state machine uses neither: its time comes with the entries. */

#ifndef HOLDFAST_PROTO_BASE_CLOCK_H
#define HOLDFAST_PROTO_BASE_CLOCK_H

#include <stdint.h>

struct clock {
    uint64_t (*monotonic_ms)(struct clock *clock); /* Never goes back; says nothing about the date. */
    uint64_t (*wall_ms)(struct clock *clock);      /* Since 1970-01-01 UTC; may jump. */
    uint64_t (*random)(struct clock *clock);       /* 64 random bits. */
};

#endif
