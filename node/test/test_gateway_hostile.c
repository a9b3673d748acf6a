/* Whatever one other node's gateway says, and however often, the nodes stay up, and serve again when it stops. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "node/core/gateway.h"
#include "rpc/native/native_frame.h"
#include "three_nodes.h"

#define HOSTILE 2u /* Besides what the node of that number itself says: a majority that lies is believed. */
#define STRANGER 77u
#define FRAMES 4000u

static struct three three;
static struct client one;
static uint64_t dice;

static uint64_t throw(uint64_t below)
{
    uint64_t z = (dice += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    return (z ^ (z >> 31)) % below;
}

/* A number that is nothing much, or one at which something ends. */
static uint64_t number(void)
{
    static const uint64_t ends[] = {
        0, 1, UINT32_MAX, (uint64_t)UINT32_MAX + 1, INT64_MAX, UINT64_MAX, INT64_MAX / 2, UINT64_MAX - 1, 255, 256};
    return throw(2) == 0 ? throw(40) : ends[throw(ARRAY_LEN(ends))];
}

static char *text(void)
{
    static char long_one[2000];
    static char *const texts[] = {"",     "127.0.0.1:1", "no address", "two\nlines", "\xff\xfe",
                                  "%s%n", "\x1b[2J",     "rack-1",     long_one};
    memset(long_one, 'x', sizeof long_one - 1);
    return texts[throw(ARRAY_LEN(texts))];
}

/* The frame as it would arrive; what the node says to it is whether the connection ends. */
static void tell(struct three_node *to, uint64_t from, Holdfast__PeerGateway *message)
{
    struct frame_out out;
    if (to->shard == NULL || native_frame_encode(FRAME_PEER_GATEWAY, &message->base, NULL, 0, &out) != 0) {
        return;
    }
    struct frame frame = {.type = FRAME_PEER_GATEWAY};
    frame.header = (struct slice){
        .data = out.head->data + FRAME_PREFIX_LEN, .len = out.head->len - FRAME_PREFIX_LEN, .blob = out.head};
    int err = shard_receive(to->shard, from, &frame);
    cr_assert(err == 0 || err == ERR_BROKEN, "%d", err);
    frame_out_done(&out);
}

static void fill_digests(Holdfast__Digests *digests, uint64_t values[4][DIGESTS_KEPT + 2])
{
    size_t len = throw(DIGESTS_KEPT + 3);
    for (size_t i = 0; i < len; i++) {
        for (unsigned k = 0; k < 4; k++) {
            values[k][i] = number();
        }
    }
    digests->n_index = digests->n_state_index = len;
    digests->n_running = throw(8) == 0 ? len / 2 : len;
    digests->n_state = throw(8) == 0 ? len / 2 : len;
    digests->index = values[0];
    digests->running = values[1];
    digests->state_index = values[2];
    digests->state = values[3];
    digests->state_format = MACHINE_MEMORY_DIGEST_FORMAT;
    digests->latest_index = number();
    digests->latest = number();
}

/* Nothing that a member may ask for, and would get: nobody is taken out. */
static void fill_change(Holdfast__ChangeMember *change)
{
    change->id = number();
    change->kind = (Holdfast__ChangeMember__Kind)(throw(3) == 0 ? number() & INT32_MAX : throw(4));
    change->node = throw(2) == 0 ? 0 : 1000 + throw(1000);
    change->address = text();
}

static void tell_something(struct three_node *to, uint64_t from)
{
    uint64_t values[4][DIGESTS_KEPT + 2];
    Holdfast__PeerGateway message = HOLDFAST__PEER_GATEWAY__INIT;
    Holdfast__Presence presence = HOLDFAST__PRESENCE__INIT;
    Holdfast__ReadIndex read_index = HOLDFAST__READ_INDEX__INIT;
    Holdfast__ChangeMember change = HOLDFAST__CHANGE_MEMBER__INIT;
    Holdfast__ChangeMemberResult result = HOLDFAST__CHANGE_MEMBER_RESULT__INIT;
    Holdfast__Digests digests = HOLDFAST__DIGESTS__INIT;
    Holdfast__Repair repair = HOLDFAST__REPAIR__INIT;
    Holdfast__WallClock clock = HOLDFAST__WALL_CLOCK__INIT;
    message.run = throw(4) == 0 ? number() : 5;
    message.term = throw(4) == 0 ? number() : gateway_core_of(to->home.gateway)->term;
    switch (throw(7)) {
    case 0:
        message.kind_case = HOLDFAST__PEER_GATEWAY__KIND_PRESENCE;
        message.presence = &presence;
        presence.wants_vote = (protobuf_c_boolean) throw(2);
        presence.alarm = text();
        break;
    case 1:
        message.kind_case = HOLDFAST__PEER_GATEWAY__KIND_READ_INDEX;
        message.read_index = &read_index;
        read_index.id = number();
        break;
    case 2:
        message.kind_case = HOLDFAST__PEER_GATEWAY__KIND_CHANGE_MEMBER;
        message.change_member = &change;
        fill_change(&change);
        break;
    case 3:
        message.kind_case = HOLDFAST__PEER_GATEWAY__KIND_CHANGE_MEMBER_RESULT;
        message.change_member_result = &result;
        result.id = number();
        result.error = (uint32_t)number();
        result.detail = text();
        break;
    case 4:
        message.kind_case = HOLDFAST__PEER_GATEWAY__KIND_DIGESTS;
        message.digests = &digests;
        fill_digests(&digests, values);
        break;
    case 5:
        message.kind_case = HOLDFAST__PEER_GATEWAY__KIND_REPAIR;
        message.repair = &repair;
        repair.reason = text();
        from = throw(2) == 0 ? STRANGER : to->id; /* From a member it would be done. */
        break;
    default:
        message.kind_case = HOLDFAST__PEER_GATEWAY__KIND_WALL_CLOCK;
        message.wall_clock = &clock;
        clock.wall_ms = number();
        clock.zone = text();
        clock.preferred = (protobuf_c_boolean) throw(2);
        break;
    }
    tell(to, from, &message);
}

static void setup(void)
{
    three_start(&three, NULL);
    client_init(&one, &three.leader->home, 1);
    client_ready(&one);
    dice = 1;
}

static void teardown(void)
{
    client_done(&one);
    three_stop(&three);
}

TestSuite(gateway_hostile, .init = setup, .fini = teardown);

Test(gateway_hostile, anything_may_be_said)
{
    for (unsigned i = 0; i < FRAMES; i++) {
        static const uint64_t from[] = {HOSTILE, HOSTILE, STRANGER, UINT64_MAX};
        tell_something(&three.nodes[throw(2) == 0 ? 0 : 2], from[throw(ARRAY_LEN(from))]);
        if (i % 16 == 0) {
            three_wait(&three, THREE_HEARTBEAT_MS);
        }
    }
    three_wait(&three, 30000);
    three_find_leader(&three);
    struct client other;
    client_init(&other, &three.leader->home, 9);
    client_ready(&other);
    cr_assert_eq(client_publish(&other, "q", "text"), 0);
    three_settle(&three);
    client_done(&other);
}

static unsigned members(void)
{
    return three_status(three.leader).members_len;
}

static void ask_to_add(uint64_t id, char *address)
{
    Holdfast__PeerGateway message = HOLDFAST__PEER_GATEWAY__INIT;
    Holdfast__ChangeMember change = HOLDFAST__CHANGE_MEMBER__INIT;
    message.run = 5;
    message.term = gateway_core_of(three.leader->home.gateway)->term;
    message.kind_case = HOLDFAST__PEER_GATEWAY__KIND_CHANGE_MEMBER;
    message.change_member = &change;
    change.id = id;
    change.kind = HOLDFAST__CHANGE_MEMBER__KIND__ADD;
    change.node = 1000;
    change.address = address;
    tell(three.leader, three.a->id, &message);
    three_wait(&three, 4 * THREE_HEARTBEAT_MS);
}

/* What is once in the log all nodes have to live with: to write it down, to dial it, and to show it. */
Test(gateway_hostile, nobody_becomes_a_member_without_an_address_that_can_be_dialled)
{
    static char long_one[] = "10.0.0.1:00000000000000000000000000000000000000000001";
    char *bad[] = {"", "nowhere", "10.0.0.1:", ":1", "10.0.0.1:0", "two words:1", "\x1b[2J:1", "a\n:1", long_one};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        ask_to_add(1 + i, bad[i]);
        cr_assert_eq(members(), THREE, "%s", bad[i]);
    }
    ask_to_add(100, "10.0.0.1:7471");
    cr_assert_eq(members(), THREE + 1);
}
