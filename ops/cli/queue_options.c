/* What a queue is like, for people and as JSON. */

#include "queue_options.h"

#include <stdio.h>
#include <string.h>

#include "json.h"
#include "shown.h"

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
    number_print("bytes", queue->bytes > 0, queue->bytes, "");
    if (queue->active_session != 0) {
        printf("  %-22s session %llu, consumer %llu\n", "active", (unsigned long long)queue->active_session,
               (unsigned long long)queue->active_consumer);
    }
}

static const char *overflow_word(enum client_overflow overflow)
{
    static const char *const words[] = {"drop-oldest", "reject", "reject-dead-letter"};
    return (unsigned)overflow < 3 ? words[overflow] : "?";
}

void queue_options_print(const struct client_queue *queue)
{
    const struct client_queue_options *options = &queue->options;
    counters_print(queue);
    number_print("priorities up to", options->max_priority > 0, options->max_priority, "");
    number_print("ttl", options->has_ttl, options->ttl_ms, " ms");
    number_print("max-length", options->has_max_length, options->max_length, "");
    number_print("max-bytes", options->has_max_bytes, options->max_bytes, "");
    if (options->overflow != CLIENT_DROP_OLDEST) {
        printf("  %-22s %s\n", "overflow", overflow_word(options->overflow));
    }
    if (options->has_dead_letter) {
        struct shown text;
        printf("  %-22s exchange \"%s\"", "dead letters go to", shown(options->dead_letter_exchange, &text));
        printf(options->has_dead_letter_key ? ", key %s\n" : "%s\n",
               options->has_dead_letter_key ? shown(options->dead_letter_key, &text) : "");
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
        struct shown note;
        printf("  %-22s %s\n", "note", shown(options->note, &note));
    }
}

/* Members of the object of options; the first has no comma in front. */
struct members {
    bool any;
};

static void member_begin(struct members *members, const char *name)
{
    printf("%s\"%s\": ", members->any ? ", " : "", name);
    members->any = true;
}

static void number_json(struct members *members, const char *name, bool there, uint64_t number)
{
    if (there) {
        member_begin(members, name);
        printf("%llu", (unsigned long long)number);
    }
}

static void time_json(struct members *members, const char *name, uint64_t ms)
{
    number_json(members, name, ms > 0, ms);
}

static void flag_json(struct members *members, const char *name, bool flag)
{
    if (flag) {
        member_begin(members, name);
        printf("true");
    }
}

static void text_json(struct members *members, const char *name, bool there, const char *text)
{
    if (there) {
        member_begin(members, name);
        json_string(stdout, text, strlen(text));
    }
}

static void options_json(const struct client_queue_options *options)
{
    struct members members = {.any = false};
    number_json(&members, "priority", options->max_priority > 0, options->max_priority);
    flag_json(&members, "group", options->groups);
    flag_json(&members, "single_active", options->single_active);
    flag_json(&members, "auto_delete", options->auto_delete);
    flag_json(&members, "exclusive", options->exclusive);
    time_json(&members, "expires_ms", options->expires_ms);
    number_json(&members, "ttl_ms", options->has_ttl, options->ttl_ms);
    number_json(&members, "max_length", options->has_max_length, options->max_length);
    number_json(&members, "max_bytes", options->has_max_bytes, options->max_bytes);
    text_json(&members, "overflow", options->overflow != CLIENT_DROP_OLDEST, overflow_word(options->overflow));
    text_json(&members, "dead_letter_exchange", options->has_dead_letter, options->dead_letter_exchange);
    text_json(&members, "dead_letter_key", options->has_dead_letter_key, options->dead_letter_key);
    number_json(&members, "max_deliveries", options->max_deliveries > 0, options->max_deliveries);
    time_json(&members, "redelivery_delay_ms", options->redelivery_delay_ms);
    time_json(&members, "redelivery_delay_max_ms", options->redelivery_delay_max_ms);
    time_json(&members, "lock_ms", options->lock_ms);
    time_json(&members, "keep_ms", options->keep_settled_ms);
    time_json(&members, "keep_life_ms", options->keep_life_ms);
    time_json(&members, "id_window_ms", options->id_window_ms);
    flag_json(&members, "paused", options->paused);
    flag_json(&members, "protected", options->protected_);
    text_json(&members, "note", options->note != NULL && options->note[0] != '\0', options->note);
}

void queue_options_json(const struct client_queue *queue)
{
    printf(", \"bytes\": %llu, \"parked\": %llu, \"waiting\": %llu, \"expired\": %llu, \"dropped\": %llu, "
           "\"dead_lettered\": %llu, \"redriven\": %llu, \"locks_ended\": %llu",
           (unsigned long long)queue->bytes, (unsigned long long)queue->parked, (unsigned long long)queue->waiting,
           (unsigned long long)queue->expired, (unsigned long long)queue->dropped,
           (unsigned long long)queue->dead_lettered, (unsigned long long)queue->redriven,
           (unsigned long long)queue->lock_ended);
    if (queue->active_session != 0) {
        printf(", \"active\": {\"session\": %llu, \"consumer\": %llu}", (unsigned long long)queue->active_session,
               (unsigned long long)queue->active_consumer);
    }
    printf(", \"options\": {");
    options_json(&queue->options);
    putchar('}');
}
