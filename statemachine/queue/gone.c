/* Settled messages whose rows are still in the store. */

#include "statemachine/queue/gone.h"

#include <stdlib.h>

#include "statemachine/hash.h"

#define WORD_BITS 64u

struct gone_block {
    uint64_t number;
    uint64_t words[GONE_BLOCK_BITS / WORD_BITS];
    UT_hash_handle hh;
};

static struct gone_block *gone_block_find(const struct gone *gone, uint64_t number)
{
    struct gone_block *block = NULL;
    HASH_FIND(hh, gone->blocks, &number, sizeof number, block);
    return block;
}

int gone_add(struct gone *gone, uint64_t position)
{
    uint64_t number = position / GONE_BLOCK_BITS;
    struct gone_block *block = gone_block_find(gone, number);
    if (block == NULL) {
        block = calloc(1, sizeof *block);
        if (block == NULL) {
            return ERR_NOMEM;
        }
        block->number = number;
        HASH_ADD(hh, gone->blocks, number, sizeof block->number, block);
    }
    uint64_t bit = position % GONE_BLOCK_BITS;
    uint64_t mask = UINT64_C(1) << (bit % WORD_BITS);
    uint64_t *word = &block->words[bit / WORD_BITS];
    gone->len += (*word & mask) == 0;
    *word |= mask;
    return 0;
}

int gone_add_range(struct gone *gone, uint64_t first, uint64_t end)
{
    if (first == end) {
        return 0;
    }
    if (gone->ranges_len > 0 && gone->ranges[gone->ranges_len - 1].end == first) {
        gone->ranges[gone->ranges_len - 1].end = end;
        return 0;
    }
    struct gone_range *ranges = realloc(gone->ranges, (gone->ranges_len + 1) * sizeof *ranges);
    if (ranges == NULL) {
        return ERR_NOMEM;
    }
    ranges[gone->ranges_len++] = (struct gone_range){.first = first, .end = end};
    gone->ranges = ranges;
    return 0;
}

bool gone_has(const struct gone *gone, uint64_t position)
{
    for (size_t i = 0; i < gone->ranges_len; i++) {
        if (position >= gone->ranges[i].first && position < gone->ranges[i].end) {
            return true;
        }
    }
    if (gone->len == 0) {
        return false;
    }
    struct gone_block *block = gone_block_find(gone, position / GONE_BLOCK_BITS);
    uint64_t bit = position % GONE_BLOCK_BITS;
    return block != NULL && (block->words[bit / WORD_BITS] >> (bit % WORD_BITS) & 1) != 0;
}

/* Behind the range that it is in, if it is in one. */
static uint64_t ranges_next(const struct gone *gone, uint64_t position)
{
    for (size_t i = 0; i < gone->ranges_len; i++) {
        if (position >= gone->ranges[i].first && position < gone->ranges[i].end) {
            position = gone->ranges[i].end;
        }
    }
    return position;
}

/* The first one at or above that one which is not in the blocks. */
static uint64_t blocks_next(const struct gone *gone, uint64_t position)
{
    for (;;) {
        const struct gone_block *block = gone_block_find(gone, position / GONE_BLOCK_BITS);
        if (block == NULL) {
            return position;
        }
        uint64_t bit = position % GONE_BLOCK_BITS;
        uint64_t clear = ~block->words[bit / WORD_BITS] >> (bit % WORD_BITS);
        if (clear != 0) {
            return position + (uint64_t)__builtin_ctzll(clear);
        }
        position += WORD_BITS - bit % WORD_BITS;
    }
}

uint64_t gone_next(const struct gone *gone, uint64_t position)
{
    uint64_t before;
    do {
        before = position;
        position = ranges_next(gone, position);
        position = gone->len > 0 ? blocks_next(gone, position) : position;
    } while (position != before);
    return position;
}

static void gone_block_each(const struct gone_block *block, void (*each)(void *arg, uint64_t position), void *arg)
{
    for (unsigned bit = 0; bit < GONE_BLOCK_BITS; bit++) {
        if (block->words[bit / WORD_BITS] == 0) {
            bit += WORD_BITS - 1;
        } else if ((block->words[bit / WORD_BITS] >> (bit % WORD_BITS) & 1) != 0) {
            each(arg, block->number * GONE_BLOCK_BITS + bit);
        }
    }
}

void gone_each(const struct gone *gone, void (*each)(void *arg, uint64_t position), void *arg)
{
    for (const struct gone_block *block = gone->blocks; block != NULL; block = block->hh.next) {
        gone_block_each(block, each, arg);
    }
}

struct gone_moving {
    struct gone *to;
    int err;
};

static void gone_move_one(void *arg, uint64_t position)
{
    struct gone_moving *moving = arg;
    int err = gone_add(moving->to, position);
    if (moving->err == 0) {
        moving->err = err;
    }
}

int gone_merge(struct gone *to, struct gone *from)
{
    if (to->len == 0 && to->ranges_len == 0) {
        gone_clear(to);
        *to = *from;
        *from = (struct gone){0};
        return 0;
    }
    struct gone_moving moving = {.to = to};
    gone_each(from, gone_move_one, &moving);
    for (size_t i = 0; i < from->ranges_len && moving.err == 0; i++) {
        moving.err = gone_add_range(to, from->ranges[i].first, from->ranges[i].end);
    }
    gone_clear(from);
    return moving.err;
}

void gone_clear(struct gone *gone)
{
    struct gone_block *block;
    struct gone_block *next;
    HASH_ITER (hh, gone->blocks, block, next) {
        HASH_DEL(gone->blocks, block);
        free(block);
    }
    free(gone->ranges);
    *gone = (struct gone){0};
}
