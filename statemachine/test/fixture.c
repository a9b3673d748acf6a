/* A machine on a store in memory, and clients that speak to it in entries. */

#include "fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

void batch_start(struct batch *batch)
{
    *batch = (struct batch){0};
    uint8_t head[ENTRY_HEAD_LEN] = {0};
    cr_assert_eq(bytes_append(&batch->bytes, head, sizeof head), 0);
}

void batch_add(struct batch *batch, const struct entry_command *from, const Holdfast__Command *command,
               const void *bodies, size_t bodies_len)
{
    uint8_t head[ENTRY_COMMAND_HEAD_LEN];
    struct entry_command with = *from;
    with.header.len = holdfast__command__get_packed_size(command);
    with.bodies.len = bodies_len;
    entry_command_head_encode(&with, head);
    cr_assert_eq(bytes_append(&batch->bytes, head, sizeof head), 0);
    cr_assert_eq(bytes_reserve(&batch->bytes, with.header.len), 0);
    holdfast__command__pack(command, batch->bytes.data + batch->bytes.len);
    batch->bytes.len += with.header.len;
    cr_assert_eq(bytes_append(&batch->bytes, bodies, bodies_len), 0);
    batch->commands++;
}

struct slice batch_finish(struct batch *batch, uint16_t machine_version, uint64_t time_ms)
{
    struct entry_head head = {.machine_version = machine_version,
                              .time_ms = time_ms,
                              .commands = batch->commands,
                              .len = (uint32_t)(batch->bytes.len - ENTRY_HEAD_LEN)};
    entry_head_encode(&head, batch->bytes.data);
    struct slice entry;
    cr_assert_eq(slice_copy(batch->bytes.data, batch->bytes.len, &entry), 0);
    bytes_done(&batch->bytes);
    return entry;
}

void fixture_open(struct fixture *fixture)
{
    struct store *store;
    struct slice consensus;
    char detail[256] = "";
    cr_assert_eq(store_memory_open(fixture->disk, &store), 0);
    cr_assert_eq(machine_open(store, &fixture->machine, &fixture->index, &consensus, detail, sizeof detail), 0, "%s",
                 detail);
    slice_unref(&consensus);
}

void fixture_init_empty(struct fixture *fixture)
{
    *fixture = (struct fixture){.disk = store_memory_disk_new(), .time_ms = 1000};
    cr_assert_not_null(fixture->disk);
    fixture_open(fixture);
}

void fixture_init(struct fixture *fixture)
{
    fixture_init_empty(fixture);
    cr_assert_eq(node_present(fixture, NODE, RUN).error, 0);
}

void fixture_done(struct fixture *fixture)
{
    machine_close(fixture->machine);
    store_memory_disk_free(fixture->disk);
}

void fixture_checkpoint(struct fixture *fixture)
{
    struct machine_checkpoint *checkpoint;
    cr_assert_eq(machine_checkpoint(fixture->machine, (struct slice){0}, &checkpoint), 0);
    int err = machine_checkpoint_write(checkpoint);
    cr_assert_eq(err, 0);
    machine_checkpoint_done(checkpoint, err);
}

void fixture_crash(struct fixture *fixture)
{
    machine_close(fixture->machine);
    fixture_open(fixture);
}

void fixture_reopen(struct fixture *fixture)
{
    uint64_t digest = fixture_digest(fixture);
    fixture_checkpoint(fixture);
    cr_assert_eq(fixture_digest(fixture), digest);
    fixture_crash(fixture);
    cr_assert_eq(fixture_digest(fixture), digest);
}

uint64_t fixture_digest(struct fixture *fixture)
{
    uint64_t digest = 0;
    cr_assert_eq(machine_digest(fixture->machine, &digest), 0);
    return digest;
}

int fixture_apply(struct fixture *fixture, struct slice entry)
{
    int err = machine_apply(fixture->machine, fixture->index + 1, entry, &fixture->effects);
    if (err == 0) {
        fixture->index++;
    }
    slice_unref(&entry);
    return err;
}

