/* Questions about virtual hosts. */

#include "statemachine/machine_virtual_hosts.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "statemachine/state.h"

int machine_virtual_host(const struct machine *machine, const char *name, uint64_t *ret_id)
{
    const struct virtual_host *host = virtual_host_by_name(machine, name);
    if (host == NULL) {
        return ERR_NOT_FOUND;
    }
    *ret_id = host->id;
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp((*(const struct virtual_host *const *)a)->name, (*(const struct virtual_host *const *)b)->name);
}

int machine_virtual_hosts(const struct machine *machine, const char *after,
                          int (*each)(void *arg, const struct machine_virtual_host *host), void *arg)
{
    unsigned len = HASH_CNT(by_name, machine->virtual_hosts.by_name);
    const struct virtual_host **hosts = malloc((len > 0 ? len : 1) * sizeof *hosts);
    if (hosts == NULL) {
        return ERR_NOMEM;
    }
    unsigned i = 0;
    for (const struct virtual_host *host = machine->virtual_hosts.by_name; host != NULL; host = host->by_name.next) {
        hosts[i++] = host;
    }
    qsort((void *)hosts, len, sizeof *hosts, compare_names);
    int result = 0;
    for (i = 0; i < len && result == 0; i++) {
        struct machine_virtual_host told = {.name = hosts[i]->name, .id = hosts[i]->id, .note = hosts[i]->note};
        result = strcmp(told.name, after) > 0 ? each(arg, &told) : 0;
    }
    free((void *)hosts);
    return result;
}

_Static_assert(MACHINE_LIMITS_MAX == LIMITS_LEN, "all of them");

static struct machine_limit limit_of(const struct limits *limits, enum limit what, uint64_t used)
{
    bool is_set = limits->values[what] != LIMIT_NONE;
    return (struct machine_limit){
        .what = (uint32_t)what,
        .is_set = is_set,
        .is_counted = what != LIMIT_QUEUE_LENGTH,
        .value = is_set ? limits->values[what] : 0,
        .used = used,
    };
}

int machine_host_limits(struct machine *machine, uint64_t virtual_host,
                        struct machine_limit ret_limits[MACHINE_LIMITS_MAX], unsigned *ret_len)
{
    struct virtual_host *host = virtual_host_by_id(machine, virtual_host);
    if (host == NULL) {
        return ERR_NOT_FOUND;
    }
    for (unsigned i = 0; i < LIMITS_LEN; i++) {
        ret_limits[i] = limit_of(&host->limits, (enum limit)i, virtual_host_used(machine, host, (enum limit)i));
    }
    *ret_len = LIMITS_LEN;
    return 0;
}

void machine_user_limits(const struct machine *machine, const char *name,
                         struct machine_limit ret_limits[MACHINE_LIMITS_MAX], unsigned *ret_len)
{
    static const enum limit of_users[] = {LIMIT_SESSIONS, LIMIT_CONSUMERS};
    const struct user *user = user_by_name(machine, name);
    struct limits none;
    limits_init(&none);
    for (unsigned i = 0; i < ARRAY_LEN(of_users); i++) {
        enum limit what = of_users[i];
        ret_limits[i] = limit_of(user != NULL ? &user->limits : &none, what, user != NULL ? user->counts[what] : 0);
    }
    *ret_len = ARRAY_LEN(of_users);
}
