/* What rovers declare, change and delete: queues, exchanges, bindings, virtual hosts. */

#include "sim_actor.h"
#include "sim_rover.h"
#include "sim_world.h"

/* The last but two are exclusive, one for each rover; a queue of that name is in "/" too, and is another one. */
const char *const sim_rover_queues[SIM_ROVER_QUEUES] = {"r-plain", "f-dead",  "r-kept",   "r-bytes",
                                                        "r-own-0", "r-own-1", "r-passing"};
enum { R_PLAIN, R_DEAD, R_KEPT, R_BYTES, R_OWN, R_PASSING = 6 };

const char *const sim_rover_exchanges[SIM_ROVER_EXCHANGES] = {"r-headers", "r-lost", "r-direct", "r-topic"};
static const char *const keys[] = {"a", "a.b", "#", "*.b"};

/* ---- Queues ---- */

static void options_of(const struct sim_actor *actor, unsigned queue, Holdfast__QueueOptions *options)
{
    options->has_dead_letter = queue != R_DEAD;
    options->dead_letter_exchange = "";
    options->has_dead_letter_key = queue != R_DEAD;
    options->dead_letter_key = queue != R_DEAD ? "f-dead" : "";
    options->keep_settled_ms = queue == R_KEPT ? 3000 : 0;
    options->keep_life_ms = queue == R_KEPT ? 2000 : 0;
    options->has_max_bytes = queue == R_BYTES;
    options->max_bytes = queue == R_BYTES ? 500 : 0;
    options->overflow = (Holdfast__QueueOptions__Overflow)(queue == R_BYTES ? actor->world->options.seed % 3 : 0);
    options->exclusive = queue == R_OWN + actor->index - SIM_ACTORS_MAX;
    options->auto_delete = queue == R_PASSING;
    options->expires_ms = queue == R_PASSING ? 400 : 0;
    options->single_active = queue == R_OWN + 1;
    options->groups = queue == R_KEPT;
}

void sim_rover_declare(struct sim_actor *actor)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__DeclareQueue declare = HOLDFAST__DECLARE_QUEUE__INIT;
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    unsigned queue = sim_rover_draw(actor, SIM_ROVER_QUEUES);
    options_of(actor, queue, &options);
    declare.queue = (char *)sim_rover_queues[queue];
    declare.options = &options;
    declare.passive = sim_rover_draw(actor, 6) == 0;
    command.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_QUEUE;
    command.declare_queue = &declare;
    (void)sim_rover_submit(actor, &command, SIM_ACT_ROVE, 0);
}

void sim_rover_change(struct sim_actor *actor)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__ChangeQueue change = HOLDFAST__CHANGE_QUEUE__INIT;
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    uint32_t fields[] = {29, 31}; /* paused, note */
    options.paused = sim_rover_draw(actor, 3) == 0;
    options.note = "seen by a rover";
    if (sim_rover_draw(actor, 4) == 0) {
        fields[0] = 30;
        options.protected_ = sim_rover_draw(actor, 3) == 0;
    }
    change.queue = (char *)sim_rover_queues[sim_rover_draw(actor, SIM_ROVER_QUEUES)];
    change.options = &options;
    change.n_field = 2;
    change.field = fields;
    command.kind_case = HOLDFAST__COMMAND__KIND_CHANGE_QUEUE;
    command.change_queue = &change;
    (void)sim_rover_submit(actor, &command, SIM_ACT_ROVE_CHANGE, 0);
}

void sim_rover_delete(struct sim_actor *actor)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__DeleteQueue delete = HOLDFAST__DELETE_QUEUE__INIT;
    Holdfast__PurgeQueue purge = HOLDFAST__PURGE_QUEUE__INIT;
    delete.queue = purge.queue = (char *)sim_rover_queues[sim_rover_draw(actor, SIM_ROVER_QUEUES)];
    delete.if_empty = sim_rover_draw(actor, 3) == 0;
    delete.if_unused = sim_rover_draw(actor, 3) == 0;
    delete.if_none_ready = actor->next_number % 3 == 0;
    command.kind_case = HOLDFAST__COMMAND__KIND_DELETE_QUEUE;
    command.delete_queue = &delete;
    if (sim_rover_draw(actor, 2) == 0) {
        command.kind_case = HOLDFAST__COMMAND__KIND_PURGE_QUEUE;
        command.purge_queue = &purge;
    }
    (void)sim_rover_submit(actor, &command, SIM_ACT_ROVE, 0);
}

