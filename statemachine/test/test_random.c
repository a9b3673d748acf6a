/* Random commands on two machines, one of which is checkpointed and restarted all the time: nothing tells them apart.
 * Random bytes: the machine goes on. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "fixture.h"

#define CLIENTS 4u
#define CONSUMERS 3u
#define NODES 3u

/* SplitMix64. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

struct world {
    uint64_t random;
    struct fixture plain;
    struct fixture restarted;
    struct machine_checkpoint *checkpoint; /* Of the restarted one. */
    bool written;
    struct slice *log; /* log[i] is the entry at index i + 1. */
    size_t log_len;
    struct client clients[CLIENTS];
    uint64_t delivered[CLIENTS][CONSUMERS + 1];
    uint64_t runs[NODES]; /* Of the processes of nodes; 0: never started. */
    uint64_t tag;
    uint64_t time_ms;
    uint64_t kinds[5]; /* Effects seen, by kind. */
    uint64_t expired;
};

static uint64_t below(struct world *world, uint64_t limit)
{
    return next_random(&world->random) % limit;
}

static void add_attach(struct world *world, struct batch *batch, uint8_t key)
{
    uint8_t bytes[16] = {key};
    Holdfast__AttachSession attach = HOLDFAST__ATTACH_SESSION__INIT;
    attach.key = (ProtobufCBinaryData){.len = sizeof bytes, .data = bytes};
    attach.resume = below(world, 4) == 0;
    attach.client = (char[]){"random"};
    attach.lease_ms = 1000;
    attach.attempt = below(world, 3) == 0 ? below(world, 4 + world->log_len / 16) : 0;
    Holdfast__Origin origin = HOLDFAST__ORIGIN__INIT;
    origin.node = 1 + below(world, NODES);
    origin.run = world->runs[origin.node - 1];
    origin.tag = below(world, 4) == 0 ? world->tag : ++world->tag;
    attach.origin = &origin;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_ATTACH_SESSION;
    command.attach_session = &attach;
    batch_add(batch, &(struct entry_command){0}, &command, NULL, 0);
}

static void add_publish(struct world *world, struct batch *batch, const struct entry_command *from, char *queue)
{
    char bodies[20 * 8];
    uint32_t lens[20];
    uint64_t hashes[20];
    size_t at = 0;
    Holdfast__Publish publish = HOLDFAST__PUBLISH__INIT;
    publish.n_body_len = publish.n_body_hash = 1 + below(world, 20);
    for (size_t i = 0; i < publish.n_body_len; i++) {
        lens[i] = (uint32_t)below(world, 8);
        memset(bodies + at, (int)below(world, 256), lens[i]);
        hashes[i] = XXH3_64bits(bodies + at, lens[i]) + (below(world, 200) == 0);
        at += lens[i];
    }
    char producer[2] = {(char)('x' + below(world, 3)), 0};
    publish.queue = queue;
    publish.producer = below(world, 3) == 0 ? (char[]){""} : producer;
    publish.first_sequence = below(world, 1 + world->log_len * 4);
    publish.body_len = lens;
    publish.body_hash = hashes;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_PUBLISH;
    command.publish = &publish;
    batch_add(batch, from, &command, bodies, at);
}

static void add_settle(struct world *world, struct batch *batch, const struct entry_command *from, unsigned client,
                       uint64_t consumer)
{
    uint64_t firsts[3];
    uint64_t lasts[3];
    uint64_t delivered = world->delivered[client][consumer];
    Holdfast__Settle settle = HOLDFAST__SETTLE__INIT;
    settle.consumer = consumer;
    settle.outcome = (Holdfast__Settle__Outcome)below(world, 3);
    settle.n_first = settle.n_last = 1 + below(world, 3);
    for (size_t i = 0; i < settle.n_first; i++) {
        uint64_t back = below(world, 30);
        firsts[i] = delivered > back ? delivered - back : 1;
        lasts[i] = firsts[i] + below(world, delivered - (firsts[i] < delivered ? firsts[i] : delivered) + 1);
    }
    settle.first = firsts;
    settle.last = lasts;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_SETTLE;
    command.settle = &settle;
    batch_add(batch, from, &command, NULL, 0);
}

