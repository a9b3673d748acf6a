/* What the queue machine does on one core, alone.
 *
 *   bench_machine [SUBJECT]...     without any: cycles, topic, rocksdb, idle, table
 *
 * README.md beside this file says what each measures. Figures that have a target are printed with it in a table at the end. */

#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"

static const struct subject {
    const char *name;
    void (*run)(void);
    bool brief;
} subjects[] = {
    {"cycles", bench_cycles, true},  {"topic", bench_topic, true},      {"rocksdb", bench_rocksdb, true},
    {"idle", bench_idle, true},      {"table", bench_table, true},      {"many", bench_many, false},
    {"timers", bench_timers, false}, {"backlog", bench_backlog, false}, {"worst", bench_worst, false},
    {"open", bench_opening, false},
};

static bool is_wanted(const struct subject *subject, int argc, char **argv)
{
    bool wanted = argc < 2 && subject->brief;
    for (int i = 1; i < argc; i++) {
        wanted = wanted || strcmp(argv[i], subject->name) == 0;
    }
    return wanted;
}

/* As a node has it (node/system_memory.c). */
static void memory_init(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, 1024 * 1024);
    (void)mallopt(M_TRIM_THRESHOLD, 8 * 1024 * 1024);
    (void)mallopt(M_ARENA_MAX, 2);
}

int main(int argc, char **argv)
{
    memory_init();
    for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++) {
        if (is_wanted(&subjects[i], argc, argv)) {
            subjects[i].run();
        }
    }
    bench_goals();
    return 0;
}
