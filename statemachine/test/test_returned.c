/* Messages that have come back, more of them than memory keeps. */

#include "statemachine/queue/returned.h"

#include <criterion/criterion.h>
#include <string.h>

#include "fixture.h"
#include "statemachine/queue/sweep.h"
#include "statemachine/state.h"

#define COUNT 20000u

static struct queue *queue_of(struct fixture *f)
{
    return queue_by_name(f->machine, VIRTUAL_HOST_ROOT, "q");
}

static void begin(struct fixture *f, uint8_t max_priority)
{
    struct queue_options options;
    struct queue *queue;
    fixture_init(f);
    f->machine->version = 2;
    queue_options_init(&options);
    options.max_priority = max_priority;
    options.has_max_bytes = true;
    options.max_bytes = UINT64_MAX;
    cr_assert_eq(queue_new(f->machine, f->machine->next_queue++, VIRTUAL_HOST_ROOT, "q", 1, &options, &queue), 0);
    queue_changed(f->machine, queue);
    for (unsigned i = 0; i < COUNT; i++) {
        uint64_t position;
        struct message message = {.data = (const uint8_t *)"body", .hash = XXH3_64bits("body", 4), .body_len = 4};
        cr_assert_eq(queue_push(f->machine, queue, &message, i % 4, &position), 0);
    }
}

static struct delivery take(struct fixture *f)
{
    struct taken taken;
    unsigned budget = 1;
    bool found;
    cr_assert_eq(queue_take(f->machine, queue_of(f), &budget, &taken, &found), 0);
    cr_assert(found);
    return (struct delivery){.position = taken.position, .count = taken.count};
}

static void give_back(struct fixture *f, const struct delivery *delivery)
{
    cr_assert_eq(queue_return(f->machine, queue_of(f), delivery, RETURN_RELEASED, UINT64_MAX), 0);
    cr_assert_leq(queue_of(f)->returned_len, RETURNED_NEAR_MAX);
}

static void expect_all_ready(struct fixture *f, uint64_t count)
{
    uint64_t bytes;
    cr_assert_eq(queue_ready(queue_of(f)), count);
    cr_assert_eq(queue_bytes(f->machine, queue_of(f), &bytes), 0);
    cr_assert_eq(bytes, 4 * count);
}

static struct delivery deliveries[COUNT];

/* All go back, in this or that order, and are delivered again in theirs. */
static void there_and_back(uint8_t max_priority, unsigned stride, bool restart)
{
    struct fixture f;
    begin(&f, max_priority);
    for (unsigned i = 0; i < COUNT; i++) {
        deliveries[i] = take(&f);
    }
    cr_assert(!queue_has_next(queue_of(&f)));
    for (unsigned i = 0; i < COUNT; i++) {
        give_back(&f, &deliveries[(uint64_t)i * stride % COUNT]);
        if (restart && i % 7000 == 0) {
            uint64_t digest = fixture_digest(&f);
            fixture_checkpoint(&f);
            cr_assert_eq(fixture_digest(&f), digest);
        }
    }
    expect_all_ready(&f, COUNT);
    cr_assert_gt(queue_of(&f)->far, 0u);
    for (unsigned i = 0; i < COUNT; i++) {
        struct delivery delivery = take(&f);
        cr_assert_eq(delivery.position, deliveries[i].position);
        cr_assert_eq(delivery.count, 1u);
        cr_assert_eq(queue_settle(f.machine, queue_of(&f), &delivery), 0);
        if (restart && i % 5000 == 0) {
            uint64_t digest = fixture_digest(&f);
            fixture_reopen(&f);
            cr_assert_eq(fixture_digest(&f), digest);
        }
    }
    cr_assert(queue_ready(queue_of(&f)) == 0 && queue_of(&f)->far == 0 && queue_of(&f)->far_bytes == 0);
    fixture_done(&f);
}

Test(returned, more_than_memory_keeps_come_in_order)
{
    there_and_back(0, 1, false);
    there_and_back(0, COUNT - 1, false);
    there_and_back(0, 7919, true);
    there_and_back(3, 7919, true);
}