struct effect_reply fixture_command(struct fixture *fixture, const struct entry_command *from,
                                    const Holdfast__Command *command, const void *bodies, size_t bodies_len)
{
    struct batch batch;
    batch_start(&batch);
    batch_add(&batch, from, command, bodies, bodies_len);
    cr_assert_eq(fixture_apply(fixture, batch_finish(&batch, 1, fixture->time_ms++)), 0);
    for (size_t i = 0; i < fixture->effects.len; i++) {
        const struct effect *effect = &fixture->effects.items[i];
        if (effect->kind == EFFECT_REPLY) {
            cr_assert_eq(effect->session, from->session);
            cr_assert_eq(effect->reply.number, from->number);
            cr_assert_eq(effect->reply.attachment, from->attachment);
            cr_assert_eq(effect->reply.error != 0, effect->reply.detail[0] != 0);
            return effect->reply;
        }
    }
    cr_assert(false, "no reply");
    return (struct effect_reply){0};
}

size_t fixture_count(const struct fixture *fixture, enum effect_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < fixture->effects.len; i++) {
        count += fixture->effects.items[i].kind == kind;
    }
    return count;
}

const struct effect *fixture_delivery(const struct fixture *fixture, size_t nth)
{
    for (size_t i = 0; i < fixture->effects.len; i++) {
        if (fixture->effects.items[i].kind == EFFECT_DELIVER && nth-- == 0) {
            return &fixture->effects.items[i];
        }
    }
    cr_assert(false, "no such delivery");
    return NULL;
}

void fixture_tick(struct fixture *fixture, uint64_t time_ms)
{
    struct batch batch;
    batch_start(&batch);
    cr_assert_eq(fixture_apply(fixture, batch_finish(&batch, 1, time_ms)), 0);
    fixture->time_ms = time_ms;
}

static struct effect_reply attach(struct fixture *fixture, struct client *client, Holdfast__AttachSession *attach,
                                  const Holdfast__Origin *origin)
{
    attach->origin = (Holdfast__Origin *)(uintptr_t)origin;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_ATTACH_SESSION;
    command.attach_session = attach;
    struct effect_reply reply = fixture_command(fixture, &(struct entry_command){0}, &command, NULL, 0);
    cr_assert_eq(reply.origin_node, origin->node);
    cr_assert_eq(reply.origin_run, origin->run);
    cr_assert_eq(reply.origin_tag, origin->tag);
    if (reply.error == 0 && client != NULL) {
        *client = (struct client){
            .session = reply.attach_session, .attachment = reply.attach_attachment, .number = reply.last_number};
    }
    return reply;
}

struct effect_reply client_attach(struct fixture *fixture, struct client *client, uint8_t key, bool resume)
{
    uint8_t bytes[16] = {key};
    Holdfast__AttachSession message = HOLDFAST__ATTACH_SESSION__INIT;
    message.key = (ProtobufCBinaryData){.len = sizeof bytes, .data = bytes};
    message.resume = resume;
    Holdfast__Origin origin = HOLDFAST__ORIGIN__INIT;
    origin.node = NODE;
    origin.run = RUN;
    origin.tag = ++fixture->tag;
    return attach(fixture, client, &message, &origin);
}

struct effect_reply node_attach(struct fixture *fixture, struct client *client, uint8_t key,
                                const struct effect_reply *from, uint64_t attempt, uint32_t lease_ms)
{
    uint8_t bytes[16] = {key};
    Holdfast__AttachSession message = HOLDFAST__ATTACH_SESSION__INIT;
    message.key = (ProtobufCBinaryData){.len = sizeof bytes, .data = bytes};
    message.attempt = attempt;
    message.lease_ms = lease_ms;
    Holdfast__Origin origin = HOLDFAST__ORIGIN__INIT;
    origin.node = from->origin_node;
    origin.run = from->origin_run;
    origin.tag = from->origin_tag;
    return attach(fixture, client, &message, &origin);
}

