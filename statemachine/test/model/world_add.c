/* The command that a step stands for, by where things stand. */

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "world.h"

void world_add_command(struct world *world, const struct entry_command *from, const Holdfast__Command *command,
                       const void *bodies, size_t bodies_len)
{
    uint8_t head[ENTRY_COMMAND_HEAD_LEN];
    struct entry_command with = *from;
    with.header.len = holdfast__command__get_packed_size(command);
    with.bodies.len = bodies_len;
    entry_command_head_encode(&with, head);
    uint8_t *header = malloc(with.header.len + 1);
    model_require(header != NULL, "memory");
    holdfast__command__pack(command, header);
    model_require(bytes_append(&world->bytes, head, sizeof head) == 0, "memory");
    model_require(bytes_append(&world->bytes, header, with.header.len) == 0, "memory");
    model_require(bytes_append(&world->bytes, bodies, bodies_len) == 0, "memory");
    free(header);
    world->commands++;
}

static void add_of_node(struct world *world, const Holdfast__Command *command)
{
    world_add_command(world, &(struct entry_command){0}, command, NULL, 0);
}

static void add_raise(struct world *world, const struct step *step)
{
    Holdfast__RaiseVersion raise = HOLDFAST__RAISE_VERSION__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_RAISE_VERSION;
    command.raise_version = &raise;
    raise.version = step_arg(step, "version") == 0 ? 0 : 1 + step_arg(step, "new");
    add_of_node(world, &command);
}

static void add_present(struct world *world, const struct step *step)
{
    Holdfast__NodePresent present = HOLDFAST__NODE_PRESENT__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    uint32_t node = step_arg(step, "node");
    command.kind_case = HOLDFAST__COMMAND__KIND_NODE_PRESENT;
    command.node_present = &present;
    world->runs[node] += world->runs[node] == 0 || step_arg(step, "run") != 0;
    present.node = step_arg(step, "zero") != 0 ? 0 : node + 1;
    present.run = world->runs[node];
    add_of_node(world, &command);
}

static void add_lost(struct world *world, const struct step *step)
{
    Holdfast__NodeLost lost = HOLDFAST__NODE_LOST__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    uint32_t node = step_arg(step, "node");
    command.kind_case = HOLDFAST__COMMAND__KIND_NODE_LOST;
    command.node_lost = &lost;
    lost.node = node + 1;
    lost.run = world->runs[node] + step_arg(step, "stale");
    add_of_node(world, &command);
}

static void attach_origin(struct world *world, const struct step *step, Holdfast__Origin *origin)
{
    struct client *client = &world->clients[step_arg(step, "client")];
    uint32_t node = step_arg(step, "node");
    if (step_arg(step, "again") == 0 || client->origin_tag == 0) {
        client->origin_node = node + 1;
        client->origin_run = world->runs[node] + (step_arg(step, "origin") == 1);
        client->origin_tag = ++world->tag;
    }
    origin->node = client->origin_node;
    origin->run = client->origin_run;
    origin->tag = client->origin_tag;
}

/* A client stays where it is, but for one without a session; others are odd. */
static const char *attach_host(struct world *world, const struct step *step)
{
    struct client *client = &world->clients[step_arg(step, "client")];
    uint32_t host = step_arg(step, "host");
    if (host != 0 && client->session == 0) {
        client->home = host;
    }
    return host_name(host != 0 ? host : client->home);
}

static void add_attach(struct world *world, const struct step *step)
{
    static const char *const users[] = {"", "u", "t", "not\na\nuser"};
    static const uint32_t leases[] = {0, 1500, 60000};
    uint8_t key[16] = {(uint8_t)(step_arg(step, "client") + 1)};
    Holdfast__AttachSession attach = HOLDFAST__ATTACH_SESSION__INIT;
    Holdfast__Origin origin = HOLDFAST__ORIGIN__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_ATTACH_SESSION;
    command.attach_session = &attach;
    attach.key = (ProtobufCBinaryData){.len = 16 - step_arg(step, "key"), .data = key};
    attach.resume = step_arg(step, "resume") != 0;
    attach.virtual_host = text_of(attach_host(world, step));
    attach.user = text_of(users[step_arg(step, "user")]);
    attach.client = text_of(step_arg(step, "name") != 0 ? "a\nb" : "model");
    attach.lease_ms = leases[step_arg(step, "lease")];
    attach.attempt = step_arg(step, "attempt");
    attach_origin(world, step, &origin);
    attach.origin = step_arg(step, "origin") == 2 ? NULL : &origin;
    add_of_node(world, &command);
}

