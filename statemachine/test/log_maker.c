/* Random logs of version 2: who is there, and whose turn it is. */

#include "log_maker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEASE_MS 1000u

static void require(bool holds)
{
    if (!holds) {
        (void)fputs("log_maker: no memory\n", stderr);
        abort();
    }
}

/* SplitMix64. */
uint64_t maker_below(struct log_maker *maker, uint64_t limit)
{
    uint64_t z = maker->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (z ^ z >> 31) % limit;
}

bool maker_may(struct log_maker *maker, enum log_feature feature, unsigned of)
{
    return maker_below(maker, of) == 0 && (maker->uses >> feature & 1) != 0;
}

char *maker_text(const char *text)
{
    return (char *)(uintptr_t)text;
}

char *maker_queue(struct log_maker *maker)
{
    static const char *const queues[] = {"a", "b", "c", "a", "b", "c", "d", "e"};
    static const char *const odd[] = {"", "\xc3\xa4", "not there", "bad\nname"};
    return maker_text(maker_may(maker, USES_ODDITIES, 20) ? MAKER_PICK(maker, odd) : MAKER_PICK(maker, queues));
}

char *maker_exchange(struct log_maker *maker)
{
    static const char *const exchanges[] = {"e", "f", "g", "e", "amq.topic", "amq.direct", "amq.headers", "amq.fanout"};
    static const char *const odd[] = {"", "not there", "amq.new", "bad\nname"};
    return maker_text(maker_may(maker, USES_ODDITIES, 12) ? MAKER_PICK(maker, odd) : MAKER_PICK(maker, exchanges));
}

char *maker_key(struct log_maker *maker)
{
    static const char *const keys[] = {"a", "b", "c", "x.y", "x.z.y", "", "#", "x.*", "*.#.y", "k"};
    return maker_text(MAKER_PICK(maker, keys));
}

uint64_t maker_time(struct log_maker *maker)
{
    static const uint64_t times[] = {1, 2, 5, 5, 20, 60, 60, 300, 2000, 90000000};
    return MAKER_PICK(maker, times);
}

void maker_add(struct log_maker *maker, const struct entry_command *from, const Holdfast__Command *command,
               struct slice bodies)
{
    uint8_t head[ENTRY_COMMAND_HEAD_LEN];
    struct entry_command with = *from;
    with.header.len = holdfast__command__get_packed_size(command);
    with.bodies.len = bodies.len;
    entry_command_head_encode(&with, head);
    require(bytes_append(&maker->bytes, head, sizeof head) == 0);
    require(bytes_reserve(&maker->bytes, with.header.len) == 0);
    holdfast__command__pack(command, maker->bytes.data + maker->bytes.len);
    maker->bytes.len += with.header.len;
    require(bytes_append(&maker->bytes, bodies.data, bodies.len) == 0);
    maker->commands++;
    maker->kinds[command->kind_case]++;
}

/* ---- Nodes and sessions ---- */

static void add_attach(struct log_maker *maker, unsigned at)
{
    static const char *const hosts[MAKER_CLIENTS] = {"", "/", "", "", "v", "w"};
    uint8_t key[16] = {(uint8_t)(at + 1)};
    Holdfast__AttachSession attach = HOLDFAST__ATTACH_SESSION__INIT;
    Holdfast__Origin origin = HOLDFAST__ORIGIN__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_ATTACH_SESSION;
    command.attach_session = &attach;
    attach.key = (ProtobufCBinaryData){.len = sizeof key, .data = key};
    attach.resume = maker_below(maker, 4) == 0;
    attach.virtual_host = maker_text((maker->uses >> USES_HOSTS & 1) != 0 ? hosts[at] : "");
    attach.user = maker_text(at % 2 == 0 ? "" : "user");
    attach.client = maker_text("maker");
    attach.lease_ms = LEASE_MS;
    attach.attempt = maker_below(maker, 4) == 0 ? maker_below(maker, 3 + maker->index / 16) : 0;
    origin.node = 1 + maker_below(maker, MAKER_NODES);
    origin.run = maker->runs[origin.node - 1];
    origin.tag = maker_below(maker, 6) == 0 ? maker->tag : ++maker->tag;
    attach.origin = &origin;
    maker_add(maker, &(struct entry_command){0}, &command, (struct slice){0});
}

static void add_present(struct log_maker *maker, uint64_t node)
{
    Holdfast__NodePresent present = HOLDFAST__NODE_PRESENT__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_NODE_PRESENT;
    command.node_present = &present;
    maker->runs[node] += maker->runs[node] == 0 || maker_below(maker, 4) == 0;
    present.node = node + 1;
    present.run = maker->runs[node];
    maker_add(maker, &(struct entry_command){0}, &command, (struct slice){0});
}

