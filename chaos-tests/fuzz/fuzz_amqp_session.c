/* Fuzzes an AMQP session, which is open with channel 1, against a gateway that answers as chance has it.
 *
 * An input: eight bytes that the chance is made of; one with options; then frames, each as u8 (type in the low three bits, channel in the
 * next two), u16 length (little-endian), payload: so that a changed byte does not break all that follows, as a frame's own length and
 * end would. The frames themselves, and their decoders, are fuzz_amqp_frame's. What the session sends has to be frames within
 * the limit, and nothing after the close. */

#include "fuzz_amqp_gateway.h"
#include "fuzz_input.h"
#include "proto/base/limits.h"
#include "rpc/amqp/amqp_frame.h"
#include "rpc/amqp/amqp_session.h"
#include "rpc/memory_budget.h"

#define LEAD_LEN 9u
#define FRAME_MAX 8192u
#define CHANNELS_MAX 3u
#define HELD_MAX 32u /* As many may still come when the session has said hold. */

enum option {
    SMALL_BUDGET = 1,
    LEAVES = 2, /* The connection is gone in the end; else the session is only freed. */
    FORCED = 4, /* The node stops in the end. */
};

struct world {
    struct fuzz_amqp_gateway gateway;
    struct amqp_session *session;
    struct bytes sent;
    uint64_t now_ms;
    unsigned held_frames;
    unsigned closed_channels; /* Bits: Channel.Close was sent. */
    bool held;
    bool full;
    bool closed;
    bool gone;
};

/* ---- The host ---- */

/* Whole frames, each within the limit. */
static void check_sent(struct world *world)
{
    const uint8_t *at = world->sent.data;
    size_t left = world->sent.len;
    while (left > 0) {
        CHECK(left >= AMQP_PREFIX_LEN);
        uint32_t len = (uint32_t)at[3] << 24 | (uint32_t)at[4] << 16 | (uint32_t)at[5] << 8 | at[6];
        CHECK(at[0] == AMQP_FRAME_METHOD || at[0] == AMQP_FRAME_HEADER || at[0] == AMQP_FRAME_BODY ||
              at[0] == AMQP_FRAME_HEARTBEAT);
        CHECK(len + AMQP_FRAME_COST <= FRAME_MAX && left >= len + AMQP_FRAME_COST);
        CHECK(at[AMQP_PREFIX_LEN + len] == AMQP_FRAME_END);
        if (at[0] == AMQP_FRAME_METHOD) {
            union amqp_method method;
            CHECK(amqp_method_decode((struct amqp_bytes){at + AMQP_PREFIX_LEN, len}, &method) == 0);
            if (method.id == AMQP_channel_close) {
                world->closed_channels |= 1u << at[2];
            }
        }
        at += len + AMQP_FRAME_COST;
        left -= len + AMQP_FRAME_COST;
    }
    world->sent.len = 0;
}

static void host_send(void *arg, struct frame_out *frame)
{
    struct world *world = arg;
    CHECK(!world->closed && !world->gone);
    CHECK(bytes_append(&world->sent, frame->head->data, frame->head->len) == 0);
    for (unsigned i = 0; i < frame->parts_len; i++) {
        CHECK(bytes_append(&world->sent, frame->parts[i].data, frame->parts[i].len) == 0);
    }
    frame_out_done(frame);
    *frame = (struct frame_out){0};
}

static bool host_takes(void *arg, size_t len)
{
    struct world *world = arg;
    (void)len;
    CHECK(!world->gone);
    return !world->full;
}

static void host_hold(void *arg, bool hold)
{
    struct world *world = arg;
    CHECK(!world->gone && world->held != hold);
    world->held = hold;
    world->held_frames = 0;
}

static void host_established(void *arg, uint32_t frame_max, uint16_t heartbeat_s)
{
    struct world *world = arg;
    CHECK(!world->gone && frame_max == FRAME_MAX && heartbeat_s == 10);
}

static void host_nothing(void *arg)
{
    struct world *world = arg;
    CHECK(!world->gone);
}

static void host_close(void *arg)
{
    struct world *world = arg;
    CHECK(!world->closed && !world->gone);
    world->closed = true;
}

/* ---- What comes ---- */

static void give(struct world *world, uint8_t type, uint16_t channel, const void *payload, size_t len)
{
    bool greeting = type == AMQP_FRAME_GREETING;
    struct blob *blob = blob_new(len + !greeting);
    CHECK(blob != NULL);
    memcpy(blob->data, payload, len);
    if (!greeting) {
        blob->data[len] = AMQP_FRAME_END;
    }
    struct slice all = slice_of_blob(blob);
    struct frame frame = {.type = type, .tag = channel, .header = slice_part(all, 0, 0), .body = all};
    amqp_session_receive(world->session, &frame);
}

static void give_method(struct world *world, uint16_t channel, const union amqp_method *method)
{
    struct bytes bytes = {0};
    CHECK(amqp_method_encode(method, &bytes) == 0);
    give(world, AMQP_FRAME_METHOD, channel, bytes.data, bytes.len);
    bytes_done(&bytes);
}

