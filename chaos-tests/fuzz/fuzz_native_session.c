/* Fuzzes a native session against a fake gateway. The first eight bytes are a script of what the gateway does after each
 * frame; the rest is what the client sends. */

#include "fake_gateway.h"
#include "fuzz_input.h"
#include "proto/base/limits.h"
#include "rpc/native/native_session.h"

#define SCRIPT_LEN 8u

struct world {
    struct fake_gateway fake;
    struct native_session *session;
    const uint8_t *script;
    unsigned step;
    bool closed;
    bool answered; /* attached() has been called. */
    uint64_t deliveries;
};

static void host_send(void *arg, struct frame_out *frame)
{
    struct world *world = arg;
    CHECK(!world->closed);
    struct frame_prefix prefix;
    CHECK(frame_prefix_decode(frame->head->data, &prefix) == 0);
    CHECK(frame->len == FRAME_PREFIX_LEN + (size_t)prefix.header_len + prefix.body_len);
    frame_out_done(frame);
}

static void host_hold(void *arg, bool hold)
{
    (void)arg;
    (void)hold;
}

static void host_close(void *arg)
{
    struct world *world = arg;
    CHECK(!world->closed);
    world->closed = true;
}

/* What the gateway does while somebody is attached. */
static void gateway_act(struct world *world, uint8_t action)
{
    struct gateway_sink *sink = &world->fake.sink;
    struct gateway_delivery delivery = {.consumer = 1, .number = ++world->deliveries, .body = world->fake.last_bodies};
    if (delivery.body.len > BODY_LEN_MAX) {
        delivery.body.len = BODY_LEN_MAX;
    }
    switch (action % 8) {
    case 0: sink->flush(sink->arg); break;
    case 1: sink->reply(sink->arg, &(struct gateway_reply){.number = world->deliveries, .detail = "detail"}); break;
    case 2: sink->delivery(sink->arg, &delivery); break;
    case 3: world->fake.submit_err = ERR_BUSY; break;
    case 4:
        world->fake.submit_err = 0;
        sink->resume(sink->arg);
        break;
    case 5: native_session_congested(world->session, (action & 8) != 0); break;
    case 6:
        if (action >= 192) {
            fake_gateway_detach(&world->fake, ERR_UNAVAILABLE, "", &world->fake.leader);
        } else {
            sink->consumer_ended(sink->arg, action / 8, ERR_NOT_FOUND, action >= 128 ? "deleted" : "");
        }
        break;
    default: world->fake.submit_err = action >= 192 ? ERR_TOO_BIG : 0; break;
    }
}

static void take(void *arg, struct frame *frame)
{
    struct world *world = arg;
    native_session_receive(world->session, frame);
    uint8_t action = world->script[world->step % SCRIPT_LEN];
    if (action >= 64) { /* Reads may be done now, in vain, or later. */
        (void)fake_gateway_read_done(&world->fake, action >= 224 ? ERR_UNAVAILABLE : 0);
    }
    if (action >= 96 && fake_gateway_changing(&world->fake) != NULL) { /* Likewise changes. */
        fake_gateway_change_done(&world->fake, action >= 224 ? ERR_BUSY : 0, action >= 240 ? "detail" : "");
    }
    CHECK(world->fake.looks == 0);
    if (!world->fake.attached) {
        world->step++;
        return;
    }
    if (!world->answered) {
        world->answered = true;
        world->fake.sink.attached(world->fake.sink.arg, 1, 0);
        return;
    }
    gateway_act(world, world->script[world->step++ % SCRIPT_LEN]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < SCRIPT_LEN) {
        return 0;
    }
    struct world world = {.script = data};
    fake_gateway_init(&world.fake);
    struct blob *body = blob_new(100 * KIB);
    if (body == NULL) {
        return 0;
    }
    memset(body->data, 'b', body->len);
    world.fake.queues = 10;
    world.fake.messages = 20;
    world.fake.things = 30;
    world.fake.body = slice_of_blob(body);
    world.fake.base.body_len_max = data[0] >= 128 ? 5 : 0;
    struct native_session_host host = {.arg = &world, .send = host_send, .hold = host_hold, .close = host_close};
    if (native_session_new(&world.fake.base, &host, &world.session) == 0) {
        fuzz_frames(&framing_native, data + SCRIPT_LEN, len - SCRIPT_LEN, 1000,
                    FRAME_HEADER_LEN_MAX + FRAME_BODY_LEN_MAX, take, &world);
        native_session_free(world.session);
    }
    CHECK(!world.fake.attached);
    fake_gateway_done(&world.fake);
    blob_unref(body);
    return 0;
}
