/* What the machine says against what the model says. */

#include <inttypes.h>
#include <string.h>

#include "figures.h"
#include "statemachine/machine_virtual_hosts.h"
#include "world.h"

/* An effect as a line of text, which is what is compared: of the model's, and of the machine's. */
#define EFFECT_LINE_MAX 320u

/* Bits of messages, of the first in the lowest. */
static uint64_t bits(const uint8_t *data, uint32_t len)
{
    uint64_t value = 0;
    for (uint32_t i = 0; i < len && i < 8; i++) {
        value |= (uint64_t)data[i] << (8 * i);
    }
    return value;
}

static void bits_put(uint8_t data[8], uint64_t value, const uint8_t **ret_data, uint32_t *ret_len)
{
    uint32_t len = 0;
    put_u64(data, value);
    for (uint32_t i = 0; i < 8; i++) {
        len = data[i] != 0 ? i + 1 : len;
    }
    *ret_data = data;
    *ret_len = len;
}

static void reply_line(char *line, uint64_t session, const struct effect_reply *reply)
{
    (void)snprintf(line, EFFECT_LINE_MAX,
                   "reply session=%" PRIu64 " number=%" PRIu64 " attachment=%" PRIu64 " command=%u %s count=%" PRIu64
                   " repeated=%" PRIu64 " unrouted=%" PRIx64 " refused=%" PRIx64 " origin=%" PRIu64 ",%" PRIu64
                   ",%" PRIu64 " attach=%" PRIu64 ",%" PRIu64 ",%" PRIu64,
                   session, reply->number, reply->attachment, reply->command,
                   reply->error == 0 ? "OK" : err_name(-(int)reply->error), reply->count, reply->repeated_count,
                   bits(reply->unrouted, reply->unrouted_len), bits(reply->refused, reply->refused_len),
                   reply->origin_node, reply->origin_run, reply->origin_tag, reply->attach_session,
                   reply->attach_attachment, reply->last_number);
}

static void machine_line(char *line, const struct effect *effect)
{
    switch (effect->kind) {
    case EFFECT_REPLY: reply_line(line, effect->session, &effect->reply); break;
    case EFFECT_DELIVER:
        (void)snprintf(line, EFFECT_LINE_MAX,
                       "deliver session=%" PRIu64 " consumer=%" PRIu64 " delivery=%" PRIu64 " queue=%" PRIu64
                       " position=%" PRIx64 " count=%u",
                       effect->session, effect->delivery.consumer, effect->delivery.number, effect->delivery.queue,
                       effect->delivery.position, effect->delivery.delivery_count);
        break;
    case EFFECT_SESSION_ENDED:
        (void)snprintf(line, EFFECT_LINE_MAX, "session ended session=%" PRIu64 " end=%d expired=%d", effect->session,
                       (int)effect->session_ended.end, effect->session_ended.expired);
        break;
    case EFFECT_CONSUMER_ENDED:
        (void)snprintf(line, EFFECT_LINE_MAX, "consumer ended session=%" PRIu64 " consumer=%" PRIu64 " reason=%d",
                       effect->session, effect->consumer_ended.consumer, (int)effect->consumer_ended.reason);
        break;
    case EFFECT_NODE_LOST:
        (void)snprintf(line, EFFECT_LINE_MAX, "node lost node=%" PRIu64 " run=%" PRIu64, effect->node_lost.node,
                       effect->node_lost.run);
        break;
    case EFFECT_PREPARED_ASK:
        (void)snprintf(line, EFFECT_LINE_MAX, "prepared ask session=%" PRIu64 " id=%.*s", effect->session,
                       (int)effect->prepared_ask.id_len, effect->prepared_ask.id);
        break;
    case EFFECT_LOCK_ENDED:
        (void)snprintf(line, EFFECT_LINE_MAX, "lock ended session=%" PRIu64 " consumer=%" PRIu64 " delivery=%" PRIu64,
                       effect->session, effect->lock_ended.consumer, effect->lock_ended.number);
        break;
    default: (void)snprintf(line, EFFECT_LINE_MAX, "effect %d", (int)effect->kind);
    }
}

