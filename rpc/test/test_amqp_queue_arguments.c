/* The arguments of queues: what each means, what is wrong with it in RabbitMQ's words, and how queues differ. */

#include "rpc/amqp/amqp_queue_arguments.h"

#include <criterion/criterion.h>
#include <string.h>

#include "proto/base/check.h"

static struct arena arena;
static Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
static struct amqp_argument_error error;

static void setup(void)
{
    arena_init(&arena, 1 << 20);
}

static void teardown(void)
{
    arena_done(&arena);
}

TestSuite(amqp_queue_arguments, .init = setup, .fini = teardown);

/* ---- Values ---- */

#define MAKE(KIND, field, what)                                                                                        \
    ((Holdfast__Value){                                                                                                \
        .base = {&holdfast__value__descriptor, 0, NULL}, .kind_case = HOLDFAST__VALUE__KIND_##KIND, .field = (what)})

static Holdfast__Value number(int64_t number_is)
{
    return MAKE(INT64, int64, number_is);
}

static Holdfast__Value word(const char *word_is)
{
    return MAKE(STRING, string, ((ProtobufCBinaryData){strlen(word_is), (uint8_t *)(uintptr_t)word_is}));
}

static Holdfast__Value yes(void)
{
    return MAKE(BOOLEAN, boolean, true);
}

static bool read_two(const char *name, Holdfast__Value value, const char *other_name, Holdfast__Value other)
{
    Holdfast__Header first = HOLDFAST__HEADER__INIT;
    Holdfast__Header second = HOLDFAST__HEADER__INIT;
    first.name = (char *)(uintptr_t)name;
    first.value = &value;
    second.name = (char *)(uintptr_t)other_name;
    second.value = &other;
    Holdfast__Header *entries[] = {&first, &second};
    const struct amqp_headers headers = {.entries = entries, .len = other_name == NULL ? 1 : 2};
    holdfast__queue_options__init(&options);
    error = (struct amqp_argument_error){0};
    return amqp_queue_arguments_read(&headers, &arena, &options, &error);
}

static bool read_one(const char *name, Holdfast__Value value)
{
    return read_two(name, value, NULL, value);
}

static void expect_wrong(const char *name, Holdfast__Value value, const char *reason)
{
    cr_assert_not(read_one(name, value), "%s: taken", name);
    cr_assert_str_eq(error.name, name);
    cr_assert_str_eq(error.reason, reason);
    cr_assert_not(error.of_exchange);
}

/* ---- What they mean ---- */

Test(amqp_queue_arguments, times)
{
    cr_assert(read_one("x-message-ttl", number(0)));
    cr_assert(options.has_ttl && options.ttl_ms == 0);
    cr_assert(read_one("x-message-ttl", number(INT64_C(315360000000))));
    cr_assert_eq(options.ttl_ms, UINT64_C(315360000000));
    cr_assert(read_one("x-expires", number(1)));
    cr_assert_eq(options.expires_ms, 1u);
    cr_assert(read_one("x-consumer-timeout", number(60000)));
    cr_assert_eq(options.lock_ms, 60000u);
}

Test(amqp_queue_arguments, integers_of_every_width)
{
    const Holdfast__Value values[] = {MAKE(INT8, int8, 5),     MAKE(UINT8, uint8, 5),  MAKE(INT16, int16, 5),
                                      MAKE(UINT16, uint16, 5), MAKE(INT32, int32, 5),  MAKE(UINT32, uint32, 5),
                                      MAKE(INT64, int64, 5),   MAKE(UINT64, uint64, 5)};
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        cr_assert(read_one("x-max-length", values[i]));
        cr_assert(options.has_max_length && options.max_length == 5, "%zu", i);
    }
}

Test(amqp_queue_arguments, lengths)
{
    cr_assert(read_two("x-max-length", number(0), "x-max-length-bytes", number(INT64_MAX)));
    cr_assert(options.has_max_length && options.max_length == 0);
    cr_assert(options.has_max_bytes && options.max_bytes == INT64_MAX);
    cr_assert(read_one("x-overflow", word("drop-head")));
    cr_assert_eq(options.overflow, HOLDFAST__QUEUE_OPTIONS__OVERFLOW__DROP_OLDEST);
    cr_assert(read_one("x-overflow", word("reject-publish")));
    cr_assert_eq(options.overflow, HOLDFAST__QUEUE_OPTIONS__OVERFLOW__REJECT_NEW);
    cr_assert(read_one("x-overflow", word("reject-publish-dlx")));
    cr_assert_eq(options.overflow, HOLDFAST__QUEUE_OPTIONS__OVERFLOW__REJECT_NEW_DEAD_LETTER);
}

Test(amqp_queue_arguments, dead_letters)
{
    cr_assert(read_one("x-dead-letter-exchange", word("")));
    cr_assert(options.has_dead_letter && !options.has_dead_letter_key);
    cr_assert_str_eq(options.dead_letter_exchange, "");
    cr_assert(read_two("x-dead-letter-routing-key", word("k"), "x-dead-letter-exchange", word("d")));
    cr_assert(options.has_dead_letter && options.has_dead_letter_key);
    cr_assert_str_eq(options.dead_letter_exchange, "d");
    cr_assert_str_eq(options.dead_letter_key, "k");
    cr_assert(read_one("x-dead-letter-strategy", word("at-least-once")));
}

Test(amqp_queue_arguments, limits_of_deliveries)
{
    cr_assert(read_one("x-delivery-limit", number(5)));
    cr_assert_eq(options.max_deliveries, 6u);
    cr_assert(read_one("x-delivery-limit", number(0)));
    cr_assert_eq(options.max_deliveries, 1u);
    cr_assert(read_one("x-delivery-limit", number(-1)));
    cr_assert_eq(options.max_deliveries, 0u);
}

Test(amqp_queue_arguments, priorities_and_consumers)
{
    cr_assert(read_one("x-max-priority", number(255)));
    cr_assert_eq(options.max_priority, 255u);
    cr_assert(read_one("x-single-active-consumer", yes()));
    cr_assert(options.single_active);
}

Test(amqp_queue_arguments, ours)
{
    cr_assert(read_one("x-holdfast-groups", yes()) && options.groups);
    cr_assert(read_one("x-holdfast-redelivery-delay", number(10)) && options.redelivery_delay_ms == 10);
    cr_assert(read_one("x-holdfast-redelivery-delay-max", number(11)) && options.redelivery_delay_max_ms == 11);
    cr_assert(read_one("x-holdfast-id-window", number(12)) && options.id_window_ms == 12);
    cr_assert(read_one("x-holdfast-keep", number(13)) && options.keep_settled_ms == 13);
    cr_assert(read_one("x-holdfast-keep-life", number(14)) && options.keep_life_ms == 14);
}

Test(amqp_queue_arguments, those_without_a_meaning_change_nothing)
{
    static const char *const words[][2] = {
        {"x-queue-type", "quorum"},
        {"x-queue-type", "classic"},
        {"x-queue-mode", "lazy"},
        {"x-queue-leader-locator", "balanced"},
        {"x-queue-master-locator", "random"},
        {"x-what", "so ever"},
        {"x-max-age", "1D"},
        {"what", ""},
    };
    const Holdfast__QueueOptions none = HOLDFAST__QUEUE_OPTIONS__INIT;
    struct amqp_queue_difference difference;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        cr_assert(read_one(words[i][0], word(words[i][1])), "%s", words[i][0]);
        cr_assert_not(amqp_queue_options_differ(&options, &none, &difference));
    }
    static const char *const numbers[] = {"x-queue-version", "x-quorum-initial-group-size", "x-max-in-memory-length",
                                          "x-max-in-memory-bytes"};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        cr_assert(read_one(numbers[i], number(1)), "%s", numbers[i]);
        cr_assert_not(amqp_queue_options_differ(&options, &none, &difference));
    }
}

