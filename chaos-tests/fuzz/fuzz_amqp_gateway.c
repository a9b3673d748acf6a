/* The gateway of the fuzzer of AMQP sessions. */

#include "fuzz_amqp_gateway.h"

#include <string.h>

#include "proto/base/check.h"
#include "proto/wire/message.pb-c.h"
#include "rpc/amqp/amqp_refusal.h"

uint64_t fuzz_amqp_chance(struct fuzz_amqp_gateway *gateway, uint64_t below)
{
    uint64_t x = gateway->chance;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    gateway->chance = x;
    return x % below;
}

static bool one_in(struct fuzz_amqp_gateway *gateway, unsigned n)
{
    return fuzz_amqp_chance(gateway, n) == 0;
}

/* ---- Messages ---- */

static struct blob *message_new(const Holdfast__MessageHead *head, size_t body_len, size_t *ret_head_len)
{
    *ret_head_len = head == NULL ? 0 : holdfast__message_head__get_packed_size(head);
    struct blob *blob = blob_new(*ret_head_len + body_len + 1);
    CHECK(blob != NULL);
    if (head != NULL) {
        holdfast__message_head__pack(head, blob->data);
    }
    memset(blob->data + *ret_head_len, 'b', body_len);
    blob->len = *ret_head_len + body_len;
    return blob;
}

static void messages_init(struct fuzz_amqp_gateway *gateway)
{
    char text[] = "text";
    Holdfast__Value value = HOLDFAST__VALUE__INIT;
    value.kind_case = HOLDFAST__VALUE__KIND_STRING;
    value.string = (ProtobufCBinaryData){.len = sizeof text - 1, .data = (uint8_t *)text};
    Holdfast__Header header = HOLDFAST__HEADER__INIT;
    header.name = text;
    header.value = &value;
    Holdfast__Header *headers[] = {&header};
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    head.exchange = head.routing_key = head.content_type = head.reply_to = text;
    head.header = headers;
    head.n_header = 1;
    head.has_headers = true;
    head.delivery_mode = 2;
    gateway->messages[0] = message_new(NULL, 5, &gateway->head_len[0]);
    gateway->messages[1] = message_new(&head, 300 * KIB, &gateway->head_len[1]);
    gateway->messages[2] = message_new(&head, 0, &gateway->head_len[2]);
    Holdfast__Death death = HOLDFAST__DEATH__INIT;
    death.queue = text;
    death.count = 3;
    Holdfast__Death *deaths[] = {&death};
    Holdfast__Trail trail = HOLDFAST__TRAIL__INIT;
    trail.death = deaths;
    trail.n_death = 1;
    trail.first_queue = trail.first_reason = trail.first_exchange = text;
    gateway->trail = blob_new(holdfast__trail__get_packed_size(&trail));
    CHECK(gateway->trail != NULL);
    holdfast__trail__pack(&trail, gateway->trail->data);
}

void fuzz_amqp_gateway_init(struct fuzz_amqp_gateway *gateway, uint64_t seed)
{
    *gateway = (struct fuzz_amqp_gateway){.chance = seed | 1};
    fake_gateway_init(&gateway->fake);
    gateway->fake.keeps = true;
    gateway->fake.queues = 4;
    gateway->fake.things = 6;
    messages_init(gateway);
}

void fuzz_amqp_gateway_done(struct fuzz_amqp_gateway *gateway)
{
    fake_gateway_done(&gateway->fake);
    for (unsigned i = 0; i < 3; i++) {
        blob_unref(gateway->messages[i]);
    }
    blob_unref(gateway->trail);
}

/* ---- Commands ---- */