static void model_line(char *line, const struct model_effect *effect)
{
    struct effect same = {.session = effect->session};
    uint8_t unrouted[8];
    uint8_t refused[8];
    switch (effect->kind) {
    case MODEL_REPLY:
        same.kind = EFFECT_REPLY;
        same.reply = (struct effect_reply){.number = effect->number,
                                           .attachment = effect->attachment,
                                           .command = effect->command,
                                           .error = effect->error,
                                           .count = effect->count,
                                           .repeated_count = effect->repeated_count,
                                           .origin_node = effect->origin_node,
                                           .origin_run = effect->origin_run,
                                           .origin_tag = effect->origin_tag,
                                           .attach_session = effect->attach_session,
                                           .attach_attachment = effect->attach_attachment,
                                           .last_number = effect->last_number};
        bits_put(unrouted, effect->unrouted, &same.reply.unrouted, &same.reply.unrouted_len);
        bits_put(refused, effect->refused, &same.reply.refused, &same.reply.refused_len);
        break;
    case MODEL_DELIVER:
        same.kind = EFFECT_DELIVER;
        same.delivery = (struct effect_delivery){.consumer = effect->consumer,
                                                 .number = effect->delivery,
                                                 .queue = effect->queue,
                                                 .position = effect->position,
                                                 .delivery_count = (uint32_t)effect->delivery_count};
        break;
    case MODEL_SESSION_ENDED:
        same.kind = EFFECT_SESSION_ENDED;
        same.session_ended.end = (enum session_end)effect->end;
        same.session_ended.expired = effect->end == MODEL_EXPIRED;
        break;
    case MODEL_CONSUMER_ENDED:
        same.kind = EFFECT_CONSUMER_ENDED;
        same.consumer_ended.consumer = effect->consumer;
        same.consumer_ended.reason = effect->fetch_done ? CONSUMER_ENDED_FETCH_DONE : CONSUMER_ENDED_QUEUE_DELETED;
        break;
    case MODEL_NODE_LOST:
        same.kind = EFFECT_NODE_LOST;
        same.node_lost.node = effect->node;
        same.node_lost.run = effect->run;
        break;
    case MODEL_PREPARED_ASK:
        same.kind = EFFECT_PREPARED_ASK;
        same.prepared_ask.id = effect->prepared;
        same.prepared_ask.id_len = strlen(effect->prepared);
        break;
    case MODEL_LOCK_ENDED:
        same.kind = EFFECT_LOCK_ENDED;
        same.lock_ended.consumer = effect->consumer;
        same.lock_ended.number = effect->delivery;
        break;
    }
    machine_line(line, &same);
}

/* Deliveries of different queues, one after the other, may come in any order: whose turn it is and for how long is not what a queue
 * means. Here they are in order of queues. */
static size_t nth_delivery(size_t at, size_t len, uint64_t (*queue)(const void *effects, size_t at),
                           const void *effects)
{
    size_t first = at;
    size_t end = at;
    size_t order[1024];
    size_t count = 0;
    while (first > 0 && queue(effects, first - 1) != 0) {
        first--;
    }
    while (end < len && queue(effects, end) != 0) {
        end++;
    }
    model_require(end - first <= sizeof order / sizeof order[0], "few deliveries at a time");
    for (size_t i = first; i < end; i++) {
        size_t to = count++;
        while (to > 0 && queue(effects, order[to - 1]) > queue(effects, i)) {
            order[to] = order[to - 1];
            to--;
        }
        order[to] = i;
    }
    return order[at - first];
}

static uint64_t queue_of_model(const void *effects, size_t at)
{
    const struct model_effect *effect = (const struct model_effect *)effects + at;
    return effect->kind == MODEL_DELIVER ? effect->queue : 0;
}

static uint64_t queue_of_machine(const void *effects, size_t at)
{
    const struct effect *effect = (const struct effect *)effects + at;
    return effect->kind == EFFECT_DELIVER ? effect->delivery.queue : 0;
}

void compare_effects(struct world *world)
{
    size_t len;
    const struct model_effect *effects = model_effects(world->model, &len);
    const struct effects *machine = &world->plain.effects;
    for (size_t i = 0; i < len || i < machine->len; i++) {
        char expected[EFFECT_LINE_MAX] = "nothing more";
        char found[EFFECT_LINE_MAX] = "nothing more";
        const char *detail = "";
        if (i < len) {
            bool delivery = effects[i].kind == MODEL_DELIVER;
            model_line(expected, &effects[delivery ? nth_delivery(i, len, queue_of_model, effects) : i]);
        }
        if (i < machine->len) {
            const struct effect *items = machine->items;
            bool delivery = items[i].kind == EFFECT_DELIVER;
            machine_line(found, &items[delivery ? nth_delivery(i, machine->len, queue_of_machine, items) : i]);
            detail = items[i].kind == EFFECT_REPLY ? items[i].reply.detail : "";
        }
        if (strcmp(expected, found) != 0) {
            world_say(world, "effect %zu\n  model:   %s\n  machine: %s %s", i, expected, found, detail);
            return;
        }
    }
}

void effects_trace(const struct world *world, FILE *trace)
{
    for (size_t i = 0; i < world->plain.effects.len; i++) {
        char line[EFFECT_LINE_MAX];
        machine_line(line, &world->plain.effects.items[i]);
        (void)fprintf(trace, "         %s\n", line);
    }
}

