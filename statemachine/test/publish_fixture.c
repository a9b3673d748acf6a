/* A machine under version 2, and publishes with heads. */

#include "publish_fixture.h"

#include <criterion/criterion.h>
#include <string.h>

#include "statemachine/state.h"

void publish_fixture_init(struct fixture *fixture, struct client *client)
{
    fixture_init(fixture);
    fixture->machine->version = 2;
    cr_assert_eq(client_attach(fixture, client, 1, false).error, 0u);
}

struct posts *posts_new(const char *queue)
{
    struct posts *posts = calloc(1, sizeof *posts);
    cr_assert_not_null(posts);
    holdfast__publish__init(&posts->publish);
    posts->publish.head_len = posts->head_lens;
    posts->publish.body_len = posts->body_lens;
    posts->publish.body_hash = posts->hashes;
    if (queue != NULL) {
        posts->publish.queue = (char *)(uintptr_t)queue;
    }
    return posts;
}

void posts_add(struct posts *posts, const Holdfast__MessageHead *head, const char *body)
{
    size_t at = posts->publish.n_body_len;
    size_t head_len = head != NULL ? holdfast__message_head__get_packed_size(head) : 0;
    size_t start = posts->bodies.len;
    cr_assert_lt(at, POSTS_MAX);
    cr_assert_eq(bytes_reserve(&posts->bodies, head_len), 0);
    if (head != NULL) {
        holdfast__message_head__pack(head, posts->bodies.data + start);
    }
    posts->bodies.len += head_len;
    cr_assert_eq(bytes_append(&posts->bodies, body, strlen(body)), 0);
    posts->head_lens[at] = (uint32_t)head_len;
    posts->body_lens[at] = (uint32_t)strlen(body);
    posts->hashes[at] = XXH3_64bits(posts->bodies.data + start, posts->bodies.len - start);
    posts->publish.n_head_len = posts->publish.n_body_len = posts->publish.n_body_hash = at + 1;
}

void posts_add_to(struct posts *posts, const char *exchange, const char *key, const char *body)
{
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    head.exchange = (char *)(uintptr_t)exchange;
    head.routing_key = (char *)(uintptr_t)key;
    posts_add(posts, &head, body);
}

void posts_free(struct posts *posts)
{
    bytes_done(&posts->bodies);
    free(posts);
}

static Holdfast__Command posts_command(struct posts *posts)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_PUBLISH;
    command.publish = &posts->publish;
    return command;
}

struct effect_reply posts_send(struct fixture *fixture, struct client *client, struct posts *posts)
{
    Holdfast__Command command = posts_command(posts);
    return client_command(fixture, client, &command, posts->bodies.data, posts->bodies.len);
}

struct effect_reply posts_send_once(struct fixture *fixture, struct client *client, struct posts *posts)
{
    struct effect_reply reply = posts_send(fixture, client, posts);
    posts_free(posts);
    return reply;
}

struct effect_reply options_declare(struct fixture *fixture, struct client *client, const char *queue,
                                    const Holdfast__QueueOptions *options)
{
    Holdfast__DeclareQueue declare = HOLDFAST__DECLARE_QUEUE__INIT;
    declare.queue = (char *)(uintptr_t)queue;
    declare.options = (Holdfast__QueueOptions *)(uintptr_t)options;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_QUEUE;
    command.declare_queue = &declare;
    return client_command(fixture, client, &command, NULL, 0);
}

struct effect_reply exchange_declare(struct fixture *fixture, struct client *client, const char *exchange,
                                     Holdfast__DeclareExchange__Type type)
{
    Holdfast__DeclareExchange declare = HOLDFAST__DECLARE_EXCHANGE__INIT;
    declare.exchange = (char *)(uintptr_t)exchange;
    declare.type = type;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_EXCHANGE;
    command.declare_exchange = &declare;
    return client_command(fixture, client, &command, NULL, 0);
}

