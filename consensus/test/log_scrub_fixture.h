/* For tests of the scrub: passes over a log, and where in its files what was written lies. */

#ifndef HOLDFAST_CONSENSUS_TEST_LOG_SCRUB_FIXTURE_H
#define HOLDFAST_CONSENSUS_TEST_LOG_SCRUB_FIXTURE_H

#include <stdint.h>

#include "log_fixture.h"

/* What is read at once, in bytes, unless a test says so. */
#define PIECE_LEN ((uint64_t)4096)

struct scrub_outcome {
    int err;
    char detail[256];
    uint64_t bytes;
};

/* The batches of a segment. */
struct scrub_extent {
    char path[64];
    uint8_t *data; /* A copy of the file. */
    uint64_t len;
    uint64_t starts[256]; /* Of batches; behind the last one where it ends. */
    unsigned batches;
};

struct scrub_extents {
    struct scrub_extent items[64];
    unsigned len;
};

/* A pass from its beginning to its end. */
struct scrub_outcome scrub_pass_with(struct log_fixture *f, uint64_t bytes_max);
struct scrub_outcome scrub_pass(struct log_fixture *f);
void scrub_expect_clean(struct log_fixture *f);
/* Blamed on that file, at a place in [from, end). */
void scrub_expect_found(struct log_fixture *f, const char *path, uint64_t from, uint64_t end);
void scrub_append_batches(struct log_fixture *f, unsigned batches, unsigned entries, uint64_t term);
/* One entry of a given length, in a batch of its own. */
void scrub_append_one(struct log_fixture *f, uint64_t term, uint32_t len);
struct scrub_extents *scrub_extents_new(const struct log_fixture *f);
void scrub_extents_free(struct scrub_extents *extents);
uint64_t scrub_extent_end(const struct scrub_extent *extent);
/* The batch or head that a place belongs to. */
void scrub_extent_part(const struct scrub_extent *extent, uint64_t at, uint64_t *ret_from, uint64_t *ret_end);
void scrub_put(struct log_fixture *f, const struct scrub_extent *extent, uint64_t at, const void *data, uint64_t len);
/* Puts back what was there. */
void scrub_mend(struct log_fixture *f, const struct scrub_extent *extent, uint64_t at, uint64_t len);

#endif
