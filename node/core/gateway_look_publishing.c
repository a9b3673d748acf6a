/* Looking at this node's replica: producers, and what is prepared. */

#include "node/core/gateway.h"
#include "statemachine/machine_publishing.h"
#include "statemachine/machine_virtual_hosts.h"

int gateway_producer(struct gateway *gateway, const char *virtual_host, const char *name,
                     struct gateway_producer *ret_producer)
{
    struct gateway_core *core = gateway_core_of(gateway);
    struct machine_producer producer;
    uint64_t host;
    int err = machine_virtual_host(core->machine, virtual_host, &host);
    if (err == 0) {
        err = machine_producer(core->machine, host, name, &producer);
    }
    if (err == 0) {
        *ret_producer = (struct gateway_producer){
            .epoch = producer.epoch, .last_sequence = producer.last, .session = producer.session};
    }
    gateway_note_damage(core, err, "what is known of a producer cannot be read");
    return err;
}

struct prepared_listing {
    void *arg;
    bool (*each)(void *arg, const struct gateway_prepared *prepared);
};

static const char *state_word(enum machine_prepared_state state)
{
    switch (state) {
    case MACHINE_COMMITTED: return "committed";
    case MACHINE_DROPPED: return "dropped";
    case MACHINE_PREPARED: break;
    }
    return "prepared";
}

static int list_prepared(void *arg, const struct machine_prepared *prepared)
{
    struct prepared_listing *listing = arg;
    struct gateway_prepared told = {
        .id = prepared->id,
        .group = prepared->group,
        .state = state_word(prepared->state),
        .messages = prepared->messages,
        .ask_ms = prepared->ask_ms,
        .deadline_ms = prepared->deadline_ms,
        .commit_at_deadline = prepared->commit_at_deadline,
        .remembered_until_ms = prepared->remembered_until_ms,
    };
    return listing->each(listing->arg, &told) ? 0 : 1;
}

int gateway_prepared(struct gateway *gateway, const char *virtual_host, const char *after, void *arg,
                     bool (*each)(void *arg, const struct gateway_prepared *prepared), bool *ret_more)
{
    struct gateway_core *core = gateway_core_of(gateway);
    struct prepared_listing listing = {.arg = arg, .each = each};
    uint64_t host;
    int err = machine_virtual_host(core->machine, virtual_host, &host);
    if (err == 0) {
        err = machine_prepared(core->machine, host, after, list_prepared, &listing);
    }
    gateway_note_damage(core, err, "what is prepared cannot be read");
    if (err < 0) {
        return err;
    }
    *ret_more = err > 0;
    return 0;
}
