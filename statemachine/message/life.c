/* The life of a message. */

#include "statemachine/message/life.h"

#include <string.h>

#include "proto/base/check.h"
#include "proto/base/fault.h"
#include "statemachine/state.h"

/* Messages that one sweep after a purge looks at; the rest is looked at with the next entry. */
#define LIFE_SWEEP_MAX 256u

/* ---- Noting ---- */

/* The number behind the last step's. */
static int life_next_number(struct machine *machine, const struct queue *queue, uint64_t position, uint64_t *ret_number)
{
    struct row_key from = row_key_pair(ROW_LIFE, queue->id, position);
    struct row_key end = row_key_after(&from);
    struct table_row last;
    *ret_number = 1;
    int err = table_seek_last(machine, &from, &end, &last);
    if (err == 0) {
        *ret_number = get_be64(last.key.data + ROW_KEY_LEN(2)) + 1;
        table_row_done(&last);
    }
    return err == ERR_NOT_FOUND ? 0 : err;
}

static int life_note(struct machine *machine, const struct queue *queue, const struct machine_life *life)
{
    uint64_t number;
    int err = life_next_number(machine, queue, life->position, &number);
    if (err != 0) {
        return err;
    }
    struct row *row = &machine->row;
    size_t text_len = life->text != NULL ? strlen(life->text) : 0;
    CHECK(text_len <= NAME_LEN_MAX);
    row_begin_new(row, row_key_triple(ROW_LIFE, queue->id, life->position, number));
    row_put_u64(row, machine->applying_index);
    row_put_u64(row, machine->time_ms);
    row_put_u8(row, (uint8_t)life->kind);
    row_put_u64(row, life->session);
    row_put_u64(row, life->consumer);
    row_put_u8(row, (uint8_t)text_len);
    row_put_bytes(row, life->text, text_len);
    err = row_seal(row);
    return err != 0 ? err : table_put_first(machine, row, (struct slice){0});
}

int life_note_kept(struct machine *machine, const struct queue *queue, uint64_t position, enum machine_life_kind kind,
                   uint64_t session, uint64_t consumer)
{
    struct machine_life life = {.position = position, .kind = kind, .session = session, .consumer = consumer};
    return position != 0 ? life_note(machine, queue, &life) : 0;
}

int life_note_text(struct machine *machine, const struct queue *queue, uint64_t position, enum machine_life_kind kind,
                   const char *text)
{
    struct machine_life life = {.position = position, .kind = kind, .text = text};
    return queue_keeps_lives(queue) && position != 0 ? life_note(machine, queue, &life) : 0;
}

int life_note_enqueued(struct machine *machine, const struct queue *queue, uint64_t position, enum enqueue_how how)
{
    const char *text = "";
    switch (how) {
    case ENQUEUE_PUBLISHED: text = "published"; break;
    case ENQUEUE_DUE: text = "due"; break;
    case ENQUEUE_DEAD: text = "dead letter"; break;
    case ENQUEUE_REDRIVEN: text = "redriven"; break;
    case ENQUEUE_REPLAYED: text = "replayed"; break;
    }
    return life_note_text(machine, queue, position, LIFE_ENQUEUED, text);
}

/* ---- Ending ---- */

int life_end(struct machine *machine, const struct queue *queue, uint64_t position)
{
    if (!queue_keeps_lives(queue)) {
        return 0;
    }
    struct timer timer = {.at_ms = timer_after(machine->time_ms, queue->options.keep_life_ms),
                          .kind = TIMER_LIFE_ENDS,
                          .a = queue->id,
                          .b = position};
    return timer_set(machine, &timer);
}

/* A purge does not look at the messages: a sweep, when the time has come, looks at the lives. */
int life_purge(struct machine *machine, const struct queue *queue)
{
    struct machine_life life = {.kind = LIFE_PURGED};
    if (!queue_keeps_lives(queue)) {
        return 0;
    }
    int err = life_note(machine, queue, &life);
    return err != 0 ? err : life_end(machine, queue, 0);
}

int life_changed(struct machine *machine, const struct queue *queue, uint64_t before_ms)
{
    struct row_key prefix = row_key_one(ROW_LIFE, queue->id);
    return before_ms > 0 && !queue_keeps_lives(queue) ? table_remove_all(machine, &prefix) : 0;
}

static bool life_kind_is_end(enum machine_life_kind kind)
{
    switch (kind) {
    case LIFE_ACCEPTED:
    case LIFE_REJECTED:
    case LIFE_EXPIRED:
    case LIFE_DROPPED:
    case LIFE_DELIVERY_LIMIT:
    case LIFE_DEAD_LETTERED:
    case LIFE_REDRIVEN: return true;
    default: return false;
    }
}

