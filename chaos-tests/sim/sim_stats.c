/* Counts over many runs. */

#include "sim_stats.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/base/check.h"

static const char *const texts[SIM_STAT_COUNT] = {
#define X(name, text, required) text,
    SIM_STAT_LIST(X)
#undef X
};

static const bool required[SIM_STAT_COUNT] = {
#define X(name, text, required) (required) != 0,
    SIM_STAT_LIST(X)
#undef X
};

void sim_stats_table_add(struct sim_stats_table *table, const struct sim_stats *stats)
{
    if (table->len == table->cap) {
        table->cap = table->cap == 0 ? 64 : table->cap * 2;
        table->runs = realloc(table->runs, table->cap * sizeof *table->runs);
        CHECK(table->runs != NULL);
    }
    table->runs[table->len++] = *stats;
}

static int compare_counts(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static uint64_t table_sum(const struct sim_stats_table *table, int stat)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < table->len; i++) {
        sum += table->runs[i].counts[stat];
    }
    return sum;
}

void sim_stats_table_print(const struct sim_stats_table *table, uint64_t took_us)
{
    if (table->len == 0) {
        return;
    }
    uint64_t *column = malloc(table->len * sizeof *column);
    CHECK(column != NULL);
    printf("%-50s %10s %10s %10s %14s\n", "per seed", "minimum", "median", "maximum", "sum");
    for (int stat = 0; stat < SIM_STAT_COUNT; stat++) {
        uint64_t sum = 0;
        for (size_t i = 0; i < table->len; i++) {
            column[i] = table->runs[i].counts[stat];
            sum += column[i];
        }
        qsort(column, table->len, sizeof *column, compare_counts);
        printf("%-50s %10" PRIu64 " %10" PRIu64 " %10" PRIu64 " %14" PRIu64 "\n", texts[stat], column[0],
               column[table->len / 2], column[table->len - 1], sum);
    }
    free(column);
    printf("%" PRIu64 " times as fast as real time\n",
           table_sum(table, SIM_STAT_VIRTUAL_MS) * 1000 / (took_us > 0 ? took_us : 1));
}

void sim_stats_table_coverage(const struct sim_stats_table *table, uint64_t took_us)
{
    for (int stat = 0; stat < SIM_STAT_COUNT; stat++) {
        printf("coverage %d %" PRIu64 " %s\n", required[stat], table_sum(table, stat), texts[stat]);
    }
    printf("coverage 0 %" PRIu64 " real microseconds\n", took_us);
}

unsigned sim_stats_table_missing(const struct sim_stats_table *table)
{
    unsigned missing = 0;
    for (int stat = 0; stat < SIM_STAT_COUNT; stat++) {
        if (required[stat] && table_sum(table, stat) == 0) {
            printf("never in %zu seeds: %s\n", table->len, texts[stat]);
            missing++;
        }
    }
    return missing;
}

void sim_stats_table_done(struct sim_stats_table *table)
{
    free(table->runs);
    *table = (struct sim_stats_table){0};
}
