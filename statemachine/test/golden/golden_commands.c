/* Random commands for the recorded logs: sound ones, repeated, stale and malformed ones. */

#include <string.h>
#include <xxhash.h>

#include "golden_make.h"

static char *text_of(const char *text)
{
    return (char *)(uintptr_t)text;
}

static const char *random_queue(struct maker *maker)
{
    static const char *const queues[] = {"a", "b", "c", "orders/eu", "d", "\xc3\xa4", "", "bad\nname"};
    uint64_t at = below(maker, 40);
    return queues[at < 34 ? at % 4 : at - 34 + 2];
}

void add_attach(struct maker *maker, const void *key, size_t key_len, uint64_t node, bool resume, uint32_t lease_ms)
{
    static const char *const hosts[] = {"", "/", "other"};
    static const char *const names[] = {"golden", "", "bad\x01name"};
    Holdfast__AttachSession attach = HOLDFAST__ATTACH_SESSION__INIT;
    Holdfast__Origin origin = HOLDFAST__ORIGIN__INIT;
    attach.key = (ProtobufCBinaryData){.len = key_len, .data = (uint8_t *)(uintptr_t)key};
    attach.resume = resume;
    attach.lease_ms = lease_ms;
    attach.virtual_host = text_of(hosts[below(maker, 20) < 19 ? below(maker, 2) : 2]);
    attach.client = text_of(names[below(maker, 20) < 19 ? below(maker, 2) : 2]);
    attach.attempt = below(maker, 3) == 0 ? below(maker, 3 + maker->index / 8) : 0;
    origin.node = node;
    origin.run = node - 1 < NODES ? maker->runs[node - 1] : 5;
    origin.tag = below(maker, 8) == 0 ? maker->tag : ++maker->tag;
    attach.origin = below(maker, 50) == 0 ? NULL : &origin;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_ATTACH_SESSION;
    command.attach_session = &attach;
    add(maker, &(struct entry_command){0}, &command, NULL, 0);
}

void add_declare(struct maker *maker, const struct entry_command *from, const char *queue)
{
    Holdfast__DeclareQueue declare = HOLDFAST__DECLARE_QUEUE__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    declare.queue = text_of(queue);
    command.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_QUEUE;
    command.declare_queue = &declare;
    add(maker, from, &command, NULL, 0);
}

void add_subscribe(struct maker *maker, const struct entry_command *from, const char *queue, uint64_t consumer,
                   uint32_t credit)
{
    Holdfast__Subscribe subscribe = HOLDFAST__SUBSCRIBE__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    subscribe.queue = text_of(queue);
    subscribe.consumer = consumer;
    subscribe.credit = credit;
    command.kind_case = HOLDFAST__COMMAND__KIND_SUBSCRIBE;
    command.subscribe = &subscribe;
    add(maker, from, &command, NULL, 0);
}

void add_set_credit(struct maker *maker, const struct entry_command *from, uint64_t consumer, uint32_t credit)
{
    Holdfast__SetCredit set_credit = HOLDFAST__SET_CREDIT__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    set_credit.consumer = consumer;
    set_credit.credit = credit;
    command.kind_case = HOLDFAST__COMMAND__KIND_SET_CREDIT;
    command.set_credit = &set_credit;
    add(maker, from, &command, NULL, 0);
}

void add_publish_empty(struct maker *maker, const struct entry_command *from, const char *queue, size_t count)
{
    static uint32_t lens[4096];
    static uint64_t hashes[4096];
    require(count <= 4096, "a publish has at most 4096 messages");
    for (size_t i = 0; i < count; i++) {
        hashes[i] = XXH3_64bits("", 0);
    }
    Holdfast__Publish publish = HOLDFAST__PUBLISH__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    publish.queue = text_of(queue);
    publish.n_body_len = publish.n_body_hash = count;
    publish.body_len = lens;
    publish.body_hash = hashes;
    command.kind_case = HOLDFAST__COMMAND__KIND_PUBLISH;
    command.publish = &publish;
    add(maker, from, &command, NULL, 0);
}

/* The producer goes on where it was, or begins a little earlier or later. */
static void choose_producer(struct maker *maker, Holdfast__Publish *publish)
{
    static const char *const producers[] = {"x", "y", "z"};
    uint64_t at = below(maker, 3);
    uint64_t back = below(maker, 4) == 0 ? below(maker, 8) : 0;
    if (below(maker, 40) == 0) {
        publish->producer = text_of("not\na\nname");
        publish->first_sequence = 1;
    } else if (below(maker, 3) != 0) {
        publish->producer = text_of(producers[at]);
        publish->first_sequence = maker->sequences[at] + 1 > back ? maker->sequences[at] + 1 - back : 0;
        publish->first_sequence += below(maker, 10) == 0 ? below(maker, 5) : 0;
        publish->first_sequence = below(maker, 60) == 0 ? 0 : publish->first_sequence;
        maker->sequences[at] = publish->first_sequence + publish->n_body_len - 1;
    }
}

