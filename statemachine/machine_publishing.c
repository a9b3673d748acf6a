/* Questions about producers and prepared messages. */

#include "statemachine/machine_publishing.h"

#include <string.h>

#include "statemachine/publish/prepared_row.h"
#include "statemachine/state.h"

_Static_assert((int)MACHINE_PREPARED == (int)PREPARED_OPEN && (int)MACHINE_COMMITTED == (int)PREPARED_COMMITTED &&
                   (int)MACHINE_DROPPED == (int)PREPARED_DROPPED,
               "the same numbers");

int machine_producer(struct machine *machine, uint64_t virtual_host, const char *name,
                     struct machine_producer *ret_producer)
{
    struct machine_producer producer;
    int err =
        producer_look(machine, virtual_host, name, strlen(name), &producer.last, &producer.epoch, &producer.session);
    if (err == 0) {
        *ret_producer = producer;
    }
    return err;
}

static int prepared_give(struct machine *machine, uint64_t id,
                         int (*each)(void *arg, const struct machine_prepared *prepared), void *arg)
{
    struct prepared prepared;
    int err = prepared_get(machine, id, &prepared);
    if (err != 0) {
        return err == ERR_NOT_FOUND ? 0 : err;
    }
    if (prepared.until_ms != 0 && prepared.until_ms <= machine->time_ms) {
        return 0; /* Forgotten: its timer is late. */
    }
    bool open = prepared.state == PREPARED_OPEN;
    struct machine_prepared told = {
        .id = prepared.name,
        .group = prepared.group,
        .state = (enum machine_prepared_state)prepared.state,
        .messages = prepared.count,
        .ask_ms = open ? prepared.next_ask_ms : 0,
        .deadline_ms = prepared.deadline_ms,
        .commit_at_deadline = prepared.commit_at_deadline,
        .remembered_until_ms = prepared.until_ms,
    };
    return each(arg, &told);
}

int machine_prepared(struct machine *machine, uint64_t virtual_host, const char *after,
                     int (*each)(void *arg, const struct machine_prepared *prepared), void *arg)
{
    char name[NAME_LEN_MAX + 1] = "";
    if (strlen(after) > NAME_LEN_MAX) {
        return 0;
    }
    memcpy(name, after, strlen(after));
    for (;;) {
        uint64_t id;
        int err = prepared_next(machine, virtual_host, name, &id, name);
        if (err == 0) {
            err = prepared_give(machine, id, each, arg);
        } else if (err == ERR_NOT_FOUND) {
            return 0;
        }
        if (err != 0) {
            return err;
        }
    }
}
