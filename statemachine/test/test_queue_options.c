/* Options of queues: which are taken, what is compared, and that rows keep all of them. */

#include "statemachine/queue/queue_options.h"

#include <criterion/criterion.h>
#include <string.h>

static Holdfast__QueueOptions sample(void)
{
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.auto_delete = true;
    options.max_priority = 200;
    options.single_active = true;
    options.expires_ms = 1;
    options.has_ttl = true;
    options.ttl_ms = 2;
    options.has_max_length = true;
    options.max_length = 3;
    options.has_max_bytes = true;
    options.max_bytes = 4;
    options.overflow = HOLDFAST__QUEUE_OPTIONS__OVERFLOW__REJECT_NEW_DEAD_LETTER;
    options.has_dead_letter = true;
    options.dead_letter_exchange = "dlx";
    options.dead_letter_key = "key";
    options.max_deliveries = 5;
    options.redelivery_delay_ms = 6;
    options.redelivery_delay_max_ms = 7;
    options.lock_ms = 8;
    options.keep_settled_ms = 9;
    options.keep_life_ms = 10;
    options.id_window_ms = 11;
    options.note = "note";
    return options;
}

Test(queue_options, round_trip_through_rows)
{
    Holdfast__QueueOptions message = sample();
    struct queue_options options;
    struct queue_options back;
    struct row row = {0};
    struct row_reader reader;
    cr_assert_eq(queue_options_read(&message, &options), 0);
    cr_assert(options.has_dead_letter_key, "a key that is given is one");
    row_begin_new(&row, row_key_one(ROW_QUEUE, 1));
    queue_options_put(&options, &row);
    cr_assert_eq(row_seal(&row), 0);
    cr_assert_eq(row_open(&reader, &row.key, (struct slice){.data = row.value.data, .len = row.value.len}), 0);
    cr_assert_eq(queue_options_get(&reader, &back), 0);
    cr_assert_eq(row_end(&reader), 0);
    cr_assert(queue_options_match(&options, &back));
    cr_assert_str_eq(back.note, "note");
    cr_assert_str_eq(back.dead_letter_exchange, "dlx");
    cr_assert_eq(back.id_window_ms, 11u);
    back.keep_life_ms++;
    cr_assert_not(queue_options_match(&options, &back));
    queue_options_done(&options);
    queue_options_done(&back);
    row_done(&row);
}

static int read_error(Holdfast__QueueOptions message)
{
    struct queue_options options;
    int err = queue_options_read(&message, &options);
    queue_options_done(&options);
    return err;
}

Test(queue_options, out_of_range_are_refused)
{
    Holdfast__QueueOptions message = sample();
    cr_assert_eq(read_error(message), 0);
    message.max_priority = 256;
    cr_assert_eq(read_error(message), ERR_INVALID);
    message = sample();
    message.lock_ms = QUEUE_TIME_MS_MAX + 1;
    cr_assert_eq(read_error(message), ERR_INVALID);
    message = sample();
    message.max_deliveries = QUEUE_DELIVERIES_MAX + 1;
    cr_assert_eq(read_error(message), ERR_INVALID);
    message = sample();
    message.overflow = (Holdfast__QueueOptions__Overflow)3;
    cr_assert_eq(read_error(message), ERR_INVALID);
    message = sample();
    char note[NAME_LEN_MAX + 2];
    memset(note, 'n', sizeof note);
    note[sizeof note - 1] = 0;
    message.note = note;
    cr_assert_eq(read_error(message), ERR_INVALID);
    message = sample();
    message.dead_letter_key = "\xff";
    cr_assert_eq(read_error(message), ERR_INVALID);
}

Test(queue_options, note_paused_and_protected_are_not_compared)
{
    Holdfast__QueueOptions message = sample();
    struct queue_options options;
    struct queue_options others;
    cr_assert_eq(queue_options_read(&message, &options), 0);
    message.note = "another";
    message.paused = message.protected_ = true;
    cr_assert_eq(queue_options_read(&message, &others), 0);
    cr_assert(queue_options_match(&options, &others));
    queue_options_done(&others);
    message.dead_letter_key = "another";
    cr_assert_eq(queue_options_read(&message, &others), 0);
    cr_assert_not(queue_options_match(&options, &others));
    cr_assert(queue_options_same_kind(&options, &others));
    queue_options_done(&others);
    queue_options_done(&options);
}