static void add_detach(struct world *world, const struct step *step)
{
    const struct client *client = &world->clients[step_arg(step, "client")];
    Holdfast__DetachSession detach = HOLDFAST__DETACH_SESSION__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_DETACH_SESSION;
    command.detach_session = &detach;
    detach.session = client->session;
    detach.attachment = client->attachment - step_arg(step, "stale");
    add_of_node(world, &command);
}

/* Who sends the command. */
static struct entry_command from_client(struct world *world, const struct step *step)
{
    struct client *client = &world->clients[client_of(world, step)];
    uint32_t odd = step_arg(step, "odd");
    uint32_t answered = step_arg(step, "answered");
    struct entry_command from = {.session = client->session, .attachment = client->attachment};
    from.number = client->number + 1;
    from.answered = answered == 0 ? 0 : client->number + 1 - (answered < client->number + 1 ? answered : 0);
    if (odd == 0) {
        client->number++;
    } else if (odd == 1) {
        from.number = client->number;
    } else if (odd == 2) {
        from.number += 1;
    } else if (odd == 3) {
        from.attachment++;
    } else {
        from.session += 1000;
    }
    /* A client without a session is none that the node would let speak, but nobody relies on that. */
    from.session = from.session == 0 ? 1000 : from.session;
    return from;
}

void set_producer(struct world *world, const struct step *step, uint32_t producer, Holdfast__Publish *publish)
{
    static const char *const names[] = {"", "x", "y", "z", "not\na\nname"};
    publish->producer = text_of(names[producer]);
    if (producer >= 1 && producer <= WORLD_PRODUCERS) {
        uint64_t *last = &world->sequences[producer - 1];
        uint64_t back = step_arg(step, step->op == OP_PUBLISH ? "back" : "again");
        publish->first_sequence = *last + 1 > back ? *last + 1 - back : 1;
        publish->first_sequence += step_arg(step, "gap");
        *last = publish->first_sequence + publish->n_body_len - 1;
    } else {
        publish->first_sequence = 1;
    }
    publish->first_sequence = step_arg(step, "wrong") == 5 ? 0 : publish->first_sequence;
    publish->no_gaps = step_arg(step, "no_gaps") != 0;
    publish->producer_epoch = step_arg(step, "epoch");
}

static void set_prepare(const struct step *step, Holdfast__Prepare *prepare)
{
    static const char *const ids[] = {"", "p", "q", "r"};
    static const uint64_t times[] = {0, 100, 2000};
    prepare->id = text_of(ids[step_arg(step, "prepare")]);
    prepare->group = text_of("x");
    prepare->ask_after_ms = times[step_arg(step, "ask")];
    prepare->deadline_ms = times[step_arg(step, "deadline")];
    prepare->commit_at_deadline = step_arg(step, "commit") != 0;
}

static void add_publish(struct world *world, const struct step *step, const struct entry_command *from)
{
    Holdfast__Publish publish = HOLDFAST__PUBLISH__INIT;
    Holdfast__Prepare prepare = HOLDFAST__PREPARE__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    struct parts parts = {0};
    uint32_t wrong = step_arg(step, "wrong");
    command.kind_case = HOLDFAST__COMMAND__KIND_PUBLISH;
    command.publish = &publish;
    set_messages(world, step, &publish, &parts);
    set_producer(world, step, step_arg(step, "producer"), &publish);
    parts.lens[0] = wrong == 1 ? (16u << 20) + 1 : parts.lens[0];
    parts.hashes[0] += wrong == 2;
    publish.n_body_hash -= wrong == 3;
    parts.bodies.len -= wrong == 4;
    publish.each = step_arg(step, "each") != 0;
    publish.in_order = step_arg(step, "in_order") != 0;
    if (step_arg(step, "prepare") != 0) {
        publish.prepare = &prepare;
        set_prepare(step, &prepare);
    }
    world_add_command(world, from, &command, parts.bodies.data, parts.bodies.len);
    bytes_done(&parts.bodies);
}

