/* How a declaration differs from the queue that is there, in the words in which it would be declared. */

#include "proto/base/check.h"
#include "rpc/amqp/amqp_queue_arguments.h"

static struct amqp_trait number_or_none(uint64_t number)
{
    return amqp_trait_number(number != 0, number);
}

static struct amqp_trait flag_or_none(bool flag)
{
    return flag ? amqp_trait_flag(true) : (struct amqp_trait){.type = AMQP_TRAIT_NONE};
}

static struct amqp_trait durable(const Holdfast__QueueOptions *options)
{
    return amqp_trait_durable(options->note);
}

static struct amqp_trait auto_delete(const Holdfast__QueueOptions *options)
{
    return amqp_trait_flag(options->auto_delete);
}

static struct amqp_trait expires(const Holdfast__QueueOptions *options)
{
    return number_or_none(options->expires_ms);
}

static struct amqp_trait ttl(const Holdfast__QueueOptions *options)
{
    return amqp_trait_number(options->has_ttl, options->ttl_ms);
}

static struct amqp_trait dead_letter_exchange(const Holdfast__QueueOptions *options)
{
    return amqp_trait_text(options->has_dead_letter ? options->dead_letter_exchange : NULL);
}

static struct amqp_trait dead_letter_key(const Holdfast__QueueOptions *options)
{
    return amqp_trait_text(options->has_dead_letter_key ? options->dead_letter_key : NULL);
}

static struct amqp_trait max_length(const Holdfast__QueueOptions *options)
{
    return amqp_trait_number(options->has_max_length, options->max_length);
}

static struct amqp_trait max_bytes(const Holdfast__QueueOptions *options)
{
    return amqp_trait_number(options->has_max_bytes, options->max_bytes);
}

static struct amqp_trait max_priority(const Holdfast__QueueOptions *options)
{
    return number_or_none(options->max_priority);
}

static struct amqp_trait overflow(const Holdfast__QueueOptions *options)
{
    switch (options->overflow) {
    case HOLDFAST__QUEUE_OPTIONS__OVERFLOW__REJECT_NEW: return amqp_trait_text("reject-publish");
    case HOLDFAST__QUEUE_OPTIONS__OVERFLOW__REJECT_NEW_DEAD_LETTER: return amqp_trait_text("reject-publish-dlx");
    default: return amqp_trait_text(NULL);
    }
}

static struct amqp_trait single_active(const Holdfast__QueueOptions *options)
{
    return flag_or_none(options->single_active);
}

static struct amqp_trait delivery_limit(const Holdfast__QueueOptions *options)
{
    return amqp_trait_number(options->max_deliveries != 0, options->max_deliveries - 1);
}

static struct amqp_trait consumer_timeout(const Holdfast__QueueOptions *options)
{
    return number_or_none(options->lock_ms);
}

static struct amqp_trait groups(const Holdfast__QueueOptions *options)
{
    return flag_or_none(options->groups);
}

static struct amqp_trait delay(const Holdfast__QueueOptions *options)
{
    return number_or_none(options->redelivery_delay_ms);
}

static struct amqp_trait delay_max(const Holdfast__QueueOptions *options)
{
    return number_or_none(options->redelivery_delay_max_ms);
}

static struct amqp_trait id_window(const Holdfast__QueueOptions *options)
{
    return number_or_none(options->id_window_ms);
}

static struct amqp_trait keep(const Holdfast__QueueOptions *options)
{
    return number_or_none(options->keep_settled_ms);
}

static struct amqp_trait keep_life(const Holdfast__QueueOptions *options)
{
    return number_or_none(options->keep_life_ms);
}

/* In RabbitMQ's order, then ours. */
static const struct compared {
    const char *name;
    struct amqp_trait (*trait)(const Holdfast__QueueOptions *options);
} COMPARED[] = {
    {"durable", durable}, /* The first, for amqp_queue_durable_differs(). */
    {"auto_delete", auto_delete},
    {"x-expires", expires},
    {"x-message-ttl", ttl},
    {"x-dead-letter-exchange", dead_letter_exchange},
    {"x-dead-letter-routing-key", dead_letter_key},
    {"x-max-length", max_length},
    {"x-max-length-bytes", max_bytes},
    {"x-max-priority", max_priority},
    {"x-overflow", overflow},
    {"x-single-active-consumer", single_active},
    {"x-delivery-limit", delivery_limit},
    {"x-consumer-timeout", consumer_timeout},
    {"x-holdfast-groups", groups},
    {"x-holdfast-redelivery-delay", delay},
    {"x-holdfast-redelivery-delay-max", delay_max},
    {"x-holdfast-id-window", id_window},
    {"x-holdfast-keep", keep},
    {"x-holdfast-keep-life", keep_life},
};

static bool differs(const struct compared *compared, const Holdfast__QueueOptions *received,
                    const Holdfast__QueueOptions *current, struct amqp_queue_difference *ret_difference)
{
    struct amqp_queue_difference difference = {
        .name = compared->name, .received = compared->trait(received), .current = compared->trait(current)};
    bool known = compared->trait != durable || difference.current.type != AMQP_TRAIT_NONE;
    if (!known || amqp_trait_equal(&difference.received, &difference.current)) {
        return false;
    }
    *ret_difference = difference;
    return true;
}

bool amqp_queue_options_differ(const Holdfast__QueueOptions *received, const Holdfast__QueueOptions *current,
                               struct amqp_queue_difference *ret_difference)
{
    for (size_t i = 0; i < ARRAY_LEN(COMPARED); i++) {
        if (differs(&COMPARED[i], received, current, ret_difference)) {
            return true;
        }
    }
    return false;
}

bool amqp_queue_durable_differs(const Holdfast__QueueOptions *received, const Holdfast__QueueOptions *current,
                                struct amqp_queue_difference *ret_difference)
{
    return differs(&COMPARED[0], received, current, ret_difference);
}
