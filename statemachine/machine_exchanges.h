/* Questions about exchanges and bindings. As in machine.h: they change nothing. */

#ifndef HOLDFAST_STATEMACHINE_MACHINE_EXCHANGES_H
#define HOLDFAST_STATEMACHINE_MACHINE_EXCHANGES_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/arena.h"
#include "proto/base/err.h"
#include "proto/wire/message.pb-c.h"
#include "statemachine/machine.h"

/* Strings are borrowed for the call. */
struct machine_exchange {
    const char *name;
    uint64_t id;   /* Below 16: one of those that every virtual host has; unique in it. */
    uint32_t type; /* As DeclareExchange.Type. */
    bool auto_delete;
    bool internal;
    bool is_protected;
    bool delayed;
    bool has_alternate;
    struct slice alternate;
    struct slice note;
    uint64_t bindings; /* From it. */
};

/* Calls `each` for the exchanges of a virtual host whose name sorts after `after` (as bytes; NULL for all: the first is ""), in
 * order, until it returns non-zero, which is then returned. ERR_NOMEM. */
int machine_exchanges(struct machine *machine, uint64_t virtual_host, const char *after,
                      int (*each)(void *arg, const struct machine_exchange *exchange), void *arg) NODISCARD;
/* ERR_NOT_FOUND, ERR_NOMEM. The strings are valid until the next apply. */
int machine_exchange(struct machine *machine, uint64_t virtual_host, const char *name,
                     struct machine_exchange *ret_exchange) NODISCARD;

struct machine_binding {
    uint64_t id;
    const char *source;
    const char *to; /* Name of the queue or exchange. */
    bool to_exchange;
    struct slice key;
    struct slice arguments; /* For machine_binding_arguments(). */
};

/* Calls `each` for the bindings of a virtual host with an id above `after` (0: all), in order, until it returns non-zero, which is
 * then returned. When `after` is no binding of it (any more) those below are passed over one by one: at most so many, then ERR_BUSY,
 * and the list is to be asked for from its beginning. ERR_NOMEM. */
#define MACHINE_BINDINGS_PASSED_MAX 262144u
int machine_bindings(struct machine *machine, uint64_t virtual_host, uint64_t after,
                     int (*each)(void *arg, const struct machine_binding *binding), void *arg) NODISCARD;
/* Likewise, of those from one exchange. ERR_NOT_FOUND: no such exchange. */
int machine_bindings_from(struct machine *machine, uint64_t virtual_host, const char *exchange, uint64_t after,
                          int (*each)(void *arg, const struct machine_binding *binding), void *arg) NODISCARD;
/* Likewise, of those that lead to one queue, or exchange, in no particular order. ERR_NOT_FOUND, ERR_NOMEM. */
int machine_bindings_to(struct machine *machine, uint64_t virtual_host, const char *name, bool to_exchange,
                        int (*each)(void *arg, const struct machine_binding *binding), void *arg) NODISCARD;

/* The arguments in order of name, in the arena: integers and floating-point numbers in their widest type. Strings in them borrow
 * from the binding. ERR_CORRUPT, ERR_NOMEM. */
int machine_binding_arguments(const struct machine_binding *binding, struct arena *arena,
                              Holdfast__Header *const **ret_arguments, size_t *ret_len) NODISCARD;

#endif