static void add_of_node(struct log_maker *maker, const struct log_maker_client *client)
{
    Holdfast__DetachSession detach = HOLDFAST__DETACH_SESSION__INIT;
    Holdfast__NodeLost lost = HOLDFAST__NODE_LOST__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    uint64_t kind = maker_below(maker, 8);
    uint64_t node = maker_below(maker, MAKER_NODES);
    if (kind < 4) {
        add_present(maker, node);
        return;
    }
    if (kind < 7) {
        command.kind_case = HOLDFAST__COMMAND__KIND_DETACH_SESSION;
        command.detach_session = &detach;
        detach.session = client->session;
        detach.attachment = client->attachment - (maker_below(maker, 5) == 0);
    } else {
        command.kind_case = HOLDFAST__COMMAND__KIND_NODE_LOST;
        command.node_lost = &lost;
        lost.node = node + 1;
        lost.run = maker->runs[node];
    }
    maker_add(maker, &(struct entry_command){0}, &command, (struct slice){0});
}

static void add_rare(struct log_maker *maker, const struct entry_command *from)
{
    Holdfast__Refused refused = HOLDFAST__REFUSED__INIT;
    Holdfast__CloseSession close = HOLDFAST__CLOSE_SESSION__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    uint64_t kind = maker_below(maker, 12);
    if (kind < 6) {
        maker_add_host(maker, from);
        return;
    }
    command.kind_case = kind < 10 ? HOLDFAST__COMMAND__KIND_REFUSED : HOLDFAST__COMMAND__KIND_CLOSE_SESSION;
    if (kind < 10) {
        command.refused = &refused;
        refused.error = (uint32_t)maker_below(maker, 40);
    } else {
        command.close_session = &close;
    }
    maker_add(maker, from, &command, (struct slice){0});
}

/* ---- Entries ---- */

enum what { QUEUES, EXCHANGES, PUBLISHES, TRANSACTS, PRODUCERS, CONSUMES, SETTLES, MOVES, WHATS };

static const unsigned usual[WHATS] = {14, 8, 30, 6, 4, 16, 30, 4};

static enum what choose(struct log_maker *maker)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < WHATS; i++) {
        sum += maker->weights[i];
    }
    uint64_t at = maker_below(maker, sum);
    unsigned what = 0;
    while (at >= maker->weights[what]) {
        at -= maker->weights[what++];
    }
    return (enum what)what;
}

static void add_of_client(struct log_maker *maker, struct log_maker_client *client)
{
    struct entry_command from = {.session = client->session,
                                 .attachment = client->attachment,
                                 .number = ++client->number,
                                 .answered = client->answered};
    if (maker_may(maker, USES_ODDITIES, 40)) {
        from.number -= maker_below(maker, 2);
        from.attachment -= maker_below(maker, 2);
        client->number--;
    }
    if (maker_below(maker, 60) == 0) {
        add_rare(maker, &from);
        return;
    }
    switch (choose(maker)) {
    case QUEUES: maker_add_queue(maker, &from); break;
    case EXCHANGES: maker_add_exchange(maker, &from); break;
    case PUBLISHES: maker_add_publish(maker, &from); break;
    case TRANSACTS: maker_add_transact(maker, &from, client); break;
    case PRODUCERS: maker_add_producer(maker, &from); break;
    case CONSUMES: maker_add_consume(maker, &from); break;
    case SETTLES: maker_add_settle(maker, &from, client); break;
    default: maker_add_move(maker, &from);
    }
}

static void add_random(struct log_maker *maker)
{
    unsigned at = (unsigned)maker_below(maker, MAKER_CLIENTS);
    struct log_maker_client *client = &maker->clients[at];
    if (maker_below(maker, 60) == 0) {
        add_of_node(maker, client);
    } else if (client->session == 0 || maker_below(maker, 40) == 0) {
        add_attach(maker, at);
    } else {
        add_of_client(maker, client);
    }
}

static void add_raise(struct log_maker *maker)
{
    Holdfast__RaiseVersion raise = HOLDFAST__RAISE_VERSION__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_RAISE_VERSION;
    command.raise_version = &raise;
    raise.version = MACHINE_VERSION_MAX;
    maker_add(maker, &(struct entry_command){0}, &command, (struct slice){0});
}

/* The virtual hosts of those who are not in "/". */
static void add_hosts(struct log_maker *maker, struct log_maker_client *client)
{
    static const char *const hosts[] = {"v", "w"};
    for (unsigned i = 0; i < 2; i++) {
        struct entry_command from = {
            .session = client->session, .attachment = client->attachment, .number = ++client->number};
        Holdfast__CreateVirtualHost create = HOLDFAST__CREATE_VIRTUAL_HOST__INIT;
        Holdfast__Command command = HOLDFAST__COMMAND__INIT;
        command.kind_case = HOLDFAST__COMMAND__KIND_CREATE_VIRTUAL_HOST;
        command.create_virtual_host = &create;
        create.virtual_host = maker_text(hosts[i]);
        maker_add(maker, &from, &command, (struct slice){0});
    }
}

