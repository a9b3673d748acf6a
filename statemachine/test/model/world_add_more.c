/* The commands that came with version 2, those about several things at a time: transactions, moving, virtual hosts, limits. */

#include <string.h>

#include "world.h"

static void add_transact_publish(struct world *world, const struct step *step, uint32_t nth, Holdfast__Publish *publish,
                                 struct parts *parts)
{
    struct step of = *step;
    uint32_t producer = step_arg(step, "producer");
    uint32_t *queue = &of.args[op_arg(OP_TRANSACT, "queue")];
    *queue = *queue < 4 ? (*queue + nth) % 4 : *queue;
    if (step_arg(step, "others") != 0 && producer >= 1 && producer <= WORLD_PRODUCERS) {
        producer = 1 + (producer - 1 + nth) % WORLD_PRODUCERS;
    }
    *publish = (Holdfast__Publish)HOLDFAST__PUBLISH__INIT;
    set_messages(world, &of, publish, parts);
    set_producer(world, &of, producer, publish);
    publish->each = nth == 0 && step_arg(step, "wrong") == 1;
    parts->hashes[0] += nth == 0 && step_arg(step, "wrong") == 2;
}

/* Of one consumer, or of one after the other. */
static void add_transact_settle(struct world *world, const struct step *step, uint32_t nth, Holdfast__Settle *settle,
                                uint64_t first[2], uint64_t last[2])
{
    struct step of = *step;
    uint32_t *consumer = &of.args[op_arg(OP_TRANSACT, "consumer")];
    *consumer = step_arg(step, "twice") != 0 ? *consumer : (*consumer + nth) % WORLD_CONSUMERS;
    of.args[op_arg(OP_TRANSACT, "back")] += nth;
    of.args[op_arg(OP_TRANSACT, "span")] %= 2;
    of.args[op_arg(OP_TRANSACT, "wrong")] = nth == 0 && step_arg(step, "wrong") == 5 ? 5 : 0;
    *settle = (Holdfast__Settle)HOLDFAST__SETTLE__INIT;
    set_settle(world, &of, settle, first, last);
    settle->outcome = (Holdfast__Settle__Outcome)((step_arg(step, "outcome") + nth) % 3);
}

/* Publishes to one queue after the other, by one producer or several, and settlements. */
static void add_transact(struct world *world, const struct step *step, const struct entry_command *from)
{
    uint64_t first[2][2];
    uint64_t last[2][2];
    struct parts parts[3] = {0};
    struct bytes bodies = {0};
    Holdfast__Publish publish[3];
    Holdfast__Settle settle[2];
    Holdfast__Publish *publishes[] = {&publish[0], &publish[1], &publish[2]};
    Holdfast__Settle *settles[] = {&settle[0], &settle[1]};
    Holdfast__Transact transact = HOLDFAST__TRANSACT__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_TRANSACT;
    command.transact = &transact;
    transact.n_publish = step_arg(step, "none") != 0 ? 0 : 1 + step_arg(step, "parts");
    transact.publish = publishes;
    transact.n_settle = step_arg(step, "settle");
    transact.settle = settles;
    for (uint32_t i = 0; i < transact.n_publish; i++) {
        add_transact_publish(world, step, i, &publish[i], &parts[i]);
        model_require(bytes_append(&bodies, parts[i].bodies.data, parts[i].bodies.len) == 0, "memory");
        bytes_done(&parts[i].bodies);
    }
    for (uint32_t i = 0; i < transact.n_settle; i++) {
        add_transact_settle(world, step, i, &settle[i], first[i], last[i]);
    }
    bodies.len -= step_arg(step, "wrong") == 3 && bodies.len > 0;
    world_add_command(world, from, &command, bodies.data, bodies.len);
    bytes_done(&bodies);
}

/* ---- Moving ---- */

static const uint32_t most_messages[] = {0, 1, 2, 2000};

static char *queue_into(const struct step *step)
{
    uint32_t into = step_arg(step, "into");
    return text_of(into == 0 ? "" : into == 5 ? "not there" : queue_name(into - 1));
}

static void add_redrive(struct world *world, const struct step *step, const struct entry_command *from)
{
    Holdfast__Redrive redrive = HOLDFAST__REDRIVE__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    uint32_t of = step_arg(step, "from");
    command.kind_case = HOLDFAST__COMMAND__KIND_REDRIVE;
    command.redrive = &redrive;
    redrive.queue = text_of(queue_name(step_arg(step, "queue")));
    redrive.to = queue_into(step);
    redrive.from = text_of(of == 0 ? "" : queue_name(of - 1));
    redrive.max = most_messages[step_arg(step, "most")];
    world_add_command(world, from, &command, NULL, 0);
}