static void add_publish(struct maker *maker, const struct entry_command *from)
{
    uint8_t bodies[16 * 12];
    uint32_t lens[16];
    uint64_t hashes[16];
    size_t at = 0;
    Holdfast__Publish publish = HOLDFAST__PUBLISH__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    publish.n_body_len = publish.n_body_hash = 1 + below(maker, 16);
    for (size_t i = 0; i < publish.n_body_len; i++) {
        lens[i] = (uint32_t)below(maker, 12);
        memset(bodies + at, (int)below(maker, 256), lens[i]);
        hashes[i] = XXH3_64bits(bodies + at, lens[i]) + (below(maker, 300) == 0);
        at += lens[i];
    }
    publish.queue = text_of(random_queue(maker));
    publish.body_len = lens;
    publish.body_hash = hashes;
    choose_producer(maker, &publish);
    uint64_t oddity = below(maker, 60);
    publish.n_body_hash -= oddity == 0;
    lens[0] = oddity == 1 ? 17u << 20 : lens[0];
    publish.n_body_len = oddity == 2 ? 0 : publish.n_body_len;
    command.kind_case = HOLDFAST__COMMAND__KIND_PUBLISH;
    command.publish = &publish;
    add(maker, from, &command, bodies, at - (oddity == 3 && at > 0));
}

static void add_settle(struct maker *maker, const struct entry_command *from, const struct maker_client *client)
{
    uint64_t firsts[3];
    uint64_t lasts[3];
    uint64_t consumer = 1 + below(maker, CONSUMERS);
    for (unsigned i = 0; i < CONSUMERS && client->delivered[consumer] == 0 && below(maker, 4) != 0; i++) {
        consumer = 1 + consumer % CONSUMERS;
    }
    uint64_t delivered = client->delivered[consumer];
    Holdfast__Settle settle = HOLDFAST__SETTLE__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    settle.consumer = consumer;
    settle.outcome = (Holdfast__Settle__Outcome)(below(maker, 12) == 0 ? 7 : below(maker, 3));
    settle.n_first = settle.n_last = 1 + below(maker, 3);
    for (size_t i = 0; i < settle.n_first; i++) {
        uint64_t back = below(maker, 20);
        firsts[i] = delivered > back ? delivered - back : 1;
        lasts[i] = firsts[i] + below(maker, delivered - (firsts[i] < delivered ? firsts[i] : delivered) + 1);
    }
    uint64_t oddity = below(maker, 60);
    settle.n_last -= oddity == 0;
    firsts[0] = oddity == 1 ? 0 : firsts[0];
    firsts[0] = oddity == 2 ? lasts[0] + 1 : firsts[0];
    lasts[0] = oddity == 3 ? UINT64_MAX : lasts[0];
    settle.first = firsts;
    settle.last = lasts;
    command.kind_case = HOLDFAST__COMMAND__KIND_SETTLE;
    command.settle = &settle;
    add(maker, from, &command, NULL, 0);
}

static void add_consume(struct maker *maker, const struct entry_command *from)
{
    Holdfast__Unsubscribe unsubscribe = HOLDFAST__UNSUBSCRIBE__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    uint64_t kind = below(maker, 12);
    uint64_t consumer = below(maker, CONSUMERS + 1) + (below(maker, 20) == 0 ? 0 : 1);
    uint32_t credit = below(maker, 30) == 0 ? 70000 : (uint32_t)below(maker, 25);
    if (kind < 6) {
        add_subscribe(maker, from, random_queue(maker), consumer, credit);
        return;
    }
    if (kind < 10) {
        add_set_credit(maker, from, consumer, credit);
        return;
    }
    command.kind_case = HOLDFAST__COMMAND__KIND_UNSUBSCRIBE;
    command.unsubscribe = &unsubscribe;
    unsubscribe.consumer = consumer;
    add(maker, from, &command, NULL, 0);
}

static void add_rare(struct maker *maker, const struct entry_command *from)
{
    Holdfast__DeleteQueue delete = HOLDFAST__DELETE_QUEUE__INIT;
    Holdfast__PurgeQueue purge = HOLDFAST__PURGE_QUEUE__INIT;
    Holdfast__Refused refused = HOLDFAST__REFUSED__INIT;
    Holdfast__CloseSession close = HOLDFAST__CLOSE_SESSION__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    uint64_t kind = below(maker, 24);
    if (kind < 12) {
        add_declare(maker, from, random_queue(maker));
        return;
    }
    if (kind < 15) {
        command.kind_case = HOLDFAST__COMMAND__KIND_DELETE_QUEUE;
        command.delete_queue = &delete;
        delete.queue = text_of(random_queue(maker));
        delete.if_empty = below(maker, 2) == 0;
    } else if (kind < 19) {
        command.kind_case = HOLDFAST__COMMAND__KIND_PURGE_QUEUE;
        command.purge_queue = &purge;
        purge.queue = text_of(random_queue(maker));
    } else if (kind < 23) {
        command.kind_case = HOLDFAST__COMMAND__KIND_REFUSED;
        command.refused = &refused;
        refused.error = (uint32_t)below(maker, 29); /* Those that version 1 was released with. */
    } else {
        command.kind_case = HOLDFAST__COMMAND__KIND_CLOSE_SESSION;
        command.close_session = &close;
    }
    add(maker, from, &command, NULL, 0);
}