/* ---- What is wrong with them ---- */

Test(amqp_queue_arguments, of_the_wrong_type)
{
    static const char *const integers[] = {"x-expires",
                                           "x-message-ttl",
                                           "x-max-length",
                                           "x-max-length-bytes",
                                           "x-max-in-memory-length",
                                           "x-max-in-memory-bytes",
                                           "x-max-priority",
                                           "x-queue-version",
                                           "x-quorum-initial-group-size",
                                           "x-delivery-limit",
                                           "x-consumer-timeout",
                                           "x-holdfast-redelivery-delay",
                                           "x-holdfast-redelivery-delay-max",
                                           "x-holdfast-id-window",
                                           "x-holdfast-keep",
                                           "x-holdfast-keep-life"};
    for (size_t i = 0; i < ARRAY_LEN(integers); i++) {
        expect_wrong(integers[i], word("5"), "\"expected integer, got longstr\"");
        expect_wrong(integers[i], yes(), "\"expected integer, got bool\"");
        expect_wrong(integers[i], MAKE(VOID, void_, true), "\"expected integer, got void\"");
    }
    static const char *const words[] = {"x-overflow",
                                        "x-queue-mode",
                                        "x-queue-type",
                                        "x-dead-letter-strategy",
                                        "x-queue-leader-locator",
                                        "x-queue-master-locator",
                                        "x-dead-letter-routing-key"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        expect_wrong(words[i], MAKE(INT32, int32, 5), "{unacceptable_type,signedint}");
    }
    expect_wrong("x-single-active-consumer", word("yes"), "{unacceptable_type,longstr}");
    expect_wrong("x-holdfast-groups", number(1), "{unacceptable_type,long}");
    cr_assert_not(read_one("x-dead-letter-exchange", MAKE(INT32, int32, 5)));
    cr_assert(error.of_exchange);
    cr_assert_str_eq(error.reason, "signedint");
}

