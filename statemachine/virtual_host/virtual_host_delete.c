/* The end of a virtual host: with all that is in it, which may take several entries. */

#include "statemachine/publish/prepared.h"
#include "statemachine/session/session.h"
#include "statemachine/state.h"

/* Ends its sessions, in order of id, but for one; *ret_left: there are some still. */
static int host_end_sessions(struct machine *machine, const struct virtual_host *host, const struct session *but,
                             bool *ret_left)
{
    struct session *session;
    struct session *next;
    *ret_left = false;
    HASH_ITER (by_id, machine->sessions, session, next) {
        if (session->virtual_host_id != host->id || session == but) {
            continue;
        }
        bool gone = false;
        if (!work_is_done(&machine->work)) {
            if (!session->ending) {
                session_ends(machine, session, SESSION_END_HOST_DELETED);
            }
            int err = session_go(machine, session, &gone);
            if (err != 0) {
                return err;
            }
        }
        *ret_left |= !gone;
    }
    return 0;
}

static struct queue *host_first_queue(struct machine *machine, const struct virtual_host *host)
{
    struct queue *found = NULL;
    struct queue *queue = RB_ROOT(&machine->queue_names);
    while (queue != NULL) {
        bool is_after = queue->virtual_host >= host->id;
        found = is_after ? queue : found;
        queue = is_after ? RB_LEFT(queue, by_name) : RB_RIGHT(queue, by_name);
    }
    return found != NULL && found->virtual_host == host->id ? found : NULL;
}

static int host_delete_queues(struct machine *machine, const struct virtual_host *host, bool *ret_left)
{
    struct queue *queue;
    int err = 0;
    while (err == 0 && (queue = host_first_queue(machine, host)) != NULL && !work_is_done(&machine->work)) {
        err = queue_delete(machine, queue);
    }
    *ret_left = host_first_queue(machine, host) != NULL;
    return err;
}

/* What is left of prepared messages and producers belongs to nobody. */
static int host_end(struct machine *machine, struct virtual_host *host)
{
    struct row_key key = row_key_one(ROW_VIRTUAL_HOST, host->id);
    int err = prepared_host_gone(machine, host->id);
    if (err == 0) {
        err = table_remove(machine, &key);
    }
    if (err != 0) {
        return err;
    }
    producers_host_gone(machine, host->id);
    virtual_host_free(&machine->virtual_hosts, host);
    return 0;
}

static int host_go(struct machine *machine, struct virtual_host *host, const struct session *but)
{
    bool left;
    bool done = false;
    int err = host_end_sessions(machine, host, but, &left);
    if (err == 0 && !left) {
        err = host_delete_queues(machine, host, &left);
    }
    if (err == 0 && !left) {
        err = exchanges_virtual_host_gone(machine, host->id, &done);
    }
    return err == 0 && done ? host_end(machine, host) : err;
}

int virtual_host_delete(struct machine *machine, struct virtual_host *host, const struct session *but)
{
    virtual_host_doom(&machine->virtual_hosts, host);
    int err = virtual_host_put(machine, host);
    return err != 0 ? err : host_go(machine, host, but);
}

bool virtual_hosts_are_going(const struct machine *machine)
{
    return machine->virtual_hosts.going_len > 0;
}

int virtual_hosts_go(struct machine *machine)
{
    struct virtual_host *host;
    struct virtual_host *next;
    int err = 0;
    if (!virtual_hosts_are_going(machine)) {
        return 0;
    }
    HASH_ITER (by_id, machine->virtual_hosts.by_id, host, next) {
        if (err == 0 && host->going && !work_is_done(&machine->work)) {
            err = host_go(machine, host, NULL);
        }
    }
    return err;
}