static void add_of_node(struct maker *maker, const struct entry_command *from, const struct maker_client *client)
{
    Holdfast__DetachSession detach = HOLDFAST__DETACH_SESSION__INIT;
    Holdfast__NodePresent present = HOLDFAST__NODE_PRESENT__INIT;
    Holdfast__NodeLost lost = HOLDFAST__NODE_LOST__INIT;
    Holdfast__RaiseVersion raise = HOLDFAST__RAISE_VERSION__INIT;
    Holdfast__Origin origin = HOLDFAST__ORIGIN__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    uint64_t kind = below(maker, 20);
    uint64_t node = below(maker, NODES);
    if (kind < 9) {
        command.kind_case = HOLDFAST__COMMAND__KIND_DETACH_SESSION;
        command.detach_session = &detach;
        detach.session = client->session;
        detach.attachment = client->attachment - (below(maker, 5) == 0);
        origin.node = 1;
        origin.run = maker->runs[0];
        origin.tag = ++maker->tag;
        detach.origin = below(maker, 10) == 0 ? NULL : &origin;
    } else if (kind < 16) {
        command.kind_case = HOLDFAST__COMMAND__KIND_NODE_PRESENT;
        command.node_present = &present;
        maker->runs[node] += below(maker, 3) == 0 || maker->runs[node] == 0;
        present.node = below(maker, 40) == 0 ? 0 : node + 1;
        present.run = maker->runs[node];
    } else if (kind < 19) {
        command.kind_case = HOLDFAST__COMMAND__KIND_NODE_LOST;
        command.node_lost = &lost;
        lost.node = node + 1;
        lost.run = maker->runs[node] + (below(maker, 4) == 0);
    } else {
        command.kind_case = HOLDFAST__COMMAND__KIND_RAISE_VERSION;
        command.raise_version = &raise;
        raise.version = (uint32_t)below(maker, 2);
    }
    add(maker, from, &command, NULL, 0);
}

/* Headers that cannot be decoded, kinds that are none, bodies where none belong. */
static void add_malformed(struct maker *maker, const struct entry_command *from)
{
    static const struct {
        const char *header;
        size_t len;
    } headers[] = {
        {"\xff\xff\xff", 3},     /* No tag. */
        {"\x22\x05\x0a\x7f", 4}, /* A length beyond the end. */
        {"\x22\x05\x0a\x03"
         "a\0b",
         7},                 /* A queue's name with a zero byte. */
        {"", 0},             /* No kind. */
        {"\x1a\x00", 2},     /* The reserved kind 3. */
        {"\xa2\x7f\x00", 3}, /* Kind 2036. */
        {"\x20\x01", 2},     /* DeclareQueue as a number. */
        {"\x22\x03\x0a\x01"
         "a\x22\x00",
         7}, /* DeclareQueue twice. */
        {"\x3a\x00\x22\x03\x0a\x01"
         "a",
         7}, /* Another kind first. */
    };
    size_t at = below(maker, sizeof headers / sizeof headers[0]);
    add_raw(maker, from, headers[at].header, headers[at].len, "x", below(maker, 4) == 0);
}

static void add_of_client(struct maker *maker, struct maker_client *client)
{
    struct entry_command from = next_of(client);
    uint64_t oddity = below(maker, 60);
    if (oddity <= 1) {
        client->number--;
        from.number = oddity == 0 ? below(maker, client->number + 3) : client->number;
    } else if (oddity == 2) {
        client->number--;
        from.attachment--;
    } else if (oddity == 3) {
        from.session += 1000;
        client->number--;
    }
    uint64_t kind = below(maker, 100);
    if (kind < 34) {
        add_publish(maker, &from);
    } else if (kind < 64) {
        add_settle(maker, &from, client);
    } else if (kind < 80) {
        add_consume(maker, &from);
    } else if (kind < 92) {
        add_rare(maker, &from);
    } else if (kind < 94) {
        add_malformed(maker, &from);
    } else if (kind < 99) {
        add_unknown(maker, &from);
    } else {
        add_of_node(maker, &from, client);
    }
}

void add_random(struct maker *maker)
{
    uint64_t at = below(maker, CLIENTS);
    struct maker_client *client = &maker->clients[at];
    struct entry_command nobody = {0};
    if (below(maker, 40) == 0) {
        add_of_node(maker, &nobody, client);
    } else if (client->session == 0 || below(maker, 40) == 0) {
        uint8_t key[16] = {(uint8_t)(at + 1)};
        add_attach(maker, key, below(maker, 30) == 0 ? 15 : 16, 1 + below(maker, NODES + (below(maker, 30) == 0)),
                   below(maker, 4) == 0, below(maker, 2) == 0 ? 0 : (uint32_t)below(maker, 30000));
    } else if (below(maker, 150) == 0) {
        add_malformed(maker, &nobody);
    } else if (below(maker, 150) == 0) {
        add_unknown(maker, &nobody);
    } else if (below(maker, 150) == 0) {
        add_declare(maker, &nobody, "a");
    } else {
        add_of_client(maker, client);
    }
}
