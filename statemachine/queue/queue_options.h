/* What a queue is like: the options of a declaration, checked, with their texts kept. Times are in milliseconds. */

#ifndef HOLDFAST_STATEMACHINE_QUEUE_QUEUE_OPTIONS_H
#define HOLDFAST_STATEMACHINE_QUEUE_QUEUE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "proto/wire/command.pb-c.h"
#include "statemachine/store/rows.h"

/* Ten years. */
#define QUEUE_TIME_MS_MAX (UINT64_C(10) * 366 * 24 * 3600 * 1000)
#define QUEUE_DELIVERIES_MAX (UINT64_C(1) << 31)
#define QUEUE_PRIORITY_MAX 255u

enum queue_overflow {
    QUEUE_DROP_OLDEST = 0,
    QUEUE_REJECT_NEW = 1,
    QUEUE_REJECT_NEW_DEAD_LETTER = 2,
};

struct queue_options {
    bool exclusive;
    bool auto_delete;
    bool groups;
    bool single_active;
    bool has_ttl;
    bool has_max_length;
    bool has_max_bytes;
    bool has_dead_letter;
    bool has_dead_letter_key;
    bool paused;
    bool protected;
    uint8_t max_priority;
    uint8_t overflow; /* enum queue_overflow. */
    uint64_t expires_ms;
    uint64_t ttl_ms;
    uint64_t max_length;
    uint64_t max_bytes;
    uint64_t max_deliveries;
    uint64_t redelivery_delay_ms;
    uint64_t redelivery_delay_max_ms;
    uint64_t lock_ms;
    uint64_t keep_settled_ms;
    uint64_t keep_life_ms;
    uint64_t id_window_ms;
    /* Never NULL. One after the other in `texts`, which is owned; NULL when all are empty. */
    const char *dead_letter_exchange;
    const char *dead_letter_key;
    const char *note;
    char *texts;
};

/* All defaults. */
void queue_options_init(struct queue_options *options);
void queue_options_done(struct queue_options *options);

/* Takes options from a command (NULL: all defaults). ERR_INVALID: one is out of range. ERR_NOMEM. The caller owns the result when
 * it returns 0. */
int queue_options_read(const Holdfast__QueueOptions *from, struct queue_options *ret_options) NODISCARD;

/* Whether a declaration with `b` finds the queue that it means: all but `note`, `paused` and `protected`. */
bool queue_options_match(const struct queue_options *a, const struct queue_options *b);
/* Whether those are the same that cannot be changed. */
bool queue_options_same_kind(const struct queue_options *a, const struct queue_options *b);

/* As part of a row. The sizes of rows of queues vary only by their texts. */
void queue_options_put(const struct queue_options *options, struct row *row);
/* ERR_CORRUPT, ERR_NOMEM. */
int queue_options_get(struct row_reader *reader, struct queue_options *ret_options) NODISCARD;

#endif
