/* Commands with all that they can say. */

#include "asking.h"

#include <criterion/criterion.h>
#include <string.h>

#include "host_fixture.h"

struct effect_reply ask_subscribe(struct fixture *fixture, struct client *client, const char *queue, uint64_t consumer,
                                  uint32_t credit, const Holdfast__Subscribe *like)
{
    Holdfast__Subscribe subscribe = HOLDFAST__SUBSCRIBE__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    if (like != NULL) {
        subscribe = *like;
    }
    subscribe.queue = (char *)(uintptr_t)queue;
    subscribe.consumer = consumer;
    subscribe.credit = credit;
    command.kind_case = HOLDFAST__COMMAND__KIND_SUBSCRIBE;
    command.subscribe = &subscribe;
    return client_command(fixture, client, &command, NULL, 0);
}

struct effect_reply ask_fetch(struct fixture *fixture, struct client *client, const char *queue, uint64_t consumer,
                              uint32_t credit)
{
    Holdfast__Subscribe fetch = HOLDFAST__SUBSCRIBE__INIT;
    fetch.fetch = true;
    return ask_subscribe(fixture, client, queue, consumer, credit, &fetch);
}

struct effect_reply ask_drain(struct fixture *fixture, struct client *client, uint64_t consumer)
{
    Holdfast__Unsubscribe unsubscribe = HOLDFAST__UNSUBSCRIBE__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    unsubscribe.consumer = consumer;
    unsubscribe.drain = true;
    command.kind_case = HOLDFAST__COMMAND__KIND_UNSUBSCRIBE;
    command.unsubscribe = &unsubscribe;
    return client_command(fixture, client, &command, NULL, 0);
}

struct effect_reply ask_change(struct fixture *fixture, struct client *client, const char *queue,
                               const Holdfast__QueueOptions *options, const uint32_t *fields, size_t len)
{
    Holdfast__ChangeQueue change = HOLDFAST__CHANGE_QUEUE__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    change.queue = (char *)(uintptr_t)queue;
    change.options = (Holdfast__QueueOptions *)(uintptr_t)options;
    change.field = (uint32_t *)(uintptr_t)fields;
    change.n_field = len;
    command.kind_case = HOLDFAST__COMMAND__KIND_CHANGE_QUEUE;
    command.change_queue = &change;
    return client_command(fixture, client, &command, NULL, 0);
}

struct effect_reply ask_change_one(struct fixture *fixture, struct client *client, const char *queue,
                                   const Holdfast__QueueOptions *options, uint32_t field)
{
    return ask_change(fixture, client, queue, options, &field, 1);
}

struct effect_reply ask_passive(struct fixture *fixture, struct client *client, const char *queue)
{
    Holdfast__DeclareQueue declare = HOLDFAST__DECLARE_QUEUE__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    declare.queue = (char *)(uintptr_t)queue;
    declare.passive = true;
    command.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_QUEUE;
    command.declare_queue = &declare;
    return client_command(fixture, client, &command, NULL, 0);
}

struct effect_reply ask_delete(struct fixture *fixture, struct client *client, const char *queue, bool if_empty,
                               bool if_unused)
{
    Holdfast__DeleteQueue delete = HOLDFAST__DELETE_QUEUE__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    delete.queue = (char *)(uintptr_t)queue;
    delete.if_empty = if_empty;
    delete.if_unused = if_unused;
    command.kind_case = HOLDFAST__COMMAND__KIND_DELETE_QUEUE;
    command.delete_queue = &delete;
    return client_command(fixture, client, &command, NULL, 0);
}

struct effect_reply ask_limit(struct fixture *fixture, struct client *client, Holdfast__Limit__What what,
                              uint64_t value)
{
    return host_limit(fixture, client, "/", "", what, value);
}

/* ---- What there is ---- */

struct positions {
    uint64_t items[64];
    size_t len;
};

static int collect(void *arg, const struct machine_message *message)
{
    struct positions *positions = arg;
    cr_assert_lt(positions->len, 64u);
    positions->items[positions->len++] = message->position;
    return 0;
}

const char *ask_bodies(struct fixture *fixture, const char *queue)
{
    static _Thread_local char text[1024];
    struct positions positions = {.len = 0};
    size_t len = 0;
    uint64_t id = fixture_queue(fixture, queue).id;
    cr_assert_eq(machine_browse(fixture->machine, id, 0, collect, &positions), 0);
    text[0] = '\0';
    for (size_t i = 0; i < positions.len; i++) {
        struct slice body;
        cr_assert_eq(machine_body(fixture->machine, id, positions.items[i], &body), 0);
        cr_assert_lt(len + body.len + 2, sizeof text);
        memcpy(text + len, body.data, body.len);
        len += body.len;
        text[len++] = ' ';
        text[len] = '\0';
        slice_unref(&body);
    }
    return text;
}

size_t ask_ended(const struct fixture *fixture, uint64_t consumer, enum consumer_ended_reason reason)
{
    size_t count = 0;
    for (size_t i = 0; i < fixture->effects.len; i++) {
        const struct effect *effect = &fixture->effects.items[i];
        count += effect->kind == EFFECT_CONSUMER_ENDED && effect->consumer_ended.consumer == consumer &&
                 effect->consumer_ended.reason == reason;
    }
    return count;
}
