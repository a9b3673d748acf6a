/* What a queue is like. */

#include "statemachine/queue/queue_options.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/bytes.h"
#include "proto/base/limits.h"

void queue_options_init(struct queue_options *options)
{
    *options = (struct queue_options){.dead_letter_exchange = "", .dead_letter_key = "", .note = ""};
}

void queue_options_done(struct queue_options *options)
{
    free(options->texts);
    queue_options_init(options);
}

/* Copies the three texts, one behind the other. */
static int options_set_texts(struct queue_options *options, struct slice exchange, struct slice key, struct slice note)
{
    if (exchange.len + key.len + note.len == 0) {
        return 0;
    }
    char *texts = calloc(1, exchange.len + key.len + note.len + 3);
    if (texts == NULL) {
        return ERR_NOMEM;
    }
    options->texts = texts;
    memcpy(texts, exchange.data, exchange.len);
    options->dead_letter_exchange = texts;
    texts += exchange.len + 1;
    memcpy(texts, key.data, key.len);
    options->dead_letter_key = texts;
    texts += key.len + 1;
    memcpy(texts, note.data, note.len);
    options->note = texts;
    return 0;
}

static struct slice text_slice(const char *text)
{
    return (struct slice){.data = (const uint8_t *)text, .len = strlen(text)};
}

static bool options_in_range(const Holdfast__QueueOptions *from)
{
    const uint64_t times[] = {from->expires_ms,
                              from->has_ttl ? from->ttl_ms : 0,
                              from->redelivery_delay_ms,
                              from->lock_ms,
                              from->redelivery_delay_max_ms,
                              from->keep_settled_ms,
                              from->keep_life_ms,
                              from->id_window_ms};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        if (times[i] > QUEUE_TIME_MS_MAX) {
            return false;
        }
    }
    return from->max_priority <= QUEUE_PRIORITY_MAX && from->max_deliveries <= QUEUE_DELIVERIES_MAX &&
           from->overflow >= HOLDFAST__QUEUE_OPTIONS__OVERFLOW__DROP_OLDEST &&
           from->overflow <= HOLDFAST__QUEUE_OPTIONS__OVERFLOW__REJECT_NEW_DEAD_LETTER;
}

/* A name of an exchange ("" is the default one), a routing key, and something for people. */
static bool options_texts_fit(const Holdfast__QueueOptions *from)
{
    struct slice exchange = text_slice(from->dead_letter_exchange);
    struct slice key = text_slice(from->dead_letter_key);
    struct slice note = text_slice(from->note);
    return (exchange.len == 0 || name_check(from->dead_letter_exchange, exchange.len) == 0) &&
           key.len <= NAME_LEN_MAX && note.len <= NAME_LEN_MAX && bytes_are_utf8(key.data, key.len) &&
           bytes_are_utf8(note.data, note.len);
}

int queue_options_read(const Holdfast__QueueOptions *from, struct queue_options *ret_options)
{
    queue_options_init(ret_options);
    if (from == NULL) {
        return 0;
    }
    if (!options_in_range(from) || !options_texts_fit(from)) {
        return ERR_INVALID;
    }
    bool dead = from->has_dead_letter;
    bool dead_key = dead && (from->has_dead_letter_key || from->dead_letter_key[0] != 0);
    struct queue_options options = {
        .exclusive = from->exclusive,
        .auto_delete = from->auto_delete,
        .groups = from->groups,
        .single_active = from->single_active,
        .has_ttl = from->has_ttl,
        .has_max_length = from->has_max_length,
        .has_max_bytes = from->has_max_bytes,
        .has_dead_letter = dead,
        .has_dead_letter_key = dead_key,
        .paused = from->paused,
        .protected = from->protected_,
        .max_priority = (uint8_t)from->max_priority,
        .overflow = (uint8_t)from->overflow,
        .expires_ms = from->expires_ms,
        .ttl_ms = from->has_ttl ? from->ttl_ms : 0,
        .max_length = from->has_max_length ? from->max_length : 0,
        .max_bytes = from->has_max_bytes ? from->max_bytes : 0,
        .max_deliveries = from->max_deliveries,
        .redelivery_delay_ms = from->redelivery_delay_ms,
        .redelivery_delay_max_ms = from->redelivery_delay_max_ms,
        .lock_ms = from->lock_ms,
        .keep_settled_ms = from->keep_settled_ms,
        .keep_life_ms = from->keep_life_ms,
        .id_window_ms = from->id_window_ms,
        .dead_letter_exchange = "",
        .dead_letter_key = "",
        .note = "",
    };
    *ret_options = options;
    return options_set_texts(ret_options, text_slice(dead ? from->dead_letter_exchange : ""),
                             text_slice(dead_key ? from->dead_letter_key : ""), text_slice(from->note));
}

bool queue_options_same_kind(const struct queue_options *a, const struct queue_options *b)
{
    return a->exclusive == b->exclusive && a->auto_delete == b->auto_delete && a->max_priority == b->max_priority &&
           a->groups == b->groups && a->single_active == b->single_active;
}

