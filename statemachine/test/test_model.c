/* Random histories: what the machine says is what the model says (model/), under either version of the rules, whatever is
 * checkpointed and restarted on the way. model_run goes on with other seeds, and makes short what it finds. */

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>

#include "model/shrink.h"
#include "model/world.h"
#include "proto/base/fault.h"

#define ENTRIES 60u

static void run(unsigned rules, uint64_t from, uint64_t seeds)
{
    for (uint64_t seed = from; seed < from + seeds; seed++) {
        struct history history = {0};
        char said[WORLD_SAID_MAX];
        history_random(&history, seed, rules, ENTRIES);
        cr_assert(world_run(&history, NULL, said, NULL),
                  "%s\nmodel_run --rules %u --from %" PRIu64 " --seeds 1 makes it short", said, rules, seed);
        history_done(&history);
    }
}

Test(model, the_machine_does_as_the_model_under_version_1)
{
    run(1, 1, 150);
}

Test(model, the_machine_does_as_the_model_under_version_1_with_other_seeds)
{
    run(1, 100001, 150);
}

#if MACHINE_VERSION_MAX >= 2
Test(model, the_machine_does_as_the_model_under_version_2)
{
    run(2, 1, 150);
}

Test(model, the_machine_does_as_the_model_under_version_2_with_other_seeds)
{
    run(2, 200001, 150);
}

Test(model, the_machine_does_as_the_model_when_it_is_raised_to_version_2)
{
    run(RULES_UPGRADE, 1, 150);
}
#endif

/* Whatever a history is to reach is reached: every outcome of every command, the states that it is carried out in, and what happens on
 * the way. (The model alone says so; that the machine does the same is seen above, and by model_run --required.) */
static void reach(unsigned rules, uint64_t seeds)
{
    struct coverage *coverage = calloc(1, sizeof *coverage);
    cr_assert_not_null(coverage);
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        struct history history = {0};
        history_random(&history, seed, rules, ENTRIES);
        world_run_alone(&history, coverage);
        history_done(&history);
    }
    cr_assert_eq(coverage_missing(coverage, rules, stderr), 0u);
    free(coverage);
}

Test(model, histories_reach_what_they_are_to_under_version_1)
{
    reach(1, 1000);
}

Test(model, histories_reach_what_they_are_to_under_version_2)
{
    reach(2, 4000);
}

/* What is missing is noticed. */
Test(model, a_cell_that_was_never_seen_is_missing)
{
    struct coverage *coverage = calloc(1, sizeof *coverage);
    FILE *nowhere = fopen("/dev/null", "w");
    cr_assert_not_null(coverage);
    cr_assert_not_null(nowhere);
    cr_assert_gt(coverage_missing(coverage, 1, nowhere), 50u);
    cr_assert_gt(coverage_missing(coverage, 2, nowhere), coverage_missing(coverage, 1, nowhere));
    free(coverage);
    cr_assert_eq(fclose(nowhere), 0);
}

/* A few of the bugs of model/faults.md, which has all of them. */
Test(model, planted_bugs_are_found)
{
    static const enum fault faults[] = {FAULT_SKIP_QUOTA,       FAULT_SKIP_KEEP,         FAULT_SKIP_LIFE_STEP,
                                        FAULT_SKIP_DEADLINE,    FAULT_SKIP_REDRIVE_FROM, FAULT_SKIP_NOT_COUNTED,
                                        FAULT_SKIP_AUTO_DELETE, FAULT_SKIP_CHANGE_FIELDS};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        bool found = false;
        fault_set(faults[i], true);
        for (uint64_t seed = 1; seed <= 1500 && !found; seed++) {
            struct history history = {0};
            char said[WORLD_SAID_MAX];
            history_random(&history, seed, 2, ENTRIES);
            found = !world_run(&history, NULL, said, NULL);
            history_done(&history);
        }
        fault_reset();
        cr_assert(found, "%s was not found", fault_name(faults[i]));
    }
}

/* The plainest history that publishes what a later purge takes. */
static bool publishes_and_purges(const void *arg, const struct history *history)
{
    size_t published = SIZE_MAX;
    ++*(size_t *)(uintptr_t)arg;
    for (size_t i = 0; i < history->len; i++) {
        const struct step *step = &history->steps[i];
        if (step->op == OP_PUBLISH && step_arg(step, "messages") >= 2) {
            published = i;
        }
        if (step->op == OP_PURGE && published != SIZE_MAX) {
            return true;
        }
    }
    return false;
}

Test(model, histories_are_made_short)
{
    struct history history = {0};
    size_t tries = 0;
    for (uint64_t seed = 1; !publishes_and_purges(&tries, &history); seed++) {
        history_done(&history);
        history_random(&history, seed, 2, ENTRIES);
    }
    cr_assert_gt(history.len, 100u);
    shrink(&history, publishes_and_purges, &tries);
    cr_assert_eq(history.len, 2u);
    struct step publish = {.op = OP_PUBLISH};
    publish.args[op_arg(OP_PUBLISH, "messages")] = 2;
    struct step purge = {.op = OP_PURGE};
    cr_assert_arr_eq(&history.steps[0], &publish, sizeof publish);
    cr_assert_arr_eq(&history.steps[1], &purge, sizeof purge);
    history_done(&history);
}

/* Steps are printed so that they can be read again. */
Test(model, steps_are_text)
{
    struct history history = {0};
    history_random(&history, 7, MACHINE_VERSION_MAX, 40);
    for (size_t i = 0; i < history.len; i++) {
        char line[1024] = "";
        struct step step;
        FILE *file = fmemopen(line, sizeof line, "w");
        step_print(&history.steps[i], file);
        cr_assert_eq(fclose(file), 0);
        cr_assert(step_parse(&step, line), "%s", line);
        cr_assert_arr_eq(&step, &history.steps[i], sizeof step);
    }
    history_done(&history);
    struct step step;
    cr_assert_not(step_parse(&step, "dance"));
    cr_assert_not(step_parse(&step, "publish color=1"));
}