/* ---- Exchanges ---- */

void sim_rover_exchange(struct sim_actor *actor)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__DeclareExchange declare = HOLDFAST__DECLARE_EXCHANGE__INIT;
    Holdfast__DeleteExchange delete = HOLDFAST__DELETE_EXCHANGE__INIT;
    static const Holdfast__DeclareExchange__Type types[] = {
        HOLDFAST__DECLARE_EXCHANGE__TYPE__HEADERS, HOLDFAST__DECLARE_EXCHANGE__TYPE__FANOUT,
        HOLDFAST__DECLARE_EXCHANGE__TYPE__DIRECT, HOLDFAST__DECLARE_EXCHANGE__TYPE__TOPIC};
    unsigned exchange = sim_rover_draw(actor, 4);
    declare.exchange = delete.exchange = (char *)sim_rover_exchanges[exchange];
    declare.type = types[exchange];
    declare.has_alternate = exchange != 1;
    declare.alternate = exchange != 1 ? "r-lost" : "";
    declare.auto_delete = exchange == 2;
    command.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_EXCHANGE;
    command.declare_exchange = &declare;
    if (sim_rover_draw(actor, 8) == 0) {
        delete.if_unused = sim_rover_draw(actor, 2) == 0;
        command.kind_case = HOLDFAST__COMMAND__KIND_DELETE_EXCHANGE;
        command.delete_exchange = &delete;
    }
    (void)sim_rover_submit(actor, &command, SIM_ACT_ROVE, 0);
}

void sim_rover_change_exchange(struct sim_actor *actor)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__ChangeExchange change = HOLDFAST__CHANGE_EXCHANGE__INIT;
    change.exchange = (char *)sim_rover_exchanges[sim_rover_draw(actor, 4)];
    change.has_protected = sim_rover_draw(actor, 2) == 0;
    change.protected_ = sim_rover_draw(actor, 3) == 0;
    change.has_note = sim_rover_draw(actor, 2) == 0;
    change.note = "seen by a rover";
    command.kind_case = HOLDFAST__COMMAND__KIND_CHANGE_EXCHANGE;
    command.change_exchange = &change;
    (void)sim_rover_submit(actor, &command, SIM_ACT_ROVE_EXCHANGE, 0);
}

void sim_rover_bind(struct sim_actor *actor)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__Bind bind = HOLDFAST__BIND__INIT;
    Holdfast__Unbind unbind = HOLDFAST__UNBIND__INIT;
    Holdfast__Header header = HOLDFAST__HEADER__INIT;
    Holdfast__Value value = HOLDFAST__VALUE__INIT;
    Holdfast__Header *headers = &header;
    unsigned source = sim_rover_draw(actor, 4);
    header.name = "kind";
    header.value = &value;
    value.kind_case = HOLDFAST__VALUE__KIND_INT32;
    value.int32 = (int32_t)sim_rover_draw(actor, 3);
    bind.source = unbind.source = (char *)sim_rover_exchanges[source];
    bind.key = unbind.key = (char *)keys[sim_rover_draw(actor, 4)];
    bind.n_argument = unbind.n_argument = source == 0;
    bind.argument = unbind.argument = &headers;
    bind.to_exchange = unbind.to_exchange = sim_rover_draw(actor, 4) == 0;
    bind.exchange = unbind.exchange = bind.to_exchange ? (char *)sim_rover_exchanges[sim_rover_draw(actor, 4)] : "";
    bind.queue = unbind.queue =
        bind.to_exchange ? "" : (char *)sim_rover_queues[sim_rover_draw(actor, SIM_ROVER_QUEUES)];
    command.kind_case = HOLDFAST__COMMAND__KIND_BIND;
    command.bind = &bind;
    if (sim_rover_draw(actor, 4) == 0) {
        command.kind_case = HOLDFAST__COMMAND__KIND_UNBIND;
        command.unbind = &unbind;
    }
    (void)sim_rover_submit(actor, &command, SIM_ACT_ROVE, 0);
}

