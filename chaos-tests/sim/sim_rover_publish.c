/* What rovers publish: to exchanges of all kinds, each message for itself, mandatory, prepared to be asked about, in transactions of
 * several parts. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "proto/base/bytes.h"
#include "proto/base/check.h"
#include "sim_actor.h"
#include "sim_rover.h"
#include "sim_world.h"

#define PARTS_MAX 2u
#define BODY_MAX 120u

/* A publish of a few messages, and what their heads and bodies need while it is packed. */
struct part {
    Holdfast__Publish publish;
    Holdfast__Prepare prepare;
    char id[32];
    char group[16];
    uint32_t head_lens[SIM_ACT_MESSAGES_MAX];
    uint32_t body_lens[SIM_ACT_MESSAGES_MAX];
    uint64_t hashes[SIM_ACT_MESSAGES_MAX];
    uint8_t bytes[SIM_ACT_MESSAGES_MAX * 400];
    size_t len;
};

static void head_draw(struct sim_actor *actor, Holdfast__MessageHead *head, bool nowhere)
{
    static const char *const ways[][2] = {{"", "r-plain"},    {"", "r-kept"},       {"", "r-bytes"},
                                          {"", "r-own-0"},    {"", "r-own-1"},      {"", "r-passing"},
                                          {"r-headers", "a"}, {"r-headers", "a.b"}, {"r-direct", "a"},
                                          {"r-topic", "a.b"}, {"r-topic", "c"},     {"r-lost", "a.b"}};
    unsigned way = sim_rover_draw(actor, sizeof ways / sizeof ways[0]);
    head->exchange = nowhere ? "" : (char *)ways[way][0];
    head->routing_key = nowhere ? "r-none" : (char *)ways[way][1];
    head->mandatory = nowhere || sim_rover_draw(actor, 3) == 0;
    head->delay_ms = !nowhere && sim_rover_draw(actor, 8) == 0 ? 1 + sim_rover_draw(actor, 200) : 0;
    head->group = sim_rover_draw(actor, 3) == 0 ? "one" : "";
    head->has_ttl = sim_rover_draw(actor, 8) == 0;
    head->ttl_ms = head->has_ttl ? sim_rover_draw(actor, 300) : 0;
}

static void part_add(struct sim_actor *actor, struct part *part, bool nowhere)
{
    size_t i = part->publish.n_body_len;
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    Holdfast__Header header = HOLDFAST__HEADER__INIT;
    Holdfast__Value value = HOLDFAST__VALUE__INIT;
    Holdfast__Header *headers = &header;
    uint8_t *at = part->bytes + part->len;
    uint64_t serial = SIM_ROVER_MARK << 56 | ++actor->world->rovers.serial;
    header.name = "kind";
    header.value = &value;
    value.kind_case = HOLDFAST__VALUE__KIND_INT64;
    value.int64 = (int64_t)sim_rover_draw(actor, 3);
    head.n_header = 1;
    head.header = &headers;
    head_draw(actor, &head, nowhere);
    size_t head_len = holdfast__message_head__pack(&head, at);
    size_t body_len = SIM_ACT_BODY_LEN + sim_rover_draw(actor, BODY_MAX);
    put_u64(at + head_len, serial);
    put_u64(at + head_len + 8, ~serial);
    memset(at + head_len + SIM_ACT_BODY_LEN, 'r', body_len - SIM_ACT_BODY_LEN);
    part->head_lens[i] = (uint32_t)head_len;
    part->body_lens[i] = (uint32_t)body_len;
    part->hashes[i] = XXH3_64bits(at, head_len + body_len);
    part->len += head_len + body_len;
    part->publish.n_head_len = part->publish.n_body_len = part->publish.n_body_hash = i + 1;
    part->publish.head_len = part->head_lens;
    part->publish.body_len = part->body_lens;
    part->publish.body_hash = part->hashes;
}

static void part_write(struct sim_actor *actor, struct part *part, unsigned messages, bool nowhere)
{
    *part = (struct part){.publish = HOLDFAST__PUBLISH__INIT, .prepare = HOLDFAST__PREPARE__INIT};
    for (unsigned i = 0; i < messages; i++) {
        part_add(actor, part, nowhere);
    }
}

