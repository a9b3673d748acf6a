/* Questions about virtual hosts. */

#include "statemachine/machine_virtual_hosts.h"

#include <stdlib.h>
#include <string.h>

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