bool queue_options_match(const struct queue_options *a, const struct queue_options *b)
{
    return queue_options_same_kind(a, b) && a->expires_ms == b->expires_ms && a->has_ttl == b->has_ttl &&
           a->ttl_ms == b->ttl_ms && a->has_max_length == b->has_max_length && a->max_length == b->max_length &&
           a->has_max_bytes == b->has_max_bytes && a->max_bytes == b->max_bytes && a->overflow == b->overflow &&
           a->has_dead_letter == b->has_dead_letter && a->has_dead_letter_key == b->has_dead_letter_key &&
           a->max_deliveries == b->max_deliveries && a->redelivery_delay_ms == b->redelivery_delay_ms &&
           a->redelivery_delay_max_ms == b->redelivery_delay_max_ms && a->lock_ms == b->lock_ms &&
           a->keep_settled_ms == b->keep_settled_ms && a->keep_life_ms == b->keep_life_ms &&
           a->id_window_ms == b->id_window_ms && strcmp(a->dead_letter_exchange, b->dead_letter_exchange) == 0 &&
           strcmp(a->dead_letter_key, b->dead_letter_key) == 0;
}

#define OPTION_FLAGS 11u

static void options_flags(struct queue_options *options, bool *ret_flags[OPTION_FLAGS])
{
    bool *flags[OPTION_FLAGS] = {
        &options->exclusive,     &options->auto_delete,     &options->groups,
        &options->single_active, &options->has_ttl,         &options->has_max_length,
        &options->has_max_bytes, &options->has_dead_letter, &options->has_dead_letter_key,
        &options->paused,        &options->protected,
    };
    memcpy(ret_flags, flags, sizeof flags);
}

#define OPTION_NUMBERS 10u

static void options_numbers(struct queue_options *options, uint64_t *ret_numbers[OPTION_NUMBERS])
{
    uint64_t *numbers[OPTION_NUMBERS] = {
        &options->expires_ms,
        &options->ttl_ms,
        &options->max_length,
        &options->max_bytes,
        &options->max_deliveries,
        &options->redelivery_delay_ms,
        &options->redelivery_delay_max_ms,
        &options->lock_ms,
        &options->keep_settled_ms,
        &options->keep_life_ms,
    };
    memcpy(ret_numbers, numbers, sizeof numbers);
}

static void put_text(struct row *row, const char *text)
{
    size_t len = strlen(text);
    row_put_u8(row, (uint8_t)len);
    row_put_bytes(row, text, len);
}

void queue_options_put(const struct queue_options *options, struct row *row)
{
    struct queue_options copy = *options;
    bool *flags[OPTION_FLAGS];
    uint64_t *numbers[OPTION_NUMBERS];
    uint32_t bits = 0;
    options_flags(&copy, flags);
    options_numbers(&copy, numbers);
    for (unsigned i = 0; i < OPTION_FLAGS; i++) {
        bits |= (uint32_t)*flags[i] << i;
    }
    row_put_u32(row, bits);
    row_put_u8(row, options->max_priority);
    row_put_u8(row, options->overflow);
    for (unsigned i = 0; i < OPTION_NUMBERS; i++) {
        row_put_u64(row, *numbers[i]);
    }
    row_put_u64(row, options->id_window_ms);
    put_text(row, options->dead_letter_exchange);
    put_text(row, options->dead_letter_key);
    put_text(row, options->note);
}

static struct slice get_text(struct row_reader *reader)
{
    size_t len = row_get_u8(reader);
    const uint8_t *data = row_get_bytes(reader, len);
    if (data == NULL || memchr(data, 0, len) != NULL) {
        reader->overrun = true;
        return text_slice("");
    }
    return (struct slice){.data = data, .len = len};
}

int queue_options_get(struct row_reader *reader, struct queue_options *ret_options)
{
    bool *flags[OPTION_FLAGS];
    uint64_t *numbers[OPTION_NUMBERS];
    queue_options_init(ret_options);
    options_flags(ret_options, flags);
    options_numbers(ret_options, numbers);
    uint32_t bits = row_get_u32(reader);
    for (unsigned i = 0; i < OPTION_FLAGS; i++) {
        *flags[i] = (bits >> i & 1) != 0;
    }
    ret_options->max_priority = row_get_u8(reader);
    ret_options->overflow = row_get_u8(reader);
    for (unsigned i = 0; i < OPTION_NUMBERS; i++) {
        *numbers[i] = row_get_u64(reader);
    }
    ret_options->id_window_ms = row_get_u64(reader);
    struct slice exchange = get_text(reader);
    struct slice key = get_text(reader);
    struct slice note = get_text(reader);
    if (reader->overrun || bits >> OPTION_FLAGS != 0 || ret_options->overflow > QUEUE_REJECT_NEW_DEAD_LETTER) {
        return ERR_CORRUPT;
    }
    return options_set_texts(ret_options, exchange, key, note);
}