static void send(struct sim_actor *actor, const Holdfast__Command *command, const struct part *parts,
                 unsigned parts_len, enum sim_actor_kind kind)
{
    size_t len = 0;
    for (unsigned i = 0; i < parts_len; i++) {
        len += parts[i].len;
    }
    struct blob *bodies = blob_new(len);
    CHECK(bodies != NULL);
    uint8_t *at = bodies->data;
    for (unsigned i = 0; i < parts_len; i++) {
        memcpy(at, parts[i].bytes, parts[i].len);
        at += parts[i].len;
    }
    struct sim_act act = {.kind = kind, .header = sim_features_pack(command), .bodies = slice_of_blob(bodies)};
    (void)sim_actor_submit(actor, &act);
}

static void publish_one(struct sim_actor *actor, bool nowhere)
{
    struct part part;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    part_write(actor, &part, nowhere ? 1 : 1 + sim_rover_draw(actor, SIM_ACT_MESSAGES_MAX), nowhere);
    part.publish.each = !nowhere && sim_rover_draw(actor, 2) == 0;
    command.kind_case = HOLDFAST__COMMAND__KIND_PUBLISH;
    command.publish = &part.publish;
    send(actor, &command, &part, 1, nowhere ? SIM_ACT_ROVE_NOWHERE : SIM_ACT_ROVE);
}

/* Nobody resolves it who is not asked. */
static void publish_prepared(struct sim_actor *actor)
{
    struct part part;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    part_write(actor, &part, 2, false);
    snprintf(part.id, sizeof part.id, "r-%u-%" PRIu64, actor->index, ++actor->prepares_made);
    snprintf(part.group, sizeof part.group, "r-group-%u", actor->index);
    part.prepare.id = part.id;
    part.prepare.group = part.group;
    part.prepare.ask_after_ms = 100 + sim_rover_draw(actor, 200);
    part.prepare.deadline_ms = 1500;
    part.publish.prepare = &part.prepare;
    command.kind_case = HOLDFAST__COMMAND__KIND_PUBLISH;
    command.publish = &part.publish;
    send(actor, &command, &part, 1, SIM_ACT_ROVE);
}

static void publish_transaction(struct sim_actor *actor)
{
    struct part parts[PARTS_MAX];
    Holdfast__Publish *publishes[PARTS_MAX];
    Holdfast__Settle settles[SIM_ACT_CONSUMERS];
    Holdfast__Settle *settle_list[SIM_ACT_CONSUMERS];
    uint64_t numbers[SIM_ACT_CONSUMERS][SIM_ACT_HELD_MAX];
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__Transact transact = HOLDFAST__TRANSACT__INIT;
    for (unsigned i = 0; i < PARTS_MAX; i++) {
        part_write(actor, &parts[i], 1 + sim_rover_draw(actor, 2), false);
        publishes[i] = &parts[i].publish;
    }
    for (unsigned i = 0; i < SIM_ACT_CONSUMERS; i++) {
        struct sim_actor_consumer *consumer = &actor->consumers[i];
        if (consumer->id != 0 && consumer->held_len > 0) {
            Holdfast__Settle *settle = &settles[transact.n_settle];
            *settle = (Holdfast__Settle)HOLDFAST__SETTLE__INIT;
            settle->consumer = consumer->id;
            settle->n_first = settle->n_last = sim_actor_take(actor, consumer, numbers[i]);
            settle->first = settle->last = numbers[i];
            settle_list[transact.n_settle++] = settle;
        }
    }
    transact.n_publish = PARTS_MAX;
    transact.publish = publishes;
    transact.settle = settle_list;
    command.kind_case = HOLDFAST__COMMAND__KIND_TRANSACT;
    command.transact = &transact;
    send(actor, &command, parts, PARTS_MAX, SIM_ACT_ROVE);
}

void sim_rover_publish(struct sim_actor *actor)
{
    unsigned what = sim_rover_draw(actor, 12);
    if (what == 0) {
        publish_one(actor, true);
    } else if (what <= 2) {
        publish_prepared(actor);
    } else if (what <= 4) {
        publish_transaction(actor);
    } else {
        publish_one(actor, false);
    }
}
