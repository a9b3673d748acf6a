/* The arguments of queues. */

#include "rpc/amqp/amqp_queue_arguments.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/bytes.h"
#include "proto/base/check.h"
#include "proto/base/limits.h"
#include "rpc/amqp/amqp_value.h"

/* The longest time, in milliseconds: ten years, as in RabbitMQ. */
#define TIME_MS_MAX INT64_C(315360000000)

struct reading {
    struct arena *arena;
    Holdfast__QueueOptions *options;
    struct amqp_argument_error error;
};

__attribute__((format(printf, 2, 3))) static bool refuse(struct reading *reading, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    (void)vsnprintf(reading->error.reason, sizeof reading->error.reason, format, list);
    va_end(list);
    return false;
}

/* ---- Types ---- */

static bool take_integer(struct reading *reading, const Holdfast__Value *value, int64_t *ret_integer)
{
    return amqp_value_integer(value, ret_integer) ||
           refuse(reading, "\"expected integer, got %s\"", amqp_value_type(value));
}

/* From 0 to `max`. */
static bool take_natural(struct reading *reading, const Holdfast__Value *value, int64_t max, int64_t *ret_integer)
{
    if (!take_integer(reading, value, ret_integer)) {
        return false;
    }
    if (*ret_integer < 0) {
        return refuse(reading, "{value_negative,%" PRId64 "}", *ret_integer);
    }
    return *ret_integer <= max || refuse(reading, "{value_too_large,%" PRId64 "}", *ret_integer);
}

static bool take_positive(struct reading *reading, const Holdfast__Value *value, int64_t max, int64_t *ret_integer)
{
    return take_natural(reading, value, max, ret_integer) && (*ret_integer > 0 || refuse(reading, "{value_zero,0}"));
}

static bool take_bool(struct reading *reading, const Holdfast__Value *value, protobuf_c_boolean *ret_bool)
{
    if (value->kind_case != HOLDFAST__VALUE__KIND_BOOLEAN) {
        return refuse(reading, "{unacceptable_type,%s}", amqp_value_type(value));
    }
    *ret_bool = value->boolean;
    return true;
}

static bool take_text(struct reading *reading, const Holdfast__Value *value, char **ret_text)
{
    if (value->kind_case != HOLDFAST__VALUE__KIND_STRING) {
        return refuse(reading, "{unacceptable_type,%s}", amqp_value_type(value));
    }
    char *text = amqp_value_text(reading->arena, value);
    if (text == NULL || !bytes_are_utf8(text, strlen(text))) {
        return refuse(reading, "\"longer than %u bytes, or not UTF-8\"", NAME_LEN_MAX);
    }
    *ret_text = text;
    return true;
}

/* One of these words; *ret_which is its place. */
static bool take_word(struct reading *reading, const Holdfast__Value *value, const char *const *words, size_t words_len,
                      size_t *ret_which, const char *reason)
{
    char *text;
    if (!take_text(reading, value, &text)) {
        return false;
    }
    for (size_t i = 0; i < words_len; i++) {
        if (strcmp(text, words[i]) == 0) {
            *ret_which = i;
            return true;
        }
    }
    /* Reasons with a hole for the word are RabbitMQ's. */
    const char *hole = strstr(reason, "%s");
    return hole == NULL ? refuse(reading, "%s", reason)
                        : refuse(reading, "%.*s%s%s", (int)(hole - reason), reason, text, hole + 2);
}

/* ---- RabbitMQ's arguments ---- */

static bool read_expires(struct reading *reading, const Holdfast__Value *value)
{
    int64_t integer;
    bool ok = take_positive(reading, value, TIME_MS_MAX, &integer);
    reading->options->expires_ms = ok ? (uint64_t)integer : 0;
    return ok;
}

static bool read_ttl(struct reading *reading, const Holdfast__Value *value)
{
    int64_t integer;
    reading->options->has_ttl = take_natural(reading, value, TIME_MS_MAX, &integer);
    reading->options->ttl_ms = reading->options->has_ttl ? (uint64_t)integer : 0;
    return reading->options->has_ttl;
}

static bool read_dead_letter_exchange(struct reading *reading, const Holdfast__Value *value)
{
    if (value->kind_case != HOLDFAST__VALUE__KIND_STRING) {
        reading->error.of_exchange = true;
        return refuse(reading, "%s", amqp_value_type(value));
    }
    reading->options->has_dead_letter = take_text(reading, value, &reading->options->dead_letter_exchange);
    const char *name = reading->options->dead_letter_exchange;
    return reading->options->has_dead_letter && (name[0] == '\0' || name_check(name, strlen(name)) == 0 ||
                                                 refuse(reading, "\"a control character in the name of an exchange\""));
}