/* Where it is parked depends on what was tried already; it is ready all the same. */
static bool same_state(enum model_state state, enum machine_message_state found)
{
    switch (state) {
    case MODEL_LOCKED: return found == MESSAGE_LOCKED;
    case MODEL_WAITING: return found == MESSAGE_WAITING;
    default: return found == MESSAGE_READY || found == MESSAGE_PARKED;
    }
}

struct compare_queue {
    struct world *world;
    struct twin *twin;
    size_t nth; /* The model's queue. */
    size_t at;  /* The message that is next. */
};

static int compare_message(void *arg, const struct machine_message *found)
{
    struct compare_queue *compare = arg;
    struct world *world = compare->world;
    struct model_queue queue = model_queue(world->model, compare->nth);
    if (compare->at >= model_messages(world->model, compare->nth)) {
        world_say(world, "queue %s: message %" PRIx64 " should not be there", queue.name, found->position);
        return 1;
    }
    struct model_message message = model_message(world->model, compare->nth, compare->at++);
    if (message.position != found->position || message.enqueued_ms != found->enqueued_ms ||
        message.hash != found->body_hash || message.len != (uint64_t)found->head_len + found->body_len ||
        message.delivery_count != found->delivery_count || message.expires_ms != found->expires_ms ||
        !same_state(message.state, found->state)) {
        world_say(world,
                  "queue %s: message\n  model:   %" PRIx64 " at %" PRIu64 " len %" PRIu64 " deliveries %" PRIu64
                  " state %d expires %" PRIu64 "\n  machine: %" PRIx64 " at %" PRIu64
                  " len %u deliveries %u state %d expires %" PRIu64,
                  queue.name, message.position, message.enqueued_ms, message.len, message.delivery_count,
                  (int)message.state, message.expires_ms, found->position, found->enqueued_ms,
                  found->head_len + found->body_len, found->delivery_count, (int)found->state, found->expires_ms);
        return 1;
    }
    return 0;
}

static bool same_bytes(struct slice found, const uint8_t *data, size_t len)
{
    return found.len == len && (len == 0 || memcmp(found.data, data, len) == 0);
}

/* Encoded again, they are the same bytes when they are the same. */
static bool same_trail(struct slice found, const Holdfast__Trail *expected)
{
    Holdfast__Trail *trail = holdfast__trail__unpack(NULL, found.len, found.data);
    bool same = trail != NULL && (found.len > 0) == (expected != NULL);
    if (same && expected != NULL) {
        struct bytes a = {0};
        struct bytes b = {0};
        model_require(bytes_reserve(&a, holdfast__trail__get_packed_size(trail)) == 0, "memory");
        model_require(bytes_reserve(&b, holdfast__trail__get_packed_size(expected)) == 0, "memory");
        size_t len = holdfast__trail__pack(trail, a.data);
        same = len == holdfast__trail__pack(expected, b.data) && memcmp(a.data, b.data, len) == 0;
        bytes_done(&a);
        bytes_done(&b);
    }
    if (trail != NULL) {
        holdfast__trail__free_unpacked(trail, NULL);
    }
    return same;
}

void compare_content(struct world *world, const char *queue, uint64_t position, const struct machine_content *content,
                     const struct parcel *parcel)
{
    if (!same_bytes(content->head, parcel->content->head, parcel->content->head_len) ||
        !same_bytes(content->body, parcel->content->body, parcel->content->body_len)) {
        world_say(world, "queue %s: message %" PRIx64 " has another head or body", queue, position);
    }
    if (!same_trail(content->trail, parcel->trail)) {
        world_say(world, "queue %s: message %" PRIx64 " has another trail", queue, position);
    }
}

static void compare_contents(struct world *world, struct twin *twin, const struct queue *queue)
{
    EACH (struct message, message, &queue->messages) {
        struct machine_content content;
        int err = machine_content(twin->machine, queue->id, message->position, &content);
        if (err != 0) {
            world_say(world, "queue %s: %" PRIx64 " cannot be read: %s", queue->name, message->position, err_name(err));
            return;
        }
        compare_content(world, queue->name, message->position, &content, &message->parcel);
        machine_content_done(&content);
    }
}

static int note_first(void *arg, const struct machine_message *found)
{
    *(uint64_t *)arg = found->position;
    return 1;
}

