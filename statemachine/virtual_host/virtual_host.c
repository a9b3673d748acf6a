/* Virtual hosts: names of their own, and what there is in them. */

#include "statemachine/virtual_host/virtual_host.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/base/fault.h"
#include "statemachine/state.h"

int virtual_host_enter(struct virtual_hosts *hosts, uint64_t id, const char *name, size_t name_len,
                       struct virtual_host **ret_host)
{
    struct virtual_host *host = calloc(1, sizeof *host + name_len + 1);
    if (host == NULL) {
        return ERR_NOMEM;
    }
    host->id = id;
    limits_init(&host->limits);
    list_init(&host->recount);
    host->name_len = name_len;
    memcpy(host->name, name, name_len);
    HASH_ADD(by_id, hosts->by_id, id, sizeof host->id, host);
    HASH_ADD_KEYPTR(by_name, hosts->by_name, host->name, name_len, host);
    *ret_host = host;
    return 0;
}

int virtual_hosts_init(struct virtual_hosts *hosts)
{
    *hosts = (struct virtual_hosts){.next_id = VIRTUAL_HOST_ROOT + 1};
    struct virtual_host *root;
    return virtual_host_enter(hosts, VIRTUAL_HOST_ROOT, "/", 1, &root);
}

void virtual_host_doom(struct virtual_hosts *hosts, struct virtual_host *host)
{
    HASH_DELETE(by_name, hosts->by_name, host);
    host->going = true;
    hosts->going_len++;
}

void virtual_host_free(struct virtual_hosts *hosts, struct virtual_host *host)
{
    CHECK(list_empty(&host->recount));
    if (host->going) {
        hosts->going_len--;
    } else {
        HASH_DELETE(by_name, hosts->by_name, host);
    }
    HASH_DELETE(by_id, hosts->by_id, host);
    free(host);
}

void virtual_hosts_done(struct virtual_hosts *hosts)
{
    struct virtual_host *host;
    struct virtual_host *next;
    HASH_ITER (by_id, hosts->by_id, host, next) {
        virtual_host_free(hosts, host);
    }
    struct user *user;
    struct user *next_user;
    HASH_ITER (by_name, hosts->users, user, next_user) {
        HASH_DELETE(by_name, hosts->users, user);
        free(user);
    }
}

struct virtual_host *virtual_host_by_name(const struct machine *machine, const char *name)
{
    struct virtual_host *host = NULL;
    name = name[0] == 0 ? "/" : name;
    HASH_FIND(by_name, machine->virtual_hosts.by_name, name, strlen(name), host);
    return host;
}

struct virtual_host *virtual_host_by_id(const struct machine *machine, uint64_t id)
{
    struct virtual_host *host = virtual_host_by_id_going_too(machine, id);
    return host == NULL || host->going ? NULL : host;
}

bool virtual_host_is_going(const struct machine *machine, uint64_t id)
{
    return machine->virtual_hosts.going_len > 0 && virtual_host_by_id(machine, id) == NULL;
}

struct virtual_host *virtual_host_by_id_going_too(const struct machine *machine, uint64_t id)
{
    struct virtual_host *host = NULL;
    HASH_FIND(by_id, machine->virtual_hosts.by_id, &id, sizeof id, host);
    return host;
}

int virtual_host_new(struct machine *machine, const char *name, struct virtual_host **ret_host)
{
    struct virtual_hosts *hosts = &machine->virtual_hosts;
    int err = virtual_host_enter(hosts, hosts->next_id, name, strlen(name), ret_host);
    if (err == 0) {
        hosts->next_id++;
    }
    return err;
}

int virtual_host_put(struct machine *machine, const struct virtual_host *host)
{
    struct row *row = &machine->row;
    size_t note_len = strlen(host->note);
    row_begin_new(row, row_key_one(ROW_VIRTUAL_HOST, host->id));
    row_put_u8(row, (uint8_t)(host->going ? 0 : host->name_len));
    row_put_bytes(row, host->name, host->going ? 0 : host->name_len);
    row_put_u8(row, (uint8_t)note_len);
    row_put_bytes(row, host->note, note_len);
    limits_put(&host->limits, row);
    int err = row_seal(row);
    return err != 0 ? err : table_put(machine, row, (struct slice){0});
}

/* ---- What there is in it ---- */

uint64_t virtual_host_used(struct machine *machine, struct virtual_host *host, enum limit what)
{
    switch (what) {
    case LIMIT_READY_MESSAGES: return virtual_host_ready(host);
    case LIMIT_EXCHANGES: return exchanges_len_of_host(machine, host->id);
    case LIMIT_BINDINGS: return bindings_len_of_host(machine, host->id);
    default: return host->counts[what];
    }
}

