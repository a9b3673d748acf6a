/* The commands that came with version 2. */

#include "world.h"

/* In QueueOptions. The length, which virtual hosts limit, is several times there. */
static uint32_t field_number(uint32_t field)
{
    static const uint32_t numbers[] = {0,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26,
                                       27, 28, 29, 30, 31, 5,  4,  3,  2,  1,  10, 13, 13, 14, 14, 13, 14};
    return numbers[field];
}

static void add_change(struct world *world, const struct step *step, const struct entry_command *from)
{
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    Holdfast__ChangeQueue change = HOLDFAST__CHANGE_QUEUE__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    const struct step *first = &world->declared[step_arg(step, "queue")];
    command.kind_case = HOLDFAST__COMMAND__KIND_CHANGE_QUEUE;
    command.change_queue = &change;
    change.queue = text_of(queue_name(step_arg(step, "queue")));
    change.options = &options;
    set_options(&options, step);
    if (step_arg(step, "like") == 0 && first->op == OP_DECLARE) {
        /* What cannot be changed stays. */
        Holdfast__QueueOptions fixed = HOLDFAST__QUEUE_OPTIONS__INIT;
        set_options(&fixed, first);
        options.exclusive = fixed.exclusive;
        options.auto_delete = fixed.auto_delete;
        options.max_priority = fixed.max_priority;
        options.groups = fixed.groups;
        options.single_active = fixed.single_active;
    }
    /* All of them, or one or two. */
    uint32_t fields[] = {field_number(step_arg(step, "field")), field_number(step_arg(step, "second"))};
    change.n_field = fields[0] == 0 ? 0 : fields[1] == 0 ? 1 : 2;
    change.field = fields;
    fields[0] = step_arg(step, "unknown") != 0 ? 99 : fields[0];
    world_add_command(world, from, &command, NULL, 0);
}

static void add_extend(struct world *world, const struct step *step, const struct entry_command *from)
{
    static const uint64_t locks[] = {0, 20, 500, 5000};
    uint64_t first[2];
    uint64_t last[2];
    Holdfast__Settle settle = HOLDFAST__SETTLE__INIT;
    Holdfast__Extend extend = HOLDFAST__EXTEND__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_EXTEND;
    command.extend = &extend;
    set_settle(world, step, &settle, first, last);
    extend.consumer = settle.consumer;
    extend.n_first = settle.n_first;
    extend.first = settle.first;
    extend.n_last = settle.n_last;
    extend.last = settle.last;
    extend.lock_ms = locks[step_arg(step, "lock")];
    world_add_command(world, from, &command, NULL, 0);
}

static void add_open(struct world *world, const struct step *step, const struct entry_command *from)
{
    static const char *const names[] = {"x", "y", "z", "w", "not\na\nname"};
    Holdfast__OpenProducer open = HOLDFAST__OPEN_PRODUCER__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_OPEN_PRODUCER;
    command.open_producer = &open;
    open.producer = text_of(names[step_arg(step, "producer")]);
    open.keep_epoch = step_arg(step, "keep") != 0;
    world_add_command(world, from, &command, NULL, 0);
}

static void add_resolve(struct world *world, const struct step *step, const struct entry_command *from)
{
    static const char *const ids[] = {"p", "q", "r", "s"};
    Holdfast__ResolvePrepared resolve = HOLDFAST__RESOLVE_PREPARED__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_RESOLVE_PREPARED;
    command.resolve_prepared = &resolve;
    resolve.id = text_of(ids[step_arg(step, "prepare")]);
    resolve.commit = step_arg(step, "commit") == 0;
    world_add_command(world, from, &command, NULL, 0);
}

static void add_exchange(struct world *world, const struct step *step, const struct entry_command *from)
{
    Holdfast__DeclareExchange declare = HOLDFAST__DECLARE_EXCHANGE__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    struct step *first = &world->exchanges[step_arg(step, "to")];
    if (first->op == OP_ENTRY) {
        *first = *step;
    }
    const struct step *as = step_arg(step, "like") == 0 ? first : step;
    command.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_EXCHANGE;
    command.declare_exchange = &declare;
    declare.exchange = text_of(step_arg(step, "name") != 0 ? "not\na\nname" : exchange_name(step_arg(step, "to")));
    declare.type = (Holdfast__DeclareExchange__Type)step_arg(as, "type");
    declare.auto_delete = step_arg(as, "auto_delete") != 0;
    declare.internal = step_arg(as, "internal") != 0;
    declare.protected_ = step_arg(as, "protected") != 0;
    declare.has_alternate = step_arg(as, "alternate") != 0;
    declare.alternate = text_of(declare.has_alternate ? exchange_name(step_arg(as, "alternate") - 1) : "");
    declare.passive = step_arg(step, "passive") != 0;
    world_add_command(world, from, &command, NULL, 0);
}

