/* What the commands of an entry, its time, and the end of their holders did to deliveries. */

#include "sim_ledger_private.h"
#include "sim_world.h"

static bool settle_covers(const Holdfast__Settle *settle, const struct sim_item *item)
{
    for (size_t i = 0; i < settle->n_first && settle->consumer == item->consumer; i++) {
        if (settle->first[i] <= item->number && item->number <= settle->last[i]) {
            return true;
        }
    }
    return false;
}

/* How long it waits before it can be delivered again, at least. */
static uint64_t delay_least(const struct sim_feature_options *options, const struct sim_item *item, bool counted)
{
    uint64_t delay_ms = options->redelivery_delay_ms;
    for (uint32_t i = 1; counted && i < item->count && delay_ms < options->redelivery_delay_max_ms; i++) {
        delay_ms *= 2;
    }
    return options->redelivery_delay_max_ms != 0 && delay_ms > options->redelivery_delay_max_ms
               ? options->redelivery_delay_max_ms
               : delay_ms;
}

static unsigned settle_why(const struct sim_feature_options *options, const struct sim_item *item,
                           const Holdfast__Settle *settle, uint64_t *delay_ms)
{
    if (!settle_covers(settle, item)) {
        return 0;
    }
    if (settle->outcome == HOLDFAST__SETTLE__OUTCOME__ACCEPT) {
        return WHY_SETTLED;
    }
    if (settle->outcome == HOLDFAST__SETTLE__OUTCOME__REJECT) {
        return WHY_REJECTED;
    }
    uint64_t delay = settle->has_delay ? settle->delay_ms : delay_least(options, item, !settle->not_counted);
    *delay_ms = delay < *delay_ms ? delay : *delay_ms;
    return WHY_RELEASED | (settle->not_counted ? WHY_NOT_COUNTED : WHY_COUNTED);
}

bool look_settles(const struct look *look, uint64_t session)
{
    for (size_t i = 0; i < look->commands_len; i++) {
        const struct look_command *command = &look->commands[i];
        int kind = (int)command->command->kind_case;
        if (command->session == session && command->done &&
            (kind == HOLDFAST__COMMAND__KIND_SETTLE || kind == HOLDFAST__COMMAND__KIND_TRANSACT ||
             kind == HOLDFAST__COMMAND__KIND_EXTEND || kind == HOLDFAST__COMMAND__KIND_UNSUBSCRIBE ||
             kind == HOLDFAST__COMMAND__KIND_CLOSE_SESSION)) {
            return true;
        }
    }
    return false;
}

/* The end of one that has much comes with the last of it: the effect may be entries away. */
static bool session_is_there(const struct look *look, uint64_t session)
{
    struct machine_session found;
    return session == 0 || machine_session(look->machine, session, &found) == 0;
}

bool look_ended(const struct look *look, uint64_t session, uint64_t consumer)
{
    for (size_t i = 0; i < look->effects->len; i++) {
        const struct effect *effect = &look->effects->items[i];
        if (effect->session == session &&
            (effect->kind == EFFECT_SESSION_ENDED ||
             (effect->kind == EFFECT_CONSUMER_ENDED && effect->consumer_ended.consumer == consumer))) {
            return true;
        }
    }
    for (size_t i = 0; i < look->commands_len; i++) {
        const struct look_command *command = &look->commands[i];
        if (command->session == session && command->done && command->error == 0 &&
            (command->command->kind_case == HOLDFAST__COMMAND__KIND_CLOSE_SESSION ||
             (command->command->kind_case == HOLDFAST__COMMAND__KIND_UNSUBSCRIBE &&
              !command->command->unsubscribe->drain && command->command->unsubscribe->consumer == consumer))) {
            return true;
        }
    }
    return !session_is_there(look, session);
}

unsigned look_delivery(const struct look *look, const struct sim_feature_options *options, const struct sim_item *item,
                       uint64_t *ret_delay_ms)
{
    unsigned why = 0;
    *ret_delay_ms = UINT64_MAX;
    for (size_t i = 0; i < look->commands_len; i++) {
        const struct look_command *command = &look->commands[i];
        if (!command->done || command->error != 0 || command->session != item->session) {
            continue;
        }
        if (command->command->kind_case == HOLDFAST__COMMAND__KIND_SETTLE) {
            why |= settle_why(options, item, command->command->settle, ret_delay_ms);
        } else if (command->command->kind_case == HOLDFAST__COMMAND__KIND_TRANSACT) {
            const Holdfast__Transact *transact = command->command->transact;
            why |= transact->n_settle == 0 ? 0 : settle_why(options, item, transact->settle[0], ret_delay_ms);
        }
    }
    if (item->lock_until_ms != 0 && item->lock_until_ms <= look->time_ms) {
        uint64_t delay = delay_least(options, item, true);
        why |= WHY_LOCK;
        *ret_delay_ms = delay < *ret_delay_ms ? delay : *ret_delay_ms;
    }
    if (item->ended || look_ended(look, item->session, item->consumer)) {
        why |= WHY_ENDED;
        *ret_delay_ms = 0;
    }
    return why;
}

uint64_t look_extended(const struct look *look, const struct sim_item *item)
{
    uint64_t until_ms = item->lock_until_ms;
    for (size_t i = 0; i < look->commands_len; i++) {
        const struct look_command *command = &look->commands[i];
        if (command->done && command->error == 0 && command->session == item->session &&
            command->command->kind_case == HOLDFAST__COMMAND__KIND_EXTEND && until_ms != 0) {
            const Holdfast__Extend *extend = command->command->extend;
            if (extend->consumer == item->consumer && extend->first[0] <= item->number &&
                item->number <= extend->last[0]) {
                until_ms = look->time_ms + extend->lock_ms;
            }
        }
    }
    return until_ms;
}