static void take_command(struct fuzz_amqp_gateway *gateway, unsigned at)
{
    struct slice header = gateway->fake.headers[at];
    Holdfast__Command *command = holdfast__command__unpack(NULL, header.len, header.data);
    CHECK(command != NULL && gateway->pending_len < FUZZ_AMQP_PENDING_MAX);
    struct fuzz_amqp_pending *pending = &gateway->pending[gateway->pending_len++];
    *pending = (struct fuzz_amqp_pending){.number = gateway->fake.numbers[at], .kind = command->kind_case};
    if (command->kind_case == HOLDFAST__COMMAND__KIND_SUBSCRIBE) {
        pending->consumer = command->subscribe->consumer;
        pending->fetch = command->subscribe->fetch;
        pending->more = command->subscribe->more;
        pending->auto_accept = command->subscribe->auto_accept;
    } else if (command->kind_case == HOLDFAST__COMMAND__KIND_UNSUBSCRIBE) {
        pending->consumer = command->unsubscribe->consumer;
        pending->drain = command->unsubscribe->drain;
    } else if (command->kind_case == HOLDFAST__COMMAND__KIND_PUBLISH) {
        pending->messages = (unsigned)command->publish->n_body_len;
    }
    holdfast__command__free_unpacked(command, NULL);
}

/* What was submitted since the last time. Full, it takes no more for a while. */
static void take_commands(struct fuzz_amqp_gateway *gateway)
{
    while (gateway->seen < gateway->fake.commands) {
        take_command(gateway, gateway->seen++ % FAKE_COMMANDS_MAX);
    }
}

static void set_busy(struct fuzz_amqp_gateway *gateway, bool busy)
{
    struct gateway_sink sink = gateway->fake.sink;
    bool resumes = gateway->busy && !busy;
    gateway->busy = busy;
    gateway->fake.submit_err = busy ? ERR_BUSY : 0;
    if (resumes && gateway->fake.attached) {
        sink.resume(sink.arg);
    }
}

/* ---- Consumers ---- */

static struct fuzz_amqp_consumer *consumer_find(struct fuzz_amqp_gateway *gateway, uint64_t id)
{
    for (unsigned i = 0; i < FUZZ_AMQP_CONSUMERS_MAX; i++) {
        if (gateway->consumers[i].id == id) {
            return &gateway->consumers[i];
        }
    }
    return NULL;
}

static void deliver(struct fuzz_amqp_gateway *gateway, struct fuzz_amqp_consumer *consumer)
{
    struct gateway_sink sink = gateway->fake.sink;
    unsigned which = (unsigned)fuzz_amqp_chance(gateway, 3);
    struct slice whole = slice_of_blob(gateway->messages[which]);
    size_t head_len = gateway->head_len[which];
    struct gateway_delivery delivery = {
        .consumer = consumer->id,
        .number = consumer->deliveries + 1,
        .position = consumer->deliveries + 1,
        .delivery_count = (uint32_t)fuzz_amqp_chance(gateway, 3),
        .body = slice_part(whole, head_len, whole.len - head_len),
    };
    if (head_len > 0) {
        delivery.head = slice_part(whole, 0, head_len);
    }
    if (one_in(gateway, 3)) {
        delivery.trail = slice_of_blob(gateway->trail);
    }
    if (sink.takes != NULL && !sink.takes(sink.arg, whole.len)) {
        return;
    }
    consumer->deliveries++;
    consumer->given = true;
    sink.delivery(sink.arg, &delivery);
}

static void end_consumer(struct fuzz_amqp_gateway *gateway, struct fuzz_amqp_consumer *consumer, int err)
{
    struct gateway_sink sink = gateway->fake.sink;
    uint64_t id = consumer->id;
    *consumer = (struct fuzz_amqp_consumer){0};
    sink.consumer_ended(sink.arg, id, err, err != 0 ? "the queue was deleted" : "");
}

static struct fuzz_amqp_consumer *any_consumer(struct fuzz_amqp_gateway *gateway)
{
    unsigned from = (unsigned)fuzz_amqp_chance(gateway, FUZZ_AMQP_CONSUMERS_MAX);
    for (unsigned i = 0; i < FUZZ_AMQP_CONSUMERS_MAX; i++) {
        struct fuzz_amqp_consumer *consumer = &gateway->consumers[(from + i) % FUZZ_AMQP_CONSUMERS_MAX];
        if (consumer->id != 0) {
            return consumer;
        }
    }
    return NULL;
}

