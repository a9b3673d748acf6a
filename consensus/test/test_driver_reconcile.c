/* A log that does not fit the state beside it: one of the two is not the latest, and what this node acknowledged is lost. */

#include <criterion/criterion.h>
#include <string.h>

#include "../../chaos-tests/sim/sim_disk.h"
#include "fixture.h"

#define LAST 20u
#define TERM 2u

/* A follower with so many entries, all of a term but the first, which is the membership; closed. */
static void set(struct fixture *f, struct driver_options *ret_options)
{
    fixture_init(f, 3);
    for (uint64_t index = 2; index <= LAST; index++) {
        struct log_entry entry = fixture_entry(TERM, "entry");
        cr_assert_eq(fixture_append(f, 2, TERM, index - 1, index == 2 ? 1 : TERM, 1, &entry, 1), 0);
        fixture_disk(f);
        fixture_forget(f);
    }
    *ret_options = f->driver->options;
    sim_disk_kill(f->disk);
    driver_close(f->driver);
    f->driver = NULL;
}

/* Opens it with a state that ends there. */
static int open_with(struct fixture *f, struct driver_options *options, uint64_t index, uint64_t term, char *detail,
                     size_t detail_len)
{
    f->position = fixture_position(index, term, 1, (uint64_t[]){1, 2, 3}, 3, 0);
    options->applied_index = index;
    options->checkpoint = f->position;
    return driver_open(options, &f->driver, detail, detail_len);
}

static void expect_refused(uint64_t index, uint64_t term, const char *text)
{
    struct fixture f;
    struct driver_options options;
    char detail[512] = "";
    set(&f, &options);
    cr_assert_eq(open_with(&f, &options, index, term, detail, sizeof detail), ERR_CORRUPT);
    cr_assert_not_null(strstr(detail, text), "%s", detail);
    sim_disk_free(f.disk);
    slice_unref(&f.position);
}

Test(driver_reconcile, a_log_that_ends_before_the_state_has_lost_entries)
{
    expect_refused(LAST + 1, TERM, "ends at entry 20, but the state ends at entry 21");
}

Test(driver_reconcile, an_entry_of_another_term_is_not_the_one_that_the_state_was_made_from)
{
    expect_refused(LAST - 5, TERM - 1, "entry 15 is of term 2, but the state was made from one of term 1");
}

Test(driver_reconcile, a_state_that_the_log_goes_on_from_is_fine)
{
    struct fixture f;
    struct driver_options options;
    char detail[512] = "";
    set(&f, &options);
    cr_assert_eq(open_with(&f, &options, LAST - 5, TERM, detail, sizeof detail), 0, "%s", detail);
    driver_close(f.driver);
    sim_disk_free(f.disk);
    slice_unref(&f.position);
}
