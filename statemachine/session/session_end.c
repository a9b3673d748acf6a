/* The end of a session: with what it has, which may take several entries. */

#include "proto/base/check.h"
#include "proto/base/fault.h"
#include "statemachine/effect_list.h"
#include "statemachine/session/session.h"
#include "statemachine/state.h"

/* Its consumers wait for nothing from now on. When its virtual host is deleted nothing is delivered there, and nobody looks at the turns
 * of all those that are in it. */
void session_ends(struct machine *machine, struct session *session, enum session_end end)
{
    session_withdraw(machine, session);
    session->end = end;
    if (!session->in_ending) {
        session->in_ending = true;
        RB_INSERT(leases, &machine->ending_sessions, session);
    }
    session_changed(machine, session);
    struct consumer *consumer;
    if (end != SESSION_END_HOST_DELETED) {
        RB_FOREACH (consumer, session_consumers, &session->consumers) {
            consumer_update_turn(machine, consumer);
        }
    }
}

/* In order of ids, which shows. */
static int session_end_consumers(struct machine *machine, struct session *session)
{
    struct consumer *consumer;
    int err = 0;
    while (err == 0 && !work_is_done(&machine->work) &&
           (consumer = RB_MIN(session_consumers, &session->consumers)) != NULL) {
        bool gone = true;
        if (fault_fires(FAULT_SKIP_SESSION_RETURN)) {
            err = consumer_free(machine, consumer, CONSUMER_END_DROP, &gone);
        } else {
            err = consumer_end(machine, consumer);
        }
    }
    return err;
}

static int session_delete_queues(struct machine *machine, struct session *session)
{
    struct list_node *owned;
    int err = 0;
    while (err == 0 && !work_is_done(&machine->work) && (owned = list_first(&session->queues)) != NULL) {
        err = queue_delete(machine, container_of(owned, struct queue, owned));
    }
    return err;
}

int session_go(struct machine *machine, struct session *session, bool *ret_gone)
{
    int err = session_end_consumers(machine, session);
    if (err == 0 && session->consumers_len == 0) {
        err = session_delete_queues(machine, session);
    }
    *ret_gone = err == 0 && session->consumers_len == 0 && list_empty(&session->queues);
    if (!*ret_gone) {
        return err;
    }
    work_spend(&machine->work, WORK_OF_SESSION);
    uint64_t id = session->id;
    enum session_end end = session->end;
    if (session->stored) {
        state_forget_row(machine, ROW_SESSION, session->id, 0);
    }
    session_remove(machine, session);
    return effect_list_session_ended(&machine->effects, id, end);
}

int sessions_go(struct machine *machine)
{
    struct session *session;
    int err = 0;
    while (err == 0 && !work_is_done(&machine->work) && (session = RB_MIN(leases, &machine->ending_sessions)) != NULL) {
        bool gone;
        err = session_go(machine, session, &gone);
    }
    return err;
}
