/* What is known in memory of every entry held, small enough for millions: length and type in four bytes each, terms as
 * runs, and the place on disk of one entry in every 64 KiB.
 *
 * Entries are first appended (length, type, term), and get a place when they are handed to the writer. */

#ifndef HOLDFAST_CONSENSUS_LOG_INDEX_H
#define HOLDFAST_CONSENSUS_LOG_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "consensus/log_deque.h"
#include "proto/base/err.h"

#define LOG_PLACE_EVERY (UINT64_C(64) << 10)

struct log_place {
    uint64_t index;
    uint64_t segment; /* Number. */
    uint64_t offset;  /* Of the record's head. */
    uint64_t bytes;   /* Of the records of all entries placed before this one. */
};

struct log_index {
    uint64_t first;          /* Index of the first entry held. */
    uint64_t placed;         /* The last index with a place on disk; first - 1 when there is none. */
    uint64_t placed_bytes;   /* Bytes of records placed so far, those dropped included. */
    bool place_next;         /* The next entry is not behind its predecessor on disk. */
    struct log_deque infos;  /* uint32_t: length, and type in the upper four bits. */
    struct log_deque terms;  /* Runs: struct log_term_run. */
    struct log_deque places; /* struct log_place */
};

void log_index_init(struct log_index *index, uint64_t first);
void log_index_done(struct log_index *index);
/* Forgets everything; the next entry has `first`. */
void log_index_reset(struct log_index *index, uint64_t first);

uint64_t log_index_last(const struct log_index *index);
bool log_index_holds(const struct log_index *index, uint64_t i);
uint32_t log_index_len(const struct log_index *index, uint64_t i);
int log_index_type(const struct log_index *index, uint64_t i);
uint64_t log_index_term(const struct log_index *index, uint64_t i);
/* Bytes of the records from entry `i` on. */
uint64_t log_index_bytes_from(const struct log_index *index, uint64_t i);

/* Makes room for `count` entries and all places that are still to come for those without. ERR_NOMEM. */
int log_index_reserve(struct log_index *index, size_t count) NODISCARD;
/* Appends an entry; room must have been made. */
void log_index_append(struct log_index *index, uint32_t len, int type, uint64_t term);
/* The next entry without a place is at this one. */
void log_index_place(struct log_index *index, uint64_t segment, uint64_t offset);
void log_index_truncate(struct log_index *index, uint64_t i);
/* Drops the entries before `i`, which must be the first of a segment or without a place. */
void log_index_drop_before(struct log_index *index, uint64_t i);
/* The last place at or before entry `i`, which must have one. */
const struct log_place *log_index_find(const struct log_index *index, uint64_t i);
/* The first place at or behind that position on disk; NULL: there is none. */
const struct log_place *log_index_find_from(const struct log_index *index, uint64_t segment, uint64_t offset);

#endif