/* From a message on, and from behind the one before it. */
static void compare_browse_from(struct world *world, struct twin *twin, const struct queue *queue)
{
    uint64_t before = 0;
    EACH (struct message, message, &queue->messages) {
        const uint64_t from[] = {message->position, before + 1};
        for (size_t i = 0; i < 2; i++) {
            uint64_t first = 0;
            (void)!machine_browse(twin->machine, queue->id, from[i], note_first, &first);
            if (first != message->position) {
                world_say(world, "queue %s: browsed from %" PRIx64 ", the first one is %" PRIx64 ", not %" PRIx64,
                          queue->name, from[i], first, message->position);
            }
        }
        before = message->position;
    }
}

static void compare_queue(struct world *world, struct twin *twin, size_t nth)
{
    struct model_queue queue = model_queue(world->model, nth);
    struct machine_queue found;
    struct compare_queue compare = {.world = world, .twin = twin, .nth = nth};
    uint64_t host = 0;
    if (machine_virtual_host(twin->machine, queue.virtual_host, &host) != 0 ||
        machine_queue_in(twin->machine, host, queue.name, &found) != 0) {
        world_say(world, "queue %s is not there", queue.name);
        return;
    }
    char said[FIGURES_SAID_MAX];
    if (figures_differ(&queue, &found, said)) {
        world_say(world, "queue %s: %s", queue.name, said);
    }
    uint64_t bytes = 0;
    if (machine_queue_bytes(twin->machine, queue.id, &bytes) != 0 || bytes != queue.bytes) {
        world_say(world, "queue %s: %" PRIu64 " bytes are ready, and the machine says %" PRIu64, queue.name,
                  queue.bytes, bytes);
    }
    int err = machine_browse(twin->machine, queue.id, 0, compare_message, &compare);
    if (err != 0 && world->said[0] == '\0') {
        world_say(world, "queue %s cannot be browsed: %s", queue.name, err_name(err));
    }
    if (world->said[0] == '\0' && compare.at != model_messages(world->model, nth)) {
        world_say(world, "queue %s: message %" PRIx64 " is not there", queue.name,
                  model_message(world->model, nth, compare.at).position);
    }
    if (world->said[0] == '\0' && (world->log_len + nth) % 4 == 0) {
        compare_contents(world, twin, world->model->queues.items[nth]);
        compare_browse_from(world, twin, world->model->queues.items[nth]);
        look_at_queue(world, twin, world->model->queues.items[nth]);
    }
}

static int count_queue(void *arg, const struct machine_queue *queue)
{
    (void)queue;
    ++*(size_t *)arg;
    return 0;
}

static void compare_sessions(struct world *world, struct twin *twin)
{
    if (machine_sessions_len(twin->machine) != model_sessions(world->model)) {
        world_say(world, "%zu sessions, and the machine has %" PRIu64, model_sessions(world->model),
                  machine_sessions_len(twin->machine));
    }
    for (size_t i = 0; i < model_sessions(world->model); i++) {
        struct model_session session = model_session(world->model, i);
        struct machine_session found;
        if (machine_session(twin->machine, session.id, &found) != 0) {
            world_say(world, "session %" PRIu64 " is not there", session.id);
        } else if (found.attachment != session.attachment || found.last_number != session.last_number ||
                   found.lease_ms != session.lease_ms || found.node != session.node ||
                   found.expires_ms != session.expires_ms) {
            world_say(
                world,
                "session %" PRIu64 ": attachment, last number, lease, node, end\n  model:   %" PRIu64 " %" PRIu64
                " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n  machine: %" PRIu64 " %" PRIu64 " %u %" PRIu64 " %" PRIu64,
                session.id, session.attachment, session.last_number, session.lease_ms, session.node, session.expires_ms,
                found.attachment, found.last_number, found.lease_ms, found.node, found.expires_ms);
        }
    }
}

void compare_state(struct world *world, struct twin *twin)
{
    size_t queues = 0;
    EACH (struct host, host, &world->model->hosts) {
        uint64_t id;
        if (machine_virtual_host(twin->machine, host->name, &id) == 0) {
            (void)!machine_queues_in(twin->machine, id, "", count_queue, &queues);
        }
    }
    if (queues != model_queues(world->model)) {
        world_say(world, "%zu queues, and the machine has %zu", model_queues(world->model), queues);
    }
    for (size_t i = 0; i < model_queues(world->model) && world->said[0] == '\0'; i++) {
        compare_queue(world, twin, i);
    }
    compare_sessions(world, twin);
    if (world->said[0] == '\0' && world->log_len % 4 == 1) {
        look_at_hosts(world, twin);
    }
    /* The machine has reminders of its own besides: of what it need not remember any more. Under version 1 it has none. */
    uint64_t due = machine_due_ms(twin->machine);
    if (due > model_due_ms(world->model) || (world->model->version < 2 && due != model_due_ms(world->model))) {
        world_say(world, "due at %" PRIu64 ", and the machine says %" PRIu64, model_due_ms(world->model), due);
    }
}
