/* What a queue is like, for people. */

#include "queue_options.h"

#include <stdio.h>

static void number_print(const char *name, bool there, uint64_t number, const char *unit)
{
    if (there) {
        printf("  %-22s %llu%s\n", name, (unsigned long long)number, unit);
    }
}

static void flag_print(const char *name, bool flag)
{
    if (flag) {
        printf("  %s\n", name);
    }
}

static void counters_print(const struct client_queue *queue)
{
    number_print("parked", queue->parked > 0, queue->parked, "");
    number_print("waiting", queue->waiting > 0, queue->waiting, "");
    number_print("expired", queue->expired > 0, queue->expired, "");
    number_print("dropped", queue->dropped > 0, queue->dropped, "");
    number_print("dead-lettered", queue->dead_lettered > 0, queue->dead_lettered, "");
    number_print("redriven", queue->redriven > 0, queue->redriven, "");
    number_print("locks ended", queue->lock_ended > 0, queue->lock_ended, "");
}

void queue_options_print(const struct client_queue *queue)
{
    static const char *const overflows[] = {"drop-oldest", "reject", "reject-dead-letter"};
    const struct client_queue_options *options = &queue->options;
    counters_print(queue);
    number_print("priorities up to", options->max_priority > 0, options->max_priority, "");
    number_print("ttl", options->has_ttl, options->ttl_ms, " ms");
    number_print("max-length", options->has_max_length, options->max_length, "");
    number_print("max-bytes", options->has_max_bytes, options->max_bytes, "");
    if ((unsigned)options->overflow > 0 && (unsigned)options->overflow < 3) {
        printf("  %-22s %s\n", "overflow", overflows[options->overflow]);
    }
    if (options->has_dead_letter) {
        printf("  %-22s exchange \"%s\"", "dead letters go to", options->dead_letter_exchange);
        printf(options->has_dead_letter_key ? ", key %s\n" : "%s\n",
               options->has_dead_letter_key ? options->dead_letter_key : "");
    }
    number_print("max-deliveries", options->max_deliveries > 0, options->max_deliveries, "");
    number_print("redelivery-delay", options->redelivery_delay_ms > 0, options->redelivery_delay_ms, " ms");
    number_print("redelivery-delay-max", options->redelivery_delay_max_ms > 0, options->redelivery_delay_max_ms, " ms");
    number_print("lock", options->lock_ms > 0, options->lock_ms, " ms");
    number_print("keep", options->keep_settled_ms > 0, options->keep_settled_ms, " ms");
    number_print("keep-life", options->keep_life_ms > 0, options->keep_life_ms, " ms");
    number_print("id-window", options->id_window_ms > 0, options->id_window_ms, " ms");
    number_print("expires", options->expires_ms > 0, options->expires_ms, " ms");
    flag_print("group", options->groups);
    flag_print("single-active", options->single_active);
    flag_print("auto-delete", options->auto_delete);
    flag_print("exclusive", options->exclusive);
    flag_print("paused", options->paused);
    flag_print("protected", options->protected_);
    if (options->note != NULL && options->note[0] != '\0') {
        printf("  %-22s %s\n", "note", options->note);
    }
}