static bool read_dead_letter_key(struct reading *reading, const Holdfast__Value *value)
{
    if (!take_text(reading, value, &reading->options->dead_letter_key)) {
        return false;
    }
    reading->options->has_dead_letter_key = true;
    return reading->options->has_dead_letter || refuse(reading, "routing_key_but_no_dlx_defined");
}

/* Dead letters are never lost between two queues here: both strategies are one. */
static bool read_dead_letter_strategy(struct reading *reading, const Holdfast__Value *value)
{
    static const char *const words[] = {"at-most-once", "at-least-once"};
    size_t which;
    return take_word(reading, value, words, ARRAY_LEN(words), &which, "invalid_dlx_strategy");
}

static bool read_max_length(struct reading *reading, const Holdfast__Value *value)
{
    int64_t integer;
    reading->options->has_max_length = take_natural(reading, value, INT64_MAX, &integer);
    reading->options->max_length = reading->options->has_max_length ? (uint64_t)integer : 0;
    return reading->options->has_max_length;
}

static bool read_max_bytes(struct reading *reading, const Holdfast__Value *value)
{
    int64_t integer;
    reading->options->has_max_bytes = take_natural(reading, value, INT64_MAX, &integer);
    reading->options->max_bytes = reading->options->has_max_bytes ? (uint64_t)integer : 0;
    return reading->options->has_max_bytes;
}

/* Where bodies are is not for clients to say: checked, and no more. */
static bool read_in_memory(struct reading *reading, const Holdfast__Value *value)
{
    int64_t integer;
    return take_natural(reading, value, INT64_MAX, &integer);
}

static bool read_max_priority(struct reading *reading, const Holdfast__Value *value)
{
    int64_t integer;
    if (!take_natural(reading, value, INT64_MAX, &integer)) {
        return false;
    }
    reading->options->max_priority = (uint32_t)(integer & 0xff);
    return integer <= 255 || refuse(reading, "{max_value_exceeded,%" PRId64 "}", integer);
}

static const char *const OVERFLOWS[] = {
    [HOLDFAST__QUEUE_OPTIONS__OVERFLOW__DROP_OLDEST] = "drop-head",
    [HOLDFAST__QUEUE_OPTIONS__OVERFLOW__REJECT_NEW] = "reject-publish",
    [HOLDFAST__QUEUE_OPTIONS__OVERFLOW__REJECT_NEW_DEAD_LETTER] = "reject-publish-dlx",
};

static bool read_overflow(struct reading *reading, const Holdfast__Value *value)
{
    size_t which = 0;
    bool ok = take_word(reading, value, OVERFLOWS, ARRAY_LEN(OVERFLOWS), &which, "invalid_overflow");
    reading->options->overflow = (Holdfast__QueueOptions__Overflow)which;
    return ok;
}

static bool read_mode(struct reading *reading, const Holdfast__Value *value)
{
    static const char *const words[] = {"default", "lazy"};
    size_t which;
    return take_word(reading, value, words, ARRAY_LEN(words), &which, "\"unsupported queue mode '%s'\"");
}

static bool read_version(struct reading *reading, const Holdfast__Value *value)
{
    int64_t integer;
    return take_integer(reading, value, &integer) &&
           (integer == 1 || integer == 2 || refuse(reading, "\"unsupported queue version '%" PRId64 "'\"", integer));
}

static bool read_single_active(struct reading *reading, const Holdfast__Value *value)
{
    return take_bool(reading, value, &reading->options->single_active);
}

/* Both are the replicated queue that there is. */
static bool read_type(struct reading *reading, const Holdfast__Value *value)
{
    static const char *const words[] = {"quorum", "classic"};
    size_t which;
    return take_word(reading, value, words, ARRAY_LEN(words), &which, "\"unsupported queue type '%s'\"");
}

static bool read_group_size(struct reading *reading, const Holdfast__Value *value)
{
    int64_t integer;
    return take_positive(reading, value, INT64_MAX, &integer);
}

static bool read_leader_locator(struct reading *reading, const Holdfast__Value *value)
{
    static const char *const words[] = {"client-local", "balanced", "random", "least-leaders"};
    size_t which;
    return take_word(reading, value, words, ARRAY_LEN(words), &which, "invalid_queue_locator_arg");
}

static bool read_master_locator(struct reading *reading, const Holdfast__Value *value)
{
    char *text;
    return take_text(reading, value, &text);
}

