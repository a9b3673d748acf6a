/* What happens when the time of a timer has come. */

#include "statemachine/message/kept.h"
#include "statemachine/message/life.h"
#include "statemachine/message/message_id.h"
#include "statemachine/publish/pending.h"
#include "statemachine/publish/prepared.h"
#include "statemachine/queue/expiry.h"
#include "statemachine/queue/lock.h"
#include "statemachine/queue/queue.h"
#include "statemachine/queue/waiting.h"
#include "statemachine/table/timer.h"

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