/* The kind of a message's last step. */
static int life_last_kind(struct machine *machine, const struct row_key *prefix, enum machine_life_kind *ret_kind)
{
    struct row_key end = row_key_after(prefix);
    struct table_row last;
    struct row_reader reader;
    int err = table_seek_last(machine, prefix, &end, &last);
    if (err != 0) {
        return err;
    }
    err = row_open(&reader, &last.key, last.value);
    if (err == 0) {
        (void)row_get_u64(&reader);
        (void)row_get_u64(&reader);
        *ret_kind = (enum machine_life_kind)row_get_u8(&reader);
    }
    table_row_done(&last);
    return err;
}

/* A life without an end, of a message that is not there any more, was ended by a purge. (There may have been another purge since:
 * then it goes with the first.) */
static int life_sweep_one(struct machine *machine, struct queue *queue, uint64_t position)
{
    struct row_key prefix = row_key_pair(ROW_LIFE, queue->id, position);
    enum machine_life_kind kind;
    struct message_head head;
    int err = life_last_kind(machine, &prefix, &kind);
    if (err != 0 || life_kind_is_end(kind)) {
        return err;
    }
    err = state_message_head(machine, queue, position, &head);
    return err == ERR_NOT_FOUND ? table_remove_all(machine, &prefix) : err;
}

/* The first message of which something is known, at or above a position; ERR_NOT_FOUND. */
static int life_seek(struct machine *machine, const struct queue *queue, uint64_t position, uint64_t *ret_position)
{
    struct row_key from = row_key_pair(ROW_LIFE, queue->id, position);
    struct row_key all = row_key_one(ROW_LIFE, queue->id);
    struct row_key end = row_key_after(&all);
    struct table_row row;
    int err = table_seek(machine, &from, &end, &row);
    if (err == 0) {
        *ret_position = get_be64(row.key.data + ROW_KEY_LEN(1));
        table_row_done(&row);
    }
    return err;
}

static int life_sweep(struct machine *machine, struct queue *queue, const struct timer *timer)
{
    uint64_t position = timer->c;
    unsigned most = machine->sweeps == 0 ? LIFE_SWEEP_MAX : 0; /* Else some may be there that are purged. */
    for (unsigned looked = 0; looked < most; looked++) {
        int err = life_seek(machine, queue, position, &position);
        if (err == 0) {
            err = position != 0 ? life_sweep_one(machine, queue, position) : 0;
            position++;
        }
        if (err != 0) {
            return err == ERR_NOT_FOUND ? 0 : err;
        }
    }
    struct timer next = *timer;
    next.at_ms = timer_after(machine->time_ms, 1); /* And not in this entry any more. */
    next.c = position;
    return timer_set(machine, &next);
}

/* The first step that tells of a purge; its key and its time. ERR_NOT_FOUND. */
static int life_first_purge(struct machine *machine, const struct queue *queue, struct row_key *ret_key,
                            uint64_t *ret_time_ms)
{
    struct row_key from = row_key_pair(ROW_LIFE, queue->id, 0);
    struct row_key end = row_key_after(&from);
    struct table_row row;
    struct row_reader reader;
    int err = table_seek(machine, &from, &end, &row);
    if (err != 0) {
        return err;
    }
    err = row_open(&reader, &row.key, row.value);
    if (err == 0) {
        (void)row_get_u64(&reader);
        *ret_time_ms = row_get_u64(&reader);
        *ret_key = row.key;
    }
    table_row_done(&row);
    return err;
}

/* The steps that tell of the oldest purges: those of one time had one timer. */
static int life_remove_purges(struct machine *machine, const struct queue *queue)
{
    struct row_key key;
    uint64_t first_ms;
    uint64_t time_ms;
    int err = life_first_purge(machine, queue, &key, &first_ms);
    time_ms = first_ms;
    while (err == 0 && time_ms == first_ms) {
        err = table_remove(machine, &key);
        if (err == 0) {
            err = life_first_purge(machine, queue, &key, &time_ms);
        }
    }
    return err == ERR_NOT_FOUND ? 0 : err;
}

int life_fired(struct machine *machine, const struct timer *timer)
{
    struct queue *queue = queue_by_id(machine, timer->a);
    if (queue == NULL) {
        return 0;
    }
    if (timer->b != 0) {
        struct row_key prefix = row_key_pair(ROW_LIFE, timer->a, timer->b);
        return fault_fires(FAULT_SKIP_LIFE_END) ? 0 : table_remove_all(machine, &prefix);
    }
    int err = timer->c == 0 ? life_remove_purges(machine, queue) : 0;
    return err != 0 ? err : life_sweep(machine, queue, timer);
}