/* ---- Hosts ---- */

void sim_rover_host(struct sim_actor *actor)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__CreateVirtualHost create = HOLDFAST__CREATE_VIRTUAL_HOST__INIT;
    Holdfast__DeleteVirtualHost delete = HOLDFAST__DELETE_VIRTUAL_HOST__INIT;
    create.virtual_host = delete.virtual_host = "f-passing";
    delete.force = sim_rover_draw(actor, 2) == 0;
    command.kind_case = HOLDFAST__COMMAND__KIND_CREATE_VIRTUAL_HOST;
    command.create_virtual_host = &create;
    if (sim_rover_draw(actor, 2) == 0) {
        command.kind_case = HOLDFAST__COMMAND__KIND_DELETE_VIRTUAL_HOST;
        command.delete_virtual_host = &delete;
    }
    (void)sim_rover_submit(actor, &command, SIM_ACT_ROVE_HOST, 0);
}

/* ---- Limits ---- */

/* Two of a virtual host, or of a user: what is there already stays. */
static struct slice pack_limits(bool of_user, Holdfast__Limit__What what, uint64_t value, Holdfast__Limit__What other,
                                uint64_t other_value)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__SetLimits set = HOLDFAST__SET_LIMITS__INIT;
    Holdfast__Limits limits = HOLDFAST__LIMITS__INIT;
    Holdfast__Limit first = HOLDFAST__LIMIT__INIT;
    Holdfast__Limit second = HOLDFAST__LIMIT__INIT;
    Holdfast__Limit *list[] = {&first, &second};
    first.what = what;
    first.value = value;
    second.what = other;
    second.value = other_value;
    set.virtual_host = of_user ? "" : SIM_ROVER_HOST;
    set.user = of_user ? SIM_ROVER_USER : "";
    limits.n_limit = 2;
    limits.limit = list;
    set.limits = &limits;
    command.kind_case = HOLDFAST__COMMAND__KIND_SET_LIMITS;
    command.set_limits = &set;
    return sim_features_pack(&command);
}

void sim_rover_limits(struct sim_actor *actor)
{
    struct sim_act act = {.kind = SIM_ACT_ROVE_LIMITS};
    if (sim_rover_draw(actor, 2) == 0) {
        act.header = pack_limits(true, HOLDFAST__LIMIT__WHAT__SESSIONS, SIM_ROVERS_MAX + sim_rover_draw(actor, 3),
                                 HOLDFAST__LIMIT__WHAT__CONSUMERS, 2 + sim_rover_draw(actor, 5));
    } else {
        act.header =
            pack_limits(false, HOLDFAST__LIMIT__WHAT__QUEUES, SIM_ROVER_QUEUES_LIMIT - 1 + sim_rover_draw(actor, 3),
                        HOLDFAST__LIMIT__WHAT__READY_MESSAGES,
                        SIM_ROVER_READY_LIMIT / 2 + sim_rover_draw(actor, SIM_ROVER_READY_LIMIT));
    }
    (void)sim_actor_submit(actor, &act);
}

bool sim_rover_setup(unsigned step, struct slice *ret_header)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__CreateVirtualHost create = HOLDFAST__CREATE_VIRTUAL_HOST__INIT;
    create.virtual_host = SIM_ROVER_HOST;
    command.kind_case = HOLDFAST__COMMAND__KIND_CREATE_VIRTUAL_HOST;
    command.create_virtual_host = &create;
    if (step == 0) {
        *ret_header = sim_features_pack(&command);
    } else if (step == 1) {
        *ret_header = pack_limits(false, HOLDFAST__LIMIT__WHAT__QUEUES, SIM_ROVER_QUEUES_LIMIT,
                                  HOLDFAST__LIMIT__WHAT__READY_MESSAGES, SIM_ROVER_READY_LIMIT);
    }
    return step < 2;
}
