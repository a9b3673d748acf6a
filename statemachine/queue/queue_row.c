/* The row of a queue. */

#include <string.h>

#include "proto/base/check.h"
#include "statemachine/queue/queue_private.h"
#include "statemachine/state.h"

#define FLAG_HAD_CONSUMER 1u
#define FLAG_HAD_SHARED 2u
#define FLAG_DOOMED 4u
#define FLAG_HAD_ROWS 8u

/* In the order of the row; the counters are in front of them. */
#define QUEUE_NUMBERS 15u

static void queue_numbers(struct queue *queue, uint64_t *ret_numbers[QUEUE_NUMBERS])
{
    uint64_t *numbers[QUEUE_NUMBERS] = {
        &queue->holes,        &queue->hole_bytes,   &queue->timed,          &queue->parked,
        &queue->parked_bytes, &queue->waiting_len,  &queue->active_session, &queue->active_consumer,
        &queue->owner,        &queue->last_used_ms, &queue->turns,          &queue->purges,
        &queue->far,          &queue->far_bytes,    &queue->far_first,
    };
    memcpy(ret_numbers, numbers, sizeof numbers);
}

static int queue_row_old(const struct queue *queue, struct row *row)
{
    row_begin(row, row_key_one(ROW_QUEUE, queue->id));
    row_put_u64(row, queue->lane.head);
    row_put_u64(row, queue->lane.tail);
    row_put_u64(row, queue->turns);
    row_put_u64(row, queue->counters.delivered);
    row_put_u64(row, queue->counters.settled);
    row_put_u64(row, queue->counters.released);
    row_put_u8(row, (uint8_t)queue->name_len);
    row_put_bytes(row, queue->name, queue->name_len);
    return row_seal(row);
}

static void queue_row_lanes(const struct queue *queue, struct row *row)
{
    uint16_t len = 0;
    for (unsigned number = 0; number <= queue->options.max_priority; number++) {
        len = (uint16_t)(len + (queue_lane(queue, number) != NULL));
    }
    row_put_u16(row, len);
    for (unsigned number = 0; number <= queue->options.max_priority; number++) {
        const struct lane *lane = queue_lane(queue, number);
        if (lane != NULL) {
            row_put_u8(row, (uint8_t)number);
            row_put_u64(row, lane->head);
            row_put_u64(row, lane->tail);
            row_put_u64(row, lane->bytes);
        }
    }
}

int queue_row(const struct machine *machine, const struct queue *queue, struct row *row)
{
    if (machine->version < 2) {
        return queue_row_old(queue, row);
    }
    uint64_t counters[QUEUE_COUNTERS];
    uint64_t *numbers[QUEUE_NUMBERS];
    _Static_assert(sizeof counters == sizeof queue->counters, "nothing but numbers");
    memcpy(counters, &queue->counters, sizeof counters);
    queue_numbers((struct queue *)queue, numbers);
    row_begin_new(row, row_key_one(ROW_QUEUE, queue->id));
    row_put_u64(row, queue->virtual_host);
    for (unsigned i = 0; i < QUEUE_COUNTERS; i++) {
        row_put_u64(row, counters[i]);
    }
    for (unsigned i = 0; i < QUEUE_NUMBERS; i++) {
        row_put_u64(row, *numbers[i]);
    }
    row_put_u8(row,
               (uint8_t)((queue->had_consumer ? FLAG_HAD_CONSUMER : 0) | (queue->had_shared ? FLAG_HAD_SHARED : 0) |
                         (queue->doomed ? FLAG_DOOMED : 0) | (queue->had_rows ? FLAG_HAD_ROWS : 0)));
    row_put_u8(row, (uint8_t)queue->name_len);
    row_put_bytes(row, queue->name, queue->name_len);
    queue_options_put(&queue->options, row);
    queue_row_lanes(queue, row);
    return row_seal(row);
}

/* What a row says, before there is a queue. */
struct queue_load {
    struct queue_options options;
    const uint8_t *name;
    size_t name_len;
    struct queue like; /* Without its name. */
};

static void load_old(struct row_reader *reader, struct queue_load *load)
{
    queue_options_init(&load->options);
    load->like.virtual_host = VIRTUAL_HOST_ROOT;
    load->like.lane.head = row_get_u64(reader);
    load->like.lane.tail = row_get_u64(reader);
    load->like.turns = row_get_u64(reader);
    load->like.counters.delivered = row_get_u64(reader);
    load->like.counters.settled = row_get_u64(reader);
    load->like.counters.released = row_get_u64(reader);
    load->name_len = row_get_u8(reader);
    load->name = row_get_bytes(reader, load->name_len);
}