static void add_consume(struct world *world, struct batch *batch, const struct entry_command *from, char *queue,
                        uint64_t consumer)
{
    Holdfast__Subscribe subscribe = HOLDFAST__SUBSCRIBE__INIT;
    Holdfast__Unsubscribe unsubscribe = HOLDFAST__UNSUBSCRIBE__INIT;
    Holdfast__SetCredit set_credit = HOLDFAST__SET_CREDIT__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    uint64_t kind = below(world, 6);
    if (kind < 3) {
        command.kind_case = HOLDFAST__COMMAND__KIND_SUBSCRIBE;
        command.subscribe = &subscribe;
        subscribe.queue = queue;
        subscribe.consumer = consumer;
        subscribe.credit = (uint32_t)below(world, 30);
    } else if (kind < 5) {
        command.kind_case = HOLDFAST__COMMAND__KIND_SET_CREDIT;
        command.set_credit = &set_credit;
        set_credit.consumer = consumer;
        set_credit.credit = (uint32_t)below(world, 30);
    } else {
        command.kind_case = HOLDFAST__COMMAND__KIND_UNSUBSCRIBE;
        command.unsubscribe = &unsubscribe;
        unsubscribe.consumer = consumer;
    }
    batch_add(batch, from, &command, NULL, 0);
}

static void add_rare(struct world *world, struct batch *batch, const struct entry_command *from, char *queue)
{
    Holdfast__DeclareQueue declare = HOLDFAST__DECLARE_QUEUE__INIT;
    Holdfast__DeleteQueue delete = HOLDFAST__DELETE_QUEUE__INIT;
    Holdfast__PurgeQueue purge = HOLDFAST__PURGE_QUEUE__INIT;
    Holdfast__Refused refused = HOLDFAST__REFUSED__INIT;
    Holdfast__CloseSession close = HOLDFAST__CLOSE_SESSION__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    uint64_t kind = below(world, 24);
    if (kind < 15) {
        command.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_QUEUE;
        command.declare_queue = &declare;
        declare.queue = queue;
    } else if (kind < 17) {
        command.kind_case = HOLDFAST__COMMAND__KIND_DELETE_QUEUE;
        command.delete_queue = &delete;
        delete.queue = queue;
        delete.if_empty = below(world, 2) == 0;
    } else if (kind < 21) {
        command.kind_case = HOLDFAST__COMMAND__KIND_PURGE_QUEUE;
        command.purge_queue = &purge;
        purge.queue = queue;
    } else if (kind < 23) {
        command.kind_case = HOLDFAST__COMMAND__KIND_REFUSED;
        command.refused = &refused;
        refused.error = (uint32_t)below(world, 40);
    } else {
        command.kind_case = HOLDFAST__COMMAND__KIND_CLOSE_SESSION;
        command.close_session = &close;
    }
    batch_add(batch, from, &command, NULL, 0);
}

/* What nodes say: processes start, are lost, lose connections. */
static void add_of_node(struct world *world, struct batch *batch, const struct client *client)
{
    Holdfast__DetachSession detach = HOLDFAST__DETACH_SESSION__INIT;
    Holdfast__NodePresent present = HOLDFAST__NODE_PRESENT__INIT;
    Holdfast__NodeLost lost = HOLDFAST__NODE_LOST__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    uint64_t kind = below(world, 8);
    uint64_t node = below(world, NODES);
    if (kind < 4) {
        command.kind_case = HOLDFAST__COMMAND__KIND_DETACH_SESSION;
        command.detach_session = &detach;
        detach.session = client->session;
        detach.attachment = client->attachment - (below(world, 5) == 0);
    } else if (kind < 7) {
        command.kind_case = HOLDFAST__COMMAND__KIND_NODE_PRESENT;
        command.node_present = &present;
        world->runs[node] += below(world, 3) == 0 || world->runs[node] == 0;
        present.node = node + 1;
        present.run = world->runs[node];
    } else {
        command.kind_case = HOLDFAST__COMMAND__KIND_NODE_LOST;
        command.node_lost = &lost;
        lost.node = node + 1;
        lost.run = world->runs[node];
    }
    batch_add(batch, &(struct entry_command){0}, &command, NULL, 0);
}