static void add_unexchange(struct world *world, const struct step *step, const struct entry_command *from)
{
    Holdfast__DeleteExchange delete = HOLDFAST__DELETE_EXCHANGE__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_DELETE_EXCHANGE;
    command.delete_exchange = &delete;
    delete.exchange = text_of(exchange_name(step_arg(step, "to")));
    delete.if_unused = step_arg(step, "if_unused") != 0;
    delete.if_exists = step_arg(step, "if_exists") != 0;
    world_add_command(world, from, &command, NULL, 0);
}

static void bind_of_step(const struct step *step, Holdfast__Bind *bind)
{
    static const char *const keys[] = {"a", "b", "", "x.y", "x.z.y", "c", "k", "x.*", "#", "#.y", "*.#.y"};
    uint32_t other = step_arg(step, "other");
    bind->source = text_of(exchange_name(step_arg(step, "to")));
    bind->queue = text_of(other == 0 ? queue_name(step_arg(step, "queue")) : "");
    bind->exchange = text_of(other == 0 ? "" : exchange_name(other - 1));
    bind->to_exchange = other != 0;
    bind->key = text_of(keys[step_arg(step, "key")]);
    bind->n_argument = set_arguments(&bind->argument, step_arg(step, "match"));
}

/* One that is there; NULL: the step says which. */
static const struct binding *binding_there(struct world *world, const struct step *step)
{
    size_t nth = step_arg(step, "nth");
    const struct list *bindings = &world->model->bindings;
    return step_arg(step, "loose") == 0 && bindings->len > 0 ? bindings->items[nth % bindings->len] : NULL;
}

static void add_bind(struct world *world, const struct step *step, const struct entry_command *from)
{
    Holdfast__Bind bind = HOLDFAST__BIND__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    bind_of_step(step, &bind);
    command.kind_case = HOLDFAST__COMMAND__KIND_BIND;
    command.bind = &bind;
    world_add_command(world, from, &command, NULL, 0);
    arguments_free(bind.argument, bind.n_argument);
}

static void add_unbind(struct world *world, const struct step *step, const struct entry_command *from)
{
    Holdfast__Bind bind = HOLDFAST__BIND__INIT;
    Holdfast__Unbind unbind = HOLDFAST__UNBIND__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    const struct binding *there = binding_there(world, step);
    bind_of_step(step, &bind);
    command.kind_case = HOLDFAST__COMMAND__KIND_UNBIND;
    command.unbind = &unbind;
    unbind.source = text_of(there != NULL ? there->source->name : bind.source);
    unbind.queue = text_of(there == NULL ? bind.queue : there->queue != NULL ? there->queue->name : "");
    unbind.exchange = text_of(there == NULL ? bind.exchange : there->exchange != NULL ? there->exchange->name : "");
    unbind.to_exchange = there != NULL ? there->exchange != NULL : bind.to_exchange;
    unbind.key = text_of(there != NULL ? there->key : bind.key);
    unbind.n_argument = there != NULL ? there->arguments_len : bind.n_argument;
    unbind.argument = there != NULL ? there->arguments : bind.argument;
    world_add_command(world, from, &command, NULL, 0);
    arguments_free(bind.argument, bind.n_argument);
}

void world_add_new(struct world *world, const struct step *step, const struct entry_command *from)
{
    switch (step->op) {
    case OP_CHANGE: add_change(world, step, from); break;
    case OP_EXTEND: add_extend(world, step, from); break;
    case OP_OPEN: add_open(world, step, from); break;
    case OP_RESOLVE: add_resolve(world, step, from); break;
    case OP_EXCHANGE: add_exchange(world, step, from); break;
    case OP_UNEXCHANGE: add_unexchange(world, step, from); break;
    case OP_BIND: add_bind(world, step, from); break;
    case OP_UNBIND: add_unbind(world, step, from); break;
    default: world_add_more(world, step, from);
    }
}
