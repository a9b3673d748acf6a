/* Every message once. */

#include <stdlib.h>
#include <string.h>

#include "load.h"

void load_check_seen(struct load *load, uint64_t producer, uint64_t number)
{
    if (producer >= LOAD_CLIENTS_MAX || number >= UINT64_C(1) << 33) {
        load_fail("a message of producer %llu, which is none of ours", (unsigned long long)producer);
    }
    struct load_seen *seen = &load->seen[producer];
    if (number / 8 >= seen->cap) {
        uint64_t cap = seen->cap > 0 ? seen->cap : 65536;
        while (cap <= number / 8) {
            cap *= 2;
        }
        uint8_t *bits = realloc(seen->bits, cap);
        if (bits == NULL) {
            load_fail("out of memory");
        }
        memset(bits + seen->cap, 0, cap - seen->cap);
        seen->bits = bits;
        seen->cap = cap;
    }
    uint8_t bit = (uint8_t)(1u << number % 8);
    if ((seen->bits[number / 8] & bit) != 0) {
        load->repeated++;
        return;
    }
    seen->bits[number / 8] |= bit;
    load->distinct++;
}

void load_check_done(struct load *load)
{
    for (unsigned i = 0; i < LOAD_CLIENTS_MAX; i++) {
        free(load->seen[i].bits);
    }
}
