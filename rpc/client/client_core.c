/* The life of a client core, and the commands that it takes. */

#include "rpc/client/client_core.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "proto/base/bytes.h"
#include "proto/base/check.h"
#include "rpc/client/client_state.h"

#define WINDOW_DEFAULT 256u
#define CONNECT_TIMEOUT_MS_DEFAULT 2000u
#define SILENCE_TIMEOUT_MS_DEFAULT 3000u

/* What the header of one frame may unpack to: the largest, of smallest deliveries, stays below it. */
#define ARENA_LEN_MAX (16 * MIB)

static int name_string_check(const char *name)
{
    return name == NULL ? ERR_NAME : name_check(name, strlen(name));
}

static bool server_is_known(const struct client_core *core, const char *server)
{
    for (size_t i = 0; i < core->servers_len; i++) {
        if (strcmp(core->servers[i], server) == 0) {
            return true;
        }
    }
    return false;
}

static int servers_copy(struct client_core *core, const struct client_core_options *options)
{
    core->servers = calloc(options->servers_len, sizeof *core->servers);
    if (core->servers == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < options->servers_len; i++) {
        size_t len = strlen(options->servers[i]);
        if (len == 0 || len > ADDRESS_LEN_MAX) {
            return ERR_INVALID;
        }
        if (server_is_known(core, options->servers[i])) {
            continue; /* The next one to try is to be another. */
        }
        core->servers[core->servers_len] = strdup(options->servers[i]);
        if (core->servers[core->servers_len] == NULL) {
            return ERR_NOMEM;
        }
        core->servers_len++;
    }
    return 0;
}

/* Fisher and Yates: so that many clients with the same list spread over its servers. */
static void servers_shuffle(struct client_core *core)
{
    for (size_t i = core->servers_len; i > 1; i--) {
        size_t other = core->clock->random(core->clock) % i;
        char *server = core->servers[i - 1];
        core->servers[i - 1] = core->servers[other];
        core->servers[other] = server;
    }
}

static void core_dispose(struct client_core *core)
{
    client_consumer_free_all(core);
    for (size_t i = 0; i < core->servers_len; i++) {
        free(core->servers[i]);
    }
    free(core->servers);
    free(core->client_name);
    free(core->virtual_host);
    arena_done(&core->arena);
    free(core);
}

int client_core_new(const struct client_core_options *options, struct client_core **ret_core)
{
    const char *virtual_host = options->virtual_host == NULL ? "/" : options->virtual_host;
    int err = name_string_check(virtual_host);
    if (err != 0) {
        return err;
    }
    if (options->servers_len == 0 || options->window > SESSION_WINDOW_MAX || options->clock == NULL) {
        return ERR_INVALID;
    }
    struct client_core *core = calloc(1, sizeof *core);
    if (core == NULL) {
        return ERR_NOMEM;
    }
    core->options = *options;
    core->host = options->host;
    core->clock = options->clock;
    core->window = options->window == 0 ? WINDOW_DEFAULT : options->window;
    if (options->connect_timeout_ms == 0) {
        core->options.connect_timeout_ms = CONNECT_TIMEOUT_MS_DEFAULT;
    }
    if (options->silence_timeout_ms == 0) {
        core->options.silence_timeout_ms = SILENCE_TIMEOUT_MS_DEFAULT;
    }
    core->phase = CLIENT_PAUSED;
    core->phase_deadline_ms = client_now(core);
    core->backoff_ms = CLIENT_BACKOFF_MS_MIN;
    core->timeout_ms = UINT64_MAX;
    core->body_len_max = BODY_LEN_MAX;
    list_init(&core->waiting);
    list_init(&core->asks);
    arena_init(&core->arena, ARENA_LEN_MAX);
    client_connection_new_key(core);
    core->client_name = strdup(options->client_name == NULL ? "" : options->client_name);
    core->virtual_host = strdup(virtual_host);
    err = core->client_name == NULL || core->virtual_host == NULL ? ERR_NOMEM : servers_copy(core, options);
    if (err != 0) {
        core_dispose(core);
        return err;
    }
    if (options->spread) {
        servers_shuffle(core);
    }
    *ret_core = core;
    return 0;
}

void client_core_free(struct client_core *core)
{
    if (core == NULL) {
        return;
    }
    bool connected = core->phase > CLIENT_PAUSED && core->phase < CLIENT_ENDED;
    core->phase = CLIENT_ENDED;
    if (connected) {
        core->host.disconnect(core->host.arg);
    }
    client_command_end_all(core, ERR_OUTCOME_UNKNOWN, ERR_CLOSED);
    client_ask_end_all(core, ERR_CLOSED);
    core_dispose(core);
}

