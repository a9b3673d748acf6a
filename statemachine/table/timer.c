/* Timers: setting, clearing, and letting them go off. */

#include "statemachine/table/timer.h"

#include <string.h>

#include "proto/base/check.h"
#include "statemachine/state.h"

#define TIMER_ROW_LEN (1u + ROW_CHECKSUM_LEN)

void timers_init(struct timers *timers)
{
    *timers = (struct timers){.next_ms = TIMER_NEVER};
}

static struct row_key timer_key(const struct timer *timer)
{
    const uint64_t numbers[] = {timer->at_ms, (uint64_t)timer->kind, timer->a, timer->b, timer->c};
    return row_key_numbers(ROW_TIMER, numbers, ARRAY_LEN(numbers));
}

/* ERR_CORRUPT. */
static int timer_of_key(const struct row_key *key, struct timer *ret_timer)
{
    uint64_t numbers[5];
    if (key->len != ROW_KEY_LEN(ARRAY_LEN(numbers))) {
        return ERR_CORRUPT;
    }
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        numbers[i] = get_be64(key->data + ROW_KEY_LEN(i));
    }
    if (numbers[1] < TIMER_MESSAGE_EXPIRES || numbers[1] > TIMER_LIFE_ENDS) {
        return ERR_CORRUPT;
    }
    *ret_timer = (struct timer){
        .at_ms = numbers[0], .kind = (enum timer_kind)numbers[1], .a = numbers[2], .b = numbers[3], .c = numbers[4]};
    return 0;
}

/* The row has no fields and fits a place on the stack: it must not disturb one that the caller is writing. */
static int timer_put(struct machine *machine, const struct timer *timer,
                     int (*put)(struct machine *machine, const struct row *row, struct slice content))
{
    if (timer->at_ms == TIMER_NEVER) {
        return 0;
    }
    uint8_t value[TIMER_ROW_LEN] = {ROW_VERSION_NEW};
    struct row row = {.key = timer_key(timer), .value = {.data = value, .len = sizeof value, .cap = sizeof value}};
    put_u64(value + 1, row_checksum(&row.key, value, 1));
    int err = put(machine, &row, (struct slice){0});
    if (err == 0 && timer->at_ms < machine->timers.next_ms) {
        machine->timers.next_ms = timer->at_ms;
    }
    return err;
}

int timer_set(struct machine *machine, const struct timer *timer)
{
    return timer_put(machine, timer, table_put);
}

int timer_set_first(struct machine *machine, const struct timer *timer)
{
    return timer_put(machine, timer, table_put_first);
}

static int timer_remove(struct machine *machine, const struct row_key *key, uint64_t at_ms)
{
    machine->timers.stale = machine->timers.stale || at_ms == machine->timers.next_ms;
    return table_remove(machine, key);
}

int timer_clear(struct machine *machine, const struct timer *timer)
{
    struct row_key key = timer_key(timer);
    return timer->at_ms == TIMER_NEVER ? 0 : timer_remove(machine, &key, timer->at_ms);
}

/* The first one that is at `from_ms` or later; at TIMER_NEVER: there is none. */
static int timers_first(struct machine *machine, uint64_t from_ms, struct timer *ret_timer)
{
    struct row_key from = row_key_one(ROW_TIMER, from_ms);
    struct row_key kind = row_key_plain(ROW_TIMER);
    struct row_key end = row_key_after(&kind);
    struct table_row row;
    int err = table_seek(machine, &from, &end, &row);
    if (err == ERR_NOT_FOUND) {
        *ret_timer = (struct timer){.at_ms = TIMER_NEVER};
        return 0;
    }
    if (err != 0) {
        return err;
    }
    err = timer_of_key(&row.key, ret_timer);
    table_row_done(&row);
    return state_blame(machine, &row.key, err, err_text(err));
}

/* Those before `next_ms` would be rows that were removed, which a store is slow to pass over. */
int timers_look(struct machine *machine)
{
    struct timer first;
    int err = machine->timers.stale ? timers_first(machine, machine->timers.next_ms, &first) : 0;
    if (err == 0 && machine->timers.stale) {
        machine->timers = (struct timers){.next_ms = first.at_ms};
    }
    return err;
}

int timers_fire(struct machine *machine)
{
    struct timers *timers = &machine->timers;
    for (unsigned fired = 0;
         fired < TIMERS_PER_ENTRY_MAX && timers->next_ms <= machine->time_ms && !work_is_done(&machine->work);
         fired++) {
        struct timer timer;
        int err = timers_first(machine, timers->next_ms, &timer);
        if (err != 0) {
            return err;
        }
        *timers = (struct timers){.next_ms = timer.at_ms};
        if (timer.at_ms > machine->time_ms || timer.at_ms == TIMER_NEVER) {
            return 0;
        }
        struct row_key key = timer_key(&timer);
        work_spend(&machine->work, WORK_OF_TIMER);
        err = timer_remove(machine, &key, timer.at_ms);
        if (err == 0) {
            err = timer_fired(machine, &timer);
        }
        if (err != 0) {
            return err;
        }
    }
    if (timers->next_ms <= machine->time_ms) { /* What is due comes before what becomes of what this entry does. */
        machine->work.left = 0;
    }
    return 0;
}

int timers_load(struct machine *machine)
{
    struct timer first;
    int err = timers_first(machine, 0, &first);
    return err == 0 && first.at_ms != machine->timers.next_ms ? ERR_CORRUPT : err;
}