#define GIVE(world, channel, name, ...)                                                                                \
    give_method(world, channel, &(union amqp_method){.name = {.id = AMQP_##name, __VA_ARGS__}})

static void shake_hands(struct world *world)
{
    give(world, AMQP_FRAME_GREETING, 0, "\1", 1);
    world->sent.len = 0;
    GIVE(world, 0, connection_start_ok, .mechanism = amqp_text("PLAIN"),
         .response = {(const uint8_t *)"\0guest\0guest", 12}, .locale = amqp_text("en_US"));
    GIVE(world, 0, connection_tune_ok, .channel_max = CHANNELS_MAX, .frame_max = FRAME_MAX, .heartbeat = 10);
    GIVE(world, 0, connection_open, .virtual_host = amqp_text("/"));
    struct gateway_sink *sink = &world->gateway.fake.sink;
    CHECK(world->gateway.fake.attached);
    sink->attached(sink->arg, 1, 0);
    GIVE(world, 1, channel_open);
    amqp_session_turn(world->session);
    check_sent(world);
}

/* Something besides frames and what the gateway does. */
static void host_acts(struct world *world)
{
    switch (fuzz_amqp_chance(&world->gateway, 24)) {
    case 0:
        world->full = !world->full;
        amqp_session_congested(world->session, world->full);
        break;
    case 1: amqp_session_beat(world->session); break;
    case 2: amqp_session_tick(world->session, world->now_ms += fuzz_amqp_chance(&world->gateway, 20000)); break;
    case 3:
        amqp_session_refusing(world->session, fuzz_amqp_chance(&world->gateway, 4) == 0 ? "the disks are full" : "");
        break;
    case 4:
        if (fuzz_amqp_chance(&world->gateway, 16) == 0 && world->gateway.fake.attached) {
            fake_gateway_detach(&world->gateway.fake, ERR_UNAVAILABLE, "", &world->gateway.fake.leader);
        }
        break;
    default: break;
    }
}

/* What the session has closed is opened again, as clients do: else little of an input would be looked at. */
static void reopen(struct world *world)
{
    for (uint16_t channel = 1; channel <= CHANNELS_MAX && !world->closed; channel++) {
        if ((world->closed_channels & 1u << channel) != 0 && !world->held) {
            world->closed_channels &= ~(1u << channel);
            GIVE(world, channel, channel_close_ok);
            GIVE(world, channel, channel_open);
        }
    }
}

static void turn(struct world *world)
{
    if (fuzz_amqp_chance(&world->gateway, 3) != 0) {
        amqp_session_turn(world->session);
    }
    for (uint64_t times = fuzz_amqp_chance(&world->gateway, 5); times > 0; times--) {
        fuzz_amqp_gateway_act(&world->gateway);
    }
    host_acts(world);
    check_sent(world);
    reopen(world);
}

/* All that a session may wait for, but for the memory that other sessions hold. */
static void let_go(struct world *world)
{
    if (world->full) {
        world->full = false;
        amqp_session_congested(world->session, false);
    }
    amqp_session_refusing(world->session, "");
    amqp_session_turn(world->session);
    fuzz_amqp_gateway_settle(&world->gateway);
    amqp_session_turn(world->session);
    check_sent(world);
    reopen(world);
}

/* Frames until the bytes, or the session, are at their end. */
static void run(struct world *world, const uint8_t *data, size_t len)
{
    static const uint8_t types[8] = {AMQP_FRAME_METHOD, AMQP_FRAME_HEADER, AMQP_FRAME_BODY, AMQP_FRAME_METHOD,
                                     AMQP_FRAME_METHOD, AMQP_FRAME_HEADER, AMQP_FRAME_BODY, AMQP_FRAME_HEARTBEAT};
    while (len >= 3 && !world->closed) {
        size_t payload_len = (size_t)data[1] | (size_t)data[2] << 8;
        payload_len = payload_len < len - 3 ? payload_len : len - 3;
        payload_len = payload_len < FRAME_MAX - AMQP_FRAME_COST ? payload_len : FRAME_MAX - AMQP_FRAME_COST;
        if (world->held && world->held_frames++ >= HELD_MAX) {
            let_go(world); /* The connection does not read. */
            if (world->held) {
                return; /* It waits for memory. */
            }
            continue;
        }
        give(world, types[data[0] & 7], data[0] >> 3 & 3, data + 3, payload_len);
        data += 3 + payload_len;
        len -= 3 + payload_len;
        turn(world);
    }
}

/* Everything is answered in the end, whoever goes first. */
static void finish(struct world *world, uint8_t options)
{
    struct list_node leaving;
    list_init(&leaving);
    amqp_session_turn(world->session);
    if ((options & FORCED) != 0 && !world->closed) {
        amqp_session_force_close(world->session, "stopping");
    }
    check_sent(world);
    if ((options & LEAVES) != 0) {
        amqp_session_leave(world->session, &leaving);
        world->gone = true;
        fuzz_amqp_gateway_settle(&world->gateway);
        amqp_sessions_sweep(&leaving);
        CHECK(list_empty(&leaving) == !world->gateway.fake.attached);
        amqp_sessions_free(&leaving);
    } else {
        amqp_session_free(world->session);
    }
    CHECK(!world->gateway.fake.attached);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < LEAD_LEN) {
        return 0;
    }
    static struct world world;
    world = (struct world){0};
    uint64_t seed;
    memcpy(&seed, data, sizeof seed);
    fuzz_amqp_gateway_init(&world.gateway, seed);
    struct memory_budget budget;
    memory_budget_init(&budget, (data[8] & SMALL_BUDGET) != 0 ? 64 * KIB : 64 * MIB);
    struct amqp_session_options options = {.peer_name = "192.0.2.1:5555", .loopback = true, .content = &budget};
    struct amqp_session_host host = {.arg = &world,
                                     .send = host_send,
                                     .takes = host_takes,
                                     .hold = host_hold,
                                     .established = host_established,
                                     .closing = host_nothing,
                                     .wake = host_nothing,
                                     .close = host_close};
    CHECK(amqp_session_new(&world.gateway.fake.base, &options, &host, &world.session) == 0);
    shake_hands(&world);
    run(&world, data + LEAD_LEN, len - LEAD_LEN);
    finish(&world, data[8]);
    fuzz_amqp_gateway_done(&world.gateway);
    bytes_done(&world.sent);
    return 0;
}
