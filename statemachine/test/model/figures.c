/* A queue's figures and options, compared. */

#include "figures.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "statemachine/queue/queue.h"

struct figure {
    const char *name;
    uint64_t expected;
    uint64_t found;
};

static bool differ(const struct figure *figures, size_t len, char *said)
{
    for (size_t i = 0; i < len; i++) {
        if (figures[i].expected != figures[i].found) {
            (void)snprintf(said, FIGURES_SAID_MAX, "%s: %" PRIu64 ", and the machine says %" PRIu64, figures[i].name,
                           figures[i].expected, figures[i].found);
            return true;
        }
    }
    return false;
}

static bool counters_differ(const struct model_queue *queue, const struct machine_queue *found, char *said)
{
    const struct figure figures[] = {
        {"id", queue->id, found->id},
        {"ready", queue->ready, found->ready},
        {"unsettled", queue->unsettled, found->unsettled},
        {"parked", queue->parked, found->parked},
        {"waiting", queue->waiting, found->waiting},
        {"consumers", queue->consumers, found->consumers},
        {"enqueued", queue->enqueued, found->enqueued},
        {"delivered", queue->delivered, found->delivered},
        {"settled", queue->settled, found->settled},
        {"released", queue->released, found->released},
        {"expired", queue->expired, found->counters->expired},
        {"dropped", queue->dropped, found->counters->dropped},
        {"dead letters", queue->dead_lettered, found->counters->dead_lettered},
        {"redriven", queue->redriven, found->counters->redriven},
        {"locks ended", queue->lock_ended, found->counters->lock_ended},
        {"owner", queue->owner, found->owner},
        {"active session", queue->active_session, found->active_session},
        {"active consumer", queue->active_consumer, found->active_consumer},
    };
    return differ(figures, sizeof figures / sizeof figures[0], said);
}

#define NUMBER(field)                                                                                                  \
    {                                                                                                                  \
#field, (uint64_t)queue->options.field, (uint64_t)found->options->field                                        \
    }

static bool options_differ(const struct model_queue *queue, const struct machine_queue *found, char *said)
{
    const struct figure figures[] = {
        NUMBER(exclusive),
        NUMBER(auto_delete),
        NUMBER(max_priority),
        NUMBER(groups),
        NUMBER(single_active),
        NUMBER(expires_ms),
        NUMBER(ttl_ms),
        NUMBER(has_ttl),
        NUMBER(max_length),
        NUMBER(has_max_length),
        NUMBER(max_bytes),
        NUMBER(has_max_bytes),
        NUMBER(overflow),
        NUMBER(has_dead_letter),
        NUMBER(has_dead_letter_key),
        NUMBER(max_deliveries),
        NUMBER(redelivery_delay_ms),
        NUMBER(redelivery_delay_max_ms),
        NUMBER(lock_ms),
        NUMBER(keep_settled_ms),
        NUMBER(keep_life_ms),
        NUMBER(id_window_ms),
        NUMBER(paused),
        {"protected", queue->options.protected_ != 0, found->options->protected},
        {"dead_letter_exchange", 0,
         strcmp(queue->options.dead_letter_exchange, found->options->dead_letter_exchange) != 0},
        {"dead_letter_key", 0, strcmp(queue->options.dead_letter_key, found->options->dead_letter_key) != 0},
        {"note", 0, strcmp(queue->options.note, found->options->note) != 0},
    };
    return differ(figures, sizeof figures / sizeof figures[0], said);
}

bool figures_differ(const struct model_queue *queue, const struct machine_queue *found, char *said)
{
    return counters_differ(queue, found, said) || options_differ(queue, found, said);
}
