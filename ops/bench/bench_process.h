/* What processes cost: processor time and memory, from /proc. */

#ifndef HOLDFAST_OPS_BENCH_BENCH_PROCESS_H
#define HOLDFAST_OPS_BENCH_BENCH_PROCESS_H

#include <stdint.h>

#include "proto/base/err.h"

#define BENCH_PROCESSES_MAX 64u

struct bench_process {
    uint64_t pid;
    uint64_t cpu_ms;  /* At the start; then, of the run. UINT64_MAX: it is not there. */
    uint64_t rss_len; /* Resident memory at the end, in bytes. */
};

struct bench_processes {
    struct bench_process list[BENCH_PROCESSES_MAX];
    unsigned len;
};

/* Adds ids, separated by commas or white space. ERR_INVALID, ERR_LIMIT. */
int bench_processes_add(struct bench_processes *processes, const char *text) NODISCARD;
/* The same from a file, at most some kilobytes of it. ERR_IO: see errno. */
int bench_processes_add_file(struct bench_processes *processes, const char *path) NODISCARD;

void bench_processes_start(struct bench_processes *processes);
void bench_processes_end(struct bench_processes *processes);

/* Processor time that this process has used. */
uint64_t bench_process_own_ms(void);

#endif
