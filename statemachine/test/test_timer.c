/* Timers: in what order they go off, how many at a time, and that nothing of it depends on restarts. Those that are set here are
 * about what is not there, so that nothing but the timers themselves changes. */

#include <criterion/criterion.h>
#include <string.h>

#include "fixture.h"
#include "statemachine/state.h"

#define NOBODY (UINT64_C(1) << 60)

static void start(struct fixture *f)
{
    fixture_init(f);
    f->machine->version = 2;
}

static struct timer timer_at(uint64_t at_ms, uint64_t c)
{
    return (struct timer){.at_ms = at_ms, .kind = TIMER_LOCK_ENDS, .a = NOBODY, .b = 1, .c = c};
}

static void set(struct fixture *f, uint64_t at_ms, uint64_t c)
{
    struct timer timer = timer_at(at_ms, c);
    cr_assert_eq(c % 2 == 0 ? timer_set(f->machine, &timer) : timer_set_first(f->machine, &timer), 0);
}

static void clear(struct fixture *f, uint64_t at_ms, uint64_t c)
{
    struct timer timer = timer_at(at_ms, c);
    cr_assert_eq(timer_clear(f->machine, &timer), 0);
}

/* How many there are, and the first of them; they are in order. */
static size_t count(struct fixture *f, struct timer *ret_first)
{
    struct row_key from = row_key_plain(ROW_TIMER);
    struct row_key end = row_key_after(&from);
    struct table_row row;
    size_t len = 0;
    while (table_seek(f->machine, &from, &end, &row) == 0) {
        if (len++ == 0) {
            ret_first->at_ms = get_be64(row.key.data + 1);
            ret_first->kind = (enum timer_kind)get_be64(row.key.data + 9);
            ret_first->c = get_be64(row.key.data + 33);
        }
        from = row_key_next(&row.key);
        table_row_done(&row);
    }
    return len;
}

static uint64_t due(const struct fixture *f)
{
    return machine_due_ms(f->machine);
}

Test(timer, goes_off_when_its_time_has_come)
{
    struct fixture f;
    struct timer first;
    start(&f);
    uint64_t idle = due(&f);
    set(&f, 6000, 1);
    set(&f, 5000, 2);
    set(&f, 5000, 3);
    set(&f, 5000, 3);
    cr_assert_eq(due(&f), 5000u);
    fixture_tick(&f, 4999);
    cr_assert_eq(count(&f, &first), 3u);
    cr_assert_eq(due(&f), 5000u);
    fixture_tick(&f, 5000);
    cr_assert_eq(count(&f, &first), 1u);
    cr_assert_eq(first.c, 1u);
    cr_assert_eq(due(&f), 6000u);
    fixture_tick(&f, 9000);
    cr_assert_eq(count(&f, &first), 0u);
    cr_assert_eq(due(&f), idle);
    fixture_done(&f);
}

Test(timer, one_that_is_cleared_does_not)
{
    struct fixture f;
    struct timer first;
    start(&f);
    uint64_t idle = due(&f);
    set(&f, 5000, 1);
    set(&f, 6000, 2);
    clear(&f, 7000, 3);
    clear(&f, 5000, 1);
    fixture_tick(&f, 2000);
    cr_assert_eq(due(&f), 6000u);
    clear(&f, 6000, 2);
    fixture_tick(&f, 2001);
    cr_assert_eq(due(&f), idle);
    cr_assert_eq(count(&f, &first), 0u);
    set(&f, 6000, 2);
    cr_assert_eq(due(&f), 6000u);
    fixture_done(&f);
}

Test(timer, one_for_a_time_that_is_over_is_due_at_once)
{
    struct fixture f;
    struct timer first;
    start(&f);
    fixture_tick(&f, 5000);
    set(&f, 3000, 1);
    cr_assert_eq(due(&f), 0u);
    fixture_tick(&f, 5000);
    cr_assert_eq(count(&f, &first), 0u);
    fixture_done(&f);
}

Test(timer, at_the_end_of_time_is_never)
{
    struct fixture f;
    struct timer first;
    start(&f);
    uint64_t idle = due(&f);
    set(&f, TIMER_NEVER, 1);
    set(&f, TIMER_NEVER - 1, 2);
    clear(&f, TIMER_NEVER, 1);
    cr_assert_eq(due(&f), TIMER_NEVER - 1);
    fixture_tick(&f, TIMER_NEVER);
    cr_assert_eq(count(&f, &first), 0u);
    cr_assert_eq(due(&f), idle);
    fixture_done(&f);
}

