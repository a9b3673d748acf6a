/* What actors publish: messages with all that they may have, alone, numbered, prepared, and together with settlements. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "proto/base/bytes.h"
#include "proto/base/check.h"
#include "sim_actor.h"
#include "sim_world.h"

#define SHARED_PRODUCER "f-shared"

struct letter {
    struct slice heads[SIM_ACT_MESSAGES_MAX];
    uint64_t parcels[SIM_ACT_MESSAGES_MAX];
    unsigned len;
};

static struct slice pack_head(const Holdfast__MessageHead *head)
{
    struct blob *blob = blob_new(holdfast__message_head__get_packed_size(head));
    CHECK(blob != NULL);
    holdfast__message_head__pack(head, blob->data);
    return slice_of_blob(blob);
}

/* Mostly short; some outlast a time in which no node is up. */
#define SHORT_DELAY_MS_MAX 1100u
#define LONG_DELAY_PART_MS 120u

static uint64_t delay_of(uint64_t draw_ms)
{
    return draw_ms <= SHORT_DELAY_MS_MAX ? draw_ms : (draw_ms - SHORT_DELAY_MS_MAX) * LONG_DELAY_PART_MS;
}

static void letter_add(struct sim_actor *actor, struct letter *letter, uint64_t prepared)
{
    struct sim_random *random = &actor->random;
    const struct sim_route *route = &sim_routes[sim_random_between(random, 0, sim_routes_len - 1)];
    while (actor->world->features.narrow && (route->queues & (route->queues - 1)) != 0) {
        route = &sim_routes[sim_random_between(random, 0, sim_routes_len - 1)];
    }
    struct sim_parcel parcel = {.routes = route->queues, .prepared = prepared, .sent_us = sim_world_now(actor->world)};
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    char group[16] = "";
    char id[16] = "";
    head.exchange = (char *)route->exchange;
    head.routing_key = (char *)route->key;
    if (sim_random_chance(random, 600000)) {
        parcel.priority = (uint8_t)sim_random_between(random, 0, 12);
    }
    if (sim_random_chance(random, 700000)) {
        parcel.group = sim_random_between(random, 1, 4);
        snprintf(group, sizeof group, "group-%u", (unsigned)parcel.group);
    }
    if (sim_random_chance(random, 200000)) {
        parcel.has_ttl = true;
        parcel.ttl_ms = sim_random_between(random, 1, 700);
    }
    if (sim_random_chance(random, 200000)) {
        parcel.delay_ms = delay_of(sim_random_between(random, 1, 1200));
        if (prepared != 0 && actor->world->features.little) {
            parcel.delay_ms = 0; /* It would count from a commit of which the ledger cannot tell the entry. */
        }
    }
    if (sim_random_chance(random, 200000)) {
        parcel.id = (unsigned)sim_random_between(random, 1, SIM_SHARED_IDS);
        snprintf(id, sizeof id, "id-%u", parcel.id);
    }
    head.priority = parcel.priority;
    head.group = group;
    head.has_ttl = parcel.has_ttl;
    head.ttl_ms = parcel.ttl_ms;
    head.delay_ms = parcel.delay_ms;
    head.message_id = id;
    head.mandatory = sim_random_chance(random, 300000);
    letter->parcels[letter->len] = sim_ledger_send(actor->world, actor->index, &parcel);
    letter->heads[letter->len++] = pack_head(&head);
}

static void letter_write(struct sim_actor *actor, struct letter *letter, uint64_t prepared)
{
    *letter = (struct letter){0};
    unsigned count = (unsigned)sim_random_between(&actor->random, 1, SIM_ACT_MESSAGES_MAX);
    for (unsigned i = 0; i < count; i++) {
        letter_add(actor, letter, prepared);
    }
}

/* Packs the command `around` the publish, which it is in already, and gives it its messages. */
static bool letter_send(struct sim_actor *actor, struct letter *letter, Holdfast__Publish *publish,
                        const Holdfast__Command *around, enum sim_actor_kind kind)
{
    uint32_t head_lens[SIM_ACT_MESSAGES_MAX];
    uint32_t body_lens[SIM_ACT_MESSAGES_MAX];
    uint64_t hashes[SIM_ACT_MESSAGES_MAX];
    struct sim_act act = {.kind = kind, .parcels_len = letter->len};
    size_t len = 0;
    for (unsigned i = 0; i < letter->len; i++) {
        len += letter->heads[i].len + SIM_ACT_BODY_LEN;
    }
    struct blob *bodies = blob_new(len);
    CHECK(bodies != NULL);
    uint8_t *at = bodies->data;
    for (unsigned i = 0; i < letter->len; i++) {
        head_lens[i] = (uint32_t)letter->heads[i].len;
        body_lens[i] = SIM_ACT_BODY_LEN;
        memcpy(at, letter->heads[i].data, letter->heads[i].len);
        put_u64(at + head_lens[i], letter->parcels[i]);
        put_u64(at + head_lens[i] + 8, ~letter->parcels[i]);
        hashes[i] = XXH3_64bits(at, head_lens[i] + SIM_ACT_BODY_LEN);
        at += head_lens[i] + SIM_ACT_BODY_LEN;
        act.parcels[i] = letter->parcels[i];
        slice_unref(&letter->heads[i]);
    }
    publish->n_head_len = publish->n_body_len = publish->n_body_hash = letter->len;
    publish->head_len = head_lens;
    publish->body_len = body_lens;
    publish->body_hash = hashes;
    act.header = sim_features_pack(around);
    act.bodies = slice_of_blob(bodies);
    return sim_actor_submit(actor, &act);
}