Test(amqp_queue_arguments, out_of_range)
{
    expect_wrong("x-message-ttl", number(-1), "{value_negative,-1}");
    expect_wrong("x-message-ttl", number(INT64_C(315360000001)), "{value_too_large,315360000001}");
    expect_wrong("x-expires", number(0), "{value_zero,0}");
    expect_wrong("x-expires", number(-5), "{value_negative,-5}");
    expect_wrong("x-expires", number(INT64_C(315360000001)), "{value_too_large,315360000001}");
    expect_wrong("x-max-length", number(-1), "{value_negative,-1}");
    expect_wrong("x-max-length-bytes", number(-1), "{value_negative,-1}");
    expect_wrong("x-max-in-memory-length", number(-1), "{value_negative,-1}");
    expect_wrong("x-max-priority", number(-1), "{value_negative,-1}");
    expect_wrong("x-max-priority", number(256), "{max_value_exceeded,256}");
    expect_wrong("x-quorum-initial-group-size", number(0), "{value_zero,0}");
    expect_wrong("x-delivery-limit", number(2147483647), "{value_too_large,2147483647}");
    expect_wrong("x-consumer-timeout", number(0), "{value_zero,0}");
    expect_wrong("x-holdfast-keep", number(INT64_C(315360000001)), "{value_too_large,315360000001}");
    expect_wrong("x-holdfast-keep", MAKE(UINT64, uint64, UINT64_MAX), "{value_too_large,9223372036854775807}");
}

Test(amqp_queue_arguments, unknown_words)
{
    expect_wrong("x-overflow", word("bogus"), "invalid_overflow");
    expect_wrong("x-queue-type", word("bogus"), "\"unsupported queue type 'bogus'\"");
    expect_wrong("x-queue-type", word("stream"), "\"unsupported queue type 'stream'\"");
    expect_wrong("x-queue-mode", word("bogus"), "\"unsupported queue mode 'bogus'\"");
    expect_wrong("x-queue-version", number(3), "\"unsupported queue version '3'\"");
    expect_wrong("x-dead-letter-strategy", word("bogus"), "invalid_dlx_strategy");
    expect_wrong("x-queue-leader-locator", word("bogus"), "invalid_queue_locator_arg");
    expect_wrong("x-dead-letter-routing-key", word("k"), "routing_key_but_no_dlx_defined");
}

Test(amqp_queue_arguments, words_that_cannot_be)
{
    static const char zero[] = "with\0zero";
    char longest[257];
    memset(longest, 'k', sizeof longest - 1);
    longest[256] = '\0';
    const char *reason = "\"longer than 255 bytes, or not UTF-8\"";
    expect_wrong("x-dead-letter-exchange", word(longest), reason);
    expect_wrong("x-dead-letter-exchange", word("\xff"), reason);
    expect_wrong("x-dead-letter-exchange", MAKE(STRING, string, ((ProtobufCBinaryData){8, (uint8_t *)(uintptr_t)zero})),
                 reason);
    expect_wrong("x-dead-letter-exchange", word("a\tb"), "\"a control character in the name of an exchange\"");
    longest[200] = '\0';
    cr_assert_not(read_one("x-queue-type", word(longest)));
    cr_assert_eq(strncmp(error.reason, "\"unsupported queue type 'kkk", 26), 0, "%s", error.reason);
}

/* ---- How queues differ ---- */

