/* Exchanges and bindings, all of them: opening, closing, digests, and what goes with what. */

#include <stdlib.h>

#include "proto/base/check.h"
#include "statemachine/exchange/binding.h"
#include "statemachine/state.h"

/* ---- Opening and closing ---- */

static int load_rows(struct machine *machine, enum row_kind kind,
                     int (*load)(struct machine *machine, const struct row_key *key, struct slice value))
{
    struct row_key from = row_key_plain(kind);
    struct row_key end = row_key_after(&from);
    for (;;) {
        struct table_row row;
        int err = table_seek(machine, &from, &end, &row);
        if (err != 0) {
            return err == ERR_NOT_FOUND ? 0 : err;
        }
        err = load(machine, &row.key, row.value);
        from = row_key_next(&row.key);
        table_row_done(&row);
        if (err != 0) {
            return state_blame(machine, &row.key, err, err_text(err));
        }
    }
}

int exchanges_load(struct machine *machine)
{
    int err = load_rows(machine, ROW_EXCHANGE, exchange_load);
    return err != 0 ? err : load_rows(machine, ROW_BINDING, binding_load);
}

void exchanges_done(struct machine *machine)
{
    struct exchanges *exchanges = &machine->exchanges;
    struct binding *binding;
    while ((binding = RB_ROOT(&exchanges->binding_ids)) != NULL) {
        binding_discard(machine, binding);
    }
    struct exchange *exchange;
    while ((exchange = RB_ROOT(&exchanges->names)) != NULL) {
        exchange_discard(machine, exchange);
    }
    while ((exchange = RB_ROOT(&exchanges->going)) != NULL) {
        exchange_discard(machine, exchange);
    }
    struct exchange_host *host;
    struct exchange_host *next;
    HASH_ITER (by_id, exchanges->hosts, host, next) {
        HASH_DELETE(by_id, exchanges->hosts, host);
        free(host);
    }
    route_cache_done(&exchanges->route_cache);
    headers_sorted_done(&exchanges->headers);
    bytes_done(&exchanges->fields);
}

/* ---- What goes with what ---- */

/* Those from it and those that lead to it, as far as one entry may. */
static int bindings_delete(struct machine *machine, struct exchange *exchange, bool *ret_done)
{
    int err = 0;
    while (err == 0 && exchange->bindings_len > 0 && !work_is_done(&machine->work)) {
        err = binding_delete(machine, container_of(list_first(&exchange->bindings), struct binding, from));
    }
    while (err == 0 && exchange->bound != NULL && !work_is_done(&machine->work)) {
        err = binding_delete(machine, exchange->bound);
    }
    *ret_done = exchange->bindings_len == 0 && exchange->bound == NULL;
    return err;
}

bool exchanges_are_going(const struct machine *machine)
{
    return !RB_EMPTY(&machine->exchanges.going);
}

int exchanges_sweep(struct machine *machine)
{
    struct exchange *exchange;
    while ((exchange = RB_MIN(exchange_ids, &machine->exchanges.going)) != NULL && !work_is_done(&machine->work)) {
        struct row_key key = row_key_one(ROW_EXCHANGE, exchange->id);
        bool done;
        int err = bindings_delete(machine, exchange, &done);
        if (err != 0 || !done) {
            return err;
        }
        work_spend(&machine->work, 1);
        err = table_remove(machine, &key);
        if (err != 0) {
            return err;
        }
        exchange_discard(machine, exchange);
    }
    return 0;
}

int exchanges_queue_gone(struct machine *machine, struct queue *queue)
{
    while (queue->bound != NULL && !work_is_done(&machine->work)) {
        int err = binding_delete(machine, queue->bound);
        if (err != 0) {
            return err;
        }
    }
    return exchanges_sweep(machine);
}

static struct exchange_host *host_find(struct machine *machine, uint64_t virtual_host)
{
    struct exchange_host *host = NULL;
    HASH_FIND(by_id, machine->exchanges.hosts, &virtual_host, sizeof virtual_host, host);
    return host;
}

/* One that is built in has no row, and nobody finds it while its virtual host goes. */
static int built_in_gone(struct machine *machine, struct exchange *exchange)
{
    bool done;
    int err = bindings_delete(machine, exchange, &done);
    if (err == 0 && done) {
        exchange_discard(machine, exchange);
    }
    return err;
}

int exchanges_virtual_host_gone(struct machine *machine, uint64_t virtual_host, bool *ret_done)
{
    struct exchange_host *host = host_find(machine, virtual_host);
    struct exchange *exchange;
    int err = 0;
    while (err == 0 && !work_is_done(&machine->work) &&
           (exchange = exchange_after(machine, virtual_host, NULL)) != NULL) {
        err = exchange_is_built_in(exchange) ? built_in_gone(machine, exchange) : exchange_delete(machine, exchange);
    }
    /* Those that are built in do not count: after a restart they are there only when somebody has asked for one. */
    *ret_done = host == NULL || (host->exchanges_len == 0 && host->bindings_len == 0);
    while (err == 0 && *ret_done && (exchange = exchange_after(machine, virtual_host, NULL)) != NULL) {
        exchange_discard(machine, exchange);
    }
    if (host != NULL && *ret_done && err == 0) {
        HASH_DELETE(by_id, machine->exchanges.hosts, host);
        free(host);
    }
    return err;
}

uint64_t exchanges_len_of_host(struct machine *machine, uint64_t virtual_host)
{
    const struct exchange_host *host = host_find(machine, virtual_host);
    return host != NULL ? host->exchanges_len : 0;
}

uint64_t bindings_len_of_host(struct machine *machine, uint64_t virtual_host)
{
    const struct exchange_host *host = host_find(machine, virtual_host);
    return host != NULL ? host->bindings_len : 0;
}

/* ---- Digest ---- */

uint64_t exchanges_weight(const struct machine *machine)
{
    return machine->exchanges.exchanges_len + machine->exchanges.bindings_len;
}

int exchanges_memory_digest(struct machine *machine, uint64_t *digest)
{
    struct row *row = &machine->row;
    int err = 0;
    struct exchange *exchange;
    RB_FOREACH (exchange, exchange_ids, &machine->exchanges.ids) {
        err = err != 0 ? err : exchange_row(exchange, row);
        *digest += err == 0 ? row_checksum(&row->key, row->value.data, row->value.len) : 0;
    }
    RB_FOREACH (exchange, exchange_ids, &machine->exchanges.going) {
        err = err != 0 ? err : exchange_row(exchange, row);
        *digest += err == 0 ? row_checksum(&row->key, row->value.data, row->value.len) : 0;
    }
    struct binding *binding;
    RB_FOREACH (binding, binding_ids, &machine->exchanges.binding_ids) {
        err = err != 0 ? err : binding_row(binding, row);
        *digest += err == 0 ? row_checksum(&row->key, row->value.data, row->value.len) : 0;
    }
    return err;
}
