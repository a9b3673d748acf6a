/* What proc(5) and the control group say of memory. */

#include "node/system_memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>
#include <uv.h>

/* The second number of /proc/self/statm is the resident set, in pages (proc(5)). */
uint64_t system_memory_used(void)
{
    uint64_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL) {
        return 0;
    }
    if (fscanf(file, "%*u %" SCNu64, &pages) != 1) {
        pages = 0;
    }
    (void)fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Of a process in a control group of version 2, libuv 1.44 does not know the limit, so it is read here. The group's own
 * files are at the root of what a container sees. */
static uint64_t group_limit(void)
{
    uint64_t limit = 0;
    FILE *file = fopen("/sys/fs/cgroup/memory.max", "re");
    if (file == NULL) {
        return uv_get_constrained_memory();
    }
    if (fscanf(file, "%" SCNu64, &limit) != 1) {
        limit = 0; /* "max": none. */
    }
    (void)fclose(file);
    return limit;
}

uint64_t system_memory_total(void)
{
    uint64_t total = uv_get_total_memory();
    uint64_t limit = group_limit();
    return limit != 0 && limit < total ? limit : total;
}
