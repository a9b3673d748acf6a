/* The table of figures that have a target. */

#include <stdio.h>

#include "bench.h"

#define GOALS_MAX 64u

static struct goal {
    const char *what;
    const char *unit;
    double value;
    double target;
    bool most;
} goals[GOALS_MAX];
static size_t goals_len;

void bench_goal(const char *what, const char *unit, double value, double target, bool most)
{
    CHECK(goals_len < GOALS_MAX);
    goals[goals_len++] = (struct goal){.what = what, .unit = unit, .value = value, .target = target, .most = most};
}

void bench_goals(void)
{
    if (goals_len > 0) {
        printf("\n%-64s %12s %18s\n", "target", "measured", "wanted");
    }
    for (size_t i = 0; i < goals_len; i++) {
        const struct goal *goal = &goals[i];
        bool met = goal->most ? goal->value <= goal->target : goal->value >= goal->target;
        printf("%-64s %12.*f %s %10.*f %-5s %s\n", goal->what, goal->target < 1000 ? 2 : 0, goal->value,
               goal->most ? "<=" : ">=", goal->target < 1000 ? 1 : 0, goal->target, goal->unit, met ? "met" : "MISSED");
    }
}
