/* The fake gateway's exchanges, bindings, consumers and so on: `things` of each, numbered from 0. */

#include "fake_gateway_looks.h"

#include <stdio.h>
#include <string.h>

#include "proto/base/check.h"

/* Notes a look, and what it was about. ERR_NOT_FOUND in any virtual host but "/". */
static int look(struct gateway *gateway, const char *virtual_host, const char *name)
{
    struct fake_gateway *fake = container_of(gateway, struct fake_gateway, base);
    fake->looks += !fake->in_read;
    (void)snprintf(fake->last_look, sizeof fake->last_look, "%s", name);
    return virtual_host[0] == '\0' || strcmp(virtual_host, "/") == 0 ? 0 : ERR_NOT_FOUND;
}

static unsigned things(struct gateway *gateway)
{
    return container_of(gateway, struct fake_gateway, base)->things;
}

int fake_exchanges(struct gateway *gateway, const char *virtual_host, const char *after, void *arg,
                   bool (*each)(void *arg, const struct gateway_exchange *exchange), bool *ret_more)
{
    int err = look(gateway, virtual_host, after == NULL ? "from the first" : after);
    *ret_more = false;
    const Holdfast__DeclareExchange *only = container_of(gateway, struct fake_gateway, base)->exchange_is;
    if (err == 0 && only != NULL) {
        struct gateway_exchange told = {.declared = only, .bindings = 1};
        *ret_more = (after == NULL || strcmp(only->exchange, after) > 0) && !each(arg, &told);
        return 0;
    }
    for (unsigned i = 0; err == 0 && !*ret_more && i < things(gateway); i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "x%06u", i);
        Holdfast__DeclareExchange declared = HOLDFAST__DECLARE_EXCHANGE__INIT;
        declared.exchange = name;
        declared.type = HOLDFAST__DECLARE_EXCHANGE__TYPE__TOPIC;
        struct gateway_exchange told = {.declared = &declared, .bindings = i};
        *ret_more = (after == NULL || strcmp(name, after) > 0) && !each(arg, &told);
    }
    return err;
}

int fake_bindings(struct gateway *gateway, const char *virtual_host, const char *from, uint64_t after, void *arg,
                  bool (*each)(void *arg, const struct gateway_binding *binding), bool *ret_more)
{
    int err = look(gateway, virtual_host, from == NULL ? "all" : from);
    *ret_more = false;
    for (unsigned i = 0; err == 0 && !*ret_more && i < things(gateway); i++) {
        Holdfast__Value value = HOLDFAST__VALUE__INIT;
        value.kind_case = HOLDFAST__VALUE__KIND_INT64;
        value.int64 = i;
        Holdfast__Header argument = HOLDFAST__HEADER__INIT;
        argument.name = (char[]){"n"};
        argument.value = &value;
        Holdfast__Bind bind = HOLDFAST__BIND__INIT;
        bind.source = (char[]){"x"};
        bind.queue = (char[]){"q"};
        bind.argument = (Holdfast__Header *[]){&argument};
        bind.n_argument = 1;
        struct gateway_binding told = {.id = i + 1, .bind = &bind};
        *ret_more = told.id > after && !each(arg, &told);
    }
    return err;
}

int fake_virtual_hosts(struct gateway *gateway, const char *after, void *arg,
                       bool (*each)(void *arg, const struct gateway_virtual_host *host), bool *ret_more)
{
    int err = look(gateway, "", after);
    *ret_more = false;
    for (unsigned i = 0; !*ret_more && i < things(gateway); i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "v%06u", i);
        struct gateway_virtual_host told = {.name = name, .id = i, .note = "a note"};
        *ret_more = strcmp(name, after) > 0 && !each(arg, &told);
    }
    return err;
}

int fake_life(struct gateway *gateway, const char *virtual_host, const char *queue, uint64_t position, void *arg,
              bool (*each)(void *arg, const struct gateway_step *step), bool *ret_more)
{
    int err = look(gateway, virtual_host, queue);
    *ret_more = false;
    for (unsigned i = 0; err == 0 && !*ret_more && i < things(gateway); i++) {
        struct gateway_step told = {.what = "delivered", .index = position, .time_ms = i, .text = ""};
        *ret_more = !each(arg, &told);
    }
    return err;
}

int fake_consumers(struct gateway *gateway, const char *virtual_host, const char *queue, uint64_t session,
                   uint64_t consumer, void *arg, bool (*each)(void *arg, const struct gateway_consumer *consumer),
                   bool *ret_more)
{
    int err = look(gateway, virtual_host, queue);
    *ret_more = false;
    for (unsigned i = 0; err == 0 && !*ret_more && i < things(gateway); i++) {
        struct gateway_consumer told = {.session = 1 + i / 2,
                                        .consumer = 1 + i % 2,
                                        .node = 3,
                                        .delivered = 4,
                                        .lock_ms = 5,
                                        .credit = 6,
                                        .unsettled = 7,
                                        .priority = -8,
                                        .exclusive = true,
                                        .active = true,
                                        .tag = "a tag"};
        bool behind = told.session > session || (told.session == session && told.consumer > consumer);
        *ret_more = behind && !each(arg, &told);
    }
    return err;
}

int fake_limits(struct gateway *gateway, const char *virtual_host, const char *user, void *arg,
                bool (*each)(void *arg, const struct gateway_limit *limit))
{
    int err = look(gateway, virtual_host, user);
    struct gateway_limit told = {
        .what = HOLDFAST__LIMIT__WHAT__CONSUMERS, .is_set = true, .is_counted = true, .value = 9, .used = 2};
    return err == 0 && !each(arg, &told) ? ERR_INVALID : err;
}

int fake_producer(struct gateway *gateway, const char *virtual_host, const char *name,
                  struct gateway_producer *ret_producer)
{
    int err = look(gateway, virtual_host, name);
    if (err == 0 && strcmp(name, "nobody") == 0) {
        err = ERR_NOT_FOUND;
    }
    if (err == 0) {
        *ret_producer = (struct gateway_producer){.epoch = 2, .last_sequence = 77, .session = 5};
    }
    return err;
}

int fake_prepared(struct gateway *gateway, const char *virtual_host, const char *after, void *arg,
                  bool (*each)(void *arg, const struct gateway_prepared *prepared), bool *ret_more)
{
    int err = look(gateway, virtual_host, after);
    *ret_more = false;
    for (unsigned i = 0; err == 0 && !*ret_more && i < things(gateway); i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "p%06u", i);
        struct gateway_prepared told = {
            .id = id, .group = "shop", .state = "prepared", .messages = 2, .ask_ms = 3, .deadline_ms = 4};
        *ret_more = strcmp(id, after) > 0 && !each(arg, &told);
    }
    return err;
}