struct effect_reply client_command(struct fixture *fixture, struct client *client, const Holdfast__Command *command,
                                   const void *bodies, size_t bodies_len)
{
    struct entry_command from = {.session = client->session,
                                 .attachment = client->attachment,
                                 .number = ++client->number,
                                 .answered = client->answered};
    return fixture_command(fixture, &from, command, bodies, bodies_len);
}

struct effect_reply client_declare(struct fixture *fixture, struct client *client, const char *queue)
{
    Holdfast__DeclareQueue declare = HOLDFAST__DECLARE_QUEUE__INIT;
    declare.queue = (char *)(uintptr_t)queue;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_QUEUE;
    command.declare_queue = &declare;
    return client_command(fixture, client, &command, NULL, 0);
}

struct effect_reply client_delete(struct fixture *fixture, struct client *client, const char *queue, bool if_empty)
{
    Holdfast__DeleteQueue delete = HOLDFAST__DELETE_QUEUE__INIT;
    delete.queue = (char *)(uintptr_t)queue;
    delete.if_empty = if_empty;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_DELETE_QUEUE;
    command.delete_queue = &delete;
    return client_command(fixture, client, &command, NULL, 0);
}

struct effect_reply client_publish(struct fixture *fixture, struct client *client, const char *queue,
                                   const char *producer, uint64_t first, size_t count)
{
    struct bytes bodies = {0};
    uint32_t *lens = calloc(count, sizeof *lens);
    uint64_t *hashes = calloc(count, sizeof *hashes);
    for (size_t i = 0; i < count; i++) {
        char body[32];
        int len = snprintf(body, sizeof body, "m%llu", (unsigned long long)(first + i));
        lens[i] = (uint32_t)len;
        hashes[i] = XXH3_64bits(body, lens[i]);
        cr_assert_eq(bytes_append(&bodies, body, lens[i]), 0);
    }
    Holdfast__Publish publish = HOLDFAST__PUBLISH__INIT;
    publish.queue = (char *)(uintptr_t)queue;
    publish.producer = (char *)(uintptr_t)producer;
    publish.first_sequence = first;
    publish.n_body_len = publish.n_body_hash = count;
    publish.body_len = lens;
    publish.body_hash = hashes;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_PUBLISH;
    command.publish = &publish;
    struct effect_reply reply = client_command(fixture, client, &command, bodies.data, bodies.len);
    bytes_done(&bodies);
    free(lens);
    free(hashes);
    return reply;
}

struct effect_reply client_subscribe(struct fixture *fixture, struct client *client, const char *queue,
                                     uint64_t consumer, uint32_t credit)
{
    Holdfast__Subscribe subscribe = HOLDFAST__SUBSCRIBE__INIT;
    subscribe.queue = (char *)(uintptr_t)queue;
    subscribe.consumer = consumer;
    subscribe.credit = credit;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_SUBSCRIBE;
    command.subscribe = &subscribe;
    return client_command(fixture, client, &command, NULL, 0);
}

struct effect_reply client_unsubscribe(struct fixture *fixture, struct client *client, uint64_t consumer)
{
    Holdfast__Unsubscribe unsubscribe = HOLDFAST__UNSUBSCRIBE__INIT;
    unsubscribe.consumer = consumer;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_UNSUBSCRIBE;
    command.unsubscribe = &unsubscribe;
    return client_command(fixture, client, &command, NULL, 0);
}

struct effect_reply client_set_credit(struct fixture *fixture, struct client *client, uint64_t consumer,
                                      uint32_t credit)
{
    Holdfast__SetCredit set_credit = HOLDFAST__SET_CREDIT__INIT;
    set_credit.consumer = consumer;
    set_credit.credit = credit;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_SET_CREDIT;
    command.set_credit = &set_credit;
    return client_command(fixture, client, &command, NULL, 0);
}

