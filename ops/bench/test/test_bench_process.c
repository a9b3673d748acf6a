/* Ids of processes, and what /proc says of one that is known: this. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

#include "bench_process.h"

Test(bench_process, takes_lists_of_ids)
{
    struct bench_processes processes = {0};
    cr_assert_eq(bench_processes_add(&processes, "1,22 333\n"), 0);
    cr_assert_eq(bench_processes_add(&processes, "\t"), 0);
    cr_assert_eq(processes.len, 3);
    cr_assert_eq(processes.list[0].pid, 1);
    cr_assert_eq(processes.list[2].pid, 333);
    static const char *const wrong[] = {"x", "1x", "-1", "0", "1,,a", "99999999999999999999999"};
    for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct bench_processes none = {0};
        cr_assert_eq(bench_processes_add(&none, wrong[i]), ERR_INVALID, "%s", wrong[i]);
    }
    for (unsigned i = processes.len; i < BENCH_PROCESSES_MAX; i++) {
        cr_assert_eq(bench_processes_add(&processes, "5"), 0);
    }
    cr_assert_eq(bench_processes_add(&processes, "5"), ERR_LIMIT);
    cr_assert_eq(bench_processes_add_file(&processes, "/nowhere/at/all"), ERR_IO);
}

Test(bench_process, knows_what_this_process_costs)
{
    char own[32];
    struct bench_processes processes = {0};
    snprintf(own, sizeof own, "%d 4194305", (int)getpid()); /* The second is beyond what Linux gives. */
    cr_assert_eq(bench_processes_add(&processes, own), 0);
    bench_processes_start(&processes);
    volatile unsigned spins = 0;
    for (uint64_t before = bench_process_own_ms(); bench_process_own_ms() < before + 50;) {
        spins++;
    }
    bench_processes_end(&processes);
    cr_assert_geq(processes.list[0].cpu_ms, 20u); /* It is counted in ticks of 10 ms. */
    cr_assert_leq(processes.list[0].cpu_ms, 5000u);
    cr_assert_gt(processes.list[0].rss_len, 100000u);
    cr_assert_eq(processes.list[1].cpu_ms, UINT64_MAX);
}
