/* What the machine says when it is asked, against what the model knows. */

#include <inttypes.h>
#include <string.h>

#include "statemachine/machine_exchanges.h"
#include "statemachine/machine_looking.h"
#include "statemachine/machine_virtual_hosts.h"
#include "world.h"

struct look {
    struct world *world;
    struct twin *twin;
    const struct queue *queue;
    const struct session *session;
    const struct consumer *consumer;
    const struct host *host;
    const struct list *expected;
    size_t at; /* What comes next. */
};

/* The next item of the list; NULL, and said so: there is none. */
static void *next_of(struct look *look, const char *what)
{
    if (look->at < look->expected->len) {
        return look->expected->items[look->at++];
    }
    world_say(look->world, "%s: more %s than there should be", look->queue != NULL ? look->queue->name : "", what);
    return NULL;
}

static void look_ends(struct look *look, int err, const char *what)
{
    if (err != 0 && look->world->said[0] == '\0') {
        world_say(look->world, "%s cannot be looked at: %s", what, err_name(err));
    } else if (err == 0 && look->at != look->expected->len) {
        world_say(look->world, "%s: less %s than there should be", look->queue != NULL ? look->queue->name : "", what);
    }
}

/* ---- Consumers ---- */

static int look_at_delivery(void *arg, const struct machine_delivery *found)
{
    struct look *look = arg;
    const struct held *held = next_of(look, "deliveries");
    if (held == NULL) {
        return 1;
    }
    uint64_t until_ms = held->until_ms == NEVER ? 0 : held->until_ms;
    const struct message *message = held->message;
    if (found->number != held->number || found->position != message->position || found->lock_until_ms != until_ms ||
        found->enqueued_ms != message->enqueued_ms || found->expires_ms != message->expires_ms ||
        found->delivery_count != message->deliveries || found->queue != look->consumer->queue->id) {
        world_say(look->world,
                  "delivery number, position, lock until, count\n  model:   %" PRIu64 " %" PRIx64 " %" PRIu64
                  " %" PRIu64 "\n  machine: %" PRIu64 " %" PRIx64 " %" PRIu64 " %u",
                  held->number, message->position, until_ms, message->deliveries, found->number, found->position,
                  found->lock_until_ms, found->delivery_count);
        return 1;
    }
    return 0;
}

static void look_at_deliveries(struct world *world, struct twin *twin, const struct consumer *consumer)
{
    struct look look = {.world = world, .twin = twin, .consumer = consumer, .expected = &consumer->held};
    int err = machine_deliveries(twin->machine, consumer->session->id, consumer->id, 0, look_at_delivery, &look);
    look_ends(&look, err, "deliveries");
}

static int look_at_consumer(void *arg, const struct machine_consumer *found)
{
    struct look *look = arg;
    const struct consumer *consumer = next_of(look, "consumers");
    if (consumer == NULL) {
        return 1;
    }
    bool active = !look->queue->options.single_active || look->queue->active == consumer;
    if (found->session != consumer->session->id || found->consumer != consumer->id ||
        found->lock_ms != consumer->lock_ms || found->delivered != consumer->last_number ||
        found->credit != consumer->credit || found->unsettled != consumer->held.len ||
        found->priority != consumer->priority || found->exclusive != consumer->exclusive ||
        found->auto_accept != consumer->auto_accept || found->fetch != consumer->fetch ||
        (!found->fetch && found->active != active)) {
        world_say(look->world,
                  "queue %s: consumer, credit, unsettled, active\n  model:   %" PRIu64 " %" PRIu64 " %" PRIu64
                  " %zu %d\n  machine: %" PRIu64 " %" PRIu64 " %u %u %d",
                  look->queue->name, consumer->session->id, consumer->id, consumer->credit, consumer->held.len, active,
                  found->session, found->consumer, found->credit, found->unsettled, found->active);
        return 1;
    }
    return 0;
}

static void look_at_consumers(struct world *world, struct twin *twin, const struct queue *queue)
{
    struct look look = {.world = world, .twin = twin, .queue = queue, .expected = &queue->consumers};
    int err = machine_consumers(twin->machine, queue->id, look_at_consumer, &look);
    look_ends(&look, err, "consumers");
    EACH (struct consumer, consumer, &queue->consumers) {
        if (world->said[0] == '\0') {
            look_at_deliveries(world, twin, consumer);
        }
    }
}