static void add_replay(struct world *world, const struct step *step, const struct entry_command *from)
{
    static const uint64_t firsts[] = {0, 2, 5, UINT64_C(1) << 56, 9};
    static const uint64_t lasts[] = {UINT64_MAX, 4, UINT64_C(2) << 56, 1};
    Holdfast__Replay replay = HOLDFAST__REPLAY__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_REPLAY;
    command.replay = &replay;
    replay.queue = text_of(queue_name(step_arg(step, "queue")));
    replay.to = queue_into(step);
    replay.first = firsts[step_arg(step, "first")];
    replay.last = lasts[step_arg(step, "last")];
    replay.max = most_messages[step_arg(step, "most")];
    world_add_command(world, from, &command, NULL, 0);
}

/* ---- Virtual hosts, users, exchanges ---- */

/* Too long for a note. */
static char *long_text(void)
{
    static char text[257];
    memset(text, 'n', sizeof text - 1);
    return text;
}

static void add_host(struct world *world, const struct step *step, const struct entry_command *from)
{
    Holdfast__CreateVirtualHost create = HOLDFAST__CREATE_VIRTUAL_HOST__INIT;
    Holdfast__DeleteVirtualHost delete = HOLDFAST__DELETE_VIRTUAL_HOST__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    uint32_t host = 1 + step_arg(step, "host");
    if (step->op == OP_HOST) {
        command.kind_case = HOLDFAST__COMMAND__KIND_CREATE_VIRTUAL_HOST;
        command.create_virtual_host = &create;
        create.virtual_host = text_of(step_arg(step, "name") != 0 ? "not\na\nname" : host_name(host < 4 ? host : 1));
        create.note = step_arg(step, "note") != 0 ? long_text() : text_of("a note");
    } else {
        command.kind_case = HOLDFAST__COMMAND__KIND_DELETE_VIRTUAL_HOST;
        command.delete_virtual_host = &delete;
        delete.virtual_host = text_of(host_name(host));
        delete.force = step_arg(step, "force") != 0;
    }
    world_add_command(world, from, &command, NULL, 0);
}

/* Those of somebody are taken off, or there is one. */
static void add_limits(struct world *world, const struct step *step, const struct entry_command *from)
{
    static const char *const hosts[] = {"/", "v", "", "", "none"};
    static const char *const users[] = {"", "", "u", "t", ""};
    static const uint64_t values[] = {0, 3, 2, 8, 1};
    Holdfast__SetLimits set = HOLDFAST__SET_LIMITS__INIT;
    Holdfast__Limits limits = HOLDFAST__LIMITS__INIT;
    Holdfast__Limit limit = HOLDFAST__LIMIT__INIT;
    Holdfast__Limit *all[] = {&limit};
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    uint32_t of = step_arg(step, "of");
    uint32_t wrong = step_arg(step, "wrong");
    command.kind_case = HOLDFAST__COMMAND__KIND_SET_LIMITS;
    command.set_limits = &set;
    set.virtual_host = text_of(wrong == 1 ? "" : hosts[of]);
    set.user = text_of(wrong == 1 ? "" : wrong == 2 && users[of][0] != '\0' ? "not\na\nuser" : users[of]);
    set.limits = &limits;
    limits.n_limit = step_arg(step, "what") > 0;
    limits.limit = all;
    limit.what = (Holdfast__Limit__What)(wrong == 3 ? 99 : (int)step_arg(step, "what") - 1);
    limit.value = values[step_arg(step, "value")];
    world_add_command(world, from, &command, NULL, 0);
}

static void add_chexchange(struct world *world, const struct step *step, const struct entry_command *from)
{
    Holdfast__ChangeExchange change = HOLDFAST__CHANGE_EXCHANGE__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_CHANGE_EXCHANGE;
    command.change_exchange = &change;
    change.exchange = text_of(exchange_name(step_arg(step, "to")));
    change.has_protected = step_arg(step, "protect") != 0;
    change.protected_ = step_arg(step, "protect") == 2;
    change.has_note = step_arg(step, "note") != 0;
    change.note = step_arg(step, "note") == 2 ? long_text() : text_of("other");
    world_add_command(world, from, &command, NULL, 0);
}

void world_add_more(struct world *world, const struct step *step, const struct entry_command *from)
{
    switch (step->op) {
    case OP_TRANSACT: add_transact(world, step, from); break;
    case OP_REDRIVE: add_redrive(world, step, from); break;
    case OP_REPLAY: add_replay(world, step, from); break;
    case OP_HOST:
    case OP_UNHOST: add_host(world, step, from); break;
    case OP_LIMITS: add_limits(world, step, from); break;
    default: add_chexchange(world, step, from);
    }
}
