/* Options of queues, to and from what travels. */

#include "rpc/client/client_options.h"

#include "proto/wire/command.pb-c.h"

/* protobuf-c does not write to what it packs; its type has no const. */
static char *text(const char *string)
{
    return (char *)(uintptr_t)(string == NULL ? "" : string);
}

void client_options_encode(const struct client_queue_options *options, Holdfast__QueueOptions *ret_encoded)
{
    Holdfast__QueueOptions encoded = HOLDFAST__QUEUE_OPTIONS__INIT;
    encoded.exclusive = options->exclusive;
    encoded.auto_delete = options->auto_delete;
    encoded.max_priority = options->max_priority;
    encoded.groups = options->groups;
    encoded.single_active = options->single_active;
    encoded.expires_ms = options->expires_ms;
    encoded.ttl_ms = options->ttl_ms;
    encoded.has_ttl = options->has_ttl;
    encoded.max_length = options->max_length;
    encoded.has_max_length = options->has_max_length;
    encoded.max_bytes = options->max_bytes;
    encoded.has_max_bytes = options->has_max_bytes;
    encoded.overflow = (Holdfast__QueueOptions__Overflow)options->overflow;
    encoded.has_dead_letter = options->has_dead_letter;
    encoded.dead_letter_exchange = text(options->dead_letter_exchange);
    encoded.dead_letter_key = text(options->dead_letter_key);
    encoded.has_dead_letter_key = options->has_dead_letter_key;
    encoded.max_deliveries = options->max_deliveries;
    encoded.redelivery_delay_ms = options->redelivery_delay_ms;
    encoded.redelivery_delay_max_ms = options->redelivery_delay_max_ms;
    encoded.lock_ms = options->lock_ms;
    encoded.keep_settled_ms = options->keep_settled_ms;
    encoded.keep_life_ms = options->keep_life_ms;
    encoded.id_window_ms = options->id_window_ms;
    encoded.paused = options->paused;
    encoded.protected_ = options->protected_;
    encoded.note = text(options->note);
    *ret_encoded = encoded;
}

void client_options_decode(const Holdfast__QueueOptions *encoded, struct client_queue_options *ret_options)
{
    *ret_options = (struct client_queue_options){
        .exclusive = encoded->exclusive,
        .auto_delete = encoded->auto_delete,
        .max_priority = encoded->max_priority,
        .groups = encoded->groups,
        .single_active = encoded->single_active,
        .expires_ms = encoded->expires_ms,
        .ttl_ms = encoded->ttl_ms,
        .has_ttl = encoded->has_ttl,
        .max_length = encoded->max_length,
        .has_max_length = encoded->has_max_length,
        .max_bytes = encoded->max_bytes,
        .has_max_bytes = encoded->has_max_bytes,
        .overflow = (enum client_overflow)encoded->overflow,
        .has_dead_letter = encoded->has_dead_letter,
        .dead_letter_exchange = encoded->dead_letter_exchange,
        .dead_letter_key = encoded->dead_letter_key,
        .has_dead_letter_key = encoded->has_dead_letter_key,
        .max_deliveries = encoded->max_deliveries,
        .redelivery_delay_ms = encoded->redelivery_delay_ms,
        .redelivery_delay_max_ms = encoded->redelivery_delay_max_ms,
        .lock_ms = encoded->lock_ms,
        .keep_settled_ms = encoded->keep_settled_ms,
        .keep_life_ms = encoded->keep_life_ms,
        .id_window_ms = encoded->id_window_ms,
        .paused = encoded->paused,
        .protected_ = encoded->protected_,
        .note = encoded->note,
    };
}