/* It may come back so often, and is delivered once more than that. Below 0: no limit. */
static bool read_delivery_limit(struct reading *reading, const Holdfast__Value *value)
{
    int64_t integer;
    if (!take_integer(reading, value, &integer)) {
        return false;
    }
    reading->options->max_deliveries = integer < 0 ? 0 : (uint64_t)integer + 1;
    return integer < INT32_MAX || refuse(reading, "{value_too_large,%" PRId64 "}", integer);
}

static bool read_consumer_timeout(struct reading *reading, const Holdfast__Value *value)
{
    int64_t integer;
    bool ok = take_positive(reading, value, TIME_MS_MAX, &integer);
    reading->options->lock_ms = ok ? (uint64_t)integer : 0;
    return ok;
}

/* ---- Ours ---- */

static bool take_ms(struct reading *reading, const Holdfast__Value *value, uint64_t *ret_ms)
{
    int64_t integer;
    bool ok = take_natural(reading, value, TIME_MS_MAX, &integer);
    *ret_ms = ok ? (uint64_t)integer : 0;
    return ok;
}

static bool read_groups(struct reading *reading, const Holdfast__Value *value)
{
    return take_bool(reading, value, &reading->options->groups);
}

static bool read_delay(struct reading *reading, const Holdfast__Value *value)
{
    return take_ms(reading, value, &reading->options->redelivery_delay_ms);
}

static bool read_delay_max(struct reading *reading, const Holdfast__Value *value)
{
    return take_ms(reading, value, &reading->options->redelivery_delay_max_ms);
}

static bool read_id_window(struct reading *reading, const Holdfast__Value *value)
{
    return take_ms(reading, value, &reading->options->id_window_ms);
}

static bool read_keep(struct reading *reading, const Holdfast__Value *value)
{
    return take_ms(reading, value, &reading->options->keep_settled_ms);
}

static bool read_keep_life(struct reading *reading, const Holdfast__Value *value)
{
    return take_ms(reading, value, &reading->options->keep_life_ms);
}

/* ---- All of them ---- */

/* In RabbitMQ's order (rabbit_amqqueue:declare_args()), then ours. */
static const struct argument {
    const char *name;
    bool (*read)(struct reading *reading, const Holdfast__Value *value);
} ARGUMENTS[] = {
    {"x-expires", read_expires},
    {"x-message-ttl", read_ttl},
    {"x-dead-letter-exchange", read_dead_letter_exchange},
    {"x-dead-letter-routing-key", read_dead_letter_key},
    {"x-dead-letter-strategy", read_dead_letter_strategy},
    {"x-max-length", read_max_length},
    {"x-max-length-bytes", read_max_bytes},
    {"x-max-in-memory-length", read_in_memory},
    {"x-max-in-memory-bytes", read_in_memory},
    {"x-max-priority", read_max_priority},
    {"x-overflow", read_overflow},
    {"x-queue-mode", read_mode},
    {"x-queue-version", read_version},
    {"x-single-active-consumer", read_single_active},
    {"x-queue-type", read_type},
    {"x-quorum-initial-group-size", read_group_size},
    {"x-queue-leader-locator", read_leader_locator},
    {"x-queue-master-locator", read_master_locator},
    {"x-delivery-limit", read_delivery_limit},
    {"x-consumer-timeout", read_consumer_timeout},
    {"x-holdfast-groups", read_groups},
    {"x-holdfast-redelivery-delay", read_delay},
    {"x-holdfast-redelivery-delay-max", read_delay_max},
    {"x-holdfast-id-window", read_id_window},
    {"x-holdfast-keep", read_keep},
    {"x-holdfast-keep-life", read_keep_life},
};

bool amqp_queue_arguments_read(const struct amqp_headers *arguments, struct arena *arena,
                               Holdfast__QueueOptions *options, struct amqp_argument_error *ret_error)
{
    struct reading reading = {.arena = arena, .options = options};
    for (size_t i = 0; i < ARRAY_LEN(ARGUMENTS); i++) {
        const Holdfast__Value *value = amqp_headers_find(arguments, ARGUMENTS[i].name);
        if (value != NULL && !ARGUMENTS[i].read(&reading, value)) {
            reading.error.name = ARGUMENTS[i].name;
            *ret_error = reading.error;
            return false;
        }
    }
    return true;
}

bool amqp_queue_is_quorum(const struct amqp_headers *arguments)
{
    const Holdfast__Value *value = amqp_headers_find(arguments, "x-queue-type");
    return value != NULL && value->kind_case == HOLDFAST__VALUE__KIND_STRING && value->string.len == 6 &&
           memcmp(value->string.data, "quorum", 6) == 0;
}