/* Mostly one that fetches already, and its queue. */
static void set_more(const struct world *world, const struct step *step, Holdfast__Subscribe *subscribe)
{
    const struct session *session = m_session_find(world->model, world->clients[client_of(world, step)].session);
    subscribe->more = true;
    for (size_t i = 0; session != NULL && step_arg(step, "more") > 1 && i < session->consumers.len; i++) {
        const struct consumer *consumer = session->consumers.items[i];
        if (consumer->fetch) {
            subscribe->fetch = true;
            subscribe->consumer = consumer->id;
            subscribe->queue = text_of(consumer->queue->name);
        }
    }
}

static void set_subscribe(const struct world *world, Holdfast__Subscribe *subscribe, const struct step *step)
{
    static const uint32_t credits[] = {1, 2, 5, 20, 1000};
    static const uint64_t locks[] = {0, 20, 500, 5000};
    uint32_t wrong = step_arg(step, "wrong");
    subscribe->queue = text_of(queue_name(step_arg(step, "queue")));
    subscribe->consumer = wrong == 1 ? 0 : step_arg(step, "consumer") + 1;
    subscribe->priority = (int32_t)step_arg(step, "priority") - (step_arg(step, "priority") == 2 ? 3 : 0);
    subscribe->exclusive = step_arg(step, "exclusive") != 0;
    subscribe->lock_ms = locks[step_arg(step, "lock")];
    subscribe->auto_accept = step_arg(step, "auto_accept") != 0;
    subscribe->fetch = step_arg(step, "fetch") != 0;
    subscribe->credit = wrong == 2 ? 0 : wrong == 3 ? 65536 : credits[step_arg(step, "credit")];
    if (step_arg(step, "more") != 0) {
        set_more(world, step, subscribe);
    }
}

/* Since version 2. */
static void set_settle_new(const struct step *step, Holdfast__Settle *settle)
{
    static const uint64_t delays[] = {0, 0, 40, 1500};
    settle->has_delay = step_arg(step, "delay") != 0;
    settle->delay_ms = delays[step_arg(step, "delay")];
    settle->all = step_arg(step, "all") != 0;
    settle->not_counted = step_arg(step, "not_counted") != 0;
}

static void add_consume(struct world *world, const struct step *step, const struct entry_command *from)
{
    static const uint32_t credits[] = {1, 2, 5, 20, 1000, 0};
    Holdfast__Subscribe subscribe = HOLDFAST__SUBSCRIBE__INIT;
    Holdfast__Unsubscribe unsubscribe = HOLDFAST__UNSUBSCRIBE__INIT;
    Holdfast__SetCredit set_credit = HOLDFAST__SET_CREDIT__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    if (step->op == OP_SUBSCRIBE) {
        command.kind_case = HOLDFAST__COMMAND__KIND_SUBSCRIBE;
        command.subscribe = &subscribe;
        set_subscribe(world, &subscribe, step);
    } else if (step->op == OP_UNSUBSCRIBE) {
        command.kind_case = HOLDFAST__COMMAND__KIND_UNSUBSCRIBE;
        command.unsubscribe = &unsubscribe;
        unsubscribe.consumer = consumer_of(world, step);
        unsubscribe.drain = step_arg(step, "drain") != 0;
    } else {
        command.kind_case = HOLDFAST__COMMAND__KIND_SET_CREDIT;
        command.set_credit = &set_credit;
        set_credit.consumer = consumer_of(world, step);
        set_credit.credit = step_arg(step, "wrong") != 0 ? 65536 : credits[step_arg(step, "credit")];
    }
    world_add_command(world, from, &command, NULL, 0);
}