/* In order of time, kind and numbers, wherever they are by then; the rest at once. */
Test(timer, one_entry_lets_so_many_go_off)
{
    struct fixture f;
    struct timer first;
    const uint64_t extra = 1000;
    start(&f);
    for (uint64_t i = TIMERS_PER_ENTRY_MAX + extra; i > 0; i--) {
        set(&f, 5000, i);
        if (i == 3000) {
            fixture_checkpoint(&f);
        }
    }
    struct timer earlier_kind = {.at_ms = 5000, .kind = TIMER_MESSAGE_EXPIRES, .a = NOBODY, .c = UINT64_MAX};
    struct timer later_kind = {.at_ms = 5000, .kind = TIMER_RETURN, .a = NOBODY, .c = 1};
    struct timer earlier = timer_at(4000, UINT64_MAX);
    cr_assert_eq(timer_set(f.machine, &earlier_kind), 0);
    cr_assert_eq(timer_set(f.machine, &later_kind), 0);
    cr_assert_eq(timer_set(f.machine, &earlier), 0);
    fixture_tick(&f, 9000);
    cr_assert_eq(count(&f, &first), extra + 3);
    cr_assert_eq(first.at_ms, 5000u);
    cr_assert_eq(first.kind, TIMER_LOCK_ENDS);
    cr_assert_eq(first.c, TIMERS_PER_ENTRY_MAX - 2 + 1);
    cr_assert_eq(due(&f), 0u);
    fixture_checkpoint(&f);
    cr_assert_eq(due(&f), 0u);
    fixture_tick(&f, 9000);
    cr_assert_eq(count(&f, &first), 0u);
    cr_assert_neq(due(&f), 0u);
    fixture_done(&f);
}

/* Under version 1 there are none: entries, rows and digests are as they were. */
Test(timer, is_of_version_2)
{
    struct fixture f;
    struct timer first;
    fixture_init(&f);
    set(&f, 5000, 1);
    fixture_tick(&f, 6000);
    cr_assert_eq(count(&f, &first), 1u);
    clear(&f, 5000, 1);
    f.machine->timers = (struct timers){.next_ms = TIMER_NEVER};
    fixture_reopen(&f);
    fixture_done(&f);
}

/* SplitMix64. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* Two machines, of which one is restarted all the time: when they are due, and all that is in them, is the same. */
static void run(uint64_t seed)
{
    struct fixture plain;
    struct fixture restarted;
    uint64_t random = seed;
    start(&plain);
    start(&restarted);
    for (unsigned i = 0; i < 1500; i++) {
        uint64_t what = next_random(&random) % 10;
        uint64_t at_ms = plain.time_ms + next_random(&random) % 200;
        uint64_t c = next_random(&random) % 3;
        for (struct fixture *f = &plain; f != NULL; f = f == &plain ? &restarted : NULL) {
            struct timer timer = timer_at(at_ms - at_ms % 8, c);
            if (what < 6) {
                cr_assert_eq(timer_set(f->machine, &timer), 0);
            } else {
                cr_assert_eq(timer_clear(f->machine, &timer), 0);
            }
        }
        if (what < 3) {
            uint64_t time_ms = plain.time_ms + next_random(&random) % 30;
            fixture_tick(&plain, time_ms);
            fixture_tick(&restarted, time_ms);
            if (next_random(&random) % 8 == 0) {
                fixture_reopen(&restarted);
            }
            cr_assert_eq(due(&plain), due(&restarted));
            cr_assert_eq(fixture_digest(&plain), fixture_digest(&restarted), "seed %llu step %u",
                         (unsigned long long)seed, i);
        }
    }
    fixture_done(&plain);
    fixture_done(&restarted);
}

Test(timer, restarts_show_in_nothing)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        run(seed);
    }
}

/* The globals say when the first one is. */
Test(timer, one_that_is_lost_is_noticed_when_the_machine_opens)
{
    struct fixture f;
    struct store *store;
    struct machine *machine;
    struct slice consensus;
    uint64_t applied;
    char detail[256] = "";
    start(&f);
    set(&f, 5000, 1);
    set(&f, 6000, 2);
    fixture_tick(&f, 2000);
    fixture_checkpoint(&f);
    machine_close(f.machine);
    struct timer timer = timer_at(5000, 1);
    struct row_key key = row_key_numbers(ROW_TIMER, (uint64_t[]){5000, timer.kind, timer.a, timer.b, timer.c}, 5);
    struct store_change change = {.kind = STORE_DELETE, .key = row_key_slice(&key)};
    cr_assert_eq(store_memory_open(f.disk, &store), 0);
    cr_assert_eq(store->ops->write(store, &change, 1), 0);
    cr_assert_eq(machine_open(store, &machine, &applied, &consensus, detail, sizeof detail), ERR_CORRUPT);
    cr_assert_str_eq(detail, "the store's rows of timers: stored data is damaged");
    store->ops->close(store);
    store_memory_disk_free(f.disk);
}
