/* A log on a simulated disk, and what it should hold. */

#ifndef HOLDFAST_CONSENSUS_TEST_LOG_FIXTURE_H
#define HOLDFAST_CONSENSUS_TEST_LOG_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "../../chaos-tests/sim/sim_disk.h"
#include "consensus/log.h"

#define LOG_DIR "shard-0/log"
#define LOG_MODEL_MAX 20000u

/* The payload of an entry follows from its index and term (Raft's log matching, §5.3), so that any entry read can be
 * checked without remembering what was written. */
struct log_fixture {
    struct sim_disk *sim;
    struct log *log;
    struct log_recovery recovery;
    uint64_t segment_len;
    uint64_t cache_len_max;
    uint64_t reserve_len;
    uint64_t fill_len;
    uint64_t promised; /* The highest index reported as stored and not taken back since. */
    unsigned reports;
    int failure;
    uint64_t last;
    uint64_t terms[LOG_MODEL_MAX]; /* By index, of the entries up to `last`. */
};

void log_fixture_init(struct log_fixture *fixture, uint64_t segment_len);
void log_fixture_done(struct log_fixture *fixture);
int log_fixture_open(struct log_fixture *fixture);
void log_fixture_close(struct log_fixture *fixture);
/* What must succeed: making a log, and opening it again. */
void log_fixture_start(struct log_fixture *fixture, uint64_t segment_len);
void log_fixture_reopen(struct log_fixture *fixture);

/* The length of an entry's payload unless one is named. */
uint32_t log_fixture_len(uint64_t index, uint64_t term);
struct slice log_fixture_payload(uint64_t index, uint64_t term, uint32_t len);
/* Appends entries of a term, in one call. */
void log_fixture_append(struct log_fixture *fixture, unsigned count, uint64_t term);
void log_fixture_truncate(struct log_fixture *fixture, uint64_t index);
/* Completes everything the disk was asked to do. */
void log_fixture_flush(struct log_fixture *fixture);

/* Whether the entry can be read and is what was appended: the payload follows from index and term. */
bool log_fixture_reads(struct log_fixture *fixture, uint64_t index);
/* Whether all entries from the first to the last are right, and those promised are the model's. */
bool log_fixture_keeps_promise(struct log_fixture *fixture);

/* splitmix64, as sim_disk_crash() takes it. */
uint64_t log_fixture_random(void *state);

#endif