uint64_t client_core_body_len_max(const struct client_core *core)
{
    return core->body_len_max;
}

struct client_leader client_core_leader(const struct client_core *core)
{
    return (struct client_leader){.node = core->node, .leader = core->leader, .address = core->leader_address};
}

size_t client_core_unanswered(const struct client_core *core)
{
    return core->unanswered;
}

/* Adds a command without bodies and sends it if the window allows. */
static int command_issue(struct client_core *core, enum client_command_kind kind, const Holdfast__Command *command,
                         uint64_t consumer, uint64_t timeout_ms, client_reply_cb cb, void *arg)
{
    int err = client_command_add(core, kind, command, consumer, 0, NULL, 0, timeout_ms, cb, arg);
    if (err == 0) {
        client_command_pump(core);
    }
    return err;
}

int client_core_declare(struct client_core *core, const char *queue, uint64_t timeout_ms, client_reply_cb cb, void *arg)
{
    int err = name_string_check(queue);
    if (err != 0) {
        return err;
    }
    Holdfast__DeclareQueue declare = HOLDFAST__DECLARE_QUEUE__INIT;
    declare.queue = (char *)queue;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_QUEUE;
    command.declare_queue = &declare;
    return command_issue(core, CLIENT_DECLARE, &command, 0, timeout_ms, cb, arg);
}

int client_core_delete(struct client_core *core, const char *queue, bool if_empty, uint64_t timeout_ms,
                       client_reply_cb cb, void *arg)
{
    int err = name_string_check(queue);
    if (err != 0) {
        return err;
    }
    Holdfast__DeleteQueue delete = HOLDFAST__DELETE_QUEUE__INIT;
    delete.queue = (char *)queue;
    delete.if_empty = if_empty;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_DELETE_QUEUE;
    command.delete_queue = &delete;
    return command_issue(core, CLIENT_DELETE, &command, 0, timeout_ms, cb, arg);
}

int client_core_purge(struct client_core *core, const char *queue, uint64_t timeout_ms, client_reply_cb cb, void *arg)
{
    int err = name_string_check(queue);
    if (err != 0) {
        return err;
    }
    Holdfast__PurgeQueue purge = HOLDFAST__PURGE_QUEUE__INIT;
    purge.queue = (char *)queue;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_PURGE_QUEUE;
    command.purge_queue = &purge;
    return command_issue(core, CLIENT_PURGE, &command, 0, timeout_ms, cb, arg);
}

static int publish_check(const struct client_core *core, const char *queue, const char *producer,
                         uint64_t first_sequence, const struct slice *bodies, size_t bodies_len)
{
    int err = name_string_check(queue);
    if (err == 0 && producer != NULL && producer[0] != '\0') {
        err = name_string_check(producer);
        if (err == 0 && (first_sequence == 0 || bodies_len > UINT64_MAX - first_sequence)) {
            err = ERR_INVALID;
        }
    }
    if (err != 0) {
        return err;
    }
    if (bodies_len == 0) {
        return ERR_INVALID;
    }
    if (bodies_len > PUBLISH_MESSAGES_MAX) {
        return ERR_TOO_BIG;
    }
    uint64_t len = 0;
    for (size_t i = 0; i < bodies_len; i++) {
        if (bodies[i].len > core->body_len_max || bodies[i].len > COMMAND_BODIES_LEN_MAX - len) {
            return ERR_TOO_BIG;
        }
        len += bodies[i].len;
    }
    return 0;
}

int client_core_publish(struct client_core *core, const char *queue, const char *producer, uint64_t first_sequence,
                        const struct slice *bodies, size_t bodies_len, uint64_t timeout_ms, client_reply_cb cb,
                        void *arg)
{
    int err = publish_check(core, queue, producer, first_sequence, bodies, bodies_len);
    if (err != 0) {
        return err;
    }
    bool named = producer != NULL && producer[0] != '\0';
    uint64_t *hashes = malloc(bodies_len * sizeof *hashes);
    uint32_t *lens = malloc(bodies_len * sizeof *lens);
    if (hashes == NULL || lens == NULL) {
        err = ERR_NOMEM;
        goto out;
    }
    for (size_t i = 0; i < bodies_len; i++) {
        lens[i] = (uint32_t)bodies[i].len;
        hashes[i] = XXH3_64bits(bodies[i].data, bodies[i].len);
    }
    Holdfast__Publish publish = HOLDFAST__PUBLISH__INIT;
    publish.queue = (char *)queue;
    publish.n_body_len = bodies_len;
    publish.body_len = lens;
    publish.n_body_hash = bodies_len;
    publish.body_hash = hashes;
    if (named) {
        publish.producer = (char *)producer;
        publish.first_sequence = first_sequence;
    }
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_PUBLISH;
    command.publish = &publish;
    err = client_command_add(core, named ? CLIENT_PUBLISH_NAMED : CLIENT_PUBLISH, &command, 0,
                             named ? XXH3_64bits(producer, strlen(producer)) : 0, bodies, bodies_len, timeout_ms, cb,
                             arg);
    if (err == 0) {
        client_command_pump(core);
    }
out:
    free(hashes);
    free(lens);
    return err;
}

