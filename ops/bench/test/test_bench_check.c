/* What is lost, comes twice or out of order is counted, and nothing else is. */

#include <criterion/criterion.h>

#include "bench_check.h"

Test(bench_check, marks_come_back_as_they_were_written)
{
    uint8_t body[BENCH_MARK_LEN];
    struct bench_mark mark = {.run = UINT64_MAX - 1, .producer = 77, .sequence = 1234567890123, .due_ns = 42};
    bench_mark_write(&mark, body);
    struct bench_mark read = bench_mark_read(body);
    cr_assert_eq(read.run, mark.run);
    cr_assert_eq(read.producer, mark.producer);
    cr_assert_eq(read.sequence, mark.sequence);
    cr_assert_eq(read.due_ns, mark.due_ns);
}

Test(bench_check, what_was_confirmed_is_missing_until_it_is_delivered)
{
    struct bench_check check = {0};
    uint64_t next = 0;
    cr_assert_eq(bench_check_init(&check, 2), 0);
    for (uint64_t i = 0; i < 10000; i++) { /* Beyond the first allocation. */
        cr_assert(bench_check_confirmed(&check, 1, i));
    }
    cr_assert_not(bench_check_confirmed(&check, 1, 5), "counted once");
    cr_assert_eq(check.missing, 10000);
    for (uint64_t i = 0; i < 10000; i++) {
        cr_assert(i == 5000 || bench_check_delivered(&check, 1, i, false, &next));
    }
    cr_assert_eq(check.missing, 1);
    cr_assert_eq(check.duplicates + check.disordered + check.damaged + check.redelivered, 0);
    bench_check_done(&check);
}

Test(bench_check, a_delivery_may_come_before_its_confirmation)
{
    struct bench_check check = {0};
    uint64_t next = 0;
    cr_assert_eq(bench_check_init(&check, 1), 0);
    cr_assert(bench_check_delivered(&check, 0, 0, false, &next));
    cr_assert(bench_check_confirmed(&check, 0, 0));
    cr_assert_eq(check.missing, 0);
    bench_check_done(&check);
}

Test(bench_check, twice_and_out_of_order_are_told_from_redelivery)
{
    struct bench_check check = {0};
    uint64_t next = 0, other = 0;
    cr_assert_eq(bench_check_init(&check, 1), 0);
    cr_assert(bench_check_delivered(&check, 0, 0, false, &next));
    cr_assert(bench_check_delivered(&check, 0, 2, false, &next));
    cr_assert(bench_check_delivered(&check, 0, 1, false, &other)); /* Another consumer's turn. */
    cr_assert_eq(check.disordered, 0);
    cr_assert(bench_check_delivered(&check, 0, 4, false, &next));
    cr_assert(bench_check_delivered(&check, 0, 3, false, &next));
    cr_assert_eq(check.disordered, 1);
    cr_assert_not(bench_check_delivered(&check, 0, 0, true, &next));
    cr_assert_eq(check.redelivered, 1);
    cr_assert_eq(check.duplicates, 0);
    cr_assert_not(bench_check_delivered(&check, 0, 4, false, &other));
    cr_assert_eq(check.duplicates, 1);
    cr_assert_eq(check.missing, 0);
    cr_assert_not(bench_check_delivered(&check, 1, 0, false, &next));
    cr_assert_not(bench_check_delivered(&check, 0, UINT64_MAX, false, &next));
    cr_assert_eq(check.damaged, 2);
    bench_check_done(&check);
}