static void add_command(struct world *world, struct batch *batch)
{
    unsigned at = (unsigned)below(world, CLIENTS);
    struct client *client = &world->clients[at];
    char queue[2] = {(char)('a' + below(world, 3)), 0};
    uint64_t consumer = 1 + below(world, CONSUMERS);
    if (below(world, 50) == 0 || (client->session == 0 && below(world, 4) == 0)) {
        add_of_node(world, batch, client);
        return;
    }
    if (client->session == 0 || below(world, 30) == 0) {
        add_attach(world, batch, (uint8_t)at);
        return;
    }
    struct entry_command from = {.session = client->session, .attachment = client->attachment};
    uint64_t oddity = below(world, 40);
    from.number = oddity == 0 ? below(world, client->number + 3) : ++client->number;
    from.attachment -= oddity == 1;
    from.answered = below(world, 3) == 0 ? below(world, client->number + 1) : 0;
    uint64_t kind = below(world, 100);
    if (kind < 40) {
        add_publish(world, batch, &from, queue);
    } else if (kind < 75) {
        add_settle(world, batch, &from, at, consumer);
    } else if (kind < 90) {
        add_consume(world, batch, &from, queue, consumer);
    } else {
        add_rare(world, batch, &from, queue);
    }
}

/* Keeps clients in step with what the machine says. */
static void learn(struct world *world, const struct effect *effect)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct client *client = &world->clients[i];
        if (effect->kind == EFFECT_DELIVER && effect->session == client->session) {
            world->delivered[i][effect->delivery.consumer] = effect->delivery.number;
        } else if (effect->kind == EFFECT_SESSION_ENDED && effect->session == client->session) {
            *client = (struct client){0};
        }
    }
}

static void refresh(struct world *world)
{
    for (size_t i = 0; i < world->plain.effects.len; i++) {
        const struct effect *effect = &world->plain.effects.items[i];
        learn(world, effect);
        world->kinds[effect->kind]++;
        world->expired += effect->kind == EFFECT_SESSION_ENDED && effect->session_ended.expired;
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct machine_session session;
        struct client *client = &world->clients[i];
        if (client->session != 0 && machine_session(world->plain.machine, client->session, &session) == 0) {
            client->number = session.last_number;
            client->attachment = session.attachment;
        }
    }
}

static struct slice random_entry(struct world *world)
{
    struct batch batch;
    batch_start(&batch);
    for (uint64_t i = below(world, 5); i > 0; i--) {
        add_command(world, &batch);
    }
    world->time_ms += below(world, 20) == 0 ? below(world, 1500) : below(world, 3) - 1;
    return batch_finish(&batch, 1, world->time_ms);
}

static void same_effects(const struct effects *a, const struct effects *b)
{
    cr_assert_eq(a->len, b->len);
    for (size_t i = 0; i < a->len; i++) {
        const struct effect *x = &a->items[i];
        const struct effect *y = &b->items[i];
        cr_assert_eq(x->kind, y->kind);
        cr_assert_eq(x->session, y->session);
        if (x->kind == EFFECT_DELIVER) {
            cr_assert_eq(x->delivery.consumer, y->delivery.consumer);
            cr_assert_eq(x->delivery.number, y->delivery.number);
            cr_assert_eq(x->delivery.queue, y->delivery.queue);
            cr_assert_eq(x->delivery.position, y->delivery.position);
            cr_assert_eq(x->delivery.delivery_count, y->delivery.delivery_count);
        } else if (x->kind == EFFECT_REPLY) {
            cr_assert_eq(x->reply.error, y->reply.error);
            cr_assert_str_eq(x->reply.detail, y->reply.detail);
            cr_assert_eq(x->reply.count, y->reply.count);
            cr_assert_eq(x->reply.repeated_count, y->reply.repeated_count);
            cr_assert_eq(x->reply.attach_attachment, y->reply.attach_attachment);
        }
    }
}

static void finish_checkpoint(struct world *world)
{
    if (world->checkpoint != NULL) {
        machine_checkpoint_done(world->checkpoint, world->written ? 0 : ERR_IO);
        world->checkpoint = NULL;
    }
}

/* Closes at any moment, opens, and applies the log from where the checkpoint ends. */
static void restart(struct world *world)
{
    finish_checkpoint(world);
    fixture_crash(&world->restarted);
    while (world->restarted.index < world->log_len) {
        cr_assert_eq(fixture_apply(&world->restarted, slice_ref(world->log[world->restarted.index])), 0);
    }
}

static void disturb(struct world *world)
{
    uint64_t what = below(world, 12);
    if (what == 0 && world->checkpoint == NULL) {
        world->written = false;
        cr_assert_eq(machine_checkpoint(world->restarted.machine, (struct slice){0}, &world->checkpoint), 0);
    } else if (what == 1 && world->checkpoint != NULL && !world->written) {
        if (below(world, 5) == 0) {
            store_memory_disk_fail_write(world->restarted.disk, ERR_IO);
        }
        world->written = machine_checkpoint_write(world->checkpoint) == 0;
    } else if (what == 2 && (world->written || below(world, 4) == 0)) {
        finish_checkpoint(world);
    } else if (what == 3 && below(world, 6) == 0) {
        restart(world);
    }
}