/* Of those that a number follows the other one is under way at a time: a refusal would keep out what is behind it. */
static bool work_under_way(const struct sim_actor *actor, enum sim_actor_kind kind)
{
    for (unsigned i = 0; i < actor->commands_len; i++) {
        if (actor->commands[i].kind == kind && !actor->commands[i].answered) {
            return true;
        }
    }
    return false;
}

void sim_actor_publish(struct sim_actor *actor, enum sim_actor_kind kind)
{
    struct letter letter;
    char name[16];
    Holdfast__Publish publish = HOLDFAST__PUBLISH__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__Prepare prepare = HOLDFAST__PREPARE__INIT;
    char id[32];
    command.kind_case = HOLDFAST__COMMAND__KIND_PUBLISH;
    command.publish = &publish;
    snprintf(name, sizeof name, "f-actor-%u", actor->index);
    if (actor->commands_len == SIM_ACT_COMMANDS_MAX || (kind != SIM_ACT_PUBLISH && work_under_way(actor, kind))) {
        return;
    }
    uint64_t prepared = kind == SIM_ACT_PREPARE ? (uint64_t)(actor->index + 1) << 32 | ++actor->prepares_made : 0;
    letter_write(actor, &letter, prepared);
    if (kind == SIM_ACT_PUBLISH_NAMED) {
        publish.producer = name;
        publish.first_sequence = actor->sequence + 1;
        publish.no_gaps = true;
        actor->sequence += letter.len;
    } else if (kind == SIM_ACT_PUBLISH_SHARED) {
        publish.producer = SHARED_PRODUCER;
        publish.first_sequence = actor->shared_sequence + 1;
        publish.producer_epoch = actor->epoch;
        actor->shared_sequence += letter.len;
    } else if (kind == SIM_ACT_PREPARE) {
        snprintf(id, sizeof id, "p-%" PRIx64, prepared);
        prepare.id = id;
        prepare.deadline_ms = SIM_LEDGER_DEADLINE_MS;
        prepare.commit_at_deadline = prepared % 2 == 0;
        publish.prepare = &prepare;
        actor->prepared = prepared;
    }
    publish.in_order = kind == SIM_ACT_PUBLISH && letter.parcels[0] % 2 == 0;
    (void)letter_send(actor, &letter, &publish, &command, kind);
}

void sim_actor_resolve(struct sim_actor *actor)
{
    char id[32];
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__ResolvePrepared resolve = HOLDFAST__RESOLVE_PREPARED__INIT;
    snprintf(id, sizeof id, "p-%" PRIx64, actor->prepared);
    resolve.id = id;
    resolve.commit = sim_random_chance(&actor->random, 700000);
    command.kind_case = HOLDFAST__COMMAND__KIND_RESOLVE_PREPARED;
    command.resolve_prepared = &resolve;
    struct sim_act act = {.kind = SIM_ACT_RESOLVE, .header = sim_features_pack(&command)};
    if (sim_actor_submit(actor, &act)) {
        actor->prepared = 0;
    }
}

void sim_actor_open(struct sim_actor *actor)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__OpenProducer open = HOLDFAST__OPEN_PRODUCER__INIT;
    open.producer = SHARED_PRODUCER;
    command.kind_case = HOLDFAST__COMMAND__KIND_OPEN_PRODUCER;
    command.open_producer = &open;
    struct sim_act act = {.kind = SIM_ACT_OPEN, .header = sim_features_pack(&command)};
    (void)sim_actor_submit(actor, &act);
}

void sim_actor_transact(struct sim_actor *actor, unsigned slot)
{
    struct sim_actor_consumer *consumer = &actor->consumers[slot];
    uint64_t numbers[SIM_ACT_HELD_MAX];
    struct letter letter;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__Transact transact = HOLDFAST__TRANSACT__INIT;
    Holdfast__Publish publish = HOLDFAST__PUBLISH__INIT;
    Holdfast__Settle settle = HOLDFAST__SETTLE__INIT;
    Holdfast__Publish *publishes = &publish;
    Holdfast__Settle *settles = &settle;
    settle.consumer = consumer->id;
    settle.n_first = settle.n_last = sim_actor_take(actor, consumer, numbers);
    settle.first = settle.last = numbers;
    transact.n_publish = 1;
    transact.publish = &publishes;
    transact.n_settle = 1;
    transact.settle = &settles;
    command.kind_case = HOLDFAST__COMMAND__KIND_TRANSACT;
    command.transact = &transact;
    letter_write(actor, &letter, 0);
    (void)letter_send(actor, &letter, &publish, &command, SIM_ACT_TRANSACT);
}
