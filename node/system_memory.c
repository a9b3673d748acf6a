/* What proc(5) and the control group say of memory. */

#include "node/system_memory.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <unistd.h>
#include <uv.h>

/* From here on a block is mapped by itself, and unmapped when it is freed (mallopt(3)). Setting it also keeps the allocator
 * from raising it by itself, to 32 MiB. */
#define MAPPED_LEN (1024 * 1024)

/* What is free at the end of the heap stays there up to this, or it would be asked for again a moment later. */
#define TRIM_LEN (8 * 1024 * 1024)

/* The loop and those who write files; the default is eight for each core, and each keeps what it once had. */
#define ARENAS_MAX 2

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

void system_memory_init(void)
{
    /* They fail for values that make no sense. */
    (void)mallopt(M_MMAP_THRESHOLD, MAPPED_LEN);
    (void)mallopt(M_TRIM_THRESHOLD, TRIM_LEN);
    (void)mallopt(M_ARENA_MAX, ARENAS_MAX);
}

void system_memory_relax(void)
{
    (void)malloc_trim(0);
}
