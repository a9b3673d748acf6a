/* Length, type, term and place of every entry held, in few bytes. */

#include "consensus/log_index.h"

#include "consensus/log_format.h"
#include "proto/base/check.h"

#define INFO_LEN_BITS 28
#define INFO_LEN_MASK ((UINT32_C(1) << INFO_LEN_BITS) - 1)

struct log_term_run {
    uint64_t index;
    uint64_t term;
};

void log_index_init(struct log_index *index, uint64_t first)
{
    CHECK(first > 0);
    *index = (struct log_index){.first = first, .placed = first - 1, .place_next = true};
    log_deque_init(&index->infos, sizeof(uint32_t));
    log_deque_init(&index->terms, sizeof(struct log_term_run));
    log_deque_init(&index->places, sizeof(struct log_place));
}

void log_index_done(struct log_index *index)
{
    log_deque_done(&index->infos);
    log_deque_done(&index->terms);
    log_deque_done(&index->places);
}

void log_index_reset(struct log_index *index, uint64_t first)
{
    uint64_t placed_bytes = index->placed_bytes;
    log_index_done(index);
    log_index_init(index, first);
    index->placed_bytes = placed_bytes;
}

uint64_t log_index_last(const struct log_index *index)
{
    return index->first + index->infos.len - 1;
}

bool log_index_holds(const struct log_index *index, uint64_t i)
{
    return i >= index->first && i - index->first < index->infos.len;
}

static uint32_t info_at(const struct log_index *index, uint64_t i)
{
    return *(const uint32_t *)log_deque_at(&index->infos, (size_t)(i - index->first));
}

uint32_t log_index_len(const struct log_index *index, uint64_t i)
{
    return info_at(index, i) & INFO_LEN_MASK;
}

int log_index_type(const struct log_index *index, uint64_t i)
{
    return (int)(info_at(index, i) >> INFO_LEN_BITS);
}

static const struct log_term_run *run_at(const struct log_index *index, size_t i)
{
    return log_deque_at(&index->terms, i);
}

static const struct log_place *place_at(const struct log_index *index, size_t i)
{
    return log_deque_at(&index->places, i);
}

/* Position of the last run that begins at or before entry `i`. */
static size_t run_find(const struct log_index *index, uint64_t i)
{
    size_t low = 0;
    size_t high = index->terms.len;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (run_at(index, middle)->index <= i) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

static size_t place_find(const struct log_index *index, uint64_t i)
{
    size_t low = 0;
    size_t high = index->places.len;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (place_at(index, middle)->index <= i) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

uint64_t log_index_term(const struct log_index *index, uint64_t i)
{
    return run_at(index, run_find(index, i))->term;
}

static uint64_t record_len(const struct log_index *index, uint64_t i)
{
    return LOG_RECORD_HEAD_LEN + log_index_len(index, i);
}

uint64_t log_index_bytes_from(const struct log_index *index, uint64_t i)
{
    i = i < index->first ? index->first : i;
    uint64_t last = log_index_last(index);
    uint64_t bytes = 0;
    if (i <= index->placed) {
        const struct log_place *place = place_at(index, place_find(index, i));
        bytes = index->placed_bytes - place->bytes;
        for (uint64_t j = place->index; j < i; j++) {
            bytes -= record_len(index, j);
        }
    }
    for (uint64_t j = i > index->placed ? i : index->placed + 1; j <= last; j++) {
        bytes += record_len(index, j);
    }
    return bytes;
}

int log_index_reserve(struct log_index *index, size_t count)
{
    int err = log_deque_reserve(&index->infos, count);
    if (err == 0) {
        err = log_deque_reserve(&index->terms, count);
    }
    if (err == 0) {
        err = log_deque_reserve(&index->places, (size_t)(log_index_last(index) - index->placed) + count);
    }
    return err;
}

void log_index_append(struct log_index *index, uint32_t len, int type, uint64_t term)
{
    CHECK(len <= INFO_LEN_MASK && type > 0 && type < 16);
    const struct log_term_run *last = log_deque_last(&index->terms);
    if (last == NULL || last->term != term) {
        log_deque_push(&index->terms, &(struct log_term_run){.index = index->first + index->infos.len, .term = term});
    }
    uint32_t info = len | (uint32_t)type << INFO_LEN_BITS;
    log_deque_push(&index->infos, &info);
}

void log_index_place(struct log_index *index, uint64_t segment, uint64_t offset)
{
    uint64_t i = index->placed + 1;
    CHECK(log_index_holds(index, i));
    const struct log_place *last = log_deque_last(&index->places);
    if (last == NULL || index->place_next || last->segment != segment ||
        index->placed_bytes - last->bytes >= LOG_PLACE_EVERY) {
        struct log_place place = {.index = i, .segment = segment, .offset = offset, .bytes = index->placed_bytes};
        log_deque_push(&index->places, &place);
    }
    index->place_next = false;
    index->placed_bytes += record_len(index, i);
    index->placed = i;
}

void log_index_truncate(struct log_index *index, uint64_t i)
{
    i = i < index->first ? index->first : i;
    if (i > log_index_last(index)) {
        return;
    }
    if (i <= index->placed) {
        index->placed_bytes -= log_index_bytes_from(index, i);
        for (uint64_t j = index->placed + 1; j <= log_index_last(index); j++) {
            index->placed_bytes += record_len(index, j);
        }
        index->placed = i - 1;
        index->place_next = true;
    }
    while (index->places.len > 0 && place_at(index, index->places.len - 1)->index >= i) {
        log_deque_drop_back(&index->places, 1);
    }
    while (index->terms.len > 0 && run_at(index, index->terms.len - 1)->index >= i) {
        log_deque_drop_back(&index->terms, 1);
    }
    log_deque_drop_back(&index->infos, (size_t)(log_index_last(index) - i + 1));
}

void log_index_drop_before(struct log_index *index, uint64_t i)
{
    CHECK(i >= index->first && i <= log_index_last(index) + 1);
    if (i == index->first) {
        return;
    }
    size_t places = 0;
    while (places < index->places.len && place_at(index, places)->index < i) {
        places++;
    }
    log_deque_drop_front(&index->places, places);
    if (i > log_index_last(index)) {
        log_deque_drop_front(&index->terms, index->terms.len);
    } else {
        size_t run = run_find(index, i);
        ((struct log_term_run *)log_deque_at(&index->terms, run))->index = i;
        log_deque_drop_front(&index->terms, run);
    }
    log_deque_drop_front(&index->infos, (size_t)(i - index->first));
    index->first = i;
    index->placed = index->placed < i - 1 ? i - 1 : index->placed;
}

const struct log_place *log_index_find(const struct log_index *index, uint64_t i)
{
    CHECK(i >= index->first && i <= index->placed && index->places.len > 0);
    return place_at(index, place_find(index, i));
}

const struct log_place *log_index_find_from(const struct log_index *index, uint64_t segment, uint64_t offset)
{
    size_t low = 0;
    size_t high = index->places.len;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct log_place *place = place_at(index, middle);
        if (place->segment < segment || (place->segment == segment && place->offset < offset)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < index->places.len ? place_at(index, low) : NULL;
}