static void add_some(struct log_maker *maker)
{
    if (maker->index == 1) {
        for (uint64_t node = 0; node < MAKER_NODES; node++) {
            add_present(maker, node);
        }
    } else if (maker->index == 2) {
        for (unsigned at = 0; at < MAKER_CLIENTS; at++) {
            add_attach(maker, at);
        }
    } else if (maker->index == maker->raise_at + 2 && maker->clients[0].session != 0) {
        add_hosts(maker, &maker->clients[0]);
    } else {
        for (uint64_t i = maker_below(maker, 5); i > 0; i--) {
            add_random(maker);
        }
    }
}

void log_maker_init(struct log_maker *maker, uint64_t seed, uint64_t uses)
{
    static const unsigned factors[] = {0, 1, 2, 2, 4};
    uint8_t head[ENTRY_HEAD_LEN] = {0};
    *maker = (struct log_maker){.random = seed, .time_ms = UINT64_C(1700000000000), .uses = uses, .raise_at = 1};
    for (unsigned i = 0; i < LOG_FEATURES && uses == 0; i++) {
        maker->uses |= maker_below(maker, 3) == 0 ? UINT64_C(1) << i : 0;
    }
    for (unsigned i = 0; i < WHATS; i++) {
        maker->weights[i] = 2 + usual[i] * (uses != 0 ? 1 : MAKER_PICK(maker, factors));
    }
    require(bytes_append(&maker->bytes, head, sizeof head) == 0);
}

void log_maker_done(struct log_maker *maker)
{
    bytes_done(&maker->bytes);
}

struct slice log_maker_next(struct log_maker *maker)
{
    struct slice entry;
    if (++maker->index == maker->raise_at) {
        add_raise(maker);
    }
    add_some(maker);
    maker->time_ms += maker_below(maker, 4) + (maker_below(maker, 16) == 0 ? maker_below(maker, 400) : 0);
    maker->time_ms += maker_may(maker, USES_LATE, 80) ? maker_time(maker) : 0;
    entry_head_encode(&(struct entry_head){.machine_version = maker->index > maker->raise_at ? MACHINE_VERSION_MAX : 1,
                                           .time_ms = maker->time_ms,
                                           .commands = maker->commands,
                                           .len = (uint32_t)(maker->bytes.len - ENTRY_HEAD_LEN)},
                      maker->bytes.data);
    require(slice_copy(maker->bytes.data, maker->bytes.len, &entry) == 0);
    maker->bytes.len = ENTRY_HEAD_LEN;
    maker->commands = 0;
    return entry;
}

static void learn(struct log_maker *maker, const struct effect *effect)
{
    for (unsigned i = 0; i < MAKER_CLIENTS; i++) {
        struct log_maker_client *client = &maker->clients[i];
        if (client->session == 0 || effect->session != client->session) {
            continue;
        }
        if (effect->kind == EFFECT_DELIVER && effect->delivery.consumer <= MAKER_CONSUMERS) {
            client->delivered[effect->delivery.consumer] = effect->delivery.number;
        } else if (effect->kind == EFFECT_SESSION_ENDED) {
            *client = (struct log_maker_client){0};
        }
    }
}

/* A client without a session takes what an attachment gave, unless another one has it. */
static void adopt(struct log_maker *maker, uint64_t session)
{
    struct log_maker_client *vacant = NULL;
    for (unsigned i = 0; i < MAKER_CLIENTS; i++) {
        if (maker->clients[i].session == session) {
            return;
        }
        if (maker->clients[i].session == 0 && vacant == NULL) {
            vacant = &maker->clients[i];
        }
    }
    if (vacant != NULL) {
        vacant->session = session;
    }
}

void log_maker_learn(struct log_maker *maker, struct machine *machine, const struct effects *effects)
{
    for (size_t i = 0; i < effects->len; i++) {
        const struct effect *effect = &effects->items[i];
        learn(maker, effect);
        if (effect->kind == EFFECT_REPLY && effect->reply.attach_session != 0) {
            adopt(maker, effect->reply.attach_session);
        }
    }
    for (unsigned i = 0; i < MAKER_CLIENTS; i++) {
        struct log_maker_client *client = &maker->clients[i];
        struct machine_session session;
        if (client->session == 0) {
            continue;
        }
        if (machine_session(machine, client->session, &session) != 0) {
            *client = (struct log_maker_client){0};
            continue;
        }
        client->attachment = session.attachment;
        client->number = session.last_number;
        if (maker_below(maker, 4) == 0) {
            client->answered = client->number;
        }
    }
}
