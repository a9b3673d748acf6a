/* A store whose operations fail when they are told to: another store behind it does the work. */

#ifndef HOLDFAST_STATEMACHINE_TEST_STORE_FAILING_H
#define HOLDFAST_STATEMACHINE_TEST_STORE_FAILING_H

#include <stdbool.h>
#include <stdint.h>

#include "statemachine/store/store.h"

/* Outlives the stores that are opened with it. */
struct store_failing {
    uint64_t operations;    /* Reads and writes so far. */
    uint64_t fail_at;       /* The number of the operation that fails with ERR_IO, and all after it; 0: none. */
    bool written_after_all; /* A write that fails has been carried out. */
    bool failed;
};

/* Takes over `behind`, unless it fails. ERR_NOMEM. */
int store_failing_open(struct store_failing *failing, struct store *behind, struct store **ret_store) NODISCARD;

#endif