bool virtual_host_has_room(struct machine *machine, uint64_t id, enum limit what)
{
    struct virtual_host *host = virtual_host_by_id(machine, id);
    if (host == NULL || host->limits.values[what] == LIMIT_NONE || fault_fires(FAULT_SKIP_QUOTA)) {
        return true;
    }
    return virtual_host_used(machine, host, what) < host->limits.values[what];
}

void virtual_host_count(struct machine *machine, uint64_t id, enum limit what, int by)
{
    struct virtual_host *host = virtual_host_by_id_going_too(machine, id);
    if (host != NULL) {
        host->counts[what] = by > 0 ? host->counts[what] + 1 : host->counts[what] - 1;
    }
}

uint64_t virtual_host_ready(struct virtual_host *host)
{
    struct list_node *node;
    while ((node = list_first(&host->recount)) != NULL) {
        struct queue *queue = container_of(node, struct queue, recount);
        uint64_t ready = queue_ready(queue);
        host->ready += ready - queue->ready_counted;
        queue->ready_counted = ready;
        list_remove(node);
    }
    return host->ready;
}

void virtual_host_queue_came(struct machine *machine, struct queue *queue)
{
    virtual_host_count(machine, queue->virtual_host, LIMIT_QUEUES, 1);
    if (queue->options.protected) {
        virtual_host_queue_protected(machine, queue, true);
    }
    virtual_host_queue_changed(machine, queue);
}

void virtual_host_queue_goes(struct machine *machine, struct queue *queue)
{
    struct virtual_host *host = virtual_host_by_id_going_too(machine, queue->virtual_host);
    list_remove(&queue->recount);
    if (host != NULL) {
        host->ready -= queue->ready_counted;
        host->counts[LIMIT_QUEUES]--;
        host->protected_len -= queue->options.protected;
    }
}

void virtual_host_queue_protected(struct machine *machine, const struct queue *queue, bool is_protected)
{
    struct virtual_host *host = virtual_host_by_id_going_too(machine, queue->virtual_host);
    if (host != NULL) {
        host->protected_len = is_protected ? host->protected_len + 1 : host->protected_len - 1;
    }
}

void virtual_host_queue_changed(struct machine *machine, struct queue *queue)
{
    if (!list_linked(&queue->recount)) {
        struct virtual_host *host = virtual_host_by_id(machine, queue->virtual_host);
        if (host != NULL) {
            list_push_back(&host->recount, &queue->recount);
        }
    }
}

uint64_t virtual_host_queue_length_max(const struct machine *machine, uint64_t id)
{
    const struct virtual_host *host = virtual_host_by_id(machine, id);
    return host != NULL ? host->limits.values[LIMIT_QUEUE_LENGTH] : LIMIT_NONE;
}

/* ---- Users ---- */

struct user *user_by_name(const struct machine *machine, const char *name)
{
    struct user *user = NULL;
    HASH_FIND(by_name, machine->virtual_hosts.users, name, strlen(name), user);
    return user;
}

static int user_enter(struct virtual_hosts *hosts, const char *name, size_t name_len, struct user **ret_user)
{
    struct user *user = calloc(1, sizeof *user + name_len + 1);
    if (user == NULL) {
        return ERR_NOMEM;
    }
    limits_init(&user->limits);
    user->name_len = name_len;
    memcpy(user->name, name, name_len);
    HASH_ADD_KEYPTR(by_name, hosts->users, user->name, name_len, user);
    *ret_user = user;
    return 0;
}

int user_ensure(struct machine *machine, const char *name, struct user **ret_user)
{
    *ret_user = user_by_name(machine, name);
    return *ret_user != NULL ? 0 : user_enter(&machine->virtual_hosts, name, strlen(name), ret_user);
}

void user_let_go(struct machine *machine, struct user *user)
{
    if (user != NULL && user->counts[LIMIT_SESSIONS] == 0 && limits_are_none(&user->limits)) {
        HASH_DELETE(by_name, machine->virtual_hosts.users, user);
        free(user);
    }
}

int user_set_limits(struct machine *machine, struct user *user, const struct limits *limits)
{
    struct virtual_hosts *hosts = &machine->virtual_hosts;
    struct row_key key = row_key_name(ROW_USER, user->name, user->name_len);
    hosts->users_with_limits -= !limits_are_none(&user->limits);
    user->limits = *limits;
    hosts->users_with_limits += !limits_are_none(&user->limits);
    if (limits_are_none(limits)) {
        return table_remove(machine, &key);
    }
    row_begin_new(&machine->row, key);
    limits_put(limits, &machine->row);
    int err = row_seal(&machine->row);
    return err != 0 ? err : table_put(machine, &machine->row, (struct slice){0});
}

bool user_has_room(const struct user *user, enum limit what)
{
    return user == NULL || user->counts[what] < user->limits.values[what] || fault_fires(FAULT_SKIP_USER_QUOTA);
}