static void consumer_acts(struct fuzz_amqp_gateway *gateway, struct fuzz_amqp_consumer *consumer)
{
    struct gateway_sink sink = gateway->fake.sink;
    if (consumer->fetch) {
        if (!consumer->given) {
            deliver(gateway, consumer);
        } else {
            end_consumer(gateway, consumer, 0);
        }
    } else if (one_in(gateway, 16) || consumer->drained) {
        end_consumer(gateway, consumer, consumer->drained ? 0 : ERR_NOT_FOUND);
    } else if (one_in(gateway, 8) && consumer->deliveries > 0) {
        sink.lock_ended(sink.arg, consumer->id, 1 + fuzz_amqp_chance(gateway, consumer->deliveries));
    } else {
        deliver(gateway, consumer);
    }
}

/* ---- Replies ---- */

/* A fetch that is there takes one more, or there is none; or it has ended. */
static void fetch_more(struct fuzz_amqp_gateway *gateway, const struct fuzz_amqp_pending *pending,
                       struct gateway_reply *reply)
{
    struct fuzz_amqp_consumer *consumer = consumer_find(gateway, pending->consumer);
    if (consumer == NULL) {
        reply->error = -ERR_NOT_FOUND;
    } else if (one_in(gateway, 2)) {
        reply->count = 1;
        consumer->given = false;
    }
}

/* A Subscribe is carried out. A fetch that settles at once is delivered before it is answered. */
static void subscribe(struct fuzz_amqp_gateway *gateway, const struct fuzz_amqp_pending *pending,
                      struct gateway_reply *reply)
{
    struct fuzz_amqp_consumer *consumer = consumer_find(gateway, 0);
    reply->count = pending->fetch && one_in(gateway, 2);
    reply->repeated_count = fuzz_amqp_chance(gateway, 10);
    if (consumer == NULL) {
        reply->error = -ERR_LIMIT;
        return;
    }
    *consumer = (struct fuzz_amqp_consumer){.id = pending->consumer, .fetch = pending->fetch};
    if (pending->fetch && (reply->count == 0 || pending->auto_accept)) {
        while (reply->count > 0 && gateway->fake.attached && !consumer->given) {
            deliver(gateway, consumer);
            reply->count = consumer->given;
        }
        *consumer = (struct fuzz_amqp_consumer){0};
    }
}

static void unsubscribe(struct fuzz_amqp_gateway *gateway, const struct fuzz_amqp_pending *pending,
                        struct gateway_reply *reply)
{
    struct fuzz_amqp_consumer *consumer = consumer_find(gateway, pending->consumer);
    if (consumer == NULL) {
        reply->error = -ERR_NOT_FOUND;
        return;
    }
    reply->count = pending->drain && consumer->deliveries > 0;
    consumer->drained = true;
    if (reply->count == 0) {
        *consumer = (struct fuzz_amqp_consumer){0};
    }
}

/* Any error, or one of those of publishing that mean something by their words. */
static void reply_error(struct fuzz_amqp_gateway *gateway, struct gateway_reply *reply)
{
    static const int errors[] = {ERR_NOT_FOUND, ERR_EXISTS,  ERR_REFUSED, ERR_EXCLUSIVE, ERR_INVALID,
                                 ERR_STALE,     ERR_LIMIT,   ERR_FULL,    ERR_FENCED,    ERR_GAP,
                                 ERR_NO_SPACE,  ERR_TOO_BIG, ERR_VERSION, ERR_CHECKSUM};
    static const struct {
        int error;
        const char *words;
    } said[] = {{ERR_REFUSED, AMQP_SAID_BEHIND}, {ERR_LIMIT, AMQP_SAID_READY_MESSAGES}, {ERR_NO_SPACE, ""}};
    uint64_t which = fuzz_amqp_chance(gateway, 2 * sizeof said / sizeof said[0]);
    if (which < sizeof said / sizeof said[0]) {
        reply->error = (uint32_t)-said[which].error;
        reply->detail = said[which].words;
    } else {
        reply->error = (uint32_t)-errors[fuzz_amqp_chance(gateway, sizeof errors / sizeof errors[0])];
        reply->detail = "words of the machine";
    }
}