int client_core_subscribe(struct client_core *core, const char *queue, uint64_t consumer, uint32_t credit,
                          uint64_t timeout_ms, client_reply_cb cb, void *arg)
{
    int err = name_string_check(queue);
    if (err != 0) {
        return err;
    }
    if (credit == 0 || credit > CREDIT_MAX) {
        return ERR_INVALID;
    }
    err = client_consumer_add(core, consumer);
    if (err != 0) {
        return err;
    }
    Holdfast__Subscribe subscribe = HOLDFAST__SUBSCRIBE__INIT;
    subscribe.queue = (char *)queue;
    subscribe.consumer = consumer;
    subscribe.credit = credit;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_SUBSCRIBE;
    command.subscribe = &subscribe;
    err = command_issue(core, CLIENT_SUBSCRIBE, &command, consumer, timeout_ms, cb, arg);
    if (err != 0) {
        client_consumer_remove(core, client_consumer_find(core, consumer));
    }
    return err;
}

int client_core_unsubscribe(struct client_core *core, uint64_t consumer, uint64_t timeout_ms, client_reply_cb cb,
                            void *arg)
{
    struct client_consumer *found = client_consumer_find(core, consumer);
    if (found == NULL || found->ending) {
        return ERR_NOT_FOUND;
    }
    Holdfast__Unsubscribe unsubscribe = HOLDFAST__UNSUBSCRIBE__INIT;
    unsubscribe.consumer = consumer;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_UNSUBSCRIBE;
    command.unsubscribe = &unsubscribe;
    int err = command_issue(core, CLIENT_UNSUBSCRIBE, &command, consumer, timeout_ms, cb, arg);
    if (err == 0) {
        found->ending = true;
    }
    return err;
}

static int settle_check(struct client_core *core, uint64_t consumer, enum client_outcome outcome,
                        const struct client_range *ranges, size_t ranges_len)
{
    const struct client_consumer *found = client_consumer_find(core, consumer);
    if (found == NULL || found->ending) {
        return ERR_NOT_FOUND;
    }
    if (ranges_len == 0 || outcome > CLIENT_RELEASE) {
        return ERR_INVALID;
    }
    if (ranges_len > SETTLE_RANGES_MAX) {
        return ERR_TOO_BIG;
    }
    for (size_t i = 0; i < ranges_len; i++) {
        if (ranges[i].first == 0 || ranges[i].first > ranges[i].last || ranges[i].last > found->seen) {
            return ERR_INVALID;
        }
    }
    return 0;
}

int client_core_settle(struct client_core *core, uint64_t consumer, enum client_outcome outcome,
                       const struct client_range *ranges, size_t ranges_len, uint64_t timeout_ms, client_reply_cb cb,
                       void *arg)
{
    int err = settle_check(core, consumer, outcome, ranges, ranges_len);
    if (err != 0) {
        return err;
    }
    uint64_t *first = malloc(ranges_len * 2 * sizeof *first);
    if (first == NULL) {
        return ERR_NOMEM;
    }
    uint64_t *last = first + ranges_len;
    for (size_t i = 0; i < ranges_len; i++) {
        first[i] = ranges[i].first;
        last[i] = ranges[i].last;
    }
    Holdfast__Settle settle = HOLDFAST__SETTLE__INIT;
    settle.consumer = consumer;
    settle.outcome = (Holdfast__Settle__Outcome)outcome;
    settle.n_first = ranges_len;
    settle.first = first;
    settle.n_last = ranges_len;
    settle.last = last;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_SETTLE;
    command.settle = &settle;
    err = command_issue(core, CLIENT_SETTLE, &command, consumer, timeout_ms, cb, arg);
    free(first);
    return err;
}

int client_core_close_session(struct client_core *core, uint64_t timeout_ms, client_reply_cb cb, void *arg)
{
    Holdfast__CloseSession close = HOLDFAST__CLOSE_SESSION__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_CLOSE_SESSION;
    command.close_session = &close;
    int err = command_issue(core, CLIENT_CLOSE, &command, 0, timeout_ms, cb, arg);
    if (err == 0) {
        core->closing = true;
        core->timeout_ms = 0; /* The next tick looks whether there is a session at all. */
    }
    return err;
}
