/* What the queue machine does on one core, alone.
 *
 *   bench_machine [SUBJECT]...     without any: cycles, rocksdb, idle, table */

#include <stdio.h>
#include <string.h>

#include "bench.h"

static const struct subject {
    const char *name;
    void (*run)(void);
    bool brief;
} subjects[] = {
    {"cycles", bench_cycles, true},    {"rocksdb", bench_rocksdb, true}, {"idle", bench_idle, true},
    {"table", bench_table, true},      {"many", bench_many, false},      {"timers", bench_timers, false},
    {"backlog", bench_backlog, false},
};

static bool is_wanted(const struct subject *subject, int argc, char **argv)
{
    bool wanted = argc < 2 && subject->brief;
    for (int i = 1; i < argc; i++) {
        wanted = wanted || strcmp(argv[i], subject->name) == 0;
    }
    return wanted;
}

int main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++) {
        if (is_wanted(&subjects[i], argc, argv)) {
            subjects[i].run();
        }
    }
    return 0;
}
