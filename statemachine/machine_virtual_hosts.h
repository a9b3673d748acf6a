/* Questions about virtual hosts. As in machine.h: they change nothing. */

#ifndef HOLDFAST_STATEMACHINE_MACHINE_VIRTUAL_HOSTS_H
#define HOLDFAST_STATEMACHINE_MACHINE_VIRTUAL_HOSTS_H

#include <stdbool.h>
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

/* What a virtual host or a user may have, and has. */
struct machine_limit {
    uint32_t what; /* As Limit.What in command.proto. */
    bool is_set;
    bool is_counted; /* `used` says something: not of QUEUE_LENGTH. */
    uint64_t value;
    uint64_t used;
};
#define MACHINE_LIMITS_MAX 7u

/* All limits that there are for virtual hosts, for users: how many. ERR_NOT_FOUND: no such virtual host. A user of whom nothing is
 * known has none, and nothing. */
int machine_host_limits(struct machine *machine, uint64_t virtual_host,
                        struct machine_limit ret_limits[MACHINE_LIMITS_MAX], unsigned *ret_len) NODISCARD;
void machine_user_limits(const struct machine *machine, const char *user,
                         struct machine_limit ret_limits[MACHINE_LIMITS_MAX], unsigned *ret_len);
#endif
