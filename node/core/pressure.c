/* Two watermarks with a distance between "low" and "enough again". */

#include "node/core/pressure.h"

/* The distance: this part of the watermark. */
#define DISTANCE_PART 8u

static bool disk_is_low(const struct pressure *pressure, const struct pressure_limits *limits,
                        const struct pressure_sample *sample)
{
    if (sample->log_short) {
        return true;
    }
    uint64_t enough = limits->disk_free_min;
    if (pressure->disk_low) {
        enough += limits->disk_free_min / DISTANCE_PART;
    }
    return limits->disk_free_min != 0 && sample->disk_free < enough;
}

static bool memory_is_low(const struct pressure *pressure, const struct pressure_limits *limits,
                          const struct pressure_sample *sample)
{
    uint64_t most = limits->memory_max;
    if (pressure->memory_low) {
        most -= limits->memory_max / DISTANCE_PART;
    }
    return limits->memory_max != 0 && sample->memory_used > most;
}

bool pressure_update(struct pressure *pressure, const struct pressure_limits *limits,
                     const struct pressure_sample *sample)
{
    bool disk_low = disk_is_low(pressure, limits, sample);
    bool memory_low = memory_is_low(pressure, limits, sample);
    bool changed = disk_low != pressure->disk_low || memory_low != pressure->memory_low;
    pressure->disk_low = disk_low;
    pressure->memory_low = memory_low;
    return changed;
}
