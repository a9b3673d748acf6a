/* Queues that messages leave in all ways. */

#include "leaving_fixture.h"

#include <criterion/criterion.h>

#include "statemachine/queue/queue.h"
#include "statemachine/state.h"

Holdfast__QueueOptions options_dead(const char *exchange, const char *key)
{
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.has_dead_letter = true;
    options.dead_letter_exchange = (char *)(uintptr_t)exchange;
    if (key != NULL) {
        options.has_dead_letter_key = true;
        options.dead_letter_key = (char *)(uintptr_t)key;
    }
    return options;
}

void leaving_declare(struct fixture *fixture, struct client *client, const char *queue,
                     const Holdfast__QueueOptions *options)
{
    Holdfast__QueueOptions plain = HOLDFAST__QUEUE_OPTIONS__INIT;
    struct effect_reply reply = options_declare(fixture, client, queue, options != NULL ? options : &plain);
    cr_assert_eq(reply.error, 0u, "%s: %s", queue, reply.detail);
}

void leaving_publish(struct fixture *fixture, struct client *client, const char *queue, const char *body,
                     uint64_t ttl_ms)
{
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    struct posts *posts = posts_new(queue);
    head.has_ttl = ttl_ms != UINT64_MAX;
    head.ttl_ms = head.has_ttl ? ttl_ms : 0;
    posts_add(posts, head.has_ttl ? &head : NULL, body);
    struct effect_reply reply = posts_send_once(fixture, client, posts);
    cr_assert_eq(reply.error, 0u, "%s", reply.detail);
}

struct effect_reply leaving_settle(struct fixture *fixture, struct client *client, const Holdfast__Settle *like,
                                   uint64_t consumer, uint64_t first, uint64_t last)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__Settle settle = *like;
    settle.consumer = consumer;
    settle.n_first = settle.n_last = 1;
    settle.first = &first;
    settle.last = &last;
    command.kind_case = HOLDFAST__COMMAND__KIND_SETTLE;
    command.settle = &settle;
    return client_command(fixture, client, &command, NULL, 0);
}

struct effect_reply leaving_extend(struct fixture *fixture, struct client *client, uint64_t consumer, uint64_t first,
                                   uint64_t last, uint64_t lock_ms)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__Extend extend = HOLDFAST__EXTEND__INIT;
    extend.consumer = consumer;
    extend.n_first = extend.n_last = 1;
    extend.first = &first;
    extend.last = &last;
    extend.lock_ms = lock_ms;
    command.kind_case = HOLDFAST__COMMAND__KIND_EXTEND;
    command.extend = &extend;
    return client_command(fixture, client, &command, NULL, 0);
}

struct effect_reply leaving_redrive(struct fixture *fixture, struct client *client, const char *queue, const char *to,
                                    const char *from, uint32_t max)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__Redrive redrive = HOLDFAST__REDRIVE__INIT;
    redrive.queue = (char *)(uintptr_t)queue;
    redrive.to = (char *)(uintptr_t)to;
    redrive.from = (char *)(uintptr_t)from;
    redrive.max = max;
    command.kind_case = HOLDFAST__COMMAND__KIND_REDRIVE;
    command.redrive = &redrive;
    return client_command(fixture, client, &command, NULL, 0);
}

struct effect_reply leaving_replay(struct fixture *fixture, struct client *client, const char *queue, const char *to,
                                   uint64_t first, uint64_t last, uint32_t max)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__Replay replay = HOLDFAST__REPLAY__INIT;
    replay.queue = (char *)(uintptr_t)queue;
    replay.to = (char *)(uintptr_t)to;
    replay.first = first;
    replay.last = last;
    replay.max = max;
    command.kind_case = HOLDFAST__COMMAND__KIND_REPLAY;
    command.replay = &replay;
    return client_command(fixture, client, &command, NULL, 0);
}

const struct queue_counters *leaving_counters(struct fixture *fixture, const char *queue)
{
    struct queue *found = queue_by_name(fixture->machine, VIRTUAL_HOST_ROOT, queue);
    cr_assert_not_null(found);
    return &found->counters;
}

Holdfast__Trail *leaving_trail(struct fixture *fixture, const char *queue, uint64_t position)
{
    struct machine_content content;
    cr_assert_eq(machine_content(fixture->machine, fixture_queue(fixture, queue).id, position, &content), 0, "%s %lu",
                 queue, (unsigned long)position);
    Holdfast__Trail *trail = NULL;
    if (content.trail.len > 0) {
        trail = holdfast__trail__unpack(NULL, content.trail.len, content.trail.data);
        cr_assert_not_null(trail);
    }
    machine_content_done(&content);
    return trail;
}

void leaving_disturb(struct fixture *fixture, bool disturb)
{
    if (disturb) {
        uint64_t digest = fixture_digest(fixture);
        fixture_reopen(fixture);
        cr_assert_eq(fixture_digest(fixture), digest);
    }
}