static void expect_difference(const Holdfast__QueueOptions *received, const Holdfast__QueueOptions *current,
                              const char *name)
{
    struct amqp_queue_difference difference;
    cr_assert(amqp_queue_options_differ(received, current, &difference), "%s", name);
    cr_assert_str_eq(difference.name, name);
    cr_assert_not(amqp_trait_equal(&difference.received, &difference.current));
}

/* Of `field`, when it is set in one of them. */
#define EXPECT_DIFFERENCE(argument, ...)                                                                               \
    do {                                                                                                               \
        Holdfast__QueueOptions other = {__VA_ARGS__};                                                                  \
        other.base = none.base;                                                                                        \
        other.note = other.note == NULL ? none.note : other.note;                                                      \
        other.dead_letter_exchange =                                                                                   \
            other.dead_letter_exchange == NULL ? none.dead_letter_exchange : other.dead_letter_exchange;               \
        other.dead_letter_key = other.dead_letter_key == NULL ? none.dead_letter_key : other.dead_letter_key;          \
        expect_difference(&other, &none, argument);                                                                    \
        expect_difference(&none, &other, argument);                                                                    \
    } while (0)

Test(amqp_queue_arguments, every_difference_has_its_name)
{
    const Holdfast__QueueOptions none = HOLDFAST__QUEUE_OPTIONS__INIT;
    struct amqp_queue_difference difference;
    cr_assert_not(amqp_queue_options_differ(&none, &none, &difference));
    EXPECT_DIFFERENCE("auto_delete", .auto_delete = true);
    EXPECT_DIFFERENCE("x-expires", .expires_ms = 1);
    EXPECT_DIFFERENCE("x-message-ttl", .has_ttl = true);
    EXPECT_DIFFERENCE("x-dead-letter-exchange", .has_dead_letter = true);
    EXPECT_DIFFERENCE("x-dead-letter-routing-key", .has_dead_letter_key = true);
    EXPECT_DIFFERENCE("x-max-length", .has_max_length = true);
    EXPECT_DIFFERENCE("x-max-length-bytes", .has_max_bytes = true);
    EXPECT_DIFFERENCE("x-max-priority", .max_priority = 1);
    EXPECT_DIFFERENCE("x-overflow", .overflow = HOLDFAST__QUEUE_OPTIONS__OVERFLOW__REJECT_NEW);
    EXPECT_DIFFERENCE("x-single-active-consumer", .single_active = true);
    EXPECT_DIFFERENCE("x-delivery-limit", .max_deliveries = 1);
    EXPECT_DIFFERENCE("x-consumer-timeout", .lock_ms = 1);
    EXPECT_DIFFERENCE("x-holdfast-groups", .groups = true);
    EXPECT_DIFFERENCE("x-holdfast-redelivery-delay", .redelivery_delay_ms = 1);
    EXPECT_DIFFERENCE("x-holdfast-redelivery-delay-max", .redelivery_delay_max_ms = 1);
    EXPECT_DIFFERENCE("x-holdfast-id-window", .id_window_ms = 1);
    EXPECT_DIFFERENCE("x-holdfast-keep", .keep_settled_ms = 1);
    EXPECT_DIFFERENCE("x-holdfast-keep-life", .keep_life_ms = 1);
}

Test(amqp_queue_arguments, the_first_difference_counts)
{
    Holdfast__QueueOptions a = HOLDFAST__QUEUE_OPTIONS__INIT;
    Holdfast__QueueOptions b = HOLDFAST__QUEUE_OPTIONS__INIT;
    a.has_max_length = a.has_ttl = true;
    expect_difference(&a, &b, "x-message-ttl");
    a.note = (char[]){"AMQP: durable"};
    expect_difference(&a, &b, "x-message-ttl");
    b.note = (char[]){"AMQP: transient"};
    expect_difference(&a, &b, "durable");
}

Test(amqp_queue_arguments, a_delivery_limit_is_told_as_it_was_given)
{
    Holdfast__QueueOptions a = HOLDFAST__QUEUE_OPTIONS__INIT;
    const Holdfast__QueueOptions b = HOLDFAST__QUEUE_OPTIONS__INIT;
    a.max_deliveries = 6;
    struct amqp_queue_difference difference;
    cr_assert(amqp_queue_options_differ(&a, &b, &difference));
    cr_assert_eq(difference.received.number, 5u);
    cr_assert_eq(difference.current.type, AMQP_TRAIT_NONE);
}
