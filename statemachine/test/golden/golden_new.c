/* Recorded logs of version 2. */

#include "golden_make.h"
#include "log_maker.h"

void make_new(struct maker *maker, FILE *rows, uint64_t uses, uint64_t raise_at, uint64_t entries)
{
    struct log_maker log;
    log_maker_init(&log, maker->random, uses);
    log.raise_at = raise_at;
    while (maker->index < entries) {
        struct slice entry = log_maker_next(&log);
        apply_entry(maker, entry);
        slice_unref(&entry);
        log_maker_learn(&log, maker->machine, &maker->effects);
        learn_details(maker);
        if (maker->index == entries / 2) {
            write_rows(maker, rows);
        }
    }
    log_maker_done(&log);
}