static void step(struct world *world)
{
    struct slice entry = random_entry(world);
    world->log = realloc(world->log, (world->log_len + 1) * sizeof *world->log);
    world->log[world->log_len++] = slice_ref(entry);
    cr_assert_eq(fixture_apply(&world->plain, slice_ref(entry)), 0);
    cr_assert_eq(fixture_apply(&world->restarted, entry), 0);
    same_effects(&world->plain.effects, &world->restarted.effects);
    for (size_t i = 0; i < world->plain.effects.len; i++) {
        const struct effect *effect = &world->plain.effects.items[i];
        if (effect->kind == EFFECT_REPLY && effect->reply.attach_session != 0) {
            world->clients[(effect->reply.attach_session - 1) % CLIENTS].session = effect->reply.attach_session;
        }
    }
    refresh(world);
    disturb(world);
}

struct view {
    uint64_t digest;
    uint64_t messages;
    uint64_t locked;
    uint64_t last;
};

static int view_message(void *arg, const struct machine_message *message)
{
    struct view *view = arg;
    uint64_t fields[] = {message->position, message->enqueued_ms,    message->body_hash,
                         message->body_len, message->delivery_count, message->locked};
    cr_assert_gt(message->position, view->last);
    view->last = message->position;
    view->digest = XXH3_64bits_withSeed(fields, sizeof fields, view->digest);
    view->messages++;
    view->locked += message->locked;
    return 0;
}

/* What can be seen of a queue adds up. Returns a digest of it. */
static uint64_t view_queue(struct fixture *f, const char *name)
{
    struct machine_queue queue;
    struct view view = {0};
    uint64_t oldest;
    if (machine_queue(f->machine, name, &queue) != 0) {
        return 0;
    }
    cr_assert_eq(machine_browse(f->machine, queue.id, 0, view_message, &view), 0);
    cr_assert_eq(machine_queue_oldest(f->machine, queue.id, &oldest), 0);
    cr_assert_eq(view.messages, queue.ready + queue.unsettled);
    cr_assert_eq(view.locked, queue.unsettled);
    cr_assert_eq(queue.enqueued, queue.ready + queue.unsettled + queue.settled);
    cr_assert_geq(queue.delivered, queue.unsettled + queue.released);
    uint64_t fields[] = {queue.ready,   queue.unsettled, queue.enqueued, queue.delivered,
                         queue.settled, queue.released,  oldest};
    return XXH3_64bits_withSeed(fields, sizeof fields, view.digest);
}

static void same_view(struct world *world)
{
    struct machine_node plain[NODES_PRESENT_MAX];
    struct machine_node restarted[NODES_PRESENT_MAX];
    for (char name[2] = "a"; name[0] <= 'c'; name[0]++) {
        cr_assert_eq(view_queue(&world->plain, name), view_queue(&world->restarted, name));
    }
    unsigned nodes = machine_nodes(world->plain.machine, plain);
    cr_assert_eq(machine_nodes(world->restarted.machine, restarted), nodes);
    uint64_t attached = 0;
    for (unsigned i = 0; i < nodes; i++) {
        cr_assert_eq(plain[i].id, restarted[i].id);
        cr_assert_eq(plain[i].run, restarted[i].run);
        cr_assert_eq(plain[i].sessions, restarted[i].sessions);
        attached += plain[i].sessions;
    }
    cr_assert_leq(attached, machine_sessions_len(world->plain.machine));
    cr_assert_eq(machine_due_ms(world->plain.machine), machine_due_ms(world->restarted.machine));
}

static uint64_t memory_digest(const struct fixture *fixture)
{
    uint64_t digest;
    cr_assert_eq(machine_memory_digest(fixture->machine, &digest), 0);
    return digest;
}

