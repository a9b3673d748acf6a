/* What has been confirmed and delivered, a bit each. */

#include "bench_check.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/bytes.h"

#define CONFIRMED 1u
#define DELIVERED 2u

/* Sequences beyond it are not of this program. */
#define SEQUENCE_MAX (UINT64_C(1) << 36)

void bench_mark_write(const struct bench_mark *mark, uint8_t body[BENCH_MARK_LEN])
{
    put_u64(body, mark->run);
    put_u32(body + 8, mark->producer);
    put_u32(body + 12, 0);
    put_u64(body + 16, mark->sequence);
    put_u64(body + 24, mark->due_ns);
}

struct bench_mark bench_mark_read(const uint8_t body[BENCH_MARK_LEN])
{
    return (struct bench_mark){.run = get_u64(body),
                               .producer = get_u32(body + 8),
                               .sequence = get_u64(body + 16),
                               .due_ns = get_u64(body + 24)};
}

int bench_check_init(struct bench_check *check, uint32_t producers_len)
{
    check->producers = calloc(producers_len == 0 ? 1 : producers_len, sizeof *check->producers);
    check->producers_len = producers_len;
    return check->producers == NULL ? ERR_NOMEM : 0;
}

void bench_check_done(struct bench_check *check)
{
    for (uint32_t i = 0; check->producers != NULL && i < check->producers_len; i++) {
        free(check->producers[i].bits);
    }
    free(check->producers);
}

/* Sets a bit of a message and returns those that were set before; all of them when there is no memory. */
static unsigned bit_set(struct bench_history *history, uint64_t sequence, unsigned bit)
{
    if (sequence >= history->cap) {
        uint64_t cap = history->cap == 0 ? 4096 : history->cap;
        while (cap <= sequence) {
            cap *= 2;
        }
        uint8_t *bits = realloc(history->bits, (size_t)(cap / 4));
        if (bits == NULL) {
            return CONFIRMED | DELIVERED;
        }
        memset(bits + history->cap / 4, 0, (size_t)((cap - history->cap) / 4));
        history->bits = bits;
        history->cap = cap;
    }
    unsigned shift = (unsigned)(sequence % 4) * 2;
    unsigned before = (unsigned)history->bits[sequence / 4] >> shift & 3u;
    history->bits[sequence / 4] |= (uint8_t)(bit << shift);
    return before;
}

bool bench_check_confirmed(struct bench_check *check, uint32_t producer, uint64_t sequence)
{
    unsigned before = bit_set(&check->producers[producer], sequence, CONFIRMED);
    check->missing += before == 0;
    return (before & CONFIRMED) == 0;
}

bool bench_check_delivered(struct bench_check *check, uint32_t producer, uint64_t sequence, bool redelivery,
                           uint64_t *ret_next)
{
    if (producer >= check->producers_len || sequence >= SEQUENCE_MAX) {
        check->damaged++;
        return false;
    }
    unsigned before = bit_set(&check->producers[producer], sequence, DELIVERED);
    check->missing -= before == CONFIRMED;
    if (redelivery) {
        check->redelivered++; /* It has gone back to its place: neither twice nor out of order. */
    } else {
        check->duplicates += (before & DELIVERED) != 0;
        check->disordered += sequence < *ret_next;
        *ret_next = sequence + 1 > *ret_next ? sequence + 1 : *ret_next;
    }
    return (before & DELIVERED) == 0;
}