struct effect_reply exchange_bind(struct fixture *fixture, struct client *client, const char *exchange,
                                  const char *queue, const char *key)
{
    Holdfast__Bind bind = HOLDFAST__BIND__INIT;
    bind.source = (char *)(uintptr_t)exchange;
    bind.queue = (char *)(uintptr_t)queue;
    bind.key = (char *)(uintptr_t)key;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_BIND;
    command.bind = &bind;
    return client_command(fixture, client, &command, NULL, 0);
}

static struct queue *queue_named(struct fixture *fixture, const char *name)
{
    struct queue *queue = queue_by_name(fixture->machine, VIRTUAL_HOST_ROOT, name);
    cr_assert_not_null(queue, "%s", name);
    return queue;
}

uint64_t ready(struct fixture *fixture, const char *queue)
{
    return queue_ready(queue_named(fixture, queue));
}

const char *body_at(struct fixture *fixture, const char *name, uint64_t position)
{
    static _Thread_local char text[64];
    struct message message;
    struct queue *queue = queue_named(fixture, name);
    int err = state_message(fixture->machine, queue, position, &message);
    cr_assert_eq(err, 0, "%s %llu: %s", name, (unsigned long long)position, err_text(err));
    cr_assert_lt(message.body_len, sizeof text);
    memcpy(text, message.data + message.head_len, message.body_len);
    text[message.body_len] = 0;
    message_unref(&message);
    return text;
}

/* The state, as if the session had sent nothing since. */
static uint64_t digest_but_for(struct fixture *fixture, struct client *client, uint64_t last, uint64_t failed)
{
    struct machine *machine = fixture->machine;
    struct session *session = session_by_id(machine, client->session);
    uint64_t time_ms = machine->time_ms;
    uint64_t index = machine->applied_index;
    uint64_t running = machine->running_digest;
    struct replies replies = session->replies;
    uint64_t was_failed = session->failed_publish;
    machine->time_ms = 0;
    machine->applied_index = 0;
    machine->running_digest = 0;
    session->replies = (struct replies){.last = last};
    session->failed_publish = failed;
    uint64_t digest = fixture_digest(fixture);
    session->replies = replies;
    session->failed_publish = was_failed;
    machine->time_ms = time_ms;
    machine->applied_index = index;
    machine->running_digest = running;
    return digest;
}

void refused_without_a_trace(struct fixture *fixture, struct client *client, const Holdfast__Command *command,
                             const void *bodies, size_t bodies_len, uint32_t error)
{
    struct session *session = session_by_id(fixture->machine, client->session);
    uint64_t last = session->replies.last;
    uint64_t failed = session->failed_publish;
    client->answered = client->number;
    uint64_t before = digest_but_for(fixture, client, last, failed);
    uint64_t pending = fixture->machine->next_pending;
    struct effect_reply reply = client_command(fixture, client, command, bodies, bodies_len);
    cr_assert_eq(reply.error, error, "%u instead of %u: %s", reply.error, error, reply.detail);
    cr_assert_eq(fixture->effects.len, 1u);
    cr_assert_eq(reply.count + reply.repeated_count, 0u);
    cr_assert_eq(digest_but_for(fixture, client, last, failed), before, "%s", reply.detail);
    cr_assert_eq(fixture->machine->next_pending, pending);
}

void posts_refused(struct fixture *fixture, struct client *client, struct posts *posts, uint32_t error)
{
    Holdfast__Command command = posts_command(posts);
    refused_without_a_trace(fixture, client, &command, posts->bodies.data, posts->bodies.len, error);
    client->answered = client->number;
}

struct effect_reply producer_open_epoch(struct fixture *fixture, struct client *client, const char *producer, bool keep)
{
    Holdfast__OpenProducer open = HOLDFAST__OPEN_PRODUCER__INIT;
    open.producer = (char *)(uintptr_t)producer;
    open.keep_epoch = keep;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_OPEN_PRODUCER;
    command.open_producer = &open;
    return client_command(fixture, client, &command, NULL, 0);
}
