/* What goes wrong and when. */

#ifndef HOLDFAST_CHAOS_SIM_NEMESIS_H
#define HOLDFAST_CHAOS_SIM_NEMESIS_H

#include <stdbool.h>
#include <stdint.h>

#include "sim_random.h"

struct sim_world;

enum sim_trouble {
    SIM_CRASH,
    SIM_CRASH_DIRTY,
    SIM_CRASH_LEADER,
    SIM_CRASH_ALL,
    SIM_PAUSE,
    SIM_PAUSE_LEADER,
    SIM_SLOW_DISK,
    SIM_PARTITION,
    SIM_CUT_LEADER,
    SIM_CUT_ONE_WAY,
    SIM_MUTE,
    SIM_BREAK_PEER,
    SIM_BREAK_CLIENT,
    SIM_CUT_CLIENT,
    SIM_LONG_CUT_CLIENT,
    SIM_CRASH_CLIENT,
    SIM_CLOSE_CLIENT,
    SIM_CONGEST,
    SIM_TRANSFER,
    SIM_CLOCK_JUMP,
    SIM_FILL,
    SIM_FILL_LEADER,
    SIM_FILL_ALL,
    SIM_STALL,
    SIM_STALL_LEADER,
    SIM_MEMORY,
    SIM_TROUBLE_COUNT
};

#define SIM_PLAN_LEN 5u

struct sim_nemesis {
    struct sim_random random;
    uint64_t every_us;                   /* Mean time between two troubles. */
    unsigned weights[SIM_TROUBLE_COUNT]; /* Each seed has its own temper. */
    unsigned weights_sum;
    enum sim_trouble plan[SIM_PLAN_LEN]; /* What happens in any case. */
    unsigned planned;                    /* Of the troubles that every run has, how many have been. */
    uint64_t cuts;                       /* Numbers partitions: only the last one is mended by its own event. */
};

void sim_nemesis_init(struct sim_world *world);
/* Whether the troubles that every run has have been. */
bool sim_nemesis_done(const struct sim_world *world);
/* Ends all faults: mends links and disks. Nodes that are down or paused go on soon by themselves. */
void sim_nemesis_stop(struct sim_world *world);

#endif