Test(returned, any_can_be_taken_out_of_turn)
{
    struct fixture f;
    begin(&f, 3);
    for (unsigned i = 0; i < COUNT; i++) {
        deliveries[i] = take(&f);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        give_back(&f, &deliveries[i]);
    }
    uint64_t left = COUNT;
    for (unsigned i = 0; i < COUNT; i += 3, left--) {
        uint32_t count;
        cr_assert_eq(queue_find_ready(f.machine, queue_of(&f), deliveries[i].position, &count), 0);
        cr_assert_eq(count, 1u);
        cr_assert_eq(queue_drop_ready(f.machine, queue_of(&f), deliveries[i].position), 0);
        cr_assert_eq(queue_find_ready(f.machine, queue_of(&f), deliveries[i].position, &count), ERR_NOT_FOUND);
    }
    expect_all_ready(&f, left);
    unsigned oldest = COUNT / 4 * 3; /* The first of the last lane. */
    for (unsigned i = 0; i < 10; i++, oldest++, left--) {
        struct message message;
        uint64_t position;
        oldest += oldest % 3 == 0;
        cr_assert_eq(queue_drop_oldest(f.machine, queue_of(&f), &message, &position), 0);
        message_unref(&message);
        cr_assert_eq(position, deliveries[oldest].position);
    }
    uint64_t position = 0;
    uint32_t count;
    for (uint64_t i = 0; i < left; i++) {
        cr_assert_eq(returned_next(f.machine, queue_of(&f), position, UINT64_MAX, &position, &count), 0);
        cr_assert_neq(position, UINT64_MAX);
        position++;
    }
    cr_assert_eq(returned_next(f.machine, queue_of(&f), position, UINT64_MAX, &position, &count), 0);
    cr_assert_eq(position, UINT64_MAX);
    fixture_done(&f);
}

Test(returned, are_purged_bit_by_bit)
{
    struct fixture f;
    begin(&f, 0);
    for (unsigned i = 0; i < COUNT; i++) {
        deliveries[i] = take(&f);
    }
    for (unsigned i = 1; i < COUNT; i++) {
        give_back(&f, &deliveries[i]);
    }
    fixture_checkpoint(&f);
    cr_assert_eq(queue_purge(f.machine, queue_of(&f)), 0);
    cr_assert(queue_ready(queue_of(&f)) == 0 && !queue_has_next(queue_of(&f)));
    expect_all_ready(&f, 0);
    give_back(&f, &deliveries[0]);
    for (unsigned entries = 0; machine_due_ms(f.machine) == 0; entries++) {
        cr_assert_leq(entries, COUNT / SWEEP_PER_ENTRY_MAX + 1);
        fixture_tick(&f, f.time_ms);
    }
    expect_all_ready(&f, 1);
    fixture_reopen(&f);
    struct message message;
    cr_assert_eq(state_message(f.machine, queue_of(&f), deliveries[1].position, &message), ERR_NOT_FOUND);
    cr_assert_eq(state_message(f.machine, queue_of(&f), deliveries[COUNT - 1].position, &message), ERR_NOT_FOUND);
    cr_assert_eq(take(&f).position, deliveries[0].position);
    fixture_done(&f);
}

/* That there was no limit on bytes when they came back makes no difference. */
Test(returned, bytes_count_whether_there_is_a_limit_or_not)
{
    struct fixture f;
    begin(&f, 0);
    queue_of(&f)->options.has_max_bytes = false;
    struct delivery first = take(&f);
    struct delivery second = take(&f);
    expect_all_ready(&f, COUNT - 2);
    give_back(&f, &second);
    give_back(&f, &first);
    expect_all_ready(&f, COUNT);
    fixture_reopen(&f);
    expect_all_ready(&f, COUNT);
    fixture_done(&f);
}

static int load(struct fixture *f, uint64_t position)
{
    struct row row = {0};
    row_begin_new(&row, row_key_pair(ROW_RETURNED, queue_of(f)->id, position));
    row_put_u32(&row, 1);
    row_put_u32(&row, 4);
    row_put_u64(&row, 0);
    row_put_u64(&row, 0);
    cr_assert_eq(row_seal(&row), 0);
    struct slice value = {.data = row.value.data, .len = row.value.len};
    int err = returned_load(f->machine, &row.key, value);
    bytes_done(&row.value);
    return err;
}

/* Only what has been delivered comes back: positions of a lane begin with 1, and end before its head. */
Test(returned, a_row_of_a_message_that_was_never_delivered_is_damaged)
{
    struct fixture f;
    begin(&f, 3);
    for (unsigned i = 0; i < 2; i++) {
        (void)take(&f);
    }
    cr_assert_eq(load(&f, 0), ERR_CORRUPT);
    cr_assert_eq(load(&f, 3), ERR_CORRUPT);
    cr_assert_eq(load(&f, lane_start(1)), ERR_CORRUPT);
    cr_assert_eq(load(&f, lane_start(1) + 1), ERR_CORRUPT);
    cr_assert_eq(load(&f, lane_start(4) + 1), ERR_CORRUPT, "there is no such lane");
    cr_assert_eq(load(&f, 2), 0);
    cr_assert_eq(load(&f, 2), ERR_CORRUPT, "twice");
    cr_assert_eq(load(&f, 1), 0);
    fixture_done(&f);
}