static void run(uint64_t seed, unsigned steps)
{
    struct world world = {.random = seed, .time_ms = 1000};
    fixture_init_empty(&world.plain);
    fixture_init_empty(&world.restarted);
    uint64_t deliveries = 0;
    for (unsigned i = 0; i < steps; i++) {
        step(&world);
        deliveries += fixture_count(&world.plain, EFFECT_DELIVER);
        cr_assert_eq(machine_running_digest(world.plain.machine), machine_running_digest(world.restarted.machine));
        cr_assert_eq(memory_digest(&world.plain), memory_digest(&world.restarted));
        if (i % 16 == 0) {
            same_view(&world);
            cr_assert_eq(fixture_digest(&world.plain), fixture_digest(&world.restarted), "seed %llu step %u",
                         (unsigned long long)seed, i);
        }
    }
    cr_assert_gt(deliveries, steps / 4, "seed %llu: only %llu deliveries", (unsigned long long)seed,
                 (unsigned long long)deliveries);
    for (size_t kind = 0; kind < 5; kind++) {
        cr_assert_gt(world.kinds[kind], 0u, "seed %llu: no effect of kind %zu", (unsigned long long)seed, kind);
    }
    cr_assert_gt(world.expired, 0u);
    restart(&world);
    cr_assert_eq(fixture_digest(&world.plain), fixture_digest(&world.restarted));
    for (size_t i = 0; i < world.log_len; i++) {
        slice_unref(&world.log[i]);
    }
    free(world.log);
    fixture_done(&world.plain);
    fixture_done(&world.restarted);
}

Test(random, restarts_show_in_nothing)
{
    for (uint64_t seed = 1; seed <= 12; seed++) {
        run(seed, 1500);
    }
}

Test(random, any_bytes_leave_a_machine_that_goes_on)
{
    struct fixture f;
    struct client a;
    fixture_init(&f);
    client_attach(&f, &a, 1, false);
    client_declare(&f, &a, "q");
    uint64_t random = 42;
    for (unsigned i = 0; i < 20000; i++) {
        size_t len = next_random(&random) % 200;
        struct blob *blob = blob_new(len);
        for (size_t at = 0; at < len; at++) {
            blob->data[at] = (uint8_t)next_random(&random);
        }
        /* Half of them with a sound head, so that what is behind it is looked at, too. */
        if (i % 2 == 0 && len >= ENTRY_HEAD_LEN + ENTRY_COMMAND_HEAD_LEN) {
            struct entry_head head = {
                .machine_version = 1, .time_ms = i, .commands = 1, .len = (uint32_t)(len - ENTRY_HEAD_LEN)};
            struct entry_command from = {.header.len = len - ENTRY_HEAD_LEN - ENTRY_COMMAND_HEAD_LEN};
            if (i % 4 == 0) {
                from.session = a.session;
                from.attachment = a.attachment;
                from.number = ++a.number;
            }
            entry_head_encode(&head, blob->data);
            entry_command_head_encode(&from, blob->data + ENTRY_HEAD_LEN);
        }
        cr_assert_eq(fixture_apply(&f, slice_of_blob(blob)), 0);
    }
    fixture_reopen(&f);
    client_attach(&f, &a, 1, false);
    client_declare(&f, &a, "q");
    cr_assert_eq(client_publish(&f, &a, "q", "", 1, 3).count, 3u);
    fixture_done(&f);
}

/* Bits flipped in entries that are sound: lengths, counts, names, numbers. */
Test(random, flipped_bits_leave_a_machine_that_goes_on)
{
    struct world world = {.random = 99, .time_ms = 1000};
    fixture_init(&world.plain);
    for (unsigned i = 0; i < 8000; i++) {
        struct slice entry = random_entry(&world);
        uint64_t bit = below(&world, entry.len * 8);
        if (i % 2 == 0) {
            entry.blob->data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        }
        int err = fixture_apply(&world.plain, entry);
        cr_assert(err == 0 || err == ERR_VERSION);
        for (size_t at = 0; err == 0 && at < world.plain.effects.len; at++) {
            const struct effect *effect = &world.plain.effects.items[at];
            if (effect->kind == EFFECT_REPLY && effect->reply.attach_session != 0) {
                world.clients[effect->reply.attach_session % CLIENTS].session = effect->reply.attach_session;
            }
        }
        for (unsigned at = 0; at < CLIENTS; at++) {
            struct machine_session session;
            struct client *client = &world.clients[at];
            if (machine_session(world.plain.machine, client->session, &session) != 0) {
                *client = (struct client){0};
            } else {
                client->number = session.last_number;
                client->attachment = session.attachment;
            }
        }
        if (i % 500 == 0) {
            fixture_reopen(&world.plain);
        }
    }
    fixture_done(&world.plain);
}
