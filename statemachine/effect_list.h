/* The effects of the entry being applied, and the running digest over them. */

#ifndef HOLDFAST_STATEMACHINE_EFFECT_LIST_H
#define HOLDFAST_STATEMACHINE_EFFECT_LIST_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base/arena.h"
#include "proto/base/err.h"
#include "proto/wire/entry.h"
#include "statemachine/machine.h"
#include "statemachine/reply.h"

struct effect_list {
    struct effect *items;
    size_t len;
    size_t cap;
    struct arena bits; /* Of replies. */
};

void effect_list_init(struct effect_list *list);

/* Starts over; keeps the memory unless it was much. */
void effect_list_reset(struct effect_list *list);
void effect_list_done(struct effect_list *list);

/* Each: ERR_NOMEM. */
/* `from` has the session, number and attachment of the command at `at` in its entry. */
int effect_list_reply(struct effect_list *list, const struct entry_command *from, uint32_t at,
                      const struct reply *reply) NODISCARD;
/* The caller sets the delivery, in all its parts. */
int effect_list_delivery(struct effect_list *list, uint64_t session, struct effect_delivery **ret_delivery) NODISCARD;
int effect_list_session_ended(struct effect_list *list, uint64_t session, enum session_end end) NODISCARD;
int effect_list_node_lost(struct effect_list *list, uint64_t node, uint64_t run) NODISCARD;
int effect_list_consumer_ended(struct effect_list *list, uint64_t session, uint64_t consumer,
                               enum consumer_ended_reason reason) NODISCARD;
int effect_list_lock_ended(struct effect_list *list, uint64_t session, uint64_t consumer, uint64_t number) NODISCARD;
/* The id is copied. */
int effect_list_prepared_ask(struct effect_list *list, uint64_t session, const char *id, size_t id_len) NODISCARD;

/* Folds the effects into a digest. */
uint64_t effect_list_digest(const struct effect_list *list, uint64_t digest);

#endif
