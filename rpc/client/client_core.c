/* The life of a client core, and the commands that it takes. */

#include "rpc/client/client_core.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/bytes.h"
#include "proto/base/check.h"
#include "rpc/client/client_state.h"

#define WINDOW_DEFAULT 256u
#define CONNECT_TIMEOUT_MS_DEFAULT 2000u
#define SILENCE_TIMEOUT_MS_DEFAULT 3000u

/* What the header of one frame may unpack to: the largest, of smallest deliveries, stays below it. */
#define ARENA_LEN_MAX (16 * MIB)

int client_name_check(const char *name)
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
    free(core->user);
    arena_done(&core->arena);
    free(core);
}

int client_core_new(const struct client_core_options *options, struct client_core **ret_core)
{
    const char *virtual_host = options->virtual_host == NULL ? "/" : options->virtual_host;
    const char *user = options->user == NULL ? "" : options->user;
    int err = client_name_check(virtual_host);
    if (err == 0 && user[0] != '\0') {
        err = client_name_check(user);
    }
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
    core->ended_err = ERR_CLOSED;
    core->body_len_max = BODY_LEN_MAX;
    list_init(&core->waiting);
    list_init(&core->asks);
    arena_init(&core->arena, ARENA_LEN_MAX);
    client_session_init(core, options->key);
    core->client_name = strdup(options->client_name == NULL ? "" : options->client_name);
    core->virtual_host = strdup(virtual_host);
    core->user = strdup(user);
    err = core->client_name == NULL || core->virtual_host == NULL || core->user == NULL ? ERR_NOMEM
                                                                                        : servers_copy(core, options);
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

int client_command_issue(struct client_core *core, enum client_command_kind kind, const Holdfast__Command *command,
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
    int err = client_name_check(queue);
    if (err != 0) {
        return err;
    }
    Holdfast__DeclareQueue declare = HOLDFAST__DECLARE_QUEUE__INIT;
    declare.queue = (char *)queue;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_QUEUE;
    command.declare_queue = &declare;
    return client_command_issue(core, CLIENT_DECLARE, &command, 0, timeout_ms, cb, arg);
}

int client_core_delete(struct client_core *core, const char *queue, bool if_empty, uint64_t timeout_ms,
                       client_reply_cb cb, void *arg)
{
    int err = client_name_check(queue);
    if (err != 0) {
        return err;
    }
    Holdfast__DeleteQueue delete = HOLDFAST__DELETE_QUEUE__INIT;
    delete.queue = (char *)queue;
    delete.if_empty = if_empty;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_DELETE_QUEUE;
    command.delete_queue = &delete;
    return client_command_issue(core, CLIENT_DELETE, &command, 0, timeout_ms, cb, arg);
}

int client_core_purge(struct client_core *core, const char *queue, uint64_t timeout_ms, client_reply_cb cb, void *arg)
{
    int err = client_name_check(queue);
    if (err != 0) {
        return err;
    }
    Holdfast__PurgeQueue purge = HOLDFAST__PURGE_QUEUE__INIT;
    purge.queue = (char *)queue;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_PURGE_QUEUE;
    command.purge_queue = &purge;
    return client_command_issue(core, CLIENT_PURGE, &command, 0, timeout_ms, cb, arg);
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
    int err = client_command_issue(core, CLIENT_UNSUBSCRIBE, &command, consumer, timeout_ms, cb, arg);
    if (err == 0) {
        found->ending = true;
    }
    return err;
}

int client_core_drain(struct client_core *core, uint64_t consumer, uint64_t timeout_ms, client_reply_cb cb, void *arg)
{
    struct client_consumer *found = client_consumer_find(core, consumer);
    if (found == NULL || found->ending) {
        return ERR_NOT_FOUND;
    }
    Holdfast__Unsubscribe unsubscribe = HOLDFAST__UNSUBSCRIBE__INIT;
    unsubscribe.consumer = consumer;
    unsubscribe.drain = true;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_UNSUBSCRIBE;
    command.unsubscribe = &unsubscribe;
    int err = client_command_issue(core, CLIENT_ONCE, &command, 0, timeout_ms, cb, arg);
    if (err == 0) {
        found->ends_alone = true;
    }
    return err;
}

int client_core_command(struct client_core *core, const Holdfast__Command *command, bool again, uint64_t timeout_ms,
                        client_reply_cb cb, void *arg)
{
    return client_command_issue(core, again ? CLIENT_AGAIN : CLIENT_ONCE, command, 0, timeout_ms, cb, arg);
}

int client_core_close_session(struct client_core *core, uint64_t timeout_ms, client_reply_cb cb, void *arg)
{
    Holdfast__CloseSession close = HOLDFAST__CLOSE_SESSION__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_CLOSE_SESSION;
    command.close_session = &close;
    int err = client_command_issue(core, CLIENT_CLOSE, &command, 0, timeout_ms, cb, arg);
    if (err == 0) {
        core->closing = true;
        core->timeout_ms = 0; /* The next tick looks whether there is a session at all. */
    }
    return err;
}
