/* Quantiles are within one per cent of those of the sorted values. */

#include <criterion/criterion.h>
#include <stdlib.h>

#include "histogram.h"

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

Test(histogram, an_empty_one_says_zero)
{
    static struct histogram histogram;
    cr_assert_eq(histogram_quantile(&histogram, 0.5), 0);
    histogram_record(&histogram, 7, 0);
    cr_assert_eq(histogram.count, 0);
    cr_assert_eq(histogram.max, 0);
}

Test(histogram, small_values_are_exact)
{
    static struct histogram histogram;
    for (uint64_t value = 1; value <= 100; value++) {
        histogram_record(&histogram, value, 1);
    }
    cr_assert_eq(histogram_quantile(&histogram, 0), 1);
    cr_assert_eq(histogram_quantile(&histogram, 0.5), 50);
    cr_assert_eq(histogram_quantile(&histogram, 0.9), 90);
    cr_assert_eq(histogram_quantile(&histogram, 0.99), 99);
    cr_assert_eq(histogram_quantile(&histogram, 0.999), 100);
    cr_assert_eq(histogram_quantile(&histogram, 1), 100);
}

Test(histogram, any_value_comes_back_within_a_hundredth)
{
    static const uint64_t around[] = {255,       256, 257, 511, 512, 1000, 65535, 65536, 1000000007, UINT64_MAX / 2,
                                      UINT64_MAX};
    for (unsigned i = 0; i < sizeof around / sizeof around[0]; i++) {
        static struct histogram histogram;
        histogram = (struct histogram){0};
        /* A smaller and a larger one beside it, so that its own bucket is looked at and not the exact ends. */
        histogram_record(&histogram, 0, 1);
        histogram_record(&histogram, around[i], 1);
        histogram_record(&histogram, UINT64_MAX, 1);
        double value = (double)histogram_quantile(&histogram, 0.5);
        double error = value / (double)around[i] - 1;
        cr_assert(error < 0.01 && error > -0.01, "%llu: %g", (unsigned long long)around[i], value);
    }
}

Test(histogram, quantiles_are_those_of_the_sorted_values)
{
    enum { LEN = 20000 };
    static uint64_t values[LEN];
    static struct histogram histogram;
    uint64_t seed = 1;
    for (unsigned i = 0; i < LEN; i++) { /* From nanoseconds to minutes, evenly in their logarithm. */
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        values[i] = (seed >> 20) >> (seed >> 59);
        histogram_record(&histogram, values[i], 1);
    }
    qsort(values, LEN, sizeof values[0], by_value);
    static const double quantiles[] = {0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999};
    for (unsigned i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++) {
        double exact = quantiles[i] * LEN;
        unsigned rank = (unsigned)exact + ((double)(unsigned)exact < exact);
        double expected = (double)values[rank - 1];
        double got = (double)histogram_quantile(&histogram, quantiles[i]);
        cr_assert(got >= expected * 0.99 - 1 && got <= expected * 1.01 + 1, "quantile %g: %g, expected %g",
                  quantiles[i], got, expected);
    }
    cr_assert_eq(histogram.max, values[LEN - 1]);
    cr_assert_eq(histogram.min, values[0]);
}

Test(histogram, many_at_once_weigh_as_many)
{
    static struct histogram histogram;
    histogram_record(&histogram, 10, 99);
    histogram_record(&histogram, 200, 1);
    cr_assert_eq(histogram.count, 100);
    cr_assert_eq(histogram_quantile(&histogram, 0.99), 10);
    cr_assert_eq(histogram_quantile(&histogram, 1), 200);
}
