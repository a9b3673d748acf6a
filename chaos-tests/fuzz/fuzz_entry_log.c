/* A log as the fuzzer's bytes: see the header. */

#include "fuzz_entry_log.h"

bool fuzz_entry_next(const uint8_t **data, size_t *len, struct fuzz_entry *ret_entry)
{
    if (*len < 2) {
        return false;
    }
    unsigned lead = (unsigned)(*data)[0] | (unsigned)(*data)[1] << 8;
    size_t entry_len = lead & FUZZ_ENTRY_LEN;
    *data += 2;
    *len -= 2;
    entry_len = entry_len < *len ? entry_len : *len;
    *ret_entry = (struct fuzz_entry){.data = *data, .len = entry_len, .flags = lead & ~FUZZ_ENTRY_LEN};
    *data += entry_len;
    *len -= entry_len;
    return true;
}