static int load_new(struct row_reader *reader, struct queue_load *load)
{
    uint64_t counters[QUEUE_COUNTERS];
    uint64_t *numbers[QUEUE_NUMBERS];
    load->like.virtual_host = row_get_u64(reader);
    for (unsigned i = 0; i < QUEUE_COUNTERS; i++) {
        counters[i] = row_get_u64(reader);
    }
    memcpy(&load->like.counters, counters, sizeof counters);
    queue_numbers(&load->like, numbers);
    for (unsigned i = 0; i < QUEUE_NUMBERS; i++) {
        *numbers[i] = row_get_u64(reader);
    }
    uint8_t flags = row_get_u8(reader);
    load->like.had_consumer = (flags & FLAG_HAD_CONSUMER) != 0;
    load->like.had_shared = (flags & FLAG_HAD_SHARED) != 0;
    load->like.doomed = (flags & FLAG_DOOMED) != 0;
    load->like.had_rows = (flags & FLAG_HAD_ROWS) != 0;
    load->name_len = row_get_u8(reader);
    load->name = row_get_bytes(reader, load->name_len);
    return queue_options_get(reader, &load->options);
}

static void queue_take_numbers(struct queue *queue, struct queue *like)
{
    uint64_t *to[QUEUE_NUMBERS];
    uint64_t *from[QUEUE_NUMBERS];
    queue_numbers(queue, to);
    queue_numbers(like, from);
    for (unsigned i = 0; i < QUEUE_NUMBERS; i++) {
        *to[i] = *from[i];
    }
    queue->counters = like->counters;
    queue->had_consumer = like->had_consumer;
    queue->had_shared = like->had_shared;
    queue->had_rows = like->had_rows;
    queue->stored = true;
}

static int load_lane(struct queue *queue, unsigned number, uint64_t head, uint64_t tail, uint64_t bytes)
{
    struct lane *lane;
    if (head <= lane_start(number) || head > tail || lane_of(tail) != number || number > queue->options.max_priority) {
        return ERR_CORRUPT;
    }
    int err = queue_make_lane(queue, number, &lane);
    if (err != 0) {
        return err;
    }
    lane->head = head;
    lane->tail = lane->collected = tail;
    lane->bytes = bytes;
    messages_init(&lane->messages, tail);
    queue->fresh += tail - head;
    queue_lane_changed(queue, lane);
    return 0;
}

static int load_lanes(struct queue *queue, struct row_reader *reader)
{
    unsigned len = row_get_u16(reader);
    int err = len > 0 ? 0 : ERR_CORRUPT;
    for (unsigned i = 0; i < len && err == 0; i++) {
        unsigned number = row_get_u8(reader);
        uint64_t head = row_get_u64(reader);
        uint64_t tail = row_get_u64(reader);
        uint64_t bytes = row_get_u64(reader);
        err = reader->overrun ? ERR_CORRUPT : load_lane(queue, number, head, tail, bytes);
    }
    if (err == 0 && queue->holes > queue->fresh) {
        err = ERR_CORRUPT;
    }
    queue->fresh -= err == 0 ? queue->holes : 0;
    return err;
}

static int queue_load_as(struct machine *machine, uint64_t id, struct queue_load *load, struct row_reader *reader,
                         bool old)
{
    struct queue *queue;
    if (load->name == NULL || name_check(load->name, load->name_len) != 0) {
        return ERR_CORRUPT;
    }
    int err = queue_new(machine, id, load->like.virtual_host, (const char *)load->name, load->name_len, &load->options,
                        &queue);
    if (err != 0) {
        return err == ERR_EXISTS ? ERR_CORRUPT : err;
    }
    queue_take_numbers(queue, &load->like);
    if (load->like.doomed) {
        queue_doom(machine, queue);
        list_remove(&queue->changed);
    }
    err = old ? load_lane(queue, 0, load->like.lane.head, load->like.lane.tail, 0) : load_lanes(queue, reader);
    return err != 0 ? err : row_end(reader);
}

int queue_load(struct machine *machine, const struct row_key *key, struct slice value)
{
    struct row_reader reader;
    struct queue_load load = {0};
    int err = row_open(&reader, key, value);
    if (err != 0) {
        return err;
    }
    if (key->len != ROW_KEY_ONE_LEN) {
        return ERR_CORRUPT;
    }
    bool old = reader.version == ROW_VERSION;
    if (old) {
        load_old(&reader, &load);
    } else {
        err = load_new(&reader, &load);
    }
    if (err == 0) {
        err = queue_load_as(machine, get_be64(key->data + 1), &load, &reader, old);
    }
    if (load.options.note != NULL) {
        queue_options_done(&load.options);
    }
    return err;
}