struct effect_reply client_settle(struct fixture *fixture, struct client *client, uint64_t consumer,
                                  Holdfast__Settle__Outcome outcome, uint64_t first, uint64_t last)
{
    Holdfast__Settle settle = HOLDFAST__SETTLE__INIT;
    settle.consumer = consumer;
    settle.outcome = outcome;
    settle.n_first = settle.n_last = 1;
    settle.first = &first;
    settle.last = &last;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_SETTLE;
    command.settle = &settle;
    return client_command(fixture, client, &command, NULL, 0);
}

struct effect_reply client_close(struct fixture *fixture, struct client *client)
{
    Holdfast__CloseSession close = HOLDFAST__CLOSE_SESSION__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_CLOSE_SESSION;
    command.close_session = &close;
    return client_command(fixture, client, &command, NULL, 0);
}

struct effect_reply client_purge(struct fixture *fixture, struct client *client, const char *queue)
{
    Holdfast__PurgeQueue purge = HOLDFAST__PURGE_QUEUE__INIT;
    purge.queue = (char *)(uintptr_t)queue;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_PURGE_QUEUE;
    command.purge_queue = &purge;
    return client_command(fixture, client, &command, NULL, 0);
}

struct effect_reply client_refused(struct fixture *fixture, struct client *client, uint32_t error)
{
    Holdfast__Refused refused = HOLDFAST__REFUSED__INIT;
    refused.error = error;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_REFUSED;
    command.refused = &refused;
    return client_command(fixture, client, &command, NULL, 0);
}

static struct effect_reply node_command(struct fixture *fixture, const Holdfast__Command *command)
{
    return fixture_command(fixture, &(struct entry_command){0}, command, NULL, 0);
}

struct effect_reply node_detach(struct fixture *fixture, uint64_t session, uint64_t attachment)
{
    Holdfast__Origin origin = HOLDFAST__ORIGIN__INIT;
    origin.node = NODE;
    origin.run = RUN;
    origin.tag = ++fixture->tag;
    Holdfast__DetachSession detach = HOLDFAST__DETACH_SESSION__INIT;
    detach.session = session;
    detach.attachment = attachment;
    detach.origin = &origin;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_DETACH_SESSION;
    command.detach_session = &detach;
    struct effect_reply reply = node_command(fixture, &command);
    cr_assert_eq(reply.origin_node, NODE);
    cr_assert_eq(reply.origin_run, RUN);
    cr_assert_eq(reply.origin_tag, fixture->tag);
    cr_assert_eq(reply.attach_session, 0u);
    return reply;
}

struct effect_reply node_present(struct fixture *fixture, uint64_t node, uint64_t run)
{
    Holdfast__NodePresent present = HOLDFAST__NODE_PRESENT__INIT;
    present.node = node;
    present.run = run;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_NODE_PRESENT;
    command.node_present = &present;
    return node_command(fixture, &command);
}

struct effect_reply node_lost(struct fixture *fixture, uint64_t node, uint64_t run)
{
    Holdfast__NodeLost lost = HOLDFAST__NODE_LOST__INIT;
    lost.node = node;
    lost.run = run;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_NODE_LOST;
    command.node_lost = &lost;
    return node_command(fixture, &command);
}

struct machine_session fixture_session(struct fixture *fixture, uint64_t session)
{
    struct machine_session found = {0};
    cr_assert_eq(machine_session(fixture->machine, session, &found), 0);
    return found;
}

struct find_queue {
    const char *name;
    struct machine_queue found;
};

static int find_queue(void *arg, const struct machine_queue *queue)
{
    struct find_queue *find = arg;
    if (strcmp(queue->name, find->name) == 0) {
        find->found = *queue;
        return 1;
    }
    return 0;
}

struct machine_queue fixture_queue(struct fixture *fixture, const char *name)
{
    struct find_queue find = {.name = name};
    (void)!machine_queues(fixture->machine, "", find_queue, &find);
    return find.found;
}
