/* The effects of the entry being applied, and the running digest over them. */

#ifndef HOLDFAST_STATEMACHINE_EFFECT_LIST_H
#define HOLDFAST_STATEMACHINE_EFFECT_LIST_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "statemachine/machine.h"
#include "statemachine/reply.h"

struct effect_list {
    struct effect *items;
    size_t len;
    size_t cap;
};

/* Starts over; keeps the memory unless it was much. */
void effect_list_reset(struct effect_list *list);
void effect_list_done(struct effect_list *list);

/* Each: ERR_NOMEM. */
int effect_list_reply(struct effect_list *list, uint64_t session, uint64_t number, uint32_t command,
                      const struct reply *reply) NODISCARD;
int effect_list_delivery(struct effect_list *list, uint64_t session, const struct effect_delivery *delivery) NODISCARD;
int effect_list_session_ended(struct effect_list *list, uint64_t session) NODISCARD;
int effect_list_consumer_ended(struct effect_list *list, uint64_t session, uint64_t consumer) NODISCARD;

/* Folds the effects into a digest. */
uint64_t effect_list_digest(const struct effect_list *list, uint64_t digest);

#endif
