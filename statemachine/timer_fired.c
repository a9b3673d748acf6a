/* What happens when the time of a timer has come. */

#include "statemachine/expiry.h"
#include "statemachine/kept.h"
#include "statemachine/life.h"
#include "statemachine/lock.h"
#include "statemachine/message_id.h"
#include "statemachine/pending.h"
#include "statemachine/prepared.h"
#include "statemachine/queue.h"
#include "statemachine/timer.h"
#include "statemachine/waiting.h"

int timer_fired(struct machine *machine, const struct timer *timer)
{
    switch (timer->kind) {
    case TIMER_PENDING: return pending_fired(machine, timer);
    case TIMER_PREPARED: return prepared_fired(machine, timer);
    case TIMER_ID_FORGOTTEN: return message_id_fired(machine, timer);
    case TIMER_QUEUE_EXPIRES: return queue_expiry_fired(machine, timer);
    case TIMER_MESSAGE_EXPIRES: return expiry_fired(machine, timer);
    case TIMER_LOCK_ENDS: return lock_fired(machine, timer);
    case TIMER_RETURN: return waiting_fired(machine, timer);
    case TIMER_KEPT_ENDS: return kept_fired(machine, timer);
    case TIMER_LIFE_ENDS: return life_fired(machine, timer);
    }
    return ERR_CORRUPT;
}
