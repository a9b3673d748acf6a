/* What the fuzzer of entries is given: a log. Two bytes before each entry are its length and what happens with it:
 *
 *   bits 0..12  length of the entry
 *   bit 13      the entry is applied as it is; otherwise its commands get the numbers, and the entry the version, that the machine
 *               expects, and its time is a number of milliseconds after the one before (modulo 4096)
 *   bit 14      afterwards the second machine begins a checkpoint, or ends the one it has begun
 *   bit 15      afterwards the second machine is closed and opened again, and applies anew what it has no checkpoint of */

#ifndef HOLDFAST_CHAOS_TESTS_FUZZ_ENTRY_LOG_H
#define HOLDFAST_CHAOS_TESTS_FUZZ_ENTRY_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FUZZ_ENTRY_LEN 0x1fffu
#define FUZZ_ENTRY_AS_IT_IS 0x2000u
#define FUZZ_ENTRY_CHECKPOINT 0x4000u
#define FUZZ_ENTRY_REOPEN 0x8000u

struct fuzz_entry {
    const uint8_t *data; /* Borrows. */
    size_t len;
    unsigned flags;
};

/* Takes the entry at the front of the bytes; false: there is none any more. */
bool fuzz_entry_next(const uint8_t **data, size_t *len, struct fuzz_entry *ret_entry);

#endif
