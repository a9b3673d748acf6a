/* Random histories: what the machine says is what the model says (model/), under either version of the rules, whatever is
 * checkpointed and restarted on the way. model_run goes on with other seeds, and makes short what it finds. */

#include <criterion/criterion.h>
#include <inttypes.h>

#include "model/world.h"

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
