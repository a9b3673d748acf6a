/* Questions about virtual hosts. As in machine.h: they change nothing. */

#ifndef HOLDFAST_STATEMACHINE_MACHINE_VIRTUAL_HOSTS_H
#define HOLDFAST_STATEMACHINE_MACHINE_VIRTUAL_HOSTS_H

#include <stdint.h>

#include "proto/base/err.h"

struct machine;

struct machine_virtual_host {
    const char *name;
    uint64_t id;
    const char *note;
};

/* The id of a virtual host; "" is "/". ERR_NOT_FOUND. */
int machine_virtual_host(const struct machine *machine, const char *name, uint64_t *ret_id) NODISCARD;

/* Calls `each` for the virtual hosts whose name sorts after `after` (as bytes; "" for all), in order, until it returns non-zero,
 * which is then returned. ERR_NOMEM. */
int machine_virtual_hosts(const struct machine *machine, const char *after,
                          int (*each)(void *arg, const struct machine_virtual_host *host), void *arg) NODISCARD;

#endif