/* As it was declared first, or otherwise. */
static const struct step *as_declared(struct world *world, const struct step *step)
{
    struct step *first = &world->declared[step_arg(step, "queue")];
    if (first->op == OP_ENTRY) {
        *first = *step;
    }
    return step_arg(step, "like") == 0 ? first : step;
}

static void add_queue(struct world *world, const struct step *step, const struct entry_command *from)
{
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    Holdfast__DeclareQueue declare = HOLDFAST__DECLARE_QUEUE__INIT;
    Holdfast__DeleteQueue delete = HOLDFAST__DELETE_QUEUE__INIT;
    Holdfast__PurgeQueue purge = HOLDFAST__PURGE_QUEUE__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    char *name = text_of(queue_name(step_arg(step, "queue")));
    if (step->op == OP_DECLARE) {
        command.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_QUEUE;
        command.declare_queue = &declare;
        set_options(&options, as_declared(world, step));
        declare.queue = name;
        declare.options = world->model->version >= 2 ? &options : NULL;
        declare.passive = step_arg(step, "passive") != 0;
    } else if (step->op == OP_DELETE) {
        command.kind_case = HOLDFAST__COMMAND__KIND_DELETE_QUEUE;
        command.delete_queue = &delete;
        delete.queue = name;
        delete.if_empty = step_arg(step, "if_empty") != 0;
        delete.if_unused = step_arg(step, "if_unused") != 0;
        delete.if_none_ready = step_arg(step, "if_none_ready") != 0;
    } else {
        command.kind_case = HOLDFAST__COMMAND__KIND_PURGE_QUEUE;
        command.purge_queue = &purge;
        purge.queue = name;
    }
    world_add_command(world, from, &command, NULL, 0);
}

static void add_rest(struct world *world, const struct step *step, const struct entry_command *from)
{
    static const uint32_t errors[] = {12, 0, 999};
    uint64_t first[2];
    uint64_t last[2];
    Holdfast__Settle settle = HOLDFAST__SETTLE__INIT;
    Holdfast__Refused refused = HOLDFAST__REFUSED__INIT;
    Holdfast__CloseSession close = HOLDFAST__CLOSE_SESSION__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    if (step->op == OP_SETTLE) {
        command.kind_case = HOLDFAST__COMMAND__KIND_SETTLE;
        command.settle = &settle;
        set_settle(world, step, &settle, first, last);
        set_settle_new(step, &settle);
    } else if (step->op == OP_REFUSED) {
        command.kind_case = HOLDFAST__COMMAND__KIND_REFUSED;
        command.refused = &refused;
        refused.error = errors[step_arg(step, "error")];
    } else {
        command.kind_case = HOLDFAST__COMMAND__KIND_CLOSE_SESSION;
        command.close_session = &close;
    }
    world_add_command(world, from, &command, NULL, 0);
}

void world_add(struct world *world, const struct step *step)
{
    struct entry_command from = {0};
    if (step->op >= OP_FIRST_OF_SESSION) {
        from = from_client(world, step);
    }
    switch (step->op) {
    case OP_RAISE: add_raise(world, step); break;
    case OP_PRESENT: add_present(world, step); break;
    case OP_LOST: add_lost(world, step); break;
    case OP_ATTACH: add_attach(world, step); break;
    case OP_DETACH: add_detach(world, step); break;
    case OP_DECLARE:
    case OP_DELETE:
    case OP_PURGE: add_queue(world, step, &from); break;
    case OP_PUBLISH: add_publish(world, step, &from); break;
    case OP_SUBSCRIBE:
    case OP_UNSUBSCRIBE:
    case OP_CREDIT: add_consume(world, step, &from); break;
    case OP_CHANGE:
    case OP_EXTEND:
    case OP_OPEN:
    case OP_RESOLVE:
    case OP_EXCHANGE:
    case OP_UNEXCHANGE:
    case OP_BIND:
    case OP_UNBIND:
    case OP_TRANSACT:
    case OP_REDRIVE:
    case OP_REPLAY:
    case OP_HOST:
    case OP_UNHOST:
    case OP_LIMITS:
    case OP_CHEXCHANGE: world_add_new(world, step, &from); break;
    default: add_rest(world, step, &from);
    }
}