/* ---- Kept ones ---- */

static int look_at_kept_one(void *arg, const struct machine_kept *found)
{
    struct look *look = arg;
    const struct kept *kept = next_of(look, "kept messages");
    if (kept == NULL) {
        return 1;
    }
    const struct content *content = kept->parcel.content;
    if (found->position != kept->position || found->enqueued_ms != kept->enqueued_ms ||
        found->left_ms != kept->left_ms || (int)found->outcome != (int)kept->outcome || found->hash != content->hash ||
        found->head_len != content->head_len || found->body_len != content->body_len ||
        (found->trail_len > 0) != (kept->parcel.trail != NULL)) {
        world_say(look->world,
                  "queue %s: kept message, left, outcome\n  model:   %" PRIx64 " %" PRIu64 " %d\n  machine: %" PRIx64
                  " %" PRIu64 " %d",
                  look->queue->name, kept->position, kept->left_ms, (int)kept->outcome, found->position, found->left_ms,
                  (int)found->outcome);
        return 1;
    }
    return 0;
}

static void look_at_kept_content(struct world *world, struct twin *twin, const struct queue *queue,
                                 const struct kept *kept)
{
    struct machine_content content;
    int err = machine_kept_content(twin->machine, queue->id, kept->position, &content);
    if (err != 0) {
        world_say(world, "queue %s: kept %" PRIx64 " cannot be read: %s", queue->name, kept->position, err_name(err));
        return;
    }
    compare_content(world, queue->name, kept->position, &content, &kept->parcel);
    machine_content_done(&content);
}

static void look_at_kept(struct world *world, struct twin *twin, const struct queue *queue)
{
    struct look look = {.world = world, .twin = twin, .queue = queue, .expected = &queue->kept};
    int err = machine_kept(twin->machine, queue->id, 0, look_at_kept_one, &look);
    look_ends(&look, err, "kept messages");
    EACH (struct kept, kept, &queue->kept) {
        if (world->said[0] == '\0') {
            look_at_kept_content(world, twin, queue, kept);
        }
    }
}

/* ---- Lives ---- */

static int look_at_step(void *arg, const struct machine_life *found)
{
    struct look *look = arg;
    const struct life_step *step = next_of(look, "steps of lives");
    if (step == NULL) {
        return 1;
    }
    if (found->index != step->index || found->time_ms != step->time_ms || (int)found->kind != (int)step->kind ||
        found->session != step->session || found->consumer != step->consumer || strcmp(found->text, step->text) != 0) {
        world_say(look->world,
                  "queue %s: life of %" PRIx64 ": index, kind, session, consumer, text\n  model:   %" PRIu64
                  " %d %" PRIu64 " %" PRIu64 " %s\n  machine: %" PRIu64 " %d %" PRIu64 " %" PRIu64 " %s",
                  look->queue->name, found->position, step->index, (int)step->kind, step->session, step->consumer,
                  step->text, found->index, (int)found->kind, found->session, found->consumer, found->text);
        return 1;
    }
    return 0;
}

static int count_step(void *arg, const struct machine_life *found)
{
    (void)found;
    ++*(size_t *)arg;
    return 0;
}

/* What is known of purged messages is forgotten some time after a purge. */
static void look_at_life(struct world *world, struct twin *twin, const struct queue *queue, const struct life *life)
{
    size_t count = 0;
    static const struct list none = {0};
    struct look look = {.world = world, .twin = twin, .queue = queue, .expected = &life->steps};
    look.expected = life->forgotten ? &none : look.expected;
    if (life->purged && queue->sweep_ms <= world->model->time_ms) {
        int err = machine_life(twin->machine, queue->id, life->position, count_step, &count);
        if (err != 0 || count == 0) {
            look.expected = &none;
        }
    }
    int err = machine_life(twin->machine, queue->id, life->position, look_at_step, &look);
    look_ends(&look, err, "steps of lives");
}

static void look_at_lives(struct world *world, struct twin *twin, const struct queue *queue)
{
    for (size_t i = queue->lives.len; i > 0 && world->said[0] == '\0'; i--) {
        const struct life *life = queue->lives.items[i - 1];
        bool later = false; /* Another one of that position: the last one counts. */
        for (size_t j = i; j < queue->lives.len && life->forgotten; j++) {
            later = later || ((const struct life *)queue->lives.items[j])->position == life->position;
        }
        if (!later) {
            look_at_life(world, twin, queue, life);
        }
    }
}

