/* Holes: ready messages that are gone although the head of their lane has not passed them. */

#include "statemachine/queue/hole.h"

#include "proto/base/check.h"
#include "statemachine/state.h"

struct hole {
    uint64_t first;
    uint64_t end;
    uint64_t bytes;
};

static int hole_read(struct table_row *found, struct hole *ret_hole)
{
    struct row_reader reader;
    int err = row_open(&reader, &found->key, found->value);
    if (err == 0) {
        ret_hole->first = get_be64(found->key.data + 9);
        ret_hole->end = row_get_u64(&reader);
        ret_hole->bytes = row_get_u64(&reader);
        err = row_end(&reader);
    }
    if (err == 0 && ret_hole->end <= ret_hole->first) {
        err = ERR_CORRUPT;
    }
    table_row_done(found);
    return err;
}

/* The first one with from <= first < end; its `first` is LANE_NO_HOLE when there is none. */
static int hole_seek(struct machine *machine, const struct queue *queue, uint64_t from, uint64_t end,
                     struct hole *ret_hole)
{
    struct row_key key = row_key_pair(ROW_HOLES, queue->id, from);
    struct row_key end_key = row_key_pair(ROW_HOLES, queue->id, end);
    struct table_row found;
    int err = table_seek(machine, &key, &end_key, &found);
    if (err == ERR_NOT_FOUND) {
        *ret_hole = (struct hole){.first = LANE_NO_HOLE, .end = LANE_NO_HOLE};
        return 0;
    }
    return err != 0 ? err : hole_read(&found, ret_hole);
}

/* The last one that begins before a position of its lane. */
static int hole_seek_before(struct machine *machine, const struct queue *queue, uint64_t position,
                            struct hole *ret_hole)
{
    struct row_key key = row_key_pair(ROW_HOLES, queue->id, lane_start(lane_of(position)));
    struct row_key end_key = row_key_pair(ROW_HOLES, queue->id, position);
    struct table_row found;
    int err = table_seek_last(machine, &key, &end_key, &found);
    if (err == ERR_NOT_FOUND) {
        *ret_hole = (struct hole){0};
        return 0;
    }
    return err != 0 ? err : hole_read(&found, ret_hole);
}

static int hole_put(struct machine *machine, const struct queue *queue, const struct hole *hole)
{
    struct row *row = &machine->row;
    row_begin_new(row, row_key_pair(ROW_HOLES, queue->id, hole->first));
    row_put_u64(row, hole->end);
    row_put_u64(row, hole->bytes);
    int err = row_seal(row);
    return err != 0 ? err : table_put(machine, row, (struct slice){0});
}

static int hole_remove(struct machine *machine, const struct queue *queue, uint64_t first)
{
    struct row_key key = row_key_pair(ROW_HOLES, queue->id, first);
    return table_remove(machine, &key);
}

static void lane_set_hole(struct lane *lane, const struct hole *hole)
{
    lane->hole_first = hole->first;
    lane->hole_end = hole->end;
    lane->hole_bytes = hole->bytes;
    lane->hole_known = true;
}

/* Finds the first hole of the lane, if it is not known. */
static int lane_know_hole(struct machine *machine, const struct queue *queue, struct lane *lane)
{
    if (lane->hole_known) {
        return 0;
    }
    struct hole hole;
    int err = hole_seek(machine, queue, lane->head, lane->tail, &hole);
    if (err == 0) {
        lane_set_hole(lane, &hole);
    }
    return err;
}

int hole_skip(struct machine *machine, struct queue *queue, uint64_t position, uint64_t *ret_position)
{
    struct lane *lane = queue_lane(queue, lane_of(position));
    *ret_position = position;
    if (queue->holes == 0) {
        return 0;
    }
    int err = lane_know_hole(machine, queue, lane);
    if (err != 0 || position < lane->hole_first) {
        return err;
    }
    struct hole hole;
    err = hole_seek_before(machine, queue, position + 1, &hole);
    if (err == 0 && position < hole.end) {
        *ret_position = hole.end;
    }
    return err;
}

int hole_next(struct machine *machine, struct queue *queue, uint64_t position, uint64_t end, uint64_t *ret_first)
{
    struct hole hole = {.first = end};
    int err = queue->holes > 0 && position < end ? hole_seek(machine, queue, position, end, &hole) : 0;
    if (err == 0) {
        *ret_first = hole.first < end ? hole.first : end;
    }
    return err;
}

int hole_at(struct machine *machine, struct queue *queue, uint64_t position, bool *ret_in_hole)
{
    uint64_t next;
    int err = hole_skip(machine, queue, position, &next);
    *ret_in_hole = err == 0 && next != position;
    return err;
}

/* Joins the new hole with one that it touches. */
static int hole_join(struct machine *machine, const struct queue *queue, struct lane *lane, struct hole *hole)
{
    struct hole before = {0};
    struct hole after = {.first = LANE_NO_HOLE};
    int err = queue->holes > 0 ? hole_seek_before(machine, queue, hole->first, &before) : 0;
    if (err == 0 && queue->holes > 0 && hole->end < lane->tail) {
        err = hole_seek(machine, queue, hole->end, hole->end + 1, &after);
    }
    if (err == 0 && after.first == hole->end) {
        hole->end = after.end;
        hole->bytes += after.bytes;
        err = hole_remove(machine, queue, after.first);
    }
    if (err == 0 && before.end == hole->first) {
        hole->first = before.first;
        hole->bytes += before.bytes;
    }
    return err;
}

int hole_add(struct machine *machine, struct queue *queue, struct lane *lane, uint64_t position, uint64_t bytes)
{
    CHECK(position > lane->head && position < lane->tail);
    int err = lane_know_hole(machine, queue, lane);
    struct hole hole = {.first = position, .end = position + 1, .bytes = bytes};
    if (err == 0) {
        err = hole_join(machine, queue, lane, &hole);
    }
    if (err == 0) {
        err = hole_put(machine, queue, &hole);
    }
    if (err != 0) {
        return err;
    }
    queue->holes++;
    queue->hole_bytes += bytes;
    if (hole.first <= lane->hole_first) {
        lane_set_hole(lane, &hole);
    }
    return 0;
}

int hole_pass(struct machine *machine, struct queue *queue, struct lane *lane)
{
    if (queue->holes == 0) {
        return 0;
    }
    int err = lane_know_hole(machine, queue, lane);
    if (err != 0 || lane->head < lane->hole_first) {
        return err;
    }
    CHECK(lane->head == lane->hole_first);
    err = hole_remove(machine, queue, lane->hole_first);
    queue->holes -= lane->hole_end - lane->hole_first;
    queue->hole_bytes -= lane->hole_bytes;
    lane->head = lane->hole_end;
    lane->hole_known = false;
    return err;
}

int holes_clear(struct machine *machine, struct queue *queue)
{
    if (queue->holes == 0) {
        return 0;
    }
    struct row_key prefix = row_key_one(ROW_HOLES, queue->id);
    queue->holes = queue->hole_bytes = 0;
    for (unsigned number = 0; number <= queue->options.max_priority; number++) {
        struct lane *lane = queue_lane(queue, number);
        if (lane != NULL) {
            lane->hole_known = false;
        }
    }
    return table_remove_all(machine, &prefix);
}