static void reply_oldest(struct fuzz_amqp_gateway *gateway)
{
    struct gateway_sink sink = gateway->fake.sink;
    struct fuzz_amqp_pending pending = gateway->pending[0];
    gateway->pending_len--;
    memmove(gateway->pending, gateway->pending + 1, gateway->pending_len * sizeof gateway->pending[0]);
    struct gateway_reply reply = {.number = pending.number, .detail = ""};
    uint8_t bits[2][64];
    if (pending.kind != HOLDFAST__COMMAND__KIND_CLOSE_SESSION && one_in(gateway, 12)) {
        reply_error(gateway, &reply);
    } else if (pending.kind == HOLDFAST__COMMAND__KIND_SUBSCRIBE && pending.more) {
        fetch_more(gateway, &pending, &reply);
    } else if (pending.kind == HOLDFAST__COMMAND__KIND_SUBSCRIBE) {
        subscribe(gateway, &pending, &reply);
    } else if (pending.kind == HOLDFAST__COMMAND__KIND_UNSUBSCRIBE) {
        unsubscribe(gateway, &pending, &reply);
    } else if (pending.kind == HOLDFAST__COMMAND__KIND_PUBLISH) {
        for (unsigned i = 0; i < sizeof bits; i++) {
            bits[i / 64][i % 64] = (uint8_t)fuzz_amqp_chance(gateway, 256);
        }
        size_t len = (pending.messages + 7) / 8 < 64 ? (pending.messages + 7) / 8 : 64;
        reply.unrouted = (struct slice){.data = bits[0], .len = one_in(gateway, 2) ? len : 0};
        reply.refused = (struct slice){.data = bits[1], .len = one_in(gateway, 4) ? len : 0};
        reply.count = pending.messages;
    } else {
        reply.count = fuzz_amqp_chance(gateway, 5);
    }
    if (gateway->fake.attached) {
        sink.reply(sink.arg, &reply);
    }
    if (pending.kind == HOLDFAST__COMMAND__KIND_CLOSE_SESSION && gateway->fake.attached) {
        fake_gateway_detach(&gateway->fake, ERR_CLOSED, "", &gateway->fake.leader);
    }
}

static bool may_answer(struct fuzz_amqp_gateway *gateway)
{
    take_commands(gateway);
    return gateway->fake.attached && gateway->pending_len > 0;
}

void fuzz_amqp_gateway_act(struct fuzz_amqp_gateway *gateway)
{
    struct gateway_sink sink = gateway->fake.sink;
    if (!gateway->fake.attached) {
        return;
    }
    take_commands(gateway);
    struct fuzz_amqp_consumer *consumer = any_consumer(gateway);
    switch (fuzz_amqp_chance(gateway, 8)) {
    case 0: set_busy(gateway, gateway->pending_len > 100 || (!gateway->busy && one_in(gateway, 4))); break;
    case 1:
    case 2:
    case 3:
        if (gateway->pending_len > 0) {
            reply_oldest(gateway);
        }
        break;
    case 4:
    case 5:
        if (consumer != NULL) {
            consumer_acts(gateway, consumer);
        }
        break;
    default: break;
    }
    if (gateway->fake.attached) {
        sink.flush(sink.arg);
    }
    take_commands(gateway);
    if (gateway->fake.attached && gateway->pending_len > 100) {
        set_busy(gateway, true);
    }
}

void fuzz_amqp_gateway_settle(struct fuzz_amqp_gateway *gateway)
{
    while (may_answer(gateway)) {
        while (may_answer(gateway)) {
            reply_oldest(gateway);
        }
        set_busy(gateway, false);
    }
    set_busy(gateway, false);
    if (gateway->fake.attached) {
        struct gateway_sink sink = gateway->fake.sink;
        sink.flush(sink.arg);
    }
}