void look_at_queue(struct world *world, struct twin *twin, const struct queue *queue)
{
    look_at_consumers(world, twin, queue);
    if (world->said[0] == '\0') {
        look_at_kept(world, twin, queue);
    }
    look_at_lives(world, twin, queue);
}

/* ---- Virtual hosts, and the exchanges in them ---- */

static int look_at_exchange(void *arg, const struct machine_exchange *found)
{
    struct look *look = arg;
    struct model *model = look->world->model;
    const struct exchange *exchange = m_exchange_find(model, look->host->name, found->name);
    uint64_t bindings = 0;
    if (exchange == NULL) {
        world_say(look->world, "exchange %s should not be there", found->name);
        return 1;
    }
    EACH (struct binding, binding, &model->bindings) {
        bindings += binding->source == exchange;
    }
    size_t note_len = strlen(exchange->note);
    if ((int)found->type != exchange->type || found->auto_delete != exchange->auto_delete ||
        found->internal != exchange->internal || found->is_protected != exchange->protected ||
        found->has_alternate != (exchange->alternate != NULL) || found->bindings != bindings ||
        found->note.len != note_len || (note_len > 0 && memcmp(found->note.data, exchange->note, note_len) != 0)) {
        world_say(look->world, "exchange %s is otherwise: %" PRIu64 " bindings, and the machine has %" PRIu64,
                  found->name, bindings, found->bindings);
        return 1;
    }
    look->at += !exchange->built_in;
    return 0;
}

static int look_at_binding(void *arg, const struct machine_binding *found)
{
    struct look *look = arg;
    const struct binding *binding = next_of(look, "bindings");
    if (binding == NULL) {
        return 1;
    }
    const char *to = binding->queue != NULL ? binding->queue->name : binding->exchange->name;
    size_t key_len = strlen(binding->key);
    if (strcmp(found->source, binding->source->name) != 0 || strcmp(found->to, to) != 0 ||
        found->to_exchange != (binding->exchange != NULL) || found->key.len != key_len ||
        (key_len > 0 && memcmp(found->key.data, binding->key, key_len) != 0)) {
        world_say(look->world, "binding\n  model:   %s to %s\n  machine: %s to %s", binding->source->name, to,
                  found->source, found->to);
        return 1;
    }
    return 0;
}

static void look_at_exchanges(struct world *world, struct twin *twin, const struct host *host, uint64_t id)
{
    struct list made = {0};
    struct list bindings = {0};
    EACH (struct exchange, exchange, &world->model->exchanges) {
        if (!exchange->built_in && strcmp(exchange->virtual_host, host->name) == 0) {
            m_list_add(world->model, &made, exchange);
        }
    }
    EACH (struct binding, binding, &world->model->bindings) {
        if (strcmp(binding->source->virtual_host, host->name) == 0) {
            m_list_add(world->model, &bindings, binding);
        }
    }
    struct look look = {.world = world, .twin = twin, .host = host, .expected = &made};
    look_ends(&look, machine_exchanges(twin->machine, id, NULL, look_at_exchange, &look), "exchanges");
    look = (struct look){.world = world, .twin = twin, .host = host, .expected = &bindings};
    if (world->said[0] == '\0') {
        look_ends(&look, machine_bindings(twin->machine, id, 0, look_at_binding, &look), "bindings");
    }
}

static int look_at_host(void *arg, const struct machine_virtual_host *found)
{
    struct look *look = arg;
    const struct host *host = m_host_find(look->world->model, found->name);
    if (host == NULL || strcmp(host->note, found->note) != 0) {
        world_say(look->world, "virtual host %s should not be there, or have another note", found->name);
        return 1;
    }
    look->at++;
    return 0;
}

void look_at_hosts(struct world *world, struct twin *twin)
{
    struct look look = {.world = world, .twin = twin, .expected = &world->model->hosts};
    look_ends(&look, machine_virtual_hosts(twin->machine, "", look_at_host, &look), "virtual hosts");
    EACH (struct host, host, &world->model->hosts) {
        uint64_t id;
        if (world->said[0] == '\0' && machine_virtual_host(twin->machine, host->name, &id) != 0) {
            world_say(world, "virtual host %s is not there", host->name);
        } else if (world->said[0] == '\0') {
            look_at_exchanges(world, twin, host, id);
        }
    }
}
